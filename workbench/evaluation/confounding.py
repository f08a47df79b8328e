"""Where accent, speaker, source and domain coincide, a difference between groups belongs to all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

ALL = "all locales"
COLUMNS = ("target_lang", "accent", "speaker", "source", "domain")


def confounded(rows: pd.DataFrame, columns: Sequence[str], min_speakers: int) -> pd.DataFrame:
    """Pairs of columns whose effects these data cannot tell apart, over all locales and inside each.

    Returns:
        One row a finding: ``columns`` (two), ``where`` (a locale or 'all locales'), ``kind``, ``sentence``.
        Kinds: 'coincide' (each value of one goes with one value of the other and back), 'nested' (each source
        or domain holds one value of the other), 'few voices' (a group has fewer than ``min_speakers``).
    """
    import pandas as pd

    present = [c for c in columns if c in rows.columns and rows[c].notna().any()]
    findings = _pairs(rows, present, ALL)
    known = {finding["columns"] for finding in findings}
    if "target_lang" in rows.columns:
        inner = [c for c in present if c != "target_lang"]
        for tag, part in rows[inner].groupby(rows["target_lang"], observed=True):
            findings += [f for f in _pairs(part, inner, str(tag)) if f["columns"] not in known]
    findings += _few_voices(rows, present, min_speakers)
    return pd.DataFrame(findings, columns=["columns", "where", "kind", "sentence"])


def named(findings: pd.DataFrame, by: Sequence[str], locale: object) -> str | None:
    """The columns a slice by ``by`` is confounded with, as one text; None where there are none."""
    names: list[str] = []
    for finding in findings.to_dict("records"):
        pair, where = finding["columns"], finding["where"]
        if finding["kind"] != "few voices" and where in (ALL, locale) and set(pair) & set(by):
            names += [c for c in pair if c not in names]
    return ", ".join(names) or None


def _pairs(rows: pd.DataFrame, columns: Sequence[str], where: str) -> list[dict[str, Any]]:
    found = []
    for first, second in combinations(columns, 2):
        pairs = rows[[first, second]].dropna().drop_duplicates()
        if pairs[first].nunique() < 2 and pairs[second].nunique() < 2:
            continue
        forth, back = not pairs[first].duplicated().any(), not pairs[second].duplicated().any()
        if forth and back:
            kind = "coincide"
            sentence = f"{first} and {second} change together: a difference between them belongs to both"
        elif back and second in ("source", "domain") and pairs[first].nunique() > 1:
            kind = "nested"
            sentence = f"each {second} holds one {first}: what looks like {first} may be {second}"
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
            sentence = f"{name} rests on few voices: {listed}{more}; what is found holds for these voices"
            found.append(
                {"columns": (name, "speaker"), "where": ALL, "kind": "few voices", "sentence": sentence}
            )
    return found
