"""How far reviewers agree: words of transcripts made apart, and accepting or rejecting, by locale and pair.

Transcripts are compared as they were before anyone resolved a difference, each reviewer's last word on a
clip. For accepting and rejecting kappa is Fleiss's (1971), which allows any number of reviewers and not the
same ones on every clip; for two that is Scott's pi.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from rapidfuzz.distance import Levenshtein

from workbench.corpus.review.kappa import fleiss_kappa
from workbench.glance import counted
from workbench.language_tags import strip_tag
from workbench.shown import show_rows
from workbench.text import normalize, words

if TYPE_CHECKING:
    from workbench.corpus.query.view import View

ACCEPTED, REJECTED = "accepted", "rejected"
ALL = "all"


def agreement(view: View, *, normalizer: str = "basic") -> pd.DataFrame:
    """Agreement of the reviewers of a view, one row a locale and pair, and ``all`` for each and for everyone.

    Args:
        view: the rows; what was undone does not count.
        normalizer: name of the normalizer under which words are compared.

    Returns:
        DataFrame ``locale, pair, transcribed`` (clips with a transcript of both), ``wer`` (word edits between
        the two over the mean of their words; null where none), ``same`` (share of equal transcripts),
        ``judged`` (clips that both accepted or rejected), ``agreed``, ``kappa`` (null where chance alone
        would agree always). For ``pair`` = all, kappa is over all reviewers at once.
    """
    locales = dict(zip(*view.table(["id", "target_lang"]).to_pydict().values(), strict=True))
    texts: dict[str, dict[str, str]] = defaultdict(dict)
    status: dict[str, dict[str, str]] = defaultdict(dict)
    for clip, field, reviewer, value in view.decisions.words_of_reviewers():
        if clip in locales and field == "text" and value is not None:
            texts[clip][reviewer] = value
        elif clip in locales and field == "status" and value in (ACCEPTED, REJECTED):
            status[clip][reviewer] = value
    rows = []
    for locale in [ALL, *sorted({str(tag) for tag in locales.values() if tag})]:
        chosen = {clip for clip, tag in locales.items() if locale in (ALL, tag)}
        written = {clip: said for clip, said in texts.items() if clip in chosen}
        votes = {clip: said for clip, said in status.items() if clip in chosen}
        pairs = {pair for said in (*written.values(), *votes.values()) for pair in _pairs(said)}
        for pair in [None, *sorted(pairs)]:
            row = _row(locale, pair, written, votes, normalizer, locales)
            if row["transcribed"] or row["judged"]:
                rows.append(row)
    columns = ["locale", "pair", "transcribed", "wer", "same", "judged", "agreed", "kappa"]
    found = pd.DataFrame(rows, columns=columns)
    met = len(set(found["pair"]) - {ALL})
    said = f"{counted(met, 'pair')} of reviewers judged or wrote the same clips of {view.name}."
    return show_rows(found, said, ("locale", "pair", "transcribed", "wer", "judged", "kappa"))


def _pairs(said: Iterable[str]) -> list[tuple[str, str]]:
    return list(itertools.combinations(sorted(said), 2))


def _row(
    locale: str,
    pair: tuple[str, str] | None,
    texts: Mapping[str, Mapping[str, str]],
    votes: Mapping[str, Mapping[str, str]],
    normalizer: str,
    locales: Mapping[str, Any],
) -> dict[str, Any]:
    edits, length, compared, same = 0.0, 0.0, 0, 0
    for clip, said in texts.items():
        for one, other in _pairs(said) if pair is None else [pair]:
            if one in said and other in said:
                a, b = (_words(said[name], locales[clip], normalizer) for name in (one, other))
                edits += Levenshtein.distance(a, b)
                length += (len(a) + len(b)) / 2
                compared += 1
                same += a == b
    judged = [
        [value for name, value in said.items() if pair is None or name in pair] for said in votes.values()
    ]
    judged = [values for values in judged if len(values) > 1]
    return {
        "locale": locale, "pair": ALL if pair is None else " / ".join(pair), "transcribed": compared,
        "wer": edits / length if length else None, "same": same / compared if compared else None,
        "judged": len(judged), "agreed": sum(len(set(values)) == 1 for values in judged),
        "kappa": fleiss_kappa(judged),
    }  # fmt: skip


def _words(text: str, tag: Any, name: str) -> list[str]:
    return words(normalize(strip_tag(text)[0], tag, name), tag)
