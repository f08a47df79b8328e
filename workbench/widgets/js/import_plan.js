// The import plan: what was understood of a source, to be heard, corrected and imported. Kernel side: import_plan.py.
/**
 * @import { Channel } from "./channel.js"
 * @import { IconName } from "./dom.js"
 * @import { Body, ImportPlan, Model, PlanChange, PlanColumn, PlanExample, PlanLocale } from "./messages.d.ts"
 * @import { PlanQuestions, PlanState, PlanStep, PlanTraits, Rendered } from "./messages.d.ts"
 * @import { Child, Props } from "./page.d.ts"
 * @import { Player } from "./player.js"
 */
import { openChannel } from "./channel.js";
import { fill, h, icon, messageOf, set } from "./dom.js";
import { createPlayer, fetchClip } from "./player.js";
import { common, plan as words } from "./strings.js";

/** @type {{ [step in PlanStep]?: string }} */
const TONES = { imported: "nwb-good", failed: "nwb-bad", cancelled: "nwb-warn" };

/** @param {Rendered<PlanTraits>} how */
function render({ model, el }) {
  const view = new PlanView(model);
  el.append(view.element);
  return () => view.destroy();
}

class PlanView {
  /** @param {Model<PlanTraits>} model */
  constructor(model) {
    this.model = model;
    /** @type {Channel<PlanQuestions>} */
    this.channel = openChannel(model);
    this.parts = parts(model.get("state").name, {
      again: () => this.change({ audio_root: this.parts.root.value }),
      start: () => this.act("import", { name: this.parts.name.value }),
      cancel: () => this.act("cancel", {}),
    });
    this.element = this.parts.element;
    /** @type {Player | null} made with the first clip that is played */
    this.player = null;
    this.show = () => this.draw(model.get("state"));
    model.on("change:state", this.show);
    this.stopLost = this.channel.onLost((lost) => lost && this.say(`${common.kernelLost} ${common.retry}`));
    this.show();
  }

  /** @param {PlanState} state */
  draw(state) {
    const { plan, questions, fields, tags } = state;
    const { facts, notes, columns, locales, examples } = this.parts;
    fill(facts, ...factsOf(plan));
    fill(notes, ...notesOf(plan, questions));
    fill(columns, ...plan.columns.map((one) => columnRow(one, fields, (feeds) => this.change({ feeds }))));
    fill(locales, ...plan.locales.map((said) => localeRow(said, tags, (change) => this.change(change))));
    fill(examples, ...plan.examples.map((row, at) => exampleRow(row, at, (key) => this.play(key))));
    this.drawStep(state);
  }

  /** @param {PlanState} state */
  drawStep({ step, done, total, message, cancelling }) {
    const busy = step === "importing";
    const { start, cancel, bar, filled, told, name, root, again } = this.parts;
    set(start, { hidden: busy || step === "imported" });
    set(cancel, { hidden: !busy, disabled: cancelling });
    for (const control of [name, root, again]) set(control, { disabled: busy });
    for (const select of this.element.querySelectorAll("select")) set(select, { disabled: busy });
    set(bar, { hidden: !busy, "aria-valuenow": done, "aria-valuemax": total || 1 });
    filled.style.width = `${total ? Math.min(100, (100 * done) / total) : 0}%`;
    this.element.dataset.step = step;
    const said = cancelling && busy ? words.cancelling : words.steps[step];
    set(told, { class: `nwb-note nwb-plan-told ${TONES[step] ?? ""}` });
    told.textContent = [said, busy ? words.progress(done, total) : message].filter(Boolean).join(" ");
  }

  /** @param {PlanChange} correction */
  async change(correction) {
    this.say(words.looking);
    await this.act("change", correction);
  }

  /**
   * @template {keyof PlanQuestions} Question
   * @param {Question} question
   * @param {Body<PlanQuestions, Question>} body
   */
  async act(question, body) {
    try {
      await this.channel.ask(question, body);
      this.say("");
    } catch (error) {
      this.show();
      this.say(messageOf(error), true);
    }
  }

  /** @param {string} key */
  async play(key) {
    try {
      this.parts.stage.hidden = false;
      this.player ??= createPlayer(this.parts.stage, { height: 56, label: words.player });
      if (this.player.key !== key) await this.player.load(await fetchClip(this.channel, key));
      this.player.play();
      this.say("");
    } catch (error) {
      this.say(messageOf(error), true);
    }
  }

  /** @param {string} text */
  say(text, bad = false) {
    const note = h("div", { class: `nwb-note ${bad ? "nwb-bad" : ""}`, role: bad ? "alert" : "status" }, text);
    fill(this.parts.said, text ? note : null);
  }

  destroy() {
    this.model.off("change:state", this.show);
    this.stopLost();
    this.player?.destroy();
    this.channel.close();
  }
}

/**
 * The elements of the view that later calls fill or read.
 * @param {string} corpus
 * @param {{ again: () => void, start: () => void, cancel: () => void }} on
 */
function parts(corpus, { again: lookAgain, start: begin, cancel: stop }) {
  const input = (/** @type {string} */ value, /** @type {Props<HTMLInputElement>} */ props) =>
    h("input", { class: "nwb-input", value, ...props });
  /** @type {(text: string, kind: string, testid: string, onclick: () => void) => HTMLButtonElement} */
  const button = (text, kind, testid, onclick) =>
    h("button", { type: "button", class: `nwb-btn ${kind}`, dataset: { testid }, onclick }, text);
  const body = () => h("tbody");
  const made = {
    facts: h("div", { class: "nwb-plan-head" }),
    notes: h("div", { class: "nwb-plan-notes", dataset: { testid: "notes" } }),
    columns: body(),
    locales: body(),
    examples: body(),
    stage: h("div", { hidden: true }),
    said: h("div"),
    name: input(corpus, { "aria-label": words.name, dataset: { testid: "corpus-name" } }),
    root: input("", { class: "nwb-input nwb-plan-root", placeholder: words.rootHint, "aria-label": words.root }),
    again: button(words.lookAgain, "", "look-again", lookAgain),
    start: button(words.start, "nwb-primary", "import", begin),
    cancel: button(words.cancel, "nwb-bad", "cancel", stop),
    filled: h("div", { class: "nwb-plan-fill" }),
    told: h("div", { role: "status", dataset: { testid: "told" } }),
  };
  const bar = h("div", { class: "nwb-plan-bar", role: "progressbar", "aria-valuemin": 0 }, made.filled);
  const element = h(
    "div",
    { class: "nwb nwb-plan", role: "region", "aria-label": words.region, dataset: { testid: "plan" } },
    made.facts,
    made.notes,
    table(words.columns, [words.column, words.feeds, words.filled, words.samples], made.columns),
    table(words.locales, [words.written, words.becomes, words.rowCount], made.locales),
    h("div", { class: "nwb-plan-row" }, h("label", {}, words.root, made.root), made.again),
    table(words.examples, ["", "audio_filepath", "duration", "target_lang", "speaker", "text"], made.examples),
    made.stage,
    made.said,
    h("div", { class: "nwb-plan-row" }, h("label", {}, words.name, made.name), made.start, made.cancel),
    bar,
    made.told,
  );
  element.setAttribute("data-lm-suppress-shortcuts", "true");
  return { ...made, bar, element };
}

/**
 * @param {string} title
 * @param {string[]} names
 * @param {HTMLElement} body
 */
function table(title, names, body) {
  const head = h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name)));
  return h("div", { class: "nwb-plan-scroll" }, h("h4", {}, title), h("table", {}, h("thead", {}, head), body));
}

/**
 * @param {ImportPlan} plan
 * @returns {Child[]}
 */
function factsOf(plan) {
  const splits = Object.entries(plan.splits).map(([name, n]) => `${name} ${n.toLocaleString()}`);
  return [
    h("b", { dataset: { testid: "layout" } }, plan.layout),
    h("span", { dataset: { testid: "rows" } }, words.rows(plan.usable, plan.rows, plan.hours)),
    h("span", { class: "nwb-muted" }, words.speakers(plan.speakers, plan.without_speaker)),
    splits.length ? h("span", { class: "nwb-muted" }, splits.join(", ")) : null,
    h("bdi", { class: "nwb-muted" }, plan.source),
  ];
}

/**
 * @param {ImportPlan} plan
 * @param {string[]} questions
 */
function notesOf(plan, questions) {
  /** @type {(kind: string, name: IconName, text: string) => HTMLElement} */
  const note = (kind, name, text) =>
    h("div", { class: `nwb-note ${kind}` }, icon(name), h("span", { dir: "auto" }, text));
  return [
    ...Object.entries(plan.left_out).map(([why, n]) => note("nwb-bad", "warn", words.leftOut(n, why))),
    ...questions.map((text) => note("nwb-warn", "warn", text)),
    ...plan.missing.map((text) => note("nwb-warn", "warn", text)),
    ...plan.notes.map((text) => note("", "info", text)),
  ];
}

/**
 * @param {string} label
 * @param {string[][]} options key and text each
 * @param {string} value
 * @param {(value: string) => void} onchange
 */
function choice(label, options, value, onchange) {
  const made = h(
    "select",
    { class: "nwb-input", "aria-label": label, onchange: (event) => onchange(event.currentTarget.value) },
    ...options.map(([key, text]) => h("option", { value: key }, text)),
  );
  made.value = value;
  return made;
}

/**
 * @param {PlanColumn} column
 * @param {string[]} fields
 * @param {(feeds: { [column: string]: string }) => void} change
 */
function columnRow(column, fields, change) {
  const options = [["", words.ridesAlong], ...fields.map((name) => [name, name])];
  const select = choice(words.feedsOf(column.name), options, column.feeds, (field) => change({ [column.name]: field }));
  return h(
    "tr",
    { dataset: { column: column.name } },
    h("td", {}, h("bdi", {}, column.name)),
    h("td", {}, select),
    h("td", { class: "nwb-num" }, `${Math.round(100 * column.filled)} %`),
    h("td", { dir: "auto", title: column.samples.join("\n") }, column.samples.join(" · ")),
  );
}

/**
 * @param {PlanLocale} said
 * @param {string[]} tags
 * @param {(change: PlanChange) => void} change
 */
function localeRow(said, tags, change) {
  const options = [["", words.decide], ...[...new Set([...said.candidates, ...tags])].map((tag) => [tag, tag])];
  const label = said.value ? words.localeOf(said.value) : words.localeOfRest;
  const say = (/** @type {string} */ tag) =>
    tag && change(said.value ? { tags: { [said.value]: tag } } : { locale: tag });
  return h(
    "tr",
    { dataset: { locale: said.value } },
    h("td", {}, h("bdi", {}, said.value || words.nothing)),
    h("td", {}, choice(label, options, said.tag ?? "", say)),
    h("td", { class: "nwb-num" }, said.rows.toLocaleString()),
  );
}

/**
 * @param {PlanExample} row
 * @param {number} at
 * @param {(key: string) => void} play
 */
function exampleRow(row, at, play) {
  const label = words.play(at + 1);
  const button = h(
    "button",
    { type: "button", class: "nwb-btn nwb-icon-only", "aria-label": label, onclick: () => play(String(at)) },
    icon("play"),
  );
  const shown = [
    row.audio_filepath,
    row.duration?.toFixed(2) ?? common.unknown,
    row.target_lang,
    row.speaker,
    row.text,
  ];
  return h(
    "tr",
    {},
    h("td", {}, button),
    ...shown.map((value) => h("td", { dir: "auto", title: value }, value ?? "–")),
  );
}

export default { render };
