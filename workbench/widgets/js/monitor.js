// The monitor of fine-tuning runs. Kernel side: monitor.py; all it shows is in two traits, so a reload loses nothing.
/**
 * @import { Channel } from "./channel.js"
 * @import { IconName } from "./dom.js"
 * @import { Metric, Model, MonitorQuestions, MonitorTraits, Pair, Rendered } from "./messages.d.ts"
 * @import { Curve, RunAction, RunShown, RunState, RunStatus, ValidationSeries } from "./messages.d.ts"
 */
import { openChannel } from "./channel.js";
import { createChart } from "./chart.js";
import { clock, fill, h, icon, messageOf, set } from "./dom.js";
import { common, named, playback, monitor as words } from "./strings.js";
import { createWaiting } from "./waiting.js";

/** @type {RunStatus[]} */
const GOING = ["queued", "preparing", "running", "validating", "finishing"];
const METRICS = /** @type {const} */ (["wer", "cer", "tags_right"]);
const percent = (/** @type {number} */ v) => `${(100 * v).toFixed(1)} %`;

/** @typedef {(question: RunAction) => void} Act */
/** @typedef {ReturnType<typeof cardParts>} Parts */

/** @param {Rendered<MonitorTraits>} how */
function render({ model, el }) {
  const view = new View(model, el);
  return () => view.destroy();
}

class View {
  /**
   * @param {Model<MonitorTraits>} model
   * @param {HTMLElement} el
   */
  constructor(model, el) {
    this.model = model;
    /** @type {Channel<MonitorQuestions>} */
    this.channel = openChannel(model);
    this.mode = "langID offline";
    /** @type {Metric | null} what the user chose; until then the metric that moves */
    this.chosen = null;
    /** @type {Metric} */
    this.metric = "wer";
    /** @type {ReturnType<typeof runCard>[]} */
    this.cards = [];
    this.samplesKey = "";
    this.ui = this.elements();
    el.append(this.root());
    this.charts = this.makeCharts();
    this.listeners = { "change:runs": () => this.show(), "change:logs": () => this.showLog() };
    for (const [name, fn] of Object.entries(this.listeners)) model.on(name, fn);
    this.stopLost = this.channel.onLost((lost) => this.showLost(lost));
    this.show();
    this.showLog();
  }

  elements() {
    /** @type {(testid: string, label: string, take: (value: string) => void) => HTMLSelectElement} */
    const select = (testid, label, take) =>
      h("select", {
        ...{ class: "nwb-input", "aria-label": label, title: label, dataset: { testid } },
        onchange: (event) => {
          take(event.currentTarget.value);
          this.show();
        },
      });
    const metric = select("metric", words.metric, (value) => {
      this.chosen = METRICS.find((name) => name === value) ?? null;
    });
    const mode = select("mode", words.mode, (value) => {
      this.mode = value;
    });
    fill(metric, ...METRICS.map((name) => h("option", { value: name }, words.metrics[name])));
    const strip = h("div", {
      ...{ class: "nwb-strip", role: "list", "aria-label": words.strip },
      dataset: { testid: "strip" },
    });
    const samples = h("div", { class: "nwb-samples" });
    return {
      note: h("div", { "aria-live": "polite" }),
      cards: h("div", { class: "nwb-run-cards" }),
      charts: h("div", { class: "nwb-charts" }),
      metric,
      mode,
      why: h("p", { class: "nwb-muted nwb-why" }),
      strip,
      samples,
      log: h("pre", { class: "nwb-log", tabindex: 0, dataset: { testid: "log" } }),
      validationHead: h("div", { class: "nwb-validation-head" }, h("h4", {}, words.validation), metric, mode),
      validationPlace: h("div"),
      stripBox: h(
        "div",
        { class: "nwb-strip-box" },
        h("h4", {}, words.strip, h("span", { class: "nwb-muted" }, ` ${words.stripNote}`)),
        strip,
      ),
      samplesBox: h("details", { class: "nwb-fold", open: true }, h("summary", {}, words.samples), samples),
    };
  }

  root() {
    return h(
      "div",
      { class: "nwb nwb-monitor", role: "region", "aria-label": words.region, dataset: { testid: "monitor" } },
      this.ui.cards,
      createWaiting(this.channel),
      this.ui.note,
      h(
        "div",
        { class: "nwb-charts" },
        h("div", {}, this.ui.validationHead, this.ui.why, this.ui.validationPlace),
        this.ui.charts,
      ),
      this.ui.stripBox,
      this.ui.samplesBox,
      h("details", { class: "nwb-fold" }, h("summary", {}, words.log), this.ui.log),
    );
  }

  makeCharts() {
    return {
      validation: createChart(this.ui.validationPlace, { title: "", format: percent, labels: true }),
      loss: createChart(this.ui.charts, { title: words.loss, note: words.lossNote, zero: false }),
      audio_s_per_s: createChart(this.ui.charts, {
        title: words.throughput,
        note: words.throughputNote,
        format: (v) => v.toFixed(v < 10 ? 1 : 0),
      }),
      learning_rate: createChart(this.ui.charts, { title: words.rate, format: (v) => (v ? v.toExponential(1) : "0") }),
    };
  }

  show() {
    const runs = this.model.get("runs").filter((run) => run !== null);
    while (this.cards.length < runs.length) {
      const index = this.cards.length;
      this.cards.push(runCard(index, (question) => this.act(question, index)));
      this.ui.cards.append(this.cards[index].element);
    }
    for (const [index, run] of runs.entries()) this.cards[index].show(run, this.channel.lost);
    this.showCurves(runs);
    this.showValidation(runs);
    this.showSamples(runs[0]);
  }

  /** @param {RunShown[]} runs */
  showCurves(runs) {
    for (const name of /** @type {const} */ (["loss", "audio_s_per_s", "learning_rate"])) {
      const lines = runs.flatMap((run, index) => {
        const [x, y] = [run.train.step, run.train[name]];
        if (!x || !y) return [];
        const line = {
          name: run.name,
          x,
          y,
          color: index % 6,
          dash: Math.floor(index / 6),
        };
        const smooth = name !== "learning_rate" && line.x.length > 12;
        return smooth
          ? [
              { ...line, faint: true },
              { ...line, y: smoothed(line.y) },
            ]
          : [line];
      });
      this.charts[name].show(lines);
    }
  }

  /** @param {RunShown[]} runs */
  showValidation(runs) {
    const label = (/** @type {ValidationSeries} */ s) =>
      `${s.prompt_mode} ${s.streaming ? `streaming ${s.lookahead_ms} ms` : "offline"}`;
    const modes = [...new Set(runs.flatMap((run) => run.validation.map(label)))];
    if (modes.length && !modes.includes(this.mode)) this.mode = modes[0];
    fill(this.ui.mode, ...modes.map((mode) => h("option", { value: mode }, mode)));
    this.ui.mode.value = this.mode;
    this.metric = this.chosen ?? runs[0]?.metric ?? "wer";
    this.ui.metric.value = this.metric;
    const saturated = !this.chosen && this.metric === "cer";
    set(this.ui.why, { hidden: !saturated || !modes.length });
    this.ui.why.textContent = saturated ? words.whyCharacters : "";
    this.showStrip(runs, label);
    const locales = [...new Set(runs.flatMap((run) => run.validation.map((s) => s.locale)))].sort();
    const lines = runs.flatMap((run, index) =>
      run.validation.flatMap((s) => {
        const y = s[this.metric];
        if (label(s) !== this.mode || !y) return [];
        const place = locales.indexOf(s.locale);
        return {
          name: runs.length > 1 ? `${s.locale} · ${run.name}` : s.locale,
          x: s.step,
          y,
          color: place % 6,
          dash: (index + Math.floor(place / 6)) % 4,
        };
      }),
    );
    this.ui.validationHead.hidden = !modes.length;
    this.charts.validation.show(lines);
  }

  /**
   * What each locale gained or lost since step 0, the largest loss first: replayed ones should stay.
   * @param {RunShown[]} runs
   * @param {(series: ValidationSeries) => string} label
   */
  showStrip(runs, label) {
    const sign = this.metric === "tags_right" ? -1 : 1;
    const found = runs.flatMap((run) =>
      run.validation.flatMap((s) => {
        const [before, now] = [s[this.metric]?.[0], s[this.metric]?.at(-1)];
        if (label(s) !== this.mode || s.step[0] !== 0 || s.step.length < 2) return [];
        return typeof before === "number" && typeof now === "number" ? [{ s, run, before, now }] : [];
      }),
    );
    found.sort((a, b) => sign * (b.now - b.before - (a.now - a.before)));
    set(this.ui.stripBox, { hidden: !found.length });
    fill(
      this.ui.strip,
      ...found.map(({ s, run, before, now }) =>
        h(
          "span",
          {
            role: "listitem",
            class: "nwb-strip-cell",
            title: words.stripTitle(percent(before), percent(now), s.step[s.step.length - 1], s.utterances),
          },
          h("bdi", {}, s.locale),
          runs.length > 1 ? h("span", { class: "nwb-muted" }, run.name) : null,
          h("b", { class: "nwb-num" }, words.points(100 * (now - before))),
          h("span", { class: "nwb-muted" }, words.direction(sign * (now - before))),
        ),
      ),
    );
  }

  /** @param {RunShown | undefined} run */
  showSamples(run) {
    const samples = run?.samples ?? [];
    this.ui.samplesBox.hidden = !samples.length;
    const open = this.ui.samples.querySelectorAll("[data-heard]").length;
    const key = JSON.stringify(samples.map((s) => s.history.at(-1)?.step));
    if (open && key === this.samplesKey) return;
    this.samplesKey = key;
    fill(
      this.ui.samples,
      ...samples
        .filter((s) => s.prompt_mode === samples[0].prompt_mode)
        .map((sample) =>
          h(
            "div",
            { class: "nwb-sample" },
            h(
              "div",
              { class: "nwb-sample-head" },
              h("span", { class: "nwb-tag" }, sample.locale),
              h("span", { class: "nwb-muted" }, h("bdi", {}, sample.id)),
            ),
            h(
              "div",
              { class: "nwb-sample-line nwb-sample-reference", dataset: { testid: "reference" } },
              h("span", { class: "nwb-muted nwb-sample-step" }, words.reference),
              h("p", { dir: "auto" }, sample.reference || words.nothing),
            ),
            ...sample.history.map((heard) =>
              h(
                "div",
                { class: "nwb-sample-line", dataset: { heard: heard.step } },
                h("span", { class: "nwb-muted nwb-num nwb-sample-step" }, words.atStep(heard.step)),
                h("p", { dir: "auto" }, ...heardWords(heard.pairs)),
                h("span", { class: `nwb-tag ${heard.errors ? "" : "nwb-good"}` }, `${heard.errors} / ${heard.words}`),
              ),
            ),
          ),
        ),
    );
  }

  showLog() {
    const logs = this.model.get("logs");
    const bottom = this.ui.log.scrollHeight - this.ui.log.scrollTop - this.ui.log.clientHeight < 30;
    this.ui.log.textContent =
      Object.entries(logs)
        .map(([name, text]) => (Object.keys(logs).length > 1 ? `── ${name} ──\n${text}` : text))
        .join("\n\n") || words.noLog;
    if (bottom) this.ui.log.scrollTop = this.ui.log.scrollHeight;
  }

  /** @param {RunAction} question @param {number} run */
  async act(question, run) {
    try {
      await this.channel.ask(question, { run });
      fill(this.ui.note);
    } catch (error) {
      fill(
        this.ui.note,
        h("div", { class: "nwb-note nwb-bad", role: "alert" }, icon("warn"), h("span", {}, messageOf(error))),
      );
    }
  }

  /** @param {boolean} lost */
  showLost(lost) {
    if (!lost) return;
    this.show();
    fill(
      this.ui.note,
      h(
        "div",
        { class: "nwb-note nwb-warn", role: "status" },
        icon("warn"),
        h("span", {}, `${common.kernelLost} ${words.lostHint}`),
      ),
    );
  }

  destroy() {
    for (const [name, fn] of Object.entries(this.listeners)) this.model.off(name, fn);
    this.stopLost();
    this.channel.close();
    for (const chart of Object.values(this.charts)) chart.destroy();
  }
}

/** @type {{ [status in RunStatus]?: string }} */
const TONES = { finished: "nwb-good", failed: "nwb-bad", interrupted: "nwb-bad", cancelled: "nwb-warn" };

/**
 * Where one run stands: status, progress, time left, memory, hours per locale, what to do.
 * @param {number} index
 * @param {Act} act
 */
function runCard(index, act) {
  const parts = cardParts(index, act);
  const { key, name, status, cancel, resume, bar, trouble } = parts;
  const spring = h("span", { class: "nwb-spring" });
  const element = h(
    "section",
    { class: "nwb-run", dataset: { testid: "run" } },
    h("header", { class: "nwb-head" }, key, name, status, spring, cancel, resume),
    bar,
    parts.facts,
    trouble,
    parts.hours,
  );
  return {
    element,
    show: (/** @type {RunShown} */ run, /** @type {boolean} */ lost) => showCard(element, parts, run, lost),
  };
}

/** @param {number} index @param {Act} act */
function cardParts(index, act) {
  /** @type {(name: IconName, text: string, question: RunAction) => HTMLElement} */
  const button = (name, text, question) =>
    h(
      "button",
      { type: "button", class: "nwb-btn", onclick: () => act(question), dataset: { testid: question } },
      icon(name),
      text,
    );
  return {
    key: h("i", { class: `nwb-key nwb-color-${index % 6}`, "aria-hidden": "true" }),
    name: h("b", { dir: "auto" }),
    status: h("span", { class: "nwb-tag", dataset: { testid: "status" } }),
    cancel: button("stop", words.cancel, "cancel"),
    resume: button("play", words.resume, "resume"),
    fill: h("div", { class: "nwb-progress-fill" }),
    bar: h("div", { class: "nwb-progress", role: "progressbar", "aria-valuemin": 0 }),
    facts: h("div", { class: "nwb-facts" }),
    trouble: h("div"),
    hours: h("div", { class: "nwb-hours" }),
  };
}

/**
 * @param {HTMLElement} element
 * @param {Parts} parts
 * @param {RunShown} run
 * @param {boolean} lost
 */
function showCard(element, parts, run, lost) {
  const { state } = run;
  const [step, steps] = [state.step ?? 0, state.steps ?? 0];
  const going = GOING.includes(state.status);
  parts.name.textContent = run.name;
  parts.status.className = `nwb-tag ${TONES[state.status] ?? "nwb-accent"}`;
  parts.status.textContent = run.cancelling ? words.cancelling : named(words.status, state.status);
  element.dataset.status = state.status;
  set(parts.cancel, { hidden: !going, disabled: lost || run.cancelling });
  set(parts.resume, { hidden: going || state.status === "finished", disabled: lost });
  const said = words.progress(step, state.steps);
  set(parts.bar, { "aria-valuemax": steps, "aria-valuenow": step, "aria-label": said });
  parts.fill.style.width = `${(100 * step) / (steps || 1)}%`;
  if (!parts.fill.parentElement) parts.bar.append(parts.fill);
  fill(parts.facts, ...facts(run, going));
  /** @type {(tone: string, text: string, testid?: string) => HTMLElement} */
  const note = (tone, text, testid) =>
    h("div", { class: `nwb-note ${tone}`, dataset: testid ? { testid } : {} }, icon("warn"), h("span", {}, text));
  const notices = (state.notices ?? []).map((text) => note("nwb-warn", text, "notice"));
  const ended = state.message && !going ? [state.message, state.hint].filter(Boolean).join(". ") : "";
  fill(parts.trouble, ...notices, ended ? note("nwb-bad", ended) : null);
  fill(parts.hours, ...hours(state));
}

/** @param {RunShown} run @param {boolean} going */
function facts(run, going) {
  const { state, train } = run;
  const last = (/** @type {Curve} */ name) => train[name]?.at(-1);
  const item = (/** @type {string} */ name, /** @type {string | number} */ value, title = "") =>
    h("span", { title }, h("span", { class: "nwb-muted" }, `${name} `), h("b", { class: "nwb-num" }, value));
  const [speed, loss] = [last("audio_s_per_s"), last("loss")];
  return [
    item(words.step, `${(state.step ?? 0).toLocaleString()} / ${(state.steps ?? 0).toLocaleString()}`),
    going && state.time_left_s ? item(words.left, clock(state.time_left_s, 0)) : null,
    typeof loss === "number" ? item(words.lossFact, loss.toFixed(3)) : null,
    speed ? item(words.speed, words.perSecond(speed)) : null,
    state.peak_memory_mb ? item(words.memory, `${(state.peak_memory_mb / 1000).toFixed(1)} GB`) : null,
    state.effective_peak ? item(words.peak, Number(state.effective_peak).toExponential(1), words.peakTitle) : null,
    state.best
      ? item(words.best, words.atStep(state.best.step), words.bestTitle(state.best.score, state.base_score))
      : null,
    state.left_out ? item(words.leftOut, state.left_out) : null,
  ].filter(Boolean);
}

/** Hours consumed of the hours planned, per locale: what the model really heard. @param {RunState} state */
function hours({ consumed_hours: consumed, planned_hours: planned }) {
  const tags = Object.keys(planned ?? consumed ?? {});
  if (!tags.length) return [];
  const h_ = (/** @type {number} */ value) => (value >= 1 ? `${value.toFixed(1)} h` : `${(60 * value).toFixed(1)} min`);
  return [
    h("span", { class: "nwb-muted nwb-hours-title" }, words.hours),
    ...tags.map((tag) => {
      const [done, all] = [consumed?.[tag] ?? 0, planned?.[tag] ?? consumed?.[tag] ?? 0];
      return h(
        "span",
        { class: "nwb-hour", title: words.hoursTitle(tag, h_(done), h_(all)) },
        h("span", { class: "nwb-hour-fill", style: { width: `${all ? (100 * done) / all : 0}%` } }),
        h("bdi", {}, tag),
        h("b", { class: "nwb-num" }, h_(done)),
      );
    }),
  ];
}

/** @param {Pair[]} pairs */
function heardWords(pairs) {
  /** @type {HTMLElement[]} */
  const out = [];
  for (const [operation, reference, hypothesis] of pairs) {
    const title = operation === "equal" ? null : playback.pair(operation, reference, hypothesis);
    if (operation === "delete") out.push(h("del", { title }, reference));
    else out.push(h("bdi", { class: `nwb-heard-${operation}`, title }, hypothesis));
  }
  return out.length
    ? out.flatMap((node, index) => (index ? [" ", node] : [node]))
    : [h("span", { class: "nwb-muted" }, words.nothing)];
}

/**
 * Exponential moving average with a span of a twentieth of the run; it begins with the first value there is.
 * @param {(number | null)[]} values
 */
export function smoothed(values) {
  const weight = 2 / (Math.max(6, values.length / 20) + 1);
  /** @type {number | null} */
  let at = null;
  return values.map((value) => {
    if (value !== null) at = at === null ? value : at + weight * (value - at);
    return at;
  });
}

export default { render };
