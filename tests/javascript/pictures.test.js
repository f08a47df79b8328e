// Pure parts of what is drawn: which values a large map shows, ticks of an axis, states of a replay, clocks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { percentText } from "../../workbench/widgets/js/board_head.js";
import { shared } from "../../workbench/widgets/js/board_table.js";
import { lastOf } from "../../workbench/widgets/js/chart.js";
import { clock, direction, directionOf } from "../../workbench/widgets/js/dom.js";
import { ALL, valuesShown } from "../../workbench/widgets/js/heatmap.js";
import { lastBefore, replay } from "../../workbench/widgets/js/lane.js";
import { smoothed } from "../../workbench/widgets/js/monitor.js";
import { heightOf, logMel } from "../../workbench/widgets/js/spectrogram.js";
import { ticks } from "../../workbench/widgets/js/spectrogram_axes.js";
import { board, explorer, monitor } from "../../workbench/widgets/js/strings.js";
import { writtenUnits } from "../../workbench/widgets/js/units.js";

const values = [ALL, ...Array.from({ length: 100 }, (_, i) => `l${String(i).padStart(2, "0")}`)];
const how = { find: "", all: false, most: 24, size: (value) => Number(value.slice(1)) % 50 };

test("of many values the largest are shown, in their own order, with the open one", () => {
  const shown = valuesShown(values, { ...how, keep: "l00" });
  assert.equal(shown.length, 1 + 24 + 1);
  assert.equal(shown[0], ALL);
  assert.ok(shown.includes("l00") && shown.includes("l49") && shown.includes("l99") && !shown.includes("l10"));
  assert.deepEqual(shown.slice(1), [...shown.slice(1)].sort());
  assert.deepEqual(valuesShown(values, { ...how, all: true }), values);
  assert.deepEqual(valuesShown(values.slice(0, 20), how), values.slice(0, 20));
});

test("a search finds any value, by what is on screen", () => {
  assert.deepEqual(valuesShown(values, { ...how, find: " L07 " }), [ALL, "l07"]);
  assert.deepEqual(valuesShown([ALL, null, "a"], { ...how, find: "not st", size: () => 1 }), [ALL, null]);
  assert.deepEqual(valuesShown(values, { ...how, find: "zzz" }), [ALL]);
});

test("ticks are round, lie in the stretch, and are no closer than their labels", () => {
  for (const duration_s of [0.3, 1.15, 4, 12.7, 30, 59.9, 600]) {
    for (const start_s of [0, 30, 90]) {
      for (const width of [80, 320, 900, 4000]) {
        const found = ticks(start_s, duration_s, width);
        assert.ok(found.every((at) => at >= start_s - 1e-6 && at <= start_s + duration_s + 1e-6));
        if (found.length > 2) assert.ok(((found[1] - found[0]) / duration_s) * width >= 59);
      }
    }
  }
  assert.deepEqual(ticks(0, 2, 300), [0, 0.5, 1, 1.5, 2]);
});

test("a tone stands at its height of the mel scale", () => {
  const rate = 16000;
  for (const hz of [250, 1000, 4000]) {
    const samples = Float32Array.from({ length: rate / 2 }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate));
    const { columns, bands, db } = logMel(samples, rate);
    const column = Array.from(db.slice(Math.floor(columns / 2) * bands, (Math.floor(columns / 2) + 1) * bands));
    const loudest = column.indexOf(Math.max(...column));
    assert.ok(Math.abs((loudest + 1) / (bands + 1) - heightOf(hz, rate)) < 0.015, `${hz} Hz at ${loudest}`);
  }
});

test("the state of a moment is the last one that was out", () => {
  const states = [0.5, 1, 1, 2.5].map((emission) => ({ emission }));
  for (const [at, index] of [
    [0, -1],
    [0.5, 0],
    [0.9, 0],
    [1, 2],
    [9, 3],
  ]) {
    assert.equal(lastBefore(states, at), index);
  }
  assert.equal(lastBefore([], 1), -1);
});

test("a replay keeps and adds code points, not halves of them", () => {
  const event = (keep, add, partial) => [0, 0, 0, 0, keep, add, partial, null];
  const states = replay([event(0, "a😀b", ""), event(2, "c", "d")]);
  assert.deepEqual(
    states.map(({ final, partial }) => final + partial),
    ["a😀b", "a😀cd"],
  );
});

test("clocks and shares", () => {
  assert.deepEqual([clock(62.3), clock(3723), clock(0, 0), clock(Number.NaN)], ["1:02.3", "1:02:03", "0:00", "–:––"]);
  assert.deepEqual(
    [percentText(0, 10), percentText(0.001, 10), percentText(0.5, 10), percentText(9, 10)],
    ["0", "< 0.1", "5.0", "90"],
  );
});

test("a line's direction is that of its first letter; digits stand as their line runs", () => {
  assert.deepEqual([direction("17 שלום"), direction("abc שלום"), direction(null)], ["rtl", "ltr", "ltr"]);
  assert.deepEqual([directionOf("17:45.", "rtl"), directionOf("word", "rtl")], ["rtl", null]);
});

test("numbers agree with their words", () => {
  const item = { errors: 1, units: 1, metric: "wer" };
  assert.equal(explorer.reasonOf(item), "1 error in 1 word");
  assert.equal(explorer.errorsOf({ errors: 5, units: 12, metric: "cer" }), "5 errors in 12 characters");
  assert.equal(board.clips("1"), "1 clip");
  assert.equal(board.measure("wer", 0.125), "13 %");
  assert.equal(board.measure("confidence", null), "–");
  assert.ok(monitor.status.running);
});

test("a loss that is no number any more leaves the last one that was", () => {
  const line = { name: "a", color: 0, x: [1, 2, 3], y: [2, 1.5, null] };
  assert.deepEqual(lastOf(line), { x: 2, y: 1.5 });
  assert.equal(lastOf({ ...line, y: [null, null, null] }), null);
  assert.equal(lastOf({ ...line, x: [], y: [] }), null);
});

test("a smoothed curve begins with its first value, not at zero", () => {
  assert.deepEqual(smoothed([null, 4, 4, null, 4]), [null, 4, 4, 4, 4]);
  const [first, second] = smoothed([8, 1]);
  assert.equal(first, 8);
  assert.ok(second < 8 && second > 1);
});

test("a script without spaces is cut by character, marks with their letter", () => {
  assert.deepEqual(writtenUnits("天気いい。"), ["天", "気", "い", "い。"]);
  assert.deepEqual(writtenUnits("iPhoneを 買う"), ["iPhone", "を", "買", "う"]);
  assert.deepEqual(writtenUnits("ένα, δύο"), ["ένα,", "δύο"]);
  assert.deepEqual(writtenUnits("  "), []);
});

test("the table takes all that it shows from a clip's details: a dispute that is settled leaves it", () => {
  const said = {
    ...{ id: "a", place: 3, text: "t", target_lang: "el-GR", accent: null, speaker: "s", duration: 1, reason: null },
    ...{ status: "accepted", tags: [], edited: true, findings: [], others: [], dispute: [], missing: false, why: "" },
  };
  const row = { ...said, dispute: [{ field: "text", words: [], party: false }], others: [{ differs: true }] };
  assert.deepEqual({ ...row, ...shared({ ...said, place: null }) }, { ...said, measures: undefined });
});
