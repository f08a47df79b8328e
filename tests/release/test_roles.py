"""Roles: who may act, which refusals are recorded, and what an edited policy file is worth."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from bound import gated_on_suite

from workbench.api import Workspace
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.finetuning.recipe import Recipe, Source
from workbench.release.promotion import promote, stage
from workbench.workspace.folder import WorkspaceFolder
from workbench.workspace.roles import REFUSED, adopt, require


def roles_file(path: Path, **people: list[str]) -> Path:
    lines = [f"  {name}: [{', '.join(roles)}]" for name, roles in people.items()]
    path.write_text("people:\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def governed(ws: WorkspaceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspaceFolder:
    monkeypatch.setenv("WORKBENCH_USER", "ben")
    adopt(
        ws,
        roles_file(
            tmp_path / "r.yaml", ben=["steward"], anna=["releaser"], tom=["trainer"], eve=["reviewer"]
        ),
    )
    return ws


def test_only_a_releaser_promotes_and_refusals_are_recorded(
    governed: WorkspaceFolder, checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_USER", "tom")
    stage(governed, "tuned", checkpoints["tuned"])
    digest = hashlib.sha256(checkpoints["tuned"].read_bytes()).hexdigest()
    gated_on_suite(governed, digest)
    with pytest.raises(WorkbenchError, match="tom lacks the releaser"):
        promote(governed, generation=1)
    event = governed.ledger.latest(REFUSED)
    assert event is not None
    assert event.payload == {"actor": governed.actor("tom"), "role": "releaser", "action": "release.promote"}
    monkeypatch.setenv("WORKBENCH_USER", "anna")
    assert promote(governed, generation=1).production is not None
    with pytest.raises(WorkbenchError, match="anna lacks the trainer role"):
        stage(governed, "base", checkpoints["base"])


def test_a_role_granted_to_oneself_in_the_file_is_not_in_force(
    governed: WorkspaceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_USER", "eve")
    edited = roles_file(
        governed.path / "roles.yaml", ben=["steward"], eve=["reviewer", "releaser", "steward"]
    )
    with pytest.raises(WorkbenchError, match="not the policy that was adopted"):
        require(governed, "releaser", "release.promote")
    with pytest.raises(WorkbenchError, match="only a steward"):
        adopt(governed, edited)
    kept = next((governed.path / "roles").glob("*.yaml"))
    kept.chmod(0o600)
    shutil.copy(edited, kept)
    with pytest.raises(WorkbenchError, match="changed on disk"):
        require(governed, "releaser", "release.promote")
    kept.unlink()
    with pytest.raises(WorkbenchError, match="are missing"):
        require(governed, "releaser", "release.promote")


def test_a_steward_gives_roles_to_others_but_not_to_himself(
    governed: WorkspaceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WorkbenchError, match="its own adopter"):
        adopt(governed, roles_file(tmp_path / "own.yaml", ben=["steward", "releaser"]))
    adopt(governed, roles_file(tmp_path / "two.yaml", ben=["steward"], zoe=["steward"], eve=["releaser"]))
    monkeypatch.setenv("WORKBENCH_USER", "eve")
    require(governed, "releaser", "release.promote")
    monkeypatch.setenv("WORKBENCH_USER", "zoe")
    adopt(governed, roles_file(tmp_path / "ben.yaml", ben=["steward", "releaser"], zoe=["steward"]))
    monkeypatch.setenv("WORKBENCH_USER", "ben")
    require(governed, "releaser", "release.promote")


def test_deleting_the_roles_file_opens_nothing(governed: WorkspaceFolder) -> None:
    (governed.path / "roles.yaml").unlink()
    with pytest.raises(WorkbenchError, match="not the policy"):
        require(governed, "steward", "erase")


def test_without_a_policy_everyone_may_act(ws: WorkspaceFolder) -> None:
    assert require(ws, "releaser", "release.promote") == ws.actor()


@pytest.mark.parametrize(
    "text", ["people: 3", "people: {a: [king]}", "people: {a: releaser}", "[", "x: 1", "people: {a: []}"]
)
def test_faulty_roles_are_refused(ws: WorkspaceFolder, tmp_path: Path, text: str) -> None:
    path = tmp_path / "roles.yaml"
    path.write_text(text)
    with pytest.raises(WorkbenchError, match="roles"):
        adopt(ws, path)
    assert require(ws, "steward", "erase")


@pytest.fixture
def calls(ws: WorkspaceFolder, tmp_path: Path) -> Workspace:
    """A workspace with one corpus, imported while everyone might do everything."""
    lines = [
        f'{{"id": "c{i}", "audio_filepath": "{i}.wav", "duration": 1.0, "text": "hello there", '
        f'"target_lang": "en-US", "speaker": "s{i}"}}\n'
        for i in range(3)
    ]
    (tmp_path / "m.jsonl").write_text("".join(lines))
    workspace = Workspace(ws.path)
    workspace.import_corpus("calls", tmp_path / "m.jsonl", require_audio=False)
    return workspace


def refusals(ws: WorkspaceFolder) -> list[tuple[str, str]]:
    return [(e.payload["role"], e.payload["action"]) for e in ws.ledger.events(kind=REFUSED) if e.payload]


def test_only_a_reviewer_decides_whatever_name_is_given(
    calls: Workspace, governed: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = calls.corpus("calls")
    monkeypatch.setenv("WORKBENCH_USER", "tom")
    for act in (
        lambda: corpus.accept(),
        lambda: corpus.reject("noise"),
        lambda: corpus.decisions.edit("c0", "text", "x"),
        lambda: corpus.decisions.tag(["c0"], "t"),
        lambda: corpus.decisions.undo(),
        # In a reviewer's name, and read by the room below the public face.
        lambda: corpus.accept(reviewer="eve"),
        lambda: Corpus.open(corpus.folder).accept(),
    ):
        with pytest.raises(WorkbenchError, match="tom lacks the reviewer"):
            act()
    assert len(corpus.where("status = 'pending'")) == 3
    assert corpus.decisions.version() == 0
    assert {action for _, action in refusals(governed)} == {
        "decision.status", "decision.edit", "decision.tag", "decision.undo",
    }  # fmt: skip
    monkeypatch.setenv("WORKBENCH_USER", "eve")
    assert corpus.accept() == 3
    with pytest.raises(WorkbenchError, match="tom lacks the reviewer"):
        corpus.reject("noise", reviewer="tom")
    assert corpus.decisions.undo() is not None


def test_import_export_and_training_need_a_trainer(
    calls: Workspace, governed: WorkspaceFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, out = tmp_path / "m.jsonl", tmp_path / "out"
    recipe = Recipe("r", "none.nemo", (Source(str(manifest)),))
    monkeypatch.setenv("WORKBENCH_USER", "eve")
    with pytest.raises(WorkbenchError, match="eve lacks the trainer or steward role"):
        calls.import_corpus("more", manifest, require_audio=False)
    with pytest.raises(WorkbenchError, match="eve lacks the trainer role"):
        calls.corpus("calls").export(out, only="not_rejected")
    with pytest.raises(WorkbenchError, match="eve lacks the trainer role"):
        calls.finetune(recipe)
    assert calls.corpus_names() == ["calls"]
    assert calls.run_names() == []
    assert not out.exists()
    assert refusals(governed) == [
        ("trainer+steward", "corpus.import"), ("trainer", "corpus.export"), ("trainer", "run.start"),
    ]  # fmt: skip
    monkeypatch.setenv("WORKBENCH_USER", "ben")
    calls.import_corpus("more", manifest, require_audio=False)
    monkeypatch.setenv("WORKBENCH_USER", "tom")
    assert calls.corpus("calls").export(out, only="not_rejected").counts["utterances"] == 3
    with pytest.raises(WorkbenchError, match=r"none\.nemo"):
        calls.finetune(recipe)


def test_erasing_the_record_of_the_policy_opens_nothing(governed: WorkspaceFolder) -> None:
    event = governed.ledger.latest("roles.adopt")
    assert event is not None
    governed.ledger.erase(event.id)
    with pytest.raises(WorkbenchError, match="are missing"):
        require(governed, "steward", "erase")
