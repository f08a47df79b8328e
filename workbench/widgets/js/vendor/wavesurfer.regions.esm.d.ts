// What the player uses of the regions plugin; the published file beside it is unmodified and not checked.
declare const Regions: any;
export default Regions;
