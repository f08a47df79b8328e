// One utterance of the explorer: errors, reference and hypothesis aligned word by word, and what to do with it.
/**
 * @import { IconName } from "./dom.js"
 * @import { AlignedWord, Choice, ExplorerTraits, Utterance } from "./messages.d.ts"
 */
import { direction, directionOf, h, icon } from "./dom.js";
import { languageLine } from "./languages.js";
import { playback, explorer as words } from "./strings.js";

/**
 * @typedef {object} Actions
 * @property {(id: string, start_s: number) => void} listen play from there
 * @property {(id: string, at_s: number) => void} stream
 * @property {(ids: string[], reason: string) => Promise<boolean>} send
 * @property {(words: string[], id: string) => Promise<boolean>} keyword
 */
/**
 * @typedef {object} Form a line to fill in
 * @property {string} label
 * @property {string} value
 * @property {number} limit characters
 * @property {string} go
 * @property {string} testid
 * @property {(value: string) => Promise<boolean>} act whether it was done
 */

/** @typedef {{ currentTarget: HTMLButtonElement }} Click */

/**
 * @param {Utterance} item
 * @param {{ choice: Choice, can: ExplorerTraits["can"], actions: Actions }} how
 */
export function utteranceElement(item, { choice, can, actions }) {
  const wrong = item.words.filter(([operation]) => operation !== "equal" && operation !== "style");
  const at = wrong[0]?.[3] ?? 0;
  const missed = [...new Set(wrong.map(([, reference]) => reference).filter(Boolean))];
  /** @type {(name: IconName, text: string, onclick: (event: Click) => void, testid: string) => HTMLElement} */
  const button = (name, text, onclick, testid) =>
    h(
      "button",
      { type: "button", class: "nwb-btn nwb-plain", title: text, onclick, dataset: { testid } },
      icon(name),
      text,
    );
  const form = h("div", { class: "nwb-send", hidden: true });
  /** @type {Form} */
  const sending = {
    label: words.reason,
    value: words.reasonOf(item),
    limit: 90,
    go: words.sendGo,
    testid: "reason",
    act: (value) => actions.send([item.id], value),
  };
  /** @type {Form} */
  const listing = {
    label: words.keywordLabel,
    value: missed.join(", "),
    limit: 1000,
    go: words.keywordGo,
    testid: "keyword-words",
    act: (value) => actions.keyword(value.split(/[,،、]/), item.id),
  };
  const tone = item.errors ? "nwb-bad" : "nwb-good";
  const count = h(
    "span",
    { class: `nwb-tag ${tone}`, title: words.errorsOf(item) },
    `${item.errors} / ${item.units}`,
    h("span", { class: "nwb-sr" }, words.errorsOf(item)),
  );
  const opens =
    (/** @type {Form} */ what) =>
    (/** @type {Click} */ { currentTarget }) =>
      toggle(form, what, currentTarget);
  const { listen } = can;
  const head = h(
    "div",
    { class: "nwb-utterance-head" },
    count,
    factsOf(item),
    listen ? button("play", words.listen, () => actions.listen(item.id, 0), "listen") : null,
    can.stream ? button("next", words.stream, () => actions.stream(item.id, at), "stream") : null,
    listen ? button("flag", words.send, opens(sending), "send") : null,
    listen && missed.length ? button("save", words.keyword, opens(listing), "keyword") : null,
  );
  const sides = choice.against
    ? [
        h("div", { class: "nwb-side-name" }, choice.against),
        pairs(item, item.against ?? [], actions),
        h("div", { class: "nwb-side-name" }, choice.name),
      ]
    : [];
  const data = { testid: "utterance", id: item.id };
  return h(
    "li",
    { class: "nwb-utterance", dataset: data },
    head,
    form,
    ...sides,
    pairs(item, item.words, actions),
    languageLine(item.languages),
  );
}

/** @param {Utterance} item */
function factsOf(item) {
  const facts = [
    typeof item.duration === "number" ? `${item.duration.toFixed(1)} s` : null,
    item.speaker,
    item.accent,
    typeof item.snr_db === "number" ? `${item.snr_db.toFixed(0)} dB SNR` : null,
    item.id,
  ];
  const parts = facts.filter(Boolean).flatMap((fact, index) => [index ? " · " : "", h("bdi", {}, fact)]);
  return h("span", { class: "nwb-utterance-facts nwb-muted" }, h("span", {}, ...parts));
}

/**
 * Words of both sides, one stop of the Tab key; arrows walk through them, up and down from line to line.
 * @param {Utterance} item
 * @param {AlignedWord[]} aligned
 * @param {Actions} actions
 */
function pairs(item, aligned, actions) {
  const dir = direction(aligned.map(([, reference, hypothesis]) => reference || hypothesis).join(" "));
  const side = (/** @type {"ref" | "hyp"} */ name, /** @type {string} */ word) =>
    h("bdi", { class: `nwb-pair-${name}`, dir: directionOf(word, dir) }, word || "∅");
  return h(
    "div",
    { class: "nwb-pairs", dir, role: "group", "aria-label": words.aligned, onkeydown: walk },
    ...aligned.map(([operation, reference, hypothesis, start], place) =>
      h(
        "button",
        {
          type: "button",
          class: `nwb-pair nwb-op-${operation}`,
          title: playback.pair(operation, reference, hypothesis),
          "aria-label": playback.pair(operation, reference, hypothesis),
          tabindex: place ? "-1" : "0",
          dataset: { operation },
          onclick: () => actions.listen(item.id, Math.max(0, (start ?? 0) - 0.15)),
        },
        side("ref", reference),
        side("hyp", hypothesis),
      ),
    ),
  );
}

/** @param {KeyboardEvent & { currentTarget: HTMLElement }} event */
function walk(event) {
  const here = /** @type {Element} */ (event.target).closest("button");
  const line = event.currentTarget;
  const ahead = line.dir === "rtl" ? "ArrowLeft" : "ArrowRight";
  const all = [...line.querySelectorAll("button")];
  const step = (/** @type {number} */ by) => (here ? all[all.indexOf(here) + by] : undefined);
  const list = [...(line.closest("ol")?.querySelectorAll(".nwb-pairs") ?? [])];
  const lines = list.filter((other) => other.firstElementChild);
  /** @type {(by: number) => HTMLButtonElement | null | undefined} */
  const other = (by) => lines[lines.indexOf(line) + by]?.querySelector("button[tabindex='0']");
  /** @type {{ [key: string]: (() => HTMLButtonElement | null | undefined) | undefined }} */
  const ways = {
    ArrowRight: () => step(ahead === "ArrowRight" ? 1 : -1),
    ArrowLeft: () => step(ahead === "ArrowLeft" ? 1 : -1),
    Home: () => all[0],
    End: () => all.at(-1),
    ArrowDown: () => other(1),
    ArrowUp: () => other(-1),
  };
  const to = ways[event.key]?.();
  if (!to) return;
  event.preventDefault();
  event.stopPropagation();
  if (to.parentElement === line) {
    for (const button of all) button.tabIndex = button === to ? 0 : -1;
  }
  to.focus();
}

/**
 * A line to fill in below the utterance's head; Enter acts, Esc closes and returns to the button.
 * @param {HTMLElement} box
 * @param {Form} form
 * @param {HTMLElement} opener
 */
function toggle(box, { label, value, limit, go, testid, act }, opener) {
  const open = box.dataset.open === testid && !box.hidden;
  box.hidden = open;
  box.dataset.open = testid;
  if (open) return;
  const input = h("input", {
    class: "nwb-input",
    dir: "auto",
    "aria-label": label,
    placeholder: label,
    value,
    maxlength: limit,
    dataset: { testid },
  });
  const close = () => {
    box.hidden = true;
    opener.focus({ preventScroll: true });
  };
  const done = async () => {
    if (await act(input.value)) close();
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") done();
    if (event.key === "Escape") close();
  });
  box.replaceChildren(
    input,
    h(
      "button",
      {
        type: "button",
        class: "nwb-btn nwb-primary",
        onclick: done,
        dataset: { testid: `${testid === "reason" ? "send" : "keyword"}-go` },
      },
      go,
    ),
  );
  input.focus();
  input.select();
}
