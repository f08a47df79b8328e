// The heat map: an accessible table whose cells are buttons. Arrow keys move, Enter opens. Of many rows or columns
// the largest are shown; a search finds the others, and one click shows them all.
//
//   const map = createHeatMap({ open(row, column) });    map.show(data, opened);    map.element
/** @import { HeatCell, HeatMapData, OpenedCell, SliceValue } from "./messages.d.ts" */
import { count, fill, h } from "./dom.js";
import { named, explorer as words } from "./strings.js";

export const ALL = "∑";
/** @typedef {"row" | "column"} Dimension */
/** @typedef {(row: SliceValue, column: SliceValue) => void} Open */
export const nameOf = (/** @type {SliceValue} */ value) => (value === ALL ? words.all : (value ?? words.notStated));
/** @type {(data: HeatMapData, row: SliceValue, column: SliceValue) => HeatCell | undefined} */
export const cellOf = (data, row, column) => data.cells[`${row ?? ""}\n${column ?? ""}`];

const MANY = { row: 24, column: 12 };
/** @type {{ [key: string]: [number, number] | undefined }} */
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/**
 * The values of a dimension to show: the margin, then those that match a search, or the largest.
 * @param {SliceValue[]} values the margin among them
 * @param {object} how
 * @param {string} how.find
 * @param {boolean} how.all
 * @param {number} how.most
 * @param {(value: SliceValue) => number} how.size utterances of a value
 * @param {(value: SliceValue) => string} [how.label]
 * @param {SliceValue | undefined} [how.keep] shown in any case
 */
export function valuesShown(values, { find, all, most, size, label = (value) => String(nameOf(value)), keep }) {
  const inner = values.filter((value) => value !== ALL);
  const wanted = find.trim().toLowerCase();
  if (wanted) return [ALL, ...inner.filter((value) => label(value).toLowerCase().includes(wanted))];
  if (all || inner.length <= most) return values;
  const largest = new Set([...inner].sort((a, b) => size(b) - size(a)).slice(0, most));
  return [ALL, ...inner.filter((value) => largest.has(value) || value === keep)];
}

/** @param {{ open: Open }} actions */
export const createHeatMap = (actions) => new HeatMap(actions);

class HeatMap {
  /** @param {{ open: Open }} actions */
  constructor({ open }) {
    this.open = open;
    /** @type {HeatMapData | null} */
    this.data = null;
    /** @type {OpenedCell} */
    this.opened = {};
    this.dimensions = { row: this.dimension("row"), column: this.dimension("column") };
    this.table = h("table", {
      class: "nwb-map",
      "aria-label": words.map,
      dataset: { testid: "heatmap" },
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.move(event),
    });
    this.legend = h("div", { class: "nwb-legend" });
    const { row, column } = this.dimensions;
    this.element = h(
      "div",
      { class: "nwb-map-box" },
      h("div", { class: "nwb-map-tools" }, row.element, column.element),
      h("div", { class: "nwb-map-scroll" }, this.table),
      this.legend,
    );
  }

  /** Search and "show all" of one dimension; hidden where it has few values. @param {Dimension} name */
  dimension(name) {
    const find = h("input", {
      class: "nwb-input",
      type: "search",
      dataset: { testid: `map-find-${name}` },
      oninput: () => this.draw(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => event.stopPropagation(),
    });
    const more = h("button", {
      type: "button",
      class: "nwb-btn nwb-plain",
      dataset: { testid: `map-all-${name}` },
      onclick: () => {
        made.all = !made.all;
        this.draw();
      },
    });
    const made = { find, more, all: false, element: h("span", { class: "nwb-map-find", hidden: true }, find, more) };
    return made;
  }

  /**
   * Which values of a dimension stand in the table, and what its tools say.
   * @param {HeatMapData} data
   * @param {Dimension} name
   * @param {SliceValue[]} values
   */
  values(data, name, values) {
    const { find, more, all, element } = this.dimensions[name];
    const { opened } = this;
    const title = named(words.span, data.choice[name]);
    const cell = (/** @type {SliceValue} */ value) =>
      name === "row" ? cellOf(data, value, ALL) : cellOf(data, ALL, value);
    const shown = valuesShown(values, {
      find: find.value,
      all,
      most: MANY[name],
      size: (value) => cell(value)?.utterances ?? 0,
      label: (value) => `${nameOf(value)} ${data.names[value ?? ""] ?? ""}`,
      keep: opened[name],
    });
    const others = values.length - 1 - MANY[name];
    element.hidden = others <= 0;
    find.placeholder = words.findIn(title);
    find.setAttribute("aria-label", words.findIn(title));
    more.hidden = Boolean(find.value.trim());
    more.textContent = all ? words.largestOnly(MANY[name]) : words.andOthers(count(values.length - shown.length));
    return shown;
  }

  /** @param {KeyboardEvent} event */
  move(event) {
    const at = event.target instanceof Element ? event.target.closest("td") : null;
    const step = STEPS[event.key];
    if (!at || !step) return;
    event.preventDefault();
    event.stopPropagation();
    /** @type {Element | null} */
    let line = at.parentElement;
    let place = at.cellIndex;
    for (;;) {
      if (step[0]) line = (step[0] < 0 ? line?.previousElementSibling : line?.nextElementSibling) ?? null;
      place += step[1];
      const cell = line instanceof HTMLTableRowElement ? line.cells[place] : null;
      if (!cell) return;
      const button = cell.querySelector("button");
      if (!button) continue;
      for (const other of this.table.querySelectorAll("button")) other.tabIndex = -1;
      button.tabIndex = 0;
      button.focus();
      return;
    }
  }

  /** Put the focus on the cell that is open, or on the first. */
  focus() {
    /** @type {HTMLElement | null} */ (this.table.querySelector("button[tabindex='0']"))?.focus();
  }

  /** @param {HeatMapData} data @param {OpenedCell} opened */
  show(data, opened) {
    this.data = data;
    this.opened = opened;
    this.draw();
  }

  draw() {
    const { data, opened, table } = this;
    if (!data) return;
    const compared = Boolean(data.choice.against);
    const top = scale(data, compared);
    const held = /** @type {HTMLElement} */ (document.activeElement);
    const focused = table.contains(held) ? { ...held.dataset } : null;
    const rows = this.values(data, "row", data.rows);
    const columns = this.values(data, "column", data.columns);
    const corner = h("td", { class: "nwb-map-corner" }, named(words.span, data.choice.row));
    const heads = columns.map((column) => h("th", { scope: "col", dir: "auto" }, nameOf(column)));
    const how = { compared, top, opened, open: this.open };
    const line = (/** @type {SliceValue} */ row) =>
      h("tr", {}, rowHead(data, row), ...columns.map((column) => cellElement(data, row, column, how)));
    fill(table, h("thead", {}, h("tr", {}, corner, ...heads)), h("tbody", {}, ...rows.map(line)));
    const buttons = [...table.querySelectorAll("button")];
    const same =
      focused && buttons.find(({ dataset }) => dataset.row === focused.row && dataset.column === focused.column);
    const pressed = buttons.find((button) => button.getAttribute("aria-pressed") === "true");
    /** @type {HTMLButtonElement | undefined} */
    const first = same || pressed || buttons[0];
    if (first) first.tabIndex = 0;
    if (focused) first?.focus({ preventScroll: true });
    fill(this.legend, ...legendItems(compared, top, data));
  }
}

/** @param {HeatMapData} data @param {SliceValue} row */
function rowHead(data, row) {
  const known = data.names[row ?? ""] ?? "";
  const name = known ? h("span", { class: "nwb-map-name" }, known) : null;
  return h("th", { scope: "row", title: known }, h("bdi", {}, nameOf(row)), name);
}

/**
 * The rate that takes the deepest color: the worst cell with enough data, at least 20 points.
 * @param {HeatMapData} data
 * @param {boolean} compared
 */
function scale(data, compared) {
  const cells = Object.values(data.cells).filter((cell) => cell.enough !== "no");
  const values = cells.map((cell) => Math.abs((compared ? cell.difference : cell.rate) ?? 0));
  return Math.max(compared ? 0.05 : 0.2, ...values);
}

/** @param {HeatCell} cell @param {number | null} value @param {boolean} compared */
function kindOf(cell, value, compared) {
  if (cell.enough === "no" || value === null) return "gray";
  return compared ? cell.way : "heat"; // a direction only where the interval excludes zero
}

/**
 * @param {HeatMapData} data
 * @param {SliceValue} row
 * @param {SliceValue} column
 * @param {{ compared: boolean, top: number, opened: OpenedCell, open: Open }} how
 */
function cellElement(data, row, column, { compared, top, opened, open }) {
  const cell = cellOf(data, row, column);
  if (!cell) return h("td", { class: "nwb-map-none" }, h("span", { "aria-hidden": "true" }, "·"));
  const value = compared ? cell.difference : cell.rate;
  const depth = value === null ? 0 : Math.min(1, Math.abs(value) / top);
  const kind = kindOf(cell, value, compared);
  const confounded = cell.confounded.length > 0;
  const few = cell.enough === "no" || value === null;
  const pressed = opened.row === cell.row && opened.column === cell.column;
  const glyph = kind === "good" ? "▼ " : kind === "bad" ? "▲ " : "";
  const soft = cell.enough === "provisional" && value !== null;
  return h(
    "td",
    { class: row === ALL || column === ALL ? "nwb-map-margin" : "" },
    h(
      "button",
      {
        type: "button",
        tabindex: "-1",
        class: `nwb-cell nwb-cell-${kind} ${few ? "nwb-few" : ""} ${soft ? "nwb-soft" : ""}`,
        style: { "--depth": `${Math.round(8 + 50 * depth)}%` },
        "aria-pressed": String(pressed),
        "aria-label": `${cell.sentence}${confounded ? `; ${cell.confounded[0]}` : ""}`,
        title: [cell.sentence, ...cell.confounded, cell.interval_kind && words.interval(cell.interval_kind)]
          .filter(Boolean)
          .join("\n"),
        dataset: { testid: "cell", row: row ?? "", column: column ?? "" },
        onclick: () => open(cell.row, cell.column),
      },
      h(
        "span",
        { class: "nwb-cell-rate" },
        glyph,
        value === null ? "–" : signed(100 * value, compared),
        confounded ? h("span", { class: "nwb-cell-mark", "aria-hidden": "true" }, ` ${words.confoundedMark}`) : null,
      ),
      h(
        "span",
        { class: "nwb-cell-span" },
        cell.low === null || cell.high === null || value === null
          ? " "
          : `±${(50 * (cell.high - cell.low)).toFixed(1)}`,
      ),
      h("span", { class: "nwb-cell-n" }, words.size(cell.utterances ?? 0, cell.speakers)),
    ),
  );
}

const signed = (/** @type {number} */ value, /** @type {boolean} */ sign) =>
  `${sign && value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(1)}`;

/** @param {boolean} compared @param {number} top @param {HeatMapData} data */
function legendItems(compared, top, data) {
  const item = (/** @type {string} */ name, /** @type {string} */ text) =>
    h(
      "span",
      { class: "nwb-legend-item" },
      h("i", { class: `nwb-swatch nwb-swatch-${name}`, "aria-hidden": "true" }),
      text,
    );
  const ends = (100 * top).toFixed(0);
  const ramp = compared
    ? [item("good", words.legendBetter), item("bad", words.legendWorse(ends))]
    : [item("heat", words.legendHeat(ends))];
  const some = (/** @type {(cell: HeatCell) => boolean} */ test) => Object.values(data.cells).some(test);
  return [
    ...ramp,
    compared && some((cell) => cell.enough !== "no" && cell.way === "gray") ? item("gray", words.legendUnclear) : null,
    some((cell) => cell.enough === "provisional") ? item("soft", words.provisional) : null,
    some((cell) => cell.enough === "no") ? item("few", words.tooLittle) : null,
    some((cell) => cell.confounded.length > 0) ? h("span", { class: "nwb-legend-item" }, words.legendConfounded) : null,
    h("span", { class: "nwb-muted" }, words.legendUnits((100 * data.confidence).toFixed(0))),
  ];
}
