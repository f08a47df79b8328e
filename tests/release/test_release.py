"""The whole way of a candidate with the starter checkpoint: gate, promote, bundle, smoke test, roll back."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import shutil
import tarfile
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from workbench.api import Workspace
from workbench.corpus.sources import import_source
from workbench.corpus.table import Corpus
from workbench.errors import WorkbenchError
from workbench.release import Release, bundle, cadence, changes, lineage, marks
from workbench.release.card import Purpose, data_card, model_card
from workbench.release.document import Document, Table
from workbench.release.gates import FAIL, PASS
from workbench.release.promotion import GATED, pointers, verify
from workbench.workspace import Cadence, WorkspaceFolder, sha256_file

STARTER = Path(__file__).parents[2] / "data" / "starter" / "manifest.jsonl"
POLICY = "name: pilot\nchecks:\n- {kind: improves, locales: [it-IT]}\n- {kind: not_worse, margin: 0.02}\n"


@pytest.fixture
def home(ws: WorkspaceFolder, checkpoints: dict[str, Path]) -> WorkspaceFolder:
    """Two checkpoints and their predictions on real clips; the tuned one errs less in Italian."""
    for name, path in checkpoints.items():
        shutil.copy(path, ws.checkpoint_path(name))
    rows = [json.loads(line) for line in STARTER.read_text(encoding="utf-8").splitlines()]
    chosen = [
        r for tag in ("it-IT", "fr-FR") for r in rows if r["target_lang"] == tag and r["split"] == "test"
    ][:400]
    folder = ws.path / "recordings"
    for r in chosen:
        target = folder / r["audio_filepath"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(STARTER.parent / r["audio_filepath"], target)
    (folder / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in chosen))
    corpus = import_source(folder / "manifest.jsonl", ws.corpus_folder("calls"), name="calls")
    predict(ws, corpus, "base", {"it-IT": 3, "fr-FR": 5})
    predict(ws, corpus, "tuned", {"it-IT": 9, "fr-FR": 5})
    return ws


def predict(ws: WorkspaceFolder, corpus: Corpus, name: str, every: dict[str, int]) -> None:
    """Predictions in which every n-th word of a locale is wrong."""
    rows = corpus.frame()
    texts = [
        " ".join("zzz" if i % every[tag] == 0 else w for i, w in enumerate(text.split()))
        for text, tag in zip(rows["text"], rows["target_lang"], strict=True)
    ]
    facts = {
        "checkpoint_sha256": sha256_file(ws.checkpoint_path(name)),
        "lookahead_ms": None,
        "prompt_mode": "langID",
    }
    table = pd.DataFrame({"id": rows["id"], "hypothesis": texts, "detected_lang": rows["target_lang"]})
    (corpus.folder / "predictions").mkdir(exist_ok=True)
    table.assign(streaming=False, schema_version=1, **facts).to_parquet(
        corpus.folder / "predictions" / f"{name}.parquet"
    )


def test_gate_promote_and_roll_back_by_name(home: WorkspaceFolder) -> None:
    first = Release(home, candidate="base", base="tuned")
    assert first.gate(POLICY).verdict == FAIL
    with pytest.raises(WorkbenchError, match="gate says fail"):
        first.promote()
    first.promote(override="first release, nothing to compare with")
    release = Release(home, candidate="tuned", base="base")
    report = release.gate(POLICY)
    assert report.verdict == PASS, str(report)
    assert report.candidate_sha256 == release.candidate_sha256
    event = home.ledger.latest(GATED)
    assert event is not None
    assert event.payload is not None
    text = (home.reports / "gates" / f"{event.payload['report']}.json").read_bytes()
    assert hashlib.sha256(text).hexdigest() == event.payload["report"]
    assert any("it-IT" in line for line in release.changes())
    assert release.promote().production == pointers(home).production
    assert release.roll_back().production == pointers(home).production
    now = pointers(home).production
    assert now is not None
    assert now.sha256 == first.candidate_sha256
    assert verify(home) == []
    assert home.ledger.verify().ok


def test_unknown_names_and_missing_predictions_say_what_there_is(home: WorkspaceFolder) -> None:
    with pytest.raises(WorkbenchError, match="There is base, tuned"):
        Release(home, candidate="nobody", base="base")
    (home.corpora / "calls" / "predictions" / "base.parquet").unlink()
    with pytest.raises(WorkbenchError, match="Transcribe with both"):
        Release(home, candidate="tuned", base="base").gate(POLICY)


def test_a_mark_set_after_the_gate_blocks_and_fails_the_next_gate(home: WorkspaceFolder) -> None:
    release = Release(home, candidate="tuned", base="base")
    release.gate(POLICY)
    marks.add(home, [release.candidate_sha256], "erasure-1")
    with pytest.raises(WorkbenchError, match="erasure-1"):
        release.promote()
    assert release.gate("checks:\n- kind: erasure\n").verdict == FAIL


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
    made = release.bundle(tmp_path / "out", clips, lookahead_ms=560, purpose=Purpose(license="CC-BY-4.0"))
    assert bundle.verify(made.path, made.digest) == []
    test = made.smoke_test()
    assert test.passed, test.output
    assert "3 of 3 clips read the same" in test.output
    card = (made.path / "model_card.md").read_text()
    assert "it-IT" in card
    assert release.candidate_sha256 in card.replace("\\", "")
    assert [e.kind for e in home.ledger.events()][-1] == "release.bundle"
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


def repacked(source: Path, target: Path, change: dict[str, bytes]) -> Path:
    """The archive with members replaced or added."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            if Path(member.name).name not in change:
                new.addfile(member, old.extractfile(member) if member.isfile() else None)
        for name, data in change.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return target


class Runs:
    """Unpickled, it would leave a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def with_code(marker: Path) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as weights:
        weights.writestr("archive/data.pkl", pickle.dumps({"weight": Runs(marker)}))
    return made.getvalue()


@pytest.mark.parametrize("attack", ["garbage", "traversal", "foreign class", "foreign part", "pickled code"])
def test_hostile_checkpoints_cannot_be_staged(
    ws: WorkspaceFolder, checkpoints: dict[str, Path], tmp_path: Path, attack: str
) -> None:
    source, path = checkpoints["base"], tmp_path / "bad.nemo"
    with tarfile.open(source) as tar:
        names = {Path(n).name: n for n in tar.getnames()}
        held = tar.extractfile(names["model_config.yaml"])
        assert held is not None
        config = held.read().decode()
    if attack == "garbage":
        path.write_bytes(b"not an archive")
    elif attack == "traversal":
        repacked(source, path, {"../../outside.txt": b"x"})
    elif attack == "foreign class":
        at = re.search(r"^target: .*$", config, re.MULTILINE)
        assert at is not None
        repacked(
            source, path, {"model_config.yaml": config.replace(at[0], "target: subprocess.Popen").encode()}
        )
    elif attack == "foreign part":
        repacked(source, path, {"model_config.yaml": f"{config}\nextra:\n  _target_: os.system\n".encode()})
    else:
        repacked(source, path, {"model_weights.ckpt": with_code(tmp_path / "was-run")})
    shutil.copy(source, ws.checkpoint_path("base"))
    with pytest.raises(WorkbenchError, match=r"refused|not a readable"):
        Release(ws, candidate=str(path), base="base").stage()
    assert pointers(ws).candidate is None
    assert not (tmp_path / "was-run").exists()
    assert not (tmp_path.parent / "outside.txt").exists()


def test_cards_hold_figures_with_intervals_and_no_names(home: WorkspaceFolder) -> None:
    release = Release(home, candidate="tuned", base="base")
    report = release.gate(POLICY)
    training = Corpus.open(home.corpus_folder("calls")).frame()
    card = model_card(
        "tuned", {"sha256": "ab"}, evaluation=release.evaluation(), prediction="tuned", base="base",
        gate=report, training=training,
    )  # fmt: skip
    text = card.markdown()
    assert re.search(r"it-IT \|.* wer \| \d+\.\d\d % \| \d+\.\d\d % to \d+\.\d\d %", text)
    assert "voices only" in text
    for speaker in training["speaker"].unique():
        assert speaker not in data_card("calls", training.drop(columns="source")).markdown()
    untested = model_card("x", {})
    assert "Not evaluated" in untested.markdown()


def test_documents_show_text_as_text() -> None:
    document = Document("<b>t</b>")
    document.add("h", "<script>alert(1)</script> [x](http://y) `z`", Table(("a|b",), [("c|d\ne",), (None,)]))
    page, text = document.html(), document.markdown()
    assert "<script>" not in page
    assert "<script>" not in text.replace("\\<", "")
    assert "c\\|d e" in text
    assert "\\[x\\](http" in text
    ElementTree.fromstring(page.removeprefix("<!doctype html>").replace('<meta charset="utf-8">', ""))


def test_retraining_falls_due_by_days_and_accepted_hours(home: WorkspaceFolder) -> None:
    assert cadence.due(home) is None
    Release(home, candidate="tuned", base="base").promote(override="test")
    assert cadence.due(home) == []
    late = datetime.now(UTC) + timedelta(days=91)
    assert cadence.due(home, now=late) == ["91 days since tuned went out (every 90)"]
    home.configure(cadence=home.config.cadence.__class__(accepted_hours=0.001))
    corpus = Corpus.open(home.corpus_folder("calls"))
    # The release was made in this very second; decisions count from the next one on.
    before = datetime.now(UTC) - timedelta(hours=1)
    assert cadence.accepted_hours(home, before) == 0
    corpus.accept()
    total = corpus.frame()["duration"].sum() / 3600
    assert cadence.accepted_hours(home, before) == pytest.approx(total)
    assert cadence.accepted_hours(home, datetime.now(UTC) + timedelta(hours=1)) == 0


def test_the_overview_shows_the_cadence_and_what_the_last_release_changed(home: WorkspaceFolder) -> None:
    ws = Workspace(home.path)
    assert "Nothing released yet" in ws.overview()._repr_html_()
    for name in ("base", "tuned"):
        release = Release(home, candidate=name, base="base" if name == "tuned" else "tuned")
        release.gate(POLICY)
        release.promote(override="test")
    shown = ws.overview()._repr_html_()
    assert "every 90 days" in shown
    assert "No retraining is due" in shown
    assert "What tuned changed" in shown
    assert re.search(r"Figure it-IT: [\d.]+ to [\d.]+ %", shown)
    ws.configure(cadence=Cadence(days=0.0))
    shown = ws.overview()._repr_html_()
    assert "Retraining is due" in shown
    assert "days since tuned went out (every 0)" in shown


def test_a_slice_that_slipped_is_named(home: WorkspaceFolder) -> None:
    evaluation = Release(home, candidate="tuned", base="base").evaluation()
    assert cadence.slipped(evaluation, "base", "tuned", 0.02) == []
    reasons = cadence.slipped(evaluation, "tuned", "base", 0.02)
    assert len(reasons) == 1
    assert reasons[0].startswith("it-IT slipped by ")


def test_changes_between_releases_are_sentences() -> None:
    before = {
        "recipe": {"steps": 100},
        "data": {"el-GR": {"utterances": 5, "hours": 1.0}},
        "figures": {"el-GR": 0.5},
    }
    after = {
        "recipe": {"steps": 200},
        "data": {"el-GR": {"utterances": 9, "hours": 1.5}},
        "figures": {"el-GR": 0.4},
    }
    assert changes.between(before, after) == [
        "Data el-GR: 1.00 to 1.50 h (+0.50 h, +4 utterances).",
        "Recipe steps: 100 to 200.",
        "Figure el-GR: 50.00 to 40.00 % (-10.00 points).",
    ]
    assert changes.between(before, before) == []
    assert changes.between({}, after) == []


def test_lineage_leads_from_the_release_back_to_the_recordings(home: WorkspaceFolder) -> None:
    release = Release(home, candidate="tuned", base="base")
    release.gate(POLICY)
    release.promote()
    made = release.graph()
    kinds = [node.kind for node in made.ancestors("release production")]
    assert kinds[0] == "gate"
    assert {"checkpoint", "prediction", "corpus", "source"} <= set(kinds)
    drawn = ElementTree.fromstring(made.svg())
    boxes = drawn.findall(".//{http://www.w3.org/2000/svg}g")
    assert len(boxes) == len(made.nodes)
    assert json.loads(json.dumps(made.to_dict()))["edges"]


def test_the_static_lineage_leads_from_box_to_facts_to_origin() -> None:
    made = lineage.Graph()
    for id, kind in (("s", "source"), ("c", "corpus"), ("r", "run"), ("x", "release")):
        made.nodes[id] = lineage.Node(id, kind, f"the {kind}", {"rows": 3, "unknown": None})
    made.edges = [lineage.Edge("s", "c"), lineage.Edge("c", "r")]
    page = made._repr_html_()
    ids, leads = re.findall(r'<li id="([^"]+)"', page), re.findall(r'href="#([^"]+)"', page)
    assert len(ids) == len(set(ids)) == 4
    # Each box leads to its facts, each step can be followed both ways, and no lead is dead.
    assert len(leads) == 4 + 2 * 2
    assert set(leads) == set(ids)
    assert "rows: <bdi>3</bdi>" in page
    assert "unknown" not in page
    assert [n.id for n in made.descendants("s")] == ["c", "r"]
    ElementTree.fromstring(page)


def test_lineage_draws_hostile_labels_as_text() -> None:
    made = lineage.Graph()
    made.nodes["x"] = lineage.Node("x", "corpus", '<script>"&', {"k": "<img onerror=1>"})
    for shown in (made.svg(), made._repr_html_()):
        assert "<script>" not in shown
        assert "<img" not in shown
        ElementTree.fromstring(shown)


@pytest.mark.model
def test_latency_and_memory_are_measured_in_a_process_of_its_own(home: WorkspaceFolder) -> None:
    release = Release(home, candidate="tuned", base="base")
    found = release.measure(Corpus.open(home.corpus_folder("calls")).where("duration < 3"), clips=2)
    assert found.checkpoint_sha256 == release.candidate_sha256
    assert found.lookahead_ms == 560
    assert found.audio_s > 0
    assert found.real_time_factor > 0
    assert found.memory_mib > 100
    report = release.gate("checks:\n- {kind: memory, maximum_mib: 100}\n")
    assert report.verdict == FAIL
    with pytest.raises(WorkbenchError, match="measuring failed"):
        release.measure(Corpus.open(home.corpus_folder("calls")), clips=1, lookahead_ms=123)
