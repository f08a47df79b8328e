// The error explorer: heat map → cell → utterance → word. Kernel side: explorer.py.
import { barList, columnChart } from "./bars.js";
import { openChannel } from "./channel.js";
import { count, fill, h, icon, set } from "./dom.js";
import { ALL, cellOf, createHeatMap, nameOf } from "./heatmap.js";
import { createPlayer, fetchClip } from "./player.js";
import { common, explorer as words } from "./strings.js";
import { utteranceElement } from "./utterance.js";

function render({ model, el, host }) {
  const view = new View(model, el, host);
  return () => view.destroy();
}

class View {
  constructor(model, el, host) {
    Object.assign(this, { model, host, channel: openChannel(model), turn: 0, filter: {}, items: [], total: 0 });
    this.map = createHeatMap({ open: (row, column) => this.open(row, column) });
    this.build(el);
    this.listeners = {
      "change:map": () => this.showMap(), "change:opened": () => this.showOpened(), "change:playback": () => this.showPlayback(),
    };
    for (const [name, fn] of Object.entries(this.listeners)) model.on(name, fn);
    this.stopLost = this.channel.onLost((lost) => this.showLost(lost));
    this.showMap();
    this.showPlayback();
    const { row, column, filter } = model.get("opened");
    if (row !== undefined) this.open(row, column, filter);
  }

  build(el) {
    const field = (name) => h("label", { class: "nwb-field" }, h("span", {}, words.field[name]), h("select", { class: "nwb-input", dataset: { testid: `choose-${name}` }, onchange: (e) => this.ask("choose", { [name]: e.target.value }) }));
    this.fields = Object.fromEntries(["name", "against", "metric", "normaliser", "row", "column"].map((name) => [name, field(name)]));
    this.ui = { note: h("div", { "aria-live": "polite" }), cell: h("section", { class: "nwb-cell-panel", hidden: true, dataset: { testid: "cell-panel" } }), stream: h("section", { class: "nwb-stream", hidden: true, dataset: { testid: "stream-panel" } }) };
    this.root = h("div", { class: "nwb nwb-explorer", role: "region", "aria-label": words.region, dataset: { testid: "explorer" }, "data-lm-suppress-shortcuts": "true" },
      h("header", { class: "nwb-head" }, ...Object.values(this.fields), h("span", { class: "nwb-spring" }),
        h("button", { type: "button", class: "nwb-btn", onclick: () => this.download("svg"), dataset: { testid: "export-svg" } }, icon("save"), words.exportSvg)),
      this.map.element, this.ui.note, this.ui.stream, this.ui.cell);
    el.append(this.root);
  }

  say(text, kind = "good") {
    fill(this.ui.note, text ? h("div", { class: `nwb-note nwb-${kind}`, role: kind === "bad" ? "alert" : "status" }, icon(kind === "bad" ? "warn" : "check"), h("span", {}, text)) : null);
  }

  async ask(question, body = {}) {
    try {
      return await this.channel.ask(question, body);
    } catch (error) {
      this.say(error.message, "bad");
      return null;
    }
  }

  showMap() {
    const data = this.model.get("map");
    const { names, metrics, normalisers, spans } = data.choices;
    const lists = {
      name: names, against: [["", words.noBase], ...names.filter(([name]) => name !== data.choice.name)], metric: metrics,
      normaliser: normalisers.map((name) => [name, name]), row: spans.map((name) => [name, words.span[name] ?? name]), column: spans.map((name) => [name, words.span[name] ?? name]),
    };
    for (const [name, list] of Object.entries(lists)) {
      const select = this.fields[name].querySelector("select");
      fill(select, ...list.map(([value, text]) => h("option", { value }, text)));
      select.value = data.choice[name];
    }
    set(this.fields.against, { hidden: names.length < 2 });
    this.map.show(data, this.model.get("opened"));
  }

  showOpened() {
    const { row, column } = this.model.get("opened");
    this.map.show(this.model.get("map"), this.model.get("opened"));
    // What was open belongs to an earlier choice; a cell clicked meanwhile is announced by a later change.
    if (row === undefined) this.ui.cell.hidden = true;
    else if (this.at?.row === row && this.at.column === column) this.ui.cell.hidden = false;
  }

  async open(row, column, filter = {}) {
    const turn = (this.turn += 1);
    const same = this.at && this.at.row === row && this.at.column === column && !this.ui.cell.hidden;
    Object.assign(this, { at: { row, column }, filter, items: [], total: 0 });
    this.ui.cell.hidden = false;
    if (!same) this.buildCell();
    set(this.parts.list, { "aria-busy": "true" });
    this.showChips();
    const [page, side] = await Promise.all([this.ask("cell", { row, column, filter }), same && this.side ? this.side : this.ask("beside", { row, column })]);
    if (turn !== this.turn || !page) return;
    this.side = side;
    this.total = page.total;
    this.items = page.utterances;
    this.showUtterances();
    this.showSide();
  }

  async more() {
    const turn = this.turn;
    const page = await this.ask("cell", { ...this.at, filter: this.filter, offset: this.items.length });
    if (!page || turn !== this.turn) return;
    this.items = [...this.items, ...page.utterances];
    this.showUtterances();
  }

  choose(filter) {
    const same = JSON.stringify(filter) === JSON.stringify(this.filter);
    this.open(this.at.row, this.at.column, same ? {} : filter);
  }

  buildCell() {
    this.player?.destroy();
    this.side = null;
    const { row, column } = this.at;
    const cell = cellOf(this.model.get("map"), row, column) ?? { sentence: "", confounded: [] };
    const button = (name, text, onclick, testid) => h("button", { type: "button", class: "nwb-btn", onclick, dataset: { testid } }, icon(name), text);
    const can = this.model.get("can");
    this.parts = { chips: h("div", { class: "nwb-chips" }), player: h("div", { class: "nwb-dock", hidden: true }), list: h("ol", { class: "nwb-utterances" }), side: h("aside", { class: "nwb-beside" }), more: h("button", { type: "button", class: "nwb-btn", hidden: true, onclick: () => this.more() }) };
    fill(this.ui.cell,
      h("header", { class: "nwb-head" }, h("h3", { class: "nwb-title" }, cellName(row, column)), h("span", { class: "nwb-spring" }),
        can.listen ? button("record", words.plan, () => this.plan(), "plan") : null,
        button("search", words.sql, () => this.sql(), "sql"), button("save", words.csv, () => this.download("csv"), "export-csv"),
        h("button", { type: "button", class: "nwb-btn nwb-icon-only nwb-plain", "aria-label": common.close, title: common.close, onclick: () => { this.ui.cell.hidden = true; } }, icon("cross"))),
      h("p", { class: "nwb-cell-sentence" }, cell.sentence, "."),
      ...cell.confounded.map((text) => h("p", { class: "nwb-note nwb-warn" }, icon("warn"), h("span", {}, text, "."))),
      h("div", { class: "nwb-cell-grid" }, h("div", { class: "nwb-cell-main" }, this.parts.chips, this.parts.player, this.parts.list, this.parts.more), this.parts.side));
    this.player = createPlayer(this.parts.player, { height: 48, label: words.player });
  }

  showChips() {
    const text = Object.keys(this.filter).length ? words.filter[this.filter.kind](this.filter) : "";
    const changes = this.side?.changes;
    fill(this.parts.chips,
      h("b", { dataset: { testid: "total" } }, words.total(count(this.total), text)),
      text ? h("button", { type: "button", class: "nwb-btn nwb-plain", onclick: () => this.open(this.at.row, this.at.column), dataset: { testid: "clear-filter" } }, icon("clear"), words.clear) : null,
      ...(changes ? ["better", "worse"].map((verdict) => h("button", { type: "button", class: "nwb-btn", "aria-pressed": String(this.filter.verdict === verdict), onclick: () => this.choose({ kind: "changed", verdict }) }, words.changes(verdict, changes[verdict]))) : []),
      this.model.get("can").listen && this.items.length ? h("button", { type: "button", class: "nwb-btn", dataset: { testid: "send-shown" }, onclick: () => this.sendShown() }, icon("flag"), words.sendShown(this.items.length)) : null);
  }

  showUtterances() {
    const { choice } = this.model.get("map");
    const actions = { listen: (id, at) => this.listen(id, at), stream: (id, at) => this.stream(id, at), send: (ids, reason) => this.send(ids, reason) };
    const context = { choice, can: this.model.get("can"), actions };
    fill(this.parts.list, ...this.items.map((item) => utteranceElement(item, context)));
    set(this.parts.list, { "aria-busy": "false" });
    this.parts.more.hidden = this.items.length >= this.total;
    this.parts.more.textContent = words.more(Math.min(20, this.total - this.items.length));
    this.showChips();
  }

  showSide() {
    const side = this.side;
    if (!side) return;
    const is = (kind, extra) => this.filter.kind === kind && Object.entries(extra).every(([key, value]) => this.filter[key] === value);
    const most = (rows, key) => Math.max(1, ...rows.map((row) => row[key]));
    const { confusions, lost, position, frequency, duration, marks = [], heard_as = [], case: kase = [] } = side;
    fill(this.parts.side,
      barList(words.confusions, confusions.map(({ reference, hypothesis, count: n }) => ({
        label: `${reference} → ${hypothesis}`, value: n / most(confusions, "count"), text: `${n}×`, title: words.confusionTitle(reference, hypothesis, n),
        chosen: is("confusion", { reference, hypothesis }), choose: () => this.choose({ kind: "confusion", reference, hypothesis }),
      })), { testid: "confusions" }),
      barList(words.lost, lost.map(({ word, lost: n, occurrences }) => ({
        label: word, value: n / most(lost, "lost"), text: `${n} / ${occurrences}`, title: words.lostTitle(word, n, occurrences),
        chosen: is("word", { word }), choose: () => this.choose({ kind: "word", word }),
      })), { note: words.lostNote, testid: "lost" }),
      heard_as.length ? barList(words.heardAs, heard_as.map(({ said, heard, count: n }) => ({
        label: `${said} → ${heard}`, value: n / most(heard_as, "count"), text: `${n}×`, title: words.heardAsTitle(said, heard, n),
      })), { testid: "heard-as" }) : null,
      marks.length ? barList(words.marks, marks.map((row) => ({ label: row.mark, value: row.f1 ?? 0, text: `${Math.round(100 * (row.f1 ?? 0))} %`, title: words.markTitle(row) })),
        { note: words.caseNote(kase[0]), testid: "marks" }) : null,
      columnChart(words.position, position.map((row, part) => ({
        label: part === 0 ? words.start : part === position.length - 1 ? words.end : "", value: row.rate, title: words.positionTitle(row),
        chosen: is("position", { part }), choose: () => this.choose({ kind: "position", part, bins: position.length }),
      })), { testid: "position" }),
      duration ? columnChart(words.duration, duration.filter((row) => row.duration_band).map((row) => ({
        label: row.duration_band, value: row.rate, title: words.durationTitle(row), chosen: is("duration", { band: row.duration_band }), choose: () => this.choose({ kind: "duration", band: row.duration_band }),
      })), { testid: "duration" }) : null,
      columnChart(words.frequency, frequency.map((row) => ({ label: row.occurs, value: row.accuracy, title: words.frequencyTitle(row) })), { note: words.frequencyNote }));
    this.showChips();
  }

  async listen(id, start_s) {
    if (!this.model.get("can").listen) return;
    this.parts.player.hidden = false;
    for (const item of this.parts.list.children) item.classList.toggle("nwb-current", item.dataset.id === id);
    try {
      if (this.player.key !== id) await this.player.load(await fetchClip(this.channel, id));
      await this.player.seek(start_s);
      await this.player.play();
      // The media element may drop a seek that comes right after loading.
      for (let tries = 0; tries < 10 && this.player.time_s < start_s - 0.05; tries += 1) {
        await this.player.seek(start_s);
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
    } catch (error) {
      this.player.unload(error.message, { bad: true });
    }
  }

  async stream(id, at_s) {
    this.player?.pause();
    this.ui.stream.hidden = false;
    fill(this.ui.stream, h("div", { class: "nwb-note" }, icon("info"), words.opening));
    await this.ask("stream", { id, at_s });
  }

  async showPlayback() {
    const reference = this.model.get("playback");
    this.inner?.abort();
    this.ui.stream.hidden = !reference;
    fill(this.ui.stream);
    if (!reference || !this.host) return;
    this.inner = new AbortController();
    const place = h("div");
    fill(this.ui.stream, h("header", { class: "nwb-head" }, h("h3", { class: "nwb-title" }, words.streamTitle), h("span", { class: "nwb-spring" }),
      h("button", { type: "button", class: "nwb-btn", onclick: () => this.ask("unstream") }, icon("cross"), common.close)), place);
    try {
      const child = await this.host.getWidget(reference);
      await child.render({ el: place, signal: this.inner.signal });
      this.ui.stream.scrollIntoView({ block: "nearest", behavior: "smooth" });
    } catch (error) {
      fill(place, h("div", { class: "nwb-note nwb-bad" }, icon("warn"), String(error.message ?? error)));
    }
  }

  async send(ids, reason) {
    const done = await this.ask("send", { ids, reason });
    if (done) this.say(words.sent(done.sent, done.tag));
    return Boolean(done);
  }

  sendShown() {
    const { row, column } = this.at;
    this.send(this.items.map((item) => item.id), Object.keys(this.filter).length ? words.filter[this.filter.kind](this.filter) : `errors in ${cellName(row, column)}`);
  }

  async plan() {
    const { row: rowName, column: columnName } = this.model.get("map").choice;
    const at = { [rowName]: this.at.row, [columnName]: this.at.column };
    const known = (name) => (at[name] === ALL || at[name] === undefined ? null : at[name]);
    const done = await this.ask("plan", { locale: known("target_lang"), accent: known("accent"), minutes: 30 });
    if (done) this.say(words.planned(cellName(this.at.row, this.at.column), done));
  }

  async sql() {
    const done = await this.ask("export", { format: "sql", ...this.at });
    if (done) this.say(`corpus.where("${done.text}")`);
  }

  async download(format) {
    const done = await this.ask("export", { format, ...this.at });
    if (!done) return;
    const url = URL.createObjectURL(new Blob([done.text], { type: format === "svg" ? "image/svg+xml" : "text/csv" }));
    h("a", { href: url, download: `errors.${format}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  showLost(lost) {
    if (lost) this.say(`${common.kernelLost} ${words.lostMend}`, "warn");
    for (const control of this.root.querySelectorAll(".nwb-head select, .nwb-cell")) control.disabled = lost;
  }

  destroy() {
    for (const [name, fn] of Object.entries(this.listeners)) this.model.off(name, fn);
    this.inner?.abort();
    this.stopLost();
    this.channel.close();
    this.player?.destroy();
  }
}

const cellName = (row, column) => [row, column].filter((value, index, all) => value !== ALL && all.indexOf(value) === index).map(nameOf).join(" · ") || words.everything;

export default { render };
