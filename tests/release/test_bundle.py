"""The bundle: smoke-tested in a fresh process, every damage named, only of the bytes that were gated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from candidates import POLICY

from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.files import sha256_file
from workbench.release import Release, bundle
from workbench.release.card import Purpose
from workbench.workspace.folder import WorkspaceFolder


@pytest.mark.model
def test_bundle_is_smoke_tested_in_a_fresh_process_and_shows_every_damage(
    home: WorkspaceFolder, tmp_path: Path
) -> None:
    release = Release(home, candidate="tuned", base="base")
    clips = Corpus.open(home.corpus_folder("calls")).where("duration < 3")
    clips = clips.where(f"id in ({', '.join(repr(i) for i in clips.ids()[:3])})")
    with pytest.raises(WorkbenchError, match="not gated"):
        release.bundle(tmp_path / "early", clips)
    release.gate(POLICY)
    # As a run with adapters leaves it beside its checkpoint.
    release.candidate_path.with_suffix(".adapter.pt").write_bytes(b"adapter")
    made = release.bundle(tmp_path / "out", clips, lookahead_ms=560, purpose=Purpose(license="CC-BY-4.0"))
    assert bundle.verify(made.path, made.digest) == []
    test = made.smoke_test()
    assert test.passed, test.output
    assert "3 of 3 clips read the same" in test.output
    card = (made.path / "model_card.md").read_text()
    assert "it-IT" in card
    assert release.candidate_sha256 in card.replace("\\", "")
    assert [e.kind for e in home.ledger.events()][-1] == "release.bundle"
    adapter = made.path / "tuned.adapter.pt"
    assert adapter.read_bytes() == b"adapter"
    adapter.write_bytes(b"another")
    assert bundle.verify(made.path) == ["tuned.adapter.pt was changed"]
    adapter.write_bytes(b"adapter")
    expected = made.path / "expected.jsonl"
    kept = expected.read_bytes()
    lines = [json.loads(line) for line in kept.decode().splitlines()]
    lines[1]["text"] = "something else entirely"
    expected.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert made.smoke_test().exit_code == 2
    facts = json.loads((made.path / "bundle.json").read_text())
    facts["files"]["expected.jsonl"] = sha256_file(expected)
    (made.path / "bundle.json").write_text(json.dumps(facts))
    # Rewritten as a whole: found by the digest kept elsewhere, and by the clip that reads otherwise.
    assert bundle.verify(made.path) == []
    assert bundle.verify(made.path, made.digest) == ["bundle.json is not the one that was released"]
    test = bundle.run_smoke_test(made.path)
    assert test.exit_code == 1
    assert "DIFFERS clips/01.wav" in test.output
    assert "something else" not in test.output


def sealed(folder: Path) -> Path:
    """A small bundle of plain files, for attacks on its digests."""
    folder.mkdir()
    (folder / "card.md").write_text("card")
    (folder / "x.nemo").write_bytes(b"weights")
    files = {name: sha256_file(folder / name) for name in ("card.md", "x.nemo")}
    (folder / "bundle.json").write_text(json.dumps({"files": files}))
    return folder


def test_damaged_bundles_are_named_file_by_file(tmp_path: Path) -> None:
    folder = sealed(tmp_path / "b")
    assert bundle.verify(folder) == []
    (folder / "x.nemo").write_bytes(b"other")
    (folder / "card.md").unlink()
    (folder / "extra.py").write_text("import os")
    assert bundle.verify(folder) == [
        "card.md is missing",
        "x.nemo was changed",
        "extra.py does not belong here",
    ]
    (folder / "bundle.json").write_text(json.dumps({"files": {"../outside": "0" * 64}}))
    assert "../outside leaves the bundle" in bundle.verify(folder)
    (folder / "bundle.json").write_text("{")
    assert bundle.verify(folder) == ["bundle.json is missing or damaged"]


def test_a_bundle_needs_the_gated_bytes(home: WorkspaceFolder, tmp_path: Path) -> None:
    release = Release(home, candidate="tuned", base="base")
    release.gate(POLICY)
    path = release.candidate_path
    path.chmod(0o600)
    shutil.copy(release.base_path, path)
    clips = Corpus.open(home.corpus_folder("calls")).where("duration < 2")
    with pytest.raises(WorkbenchError, match="changed since its gate"):
        release.bundle(tmp_path / "out", clips)
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".out*")) == []
