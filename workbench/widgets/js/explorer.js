// The error explorer: heat map → cell → utterance → word. Kernel side: explorer.py.
import { openChannel } from "./channel.js";
import { count, fill, h, icon, set } from "./dom.js";
import { saveAs } from "./explorer_files.js";
import { drawSide, keepFocus } from "./explorer_side.js";
import { ALL, cellOf, createHeatMap, nameOf } from "./heatmap.js";
import { createPlayer, fetchClip } from "./player.js";
import { common, explorer as words } from "./strings.js";
import { utteranceElement } from "./utterance.js";
import { createWaiting } from "./waiting.js";

function render({ model, el, host }) {
  const view = new View(model, el, host);
  return () => view.destroy();
}

class View {
  constructor(model, el, host) {
    this.model = model;
    this.host = host;
    this.channel = openChannel(model);
    this.turn = 0;
    /** @type {any} the cell that is open */
    this.at = undefined;
    this.filter = {};
    this.order = "worst";
    /** @type {string[]} */
    this.orders = [];
    /** @type {any[]} */
    this.items = [];
    this.total = 0;
    this.map = createHeatMap({ open: (row, column) => this.open(row, column) });
    this.build(el);
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
  async reattach(kept) {
    const now = this.model.get("map").choice;
    const changed = Object.entries(kept.choice).some(([name, value]) => now[name] !== value);
    try {
      if (changed) await this.channel.ask("choose", kept.choice);
    } catch {
      return; // what was shown is no longer there
    }
    const { row, column } = kept.opened;
    const there = row !== undefined && cellOf(this.model.get("map"), row, column);
    if (there) await this.open(row, column);
    if (there || changed) this.say(words.reattached);
  }

  recall() {
    try {
      return JSON.parse(sessionStorage.getItem(this.key));
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

  build(el) {
    const field = (name) =>
      h(
        "label",
        { class: "nwb-field" },
        h("span", {}, words.field[name]),
        h("select", {
          class: "nwb-input",
          dataset: { testid: `choose-${name}` },
          onchange: (e) => this.change(name, e.target.value),
        }),
      );
    this.fields = Object.fromEntries(
      ["name", "lookahead", "against", "metric", "normalizer", "row", "column"].map((name) => [name, field(name)]),
    );
    this.ui = {
      note: h("div", { "aria-live": "polite" }),
      cell: h("section", { class: "nwb-cell-panel", hidden: true, dataset: { testid: "cell-panel" } }),
      stream: h("section", { class: "nwb-stream", hidden: true, dataset: { testid: "stream-panel" } }),
    };
    this.root = h(
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
        ...Object.values(this.fields),
        h("span", { class: "nwb-spring" }),
        ...["svg", "png"].map((format) =>
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
    el.append(this.root);
  }

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

  async ask(question, body = {}) {
    try {
      return await this.channel.ask(question, body);
    } catch (error) {
      if (!error.lost) this.say(error.message, "bad"); // showLost says it better
      return null;
    }
  }

  /** Change what is shown; a cell that is open stays open under the new choice. */
  async change(name, value) {
    const at = this.ui.cell.hidden ? null : this.at;
    const done = await this.ask("choose", { [name]: value });
    if (!done)
      this.showMap(); // the lists go back to what holds
    else if (at && name !== "row" && name !== "column") await this.open(at.row, at.column);
  }

  onKey(event) {
    if (event.key !== "Escape" || this.ui.cell.hidden || !this.ui.cell.contains(event.target)) return;
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
    const lists = {
      name: names,
      lookahead: lookaheads.map((ms) => [ms, words.lookahead(ms)]),
      against: [["", words.noBase], ...names.filter(([name]) => name !== data.choice.name)],
      metric: metrics,
      normalizer: normalizers.map((name) => [name, name]),
      row: spans.map((name) => [name, words.span[name] ?? name]),
      column: spans.map((name) => [name, words.span[name] ?? name]),
    };
    for (const [name, list] of Object.entries(lists)) {
      const select = this.fields[name].querySelector("select");
      fill(select, ...list.map(([value, text]) => h("option", { value }, text)));
      select.value = name === "lookahead" ? data.lookahead : data.choice[name];
    }
    set(this.fields.lookahead, { hidden: lookaheads.length < 2 });
    set(this.fields.against, { hidden: names.length < 2 });
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

  async open(row, column, filter = {}) {
    this.turn += 1;
    const { turn } = this;
    const same = this.at && this.at.row === row && this.at.column === column && !this.ui.cell.hidden;
    Object.assign(this, { at: { row, column }, filter, items: [], total: null });
    this.ui.cell.hidden = false;
    if (!same) this.buildCell();
    set(this.parts.list, { "aria-busy": "true" });
    this.showChips();
    const [page, side] = await Promise.all([
      this.ask("cell", { row, column, filter, order: this.order }),
      same && this.side ? this.side : this.ask("side_panel", { row, column }),
    ]);
    if (turn !== this.turn || !page) return;
    this.side = side;
    if (!this.parts.marksAsked) this.askMarks();
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

  /** Punctuation takes the kernel seconds the first time; the cell is on screen before. */
  async askMarks() {
    const { parts } = this;
    parts.marksAsked = true;
    const found = await this.ask("marks", this.at);
    if (!found || this.parts !== parts) return;
    this.marks = found;
    this.showSide();
  }

  async more() {
    const turn = this.turn;
    const { filter, order } = this;
    const page = await this.ask("cell", { ...this.at, filter, order, offset: this.items.length });
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
    this.side = this.marks = null;
    const { row, column } = this.at;
    const cell = cellOf(this.model.get("map"), row, column) ?? { sentence: "", confounded: [] };
    const button = (name, text, onclick, testid, title = null) =>
      h("button", { type: "button", class: "nwb-btn", title, onclick, dataset: { testid } }, icon(name), text);
    const can = this.model.get("can");
    const minutes = h("input", {
      type: "number",
      class: "nwb-input nwb-num",
      min: 1,
      max: 100_000,
      step: 1,
      value: 30,
      "aria-label": words.minutes,
      dataset: { testid: "plan-minutes" },
    });
    this.parts = {
      minutes,
      chips: h("div", { class: "nwb-chips" }),
      player: h("div", { class: "nwb-dock", hidden: true }),
      list: h("ol", { class: "nwb-utterances" }),
      side: h("aside", { class: "nwb-side-panel" }),
      more: h("button", { type: "button", class: "nwb-btn", hidden: true, onclick: () => this.more() }),
    };
    fill(
      this.ui.cell,
      h(
        "header",
        { class: "nwb-head" },
        h("h3", { class: "nwb-title" }, cellName(row, column)),
        h("span", { class: "nwb-spring" }),
        can.listen
          ? h(
              "span",
              { class: "nwb-plan" },
              this.parts.minutes,
              h("span", { class: "nwb-muted", "aria-hidden": "true" }, words.minutesUnit),
              button("record", words.plan, () => this.plan(), "plan", words.planTitle),
            )
          : null,
        button("search", words.sql, () => this.sql(), "sql"),
        button("save", words.csv, () => this.download("csv"), "export-csv"),
        h(
          "button",
          {
            type: "button",
            class: "nwb-btn nwb-icon-only nwb-plain",
            "aria-label": common.close,
            title: words.closeCell,
            onclick: () => this.closeCell(),
            dataset: { testid: "close-cell" },
          },
          icon("cross"),
        ),
      ),
      h("p", { class: "nwb-cell-sentence" }, cell.sentence, "."),
      ...cell.confounded.map((text) => h("p", { class: "nwb-note nwb-warn" }, icon("warn"), h("span", {}, text, "."))),
      h(
        "div",
        { class: "nwb-cell-grid" },
        h("div", { class: "nwb-cell-main" }, this.parts.chips, this.parts.player, this.parts.list, this.parts.more),
        this.parts.side,
      ),
    );
    this.player = createPlayer(this.parts.player, { height: 48, label: words.player });
  }

  take({ total, utterances, order, orders }) {
    Object.assign(this, { total, items: utterances, order, orders });
  }

  /** In which order the utterances are listed. */
  orderSelect() {
    const select = h(
      "select",
      {
        class: "nwb-input",
        "aria-label": words.order,
        title: words.order,
        dataset: { testid: "order", key: "order" },
        onchange: (e) => this.reorder(e.target.value),
      },
      ...this.orders.map((name) => h("option", { value: name }, words.orders[name] ?? name)),
    );
    select.value = this.order;
    return select;
  }

  reorder(order) {
    this.order = order;
    this.open(this.at.row, this.at.column, this.filter);
  }

  showChips() {
    const text = Object.keys(this.filter).length ? words.filter[this.filter.kind](this.filter) : "";
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
                  onclick: () => this.open(this.at.row, this.at.column),
                  dataset: { testid: "clear-filter" },
                },
                icon("clear"),
                words.clear,
              )
            : null,
          ...(changes
            ? ["better", "worse"].map((verdict) =>
                h(
                  "button",
                  {
                    type: "button",
                    class: "nwb-btn",
                    "aria-pressed": String(this.filter.verdict === verdict),
                    dataset: { key: verdict },
                    onclick: () => this.choose({ kind: "changed", verdict }),
                  },
                  words.changes(verdict, changes[verdict]),
                ),
              )
            : []),
          this.orders.length ? this.orderSelect() : null,
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
    const actions = {
      listen: (id, at) => this.listen(id, at),
      stream: (id, at) => this.stream(id, at),
      send: (ids, reason) => this.send(ids, reason),
      keyword: (list, id) => this.keyword(list, id),
    };
    const context = { choice, can: this.model.get("can"), actions };
    fill(this.parts.list, ...this.items.map((item) => utteranceElement(item, context)));
    set(this.parts.list, { "aria-busy": "false" });
    this.parts.more.hidden = this.items.length >= this.total;
    this.parts.more.textContent = words.more(Math.min(20, this.total - this.items.length));
    this.showChips();
  }

  /** What the predictions that are compared are called. */
  compared() {
    const { choice, choices } = this.model.get("map");
    const label = (name) => choices.names.find(([known]) => known === name)?.[1] ?? name;
    return { before: label(choice.against), now: label(choice.name) };
  }

  showSide() {
    if (!this.side) return;
    const is = (filter) => Object.entries(filter).every(([key, value]) => this.filter[key] === value);
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

  async listen(id, start_s) {
    if (!this.model.get("can").listen) return;
    this.parts.player.hidden = false;
    for (const item of this.parts.list.children) {
      item.classList.toggle("nwb-current", item.getAttribute("data-id") === id);
    }
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
      fill(place, h("div", { class: "nwb-note nwb-bad" }, icon("warn"), String(error.message ?? error)));
    }
  }

  async send(ids, reason) {
    const done = await this.ask("send", { ids, reason });
    if (done) this.say(words.sent(done.sent, done.tag));
    return Boolean(done);
  }

  async keyword(list, id = null) {
    const done = await this.ask("keyword", { words: list, id, ...this.at });
    if (done) this.say(words.keywordAdded(done));
    return Boolean(done);
  }

  sendShown() {
    const { row, column } = this.at;
    this.send(
      this.items.map((item) => item.id),
      Object.keys(this.filter).length
        ? words.filter[this.filter.kind](this.filter)
        : `errors in ${cellName(row, column)}`,
    );
  }

  async plan() {
    const { row: rowName, column: columnName } = this.model.get("map").choice;
    const at = { [rowName]: this.at.row, [columnName]: this.at.column };
    const known = (name) => (at[name] === ALL || at[name] === undefined ? null : at[name]);
    const minutes = Number(this.parts.minutes.value);
    const done = await this.ask("plan", { locale: known("target_lang"), accent: known("accent"), minutes });
    if (done) this.say(words.planned(cellName(this.at.row, this.at.column), minutes, done));
  }

  async sql() {
    const done = await this.ask("export", { format: "sql", ...this.at });
    if (done) this.say(`corpus.where("${done.text}")`);
  }

  async download(format) {
    const done = await this.ask("export", { format: format === "png" ? "svg" : format, ...this.at });
    if (done)
      await saveAs(format, done).catch((error) => this.say(words.notDrawn(String(error.message ?? error)), "bad"));
  }

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

const cellName = (row, column) =>
  [row, column]
    .filter((value, index, all) => value !== ALL && all.indexOf(value) === index)
    .map(nameOf)
    .join(" · ") || words.everything;

export default { render };
