// Small linked charts beside the utterances: every bar is a button that filters them.
import { h } from "./dom.js";

/** A list of bars: items of { label, value (0…1 of the longest), text, title, chosen, choose }. */
export function barList(title, items, { note = "", testid = "" } = {}) {
  return h("section", { class: "nwb-bars", dataset: { testid } }, h("h4", {}, title, note ? h("span", { class: "nwb-muted" }, ` ${note}`) : null),
    items.length ? h("ul", {}, ...items.map((item) => h("li", {}, h("button", {
      type: "button", class: "nwb-bar", "aria-pressed": String(Boolean(item.chosen)), title: item.title, "aria-label": item.title, onclick: item.choose, disabled: !item.choose,
    }, h("span", { class: "nwb-bar-fill", style: { width: `${Math.max(2, 100 * item.value)}%` } }), h("span", { class: "nwb-bar-label", dir: "auto" }, item.label), h("span", { class: "nwb-bar-text nwb-num" }, item.text))))) : h("p", { class: "nwb-muted" }, "–"));
}

/** Upright bars in a row: items of { label, value (0…1), title, chosen, choose }. */
export function columnChart(title, items, { note = "", testid = "" } = {}) {
  const top = Math.max(1e-6, ...items.map((item) => item.value ?? 0));
  return h("section", { class: "nwb-columns", dataset: { testid } }, h("h4", {}, title, note ? h("span", { class: "nwb-muted" }, ` ${note}`) : null),
    h("div", { class: "nwb-columns-row" }, ...items.map((item) => h("button", {
      type: "button", class: "nwb-column", title: item.title, "aria-label": item.title, "aria-pressed": String(Boolean(item.chosen)), onclick: item.choose, disabled: !item.choose,
    }, h("span", { class: "nwb-column-space" }, h("span", { class: "nwb-column-fill", style: { height: `${(100 * (item.value ?? 0)) / top}%` } })), h("span", { class: "nwb-column-label" }, item.label)))));
}
