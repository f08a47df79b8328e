// Choosing a clip and deciding on it. Commands run one after the other, so that keys pressed ahead of a slow kernel
// meet the clip they were meant for.
import { REPEATED } from "./board_keys.js";
import { count, debounce } from "./dom.js";
import { board as words } from "./strings.js";

/** Commands that do not wait for the kernel. */
const AT_ONCE = new Set([
  ...["focus", "filter", "help", "autoplay", "loop", "spectrogram", "slower", "faster", "zoomAll", "tag"],
  ...["segmentStart", "segmentEnd"],
  ...["first", "last", ...REPEATED],
]);
/** Commands that open a prompt: what is typed until it is there is typed into it. */
const PROMPTS = new Set(["reject", "edit"]);

export class Review {
  /** @param {any} board */
  constructor(board) {
    this.board = board;
    /** @type {string | null} id of the chosen clip */
    this.selected = null;
    /** @type {string[] | null} keys for a prompt that is about to open; null: none is */
    this.opening = null;
    this.turn = 0;
    /** @type {Set<() => void>} */
    this.arrivals = new Set();
    this.queue = Promise.resolve();
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

  commandTable() {
    const { table, clip } = this;
    const { player } = clip;
    const move = (step) => this.choose(Math.min(table.total - 1, Math.max(0, table.selected + step)));
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

  /** @param {string} name */
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

  enqueue(work) {
    this.queue = this.queue
      .then(() => this.settled())
      .then(work)
      .catch((error) => !error.lost && this.board.say(error.message));
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

  async fetch(id, place, play) {
    try {
      const row = await this.channel.ask("details", { id });
      if (this.selected === id) await this.present(row, place, play);
    } catch (error) {
      this.arrive();
      if (!error.lost) this.board.say(error.message);
    }
  }

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

  /** Resolves once the clip shown is the one chosen, so that no key decides on a clip not yet on screen. */
  settled() {
    if ((this.clip.row?.id ?? null) === this.selected) return Promise.resolve();
    return new Promise((done) => this.arrivals.add(() => done(undefined)));
  }

  /**
   * @param {number | null} place
   * @param {{ play?: boolean, whole?: any }} [how] `whole`: the clip's details, where they came with an answer
   */
  async choose(place, { play = this.clip.autoplay, whole = null } = {}) {
    if (place === null || place === undefined || place < 0 || place >= this.table.total) return;
    this.table.select(place);
    this.turn += 1;
    const { turn } = this;
    let row = whole ?? this.table.row(place);
    if (!row) {
      try {
        [row] = (await this.channel.ask("rows", { offset: place, limit: 1 })).rows;
      } catch (error) {
        if (!error.lost) this.board.say(error.message);
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

  note(row, { own = false } = {}) {
    this.table.update(row);
    if (this.clip.row?.id === row.id) this.clip.show(row, { own });
  }

  // -- deciding ---------------------------------------------------------------------------------------------

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
      board.head.saved(error.fault || error.lost ? error : "");
      throw error;
    }
  }

  saved(answer) {
    this.board.head.saved("saved");
    this.board.own.push(...(answer.own ?? []));
    this.board.progress(answer.progress);
  }

  reject(reason) {
    this.enqueue(() => this.decideAndGo("reject", { reason }, words.done.reject(reason)));
  }

  async decideAndGo(action, body, message) {
    if (!this.clip.row || this.clip.row.id !== this.selected) return;
    const answer = await this.clip.decide(action, { ...body, place: this.table.selected }, message);
    if (!answer) return;
    if (answer.next === null) this.board.say(words.done.end);
    else await this.choose(answer.next, { whole: answer.next_row });
    await this.settled();
  }

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
      board.head.saved(error);
      board.say(error.message);
    }
    return undefined;
  }

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
      board.head.saved(error);
      board.say(error.message);
    }
  }
}
