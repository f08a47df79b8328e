// Choosing a clip and deciding on it. Commands run one after the other, so that keys pressed ahead of a slow kernel
// meet the clip they were meant for.
/**
 * @import { Board } from "./board.js"
 * @import { Command } from "./board_keys.js"
 * @import { Action, Bulk, Deciding, Details, Progress, Row } from "./messages.d.ts"
 */
import { REPEATED } from "./board_keys.js";
import { ChannelError, isLost } from "./channel.js";
import { count, debounce, messageOf } from "./dom.js";
import { board as words } from "./strings.js";

/** Commands that do not wait for the kernel. @type {Set<Command>} */
const AT_ONCE = new Set([
  "focus",
  "filter",
  "help",
  "autoplay",
  "loop",
  "spectrogram",
  "slower",
  "faster",
  "zoomAll",
  "tag",
  "segmentStart",
  "segmentEnd",
  "first",
  "last",
  ...REPEATED,
]);
/** Commands that open a prompt: what is typed until it is there is typed into it. @type {Set<Command>} */
const PROMPTS = new Set(["reject", "edit"]);

export class Review {
  /** @param {Board} board */
  constructor(board) {
    this.board = board;
    /** @type {string | null} id of the chosen clip */
    this.selected = null;
    /** @type {string[] | null} keys for a prompt that is about to open; null: none is */
    this.opening = null;
    this.turn = 0;
    /** @type {Set<() => void>} */
    this.arrivals = new Set();
    /** @type {Promise<unknown>} */
    this.queue = Promise.resolve();
    /** @type {(id: string, place: number, play: boolean) => void} */
    this.details = debounce((id, place, play) => this.fetch(id, place, play), 60);
    this.commands = this.commandTable();
  }

  get clip() {
    return this.board.clip;
  }
  get table() {
    return this.board.table;
  }
  get channel() {
    return this.board.channel;
  }

  /** @returns {{ [name in Command]: () => unknown }} */
  commandTable() {
    const { table, clip } = this;
    const { player } = clip;
    const move = (/** @type {number} */ step) =>
      this.choose(Math.min(table.total - 1, Math.max(0, table.selected + step)));
    return {
      play: () => clip.playWhenReady(),
      accept: () => this.decideAndGo("accept", {}, words.done.accept),
      reject: () => clip.row && clip.reasons.ask((reason) => this.reject(reason)),
      reopen: () => clip.row && clip.decide("reopen", {}, words.done.reopen),
      edit: () => clip.edit(),
      tag: () => clip.facts.tagInput.focus(),
      segmentStart: () => clip.segment.focus("start"),
      segmentEnd: () => clip.segment.focus("end"),
      next: () => this.nextUndecided(1),
      previous: () => this.nextUndecided(-1),
      undo: () => this.undo(false),
      redo: () => this.undo(true),
      autoplay: () => {
        this.board.remember();
        table.focus();
      },
      focus: () => table.focus(),
      filter: () => this.board.filter.focus(),
      help: () => this.board.help(),
      loop: () => player.toggleLoop(),
      spectrogram: () => {
        player.toggleSpectrogram();
        this.board.remember();
      },
      back: () => player.seek(player.time_s - 1),
      forward: () => player.seek(player.time_s + 1),
      slower: () => player.stepSpeed(-1),
      faster: () => player.stepSpeed(1),
      zoomIn: () => player.zoom(1),
      zoomOut: () => player.zoom(-1),
      zoomAll: () => player.zoom(0),
      rowDown: () => move(1),
      rowUp: () => move(-1),
      pageDown: () => move(table.pageSize()),
      pageUp: () => move(-table.pageSize()),
      first: () => this.choose(0),
      last: () => this.choose(table.total - 1),
    };
  }

  /** @param {Command} name */
  go(name) {
    if (this.channel.lost && name !== "focus") return;
    if (AT_ONCE.has(name)) {
      this.commands[name]();
      return;
    }
    if (PROMPTS.has(name)) this.opening = [];
    else this.table.focus(); // so that Space never presses the button again
    this.enqueue(async () => {
      try {
        await this.commands[name]();
      } finally {
        if (PROMPTS.has(name)) this.typeAhead();
      }
    });
  }

  /** @param {() => unknown} work */
  enqueue(work) {
    this.queue = this.queue
      .then(() => this.settled())
      .then(work)
      .catch((error) => this.told(error));
  }

  /** Say what went wrong; that the kernel is gone is said elsewhere. @param {unknown} error */
  told(error) {
    if (!isLost(error)) this.board.say(messageOf(error));
  }

  /** A key for the prompt that is open or about to open. @param {string} text */
  type(text) {
    if (this.opening) this.opening.push(text);
    else this.clip.type(text);
  }

  typeAhead() {
    const keys = this.opening ?? [];
    this.opening = null;
    for (const key of keys) this.clip.type(key);
  }

  cancel() {
    this.opening = null;
    this.clip.closePrompts(true);
  }

  // -- choosing ---------------------------------------------------------------------------------------------

  /** @param {string} id @param {number} place @param {boolean} play */
  async fetch(id, place, play) {
    try {
      const row = await this.channel.ask("details", { id });
      if (this.selected === id) await this.present(row, place, play);
    } catch (error) {
      this.arrive();
      this.told(error);
    }
  }

  /** @param {Details} row @param {number} place @param {boolean} play */
  async present(row, place, play) {
    const heard = this.clip.show(row, { play });
    this.arrive();
    await heard;
    const after = this.table.row(place + 1);
    if (after && !after.missing && this.selected === row.id) this.clip.prefetch(after.id);
  }

  arrive() {
    for (const done of this.arrivals) done();
    this.arrivals.clear();
  }

  /**
   * Resolves once the clip shown is the one chosen, so that no key decides on a clip not yet on screen.
   * @returns {Promise<void>}
   */
  settled() {
    if ((this.clip.row?.id ?? null) === this.selected) return Promise.resolve();
    return new Promise((done) => this.arrivals.add(() => done()));
  }

  /**
   * @param {number | null | undefined} place
   * @param {{ play?: boolean, whole?: Details | null }} [how] `whole`: its details, where they came with an answer
   */
  async choose(place, { play = this.clip.autoplay, whole = null } = {}) {
    if (place === null || place === undefined || place < 0 || place >= this.table.total) return;
    this.table.select(place);
    this.turn += 1;
    const { turn } = this;
    /** @type {Row | Details | undefined} */
    let row = whole ?? this.table.row(place);
    if (!row) {
      try {
        [row] = (await this.channel.ask("rows", { offset: place, limit: 1 })).rows;
      } catch (error) {
        this.told(error);
        return;
      }
    }
    if (turn !== this.turn || !row) return;
    this.selected = row.id;
    this.board.remember();
    if (whole) void this.present(whole, place, play);
    else this.details(row.id, place, play);
  }

  nothing() {
    this.selected = null;
    this.clip.show(null);
    this.arrive();
  }

  /** @param {1 | -1} step */
  async nextUndecided(step) {
    const { place } = await this.channel.ask("next", { place: this.table.selected, step, pending: true });
    if (place === null) this.board.say(words.done.end);
    else await this.choose(place);
    await this.settled();
  }

  /** Read the chosen clip again, after something changed about it. */
  async refresh() {
    if (!this.clip.row) return;
    try {
      this.note(await this.channel.ask("details", { id: this.clip.row.id }, { background: true }));
    } catch {
      // shown when the kernel is lost
    }
  }

  /** Choose a clip by its id, where the view holds it. @param {string} id */
  async goTo(id) {
    const row = await this.channel.ask("details", { id });
    if (row.place === null) this.board.say(words.notInView);
    else await this.choose(row.place, { whole: row });
  }

  async placeNow() {
    if (!this.selected) return null;
    return (await this.channel.ask("details", { id: this.selected })).place;
  }

  /** @param {Details} row */
  note(row, { own = false } = {}) {
    this.table.update(row);
    if (this.clip.row?.id === row.id) this.clip.show(row, { own });
  }

  // -- deciding ---------------------------------------------------------------------------------------------

  /** @param {Action} action @param {Deciding} body @param {string} [message] */
  async act(action, body, message) {
    const { board } = this;
    board.head.saved("saving");
    try {
      const answer = await board.write("decide", { action, ...body });
      if (answer.conflict) {
        board.head.saved("");
        this.note(answer.row);
        return answer;
      }
      this.saved(answer);
      this.note(answer.row, { own: true });
      if (message) board.say(message);
      return answer;
    } catch (error) {
      board.head.saved(error instanceof ChannelError && (error.fault || error.lost) ? error : "");
      throw error;
    }
  }

  /** @param {{ own?: number[], progress: Progress }} answer */
  saved(answer) {
    this.board.head.saved("saved");
    this.board.own.push(...(answer.own ?? []));
    this.board.progress(answer.progress);
  }

  /** @param {string} reason */
  reject(reason) {
    this.enqueue(() => this.decideAndGo("reject", { reason }, words.done.reject(reason)));
  }

  /** @param {Action} action @param {Deciding} body @param {string} message */
  async decideAndGo(action, body, message) {
    if (!this.clip.row || this.clip.row.id !== this.selected) return;
    const answer = await this.clip.decide(action, { ...body, place: this.table.selected }, message);
    if (!answer) return;
    if (answer.next === null) this.board.say(words.done.end);
    else await this.choose(answer.next, { whole: answer.next_row });
    await this.settled();
  }

  /** @param {boolean} redo */
  async undo(redo) {
    const { board } = this;
    board.head.saved("saving");
    try {
      const answer = await board.write("undo", { redo });
      this.saved(answer);
      if (!answer.event) return board.say(redo ? words.done.nothingToRedo : words.done.nothingToUndo);
      if (answer.row) this.note(answer.row, { own: true });
      else await this.table.reload();
      board.say(redo ? words.done.redone : words.done.undone);
      const elsewhere = answer.place !== null && answer.id !== this.selected;
      if (elsewhere) await this.choose(answer.place, { play: false, whole: answer.row });
      else if (!answer.row) await this.refresh();
    } catch (error) {
      this.failed(error);
    }
    return undefined;
  }

  /** Nothing was saved. @param {unknown} error */
  failed(error) {
    this.board.head.saved(error instanceof Error ? error : new Error(messageOf(error)));
    this.board.say(messageOf(error));
  }

  /** @param {Bulk} body */
  async bulk(body) {
    const { board } = this;
    board.head.saved("saving");
    try {
      const answer = await board.write("bulk", body);
      this.saved(answer);
      await this.table.reload();
      await this.refresh();
      board.say(words.bulkDone(count(answer.clips)));
    } catch (error) {
      this.failed(error);
    }
  }
}
