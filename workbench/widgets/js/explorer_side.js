// Beside the utterances of a cell: what their errors share. Every bar filters them; a word can become a keyword.
//   drawSide(host, side, { is(filter), choose(filter), keyword(words) })
/**
 * @import { Bar, Column } from "./bars.js"
 * @import { BandRow, Confusion, ErrorFilter, FrequencyRow, HeardAs, LostWord, MarkRow } from "./messages.d.ts"
 * @import { Marks, PositionRow, SidePanel } from "./messages.d.ts"
 * @import { Linked, Names } from "./scatter.js"
 */
import { barList, columnChart } from "./bars.js";
import { fill, set } from "./dom.js";
import { scatterPlot } from "./scatter.js";
import { explorer as words } from "./strings.js";

/** @typedef {(word: string) => { add?: () => void, addTitle?: string }} Plus */

/**
 * @param {HTMLElement} host
 * @param {SidePanel & Partial<Marks> & { names: Names }} side
 * @param {object} on
 * @param {(filter: ErrorFilter) => boolean} on.is whether it is what the utterances are filtered by
 * @param {(filter: ErrorFilter) => void} on.choose
 * @param {((words: string[]) => void) | null} on.keyword null: there is no list
 */
export function drawSide(host, side, { is, choose, keyword }) {
  /** @type {Linked} */
  const linked = (filter) => ({ chosen: is(filter), choose: () => choose(filter) });
  /** @type {Plus} */
  const plus = (word) => (keyword ? { add: () => keyword([word]), addTitle: words.keywordAdd(word) } : {});
  keepFocus(host, () =>
    fill(
      host,
      side.scatter ? scatterPlot(side.scatter, side.names, linked) : null,
      confusionBars(side, linked, plus),
      lostBars(side, linked, plus),
      languageBars(side, linked),
      punctuationBars(side, linked),
      positionChart(side, linked),
      ...bandCharts(side, linked),
      frequencyChart(side, linked),
    ),
  );
}

/** A number as a part of the largest. @param {number} one @param {number[]} all */
const share = (one, all) => one / Math.max(1, ...all);

/** @param {SidePanel} side @param {Linked} linked @param {Plus} plus */
function confusionBars({ confusions }, linked, plus) {
  const counts = confusions.map((row) => row.count);
  /** @type {(row: Confusion) => Bar} */
  const bar = (row) => ({
    pair: [row.reference, row.hypothesis],
    value: share(row.count, counts),
    text: `${row.count}×`,
    title: words.confusionTitle(row.reference, row.hypothesis, row.count),
    ...linked({ kind: "confusion", reference: row.reference, hypothesis: row.hypothesis }),
    ...plus(row.reference),
  });
  return barList(words.confusions, confusions.map(bar), { testid: "confusions", none: words.noConfusions });
}

/** @param {SidePanel} side @param {Linked} linked @param {Plus} plus */
function lostBars({ lost }, linked, plus) {
  const counts = lost.map((row) => row.lost);
  /** @type {(row: LostWord) => Bar} */
  const bar = (row) => ({
    label: row.word,
    value: share(row.lost, counts),
    text: `${row.lost} / ${row.occurrences}`,
    title: words.lostTitle(row.word, row.lost, row.occurrences),
    ...linked({ kind: "word", word: row.word }),
    ...plus(row.word),
  });
  return barList(words.lost, lost.map(bar), { note: words.lostNote, testid: "lost", none: words.noLost });
}

/** @param {SidePanel} side @param {Linked} linked */
function languageBars({ heard_as }, linked) {
  if (!heard_as.length) return null;
  const counts = heard_as.map((row) => row.count);
  /** @type {(row: HeardAs) => Bar} */
  const bar = (row) => ({
    pair: [row.said, row.heard],
    value: share(row.count, counts),
    text: `${row.count}×`,
    title: words.heardAsTitle(row.said, row.heard, row.count),
    ...linked({ kind: "language", said: row.said, heard: row.heard }),
  });
  return barList(words.heardAs, heard_as.map(bar), { testid: "heard-as" });
}

/** @param {Partial<Marks>} side @param {Linked} linked */
function punctuationBars({ marks = [], case: kase = [] }, linked) {
  const rates = kase.flatMap(({ rate }) => rate ?? []); // none where the language has no case
  if (!marks.length && !rates.length) return null;
  const percent = (/** @type {number} */ rate) => `${Math.round(100 * rate)} %`;
  /** @type {(row: MarkRow) => Bar} */
  const mark = (row) => ({
    label: row.mark,
    value: row.f1 ?? 0,
    text: percent(row.f1 ?? 0),
    title: words.markTitle(row),
    ...linked({ kind: "mark", mark: row.mark }),
  });
  /** @type {(rate: number) => Bar} */
  const capital = (rate) => ({
    label: words.capitals,
    value: 1 - rate,
    text: percent(1 - rate),
    title: words.capitalsTitle(rate),
    ...linked({ kind: "case" }),
  });
  const bars = [...marks.map(mark), ...rates.map(capital)];
  return barList(words.marks, bars, { note: words.marksNote, testid: "marks" });
}

/** @param {SidePanel} side @param {Linked} linked */
function positionChart({ position }, linked) {
  const last = position.length - 1;
  /** @type {(row: PositionRow, part: number) => Column} */
  const column = (row, part) => ({
    label: part === 0 ? words.start : part === last ? words.end : "",
    value: row.rate,
    title: words.positionTitle(row),
    ...linked({ kind: "position", part, bins: position.length }),
  });
  return columnChart(words.position, position.map(column), { testid: "position" });
}

/** @param {SidePanel} side @param {Linked} linked */
function bandCharts({ duration, snr }, linked) {
  const chart = (/** @type {BandRow[]} */ rows, /** @type {"duration" | "snr"} */ name) =>
    columnChart(words[name], bands(rows, name, linked), { testid: name, note: words.bandUnit[name] });
  return [
    duration ? chart(duration, "duration") : null,
    snr ? chart(snr, "snr") : barList(words.snr, [], { testid: "snr", none: words.noSnr }),
  ];
}

/** @param {SidePanel} side @param {Linked} linked */
function frequencyChart({ frequency }, linked) {
  /** @type {(row: FrequencyRow) => Column} */
  const column = (row) => ({
    label: row.occurs,
    value: row.accuracy,
    title: words.frequencyTitle(row),
    ...linked({ kind: "frequency", at_least: row.at_least, occurs: row.occurs }),
  });
  return columnChart(words.frequency, frequency.map(column), { note: words.frequencyNote, testid: "frequency" });
}

/**
 * @param {BandRow[]} rows
 * @param {"duration" | "snr"} kind
 * @param {Linked} linked
 * @returns {Column[]}
 */
const bands = (rows, kind, linked) =>
  rows.flatMap((row) => {
    const band = row[/** @type {const} */ (`${kind}_band`)];
    if (!band) return [];
    const label = band.replace(/ \S+$/, "");
    return { label, value: row.rate, title: words.bandTitle(band, row), ...linked({ kind, band }) };
  });

/**
 * Draw anew, and give the focus back to the control that took the place of the focused one (same `data-key`).
 * @param {HTMLElement} host
 * @param {() => void} draw
 * @param {HTMLElement | null} otherwise
 */
export function keepFocus(host, draw, otherwise = null) {
  const before = host.contains(document.activeElement) ? document.activeElement : null;
  const key = before?.getAttribute("data-key");
  draw();
  if (!before || host.contains(document.activeElement)) return;
  /** @type {NodeListOf<HTMLElement | SVGElement>} */
  const keyed = host.querySelectorAll("[data-key]");
  const again = key ? [...keyed].find((el) => el.dataset.key === key) : null;
  const next = again ?? otherwise;
  if (next && !next.matches("button, input, select, a")) set(next, { tabindex: "-1" });
  next?.focus({ preventScroll: true });
}
