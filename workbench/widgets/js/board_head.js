// The board's head: which corpus, how far it is decided, who decides, and whether all is saved.
/** @import { Progress, Tally } from "./messages.d.ts" */
import { count, fill, h, icon, set } from "./dom.js";
import { board as words } from "./strings.js";

export class Head {
  /** @param {{ onHelp: () => void }} on */
  constructor({ onHelp }) {
    this.name = h("h3", { class: "nwb-title" });
    this.size = h("span", { class: "nwb-muted nwb-num" });
    this.meter = h("div", { class: "nwb-meter", role: "img" });
    this.figure = h("span", { class: "nwb-num", dataset: { testid: "board-progress" } });
    this.who = h("span", { class: "nwb-who nwb-muted" });
    this.state = h("span", { class: "nwb-saved", role: "status", dataset: { testid: "board-saved" } });
    this.hidden = h(
      "span",
      { class: "nwb-tag nwb-accent", title: words.blindHint, hidden: true, dataset: { testid: "board-blind" } },
      words.blind,
    );
    const help = h(
      "button",
      {
        type: "button",
        class: "nwb-btn nwb-plain",
        onclick: onHelp,
        dataset: { testid: "board-help" },
        "aria-haspopup": "dialog",
      },
      icon("help"),
      words.help,
      h("kbd", {}, "?"),
    );
    this.element = h(
      "header",
      { class: "nwb-head" },
      h("div", { class: "nwb-head-name" }, this.name, this.size),
      h("div", { class: "nwb-head-progress" }, this.figure, this.meter),
      h("span", { class: "nwb-spring" }),
      this.state,
      this.hidden,
      this.who,
      help,
    );
    this.saved("");
  }

  /**
   * @param {string} corpus
   * @param {Progress} progress
   * @param {string} reviewer
   */
  draw(corpus, progress, reviewer) {
    fill(this.name, h("bdi", {}, corpus));
    this.size.textContent = `${words.clips(count(progress.clips))} · ${words.minutes(progress.minutes)}`;
    const done = progress.accepted.minutes + progress.rejected.minutes;
    this.figure.textContent = words.decidedOf(
      words.minutes(done),
      words.minutes(progress.minutes),
      percentText(done, progress.minutes),
    );
    const label = words.progressLabel(
      count(progress.accepted.clips),
      count(progress.rejected.clips),
      count(progress.pending.clips),
    );
    const share = (/** @type {Tally} */ part) => `${progress.minutes ? (100 * part.minutes) / progress.minutes : 0}%`;
    set(this.meter, { "aria-label": label, title: label });
    fill(
      this.meter,
      h("span", { class: "nwb-meter-good", style: { width: share(progress.accepted) } }),
      h("span", { class: "nwb-meter-bad", style: { width: share(progress.rejected) } }),
    );
    fill(this.who, icon("person", 14), h("bdi", {}, reviewer));
    set(this.who, { title: words.reviewer(reviewer) });
  }

  /** @param {boolean} on others' decisions are hidden */
  blind(on) {
    this.hidden.hidden = !on;
  }

  /** @param {"" | "saving" | "saved" | Error} state */
  saved(state) {
    const failed = state instanceof Error;
    this.state.classList.toggle("nwb-bad", failed);
    const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const said = { "": words.saved, saving: words.saving, saved: words.savedAt(time) };
    const text = failed ? words.notSaved : said[state];
    fill(this.state, icon(failed ? "warn" : state === "saving" ? "save" : "check", 14), text);
    set(this.state, { title: failed ? state.message : null });
  }
}

/**
 * Small shares keep a digit, so that the first decisions are seen to count.
 * @param {number} done
 * @param {number} all
 */
export function percentText(done, all) {
  const percent = all ? (100 * done) / all : 0;
  if (percent > 0 && percent < 0.1) return "< 0.1";
  return percent > 0 && percent < 10 ? percent.toFixed(1) : percent.toFixed(0);
}
