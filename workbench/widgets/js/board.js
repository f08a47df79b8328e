// The board: joins head, filter, bars, table and clip; what is kept over a reload and a kernel restart.
// The keys are in board_keys.js, choosing and deciding in board_review.js.
/**
 * @import { Channel } from "./channel.js"
 * @import { BoardEvents, BoardQuestions, Body, Bulk, Checked, Facets, Model, Progress, Query } from "./messages.d.ts"
 * @import { QueryChange, Rendered, Remembered, Shown, Summary } from "./messages.d.ts"
 * @import { Checks } from "./board_side.js"
 */
import { Clip } from "./board_clip.js";
import { Filter } from "./board_filter.js";
import { Head } from "./board_head.js";
import { actOf } from "./board_keys.js";
import { Review } from "./board_review.js";
import { bulkContent, keysContent, openSheet } from "./board_sheet.js";
import { Side } from "./board_side.js";
import { Table } from "./board_table.js";
import { isLost, openChannel } from "./channel.js";
import { count, debounce, fill, h, icon, messageOf } from "./dom.js";
import { common, named, board as words } from "./strings.js";
import { createWaiting } from "./waiting.js";

const SYNC_MS = 15_000;
const AFTER_WRITING_MS = 250;
const EDITED = /** @type {const} */ (["target_lang", "accent", "speaker", "split"]);
const FIELDS = "input:not([type=checkbox]), select, textarea:not([readonly])";
/** @type {Query} */
const EMPTY_QUERY = {
  ...{ sql: "", text: "", facets: {}, columns: {}, status: "all", rule: "", tag: "" },
  ...{ order_by: "", descending: false, minutes: 0 },
};

/** @typedef {{ query?: Query, ui?: Remembered } | null} Stored what the browser keeps over a kernel's restart */

export class Board {
  /**
   * @param {Model<object>} model
   * @param {HTMLElement} el
   */
  constructor(model, el) {
    /** @type {Channel<BoardQuestions, BoardEvents>} */
    this.channel = openChannel(model);
    /** @type {Query} */
    this.query = { ...EMPTY_QUERY };
    /** @type {Shown} */
    this.summary = { total: 0, minutes: 0, pending: 0 };
    this.name = "";
    this.reviewer = "";
    /** @type {string | null} where the browser keeps this board's state */
    this.key = null;
    /** @type {Checks} */
    this.checks = null;
    /** @type {{ close: () => void } | null} */
    this.sheet = null;
    this.seq = 0; // the newest event that this view has taken in
    /** @type {number[]} events of this view's own making */
    this.own = [];
    this.writing = 0; // questions under way that decide something
    this.written = 0;
    this.syncing = false;
    this.remember = debounce(() => this.keep(), 200);
    this.refreshBars = debounce(() => this.bars(), 250);
    this.build(el);
    this.review = new Review(this);
    this.listen();
  }

  /** @param {HTMLElement} el */
  build(el) {
    /** @type {Head} */
    this.head = new Head({ onHelp: () => this.help() });
    /** @type {Filter} */
    this.filter = new Filter({
      onQuery: (change) => this.ask(change),
      onBulk: () => this.bulk(),
      onLeave: () => this.table.focus(),
      onColumns: () => this.table.toggleFilters(),
      onViews: (body) => this.views(body),
    });
    /** @type {Side} */
    this.side = new Side({
      onFacet: (name, values) => this.ask({ facets: { ...this.query.facets, [name]: values } }),
      onRule: (rule) => this.ask({ rule }),
      onTag: (tag) => this.ask({ tag }),
      onFacets: (names) => this.facets(names),
      onCheck: () => this.runChecks(),
    });
    /** @type {Table} */
    this.table = new Table({
      fetchRows: async (offset, limit) => (await this.channel.ask("rows", { offset, limit })).rows,
      onSelect: (place) => {
        this.review.choose(place, { play: false });
        this.table.focus();
      },
      onSort: (name) => this.sort(name),
      onColumn: (name, text) => this.ask({ columns: { ...this.query.columns, [name]: text } }),
    });
    /** @type {Clip} */
    this.clip = new Clip({
      channel: this.channel,
      act: (action, body, message) => this.review.act(action, body, message),
      go: (name) => this.review.go(name),
      goTo: (id) => this.review.enqueue(() => this.review.goTo(id)),
    });
    /** @type {HTMLDivElement} */
    this.lost = h("div", {
      class: "nwb-note nwb-warn nwb-lost",
      role: "alert",
      hidden: true,
      dataset: { testid: "board-lost" },
    });
    const list = (/** @type {typeof EDITED[number] | "tag"} */ name) => h("datalist", { id: `nwb-values-${name}` });
    /** @type {{ [name in typeof EDITED[number] | "tag"]: HTMLDataListElement }} */
    this.lists = {
      target_lang: list("target_lang"),
      accent: list("accent"),
      speaker: list("speaker"),
      split: list("split"),
      tag: list("tag"),
    };
    /** @type {HTMLDivElement} */
    this.root = h(
      "div",
      {
        class: "nwb nwb-board",
        "data-lm-suppress-shortcuts": "true",
        tabindex: -1,
        role: "region",
        "aria-label": words.title,
        dataset: { testid: "board" },
        onkeydown: (event) => this.onKey(event),
      },
      this.head.element,
      this.lost,
      createWaiting(this.channel),
      this.filter.element,
      h(
        "div",
        { class: "nwb-body" },
        this.side.element,
        h("div", { class: "nwb-main" }, this.table.element, this.clip.element),
      ),
      this.foot(),
      ...Object.values(this.lists),
    );
    el.append(this.root);
  }

  foot() {
    /** @type {HTMLDivElement} */
    this.said = h("div", {
      class: "nwb-said",
      role: "status",
      "aria-live": "polite",
      dataset: { testid: "board-said" },
    });
    const key = (/** @type {string[]} */ [name, what]) =>
      h("span", { class: "nwb-foot-key" }, h("kbd", {}, name), what);
    return h("footer", { class: "nwb-foot" }, this.said, h("span", { class: "nwb-spring" }), ...words.bar.map(key));
  }

  listen() {
    this.channel.onLost(() => {
      this.root.classList.add("nwb-is-lost");
      this.clip.setEnabled(false);
      fill(this.lost, icon("warn"), h("div", {}, h("strong", {}, common.kernelLost), " ", common.kernelLostHint));
      this.lost.hidden = false;
    });
    this.channel.on("checks", (body) => this.checked(body));
    this.channel.on("checking", (at) => this.side.progress(at));
    this.channel.on("decisions", ({ seq }) => seq > this.seq && this.sync());
    this.channel.on("rows", () => this.reopen());
    this.channel.on("view", ({ by }) => by !== this.channel.view && this.reopen());
    this.channel.onBack(() => this.sync());
    /** @type {number} */
    this.timer = setInterval(() => this.sync(), SYNC_MS);
    /** @type {() => void} */
    this.onVisible = () => this.sync();
    document.addEventListener("visibilitychange", this.onVisible);
  }

  // -- what the kernel says of the whole view ---------------------------------------------------------------

  /** @param {Summary} summary */
  take(summary) {
    this.summary = summary;
    this.query = summary.query;
    if (summary.findings_known) this.checks = true;
    this.filter.draw(summary.query, summary);
    this.side.draw(summary.facets, summary.query, this.checks, summary.not_run);
    this.head.draw(this.name, summary.progress, this.reviewer);
    this.table.setMeasures(summary.measures ?? []);
    this.table.setSort(summary.query.order_by, summary.query.descending);
    this.table.setFilters(summary.query.columns ?? {});
    this.suggest(summary.facets);
  }

  /** Values to choose from while typing. @param {Facets} facets */
  suggest(facets) {
    const values = (/** @type {string} */ name, /** @type {string[]} */ more = []) => [
      ...new Set([...(facets[name] ?? []).flatMap((bar) => bar.value || []), ...more]),
    ];
    const options = (/** @type {string[]} */ list) => list.map((value) => h("option", { value }));
    fill(this.lists.accent, ...options(values("accent")));
    fill(this.lists.tag, ...options(values("tag", words.tagVocabulary)));
    fill(this.lists.split, ...options(values("split", ["train", "validation", "test"])));
  }

  /**
   * Ask for another view; `whole`: in place of all that was asked for before.
   * @param {QueryChange & { whole?: boolean }} change
   */
  async ask({ whole = false, ...change }) {
    const query = whole ? { ...EMPTY_QUERY, ...change } : { ...this.query, ...change };
    try {
      const summary = await this.channel.ask("query", { query, selected: this.review.selected });
      const inside = this.root.contains(document.activeElement);
      this.take(summary);
      const now = document.activeElement;
      if (inside && (!this.root.contains(now) || /** @type {HTMLElement} */ (now).hidden)) this.table.focus();
      this.table.reset(summary.total);
      this.remember();
      const reordered = "order_by" in change || "minutes" in change; // a new order is read from its top
      if (summary.total) await this.review.choose(reordered ? 0 : (summary.place ?? 0));
      else this.review.nothing();
    } catch (error) {
      if ("box" in change || "columns" in change) this.filter.error(messageOf(error));
      else this.say(messageOf(error));
    }
  }

  /**
   * A head's first click sorts upwards, the second downwards, the third brings the source's order back.
   * @param {string} name
   */
  sort(name) {
    const { order_by: now, descending } = this.query;
    if (now !== name) this.ask({ order_by: name, descending: false, minutes: 0 });
    else this.ask(descending ? { order_by: "", descending: false } : { descending: true });
  }

  /** @param {string[]} names */
  async facets(names) {
    try {
      const { facets, too_many } = await this.channel.ask("facet", { names });
      this.side.setColumns(this.side.countable, names);
      this.summary.facets = facets;
      this.side.draw(facets, this.query, this.checks, this.summary.not_run);
      if (too_many.length) this.say(words.tooMany(too_many.map((name) => named(words.fields, name)).join(", ")));
    } catch (error) {
      this.say(messageOf(error));
    }
  }

  /** @param {Body<BoardQuestions, "views">} body */
  async views(body) {
    try {
      this.filter.setViews((await this.channel.ask("views", body)).views);
    } catch (error) {
      this.say(messageOf(error));
    }
  }

  async runChecks() {
    this.side.progress({ done: 0, total: 1 });
    this.side.draw(this.summary.facets, this.query, this.checks, this.summary.not_run);
    try {
      await this.channel.ask("check", {}, { background: true });
    } catch (error) {
      this.say(messageOf(error));
    }
    this.side.progress(null);
    this.side.draw(this.summary.facets, this.query, this.checks, this.summary.not_run);
  }

  /** @param {Checked} body */
  checked(body) {
    this.checks = body.error ? { error: body.error } : true;
    if (body.facets) Object.assign(this.summary, body);
    this.table.setMeasures(this.summary.measures ?? []);
    this.filter.drawOrder(this.query, this.summary.measures ?? []);
    this.side.draw(this.summary.facets, this.query, this.checks, this.summary.not_run);
    if (!body.error) this.table.reload().catch(() => {});
    this.review.refresh();
  }

  /** @param {Progress | undefined} now */
  progress(now) {
    if (!now) return;
    this.summary.progress = now;
    this.head.draw(this.name, now, this.reviewer);
    this.refreshBars();
  }

  async bars() {
    try {
      const bars = await this.channel.ask("bars", {}, { background: true });
      Object.assign(this.summary, bars);
      this.filter.draw(this.query, this.summary);
      this.side.draw(bars.facets, this.query, this.checks, this.summary.not_run);
    } catch {
      // the next decision tries again
    }
  }

  // -- keys and sheets --------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} event */
  onKey(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const button = target.matches("button, summary, [type=checkbox]");
    const place = {
      typing: target.matches(FIELDS),
      native: button && (event.key === "Enter" || (event.key === " " && target.matches(":focus-visible"))),
      sheet: this.sheet !== null,
      asking: this.clip.asking || this.review.opening !== null,
    };
    const act = actOf(event, place);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    if (act.do === "command") this.review.go(act.name);
    else if (act.do === "type") this.review.type(act.text);
    else if (act.do === "cancel") this.review.cancel();
  }

  help() {
    this.open(words.keysTitle, keysContent());
  }

  /** @param {string} title @param {HTMLElement[]} content */
  open(title, content) {
    this.sheet ??= openSheet(this.root, title, content, () => {
      this.sheet = null;
    });
  }

  bulk() {
    const { pending, total } = this.summary;
    const fields = EDITED.filter((name) => name in (this.clip.row ?? {}));
    const send = (/** @type {Bulk} */ body) => {
      this.sheet?.close();
      this.review.bulk(body);
    };
    this.open(words.bulkTitle(count(pending)), bulkContent({ pending, total, fields, send }));
  }

  // -- remembering, and what is decided elsewhere -----------------------------------------------------------

  /** @param {string} message */
  say(message) {
    this.said.textContent = message;
  }

  keep() {
    if (!this.key || this.channel.lost) return;
    const ui = {
      selected: this.review.selected,
      autoplay: this.clip.autoplay,
      spectrogram: this.clip.player.spectrogram,
    };
    this.channel.ask("remember", ui, { background: true }).catch(() => {});
    try {
      sessionStorage.setItem(this.key, JSON.stringify({ query: this.query, ui }));
    } catch {
      // a browser may refuse storage; the board works without
    }
  }

  /**
   * Ask for something that decides; until the answer names its number, nobody can tell it from others'.
   * @template {"decide" | "undo" | "bulk"} Question
   * @param {Question} question
   * @param {Body<BoardQuestions, Question>} body
   */
  async write(question, body) {
    this.writing += 1;
    this.written += 1;
    try {
      return await this.channel.ask(question, body);
    } finally {
      this.writing -= 1;
      if (!this.writing) setTimeout(() => this.sync(), AFTER_WRITING_MS);
    }
  }

  /** Take in what others decided since this view last looked. Its own decisions are shown already. */
  async sync() {
    if (this.channel.lost || document.hidden || !this.key || this.syncing || this.writing) return;
    const { written } = this;
    this.syncing = true;
    try {
      const news = await this.channel.ask("sync", { after: this.seq, own: this.own }, { background: true });
      if (this.written !== written) return; // looked at again when that is written
      this.seq = Math.max(this.seq, news.seq);
      this.own = this.own.filter((seq) => seq > this.seq - 200);
      if (!news.clips.length) return;
      await this.table.reload();
      this.progress(news.progress);
      const { selected } = this.review;
      if (selected !== null && news.clips.includes(selected)) await this.review.refresh();
      this.say(words.done.changedElsewhere(count(news.clips.length), (news.reviewers ?? []).join(", ")));
    } catch {
      // shown when the kernel is lost
    } finally {
      this.syncing = false;
    }
  }

  /** Another page asked for another view, or rows came or went: this page shows it too. */
  async reopen() {
    try {
      const opened = await this.channel.ask("open", {});
      this.take(opened);
      this.table.reset(opened.total);
      const place = await this.review.placeNow();
      if (opened.total) await this.review.choose(place ?? 0, { play: false });
      else this.review.nothing();
    } catch (error) {
      if (!isLost(error)) this.say(messageOf(error));
    }
  }

  async start() {
    const first = await this.channel.ask("open", {});
    const stored = `nemotron-workbench.board.${first.memory_key}`;
    /** @type {Stored} */
    let remembered = null;
    try {
      remembered = JSON.parse(sessionStorage.getItem(stored) ?? "null");
    } catch {
      // nothing usable is stored
    }
    const opened = remembered && !first.ui.selected ? await this.channel.ask("open", { remembered }) : first;
    this.key = stored;
    this.name = opened.name;
    this.reviewer = opened.reviewer;
    this.seq = opened.seq;
    this.head.blind(opened.blind);
    this.clip.facts.reviewer = opened.reviewer;
    this.clip.autoplay = Boolean(opened.ui.autoplay);
    if (opened.ui.spectrogram) this.clip.player.toggleSpectrogram(true);
    fill(this.lists.target_lang, ...opened.locales.map((tag) => h("option", { value: tag })));
    this.filter.setColumns(opened.columns);
    this.filter.setViews(opened.views);
    this.side.setColumns(
      opened.countable,
      (opened.ui.facets ?? []).filter((name) => opened.countable.includes(name)),
    );
    this.take(opened);
    this.table.reset(opened.total, opened.all ? words.empty : words.emptyCorpus);
    if (opened.total) await this.review.choose(opened.place ?? 0, { play: false });
    else this.review.nothing();
    this.root.dataset.ready = "1";
    await this.sync();
  }

  destroy() {
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this.onVisible);
    this.clip.destroy();
    this.channel.close();
  }
}

/** @param {Rendered<object>} how */
async function render({ model, el }) {
  const board = new Board(model, el);
  board.start().catch((error) => board.review.told(error));
  return () => board.destroy();
}

export default { render };
