"""Word boosting on real speech and the starter: said keywords are found that were missed without the list."""

from __future__ import annotations

import re
from typing import Any

import pytest
from evidence import CHECKPOINT, heard, starter_rows

from workbench.recognizer.boosting import Boost
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.streaming import play

pytestmark = pytest.mark.model
LOCALES, PER_LOCALE = ("fr-FR", "el-GR", "es-US", "ru-RU"), 5


def keyword_of(row: dict[str, Any]) -> str:
    """The longest word of a transcript."""
    return max(re.findall(r"[\w-]+", row["text"]), key=len)


def said_with_keywords() -> list[dict[str, Any]]:
    """Short test recordings, evenly from four locales, each with a word of six letters or more."""
    rows = [r for r in starter_rows() if r["split"] == "test" and 1 <= r["duration"] <= 2.5]
    rows = [r for r in rows if len(keyword_of(r)) >= 6]
    held = {tag: [r for r in rows if r["target_lang"] == tag] for tag in LOCALES}
    return [found[i * len(found) // PER_LOCALE] for found in held.values() for i in range(PER_LOCALE)]


def found(text: str, keyword: str) -> bool:
    return keyword.casefold() in re.findall(r"[\w-]+", text.casefold())


def test_said_keywords_are_found_that_were_missed_without_the_list(capfd):
    checkpoint, rows = Checkpoint.open(CHECKPOINT), said_with_keywords()
    clips = [heard(row) for row in rows]

    def texts(boosts: list[Boost | None]) -> list[str]:
        asked = zip(rows, clips, boosts, strict=True)
        return [
            play(checkpoint, pcm, 16000, row["target_lang"], 1120, boost, device="cpu")[-1].final_transcript
            for row, pcm, boost in asked
        ]

    plain = texts([None] * len(rows))
    lists = {tag: tuple(keyword_of(r) for r in rows if r["target_lang"] == tag) for tag in LOCALES}
    boosted = texts([Boost(lists[row["target_lang"]]) for row in rows])
    before, after = (
        sum(found(text, keyword_of(row)) for text, row in zip(said, rows, strict=True))
        for said in (plain, boosted)
    )
    assert after >= before + 3, f"{before} of {len(rows)} without the list, {after} with it"
    assert "[NeMo I" not in "".join(capfd.readouterr()), "a list is taken without NeMo's log lines"
