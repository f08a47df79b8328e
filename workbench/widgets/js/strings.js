// Every word the widgets show, one section per widget, so that they can be read and translated in one place.
export const common = {
  loading: "Loading…",
  close: "Close",
  retry: "Try again",
  kernelLost: "The kernel was restarted or has stopped.",
  kernelLostMend: "Nothing decided is lost. Run this cell again to go on where you were.",
  unknown: "not known",
};

export const player = {
  group: "Audio player",
  play: "Play",
  pause: "Pause",
  position: "Position in seconds",
  loop: "Loop a part (drag over the waveform to choose it)",
  loopOff: "Stop looping",
  speed: "Playback speed",
  zoomIn: "Zoom in",
  zoomOut: "Zoom out",
  spectrogram: "Show the spectrogram",
  spectrogramOff: "Hide the spectrogram",
  overview: "Whole recording; click to go there",
  empty: "No recording chosen",
  loading: "Loading the recording…",
  failed: "This recording cannot be played",
  blocked: "The browser wants a click before it plays sound. Press play once.",
};
