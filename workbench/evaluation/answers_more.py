"""The answers of language identification, keywords and the look-ahead: sentence, figure, short table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.evaluation import readings
from workbench.evaluation.shown import HEADINGS, heading, rate_columns, share_cell, share_columns, slice_cell
from workbench.evaluation.small_figures import Bar, Line, bars, lines
from workbench.shown import Shown, count_cell, show, text_cell

if TYPE_CHECKING:
    import pandas as pd

MOST_BARS = 14
_CLOSE = 0.01
"""A look-ahead within one point of the best is as good for most callers."""


def shown_language(accuracy: pd.DataFrame, confusion: pd.DataFrame, name: str) -> Shown:
    """How often the language was found; the locales with the lowest share first in the figure."""
    rows = accuracy.to_dict("records")
    whole = next((row for row in rows if row["target_lang"] == "all"), None)
    if whole is None or not whole["total"]:
        return show(accuracy, f"{name}: no utterance with a known locale.", _LANGUAGE)
    sentence = f"{name}: the right locale in {_share(whole, 'accuracy')} of {whole['total']:,} utterances"
    if worst := _most_confused(confusion):
        sentence += f"; most often wrong: {worst}"
    own = sorted((row for row in rows if row["target_lang"] != "all"), key=lambda row: row["accuracy"])
    drawn = [
        Bar(str(row["target_lang"]), row["accuracy"], row["low"], row["high"],
            f"{row['correct']:,} of {row['total']:,} utterances", not math.isnan(row["low"]))
        for row in own[:MOST_BARS]
    ]  # fmt: skip
    return show(accuracy, f"{sentence}.", _LANGUAGE, bars(drawn, "Share of utterances with the right locale"))


_LANGUAGE = share_columns(
    {"locale": lambda r: "not stated" if r["target_lang"] is None else str(r["target_lang"])},
    "accuracy", "low", "high",
    {
        "utterances": lambda r: f"{r['correct']:,} of {r['total']:,}",
        "right language": lambda r: "–" if r["language_accuracy"] != r["language_accuracy"]
        else readings.percent(r["language_accuracy"]),
    },
)  # fmt: skip


def _most_confused(confusion: pd.DataFrame) -> str:
    """The largest entry off the diagonal, in words; empty where there is none."""
    found = [
        (int(count), str(said), str(heard))
        for said, row in confusion.iterrows()
        for heard, count in row.items()
        if said != heard and count
    ]
    if not found:
        return ""
    count, said, heard = max(found, key=lambda item: (item[0], item[1]))
    how = "got no tag at all" if heard == "none" else f"was taken for {heard}"
    return f"{said} {how} ({times(count)})"


def shown_keywords(table: pd.DataFrame, name: str) -> Shown:
    """How many keyword occurrences were recognized, and which is missed most."""
    rows = table.to_dict("records")
    whole, own = rows[-1], rows[:-1]
    if not whole["reference"]:
        sentence = f"{name}: no keyword occurs in these utterances"
    else:
        sentence = (
            f"{name}: {_share(whole, 'recall')} of {whole['reference']:,} keyword occurrences recognized"
        )
        if whole["precision"] == whole["precision"]:
            sentence += f", {_share(whole, 'precision')} of those written are right"
        missed = max(own, key=lambda row: row["reference"] - row["recalled"])
        if count := missed["reference"] - missed["recalled"]:
            sentence += f"; missed most: {missed['keyword']} ({count:,} of {missed['reference']:,})"
    drawn = [
        Bar(str(row["keyword"]), row["recall"], row["recall_low"], row["recall_high"],
            f"{row['recalled']:,} of {row['reference']:,} occurrences", row["enough"] != "no")
        for row in sorted(own, key=lambda row: -row["reference"])[:MOST_BARS]
    ]  # fmt: skip
    return show(table, f"{sentence}.", _KEYWORDS, bars(drawn, "Recall: occurrences recognized, by keyword"))


_KEYWORDS = share_columns(
    {"keyword": lambda r: str(r["keyword"])},
    "recall", "recall_low", "recall_high",
    {
        "occurrences": lambda r: f"{r['recalled']:,} of {r['reference']:,}",
        "precision": lambda r: "–" if r["precision"] != r["precision"] else readings.percent(r["precision"]),
        "reading": lambda r: "not enough data" if r["enough"] == "no" else "",
    },
)  # fmt: skip


def shown_tradeoff(table: pd.DataFrame, by: Sequence[str]) -> Shown:
    """What waiting brings: rates by look-ahead, and the shortest that is within a point of the best."""
    named = slice_cell(by)
    engines = _engines(table)

    def name_of(row: Any) -> str:
        own = engines[row["name"]]
        return f"{own} · {named(row)}" if own and by else own or named(row)

    groups: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_dict("records"):
        groups.setdefault(name_of(row), []).append(row)
    said = [_waiting(label, rows, len(groups) > 1 or bool(by)) for label, rows in groups.items()]
    told = "; ".join(text for text in said[:3] if text)
    more = f"; and {len(said) - 3} more" if len(said) > 3 else ""
    drawn = [Line(label, tuple((_at(row), row["rate"]) for row in rows)) for label, rows in groups.items()]
    columns = {k: v for k, v in rate_columns(by).items() if k not in ("speakers", "words", heading(by))}
    of = "transcripts" if any(engines.values()) else heading(by)
    short = {"look-ahead": _at, of: name_of, **columns, "last text, p95": _delay}
    figure = lines(drawn[:6], f"Error rate by look-ahead, {heading(by)}")
    return show(table, f"{told}{more}." if told else "Nothing was said in these utterances.", short, figure)


def _engines(table: pd.DataFrame) -> dict[str, str]:
    """Prediction → what tells it from the others besides its look-ahead: checkpoint and prompt, by the name
    of the shortest-named prediction of each kind; empty where there is one kind."""
    kind_of = {
        str(row["name"]): (str(row["checkpoint_sha256"]), str(row["prompt_mode"]))
        for row in table.drop_duplicates("name").to_dict("records")
    }
    shortest: dict[tuple[str, str], str] = {}
    for name in sorted(kind_of, key=len, reverse=True):
        shortest[kind_of[name]] = name
    return {name: shortest[kind] if len(shortest) > 1 else "" for name, kind in kind_of.items()}


def _waiting(label: str, rows: Sequence[dict[str, Any]], named: bool) -> str:
    known = [row for row in rows if row["rate"] == row["rate"]]
    if not known:
        return ""
    start = f"{label}: " if named else ""
    unit = "characters" if known[0].get("metric") == "cer" else "words"
    best = min(row["rate"] for row in known)
    close = next(row for row in known if row["rate"] <= best + _CLOSE)
    figures = ", ".join(f"{readings.percent(row['rate'])} at {_at(row)}" for row in (known[0], known[-1]))
    if len(known) == 1:
        return f"{start}{readings.percent(best)} of {unit} wrong at {_at(known[0])}"
    return f"{start}{figures} of {unit} wrong; {_at(close)} is the shortest within a point of the best"


def _at(row: Any) -> str:
    at = row["lookahead_ms"]
    return "offline" if at is None or at != at else f"{int(at):,} ms"


def _delay(row: Any) -> str:
    at = row.get("latency_p95_s")
    return "–" if at is None or at != at else f"{1000 * at:,.0f} ms"


def _share(row: dict[str, Any], figure: str) -> str:
    low, high = (row.get(f"{figure}_{end}", row.get(end)) for end in ("low", "high"))
    if low is None or high is None or low != low:
        return readings.percent(row[figure])
    return f"{readings.percent(row[figure])} ({readings.percent(low)} to {readings.percent(high)})"


def shown_confusions(table: pd.DataFrame, name: str) -> Shown:
    """Words mistaken for others, the most frequent pair in the sentence."""
    if not len(table):
        return show(table, f"{name}: no word was mistaken for another.", _CONFUSIONS)
    first = table.iloc[0]
    said = f"most often “{first['reference']}” was read as “{first['hypothesis']}” ({times(first['count'])})"
    return show(table, f"{name}: {said}.", _CONFUSIONS)


def times(count: int) -> str:
    """How often: once, or so many times."""
    return "once" if count == 1 else f"{count:,} times"


_CONFUSIONS = {
    "said": text_cell("reference"),
    "recognized": text_cell("hypothesis"),
    "times": count_cell("count"),
    "spelling only": lambda r: "yes" if r["spelling_only"] else "",
}


def shown_words(table: pd.DataFrame, name: str) -> Shown:
    """Words and how often each was right, the most often lost one in the sentence."""
    lost = table[table["occurrences"] > table["hits"]] if len(table) else table
    if len(lost):
        worst = lost.iloc[0]
        missed = int(worst["occurrences"] - worst["hits"])
        sentence = (
            f"{name}: most often lost is “{worst['word']}”, {missed:,} of {int(worst['occurrences']):,}."
        )
    else:
        sentence = f"{name}: no word was lost."
    return show(table, sentence, _WORDS)


_WORDS = {
    "word": text_cell("word"),
    "said": count_cell("occurrences"),
    "right": share_cell("accuracy"),
    "replaced": count_cell("substituted"),
    "left out": count_cell("deleted"),
    "inserted": count_cell("inserted"),
}


def shown_confounded(table: pd.DataFrame) -> Shown:
    """Which columns cannot be told apart, in one sentence; where, and why, in the table."""
    columns = {"where": text_cell("where"), "kind": text_cell("kind"), "what": text_cell("sentence")}
    if not len(table):
        return show(table, "Nothing is confounded: the columns vary apart from each other.", columns)
    names = dict.fromkeys(name for pair in table["columns"] for name in pair)
    listed = ", ".join(HEADINGS.get(name, name) for name in names)
    return show(table, f"These data cannot tell apart what {listed} do: {len(table)} findings.", columns)


def shown_punctuation(table: pd.DataFrame, name: str) -> Shown:
    """Marks and how often each was right; all of them in the sentence."""
    whole = table[table["mark"] == "all"] if len(table) else table
    if not len(whole) or whole.iloc[0]["error_rate"] != whole.iloc[0]["error_rate"]:
        return show(table, f"{name}: no punctuation mark on either side.", _PUNCTUATION)
    row = whole.iloc[0]
    said = f"{readings.percent(row['error_rate'])} of punctuation wrong, {int(row['reference']):,} marks said"
    return show(table, f"{name}: {said}.", _PUNCTUATION)


_PUNCTUATION = {
    "mark": text_cell("mark"),
    "in the reference": count_cell("reference"),
    "recognized": count_cell("hypothesis"),
    "precision": share_cell("precision"),
    "recall": share_cell("recall"),
    "error rate": share_cell("error_rate"),
}


def shown_calibration(table: pd.DataFrame, name: str) -> Shown:
    """Whether stated confidence is earned: its mean distance from the share that is right."""
    if not len(table):
        return show(table, f"{name}: the recognizer gave no confidence.", _CALIBRATION)
    words = int(table["words"].sum())
    apart = float((table["words"] * (table["confidence"] - table["accuracy"]).abs()).sum() / max(words, 1))
    sentence = (
        f"{name}: stated confidence and share of right words are {100 * apart:.1f} points apart on average"
    )
    return show(table, f"{sentence} ({words:,} words).", _CALIBRATION)


_CALIBRATION = {
    "confidence": lambda r: f"{100 * r['from']:.0f} to {100 * r['to']:.0f} %",
    "words": count_cell("words"),
    "stated on average": share_cell("confidence"),
    "right": share_cell("accuracy"),
}


def shown_silence(table: pd.DataFrame, name: str, by: Sequence[str]) -> Shown:
    """Speech invented in silence, everything in the sentence."""
    if not len(table):
        return show(
            table, f"{name}: no clip is silent, so nothing was looked at.", {heading(by): slice_cell(by)}
        )
    row = table.iloc[-1]
    sentence = (
        f"{name}: words in {int(row['invented']):,} of {int(row['silent']):,} silent clips, "
        f"{int(row['words']):,} words."
    )
    columns = share_columns(
        {heading(by): slice_cell(by)}, "rate", "low", "high",
        {"silent clips": count_cell("silent"), "with words": count_cell("invented"),
         "words": count_cell("words")},
    )  # fmt: skip
    return show(table, sentence, columns)
