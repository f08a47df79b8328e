// What the player looks like: its elements, the state of its buttons, and the overview of long recordings.
/**
 * @import { IconName } from "./dom.js"
 * @import { Player } from "./player.js"
 */
import { clock, h, icon, set, token } from "./dom.js";
import { player as words } from "./strings.js";

export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

/** @typedef {ReturnType<typeof buildUi>} PlayerUi */

/**
 * Elements of a player; the buttons call its methods.
 * @param {Player} player
 * @param {{ height: number, label: string, controls: boolean }} how
 */
export function buildUi(player, { height, label, controls }) {
  const button = (/** @type {IconName} */ name, /** @type {string} */ text, /** @type {() => void} */ onclick) =>
    h(
      "button",
      {
        type: "button",
        class: `nwb-btn nwb-icon-only ${name === "play" ? "nwb-primary nwb-play" : "nwb-plain"}`,
        title: text,
        "aria-label": text,
        onclick,
        dataset: { testid: `player-${name}` },
      },
      icon(name),
    );
  const made = {
    wave: h("div", { class: "nwb-wave" }),
    note: h("div", { class: "nwb-stage-note", role: "status" }),
    canvas: h("canvas", { class: "nwb-overview-canvas", style: { width: "100%", height: "100%", display: "block" } }),
    head: h("div", { class: "nwb-overview-head" }),
    time: h(
      "span",
      { class: "nwb-player-time", dataset: { testid: "player-time" } },
      `${clock(0, 2)} / ${clock(0, 2)}`,
    ),
    play: button("play", words.play, () => player.toggle()),
    loop: button("loop", words.loop, () => player.toggleLoop()),
    zoomIn: button("zoomIn", words.zoomIn, () => player.zoom(1)),
    zoomOut: button("zoomOut", words.zoomOut, () => player.zoom(-1)),
    spectrogram: button("spectrogram", words.spectrogram, () => player.toggleSpectrogram()),
    speed: h(
      "select",
      {
        class: "nwb-input nwb-speed",
        "aria-label": words.speed,
        title: words.speed,
        onchange: (e) => player.setSpeed(Number(e.currentTarget.value)),
      },
      ...SPEEDS.map((s) => h("option", { value: s, selected: s === 1 }, `${s}×`)),
    ),
  };
  const overview = h(
    "div",
    {
      class: "nwb-overview",
      role: "img",
      "aria-label": words.overview,
      title: words.overview,
      hidden: true,
      style: { position: "relative" },
      onclick: (e) => player.seek((e.offsetX / e.currentTarget.clientWidth) * player.duration_s),
    },
    made.canvas,
    made.head,
  );
  const stage = h("div", { class: "nwb-stage", style: { "min-height": `${height + 2}px` } }, made.wave, made.note);
  const bar = h(
    "div",
    { class: "nwb-player-bar", hidden: !controls },
    made.play,
    made.time,
    h("span", { class: "nwb-spring" }),
    made.loop,
    made.zoomOut,
    made.zoomIn,
    made.spectrogram,
    made.speed,
  );
  const root = h("div", { class: "nwb-player", role: "group", "aria-label": label }, overview, stage, bar);
  return { ...made, overview, root };
}

/**
 * Icon, label and state of a button in one call.
 * @param {HTMLButtonElement} button
 * @param {IconName} name
 * @param {string} label
 * @param {boolean | null} pressed null for a button that is not a toggle
 * @param {boolean} disabled
 */
export function toggleButton(button, name, label, pressed, disabled) {
  if (button.dataset.icon !== name) {
    button.replaceChildren(icon(name));
    button.dataset.icon = name;
  }
  set(button, { title: label, "aria-label": label, "aria-pressed": pressed === null ? null : String(pressed) });
  button.disabled = disabled;
}

/**
 * Whole-recording peaks (magnitudes) as bars.
 * @param {HTMLElement} overview holds the canvas
 * @param {Float32Array} peaks
 * @param {HTMLElement} root whose theme gives the color
 */
export function drawOverview(overview, peaks, root) {
  const canvas = overview.querySelector("canvas");
  const context = canvas?.getContext("2d");
  if (!canvas || !context) return;
  canvas.width = 1200;
  canvas.height = 52;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = token(root, "--nwb-wave");
  const top = Math.max(
    1e-3,
    peaks.reduce((a, b) => Math.max(a, b), 0),
  );
  for (let x = 0; x < canvas.width; x += 3) {
    const from = Math.floor((x / canvas.width) * peaks.length);
    const to = Math.max(from + 1, Math.floor(((x + 3) / canvas.width) * peaks.length));
    const tall = Math.max(1, (Math.max(...peaks.subarray(from, to)) / top) * canvas.height);
    context.fillRect(x, (canvas.height - tall) / 2, 2, tall);
  }
}
