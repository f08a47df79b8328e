// "What is wrong with it?": a reason picked by its number or button, or typed. Until then every letter is text.
import { fill, h } from "./dom.js";
import { board as words } from "./strings.js";

export class ReasonPrompt {
  /** @param {{ onLeave: () => void }} options `onLeave`: the focus goes back to the table */
  constructor({ onLeave }) {
    this.onLeave = onLeave;
    /** @type {((reason: string) => void) | null} */
    this.onReason = null;
    this.input = h("input", {
      class: "nwb-input",
      dir: "auto",
      placeholder: words.otherReason,
      "aria-label": words.otherReason,
      maxlength: 200,
      dataset: { testid: "board-reason" },
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
    });
    this.element = h("div", {
      class: "nwb-reasons",
      hidden: true,
      role: "group",
      "aria-label": words.whyReject,
      dataset: { testid: "board-reasons" },
    });
    const choices = words.reasons.map((reason, i) =>
      h(
        "button",
        { type: "button", class: "nwb-btn", onclick: () => this.choose(reason) },
        h("kbd", {}, i + 1),
        reason,
      ),
    );
    const cancel = h(
      "button",
      { type: "button", class: "nwb-btn nwb-plain", onclick: () => this.close(true) },
      words.cancel,
      h("kbd", {}, "Esc"),
    );
    fill(this.element, h("div", { class: "nwb-reasons-title" }, words.whyReject), this.input, ...choices, cancel);
  }

  get open() {
    return !this.element.hidden;
  }

  /** @param {(reason: string) => void} onReason */
  ask(onReason) {
    this.onReason = onReason;
    this.input.value = "";
    this.element.hidden = false;
    this.element.scrollIntoView({ block: "nearest" });
    this.input.focus({ preventScroll: true });
  }

  /** A key that was pressed before the prompt was there, or beside its field. @param {string} text */
  type(text) {
    if (!this.open) return;
    this.input.focus({ preventScroll: true });
    if (text === "Enter") this.submit();
    else if (/^[1-9]$/.test(text) && !this.input.value) this.pick(Number(text));
    else this.input.value += text;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    event.stopPropagation();
    if (event.isComposing) return;
    if (event.key === "Enter") this.submit();
    else if (event.key === "Escape") this.close(true);
    else if (/^[1-9]$/.test(event.key) && !this.input.value && words.reasons[Number(event.key) - 1]) {
      event.preventDefault();
      this.pick(Number(event.key));
    }
  }

  /** @param {number} number from 1 */
  pick(number) {
    const reason = words.reasons[number - 1];
    if (reason) this.choose(reason);
  }

  submit() {
    if (this.input.value.trim()) this.choose(this.input.value.trim());
  }

  /** @param {string} reason */
  choose(reason) {
    const answer = this.onReason;
    this.close(true);
    answer?.(reason);
  }

  close(focus = false) {
    if (!this.open) return;
    this.element.hidden = true;
    this.onReason = null;
    if (focus) this.onLeave();
  }
}
