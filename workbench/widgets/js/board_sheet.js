// Dialogs over the board: the keys, on screen and on paper, and deciding or editing all clips of a view at once.
/**
 * @import { IconName } from "./dom.js"
 * @import { Bulk } from "./messages.d.ts"
 */
import { count, h, icon } from "./dom.js";
import { common, named, board as words } from "./strings.js";

/**
 * A modal sheet over the board; Esc and the veil close it. Returns {close}.
 * @param {HTMLElement} root
 * @param {string} title
 * @param {HTMLElement[]} content
 * @param {() => void} onClose
 */
export function openSheet(root, title, content, onClose) {
  const before = /** @type {Document | ShadowRoot} */ (root.getRootNode()).activeElement;
  /** @type {() => void} */
  const close = () => {
    veil.remove();
    onClose();
    if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  };
  const shut = h(
    "button",
    {
      type: "button",
      class: "nwb-btn nwb-plain nwb-icon-only",
      "aria-label": common.close,
      title: common.close,
      onclick: close,
    },
    icon("cross"),
  );
  const sheet = h(
    "div",
    { class: "nwb-sheet", role: "dialog", "aria-modal": "true", "aria-label": title, tabindex: -1 },
    h("div", { class: "nwb-sheet-head" }, h("h3", {}, title), shut),
    ...content,
  );
  /** @type {HTMLDivElement} */
  const veil = h(
    "div",
    {
      class: "nwb-veil",
      onclick: (event) => event.target === veil && close(),
      onkeydown: (event) => {
        event.stopPropagation();
        const typing = event.target instanceof Element && event.target.matches("input, select");
        if (event.key === "Escape" || (event.key === "?" && !typing)) close();
        if (event.key === "Tab") keepIn(sheet, event);
      },
    },
    sheet,
  );
  root.append(veil);
  sheet.focus({ preventScroll: true });
  return { close };
}

/** @param {HTMLElement} sheet @param {KeyboardEvent} event */
function keepIn(sheet, event) {
  /** @type {NodeListOf<HTMLButtonElement | HTMLInputElement | HTMLSelectElement>} */
  const all = sheet.querySelectorAll("button, input, select");
  const stops = [...all].filter((el) => !el.disabled);
  const [first, last] = [stops[0], stops[stops.length - 1]];
  if (event.shiftKey && (event.target === first || event.target === sheet)) last.focus();
  else if (!event.shiftKey && event.target === last) first.focus();
  else return;
  event.preventDefault();
}

export function keysContent() {
  const key = (/** @type {string} */ name) =>
    name === "·" ? h("span", { class: "nwb-muted" }, name) : h("kbd", {}, name);
  const line = (/** @type {string[]} */ [keys, what]) =>
    h("li", {}, h("span", { class: "nwb-key-set" }, ...keys.split(/\s+/).map(key)), h("span", {}, what));
  const print = h(
    "button",
    { type: "button", class: "nwb-btn", onclick: () => printKeys(), dataset: { testid: "board-print-keys" } },
    words.printKeys,
  );
  return [
    h("p", { class: "nwb-muted" }, words.keysNote),
    h("ul", { class: "nwb-keys" }, ...words.keys.map(line)),
    print,
  ];
}

/** The keys alone on a page of their own, sent to the printer. */
function printKeys() {
  const frame = h("iframe", { title: words.keysTitle, class: "nwb-print", "aria-hidden": "true" });
  document.body.append(frame);
  const { contentDocument: page, contentWindow: window } = frame;
  if (!page || !window) return;
  const style = page.createElement("style");
  style.textContent =
    "body { font: 14px/1.6 system-ui, sans-serif; margin: 2cm } td { padding: 2px 18px 2px 0 } " +
    "td:first-child { font-weight: 600; white-space: nowrap }";
  page.head.append(style);
  page.title = words.keysTitle;
  const row = (/** @type {string[]} */ [keys, what]) => h("tr", {}, h("td", {}, keys), h("td", {}, what));
  page.body.append(h("h1", {}, words.keysTitle), h("p", {}, words.keysNote), h("table", {}, ...words.keys.map(row)));
  window.addEventListener("afterprint", () => frame.remove());
  window.print();
}

/**
 * What can be done with all clips of a view.
 * @param {object} options
 * @param {number} options.pending undecided clips of the view
 * @param {number} options.total all its clips
 * @param {string[]} options.fields that may be edited
 * @param {(body: Bulk) => void} options.send
 */
export function bulkContent({ pending, total, fields, send }) {
  /** @type {(text: string, onclick: () => void, tone?: string, mark?: IconName) => HTMLButtonElement} */
  const button = (text, onclick, tone = "", mark) =>
    h("button", { type: "button", class: `nwb-btn ${tone}`, onclick }, mark ? icon(mark) : null, text);
  const decided = { expected: pending };
  const other = h("input", {
    class: "nwb-input",
    placeholder: words.otherReason,
    "aria-label": words.otherReason,
    maxlength: 200,
  });
  const reject = (/** @type {string} */ reason) => reason && send({ action: "reject", reason, ...decided });
  const reasons = words.reasons.map((reason) => button(reason, () => reject(reason)));
  const field = h("select", {
    class: "nwb-input",
    "aria-label": words.bulkField,
    dataset: { testid: "board-bulk-field" },
  });
  field.append(...fields.map((name) => h("option", { value: name }, named(words.fields, name))));
  const value = h("input", {
    class: "nwb-input",
    "aria-label": words.bulkValue,
    placeholder: words.none,
    list: `nwb-values-${fields[0]}`,
    dataset: { testid: "board-bulk-value" },
  });
  field.addEventListener("change", () => value.setAttribute("list", `nwb-values-${field.value}`));
  const edit = () => send({ action: "edit", field: field.value, value: value.value, expected: total });
  /** @type {HTMLElement[]} */
  const parts = [h("p", { class: "nwb-muted" }, words.bulkNote)];
  if (pending) {
    const accept = button(
      words.bulkAccept(count(pending)),
      () => send({ action: "accept", ...decided }),
      "nwb-good",
      "check",
    );
    const rest = h(
      "div",
      { class: "nwb-bulk-reasons" },
      ...reasons,
      other,
      button(words.reject, () => reject(other.value.trim())),
    );
    parts.push(accept, h("p", {}, words.bulkReject(count(pending))), rest);
  }
  const change = button(words.bulkEditGo, edit);
  change.dataset.testid = "board-bulk-edit";
  parts.push(h("p", {}, words.bulkEdit(count(total))), h("div", { class: "nwb-filter-row" }, field, value, change));
  return parts;
}
