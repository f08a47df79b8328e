"""The sections of the report, each from the summary to HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from typing import Any

from workbench.evaluation import readings
from workbench.evaluation.confounding import in_short
from workbench.evaluation.report_parts import (
    column_name,
    heat_map,
    interval_plot,
    mark_of,
    number,
    p_value,
    percent,
    points,
    slice_name,
    span,
    table,
    text,
    words,
)

Summary = dict[str, Any]
Columns = list[tuple[str, Callable[[dict[str, Any]], str], bool]]
_KEY = (
    "† these voices only: fewer speakers than an interval over speakers needs, so it speaks for the voices "
    "recorded and nobody else. ‡ speakers unknown: the interval is over utterances and too narrow. "
    "~ provisional: few words. Hatched: not enough data to give a rate. Stronger color: higher rate."
)


def scope(summary: Summary) -> str:
    sets = len(summary["predictions"])
    count = f"{number(summary['utterances'])} utterances, {sets} set{'s' * (sets != 1)} of transcripts"
    return f'<p class="soft">{count}.</p>'


def opening(summary: Summary) -> str:
    """The findings that matter most to the pilot, at most five; the first line is the answer."""
    return said([item["sentence"] for item in summary["findings"]])


def said(sentences: Sequence[str]) -> str:
    """Sentences in the box that opens a page; nothing where there are none."""
    lines = [f"<li>{text(sentence)}</li>" for sentence in sentences]
    return f'<div class="say"><ol>{"".join(lines)}</ol></div>' if lines else ""


def headline(summary: Summary) -> str:
    lines = [
        _gap_sentence(name, found["gap"], summary["by"])
        for name, found in summary["predictions"].items()
        if found["gap"]
    ]
    said = f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>" if lines else ""
    rows = [
        {"name": name, **found, "head": head}
        for name, found in summary["predictions"].items()
        for head in found["headlines"]
    ]
    heads: Columns = [
        ("transcripts", lambda r: text(r["name"]), False),
        ("headline", lambda r: text(r["head"]["kind"]), False),
        ("unit", lambda r: text(r["head"]["unit"]), False),
        ("error rate", lambda r: percent(r["head"]["rate"]), True),
        ("locales", lambda r: number(r["head"]["locales"]), True),
        ("without", lambda r: text(", ".join(r["head"]["missing"]) or "none"), False),
    ]
    whole = [{"name": name, **found} for name, found in summary["predictions"].items()]
    rates: Columns = [
        ("transcripts", lambda r: text(r["name"]), False),
        ("normalized", lambda r: percent(r["overall"]["rate"]) + mark_of(r["overall"]), True),
        ("interval", lambda r: span(r["overall"]["low"], r["overall"]["high"]), True),
        ("interval over", lambda r: text(_kind(r["overall"])), False),
        ("raw (case and punctuation count)", lambda r: percent(r["overall_raw"]["rate"]), True),
        ("not in this row", lambda r: text(r["overall"]["left_out"] or "nothing"), False),
    ]
    counts: Columns = [
        ("transcripts", lambda r: text(r["name"]), False),
        ("substituted", lambda r: number(r["overall"]["substitutions"]), True),
        ("inserted", lambda r: number(r["overall"]["insertions"]), True),
        ("deleted", lambda r: number(r["overall"]["deletions"]), True),
        ("of units", lambda r: number(r["overall"]["reference_units"]), True),
        ("invented in silence", lambda r: number(r["overall"]["invented"]), True),
        ("empty outputs", lambda r: number(r["overall"]["empty_hypotheses"]), True),
        ("not transcribed", lambda r: number(r["facts"]["missing"]), True),
    ]
    return (
        "<h2>Headline</h2>"
        + table("All errors pooled; each locale counted alike; weighted by the pilot's calls", rows, heads)
        + said
        + table("Normalized and raw are two measures: never compare them.", whole, rates)
        + table("What the errors are", whole, counts)
    )


def _kind(record: dict[str, Any]) -> str:
    if record["interval_kind"] == "speakers":
        return f"{number(record['speakers'])} speakers"
    return str(record["no_interval"] or record["interval_kind"])


def _gap_sentence(name: str, gap: dict[str, Any], by: list[str]) -> str:
    worst, best = slice_name(gap["worst"], by), slice_name(gap["best"], by)
    sure = "their intervals overlap" if gap["overlap"] else "their intervals do not overlap"
    sure += "" if gap["interval_kind"] == "speakers" else f"; {gap['interval_kind']}"
    ratio = ""
    if gap["ratio"] is not None:
        ratio = f", {gap['ratio']:.1f} times{_between(gap['ratio_low'], gap['ratio_high'], _times)}"
    return (
        f"{text(name)} serves {escape(worst)} worst ({percent(gap['worst_rate'])}) and {escape(best)} best "
        f"({percent(gap['best_rate'])}): a gap of {100 * gap['gap']:.1f} points"
        f"{_between(gap['gap_low'], gap['gap_high'], _hundred)}{ratio}; {sure}. The two were picked after "
        "seeing the rates, so the gap is likely to be smaller on new recordings."
    )


def _between(low: float | None, high: float | None, show: Callable[[float | None], str]) -> str:
    return "" if low is None or high is None else f" ({span(low, high, show)})"


def _hundred(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}".replace("-", "−")


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def call(row: dict[str, Any]) -> str:
    """Direction of a difference, in the words used everywhere."""
    return str(readings.direction(row))


def warnings(summary: Summary, *, each: bool = True) -> str:
    """What puts the figures in doubt: one sentence a cause; ``each``: and every finding behind *more*."""
    causes: dict[tuple[str, str], list[str]] = {}
    for problem in summary["problems"]:
        causes.setdefault((str(problem["what"]), str(problem["hint"])), []).append(str(problem["file"]))
    lines = [
        f"{text(', '.join(files))}: {text(what)}. {text(hint)}" for (what, hint), files in causes.items()
    ]
    findings = summary["confounded"]
    lines += [f"{text(sentence)}." for sentence in in_short(findings)]
    if not lines:
        return ""
    all_ = [f"<li>{text(found['sentence'])} ({text(found['where'])}).</li>" for found in findings]
    more = f"<details><summary>Each finding</summary><ul>{''.join(all_)}</ul></details>"
    more = more if each and all_ else ""
    listed = "".join(f"<li>{line}</li>" for line in lines)
    return f'<div class="warn"><b>Before you read on</b><ul>{listed}</ul>{more}</div>'


def heat_maps(summary: Summary) -> str:
    parts = [f"<h2>Who is badly served</h2><p class=soft>{_KEY}</p>"]
    for name, found in summary["predictions"].items():
        parts.append(heat_map(f"{name}: error rate and interval", found["slices"], summary["by"]))
        title = f"{name}: slices, highest error first; dashed line: everything"
        parts.append(interval_plot(title, found["slices"], summary["by"], found["overall"]["rate"]))
    return "".join(parts)


def comparisons(summary: Summary) -> str:
    parts = []
    for found in summary["comparisons"]:
        parts.append(f"<h3>{text(found['other'])} against {text(found['base'])}</h3>")
        rows = [found["overall"], *found["slices"]] if found["overall"] else found["slices"]
        parts.append(_comparison_table(rows, summary["by"]))
        for cut, cut_rows in found["cuts"].items():
            parts.append(_comparison_table(cut_rows, [cut]))
    if not parts:
        return ""
    note = (
        "Difference in points on the same utterances; below zero is better. The verdict uses the test over "
        "speakers with Holm's correction over the slices of its table. The matched-pairs test takes "
        "segments as independent and is too sure where voices differ."
    )
    stable = table(
        "Punctuation and capitals that change where the words agree",
        summary["stability"],
        [
            ("pair", lambda r: f"{text(r['b'])} against {text(r['a'])}", False),
            ("same words", lambda r: number(r["same_words"]), True),
            ("punctuation changed", lambda r: percent(r["punctuation_changed_share"]), True),
            ("case changed", lambda r: percent(r["case_changed_share"]), True),
        ],
    )
    return f"<h2>Is the difference real</h2><p>{note}</p>" + "".join(parts) + stable


def _comparison_table(rows: list[dict[str, Any]], by: list[str]) -> str:
    columns: Columns = [
        (" × ".join(map(column_name, by)), lambda r: escape(slice_name(r, by)) + mark_of(r), False),
        ("from", lambda r: percent(r["rate_a"]), True),
        ("to", lambda r: percent(r["rate_b"]), True),
        ("difference", lambda r: points(r["difference"]), True),
        ("interval", lambda r: span(r["low"], r["high"], points), True),
        ("p (Holm)", lambda r: p_value(r["p_holm"]), True),
        ("p matched pairs (Holm)", lambda r: p_value(r["p_matched_pairs_holm"]), True),
        ("better / worse", lambda r: f"{number(r['better'])} / {number(r['worse'])}", True),
        ("verdict", call, False),
        ("confounded", lambda r: text(r.get("confounded")), False),
    ]
    return table(
        "By " + " × ".join(map(column_name, by)),
        rows,
        columns,
        lambda r: "gray" if r["enough"] == "no" else "",
    )


def collect(summary: Summary) -> str:
    parts = []
    for name, found in summary["predictions"].items():
        columns: Columns = [
            ("slice", lambda r: escape(slice_name(r, summary["by"])), False),
            ("why and what", lambda r: text(r["advice"]), False),
        ]
        parts.append(table(f"{name}: most urgent first", found["collect"][:15], columns))
    return "<h2>What to collect or fix next</h2>" + "".join(parts) if any(parts) else ""


def silences(summary: Summary) -> str:
    """Speech invented where nothing was said, by locale."""
    parts = []
    for name, found in summary["predictions"].items():
        columns: Columns = [
            ("locale", lambda r: text(r["target_lang"]), False),
            ("utterances without a word", lambda r: number(r["silent"]), True),
            ("of them with invented words", lambda r: number(r["invented"]), True),
            ("share", lambda r: percent(r["rate"]), True),
            ("interval", lambda r: span(r["low"], r["high"]), True),
            ("words invented", lambda r: number(r["words"]), True),
        ]
        parts.append(table(f"{name}: in no error rate above", found["silence"], columns))
    return "<h2>Speech invented in silence</h2>" + "".join(parts) if any(parts) else ""


def cuts(summary: Summary) -> str:
    parts = []
    for name, found in summary["predictions"].items():
        for cut, rows in found["cuts"].items():
            parts.append(_rate_table(f"{name} by {column_name(cut)}", rows, [cut]))
    return "<h2>Other slices</h2>" + "".join(parts) if parts else ""


def _rate_table(caption: str, rows: list[dict[str, Any]], by: list[str]) -> str:
    columns: Columns = [
        (" × ".join(map(column_name, by)), lambda r: escape(slice_name(r, by)), False),
        ("error rate", _rate_cell, True),
        ("interval", lambda r: span(r["low"], r["high"]), True),
        ("words", lambda r: number(r["reference_words"]), True),
        ("speakers", lambda r: number(r["speakers"]), True),
        ("", lambda r: readings.TOO_FEW if r["enough"] == "no" else "", False),
    ]
    return table(caption, rows, columns, lambda r: "gray" if r["enough"] == "no" else "")


def _rate_cell(row: dict[str, Any]) -> str:
    return percent(row["rate"]) + mark_of(row) + (" CER" if row["metric"] == "cer" else "")


def _delay(row: dict[str, Any]) -> str:
    return "offline" if row["lookahead_ms"] is None else f"{text(row['lookahead_ms'])} ms"


def punctuation(summary: Summary) -> str:
    parts = ["<h2>Punctuation and capitals</h2>"]
    for name, found in summary["predictions"].items():
        rate, case = found["punctuation_rate"], found["case"]
        wrong = "no punctuation" if not rate or rate["rate"] is None else percent(rate["rate"])
        capitals = "not applicable" if not case or case["rate"] is None else percent(case["rate"])
        parts.append(f"<p><b>{text(name)}</b>: punctuation error rate {wrong}; case error {capitals}.</p>")
        columns: Columns = [
            ("mark", lambda r: words(r["mark"]), False),
            ("in references", lambda r: number(r["reference"]), True),
            ("precision", lambda r: percent(r["precision"]), True),
            ("recall", lambda r: percent(r["recall"]), True),
            ("F1", lambda r: percent(r["f1"]), True),
            ("wrong", lambda r: percent(r["error_rate"]), True),
        ]
        parts.append(table(f"{name}: punctuation", found["punctuation"], columns))
    return "".join(parts)


def languages(summary: Summary) -> str:
    parts = []
    for name, found in summary["predictions"].items():
        score = found.get("language")
        if not score:
            continue
        mistaken: dict[str, str] = {
            said: ", ".join(f"{heard} {number(n)}" for heard, n in sorted(row.items(), key=lambda i: -i[1]))
            for said, row in score["confusion"].items()
        }
        columns: Columns = [
            ("spoken", lambda r: text(r["target_lang"]), False),
            ("detected right", lambda r: percent(r["accuracy"]) + mark_of(r), True),
            ("interval", lambda r: span(r["low"], r["high"]), True),
            ("language right, region aside", lambda r: percent(r["language_accuracy"]), True),
            ("detected as", partial(_detected_as, mistaken), False),
        ]
        parts.append(table(f"{name}: language identification", score["accuracy"], columns))
    if summary["auto_cost"]:
        cost: Columns = [
            ("auto against given", lambda r: f"{text(r['auto'])} against {text(r['given'])}", False),
            ("difference", lambda r: points(r["difference"]), True),
            ("interval", lambda r: span(r["low"], r["high"], points), True),
            ("verdict", call, False),
        ]
        parts.append(table("What auto costs against the given locale", summary["auto_cost"], cost))
    return "<h2>Language</h2>" + "".join(parts) if parts else ""


def _detected_as(mistaken: dict[str, str], row: dict[str, Any]) -> str:
    return text(mistaken.get(row["target_lang"], ""))


def tradeoff(summary: Summary) -> str:
    columns: Columns = [
        ("transcripts", lambda r: text(r["name"]), False),
        ("look-ahead", _delay, True),
        ("error rate", lambda r: percent(r["rate"]) + mark_of(r), True),
        ("interval", lambda r: span(r["low"], r["high"]), True),
        ("word latency p50", lambda r: _latency(r["latency_p50_s"]), True),
        ("word latency p95", lambda r: _latency(r["latency_p95_s"]), True),
        ("first word lost", lambda r: percent(r["first_word_lost"]), True),
        ("last word lost", lambda r: percent(r["last_word_lost"]), True),
        ("empty outputs", lambda r: number(r["empty"]), True),
    ]
    return "<h2>Accuracy against delay</h2>" + table(
        "Shortest look-ahead first", summary["tradeoff"], columns
    )


def _latency(value_s: float | None) -> str:
    return "–" if value_s is None else f"{value_s:.2f} s"


def word_lists(summary: Summary) -> str:
    parts = []
    for name, found in summary["predictions"].items():
        lost: Columns = [
            ("word", lambda r: words(r["word"]), False),
            ("lost", lambda r: number(r["lost"]), True),
            ("of", lambda r: number(r["occurrences"]), True),
        ]
        mistaken: Columns = [
            ("said", lambda r: words(r["reference"]), False),
            ("recognized", lambda r: words(r["hypothesis"]), False),
            ("times", lambda r: number(r["count"]), True),
            ("", lambda r: "spelling only" if r["spelling_only"] else "", False),
        ]
        parts.append(table(f"{name}: words most often lost", found.get("lost_words", []), lost))
        parts.append(table(f"{name}: words mistaken", found.get("confusions", []), mistaken))
    return "<h2>Words</h2>" + "".join(parts) if any(parts) else ""
