"""Where accent, speaker, source and domain coincide, a difference between groups belongs to all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

ALL = "all locales"
COLUMNS = ("target_lang", "accent", "speaker", "source", "domain")
WORDS = {"target_lang": "locale"}
"""Columns that readers know by another name."""


def confounded(rows: pd.DataFrame, columns: Sequence[str], min_speakers: int) -> pd.DataFrame:
    """Pairs of columns whose effects these data cannot tell apart, over all locales and inside each.

    Returns:
        One row a finding: ``columns`` (two), ``where`` (a locale or 'all locales'), ``kind``, ``sentence``.
        Kinds: 'coincide' (each value of one goes with one value of the other and back), 'nested' (each source
        or domain holds one value of the other), 'few voices' (a group has fewer than ``min_speakers``).
    """
    present = [c for c in columns if c in rows.columns and rows[c].notna().any()]
    numbers = {c: pd.factorize(rows[c])[0].astype(np.int64) for c in present}
    findings = _pairs(numbers, present, ALL)
    known = {finding["columns"] for finding in findings}
    if "target_lang" in present:
        inner = [c for c in present if c != "target_lang"]
        locale = numbers["target_lang"]
        tags = rows["target_lang"].iloc[np.unique(locale, return_index=True)[1]]
        for place, tag in sorted(zip(np.unique(locale).tolist(), tags, strict=True), key=lambda i: str(i[1])):
            if place >= 0:
                at = np.flatnonzero(locale == place)
                part = {c: numbers[c][at] for c in inner}
                findings += [f for f in _pairs(part, inner, str(tag)) if f["columns"] not in known]
    findings += _few_voices(rows, present, min_speakers)
    return pd.DataFrame(findings, columns=["columns", "where", "kind", "sentence"])


def named(findings: Sequence[dict[str, Any]], by: Sequence[str], locale: object) -> str | None:
    """The columns a slice by ``by`` is confounded with, as one text; None where there are none."""
    names: list[str] = []
    for finding in findings:
        pair, where = finding["columns"], finding["where"]
        if finding["kind"] != "few voices" and where in (ALL, locale) and set(pair) & set(by):
            names += [c for c in pair if c not in names]
    return ", ".join(WORDS.get(name, name) for name in names) or None


def in_short(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The findings of :func:`confounded`: what changes together, everywhere and within locales, what is
    nested, and what rests on few speakers; a sentence each."""
    found = []
    together = {}
    for where in dict.fromkeys(str(item["where"]) for item in findings if item["kind"] == "coincide"):
        pairs = [item["columns"] for item in findings if (item["kind"], item["where"]) == ("coincide", where)]
        together[where] = "; ".join(map(_listed, _joined(pairs)))
    if everywhere := together.pop(ALL, ""):
        found.append(f"Confounded: {everywhere} change together: a difference belongs to all of them")
    if together:
        inner = "; ".join(f"within {where} {columns}" for where, columns in together.items())
        found.append(f"Confounded {inner}")
    holders: dict[str, list[str]] = {}
    for item in findings:
        if item["kind"] == "nested":
            inner_, outer = (WORDS.get(name, name) for name in item["columns"])
            holders.setdefault(outer, [])
            holders[outer] += [inner_] * (inner_ not in holders[outer])
    for outer, held in holders.items():
        what = " and one ".join(held)
        found.append(f"Confounded: each {outer} holds one {what}: what looks like them may be the {outer}")
    few = [
        WORDS.get(item["columns"][0], item["columns"][0]) for item in findings if item["kind"] == "few voices"
    ]
    if few:
        found.append(f"Few speakers behind {_listed(few)}: what is found holds for these speakers")
    return found


def _joined(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Groups of columns that pairs tie together, as readers know them."""
    groups: list[list[str]] = []
    for pair in pairs:
        names = [WORDS.get(name, name) for name in pair]
        tied = [group for group in groups if set(group) & set(names)]
        groups = [group for group in groups if group not in tied]
        groups.append(list(dict.fromkeys([name for group in tied for name in group] + names)))
    return groups


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _pairs(numbers: dict[str, Array], columns: Sequence[str], where: str) -> list[dict[str, Any]]:
    """``numbers``: of each row's value in each column, -1 where unknown."""
    found = []
    for first, second in combinations(columns, 2):
        a, b = numbers[first], numbers[second]
        known = (a >= 0) & (b >= 0)
        width = int(b.max(initial=0)) + 1
        pairs = np.unique(a[known] * width + b[known])
        firsts, seconds = len(np.unique(pairs // width)), len(np.unique(pairs % width))
        if firsts < 2 and seconds < 2:
            continue
        forth, back = firsts == len(pairs), seconds == len(pairs)
        one, other = (WORDS.get(name, name) for name in (first, second))
        if forth and back:
            kind = "coincide"
            sentence = f"{one} and {other} change together: a difference between them belongs to both"
        elif back and second in ("source", "domain") and firsts > 1:
            kind = "nested"
            sentence = f"each {other} holds one {one}: what looks like {one} may be {other}"
        else:
            continue
        found.append({"columns": (first, second), "where": where, "kind": kind, "sentence": sentence})
    return found


def _few_voices(rows: pd.DataFrame, columns: Sequence[str], min_speakers: int) -> list[dict[str, Any]]:
    if "speaker" not in columns:
        return []
    found: list[dict[str, Any]] = []
    for name in columns:
        if name == "speaker":
            continue
        pairs = rows[[name, "speaker"]].dropna().drop_duplicates()
        voices = pairs[name].value_counts(sort=False).sort_index()
        few = voices[voices < min_speakers]
        if len(few):
            listed = ", ".join(f"{value} ({count})" for value, count in list(few.items())[:12])
            more = f" and {len(few) - 12} more" if len(few) > 12 else ""
            what = f"{WORDS.get(name, name)} is based on few speakers: {listed}{more}"
            sentence = f"{what}; what is found holds for these speakers"
            found.append(
                {"columns": (name, "speaker"), "where": ALL, "kind": "few voices", "sentence": sentence}
            )
    return found
