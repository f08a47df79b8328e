// The draft of the chosen clip: uncertain words, words in which two drafts differ, personal data, what became of it.
//
//   const draft = new DraftPanel({ decide, seek }); draft.show(row, editing)
/** @import { Action, Deciding, Details, Draft, DraftWord, PersonalSpan } from "./messages.d.ts" */
import { direction, directionOf, fill, h } from "./dom.js";
import { draft as words } from "./strings.js";

/** Whether a row has a draft that nobody has made a reference of. @param {Details | null} row */
export const drafted = (row) => Boolean(row?.draft) && !row?.text;

export class DraftPanel {
  /**
   * @param {object} options
   * @param {(action: Action, body: Deciding) => Promise<unknown>} options.decide
   * @param {(time_s: number) => void} options.seek
   */
  constructor({ decide, seek }) {
    this.decide = decide;
    this.seek = seek;
    this.element = h("div", { class: "nwb-draft", hidden: true, dataset: { testid: "draft" } });
  }

  /**
   * @param {Details} row
   * @param {boolean} editing the transcript is being written: its words stand there
   */
  show(row, editing = false) {
    const { draft } = row;
    this.element.hidden = !draft;
    if (!draft) return;
    const waits = drafted(row);
    const shown = waits && !draft.blind && !editing;
    fill(
      this.element,
      shown ? this.line(draft) : null,
      shown && draft.second.length ? this.second(draft) : null,
      shown ? h("div", { class: "nwb-muted", dataset: { testid: "draft-facts" } }, facts(draft)) : null,
      waits && draft.blind ? h("div", { class: "nwb-note" }, words.blind) : null,
      ...draft.personal.map((span) => this.personal(span)),
      draft.personal.length ? this.drop(draft) : null,
      draft.made ? h("div", { class: "nwb-muted", dataset: { testid: "draft-made" } }, words.made(draft.made)) : null,
    );
  }

  /** @param {Draft} draft */
  line(draft) {
    if (!draft.text) return h("div", { class: "nwb-muted" }, words.nothing);
    const runs = direction(draft.text);
    const spans = draft.words.flatMap((word, n) => {
      const holds = (/** @type {PersonalSpan} */ { first, last }) =>
        first !== null && last !== null && first <= n && n <= last;
      const personal = draft.personal.find(holds);
      const said = this.word(word, runs, personal);
      return n && !word.glued ? [" ", said] : [said];
    });
    return h("div", { class: "nwb-draft-line", dir: runs, dataset: { testid: "draft-words" } }, ...spans);
  }

  /**
   * @param {DraftWord} word
   * @param {"rtl" | "ltr"} runs
   * @param {PersonalSpan | undefined} personal
   */
  word(word, runs, personal) {
    const notes = [
      word.confidence === undefined || word.confidence === null ? "" : words.confidence(word.confidence),
      word.differs ? words.differs : "",
      personal ? words.personalWord(words.kinds[personal.kind]) : "",
    ].filter(Boolean);
    const marks = [word.uncertain && "uncertain", word.differs && "differs", personal && !personal.keep && "personal"];
    return h(
      "span",
      {
        class: ["nwb-word", ...marks.filter(Boolean).map((name) => `nwb-word-${name}`)].join(" "),
        dir: directionOf(word.word, runs),
        title: notes.join("; "),
        onclick: () => typeof word.start === "number" && this.seek(word.start),
      },
      word.word,
    );
  }

  /** @param {Draft} draft */
  second(draft) {
    const said = draft.second.flatMap((word, n) => {
      const span = h("span", { class: word.differs ? "nwb-word nwb-word-differs" : "nwb-word" }, word.word);
      return n ? [" ", span] : [span];
    });
    return h(
      "div",
      { class: "nwb-draft-second", dataset: { testid: "draft-second" } },
      h("span", { class: "nwb-muted" }, words.second(draft.second_by)),
      h("span", { dir: "auto" }, ...said),
    );
  }

  /** @param {PersonalSpan} span */
  personal(span) {
    const choose = (/** @type {boolean} */ keep) =>
      keep !== span.keep && this.decide(keep ? "tag" : "untag", { value: span.tag });
    const button = (/** @type {boolean} */ keep, /** @type {string} */ label, /** @type {string} */ hint) =>
      h(
        "button",
        {
          type: "button",
          class: "nwb-btn",
          "aria-pressed": String(span.keep === keep),
          title: hint,
          dataset: { testid: keep ? "personal-keep" : "personal-bleep" },
          onclick: () => choose(keep),
        },
        label,
      );
    return h(
      "div",
      { class: "nwb-personal", dataset: { testid: "personal" } },
      h("span", { class: "nwb-tag nwb-bad" }, words.kinds[span.kind]),
      h("bdi", { class: "nwb-personal-text" }, span.text),
      h(
        "span",
        { class: "nwb-segments", role: "group", "aria-label": words.personalLabel(span.text) },
        button(false, words.bleep, words.bleepHint),
        button(true, words.keep, words.keepHint),
      ),
    );
  }

  /** @param {Draft} draft */
  drop(draft) {
    return h(
      "div",
      { class: "nwb-personal" },
      h(
        "button",
        {
          type: "button",
          class: "nwb-btn",
          "aria-pressed": String(draft.drop),
          title: words.dropHint,
          dataset: { testid: "personal-drop" },
          onclick: () => this.decide(draft.drop ? "untag" : "tag", { value: draft.drop_tag }),
        },
        words.drop,
      ),
      h("span", { class: "nwb-muted" }, words.personalNote),
    );
  }
}

/** @param {Draft} draft */
function facts(draft) {
  const uncertain = draft.words.filter((word) => word.uncertain).length;
  const differs = draft.words.filter((word) => word.differs).length;
  const unlike = draft.second.length ? differs : null;
  return words.facts(draft.by, uncertain, draft.threshold, draft.threshold_from, unlike);
}
