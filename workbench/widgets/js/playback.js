// Playback: recorded recognition events replayed on the media clock of the player. Kernel side: playback.py.
/**
 * @import { Channel } from "./channel.js"
 * @import { IconName } from "./dom.js"
 * @import { Lane } from "./lane.js"
 * @import { Body, Condition, Model, PlaybackQuestions, PlaybackTraits, Rendered } from "./messages.d.ts"
 * @import { Strip } from "./strip.js"
 */
import { openChannel } from "./channel.js";
import { fill, h, icon, messageOf, set } from "./dom.js";
import { createLane } from "./lane.js";
import { createPlayer, fetchClip } from "./player.js";
import { common, playback as words } from "./strings.js";
import { createStrip } from "./strip.js";
import { createWaiting } from "./waiting.js";

const NAMES = ["A", "B"];
const NOISE = [null, 20, 10, 5, 0];
const GAIN = [-12, 0, 12, 24];
const ROOM = [0, 0.4, 0.8];

/** @param {Rendered<PlaybackTraits>} how */
function render({ model, el }) {
  const view = new View(model, el);
  return () => view.destroy();
}

class View {
  /**
   * @param {Model<PlaybackTraits>} model
   * @param {HTMLElement} el
   */
  constructor(model, el) {
    this.model = model;
    /** @type {Channel<PlaybackQuestions>} */
    this.channel = openChannel(model);
    /** @type {Lane[]} */
    this.lanes = [];
    /** @type {Strip[]} */
    this.strips = [];
    /** @type {{ time_s: number, playing: boolean } | null} where to go on once the recording is there */
    this.resume = null;
    this.ui = this.elements();
    this.root = this.build();
    el.append(this.root);
    this.player = createPlayer(this.ui.player, { height: 76, label: words.player });
    this.player.element.insertBefore(this.ui.strips, this.player.element.querySelector(".nwb-player-bar"));
    this.player.on("time", ({ time_s }) => this.at(time_s));
    this.player.on("ready", () => this.opened());
    this.player.surfer.on("scroll", (from, to) => this.eachStrip((strip) => strip.range(from, to)));
    this.player.surfer.on("zoom", () => this.eachStrip((strip) => strip.range(0, 0)));
    this.player.element.addEventListener("click", (event) => this.beforeGesture(event), true);
    this.listeners = {
      "change:lanes": () => this.showLanes(),
      "change:differences": () => this.showLanes(),
      "change:clip": () => this.load(),
      "change:condition": () => this.showCondition(),
    };
    for (const [name, fn] of Object.entries(this.listeners)) model.on(name, fn);
    this.stopLost = this.channel.onLost((lost) => this.showLost(lost));
    this.showCondition();
    this.showLanes();
    this.load();
  }

  elements() {
    /** @type {(name: IconName, text: string, onclick: () => void, testid: string) => HTMLElement} */
    const button = (name, text, onclick, testid) =>
      h("button", { type: "button", class: "nwb-btn", onclick, dataset: { testid } }, icon(name), text);
    return {
      ...this.conditionFields(),
      title: h("h3", { class: "nwb-title", dir: "auto" }),
      compare: button("next", words.compare, () => this.compare(), "compare"),
      player: h("div"),
      strips: h("div", { class: "nwb-strips" }),
      lanes: h("div", { class: "nwb-lanes" }),
      differ: h("div", { class: "nwb-differ", role: "status", dataset: { testid: "differences" } }),
      note: h("div"),
    };
  }

  build() {
    return h(
      "div",
      {
        class: "nwb nwb-playback",
        role: "region",
        "aria-label": words.region,
        dataset: { testid: "playback" },
        tabindex: -1,
        "data-lm-suppress-shortcuts": "true",
        onkeydown: (event) => this.key(event),
      },
      h(
        "header",
        { class: "nwb-head" },
        this.ui.title,
        h("span", { class: "nwb-spring" }),
        this.ui.noise,
        this.ui.line,
        this.ui.room,
        this.ui.gain,
        this.ui.compare,
      ),
      createWaiting(this.channel),
      this.ui.note,
      this.ui.player,
      this.ui.lanes,
      this.ui.differ,
      h("p", { class: "nwb-foot nwb-muted" }, words.unpaced),
    );
  }

  /** @param {(strip: Strip) => void} fn */
  eachStrip(fn) {
    for (const strip of this.strips) fn(strip);
  }

  /** What is done to the recording before it is recognized. */
  conditionFields() {
    const noise = NOISE.map((db) => [String(db ?? ""), words.noiseDb(db)]);
    const line = [false, true].map((telephone) => [String(telephone), telephone ? words.telephone : words.asRecorded]);
    const gain = GAIN.map((db) => [String(db), words.gainDb(db)]);
    const room = ROOM.map((s) => [String(s), words.roomS(s)]);
    const snr = (/** @type {string} */ value) => ({ snr_db: value === "" ? null : Number(value) });
    return {
      noise: this.conditionField(words.noise, noise, snr, "noise"),
      line: this.conditionField(words.line, line, (value) => ({ telephone: value === "true" }), "line"),
      gain: this.conditionField(words.level, gain, (value) => ({ gain_db: Number(value) }), "gain"),
      room: this.conditionField(words.room, room, (value) => ({ rt60_s: Number(value) }), "room"),
    };
  }

  /**
   * @param {string} name
   * @param {string[][]} items value and text each
   * @param {(value: string) => Partial<Condition>} read
   * @param {string} testid
   */
  conditionField(name, items, read, testid) {
    const select = h(
      "select",
      { class: "nwb-input", dataset: { testid }, onchange: (e) => this.ask("condition", read(e.currentTarget.value)) },
      ...items.map(([value, text]) => h("option", { value }, text)),
    );
    return h("label", { class: "nwb-field" }, h("span", {}, name), select);
  }

  /**
   * @template {keyof PlaybackQuestions} Question
   * @param {Question} question
   * @param {Body<PlaybackQuestions, Question>} [body]
   */
  async ask(question, body) {
    try {
      await this.channel.ask(question, body);
      fill(this.ui.note);
    } catch (error) {
      fill(
        this.ui.note,
        h("div", { class: "nwb-note nwb-bad", role: "alert" }, icon("warn"), h("span", {}, messageOf(error))),
      );
      this.showLanes();
    }
  }

  /** Ask for a second lane that differs where it tells most: the other end of the look-aheads. */
  compare() {
    const { settings } = this.model.get("lanes")[0];
    const stops = this.model.get("choices").checkpoints[settings.checkpoint].lookaheads_ms;
    const far = stops[stops.length - 1] === settings.lookahead_ms ? stops[0] : stops[stops.length - 1];
    this.ask("lane", { index: 1, lookahead_ms: far });
  }

  showLanes() {
    const { model } = this;
    const [data, clip, choices] = [model.get("lanes"), model.get("clip"), model.get("choices")];
    const { left, right, words: count, style = 0 } = model.get("differences");
    while (this.lanes.length > data.length) {
      this.lanes.pop()?.element.remove();
      this.strips.pop()?.destroy();
    }
    while (this.lanes.length < data.length) {
      const index = this.lanes.length;
      const lane = createLane({
        index,
        name: NAMES[index],
        choose: (settings) => this.ask("lane", { index, ...settings }),
        go: (time_s, play) => this.go(time_s, play),
        close: () => this.closeLane(index),
      });
      this.ui.lanes.append(lane.element);
      this.lanes.push(lane);
      this.strips.push(createStrip(this.ui.strips, { label: NAMES[index] }));
    }
    data.forEach((lane, index) => {
      this.lanes[index].show(lane, { choices, differs: [left, right][index], alone: data.length < 2 });
      this.strips[index].show(lane, clip);
    });
    this.ui.lanes.dataset.count = String(data.length);
    this.ui.strips.dataset.count = String(data.length);
    set(this.ui.compare, { hidden: data.length > 1 });
    fill(this.ui.differ, count === undefined ? null : words.differ(count, style));
    this.at(this.player?.time_s ?? 0);
  }

  /** @param {number} index */
  closeLane(index) {
    const lanes = this.model.get("lanes");
    if (index === 0 && lanes[1]) this.ask("lane", { index: 0, ...lanes[1].settings });
    this.ask("single");
  }

  async load() {
    const clip = this.model.get("clip");
    this.ui.title.textContent = clip.title || words.recording;
    this.showLanes();
    // A clip can be replaced (a longer tail) while the one before it still loads: what that was to resume stays.
    const back = this.player.key === null ? this.model.get("start_s") : this.player.time_s;
    this.resume ??= { time_s: back, playing: this.player.playing };
    try {
      const audio = await fetchClip(this.channel, clip.key);
      if (clip.key === this.model.get("clip").key) await this.player.load(audio);
    } catch (error) {
      this.player.unload(messageOf(error), { bad: true });
    }
  }

  opened() {
    const { time_s = 0, playing = false } = this.resume ?? {};
    this.resume = null;
    this.eachStrip((strip) => strip.range(0, 0));
    if (time_s) this.player.seek(time_s);
    if (playing) this.player.play();
    this.at(time_s);
  }

  /** @param {number} time_s @param {boolean} play */
  go(time_s, play) {
    this.player.seek(time_s);
    if (play && !this.player.playing) this.player.play();
  }

  /** Play at the end starts over; the recording's silent tail counts as the end. @param {Event} event */
  beforeGesture({ target }) {
    const clip = this.model.get("clip");
    const play = target instanceof Element && target.closest(".nwb-play");
    if (play && !this.player.playing && this.player.time_s >= clip.total_s - 0.05) this.player.seek(0);
  }

  /** @param {number} time_s */
  at(time_s) {
    this.root.dataset.time = time_s.toFixed(3);
    for (const lane of this.lanes) lane.at(time_s);
    for (const strip of this.strips) strip.at(time_s);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const target = /** @type {Element} */ (event.target);
    const arrow = event.key === "ArrowLeft" || event.key === "ArrowRight";
    if (target.closest("select, input, button, summary, a") && !arrow) return;
    if (target.closest("select, input")) return;
    const step = event.shiftKey ? 0.1 : 1;
    if (event.key === " ") this.player.toggle();
    else if (event.key === "ArrowLeft") this.player.seek(this.player.time_s - step);
    else if (event.key === "ArrowRight") this.player.seek(this.player.time_s + step);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  showCondition() {
    const { snr_db, telephone, gain_db, rt60_s } = this.model.get("condition");
    const { noise, line, gain, room } = this.ui;
    const shown = /** @type {const} */ ([
      [noise, String(snr_db ?? "")],
      [line, String(telephone)],
      [gain, String(gain_db)],
      [room, String(rt60_s)],
    ]);
    for (const [field, value] of shown) {
      const select = /** @type {HTMLSelectElement} */ (field.querySelector("select"));
      if (![...select.options].some((o) => o.value === value)) select.append(h("option", { value }, value));
      select.value = value;
    }
  }

  /** @param {boolean} lost */
  showLost(lost) {
    this.root.classList.toggle("nwb-lost", lost);
    for (const control of this.root.querySelectorAll(".nwb-head select, .nwb-lane select, .nwb-head button")) {
      control.toggleAttribute("disabled", lost);
    }
    fill(
      this.ui.note,
      lost
        ? h(
            "div",
            { class: "nwb-note nwb-warn", role: "status" },
            icon("warn"),
            h("span", {}, `${common.kernelLost} ${words.lostHint}`),
          )
        : null,
    );
  }

  destroy() {
    for (const [name, fn] of Object.entries(this.listeners)) this.model.off(name, fn);
    this.stopLost();
    this.channel.close();
    this.eachStrip((strip) => strip.destroy());
    this.player.destroy();
  }
}

export default { render };
