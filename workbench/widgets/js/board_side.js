// Bars by locale, accent, finding and tag; a click filters. The dark part of a bar is what has been decided.
//   const side = createSide({ onFacet(name, values), onRule(rule), onTag(tag) }); side.draw(facets, query, known)
import { count, fill, h, icon } from "./dom.js";
import { ruleName } from "./board_table.js";
import { board as words } from "./strings.js";

export function createSide({ onFacet, onRule, onTag }) {
  const inside = h("div", { class: "nwb-side-in" });
  const element = h("aside", { class: "nwb-side", dataset: { testid: "board-side" } }, inside);

  function draw(facets, query, known, notRun) {
    const { facet, value } = inside.contains(document.activeElement) ? document.activeElement.dataset : {};
    const scrolled = inside.scrollTop;
    fill(
      inside,
      bars("target_lang", words.locale, facets.target_lang ?? [], query.facets?.target_lang ?? [], onFacet),
      bars("accent", words.accent, facets.accent ?? [], query.facets?.accent ?? [], onFacet),
      rules(facets.rule ?? [], query.rule, known, onRule, notRun),
      tags(facets.tag ?? [], query.tag, onTag),
    );
    inside.scrollTop = scrolled;
    if (facet)
      [...inside.querySelectorAll("button")]
        .find((b) => b.dataset.facet === facet && b.dataset.value === value)
        ?.focus({ preventScroll: true });
  }
  return { element, draw };
}

function bars(name, title, list, chosen, onFacet) {
  if (!list.length || (list.length === 1 && list[0].value === null)) return null;
  const most = Math.max(...list.map((bar) => bar.minutes), 1e-9);
  const pick = (value, add) => {
    const on = chosen.includes(value);
    if (add) onFacet(name, on ? chosen.filter((v) => v !== value) : [...chosen, value]);
    else onFacet(name, on && chosen.length === 1 ? [] : [value]);
  };
  const row = (bar) => {
    const share = bar.minutes ? bar.decided / bar.minutes : 0;
    const label = bar.value ?? words.none;
    const figure = words.share(bar.decided, bar.minutes);
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "nwb-bar",
          "aria-pressed": String(chosen.includes(bar.value)),
          title: `${label}: ${words.clips(count(bar.clips))}, ${words.decidedOf(words.minutes(bar.decided), words.minutes(bar.minutes), Math.round(100 * share))}\n${words.facetHint}`,
          onclick: (event) => pick(bar.value, event.ctrlKey || event.metaKey),
          dataset: { facet: name, value: bar.value ?? "" },
        },
        h("span", { class: "nwb-bar-label" }, h("bdi", { class: bar.value === null ? "nwb-muted" : "" }, label)),
        h("span", { class: "nwb-bar-figure nwb-num" }, figure),
        h(
          "span",
          { class: "nwb-bar-track" },
          h(
            "span",
            { class: "nwb-bar-all", style: { width: `${(100 * bar.minutes) / most}%` } },
            h("span", { class: "nwb-bar-done", style: { width: `${100 * share}%` } }),
          ),
        ),
      ),
    );
  };
  return section(title, h("ul", {}, ...list.map(row)));
}

function rules(list, chosen, known, onRule, notRun = {}) {
  const missing = Object.entries(notRun);
  const note = missing.length
    ? h(
        "div",
        {
          class: "nwb-muted nwb-not-run",
          title: missing.map(([rule, lacks]) => `${ruleName(rule)}: ${lacks}`).join("\n"),
        },
        words.notRun(missing.length),
      )
    : null;
  if (!known)
    return section(
      words.rule,
      h(
        "div",
        { class: "nwb-muted nwb-checking", role: "status" },
        h("span", { class: "nwb-spinner" }),
        words.checking,
      ),
    );
  if (known.error) return section(words.rule, h("div", { class: "nwb-muted" }, words.checksFailed(known.error)));
  if (!list.length) return section(words.rule, h("div", { class: "nwb-muted" }, words.noFindings), note);
  const row = ({ value, severity, clips }) =>
    h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "nwb-bar nwb-rule",
          "aria-pressed": String(chosen === value),
          onclick: () => onRule(chosen === value ? "" : value),
          dataset: { facet: "rule", value },
        },
        h("span", { class: `nwb-dot nwb-${{ error: "bad", warning: "warn" }[severity] ?? "calm"}`, title: severity }),
        h("span", { class: "nwb-bar-label" }, value === "*" ? words.anyFinding : ruleName(value)),
        h("span", { class: "nwb-bar-figure nwb-num" }, clips === null ? "" : count(clips)),
      ),
    );
  return section(words.rule, h("ul", {}, row({ value: "*", severity: "info", clips: null }), ...list.map(row)), note);
}

/** Why clips were sent here: tags of reviewers and of the error explorer. */
function tags(list, chosen, onTag) {
  if (!list.length) return null;
  const row = ({ value, clips }) =>
    h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "nwb-bar nwb-rule",
          "aria-pressed": String(chosen === value),
          title: value,
          onclick: () => onTag(chosen === value ? "" : value),
          dataset: { facet: "tag", value },
        },
        icon("flag", 11),
        h("span", { class: "nwb-bar-label" }, h("bdi", {}, value)),
        h("span", { class: "nwb-bar-figure nwb-num" }, count(clips)),
      ),
    );
  return section(words.tags, h("ul", {}, ...list.map(row)));
}

const section = (title, ...content) =>
  h("section", { class: "nwb-side-part", "aria-label": title }, h("h4", {}, title), ...content.filter(Boolean));
