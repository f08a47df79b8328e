// The clips as a grid that holds only the rows in sight; pages come from the kernel as they are scrolled to.
//
//   const table = createTable({ fetchRows: async (offset, limit) => rows, onSelect(place), onSort(column) });
//   table.reset(total); table.select(place); table.update(row); table.row(place); table.setSort(name, descending)
import { clock, count, fill, h, icon, perFrame, set } from "./dom.js";
import { board as words } from "./strings.js";

const ROW = 34; // pixels, as in board.css
const PAGE = 100;
const PAGES_KEPT = 40;
const SPARE = 6;
const COLUMNS = ["status", "place", "text", "target_lang", "accent", "speaker", "duration", "findings"];
const SORTABLE = new Set(["text", "target_lang", "accent", "speaker", "duration"]);
const STATUS_ICON = { accepted: "check", rejected: "cross", pending: null };
let serial = 0;

export function createTable({ fetchRows, onSelect, onSort }) {
  const prefix = `nwb-row-${(serial += 1)}-`;
  const pages = new Map(); // page number → rows, or a promise of them
  const shown = new Map(); // place → element
  let total = 0;
  let generation = 0;
  let selected = -1;

  const heads = new Map(COLUMNS.map((name) => [name, headCell(name, onSort)]));
  const header = h("div", { class: "nwb-tr nwb-th", role: "row", "aria-rowindex": 1 }, ...heads.values());
  const body = h("div", { class: "nwb-tbody", role: "rowgroup" });
  const note = h("div", { class: "nwb-table-note", hidden: true });
  const scroller = h(
    "div",
    {
      class: "nwb-grid",
      role: "grid",
      tabindex: 0,
      "aria-label": words.table,
      dataset: { testid: "board-grid" },
      onscroll: perFrame(draw),
    },
    h("div", { role: "rowgroup", class: "nwb-thead" }, header),
    body,
    note,
  );
  new ResizeObserver(perFrame(draw)).observe(scroller);

  function reset(n, emptyNote = words.empty) {
    generation += 1;
    total = n;
    pages.clear();
    shown.clear();
    body.replaceChildren();
    body.style.height = `${total * ROW}px`;
    selected = -1;
    note.hidden = total > 0;
    note.textContent = emptyNote;
    set(scroller, { "aria-rowcount": total + 1, "aria-activedescendant": null });
    draw();
  }

  function row(place) {
    const page = pages.get(Math.floor(place / PAGE));
    return Array.isArray(page) ? page[place % PAGE] : undefined;
  }

  function need(page) {
    if (pages.has(page)) return;
    const turn = generation;
    const promise = fetchRows(page * PAGE, PAGE)
      .then((rows) => {
        if (turn !== generation) return;
        pages.set(page, rows);
        if (pages.size > PAGES_KEPT) forget(page);
        draw();
      })
      .catch(() => turn === generation && pages.delete(page));
    pages.set(page, promise);
  }

  function forget(near) {
    const far = [...pages.keys()].sort((a, b) => Math.abs(b - near) - Math.abs(a - near));
    for (const page of far.slice(0, pages.size - PAGES_KEPT)) pages.delete(page);
  }

  function draw() {
    if (!scroller.clientHeight) return; // not on screen; the observer calls again
    const first = Math.max(0, Math.floor(scroller.scrollTop / ROW) - SPARE);
    const last = Math.min(total, Math.ceil((scroller.scrollTop + scroller.clientHeight) / ROW) + SPARE);
    for (const [place, el] of shown) {
      if (place < first || place >= last) {
        el.remove();
        shown.delete(place);
      }
    }
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) need(page);
    for (let place = first; place < last; place += 1) {
      const data = row(place);
      const el = shown.get(place);
      if (el && (el.dataset.full === "1" || !data)) continue;
      const fresh = rowElement(place, data);
      if (el) el.replaceWith(fresh);
      else body.append(fresh);
      shown.set(place, fresh);
    }
  }

  function rowElement(place, data) {
    const el = h("div", {
      id: prefix + place,
      class: "nwb-tr",
      role: "row",
      "aria-rowindex": place + 2,
      "aria-selected": String(place === selected),
      style: { transform: `translateY(${place * ROW}px)` },
      dataset: { full: data ? "1" : "0", status: data?.status ?? "", place: String(place) },
      onclick: () => onSelect(place),
    });
    if (data) el.append(...cells(place, data));
    else
      el.append(
        h("div", { role: "gridcell", class: "nwb-td nwb-td-place nwb-muted" }, count(place + 1)),
        h("div", { role: "gridcell", class: "nwb-td nwb-skeleton" }),
      );
    return el;
  }

  function select(place, { scroll = true } = {}) {
    const old = shown.get(selected);
    if (old) set(old, { "aria-selected": "false" });
    selected = place;
    if (place < 0) return;
    if (scroll) reveal(place);
    draw();
    const el = shown.get(place);
    if (el) set(el, { "aria-selected": "true" });
    set(scroller, { "aria-activedescendant": prefix + place });
  }

  function reveal(place) {
    const top = place * ROW;
    const room = scroller.clientHeight - ROW; // the header sticks
    if (top < scroller.scrollTop) scroller.scrollTop = Math.max(0, top - ROW);
    else if (top + ROW > scroller.scrollTop + room) scroller.scrollTop = top + 2 * ROW - room;
  }

  /** Take a row's new state, wherever it is held. */
  function update(data) {
    for (const [page, rows] of pages) {
      if (!Array.isArray(rows)) continue;
      const at = rows.findIndex((r) => r.id === data.id);
      if (at < 0) continue;
      rows[at] = { ...rows[at], ...pick(data), place: rows[at].place };
      redraw(page * PAGE + at);
    }
  }

  function redraw(place) {
    const el = shown.get(place);
    if (!el) return;
    const fresh = rowElement(place, row(place));
    el.replaceWith(fresh);
    shown.set(place, fresh);
  }

  /** After changes elsewhere: fetch again the pages in sight; the others are fetched when they come into it. */
  async function reload() {
    const turn = generation;
    const inSight = new Set([...shown.keys()].map((place) => Math.floor(place / PAGE)));
    for (const page of [...pages.keys()]) if (!inSight.has(page)) pages.delete(page);
    for (const page of inSight) {
      const rows = await fetchRows(page * PAGE, PAGE);
      if (turn !== generation) return;
      pages.set(page, rows);
    }
    for (const place of [...shown.keys()]) redraw(place);
  }

  function setSort(name, descending) {
    for (const [column, cell] of heads) {
      const on = column === name;
      set(cell, { "aria-sort": on ? (descending ? "descending" : "ascending") : SORTABLE.has(column) ? "none" : null });
      const arrow = cell.querySelector(".nwb-sort");
      if (arrow) fill(arrow, on ? icon(descending ? "down" : "up", 11) : null);
    }
  }

  const pageSize = () => Math.max(1, Math.floor(scroller.clientHeight / ROW) - 2);
  return {
    element: scroller,
    reset,
    select,
    update,
    reload,
    row,
    setSort,
    pageSize,
    focus: () => scroller.focus({ preventScroll: true }),
    get total() {
      return total;
    },
    get selected() {
      return selected;
    },
  };
}

const pick = (data) =>
  Object.fromEntries(
    [
      "text",
      "target_lang",
      "accent",
      "speaker",
      "duration",
      "status",
      "reason",
      "tags",
      "edited",
      "findings",
      "others",
    ].map((k) => [k, data[k]]),
  );

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

function cells(place, row) {
  const cell = (name, ...children) => h("div", { class: `nwb-td nwb-td-${name}`, role: "gridcell" }, ...children);
  const status = h(
    "span",
    {
      class: "nwb-status",
      title:
        row.status === "rejected" ? `${words.status.rejected}: ${row.reason ?? ""}` : (words.status[row.status] ?? ""),
    },
    STATUS_ICON[row.status] ? icon(STATUS_ICON[row.status], 14) : h("span", { class: "nwb-ring" }),
    h("span", { class: "nwb-sr" }, words.status[row.status] ?? ""),
  );
  return [
    cell("status", status),
    cell("place", count(place + 1)),
    cell(
      "text",
      row.edited ? h("span", { class: "nwb-edited", title: words.edited }, icon("pencil", 12)) : null,
      h("span", { class: "nwb-clip-text", dir: "auto", title: row.text ?? "" }, row.text ?? ""),
    ),
    cell("target_lang", h("bdi", {}, row.target_lang ?? "–")),
    cell("accent", h("bdi", {}, row.accent ?? "–")),
    cell("speaker", h("bdi", {}, row.speaker ?? "–")),
    cell("duration", clock(row.duration, 1)),
    cell("findings", ...marks(row)),
  ];
}

/** Tags, the worst finding with the number of others, and what other reviewers said. */
function marks(row) {
  const [worst, ...more] = row.findings ?? [];
  const tone = { error: "nwb-bad", warning: "nwb-warn" }[worst?.severity] ?? "";
  const found =
    worst &&
    h(
      "span",
      { class: `nwb-tag ${tone}`, title: row.findings.map((f) => f.reason).join("\n") },
      icon(worst.severity === "error" ? "warn" : "info", 12),
      h("span", { class: "nwb-tag-text" }, ruleName(worst.rule)),
      more.length ? `+${more.length}` : null,
    );
  const others = (row.others ?? []).map((o) =>
    h(
      "span",
      {
        class: `nwb-tag ${o.differs ? "nwb-warn" : ""}`,
        title: `${words.othersSay(o.reviewer, saying(o))}${o.differs ? ` (${words.differs})` : ""}`,
      },
      icon(o.differs ? "warn" : "person", 12),
      h("span", { class: "nwb-tag-text" }, h("bdi", {}, o.reviewer)),
    ),
  );
  const tags = (row.tags ?? []).map((tag) =>
    h(
      "span",
      { class: "nwb-tag nwb-accent", title: tag, dataset: { testid: "board-row-tag" } },
      icon("flag", 12),
      h("span", { class: "nwb-tag-text" }, h("bdi", {}, tag)),
    ),
  );
  return [...tags, found || null, ...others];
}

export const ruleName = (rule) =>
  String(rule ?? "")
    .replaceAll("_", " ")
    .replaceAll("-", " ")
    .replaceAll(".", " · ");
export function saying(other) {
  if (other.field === "status")
    return [words.status[other.value] ?? other.value, other.reason].filter(Boolean).join(": ");
  return `${words.fields[other.field] ?? words.transcript}: ${other.value ?? words.none}`;
}
