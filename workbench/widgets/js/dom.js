// Elements from plain text. Nothing here, and nothing that uses it, ever parses HTML from data.
/** @import { Child, Props } from "./page.d.ts" */

/**
 * Make an element: h("button", {class: "nwb-btn", onclick: go, "aria-label": "Play"}, "Play").
 * `on…` properties become listeners, `dataset`/`style` objects are merged, null and false are left out.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Props<HTMLElementTagNameMap[K]>} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  set(el, props);
  el.append(
    ...children
      .filter((c) => c !== null && c !== false && c !== undefined)
      .map((c) => (c instanceof Node ? c : String(c))),
  );
  return el;
}

/**
 * Set properties on an element, with the rules of `h`.
 * @template {HTMLElement | SVGElement} El
 * @param {El} el
 * @param {Props<El>} props
 * @returns {El}
 */
export function set(el, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on") && typeof value === "function") {
      el.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (name === "dataset") Object.assign(el.dataset, value);
    else if (name === "style" && value !== null && typeof value === "object") {
      for (const [k, v] of Object.entries(value)) el.style.setProperty(k, String(v));
    } else if (value === null || value === undefined || value === false) el.removeAttribute(name);
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  return el;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * The same for a shape of a drawing: svg("circle", { cx: 3, onclick: go }, svg("title", {}, "Three")).
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Props<SVGElementTagNameMap[K]>} [props]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, props = {}, ...children) {
  const el = document.createElementNS(SVG, tag);
  set(el, props);
  return fill(el, ...children);
}

/**
 * Replace all children.
 * @template {Element} El
 * @param {El} el
 * @param {...Child} children
 */
export function fill(el, ...children) {
  el.replaceChildren(
    ...children
      .filter((c) => c !== null && c !== false && c !== undefined)
      .map((c) => (c instanceof Node ? c : String(c))),
  );
  return el;
}

const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/** "rtl" or "ltr", by a text's first letter. `dir="auto"` passes over <bdi>: no use around words in <bdi>. */
export function direction(/** @type {string | null | undefined} */ text) {
  return RIGHT_TO_LEFT.test(/\p{L}/u.exec(text ?? "")?.[0] ?? "") ? "rtl" : "ltr";
}

/** The `dir` of one word in a line that runs `line`: digits and marks alone ("17:45.") stand as their line runs. */
export const directionOf = (/** @type {string} */ word, /** @type {"rtl" | "ltr"} */ line) =>
  /\p{L}/u.test(word) ? null : line;

const ICONS = {
  play: "M8 5.5v13l11-6.5z",
  pause: "M7 5h4v14H7zM13 5h4v14h-4z",
  loop: "M17 2l4 4-4 4M3 11V9a3 3 0 0 1 3-3h15M7 22l-4-4 4-4M21 13v2a3 3 0 0 1-3 3H3",
  zoomIn: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5L21 21M10.5 7.5v6M7.5 10.5h6",
  zoomOut: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5L21 21M7.5 10.5h6",
  spectrogram: "M4 20V10M8 20V4M12 20V13M16 20V7M20 20v-5",
  check: "M4.5 12.5l5 5 10-11",
  cross: "M6 6l12 12M18 6L6 18",
  pencil: "M4 20l1-4L16.5 4.5l3 3L8 19zM14.5 6.5l3 3",
  undo: "M8 4L3.5 8.5 8 13M4 8.5h9a6 6 0 0 1 0 12H9",
  redo: "M16 4l4.5 4.5L16 13M20 8.5h-9a6 6 0 0 0 0 12h4",
  down: "M5 9l7 7 7-7",
  up: "M5 15l7-7 7 7",
  next: "M9 5l7 7-7 7",
  previous: "M15 5l-7 7 7 7",
  help: "M9 9a3 3 0 1 1 4.2 2.7c-.8.4-1.2 1-1.2 1.8v.5M12 17.5v.5M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18z",
  flag: "M5 21V4h11l-2 4 2 4H5",
  search: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5L21 21",
  warn: "M12 4l9 16H3zM12 10v4M12 16.5v.5",
  info: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM12 11v5.5M12 7.5v.5",
  save: "M5 4h11l3 3v13H5zM8 4v5h7V4M8 20v-6h8v6",
  person: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM4.5 20.5c.8-4 3.6-6 7.500-6s6.700 2 7.500 6",
  clear: "M6 6l12 12M18 6L6 18",
  record: "M12 6a6 6 0 1 1 0 12 6 6 0 0 1 0-12z",
  stop: "M6.500 6.500h11v11h-11z",
};
/** @typedef {keyof typeof ICONS} IconName */
/** @type {Set<IconName>} */
const SOLID = new Set(["play", "pause", "record", "stop"]);

/**
 * An icon, drawn in the text color; hidden from screen readers (label the button).
 * @param {IconName} name
 * @returns {SVGElement}
 */
export function icon(name, size = 16) {
  const solid = SOLID.has(name);
  const attributes = {
    viewBox: "0 0 24 24",
    width: size,
    height: size,
    "aria-hidden": "true",
    focusable: "false",
    class: "nwb-icon",
    fill: solid ? "currentColor" : "none",
    stroke: solid ? "none" : "currentColor",
    "stroke-width": 2,
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
  };
  return svg("svg", attributes, svg("path", { d: ICONS[name] }));
}

/** Seconds as 1:02.3, or 1:02:03 from an hour on. @param {number | null | undefined} seconds */
export function clock(seconds, digits = 1) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return "–:––";
  const tenths = 10 ** digits;
  const total = Math.max(0, Math.round(seconds * tenths) / tenths);
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor(total / 60) % 60;
  const rest = (total % 60).toFixed(hours ? 0 : digits).padStart(hours || !digits ? 2 : 3 + digits, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** What an error says, whatever was thrown. */
export const messageOf = (/** @type {unknown} */ error) =>
  /** @type {{ message?: string } | null | undefined} */ (error)?.message ?? String(error);

/** What kind of error it is, whatever was thrown. */
export const nameOf = (/** @type {unknown} */ error) =>
  /** @type {{ name?: string } | null | undefined} */ (error)?.name ?? "";

/** A number with the reader's separators. */
export const count = (/** @type {number | null | undefined} */ n) => Number(n ?? 0).toLocaleString();

/** Call `fn` at most once per animation frame. @param {() => void} fn */
export function perFrame(fn) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      fn();
    });
  };
}

/**
 * Call `fn` once `ms` milliseconds have passed without a further call.
 * @template {unknown[]} Args
 * @param {(...args: Args) => void} fn
 * @param {number} ms
 * @returns {(...args: Args) => void}
 */
export function debounce(fn, ms) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => fn(...args), ms);
  };
}

/**
 * Call `fn` whenever JupyterLab's (or the system's) theme changes; returns a function that stops it.
 * @param {() => void} fn
 */
export function onTheme(fn) {
  const watch = new MutationObserver(() => requestAnimationFrame(fn));
  watch.observe(document.body, {
    attributes: true,
    attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"],
  });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", fn);
  return () => {
    watch.disconnect();
    system.removeEventListener("change", fn);
  };
}

/** Resolved value of a design token of theme.css, such as "--nwb-accent". */
export const token = (/** @type {Element} */ el, /** @type {string} */ name) =>
  getComputedStyle(el).getPropertyValue(name).trim();

// JupyterLab matches its keys against the focused element itself, so that the attribute on a widget's root alone
// lets "d d" delete the cell. It goes on whatever has the focus inside such a root, and comes off while Ctrl, Alt
// or Meta is down: Ctrl+S still saves the notebook.
const KEYS_OFF = "data-lm-suppress-shortcuts";
const inWidget = (/** @type {Element} */ el) => el.closest(`.nwb[${KEYS_OFF}]`);

/** @param {KeyboardEvent} event */
function onKey({ target, ctrlKey, metaKey, altKey }) {
  if (!(target instanceof Element)) return;
  const root = inWidget(target) || target.closest(".nwb[data-keys-through]");
  if (!root) return;
  const through = ctrlKey || metaKey || altKey;
  root.toggleAttribute("data-keys-through", through);
  for (const el of [root, target]) {
    if (through) el.removeAttribute(KEYS_OFF);
    else el.setAttribute(KEYS_OFF, "true");
  }
}

/** @param {FocusEvent} event */
function onFocus({ target }) {
  if (target instanceof Element && inWidget(target)) target.setAttribute(KEYS_OFF, "true");
}

if (typeof document !== "undefined") {
  // else the unit tests, which have no page
  addEventListener("focusin", onFocus, true);
  for (const type of /** @type {const} */ (["keydown", "keyup"])) addEventListener(type, onKey, true);
}
