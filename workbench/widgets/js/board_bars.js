// The board's head (progress, reviewer, autosave), the filter row, and the dialog of keys.
import { count, fill, h, icon, set } from "./dom.js";
import { board as words, common } from "./strings.js";

/** const head = createHead({ onHelp }); head.draw(name, progress, reviewer); head.saved("saving" | "saved" | Error) */
export function createHead({ onHelp }) {
  const name = h("h3", { class: "nwb-title" });
  const size = h("span", { class: "nwb-muted nwb-num" });
  const meter = h("div", { class: "nwb-meter", role: "img" });
  const figure = h("span", { class: "nwb-num", dataset: { testid: "board-progress" } });
  const who = h("span", { class: "nwb-who nwb-muted" });
  const saved = h("span", { class: "nwb-saved", role: "status", dataset: { testid: "board-saved" } });
  const help = h(
    "button",
    {
      type: "button",
      class: "nwb-btn nwb-plain",
      onclick: onHelp,
      dataset: { testid: "board-help" },
      "aria-haspopup": "dialog",
    },
    icon("help"),
    words.help,
    h("kbd", {}, "?"),
  );
  const element = h(
    "header",
    { class: "nwb-head" },
    h("div", { class: "nwb-head-name" }, name, size),
    h("div", { class: "nwb-head-progress" }, figure, meter),
    h("span", { class: "nwb-spring" }),
    saved,
    who,
    help,
  );

  function draw(corpus, progress, reviewer) {
    fill(name, h("bdi", {}, corpus));
    size.textContent = `${words.clips(count(progress.clips))} · ${words.minutes(progress.minutes)}`;
    const done = progress.accepted.minutes + progress.rejected.minutes;
    const share = (part) => `${progress.minutes ? (100 * part.minutes) / progress.minutes : 0}%`;
    const percent = progress.minutes ? (100 * done) / progress.minutes : 0;
    figure.textContent = words.decidedOf(
      words.minutes(done),
      words.minutes(progress.minutes),
      percent > 0 && percent < 0.1 ? "< 0.1" : percent > 0 && percent < 10 ? percent.toFixed(1) : percent.toFixed(0),
    );
    const label = words.progressLabel(
      count(progress.accepted.clips),
      count(progress.rejected.clips),
      count(progress.pending.clips),
    );
    set(meter, { "aria-label": label, title: label });
    fill(
      meter,
      h("span", { class: "nwb-meter-good", style: { width: share(progress.accepted) } }),
      h("span", { class: "nwb-meter-bad", style: { width: share(progress.rejected) } }),
    );
    fill(who, icon("person", 14), h("bdi", {}, reviewer));
    set(who, { title: words.reviewer(reviewer) });
  }

  function setSaved(state) {
    const failed = state instanceof Error;
    saved.classList.toggle("nwb-bad", failed);
    const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const text = failed
      ? words.notSaved
      : state === "saving"
        ? words.saving
        : state === "saved"
          ? words.savedAt(time)
          : words.saved;
    fill(saved, icon(failed ? "warn" : state === "saving" ? "save" : "check", 14), text);
    set(saved, { title: failed ? state.message : null });
  }
  setSaved("");
  return { element, draw, saved: setSaved };
}

/** const filter = createFilter({ onQuery(change) , onBulk(action) }); filter.draw(query, summary); filter.error(text); filter.focus() */
export function createFilter({ onQuery, onBulk, onLeave }) {
  const listId = `nwb-columns-${Math.random().toString(36).slice(2)}`;
  const input = h("input", {
    class: "nwb-input nwb-sql",
    type: "text",
    placeholder: words.filterHint,
    "aria-label": words.filterLabel,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    "aria-describedby": listId,
    dataset: { testid: "board-filter" },
    oninput: () => (typed = true),
    onkeydown: (event) => {
      event.stopPropagation();
      if (event.key === "Enter") send();
      if (event.key === "Escape") onLeave();
    },
  });
  let typed = false; // and not yet asked for: no answer to something else may overwrite it
  function send() {
    typed = false;
    onQuery({ sql: input.value.trim() });
  }
  const apply = h("button", { type: "button", class: "nwb-btn", onclick: send }, icon("search", 14), words.apply);
  const problem = h("div", {
    id: listId,
    class: "nwb-filter-problem",
    role: "alert",
    hidden: true,
    dataset: { testid: "board-filter-problem" },
  });
  const statuses = h(
    "div",
    { class: "nwb-segments", role: "group", "aria-label": words.statusLabel },
    ...Object.entries(words.statuses).map(([value, label]) =>
      h(
        "button",
        { type: "button", class: "nwb-btn", dataset: { status: value }, onclick: () => onQuery({ status: value }) },
        label,
      ),
    ),
  );
  const priority = h(
    "button",
    {
      type: "button",
      class: "nwb-btn",
      title: words.priorityHint,
      "aria-pressed": "false",
      dataset: { testid: "board-priority" },
      onclick: () => doubtful(priority.getAttribute("aria-pressed") !== "true"),
    },
    icon("flag", 14),
    words.priority,
  );
  const minutes = h("input", {
    class: "nwb-input nwb-minutes",
    type: "number",
    min: 0,
    max: 9999,
    step: 1,
    inputmode: "numeric",
    placeholder: "–",
    "aria-label": words.minutesHave,
    title: words.minutesHint,
    dataset: { testid: "board-minutes" },
    onkeydown: (event) => {
      event.stopPropagation();
      if (event.key === "Enter") doubtful(true);
      if (event.key === "Escape") onLeave();
    },
    onchange: () => doubtful(true),
  });
  /** The order in which doubt comes first, within the minutes written beside it; or the source's order and all clips. */
  function doubtful(on) {
    const wanted = on ? Math.max(0, minutes.valueAsNumber || 0) : 0;
    if (on && asked.order_by === "priority" && asked.minutes === wanted) return;
    onQuery({ order_by: on ? "priority" : "", descending: false, minutes: wanted });
  }
  let asked = {};
  const total = h("span", { class: "nwb-num nwb-total", role: "status", dataset: { testid: "board-total" } });
  const clear = h(
    "button",
    { type: "button", class: "nwb-btn nwb-plain", hidden: true, dataset: { testid: "board-clear" }, onclick: clearAll },
    icon("clear", 13),
    words.clear,
  );
  function clearAll() {
    typed = false;
    onQuery({ sql: "", facets: {}, rule: "", tag: "", status: "all", minutes: 0 });
  }
  const bulk = h(
    "button",
    { type: "button", class: "nwb-btn nwb-plain", dataset: { testid: "board-bulk" }, onclick: onBulk },
    words.bulk,
  );
  const element = h(
    "div",
    { class: "nwb-filter" },
    h(
      "div",
      { class: "nwb-filter-row" },
      input,
      apply,
      statuses,
      h(
        "span",
        { class: "nwb-doubtful" },
        priority,
        minutes,
        h("span", { class: "nwb-muted", "aria-hidden": "true" }, words.minutesUnit),
      ),
    ),
    problem,
    h("div", { class: "nwb-filter-row nwb-filter-under" }, total, clear, h("span", { class: "nwb-spring" }), bulk),
  );

  function draw(query, summary) {
    if (!typed && document.activeElement !== input) input.value = query.sql;
    for (const b of statuses.children) set(b, { "aria-pressed": String(b.dataset.status === query.status) });
    set(priority, { "aria-pressed": String(query.order_by === "priority") });
    asked = query;
    if (document.activeElement !== minutes) minutes.value = query.minutes ? String(query.minutes) : "";
    const ranked =
      query.order_by === "priority" && summary.spent ? ` · ${words.spent(summary.spent, query.minutes)}` : "";
    total.textContent = `${words.clips(count(summary.total))} · ${words.minutes(summary.minutes)}${ranked}`;
    clear.hidden = !(
      query.sql ||
      query.rule ||
      query.tag ||
      query.status !== "all" ||
      query.minutes ||
      Object.values(query.facets ?? {}).some((v) => v.length)
    );
    bulk.disabled = !summary.pending;
    set(bulk, { title: words.bulkTitle(count(summary.pending)) });
    error("");
  }
  function error(message) {
    problem.hidden = !message;
    fill(problem, message ? icon("warn", 14) : null, message);
    set(input, { "aria-invalid": message ? "true" : null });
  }
  return {
    element,
    draw,
    error,
    setColumns: (names) => set(input, { title: words.columns(names.join(", ")) }),
    focus: () => {
      input.focus();
      input.select();
    },
  };
}

/** A modal sheet over the board; Esc and the veil close it. Returns {close}. */
export function openSheet(root, title, content, onClose) {
  const before = root.getRootNode().activeElement;
  const close = () => {
    veil.remove();
    onClose?.();
    before?.focus?.({ preventScroll: true });
  };
  const shut = h(
    "button",
    {
      type: "button",
      class: "nwb-btn nwb-plain nwb-icon-only",
      "aria-label": common.close,
      title: common.close,
      onclick: close,
    },
    icon("cross"),
  );
  const sheet = h(
    "div",
    { class: "nwb-sheet", role: "dialog", "aria-modal": "true", "aria-label": title, tabindex: -1 },
    h("div", { class: "nwb-sheet-head" }, h("h3", {}, title), shut),
    ...content,
  );
  const veil = h(
    "div",
    {
      class: "nwb-veil",
      onclick: (event) => event.target === veil && close(),
      onkeydown: (event) => {
        event.stopPropagation();
        if (event.key === "Escape" || event.key === "?") close();
        if (event.key === "Tab") keepIn(sheet, event);
      },
    },
    sheet,
  );
  root.append(veil);
  sheet.focus({ preventScroll: true });
  return { close };
}

function keepIn(sheet, event) {
  const stops = [...sheet.querySelectorAll("button, input")].filter((el) => !el.disabled);
  const [first, last] = [stops[0], stops.at(-1)];
  if (event.shiftKey && (event.target === first || event.target === sheet)) last.focus();
  else if (!event.shiftKey && event.target === last) first.focus();
  else return;
  event.preventDefault();
}

export const keysContent = () => [
  h("p", { class: "nwb-muted" }, words.keysNote),
  h(
    "ul",
    { class: "nwb-keys" },
    ...words.keys.map(([keys, what]) =>
      h(
        "li",
        {},
        h(
          "span",
          { class: "nwb-key-set" },
          ...keys.split(/\s+/).map((k) => (k === "·" ? h("span", { class: "nwb-muted" }, k) : h("kbd", {}, k))),
        ),
        h("span", {}, what),
      ),
    ),
  ),
];
