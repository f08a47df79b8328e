// Shapes that only the page knows: what its own modules hand to each other. Types only: no code.

/** What stands in an element; null, false and undefined are left out. */
export type Child = Node | string | number | null | false | undefined;

type Attribute = string | number | boolean | null | undefined;
type Listeners<El> = {
  [Name in keyof GlobalEventHandlersEventMap as `on${Name}`]?:
    | ((event: GlobalEventHandlersEventMap[Name] & { currentTarget: El }) => unknown)
    | null;
};

/** Properties as `h` and `set` take them. */
export interface Props<El extends Element = Element> extends Listeners<El> {
  dataset?: { [name: string]: string | number };
  style?: { [property: string]: string };
  [name: string]: Attribute | { [name: string]: string | number } | ((event: never) => unknown);
}

/** A stretch of a recording. */
export interface Stretch {
  start_s: number;
  end_s: number;
}

/** A recording as a player takes it: a WAV file, or peaks of the whole and windows of it on demand. */
export type PlayerClip = { key: string; duration_s: number } & (
  | { bytes: DataView<ArrayBuffer>; peaks?: undefined; window_s?: undefined; window?: undefined }
  | {
      bytes?: undefined;
      peaks: Float32Array;
      window_s: number;
      window: (start_s: number, end_s: number) => Promise<DataView<ArrayBuffer>>;
    }
);

/** A stretch with a label; `kind` colors it. */
export interface Mark extends Stretch {
  label?: string;
  kind?: "" | "good" | "bad" | "warn";
}

/** Event of a player → what comes with it. */
export interface PlayerEvents {
  ready: { duration_s: number };
  time: { time_s: number; playing: boolean };
  play: object;
  pause: object;
  finish: object;
  loop: { loop: Stretch | null };
  speed: { speed: number };
  error: { message: string };
  /** the browser refused to play without a click */
  blocked: object;
}
