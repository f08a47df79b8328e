// Beside the utterances of a cell: what their errors share. Every bar filters them; a word can become a keyword.
//   drawSide(host, side, { is(filter), choose(filter), keyword(words) })
import { barList, columnChart } from "./bars.js";
import { fill, set } from "./dom.js";
import { explorer as words } from "./strings.js";

export function drawSide(host, side, { is, choose, keyword }) {
  const linked = (filter) => ({ chosen: is(filter), choose: () => choose(filter) });
  const most = (rows, key) => Math.max(1, ...rows.map((row) => row[key]));
  const share = (rows, row, key) => row[key] / most(rows, key);
  const plus = (word) => (keyword ? { add: () => keyword([word]), addTitle: words.keywordAdd(word) } : {});
  const { confusions, lost, position, frequency, duration, snr, heard_as, marks = [], case: kase = [] } = side;
  keepFocus(host, () =>
    fill(
      host,
      barList(
        words.confusions,
        confusions.map((row) => ({
          pair: [row.reference, row.hypothesis],
          value: share(confusions, row, "count"),
          text: `${row.count}×`,
          title: words.confusionTitle(row.reference, row.hypothesis, row.count),
          ...linked({ kind: "confusion", reference: row.reference, hypothesis: row.hypothesis }),
          ...plus(row.reference),
        })),
        { testid: "confusions", none: words.noConfusions },
      ),
      barList(
        words.lost,
        lost.map((row) => ({
          label: row.word,
          value: share(lost, row, "lost"),
          text: `${row.lost} / ${row.occurrences}`,
          title: words.lostTitle(row.word, row.lost, row.occurrences),
          ...linked({ kind: "word", word: row.word }),
          ...plus(row.word),
        })),
        { note: words.lostNote, testid: "lost", none: words.noLost },
      ),
      heard_as.length
        ? barList(
            words.heardAs,
            heard_as.map((row) => ({
              pair: [row.said, row.heard],
              value: share(heard_as, row, "count"),
              text: `${row.count}×`,
              title: words.heardAsTitle(row.said, row.heard, row.count),
              ...linked({ kind: "language", said: row.said, heard: row.heard }),
            })),
            { testid: "heard-as" },
          )
        : null,
      marks.length || capitals(kase).length
        ? barList(
            words.marks,
            [
              ...marks.map((row) => ({
                label: row.mark,
                value: row.f1 ?? 0,
                text: `${Math.round(100 * (row.f1 ?? 0))} %`,
                title: words.markTitle(row),
                ...linked({ kind: "mark", mark: row.mark }),
              })),
              ...capitals(kase).map(({ rate }) => ({
                label: words.capitals,
                value: 1 - rate,
                text: `${Math.round(100 * (1 - rate))} %`,
                title: words.capitalsTitle(rate),
                ...linked({ kind: "case" }),
              })),
            ],
            { note: words.marksNote, testid: "marks" },
          )
        : null,
      columnChart(
        words.position,
        position.map((row, part) => ({
          label: part === 0 ? words.start : part === position.length - 1 ? words.end : "",
          value: row.rate,
          title: words.positionTitle(row),
          ...linked({ kind: "position", part, bins: position.length }),
        })),
        { testid: "position" },
      ),
      duration
        ? columnChart(words.duration, bands(duration, "duration_band", "duration", linked), {
            testid: "duration",
            note: words.bandUnit.duration,
          })
        : null,
      snr
        ? columnChart(words.snr, bands(snr, "snr_band", "snr", linked), { testid: "snr", note: words.bandUnit.snr })
        : barList(words.snr, [], { testid: "snr", none: words.noSnr }),
      columnChart(
        words.frequency,
        frequency.map((row) => ({
          label: row.occurs,
          value: row.accuracy,
          title: words.frequencyTitle(row),
          ...linked({ kind: "frequency", at_least: row.at_least, occurs: row.occurs }),
        })),
        { note: words.frequencyNote, testid: "frequency" },
      ),
    ),
  );
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
  const key = before?.dataset.key;
  draw();
  if (!before || host.contains(document.activeElement)) return;
  const again = key ? [...host.querySelectorAll("[data-key]")].find((el) => el.dataset.key === key) : null;
  const next = again ?? otherwise;
  if (next && !next.matches("button, input, select, a")) set(next, { tabindex: "-1" });
  next?.focus({ preventScroll: true });
}
