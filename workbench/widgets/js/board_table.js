// The clips as a grid that holds only the rows in sight; pages come from the kernel as they are scrolled to.
//
//   const table = new Table({ fetchRows: async (offset, limit) => rows, onSelect(place), onSort(name), onColumn });
//   table.reset(total); table.select(place); table.update(row); table.row(place); table.setSort(name, descending)
/**
 * @import { IconName } from "./dom.js"
 * @import { BoardColumn, Clip, Details, Measure, Opinion, Row } from "./messages.d.ts"
 * @import { Child } from "./page.d.ts"
 */
import { clock, count, fill, h, icon, perFrame, set } from "./dom.js";
import { named, board as words } from "./strings.js";

const ROW = 34; // pixels, as in board.css
const PAGE = 100;
const PAGES_KEPT = 40;
const SPARE = 6;
/** @type {BoardColumn[]} */
const COLUMNS = ["status", "place", "text", "target_lang", "accent", "speaker", "duration", "findings"];
/** @type {Measure[]} */
const MEASURES = [
  "wer",
  "cer",
  "substitutions",
  "insertions",
  "deletions",
  "confidence",
  "low_confidence",
  "difference",
];
/** @type {Measure[]} */
const FEW_MEASURES = ["wer", "confidence"]; // those shown in a narrow window; as in board.css
/** @type {Set<BoardColumn>} */
const FILTERED = new Set(["text", "target_lang", "accent", "speaker", "duration"]);
const SORTABLE = new Set([...FILTERED, ...MEASURES]);
/** @type {{ [status: string]: IconName | undefined }} */
const STATUS_ICON = { accepted: "check", rejected: "cross" };
let serial = 0;

export class Table {
  /**
   * @param {object} options
   * @param {(offset: number, limit: number) => Promise<Row[]>} options.fetchRows
   * @param {(place: number) => void} options.onSelect
   * @param {(column: string) => void} options.onSort
   * @param {(column: string, text: string) => void} options.onColumn what stands in the filter of a column
   */
  constructor({ fetchRows, onSelect, onSort, onColumn }) {
    this.fetchRows = fetchRows;
    this.onSelect = onSelect;
    this.onSort = onSort;
    this.onColumn = onColumn;
    serial += 1;
    this.prefix = `nwb-row-${serial}-`;
    /** @type {Map<number, Row[] | Promise<unknown>>} page number → rows, or a promise of them */
    this.pages = new Map();
    /** @type {Map<number, HTMLElement>} place → element */
    this.shown = new Map();
    this.total = 0;
    this.generation = 0;
    this.selected = -1;
    /** @type {Measure[]} */
    this.measures = [];
    this.build();
  }

  build() {
    const draw = perFrame(() => this.draw());
    /** @type {HTMLDivElement} */
    this.header = h("div", { class: "nwb-tr nwb-th", role: "row", "aria-rowindex": 1 });
    /** @type {HTMLDivElement} */
    this.filters = h("div", { class: "nwb-tr nwb-th nwb-column-filters", role: "row", hidden: true });
    /** @type {HTMLDivElement} */
    this.body = h("div", { class: "nwb-tbody", role: "rowgroup" });
    /** @type {HTMLDivElement} */
    this.note = h("div", { class: "nwb-table-note", hidden: true });
    /** @type {HTMLDivElement} */
    this.element = h(
      "div",
      {
        class: "nwb-grid",
        role: "grid",
        tabindex: 0,
        "aria-label": words.table,
        dataset: { testid: "board-grid" },
        onscroll: draw,
      },
      h("div", { role: "rowgroup", class: "nwb-thead" }, this.header, this.filters),
      this.body,
      this.note,
    );
    new ResizeObserver(draw).observe(this.element);
    /** @type {Map<BoardColumn, HTMLElement>} */
    this.heads = new Map();
    this.setMeasures([]);
    fill(this.filters, ...COLUMNS.map((name) => this.filterCell(name)));
  }

  /** @returns {BoardColumn[]} */
  get columns() {
    return [...COLUMNS.slice(0, -1), ...this.measures, "findings"];
  }

  /** Which figures of a model stand in the table. @param {Measure[]} names */
  setMeasures(names) {
    const wanted = MEASURES.filter((name) => names.includes(name));
    if (this.heads.size && wanted.join() === this.measures.join()) return;
    this.measures = wanted;
    const room = (/** @type {Measure[]} */ names) => (names.length ? `repeat(${names.length}, 58px)` : "");
    const few = wanted.filter((name) => FEW_MEASURES.includes(name));
    set(this.element, { style: { "--nwb-all-measures": room(wanted), "--nwb-few-measures": room(few) } });
    this.element.dataset.measures = String(wanted.length);
    this.heads = new Map(this.columns.map((name) => [name, headCell(name, this.onSort)]));
    fill(this.header, ...this.heads.values());
    for (const place of [...this.shown.keys()]) this.redraw(place);
  }

  /** @param {BoardColumn} name */
  filterCell(name) {
    const cell = h("div", { class: `nwb-td nwb-td-${name}`, role: "gridcell" });
    if (!FILTERED.has(name)) return cell;
    const label = words.columnFilter(words.head[name]);
    /** @type {HTMLInputElement} */
    const input = h("input", {
      class: "nwb-input",
      "aria-label": label,
      title: name === "duration" ? words.lengthFilterHint : label,
      placeholder: name === "duration" ? "> 2" : "",
      dataset: { testid: `board-column-${name}` },
      onchange: () => this.onColumn(name, input.value.trim()),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        event.stopPropagation();
        if (event.key === "Escape") input.value = "";
        if (event.key === "Enter" || event.key === "Escape") this.onColumn(name, input.value.trim());
      },
    });
    cell.append(input);
    return cell;
  }

  /** Show or hide the filters under the heads. */
  toggleFilters(on = this.filters.hidden) {
    this.filters.hidden = !on;
    return on;
  }

  /** @param {Record<string, string>} texts what is filtered now */
  setFilters(texts) {
    for (const input of this.filters.querySelectorAll("input")) {
      const name = (input.dataset.testid ?? "").replace("board-column-", "");
      if (document.activeElement !== input) input.value = texts[name] ?? "";
    }
    if (Object.values(texts).some(Boolean)) this.toggleFilters(true);
  }

  /** @param {number} n clips of the view */
  reset(n, emptyNote = words.empty) {
    this.generation += 1;
    this.total = n;
    this.pages.clear();
    this.shown.clear();
    this.body.replaceChildren();
    this.body.style.height = `${n * ROW}px`;
    this.selected = -1;
    this.note.hidden = n > 0;
    this.note.textContent = emptyNote;
    set(this.element, { "aria-rowcount": n + 1, "aria-activedescendant": null });
    this.draw();
  }

  /** @param {number} place */
  row(place) {
    const page = this.pages.get(Math.floor(place / PAGE));
    return Array.isArray(page) ? page[place % PAGE] : undefined;
  }

  /** @param {number} page */
  need(page) {
    if (this.pages.has(page)) return;
    const turn = this.generation;
    const promise = this.fetchRows(page * PAGE, PAGE)
      .then((rows) => {
        if (turn !== this.generation) return;
        this.pages.set(page, rows);
        if (this.pages.size > PAGES_KEPT) this.forget(page);
        this.draw();
      })
      .catch(() => turn === this.generation && this.pages.delete(page));
    this.pages.set(page, promise);
  }

  /** @param {number} near a page */
  forget(near) {
    const far = [...this.pages.keys()].sort((a, b) => Math.abs(b - near) - Math.abs(a - near));
    for (const page of far.slice(0, this.pages.size - PAGES_KEPT)) this.pages.delete(page);
  }

  draw() {
    const { clientHeight, scrollTop } = this.element;
    if (!clientHeight) return; // not on screen; the observer calls again
    const first = Math.max(0, Math.floor(scrollTop / ROW) - SPARE);
    const last = Math.min(this.total, Math.ceil((scrollTop + clientHeight) / ROW) + SPARE);
    for (const [place, el] of this.shown) {
      if (place < first || place >= last) {
        el.remove();
        this.shown.delete(place);
      }
    }
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) this.need(page);
    for (let place = first; place < last; place += 1) this.drawRow(place);
  }

  /** @param {number} place */
  drawRow(place) {
    const data = this.row(place);
    const el = this.shown.get(place);
    if (el && (el.dataset.full === "1" || !data)) return;
    const fresh = this.rowElement(place, data);
    if (el) el.replaceWith(fresh);
    else this.body.append(fresh);
    this.shown.set(place, fresh);
  }

  /** @param {number} place @param {Row | undefined} data not there yet */
  rowElement(place, data) {
    const el = h("div", {
      id: this.prefix + place,
      class: "nwb-tr",
      role: "row",
      "aria-rowindex": place + 2,
      "aria-selected": String(place === this.selected),
      style: { transform: `translateY(${place * ROW}px)` },
      dataset: { full: data ? "1" : "0", status: data?.status ?? "", place: String(place) },
      onclick: () => this.onSelect(place),
    });
    if (data) el.append(...cells(place, data, this.measures));
    else
      el.append(
        h("div", { role: "gridcell", class: "nwb-td nwb-td-place nwb-muted" }, count(place + 1)),
        h("div", { role: "gridcell", class: "nwb-td nwb-skeleton" }),
      );
    return el;
  }

  /** @param {number} place */
  select(place, { scroll = true } = {}) {
    const old = this.shown.get(this.selected);
    if (old) set(old, { "aria-selected": "false" });
    this.selected = place;
    if (place < 0) return;
    if (scroll) this.reveal(place);
    this.draw();
    const el = this.shown.get(place);
    if (el) set(el, { "aria-selected": "true" });
    set(this.element, { "aria-activedescendant": this.prefix + place });
  }

  /** @param {number} place */
  reveal(place) {
    const top = place * ROW;
    const room = this.element.clientHeight - ROW; // the header sticks
    if (top < this.element.scrollTop) this.element.scrollTop = Math.max(0, top - ROW);
    else if (top + ROW > this.element.scrollTop + room) this.element.scrollTop = top + 2 * ROW - room;
  }

  /** Take a row's new state, wherever it is held. @param {Details} data */
  update(data) {
    for (const [page, rows] of this.pages) {
      if (!Array.isArray(rows)) continue;
      const at = rows.findIndex((row) => row.id === data.id);
      if (at < 0) continue;
      rows[at] = { ...rows[at], ...shared(data) };
      this.redraw(page * PAGE + at);
    }
  }

  /** @param {number} place */
  redraw(place) {
    const el = this.shown.get(place);
    if (!el) return;
    const fresh = this.rowElement(place, this.row(place));
    el.replaceWith(fresh);
    this.shown.set(place, fresh);
  }

  /** After changes elsewhere: fetch again the pages in sight; the others are fetched when they come into it. */
  async reload() {
    const turn = this.generation;
    const inSight = new Set([...this.shown.keys()].map((place) => Math.floor(place / PAGE)));
    for (const page of [...this.pages.keys()]) if (!inSight.has(page)) this.pages.delete(page);
    for (const page of inSight) {
      const rows = await this.fetchRows(page * PAGE, PAGE);
      if (turn !== this.generation) return;
      this.pages.set(page, rows);
    }
    for (const place of [...this.shown.keys()]) this.redraw(place);
  }

  /** @param {string} name @param {boolean} descending */
  setSort(name, descending) {
    for (const [column, cell] of this.heads) {
      const on = column === name;
      const order = descending ? "descending" : "ascending";
      set(cell, { "aria-sort": on ? order : SORTABLE.has(column) ? "none" : null });
      const arrow = cell.querySelector(".nwb-sort");
      if (arrow) fill(arrow, on ? icon(descending ? "down" : "up", 11) : null);
    }
  }

  pageSize() {
    return Math.max(1, Math.floor(this.element.clientHeight / ROW) - 2);
  }

  focus() {
    this.element.focus({ preventScroll: true });
  }
}

/** What details say that the table says too. @param {Details} data */
export function shared({ text, target_lang, accent, speaker, duration, status, reason, tags, edited, ...more }) {
  const { findings, others, dispute, measures, missing } = more;
  const said = { findings, others, dispute, measures, missing };
  return { text, target_lang, accent, speaker, duration, status, reason, tags, edited, ...said };
}

/** @param {BoardColumn} name @param {(column: string) => void} onSort */
function headCell(name, onSort) {
  const label = words.head[name];
  if (!SORTABLE.has(name))
    return h(
      "div",
      { class: `nwb-td nwb-td-${name}`, role: "columnheader" },
      label || h("span", { class: "nwb-sr" }, words.statusLabel),
    );
  return h(
    "div",
    { class: `nwb-td nwb-td-${name}`, role: "columnheader", "aria-sort": "none" },
    h(
      "button",
      { type: "button", class: "nwb-sort-btn", title: words.sortBy(label), onclick: () => onSort(name) },
      label,
      h("span", { class: "nwb-sort" }),
    ),
  );
}

/** @param {number} place @param {Row} row @param {Measure[]} measures */
function cells(place, row, measures) {
  const cell = (/** @type {BoardColumn} */ name, /** @type {Child[]} */ ...children) =>
    h("div", { class: `nwb-td nwb-td-${name}`, role: "gridcell" }, ...children);
  const edited = row.edited ? h("span", { class: "nwb-edited", title: words.edited }, icon("pencil", 12)) : null;
  const figure = (/** @type {Measure} */ name) => cell(name, words.measure(name, row.measures?.[name]));
  return [
    cell("status", statusMark(row)),
    cell("place", count(place + 1)),
    cell("text", edited, text(row)),
    cell("target_lang", h("bdi", {}, row.target_lang ?? "–")),
    cell("accent", h("bdi", {}, row.accent ?? "–")),
    cell("speaker", h("bdi", {}, row.speaker ?? "–")),
    cell("duration", clock(row.duration, 1)),
    ...measures.map(figure),
    cell("findings", ...marks(row)),
  ];
}

/** @param {Row} row */
function statusMark(row) {
  const title = row.status === "rejected" ? `${words.status.rejected}: ${row.reason ?? ""}` : words.status[row.status];
  const picture = STATUS_ICON[row.status];
  const mark = picture ? icon(picture, 14) : h("span", { class: "nwb-ring" });
  const said = h("span", { class: "nwb-sr" }, words.status[row.status] ?? "");
  return h("span", { class: "nwb-status", title: title ?? "" }, mark, said);
}

/** @type {{ [severity: string]: string | undefined }} */
const TONES = { error: "nwb-bad", warning: "nwb-warn" };

/**
 * @param {string} tone
 * @param {string} title
 * @param {IconName} mark
 * @param {Child} text
 * @param {Child} [more]
 * @param {string} [testid]
 */
const tag = (tone, title, mark, text, more, testid) =>
  h(
    "span",
    { class: `nwb-tag ${tone}`, title, dataset: testid ? { testid } : {} },
    icon(mark, 12),
    h("span", { class: "nwb-tag-text" }, text),
    more,
  );

/**
 * A missing file, tags, the worst finding with the number of others, and what other reviewers said.
 * @param {Row} row
 */
function marks(row) {
  const [worst, ...more] = row.findings ?? [];
  const tone = TONES[worst?.severity] ?? "";
  const reasons = (row.findings ?? []).map((found) => found.reason).join("\n");
  const found = worst
    ? tag(
        tone,
        reasons,
        worst.severity === "error" ? "warn" : "info",
        ruleName(worst.rule),
        more.length ? h("span", { class: "nwb-tag-more" }, `+${more.length}`) : null,
      )
    : null;
  const others = reviewers(row);
  const tags = (row.tags ?? []).map((name) =>
    tag("nwb-accent", name, "flag", h("bdi", {}, name), null, "board-row-tag"),
  );
  const missing = row.missing ? tag("nwb-bad", words.missingFile, "warn", words.missing, null, "board-missing") : null;
  return [missing, ...tags, found, ...others].filter(Boolean);
}

/** Who else decided: one by name, several by their number; where they differ, that is said. @param {Clip} row */
function reviewers(row) {
  const others = row.others ?? [];
  if (!others.length) return [];
  const differ = others.some((other) => other.differs) || Boolean(row.dispute?.length);
  const title = others
    .map((other) => `${words.othersSay(other.reviewer, saying(other))}${other.differs ? ` (${words.differs})` : ""}`)
    .join("\n");
  const names = [...new Set(others.map((other) => other.reviewer))];
  const text = names.length === 1 ? h("bdi", {}, names[0]) : String(names.length);
  return [tag(differ ? "nwb-tag-other nwb-warn" : "nwb-tag-other", title, differ ? "warn" : "person", text)];
}

export const ruleName = (/** @type {string} */ rule) =>
  String(rule ?? "")
    .replaceAll("_", " ")
    .replaceAll("-", " ")
    .replaceAll(".", " · ");

/** @type {{ [field: string]: string | undefined }} */
const FIELDS = words.fields;

/** What a field is called. */
export const fieldOf = (/** @type {string} */ field) => FIELDS[field] ?? words.transcript;

/** What a reviewer said of a field. @param {Pick<Opinion, "field" | "value" | "reason">} other */
export function saying({ field, value, reason }) {
  if (field === "status") return [named(words.status, value ?? ""), reason].filter(Boolean).join(": ");
  return `${fieldOf(field)}: ${value ?? words.none}`;
}

/** The transcript of a row; a draft, which is none yet, stands apart. @param {Row} row */
function text(row) {
  const draft = row.text ? "" : (row.draft_text ?? "");
  const said = row.text || draft;
  return h("span", { class: `nwb-clip-text${draft ? " nwb-clip-draft" : ""}`, dir: "auto", title: said }, said);
}
