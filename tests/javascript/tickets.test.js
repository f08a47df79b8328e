// A question is kept until it is answered, sent again while nobody has it, and its wait is shown.
import assert from "node:assert/strict";
import { test } from "node:test";
import { AGAIN_AFTER_MS, SAID_AFTER_MS, Tickets, WORKING_AFTER_MS } from "../../workbench/widgets/js/tickets.js";

test("an unreceived question is said within a second and names the oldest", () => {
  const tickets = new Tickets();
  tickets.add("a", 0);
  tickets.add("b", 700);
  assert.equal(tickets.wait(SAID_AFTER_MS - 1), null);
  assert.deepEqual(tickets.wait(SAID_AFTER_MS), { kind: "unreceived", since_s: 1, questions: 1 });
  assert.deepEqual(tickets.wait(65_000), { kind: "unreceived", since_s: 65, questions: 2 });
});

test("a received question is only said once it takes long, an answered one never", () => {
  const tickets = new Tickets();
  tickets.add("a", 0);
  tickets.received("a");
  assert.equal(tickets.wait(WORKING_AFTER_MS - 1), null);
  assert.equal(tickets.wait(WORKING_AFTER_MS)?.kind, "working");
  tickets.close("a");
  assert.equal(tickets.wait(1e6), null);
});

test("what nobody waits for is not shown", () => {
  const tickets = new Tickets();
  tickets.add("a", 0, { background: true });
  assert.equal(tickets.wait(1e6), null);
  assert.deepEqual(tickets.due(AGAIN_AFTER_MS[0], true), ["a"]);
});

test("a question is sent again, ever more seldom, until the kernel has it", () => {
  const tickets = new Tickets();
  tickets.add("a", 0);
  const sent = [];
  for (let now = 0; now <= 120_000; now += 500) if (tickets.due(now, false).length) sent.push(now);
  const gaps = sent.map((at, i) => at - (sent[i - 1] ?? 0));
  assert.deepEqual(gaps.slice(0, 4), AGAIN_AFTER_MS);
  assert.ok(gaps.slice(4).every((gap) => gap === AGAIN_AFTER_MS.at(-1)));
  tickets.received("a");
  assert.deepEqual(tickets.due(1e9, true), []);
});

test("much sound is sent again to an idle kernel only", () => {
  const tickets = new Tickets();
  tickets.add("a", 0, { heavy: true });
  assert.deepEqual(tickets.due(60_000, false), []);
  assert.deepEqual(tickets.due(60_000, true), ["a"]);
});

test("nothing counts as received by a kernel that was away", () => {
  const tickets = new Tickets();
  tickets.add("a", 0);
  tickets.received("a");
  tickets.forget();
  assert.deepEqual(tickets.due(10_000, true), ["a"]);
});
