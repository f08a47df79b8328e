"""The answers of views on single clips and on marks: a sentence, then a short table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.evaluation import readings
from workbench.evaluation.shown import heading, share_cell, slice_cell, span_cell
from workbench.shown import Shown, clip_cell, count_cell, show, text_cell

if TYPE_CHECKING:
    import pandas as pd


def shown_utterances(table: pd.DataFrame, name: str, total: int) -> Shown:
    """Utterances, worst first: how many have an error."""
    wrong = int((table["errors"] > 0).sum())
    listed = f" (the {len(table):,} worst of {total:,} are listed)" if len(table) < total else ""
    sentence = f"{name}: {wrong:,} of {len(table):,} utterances with errors, worst first{listed}."
    columns = {
        "id": text_cell("id"),
        "reference": clip_cell("text"),
        "recognized": clip_cell("hypothesis"),
        "error rate": _rate,
        "errors": lambda r: f"{int(r['errors']):,} of {int(r['reference_units']):,}",
    }
    return show(table, sentence, columns)


def _rate(row: Mapping[str, Any]) -> str:
    if row["rate"] == float("inf"):
        return "nothing was said"
    return readings.percent(row["rate"]) + (" of characters" if row["metric"] == "cer" else "")


def shown_changes(table: pd.DataFrame, a: str, b: str, total: int) -> Shown:
    """Utterances that one prediction reads better than the other, the largest change first."""
    better, worse = (int((table["verdict"] == way).sum()) for way in ("better", "worse"))
    sentence = (
        f"{b} against {a}: of {total:,} utterances {better:,} with fewer errors, {worse:,} with more, "
        f"{total - better - worse:,} alike."
    )
    columns = {
        "id": text_cell("id"),
        "reference": clip_cell("text"),
        a if a != b else "first": clip_cell("hypothesis_a"),
        b if a != b else "second": clip_cell("hypothesis_b"),
        "errors": lambda r: f"{int(r['errors_a']):,} → {int(r['errors_b']):,}",
        "reading": lambda r: readings.BETTER if r["change"] < 0 else readings.WORSE,
    }
    return show(table, sentence, columns)


def shown_by_frequency(table: pd.DataFrame, name: str) -> Shown:
    """Accuracy of rare and of frequent words."""
    if not len(table):
        return show(table, f"{name}: no word is in the references.", _BY_FREQUENCY)
    rare, often = table.iloc[0], table.iloc[-1]
    sentence = f"{name}: {_right(rare)} of the words said {rare['occurs']} times are right"
    if len(table) > 1:
        sentence += f", {_right(often)} of those said {often['occurs']} times"
    return show(table, f"{sentence.replace(' 1 times', ' once')}.", _BY_FREQUENCY)


def _right(row: Any) -> str:
    return readings.percent(row["accuracy"])


_BY_FREQUENCY = {
    "said so often": text_cell("occurs"),
    "words": count_cell("words"),
    "occurrences": count_cell("occurrences"),
    "right": share_cell("accuracy"),
}


def shown_by_position(table: pd.DataFrame, name: str) -> Shown:
    """Errors from the first part of the utterances to the last."""
    known = table[table["rate"].notna()]
    sentence = f"{name}: no word is in the references."
    if len(known):
        worst = known.loc[known["rate"].idxmax()]
        share = readings.percent(worst["rate"])
        sentence = f"{name}: most errors {_part(worst)} of the utterances, {share} of words."
    columns = {
        "part of the utterance": _part,
        "error rate": share_cell("rate"),
        "words": count_cell("reference_words"),
        "replaced": count_cell("substitutions"),
        "inserted": count_cell("insertions"),
        "left out": count_cell("deletions"),
    }
    return show(table, sentence, columns)


def _part(row: Any) -> str:
    return f"from {100 * row['from']:.0f} to {100 * row['to']:.0f} %"


def shown_shares(
    table: pd.DataFrame, name: str, what: str, names: tuple[str, str], by: Sequence[str]
) -> Shown:
    """Shares of marks or capitals that are wrong, the worst slice in the sentence."""
    wrong, of = names
    known = table[table["rate"].notna()] if len(table) else table
    if not len(known):
        sentence = f"{name}: no {what} to judge."
    else:
        row = known.loc[known["rate"].idxmax()]
        where = "" if len(table) == 1 else f", most in {slice_cell(by)(row)}"
        interval = "" if row["low"] != row["low"] else f" ({span_cell(row['low'], row['high'])})"
        sentence = f"{name}: {readings.percent(row['rate'])} of {what} wrong{interval}{where}."
    columns = {
        heading(by): slice_cell(by),
        f"{what} wrong": share_cell("rate"),
        "interval": lambda r: span_cell(r["low"], r["high"]),
        "wrong": count_cell(wrong),
        "of": count_cell(of),
    }
    return show(table, sentence, columns)


def shown_stability(table: pd.DataFrame) -> Shown:
    """How many utterances with the same words changed a mark or a capital."""
    columns = {
        "pair": lambda r: f"{r['b']} against {r['a']}",
        "same words": count_cell("same_words"),
        "punctuation changed": share_cell("punctuation_changed_share"),
        "capitals changed": share_cell("case_changed_share"),
    }
    if not len(table):
        return show(table, "There is one prediction: nothing to hold it against.", columns)
    row = table.iloc[0]
    punctuation, capitals = (_or_none(row[f"{kind}_changed_share"]) for kind in ("punctuation", "case"))
    sentence = (
        f"{row['b']} against {row['a']}: of {int(row['same_words']):,} utterances with the same words "
        f"{punctuation} changed punctuation and {capitals} a capital."
    )
    return show(table, sentence, columns)


def _or_none(share: float) -> str:
    return "none" if share != share else readings.percent(share)
