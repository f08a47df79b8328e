// The chosen clip: player, transcript, the decisions, and what is known of it (board_facts.js).
//
//   const clip = new Clip({ channel, act, go }); clip.show(row); clip.player; clip.edit(); clip.reasons.ask(fn)
//   act(action, body, message): decide; resolves when saved, rejects with a sentence for the user
/**
 * @import { Command } from "./board_keys.js"
 * @import { Channel } from "./channel.js"
 * @import { IconName } from "./dom.js"
 * @import { Action, BoardEvents, BoardQuestions, Conflict, Decided, Deciding, Details, Refused } from "./messages.d.ts"
 * @import { PlayerClip } from "./page.d.ts"
 * @import { Player } from "./player.js"
 */
import { DraftPanel } from "./board_draft.js";
import { Facts } from "./board_facts.js";
import { ReasonPrompt } from "./board_reasons.js";
import { createWatch } from "./board_seconds.js";
import { Segment } from "./board_segment.js";
import { Transcript } from "./board_transcript.js";
import { isLost } from "./channel.js";
import { fill, h, icon, messageOf } from "./dom.js";
import { createPlayer, fetchClip } from "./player.js";
import { named, segment as segmentWords, board as words } from "./strings.js";

const AUDIO_KEPT = 6;
/** A decision of somebody else that came on screen less than this ago counts as not yet seen. */
const SEEN_AFTER_MS = 2500;
/** @type {{ [status: string]: { tone: string, mark: IconName } | undefined }} */
const MARKS = { accepted: { tone: "nwb-good", mark: "check" }, rejected: { tone: "nwb-bad", mark: "cross" } };

export class Clip {
  /**
   * @param {object} options
   * @param {Channel<BoardQuestions, BoardEvents>} options.channel
   * @param {(action: Action, body: Deciding, message?: string) => Promise<Decided | Refused>} options.act
   * @param {(name: Command) => void} options.go run a command of the board
   * @param {(id: string) => void} options.goTo choose another clip
   */
  constructor({ channel, act, go, goTo }) {
    this.channel = channel;
    this.act = act;
    this.go = go;
    this.goTo = goTo;
    /** @type {Details | null} */
    this.row = null;
    this.seen = 0; // the newest event on this clip that the reviewer has seen
    this.wantsPlay = false;
    /** @type {Map<string, Promise<PlayerClip>>} clips by id, the newest few */
    this.audio = new Map();
    /** @type {(() => void) | null} what Esc does to the question that is open */
    this.dismiss = null;
    this.build();
  }

  build() {
    /** @type {(action: Action, body: Deciding, message?: string) => Promise<Decided | null>} */
    const decide = (action, body, message) => this.decide(action, body, message);
    const onLeave = () => this.go("focus");
    /** @type {HTMLDivElement} */
    this.head = h("div", { class: "nwb-clip-head" });
    /** @type {HTMLDivElement} */
    this.stage = h("div", { class: "nwb-clip-player" });
    /** @type {Player} */
    this.player = createPlayer(this.stage, { height: 72, label: words.title });
    /** @type {ReturnType<typeof createWatch>} */
    this.watch = createWatch(() => this.player.playing);
    /** @type {DraftPanel} */
    this.draft = new DraftPanel({ decide, seek: (time_s) => this.player.seek(time_s) });
    /** @type {Segment} */
    this.segment = new Segment({
      channel: this.channel,
      onMove: (stretch) => this.decide("move", stretch, segmentWords.moved),
      onGo: this.goTo,
      onLeave,
    });
    /** @type {Transcript} */
    this.transcript = new Transcript({
      onSave: (row, value) => this.decide("edit", { id: row.id, field: "text", value }, words.done.edit),
      onLeave,
      onNext: () => this.go("next"),
      onEditing: () => this.row && this.draft.show(this.row, this.transcript.editing),
    });
    /** @type {HTMLDivElement} */
    this.problem = h("div", {
      class: "nwb-note nwb-bad nwb-clip-problem",
      role: "alert",
      hidden: true,
      dataset: { testid: "board-problem" },
    });
    /** @type {ReasonPrompt} */
    this.reasons = new ReasonPrompt({ onLeave });
    /** @type {Facts} */
    this.facts = new Facts({ decide, onLeave });
    /** @type {HTMLElement} */
    this.element = h(
      "section",
      { class: "nwb-clip", "aria-label": words.transcript, dataset: { testid: "board-clip" } },
      h(
        "div",
        { class: "nwb-clip-main" },
        this.head,
        this.stage,
        this.segment.element,
        this.draft.element,
        this.transcript.element,
        this.problem,
        this.reasons.element,
        this.actions(),
      ),
      this.facts.element,
    );
  }

  actions() {
    const accept = this.button("accept", "A", "nwb-good", "check");
    const reject = this.button("reject", "R", "nwb-bad", "cross");
    const edit = this.button("edit", "E", "", "pencil");
    const undo = this.button("undo", "U", "", "undo");
    const previous = this.button("previous", "P", "nwb-plain", "previous");
    const next = this.button("next", "N", "nwb-plain", "next");
    /** @type {HTMLButtonElement[]} */
    this.buttons = [accept, reject, edit, undo, previous, next];
    /** @type {HTMLInputElement} */
    this.autoplayBox = h("input", { type: "checkbox", onchange: () => this.go("autoplay") });
    return h(
      "div",
      { class: "nwb-actions" },
      accept,
      reject,
      edit,
      undo,
      h("span", { class: "nwb-spring" }),
      h("label", { class: "nwb-check" }, this.autoplayBox, words.autoplay),
      previous,
      next,
    );
  }

  /**
   * @param {"accept" | "reject" | "edit" | "undo" | "previous" | "next"} name
   * @param {string} key
   * @param {string} tone
   * @param {IconName} mark
   */
  button(name, key, tone, mark) {
    const label = words[name];
    return h(
      "button",
      {
        type: "button",
        class: `nwb-btn ${tone}`,
        onclick: () => this.go(name),
        title: words.keyOf(label, key),
        "aria-label": label,
        dataset: { testid: `board-${name}` },
        "aria-keyshortcuts": key,
      },
      icon(mark, 15),
      tone === "nwb-plain" ? null : label,
      h("kbd", {}, key),
    );
  }

  /** @param {string} key */
  load(key) {
    const held = this.audio.get(key);
    if (held) return held;
    const promise = fetchClip(this.channel, key);
    promise.catch(() => this.audio.delete(key));
    this.audio.set(key, promise);
    const many = Math.max(0, this.audio.size - AUDIO_KEPT);
    for (const old of [...this.audio.keys()].slice(0, many)) this.audio.delete(old);
    return promise;
  }

  /** @param {string} key */
  prefetch(key) {
    this.load(key).catch(() => {});
  }

  /** Play or pause; while the recording is on its way, play it on arrival. */
  playWhenReady() {
    if (this.player.ready) this.player.toggle();
    else this.wantsPlay = true;
  }

  /**
   * Show a row with its details; loads the recording when the clip is another one.
   * @param {Details | null} next null: none
   * @param {{ play?: boolean, own?: boolean }} [how] `own`: what changed is this reviewer's own doing
   */
  async show(next, { play = false, own = false } = {}) {
    const stretch = (/** @type {Details | null} */ row) => `${row?.offset} ${row?.duration}`;
    const same = this.row?.id === next?.id;
    const heard = same && stretch(this.row) !== stretch(next);
    if (heard && next) this.audio.delete(next.id); // another stretch of the recording
    if (!same && this.transcript.editing) void this.transcript.save(); // of the clip being left
    this.row = next;
    this.element.classList.toggle("nwb-nothing", !next);
    this.watch.show(next?.id ?? null);
    void this.segment.show(next);
    if (!next) {
      this.player.unload();
      return;
    }
    this.draw(next);
    this.noteSeen(next, !same || own);
    if (heard) void this.listen(next, false);
    if (same) return;
    this.closePrompts();
    await this.listen(next, play);
  }

  /** @param {Details} row @param {boolean} now */
  noteSeen(row, now) {
    const newest = Math.max(0, ...(row.history ?? []).map((event) => event.seq));
    if (now) this.see(newest);
    else setTimeout(() => this.catchUp(row.id, newest), SEEN_AFTER_MS);
  }

  /** @param {number} newest the newest event on this clip that counts as seen */
  see(newest) {
    this.seen = newest;
    this.element.dataset.seen = String(newest);
  }

  /** @param {string} id @param {number} newest */
  catchUp(id, newest) {
    if (this.row?.id === id) this.see(Math.max(this.seen, newest));
  }

  /** @param {Details} row @param {boolean} play */
  async listen(row, play) {
    this.player.unload(row.missing ? words.missingFile : undefined, { bad: row.missing });
    this.wantsPlay = play;
    if (row.missing) return;
    try {
      const clip = await this.load(row.id);
      if (this.row?.id !== row.id) return;
      await this.player.load(clip);
      if (this.wantsPlay && this.row?.id === row.id) await this.player.play();
      this.wantsPlay = false;
    } catch (error) {
      if (this.row?.id === row.id && !isLost(error)) this.player.unload(messageOf(error), { bad: true });
    }
  }

  /** @param {Details} row */
  draw(row) {
    this.element.dataset.status = row.status ?? "";
    const { tone, mark } = MARKS[row.status] ?? { tone: "nwb-accent", mark: null };
    const who = (row.history ?? []).findLast((event) => event.stands && event.field === "status");
    fill(
      this.head,
      h(
        "span",
        { class: `nwb-tag ${tone}`, dataset: { testid: "board-status" } },
        mark ? icon(mark, 12) : null,
        words.status[row.status] ?? "",
      ),
      who && row.status !== "pending"
        ? h("span", { class: "nwb-muted", dataset: { testid: "board-by" } }, words.by, " ", h("bdi", {}, who.reviewer))
        : null,
      row.reason ? h("span", { class: "nwb-muted", dir: "auto" }, row.reason) : null,
      h("span", { class: "nwb-clip-id", title: row.id }, h("bdi", {}, row.id)),
    );
    this.draft.show(row, this.transcript.editing);
    this.transcript.show(row);
    this.facts.show(row);
  }

  /**
   * The kernel's answer; null where it refused, which is said beside the transcript, and where somebody has
   * decided the same clip meanwhile, which is asked about.
   * @param {Action} action
   * @param {Deciding} body
   * @param {string} [message] said once it is saved
   * @returns {Promise<Decided | null>}
   */
  async decide(action, body, message) {
    if (!this.row) return null;
    const spent = this.row.draft ? { seconds: this.watch.seconds } : {};
    const asked = { id: this.row.id, seen: this.seen, ...spent, ...body };
    try {
      const answer = await this.act(action, asked, message);
      if (answer.conflict) return await this.askAgain(answer.conflict, action, { ...asked, sure: true }, message);
      this.problem.hidden = true;
      if (action === "accept" || action === "edit") this.watch.restart();
      return answer;
    } catch (error) {
      fill(this.problem, icon("warn"), messageOf(error));
      this.problem.hidden = false;
      return null;
    }
  }

  /**
   * Somebody was faster: keep their word, or decide all the same.
   * @param {Conflict} other
   * @param {Action} action
   * @param {Deciding} body
   * @param {string} [message]
   * @returns {Promise<Decided | null>}
   */
  askAgain(other, action, body, message) {
    return new Promise((resolve) => {
      const close = (/** @type {Decided | null} */ answer) => {
        this.dismiss = null;
        this.problem.hidden = true;
        this.go("focus");
        resolve(answer);
      };
      const keep = h("button", { type: "button", class: "nwb-btn", onclick: () => close(null) }, words.keepTheirs);
      const sure = async () => close(await this.decide(action, body, message));
      const said = other.field === "status" ? named(words.status, other.value ?? "") : (other.value ?? words.none);
      fill(
        this.problem,
        icon("warn"),
        h(
          "div",
          { dataset: { testid: "board-conflict" } },
          words.conflict(other.reviewer, [said, other.reason].filter(Boolean).join(": ")),
          h(
            "div",
            { class: "nwb-settle" },
            keep,
            h("button", { type: "button", class: "nwb-btn", onclick: sure }, words.decideAnyway),
          ),
        ),
      );
      this.problem.hidden = false;
      this.dismiss = () => close(null);
      keep.focus();
    });
  }

  edit() {
    if (!this.channel.lost) this.transcript.edit();
  }

  /** Whether a question is open that keys must not pass by. */
  get asking() {
    return this.reasons.open || this.dismiss !== null || this.transcript.editing;
  }

  /** @param {string} text a key for the question that is open */
  type(text) {
    if (this.reasons.open) this.reasons.type(text);
    else if (this.transcript.editing) this.transcript.type(text);
  }

  closePrompts(focus = false) {
    this.reasons.close(focus);
    this.dismiss?.();
    this.problem.hidden = true;
  }

  get autoplay() {
    return this.autoplayBox.checked;
  }
  set autoplay(on) {
    this.autoplayBox.checked = on;
  }

  /** @param {boolean} on */
  setEnabled(on) {
    for (const button of this.buttons) button.disabled = !on;
  }

  destroy() {
    this.watch.destroy();
    this.segment.destroy();
    this.player.destroy();
  }
}
