// The heat map: an accessible table whose cells are buttons. Arrow keys move, Enter opens.
//
//   const map = createHeatMap({ open(row, column) });    map.show(data, opened);    map.element
import { fill, h } from "./dom.js";
import { explorer as words } from "./strings.js";

export const ALL = "∑";
export const nameOf = (value) =>
  value === ALL ? words.all : value === null || value === undefined ? words.notStated : value;
export const cellOf = (data, row, column) => data.cells[`${row ?? ""}\n${column ?? ""}`];

export function createHeatMap({ open }) {
  const table = h("table", {
    class: "nwb-map",
    "aria-label": words.map,
    dataset: { testid: "heatmap" },
    onkeydown: (event) => move(event),
  });
  const legend = h("div", { class: "nwb-legend" });
  const element = h("div", {}, h("div", { class: "nwb-map-scroll" }, table), legend);

  function move(event) {
    const at = event.target.closest("td");
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!at || !step) return;
    event.preventDefault();
    event.stopPropagation();
    let [line, place] = [at.parentElement, at.cellIndex];
    for (;;) {
      line = step[0] < 0 ? line.previousElementSibling : step[0] > 0 ? line.nextElementSibling : line;
      place += step[1];
      const cell = line?.cells[place];
      if (!cell) return;
      const button = cell.querySelector("button");
      if (button) {
        for (const other of table.querySelectorAll("button")) other.tabIndex = -1;
        button.tabIndex = 0;
        button.focus();
        return;
      }
    }
  }

  return {
    element,
    /** Put the focus on the cell that is open, or on the first. */
    focus: () => table.querySelector("button[tabindex='0']")?.focus(),
    show(data, opened) {
      const compared = Boolean(data.choice.against);
      const top = scale(data, compared);
      const focused = table.contains(document.activeElement) ? { ...document.activeElement.dataset } : null;
      fill(
        table,
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("td", { class: "nwb-map-corner" }, words.span[data.choice.row] ?? data.choice.row),
            ...data.columns.map((column) => h("th", { scope: "col", dir: "auto" }, nameOf(column))),
          ),
        ),
        h(
          "tbody",
          {},
          ...data.rows.map((row) =>
            h(
              "tr",
              {},
              h(
                "th",
                { scope: "row", title: data.names[row] ?? "" },
                h("bdi", {}, nameOf(row)),
                data.names[row] ? h("span", { class: "nwb-map-name" }, data.names[row]) : null,
              ),
              ...data.columns.map((column) => cellElement(data, row, column, { compared, top, opened, open })),
            ),
          ),
        ),
      );
      const buttons = [...table.querySelectorAll("button")];
      const same =
        focused && buttons.find(({ dataset }) => dataset.row === focused.row && dataset.column === focused.column);
      const first = same || table.querySelector("button[aria-pressed=true]") || buttons[0];
      if (first) first.tabIndex = 0;
      if (focused) first?.focus({ preventScroll: true });
      fill(legend, ...legendItems(compared, top, data));
    },
  };
}

/** The rate that takes the deepest color: the worst cell with enough data, at least 20 points. */
function scale(data, compared) {
  const cells = Object.values(data.cells).filter((cell) => cell.enough !== "no");
  const values = cells.map((cell) => Math.abs((compared ? cell.difference : cell.rate) ?? 0));
  return Math.max(compared ? 0.05 : 0.2, ...values);
}

function cellElement(data, row, column, { compared, top, opened, open }) {
  const cell = cellOf(data, row, column);
  if (!cell) return h("td", { class: "nwb-map-none" }, h("span", { "aria-hidden": "true" }, "·"));
  const value = compared ? cell.difference : cell.rate;
  const depth = value === null ? 0 : Math.min(1, Math.abs(value) / top);
  const kind =
    cell.enough === "no" || value === null
      ? "gray"
      : !compared
        ? "heat"
        : value < 0
          ? "good"
          : value > 0
            ? "bad"
            : "gray";
  const hatched = cell.confounded.length > 0;
  const pressed = opened.row === cell.row && opened.column === cell.column && "row" in opened;
  const glyph = compared && value ? (value < 0 ? "▼ " : "▲ ") : "";
  const soft = cell.enough === "provisional" && value !== null;
  return h(
    "td",
    { class: row === ALL || column === ALL ? "nwb-map-margin" : "" },
    h(
      "button",
      {
        type: "button",
        tabindex: "-1",
        class: `nwb-cell nwb-cell-${kind} ${hatched ? "nwb-hatched" : ""} ${soft ? "nwb-soft" : ""}`,
        style: { "--depth": `${Math.round(8 + 50 * depth)}%` },
        "aria-pressed": String(pressed),
        "aria-label": `${cell.sentence}${hatched ? `; ${cell.confounded[0]}` : ""}`,
        title: [cell.sentence, ...cell.confounded, cell.interval_kind && words.interval(cell.interval_kind)]
          .filter(Boolean)
          .join("\n"),
        dataset: { testid: "cell", row: row ?? "", column: column ?? "" },
        onclick: () => open(cell.row, cell.column),
      },
      h("span", { class: "nwb-cell-rate" }, glyph, value === null ? "–" : signed(100 * value, compared)),
      h(
        "span",
        { class: "nwb-cell-span" },
        cell.low === null || value === null ? " " : `±${(50 * (cell.high - cell.low)).toFixed(1)}`,
      ),
      h("span", { class: "nwb-cell-n" }, words.size(cell.utterances ?? 0, cell.speakers)),
    ),
  );
}

const signed = (value, sign) => `${sign && value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(1)}`;

function legendItems(compared, top, data) {
  const item = (name, text) =>
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
  const some = (test) => Object.values(data.cells).some(test);
  return [
    ...ramp,
    some((cell) => cell.enough === "provisional") ? item("soft", words.provisional) : null,
    some((cell) => cell.enough === "no") ? item("gray", words.tooLittle) : null,
    some((cell) => cell.confounded.length) ? item("hatched", words.legendHatched) : null,
    h("span", { class: "nwb-muted" }, words.legendUnits),
  ];
}
