// The strip under the waveform: what the session heard (chunks), what it cost (compute), when words came (emission).
//
//   const strip = createStrip(host, { label: "A" });
//   strip.show(lane, clip);          // lane.events, lane.words; clip.total_s, clip.audio_s
//   strip.range(start_s, end_s);     // the stretch of the waveform that is in view
//   strip.at(time_s);                // cursor
//   strip.destroy();
/** @import { Lane, LaneEvent, LaneWord, PlaybackClip } from "./messages.d.ts" */
import { direction, directionOf, h, perFrame, set, svg as shape } from "./dom.js";
import { playback as words } from "./strings.js";

const HEIGHT = 50;
/** @type {{ [row: string]: [number, number] }} top and height */
const ROWS = { chunk: [2, 11], compute: [15, 6], word: [23, 15] };
const START = 0,
  END = 1,
  COMPUTE = 2,
  EMISSION = 3;

/**
 * @param {HTMLElement} host
 * @param {{ label: string }} options
 */
export const createStrip = (host, options) => new Strip(host, options);

export class Strip {
  /**
   * @param {HTMLElement} host
   * @param {{ label: string }} options
   */
  constructor(host, { label }) {
    /** @type {Lane | null} */
    this.lane = null;
    /** @type {PlaybackClip | null} */
    this.clip = null;
    /** @type {[number, number] | null} the stretch in view; null: all */
    this.view = null;
    this.time_s = 0;
    this.width = 0;
    this.draw = perFrame(() => this.drawNow());
    this.svg = shape("svg", {
      class: "nwb-strip-drawing",
      role: "img",
      height: HEIGHT,
      width: "100%",
      preserveAspectRatio: "none",
    });
    this.cursor = h("div", { class: "nwb-strip-cursor" });
    this.tip = h("div", { class: "nwb-strip-tip", hidden: true });
    this.element = h(
      "div",
      { class: "nwb-strip", dataset: { testid: "strip" } },
      h("span", { class: "nwb-strip-name" }, label),
      this.svg,
      this.cursor,
      this.tip,
    );
    host.append(this.element);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => {
      this.tip.hidden = true;
    });
    this.resize = new ResizeObserver(([entry]) => {
      this.width = entry.contentRect.width;
      this.draw();
    });
    this.resize.observe(this.element);
  }

  get span() {
    return this.view ?? [0, this.clip?.total_s ?? 1];
  }

  drawNow() {
    const { lane, clip, svg, width } = this;
    if (!width) return;
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.replaceChildren();
    if (!lane?.events || !clip) return;
    const [from, to] = this.span;
    const x = (/** @type {number} */ s) => ((s - from) / (to - from)) * width;
    if (to > clip.audio_s) {
      const start = Math.max(0, x(clip.audio_s));
      svg.append(shape("rect", { x: start, y: 0, width: width - start, height: HEIGHT, class: "nwb-strip-after" }));
    }
    const heard = lane.events.filter((event) => event[END] >= from && event[START] <= to);
    const shown = (/** @type {number | null} */ at) => at !== null && at >= from - 2 && at <= to + 2;
    const said = (lane.words ?? []).filter((word) => shown(word[3]));
    drawChunks(svg, heard, x);
    drawWords(svg, said, x, width, direction(lane.final));
    this.move();
  }

  move() {
    const [from, to] = this.span;
    const share = (this.time_s - from) / (to - from);
    this.cursor.hidden = share < 0 || share > 1;
    this.cursor.style.transform = `translateX(${share * this.width}px)`;
  }

  /** The chunk under the pointer. @param {PointerEvent} event */
  point(event) {
    const { lane, width } = this;
    if (!lane?.events || !this.clip) return;
    const [from, to] = this.span;
    const at = from + (event.offsetX / (width || 1)) * (to - from);
    const index = lane.events.findIndex((chunk) => at >= chunk[START] && at < chunk[END]);
    this.tip.hidden = index < 0;
    if (index < 0) return;
    const [start_s, end_s, compute_s, emission_s] = lane.events[index];
    this.tip.textContent = words.chunk(index + 1, start_s, end_s, compute_s, emission_s);
    this.tip.style.left = `${Math.min(Math.max(0, event.offsetX - 90), Math.max(0, width - 330))}px`;
  }

  /** @param {Lane} lane @param {PlaybackClip} clip */
  show(lane, clip) {
    this.lane = lane;
    this.clip = clip;
    this.svg.setAttribute("aria-label", words.stripLabel(lane?.events?.length ?? 0, lane?.words?.length ?? 0));
    this.draw();
  }

  /** @param {number} from @param {number} to no more than `from`: all */
  range(from, to) {
    this.view = to > from ? [from, to] : null;
    this.draw();
  }

  /** @param {number} seconds */
  at(seconds) {
    this.time_s = seconds;
    this.move();
  }

  destroy() {
    this.resize.disconnect();
    this.element.remove();
  }
}

/**
 * Two paths for chunks (alternating shades), one for compute: a long clip at 80 ms has a thousand of them.
 * @param {SVGSVGElement} svg
 * @param {LaneEvent[]} events
 * @param {(s: number) => number} x
 */
function drawChunks(svg, events, x) {
  const bars = ["", "", ""];
  /** @type {(from: number, to: number, row: [number, number], least: number) => string} */
  const bar = (from, to, [y, height], least) => {
    const wide = Math.max(least, to - from).toFixed(1);
    return `M${from.toFixed(1)} ${y}h${wide}v${height}h-${wide}z`;
  };
  events.forEach((event, index) => {
    bars[index % 2] += bar(x(event[START]), x(event[END]), ROWS.chunk, 0.5);
    bars[2] += bar(x(event[EMISSION] - event[COMPUTE]), x(event[EMISSION]), ROWS.compute, 1);
  });
  for (const [index, name] of ["nwb-strip-even", "nwb-strip-odd", "nwb-strip-compute"].entries()) {
    svg.append(shape("path", { d: bars[index], class: name }));
  }
}

/**
 * A line from where each word ended in the audio to where it came on screen: the longer, the later.
 * @param {SVGSVGElement} svg
 * @param {LaneWord[]} rows
 * @param {(s: number) => number} x
 * @param {number} width
 * @param {"rtl" | "ltr"} line
 */
function drawWords(svg, rows, x, width, line) {
  let free = -Infinity;
  const top = ROWS.chunk[0] + ROWS.chunk[1];
  const [y, height] = ROWS.word;
  for (const [text, , end, emitted] of rows) {
    if (emitted === null) continue;
    const at = x(emitted);
    if (end !== null)
      svg.append(
        shape("path", { d: `M${x(end).toFixed(1)} ${top}L${at.toFixed(1)} ${y + 8}`, class: "nwb-strip-link" }),
      );
    svg.append(shape("circle", { cx: at, cy: y + 9, r: 2.2, class: "nwb-strip-dot" }));
    const room = Math.min(text.length, 12) * 6.2;
    if (at >= free && at + room < width) {
      const name = shape("text", { x: at - 2, y: y + height + 9, class: "nwb-strip-word" });
      if (directionOf(text, line) === "rtl")
        set(name, { direction: "rtl", "text-anchor": "end", style: { "unicode-bidi": "isolate" } });
      name.textContent = text.length > 12 ? `${text.slice(0, 11)}…` : text;
      svg.append(name);
      free = at + room + 6;
    }
  }
}
