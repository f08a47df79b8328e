"""The real runtime reads a corpus, and every figure of an evaluation is there for what is served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.starter_files import CHECKPOINT, CORPUS, MANIFEST

pytestmark = pytest.mark.model
COUNT = 12


@pytest.fixture
def corpus(tmp_path: Path) -> wb.Corpus:
    rows = [json.loads(line) for line in MANIFEST.read_text().splitlines()]
    rows = [row for row in rows if 2 < row["duration"] < 6][::300][:COUNT]
    manifest = tmp_path / "manifest.jsonl"
    lines = [{**row, "audio_filepath": str(CORPUS / row["audio_filepath"])} for row in rows]
    manifest.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return wb.Workspace(tmp_path / "ws").import_corpus("calls", manifest, audio_roots=[CORPUS])


def test_what_is_served_is_scored_beside_what_was_measured(corpus, tmp_path):
    ws = wb.Workspace(tmp_path / "ws")
    package = ws.export_model(str(CHECKPOINT), tmp_path / "package", to="sherpa-onnx", lookahead_ms=560)
    found = ws.served(package.path, corpus, str(CHECKPOINT), "check")
    assert found.rows == len(corpus)
    assert 0 < found.cpu_s_per_s < 2
    assert found.first_words_lost <= found.rows
    assert {"difference", "low", "high", "target_lang", "unlike"} <= set(found.table.columns)
    assert "engine torch against sherpa-onnx" in found.table["unlike"].iloc[0]
    assert any("features" in line for line in found.lines())
    served = corpus.prediction("check-served")
    assert set(served["runtime"]) == {"sherpa-onnx"}
    assert (served["hypothesis"].str.len() > 0).mean() > 0.8
    assert not served["hypothesis"].str.contains("<").any()
    words = [word for row in served["words"] for word in row]
    assert words
    assert all(0 <= word["start"] <= word["end"] < 7 for word in words)
    json.dumps(found.to_dict())


def test_a_package_of_another_checkpoint_is_refused(corpus, tmp_path):
    ws = wb.Workspace(tmp_path / "ws")
    package = ws.export_model(str(CHECKPOINT), tmp_path / "package", to="sherpa-onnx", lookahead_ms=560)
    other = tmp_path / "other.nemo"
    other.write_bytes(CHECKPOINT.read_bytes() + bytes(1024))
    with pytest.raises(WorkbenchError, match="another checkpoint"):
        ws.served(package.path, corpus, str(other), "check")
    with pytest.raises(WorkbenchError, match="the package serves 560 ms, not 80 ms"):
        ws.served(package.path, corpus, str(CHECKPOINT), "check", lookahead_ms=80)


@pytest.mark.parametrize("target", ["onnx", "transformers"])
def test_runtimes_that_say_the_same_are_scored_as_the_same(corpus, tmp_path, target):
    """Streamed by Transformers' own class, and by ONNX Runtime from the package's own graphs."""
    ws = wb.Workspace(tmp_path / "ws")
    package = ws.export_model(str(CHECKPOINT), tmp_path / "package", to=target)
    found = ws.served(package.path, corpus, str(CHECKPOINT), "check", lookahead_ms=320)
    assert (found.rows, found.target, found.first_words_lost) == (len(corpus), target, 0)
    assert found.words > 30
    served = corpus.prediction("check-served")
    assert set(served["runtime"]) == {target}
    assert set(served["lookahead_ms"]) == {320}
    if target == "onnx":
        assert (found.equal, found.words_changed, found.tags_changed) == (found.rows, 0, 0)
    else:  # a stream of Transformers' ends in silence that fills its last chunk
        assert found.equal + found.punctuation_changed == found.rows
        assert "silence that fills the last chunk" in str(found) or found.equal == found.rows
    assert found.memory_mib < 2000


def test_a_suite_is_served_in_all_its_corpora(corpus, tmp_path):
    ws = wb.Workspace(tmp_path / "ws")
    second = tmp_path / "second.jsonl"
    held = corpus.frame()[["audio_filepath", "text", "target_lang", "speaker"]].iloc[:3]
    held["audio_filepath"] = [str(CORPUS / path) for path in held["audio_filepath"]]
    held.to_json(second, orient="records", lines=True, force_ascii=False)
    other = ws.import_corpus("guardrails", second, audio_roots=[CORPUS])
    ws.suite("pilot").create([corpus.pick(corpus.ids()[3:]), other])
    package = ws.export_model(str(CHECKPOINT), tmp_path / "package", to="onnx")
    found = ws.served(package.path, "pilot", str(CHECKPOINT), "pilot")
    assert (found.rows, found.equal) == (5, 5)
    assert len(other.prediction("pilot-served")) == 3
    assert set(found.table["target_lang"]) <= set(corpus.frame()["target_lang"])
