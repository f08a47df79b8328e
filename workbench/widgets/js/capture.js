// The browser's microphone as numbered blocks of 16-bit samples, each with the time its last sample was captured.
// Nothing but zeros is a device that is not on yet: the first block begins with the first sample that is none.
//
//   const capture = await openCapture({ block_s: 0.08, onblock({ samples, rate, captured_ms, level }), onlost(kind) });
//   await capture.close();      why = unavailable();      // a key of strings.microphone.trouble, or ""
/**
 * @typedef {object} Block
 * @property {Int16Array} samples
 * @property {number} rate
 * @property {number} captured_ms when its last sample was captured, on the page's clock
 * @property {number} level 0 to 1
 */
/** @typedef {Awaited<ReturnType<typeof openCapture>>} Capture */
/** @typedef {"insecure" | "unsupported" | "refused" | "none" | "taken" | "lost" | "silent" | "muted"} Trouble */
import { nameOf } from "./dom.js";

const WORKLET = `
registerProcessor("nwb-tap", class extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.size = options.processorOptions.size;
    this.block = new Int16Array(this.size);
    this.filled = 0;
    this.heard = false;
    this.zeros = 0;
  }
  process(inputs) {
    const channel = inputs[0][0];
    if (!channel) return true;
    let first = 0;
    if (!this.heard) {
      while (first < channel.length && channel[first] === 0) first += 1;
      this.heard = first < channel.length;
      const before = this.zeros;
      this.zeros += first;
      const patience = 2 * sampleRate;
      if (!this.heard && before < patience && this.zeros >= patience) this.port.postMessage({ silent: true });
    }
    for (let i = first; i < channel.length; i += 1) {
      const scale = channel[i] < 0 ? 32768 : 32767; // as browsers make floats of a device's 16 bits
      this.block[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(channel[i] * scale)));
      if (this.filled === this.size) {
        this.port.postMessage({ samples: this.block, end_s: currentTime + (i + 1) / sampleRate }, [this.block.buffer]);
        this.block = new Int16Array(this.size);
        this.filled = 0;
      }
    }
    return true;
  }
});`;

/** @returns {Trouble | ""} */
export function unavailable() {
  if (!globalThis.isSecureContext) return "insecure";
  if (!navigator.mediaDevices?.getUserMedia) return "unsupported";
  return globalThis.AudioWorkletNode ? "" : "unsupported";
}

/** @type {{ [error: string]: Trouble | undefined }} */
const TROUBLES = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "none",
  NotReadableError: "taken",
  OverconstrainedError: "none",
};

/** What went wrong, as a key of strings.microphone.trouble. @param {unknown} error */
export const troubleOf = (error) => TROUBLES[nameOf(error)] ?? "";

/**
 * @param {object} how
 * @param {number} [how.block_s]
 * @param {(block: Block) => void} how.onblock
 * @param {(kind: "silent" | "lost" | "muted") => void} how.onlost
 */
export async function openCapture({ block_s = 0.08, onblock, onlost }) {
  // What the recognizer was trained on is untreated sound; the browser's processing would also hide bad lines.
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  // At the device's own rate: by default the loudspeaker's would be taken, and the sound resampled once more.
  const { sampleRate } = stream.getAudioTracks()[0].getSettings();
  const context = new AudioContext({ latencyHint: "interactive", ...(sampleRate ? { sampleRate } : {}) });
  const url = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
  try {
    await context.audioWorklet.addModule(url);
  } finally {
    URL.revokeObjectURL(url);
  }
  const size = Math.round(block_s * context.sampleRate);
  const node = new AudioWorkletNode(context, "nwb-tap", { numberOfOutputs: 0, processorOptions: { size } });
  let open = true;
  /** @param {MessageEvent<{ silent: true } | { silent?: undefined, samples: Int16Array, end_s: number }>} message */
  node.port.onmessage = ({ data }) => {
    if (!open) return;
    if (data.silent) return onlost("silent");
    const { samples, end_s } = data;
    const captured_ms = performance.now() - Math.max(0, context.currentTime - end_s) * 1000;
    let sum = 0;
    for (const v of samples) sum += v * v;
    onblock({ samples, rate: context.sampleRate, captured_ms, level: Math.sqrt(sum / samples.length) / 32768 });
  };
  for (const track of stream.getAudioTracks()) {
    track.addEventListener("ended", () => open && onlost("lost"));
    track.addEventListener("mute", () => open && onlost("muted"));
  }
  context.createMediaStreamSource(stream).connect(node);
  await context.resume();
  return {
    rate: context.sampleRate,
    async close() {
      open = false;
      for (const track of stream.getTracks()) track.stop();
      await context.close().catch(() => {});
    },
  };
}
