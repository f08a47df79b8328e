"""A report says which predictions were made on recordings that are no longer the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.evaluation.corpora import evaluate

RATE = 16_000


@pytest.fixture
def calls(tmp_path: Path) -> Corpus:
    """Four recordings, and two predictions that know the sound they were made on; one knows only of three."""
    rows = []
    for number in range(4):
        _overwrite(tmp_path / f"{number}.wav", seed=number)
        row = {"id": f"{number}", "audio_filepath": f"{number}.wav", "duration": 1.0, "text": "one two"}
        rows.append({**row, "target_lang": "en-US"})
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = import_source(tmp_path / "m.jsonl", tmp_path / "corpora" / "c", name="c")
    _predict(corpus, "base", {})
    _predict(corpus, "tuned", {"3": None})
    return corpus


def _overwrite(path: Path, seed: int) -> None:
    noise = 0.1 * np.random.default_rng(seed).standard_normal(RATE)
    soundfile.write(path, noise, RATE)


def _predict(corpus: Corpus, name: str, said: dict[str, str | None]) -> None:
    from workbench.ingest.audio import audio_digests

    rows = corpus.frame().to_dict("records")
    digests = audio_digests(rows, corpus.audio_roots)
    table = [
        {"id": row["id"], "hypothesis": "one two", "audio_sha256": said.get(row["id"], digest)}
        for row, digest in zip(rows, digests, strict=True)
    ]
    corpus.predictions_folder.mkdir(exist_ok=True)
    schema = pa.schema([(column, pa.string()) for column in ("id", "hypothesis", "audio_sha256")])
    pq.write_table(pa.Table.from_pylist(table, schema=schema), corpus.predictions_folder / f"{name}.parquet")


def _changes(corpus: Corpus, *names: str) -> dict[str, str]:
    problems = evaluate(corpus, *names, resamples=10).scored.problems
    return {problem.file: problem.what for problem in problems if "changed since" in problem.what}


def test_nothing_is_said_while_nothing_changed(calls: Corpus) -> None:
    assert _changes(calls, "base", "tuned") == {}


def test_each_prediction_says_how_many_recordings_changed(calls: Corpus, tmp_path: Path) -> None:
    for number in (1, 3):
        _overwrite(tmp_path / f"{number}.wav", seed=50 + number)
    changed = _changes(calls, "base", "tuned")
    assert changed["base"] == "the audio of 2 utterances changed since they were transcribed"
    assert changed["tuned"].startswith("the audio of 1 utterances changed"), "unknown is not changed"


def test_a_recording_that_is_gone_has_changed_and_a_new_prediction_has_not(
    calls: Corpus, tmp_path: Path
) -> None:
    (tmp_path / "0.wav").unlink()
    assert _changes(calls, "base")["base"].startswith("the audio of 1 utterances changed")
    _overwrite(tmp_path / "0.wav", seed=99)
    _predict(calls, "base", {})
    assert _changes(calls, "base") == {}


def test_touching_a_file_is_no_change(calls: Corpus, tmp_path: Path) -> None:
    data = (tmp_path / "2.wav").read_bytes()
    (tmp_path / "2.wav").write_bytes(data)
    assert _changes(calls, "base", "tuned") == {}
