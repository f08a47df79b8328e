// Beside the chosen clip: findings, tags, what the model and other reviewers said, its facts, its history.
/**
 * @import { Action, Decided, Deciding, Decision, Details, Dispute, DisputeWord } from "./messages.d.ts"
 * @import { Finding, Measure, Opinion } from "./messages.d.ts"
 */
import { fieldOf, ruleName, saying } from "./board_table.js";
import { fill, h, icon, set } from "./dom.js";
import { languageLine } from "./languages.js";
import { named, board as words } from "./strings.js";

const ABOUT = /** @type {const} */ (["domain", "source", "license", "recorded_at", "audio_filepath"]);
const EDITED = /** @type {const} */ (["target_lang", "accent", "speaker", "split", "duration"]);
/** @type {{ [severity: string]: string | undefined }} */
const TONE = { error: "bad", warning: "warn" };

export class Facts {
  /**
   * @param {object} options
   * @param {(action: Action, body: Deciding, message?: string) => Promise<Decided | null>} options.decide
   * @param {() => void} options.onLeave the focus goes back to the table
   */
  constructor({ decide, onLeave }) {
    this.decide = decide;
    this.onLeave = onLeave;
    this.reviewer = "";

    this.findings = h("div", { class: "nwb-findings" });
    this.heard = h("div", { class: "nwb-model", dataset: { testid: "board-hypothesis" } });
    this.others = h("div", { class: "nwb-marks" });
    this.about = h("dl", { class: "nwb-about" });
    this.history = h("details", { class: "nwb-history" });
    this.tagInput = this.tagField();
    this.element = h(
      "div",
      { class: "nwb-clip-side" },
      this.findings,
      this.tagInput,
      this.heard,
      this.others,
      this.about,
      this.history,
    );
  }

  /** @param {Details} row */
  show(row) {
    this.drawFindings(row);
    this.drawHeard(row);
    this.drawOthers(row);
    this.drawAbout(row);
    this.drawHistory(row);
  }

  /** @param {Details} row */
  drawFindings(row) {
    const why = row.why
      ? h(
          "div",
          { class: "nwb-why", dataset: { testid: "board-why" } },
          h("span", { class: "nwb-muted" }, `${words.why}: `),
          row.why.split(", ").map(ruleName).join(", "),
        )
      : null;
    const found = (row.findings ?? []).map(finding);
    const tags = (row.tags ?? []).map((tag) => this.tagged(tag));
    const missing = row.missing
      ? finding({ severity: "error", rule: words.missing, reason: words.missingFile, hint: words.missingHint })
      : null;
    const none = !found.length && !tags.length && !missing;
    fill(
      this.findings,
      h("h4", {}, words.findings),
      why,
      missing,
      ...tags,
      ...found,
      none ? h("div", { class: "nwb-muted" }, words.noFindingsClip) : null,
    );
  }

  /** Why the clip was sent here, to be taken off once it is resolved. @param {string} tag */
  tagged(tag) {
    const off = h(
      "button",
      {
        type: "button",
        class: "nwb-btn nwb-plain nwb-icon-only",
        "aria-label": words.untag(tag),
        title: words.untag(tag),
        onclick: () => this.decide("untag", { value: tag }, words.done.untagged),
      },
      icon("check", 13),
    );
    return h(
      "div",
      { class: "nwb-finding nwb-tagged", dataset: { testid: "board-tag" } },
      icon("flag", 14),
      h("div", { dir: "auto" }, tag),
      off,
    );
  }

  tagField() {
    /** @type {HTMLInputElement} */
    const input = h("input", {
      class: "nwb-field nwb-tag-field",
      dir: "auto",
      placeholder: words.addTag,
      "aria-label": words.addTag,
      maxlength: 80,
      list: "nwb-values-tag",
      dataset: { testid: "board-add-tag" },
      onkeydown: async (/** @type {KeyboardEvent} */ event) => {
        event.stopPropagation();
        if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
        const value = event.key === "Enter" ? input.value.trim() : "";
        input.value = "";
        this.onLeave();
        if (value) await this.decide("tag", { value }, words.done.tagged(value));
      },
    });
    return input;
  }

  /** @param {Details} row */
  drawHeard(row) {
    const heard = row.hypothesis;
    this.heard.hidden = heard === null || heard === undefined;
    if (this.heard.hidden) return;
    const known = /** @type {[Measure, number | null][]} */ (Object.entries(row.measures ?? {}));
    const figures = known.filter(([name, value]) => value !== null && words.measures[name]);
    fill(
      this.heard,
      h("h4", {}, words.heard),
      h("div", { dir: "auto" }, heard || words.heardNothing),
      languageLine(row.languages),
      h(
        "div",
        { class: "nwb-muted nwb-num" },
        figures.map(([name, value]) => `${words.measures[name]} ${words.measure(name, value)}`).join(" · "),
      ),
    );
  }

  /** @param {Details} row */
  drawOthers(row) {
    const disputes = row.dispute ?? [];
    const settled = new Set(disputes.map(({ field }) => field));
    const others = (row.others ?? []).filter(({ field }) => !settled.has(field));
    this.others.hidden = !others.length && !disputes.length;
    const line = (/** @type {Opinion} */ other) =>
      h(
        "div",
        { class: "nwb-finding nwb-calm" },
        icon("person", 14),
        h("div", {}, h("strong", {}, h("bdi", {}, other.reviewer)), h("div", { dir: "auto" }, saying(other))),
      );
    fill(this.others, h("h4", {}, words.marks), ...disputes.map((one) => this.dispute(one)), ...others.map(line));
  }

  /**
   * Reviewers differ: a third makes one word hold; one of them may give in, and is no judge of the own word.
   * @param {Dispute} dispute
   */
  dispute({ field, words: said, party }) {
    const take = (/** @type {DisputeWord} */ word) =>
      this.decide("resolve", { field, value: word.value, reason: word.reason }, words.done.settled);
    const line = (/** @type {DisputeWord} */ word) => {
      const own = word.reviewer === this.reviewer;
      const label = words.takeWord(word.reviewer);
      return h(
        "li",
        {},
        h(
          "div",
          {},
          h("strong", {}, own ? words.you : h("bdi", {}, word.reviewer)),
          h("div", { dir: "auto" }, saying({ ...word, field })),
        ),
        own
          ? null
          : h(
              "button",
              {
                type: "button",
                class: "nwb-btn",
                title: label,
                "aria-label": label,
                dataset: { testid: "board-take" },
                onclick: () => take(word),
              },
              words.take,
            ),
      );
    };
    return h(
      "div",
      { class: "nwb-finding nwb-warn nwb-dispute", dataset: { testid: "board-dispute" } },
      icon("warn", 14),
      h(
        "div",
        {},
        h("strong", {}, words.dispute(field === "status" ? null : fieldOf(field))),
        h("ul", {}, ...said.map(line)),
        h("div", { class: "nwb-muted" }, party ? words.disputeParty : words.disputeThird),
      ),
    );
  }

  /** @param {Details} row */
  drawAbout(row) {
    const fact = (/** @type {typeof ABOUT[number]} */ name, /** @type {string | null | undefined} */ value) =>
      value ? [h("dt", {}, words.fields[name]), h("dd", {}, h("bdi", {}, value))] : [];
    fill(
      this.about,
      ...EDITED.filter((name) => name in row).flatMap((name) => this.field(name, row[name] ?? null)),
      ...ABOUT.flatMap((name) => fact(name, row[name])),
    );
  }

  /**
   * A fact that a reviewer may set right: saved on Enter or when left.
   * @param {typeof EDITED[number]} name
   * @param {string | number | null} now
   */
  field(name, now) {
    const seconds = name === "duration";
    const was = seconds && typeof now === "number" ? now.toFixed(2) : String(now ?? "");
    const input = h("input", {
      class: "nwb-field",
      dir: "auto",
      value: was,
      placeholder: words.none,
      "aria-label": seconds ? words.lengthLabel : words.fields[name],
      title: seconds ? words.lengthLabel : null,
      inputmode: seconds ? "decimal" : null,
      spellcheck: "false",
      list: `nwb-values-${name}`,
      dataset: { testid: `board-field-${name}` },
    });
    const keep = async () => {
      const value = seconds ? input.value.trim().replace(",", ".") : input.value.trim();
      if (value === was) return;
      const body = { field: name, value: value || null };
      const done = await this.decide("edit", body, words.done.field(words.fields[name]));
      if (!done) input.value = was;
    };
    set(input, {
      onchange: keep,
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        event.stopPropagation();
        if (event.key === "Escape") input.value = was;
        if (event.key === "Enter" || event.key === "Escape") this.onLeave(); // leaving the field saves it
      },
    });
    return [h("dt", {}, words.fields[name]), h("dd", {}, input)];
  }

  /** @param {Details} row */
  drawHistory(row) {
    const events = row.history ?? [];
    this.history.hidden = !events.length;
    fill(
      this.history,
      h("summary", {}, words.history(events.length)),
      h("ol", {}, ...events.toReversed().slice(0, 50).map(historyLine)),
    );
  }
}

/** @param {Finding} found */
function finding(found) {
  return h(
    "div",
    { class: `nwb-finding nwb-${TONE[found.severity] ?? "calm"}` },
    icon(found.severity === "error" ? "warn" : "info", 14),
    h(
      "div",
      {},
      h("strong", {}, ruleName(found.rule)),
      h("div", { dir: "auto" }, found.reason ?? ""),
      found.hint ? h("div", { class: "nwb-muted" }, found.hint) : null,
    ),
  );
}

/** @param {Decision} event */
function historyLine(event) {
  const { field, value: said } = event;
  const status = event.field === "status";
  const at = new Date(event.at).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
  const value = status ? named(words.status, said ?? "") : `${named(words.fields, field ?? "")}: `;
  const more = status ? (event.reason ? `: ${event.reason}` : "") : h("bdi", {}, event.value ?? words.none);
  return h(
    "li",
    { class: event.stands ? "" : "nwb-undone" },
    h("bdi", {}, event.reviewer),
    " · ",
    value,
    more,
    h("time", { class: "nwb-muted", datetime: event.at }, ` ${at}`),
  );
}
