"""What the workbench exports comes back by its folder alone, in every format, with the same content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sound_files import lines, tone

from workbench.corpus.query.table import Corpus
from workbench.ingest.schema import DERIVED

Bring = Callable[..., Corpus]
FORMATS = ("nemo", "tarred", "shar", "hf", "csv")
OWN = {"audio_filepath", "offset", "row_index", "source_line", "source_file", "duration", "lang"}
"""Where a row lies may change, and ``lang`` is written with ``target_lang``; its length is compared apart."""


@pytest.fixture
def corpus(tmp_path: Path, bring: Bring) -> Corpus:
    texts = [
        "Guten Tag.",
        "=SUM(A1)",
        '-5 Grad, "Eis"; Schnee',
        "@alle: 'los'",
        "ünï <b>cödé</b>",
        "1,5",
        "Ja.",
    ]
    rows: list[dict[str, Any]] = []
    for i, text in enumerate(texts):
        tone(tmp_path / "calls" / f"call {i}.wav", 1.5, channels=2 if i == 4 else 1)
        rows.append({"id": f"u{i}", "audio_filepath": f"call {i}.wav", "duration": 1.5, "text": text,
                     "target_lang": "de-DE", "speaker": f"s{i % 3}",
                     "split": ("train", "test", "rest")[i % 3],
                     "license": "CC0-1.0", "note": f"+{i}" if i else None, "count": i})  # fmt: skip
    rows[1] |= {"offset": 0.25, "duration": 0.5}
    rows[4] |= {"channel": 1}
    return bring(lines(tmp_path / "calls" / "m.jsonl", rows))


def content(corpus: Corpus, *, number: bool = True) -> list[dict[str, Any]]:
    """Rows in the order of their ids, with the source's own columns; numbers as texts if not ``number``."""
    derived = {*DERIVED, "unknown_rate"}
    found = []
    for row in sorted(corpus.page(0, 100), key=lambda row: str(row["id"])):
        plain = {k: v for k, v in row.items() if v is not None and k not in OWN | derived}
        found.append(plain if number else {k: str(v) for k, v in plain.items()})
    return found


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("tagged", [True, False])
@pytest.mark.parametrize("format", FORMATS)
def test_an_export_comes_back_unchanged(
    corpus: Corpus, bring: Bring, tmp_path: Path, format: str, tagged: bool, relative: bool
) -> None:
    settings = {"append_tag": tagged, "relative_paths": relative, "only": "not_rejected"}
    made = corpus.export(tmp_path / "out" / "x", format, **settings)
    again = bring(made.path)
    assert again.facts["left_out"] == 0
    number = format != "csv"
    left, right = content(corpus, number=number), content(again, number=number)
    if format in ("tarred", "shar", "hf"):  # the channel was cut out
        left = [{k: v for k, v in row.items() if k != "channel"} for row in left]
        right = [{k: v for k, v in row.items() if k != "channel"} for row in right]
    assert left == right
    for id_ in corpus.ids():
        assert again.row(id_)["duration"] == pytest.approx(corpus.row(id_)["duration"], abs=1e-3)
        assert np.abs(corpus.audio(id_) - again.audio(id_)).max() < 1e-3
    twice = again.export(tmp_path / "out" / "y", format, **settings)
    last = bring(twice.path)
    assert content(last) == content(again)
    if format == "nemo" and not relative:
        for split in ("train", "test", "rest"):
            one, two = (x.manifest(split).read_text("utf-8").splitlines() for x in (made, twice))
            assert list(map(json.loads, one)) == list(map(json.loads, two))


@pytest.mark.parametrize("format", ["nemo", "tarred", "csv"])
def test_one_file_of_an_export_comes_back_too(
    corpus: Corpus, bring: Bring, tmp_path: Path, format: str
) -> None:
    made = corpus.export(tmp_path / "x", format, only="not_rejected")
    name = "utterances.csv" if format == "csv" else made.files["train"]
    again = bring(made.path / name)
    want = [row["text"] for row in corpus.page(0, 100) if format == "csv" or row["split"] == "train"]
    assert sorted(row["text"] for row in again.page(0, 100)) == sorted(want)
