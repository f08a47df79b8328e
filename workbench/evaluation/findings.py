"""What a reader must know first: at most five sentences, ordered by what they mean for the pilot's calls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.evaluation import headline as heads
from workbench.evaluation import readings

MOST = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """``sentence``: true and in plain words; ``importance``: share of the pilot's words it is about (0 to 1),
    above 1 where it puts all other figures in doubt; ``kind``: which rule found it."""

    sentence: str
    importance: float
    kind: str


def findings(figures: Mapping[str, Any], traffic: Mapping[str, float]) -> list[Finding]:
    """The findings of a summary, the most important first.

    Args:
        figures: what :func:`workbench.evaluation.summary.summarize` made; ``by_locale`` of predictions and
            comparisons must be there.
        traffic: share of calls by locale tag; empty: shares of the test words stand in.

    Returns:
        At most :data:`MOST`. What concerns everything comes before what concerns one locale, sure differences
        before unsure ones; a locale's difference weighs its share of the calls times its size.
    """
    found: list[Finding] = []
    for comparison in figures["comparisons"]:
        found += _comparison(comparison, traffic)
    for name, prediction in figures["predictions"].items():
        found += _prediction(name, prediction, traffic)
    return sorted(found, key=lambda finding: -finding.importance)[:MOST]


def _comparison(comparison: Mapping[str, Any], traffic: Mapping[str, float]) -> list[Finding]:
    whole, rows = comparison["overall"], comparison["by_locale"]
    pair = f"{comparison['other']} against {comparison['base']}"
    if not whole or whole["difference"] is None:
        return [Finding(f"{pair}: no words in common.", 1.5, "nothing in common")]
    sure = readings.direction(whole) in (readings.BETTER, readings.WORSE)
    found = [Finding(f"{pair}: {readings.difference_sentence(whole)}.", 1.45 if sure else 1.4, "whole")]
    shares = _shares(rows, traffic)
    opposite = 0
    for row in rows:
        tag, said = row["target_lang"], readings.direction(row)
        if tag is None or said in (readings.UNCLEAR, readings.TOO_FEW):
            continue
        weight = shares.get(tag, 0.0) * min(1.0, abs(row["difference"]) / 0.1)
        against = row["difference"] * whole["difference"] < 0 if sure else said == readings.WORSE
        opposite += against
        start = "but in " if against else "in "
        sentence = f"{pair}, {start}{tag} {readings.difference_sentence(row)}."
        found.append(
            Finding(sentence, weight + (1.2 if against else 0.2), "moves against" if against else "moves")
        )
    unsure = [row for row in heads.against_the_whole(_numbers(rows), whole) if not row["sure"]]
    if unsure and not opposite:
        more = f"; and {len(unsure) - 1} more locales" if len(unsure) > 1 else ""
        found.append(Finding(f"{pair}: {unsure[0]['sentence']}{more}.", 0.9, "may move against"))
    return found


def _prediction(name: str, prediction: Mapping[str, Any], traffic: Mapping[str, float]) -> list[Finding]:
    found = []
    ranked = heads.fix_first(_numbers(prediction["by_locale"]), traffic)
    if len(ranked) > 1 and ranked[0]["enough"] != "no":
        answer = heads.fix_first_sentence(ranked)
        said = f"{name}: {answer[0].lower()}{answer[1:]}"
        found.append(Finding(said, ranked[0]["share_of_errors"], "fix first"))
    lacking = [item["target_lang"] for item in ranked if item["rate"] != item["rate"]]
    if lacking:
        sentence = f"{name}: nothing is known of {', '.join(lacking)}: no test utterances."
        found.append(Finding(sentence, 1.1, "locale without data"))
    silent = next((row for row in prediction["silence"] if row["target_lang"] == "all"), None)
    if silent and silent["invented"]:
        sentence = (
            f"{name} invents speech in {silent['invented']} of {silent['silent']} utterances where nothing "
            f"was said ({silent['words']} words, in no error rate)."
        )
        found.append(Finding(sentence, 0.5 * silent["invented"] / silent["silent"] + 0.1, "invented speech"))
    return found


def _shares(rows: Sequence[Mapping[str, Any]], traffic: Mapping[str, float]) -> dict[str, float]:
    shares = dict(traffic) or {row["target_lang"]: float(row["reference_words"]) for row in rows}
    total = sum(shares.values()) or 1.0
    return {tag: share / total for tag, share in shares.items()}


def _numbers(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the summary (unknown is None) as those of a table (unknown is NaN)."""
    known = ("rate", "low", "high", "difference", "rate_a", "rate_b")
    return [{**row, **{key: math.nan for key in known if key in row and row[key] is None}} for row in rows]
