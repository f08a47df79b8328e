// What the player uses of wavesurfer.js; the published file beside it is unmodified and not checked.
declare const WaveSurfer: any;
export default WaveSurfer;
