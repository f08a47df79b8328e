// The error explorer: heat map → cell → utterance → word. Kernel side: explorer.py.
/**
 * @import { Channel } from "./channel.js"
 * @import { Field } from "./explorer_cell.js"
 * @import { Format } from "./explorer_files.js"
 * @import { Answer, Body, CellFilter, CellPage, CellPlace, Choice, ErrorFilter } from "./messages.d.ts"
 * @import { ExplorerQuestions, ExplorerTraits, Host, Marks, Model, Rendered, SidePanel } from "./messages.d.ts"
 * @import { SliceValue, Utterance } from "./messages.d.ts"
 * @import { Player } from "./player.js"
 * @import { Actions } from "./utterance.js"
 */
import { isLost, openChannel } from "./channel.js";
import { count, fill, h, icon, messageOf, set } from "./dom.js";
import { cellContent, cellName, cellParts, choosers, FIELDS, orderSelect, saidOf } from "./explorer_cell.js";
import { saveAs } from "./explorer_files.js";
import { drawSide, keepFocus } from "./explorer_side.js";
import { ALL, cellOf, createHeatMap } from "./heatmap.js";
import { createPlayer, fetchClip } from "./player.js";
import { common, named, explorer as words } from "./strings.js";
import { utteranceElement } from "./utterance.js";
import { createWaiting } from "./waiting.js";

/** @typedef {{ choice: Choice, opened: Partial<CellPlace> }} Kept what this browser tab showed last */

/** @param {Rendered<ExplorerTraits>} how */
function render({ model, el, host }) {
  const view = new View(model, el, host);
  return () => view.destroy();
}

class View {
  /**
   * @param {Model<ExplorerTraits>} model
   * @param {HTMLElement} el
   * @param {Host | undefined} host
   */
  constructor(model, el, host) {
    this.model = model;
    this.host = host;
    /** @type {Channel<ExplorerQuestions>} */
    this.channel = openChannel(model);
    this.turn = 0;
    /** @type {CellPlace | null} the cell that is open, or was last */
    this.at = null;
    /** @type {SidePanel | null} what its errors share */
    this.side = null;
    /** @type {Marks | null} */
    this.marks = null;
    /** @type {Player | undefined} */
    this.player = undefined;
    this.filter = /** @type {CellFilter} */ ({});
    this.order = "worst";
    /** @type {string[]} */
    this.orders = [];
    /** @type {Utterance[]} */
    this.items = [];
    /** @type {number | null} null: not known yet */
    this.total = 0;
    /** @type {AbortController | undefined} ends the playback that is shown */
    this.inner = undefined;
    this.map = createHeatMap({ open: (row, column) => this.open(row, column) });
    this.fields = choosers((name, value) => this.change(name, value));
    this.parts = cellParts(() => this.more());
    this.ui = {
      note: h("div", { "aria-live": "polite" }),
      cell: h("section", { class: "nwb-cell-panel", hidden: true, dataset: { testid: "cell-panel" } }),
      stream: h("section", { class: "nwb-stream", hidden: true, dataset: { testid: "stream-panel" } }),
    };
    this.root = this.build();
    el.append(this.root);
    this.listeners = {
      "change:map": () => this.showMap(),
      "change:opened": () => this.showOpened(),
      "change:playback": () => this.showPlayback(),
    };
    for (const [name, fn] of Object.entries(this.listeners)) model.on(name, fn);
    this.stopLost = this.channel.onLost((lost) => this.showLost(lost));
    this.key = `nemotron-workbench.explorer.${model.get("can").memory_key}`;
    const kept = this.recall();
    this.showMap();
    this.showPlayback();
    const { row, column, filter } = model.get("opened");
    if (row !== undefined) this.open(row, column, filter);
    else if (kept) this.reattach(kept);
  }

  /** After a kernel restart: the choice and the cell that this browser tab showed last. */
  async reattach(/** @type {Kept} */ kept) {
    /** @type {{ [name: string]: string }} */
    const now = { ...this.model.get("map").choice };
    const changed = Object.entries(kept.choice).some(([name, value]) => now[name] !== value);
    try {
      if (changed) await this.channel.ask("choose", kept.choice);
    } catch {
      return; // what was shown is no longer there
    }
    const { row, column } = kept.opened;
    const stated = row !== undefined && column !== undefined;
    const there = stated && cellOf(this.model.get("map"), row, column);
    if (there) await this.open(row, column);
    if (there || changed) this.say(words.reattached);
  }

  /** @returns {Kept | null} */
  recall() {
    try {
      return JSON.parse(sessionStorage.getItem(this.key) ?? "null");
    } catch {
      return null; // a browser may refuse storage; the explorer works without
    }
  }

  remember() {
    const { row, column } = this.model.get("opened");
    try {
      sessionStorage.setItem(
        this.key,
        JSON.stringify({ choice: this.model.get("map").choice, opened: { row, column } }),
      );
    } catch {
      /* as above */
    }
  }

  build() {
    return h(
      "div",
      {
        class: "nwb nwb-explorer",
        role: "region",
        "aria-label": words.region,
        dataset: { testid: "explorer" },
        onkeydown: (event) => this.onKey(event),
        "data-lm-suppress-shortcuts": "true",
      },
      h(
        "header",
        { class: "nwb-head" },
        ...FIELDS.map((name) => this.fields[name].label),
        h("span", { class: "nwb-spring" }),
        .../** @type {const} */ (["svg", "png"]).map((format) =>
          h(
            "button",
            {
              type: "button",
              class: "nwb-btn",
              title: words.exportTitle[format],
              onclick: () => this.download(format),
              dataset: { testid: `export-${format}` },
            },
            icon("save"),
            words.export[format],
          ),
        ),
      ),
      createWaiting(this.channel),
      this.map.element,
      this.ui.note,
      this.ui.stream,
      this.ui.cell,
    );
  }

  /** @param {string} text @param {"good" | "warn" | "bad"} kind */
  say(text, kind = "good") {
    fill(
      this.ui.note,
      text
        ? h(
            "div",
            { class: `nwb-note nwb-${kind}`, role: kind === "bad" ? "alert" : "status" },
            icon(kind === "good" ? "check" : "warn"),
            h("span", {}, text),
          )
        : null,
    );
  }

  /**
   * The kernel's answer; null where it refused, which is said.
   * @template {keyof ExplorerQuestions} Question
   * @param {Question} question
   * @param {Body<ExplorerQuestions, Question>} [body]
   * @returns {Promise<Answer<ExplorerQuestions, Question> | null>}
   */
  async ask(question, body) {
    try {
      return await this.channel.ask(question, body);
    } catch (error) {
      if (!isLost(error)) this.say(messageOf(error), "bad"); // showLost says it better
      return null;
    }
  }

  /**
   * Change what is shown; a cell that is open stays open under the new choice.
   * @param {Field} name
   * @param {string} value
   */
  async change(name, value) {
    const at = this.ui.cell.hidden ? null : this.at;
    const done = await this.ask("choose", { [name]: value });
    if (!done)
      this.showMap(); // the lists go back to what holds
    else if (at && name !== "row" && name !== "column") await this.open(at.row, at.column);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const inside = event.target instanceof Node && this.ui.cell.contains(event.target);
    if (event.key !== "Escape" || this.ui.cell.hidden || !inside) return;
    event.preventDefault();
    event.stopPropagation();
    this.closeCell();
  }

  closeCell() {
    this.ui.cell.hidden = true;
    this.player?.pause();
    this.map.focus();
  }

  showMap() {
    const data = this.model.get("map");
    const { names, lookaheads, metrics, normalizers, spans } = data.choices;
    /** @type {{ [name in Field]: string[][] }} value and text each */
    const lists = {
      name: names,
      lookahead: lookaheads.map((ms) => [ms, words.lookahead(ms)]),
      against: [["", words.noBase], ...names.filter(([name]) => name !== data.choice.name)],
      metric: metrics,
      normalizer: normalizers.map((name) => [name, name]),
      row: spans.map((name) => [name, named(words.span, name)]),
      column: spans.map((name) => [name, named(words.span, name)]),
    };
    for (const name of FIELDS) {
      const { select } = this.fields[name];
      fill(select, ...lists[name].map(([value, text]) => h("option", { value }, text)));
      select.value = name === "lookahead" ? data.lookahead : data.choice[name];
    }
    set(this.fields.lookahead.label, { hidden: lookaheads.length < 2 });
    set(this.fields.against.label, { hidden: names.length < 2 });
    this.map.show(data, this.model.get("opened"));
    this.remember();
  }

  showOpened() {
    const { row, column } = this.model.get("opened");
    this.map.show(this.model.get("map"), this.model.get("opened"));
    this.remember();
    // What was open belongs to an earlier choice; a cell clicked meanwhile is announced by a later change.
    if (row === undefined) this.ui.cell.hidden = true;
    else if (this.at?.row === row && this.at.column === column) this.ui.cell.hidden = false;
  }

  /**
   * @param {SliceValue} row
   * @param {SliceValue} column
   * @param {CellFilter} [filter]
   */
  async open(row, column, filter = {}) {
    this.turn += 1;
    const { turn } = this;
    const same = this.at !== null && this.at.row === row && this.at.column === column && !this.ui.cell.hidden;
    this.at = { row, column };
    this.filter = filter;
    this.items = [];
    this.total = null;
    this.ui.cell.hidden = false;
    if (!same) this.buildCell(this.at);
    set(this.parts.list, { "aria-busy": "true" });
    this.showChips();
    const [page, side] = await Promise.all([
      this.ask("cell", { row, column, filter, order: this.order }),
      same && this.side ? this.side : this.ask("side_panel", { row, column }),
    ]);
    if (turn !== this.turn || !page) return;
    this.side = side;
    if (!this.parts.marksAsked) this.askMarks({ row, column });
    this.take(page);
    this.showUtterances();
    this.showSide();
    if (!same) this.bringToSight();
  }

  /** A cell far down a long map opens below the window: scroll until the map's end and the cell's head are seen. */
  bringToSight() {
    const { top } = this.ui.cell.getBoundingClientRect();
    if (top < 0 || top > 0.6 * window.innerHeight) this.ui.cell.scrollIntoView({ block: "start" });
  }

  /** Punctuation takes the kernel seconds the first time; the cell is on screen before. @param {CellPlace} at */
  async askMarks(at) {
    const { parts } = this;
    parts.marksAsked = true;
    const found = await this.ask("marks", at);
    if (!found || this.parts !== parts) return;
    this.marks = found;
    this.showSide();
  }

  async more() {
    const { at, turn, filter, order } = this;
    if (!at) return;
    const page = await this.ask("cell", { ...at, filter, order, offset: this.items.length });
    if (!page || turn !== this.turn) return;
    this.items = [...this.items, ...page.utterances];
    this.showUtterances();
  }

  /** The open cell again, with other utterances. @param {CellFilter} [filter] */
  openAgain(filter) {
    if (this.at) this.open(this.at.row, this.at.column, filter);
  }

  /** @param {ErrorFilter} filter */
  choose(filter) {
    const same = JSON.stringify(filter) === JSON.stringify(this.filter);
    this.openAgain(same ? {} : filter);
  }

  /** @param {CellPlace} at */
  buildCell({ row, column }) {
    this.player?.destroy();
    this.side = this.marks = null;
    const cell = cellOf(this.model.get("map"), row, column);
    const can = this.model.get("can");
    this.parts = cellParts(() => this.more());
    const on = {
      plan: can.listen ? () => this.plan() : null,
      sql: () => this.sql(),
      csv: () => this.download("csv"),
      close: () => this.closeCell(),
    };
    fill(this.ui.cell, ...cellContent(cellName(row, column), cell, this.parts, on));
    this.player = createPlayer(this.parts.player, { height: 48, label: words.player });
  }

  /** @param {CellPage} page */
  take({ total, utterances, order, orders }) {
    this.total = total;
    this.items = utterances;
    this.order = order;
    this.orders = orders;
  }

  /** @param {string} order */
  reorder(order) {
    this.order = order;
    this.openAgain(this.filter);
  }

  showChips() {
    const text = saidOf(this.filter);
    const verdictNow = this.filter.kind === "changed" ? this.filter.verdict : null;
    const changes = this.side?.changes;
    keepFocus(
      this.parts.chips,
      () =>
        fill(
          this.parts.chips,
          h(
            "b",
            { role: "status", dataset: { testid: "total", key: "total" } },
            this.total === null ? common.loading : words.total(count(this.total), text),
          ),
          text
            ? h(
                "button",
                {
                  type: "button",
                  class: "nwb-btn nwb-plain",
                  onclick: () => this.openAgain(),
                  dataset: { testid: "clear-filter" },
                },
                icon("clear"),
                words.clear,
              )
            : null,
          ...(changes
            ? /** @type {const} */ (["better", "worse"]).map((verdict) =>
                h(
                  "button",
                  {
                    type: "button",
                    class: "nwb-btn",
                    "aria-pressed": String(verdictNow === verdict),
                    dataset: { key: verdict },
                    onclick: () => this.choose({ kind: "changed", verdict }),
                  },
                  words.changes(verdict, changes[verdict]),
                ),
              )
            : []),
          this.orders.length ? orderSelect(this.orders, this.order, (order) => this.reorder(order)) : null,
          this.model.get("can").listen && this.items.length
            ? h(
                "button",
                {
                  type: "button",
                  class: "nwb-btn",
                  dataset: { testid: "send-shown", key: "send" },
                  onclick: () => this.sendShown(),
                },
                icon("flag"),
                words.sendShown(this.items.length),
              )
            : null,
        ),
      this.parts.list,
    );
  }

  showUtterances() {
    const { choice } = this.model.get("map");
    /** @type {Actions} */
    const actions = {
      listen: (id, at) => this.listen(id, at),
      stream: (id, at) => this.stream(id, at),
      send: (ids, reason) => this.send(ids, reason),
      keyword: (list, id) => this.keyword(list, id),
    };
    const left = (this.total ?? 0) - this.items.length;
    const context = { choice, can: this.model.get("can"), actions };
    fill(this.parts.list, ...this.items.map((item) => utteranceElement(item, context)));
    set(this.parts.list, { "aria-busy": "false" });
    this.parts.more.hidden = left <= 0;
    this.parts.more.textContent = words.more(Math.min(20, left));
    this.showChips();
  }

  /** What the predictions that are compared are called. */
  compared() {
    const { choice, choices } = this.model.get("map");
    const label = (/** @type {string} */ name) => choices.names.find(([known]) => known === name)?.[1] ?? name;
    return { before: label(choice.against), now: label(choice.name) };
  }

  showSide() {
    if (!this.side) return;
    /** @type {{ [key: string]: unknown }} */
    const now = this.filter;
    const is = (/** @type {ErrorFilter} */ filter) =>
      Object.entries(filter).every(([key, value]) => now[key] === value);
    drawSide(
      this.parts.side,
      { ...this.side, ...this.marks, names: this.compared() },
      {
        is,
        choose: (filter) => this.choose(filter),
        keyword: this.model.get("can").listen ? (list) => this.keyword(list) : null,
      },
    );
    this.showChips();
  }

  /** @param {string} id @param {number} start_s */
  async listen(id, start_s) {
    const { player } = this;
    if (!player || !this.model.get("can").listen) return;
    this.parts.player.hidden = false;
    for (const item of this.parts.list.children) {
      item.classList.toggle("nwb-current", item.getAttribute("data-id") === id);
    }
    try {
      if (player.key !== id) await player.load(await fetchClip(this.channel, id));
      await player.seek(start_s);
      await player.play();
      // The media element may drop a seek that comes right after loading.
      for (let tries = 0; tries < 10 && player.time_s < start_s - 0.05; tries += 1) {
        await player.seek(start_s);
        await new Promise((resolve) => setTimeout(resolve, 40));
      }
    } catch (error) {
      player.unload(messageOf(error), { bad: true });
    }
  }

  /** @param {string} id @param {number} at_s */
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
    fill(
      this.ui.stream,
      h(
        "header",
        { class: "nwb-head" },
        h("h3", { class: "nwb-title" }, words.streamTitle),
        h("span", { class: "nwb-spring" }),
        h(
          "button",
          { type: "button", class: "nwb-btn", onclick: () => this.ask("unstream") },
          icon("cross"),
          common.close,
        ),
      ),
      place,
    );
    try {
      const child = await this.host.getWidget(reference);
      await child.render({ el: place, signal: this.inner.signal });
      this.ui.stream.scrollIntoView({ block: "nearest", behavior: "smooth" });
    } catch (error) {
      fill(place, h("div", { class: "nwb-note nwb-bad" }, icon("warn"), messageOf(error)));
    }
  }

  /** @param {string[]} ids @param {string} reason */
  async send(ids, reason) {
    const done = await this.ask("send", { ids, reason });
    if (done) this.say(words.sent(done.sent, done.tag));
    return Boolean(done);
  }

  /** @param {string[]} list @param {string | null} id */
  async keyword(list, id = null) {
    const done = await this.ask("keyword", { words: list, id, ...this.at });
    if (done) this.say(words.keywordAdded(done));
    return Boolean(done);
  }

  sendShown() {
    if (!this.at) return;
    const { row, column } = this.at;
    this.send(
      this.items.map((item) => item.id),
      saidOf(this.filter) || `errors in ${cellName(row, column)}`,
    );
  }

  async plan() {
    if (!this.at) return;
    const { row, column } = this.at;
    const { row: rowName, column: columnName } = this.model.get("map").choice;
    /** @type {{ [column: string]: SliceValue }} */
    const at = { [rowName]: row, [columnName]: column };
    const known = (/** @type {string} */ name) => (at[name] === ALL || at[name] === undefined ? null : at[name]);
    const minutes = Number(this.parts.minutes.value);
    const done = await this.ask("plan", { locale: known("target_lang"), accent: known("accent"), minutes });
    if (done) this.say(words.planned(cellName(row, column), minutes, done));
  }

  async sql() {
    const done = await this.ask("export", { format: "sql", ...this.at });
    if (done) this.say(`corpus.where("${done.text}")`);
  }

  /** @param {Format} format */
  async download(format) {
    const done = await this.ask("export", { format: format === "png" ? "svg" : format, ...this.at });
    if (done) await saveAs(format, done).catch((error) => this.say(words.notDrawn(messageOf(error)), "bad"));
  }

  /** @param {boolean} lost */
  showLost(lost) {
    if (lost) this.say(`${common.kernelLost} ${words.lostHint}`, "warn");
    for (const control of this.root.querySelectorAll(".nwb-head select, .nwb-cell")) {
      control.toggleAttribute("disabled", lost);
    }
  }

  destroy() {
    for (const [name, fn] of Object.entries(this.listeners)) this.model.off(name, fn);
    this.inner?.abort();
    this.stopLost();
    this.channel.close();
    this.player?.destroy();
  }
}

export default { render };
