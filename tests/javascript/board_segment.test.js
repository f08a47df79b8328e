// The ends of a segment, and the seconds that are counted.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AWAY_MS, counted } from "../../workbench/widgets/js/board_seconds.js";
import { moved } from "../../workbench/widgets/js/board_segment.js";

const LIMITS = { start_s: 2, end_s: 12 };

test("an end stays inside what is shown and never passes the other", () => {
  let seed = 7;
  const random = () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 2147483647;
  };
  let ends = { start_s: 5, end_s: 8 };
  for (let n = 0; n < 2000; n += 1) {
    const end = random() < 0.5 ? "start" : "end";
    const before = ends;
    ends = moved(ends, end, -5 + 25 * random(), LIMITS);
    const other = end === "start" ? "end_s" : "start_s";
    assert.equal(ends[other], before[other]);
    assert.ok(ends.start_s >= LIMITS.start_s && ends.end_s <= LIMITS.end_s);
    assert.ok(ends.end_s - ends.start_s >= 0.05 - 1e-9);
  }
});

test("an end goes where it is put", () => {
  assert.deepEqual(moved({ start_s: 5, end_s: 8 }, "start", 4.2504, LIMITS), { start_s: 4.25, end_s: 8 });
  assert.deepEqual(moved({ start_s: 5, end_s: 8 }, "end", 9.5, LIMITS), { start_s: 5, end_s: 9.5 });
});

test("only time in which the page is visible and somebody is there counts", () => {
  assert.equal(counted(250, { visible: true, idle_ms: 0 }), 0.25);
  assert.equal(counted(250, { visible: false, idle_ms: 0 }), 0);
  assert.equal(counted(250, { visible: true, idle_ms: AWAY_MS }), 0);
  assert.equal(counted(3_600_000, { visible: true, idle_ms: 0 }), 1); // the machine slept
});
