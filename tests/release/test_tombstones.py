"""After an erasure: what an import leaves out, and exports that name nobody."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from erasable import RATE, filled, row

from workbench.api import Workspace
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.privacy.erasure import erase, plan_erasure
from workbench.privacy.suppression_list import suppressed
from workbench.workspace.folder import WorkspaceFolder


@pytest.fixture
def home(ws: WorkspaceFolder) -> WorkspaceFolder:
    return filled(ws)


def test_tombstones_keep_the_erased_out_and_name_nobody(home: WorkspaceFolder) -> None:
    rows = [
        json.loads(line) for line in (home.path / "recordings" / "manifest.jsonl").read_text().splitlines()
    ]
    erase(home, plan_erasure(home, speaker="Maria"))
    again = suppressed(
        home, [*rows, row("new", "new.wav", "hello", "Maria"), row("B7", "b7.wav", "hello", "Bob")]
    )
    assert {r["id"] for r in again} == {"M0", "M1", "M2", "M9", "new"}
    assert "Maria" not in (home.path / "erasures" / "tombstones.txt").read_text()


def test_an_import_leaves_out_what_was_erased_and_says_so(home: WorkspaceFolder) -> None:
    manifest, audio = home.path / "recordings" / "manifest.jsonl", home.path / "recordings"
    kept = manifest.read_text()
    erase(home, plan_erasure(home, speaker="Maria"))
    (audio / "again.jsonl").write_text(
        kept + json.dumps(row("new-of-hers", "new.wav", "hello", "Maria")) + "\n"
    )
    again = Workspace(home.path).import_corpus("again", audio / "again.jsonl")
    rows = again.frame(["id", "speaker", "row_index"])
    assert rows["id"].tolist() == ["B0", "B1", "B2", "B9"]
    assert rows["row_index"].tolist() == [0, 1, 2, 3]
    erased = [problem for problem in again.problems if "was erased" in problem.what]
    assert [problem.line for problem in erased] == [1, 2, 3, 7, 9]
    assert "Maria" not in "".join(map(str, erased))
    assert again.facts["rows"] == 4
    assert again.facts["left_out"] == 5


def test_a_clip_is_known_again_without_its_speaker(home: WorkspaceFolder) -> None:
    audio = home.path / "recordings"
    erase(home, plan_erasure(home, speaker="Maria"))
    rows = [
        row("elsewhere", "maria-1.wav", "by its file", None),
        row("M2", "copies/maria-2.wav", "by its id and the name of its file", None),
        row("M0", "copies/other.wav", "a short id is no proof", "Bob"),
    ]
    (audio / "bare.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    bare = Workspace(home.path).import_corpus("bare", audio / "bare.jsonl", require_audio=False)
    assert bare.ids() == ["M0"]
    only = audio / "hers.jsonl"
    only.write_text(json.dumps(rows[0]) + "\n")
    with pytest.raises(WorkbenchError, match="was erased"):
        Workspace(home.path).import_corpus("hers", only)


def test_audio_that_an_import_brought_for_an_erased_row_goes_too(
    home: WorkspaceFolder, tmp_path: Path
) -> None:
    erase(home, plan_erasure(home, speaker="Maria"))
    sound = (home.path / "recordings" / "bob-1.wav").read_bytes()
    rows = [
        {"id": f"r{i}", "audio": {"bytes": sound, "path": f"{who}.wav"}, "text": "good day", "speaker": who,
         "target_lang": "en-US"}
        for i, who in enumerate(("Maria", "Bob"))
    ]  # fmt: skip
    pd.DataFrame(rows).to_parquet(tmp_path / "table.parquet")
    made = Workspace(home.path).import_corpus("table", tmp_path / "table.parquet")
    assert made.frame()["speaker"].tolist() == ["Bob"]
    assert len([p for p in made.folder.rglob("*.wav")]) == 1
    assert made.audio("r1").size == RATE


def test_an_export_can_name_speakers_by_a_key_that_stays_here(home: WorkspaceFolder, tmp_path: Path) -> None:
    corpus = Corpus.open(home.corpus_folder("calls"))
    made = corpus.export(tmp_path / "out", only="not_rejected", pseudonymize=True, relative_paths=True)
    lines = [json.loads(line) for line in made.manifest("train").read_text().splitlines()]
    known = {row["id"]: row["speaker"] for row in lines}
    assert known["M0"] == known["M1"] == home.pseudonym("speaker", "Maria") != known["B0"]
    key = (home.path / "keys" / "pseudonym.key").read_bytes()
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or not {key, key.hex().encode()} & set(path.read_bytes().split())
    # What the pseudonym cannot cover is said, not hidden: the files are called by the speakers' names.
    told = json.loads((tmp_path / "out" / "data_card.json").read_text())["speaker_names"]
    assert told == {"pseudonymized": True, "still_named_in": {"audio_filepath": 6}}
    plain = corpus.export(tmp_path / "plain", only="not_rejected")
    assert '"speaker": "Maria"' in plain.manifest("train").read_text()
    alone = shutil.copytree(corpus.folder, tmp_path / "alone" / "calls")
    with pytest.raises(WorkbenchError, match="only a workspace"):
        Corpus.open(alone).export(tmp_path / "x", only="not_rejected", pseudonymize=True)


def test_a_pseudonymized_export_in_the_workspace_is_erased_too(home: WorkspaceFolder) -> None:
    corpus = Corpus.open(home.corpus_folder("calls"))
    corpus.export(home.path / "exports" / "p", only="not_rejected", pseudonymize=True)
    found = {t.path.name for t in plan_erasure(home, speaker="Maria").traces if t.where == "export"}
    assert found == {"first", "p"}
