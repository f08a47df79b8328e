// One lane of playback: what it recognizes with, the transcript at a moment, figures, and the aligned reference.
//
//   const lane = createLane({ index, name, choose(settings), go(time_s), close() });
//   lane.show(data, { choices, differs, alone });    lane.at(time_s);    lane.element
import { direction, directionOf, fill, h, icon, set } from "./dom.js";
import { languageChip } from "./languages.js";
import { playback as words } from "./strings.js";

const ADD = 5,
  KEEP = 4,
  PARTIAL = 6,
  TAG = 7,
  EMISSION = 3;

export const createLane = (actions) => new Lane(actions);

class Lane {
  constructor(actions) {
    this.actions = actions;
    this.parts = buildLane(actions);
    this.element = this.parts.root;
    /** @type {any} */
    this.data = {};
    /** @type {any[]} */
    this.states = [];
    this.shown = -2;
    this.spoken = -1;
    this.time_s = 0;
  }

  /** The state on screen after event `index`; −1 is before the first. */
  paint(index) {
    if (index === this.shown) return;
    const { parts, data } = this;
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
    const said = (word) => word[1] !== null && this.time_s >= word[1] && this.time_s < word[2];
    const at = (this.data.words ?? []).findIndex(said);
    if (at === this.spoken) return;
    this.spoken = at;
    for (const span of this.parts.text.querySelectorAll("[data-word]")) {
      span.classList.toggle("nwb-spoken", span.getAttribute("data-word") === String(at));
    }
  }

  at(seconds) {
    this.time_s = seconds;
    this.paint(lastBefore(this.states, seconds));
    this.karaoke();
  }

  show(next, { choices, differs, alone }) {
    const { parts, actions } = this;
    this.data = next;
    this.states = replay(next.events ?? []);
    this.shown = -2;
    parts.root.dataset.state = next.state;
    set(parts.root, { "aria-busy": String(next.state === "busy") });
    set(parts.close, { hidden: alone });
    set(parts.name, { hidden: alone });
    fillSettings(parts, next.settings, choices, actions);
    next.differs = differs;
    const failed = next.state === "failed";
    const note = h("div", { class: "nwb-note nwb-bad", role: "alert" }, icon("warn"), h("span", {}, next.message));
    fill(parts.note, failed ? note : null);
    set(parts.busy, { hidden: next.state !== "busy" });
    fill(parts.figures, ...(next.figures ? figures(next) : []));
    fill(parts.diff, next.alignment?.length ? alignment(next, actions.go) : null);
    this.at(this.time_s);
  }
}

/** Index of the last state that was out by a moment; −1 before the first. States are in the order of emission. */
export function lastBefore(states, seconds) {
  let [low, high] = [-1, states.length - 1];
  while (low < high) {
    const middle = low + ((high - low + 1) >> 1);
    if (states[middle].emission <= seconds) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Final transcripts in full, from the parts each event kept and added. Code points, as the kernel counts. */
export function replay(events) {
  let final = [];
  return events.map((event) => {
    final = [...final.slice(0, event[KEEP]), ...event[ADD]];
    return { final: final.join(""), partial: event[PARTIAL], tag: event[TAG], emission: event[EMISSION] };
  });
}

function wordSpans(state, data, go) {
  const byCharacter = data.unspaced;
  const out = [];
  const pieces = (text) => (byCharacter ? [...text].filter((c) => c.trim()) : text.split(/\s+/).filter(Boolean));
  const add = (text, tail) => {
    for (const word of pieces(text)) {
      const index = out.length;
      const info = data.words?.[index];
      const differs = data.differs?.[index] ?? "equal";
      const mark = { equal: "", style: "nwb-differs-style" }[differs] ?? "nwb-differs";
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
  const spaced = byCharacter ? out : out.flatMap((span, index) => (index ? [" ", span] : [span]));
  return withLanguages(spaced, out, state, data);
}

/** Words with a chip behind the last one of each language, as soon as its tag is out. */
function withLanguages(children, spans, state, data) {
  for (const [tag, end, at] of data.spans ?? []) {
    const last = spans[end - 1];
    if (!last || at > state.emission) continue;
    children.splice(children.indexOf(last) + 1, 0, " ", languageChip(tag));
  }
  return children;
}

function paintTag(parts, data, state) {
  const { locale } = data.settings;
  const tag = state?.tag;
  const wrong = tag && locale !== "auto" && tag !== locale;
  parts.tag.className = `nwb-tag ${tag ? (wrong ? "nwb-warn" : "nwb-good") : ""}`;
  parts.tag.textContent = tag ? words.detected(tag, wrong) : locale === "auto" ? words.deciding : words.given(locale);
}

function figures(data) {
  const { figures: f, errors, style } = data;
  const item = (name, value, title) =>
    h("span", { title }, h("span", { class: "nwb-muted" }, `${name} `), h("b", { class: "nwb-num" }, value));
  const s = (value) => (value === null || value === undefined ? "–" : `${value.toFixed(2).replace("-", "−")} s`);
  const out = [
    item(words.firstWord, s(f.first_word_s), words.firstWordTitle),
    item(words.late, s(f.late_p50_s), words.lateTitle),
    item(words.load, f.load === null ? "–" : `${Math.round(100 * f.load)} %`, words.loadTitle),
  ];
  if (errors?.reference) {
    const wrong = errors.substitute + errors.delete + errors.insert;
    out.push(item(words.errorRate, `${((100 * wrong) / errors.reference).toFixed(0)} %`, words.errorTitle(errors)));
    for (const kind of ["marks", "capitals"]) {
      const [kept, of] = style?.[kind] ?? [0, 0];
      if (of) out.push(item(words.kept[kind], `${kept} / ${of}`, words.keptTitle[kind]));
    }
  }
  return out;
}

/** Reference above, hypothesis below; every pair reads as a sentence, and no operation is told by color alone. */
function alignment(data, go) {
  let next = 0;
  const dir = direction(data.alignment.map(([, reference, hypothesis]) => reference || hypothesis).join(" "));
  const side = (name, word) => h("bdi", { class: `nwb-pair-${name}`, dir: directionOf(word, dir) }, word || "∅");
  const pairs = data.alignment.map(([operation, reference, hypothesis]) => {
    const info = operation === "delete" ? data.words?.[next] : data.words?.[next++];
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

function fillSettings(parts, settings, choices, { choose }) {
  const names = Object.keys(choices.checkpoints);
  const has = choices.checkpoints[settings.checkpoint];
  const options = (select, items, chosen) => {
    fill(
      select,
      ...items.map(([value, text]) => h("option", { value, selected: String(value) === String(chosen) }, text)),
    );
    select.value = String(chosen);
  };
  set(parts.checkpoint, { hidden: names.length < 2 });
  options(
    parts.checkpoint.lastChild,
    names.map((name) => [name, name]),
    settings.checkpoint,
  );
  options(
    parts.locale.lastChild,
    has.locales.map((tag) => [tag, tag === "auto" ? words.auto : `${tag} · ${has.names[tag] ?? ""}`]),
    settings.locale,
  );
  options(
    parts.lookahead.lastChild,
    has.lookaheads_ms.map((ms) => [ms, words.lookahead(ms)]),
    settings.lookahead_ms,
  );
  parts.checkpoint.lastChild.onchange = (e) => choose({ checkpoint: e.target.value });
  parts.locale.lastChild.onchange = (e) => choose({ locale: e.target.value });
  parts.lookahead.lastChild.onchange = (e) => choose({ lookahead_ms: Number(e.target.value) });
}

function buildLane({ name, close }) {
  const field = (text, testid) =>
    h("label", { class: "nwb-field" }, h("span", {}, text), h("select", { class: "nwb-input", dataset: { testid } }));
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
  parts.root = h(
    "section",
    { class: "nwb-lane", dataset: { testid: "lane" }, "aria-label": words.laneLabel(name) },
    h(
      "div",
      { class: "nwb-lane-head" },
      parts.name,
      parts.checkpoint,
      parts.locale,
      parts.lookahead,
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
  return parts;
}
