// One utterance of the explorer: errors, reference and hypothesis aligned word by word, and what to do with it.
import { direction, directionOf, h, icon } from "./dom.js";
import { languageLine } from "./languages.js";
import { playback, explorer as words } from "./strings.js";

/** actions: { listen(id, start_s), stream(id, at_s), send(ids, reason), keyword(words, id) }; can: what is possible. */
export function utteranceElement(item, { choice, can, actions }) {
  const wrong = item.words.filter(([operation]) => operation !== "equal" && operation !== "style");
  const at = wrong[0]?.[3] ?? 0;
  const missed = [...new Set(wrong.map(([, reference]) => reference).filter(Boolean))];
  const button = (name, text, onclick, testid) =>
    h(
      "button",
      { type: "button", class: "nwb-btn nwb-plain", title: text, onclick, dataset: { testid } },
      icon(name),
      text,
    );
  const form = h("div", { class: "nwb-send", hidden: true });
  const sending = {
    label: words.reason,
    value: words.reasonOf(item),
    limit: 90,
    go: words.sendGo,
    testid: "reason",
    act: (value) => actions.send([item.id], value),
  };
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
    (what) =>
    (/** @type {MouseEvent} */ { currentTarget }) =>
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
        pairs(item, item.against, actions),
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

function factsOf(item) {
  const facts = [
    item.duration !== undefined ? `${item.duration.toFixed(1)} s` : null,
    item.speaker,
    item.accent,
    item.snr_db !== undefined && item.snr_db !== null ? `${item.snr_db.toFixed(0)} dB SNR` : null,
    item.id,
  ];
  const parts = facts.filter(Boolean).flatMap((fact, index) => [index ? " · " : "", h("bdi", {}, fact)]);
  return h("span", { class: "nwb-utterance-facts nwb-muted" }, h("span", {}, ...parts));
}

/** Words of both sides, one stop of the Tab key; arrows walk through them, up and down from line to line. */
function pairs(item, aligned, actions) {
  const dir = direction(aligned.map(([, reference, hypothesis]) => reference || hypothesis).join(" "));
  const side = (name, word) => h("bdi", { class: `nwb-pair-${name}`, dir: directionOf(word, dir) }, word || "∅");
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

function walk(event) {
  const here = event.target.closest("button");
  const line = event.currentTarget;
  const ahead = line.dir === "rtl" ? "ArrowLeft" : "ArrowRight";
  const all = [...line.children];
  const step = (by) => all[all.indexOf(here) + by];
  const lines = [...line.closest("ol").querySelectorAll(".nwb-pairs")].filter((other) => other.firstElementChild);
  const other = (by) => lines[lines.indexOf(line) + by]?.querySelector("[tabindex='0']");
  const to = {
    ArrowRight: () => step(ahead === "ArrowRight" ? 1 : -1),
    ArrowLeft: () => step(ahead === "ArrowLeft" ? 1 : -1),
    Home: () => all[0],
    End: () => all.at(-1),
    ArrowDown: () => other(1),
    ArrowUp: () => other(-1),
  }[event.key]?.();
  if (!to) return;
  event.preventDefault();
  event.stopPropagation();
  if (to.parentElement === line) {
    for (const button of all) button.tabIndex = button === to ? 0 : -1;
  }
  to.focus();
}

/** A line to fill in below the utterance's head; Enter acts, Esc closes and returns to the button. */
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
