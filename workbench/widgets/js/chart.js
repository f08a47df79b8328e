// A line chart in SVG: axes, direct labels, a cursor with the values under it. Reads in light and dark.
//
//   const chart = createChart(host, { title, format, zero: true, log: false });
//   chart.show([{ name, x: [], y: [], color: 0, dash: 0, faint: false }]);    chart.destroy();
import { fill, h, perFrame, svg as shape } from "./dom.js";

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {number[]} x steps
 * @property {(number | null)[]} y null: no value at that step
 * @property {number} color 0 to 5
 * @property {number} [dash] of DASHES
 * @property {boolean} [faint] behind another one, and not told
 */
/**
 * @typedef {object} Options
 * @property {string} title
 * @property {string} [note]
 * @property {(value: number) => string} [format]
 * @property {boolean} [zero] the axis begins there
 * @property {number} [least] that the axis reaches
 * @property {boolean} [labels] name a line that is alone
 */
/** @typedef {NonNullable<ReturnType<typeof scaleOf>>} Scale */

const HEIGHT = 190;
const EDGE = { left: 50, right: 12, top: 12, bottom: 24 };
export const DASHES = ["", "6 4", "2 3", "9 3 2 3"];

/**
 * @param {HTMLElement} host
 * @param {Options} options
 */
export const createChart = (host, options) => new Chart(host, options);

const threeDigits = (/** @type {number} */ value) => value.toPrecision(3);

export class Chart {
  /**
   * @param {HTMLElement} host
   * @param {Options} options
   */
  constructor(host, { title, note = "", format = threeDigits, zero = true, least = 0, labels = false }) {
    this.title = title;
    this.format = format;
    this.zero = zero;
    this.least = least;
    this.labels = labels;
    /** @type {Line[]} */
    this.series = [];
    this.width = 0;
    /** @type {Scale | null} */
    this.scale = null;
    this.draw = perFrame(() => this.drawNow());
    this.svg = shape("svg", { role: "img", width: "100%", height: HEIGHT, class: "nwb-chart-drawing" });
    this.tip = h("div", { class: "nwb-chart-tip", hidden: true });
    this.legend = h("div", { class: "nwb-chart-legend" });
    this.element = h(
      "figure",
      { class: "nwb-chart", dataset: { testid: "chart" } },
      h("figcaption", {}, title, h("span", { class: "nwb-muted" }, note ? ` ${note}` : "")),
      h("div", { class: "nwb-chart-stage" }, this.svg, this.tip),
      this.legend,
    );
    host.append(this.element);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => {
      this.tip.hidden = true;
      cursorAt(this.svg, null);
    });
    this.resize = new ResizeObserver(([entry]) => {
      this.width = entry.contentRect.width;
      this.draw();
    });
    this.resize.observe(/** @type {HTMLElement} */ (this.svg.parentElement));
  }

  drawNow() {
    if (!this.width) return;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    this.svg.replaceChildren();
    this.scale = scaleOf(this.series, this.width, this.zero, this.least);
    if (!this.scale) return;
    drawAxes(this.svg, this.scale, this.format, this.width);
    for (const line of this.series) drawLine(this.svg, line, this.scale);
  }

  /** The values under the pointer, largest first. @param {PointerEvent} event */
  point(event) {
    if (!this.scale) return;
    const step = Math.round(this.scale.step(event.offsetX));
    const rows = this.series
      .filter((line) => !line.faint)
      .flatMap((line) => {
        const at = nearest(line, step);
        return at ? [{ line, ...at }] : [];
      });
    this.tip.hidden = !rows.length;
    if (!rows.length) return;
    rows.sort((a, b) => b.y - a.y);
    const row = (/** @type {typeof rows[number]} */ { line, y }) =>
      h(
        "div",
        {},
        h("i", { class: `nwb-key nwb-color-${line.color}` }),
        `${line.name} `,
        h("b", { class: "nwb-num" }, this.format(y)),
      );
    fill(this.tip, h("b", {}, `step ${rows[0].x}`), ...rows.map(row));
    this.tip.style.left = `${Math.min(event.offsetX + 14, Math.max(0, this.width - 170))}px`;
    cursorAt(this.svg, this.scale.x(rows[0].x));
  }

  /** @param {Line[]} next */
  show(next) {
    this.series = next.filter((line) => line.x.length);
    this.element.hidden = !this.series.length;
    const said = this.series.filter((line) => !line.faint);
    const last = (/** @type {Line} */ line) => {
      const at = lastOf(line);
      return at ? this.format(at.y) : "–";
    };
    const spoken = said.map((line) => `${line.name} ${last(line)} at step ${lastOf(line)?.x ?? 0}`);
    this.svg.setAttribute("aria-label", `${this.title}: ${spoken.join("; ")}`);
    const entry = (/** @type {Line} */ line) =>
      h("span", {}, lineKey(line), h("bdi", {}, line.name), h("b", { class: "nwb-num" }, ` ${last(line)}`));
    fill(this.legend, ...(said.length > 1 || this.labels ? said.map(entry) : []));
    this.draw();
  }

  destroy() {
    this.resize.disconnect();
    this.element.remove();
  }
}

/**
 * @param {Line[]} series each with a point at least
 * @param {number} width
 * @param {boolean} zero
 * @param {number} least
 */
function scaleOf(series, width, zero, least) {
  const xs = series.flatMap((line) => [line.x[0], line.x[line.x.length - 1]]);
  const ys = series.flatMap((line) => line.y.filter((v) => v !== null));
  if (!ys.length) return null;
  const [from, to] = [Math.min(0, ...xs), Math.max(1, ...xs)];
  let [low, high] = [zero ? 0 : Math.min(...ys), Math.max(least, ...ys)];
  if (high - low < 1e-12) high = low + (Math.abs(low) || 1);
  const ticks = niceTicks(low, high);
  [low, high] = [Math.min(low, ticks[0]), Math.max(high, ticks[ticks.length - 1])];
  const across = width - EDGE.left - EDGE.right;
  return {
    ticks,
    from,
    to,
    width,
    x: (/** @type {number} */ v) => EDGE.left + ((v - from) / (to - from)) * across,
    y: (/** @type {number} */ v) =>
      HEIGHT - EDGE.bottom - ((v - low) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom),
    step: (/** @type {number} */ px) => from + ((px - EDGE.left) / across) * (to - from),
  };
}

/** @param {number} low @param {number} high */
function niceTicks(low, high, wanted = 4) {
  const raw = (high - low) / wanted;
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * size).find((s) => s >= raw) ?? 10 * size;
  const first = Math.floor(low / step) * step;
  const ticks = [];
  for (let v = first; v < high + step * 0.999; v += step) ticks.push(Number(v.toPrecision(12)));
  return ticks;
}

/**
 * @param {SVGSVGElement} svg
 * @param {Scale} scale
 * @param {(value: number) => string} format
 * @param {number} width
 */
function drawAxes(svg, scale, format, width) {
  for (const tick of scale.ticks) {
    const y = scale.y(tick);
    svg.append(
      shape("path", { d: `M${EDGE.left} ${y.toFixed(1)}H${width - EDGE.right}`, class: "nwb-grid" }),
      text(EDGE.left - 7, y + 4, format(tick), "end"),
    );
  }
  const steps = niceTicks(scale.from, scale.to, Math.max(2, Math.min(6, width / 110))).filter(
    (v) => v >= scale.from && v <= scale.to,
  );
  for (const step of steps)
    svg.append(text(scale.x(step), HEIGHT - 7, step.toLocaleString(), step === scale.from ? "start" : "middle"));
}

/**
 * @param {SVGSVGElement} svg
 * @param {Line} line
 * @param {Scale} scale
 */
function drawLine(svg, line, scale) {
  let d = "",
    pen = "M";
  line.x.forEach((x, i) => {
    const y = line.y[i];
    if (y === null) pen = "M";
    else {
      d += `${pen}${scale.x(x).toFixed(1)} ${scale.y(y).toFixed(1)}`;
      pen = "L";
    }
  });
  svg.append(
    shape("path", {
      d,
      fill: "none",
      class: `nwb-line nwb-color-${line.color} ${line.faint ? "nwb-faint" : ""}`,
      "stroke-dasharray": DASHES[line.dash ?? 0],
    }),
  );
  if (!line.faint && line.x.length <= 40)
    for (const [i, x] of line.x.entries()) {
      const y = line.y[i];
      if (y === null) continue;
      const dot = { cx: scale.x(x), cy: scale.y(y), r: 2.8, class: `nwb-dot nwb-color-${line.color}` };
      svg.append(shape("circle", dot));
    }
}

/**
 * The last point of a line that has a value: a loss that is no number any more has none.
 * @param {Line} line
 */
export function lastOf({ x, y }) {
  const at = y.findLastIndex((value) => value !== null);
  const value = y[at];
  return value === null || value === undefined ? null : { x: x[at], y: value };
}

/**
 * The point of a line that is closest to a step.
 * @param {Line} line
 * @param {number} step
 */
function nearest(line, step) {
  /** @type {{ x: number, y: number } | null} */
  let best = null;
  for (const [i, x] of line.x.entries()) {
    const y = line.y[i];
    if (y !== null && (best === null || Math.abs(x - step) < Math.abs(best.x - step))) best = { x, y };
  }
  return best;
}

/** @param {SVGSVGElement} svg @param {number | null} x null: none */
function cursorAt(svg, x) {
  svg.querySelector(".nwb-chart-cursor")?.remove();
  if (x !== null)
    svg.append(shape("path", { d: `M${x} ${EDGE.top}V${HEIGHT - EDGE.bottom}`, class: "nwb-chart-cursor" }));
}

/** @param {Line} line */
function lineKey(line) {
  const key = shape("svg", { width: 22, height: 8, "aria-hidden": "true" });
  key.append(
    shape("path", {
      d: "M0 4H22",
      class: `nwb-line nwb-color-${line.color}`,
      "stroke-dasharray": DASHES[line.dash ?? 0],
    }),
  );
  return key;
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} content
 * @param {"start" | "middle" | "end"} anchor
 */
function text(x, y, content, anchor) {
  const el = shape("text", { x, y, "text-anchor": anchor, class: "nwb-tick" });
  el.textContent = content;
  return el;
}
