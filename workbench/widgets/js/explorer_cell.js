// What the explorer is made of: the lists over the map, and the elements of an open cell.
/**
 * @import { IconName } from "./dom.js"
 * @import { CellFilter, Choice, ErrorFilter, HeatCell, SliceValue } from "./messages.d.ts"
 */
import { h, icon } from "./dom.js";
import { ALL, nameOf } from "./heatmap.js";
import { common, named, explorer as words } from "./strings.js";

/** @typedef {keyof Choice | "lookahead"} Field */
/** @type {Field[]} */
export const FIELDS = ["name", "lookahead", "against", "metric", "normalizer", "row", "column"];

/** What the map can be changed by. @param {(name: Field, value: string) => void} change */
export function choosers(change) {
  const field = (/** @type {Field} */ name) => {
    const select = h("select", {
      class: "nwb-input",
      dataset: { testid: `choose-${name}` },
      onchange: (event) => change(name, event.currentTarget.value),
    });
    return { select, label: h("label", { class: "nwb-field" }, h("span", {}, words.field[name]), select) };
  };
  return {
    name: field("name"),
    lookahead: field("lookahead"),
    against: field("against"),
    metric: field("metric"),
    normalizer: field("normalizer"),
    row: field("row"),
    column: field("column"),
  };
}

/** The elements of a cell that later calls fill or read. @param {() => void} more */
export function cellParts(more) {
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
  return {
    minutes,
    chips: h("div", { class: "nwb-chips" }),
    player: h("div", { class: "nwb-dock", hidden: true }),
    list: h("ol", { class: "nwb-utterances" }),
    side: h("aside", { class: "nwb-side-panel" }),
    more: h("button", { type: "button", class: "nwb-btn", hidden: true, onclick: more }),
    marksAsked: false,
  };
}

/**
 * @param {string} title
 * @param {HeatCell | undefined} cell none where nothing was said
 * @param {ReturnType<typeof cellParts>} parts
 * @param {{ plan: (() => void) | null, sql: () => void, csv: () => void, close: () => void }} on `plan` null: there is
 *   no corpus to plan for
 */
export function cellContent(title, cell, parts, on) {
  /** @type {(name: IconName, text: string, onclick: () => void, testid: string, title?: string) => HTMLElement} */
  const button = (name, text, onclick, testid, title) =>
    h("button", { type: "button", class: "nwb-btn", title, onclick, dataset: { testid } }, icon(name), text);
  const unit = h("span", { class: "nwb-muted", "aria-hidden": "true" }, words.minutesUnit);
  const shut = h(
    "button",
    {
      type: "button",
      class: "nwb-btn nwb-icon-only nwb-plain",
      "aria-label": common.close,
      title: words.closeCell,
      onclick: on.close,
      dataset: { testid: "close-cell" },
    },
    icon("cross"),
  );
  return [
    h(
      "header",
      { class: "nwb-head" },
      h("h3", { class: "nwb-title" }, title),
      h("span", { class: "nwb-spring" }),
      on.plan
        ? h(
            "span",
            { class: "nwb-plan" },
            parts.minutes,
            unit,
            button("record", words.plan, on.plan, "plan", words.planTitle),
          )
        : null,
      button("search", words.sql, on.sql, "sql"),
      button("save", words.csv, on.csv, "export-csv"),
      shut,
    ),
    h("p", { class: "nwb-cell-sentence" }, cell?.sentence ?? "", "."),
    ...(cell?.confounded ?? []).map((text) =>
      h("p", { class: "nwb-note nwb-warn" }, icon("warn"), h("span", {}, text, ".")),
    ),
    h(
      "div",
      { class: "nwb-cell-grid" },
      h("div", { class: "nwb-cell-main" }, parts.chips, parts.player, parts.list, parts.more),
      parts.side,
    ),
  ];
}

/**
 * In which order the utterances are listed.
 * @param {string[]} orders
 * @param {string} now
 * @param {(order: string) => void} reorder
 */
export function orderSelect(orders, now, reorder) {
  const select = h(
    "select",
    {
      class: "nwb-input",
      "aria-label": words.order,
      title: words.order,
      dataset: { testid: "order", key: "order" },
      onchange: (event) => reorder(event.currentTarget.value),
    },
    ...orders.map((name) => h("option", { value: name }, named(words.orders, name))),
  );
  select.value = now;
  return select;
}

/** What the utterances are filtered by, in words. @param {CellFilter} filter */
export const saidOf = (filter) =>
  filter.kind ? /** @type {(filter: ErrorFilter) => string} */ (words.filter[filter.kind])(filter) : "";

export const cellName = (/** @type {SliceValue} */ row, /** @type {SliceValue} */ column) =>
  [row, column]
    .filter((value, index, all) => value !== ALL && all.indexOf(value) === index)
    .map(nameOf)
    .join(" · ") || words.everything;
