// Speak and watch the transcript come. Kernel side: microphone.py. Latency is measured here, from capture to paint.
/**
 * @import { Block, Capture, Trouble } from "./capture.js"
 * @import { Channel } from "./channel.js"
 * @import { Heard, MicrophoneQuestions, MicrophoneTraits, Model, Rendered, Take } from "./messages.d.ts"
 */
import { openCapture, troubleOf, unavailable } from "./capture.js";
import { openChannel } from "./channel.js";
import { clock, fill, h, icon, messageOf, set } from "./dom.js";
import { common, named, microphone as words } from "./strings.js";
import { createWaiting } from "./waiting.js";

const MOST_IN_FLIGHT = 4;
const MOST_TOGETHER = 250; // blocks in a message: 20 s, 2 MB at most

/** @typedef {Pick<Block, "samples" | "rate"> & { captured_ms: number | null }} Waiting a block that has not gone out */
/** @typedef {"idle" | "preparing" | "recording" | "finishing"} State */
/** @typedef {{ select: HTMLSelectElement, label: HTMLElement }} Field */

/** @param {Rendered<MicrophoneTraits>} how */
function render({ model, el }) {
  const view = new View(model, el);
  return () => view.destroy();
}

class View {
  /**
   * @param {Model<MicrophoneTraits>} model
   * @param {HTMLElement} el
   */
  constructor(model, el) {
    this.model = model;
    /** @type {Channel<MicrophoneQuestions>} */
    this.channel = openChannel(model);
    /** @type {State} */
    this.state = "idle";
    /** @type {Capture | null} */
    this.capture = null;
    /** @type {Waiting[]} */
    this.waiting = [];
    this.inFlight = 0;
    this.blocks = 0;
    this.turn = 0; // of recording; an earlier one that is answered late changes nothing
    /** @type {number[]} */
    this.latencies = [];
    this.sent_s = 0;
    this.hiddenAt = 0;
    this.silent = false; // nothing but zeros has come
    this.shown = ""; // final and partial text on screen, with | between them
    /** @type {Promise<void> | undefined} of the newest blocks that went out */
    this.last = undefined;
    this.ui = this.elements();
    this.root = this.build();
    el.append(this.root);
    this.show({ final: "", partial: "" });
    this.stopLost = this.channel.onLost(
      (lost) => lost && this.stopped(`${common.kernelLost} ${common.kernelLostHint}`),
    );
    this.onHidden = () => {
      if (!document.hidden) return;
      this.hiddenAt = performance.now();
      if (this.state === "recording") this.say(words.trouble.hidden, "warn");
    };
    document.addEventListener("visibilitychange", this.onHidden);
    this.onSaved = () => this.showTakes();
    this.model.on("change:saved", this.onSaved);
    this.showTakes();
    const why = unavailable();
    if (why) {
      this.say(words.trouble[why], "warn");
      this.ui.record.disabled = true;
    }
    this.refresh();
  }

  elements() {
    const bar = h("div", { class: "nwb-level-fill" });
    return {
      ...this.fields(),
      fill: bar,
      record: h("button", {
        type: "button",
        class: "nwb-record",
        onclick: () => this.toggle(),
        dataset: { testid: "record" },
      }),
      time: h("span", { class: "nwb-num nwb-take-time" }, clock(0)),
      level: h(
        "div",
        { class: "nwb-level", role: "meter", "aria-label": words.level, "aria-valuemin": 0, "aria-valuemax": 1 },
        bar,
      ),
      note: h("div", { "aria-live": "assertive" }),
      text: h("p", {
        class: "nwb-transcript",
        dir: "auto",
        "aria-live": "polite",
        dataset: { testid: "mic-transcript" },
      }),
      tag: h("span", { class: "nwb-tag", dataset: { testid: "mic-language" } }),
      figures: h("div", { class: "nwb-figures", dataset: { testid: "latency" } }),
      takes: h("section", { class: "nwb-takes", hidden: true, dataset: { testid: "mic-takes" } }),
      save: h("form", { class: "nwb-save", hidden: true, onsubmit: (event) => this.save(event) }),
    };
  }

  build() {
    return h(
      "div",
      {
        class: "nwb nwb-microphone",
        role: "region",
        "aria-label": words.region,
        "data-lm-suppress-shortcuts": "true",
        dataset: { testid: "microphone" },
      },
      h(
        "header",
        { class: "nwb-head nwb-mic-head" },
        this.ui.record,
        this.ui.time,
        this.ui.level,
        h("span", { class: "nwb-spring" }),
        this.ui.tag,
        this.ui.locale.label,
        this.ui.lookahead.label,
      ),
      createWaiting(this.channel),
      this.ui.note,
      this.ui.text,
      this.ui.figures,
      this.ui.save,
      this.ui.takes,
    );
  }

  fields() {
    const choices = this.model.get("choices");
    /** @type {(text: string, testid: string, items: [string | number, string][], chosen: string | number) => Field} */
    const field = (text, testid, items, chosen) => {
      const options = items.map(([value, label]) => h("option", { value }, label));
      const select = h("select", { class: "nwb-input", dataset: { testid } }, ...options);
      select.value = String(chosen);
      return { select, label: h("label", { class: "nwb-field" }, h("span", {}, text), select) };
    };
    const name = (/** @type {string} */ tag) => (tag === "auto" ? words.auto : `${tag} · ${choices.names[tag] ?? ""}`);
    /** @type {[string, string][]} */
    const locales = choices.locales.map((tag) => [tag, name(tag)]);
    /** @type {[number, string][]} */
    const lookaheads = choices.lookaheads_ms.map((ms) => [ms, words.ms(ms)]);
    return {
      locale: field(words.locale, "mic-locale", locales, choices.locale),
      lookahead: field(words.lookahead, "mic-lookahead", lookaheads, choices.lookahead_ms),
    };
  }

  get settings() {
    const { locale, lookahead } = this.ui;
    return { locale: locale.select.value, lookahead_ms: Number(lookahead.select.value) };
  }

  toggle() {
    if (this.state === "recording") this.stop();
    else if (this.state === "idle") this.start();
    else if (this.state === "preparing") this.cancel();
  }

  /** While the model still loads: what was said so far is forgotten, and the microphone is let go. */
  cancel() {
    this.turn += 1;
    this.capture?.close();
    this.capture = null;
    this.waiting = [];
    this.state = "idle";
    this.say(words.cancelled, "good");
    this.show({});
    this.refresh();
  }

  async start() {
    Object.assign(this, { state: "preparing", waiting: [], inFlight: 0, latencies: [], sent_s: 0, blocks: 0 });
    this.turn += 1;
    const { turn } = this;
    this.ui.save.hidden = true;
    this.say("");
    this.show({ final: "", partial: "" });
    this.refresh();
    try {
      // First the microphone: the browser's question belongs to the click, and a refusal must not wait for a model.
      // From then on everything said is kept and goes out once the session is there: no first word is lost.
      this.capture = await openCapture({ onblock: (block) => this.block(block), onlost: (kind) => this.lost(kind) });
      if (turn !== this.turn) {
        this.capture?.close();
        return;
      }
      this.show({});
      await this.channel.ask("start", this.settings);
      if (turn !== this.turn) return;
      if (this.state === "preparing") {
        // else it was lost meanwhile
        this.state = "recording";
        for (const block of this.waiting) block.captured_ms = null; // the wait for the model is no latency
        this.flush();
      }
    } catch (error) {
      if (turn !== this.turn) return;
      const trouble = troubleOf(error);
      this.stopped(trouble ? words.trouble[trouble] : messageOf(error));
    }
    this.refresh();
  }

  /**
   * Blocks go out one by one while the kernel keeps up; when it does not, or has no session yet, they wait here.
   * @param {Block} block
   */
  block({ samples, rate, captured_ms, level }) {
    if (this.state !== "recording" && this.state !== "preparing") return;
    if (this.silent) this.say("");
    this.silent = false;
    this.sent_s += samples.length / rate;
    this.ui.time.textContent = clock(this.sent_s);
    set(this.ui.level, { "aria-valuenow": level.toFixed(3) });
    this.ui.fill.style.width = `${Math.min(100, Math.max(0, 100 + 20 * Math.log10(level + 1e-6) * 1.7))}%`;
    this.waiting.push({ samples, rate, captured_ms });
    if (this.state !== "recording") return;
    this.flush();
    if (this.sent_s >= this.model.get("choices").longest_s) this.stop();
  }

  /** @returns {Promise<void>} */
  flush(all = false) {
    if (!this.waiting.length || (this.inFlight >= MOST_IN_FLIGHT && !all)) return this.last ?? Promise.resolve();
    const blocks = this.waiting.splice(0, MOST_TOGETHER);
    const samples = new Int16Array(blocks.reduce((n, block) => n + block.samples.length, 0));
    let at = 0;
    for (const block of blocks) {
      samples.set(block.samples, at);
      at += block.samples.length;
    }
    this.inFlight += 1;
    const { captured_ms, rate } = blocks[0]; // of blocks that had to wait for each other, the oldest counts
    this.blocks += 1;
    const block = { sample_rate: rate, number: this.blocks };
    this.last = this.channel.ask("pcm", block, { buffers: [samples.buffer] }).then(
      (answer) => {
        this.inFlight -= 1;
        this.show(answer, captured_ms);
        if (this.state === "recording") this.flush();
      },
      (error) => {
        this.inFlight -= 1;
        if (this.state === "recording") this.stopped(messageOf(error));
      },
    );
    return all ? this.flush(true) : this.last;
  }

  /**
   * @param {Heard} heard
   * @param {number | null} [captured_ms]
   */
  show({ final = "", partial = "", lang = null, chunks = 0 }, captured_ms = null) {
    const grew = `${final}|${partial}` !== this.shown;
    this.shown = `${final}|${partial}`;
    if (grew || (!final && !partial)) {
      fill(
        this.ui.text,
        final ? h("span", {}, final, " ") : null,
        partial ? h("span", { class: "nwb-word nwb-tail" }, partial) : null,
        !final && !partial
          ? h(
              "span",
              { class: "nwb-muted" },
              this.state === "recording" ? words.listening : this.capture ? words.loading : words.before,
            )
          : null,
      );
    }
    const auto = this.settings.locale === "auto";
    this.ui.tag.className = `nwb-tag ${lang ? "nwb-good" : ""}`;
    this.ui.tag.textContent = lang ? words.detected(lang) : auto ? words.deciding : this.settings.locale;
    if (grew && captured_ms !== null && chunks && !document.hidden) {
      // a hidden page paints nothing: no latency
      // Two frames: the second callback runs after the first frame with the new text was handed to the compositor.
      requestAnimationFrame(() =>
        requestAnimationFrame(() => {
          if (this.hiddenAt > captured_ms) return; // it was hidden before this could be painted
          this.latencies.push(performance.now() - captured_ms);
          this.figures();
        }),
      );
    }
  }

  figures() {
    const sorted = [...this.latencies].sort((a, b) => a - b);
    const at = (/** @type {number} */ share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
    this.root.dataset.latencies = String(sorted.length);
    const item = (/** @type {string} */ name, /** @type {string} */ value) =>
      h("span", {}, h("span", { class: "nwb-muted" }, `${name} `), h("b", { class: "nwb-num" }, value));
    fill(
      this.ui.figures,
      ...(sorted.length
        ? [
            item(words.p50, `${Math.round(at(0.5))} ms`),
            item(words.p95, `${Math.round(at(0.95))} ms`),
            h("span", { class: "nwb-muted" }, words.latencyNote(sorted.length, this.settings.lookahead_ms)),
          ]
        : []),
    );
  }

  async stop() {
    this.state = "finishing";
    this.refresh();
    await this.capture?.close();
    this.capture = null;
    try {
      await this.flush(true);
      this.show(await this.channel.ask("stop"));
      this.state = "idle";
      this.offerSave();
    } catch (error) {
      this.stopped(messageOf(error));
    }
    this.refresh();
  }

  /** @param {Trouble} kind */
  lost(kind) {
    this.say(words.trouble[kind], "warn");
    this.silent = kind === "silent"; // until the first sound
    if (kind !== "lost") return;
    if (this.state === "recording") this.stop();
    else this.stopped(words.trouble.lost);
  }

  /** @param {string} message */
  stopped(message) {
    this.capture?.close();
    this.capture = null;
    this.state = "idle";
    this.say(message, "bad");
    this.refresh();
  }

  offerSave() {
    const { can_save, corpus, locales, names, purposes } = this.model.get("choices");
    if (!can_save || this.sent_s < 0.3) return;
    const tags = locales.filter((tag) => tag !== "auto");
    const detected = (this.ui.tag.textContent ?? "").split(" ")[0];
    const guess = this.settings.locale !== "auto" ? this.settings.locale : detected;
    const text = h("textarea", { class: "nwb-input", rows: 2, dir: "auto", name: "text", "aria-label": words.said });
    text.value = this.shown.replace("|", " ").trim();
    const purpose = h(
      "select",
      {
        class: "nwb-input",
        name: "purpose",
        required: true,
        "aria-label": words.purpose,
        dataset: { testid: "purpose" },
      },
      h("option", { value: "" }, words.purposeAsk),
      ...purposes.map((value) => h("option", { value }, named(words.purposes, value))),
    );
    const spoken = h(
      "select",
      { class: "nwb-input", name: "locale", "aria-label": words.spoken },
      ...tags.map((tag) => h("option", { value: tag }, `${tag} · ${names[tag] ?? ""}`)),
    );
    if (tags.includes(guess)) spoken.value = guess;
    fill(
      this.ui.save,
      h("b", {}, words.keep),
      h("span", { class: "nwb-muted" }, words.keepNote(corpus)),
      text,
      h(
        "div",
        { class: "nwb-save-row" },
        spoken,
        h("input", {
          class: "nwb-input",
          name: "speaker",
          placeholder: words.speaker,
          "aria-label": words.speaker,
          maxlength: 60,
        }),
        purpose,
        h(
          "label",
          { class: "nwb-consent" },
          h("input", { type: "checkbox", name: "consent", required: true, dataset: { testid: "consent" } }),
          words.consent,
        ),
      ),
      h(
        "div",
        { class: "nwb-save-row" },
        h(
          "button",
          { type: "submit", class: "nwb-btn nwb-primary", dataset: { testid: "keep" } },
          icon("save"),
          words.save,
        ),
        h(
          "button",
          { type: "button", class: "nwb-btn nwb-plain", onclick: () => this.discard(), dataset: { testid: "discard" } },
          words.discard,
        ),
      ),
    );
    this.ui.save.hidden = false;
  }

  /** @param {SubmitEvent} event */
  async save(event) {
    event.preventDefault();
    const form = new FormData(this.ui.save);
    const field = (/** @type {string} */ name) => String(form.get(name) ?? "");
    try {
      const kept = await this.channel.ask("save", {
        consent: form.get("consent") === "on",
        text: field("text"),
        locale: field("locale"),
        speaker: field("speaker"),
        purpose: field("purpose"),
      });
      this.ui.save.hidden = true;
      const back = h(
        "button",
        { type: "button", class: "nwb-btn", onclick: () => this.withdraw(kept.id), dataset: { testid: "withdraw" } },
        icon("undo"),
        words.withdraw,
      );
      this.say(
        kept.corpus ? words.joined(kept.id, kept.corpus) : words.kept(kept.id, kept.folder),
        "good",
        kept.corpus ? back : null,
      );
    } catch (error) {
      this.say(messageOf(error), "bad");
    }
  }

  /** What was kept in this session, under what consent; each can be taken back. */
  showTakes() {
    const takes = this.model.get("saved");
    this.ui.takes.hidden = !takes.length;
    const line = (/** @type {Take} */ take) => {
      const label = words.withdrawOf(take.id);
      const back = h(
        "button",
        {
          type: "button",
          class: "nwb-btn nwb-plain",
          title: label,
          "aria-label": label,
          onclick: () => this.withdraw(take.id),
        },
        icon("undo", 14),
        words.withdraw,
      );
      const facts = [take.locale, take.speaker, named(words.purposes, take.purpose)].filter(Boolean);
      return h(
        "li",
        { dataset: { testid: "mic-take" } },
        h("bdi", {}, take.text || words.noText),
        h("span", { class: "nwb-muted" }, facts.join(" · ")),
        this.model.get("choices").corpus ? back : null,
      );
    };
    fill(
      this.ui.takes,
      h("b", {}, words.takes(takes.length)),
      h("span", { class: "nwb-muted" }, words.takesNote),
      h("ul", {}, ...takes.toReversed().map(line)),
    );
  }

  /** @param {string} id */
  async withdraw(id) {
    try {
      await this.channel.ask("withdraw", { id });
      this.say(words.withdrawn(id), "good");
    } catch (error) {
      this.say(messageOf(error), "bad");
    }
  }

  async discard() {
    this.ui.save.hidden = true;
    try {
      await this.channel.ask("discard");
      this.say(words.discarded, "good");
    } catch (error) {
      this.say(messageOf(error), "bad");
    }
  }

  /**
   * @param {string} text
   * @param {"" | "good" | "warn" | "bad"} [kind]
   * @param {HTMLElement | null} [action]
   */
  say(text, kind = "", action = null) {
    fill(
      this.ui.note,
      text
        ? h(
            "div",
            { class: `nwb-note nwb-${kind}`, role: "status", dataset: { testid: "mic-note" } },
            icon(kind === "good" ? "check" : "warn"),
            h("span", {}, text),
            action,
          )
        : null,
    );
  }

  refresh() {
    const { record } = this.ui;
    const label = words.state[this.state];
    const picture = this.state === "recording" ? "stop" : this.state === "preparing" ? "cross" : "record";
    fill(record, icon(picture, 20), label);
    set(record, { "aria-label": label, "aria-pressed": String(this.state === "recording") });
    if (!unavailable()) record.disabled = this.channel.lost || this.state === "finishing";
    this.root.dataset.state = this.state;
    const { locale, lookahead } = this.ui;
    for (const { select } of [locale, lookahead]) select.disabled = this.state !== "idle";
    if (this.state !== "recording") this.ui.fill.style.width = "0";
    if (!this.shown || this.shown === "|") this.show({});
  }

  destroy() {
    this.model.off("change:saved", this.onSaved);
    document.removeEventListener("visibilitychange", this.onHidden);
    this.capture?.close();
    this.stopLost();
    this.channel.close();
  }
}

export default { render };
