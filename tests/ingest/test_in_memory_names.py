"""What a plan and a problem call their source: the kind of object, the file of a line."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import soundfile

import workbench as wb


def test_a_table_in_memory_is_called_what_it_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", [0.0] * 1_600, 16_000)
    frame = pd.DataFrame({"path": [str(tmp_path / "a.wav")], "text": ["hi"]})
    assert "DataFrame in memory" in str(wb.inspect_source(frame))
    assert "Table in memory" in str(wb.inspect_source(pa.Table.from_pandas(frame)))


def test_a_row_that_repeats_another_is_named_with_its_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", [0.0] * 16_000, 16_000)
    row = {"audio_filepath": "a.wav", "duration": 1.0, "text": "one", "target_lang": "de-DE"}
    (tmp_path / "m.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"text": "two"}) + "\n")
    corpus = wb.Workspace(tmp_path / "ws").import_corpus("c", tmp_path / "m.jsonl")
    [said] = [str(p) for p in corpus.problems if "duplicates" in p.what]
    assert said.startswith("m.jsonl:2 [id]: duplicates an earlier row")


def test_a_corpus_of_many_rows_is_counted_from_its_file(tmp_path: Path) -> None:
    """Decided, edited and measured rows stay one row each."""
    soundfile.write(tmp_path / "a.wav", [0.1] * 16_000, 16_000)
    rows = [{"audio_filepath": "a.wav", "offset": n / 10, "duration": 0.1, "text": f"t {n}",
             "target_lang": "de-DE"} for n in range(9)]  # fmt: skip
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    corpus = wb.Workspace(tmp_path / "ws").import_corpus("c", tmp_path / "m.jsonl")
    wb.scan(corpus)
    ids = corpus.ids()
    corpus.decisions.accept(ids[:3], reviewer="a")
    corpus.decisions.edit(ids[2:4], "text", "new", reviewer="b")
    assert len(corpus) == len(ids) == len(corpus.where("true")) == 9
