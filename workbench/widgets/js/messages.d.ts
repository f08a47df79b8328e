// What passes between kernel and page, as the Python side sends it: `plain_values.plain` makes every NaN, NaT and
// infinity null, so whatever a table may lack is `| null` here. Types only: no code, and nothing that travels.
// The first part is shared; then comes one part a widget, named after its Python module.

// -- anywidget's model, and the wire under it (channel.py, channel.js) ---------------------------------------------

/** A signal of JupyterLab's. */
export interface Signal {
  connect?(slot: (sender: unknown, value: string) => void): unknown;
  disconnect?(slot: (sender: unknown, value: string) => void): unknown;
}

/** What JupyterLab tells of a kernel; other front ends tell nothing. */
export interface Kernel {
  status?: string;
  connectionStatus?: string;
  statusChanged?: Signal;
  connectionStatusChanged?: Signal;
  reconnect?(): Promise<void>;
}

/** What a channel needs of anywidget's model. */
export interface Wire {
  on(event: string, fn: (...values: never[]) => void): void;
  off(event: string, fn: (...values: never[]) => void): void;
  send(content: Asked, callbacks?: undefined, buffers?: ArrayBuffer[]): void;
  widget_manager?: { kernel?: Kernel };
}

/** anywidget's model of a widget with these traits. */
export interface Model<Traits> extends Wire {
  get<Name extends keyof Traits & string>(name: Name): Traits[Name];
  set<Name extends keyof Traits & string>(name: Name, value: Traits[Name]): void;
  save_changes(): void;
}

/** What anywidget hands to `render`. */
export interface Rendered<Traits> {
  model: Model<Traits>;
  el: HTMLElement;
  /** where a widget shows another one */
  host?: Host;
}

export interface Host {
  getWidget(reference: string): Promise<{ render(how: { el: HTMLElement; signal: AbortSignal }): Promise<void> }>;
}

/** A question on its way to the kernel. */
export interface Asked {
  ask: string;
  question: string;
  body: object;
  view: string;
}

/** All that a kernel sends: it has a question, answers one, refuses one, or tells of something. */
export interface Told {
  received?: string;
  answer?: string;
  body?: object;
  error?: string;
  fault?: boolean;
  event?: string;
}

/** Question → what goes with it, and what comes back. */
export type Questions = { [question: string]: { body: object; answer: object } };
/** Event that a kernel pushes → what comes with it. */
export type Events = { [event: string]: object };
export type Body<Q extends Questions, Question extends keyof Q> = Q[Question]["body"];
export type Answer<Q extends Questions, Question extends keyof Q> = Q[Question]["answer"] & {
  buffers: DataView<ArrayBuffer>[];
};
export type Nothing = Record<string, never>;
export type None = { [event: string]: never };

// -- sound (audio.py) ----------------------------------------------------------------------------------------------

/** Of a recording: buffer 0 is a WAV file where it is `whole`, else float32 peaks of all of it. */
export type AudioHead = { key: string; duration_s: number; sample_rate: number } & (
  | { whole: true; window_s?: undefined }
  | { whole: false; window_s: number }
);

export type AudioQuestions = {
  audio: { body: { key: string }; answer: AudioHead };
  audio_window: {
    body: { key: string; start_s: number; end_s: number };
    answer: { key: string; start_s: number };
  };
};

/** Whatever answers the two questions of a player. */
export interface AudioChannel {
  ask(question: "audio", body: Body<AudioQuestions, "audio">): Promise<Answer<AudioQuestions, "audio">>;
  ask(
    question: "audio_window",
    body: Body<AudioQuestions, "audio_window">,
  ): Promise<Answer<AudioQuestions, "audio_window">>;
}

// -- words and their alignment (playback_lane.py, recognizer/languages.py) -----------------------------------------

export type Operation = "equal" | "style" | "substitute" | "delete" | "insert";
/** Operation, word of the reference, word of the hypothesis; "" on the side that has none. */
export type Pair = [Operation, string, string];
/** Locale tag (null: none came) and the number of words in a run of one language. */
export type LanguageRun = [string | null, number];

// -- board (board.py, board_view.py, board_table.py, board_query.py) -----------------------------------------------

export type Status = "pending" | "accepted" | "rejected";
export type Measure =
  | "wer"
  | "cer"
  | "substitutions"
  | "insertions"
  | "deletions"
  | "confidence"
  | "low_confidence"
  | "difference";
export type Measures = { [Name in Measure]?: number | null };
/** Columns of the table. */
export type BoardColumn =
  | "status"
  | "place"
  | "text"
  | "target_lang"
  | "accent"
  | "speaker"
  | "duration"
  | "findings"
  | Measure;

/** Of `corpus.checks.run_checks`. */
export interface Finding {
  rule: string;
  severity: string;
  reason?: string | null;
  hint?: string | null;
  value?: string | null;
}

/** Another reviewer's latest word on a field of a clip. */
export interface Opinion {
  reviewer: string;
  field: string;
  value: string | null;
  reason: string | null;
  at: string;
  /** from this reviewer's own word */
  differs: boolean;
}

/** A field on which reviewers differ; `party`: this reviewer is one of them. */
export interface Dispute {
  field: string;
  words: DisputeWord[];
  party: boolean;
}

export interface DisputeWord {
  reviewer: string;
  value: string | null;
  reason: string | null;
}

/** What table and details both say of a clip. */
export interface Clip {
  id: string;
  text: string | null;
  target_lang: string | null;
  accent: string | null;
  speaker: string | null;
  duration: number | null;
  status: Status;
  reason: string | null;
  tags: string[];
  edited: boolean;
  findings: Finding[];
  /** why it comes where it does in the order of doubt; "" in any other */
  why: string;
  others: Opinion[];
  dispute: Dispute[];
  measures?: Measures;
  missing?: boolean;
}

/** A row of the table (`BoardView.rows`). */
export interface Row extends Clip {
  place: number;
  draft_text?: string;
}

/** One decision (`corpus.review.decisions.Decision`). */
export interface Decision {
  seq: number;
  at: string;
  reviewer: string;
  action: string;
  field: string | null;
  value: string | null;
  reason: string | null;
  filter: string | null;
  clips: number;
  refers: number | null;
  stands: boolean;
}

/** All that is known of one clip (`BoardView.details`). A corpus may have further columns. */
export interface Details extends Clip {
  /** null: it is not in the view */
  place: number | null;
  history: Decision[];
  hypothesis: string | null;
  languages: LanguageRun[];
  /** null: it has none; left out: the board does not work on drafts */
  draft?: Draft | null;
  missing: boolean;
  offset?: number | null;
  split?: string | null;
  domain?: string | null;
  source?: string | null;
  license?: string | null;
  recorded_at?: string | null;
  audio_filepath: string;
  original_text?: string | null;
}

export interface DraftWord {
  word: string;
  start?: number | null;
  end?: number | null;
  confidence?: number | null;
  /** no space before it */
  glued?: boolean | null;
  uncertain?: boolean;
  /** the other draft has another word in its place */
  differs: boolean;
}

/** Personal data in a draft; `first` and `last`: numbers of words, null where it could not be placed. */
export interface PersonalSpan {
  kind: "name" | "number" | "email" | "card";
  text: string;
  tag: string;
  keep: boolean;
  first: number | null;
  last: number | null;
}

/** What a reference came of. */
export interface Made {
  drafted_by: string;
  checkpoint_sha256: string;
  corrected: boolean;
  reviewer: string;
  at: string;
  seconds: number;
}

/** Of `BoardDrafts.of`. */
export interface Draft {
  by: string;
  second_by: string | null;
  /** the second transcription of a clip, of which no draft is shown */
  blind: boolean;
  text: string;
  words: DraftWord[];
  second: DraftWord[];
  /** words of less confidence are uncertain */
  threshold: number;
  /** where that comes from, in words */
  threshold_from: string;
  personal: PersonalSpan[];
  drop: boolean;
  drop_tag: string;
  made: Made | null;
}

export interface Query {
  sql: string;
  text: string;
  facets: { [column: string]: (string | null)[] };
  columns: { [column: string]: string };
  status: string;
  rule: string;
  tag: string;
  order_by: string;
  descending: boolean;
  minutes: number;
}

/** A change of what is asked for; `box`: what stands in the one box, words or SQL. */
export type QueryChange = Partial<Query> & { box?: string };

export interface Tally {
  clips: number;
  minutes: number;
}

export interface Progress extends Tally {
  pending: Tally;
  accepted: Tally;
  rejected: Tally;
  locales: (Tally & { value: string | null; pending: Tally; accepted: Tally; rejected: Tally })[];
}

export interface FacetBar extends Tally {
  value: string | null;
  /** minutes */
  decided: number;
}

export interface RuleBar {
  value: string;
  severity: string;
  clips: number;
}

export interface TagBar {
  value: string;
  clips: number;
}

/** Bars by column; those of findings and tags go by the names "rule" and "tag". */
export interface Facets {
  [column: string]: FacetBar[] | RuleBar[] | TagBar[];
  rule: RuleBar[];
  tag: TagBar[];
}

/** How far reviewers agree; {} in a blind review. */
export interface Agreement {
  clips?: number;
  agreed?: number;
  kappa?: number | null;
}

/** Rule that has not run → what it lacks. */
export type NotRun = { [rule: string]: string };

/** What the kernel says of a view as a whole (`Board._summary`). */
export interface Summary {
  total: number;
  minutes: number;
  /** minutes that hearing and deciding takes, in the order of doubt; else 0 */
  spent: number;
  pending: number;
  all: number;
  query: Query;
  facets: Facets;
  progress: Progress;
  disputed: number;
  agreement: Agreement;
  measures: Measure[];
  findings_known: boolean;
  not_run: NotRun;
}

/** The same before the kernel has said anything. */
export type Shown = Pick<Summary, "total" | "minutes" | "pending"> & Partial<Summary>;

export interface SavedView {
  name: string;
  query: Query;
}

/** What a page wants back when it is loaded anew. */
export interface Remembered {
  selected?: string | null;
  autoplay?: boolean;
  spectrogram?: boolean;
  facets?: string[];
}

export interface Opened extends Summary {
  name: string;
  memory_key: string;
  reviewer: string;
  blind: boolean;
  drafts: boolean;
  columns: string[];
  countable: string[];
  locales: string[];
  views: SavedView[];
  ui: Remembered;
  seq: number;
  place: number | null;
}

/** Somebody else's word on what was about to be decided. */
export interface Conflict {
  reviewer: string;
  field: string;
  value: string | null;
  reason: string | null;
  at: string;
  seq: number;
}

/** A decision as the browser asks for it; what goes with it hangs on the action. */
export interface Deciding {
  id?: string;
  /** the newest event on the clip that this reviewer has seen */
  seen?: number;
  /** decide even where somebody else has meanwhile */
  sure?: boolean;
  /** worked on the clip */
  seconds?: number;
  /** where the reviewer goes on from */
  place?: number;
  field?: string;
  value?: string | null;
  reason?: string | null;
  offset?: number;
  duration?: number;
}

export type Action = "accept" | "reject" | "reopen" | "edit" | "move" | "resolve" | "tag" | "untag";

export interface Changed {
  clips: string[];
  progress: Progress;
}

export interface Refused {
  conflict: Conflict;
  row: Details;
}

/** `next`: where the next undecided clip is, null at the end; both only where `place` was given. */
export interface Decided extends Changed {
  conflict?: undefined;
  row: Details;
  own: number[];
  next?: number | null;
  next_row?: Details | null;
}

export type Undone =
  | (Changed & { event: null; id?: undefined; place?: undefined; row?: undefined; own?: undefined })
  | (Changed & {
      event: { action: string; field: string | null; value: string | null; clips: number };
      id: string;
      place: number | null;
      row: Details | null;
      own: number[];
    });

export interface Bulk {
  action: "accept" | "reject" | "edit";
  expected: number;
  reason?: string;
  field?: string;
  value?: string;
}

export interface Neighbor {
  id: string;
  start_s: number;
  end_s: number;
  same_channel: boolean;
  status: Status;
  text: string;
}

/** A clip in its recording, in seconds of the recording; buffer 0: float32 peaks of what is shown. */
export interface Surroundings {
  id: string;
  length_s: number;
  offset_s: number;
  duration_s: number;
  start_s: number;
  end_s: number;
  neighbors: Neighbor[];
}

export type BoardQuestions = AudioQuestions & {
  open: { body: { remembered?: { query?: Partial<Query>; ui?: Remembered } }; answer: Opened };
  query: { body: { query: QueryChange; selected: string | null }; answer: Summary & { place: number | null } };
  facet: { body: { names: string[] }; answer: { facets: Facets; too_many: string[] } };
  views: { body: { keep?: string; remove?: string }; answer: { views: SavedView[] } };
  bars: { body: Nothing; answer: Pick<Summary, "facets" | "pending" | "disputed" | "agreement"> };
  rows: { body: { offset: number; limit: number }; answer: { rows: Row[] } };
  details: { body: { id: string }; answer: Details };
  surroundings: { body: { id: string }; answer: Surroundings | { id: string; length_s: null } };
  next: { body: { place: number; step: number; pending: boolean }; answer: { place: number | null } };
  remember: { body: Remembered; answer: Nothing };
  decide: { body: Deciding & { action: Action }; answer: Decided | Refused };
  undo: { body: { redo: boolean }; answer: Undone };
  bulk: { body: Bulk; answer: { clips: number; progress: Progress; own: number[] } };
  sync: {
    body: { after: number; own: number[] };
    answer: { clips: string[]; seq: number; reviewers?: string[]; progress?: Progress };
  };
  check: { body: Nothing; answer: Nothing };
};

/** The checks are through, or could not run. */
export interface Checked {
  error?: string;
  facets?: Facets;
  not_run?: NotRun;
  measures?: Measure[];
}

export type BoardEvents = {
  checks: Checked;
  checking: { done: number; total: number };
  decisions: { seq: number };
  rows: Nothing;
  view: { by: string | null };
};

// -- playback (playback.py, playback_lane.py) ----------------------------------------------------------------------

/** start, end, compute and emission in seconds of the media clock; code points of the final transcript that stay as
 *  they were; what is added to them; the partial transcript; the detected language. */
export type LaneEvent = [number, number, number, number, number, string, string, string | null];
/** word, start and end in the audio, moment on screen (all in seconds), confidence. */
export type LaneWord = [string, number | null, number | null, number | null, number | null];
/** Tag, words up to its end, moment on screen in seconds. */
export type LaneSpan = [string | null, number, number];

export interface LaneSettings {
  checkpoint: string;
  locale: string;
  lookahead_ms: number;
}

export interface ErrorCounts {
  substitute: number;
  delete: number;
  insert: number;
  style: number;
  reference: number;
}

/** What was recognized (`lane_data`); a lane has none before its first outcome. */
export interface Recognized {
  events: LaneEvent[];
  words: LaneWord[];
  final: string;
  /** words are cut by character (units.js) */
  unspaced: boolean;
  lang: string | null;
  spans: LaneSpan[];
  lang_at: number | null;
  alignment: Pair[];
  errors: ErrorCounts | null;
  /** each [kept, of the reference's] */
  style: { marks: [number, number]; capitals: [number, number] } | null;
  marks: Operation[];
  figures: {
    first_word_s: number | null;
    last_word_s: number | null;
    late_p50_s: number | null;
    late_p95_s: number | null;
    compute_s: number;
    load: number | null;
  };
}

export interface Lane extends Partial<Recognized> {
  settings: LaneSettings;
  state: "busy" | "ready" | "failed";
  message: string;
}

/** Locales ("auto" first) and look-aheads of a checkpoint. */
export interface CheckpointChoices {
  lookaheads_ms: number[];
  default_lookahead_ms: number;
  locales: string[];
  /** tag → name */
  names: { [tag: string]: string };
}

export interface LaneChoices {
  checkpoints: { [name: string]: CheckpointChoices };
}

export interface PlaybackClip {
  key: string;
  title: string;
  audio_s: number;
  total_s: number;
  reference: string;
}

/** What is done to a recording before it is recognized (`recognizer.conditions.Condition`). */
export interface Condition {
  snr_db: number | null;
  telephone: boolean;
  gain_db: number;
  rt60_s: number;
}

/** Where two lanes differ: an operation a word of each, and how many; {} with one lane. */
export interface Differences {
  left?: Operation[];
  right?: Operation[];
  words?: number;
  style?: number;
}

export interface PlaybackTraits {
  clip: PlaybackClip;
  choices: LaneChoices;
  condition: Condition;
  lanes: Lane[];
  differences: Differences;
  start_s: number;
}

export type PlaybackQuestions = AudioQuestions & {
  lane: { body: Partial<LaneSettings> & { index: number }; answer: Nothing };
  single: { body: Nothing; answer: Nothing };
  condition: { body: Partial<Condition>; answer: Nothing };
};

// -- error explorer (explorer.py, explorer_data.py, explorer_cell.py, explorer_comparison.py) -----------------------

/** A value of a column: null where rows state none, "∑" for all of them. */
export type SliceValue = string | null;

export interface Choice {
  name: string;
  against: string;
  metric: string;
  normalizer: string;
  row: string;
  column: string;
}

export interface HeatCell {
  rate: number | null;
  low: number | null;
  high: number | null;
  difference: number | null;
  p_holm: number | null;
  rate_a: number | null;
  rate_b: number | null;
  utterances: number | null;
  speakers: number | null;
  reference_words: number | null;
  reference_units: number | null;
  errors: number | null;
  better: number | null;
  worse: number | null;
  enough: "yes" | "provisional" | "no";
  interval_kind: string;
  row: SliceValue;
  column: SliceValue;
  /** "heat" where nothing is compared */
  way: "good" | "bad" | "gray" | "heat";
  /** as a screen reader says it */
  sentence: string;
  confounded: string[];
}

export interface HeatMapData {
  choice: Choice;
  rows: SliceValue[];
  columns: SliceValue[];
  names: { [tag: string]: string };
  /** "row\ncolumn" → cell */
  cells: { [place: string]: HeatCell };
  findings: string[];
  choices: {
    /** prediction, and what it is called */
    names: [string, string][];
    metrics: [string, string][];
    normalizers: string[];
    spans: string[];
    lookaheads: string[];
  };
  /** in ms, or "offline" */
  lookahead: string;
  /** of intervals, 0 to 1 */
  confidence: number;
}

export type ErrorFilter =
  | { kind: "confusion"; reference: string; hypothesis: string }
  | { kind: "word"; word: string }
  | { kind: "said"; words: string[] }
  | { kind: "position"; part: number; bins: number }
  | { kind: "duration"; band: string }
  | { kind: "snr"; band: string }
  | { kind: "frequency"; at_least: number; occurs: string }
  | { kind: "language"; said: string; heard: string }
  | { kind: "mark"; mark: string }
  | { kind: "case" }
  | { kind: "changed"; verdict: Verdict };
export type Verdict = "better" | "worse";
/** {}: all utterances of the cell. */
export type CellFilter = ErrorFilter | { kind?: undefined };

export interface CellPlace {
  row: SliceValue;
  column: SliceValue;
}

/** The cell that is open; {} where none is. */
export type OpenedCell =
  | (CellPlace & { filter: CellFilter })
  | { row?: undefined; column?: undefined; filter?: undefined };

/** operation, reference, hypothesis, start and end in seconds; a lost word takes its gap's time. */
export type AlignedWord = [Operation, string, string, number | null, number | null];

export interface Utterance {
  id: string;
  text: string;
  hypothesis: string;
  errors: number;
  units: number;
  rate: number | null;
  metric: string;
  words: AlignedWord[];
  languages: LanguageRun[];
  duration?: number | null;
  speaker?: string | null;
  accent?: string | null;
  target_lang?: string | null;
  domain?: string | null;
  snr_db?: number | null;
  /** where a base is compared with */
  against?: AlignedWord[];
}

export interface CellPage {
  total: number;
  order: string;
  orders: string[];
  offset: number;
  utterances: Utterance[];
}

// Rows of the evaluation's tables: what the page reads of them; they hold further columns.

export interface Confusion {
  reference: string;
  hypothesis: string;
  count: number;
  spelling_only: boolean;
}

export interface LostWord {
  word: string;
  occurrences: number;
  hits: number;
  lost: number;
}

export interface HeardAs {
  said: string;
  heard: string;
  count: number;
}

export interface PositionRow {
  from: number;
  to: number;
  reference_words: number;
  rate: number | null;
}

export interface BandRow {
  duration_band?: string | null;
  snr_band?: string | null;
  rate: number | null;
  utterances: number;
}

export interface FrequencyRow {
  occurs: string;
  at_least: number;
  words: number;
  occurrences: number;
  accuracy: number | null;
}

export interface MarkRow {
  mark: string;
  reference: number;
  hypothesis: number;
  correct: number;
  f1: number | null;
}

export interface ScatterPoint {
  before: number;
  now: number;
  words: string[];
  count: number;
  occurrences: number;
}

export interface ScatterData {
  points: ScatterPoint[];
  better: number;
  worse: number;
  same: number;
  rare: number;
}

export interface SidePanel {
  confusions: Confusion[];
  lost: LostWord[];
  position: PositionRow[];
  frequency: FrequencyRow[];
  heard_as: HeardAs[];
  duration?: BandRow[];
  snr?: BandRow[];
  scatter?: ScatterData;
  changes?: { [verdict in Verdict]: number };
}

export interface Marks {
  marks: MarkRow[];
  case: { rate: number | null }[];
}

export interface ExplorerTraits {
  map: HeatMapData;
  opened: OpenedCell;
  can: { listen: boolean; stream: boolean; memory_key: string };
  /** a reference to the playback that is open */
  playback: string | null;
}

export interface KeywordAnswer {
  added: string[];
  keywords: number;
  file: string;
}

/** width and height: of the drawing, in pixels. */
export interface ExportAnswer {
  text: string;
  width?: number;
  height?: number;
}

export type ExplorerQuestions = AudioQuestions & {
  choose: { body: Partial<Choice> & { lookahead?: string }; answer: Nothing };
  cell: { body: CellPlace & { filter: CellFilter; order: string; offset?: number }; answer: CellPage };
  side_panel: { body: CellPlace; answer: SidePanel };
  marks: { body: CellPlace; answer: Marks };
  stream: { body: { id: string; at_s: number }; answer: Nothing };
  unstream: { body: Nothing; answer: Nothing };
  send: { body: { ids: string[]; reason: string }; answer: { tag: string; sent: number } };
  plan: {
    body: { locale: SliceValue; accent: SliceValue; minutes: number };
    answer: { planned: number; minutes: number };
  };
  keyword: { body: Partial<CellPlace> & { words: string[]; id: string | null }; answer: KeywordAnswer };
  export: { body: Partial<CellPlace> & { format: "svg" | "csv" | "sql" }; answer: ExportAnswer };
};

// -- monitor (monitor.py, monitor_data.py) -------------------------------------------------------------------------

export type RunStatus =
  | "queued"
  | "preparing"
  | "running"
  | "validating"
  | "finishing"
  | "finished"
  | "cancelled"
  | "failed"
  | "interrupted";
export type Metric = "wer" | "cer" | "tags_right";

/** What a run's folder says of it; each but the status is null until it is known. */
export interface RunState {
  status: RunStatus;
  step: number | null;
  steps: number | null;
  message: string | null;
  hint: string | null;
  time_left_s: number | null;
  peak_memory_mb: number | null;
  consumed_hours: { [tag: string]: number } | null;
  planned_hours: { [tag: string]: number } | null;
  effective_peak: number | null;
  base_score: number | null;
  best: { step: number; score: number | null } | null;
  attempts: number | null;
  left_out: number | null;
  notices: string[] | null;
}

export type Curve = "loss" | "learning_rate" | "gradient_norm" | "audio_s_per_s" | "memory_mb";
/** A value a step; {} before the first. */
export type Curves = { step?: number[] } & { [Name in Curve]?: (number | null)[] };

/** A locale under one prompt mode and way: a value of each metric a step. */
export type ValidationSeries = {
  locale: string;
  prompt_mode: string;
  streaming: boolean;
  lookahead_ms: number | null;
  step: number[];
  utterances: number | null;
} & { [Name in Metric]?: (number | null)[] };

export interface SampleHeard {
  step: number;
  pairs: Pair[];
  errors: number;
  words: number;
  lang: string | null;
}

export interface Sample {
  locale: string;
  id: string;
  prompt_mode: string;
  reference: string;
  history: SampleHeard[];
}

export interface RunShown {
  name: string;
  alive: boolean;
  cancelling: boolean;
  state: RunState;
  train: Curves;
  validation: ValidationSeries[];
  /** to look at first */
  metric: Metric;
  samples: Sample[];
}

export interface MonitorTraits {
  /** null: not looked into yet */
  runs: (RunShown | null)[];
  logs: { [run: string]: string };
}

export type RunAction = "cancel" | "resume";
export type MonitorQuestions = { [Action in RunAction]: { body: { run: number }; answer: Nothing } };

// -- import plan (import_plan.py, ingest/plan.py) ------------------------------------------------------------------

export interface PlanColumn {
  name: string;
  /** a field, or "" where it rides along */
  feeds: string;
  filled: number;
  samples: string[];
}

export interface PlanLocale {
  value: string;
  rows: number;
  tag: string | null;
  candidates: string[];
}

export interface PlanExample {
  audio_filepath?: string | null;
  duration?: number | null;
  target_lang?: string | null;
  speaker?: string | null;
  text?: string | null;
}

/** `ImportPlan.to_dict`, without what the page has no use for. */
export interface ImportPlan {
  layout: string;
  source: string;
  rows: number;
  usable: number;
  hours: number;
  left_out: { [reason: string]: number };
  columns: PlanColumn[];
  locales: PlanLocale[];
  speakers: number;
  without_speaker: number;
  splits: { [split: string]: number };
  missing: string[];
  notes: string[];
  examples: PlanExample[];
}

export type PlanStep = "plan" | "importing" | "imported" | "cancelled" | "failed";

export interface PlanState {
  name: string;
  plan: ImportPlan;
  questions: string[];
  fields: string[];
  tags: string[];
  step: PlanStep;
  done: number;
  total: number;
  message: string;
  cancelling: boolean;
}

export interface PlanTraits {
  state: PlanState;
}

export interface PlanChange {
  feeds?: { [column: string]: string };
  tags?: { [written: string]: string };
  locale?: string;
  audio_root?: string;
}

export type PlanQuestions = AudioQuestions & {
  change: { body: PlanChange; answer: Nothing };
  import: { body: { name: string }; answer: Nothing };
  cancel: { body: Nothing; answer: Nothing };
};

// -- lineage (lineage.py, release/lineage_drawing.py) --------------------------------------------------------------

export interface LineageNode {
  id: string;
  kind: string;
  label: string;
  /** the label as it fits its box */
  short: string;
  x: number;
  y: number;
  facts: [string, string][];
  /** ids of all that it came from, and of all that came of it */
  before: string[];
  after: string[];
}

export interface LineageEdge {
  start: string;
  to: string;
  path: string;
}

export interface LineageDrawing {
  nodes: LineageNode[];
  edges: LineageEdge[];
  heads: { kind: string; x: number; y: number }[];
  width: number;
  height: number;
  boxWidth: number;
  boxHeight: number;
}

export interface LineageTraits {
  drawing: LineageDrawing;
  chosen: string;
}

// -- microphone (microphone.py) ------------------------------------------------------------------------------------

export interface MicrophoneChoices {
  locales: string[];
  names: { [tag: string]: string };
  lookaheads_ms: number[];
  locale: string;
  lookahead_ms: number;
  can_save: boolean;
  corpus: string;
  purposes: string[];
  longest_s: number;
}

export interface Take {
  id: string;
  text: string;
  locale: string;
  speaker: string;
  purpose: string;
}

export interface MicrophoneTraits {
  choices: MicrophoneChoices;
  saved: Take[];
}

/** What is on screen after a block; {} where no session is open. */
export interface Heard {
  final?: string;
  partial?: string;
  lang?: string | null;
  chunks?: number;
  compute_s?: number;
}

export type MicrophoneQuestions = {
  start: { body: { locale: string; lookahead_ms: number }; answer: Nothing };
  pcm: { body: { sample_rate: number; number: number }; answer: Heard };
  stop: { body: Nothing; answer: Heard };
  save: {
    body: { consent: boolean; text?: string; locale?: string; speaker?: string; purpose?: string };
    answer: { id: string; corpus: string; folder: string };
  };
  discard: { body: Nothing; answer: Nothing };
  withdraw: { body: { id: string }; answer: Nothing };
};
