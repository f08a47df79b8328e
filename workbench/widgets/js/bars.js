// Small linked charts beside the utterances: every bar is a button that filters them.
import { h } from "./dom.js";

/**
 * @typedef {object} Link what a bar filters by
 * @property {boolean} [chosen]
 * @property {() => void} [choose]
 */
/**
 * @typedef {object} BarOnly
 * @property {string} [label] or
 * @property {[string, string]} [pair]
 * @property {number} value 0 to 1 of the longest
 * @property {string} text
 * @property {string} title
 * @property {() => void} [add]
 * @property {string} [addTitle]
 */
/** @typedef {BarOnly & Link} Bar */
/** @typedef {{ label: string, value: number | null, title: string } & Link} Column */

/**
 * A list of bars.
 * @param {string} title
 * @param {Bar[]} items
 */
export function barList(title, items, { note = "", testid = "", none = "–" } = {}) {
  return h(
    "section",
    { class: "nwb-bars", "aria-label": title, dataset: { testid } },
    heading(title, note),
    items.length
      ? h(
          "ul",
          {},
          ...items.map((item) =>
            h(
              "li",
              {},
              bar(item, testid),
              item.add
                ? h(
                    "button",
                    {
                      type: "button",
                      class: "nwb-bar-add",
                      title: item.addTitle,
                      "aria-label": item.addTitle,
                      onclick: item.add,
                      dataset: { key: `${testid} + ${item.title}` },
                    },
                    "+",
                  )
                : null,
            ),
          ),
        )
      : h("p", { class: "nwb-muted" }, none),
  );
}

const bar = (/** @type {Bar} */ item, /** @type {string} */ testid) =>
  h(
    "button",
    {
      type: "button",
      class: "nwb-bar",
      "aria-pressed": String(Boolean(item.chosen)),
      title: item.title,
      "aria-label": item.title,
      onclick: item.choose,
      disabled: !item.choose,
      dataset: { key: `${testid} ${item.title}` },
    },
    h("span", { class: "nwb-bar-fill", style: { width: `${Math.max(2, 100 * item.value)}%` } }),
    label(item),
    h("span", { class: "nwb-bar-text nwb-num" }, item.text),
  );

/** A pair is read from left to right whatever its script: an arrow does not turn with the text around it. */
const label = (/** @type {Bar} */ { pair, label: text }) =>
  pair
    ? h("span", { class: "nwb-bar-label", dir: "ltr" }, h("bdi", {}, pair[0]), " → ", h("bdi", {}, pair[1]))
    : h("span", { class: "nwb-bar-label", dir: "auto" }, text);

/**
 * Upright bars in a row.
 * @param {string} title
 * @param {Column[]} items
 */
export function columnChart(title, items, { note = "", testid = "" } = {}) {
  const top = Math.max(1e-6, ...items.map((item) => item.value ?? 0));
  return h(
    "section",
    { class: "nwb-columns", "aria-label": title, dataset: { testid } },
    heading(title, note),
    h(
      "div",
      { class: "nwb-columns-row" },
      ...items.map((item) =>
        h(
          "button",
          {
            type: "button",
            class: "nwb-column",
            title: item.title,
            "aria-label": item.title,
            "aria-pressed": String(Boolean(item.chosen)),
            onclick: item.choose,
            disabled: !item.choose,
            dataset: { key: `${testid} ${item.title}` },
          },
          h(
            "span",
            { class: "nwb-column-space" },
            h("span", { class: "nwb-column-fill", style: { height: `${(100 * (item.value ?? 0)) / top}%` } }),
          ),
          h("span", { class: "nwb-column-label" }, item.label),
        ),
      ),
    ),
  );
}

const heading = (/** @type {string} */ title, /** @type {string} */ note) =>
  h("h4", {}, title, note ? h("span", { class: "nwb-muted" }, ` ${note}`) : null);
