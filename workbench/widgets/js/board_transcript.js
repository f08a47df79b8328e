// The transcript of the chosen clip, edited in place: Enter saves, Esc leaves it as it was, leaving the field saves.
/** @import { Decided, Details } from "./messages.d.ts" */
import { drafted } from "./board_draft.js";
import { fill, h } from "./dom.js";
import { board as words } from "./strings.js";

export class Transcript {
  /**
   * @param {object} options
   * @param {(row: Details, text: string) => Promise<Decided | null>} options.onSave null where the kernel refused
   * @param {() => void} options.onLeave the focus goes back to the table
   * @param {() => void} options.onNext a draft was made a reference
   * @param {() => void} options.onEditing it opened, or was closed
   */
  constructor({ onSave, onLeave, onNext, onEditing }) {
    this.onSave = onSave;
    this.onLeave = onLeave;
    this.onNext = onNext;
    this.onEditing = onEditing;
    /** @type {Details | null} */
    this.row = null;
    /** @type {HTMLTextAreaElement} */
    this.text = h("textarea", {
      class: "nwb-input nwb-transcript",
      dir: "auto",
      rows: 1,
      readonly: true,
      spellcheck: "false",
      "aria-label": words.transcript,
      dataset: { testid: "board-transcript" },
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
      oninput: () => this.grow(),
      ondblclick: () => this.edit(),
      onblur: () => this.editing && this.save(),
    });
    this.hint = h("div", { class: "nwb-edit-hint nwb-muted", hidden: true }, words.editHint);
    this.original = h("div", { class: "nwb-original", hidden: true });
    this.element = h("div", { class: "nwb-transcript-box" }, this.text, this.hint, this.original);
  }

  get editing() {
    return !this.text.readOnly;
  }

  /** What stands there before it is edited: a draft, where there is no transcript. */
  get before() {
    return this.row?.text || (this.row?.draft?.text ?? "");
  }

  /** A draft that waits is shown word by word elsewhere until it is edited. */
  drawBox() {
    this.text.hidden = !this.editing && drafted(this.row);
  }

  /** @param {Details} row */
  show(row) {
    this.row = row;
    if (!this.editing) this.text.value = this.before;
    this.drawBox();
    this.grow();
    const was = row.original_text;
    const changed = was !== undefined && was !== null && was !== row.text;
    this.original.hidden = !changed;
    if (changed) fill(this.original, h("span", { class: "nwb-muted" }, `${words.original}: `), h("bdi", {}, was));
  }

  edit() {
    if (!this.row) return;
    this.text.readOnly = false;
    this.hint.hidden = false;
    this.drawBox();
    this.onEditing();
    this.grow();
    this.text.focus();
    this.text.setSelectionRange(this.text.value.length, this.text.value.length);
  }

  /** Keys pressed before the field was open. @param {string} text */
  type(text) {
    if (text === "Enter") this.enter();
    else this.text.setRangeText(text, this.text.selectionStart, this.text.selectionEnd, "end");
    this.grow();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (!this.editing) return;
    event.stopPropagation();
    if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      this.enter();
    } else if (event.key === "Escape") {
      this.text.value = this.before;
      this.lock();
      this.onLeave();
    }
  }

  lock() {
    this.text.readOnly = true;
    this.hint.hidden = true;
    this.drawBox();
    this.onEditing();
    this.grow();
  }

  /** Enter: a draft becomes the reference, changed or not, and the next one is due. */
  async enter() {
    const waits = drafted(this.row);
    const done = await this.save(waits);
    if (done && waits) this.onNext();
    else this.onLeave();
  }

  /** Of the row that is shown now, also where another is about to be shown. */
  async save(unchanged = false) {
    const [value, row, before] = [this.text.value, this.row, this.before];
    this.lock();
    if (!row || (value === before && !unchanged)) return false;
    const done = await this.onSave(row, value);
    if (done || this.row?.id !== row.id) return Boolean(done);
    this.text.value = value; // what was typed is not thrown away
    this.text.readOnly = false;
    this.hint.hidden = false;
    this.drawBox();
    this.onEditing();
    return false;
  }

  grow() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(160, Math.max(42, this.text.scrollHeight + 2))}px`;
  }
}
