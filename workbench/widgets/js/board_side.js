// Bars by any column, by finding and by tag; a click filters. The dark part of a bar is what has been decided.
//   const side = new Side({ onFacet(name, values), onRule(rule), onTag(tag), onFacets(names), onCheck() });
//   side.setColumns(countable, extra); side.draw(facets, query, checks, notRun); side.progress(done, total)
/**
 * @import { FacetBar, Facets, NotRun, Query, RuleBar, TagBar } from "./messages.d.ts"
 * @import { Child } from "./page.d.ts"
 */
import { ruleName } from "./board_table.js";
import { count, fill, h, icon, set } from "./dom.js";
import { named, board as words } from "./strings.js";

const ALWAYS = ["target_lang", "accent"];
const FEW = 12; // values shown before the rest is asked for

/** @typedef {true | { error: string } | null} Checks whether the checks have run, or why they could not */

export class Side {
  /**
   * @param {object} on
   * @param {(name: string, values: (string | null)[]) => void} on.onFacet
   * @param {(rule: string) => void} on.onRule
   * @param {(tag: string) => void} on.onTag
   * @param {(names: string[]) => void} on.onFacets which columns are counted beside locale and accent
   * @param {() => void} on.onCheck measure the sound and run the checks
   */
  constructor(on) {
    this.on = on;
    /** @type {Map<string, FacetList>} */
    this.lists = new Map();
    /** @type {string[]} */
    this.extra = [];
    /** @type {string[]} */
    this.countable = [];
    /** @type {HTMLSelectElement} */
    this.chooser = h("select", {
      class: "nwb-input nwb-add-facet",
      "aria-label": words.addFacet,
      dataset: { testid: "board-add-facet" },
      onchange: () => this.add(this.chooser.value),
    });
    this.places = { facets: h("div"), rules: h("div"), tags: h("div") };
    this.inside = h(
      "div",
      { class: "nwb-side-in" },
      this.places.facets,
      h("div", { class: "nwb-side-part" }, this.chooser),
      this.places.rules,
      this.places.tags,
    );
    this.element = h("aside", { class: "nwb-side", dataset: { testid: "board-side" } }, this.inside);
    this.bar = h("div", { class: "nwb-progress-fill" });
    this.checking = h(
      "div",
      { class: "nwb-progress", role: "progressbar", "aria-label": words.checking, "aria-valuemin": 0, hidden: true },
      this.bar,
    );
  }

  /**
   * @param {string[]} countable columns that can be counted
   * @param {string[]} extra those shown beside locale and accent
   */
  setColumns(countable, extra) {
    this.countable = countable;
    this.extra = extra;
    const open = countable.filter((name) => !ALWAYS.includes(name) && !extra.includes(name));

    fill(
      this.chooser,
      h("option", { value: "" }, words.addFacet),
      ...open.map((name) => h("option", { value: name }, named(words.fields, name))),
    );
    this.chooser.hidden = !open.length;
  }

  /** @param {string} name */
  add(name) {
    this.chooser.value = "";
    if (name) this.on.onFacets([...this.extra, name]);
  }

  /**
   * @param {Facets | undefined} facets
   * @param {Query} query
   * @param {Checks} checks
   * @param {NotRun} notRun
   */
  draw(facets, query, checks, notRun = {}) {
    const { rule = [], tag = [], ...others } = facets ?? {};
    const columns = /** @type {{ [column: string]: FacetBar[] }} */ (others);
    const names = Object.keys(columns);
    const held = document.activeElement instanceof HTMLElement ? document.activeElement.dataset : {};
    for (const name of names) this.list(name).draw(columns[name], query.facets?.[name] ?? []);
    const shown = names.filter((name) => this.list(name).worth || this.extra.includes(name));
    const elements = shown.map((name) => this.list(name).element);
    if (
      elements.some((el, i) => this.places.facets.children[i] !== el) ||
      this.places.facets.children.length !== elements.length
    ) {
      fill(this.places.facets, ...elements);
    }
    fill(this.places.rules, this.rules(rule, query.rule, checks, notRun));
    fill(this.places.tags, this.tags(tag, query.tag));
    if (held.facet === "rule" || held.facet === "tag") {
      const again = [...this.inside.querySelectorAll("button")].find(
        (button) => button.dataset.facet === held.facet && button.dataset.value === held.value,
      );
      again?.focus({ preventScroll: true });
    }
  }

  /** @param {string} name */
  list(name) {
    const known = this.lists.get(name);
    if (known) return known;
    const remove = ALWAYS.includes(name)
      ? null
      : () => {
          this.on.onFacets(this.extra.filter((other) => other !== name));
          this.on.onFacet(name, []);
        };
    const made = new FacetList(name, (values) => this.on.onFacet(name, values), remove);
    this.lists.set(name, made);
    return made;
  }

  /**
   * @param {RuleBar[]} list
   * @param {string} chosen
   * @param {Checks} known
   * @param {NotRun} notRun
   */
  rules(list, chosen, known, notRun) {
    const part = (/** @type {Child[]} */ ...content) => section(words.rule, ...content);
    if (!known) {
      return part(
        h(
          "div",
          { class: "nwb-muted nwb-checking", role: "status" },
          h("span", { class: "nwb-spinner" }),
          words.checking,
        ),
      );
    }
    if (known !== true)
      return part(h("div", { class: "nwb-muted" }, words.checksFailed(known.error)), this.runChecks(notRun));
    const ran = Object.keys(notRun).length ? words.noFindingsSoFar : words.noFindings;
    if (!list.length) return part(h("div", { class: "nwb-muted" }, ran), this.runChecks(notRun));
    /** @type {(value: string, severity: string, clips: number | null) => HTMLElement} */
    const row = (value, severity, clips) => {
      const tone = severity === "error" ? "bad" : severity === "warning" ? "warn" : "calm";
      return h(
        "li",
        {},
        pressable(
          "rule",
          value,
          chosen === value,
          () => this.on.onRule(chosen === value ? "" : value),
          h("span", { class: `nwb-dot nwb-${tone}`, title: severity }),
          value === "*" ? words.anyFinding : ruleName(value),
          clips === null ? "" : count(clips),
        ),
      );
    };
    const rows = list.map((bar) => row(bar.value, bar.severity, bar.clips));
    return part(h("ul", {}, row("*", "info", null), ...rows), this.runChecks(notRun));
  }

  /** What has not run and why, with the button that runs it. @param {NotRun} notRun */
  runChecks(notRun) {
    const missing = Object.entries(notRun);
    if (!missing.length && this.checking.hidden) return null;
    const why = missing.map(([rule, lacks]) => `${ruleName(rule)}: ${named(words.lacks, lacks)}`).join("\n");
    const note = missing.length
      ? h("div", { class: "nwb-muted nwb-not-run", title: why }, words.notRun(missing.length))
      : null;
    const can = missing.some(([, lacks]) => lacks === "signal") && this.checking.hidden;
    const run = can
      ? h(
          "button",
          { type: "button", class: "nwb-btn", onclick: this.on.onCheck, dataset: { testid: "board-run-checks" } },
          words.runChecks,
        )
      : null;
    return h("div", {}, note, this.checking, run);
  }

  /** How far the checks are; null: not running. @param {{ done: number, total: number } | null} at */
  progress(at) {
    this.checking.hidden = !at;
    if (!at) return;
    set(this.checking, { "aria-valuemax": at.total, "aria-valuenow": at.done });
    this.bar.style.width = `${(100 * at.done) / Math.max(1, at.total)}%`;
  }

  /**
   * Why clips were sent here: tags of reviewers and of the error explorer.
   * @param {TagBar[]} list
   * @param {string} chosen
   */
  tags(list, chosen) {
    if (!list.length) return null;
    const row = (/** @type {TagBar} */ { value, clips }) => {
      const pick = () => this.on.onTag(chosen === value ? "" : value);
      return h(
        "li",
        {},
        pressable("tag", value, chosen === value, pick, icon("flag", 11), h("bdi", {}, value), count(clips)),
      );
    };
    return section(words.tags, h("ul", {}, ...list.map(row)));
  }
}

/** The values of one column, largest first; many of them get a search box. */
class FacetList {
  /**
   * @param {string} name
   * @param {(values: (string | null)[]) => void} onPick
   * @param {(() => void) | null} onRemove
   */
  constructor(name, onPick, onRemove) {
    this.name = name;
    this.onPick = onPick;
    this.title = named(words.fields, name);
    this.all = false;
    /** @type {FacetBar[]} */
    this.bars = [];
    /** @type {(string | null)[]} */
    this.chosen = [];
    this.find = h("input", {
      class: "nwb-input nwb-find",
      type: "search",
      placeholder: words.findValue(this.title),
      "aria-label": words.findValue(this.title),
      oninput: () => this.fillValues(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => event.stopPropagation(),
    });
    this.values = h("ul");
    this.more = h("button", {
      type: "button",
      class: "nwb-btn nwb-plain nwb-more",
      onclick: () => {
        this.all = !this.all;
        this.fillValues();
      },
    });
    const label = words.removeFacet(this.title);
    const remove = onRemove
      ? h(
          "button",
          {
            type: "button",
            class: "nwb-btn nwb-plain nwb-icon-only",
            "aria-label": label,
            title: label,
            onclick: onRemove,
          },
          icon("clear", 11),
        )
      : null;
    this.element = h(
      "section",
      { class: "nwb-side-part", "aria-label": this.title },
      h("h4", {}, this.title, remove),
      this.find,
      this.values,
      this.more,
    );
  }

  /** Whether there is anything to choose from. */
  get worth() {
    return this.bars.length > 1 || (this.bars.length === 1 && this.bars[0].value !== null);
  }

  /** @param {FacetBar[]} bars @param {(string | null)[]} chosen */
  draw(bars, chosen) {
    this.bars = bars;
    this.chosen = chosen;
    this.find.hidden = bars.length <= FEW;
    if (this.find.hidden) this.find.value = "";
    this.fillValues();
  }

  fillValues() {
    const held = this.values.contains(document.activeElement)
      ? document.activeElement?.getAttribute("data-value")
      : null;
    const wanted = this.find.value.trim().toLowerCase();
    const matching = this.bars.filter((bar) => !wanted || (bar.value ?? words.none).toLowerCase().includes(wanted));
    const shown =
      this.all || wanted ? matching : matching.filter((bar, i) => i < FEW || this.chosen.includes(bar.value));
    const most = Math.max(...this.bars.map((bar) => bar.minutes), 1e-9);
    fill(this.values, ...shown.map((bar) => this.value(bar, most)));
    const hidden = this.bars.length - FEW;
    this.more.hidden = hidden <= 0 || Boolean(wanted);
    this.more.textContent = this.all ? words.showFewer : words.showAll(count(this.bars.length));
    if (held === null) return;
    const again = [...this.values.querySelectorAll("button")].find((button) => button.dataset.value === held);
    again?.focus({ preventScroll: true });
  }

  /** @param {FacetBar} bar @param {number} most minutes of a bar */
  value(bar, most) {
    const on = this.chosen.includes(bar.value);
    const share = bar.minutes ? bar.decided / bar.minutes : 0;
    const label = bar.value ?? words.none;
    const decided = words.decidedOf(words.minutes(bar.decided), words.minutes(bar.minutes), Math.round(100 * share));
    const pick = (/** @type {MouseEvent} */ event) => {
      const others = this.chosen.filter((value) => value !== bar.value);
      if (event.ctrlKey || event.metaKey) this.onPick(on ? others : [...this.chosen, bar.value]);
      else this.onPick(on && this.chosen.length === 1 ? [] : [bar.value]);
    };
    const track = { width: `${(100 * bar.minutes) / most}%` };
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "nwb-bar",
          "aria-pressed": String(on),
          title: `${label}: ${words.clips(count(bar.clips))}, ${decided}\n${words.facetHint}`,
          onclick: pick,
          dataset: { facet: this.name, value: bar.value ?? "" },
        },
        h("span", { class: "nwb-bar-label" }, h("bdi", { class: bar.value === null ? "nwb-muted" : "" }, label)),
        h("span", { class: "nwb-bar-figure nwb-num" }, `${count(bar.clips)} · ${words.minutes(bar.minutes)}`),
        h(
          "span",
          { class: "nwb-bar-track" },
          h(
            "span",
            { class: "nwb-bar-all", style: track },
            h("span", { class: "nwb-bar-done", style: { width: `${100 * share}%` } }),
          ),
        ),
      ),
    );
  }
}

/**
 * @param {"rule" | "tag"} facet
 * @param {string} value
 * @param {boolean} pressed
 * @param {() => void} onclick
 * @param {Child} mark
 * @param {Child} label
 * @param {string} figure
 */
function pressable(facet, value, pressed, onclick, mark, label, figure) {
  return h(
    "button",
    {
      type: "button",
      class: "nwb-bar nwb-rule",
      "aria-pressed": String(pressed),
      title: facet === "tag" ? value : null,
      onclick,
      dataset: { facet, value },
    },
    mark,
    h("span", { class: "nwb-bar-label" }, label),
    h("span", { class: "nwb-bar-figure nwb-num" }, figure),
  );
}

/** @param {string} title @param {...Child} content */
function section(title, ...content) {
  return h("section", { class: "nwb-side-part", "aria-label": title }, h("h4", {}, title), ...content.filter(Boolean));
}
