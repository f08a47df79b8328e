// Every word the widgets show, one section per widget, so that they can be read and translated in one place.
/**
 * @import { Agreement, BandRow, ErrorCounts, ErrorFilter, FrequencyRow, KeywordAnswer } from "./messages.d.ts"
 * @import { LaneWord, Made, MarkRow, Operation, PositionRow, ScatterData, ScatterPoint } from "./messages.d.ts"
 * @import { Utterance } from "./messages.d.ts"
 */
/**
 * @template {ErrorFilter["kind"]} Kind
 * @typedef {Extract<ErrorFilter, { kind: Kind }>} Of
 */

/** What a key is called; one that has no name stands for itself. */
export const named = (/** @type {{ [key: string]: string }} */ names, /** @type {string} */ key) => names[key] ?? key;

export const common = {
  loading: "Loading…",
  close: "Close",
  retry: "Try again",
  kernelLost: "The kernel was restarted or has stopped.",
  kernelLostHint: "Nothing decided is lost. Run this cell again to go on where you were.",
  unknown: "not known",
  waiting: {
    unreceived: "Waiting for the kernel. It is busy; your request is kept and goes through by itself.",
    working: "The kernel is working on it.",
    offline: "No connection to the server. Your request is kept and goes out when it is back.",
  },
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

const fixed = (/** @type {number | null | undefined} */ value, digits = 2) =>
  value === null || value === undefined ? "–" : value.toFixed(digits);
const count = (/** @type {number} */ n, /** @type {string} */ one, /** @type {string} */ many) =>
  `${Number(n).toLocaleString()} ${Number(n) === 1 ? one : many}`;
const operations = {
  equal: (/** @type {string} */ r) => `“${r}”: right`,
  style: (/** @type {string} */ r, /** @type {string} */ x) => `“${r}” came as “${x}”: other case or punctuation`,
  substitute: (/** @type {string} */ r, /** @type {string} */ x) => `“${r}” came as “${x}”: wrong word`,
  delete: (/** @type {string} */ r) => `“${r}”: missed`,
  insert: (/** @type {string} */ _r, /** @type {string} */ x) => `“${x}”: added, not in the reference`,
};

export const playback = {
  region: "Streaming playback",
  player: "Recording",
  recording: "Recording",
  noise: "Noise",
  noiseDb: (/** @type {number | null} */ db) => (db === null ? "none" : `street, ${db} dB SNR`),
  line: "Line",
  asRecorded: "as recorded",
  telephone: "telephone",
  level: "Level",
  gainDb: (/** @type {number} */ db) => (db ? `${db > 0 ? "+" : "−"}${Math.abs(db)} dB` : "as recorded"),
  room: "Room",
  roomS: (/** @type {number} */ s) => (s ? `echo ${s} s` : "dry"),
  compare: "Compare",
  closeLane: "Close this lane",
  laneLabel: (/** @type {string} */ name) => `Transcript ${name}`,
  checkpoint: "Checkpoint",
  locale: "Locale",
  auto: "auto · detect",
  lookaheadName: "Look-ahead",
  lookahead: (/** @type {number} */ ms) => (ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`),
  busy: "Recognizing… the first time, the model is loaded.",
  before: "Press play: words appear when a caller would have seen them.",
  listening: "Listening…",
  detected: (/** @type {string} */ tag, /** @type {boolean} */ wrong) => (wrong ? `${tag} heard` : `${tag} detected`),
  deciding: "language: deciding…",
  given: (/** @type {string} */ tag) => `locale: ${tag}`,
  firstWord: "first word",
  firstWordTitle: "When the first word was on screen, on the recording's clock",
  late: "lateness",
  lateTitle: "Median time from a word's end in the audio to its appearance",
  load: "compute",
  loadTitle: "Compute time as a share of the audio: over 100 % falls behind",
  errorRate: "errors",
  errorTitle: (/** @type {ErrorCounts} */ e) =>
    `${e.substitute} wrong, ${e.delete} missed, ${e.insert} added, of ${count(e.reference, "word", "words")}; ` +
    `case and punctuation aside (${e.style} differ)`,
  kept: { marks: "punctuation kept", capitals: "capitalization kept" },
  keptTitle: {
    marks:
      "Of the reference's punctuation marks, those at the same place here. " +
      "Change the noise or the line and watch them go.",
    capitals: "Of the reference's capitalized words, those that are here with their capital",
  },
  wordTitle: (/** @type {LaneWord} */ [word, start, end, at, confidence]) =>
    `${word}: spoken ${fixed(start)}–${fixed(end)} s, on screen at ${fixed(at)} s` +
    (confidence === null ? "" : `, confidence ${Math.round(100 * confidence)} %`),
  reference: "Against the reference",
  referenceNote: "reference above, recognized below",
  pair: (/** @type {Operation} */ operation, /** @type {string} */ reference, /** @type {string} */ hypothesis) =>
    operations[operation](reference, hypothesis),
  chunk: (
    /** @type {number} */ n,
    /** @type {number} */ start,
    /** @type {number} */ end,
    /** @type {number} */ compute,
    /** @type {number} */ at,
  ) =>
    `Chunk ${n}: audio ${fixed(start)}–${fixed(end)} s · compute ${Math.round(1000 * compute)} ms · ` +
    `on screen at ${fixed(at)} s`,
  stripLabel: (/** @type {number} */ chunks, /** @type {number} */ n) =>
    `${chunks} chunks of audio with their compute time, and the moments at which ${n} words appeared`,
  differ: (/** @type {number} */ n, /** @type {number} */ style) => {
    const styled = `the case or punctuation of ${style}`;
    if (!n) return style ? `A and B have the same words; ${styled} differ.` : "A and B are the same.";
    return `A and B differ in ${count(n, "word", "words")}${style ? ` and in ${styled}` : ""}.`;
  },
  unpaced:
    "Recognized once, as fast as this machine can, then replayed on the recording's clock: a word appears at the " +
    "end of its chunk plus the measured compute, queued behind earlier chunks.",
  lostHint: "What was recognized can still be played; run this cell again to change settings.",
};

const measureText = (/** @type {string} */ name, /** @type {number | null | undefined} */ value) => {
  if (value === null || value === undefined) return "–";
  if (name === "low_confidence") return `${(100 * value).toFixed(0)} %`;
  if (name === "confidence") return value.toFixed(2);
  if (["wer", "cer", "difference"].includes(name)) return `${(100 * value).toFixed(0)} %`;
  return String(value);
};

export const languages = {
  label: "Languages recognized, with their words",
  until: (/** @type {string | null} */ tag) => (tag ? `${tag} up to here` : "no language tag came"),
  words: (/** @type {number} */ n) => count(n, "word", "words"),
};

export const segment = {
  title: "In its recording",
  hint: "Drag an end, or B / F, then ← → (Shift: finer)",
  ends: { start: "Start of the segment", end: "End of the segment" },
  seconds: (/** @type {number} */ s) => `${s.toFixed(2)} seconds`,
  times: (
    /** @type {string} */ from,
    /** @type {string} */ to,
    /** @type {string} */ lasts,
    /** @type {string} */ whole,
  ) => `${from} – ${to} (${lasts} s) of ${whole}`,
  neighbor: (
    /** @type {string} */ from,
    /** @type {string} */ to,
    /** @type {string} */ text,
    /** @type {boolean} */ same,
  ) => `${same ? "Neighbor" : "Other channel"}, ${from} – ${to}${text ? `: ${text}` : ""}`,
  noText: "no transcript",
  moved: "Ends moved.",
};

export const draft = {
  nothing: "The draft is empty. Write what is said (E), or reject the clip.",
  blind: "Second transcription: no draft is shown. Press E and write what you hear.",
  confidence: (/** @type {number} */ c) => `confidence ${c.toFixed(2)}`,
  differs: "the other draft has something else here",
  second: (/** @type {string | null} */ name) => `${name}: `,
  facts: (
    /** @type {string} */ by,
    /** @type {number} */ uncertain,
    /** @type {number} */ threshold,
    /** @type {string} */ source,
    /** @type {number | null} */ differs,
  ) =>
    [
      `Draft by ${by}: no reference before you accept (A) or correct it (E)`,
      `${count(uncertain, "uncertain word", "uncertain words")} (confidence under ${threshold}: ${source})`,
      differs === null ? "" : `${count(differs, "word", "words")} unlike the other draft`,
    ]
      .filter(Boolean)
      .join(" · "),
  made: (/** @type {Made} */ { drafted_by, corrected, reviewer, seconds }) =>
    `Drafted by ${drafted_by}, ${corrected ? "corrected" : "accepted"} by ${reviewer}, ${seconds.toFixed(1)} s spent`,
  kinds: { name: "name", number: "number", email: "e-mail", card: "payment card" },
  personalWord: (/** @type {string} */ kind) => `personal data: ${kind}`,
  personalLabel: (/** @type {string} */ text) => `What is to become of “${text}”`,
  personalNote: "for copies without personal data; the recording itself stays",
  bleep: "Bleep",
  bleepHint: "A tone in its place, its words out of the transcript",
  keep: "Keep",
  keepHint: "This is no personal data",
  drop: "Drop the clip",
  dropHint: "The whole clip is left out",
};

export const board = {
  title: "Corpus board",
  clips: (/** @type {string} */ n) => `${n} ${n === "1" ? "clip" : "clips"}`,
  minutes: (/** @type {number} */ m) =>
    m >= 600 ? `${(m / 60).toFixed(1)} h` : `${m >= 100 ? m.toFixed(0) : m.toFixed(1)} min`,
  share: (/** @type {number} */ done, /** @type {number} */ all) =>
    all >= 600
      ? `${(done / 60).toFixed(1)} / ${(all / 60).toFixed(1)} h`
      : `${done >= 100 ? done.toFixed(0) : done.toFixed(1)} / ${all >= 100 ? all.toFixed(0) : all.toFixed(1)} min`,
  decidedOf: (/** @type {string} */ done, /** @type {string} */ all, /** @type {string | number} */ percent) =>
    `${done} of ${all} decided · ${percent} %`,
  progressLabel: (/** @type {string} */ a, /** @type {string} */ r, /** @type {string} */ p) =>
    `${a} accepted, ${r} rejected, ${p} to do`,
  saved: "All saved",
  saving: "Saving…",
  notSaved: "Not saved",
  savedAt: (/** @type {string} */ time) => `All saved · ${time}`,
  reviewer: (/** @type {string} */ name) => `Reviewer: ${name}`,
  help: "Keys",
  filterLabel: "Search, or SQL filter",
  filterHint: "Search words, speaker or id; or SQL: duration > 2 and accent is null",
  modeSql: "SQL",
  modeWords: "words",
  apply: "Search",
  clear: "Clear all filters",
  columns: (/** @type {string} */ names) => `Columns: ${names}`,
  statusLabel: "Show",
  statuses: { all: "All", pending: "To do", accepted: "Accepted", rejected: "Rejected", disputed: "Disputed" },
  disputed: (/** @type {string} */ n) => `Disputed ${n}`,
  status: { pending: "To do", accepted: "Accepted", rejected: "Rejected" },
  order: "Order",
  orderSource: "Order: as in the source",
  orderUp: (/** @type {string} */ name) => `${name}, lowest first`,
  orderDown: (/** @type {string} */ name) => `${name}, highest first`,
  columnFilters: "Column filters",
  columnFilter: (/** @type {string} */ name) => `Filter: ${name}`,
  lengthFilterHint: "Seconds: > 2, < 0.5, 1-3, or 4",
  views: "Views",
  viewName: "Name of this view",
  viewKeep: "Save",
  viewRemove: (/** @type {string} */ name) => `Delete the view ${name}`,
  viewsNone: "No view saved yet. Filter, then save it under a name.",
  priority: "Most uncertain first",
  priorityHint: "Which clips to listen to first: findings, disagreement with the model, low confidence, rare accents",
  minutesHave: "Minutes I have",
  minutesUnit: "min",
  minutesHint: "Leave only the undecided clips most worth your minutes, hearing and deciding each; empty for all",
  spent: (/** @type {number} */ m, /** @type {number} */ all) =>
    `about ${m < 10 ? m.toFixed(1) : m.toFixed(0)} min to hear and decide${all ? `, of your ${all}` : ""}`,
  why: "Why now",
  locale: "Locale",
  accent: "Accent",
  rule: "Findings",
  tags: "Sent here",
  untag: (/** @type {string} */ tag) => `Resolve: remove tag “${tag}”`,
  anyFinding: "any finding",
  none: "not known",
  facetHint: "Click to show only these; Ctrl+click to add",
  checking: "Checking the corpus…",
  checksFailed: (/** @type {string} */ message) => `The checks could not run: ${message}`,
  noFindings: "Nothing found",
  noFindingsSoFar: "Nothing found by the checks that ran",
  noFindingsClip: "Nothing found here so far",
  runChecks: "Run the checks",
  lacks: {
    signal: "the sound has not been measured yet",
    tokenizer: "needs a checkpoint's tokenizer",
    predictions: "needs a model's transcripts",
  },
  addFacet: "Filter by another column…",
  removeFacet: (/** @type {string} */ name) => `Hide ${name}`,
  findValue: (/** @type {string} */ name) => `Find in ${name}`,
  showAll: (/** @type {string} */ n) => `Show all ${n}`,
  showFewer: "Show fewer",
  tooMany: (/** @type {string} */ names) => `${names}: too many different values to count. Use the search instead.`,
  missing: "file missing",
  missingFile: "The recording's file is missing.",
  missingHint: "Put it back where the corpus expects it, or reject the clip.",
  heard: "The model's transcript",
  heardNothing: "(nothing)",
  measures: {
    wer: "WER",
    cer: "CER",
    substitutions: "substitutions",
    insertions: "insertions",
    deletions: "deletions",
    confidence: "confidence",
    low_confidence: "words of low confidence",
    difference: "difference",
  },
  measure: measureText,
  addTag: "Add a tag",
  tagVocabulary: ["check again", "ask a native speaker", "wrong speaker", "background speech", "numbers as digits"],
  by: "by",
  conflict: (/** @type {string} */ who, /** @type {string} */ what) => `${who} has just decided this: ${what}.`,
  keepTheirs: "Keep theirs",
  decideAnyway: "Decide anyway",
  keyOf: (/** @type {string} */ label, /** @type {string} */ key) => `${label} (key ${key})`,
  printKeys: "Print",
  head: {
    status: "",
    place: "#",
    text: "Transcript",
    target_lang: "Locale",
    accent: "Accent",
    speaker: "Speaker",
    duration: "Length",
    wer: "WER",
    cer: "CER",
    substitutions: "Sub",
    insertions: "Ins",
    deletions: "Del",
    confidence: "Conf",
    low_confidence: "Low confidence",
    difference: "Δ WER",
    findings: "Findings",
  },
  sortBy: (/** @type {string} */ name) => `Sort by ${name}`,
  table: "Clips",
  empty: "No clip matches. Clear the filter to see all clips.",
  notInView: "This clip is not in the view. Clear the filter to reach it.",
  emptyCorpus: "This corpus holds no clips.",
  edited: "edited",
  differs: "differs from yours",
  dispute: (/** @type {string | null} */ what) => (what ? `Reviewers differ on: ${what}` : "Reviewers differ"),
  disputeParty: "A third reviewer decides. You may take the other word.",
  disputeThird: "Your choice settles it.",
  take: "Take this",
  takeWord: (/** @type {string} */ who) => `Take the word of ${who}`,
  you: "You",
  blind: "Blind review",
  blindHint: "What other reviewers decided is hidden from you",
  agreement: (/** @type {Agreement} */ { clips, agreed }) =>
    `reviewers agree on ${agreed} of ${clips} ${clips === 1 ? "clip" : "clips"}`,
  agreementHint: (/** @type {Agreement} */ { kappa }) =>
    `Clips that two or more reviewers accepted or rejected${
      kappa === null || kappa === undefined ? "" : `; Cohen's kappa ${kappa.toFixed(2)}`
    }`,
  lengthLabel: "Length in seconds",
  notRun: (/** @type {number} */ n) => `${n} ${n === 1 ? "check" : "checks"} not run`,
  othersSay: (/** @type {string} */ name, /** @type {string} */ what) => `${name}: ${what}`,
  transcript: "Transcript",
  original: "Source has",
  editHint: "Enter saves, Esc leaves it as it was",
  findings: "Findings",
  marks: "Other reviewers",
  about: "About",
  history: (/** @type {number} */ n) => `History (${n})`,
  fields: {
    target_lang: "Locale",
    accent: "Accent",
    speaker: "Speaker",
    split: "Split",
    domain: "Domain",
    source: "Source",
    license: "License",
    recorded_at: "Recorded",
    audio_filepath: "File",
    duration: "Length",
  },
  accept: "Accept",
  reject: "Reject",
  reopen: "Reopen",
  edit: "Edit",
  undo: "Undo",
  redo: "Redo",
  next: "Next",
  previous: "Previous",
  autoplay: "Play on arrival",
  whyReject: "What is wrong with it?",
  otherReason: "other, in your words",
  reasons: [
    "transcript does not match",
    "wrong language or accent",
    "cannot be understood",
    "noise or music over speech",
    "cut off",
    "several speakers",
    "private, must not be kept",
  ],
  bulk: "All clips…",
  bulkTitle: (/** @type {string} */ n) => `All clips of this view at once (${n} undecided)`,
  bulkAccept: (/** @type {string} */ n) => `Accept ${n}`,
  bulkReject: (/** @type {string} */ n) => `Reject ${n}…`,
  bulkNote: "One undo takes all of it back.",
  bulkDone: (/** @type {string} */ n) => `${n} clips changed. Undo takes all of it back.`,
  bulkEdit: (/** @type {string} */ n) => `Change a fact of all ${n} clips of this view, decided or not:`,
  bulkField: "What to change",
  bulkValue: "New value",
  bulkEditGo: "Change",
  cancel: "Cancel",
  done: {
    accept: "Accepted.",
    reject: (/** @type {string} */ reason) => `Rejected: ${reason}.`,
    reopen: "Open again.",
    edit: "Transcript saved.",
    field: (/** @type {string} */ name) => `${name} saved.`,
    undone: "Undone.",
    redone: "Redone.",
    nothingToUndo: "Nothing to undo.",
    nothingToRedo: "Nothing to redo.",
    end: "No undecided clip after this one.",
    changedElsewhere: (/** @type {string} */ n, /** @type {string} */ who) =>
      `${n} ${n === "1" ? "clip was" : "clips were"} decided elsewhere (${who}); shown now.`,
    settled: "Settled.",
    untagged: "Tag removed.",
    tagged: (/** @type {string} */ tag) => `Tagged: ${tag}.`,
  },
  keysTitle: "Keys",
  keysNote: "The keys work while the board has the focus: click anywhere in it, or press Tab.",
  keys: [
    ["Space", "play, pause"],
    ["A", "accept, go to the next undecided"],
    ["R", "reject: then 1–7 or typed words, Enter"],
    ["T", "add a tag"],
    ["E", "edit the transcript"],
    ["B · F", "move the start · the end of a segment"],
    ["N · ↓", "next undecided · next row"],
    ["P · ↑", "previous undecided · previous row"],
    ["U", "undo"],
    ["Y", "redo"],
    ["O", "reopen, back to do"],
    ["L", "loop around the cursor, or stop"],
    ["← →", "back, forward one second"],
    ["[  ]", "slower, faster"],
    ["+  −  0", "zoom in, out, all"],
    ["S", "spectrogram"],
    ["/", "filter"],
    ["?", "this list"],
  ],
  bar: [
    ["Space", "play"],
    ["A", "accept"],
    ["R", "reject"],
    ["E", "edit"],
    ["N", "next"],
    ["U", "undo"],
    ["?", "all keys"],
  ],
};

const percent = (/** @type {number | null | undefined} */ value, digits = 1) =>
  value === null || value === undefined ? "–" : `${(100 * value).toFixed(digits)} %`;
/** A right-to-left word in a sentence from left to right, held apart so that it does not draw its neighbors along. */
const apart = (/** @type {string} */ word) =>
  /[\u0590-\u08ff\ufb1d-\ufefc]/.test(word) ? `\u2068${word}\u2069` : word;

/** The first few words of a list, and how many more there are. */
const wordsOf = (/** @type {string[]} */ list, /** @type {number} */ all) => {
  const shown = list.slice(0, 3).map((word) => `“${apart(word)}”`);
  const more = all - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${count(more, "other", "others")}` : "");
};

const unitsOf = (/** @type {Utterance} */ item) =>
  item.metric === "cer" ? count(item.units, "character", "characters") : count(item.units, "word", "words");

export const explorer = {
  findIn: (/** @type {string} */ name) => `Find in ${name.toLowerCase()}`,
  andOthers: (/** @type {string} */ n) => `and ${n} others: show all`,
  largestOnly: (/** @type {number} */ n) => `Show the ${n} largest`,
  region: "Error explorer",
  map: "Error rates by slice. Arrow keys move between cells, Enter opens one.",
  all: "all",
  everything: "everything",
  notStated: "not stated",
  field: {
    name: "Prediction",
    against: "Compared with",
    lookahead: "Look-ahead",
    metric: "Metric",
    normalizer: "Normalizer",
    row: "Rows",
    column: "Columns",
  },
  span: {
    target_lang: "locale",
    accent: "accent",
    speaker: "speaker",
    domain: "domain",
    source: "source",
    duration_band: "duration",
    snr_band: "SNR",
    split: "split",
  },
  lookahead: (/** @type {string} */ ms) => (ms === "offline" ? "default" : `${ms} ms`),
  noBase: "nothing",
  provisional: "provisional: under 1,000 words",
  tooLittle: "hatched: not enough data",
  interval: (/** @type {string} */ kind) => `interval: ${kind}`,
  size: (/** @type {number} */ utterances, /** @type {number | null} */ speakers) =>
    `${Number(utterances).toLocaleString()} utt.${speakers ? ` · ${Number(speakers).toLocaleString()} spk.` : ""}`,
  legendHeat: (/** @type {string} */ top) => `deeper is worse, up to ${top} %`,
  legendBetter: "▼ better",
  legendWorse: (/** @type {string} */ top) => `▲ worse, up to ${top} points`,
  legendUnclear: "gray: no clear difference",
  confoundedMark: "⇄",
  legendConfounded: "⇄ confounded: another column explains it as well",
  legendUnits: (/** @type {string} */ level) => `percent, ± half-width of the ${level} % CI`,
  export: { svg: "SVG", png: "PNG" },
  exportTitle: { svg: "Save the map as a drawing", png: "Save the map as a picture" },
  notDrawn: (/** @type {string} */ why) => `The picture could not be drawn (${why}); save it as SVG.`,
  closeCell: "Close this cell (Esc)",
  reattached: "Back where you were.",
  csv: "CSV",
  sql: "SQL",
  plan: "Plan",
  planTitle: "Add these minutes of this cell to the collection plan",
  minutes: "Minutes to collect",
  minutesUnit: "min",
  player: "Utterance",
  listen: "Listen",
  stream: "Stream this",
  send: "To curation",
  sendGo: "Send",
  keyword: "Keywords",
  keywordGo: "Add",
  keywordLabel: "Words for the keyword list, with commas between them",
  keywordAdd: (/** @type {string} */ word) => `Add “${apart(word)}” to the keyword list`,
  keywordAdded: (/** @type {KeywordAnswer} */ { added, keywords, file }) =>
    `${added.length ? `Added ${added.map((word) => `“${apart(word)}”`).join(", ")}` : "Already listed"}: ` +
    `${file} of the corpus holds ${count(keywords, "keyword", "keywords")}.`,
  sendShown: (/** @type {number} */ n) => `Send ${count(n, "shown one", "shown")} to curation`,
  reason: "What should a reviewer check?",
  reasonOf: (/** @type {Utterance} */ item) => `${count(item.errors, "error", "errors")} in ${unitsOf(item)}`,
  errorsOf: (/** @type {Utterance} */ item) => `${count(item.errors, "error", "errors")} in ${unitsOf(item)}`,
  aligned: "Reference above, recognized below; a word plays from its place, arrow keys walk",
  total: (/** @type {string} */ n, /** @type {string} */ filter) =>
    `${n} ${n === "1" ? "utterance" : "utterances"}${filter ? ` with ${filter}` : ""}`,
  clear: "Show all",
  more: (/** @type {number} */ n) => `Show ${n} more`,
  changes: (/** @type {string} */ verdict, /** @type {number} */ n) => `${n} got ${verdict}`,
  filter: {
    confusion: (/** @type {Of<"confusion">} */ f) => `“${apart(f.reference)}” recognized as “${apart(f.hypothesis)}”`,
    word: (/** @type {Of<"word">} */ f) => `“${apart(f.word)}” missed`,
    said: (/** @type {Of<"said">} */ f) => wordsOf(f.words, f.words.length),
    position: (/** @type {Of<"position">} */ f) => `an error in part ${f.part + 1} of ${f.bins}`,
    duration: (/** @type {Of<"duration">} */ f) => `a duration of ${f.band}`,
    snr: (/** @type {Of<"snr">} */ f) => `an SNR of ${f.band}`,
    frequency: (/** @type {Of<"frequency">} */ f) => `a missed word that occurs ${f.occurs} times here`,
    language: (/** @type {Of<"language">} */ f) => `${f.said} recognized as ${f.heard}`,
    mark: (/** @type {Of<"mark">} */ f) => `“${f.mark}” missing, added or wrong`,
    case: () => "a word with other capitalization",
    changed: (/** @type {Of<"changed">} */ f) => `${f.verdict === "better" ? "fewer" : "more"} errors than before`,
  },
  order: "Order of the utterances",
  orders: {
    worst: "Worst first",
    best: "Best first",
    wer: "Highest WER",
    cer: "Highest CER",
    substitutions: "Most substitutions",
    insertions: "Most insertions",
    deletions: "Most deletions",
    lost: "Lost most against the other",
    gained: "Gained most against the other",
    confidence: "Least confident",
    duration: "Longest",
  },
  scatter: "Word accuracy, before and now",
  scatterNote: (/** @type {ScatterData} */ { better, worse, same }) =>
    `${better} words better, ${worse} worse, ${same} alike`,
  scatterRare: (/** @type {number} */ n) =>
    `${count(n, "word occurs", "words occur")} only once and ${n === 1 ? "is" : "are"} left out.`,
  scatterAxis: (/** @type {string} */ name) => `accuracy by ${name}`,
  scatterHint: "Each point is one or more words; arrow keys walk, Enter opens their clips",
  scatterPoint: (/** @type {ScatterPoint} */ point) =>
    `${wordsOf(point.words, point.count)}: ${percent(point.before, 0)} → ${percent(point.now, 0)}, ` +
    `${count(point.occurrences, "occurrence", "occurrences")}`,
  confusions: "Confusions",
  noConfusions: "No word was confused with another.",
  noLost: "No word was missed.",
  confusionTitle: (/** @type {string} */ said, /** @type {string} */ heard, /** @type {number} */ n) =>
    `“${apart(said)}” recognized as “${apart(heard)}”, ${count(n, "time", "times")}. Show these utterances.`,
  lost: "Words most often missed",
  lostNote: "missed / total",
  lostTitle: (/** @type {string} */ word, /** @type {number} */ n, /** @type {number} */ of) =>
    `“${apart(word)}” missed or wrong in ${n} of ${of}. Show these utterances.`,
  heardAs: "Languages confused",
  heardAsTitle: (/** @type {string} */ said, /** @type {string} */ heard, /** @type {number} */ n) =>
    `${said} recognized as ${heard} in ${count(n, "utterance", "utterances")}. Show these.`,
  marks: "Punctuation",
  markTitle: (/** @type {MarkRow} */ row) =>
    `“${row.mark}”: ${row.reference} in the references, ${row.hypothesis} recognized, ${row.correct} right`,
  marksNote: "F1 per punctuation mark; capitalization kept",
  capitals: "Capitalization",
  capitalsTitle: (/** @type {number} */ rate) =>
    `${percent(rate)} of the correct words have other capitalization. Show these utterances.`,
  position: "Errors by place in the utterance",
  positionTitle: (/** @type {PositionRow} */ row) =>
    `from ${percent(row.from, 0)} to ${percent(row.to, 0)}: ${percent(row.rate)} of ${row.reference_words} words`,
  start: "start",
  end: "end",
  duration: "Errors by duration",
  snr: "Errors by SNR",
  noSnr: "Not measured yet. “Run the checks” on the board measures it.",
  bandUnit: { duration: "seconds", snr: "dB" },
  bandTitle: (/** @type {string} */ band, /** @type {BandRow} */ row) =>
    `${band}: ${percent(row.rate)} in ${count(row.utterances, "utterance", "utterances")}. Show these.`,
  frequency: "Word accuracy by frequency",
  frequencyNote: "times a word occurs",
  frequencyTitle: (/** @type {FrequencyRow} */ row) =>
    `words that occur ${row.occurs} times: ${percent(row.accuracy)} of ${row.occurrences} right`,
  opening: "Opening playback at this moment…",
  streamTitle: "Streamed again",
  sent: (/** @type {number} */ n, /** @type {string} */ tag) =>
    `${count(n, "utterance", "utterances")} tagged “${tag}”: filter the board by this tag.`,
  planned: (
    /** @type {string} */ cell,
    /** @type {number} */ minutes,
    /** @type {{ planned: number, minutes: number }} */ plan,
  ) =>
    `${minutes} minutes of ${cell} added: the collection plan now holds ` +
    `${count(plan.planned, "request", "requests")}, ${plan.minutes} minutes.`,
  lostHint: "Run this cell again to go on; decisions sent are kept.",
};

export const monitor = {
  region: "Fine-tuning runs",
  metric: "What validation measures",
  mode: "Prompt and way of validation",
  metrics: { wer: "word error rate", cer: "character error rate", tags_right: "language tags right" },
  validation: "Validation per locale",
  samples: "What it recognizes now",
  reference: "reference",
  whyCharacters:
    "Shown by characters: too few words are right for the word error rate to move, or locales are scored by them.",
  strip: "Gained or lost since step 0",
  stripNote: "percentage points, on validation sentences and without an interval: judge on a test suite",
  stripTitle: (
    /** @type {string} */ before,
    /** @type {string} */ now,
    /** @type {number} */ step,
    /** @type {number | null} */ n,
  ) => `${before} at step 0, ${now} at step ${step}${n ? `, ${count(n, "utterance", "utterances")}` : ""}`,
  points: (/** @type {number} */ value) =>
    `${value > 0.05 ? "+" : value < -0.05 ? "\u2212" : "±"}${Math.abs(value).toFixed(1)}`,
  direction: (/** @type {number} */ worse) => (worse > 0.0005 ? "worse" : worse < -0.0005 ? "better" : "same"),
  log: "Log",
  noLog: "Nothing logged yet.",
  loss: "Loss",
  lossFact: "loss",
  lossNote: "per step, and smoothed",
  throughput: "Throughput",
  speed: "speed",
  throughputNote: "seconds of audio per second",
  perSecond: (/** @type {number} */ value) => `${value.toFixed(1)}× real time`,
  rate: "Learning rate",
  step: "step",
  left: "left",
  memory: "peak memory",
  peak: "peak rate",
  peakTitle: "The highest learning rate of the schedule, as the optimizer sees it",
  best: "best",
  bestTitle: (/** @type {number | null} */ score, /** @type {number | null} */ base) =>
    `score ${score?.toFixed?.(4) ?? "–"}` +
    (base === null || base === undefined ? "" : `, the base has ${base.toFixed(4)}`),
  leftOut: "rows excluded",
  hours: "trained on",
  hoursTitle: (/** @type {string} */ tag, /** @type {string} */ done, /** @type {string} */ all) =>
    `${tag}: trained on ${done} of the ${all} planned`,
  atStep: (/** @type {number} */ step) => `step ${step}`,
  nothing: "(nothing)",
  cancel: "Cancel",
  resume: "Resume",
  cancelling: "stopping…",
  status: {
    queued: "queued",
    preparing: "preparing",
    running: "running",
    validating: "validating",
    finishing: "finishing",
    finished: "finished",
    cancelled: "cancelled",
    failed: "failed",
    interrupted: "interrupted",
  },
  progress: (/** @type {number} */ step, /** @type {number | null} */ steps) => `step ${step} of ${steps}`,
  lostHint: "The training goes on by itself; run this cell again to watch it.",
};

export const microphone = {
  region: "Microphone",
  state: { idle: "Record", preparing: "Cancel", recording: "Stop", finishing: "Finishing…" },
  cancelled: "Cancelled; nothing was kept.",
  takes: (/** @type {number} */ n) => (n === 1 ? "1 take kept in this session" : `${n} takes kept in this session`),
  takesNote: "with the consent of the speaker, for the use that each line names",
  noText: "(no text)",
  withdrawOf: (/** @type {string} */ id) => `Take back ${id}: its recording and its row go`,
  level: "Input level",
  locale: "Locale",
  auto: "auto · detect",
  lookahead: "Look-ahead",
  ms: (/** @type {number} */ ms) => (ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`),
  before: "Press record and speak. The first time, the model is loaded.",
  loading: "Listening. The model is being loaded; what is said now is not lost.",
  listening: "Listening…",
  detected: (/** @type {string} */ tag) => `${tag} detected`,
  deciding: "language: deciding…",
  p50: "capture to display, median",
  p95: "95th percentile",
  latencyNote: (/** @type {number} */ n, /** @type {number} */ ms) =>
    `over ${n} changes; a word also waits for its chunk of ${ms} ms to fill`,
  keep: "Keep this take?",
  keepNote: (/** @type {string} */ corpus) =>
    `Recording and text ${corpus ? `become an utterance of the corpus ${corpus}` : "are written to a folder"} ` +
    "on the machine that runs the kernel; nothing is sent elsewhere. Until then nothing is written.",
  purpose: "What the recording may be used for",
  purposeAsk: "May be used for…",
  purposes: { "training testing": "training and testing", training: "training only", testing: "testing only" },
  said: "What was said",
  spoken: "Locale that was spoken",
  speaker: "Speaker, a code name",
  consent: "The speaker agrees that this recording is kept and used for this.",
  save: "Keep",
  discard: "Discard",
  joined: (/** @type {string} */ id, /** @type {string} */ corpus) =>
    `${id} is now an utterance of the corpus ${corpus}; a board opened from now on shows it.`,
  withdraw: "Take it back",
  withdrawn: (/** @type {string} */ id) => `${id} was taken back: its recording and its row are gone.`,
  discarded: "Discarded; nothing was written.",
  kept: (/** @type {string} */ id, /** @type {string} */ folder) =>
    `Kept as ${id} in ${folder}; import its manifest.jsonl to use it.`,
  trouble: {
    insecure:
      "Browsers open a microphone only on https or on this machine itself (localhost). Open JupyterLab that way.",
    unsupported: "This browser offers no microphone to web pages.",
    refused: "The browser or you refused the microphone. Allow it in the address bar and press record again.",
    none: "No microphone was found. Plug one in and press record again.",
    taken: "The microphone is in use by another program, or the system blocks it.",
    lost: "The microphone was unplugged or taken away; what was recorded so far is kept.",
    silent:
      "The microphone is on but delivers only digital silence: it may be muted, or another one is chosen in the " +
      "system settings.",
    muted: "The system muted the microphone: silence is being recorded.",
    hidden: "While this tab was in the background, recording went on and the display paused.",
  },
};

export const lineage = {
  region: "Lineage, from recordings to release",
  drawing: (/** @type {number} */ things, /** @type {number} */ steps) =>
    `${things} things, ${steps} steps from one to the next`,
  kinds: {
    source: "source",
    corpus: "corpus",
    export: "export",
    run: "run",
    checkpoint: "checkpoint",
    suite: "suite",
    prediction: "prediction",
    gate: "gate",
    release: "release",
  },
  hint:
    "Click a box, or reach it with Tab and the arrow keys: its facts appear here; what it came from and what " +
    "came of it lights up.",
  before: "Made from (dashed)",
  after: "Went into",
};

export const plan = {
  region: "Import plan",
  rows: (/** @type {number} */ usable, /** @type {number} */ rows, /** @type {number} */ hours) =>
    `${usable.toLocaleString()} of ${rows.toLocaleString()} rows come in, ${hours.toFixed(2)} hours`,
  speakers: (/** @type {number} */ known, /** @type {number} */ without) =>
    `${count(known, "speaker", "speakers")}; ${count(without, "row", "rows")} without one`,
  columns: "Columns: what each one holds",
  column: "Column",
  feeds: "Feeds",
  filled: "Filled",
  samples: "Samples",
  ridesAlong: "rides along",
  feedsOf: (/** @type {string} */ column) => `What column ${column} feeds`,
  locales: "Locales",
  written: "Written",
  becomes: "Becomes",
  rowCount: "Rows",
  nothing: "not stated",
  decide: "choose a locale",
  localeOf: (/** @type {string} */ value) => `Locale of rows that say ${value}`,
  localeOfRest: "Locale of rows that state none",
  root: "Folder that recordings are read from",
  rootHint: "an absolute path",
  lookAgain: "Look again",
  looking: "Looking at the source again…",
  examples: "First rows, as they would come in",
  play: (/** @type {number} */ row) => `Play row ${row}`,
  player: "Recording of the chosen row",
  leftOut: (/** @type {number} */ n, /** @type {string} */ why) => `${count(n, "row", "rows")} left out: ${why}`,
  name: "Name of the corpus",
  start: "Import",
  cancel: "Cancel",
  cancelling: "Cancelling…",
  progress: (/** @type {number} */ done, /** @type {number} */ total) =>
    total ? `${done.toLocaleString()} of ${total.toLocaleString()}` : "starting",
  steps: {
    plan: "Not imported yet; nothing has been written.",
    importing: "Importing…",
    imported: "Imported.",
    cancelled: "Cancelled; nothing was kept.",
    failed: "Not imported; nothing was kept.",
  },
};
