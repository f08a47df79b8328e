// The board: joins head, filter, bars, table and clip; keys; what is kept over a reload and a kernel restart.
import { createFilter, createHead, keysContent, openSheet } from "./board_bars.js";
import { createClip } from "./board_clip.js";
import { createSide } from "./board_side.js";
import { createTable } from "./board_table.js";
import { openChannel } from "./channel.js";
import { count, debounce, fill, h, icon } from "./dom.js";
import { board as words, common } from "./strings.js";

const SYNC_MS = 8000;

async function render({ model, el }) {
  const channel = openChannel(model);
  const state = {
    query: { sql: "", facets: {}, status: "all", rule: "", tag: "", order_by: "", descending: false, minutes: 0 },
    summary: { total: 0, minutes: 0, pending: 0 },
    name: "",
    reviewer: "",
    selected: null,
    key: null,
    checks: null,
    sheet: null,
    opening: false,
  };

  const head = createHead({ onHelp: help });
  const filter = createFilter({ onQuery: ask, onBulk: bulk, onLeave: () => table.focus() });
  const side = createSide({
    onFacet: (name, values) => ask({ facets: { ...state.query.facets, [name]: values } }),
    onRule: (rule) => ask({ rule }),
    onTag: (tag) => ask({ tag }),
  });
  const table = createTable({
    fetchRows: async (offset, limit) => (await channel.ask("rows", { offset, limit })).rows,
    onSelect: (place) => {
      choose(place, { play: false });
      table.focus();
    },
    onSort: sort,
  });
  const clip = createClip({ channel, act, go });
  const lost = h("div", {
    class: "nwb-note nwb-warn nwb-lost",
    role: "alert",
    hidden: true,
    dataset: { testid: "board-lost" },
  });
  const said = h("div", {
    class: "nwb-said",
    role: "status",
    "aria-live": "polite",
    dataset: { testid: "board-said" },
  });
  const foot = h(
    "footer",
    { class: "nwb-foot" },
    said,
    h("span", { class: "nwb-spring" }),
    ...words.bar.map(([key, what]) => h("span", { class: "nwb-foot-key" }, h("kbd", {}, key), what)),
  );
  const locales = h("datalist", { id: "nwb-values-target_lang" });
  const accents = h("datalist", { id: "nwb-values-accent" });
  const root = h(
    "div",
    {
      class: "nwb nwb-board",
      "data-lm-suppress-shortcuts": "true",
      tabindex: -1,
      role: "region",
      "aria-label": words.title,
      dataset: { testid: "board" },
      onkeydown: key,
    },
    head.element,
    lost,
    filter.element,
    h("div", { class: "nwb-body" }, side.element, h("div", { class: "nwb-main" }, table.element, clip.element)),
    foot,
    locales,
    accents,
  );
  el.append(root);

  // -- talking to the kernel ----------------------------------------------------------------------------

  function take(summary) {
    state.summary = summary;
    state.query = summary.query;
    if (summary.findings_known) state.checks = true;
    filter.draw(summary.query, summary);
    side.draw(summary.facets, summary.query, state.checks, summary.not_run);
    head.draw(state.name, summary.progress, state.reviewer);
    table.setSort(summary.query.order_by, summary.query.descending);
    fill(accents, ...(summary.facets.accent ?? []).filter((b) => b.value).map((b) => h("option", { value: b.value })));
  }

  async function ask(change) {
    const query = { ...state.query, ...change };
    try {
      const summary = await channel.ask("query", { query, selected: state.selected });
      const inside = root.contains(document.activeElement);
      take(summary);
      if (inside && (!root.contains(document.activeElement) || document.activeElement.hidden)) table.focus(); // its button is gone
      table.reset(summary.total);
      remember();
      const place = "order_by" in change || "minutes" in change ? 0 : (summary.place ?? 0); // a new order is read from its top
      if (summary.total) choose(place);
      else {
        state.selected = null;
        clip.show(null);
      }
    } catch (error) {
      if ("sql" in change) filter.error(error.message);
      else say(error.message);
    }
  }

  /** A head's first click sorts upwards, the second downwards, the third brings the source's order back. */
  function sort(name) {
    const { order_by: now, descending } = state.query;
    if (now !== name) ask({ order_by: name, descending: false, minutes: 0 });
    else ask(descending ? { order_by: "", descending: false } : { descending: true });
  }

  async function act(action, body, message) {
    head.saved("saving");
    try {
      const answer = await channel.ask("decide", { action, ...body });
      head.saved("saved");
      noteRow(answer.row);
      progress(answer.progress);
      if (message) say(message);
      return answer;
    } catch (error) {
      head.saved(error.fault || error.lost ? error : "");
      throw error;
    }
  }

  function noteRow(row) {
    table.update(row);
    if (clip.row?.id === row.id) clip.show(row);
  }
  function progress(now) {
    if (!now) return;
    state.summary.progress = now;
    head.draw(state.name, now, state.reviewer);
    refreshBars();
  }
  const refreshBars = debounce(async () => {
    try {
      const bars = await channel.ask("bars");
      Object.assign(state.summary, bars);
      filter.draw(state.query, state.summary);
      side.draw(bars.facets, state.query, state.checks, state.summary.not_run);
    } catch {
      /* the next decision tries again */
    }
  }, 250);

  // -- choosing and deciding ----------------------------------------------------------------------------

  const details = debounce(async (id, place, play) => {
    try {
      const row = await channel.ask("details", { id });
      if (state.selected === id) await present(row, place, play);
    } catch (error) {
      arrive();
      if (!error.lost) say(error.message);
    }
  }, 60);

  async function present(row, place, play) {
    const heard = clip.show(row, { play });
    arrive();
    await heard;
    const after = table.row(place + 1);
    if (after && state.selected === row.id) clip.prefetch(after.id);
  }

  /** Resolves once the clip shown is the one chosen, so that no key decides on a clip not yet on screen. */
  const arrivals = new Set();
  function arrive() {
    for (const done of arrivals) done();
    arrivals.clear();
  }
  const settled = () =>
    clip.row?.id === state.selected ? Promise.resolve() : new Promise((done) => arrivals.add(done));

  /** `whole`: the clip's details, where they came along with an answer. */
  async function choose(place, { play = clip.autoplay, whole = null } = {}) {
    if (place === null || place === undefined || place < 0 || place >= table.total) return;
    table.select(place);
    const turn = (choose.turn = (choose.turn ?? 0) + 1);
    let row = whole ?? table.row(place);
    if (!row) {
      try {
        [row] = (await channel.ask("rows", { offset: place, limit: 1 })).rows;
      } catch (error) {
        if (!error.lost) say(error.message);
        return;
      }
    }
    if (turn !== choose.turn || !row) return;
    state.selected = row.id;
    remember();
    if (whole) void present(whole, place, play);
    else details(row.id, place, play);
  }

  async function nextUndecided(step = 1) {
    const { place } = await channel.ask("next", { place: table.selected, step, pending: true });
    if (place === null) say(words.done.end);
    else await choose(place);
    await settled();
  }

  async function decideAndGo(action, body, message) {
    if (!clip.row || clip.row.id !== state.selected) return;
    const answer = await clip.decide(action, { ...body, place: table.selected }, message);
    if (!answer) return;
    if (answer.next === null) say(words.done.end);
    else await choose(answer.next, { whole: answer.next_row });
    await settled();
  }

  async function undo(redo) {
    head.saved("saving");
    try {
      const answer = await channel.ask("undo", { redo });
      head.saved("saved");
      if (!answer.event) return say(redo ? words.done.nothingToRedo : words.done.nothingToUndo);
      progress(answer.progress);
      if (answer.row) noteRow(answer.row);
      else await table.reload();
      say(redo ? words.done.redone : words.done.undone);
      if (answer.place !== null && answer.id !== state.selected)
        await choose(answer.place, { play: false, whole: answer.row });
      else if (clip.row && !answer.row) noteRow(await channel.ask("details", { id: clip.row.id }));
    } catch (error) {
      head.saved(error);
      say(error.message);
    }
  }

  const commands = {
    play: () => clip.playWhenReady(),
    accept: () => decideAndGo("accept", {}, words.done.accept),
    reject: () =>
      clip.row &&
      clip.askReason((reason) => enqueue(() => decideAndGo("reject", { reason }, words.done.reject(reason)))),
    reopen: () => clip.row && clip.decide("reopen", {}, words.done.reopen),
    edit: () => clip.edit(),
    next: () => nextUndecided(1),
    previous: () => nextUndecided(-1),
    undo: () => undo(false),
    redo: () => undo(true),
    autoplay: () => {
      remember();
      table.focus();
    },
    focus: () => table.focus(),
    filter: () => filter.focus(),
    help,
  };
  // Commands run one after the other, so that keys pressed ahead of a slow kernel meet the clip they were meant for.
  let queue = Promise.resolve();
  let waiting = 0;
  function enqueue(work) {
    waiting += 1;
    queue = queue
      .then(settled)
      .then(work)
      .catch((error) => !error.lost && say(error.message))
      .finally(() => (waiting -= 1));
  }
  function go(name) {
    if (channel.lost && name !== "focus") return;
    if (["focus", "filter", "help", "autoplay"].includes(name)) {
      commands[name]();
      return;
    }
    if (name === "edit") state.opening = true; // until it is open, typed letters are no commands
    enqueue(async () => {
      try {
        await commands[name]();
      } finally {
        if (name === "edit") state.opening = false;
      }
    });
    if (name !== "edit") table.focus(); // so that Space never presses the button again
  }

  // -- keys ---------------------------------------------------------------------------------------------

  const player = clip.player;
  const KEYS = {
    " ": "play",
    a: "accept",
    r: "reject",
    e: "edit",
    n: "next",
    p: "previous",
    u: "undo",
    y: "redo",
    o: "reopen",
    "/": "filter",
    "?": "help",
    l: () => player.toggleLoop(),
    s: () => {
      player.toggleSpectrogram();
      remember();
    },
    ArrowLeft: () => player.seek(player.time_s - 1),
    ArrowRight: () => player.seek(player.time_s + 1),
    "[": () => player.stepSpeed(-1),
    "]": () => player.stepSpeed(1),
    "+": () => player.zoom(1),
    "=": () => player.zoom(1),
    "-": () => player.zoom(-1),
    0: () => player.zoom(0),
    ArrowDown: () => choose(Math.min(table.total - 1, table.selected + 1)),
    ArrowUp: () => choose(Math.max(0, table.selected - 1)),
    PageDown: () => choose(Math.min(table.total - 1, table.selected + table.pageSize())),
    PageUp: () => choose(Math.max(0, table.selected - table.pageSize())),
    Home: () => choose(0),
    End: () => choose(table.total - 1),
    Escape: () => (clip.asking ? clip.closeReasons(true) : table.focus()),
  };
  function key(event) {
    const target = event.target;
    const typing = target.matches("input:not([type=checkbox]), select, textarea:not([readonly])");
    const native =
      target.matches("button, summary, [type=checkbox]") &&
      (event.key === "Enter" || (event.key === " " && target.matches(":focus-visible")));
    const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if ((event.ctrlKey || event.metaKey) && !typing && letter === "z")
      return run(event, event.shiftKey ? "redo" : "undo");
    if (typing || native || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return undefined;
    if (state.opening) return run(event, () => {});
    if ((clip.asking || waiting) && /^[1-9]$/.test(event.key))
      return run(event, () => enqueue(() => clip.chooseReason(Number(event.key))));
    const what = KEYS[letter];
    return what ? run(event, what) : undefined;
  }
  function run(event, what) {
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat && typeof what === "string") return; // holding a key never decides twice
    if (typeof what === "string") go(what);
    else what();
  }

  // -- sheets -------------------------------------------------------------------------------------------

  function help() {
    if (!state.sheet) state.sheet = openSheet(root, words.keysTitle, keysContent(), () => (state.sheet = null));
  }
  function bulk() {
    const n = state.summary.pending;
    const send = async (action, reason) => {
      state.sheet?.close();
      head.saved("saving");
      try {
        const answer = await channel.ask("bulk", { action, reason, expected: n });
        head.saved("saved");
        await table.reload();
        progress(answer.progress);
        if (clip.row) noteRow(await channel.ask("details", { id: clip.row.id }));
        say(words.bulkDone(count(answer.clips)));
      } catch (error) {
        head.saved(error);
        say(error.message);
      }
    };
    const reasons = words.reasons.map((reason) =>
      h("button", { type: "button", class: "nwb-btn", onclick: () => send("reject", reason) }, reason),
    );
    state.sheet = openSheet(
      root,
      words.bulkTitle(count(n)),
      [
        h("p", { class: "nwb-muted" }, words.bulkNote),
        h(
          "button",
          { type: "button", class: "nwb-btn nwb-good", onclick: () => send("accept") },
          icon("check"),
          words.bulkAccept(count(n)),
        ),
        h("p", {}, words.bulkReject(count(n))),
        h("div", { class: "nwb-bulk-reasons" }, ...reasons),
      ],
      () => (state.sheet = null),
    );
  }

  // -- remembering, losing and finding the kernel --------------------------------------------------------

  const ui = () => ({ selected: state.selected, autoplay: clip.autoplay });
  const remember = debounce(() => {
    if (!state.key || channel.lost) return;
    channel.ask("remember", ui()).catch(() => {});
    try {
      sessionStorage.setItem(state.key, JSON.stringify({ query: state.query, ui: ui() }));
    } catch {
      /* a browser may refuse storage; the board works without */
    }
  }, 200);
  function say(message) {
    said.textContent = message;
  }

  channel.onLost(() => {
    root.classList.add("nwb-is-lost");
    clip.setEnabled(false);
    fill(lost, icon("warn"), h("div", {}, h("strong", {}, common.kernelLost), " ", common.kernelLostMend));
    lost.hidden = false;
  });
  channel.on("checks", (body) => {
    state.checks = body.error ? { error: body.error } : true;
    if (body.facets) Object.assign(state.summary, { facets: body.facets, not_run: body.not_run });
    side.draw(state.summary.facets ?? {}, state.query, state.checks, state.summary.not_run);
    if (!body.error) table.reload().catch(() => {});
    if (clip.row)
      channel
        .ask("details", { id: clip.row.id })
        .then(noteRow)
        .catch(() => {});
  });
  const timer = setInterval(async () => {
    if (channel.lost || document.hidden || !state.key) return;
    try {
      const { clips, progress: now } = await channel.ask("sync");
      if (!clips.length) return;
      await table.reload();
      progress(now);
      if (clips.includes(state.selected)) noteRow(await channel.ask("details", { id: state.selected }));
      say(words.done.changedElsewhere(count(clips.length)));
    } catch {
      /* shown when the kernel is lost */
    }
  }, SYNC_MS);

  await start();

  async function start() {
    const first = await channel.ask("open", {});
    const stored = `nemotron-workbench.board.${first.memory_key}`;
    let remembered = null;
    try {
      remembered = JSON.parse(sessionStorage.getItem(stored));
    } catch {
      /* nothing usable is stored */
    }
    const opened = remembered && !first.ui.selected ? await channel.ask("open", { remembered }) : first;
    Object.assign(state, { key: stored, name: opened.name, reviewer: opened.reviewer });
    clip.autoplay = Boolean(opened.ui.autoplay);
    fill(locales, ...opened.locales.map((tag) => h("option", { value: tag })));
    filter.setColumns(opened.columns);
    take(opened);
    table.reset(opened.total, opened.all ? words.empty : words.emptyCorpus);
    if (opened.total) await choose(opened.place ?? 0, { play: false });
    else clip.show(null);
    root.dataset.ready = "1";
  }

  return () => {
    clearInterval(timer);
    clip.destroy();
    channel.close();
  };
}

export default { render };
