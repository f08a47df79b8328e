// The chosen clip: player, transcript edited in place, findings, other reviewers' words, and the decisions.
//
//   const clip = createClip({ channel, act, locales }); clip.show(row); clip.player; clip.edit(); clip.askReason()
//   act(action, body): decide; resolves when saved, rejects with a sentence for the user.
import { clock, fill, h, icon, set } from "./dom.js";
import { createPlayer, fetchClip } from "./player.js";
import { ruleName, saying } from "./board_table.js";
import { board as words } from "./strings.js";

const AUDIO_KEPT = 6;
const ABOUT = ["split", "domain", "source", "license", "recorded_at", "audio_filepath"];
let serial = 0;

export function createClip({ channel, act, go }) {
  const id = `nwb-clip-${(serial += 1)}`;
  let row = null;
  let wantsPlay = false;
  const audio = new Map(); // id → promise of a clip; the newest few

  const head = h("div", { class: "nwb-clip-head" });
  const stage = h("div", { class: "nwb-clip-player" });
  const player = createPlayer(stage, { height: 72, label: words.title });
  const text = h("textarea", {
    class: "nwb-input nwb-transcript",
    dir: "auto",
    rows: 1,
    readonly: true,
    spellcheck: "false",
    "aria-label": words.transcript,
    dataset: { testid: "board-transcript" },
    onkeydown: editKey,
    oninput: grow,
    ondblclick: edit,
    onblur: () => !text.readOnly && save(),
  });
  const original = h("div", { class: "nwb-original", hidden: true });
  const hint = h("div", { class: "nwb-edit-hint nwb-muted", hidden: true }, words.editHint);
  const problem = h("div", { class: "nwb-note nwb-bad nwb-clip-problem", role: "alert", hidden: true });
  const reasons = h("div", {
    class: "nwb-reasons",
    hidden: true,
    role: "group",
    "aria-label": words.whyReject,
    dataset: { testid: "board-reasons" },
  });
  const button = (name, key, tone, label, onclick) =>
    h(
      "button",
      {
        type: "button",
        class: `nwb-btn ${tone}`,
        onclick,
        title: label,
        "aria-label": label,
        dataset: { testid: `board-${name}` },
        "aria-keyshortcuts": key,
      },
      icon({ accept: "check", reject: "cross", edit: "pencil" }[name] ?? name, 15),
      tone === "nwb-plain" ? null : label,
      h("kbd", {}, key),
    );
  const buttons = {
    accept: button("accept", "A", "nwb-good", words.accept, () => go("accept")),
    reject: button("reject", "R", "nwb-bad", words.reject, () => go("reject")),
    edit: button("edit", "E", "", words.edit, () => go("edit")),
    undo: button("undo", "U", "", words.undo, () => go("undo")),
    previous: button("previous", "P", "nwb-plain", words.previous, () => go("previous")),
    next: button("next", "N", "nwb-plain", words.next, () => go("next")),
  };
  const autoplay = h("input", { type: "checkbox", onchange: () => go("autoplay") });
  const actions = h(
    "div",
    { class: "nwb-actions" },
    buttons.accept,
    buttons.reject,
    buttons.edit,
    buttons.undo,
    h("span", { class: "nwb-spring" }),
    h("label", { class: "nwb-check" }, autoplay, words.autoplay),
    buttons.previous,
    buttons.next,
  );
  const findings = h("div", { class: "nwb-findings" });
  const marks = h("div", { class: "nwb-marks" });
  const about = h("dl", { class: "nwb-about" });
  const history = h("details", { class: "nwb-history" });
  const element = h(
    "section",
    { class: "nwb-clip", "aria-label": words.transcript, dataset: { testid: "board-clip" } },
    h(
      "div",
      { class: "nwb-clip-main" },
      head,
      stage,
      h("div", { class: "nwb-transcript-box" }, text, hint, original),
      problem,
      reasons,
      actions,
    ),
    h("div", { class: "nwb-clip-side" }, findings, marks, about, history),
  );

  function load(key) {
    if (!audio.has(key)) {
      const promise = fetchClip(channel, key);
      promise.catch(() => audio.delete(key));
      audio.set(key, promise);
      for (const old of [...audio.keys()].slice(0, Math.max(0, audio.size - AUDIO_KEPT))) audio.delete(old);
    }
    return audio.get(key);
  }

  /** Play or pause; while the recording is on its way, play it on arrival. */
  function playWhenReady() {
    if (player.ready) player.toggle();
    else wantsPlay = true;
  }

  /** Show a row, whole or as the table has it; loads the recording when the clip is another one. */
  async function show(next, { play = false } = {}) {
    const same = row?.id === next?.id;
    if (!same && !text.readOnly) void save(); // of the clip being left: it reads `row` before the next line
    row = next;
    element.classList.toggle("nwb-nothing", !row);
    if (!row) {
      player.unload();
      return;
    }
    draw();
    if (same) return;
    closeReasons();
    problem.hidden = true;
    player.unload();
    wantsPlay = play;
    const wanted = row.id;
    try {
      const clip = await load(wanted);
      if (row?.id !== wanted) return;
      await player.load(clip);
      if (wantsPlay && row?.id === wanted) await player.play();
      wantsPlay = false;
    } catch (error) {
      if (row?.id === wanted && !error.lost) player.unload(error.message, { bad: true });
    }
  }

  function draw() {
    element.dataset.status = row.status ?? "";
    fill(
      head,
      h(
        "span",
        {
          class: `nwb-tag ${{ accepted: "nwb-good", rejected: "nwb-bad" }[row.status] ?? "nwb-accent"}`,
          dataset: { testid: "board-status" },
        },
        row.status === "accepted" ? icon("check", 12) : row.status === "rejected" ? icon("cross", 12) : null,
        words.status[row.status] ?? "",
      ),
      row.reason ? h("span", { class: "nwb-muted", dir: "auto" }, row.reason) : null,
      h("span", { class: "nwb-clip-id", title: row.id }, h("bdi", {}, row.id)),
    );
    if (text.readOnly) {
      text.value = row.text ?? "";
      grow();
    }
    const was = row.original_text;
    const changed = was !== undefined && was !== null && was !== row.text;
    original.hidden = !changed;
    if (changed) fill(original, h("span", { class: "nwb-muted" }, `${words.original}: `), h("bdi", {}, was));
    drawFindings();
    drawMarks();
    drawAbout();
    drawHistory();
  }

  function drawFindings() {
    const found = row.findings ?? [];
    const why = row.why
      ? h(
          "div",
          { class: "nwb-why", dataset: { testid: "board-why" } },
          h("span", { class: "nwb-muted" }, `${words.why}: `),
          row.why.split(", ").map(ruleName).join(", "),
        )
      : null;
    fill(
      findings,
      h("h4", {}, words.findings),
      why,
      ...(row.tags ?? []).map(tagged),
      ...(found.length
        ? found.map((f) =>
            h(
              "div",
              { class: `nwb-finding nwb-${{ error: "bad", warning: "warn" }[f.severity] ?? "calm"}` },
              icon(f.severity === "error" ? "warn" : "info", 14),
              h(
                "div",
                {},
                h("strong", {}, ruleName(f.rule)),
                h("div", { dir: "auto" }, f.reason ?? ""),
                f.hint ? h("div", { class: "nwb-muted" }, f.hint) : null,
              ),
            ),
          )
        : row.tags?.length
          ? []
          : [h("div", { class: "nwb-muted" }, words.noFindings)]),
    );
  }

  /** Why the clip was sent here, to be taken off once it is dealt with. */
  const tagged = (tag) =>
    h(
      "div",
      { class: "nwb-finding nwb-tagged", dataset: { testid: "board-tag" } },
      icon("flag", 14),
      h("div", { dir: "auto" }, tag),
      h(
        "button",
        {
          type: "button",
          class: "nwb-btn nwb-plain nwb-icon-only",
          "aria-label": words.untag(tag),
          title: words.untag(tag),
          onclick: () => decide("untag", { value: tag }, words.done.untagged),
        },
        icon("check", 13),
      ),
    );

  function drawMarks() {
    const others = row.others ?? [];
    marks.hidden = !others.length;
    fill(
      marks,
      h("h4", {}, words.marks),
      ...others.map((o) =>
        h(
          "div",
          { class: `nwb-finding ${o.differs ? "nwb-warn" : "nwb-calm"}` },
          icon(o.differs ? "warn" : "person", 14),
          h(
            "div",
            {},
            h("strong", {}, h("bdi", {}, o.reviewer)),
            h("div", { dir: "auto" }, saying(o)),
            o.differs ? settle(o) : null,
          ),
        ),
      ),
    );
  }

  /** Two reviewers differ: either word can be made the one that holds. */
  function settle(other) {
    const mine = (row.history ?? []).findLast(
      (e) => e.stands && e.reviewer !== other.reviewer && e.field === other.field,
    );
    const take = (word) =>
      decide("resolve", { field: other.field, value: word.value, reason: word.reason }, words.done.settled);
    return h(
      "div",
      { class: "nwb-settle" },
      h("button", { type: "button", class: "nwb-btn", onclick: () => take(other) }, words.takeTheirs),
      mine ? h("button", { type: "button", class: "nwb-btn", onclick: () => take(mine) }, words.keepMine) : null,
    );
  }

  function drawAbout() {
    const fact = (name, value) =>
      value ? [h("dt", {}, words.fields[name] ?? name), h("dd", {}, h("bdi", {}, value))] : [];
    fill(
      about,
      ...field("target_lang"),
      ...field("accent"),
      ...field("speaker"),
      ...fact("duration", `${clock(row.duration, 2)}`),
      ...ABOUT.flatMap((name) => fact(name, row[name])),
    );
  }

  /** A fact that a reviewer may set right: saved on Enter or when left. */
  function field(name) {
    const input = h("input", {
      class: "nwb-field",
      dir: "auto",
      value: row[name] ?? "",
      placeholder: words.none,
      "aria-label": words.fields[name],
      spellcheck: "false",
      list: `nwb-values-${name}`,
      dataset: { testid: `board-field-${name}` },
    });
    const keep = async () => {
      const value = input.value.trim();
      if (value === (row[name] ?? "")) return;
      const done = await decide("edit", { field: name, value: value || null }, words.done.field(words.fields[name]));
      if (!done) input.value = row[name] ?? "";
    };
    set(input, {
      onchange: keep,
      onkeydown: (event) => {
        if (event.key === "Escape") input.value = row[name] ?? "";
        if (event.key === "Enter" || event.key === "Escape") {
          event.stopPropagation();
          go("focus"); // leaving the field saves it
        }
      },
    });
    return [h("dt", {}, words.fields[name]), h("dd", {}, input)];
  }

  function drawHistory() {
    const events = row.history ?? [];
    history.hidden = !events.length;
    const line = (e) =>
      h(
        "li",
        { class: e.stands ? "" : "nwb-undone" },
        h("bdi", {}, e.reviewer),
        " · ",
        e.field === "status" ? (words.status[e.value] ?? e.value) : `${words.fields[e.field] ?? e.field}: `,
        e.field === "status" ? (e.reason ? `: ${e.reason}` : "") : h("bdi", {}, e.value ?? words.none),
        h(
          "time",
          { class: "nwb-muted", datetime: e.at },
          ` ${new Date(e.at).toLocaleString([], { dateStyle: "short", timeStyle: "short" })}`,
        ),
      );
    fill(
      history,
      h("summary", {}, words.history(events.length)),
      h("ol", {}, ...events.toReversed().slice(0, 50).map(line)),
    );
  }

  /** The kernel's answer; null where it refused, which is said beside the transcript. */
  async function decide(action, body, message) {
    try {
      const answer = await act(action, { id: row.id, ...body }, message);
      problem.hidden = true;
      return answer;
    } catch (error) {
      fill(problem, icon("warn"), error.message);
      problem.hidden = false;
      return null;
    }
  }

  function edit() {
    if (!row || channel.lost) return;
    text.readOnly = false;
    hint.hidden = false;
    text.focus();
    text.setSelectionRange(text.value.length, text.value.length);
  }
  function editKey(event) {
    if (text.readOnly) return;
    event.stopPropagation();
    if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      save().then(() => go("focus"));
    } else if (event.key === "Escape") {
      text.value = row.text ?? "";
      leave();
      go("focus");
    }
  }
  function leave() {
    text.readOnly = true;
    hint.hidden = true;
    grow();
  }
  async function save() {
    const [value, edited] = [text.value, row];
    leave();
    if (!edited || value === (edited.text ?? "")) return;
    const done = await decide("edit", { field: "text", value }, words.done.edit);
    if (!done && row?.id === edited.id) {
      text.value = value; // what was typed is not thrown away
      text.readOnly = false;
      hint.hidden = false;
    }
  }
  function grow() {
    text.style.height = "auto";
    text.style.height = `${Math.min(160, Math.max(42, text.scrollHeight + 2))}px`;
  }

  function askReason(onReason) {
    const other = h("input", {
      class: "nwb-input",
      dir: "auto",
      placeholder: words.otherReason,
      "aria-label": words.otherReason,
      maxlength: 200,
      onkeydown: (event) => {
        if (event.key === "Enter" && other.value.trim()) choose(other.value.trim());
        if (event.key === "Enter" || event.key === "Escape") event.stopPropagation();
        if (event.key === "Escape") closeReasons(true);
      },
    });
    const choose = (reason) => {
      closeReasons(true);
      onReason(reason);
    };
    const choices = words.reasons.map((reason, i) =>
      h("button", { type: "button", class: "nwb-btn", onclick: () => choose(reason) }, h("kbd", {}, i + 1), reason),
    );
    fill(
      reasons,
      h("div", { class: "nwb-reasons-title" }, words.whyReject),
      ...choices,
      other,
      h(
        "button",
        { type: "button", class: "nwb-btn nwb-plain", onclick: () => closeReasons(true) },
        words.cancel,
        h("kbd", {}, "Esc"),
      ),
    );
    reasons.hidden = false;
    reasons.choose = (n) => n >= 1 && n <= words.reasons.length && choose(words.reasons[n - 1]);
    reasons.scrollIntoView({ block: "nearest" });
  }
  function closeReasons(focus = false) {
    if (reasons.hidden) return;
    reasons.hidden = true;
    if (focus) go("focus");
  }

  return {
    element,
    player,
    show,
    edit,
    playWhenReady,
    decide,
    askReason,
    closeReasons,
    id,
    get row() {
      return row;
    },
    get asking() {
      return !reasons.hidden;
    },
    chooseReason: (n) => reasons.choose?.(n),
    prefetch: (key) => void load(key).catch(() => {}),
    get autoplay() {
      return autoplay.checked;
    },
    set autoplay(on) {
      autoplay.checked = on;
    },
    setEnabled(on) {
      for (const b of Object.values(buttons)) b.disabled = !on;
    },
    destroy: () => player.destroy(),
  };
}
