// The row over the table: one box for words or SQL, status, order, minutes at hand, saved views, deciding on all.
/** @import { Measure, Query, QueryChange, SavedView, Shown } from "./messages.d.ts" */
import { count, fill, h, icon, set } from "./dom.js";
import { board as words } from "./strings.js";

let serial = 0;

export class Filter {
  /**
   * @param {object} on
   * @param {(change: QueryChange & { whole?: boolean }) => void} on.onQuery `whole`: in place of all asked for before
   * @param {() => void} on.onBulk
   * @param {() => void} on.onLeave the focus goes back to the table
   * @param {() => void} on.onColumns show or hide the filters of the columns
   * @param {(body: { keep?: string, remove?: string }) => void} on.onViews keep this view by name, or forget one
   */
  constructor(on) {
    this.on = on;
    this.typed = false; // and not yet asked for: no answer to something else may overwrite it
    /** @type {Partial<Query>} */
    this.asked = {};
    /** @type {SavedView[]} */
    this.views = [];
    serial += 1;
    this.problem = h("div", {
      id: `nwb-filter-${serial}`,
      class: "nwb-filter-problem",
      role: "alert",
      hidden: true,
      dataset: { testid: "board-filter-problem" },
    });
    this.box();
    this.orders();
    this.underRow();
    this.element = h(
      "div",
      { class: "nwb-filter" },
      h("div", { class: "nwb-filter-row" }, this.searchBox, this.apply, this.statuses, this.uncertainBox),
      this.problem,
      h(
        "div",
        { class: "nwb-filter-row nwb-filter-under" },
        this.total,
        this.agree,
        this.clear,
        h("span", { class: "nwb-spring" }),
        this.order,
        this.columns,
        this.viewsMenu,
        this.bulk,
      ),
    );
  }

  box() {
    /** @type {HTMLInputElement} */
    this.input = h("input", {
      class: "nwb-input nwb-sql",
      type: "text",
      placeholder: words.filterHint,
      "aria-label": words.filterLabel,
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      "aria-describedby": this.problem.id,
      dataset: { testid: "board-filter" },
      oninput: () => {
        this.typed = true;
        this.mode.textContent = "";
      },
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.leaving(event, () => this.send()),
    });
    /** @type {HTMLSpanElement} */
    this.mode = h("span", { class: "nwb-mode nwb-muted", dataset: { testid: "board-filter-mode" } });
    /** @type {HTMLSpanElement} */
    this.searchBox = h("span", { class: "nwb-search" }, this.input, this.mode);
    /** @type {HTMLButtonElement} */
    this.apply = h(
      "button",
      { type: "button", class: "nwb-btn", onclick: () => this.send() },
      icon("search", 14),
      words.apply,
    );
    const status = (/** @type {[string, string]} */ [value, label]) =>
      h(
        "button",
        {
          type: "button",
          class: "nwb-btn",
          dataset: { status: value },
          onclick: () => this.on.onQuery({ status: value }),
        },
        label,
      );
    /** @type {HTMLDivElement} */
    this.statuses = h(
      "div",
      { class: "nwb-segments", role: "group", "aria-label": words.statusLabel },
      ...Object.entries(words.statuses).map(status),
    );
  }

  orders() {
    /** @type {HTMLButtonElement} */
    this.priority = h(
      "button",
      {
        type: "button",
        class: "nwb-btn",
        title: words.priorityHint,
        "aria-pressed": "false",
        dataset: { testid: "board-priority" },
        onclick: () => this.uncertain(this.priority.getAttribute("aria-pressed") !== "true"),
      },
      icon("flag", 14),
      words.priority,
    );
    /** @type {HTMLInputElement} */
    this.minutes = h("input", {
      class: "nwb-input nwb-minutes",
      type: "number",
      min: 0,
      max: 9999,
      step: 1,
      inputmode: "numeric",
      placeholder: "–",
      "aria-label": words.minutesHave,
      title: words.minutesHint,
      dataset: { testid: "board-minutes" },
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.leaving(event, () => this.uncertain(true)),
      onchange: () => this.uncertain(true),
    });
    /** @type {HTMLSpanElement} */
    this.uncertainBox = h(
      "span",
      { class: "nwb-uncertain" },
      this.priority,
      this.minutes,
      h("span", { class: "nwb-muted", "aria-hidden": "true" }, words.minutesUnit),
    );
    /** @type {HTMLSelectElement} */
    this.order = h("select", {
      class: "nwb-input nwb-order",
      "aria-label": words.order,
      title: words.order,
      dataset: { testid: "board-order" },
      onchange: () => {
        const [order_by, down] = this.order.value.split(" ");
        this.on.onQuery({ order_by, descending: down === "down", minutes: 0 });
      },
    });
  }

  underRow() {
    /** @type {HTMLSpanElement} */
    this.total = h("span", { class: "nwb-num nwb-total", role: "status", dataset: { testid: "board-total" } });
    /** @type {HTMLSpanElement} */
    this.agree = h("span", { class: "nwb-muted nwb-num", dataset: { testid: "board-agreement" } });
    /** @type {(testid: string, text: string, onclick: () => void, mark?: SVGElement) => HTMLButtonElement} */
    const plain = (testid, text, onclick, mark) =>
      h("button", { type: "button", class: "nwb-btn nwb-plain", dataset: { testid }, onclick }, mark, text);
    /** @type {HTMLButtonElement} */
    this.clear = plain("board-clear", words.clear, () => this.clearAll(), icon("clear", 13));
    this.clear.hidden = true;
    /** @type {HTMLButtonElement} */
    this.columns = plain("board-columns", words.columnFilters, () => this.on.onColumns(), icon("search", 13));
    /** @type {HTMLButtonElement} */
    this.bulk = plain("board-bulk", words.bulk, () => this.on.onBulk());
    /** @type {HTMLInputElement} */
    this.viewName = h("input", {
      class: "nwb-input",
      placeholder: words.viewName,
      "aria-label": words.viewName,
      maxlength: 80,
      dataset: { testid: "board-view-name" },
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.leaving(event, () => this.keepView()),
    });
    /** @type {HTMLUListElement} */
    this.viewList = h("ul", { class: "nwb-view-list" });
    const keep = h("button", { type: "button", class: "nwb-btn", onclick: () => this.keepView() }, words.viewKeep);
    /** @type {HTMLDetailsElement} */
    this.viewsMenu = h(
      "details",
      { class: "nwb-views", dataset: { testid: "board-views" } },
      h("summary", { class: "nwb-btn nwb-plain" }, words.views),
      h("div", { class: "nwb-menu" }, this.viewList, h("div", { class: "nwb-filter-row" }, this.viewName, keep)),
    );
  }

  /** @param {KeyboardEvent} event @param {() => void} onEnter */
  leaving(event, onEnter) {
    event.stopPropagation();
    if (event.isComposing) return;
    if (event.key === "Enter") onEnter();
    if (event.key === "Escape") this.on.onLeave();
  }

  send() {
    this.typed = false;
    this.on.onQuery({ box: this.input.value.trim() });
  }

  /** The order in which doubt comes first, within the minutes written beside it; or the source's and all clips. */
  uncertain(/** @type {boolean} */ on) {
    const wanted = on ? Math.max(0, this.minutes.valueAsNumber || 0) : 0;
    if (on && this.asked.order_by === "priority" && this.asked.minutes === wanted) return;
    this.on.onQuery({ order_by: on ? "priority" : "", descending: false, minutes: wanted });
  }

  clearAll() {
    this.typed = false;
    this.on.onQuery({ box: "", facets: {}, columns: {}, rule: "", tag: "", status: "all", minutes: 0 });
  }

  keepView() {
    const keep = this.viewName.value.trim();
    if (!keep) return;
    this.viewName.value = "";
    this.on.onViews({ keep });
  }

  /** @param {SavedView[]} views */
  setViews(views) {
    this.views = views;
    const line = (/** @type {SavedView} */ { name, query }) => {
      const open = () => {
        this.viewsMenu.open = false;
        this.typed = false;
        this.on.onQuery({ ...query, whole: true });
      };
      const label = words.viewRemove(name);
      const remove = () => this.on.onViews({ remove: name });
      return h(
        "li",
        {},
        h("button", { type: "button", class: "nwb-btn nwb-plain", onclick: open }, h("bdi", {}, name)),
        h(
          "button",
          {
            type: "button",
            class: "nwb-btn nwb-plain nwb-icon-only",
            "aria-label": label,
            title: label,
            onclick: remove,
          },
          icon("clear", 11),
        ),
      );
    };
    fill(this.viewList, ...(views.length ? views.map(line) : [h("li", { class: "nwb-muted" }, words.viewsNone)]));
  }

  /** @param {Query} query @param {Shown} summary */
  draw(query, summary) {
    if (!this.typed && document.activeElement !== this.input) this.input.value = query.sql || query.text;
    this.mode.textContent = query.sql ? words.modeSql : query.text ? words.modeWords : "";
    for (const button of this.statuses.querySelectorAll("button")) {
      const { status } = button.dataset;
      set(button, { "aria-pressed": String(status === query.status) });
      if (status === "disputed") {
        button.hidden = !summary.disputed && query.status !== "disputed";
        button.textContent = words.disputed(count(summary.disputed));
      }
    }
    set(this.priority, { "aria-pressed": String(query.order_by === "priority") });
    this.asked = query;
    if (document.activeElement !== this.minutes) this.minutes.value = query.minutes ? String(query.minutes) : "";
    const minutes = query.order_by === "priority" ? summary.spent : 0;
    const spent = minutes ? ` · ${words.spent(minutes, query.minutes)}` : "";
    this.total.textContent = `${words.clips(count(summary.total))} · ${words.minutes(summary.minutes)}${spent}`;
    const { agreement } = summary;
    this.agree.textContent = agreement?.clips ? words.agreement(agreement) : "";
    set(this.agree, { title: agreement?.clips ? words.agreementHint(agreement) : null });
    this.clear.hidden = !narrowed(query);
    this.bulk.disabled = !summary.total;
    set(this.bulk, { title: words.bulkTitle(count(summary.pending)) });
    this.drawOrder(query, summary.measures ?? []);
    this.error("");
  }

  /** @param {Query} query @param {Measure[]} measures */
  drawOrder(query, measures) {
    const now = query.order_by ? `${query.order_by}${query.descending ? " down" : ""}` : "";
    const choices = [
      ["", words.orderSource],
      ["priority", words.priority],
    ];
    for (const name of /** @type {const} */ (["duration", "text", "target_lang", "accent", "speaker"])) {
      choices.push([name, words.orderUp(words.head[name])], [`${name} down`, words.orderDown(words.head[name])]);
    }
    for (const name of measures) {
      choices.push(
        [`${name} down`, words.orderDown(words.measures[name])],
        [name, words.orderUp(words.measures[name])],
      );
    }
    if (!choices.some(([value]) => value === now)) choices.push([now, now]);
    fill(this.order, ...choices.map(([value, label]) => h("option", { value }, label)));
    this.order.value = now;
  }

  /** @param {string} message */
  error(message) {
    this.problem.hidden = !message;
    fill(this.problem, message ? icon("warn", 14) : null, message);
    set(this.input, { "aria-invalid": message ? "true" : null });
  }

  /** @param {string[]} names */
  setColumns(names) {
    set(this.input, { title: words.columns(names.join(", ")) });
  }

  focus() {
    this.input.focus();
    this.input.select();
  }
}

/** Whether anything is left out. @param {Query} query */
export function narrowed(query) {
  const chosen = Object.values(query.facets ?? {}).some((values) => values.length);
  const columns = Object.values(query.columns ?? {}).some(Boolean);
  const { sql, text, rule, tag, status, minutes } = query;
  return Boolean(sql || text || rule || tag || status !== "all" || minutes || chosen || columns);
}
