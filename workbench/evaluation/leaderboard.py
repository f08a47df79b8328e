"""The Open ASR Leaderboard's own figures: its normalizers and its way of counting, beside those of the
workbench.

After its public code at commit ``d1e99b2`` (2026-08-21): empty references are dropped; brackets and
parentheses go with what they hold; other languages than English lose symbols and every combining mark (so
that Hindi loses its vowel signs there: the same is done here), and digits become words by num2words; words
that are split on one side only are joined on both (``normalize_compound_pairs``, kaldialign's
``merge_compounds``).

Texts and counts equal its code's, English included (``tests/evaluation/leaderboard_examples.json``; its
English lists are in ``leaderboard_english``). Not reproduced: a lattice for Hindi and simplified Chinese,
which that commit does not hold either. No published table counts Chinese or Japanese; here they are counted
as words between spaces, as that code would.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from kaldialign import batch_error_rate

from workbench.evaluation.asked import Asked, rows_of
from workbench.evaluation.clusters import Slicing
from workbench.evaluation.intervals import ratio_interval
from workbench.evaluation.leaderboard_english import english_text
from workbench.evaluation.slices import Where, group
from workbench.evaluation.tables import as_table
from workbench.numerals import in_words

if TYPE_CHECKING:
    from workbench.shown import Shown

VERSION = "open_asr_leaderboard d1e99b2 (2026-08-21)"
_THOUSANDS = re.compile(r"(\d)\s+(\d{3})\b")


def leaderboard_text(text: str, language: str) -> str:
    """A text as the leaderboard normalizes it. ``language``: a code such as ``de``."""
    return english_text(text) if language == "en" else _multilingual(text, language)


def _multilingual(text: str, language: str) -> str:
    text = re.sub(r"[<\[][^>\]]*[>\]]", "", text.lower())
    text = re.sub(r"\(([^)]+?)\)", "", text)
    text = "".join(
        " " if unicodedata.category(c)[0] in "MSP" else c for c in unicodedata.normalize("NFKC", text)
    ).lower()
    text = re.sub(r"\s+", " ", re.sub(r"[^\w\s]", "", text)).strip()
    text = _THOUSANDS.sub(r"\1\2", text)
    return re.sub(r"\d+", lambda match: _spoken(match[0], language), text)


@cache
def _spoken(digits: str, language: str) -> str:
    return in_words(digits, language) or digits


def joined_compounds(reference: str, hypothesis: str) -> tuple[list[str], list[str]]:
    """Words of both sides; where they differ in spaces alone, joined on both."""
    said, heard = reference.split(), hypothesis.split()
    left: list[str] = []
    right: list[str] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, said, heard).get_opcodes():
        together = "".join(said[i1:i2])
        if tag != "equal" and together == "".join(heard[j1:j2]):
            left.append(together)
            right.append(together)
        else:
            left += said[i1:i2]
            right += heard[j1:j2]
    return left, right


def pair_errors(reference: str, hypothesis: str, language: str) -> tuple[int, int]:
    """Errors and reference words of one utterance as the leaderboard counts them; ``(0, 0)``: dropped."""
    said = leaderboard_text(reference, language)
    if not said or said == "ignore time segment in scoring":
        return 0, 0
    heard = leaderboard_text(hypothesis, language)
    sides = (said.split(), heard.split()) if language == "en" else joined_compounds(said, heard)
    found = batch_error_rate([sides[0]], [sides[1]], merge_compounds=True)
    return int(found["total"]), int(found["ref_len"])


def leaderboard(
    self: Asked, name: str, by: str | Sequence[str] = ("target_lang",), where: Where = None
) -> Shown:
    """Word error rates as the Open ASR Leaderboard computes them, to be set beside its published figures.

    Args:
        name: of a prediction.
        by: columns or expressions; ``()`` for one row over everything.
        where: as in :meth:`Evaluation.rates`.

    Returns:
        The slice columns, ``rate, low, high``, ``no_interval``, ``errors``, ``reference_words``,
        ``utterances``, ``dropped`` (empty references), ``speakers``, ``profile`` (version of the public
        code). Never to be compared with figures of another normalizer.
    """
    from workbench.evaluation.shown import heading, slice_cell
    from workbench.shown import show

    scored, settings = self.scored, self.settings
    rows = rows_of(self, name, where=where)
    errors, units = np.zeros(len(scored), np.int64), np.zeros(len(scored), np.int64)
    heard = scored.store.texts.take(scored.prediction(name).codes[rows]).to_pylist()
    said = scored.store.texts.take(scored.reference_codes[rows]).to_pylist()
    for row, reference, hypothesis in zip(rows.tolist(), said, heard, strict=True):
        errors[row], units[row] = pair_errors(reference, hypothesis, str(scored.languages[row]))
    chosen = np.zeros(len(scored), bool)
    chosen[rows] = True
    groups = group(scored.rows, by)
    keys, rows_in = groups.filled(chosen)
    slicing = Slicing(rows_in, scored.speakers, settings.thresholds.min_speakers)
    records = []
    for place, (key, sums) in enumerate(zip(keys, slicing.cluster_sums(errors, units), strict=True)):
        wrong, words = (round(float(v)) for v in sums.sum(axis=0))
        found = ratio_interval(
            sums, resamples=settings.resamples, seed=settings.seed, confidence=settings.confidence
        )
        record: dict[str, Any] = dict(zip(groups.by, key, strict=True))
        record |= {"rate": wrong / words if words else float("nan"), "low": found.low, "high": found.high}
        record |= {"no_interval": found.missing, "errors": wrong, "reference_words": words}
        record |= {"utterances": len(rows_in[place]), "dropped": int((units[rows_in[place]] == 0).sum())}
        records.append(record | {"speakers": slicing.speakers[place], "profile": VERSION})
    short = {
        heading(groups.by): slice_cell(groups.by),
        "error rate": lambda r: "–" if r["rate"] != r["rate"] else f"{100 * r['rate']:.2f} %",
        "words": lambda r: f"{r['reference_words']:,}",
        "empty, dropped": lambda r: f"{r['dropped']:,}",
    }
    return show(as_table(records), f"{name} as {VERSION} counts.", short)
