// Beside the utterances of a cell: what their errors share. Every bar filters them; a word can become a keyword.
//   drawSide(host, side, { is(filter), choose(filter), keyword(words) })
import { barList, columnChart } from "./bars.js";
import { fill, set } from "./dom.js";
import { scatterPlot } from "./scatter.js";
import { explorer as words } from "./strings.js";

export function drawSide(host, side, { is, choose, keyword }) {
  const linked = (filter) => ({ chosen: is(filter), choose: () => choose(filter) });
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

const share = (rows, row, key) => row[key] / Math.max(1, ...rows.map((other) => other[key]));

function confusionBars({ confusions }, linked, plus) {
  const bar = (row) => ({
    pair: [row.reference, row.hypothesis],
    value: share(confusions, row, "count"),
    text: `${row.count}×`,
    title: words.confusionTitle(row.reference, row.hypothesis, row.count),
    ...linked({ kind: "confusion", reference: row.reference, hypothesis: row.hypothesis }),
    ...plus(row.reference),
  });
  return barList(words.confusions, confusions.map(bar), { testid: "confusions", none: words.noConfusions });
}

function lostBars({ lost }, linked, plus) {
  const bar = (row) => ({
    label: row.word,
    value: share(lost, row, "lost"),
    text: `${row.lost} / ${row.occurrences}`,
    title: words.lostTitle(row.word, row.lost, row.occurrences),
    ...linked({ kind: "word", word: row.word }),
    ...plus(row.word),
  });
  return barList(words.lost, lost.map(bar), { note: words.lostNote, testid: "lost", none: words.noLost });
}

function languageBars({ heard_as }, linked) {
  if (!heard_as.length) return null;
  const bar = (row) => ({
    pair: [row.said, row.heard],
    value: share(heard_as, row, "count"),
    text: `${row.count}×`,
    title: words.heardAsTitle(row.said, row.heard, row.count),
    ...linked({ kind: "language", said: row.said, heard: row.heard }),
  });
  return barList(words.heardAs, heard_as.map(bar), { testid: "heard-as" });
}

function punctuationBars({ marks = [], case: kase = [] }, linked) {
  if (!marks.length && !capitals(kase).length) return null;
  const percent = (rate) => `${Math.round(100 * rate)} %`;
  const mark = (row) => ({
    label: row.mark,
    value: row.f1 ?? 0,
    text: percent(row.f1 ?? 0),
    title: words.markTitle(row),
    ...linked({ kind: "mark", mark: row.mark }),
  });
  const capital = ({ rate }) => ({
    label: words.capitals,
    value: 1 - rate,
    text: percent(1 - rate),
    title: words.capitalsTitle(rate),
    ...linked({ kind: "case" }),
  });
  const bars = [...marks.map(mark), ...capitals(kase).map(capital)];
  return barList(words.marks, bars, { note: words.marksNote, testid: "marks" });
}

function positionChart({ position }, linked) {
  const last = position.length - 1;
  const column = (row, part) => ({
    label: part === 0 ? words.start : part === last ? words.end : "",
    value: row.rate,
    title: words.positionTitle(row),
    ...linked({ kind: "position", part, bins: position.length }),
  });
  return columnChart(words.position, position.map(column), { testid: "position" });
}

function bandCharts({ duration, snr }, linked) {
  const chart = (rows, name) =>
    columnChart(words[name], bands(rows, `${name}_band`, name, linked), { testid: name, note: words.bandUnit[name] });
  return [
    duration ? chart(duration, "duration") : null,
    snr ? chart(snr, "snr") : barList(words.snr, [], { testid: "snr", none: words.noSnr }),
  ];
}

function frequencyChart({ frequency }, linked) {
  const column = (row) => ({
    label: row.occurs,
    value: row.accuracy,
    title: words.frequencyTitle(row),
    ...linked({ kind: "frequency", at_least: row.at_least, occurs: row.occurs }),
  });
  return columnChart(words.frequency, frequency.map(column), { note: words.frequencyNote, testid: "frequency" });
}

/** None where the language has no case. */
const capitals = (kase) => kase.filter(({ rate }) => rate !== null && rate !== undefined);

const bands = (rows, column, kind, linked) =>
  rows
    .filter((row) => row[column])
    .map((row) => ({
      label: row[column].replace(/ \S+$/, ""),
      value: row.rate,
      title: words.bandTitle(row[column], row),
      ...linked({ kind, band: row[column] }),
    }));

/** Draw anew, and give the focus back to the control that took the place of the focused one (same `data-key`). */
export function keepFocus(host, draw, otherwise = null) {
  const before = host.contains(document.activeElement) ? document.activeElement : null;
  const key = before?.getAttribute("data-key");
  draw();
  if (!before || host.contains(document.activeElement)) return;
  const again = key ? [...host.querySelectorAll("[data-key]")].find((el) => el.dataset.key === key) : null;
  const next = again ?? otherwise;
  if (next && !next.matches("button, input, select, a")) set(next, { tabindex: "-1" });
  next?.focus({ preventScroll: true });
}
