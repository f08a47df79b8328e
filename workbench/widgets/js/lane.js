// One lane of playback: what it recognizes with, the transcript at a moment, figures, and the aligned reference.
//
//   const lane = createLane({ index, name, choose(settings), go(time_s), close() });
//   lane.show(data, { choices, differs, alone });    lane.at(time_s);    lane.element
/**
 * @import { Lane as LaneData, LaneChoices, LaneEvent, LaneSettings, LaneWord, Operation, Pair } from "./messages.d.ts"
 */
import { direction, directionOf, fill, h, icon, set } from "./dom.js";
import { languageChip } from "./languages.js";
import { playback as words } from "./strings.js";
import { writtenUnits } from "./units.js";

const ADD = 5,
  KEEP = 4,
  PARTIAL = 6,
  TAG = 7,
  EMISSION = 3;

/**
 * @typedef {object} Actions
 * @property {number} index
 * @property {string} name
 * @property {(settings: Partial<LaneSettings>) => void} choose
 * @property {(time_s: number, play: boolean) => void} go
 * @property {() => void} close
 */
/** @typedef {ReturnType<typeof buildLane>} Parts */
/** @typedef {{ final: string, partial: string, tag: string | null, emission: number }} State what is on screen */
/** @typedef {LaneData & { differs?: Operation[] }} Marked a lane, and where another one has other words */

/** @param {Actions} actions */
export const createLane = (actions) => new Lane(actions);

export class Lane {
  /** @param {Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.parts = buildLane(actions);
    this.element = this.parts.root;
    /** @type {Marked | null} */
    this.data = null;
    /** @type {State[]} */
    this.states = [];
    this.shown = -2;
    this.spoken = -1;
    this.time_s = 0;
  }

  /** The state on screen after event `index`; −1 is before the first. @param {number} index */
  paint(index) {
    const { parts, data } = this;
    if (!data || index === this.shown) return;
    const grew = index === this.shown + 1;
    const before = parts.text.querySelectorAll("[data-word]").length;
    this.shown = index;
    this.spoken = -1;
    const state = this.states[index];
    parts.text.dataset.event = String(index);
    parts.text.dir = direction(data.final);
    parts.text.dataset.emission = state ? String(state.emission) : "";
    const silent = !state || (!state.final && !state.partial);
    const wait = h("span", { class: "nwb-muted" }, this.time_s > 0.05 ? words.listening : words.before);
    fill(parts.text, ...(silent ? [wait] : wordSpans(state, data, this.actions.go)));
    const landed = grew ? [...parts.text.querySelectorAll("[data-word]")].slice(before) : [];
    for (const span of landed) span.classList.add("nwb-landed");
    paintTag(parts, data, state);
  }

  karaoke() {
    /** @type {(word: LaneWord) => boolean} */
    const said = ([, start_s, end_s]) =>
      start_s !== null && end_s !== null && this.time_s >= start_s && this.time_s < end_s;
    const at = (this.data?.words ?? []).findIndex(said);
    if (at === this.spoken) return;
    this.spoken = at;
    for (const span of this.parts.text.querySelectorAll("[data-word]")) {
      span.classList.toggle("nwb-spoken", span.getAttribute("data-word") === String(at));
    }
  }

  /** @param {number} seconds */
  at(seconds) {
    this.time_s = seconds;
    this.paint(lastBefore(this.states, seconds));
    this.karaoke();
  }

  /**
   * @param {LaneData} lane
   * @param {{ choices: LaneChoices, differs?: Operation[], alone: boolean }} how
   */
  show(lane, { choices, differs, alone }) {
    const { parts, actions } = this;
    const next = { ...lane, differs };
    this.data = next;
    this.states = replay(next.events ?? []);
    this.shown = -2;
    parts.root.dataset.state = next.state;
    set(parts.root, { "aria-busy": String(next.state === "busy") });
    set(parts.close, { hidden: alone });
    set(parts.name, { hidden: alone });
    fillSettings(parts, next.settings, choices, actions);
    const failed = next.state === "failed";
    const note = h("div", { class: "nwb-note nwb-bad", role: "alert" }, icon("warn"), h("span", {}, next.message));
    fill(parts.note, failed ? note : null);
    set(parts.busy, { hidden: next.state !== "busy" });
    fill(parts.figures, ...(next.figures ? figures(next) : []));
    fill(parts.diff, next.alignment?.length ? alignment(next.alignment, next.words ?? [], actions.go) : null);
    this.at(this.time_s);
  }
}

/**
 * Index of the last state that was out by a moment; −1 before the first. States are in the order of emission.
 * @param {{ emission: number }[]} states
 * @param {number} seconds
 */
export function lastBefore(states, seconds) {
  let [low, high] = [-1, states.length - 1];
  while (low < high) {
    const middle = low + ((high - low + 1) >> 1);
    if (states[middle].emission <= seconds) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * Final transcripts in full, from the parts each event kept and added. Code points, as the kernel counts.
 * @param {LaneEvent[]} events
 * @returns {State[]}
 */
export function replay(events) {
  /** @type {string[]} */
  let final = [];
  return events.map((event) => {
    final = [...final.slice(0, event[KEEP]), ...event[ADD]];
    return { final: final.join(""), partial: event[PARTIAL], tag: event[TAG], emission: event[EMISSION] };
  });
}

/**
 * @param {State} state
 * @param {Marked} data
 * @param {Actions["go"]} go
 */
function wordSpans(state, data, go) {
  /** @type {HTMLElement[]} */
  const out = [];
  const add = (/** @type {string} */ text, /** @type {boolean} */ tail) => {
    for (const word of data.unspaced ? writtenUnits(text) : text.split(/\s+/).filter(Boolean)) {
      const index = out.length;
      const info = data.words?.[index];
      const differs = data.differs?.[index] ?? "equal";
      const mark = differs === "equal" ? "" : differs === "style" ? "nwb-differs-style" : "nwb-differs";
      const title = info?.[3] != null ? words.wordTitle(info) : "";
      out.push(
        h(
          "bdi",
          {
            class: `nwb-word ${tail ? "nwb-tail" : ""} ${mark}`,
            dataset: { word: index },
            title,
            dir: directionOf(word, direction(data.final)),
            onclick: () => info?.[1] != null && go(info[1], true),
          },
          word,
        ),
      );
    }
  };
  add(state.final, false);
  add(state.partial, true);
  return withLanguages(spaced(out, `${state.final} ${state.partial}`, data.unspaced), out, state, data);
}

/**
 * Spans of words with spaces between them; in a script without, only where the text has one.
 * @param {HTMLElement[]} spans
 * @param {string} text
 * @param {boolean | undefined} unspaced
 */
function spaced(spans, text, unspaced) {
  let at = 0;
  return spans.flatMap((span, index) => {
    const word = span.textContent ?? "";
    const start = text.indexOf(word, at);
    const gap = !unspaced || start > at;
    at = start + word.length;
    return index && gap ? [" ", span] : [span];
  });
}

/**
 * Words with a chip behind the last one of each language, as soon as its tag is out.
 * @param {(HTMLElement | string)[]} children
 * @param {HTMLElement[]} spans
 * @param {State} state
 * @param {Marked} data
 */
function withLanguages(children, spans, state, data) {
  for (const [tag, end, at] of data.spans ?? []) {
    const last = spans[end - 1];
    if (!last || at > state.emission) continue;
    children.splice(children.indexOf(last) + 1, 0, " ", languageChip(tag));
  }
  return children;
}

/**
 * @param {Parts} parts
 * @param {Marked} data
 * @param {State | undefined} state
 */
function paintTag(parts, data, state) {
  const { locale } = data.settings;
  const tag = state?.tag;
  const wrong = Boolean(tag) && locale !== "auto" && tag !== locale;
  parts.tag.className = `nwb-tag ${tag ? (wrong ? "nwb-warn" : "nwb-good") : ""}`;
  parts.tag.textContent = tag ? words.detected(tag, wrong) : locale === "auto" ? words.deciding : words.given(locale);
}

/** @param {Marked} data */
function figures(data) {
  const { figures: f, errors, style } = data;
  if (!f) return [];
  /** @type {(name: string, value: string, title: string) => HTMLElement} */
  const item = (name, value, title) =>
    h("span", { title }, h("span", { class: "nwb-muted" }, `${name} `), h("b", { class: "nwb-num" }, value));
  const s = (/** @type {number | null} */ value) => (value === null ? "–" : `${value.toFixed(2).replace("-", "−")} s`);
  const out = [
    item(words.firstWord, s(f.first_word_s), words.firstWordTitle),
    item(words.late, s(f.late_p50_s), words.lateTitle),
    item(words.load, f.load === null ? "–" : `${Math.round(100 * f.load)} %`, words.loadTitle),
  ];
  if (errors?.reference) {
    const wrong = errors.substitute + errors.delete + errors.insert;
    out.push(item(words.errorRate, `${((100 * wrong) / errors.reference).toFixed(0)} %`, words.errorTitle(errors)));
    for (const kind of /** @type {const} */ (["marks", "capitals"])) {
      const [kept, of] = style?.[kind] ?? [0, 0];
      if (of) out.push(item(words.kept[kind], `${kept} / ${of}`, words.keptTitle[kind]));
    }
  }
  return out;
}

/**
 * Reference above, hypothesis below; every pair reads as a sentence, and no operation is told by color alone.
 * @param {Pair[]} aligned
 * @param {LaneWord[]} words_ of the hypothesis
 * @param {Actions["go"]} go
 */
function alignment(aligned, words_, go) {
  let next = 0;
  const dir = direction(aligned.map(([, reference, hypothesis]) => reference || hypothesis).join(" "));
  const side = (/** @type {"ref" | "hyp"} */ name, /** @type {string} */ word) =>
    h("bdi", { class: `nwb-pair-${name}`, dir: directionOf(word, dir) }, word || "∅");
  const pairs = aligned.map(([operation, reference, hypothesis]) => {
    const info = operation === "delete" ? words_[next] : words_[next++];
    return h(
      "button",
      {
        type: "button",
        class: `nwb-pair nwb-op-${operation}`,
        "aria-label": words.pair(operation, reference, hypothesis),
        title: words.pair(operation, reference, hypothesis),
        onclick: () => info?.[1] != null && go(info[1], true),
      },
      side("ref", reference),
      side("hyp", hypothesis),
    );
  });
  return h(
    "details",
    { class: "nwb-reference", open: true },
    h("summary", {}, words.reference, h("span", { class: "nwb-muted" }, ` ${words.referenceNote}`)),
    h("div", { class: "nwb-pairs", dir, role: "group", "aria-label": words.reference }, ...pairs),
  );
}

/**
 * @param {Parts} parts
 * @param {LaneSettings} settings
 * @param {LaneChoices} choices
 * @param {Actions} actions
 */
function fillSettings(parts, settings, choices, { choose }) {
  const names = Object.keys(choices.checkpoints);
  const has = choices.checkpoints[settings.checkpoint];
  /** @type {(select: HTMLSelectElement, items: [string | number, string][], chosen: string | number) => void} */
  const options = (select, items, chosen) => {
    fill(
      select,
      ...items.map(([value, text]) => h("option", { value, selected: String(value) === String(chosen) }, text)),
    );
    select.value = String(chosen);
  };
  const { checkpoint, locale, lookahead } = parts;
  set(checkpoint.label, { hidden: names.length < 2 });
  options(
    checkpoint.select,
    names.map((name) => [name, name]),
    settings.checkpoint,
  );
  options(
    locale.select,
    has.locales.map((tag) => [tag, tag === "auto" ? words.auto : `${tag} · ${has.names[tag] ?? ""}`]),
    settings.locale,
  );
  options(
    lookahead.select,
    has.lookaheads_ms.map((ms) => [ms, words.lookahead(ms)]),
    settings.lookahead_ms,
  );
  checkpoint.select.onchange = () => choose({ checkpoint: checkpoint.select.value });
  locale.select.onchange = () => choose({ locale: locale.select.value });
  lookahead.select.onchange = () => choose({ lookahead_ms: Number(lookahead.select.value) });
}

/** A list to choose from, with its name before it. */
function field(/** @type {string} */ text, /** @type {string} */ testid) {
  const select = h("select", { class: "nwb-input", dataset: { testid } });
  return { select, label: h("label", { class: "nwb-field" }, h("span", {}, text), select) };
}

/** @param {Actions} actions */
function buildLane({ name, close }) {
  const parts = {
    name: h("span", { class: "nwb-lane-name" }, name),
    checkpoint: field(words.checkpoint, "checkpoint"),
    locale: field(words.locale, "locale"),
    lookahead: field(words.lookaheadName, "lookahead"),
    tag: h("span", { class: "nwb-tag", dataset: { testid: "language" } }),
    close: h(
      "button",
      {
        type: "button",
        class: "nwb-btn nwb-icon-only nwb-plain",
        "aria-label": words.closeLane,
        title: words.closeLane,
        onclick: close,
      },
      icon("cross"),
    ),
    busy: h("div", { class: "nwb-busy", role: "status" }, h("span", { class: "nwb-busy-bar" }), words.busy),
    note: h("div"),
    text: h("p", { class: "nwb-transcript", dataset: { testid: "transcript" } }),
    figures: h("div", { class: "nwb-figures" }),
    diff: h("div"),
  };
  const root = h(
    "section",
    { class: "nwb-lane", dataset: { testid: "lane" }, "aria-label": words.laneLabel(name) },
    h(
      "div",
      { class: "nwb-lane-head" },
      parts.name,
      parts.checkpoint.label,
      parts.locale.label,
      parts.lookahead.label,
      h("span", { class: "nwb-spring" }),
      parts.tag,
      parts.close,
    ),
    parts.busy,
    parts.note,
    parts.text,
    parts.figures,
    parts.diff,
  );
  return { ...parts, root };
}
