// One utterance of the explorer: errors, reference and hypothesis aligned word by word, and what to do with it.
import { h, icon } from "./dom.js";
import { explorer as words, playback } from "./strings.js";

/** actions: { listen(id, start_s), stream(id, at_s), send(ids, reason), keyword(word) }; can: what is possible. */
export function utteranceElement(item, { choice, can, actions }) {
  const firstError = item.words.find(([operation]) => operation !== "equal" && operation !== "style");
  const at = firstError?.[3] ?? 0;
  const button = (name, text, onclick, testid) => h("button", { type: "button", class: "nwb-btn nwb-plain", title: text, onclick, dataset: { testid } }, icon(name), text);
  const send = h("div", { class: "nwb-send", hidden: true });
  const facts = [item.duration !== undefined ? `${item.duration.toFixed(1)} s` : null, item.speaker, item.accent, item.snr_db !== undefined && item.snr_db !== null ? `${item.snr_db.toFixed(0)} dB SNR` : null, item.id];
  return h("li", { class: "nwb-utterance", dataset: { testid: "utterance", id: item.id } },
    h("div", { class: "nwb-utterance-head" },
      h("span", { class: `nwb-tag ${item.errors ? "nwb-bad" : "nwb-good"}`, title: words.errorsOf(item) }, `${item.errors} / ${item.units}`),
      h("span", { class: "nwb-utterance-facts nwb-muted" }, facts.filter(Boolean).flatMap((fact, index) => [index ? " · " : "", h("bdi", {}, fact)]).reduce((box, node) => (box.append(node), box), h("span"))),
      can.listen ? button("play", words.listen, () => actions.listen(item.id, 0), "listen") : null,
      can.stream ? button("next", words.stream, () => actions.stream(item.id, at), "stream") : null,
      can.listen ? button("flag", words.send, () => toggleSend(send, item, actions), "send") : null),
    send,
    choice.against ? h("div", { class: "nwb-side-name" }, choice.against) : null,
    choice.against ? pairs(item, item.against, actions) : null,
    choice.against ? h("div", { class: "nwb-side-name" }, choice.name) : null,
    pairs(item, item.words, actions));
}

function pairs(item, aligned, actions) {
  return h("div", { class: "nwb-pairs", dir: "auto", role: "group", "aria-label": words.aligned }, ...aligned.map(([operation, reference, hypothesis, start]) => h("button", {
    type: "button", class: `nwb-pair nwb-op-${operation}`, title: playback.pair(operation, reference, hypothesis), "aria-label": playback.pair(operation, reference, hypothesis),
    dataset: { operation }, onclick: () => actions.listen(item.id, Math.max(0, (start ?? 0) - 0.15)),
  }, h("bdi", { class: "nwb-pair-ref" }, reference || "∅"), h("bdi", { class: "nwb-pair-hyp" }, hypothesis || "∅"))));
}

function toggleSend(box, item, actions) {
  box.hidden = !box.hidden;
  if (box.hidden) return;
  const reason = h("input", { class: "nwb-input", "aria-label": words.reason, placeholder: words.reason, value: words.reasonOf(item), maxlength: 90, dataset: { testid: "reason" } });
  const go = async () => {
    if (await actions.send([item.id], reason.value)) box.hidden = true;
  };
  reason.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") go();
    if (event.key === "Escape") box.hidden = true;
  });
  box.replaceChildren(reason, h("button", { type: "button", class: "nwb-btn nwb-primary", onclick: go, dataset: { testid: "send-go" } }, words.sendGo));
  reason.focus();
  reason.select();
}
