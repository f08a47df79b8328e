// A segment in its recording: the sound around it, its neighbors, and two ends to drag or move by keys.
//
//   const segment = new Segment({ channel, onMove, onGo, onLeave }); segment.show(row); segment.focus("start")
/**
 * @import { Channel } from "./channel.js"
 * @import { Answer, BoardEvents, BoardQuestions, Decided, Details, Neighbor, Surroundings } from "./messages.d.ts"
 */
import { clock, debounce, fill, h, onTheme, set } from "./dom.js";
import { drawOverview } from "./player_ui.js";
import { segment as words } from "./strings.js";

const STEP_S = 0.05;
const FINE_S = 0.01;
const SHORTEST_S = 0.05;
const AFTER_KEYS_MS = 800;

/** @typedef {{ start_s: number, end_s: number }} Ends */
/** @typedef {"start" | "end"} End */

/**
 * The ends after one of them is put somewhere: inside what is shown, and never past the other.
 * @param {Ends} ends
 * @param {End} end
 * @param {number} at_s
 * @param {Ends} limits
 * @returns {Ends}
 */
export function moved({ start_s, end_s }, end, at_s, limits) {
  const round = (/** @type {number} */ s) => Math.round(s * 1000) / 1000;
  if (end === "start") return { start_s: round(Math.max(limits.start_s, Math.min(at_s, end_s - SHORTEST_S))), end_s };
  return { start_s, end_s: round(Math.min(limits.end_s, Math.max(at_s, start_s + SHORTEST_S))) };
}

export class Segment {
  /**
   * @param {object} options
   * @param {Channel<BoardQuestions, BoardEvents>} options.channel
   * @param {(to: { id: string, offset: number, duration: number }) => Promise<Decided | null>} options.onMove null
   *   where the kernel refused
   * @param {(id: string) => void} options.onGo to a neighbor
   * @param {() => void} options.onLeave the focus goes back to the table
   */
  constructor({ channel, onMove, onGo, onLeave }) {
    this.channel = channel;
    this.onMove = onMove;
    this.onGo = onGo;
    this.onLeave = onLeave;
    this.turn = 0;
    this.key = "";
    this.sent = ""; // the ends last handed to the kernel
    this.saving = false;
    /** @type {Surroundings | null} what the kernel said of the clip's surroundings */
    this.around = null;
    this.peaks = new Float32Array();
    /** @type {Ends} */
    this.ends = { start_s: 0, end_s: 0 };
    this.keep = debounce(() => this.save(), AFTER_KEYS_MS);
    this.times = h("span", { class: "nwb-num", dataset: { testid: "segment-times" } });
    this.stage = h("div", { class: "nwb-around-wave" }, h("canvas", { "aria-hidden": "true" }));
    this.near = h("div", { class: "nwb-around-near" });
    this.box = h("div", { class: "nwb-around-own" });
    this.handles = { start: this.handle("start"), end: this.handle("end") };
    this.body = h(
      "div",
      { class: "nwb-around-body", dir: "ltr", dataset: { testid: "segment-body" } },
      this.stage,
      this.near,
      this.box,
      this.handles.start,
      this.handles.end,
    );
    this.element = this.build();
    this.stopTheme = onTheme(() => this.draw());
  }

  build() {
    return h(
      "div",
      { class: "nwb-around", role: "group", "aria-label": words.title, hidden: true, dataset: { testid: "segment" } },
      h(
        "div",
        { class: "nwb-around-head" },
        h("strong", {}, words.title),
        this.times,
        h("span", { class: "nwb-muted nwb-around-hint" }, words.hint),
      ),
      this.body,
    );
  }

  /** @param {End} end */
  handle(end) {
    /** @type {HTMLDivElement} */
    const el = h("div", {
      class: `nwb-around-handle nwb-around-${end}`,
      role: "slider",
      tabindex: 0,
      title: words.ends[end],
      "aria-label": words.ends[end],
      "aria-orientation": "horizontal",
      dataset: { testid: `segment-${end}` },
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.onKey(event, end),
      onblur: () => this.save(),
      onpointerdown: (/** @type {PointerEvent} */ event) => this.drag(event, el, end),
    });
    return el;
  }

  /** @param {Details | null} row the chosen clip, null for none */
  async show(row) {
    const key = row && !row.missing ? JSON.stringify([row.id, row.offset, row.duration]) : "";
    if (key === this.key) return;
    const other = JSON.parse(key || "[]")[0] !== this.around?.id;
    this.key = key;
    this.turn += 1;
    const { turn } = this;
    if (other) this.take(null);
    if (!row || !key) return;
    try {
      const found = await this.channel.ask("surroundings", { id: row.id }, { background: true });
      if (turn === this.turn) this.take(found);
    } catch {
      if (turn === this.turn) this.take(null); // the player says what is wrong with the recording
    }
  }

  /** @param {Answer<BoardQuestions, "surroundings"> | null} found */
  take(found) {
    const waits = this.around?.id === found?.id && this.changed && this.sent !== JSON.stringify(this.ends);
    this.sent = "";
    const around = found?.length_s ? found : null;
    this.around = around;
    this.element.hidden = !around;
    if (!around) return;
    const { offset_s, duration_s, buffers, neighbors } = around;
    if (waits)
      this.keep(); // moved on meanwhile
    else this.ends = { start_s: offset_s, end_s: offset_s + duration_s };
    const { buffer, byteOffset, byteLength } = buffers[0];
    this.peaks = new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
    fill(this.near, ...neighbors.map((one) => this.neighbor(one, around)));
    this.draw();
    this.place();
  }

  draw() {
    if (this.around) drawOverview(this.stage, this.peaks, this.element);
  }

  /** @param {Neighbor} one @param {Surroundings} around */
  neighbor({ id, start_s, end_s, same_channel, text }, around) {
    const { left, width } = across(start_s, end_s, around);
    const label = words.neighbor(clock(start_s, 2), clock(end_s, 2), text, same_channel);
    return h(
      "button",
      {
        type: "button",
        class: `nwb-around-other${same_channel ? "" : " nwb-around-channel"}`,
        style: { left, width },
        title: label,
        "aria-label": label,
        dataset: { testid: "segment-neighbor", id },
        onclick: () => this.onGo(id),
      },
      same_channel ? h("bdi", {}, text || words.noText) : null,
    );
  }

  place() {
    const { around } = this;
    if (!around) return;
    const { start_s, end_s } = this.ends;
    const { left, width } = across(start_s, end_s, around);
    set(this.box, { style: { left, width } });
    for (const end of /** @type {const} */ (["start", "end"])) {
      const at_s = this.ends[`${end}_s`];
      set(this.handles[end], {
        style: { left: across(at_s, at_s, around).left },
        "aria-valuemin": around.start_s.toFixed(3),
        "aria-valuemax": around.end_s.toFixed(3),
        "aria-valuenow": at_s.toFixed(3),
        "aria-valuetext": words.seconds(at_s),
      });
    }
    this.element.dataset.changed = this.changed ? "1" : "0";
    this.times.textContent = words.times(
      clock(start_s, 2),
      clock(end_s, 2),
      (end_s - start_s).toFixed(2),
      clock(around.length_s, 0),
    );
  }

  get changed() {
    const { offset_s, duration_s } = this.around ?? { offset_s: 0, duration_s: 0 };
    return (
      Math.abs(this.ends.start_s - offset_s) > 0.0005 || Math.abs(this.ends.end_s - offset_s - duration_s) > 0.0005
    );
  }

  /** @param {End} end */
  focus(end) {
    if (!this.element.hidden) this.handles[end].focus();
  }

  /** @param {KeyboardEvent} event @param {End} end */
  onKey(event, end) {
    const { around } = this;
    const step = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    if (!around || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!step && event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    if (step) {
      const by_s = step * (event.shiftKey ? FINE_S : STEP_S);
      this.ends = moved(this.ends, end, this.ends[`${end}_s`] + by_s, around);
      this.place();
      this.keep();
      return;
    }
    if (event.key === "Escape") this.reset();
    this.onLeave(); // what was moved is saved as the handle is left
  }

  reset() {
    if (!this.around) return;
    const { offset_s, duration_s } = this.around;
    this.ends = { start_s: offset_s, end_s: offset_s + duration_s };
    this.place();
  }

  /** @param {PointerEvent} event @param {HTMLElement} el @param {End} end */
  drag(event, el, end) {
    if (event.button) return;
    event.preventDefault();
    el.focus();
    el.setPointerCapture(event.pointerId);
    const move = (/** @type {PointerEvent} */ at) => {
      if (!this.around) return;
      const { left, width } = this.body.getBoundingClientRect();
      const { start_s, end_s } = this.around;
      this.ends = moved(this.ends, end, start_s + ((at.clientX - left) / width) * (end_s - start_s), this.around);
      this.place();
    };
    const stop = () => {
      el.removeEventListener("pointermove", move);
      this.save();
    };
    el.addEventListener("pointermove", move);
    el.addEventListener("pointerup", stop, { once: true });
    el.addEventListener("pointercancel", stop, { once: true });
  }

  async save() {
    const now = JSON.stringify(this.ends);
    if (!this.around || !this.changed || this.saving || this.sent === now) return;
    const { start_s, end_s } = this.ends;
    this.saving = true;
    this.sent = now;
    try {
      const stretch = { offset: start_s, duration: Math.round((end_s - start_s) * 1000) / 1000 };
      if (!(await this.onMove({ id: this.around.id, ...stretch })) && this.around) {
        this.sent = "";
        this.reset();
      }
    } finally {
      this.saving = false;
    }
  }

  destroy() {
    this.stopTheme();
  }
}

/**
 * Where a stretch of the recording lies in the strip, cut off at its edges.
 * @param {number} from_s
 * @param {number} to_s
 * @param {Ends} shown
 */
function across(from_s, to_s, { start_s, end_s }) {
  const part = (/** @type {number} */ s) =>
    (100 * (Math.max(start_s, Math.min(end_s, s)) - start_s)) / (end_s - start_s);
  return { left: `${part(from_s)}%`, width: `${part(to_s) - part(from_s)}%` };
}
