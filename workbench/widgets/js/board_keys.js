// What a key asks of the board. Pure: the facts come in, a name goes out; board.js carries it out.

/** Key (letters in lower case) → command. @type {{ [key: string]: Command | undefined }} */
export const COMMANDS = {
  " ": "play",
  a: "accept",
  r: "reject",
  e: "edit",
  t: "tag",
  n: "next",
  p: "previous",
  u: "undo",
  y: "redo",
  o: "reopen",
  "/": "filter",
  "?": "help",
  l: "loop",
  b: "segmentStart",
  f: "segmentEnd",
  s: "spectrogram",
  ArrowLeft: "back",
  ArrowRight: "forward",
  "[": "slower",
  "]": "faster",
  "+": "zoomIn",
  "=": "zoomIn",
  "-": "zoomOut",
  0: "zoomAll",
  ArrowDown: "rowDown",
  ArrowUp: "rowUp",
  PageDown: "pageDown",
  PageUp: "pageUp",
  Home: "first",
  End: "last",
  Escape: "focus",
};

/** Commands that a held key may repeat: none of them decides anything. @type {Set<Command>} */
export const REPEATED = new Set(["back", "forward", "rowDown", "rowUp", "pageDown", "pageUp", "zoomIn", "zoomOut"]);

/**
 * @typedef {"play" | "accept" | "reject" | "edit" | "tag" | "next" | "previous" | "undo" | "redo" | "reopen" | "filter"
 *   | "help" | "loop" | "segmentStart" | "segmentEnd" | "spectrogram" | "back" | "forward" | "slower" | "faster"
 *   | "zoomIn" | "zoomOut" | "zoomAll" | "rowDown" | "rowUp" | "pageDown" | "pageUp" | "first" | "last" | "focus"
 *   | "autoplay"} Command
 */
/**
 * @typedef {object} Key what of a KeyboardEvent counts
 * @property {string} key
 * @property {boolean} [ctrlKey]
 * @property {boolean} [metaKey]
 * @property {boolean} [altKey]
 * @property {boolean} [shiftKey]
 * @property {boolean} [isComposing]
 * @property {boolean} [repeat]
 */
/**
 * @typedef {object} Place where the board stands as the key is pressed
 * @property {boolean} [typing] the focus is in a field
 * @property {boolean} [native] the focus is on a button that takes this key itself
 * @property {boolean} [sheet] a dialog lies over the board
 * @property {boolean} [asking] a prompt is open, or was asked for and is about to open
 */
/** @typedef {{ do: "command", name: Command } | { do: "type", text: string }} Doing */
/** @typedef {Doing | { do: "cancel" } | { do: "swallow" }} Act */

/**
 * What to do; null leaves the key to the browser. While something is asked, no key is a command.
 * @param {Key} event
 * @param {Place} place
 * @returns {Act | null}
 */
export function actOf(event, { typing = false, native = false, sheet = false, asking = false }) {
  if (typing || event.isComposing) return null;
  const letter = event.key.length === 1;
  const held = event.ctrlKey || event.metaKey;
  if (sheet) return letter && !held && !event.altKey ? { do: "swallow" } : null;
  if (held && event.key.toLowerCase() === "z" && !asking) {
    return { do: "command", name: event.shiftKey ? "redo" : "undo" };
  }
  if (held || event.altKey) return null;
  if (asking) {
    if (event.key === "Escape") return { do: "cancel" };
    if (native) return null;
    if (letter || event.key === "Enter") return { do: "type", text: event.key };
    return null;
  }
  if (native) return null;
  const name = COMMANDS[letter ? event.key.toLowerCase() : event.key];
  if (!name) return null;
  return event.repeat && !REPEATED.has(name) ? { do: "swallow" } : { do: "command", name };
}
