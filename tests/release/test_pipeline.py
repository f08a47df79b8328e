"""The pipeline from a shell: killed on the way it goes on; its exit code is the gate's, a fault is none."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from workbench.api import Workspace
from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.finetuning.recipe import Recipe, Source
from workbench.release.gates import Policy
from workbench.release.pipeline import Pipeline
from workbench.release.promotion import GATED
from workbench.workspace.roles import adopt

pytestmark = pytest.mark.model

# A tiny base of the real class and a little corpus: those of the fine-tuning tests.
_PLACE = Path(__file__).parents[1] / "finetuning" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("finetuning_conftest", _PLACE)
assert _SPEC is not None
assert _SPEC.loader is not None
_TINY = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_TINY)
corpus, base = _TINY.corpus, _TINY.base

PASSES = "name: p\nchecks:\n- {kind: terms, licenses: [CC0-1.0]}\n- {kind: leakage}\n"
FAILS = PASSES.replace("CC0-1.0", "CC-BY-4.0")
UNKNOWN = "name: p\nchecks:\n- {kind: improves, locales: [el-GR]}\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, corpus: Path, base: Path) -> tuple[Workspace, Path]:
    """A workspace with a curated corpus, exported once, and a recipe that names that export."""
    folder = tmp_path_factory.mktemp("pipeline")
    ws = Workspace(folder / "ws")
    terms = {"license": "CC0-1.0", "consent": "yes"}
    calls = ws.import_corpus("calls", corpus, defaults=terms, audio_roots=[corpus.parent])
    test = calls.where("split = 'validation' AND target_lang <> 'it-IT'")
    test.edit("split", "test")
    calls.where("split = 'train' AND duration > 0").accept()
    calls.where("split = 'validation'").accept()
    made = calls.where("target_lang <> 'en-US'").export(ws.path / "exports" / "first", pseudonymize=True)
    recipe = Recipe(
        name="weekly", base=str(base),
        sources=(Source(str(made.manifest("train")), audio_root=str(corpus.parent), locales=("el-GR",)),
                 Source(str(made.manifest("train")), audio_root=str(corpus.parent), role="replay",
                        except_locales=("el-GR",))),
        steps=2, warmup_steps=1, batch_s=8, max_duration_s=8, save_every=1, device="cpu",
    )  # fmt: skip
    recipe.to_yaml(folder / "recipe.yaml")
    (folder / "policy.yaml").write_text(PASSES)
    # Decided since that export: the pass must not train on it.
    calls.where("target_lang = 'el-GR' AND split = 'train'").pick(["el-GR/0"]).reject("cut off")
    return ws, folder / "recipe.yaml"


def command(home: tuple[Workspace, Path], *more: str) -> list[str]:
    return ["--workspace", str(home[0].path), "pipeline", str(home[1]), *more]


@pytest.mark.timeout(1500)
def test_killed_while_training_it_goes_on_and_exits_as_the_gate_says(
    home: tuple[Workspace, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    ws, _ = home
    first = subprocess.Popen([sys.executable, "-m", "workbench", *command(home)], stderr=subprocess.PIPE)
    while not ws.run_names() or not (ws.run_folder(ws.run_names()[0]) / "state.json").exists():
        assert first.poll() is None, first.stderr.read() if first.stderr else ""
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert main(command(home)) == 0
    (name,) = ws.run_names()
    assert name.startswith("weekly.")
    run = ws.run(name)
    assert run.state["status"] == "finished"
    out = capsys.readouterr().out
    assert "pass" in out
    assert str(ws.path / "pipelines" / name) in out

    # It trained on a fresh export: the same filter and settings, without what was rejected since.
    sources = {Path(source.manifest) for source in run.recipe.sources}
    (manifest,) = sources
    assert manifest.is_relative_to(ws.path / "pipelines" / name / "exports")
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert {row["target_lang"] for row in rows} == {"el-GR", "it-IT"}
    assert "el-GR/0" not in {row["id"] for row in rows}
    assert all(row["speaker"].startswith("speaker-") for row in rows)

    # Base and candidate were read on the test rows, as the policy needs it, and the verdict is on record.
    tested = ws.corpus("calls").where("split = 'test'").ids()
    suite = ws.suite("pipeline-calls")
    assert sorted(suite.clips(suite.latest)["calls"]["id"]) == sorted(tested)
    event = ws.ledger.latest(GATED)
    assert event is not None
    assert event.payload is not None
    assert event.payload["verdict"] == "pass"
    assert event.payload["candidate"] == ws.checkpoint(name).sha256
    report = json.loads((ws.path / "pipelines" / name / "gate.json").read_text())
    assert report["verdict"] == "pass"
    assert report["suite"]["digest"] == suite.latest.digest
    assert all(row["missing"] == 0 for row in report["suite"]["coverage"])


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("text", "code"), [(FAILS, 1), (UNKNOWN, 3), (PASSES, 0)])
def test_a_finished_pass_is_only_gated_again(home: tuple[Workspace, Path], text: str, code: int) -> None:
    ws, recipe = home
    assert ws.run_names(), "the test above trains"
    before = (ws.run_folder(ws.run_names()[0]) / "state.json").read_bytes()
    policy = recipe.with_name("other.yaml")
    policy.write_text(text)
    assert main(command(home, "--name", ws.run_names()[0], "--policy", str(policy))) == code
    assert len(ws.run_names()) == 1
    assert (ws.run_folder(ws.run_names()[0]) / "state.json").read_bytes() == before


def test_faults_exit_with_2_and_say_what(
    home: tuple[Workspace, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, recipe = home
    assert main(command(home, "--policy", str(recipe.with_name("none.yaml")))) == 2
    assert "none.yaml" in capsys.readouterr().err
    assert main(command(home, "--name", "x", "--where", "split = 'nowhere'", "--policy", str(recipe))) == 2
    assert "no list of checks" in capsys.readouterr().err

    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Pipeline, "run", broken)
    assert main(command(home)) == 2


def test_another_recipe_or_a_pass_that_is_going_is_refused(home: tuple[Workspace, Path]) -> None:
    ws, path = home
    policy = Policy.from_yaml(PASSES)
    name = "held"
    first = Pipeline(ws, path, policy, name=name)
    first.folder.mkdir(parents=True)
    first._begin()
    other = Recipe.from_yaml(path).changed(steps=5)
    with pytest.raises(WorkbenchError, match="another recipe or test"):
        Pipeline(ws, other, policy, name=name).run()
    # Without a name, the unfinished pass of the same recipe goes on; of another, a new one begins.
    assert Pipeline(ws, path, policy).name == name
    assert Pipeline(ws, other, policy).name != name
    from workbench.workspace.slots import hold_slot

    with hold_slot(first.folder / "lock", 1), pytest.raises(WorkbenchError, match="busy"):
        Pipeline(ws, path, policy, name=name).run()


def test_the_policy_says_how_the_test_rows_are_read(home: tuple[Workspace, Path]) -> None:
    ws, path = home
    policy = Policy.from_yaml("checks:\n- {kind: language}\n- {kind: streaming}\n")
    names = [point.name for point in Pipeline(ws, path, policy)._points()]
    assert names == ["offline", "offline-auto", "streaming-560"]


def test_an_export_of_picked_ids_cannot_be_repeated(home: tuple[Workspace, Path], tmp_path: Path) -> None:
    ws, path = home
    corpus = ws.corpus("calls")
    ids = corpus.where("split = 'train' AND status = 'accepted'").ids()[:2]
    made = corpus.pick(ids).export(tmp_path / "p")
    recipe = Recipe.from_yaml(path).changed(sources=(Source(str(made.manifest("train"))),))
    with pytest.raises(WorkbenchError, match="picked by hand"):
        Pipeline(ws, recipe, Policy.from_yaml(PASSES), name="picked").run()


def test_only_a_trainer_runs_it(
    home: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ws, _ = home
    monkeypatch.setenv("WORKBENCH_USER", "ben")
    (tmp_path / "roles.yaml").write_text("people:\n  ben: [steward]\n")
    adopt(ws, tmp_path / "roles.yaml")
    assert main(command(home, "--name", "refused")) == 2
    assert "refused" not in ws.run_names()
