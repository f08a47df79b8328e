// The import plan: what was understood of a source, to be heard, corrected and imported. Kernel side: import_plan.py.
import { openChannel } from "./channel.js";
import { fill, h, icon, set } from "./dom.js";
import { createPlayer, fetchClip } from "./player.js";
import { common, plan as words } from "./strings.js";

const TONES = { imported: "nwb-good", failed: "nwb-bad", cancelled: "nwb-warn" };

function render({ model, el }) {
  const view = new PlanView(model);
  el.append(view.element);
  return () => view.destroy();
}

class PlanView {
  constructor(model) {
    this.model = model;
    this.channel = openChannel(model);
    this.parts = parts(model.get("state").name, {
      again: () => this.change({ audio_root: this.parts.root.value }),
      start: () => this.act("import", { name: this.parts.name.value }),
      cancel: () => this.act("cancel", {}),
    });
    this.element = this.parts.element;
    /** @type {any} */
    this.player = null; // made with the first clip that is played
    this.show = () => this.draw(model.get("state"));
    model.on("change:state", this.show);
    this.stopLost = this.channel.onLost((lost) => lost && this.say(`${common.kernelLost} ${common.retry}`));
    this.show();
  }

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

  async change(correction) {
    this.say(words.looking);
    await this.act("change", correction);
  }

  async act(question, body) {
    try {
      await this.channel.ask(question, body);
      this.say("");
    } catch (error) {
      this.show();
      this.say(error.message, true);
    }
  }

  async play(key) {
    try {
      this.parts.stage.hidden = false;
      this.player ??= createPlayer(this.parts.stage, { height: 56, label: words.player });
      if (this.player.key !== key) await this.player.load(await fetchClip(this.channel, key));
      this.player.play();
      this.say("");
    } catch (error) {
      this.say(error.message, true);
    }
  }

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

/** The elements of the view that later calls fill or read. */
function parts(corpus, { again: lookAgain, start: begin, cancel: stop }) {
  const input = (value, props) => h("input", { class: "nwb-input", value, ...props });
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

function table(title, names, body) {
  const head = h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name)));
  return h("div", { class: "nwb-plan-scroll" }, h("h4", {}, title), h("table", {}, h("thead", {}, head), body));
}

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

function notesOf(plan, questions) {
  const note = (kind, name, text) =>
    h("div", { class: `nwb-note ${kind}` }, icon(name), h("span", { dir: "auto" }, text));
  return [
    ...Object.entries(plan.left_out).map(([why, n]) => note("nwb-bad", "warn", words.leftOut(n, why))),
    ...questions.map((text) => note("nwb-warn", "warn", text)),
    ...plan.missing.map((text) => note("nwb-warn", "warn", text)),
    ...plan.notes.map((text) => note("", "info", text)),
  ];
}

function choice(label, options, value, onchange) {
  const made = h(
    "select",
    { class: "nwb-input", "aria-label": label, onchange: () => onchange(made.value) },
    ...options.map(([key, text]) => h("option", { value: key }, text)),
  );
  made.value = value;
  return made;
}

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

function localeRow(said, tags, change) {
  const options = [["", words.decide], ...[...new Set([...said.candidates, ...tags])].map((tag) => [tag, tag])];
  const label = said.value ? words.localeOf(said.value) : words.localeOfRest;
  const say = (tag) => tag && change(said.value ? { tags: { [said.value]: tag } } : { locale: tag });
  return h(
    "tr",
    { dataset: { locale: said.value } },
    h("td", {}, h("bdi", {}, said.value || words.nothing)),
    h("td", {}, choice(label, options, said.tag ?? "", say)),
    h("td", { class: "nwb-num" }, said.rows.toLocaleString()),
  );
}

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
