// What the player uses of the regions plugin; the published file beside it is unmodified and not checked.
interface RegionOptions {
  id?: string;
  start: number;
  end: number;
  color: string;
  drag?: boolean;
  resize?: boolean;
  content?: HTMLElement;
}

export interface Region {
  id: string;
  start: number;
  end: number;
  isRemoved: boolean;
  remove(): void;
  /** set by the player: a label, not the loop */
  mark?: boolean;
}

export interface RegionsPlugin {
  on(event: "region-created" | "region-updated" | "region-double-clicked", fn: (region: Region) => void): () => void;
  addRegion(options: RegionOptions): Region;
  getRegions(): Region[];
  enableDragSelection(options: { id: string; color: string }, threshold: number): () => void;
}

declare const Regions: { create(): RegionsPlugin };
export default Regions;
