// Axes of the spectrogram: seconds below, kHz at the left, dB as a color scale at the right. They lie in wavesurfer's
// scrolling wrapper, so that they follow zoom; what names frequencies and levels stays in sight.
import { h } from "./dom.js";
import { color, heightOf, RANGE_DB } from "./spectrogram.js";

const HEIGHT = 128;
const KHZ = [0.25, 0.5, 1, 2, 4, 8];
const STEPS_S = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 3600];
const LABEL = "position:absolute;font:10px/1 system-ui,sans-serif;white-space:nowrap;pointer-events:none;";
const ON_PICTURE = `${LABEL}color:#fff;text-shadow:0 0 3px #000,0 0 2px #000;`;

/**
 * Moments to mark on a stretch of time: a round step, no closer than a label needs.
 * @param {number} start_s
 * @param {number} duration_s
 * @param {number} width pixels
 */
export function ticks(start_s, duration_s, width) {
  const most = Math.max(1, Math.floor(width / 60));
  const step = STEPS_S.find((s) => duration_s / s <= most) ?? 3600;
  const first = Math.ceil(start_s / step - 1e-9);
  const last = Math.floor((start_s + duration_s) / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toFixed(3)));
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{ rate: number, start_s: number, duration_s: number, width: number }} what
 */
export function withAxes(canvas, { rate, start_s, duration_s, width }) {
  canvas.style.cssText = `display:block;position:relative;width:100%;height:${HEIGHT}px;pointer-events:none;`;
  const box = h("div", { class: "spectrogram-box" });
  box.style.cssText = `position:relative;width:100%;height:${HEIGHT + 16}px;pointer-events:none;`;
  box.append(inSight("left", frequencies(rate)), inSight("right", [levels()]), canvas);
  const moments = ticks(start_s, duration_s, width);
  box.append(...moments.map((at) => seconds(at, (at - start_s) / duration_s)));
  return box;
}

/**
 * A place of no size that stays at one edge while the wrapper scrolls.
 * @param {"left" | "right"} edge
 * @param {HTMLElement[]} children
 */
function inSight(edge, children) {
  const place = h("div", { "aria-hidden": "true" }, ...children);
  place.style.cssText = `position:sticky;${edge}:0;width:0;height:0;z-index:3;`;
  if (edge === "right") place.style.marginLeft = "100%";
  return place;
}

/** @param {number} rate */
function frequencies(rate) {
  return KHZ.filter((khz) => khz * 1000 <= rate / 2).map((khz) => {
    const label = h("span", {}, khz === 8 || khz * 2000 === rate ? `${khz} kHz` : String(khz));
    const top = Math.min(HEIGHT - 10, Math.max(1, HEIGHT * (1 - heightOf(khz * 1000, rate)) - 5));
    label.style.cssText = `${ON_PICTURE}left:4px;top:${top.toFixed(0)}px;`;
    return label;
  });
}

function levels() {
  const stops = [0, 0.25, 0.5, 0.75, 1].map((at) => `rgb(${color(at).join(" ")}) ${100 * at}%`);
  const bar = h("span");
  const place = `position:absolute;right:4px;top:14px;width:6px;height:${HEIGHT - 28}px;outline:1px solid #fff8;`;
  bar.style.cssText = `${place}background:linear-gradient(to top,${stops.join(",")});`;
  const label = (/** @type {string} */ text, /** @type {number} */ top) => {
    const el = h("span", {}, text);
    el.style.cssText = `${ON_PICTURE}right:3px;top:${top}px;`;
    return el;
  };
  return h("span", {}, bar, label("0 dB", 2), label(`−${RANGE_DB}`, HEIGHT - 11));
}

/** @param {number} at @param {number} share of the picture's width */
function seconds(at, share) {
  const label = h("span", { class: "spectrogram-second" }, `${at} s`);
  const place = share > 0.97 ? "transform:translateX(-100%);" : share > 0.02 ? "transform:translateX(-50%);" : "";
  label.style.cssText = `${LABEL}left:${(100 * share).toFixed(3)}%;top:${HEIGHT + 4}px;color:inherit;${place}`;
  return label;
}
