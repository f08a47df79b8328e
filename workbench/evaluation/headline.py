"""The three headlines of a corpus of several locales, side by side, and who moves the other way.

*Pooled* (micro): all errors over all units, words and characters apart. *Over locales* (macro): the mean
of the locales' rates, each in its own unit. *In traffic*: the mean weighted by the pilot's share of calls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.evaluation.readings import BETTER, TOO_FEW, UNCLEAR, WORSE, direction, percent, points

Rows = Sequence[Mapping[str, Any]]
NOTABLE = 0.02
"""A locale without enough data that moves the other way by two points is named too, as unclear."""


def headlines_of_rates(table: Rows, traffic: Mapping[str, float]) -> list[dict[str, Any]]:
    """``kind, unit, rate, low, high, locales, errors_expected`` from rates by ``target_lang``.

    Args:
        table: records of :meth:`Evaluation.rates` by ``target_lang`` (headline metric).
        traffic: share of calls by tag; empty: nobody said.

    Returns:
        A pooled headline for each unit, one over locales, and one in traffic if shares were given;
        ``missing`` names locales with a share and no figure, which are left out and the other shares
        scaled up.
    """
    rows = [row for row in table if row["rate"] == row["rate"]]
    found: list[dict[str, Any]] = []
    for metric, unit in (("wer", "words"), ("cer", "characters")):
        part = [row for row in rows if row["metric"] == metric]
        units = sum(row["reference_units"] for row in part)
        if units:
            rate = sum(row["errors"] for row in part) / units
            found.append({"kind": "pooled", "unit": unit, "rate": rate, "locales": len(part), "missing": []})
    found += _weighted(
        rows, {row["target_lang"]: 1.0 for row in rows if row["target_lang"]}, "over locales", "rate"
    )
    if traffic:
        found += _weighted(rows, traffic, "in traffic", "rate")
    return found


def headlines_of_differences(table: Rows, traffic: Mapping[str, float]) -> list[dict[str, Any]]:
    """The same of :meth:`Evaluation.compare` by ``target_lang``, with ``rate`` the difference."""
    rows = [row for row in table if row["difference"] == row["difference"]]
    found: list[dict[str, Any]] = []
    for metric, unit in (("wer", "words"), ("cer", "characters")):
        part = [row for row in rows if row["metric"] == metric]
        units = sum(row["reference_units"] for row in part)
        if units:
            moved = sum(row["difference"] * row["reference_units"] for row in part)
            found.append(
                {"kind": "pooled", "unit": unit, "rate": moved / units, "locales": len(part), "missing": []}
            )
    found += _weighted(
        rows, {row["target_lang"]: 1.0 for row in rows if row["target_lang"]}, "over locales", "difference"
    )
    if traffic:
        found += _weighted(rows, traffic, "in traffic", "difference")
    return found


def _weighted(
    rows: Sequence[Mapping[str, Any]], weights: Mapping[str, float], kind: str, value: str
) -> list[dict[str, Any]]:
    by_tag = {row["target_lang"]: row for row in rows}
    there = {tag: weight for tag, weight in weights.items() if tag in by_tag and weight > 0}
    total = sum(there.values())
    if not total:
        return []
    rate = sum(weight * by_tag[tag][value] for tag, weight in there.items()) / total
    low, high = _bounds([(weight / total, by_tag[tag]) for tag, weight in there.items()], rate, value)
    missing = sorted(tag for tag, weight in weights.items() if weight > 0 and tag not in by_tag)
    return [
        {"kind": kind, "unit": "each its own", "rate": rate, "low": low, "high": high, "locales": len(there)}
        | {"missing": missing}
    ]


def _bounds(parts: Sequence[tuple[float, Mapping[str, Any]]], rate: float, value: str) -> tuple[float, float]:
    """Bounds of a weighted sum of independent figures, recovered from theirs (MOVER: Zou and Donner 2008)."""
    ends = []
    for end, sign in (("low", -1), ("high", 1)):
        squares = [(weight * (row[end] - row[value])) ** 2 for weight, row in parts]
        ends.append(rate + sign * math.sqrt(sum(squares)) if all(s == s for s in squares) else math.nan)
    return ends[0], ends[1]


def against_the_whole(table: Rows, whole: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Locales that move against the headline: ``target_lang, difference, sure, sentence``, the worst first.

    Where the whole does not surely move, every locale that does is one of them, whichever way; a locale that
    may move is named only against a whole that does.

    Args:
        table: records of :meth:`Evaluation.compare` by ``target_lang``.
        whole: the same over everything.
    """
    found = []
    moved, unclear = whole["difference"], direction(whole) in (UNCLEAR, TOO_FEW)
    for row in table:
        difference, said = row["difference"], direction(row)
        sure = said in (BETTER, WORSE)
        if (unclear and not sure) or not (unclear or difference * moved < 0):
            continue
        if not sure and abs(difference) < NOTABLE:
            continue
        name = row["target_lang"] or "unknown locale"
        went = f"{name} went from {percent(row['rate_a'])} to {percent(row['rate_b'])}"
        doubt = "" if sure else ", which is not certain"
        while_ = "" if unclear else f" while the whole moved by {points(moved)}"
        sentence = f"{went}{while_}{doubt}"
        found.append(
            {"target_lang": row["target_lang"], "difference": difference, "sure": sure, "sentence": sentence}
        )
    return sorted(found, key=lambda item: (-item["sure"], -abs(item["difference"])))


def fix_first(table: Rows, traffic: Mapping[str, float]) -> list[dict[str, Any]]:
    """Locales by the share of the pilot's errors to expect from them, the largest first.

    Args:
        table: records of :meth:`Evaluation.rates` by ``target_lang``.
        traffic: share of calls by tag; empty: shares of the reference units stand in, which is said.

    Returns:
        ``target_lang, rate, traffic_share, share_of_errors, share_low, share_high`` (by the interval of its
        own rate), ``interval_kind, enough, sentence``. A call is taken to hold as many words in every
        locale. Locales without a figure come last, with the reason.
    """
    rows = {row["target_lang"]: row for row in table if row["target_lang"] == row["target_lang"]}
    shares = dict(traffic) or {tag: row["reference_words"] for tag, row in rows.items() if tag}
    total = sum(shares.values()) or 1.0
    expected = {
        tag: share / total * rows[tag]["rate"]
        for tag, share in shares.items()
        if tag in rows and rows[tag]["rate"] == rows[tag]["rate"]
    }
    whole = sum(expected.values())
    found = []
    for tag in sorted(shares, key=lambda tag: -expected.get(tag, -1.0)):
        share = shares[tag] / total
        of = "the pilot's calls" if traffic else "the test words, as no traffic shares are set"
        calls = f"{100 * share:.0f} % of {of}"
        if tag not in expected:
            lacking = dict.fromkeys(("rate", "share_of_errors", "share_low", "share_high"), math.nan)
            sentence = f"{tag}: {calls}, but no test utterances: record some first"
            found.append(
                {"target_lang": tag, **lacking, "traffic_share": share, "interval_kind": None}
                | {"enough": "no", "sentence": sentence}
            )
            continue
        row = rows[tag]
        part, low, high = (
            share * row[figure] / whole if whole else 0.0 for figure in ("rate", "low", "high")
        )
        errors = f"{100 * part:.0f} % of the errors to expect"
        sentence = f"{tag}: {errors} ({percent(row['rate'])} wrong, {calls}{_size(row)})"
        found.append(
            {"target_lang": tag, "rate": row["rate"], "traffic_share": share, "share_of_errors": part}
            | {"share_low": low, "share_high": high, "interval_kind": row["interval_kind"]}
            | {"enough": row["enough"], "sentence": sentence}
        )
    return found


def _size(row: Mapping[str, Any]) -> str:
    """How few words stand behind a rate, where they are few."""
    if row["enough"] == "yes":
        return ""
    return (
        f"; {row['reference_words']:,} test words only: {TOO_FEW if row['enough'] == 'no' else 'provisional'}"
    )


def fix_first_sentence(found: Rows) -> str:
    """The answer of :func:`fix_first`: the first locale, and how sure it is that it is the first."""
    known = [row for row in found if row["rate"] == row["rate"]]
    if not known:
        return "Not enough data: no locale has test utterances." if found else "No locale is known here."
    first, others = known[0], known[1:]
    if first["enough"] == "no":
        return f"Not enough data to say which locale to fix first; most errors so far in {first['sentence']}."
    if not others:
        return f"Fix {first['sentence']}; no other locale was tested."
    if first["share_low"] != first["share_low"]:
        return f"Fix {first['sentence']}; how sure that order is cannot be told: it has no interval."
    close = [
        row["target_lang"]
        for row in others
        if not row["share_high"] < first["share_low"] or row["enough"] == "no"
    ]
    of_whom = "" if first["interval_kind"] == "speakers" else f"; {first['interval_kind']}"
    if not close:
        return f"Fix {first['sentence']}{of_whom}."
    named = ", ".join(close[:3]) + (f" and {len(close) - 3} more" if len(close) > 3 else "")
    return f"Fix {first['sentence']}; not certain: {named} may cost as much{of_whom}."
