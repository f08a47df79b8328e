// What counts as one word of a transcript: the same rule as recognizer/words.py (written_units), so that words here
// and words there have the same numbers.

/** Thai and Lao, Burmese, Khmer, kana, Han, Hangul; Han that is kept for compatibility. */
const BLOCKS = [
  ...["\u0e00-\u0eff", "\u1000-\u109f", "\u1780-\u17ff", "\u3040-\u30ff", "\u31f0-\u31ff"],
  ...["\u3400-\u4dbf", "\u4e00-\u9fff", "\uac00-\ud7af", "\uf900-\ufaff"],
];
const UNSPACED = new RegExp(`[${BLOCKS.join("")}]`, "u");
const OPENING = /[\p{Ps}\p{Pi}]/u;
const ATTACHED = /[\p{M}\p{P}\p{S}]/u;
const SPOKEN = /[\p{L}\p{N}\p{S}]/u;

/**
 * A text cut at spaces, and by character where its script has none.
 * @param {string} text
 */
export const writtenUnits = (text) =>
  text
    .split(/\s+/)
    .filter(Boolean)
    .flatMap((word) => (UNSPACED.test(word) ? characters(word) : [word]));

/**
 * Each character with its marks, or a run of the rest.
 * @param {string} word
 */
function characters(word) {
  const found = [""];
  let last = "";
  for (const character of word) {
    const opens = OPENING.test(character);
    const apart = opens || UNSPACED.test(character) || UNSPACED.test(last);
    if (last && apart && (opens || !ATTACHED.test(character))) {
      found.push("");
      last = "";
    }
    found[found.length - 1] += character;
    if (SPOKEN.test(character)) last = character;
  }
  return found;
}
