// Words as two models read them: accuracy by one to the right, by the other upwards. A point opens its clips.
//   scatterPlot({ points, better, worse, same, rare }, { before, now }, linked): HTMLElement
/**
 * @import { Link } from "./bars.js"
 * @import { ErrorFilter, ScatterData, ScatterPoint } from "./messages.d.ts"
 */
import { h, svg } from "./dom.js";
import { explorer as words } from "./strings.js";

const SIDE = 240;
const LEFT = 34;
const BOTTOM = 30;
const PAD = 10;
const TICKS = [0, 0.25, 0.5, 0.75, 1];

/** @typedef {(filter: ErrorFilter) => Required<Link>} Linked */
/** @typedef {{ before: string, now: string }} Names what the two predictions are called */

const across = (/** @type {number} */ value) => LEFT + PAD + value * (SIDE - 2 * PAD);
const up = (/** @type {number} */ value) => PAD + (1 - value) * (SIDE - 2 * PAD);

/**
 * @param {ScatterData} data
 * @param {Names} names
 * @param {Linked} linked
 */
export function scatterPlot(data, names, linked) {
  const most = Math.max(1, ...data.points.map((point) => point.count));
  const dots = data.points.map((point) => dot(point, most, linked));
  if (dots.length) dots[0].setAttribute("tabindex", "0");
  const drawing = svg(
    "svg",
    {
      viewBox: `0 0 ${LEFT + SIDE} ${SIDE + BOTTOM}`,
      class: "nwb-scatter",
      role: "group",
      "aria-label": words.scatterHint,
      onkeydown: (event) => walk(event, dots),
    },
    ...frame(names),
    ...dots.toReversed(), // what changed most lies on top
  );
  return h(
    "section",
    { "aria-label": words.scatter, dataset: { testid: "scatter" } },
    h("h4", {}, words.scatter, h("span", { class: "nwb-muted" }, ` ${words.scatterNote(data)}`)),
    drawing,
    data.rare ? h("div", { class: "nwb-muted nwb-scatter-note" }, words.scatterRare(data.rare)) : null,
  );
}

/** @param {Names} names */
function frame(names) {
  /** @type {(x: number, y: number, anchor: string, content: string, transform?: string) => SVGTextElement} */
  const text = (x, y, anchor, content, transform) =>
    svg("text", { x, y, "text-anchor": anchor, class: "nwb-scatter-text", transform }, content);
  const middle = PAD + (SIDE - 2 * PAD) / 2;
  return [
    svg("line", { x1: across(0), y1: up(0), x2: across(1), y2: up(1), class: "nwb-scatter-even" }),
    ...TICKS.flatMap((at) => [
      svg("line", { x1: across(at), y1: up(0), x2: across(at), y2: up(1), class: "nwb-scatter-grid" }),
      svg("line", { x1: across(0), y1: up(at), x2: across(1), y2: up(at), class: "nwb-scatter-grid" }),
      text(across(at), SIDE + 8, "middle", `${100 * at}`),
      text(LEFT + 2, up(at) + 4, "end", `${100 * at}`),
    ]),
    text(LEFT + middle, SIDE + 24, "middle", `${words.scatterAxis(names.before)}, %`),
    text(10, middle, "middle", `${words.scatterAxis(names.now)}, %`, `rotate(-90 10 ${middle})`),
  ];
}

/**
 * @param {ScatterPoint} point
 * @param {number} most words of a point
 * @param {Linked} linked
 */
function dot(point, most, linked) {
  const { chosen, choose } = linked({ kind: "said", words: point.words });
  const way = point.now > point.before ? "better" : point.now < point.before ? "worse" : "same";
  const label = words.scatterPoint(point);
  const radius = 3.5 + 8 * Math.sqrt(point.count / most);
  return svg(
    "circle",
    {
      cx: across(point.before),
      cy: up(point.now),
      r: Math.min(radius, 11),
      class: `nwb-scatter-dot nwb-scatter-${way}`,
      role: "button",
      tabindex: "-1",
      "aria-label": label,
      "aria-pressed": String(Boolean(chosen)),
      "data-key": `scatter ${label}`,
      onclick: choose,
      onkeydown: (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose();
      },
    },
    svg("title", {}, label),
  );
}

/** @type {{ [key: string]: number | undefined }} */
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/**
 * Arrow keys go from point to point, those that changed most first.
 * @param {KeyboardEvent} event
 * @param {SVGCircleElement[]} dots
 */
function walk(event, dots) {
  const step = STEPS[event.key];
  const now = dots.indexOf(/** @type {SVGCircleElement} */ (event.target));
  if (!step || now < 0) return;
  event.preventDefault();
  const next = dots[(now + step + dots.length) % dots.length];
  dots[now].setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus({ preventScroll: true });
}
