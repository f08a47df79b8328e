// The strip under the waveform: what the session heard (chunks), what it cost (compute), when words came (emission).
//
//   const strip = createStrip(host, { label: "A" });
//   strip.show(lane, clip);          // lane.events, lane.words; clip.total_s, clip.audio_s
//   strip.range(start_s, end_s);     // the stretch of the waveform that is in view
//   strip.at(time_s);                // cursor
//   strip.destroy();
import { direction, directionOf, h, perFrame, set } from "./dom.js";
import { playback as words } from "./strings.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 50;
const ROWS = { chunk: [2, 11], compute: [15, 6], word: [23, 15] };
const START = 0,
  END = 1,
  COMPUTE = 2,
  EMISSION = 3;

export function createStrip(host, { label = "" } = {}) {
  const svg = shape("svg", {
    class: "nwb-strip-drawing",
    role: "img",
    height: HEIGHT,
    width: "100%",
    preserveAspectRatio: "none",
  });
  const cursor = h("div", { class: "nwb-strip-cursor" });
  const tip = h("div", { class: "nwb-strip-tip", hidden: true });
  const root = h(
    "div",
    { class: "nwb-strip", dataset: { testid: "strip" } },
    h("span", { class: "nwb-strip-name" }, label),
    svg,
    cursor,
    tip,
  );
  let lane = null,
    clip = null,
    view = null,
    time_s = 0,
    width = 0;
  host.append(root);

  const draw = perFrame(() => {
    if (!width) return;
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.replaceChildren();
    if (!lane?.events || !clip) return;
    const [from, to] = view ?? [0, clip.total_s];
    const x = (s) => ((s - from) / (to - from)) * width;
    if (to > clip.audio_s) {
      const start = Math.max(0, x(clip.audio_s));
      svg.append(shape("rect", { x: start, y: 0, width: width - start, height: HEIGHT, class: "nwb-strip-after" }));
    }
    drawChunks(
      svg,
      lane.events.filter((e) => e[END] >= from && e[START] <= to),
      x,
    );
    drawWords(
      svg,
      lane.words.filter((w) => w[3] !== null && w[3] >= from - 2 && w[3] <= to + 2),
      x,
      width,
      direction(lane.final),
    );
    move();
  });
  function move() {
    const [from, to] = view ?? [0, clip?.total_s ?? 1];
    const share = (time_s - from) / (to - from);
    cursor.hidden = share < 0 || share > 1;
    cursor.style.transform = `translateX(${share * width}px)`;
  }
  const point = (event) => {
    if (!lane?.events || !clip) return;
    const [from, to] = view ?? [0, clip.total_s];
    const share = event.offsetX / (width || 1);
    const at = from + share * (to - from);
    const index = lane.events.findIndex((e) => at >= e[START] && at < e[END]);
    tip.hidden = index < 0;
    if (index < 0) return;
    tip.textContent = words.chunk(index + 1, ...lane.events[index].slice(0, 4));
    tip.style.left = `${Math.min(Math.max(0, event.offsetX - 90), Math.max(0, width - 330))}px`;
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerleave", () => {
    tip.hidden = true;
  });
  const resize = new ResizeObserver(([entry]) => {
    width = entry.contentRect.width;
    draw();
  });
  resize.observe(root);

  return {
    element: root,
    show(nextLane, nextClip) {
      [lane, clip] = [nextLane, nextClip];
      svg.setAttribute("aria-label", words.stripLabel(lane?.events?.length ?? 0, lane?.words?.length ?? 0));
      draw();
    },
    range(from, to) {
      view = to > from ? [from, to] : null;
      draw();
    },
    at(seconds) {
      time_s = seconds;
      move();
    },
    destroy() {
      resize.disconnect();
      root.remove();
    },
  };
}

/** Two paths for chunks (alternating shades), one for compute: a long clip at 80 ms has a thousand of them. */
function drawChunks(svg, events, x) {
  const bars = ["", "", ""];
  const bar = (from, to, [y, height], least) =>
    `M${from.toFixed(1)} ${y}h${Math.max(least, to - from).toFixed(1)}v${height}h${(-Math.max(least, to - from)).toFixed(1)}z`;
  events.forEach((event, index) => {
    bars[index % 2] += bar(x(event[START]), x(event[END]), ROWS.chunk, 0.5);
    bars[2] += bar(x(event[EMISSION] - event[COMPUTE]), x(event[EMISSION]), ROWS.compute, 1);
  });
  ["nwb-strip-even", "nwb-strip-odd", "nwb-strip-compute"].forEach((name, index) =>
    svg.append(shape("path", { d: bars[index], class: name })),
  );
}

/** A line from where each word ended in the audio to where it came on screen: the longer, the later. */
function drawWords(svg, rows, x, width, line) {
  let free = -Infinity;
  const top = ROWS.chunk[0] + ROWS.chunk[1];
  const [y, height] = ROWS.word;
  for (const [text, , end, emitted] of rows) {
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

function shape(tag, attributes) {
  const el = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, String(value));
  return el;
}
