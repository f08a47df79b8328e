// The one audio player: waveform (vendored wavesurfer.js), region loop, speed, zoom, spectrogram.
//
//   import { createPlayer, fetchClip } from "./player.js";
//   const player = createPlayer(host, { height: 84, label: "Recording" });   // host: an element inside `.nwb`
//   await player.load(await fetchClip(channel, key));    // kernel side: the mixin audio.AudioAnswers
//   player.play();  player.pause();  player.toggle();  player.seek(1.5);
//   player.time_s, player.duration_s, player.playing, player.ready, player.key
//   player.setSpeed(0.75);  player.stepSpeed(+1);  player.zoom(+1 | -1 | 0);
//   player.setLoop(0.4, 1.2);  player.clearLoop();  player.toggleLoop();  player.loop    // {start_s, end_s} | null
//   player.toggleSpectrogram(true | false | undefined);
//   player.setMarks([{ start_s, end_s, label, kind }]);  // words, silences; kind ∈ "" | "good" | "bad" | "warn"
//   const off = player.on("time", ({ time_s, playing }) => …);
//     events: ready {duration_s} · time {time_s, playing} (each frame while playing, and on seek) · play · pause ·
//             finish · loop {loop} · speed {speed} · error {message} · blocked (autoplay refused by the browser)
//   player.element;  player.destroy();
//
// Times are seconds on the recording's own clock, also where long audio is held as windows of 30 s: a clip is
// { key, duration_s, bytes } (a whole WAV file) or
// { key, duration_s, peaks: Float32Array, window_s, window: async (start_s, end_s) => bytes }.

/**
 * @import { AudioChannel } from "./messages.d.ts"
 * @import { Mark, PlayerClip, PlayerEvents, Stretch } from "./page.d.ts"
 * @import { PlayerUi } from "./player_ui.js"
 * @import { Region } from "./vendor/wavesurfer.regions.esm.js"
 */
import { clock, h, messageOf, nameOf, onTheme, set, token } from "./dom.js";
import { buildUi, drawOverview, SPEEDS, toggleButton } from "./player_ui.js";
import { drawSpectrogram } from "./spectrogram.js";
import { withAxes } from "./spectrogram_axes.js";
import { player as words } from "./strings.js";
import WaveSurfer from "./vendor/wavesurfer.esm.js";
import Regions from "./vendor/wavesurfer.regions.esm.js";

export { SPEEDS };

const ZOOMS = [0, 120, 240, 480, 960]; // pixels per second; 0 fits the width
const LOOP_AROUND_S = 0.75;
const LOOP_COLOR = "var(--nwb-loop)"; // variables reach into wavesurfer's shadow tree and follow the theme
const DECODE_RATE = 16000;

/**
 * Ask the kernel for a recording, as `load` wants it.
 * @param {AudioChannel} channel
 * @param {string} key
 * @returns {Promise<PlayerClip>}
 */
export async function fetchClip(channel, key) {
  const head = await channel.ask("audio", { key });
  const { duration_s, buffers } = head;
  if (head.whole) return { key, duration_s, bytes: buffers[0] };
  const { window_s } = head;
  const { buffer, byteOffset, byteLength } = buffers[0];
  const peaks = new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
  const window = async (/** @type {number} */ start_s, /** @type {number} */ end_s) =>
    (await channel.ask("audio_window", { key, start_s, end_s })).buffers[0];
  return { key, duration_s, peaks, window_s, window };
}

/**
 * @param {HTMLElement} host
 * @param {{ height?: number, label?: string, controls?: boolean }} [options]
 */
export function createPlayer(host, options = {}) {
  return new Player(host, options);
}

export class Player {
  /** @type {Map<string, Set<(body: object) => void>>} */
  #listeners = new Map();
  /** @type {PlayerClip | null} */
  #clip = null;
  #offset_s = 0; // where the loaded window starts
  #load = 0; // number of the newest load; older ones give up
  /** @type {Stretch | null} */
  #loop = null;
  #zoom = 0;
  #speed = 1;
  /** @type {AudioBuffer | null} */
  #samples = null;
  /** @type {Mark[]} */
  #marks = [];
  #spectrogramOn = false;
  /** @type {{ at_s: number, asked_ms: number } | null} a seek that the media element has not carried out yet */
  #goal = null;
  /** @type {PlayerUi} */
  #ui;
  /** @type {() => void} */
  #stopTheme;

  /**
   * @param {HTMLElement} host
   * @param {{ height?: number, label?: string, controls?: boolean }} options
   */
  constructor(host, { height = 84, label = words.group, controls = true }) {
    this.#ui = buildUi(this, { height, label, controls });
    this.element = this.#ui.root;
    host.append(this.element);
    this.regions = Regions.create();
    this.surfer = WaveSurfer.create({
      container: this.#ui.wave,
      height,
      sampleRate: DECODE_RATE,
      cursorWidth: 2,
      barWidth: 2,
      barGap: 1,
      barRadius: 2,
      dragToSeek: false,
      autoScroll: true,
      autoCenter: false,
      normalize: true,
      plugins: [this.regions],
      ...this.#colors(),
    });
    this.#wire();
    this.#stopTheme = onTheme(() => this.#retheme());
    this.#show({ note: words.empty });
  }

  /**
   * @template {keyof PlayerEvents} Event
   * @param {Event} event
   * @param {(body: PlayerEvents[Event]) => void} fn
   */
  on(event, fn) {
    const group = this.#listeners.get(event) ?? new Set();
    const listener = /** @type {(body: object) => void} */ (fn);
    this.#listeners.set(event, group.add(listener));
    return () => group.delete(listener);
  }

  get time_s() {
    return this.#offset_s + (this.ready ? (this.#goal?.at_s ?? this.surfer.getCurrentTime()) : 0);
  }
  get duration_s() {
    return this.#clip?.duration_s ?? 0;
  }
  get playing() {
    return this.ready && this.surfer.isPlaying();
  }
  get loop() {
    return this.#loop;
  }
  get spectrogram() {
    return this.#spectrogramOn;
  }
  get speed() {
    return this.#speed;
  }
  get key() {
    return this.#clip?.key ?? null;
  }
  ready = false;

  /** @param {PlayerClip} clip */
  async load(clip) {
    this.unload(words.loading);
    this.#clip = clip;
    set(this.#ui.overview, { hidden: !clip.window });
    if (clip.window) drawOverview(this.#ui.overview, clip.peaks, this.element);
    await this.#loadWindow(0);
  }

  /** Forget the recording, with a sentence in its place. */
  unload(note = words.empty, { bad = false } = {}) {
    this.#load += 1;
    this.ready = false;
    this.#goal = null;
    this.surfer.pause();
    this.surfer.empty();
    this.clearLoop();
    this.#clip = null;
    this.setMarks([]);
    this.#offset_s = 0;
    this.#samples = null;
    set(this.#ui.overview, { hidden: true });
    this.#show({ note, bad });
  }

  async play() {
    if (!this.ready) return;
    if (this.#loop && (this.time_s < this.#loop.start_s || this.time_s >= this.#loop.end_s - 0.02))
      this.#jump(this.#loop.start_s);
    else if (this.time_s >= this.duration_s - 0.02) await this.seek(0);
    try {
      await this.surfer.play();
    } catch (error) {
      if (nameOf(error) === "NotAllowedError") {
        this.#show({ note: words.blocked });
        this.#emit("blocked", {});
      } else if (nameOf(error) !== "AbortError") this.#fail(error);
    }
  }
  pause() {
    if (this.ready) this.surfer.pause();
  }
  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  /** @param {number} time_s */
  async seek(time_s) {
    if (!this.#clip) return;
    const to = Math.max(0, Math.min(time_s, this.duration_s));
    const { window_s } = this.#clip;
    if (window_s && (to < this.#offset_s || to >= this.#offset_s + window_s) && to < this.duration_s) {
      const wasPlaying = this.playing;
      await this.#loadWindow(Math.floor(to / window_s) * window_s);
      this.#jump(to);
      if (wasPlaying) await this.play();
    } else this.#jump(to);
  }

  /** @param {number} speed */
  setSpeed(speed) {
    this.#speed = speed;
    this.surfer.setPlaybackRate(speed, true);
    this.#ui.speed.value = String(speed);
    this.#emit("speed", { speed });
  }
  /** @param {number} steps */
  stepSpeed(steps) {
    const at = SPEEDS.indexOf(this.#speed);
    this.setSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, (at < 0 ? 2 : at) + steps))]);
  }

  /** Zoom in (+1), out (−1) or fit the width (0). @param {number} step */
  zoom(step) {
    this.#zoom = step === 0 ? 0 : Math.max(0, Math.min(ZOOMS.length - 1, this.#zoom + step));
    if (this.ready) this.surfer.zoom(ZOOMS[this.#zoom]);
    this.#refresh();
  }

  /** @param {number} start_s @param {number} end_s */
  setLoop(start_s, end_s) {
    const from = Math.max(0, start_s - this.#offset_s);
    const to = Math.min(this.surfer.getDuration() || 0, end_s - this.#offset_s);
    if (!this.ready || to - from < 0.05) return;
    this.clearLoop();
    this.regions.addRegion({ id: "loop", start: from, end: to, color: LOOP_COLOR, drag: true, resize: true });
  }
  clearLoop() {
    for (const region of this.regions.getRegions()) if (!region.mark) region.remove();
    this.#takeLoop(null);
  }
  toggleLoop() {
    if (this.#loop) this.clearLoop();
    else this.setLoop(this.time_s - LOOP_AROUND_S, this.time_s + LOOP_AROUND_S);
  }

  /** Label stretches of the recording; earlier marks go, and `load` forgets them. @param {Mark[]} marks */
  setMarks(marks) {
    this.#marks = marks;
    for (const region of this.regions.getRegions()) if (region.mark) region.remove();
    if (!this.ready) return; // drawn once the recording is there
    const shown_s = this.surfer.getDuration();
    for (const { start_s, end_s, label = "", kind = "" } of marks) {
      const [start, end] = [start_s - this.#offset_s, end_s - this.#offset_s];
      if (end <= 0 || start >= shown_s) continue;
      const content = h(
        "span",
        { dir: "auto", style: { font: "11px/1.3 var(--nwb-font)", padding: "1px 3px", color: "var(--nwb-text)" } },
        label,
      );
      const color = `color-mix(in srgb, var(--nwb-${kind || "accent"}) 16%, transparent)`;
      const region = this.regions.addRegion({ start, end, drag: false, resize: false, color, content });
      region.mark = true;
    }
  }

  toggleSpectrogram(on = !this.#spectrogramOn) {
    this.#spectrogramOn = on;
    this.#drawSpectrogram();
    this.#refresh();
  }

  destroy() {
    this.#load += 1;
    this.#stopTheme();
    this.#listeners.clear();
    this.surfer.destroy();
    this.element.remove();
  }

  /** @param {number} start_s */
  async #loadWindow(start_s) {
    const clip = this.#clip;
    if (!clip) return;
    this.#load += 1;
    const turn = this.#load;
    this.ready = false;
    this.#goal = null;
    this.#show({ note: words.loading });
    try {
      const bytes = clip.window
        ? await clip.window(start_s, Math.min(start_s + clip.window_s, clip.duration_s))
        : clip.bytes;
      if (turn !== this.#load) return;
      this.clearLoop();
      this.surfer.setOptions(this.#colors()); // none could be read before the element was in the page
      await this.surfer.loadBlob(new Blob([bytes], { type: "audio/wav" }));
      if (turn !== this.#load) return;
      this.#offset_s = start_s;
      this.ready = true;
      this.#samples = this.surfer.getDecodedData();
      this.surfer.setPlaybackRate(this.#speed, true);
      if (this.#zoom) this.surfer.zoom(ZOOMS[this.#zoom]);
      this.#jump(this.#offset_s); // else the cursor of the recording before stays drawn
      this.setMarks(this.#marks);
      this.#drawSpectrogram();
      this.#show({});
      this.#emit("ready", { duration_s: clip.duration_s });
      this.#tick();
    } catch (error) {
      if (turn === this.#load && nameOf(error) !== "AbortError") this.#fail(error);
    }
  }

  #wire() {
    const { surfer, regions } = this;
    surfer.on("play", () => {
      this.#refresh();
      this.#emit("play", {});
    });
    surfer.on("pause", () => {
      this.#refresh();
      this.#emit("pause", {});
    });
    surfer.on("timeupdate", () => this.#tick());
    surfer.on("seeking", () => this.#tick());
    surfer.on("finish", () => this.#finished());
    surfer.on("interaction", (at_s) => {
      this.#goal = { at_s, asked_ms: performance.now() };
      this.#leaveLoop();
    });
    for (const event of ["seeked", "canplay"]) surfer.getMediaElement().addEventListener(event, () => this.#settle());
    regions.enableDragSelection({ id: "loop", color: LOOP_COLOR }, 6);
    regions.on("region-created", (region) =>
      queueMicrotask(() => {
        if (region.mark || region.isRemoved) return;
        for (const other of regions.getRegions()) if (other !== region && !other.mark) other.remove();
        this.#takeLoop(region);
        if (!this.playing) this.#jump(this.#offset_s + region.start);
      }),
    );
    regions.on("region-updated", (region) => {
      if (!region.mark) this.#takeLoop(region);
    });
    regions.on("region-double-clicked", (region) => {
      if (!region.mark) this.clearLoop();
    });
  }

  /** @param {Region | null} region */
  #takeLoop(region) {
    const before = this.#loop;
    this.#loop = region && { start_s: this.#offset_s + region.start, end_s: this.#offset_s + region.end };
    this.#refresh();
    if (before || this.#loop) this.#emit("loop", { loop: this.#loop });
  }
  /** A click outside the looped part means "play from here": the loop ends. */
  #leaveLoop() {
    const t = this.time_s;
    if (this.#loop && (t < this.#loop.start_s - 0.05 || t > this.#loop.end_s + 0.05)) this.clearLoop();
  }

  #tick() {
    if (!this.ready) return;
    if (this.#loop && this.playing && this.time_s >= this.#loop.end_s) this.#jump(this.#loop.start_s);
    const time_s = this.time_s;
    this.#ui.time.textContent = `${clock(time_s, 2)} / ${clock(this.duration_s, 2)}`;
    set(this.#ui.head, { style: { left: `${(100 * time_s) / (this.duration_s || 1)}%` } });
    this.#emit("time", { time_s, playing: this.playing });
  }

  async #finished() {
    if (this.#loop) {
      this.#jump(this.#loop.start_s);
      await this.play();
      return;
    }
    const next = this.#offset_s + (this.#clip?.window_s ?? Infinity);
    if (this.#clip?.window && next < this.duration_s) {
      await this.#loadWindow(next);
      await this.play();
      return;
    }
    this.#refresh();
    this.#emit("finish", {});
  }

  /** @param {number} time_s */
  #jump(time_s) {
    const at_s = Math.max(0, time_s - this.#offset_s);
    this.#goal = { at_s, asked_ms: performance.now() };
    this.surfer.setTime(at_s);
  }

  /** A seek asked for while another is under way can be dropped (wavesurfer forgets its pending time when the
   *  earlier one reports in): once the media element is at rest it must stand at the last one asked for. */
  #settle() {
    const media = this.surfer.getMediaElement();
    if (!this.#goal || !this.ready || media.seeking || media.readyState < 3) return;
    const { at_s, asked_ms } = this.#goal;
    const playedOn_s = this.playing ? ((performance.now() - asked_ms) / 1000) * this.#speed : 0;
    const past_s = media.currentTime - Math.min(at_s, media.duration);
    if (past_s > -0.02 && past_s < playedOn_s + 0.02) this.#goal = null;
    else this.surfer.setTime(at_s);
    this.#tick();
  }

  /** @param {unknown} error */
  #fail(error) {
    const message = `${words.failed}: ${messageOf(error)}`;
    this.ready = false;
    this.#goal = null;
    this.#show({ note: message, bad: true });
    this.#emit("error", { message });
  }

  /**
   * @template {keyof PlayerEvents} Event
   * @param {Event} event
   * @param {PlayerEvents[Event]} body
   */
  #emit(event, body) {
    for (const fn of this.#listeners.get(event) ?? []) fn(body);
  }

  #show({ note = "", bad = false }) {
    this.#ui.note.textContent = note;
    this.#ui.note.hidden = !note;
    this.#ui.note.classList.toggle("nwb-bad", bad);
    if (!this.ready) this.#ui.time.textContent = `${clock(0, 2)} / ${clock(this.duration_s, 2)}`;
    this.#refresh();
  }

  #refresh() {
    const { play, loop, zoomIn, zoomOut, spectrogram, root } = this.#ui;
    root.dataset.ready = this.ready ? "1" : "0";
    root.dataset.playing = this.playing ? "1" : "0";
    toggleButton(play, this.playing ? "pause" : "play", this.playing ? words.pause : words.play, null, !this.ready);
    toggleButton(loop, "loop", this.#loop ? words.loopOff : words.loop, Boolean(this.#loop), !this.ready);
    toggleButton(
      spectrogram,
      "spectrogram",
      this.#spectrogramOn ? words.spectrogramOff : words.spectrogram,
      this.#spectrogramOn,
      false,
    );
    zoomIn.disabled = !this.ready || this.#zoom === ZOOMS.length - 1;
    zoomOut.disabled = !this.ready || this.#zoom === 0;
  }

  #drawSpectrogram() {
    const wrapper = this.surfer.getWrapper();
    wrapper.querySelector(".spectrogram-box")?.remove();
    if (!this.#spectrogramOn || !this.#samples) return;
    const { sampleRate, duration } = this.#samples;
    const canvas = h("canvas", { class: "spectrogram", "aria-hidden": "true" });
    drawSpectrogram(canvas, this.#samples.getChannelData(0), sampleRate);
    const axes = { rate: sampleRate, start_s: this.#offset_s, duration_s: duration, width: wrapper.clientWidth };
    wrapper.append(withAxes(canvas, axes));
  }

  #colors() {
    const of = (/** @type {string} */ name) => token(this.element, name);
    return { waveColor: of("--nwb-wave"), progressColor: of("--nwb-wave-played"), cursorColor: of("--nwb-cursor") };
  }
  #retheme() {
    this.surfer.setOptions(this.#colors());
    if (this.#clip?.window) drawOverview(this.#ui.overview, this.#clip.peaks, this.element);
  }
}
