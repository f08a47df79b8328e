// A picture of the sound as the recognizer's front end takes it in: 25 ms Hann windows (every 10 ms, or closer),
// 128 mel bands, log.
// Not wavesurfer's own plugin: that one draws linear bands and is 57 kB in every widget; this draws the model's view.

const WINDOW_S = 0.025;
const HOP_S = 0.01;
const FINEST_HOP_S = 0.002; // short clips get more columns, so that the picture stays smooth
const WANTED_COLUMNS = 800;
const BANDS = 128;
export const RANGE_DB = 70;
const MAX_COLUMNS = 6000;
// Dark to bright, even in lightness, so loudness reads without telling hues apart.
const STOPS = [
  [4, 5, 22],
  [51, 20, 86],
  [112, 31, 110],
  [177, 50, 90],
  [229, 92, 48],
  [250, 157, 7],
  [252, 237, 160],
];

/**
 * In-place radix-2 FFT of `re`, `im` (length a power of two).
 * @param {Float64Array} re
 * @param {Float64Array} im
 */
function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i += 1) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k += 1) {
      const angle = (-2 * Math.PI * k) / size;
      const c = Math.cos(angle);
      const s = Math.sin(angle);
      for (let i = k; i < n; i += size) {
        const j = i + half;
        const tr = re[j] * c - im[j] * s;
        const ti = re[j] * s + im[j] * c;
        re[j] = re[i] - tr;
        im[j] = im[i] - ti;
        re[i] += tr;
        im[i] += ti;
      }
    }
  }
}

/** Where a frequency stands in the picture: 0 at the bottom, 1 at half the sample rate. */
export const heightOf = (/** @type {number} */ hz, /** @type {number} */ rate) => mel(hz) / mel(rate / 2);

const mel = (/** @type {number} */ hz) => 1127 * Math.log1p(hz / 700);
const hertz = (/** @type {number} */ m) => 700 * Math.expm1(m / 1127);

/**
 * Triangular mel filters as [first bin, weights] for an FFT of `size` at `rate`.
 * @param {number} size
 * @param {number} rate
 * @returns {[number, number[]][]}
 */
function filters(size, rate) {
  const top = mel(rate / 2);
  const edges = Array.from({ length: BANDS + 2 }, (_, i) => (hertz((top * i) / (BANDS + 1)) * size) / rate);
  return Array.from({ length: BANDS }, (_, b) => {
    const [low, mid, high] = edges.slice(b, b + 3);
    const first = Math.max(0, Math.floor(low));
    const weights = [];
    for (let k = first; k <= Math.min(size / 2, Math.ceil(high)); k += 1) {
      weights.push(
        Math.max(0, Math.min((k - low) / Math.max(mid - low, 1e-6), (high - k) / Math.max(high - mid, 1e-6))),
      );
    }
    if (!weights.some((w) => w > 0)) return [Math.round(mid), [1]]; // bands narrower than a bin
    return [first, weights];
  });
}

/**
 * Log-mel energies of mono samples.
 * @param {Float32Array} samples @param {number} rate
 * @returns {{columns: number, bands: number, db: Float32Array}} db[column * bands + band], 0 = loudest
 */
export function logMel(samples, rate) {
  const width = Math.round(WINDOW_S * rate);
  const even = samples.length / WANTED_COLUMNS / rate;
  const hop_s = Math.max(FINEST_HOP_S, Math.min(HOP_S, even));
  const hop = Math.max(Math.round(hop_s * rate), Math.ceil(samples.length / MAX_COLUMNS));
  const size = 2 ** Math.ceil(Math.log2(width));
  const columns = Math.max(1, Math.floor((samples.length - width) / hop) + 1);
  const bank = filters(size, rate);
  const hann = Float64Array.from({ length: width }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / width));
  const db = new Float32Array(columns * BANDS);
  const re = new Float64Array(size);
  const im = new Float64Array(size);
  let peak = -Infinity;
  for (let column = 0; column < columns; column += 1) {
    re.fill(0);
    im.fill(0);
    for (let i = 0; i < width; i += 1) re[i] = (samples[column * hop + i] ?? 0) * hann[i];
    fft(re, im);
    for (const [band, [first, weights]] of bank.entries()) {
      let energy = 1e-10;
      for (let i = 0; i < weights.length; i += 1) energy += weights[i] * (re[first + i] ** 2 + im[first + i] ** 2);
      const value = 10 * Math.log10(energy);
      db[column * BANDS + band] = value;
      if (value > peak) peak = value;
    }
  }
  for (let i = 0; i < db.length; i += 1) db[i] -= peak;
  return { columns, bands: BANDS, db };
}

/** Color of a level, 0 quietest to 1 loudest, as [red, green, blue]. @param {number} share */
export function color(share) {
  const at = Math.max(0, Math.min(0.9999, share)) * (STOPS.length - 1);
  const [a, b] = [STOPS[Math.floor(at)], STOPS[Math.floor(at) + 1]];
  return a.map((v, i) => Math.round(v + (b[i] - v) * (at % 1)));
}

/**
 * Draw samples into a canvas, one pixel per window and band; the style sheet stretches it.
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} samples
 * @param {number} rate
 */
export function drawSpectrogram(canvas, samples, rate) {
  const { columns, bands, db } = logMel(samples, rate);
  canvas.width = columns;
  canvas.height = bands;
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(columns, bands);
  const palette = Array.from({ length: 256 }, (_, i) => color(i / 255));
  for (let column = 0; column < columns; column += 1) {
    for (let band = 0; band < bands; band += 1) {
      const level = Math.round(Math.max(0, 1 + db[column * bands + band] / RANGE_DB) * 255);
      image.data.set([...palette[level], 255], ((bands - 1 - band) * columns + column) * 4);
    }
  }
  context.putImageData(image, 0, 0);
}
