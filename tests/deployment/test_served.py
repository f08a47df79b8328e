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
    plain = ws.export_model(str(CHECKPOINT), tmp_path / "plain", to="onnx")
    with pytest.raises(WorkbenchError, match="a package for onnx is not served"):
        ws.served(plain.path, corpus, str(CHECKPOINT), "other")
