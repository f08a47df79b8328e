// What the player uses of wavesurfer.js; the published file beside it is unmodified and not checked.
import type { RegionsPlugin } from "./wavesurfer.regions.esm.js";

interface Colors {
  waveColor: string;
  progressColor: string;
  cursorColor: string;
}

interface Options extends Colors {
  container: HTMLElement;
  height: number;
  sampleRate: number;
  cursorWidth: number;
  barWidth: number;
  barGap: number;
  barRadius: number;
  dragToSeek: boolean;
  autoScroll: boolean;
  autoCenter: boolean;
  normalize: boolean;
  plugins: RegionsPlugin[];
}

export interface Surfer {
  on(event: "play" | "pause" | "timeupdate" | "seeking" | "finish" | "zoom", fn: () => void): () => void;
  on(event: "interaction", fn: (time_s: number) => void): () => void;
  on(event: "scroll", fn: (start_s: number, end_s: number) => void): () => void;
  getCurrentTime(): number;
  getDuration(): number;
  getDecodedData(): AudioBuffer | null;
  getMediaElement(): HTMLMediaElement;
  getWrapper(): HTMLElement;
  isPlaying(): boolean;
  play(): Promise<void>;
  pause(): void;
  setTime(time_s: number): void;
  setPlaybackRate(rate: number, preservePitch?: boolean): void;
  setOptions(options: Partial<Options>): void;
  /** pixels per second; 0 fits the width */
  zoom(density: number): void;
  loadBlob(blob: Blob): Promise<void>;
  empty(): void;
  destroy(): void;
}

declare const WaveSurfer: { create(options: Options): Surfer };
export default WaveSurfer;
