// Questions over a wire that loses, repeats and reorders: each is answered once, and none waits for ever.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Channel } from "../../workbench/widgets/js/channel.js";

/** A model whose kernel does what `onSend` says. */
function wire(onSend, status = "idle") {
  const listeners = new Map();
  const model = {
    sent: [],
    widget_manager: { kernel: { status, statusChanged: { connect() {}, disconnect() {} } } },
    on: (name, fn) => listeners.set(name, fn),
    off: (name) => listeners.delete(name),
    send: (message) => {
      model.sent.push(message);
      onSend(message, (answer) => listeners.get("msg:custom")?.(answer, []));
    },
    emit: (name) => listeners.get(name)?.(),
  };
  return model;
}

test("a lost message is sent again with the same ticket and answered", async () => {
  let lost = 1;
  const model = wire((message, answer) => {
    if (lost > 0) lost -= 1;
    else answer({ answer: message.ask, body: { value: 7 } });
  });
  const channel = new Channel(model);
  const waits = [];
  channel.onWaiting((wait) => waits.push(wait?.kind ?? null));
  assert.equal((await channel.ask("seven")).value, 7);
  assert.equal(model.sent.length, 2);
  assert.equal(model.sent[0].ask, model.sent[1].ask);
  assert.deepEqual([...new Set(waits)], ["unreceived", null]);
  channel.close();
});

test("an answer to another view, or a second one, changes nothing", async () => {
  const model = wire((message, answer) => {
    answer({ answer: "other:1", body: {} });
    answer({ answer: message.ask, body: { value: 1 } });
    answer({ answer: message.ask, body: { value: 2 } });
  });
  const channel = new Channel(model);
  assert.equal((await channel.ask("one")).value, 1);
  channel.close();
});

test("a refusal is a sentence, a fault is marked", async () => {
  const model = wire((message, answer) => answer({ answer: message.ask, error: "no such row", fault: false }));
  const channel = new Channel(model);
  await assert.rejects(channel.ask("row"), { message: "no such row", fault: false, lost: false });
  channel.close();
});

test("when the kernel is gone, what waits is told, and what is asked then too", async () => {
  const model = wire(() => {});
  const channel = new Channel(model);
  const waiting = channel.ask("anything");
  const seen = [];
  channel.onLost((lost) => seen.push(lost));
  model.emit("comm:close");
  await assert.rejects(waiting, { lost: true });
  await assert.rejects(channel.ask("more"), { lost: true });
  assert.deepEqual(seen, [true]);
  assert.equal(channel.timer, null);
  channel.close();
});

test("what the kernel had taken is asked again once the connection is back, with the same ticket", async () => {
  let asleep = true;
  const model = wire((message, answer) => {
    answer({ received: message.ask }); // and the answer is lost while the laptop sleeps
    if (!asleep) answer({ answer: message.ask, body: { value: 7 } });
  });
  let said = (..._args) => {};
  model.widget_manager.kernel.connectionStatusChanged = { connect: (fn) => (said = fn), disconnect() {} };
  const channel = new Channel(model);
  const kinds = [];
  let back = 0;
  channel.onWaiting((wait) => kinds.push(wait?.kind ?? null));
  channel.onBack(() => (back += 1));
  const answer = channel.ask("seven");
  said(null, "connecting");
  await new Promise((done) => setTimeout(done, 1600));
  assert.ok(kinds.includes("offline"));
  asleep = false;
  said(null, "connected");
  assert.equal((await answer).value, 7);
  assert.deepEqual([...new Set(model.sent.map((message) => message.ask))].length, 1);
  assert.equal(back, 1);
  channel.close();
});
