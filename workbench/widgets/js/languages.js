// Languages within a clip: a chip behind the last word of each run, or a line that counts the words of each.
/** @import { LanguageRun } from "./messages.d.ts" */
import { h } from "./dom.js";
import { languages as words } from "./strings.js";

/** @param {string | null} tag */
export const languageChip = (tag) =>
  h("span", { class: "nwb-tag nwb-accent", dataset: { testid: "language-span" }, title: words.until(tag) }, tag ?? "–");

/** @param {LanguageRun[] | undefined} runs none where the text holds one language */
export function languageLine(runs) {
  if (!runs?.length) return null;
  const parts = runs.flatMap(([tag, count]) => [languageChip(tag), ` ${words.words(count)} `]);
  return h(
    "div",
    { class: "nwb-muted nwb-languages", dataset: { testid: "languages" }, "aria-label": words.label },
    ...parts,
  );
}
