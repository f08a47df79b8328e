// No key passes a prompt, a field or a sheet; without one, each key has its command.
import assert from "node:assert/strict";
import { test } from "node:test";
import { actOf, COMMANDS, REPEATED } from "../../workbench/widgets/js/board_keys.js";

const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
const NAMED = ["Enter", "Escape", "Tab", "ArrowDown", "ArrowUp", "Home", "End", "PageDown", "Backspace", "F5"];

test("while a field has the focus, every key is its own", () => {
  for (const key of [...PRINTABLE, ...NAMED]) {
    for (const place of [{ typing: true }, { typing: true, asking: true }, { typing: true, sheet: true }]) {
      assert.equal(actOf({ key }, place), null, key);
    }
  }
});

test("while something is asked, no key is a command", () => {
  for (const key of [...PRINTABLE, ...NAMED]) {
    for (const native of [false, true]) {
      const act = actOf({ key }, { asking: true, native });
      assert.notEqual(act?.do, "command", key);
      if (key.length === 1 && !native) assert.deepEqual(act, { do: "type", text: key });
    }
    assert.notEqual(actOf({ key, ctrlKey: true }, { asking: true })?.do, "command", key);
  }
  assert.deepEqual(actOf({ key: "Escape" }, { asking: true }), { do: "cancel" });
  assert.deepEqual(actOf({ key: "Enter" }, { asking: true }), { do: "type", text: "Enter" });
});

test("while a sheet is open, no key is a command", () => {
  for (const key of [...PRINTABLE, ...NAMED]) assert.notEqual(actOf({ key }, { sheet: true })?.do, "command", key);
});

test("else each key has its command, in either case, and with Ctrl the browser's own", () => {
  for (const [key, name] of Object.entries(COMMANDS)) {
    assert.deepEqual(actOf({ key }, {}), { do: "command", name });
    if (/^[a-z]$/.test(key)) assert.deepEqual(actOf({ key: key.toUpperCase() }, {}), { do: "command", name });
    if (key !== "z") assert.equal(actOf({ key, altKey: true }, {}), null);
    assert.equal(actOf({ key, isComposing: true }, {}), null);
  }
  assert.deepEqual(actOf({ key: "z", ctrlKey: true }, {}), { do: "command", name: "undo" });
  assert.deepEqual(actOf({ key: "Z", metaKey: true, shiftKey: true }, {}), { do: "command", name: "redo" });
  assert.equal(actOf({ key: "a", ctrlKey: true }, {}), null);
  assert.equal(actOf({ key: "q" }, {}), null);
});

test("a held key never decides twice", () => {
  for (const [key, name] of Object.entries(COMMANDS)) {
    const act = actOf({ key, repeat: true }, {});
    assert.equal(act?.do, REPEATED.has(name) ? "command" : "swallow", name);
  }
  for (const name of ["accept", "reject", "undo", "reopen", "play"]) assert.ok(!REPEATED.has(name));
});
