"""The console script: verbs call the public face, say what they did, and end with the code they document."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import workbench as wb
from workbench.cli import main
from workbench.cli.app import ROOMS, app
from workbench.cli.verbs import numbers, pairs
from workbench.files import write_atomic
from workbench.starter_files import MANIFEST

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A workspace with 24 real clips of two locales."""
    folder = tmp_path_factory.mktemp("cli")
    rows = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    chosen = [row for tag in ("el-GR", "es-US") for row in [r for r in rows if r["target_lang"] == tag][:12]]
    for row in chosen:
        target = folder / "clips" / row["audio_filepath"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(MANIFEST.parent / row["audio_filepath"], target)
    (folder / "clips" / "manifest.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in chosen), "utf-8"
    )
    return folder


def call(home, capsys, *words, code=0):
    """Run a verb with --json in the workspace and return what it says."""
    capsys.readouterr()
    assert main(["--workspace", str(home / "ws"), *map(str, words), "--json"]) == code, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


def test_from_recordings_to_an_export(home, capsys):
    source = home / "clips" / "manifest.jsonl"
    plan = call(home, capsys, "inspect", source, "--out", home / "plan.json")
    assert plan["usable"] == 24
    assert json.loads((home / "plan.json").read_text()) == plan
    assert call(home, capsys, "import", "calls", source, "--plan", home / "plan.json")["utterances"] == 24
    assert call(home, capsys, "corpora") == {"calls": []}
    groups = call(home, capsys, "groups", "calls", "target_lang")
    assert {row["target_lang"]: row["utterances"] for row in groups} == {"el-GR": 12, "es-US": 12}
    assert call(home, capsys, "scan", "calls") == {"measured": 24, "unread": 0}
    found = call(
        home, capsys, "check", "calls", "--rules", "text_empty,leak_audio", "--out", home / "found.csv"
    )
    assert found == []
    assert (home / "found.csv").read_text().startswith("id,rule")
    assert call(home, capsys, "accept", "calls", "--where", "target_lang = 'el-GR'") == {"accepted": 12}
    assert call(home, capsys, "reject", "calls", "not ours", "--where", "target_lang = 'es-US'") == {
        "rejected": 12
    }
    assert call(home, capsys, "undo", "calls") == {"undone": 12}
    assert call(home, capsys, "redo", "calls") == {"redone": 12}
    assert call(home, capsys, "redo", "calls", code=1) == {"redone": 0}
    assert call(home, capsys, "tag", "calls", "seen", "--where", "status = 'accepted'") == {"tagged": 12}
    call(home, capsys, "split", "calls", "--fractions", "0.5,0.25,0.25", "--shared-speakers")
    mixed = call(home, capsys, "mix", "calls", "--temperature", "0.5", "--split", "train")
    assert [row["target_lang"] for row in mixed] == ["el-GR"]
    made = call(home, capsys, "export", "calls", home / "out", "--pseudonymize", "--relative-paths")
    assert made["counts"]["utterances"] == 12
    assert set(made["files"]) <= {"train", "validation", "test"}
    assert call(home, capsys, "verify")["ok"] is True
    plan = call(
        home, capsys, "erase", "--speaker", wb.Workspace(home / "ws").corpus("calls").page(0, 1)[0]["speaker"]
    )
    assert plan
    assert call(home, capsys, "remove", "calls", code=1) == {"utterances": 24, "removed": False}
    assert call(home, capsys, "remove", "calls", "--yes")["removed"] is True


def test_evaluate_and_compare(home, capsys, tmp_path):
    corpus = wb.Workspace(tmp_path / "ws").import_corpus("calls", home / "clips" / "manifest.jsonl")
    corpus.predictions_folder.mkdir()
    frame = corpus.frame(["id", "text"]).rename(columns={"text": "hypothesis"})
    frame.to_parquet(corpus.predictions_folder / "right.parquet")
    frame.assign(hypothesis="no").to_parquet(corpus.predictions_folder / "wrong.parquet")
    found = call(
        tmp_path, capsys, "evaluate", "calls", "right", "wrong", "--report", tmp_path / "report.html"
    )
    assert {row["rate"] for row in found["rates"]["right"]} == {0.0}
    assert (tmp_path / "report.html").exists()
    table = call(tmp_path, capsys, "compare", "calls", "wrong", "right")
    assert all(row["difference"] < 0 for row in table)


def test_a_fault_is_one_line_and_code_2(tmp_path, capsys):
    assert main(["--workspace", str(tmp_path / "ws"), "scan", "nothing"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"^workbench: .*no corpus 'nothing'.*Hint: ", err, re.MULTILINE)
    assert main(["--workspace", str(tmp_path / "ws"), "scan"]) == 2
    assert main(["nonsense"]) == 2
    assert main(["--workspace", str(tmp_path / "ws"), "split", "x", "--fractions", "a,b,c"]) == 2


def test_an_unexplained_fault_does_not_say_that_a_gate_failed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(wb.Workspace, "corpus_names", lambda self: 1 / 0)
    assert main(["--workspace", str(tmp_path / "ws"), "corpora"]) == 2


def test_broken_ledger_ends_with_1(tmp_path, capsys):
    ws = wb.Workspace(tmp_path / "ws")
    ws.record("import", {"utterances": 1})
    head = str(ws.ledger.head())
    assert main(["--workspace", str(ws.path), "verify", "--head", head]) == 0
    stranger = wb.Workspace(tmp_path / "other")
    stranger.record("import", {"utterances": 1})
    other = str(stranger.ledger.head())
    assert main(["--workspace", str(ws.path), "verify", "--head", other]) == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_has_help_json_and_codes(name):
    command = COMMANDS[name]
    options = [option for parameter in command.params for option in parameter.opts]
    assert "--json" in options
    assert command.help
    assert "Exit codes: 0 done" in command.epilog
    for parameter in command.params:
        assert getattr(parameter, "help", ""), f"{name}: {parameter.name} is not explained"


def test_the_verbs_that_the_documentation_promises():
    promised = (
        "inspect import scan check split export preflight finetune runs transcribe evaluate compare gate "
        "promote rollback bundle erase verify capacity conditions field pipeline lab notebooks init"
    )
    assert set(promised.split()) <= set(COMMANDS)


def test_verbs_call_the_public_face_and_nothing_else():
    """Imports of the rooms' files: ``workbench`` itself, the project's tools, progress and data."""
    allowed = {"workbench", "workbench.cli.verbs", "workbench.plain_values", "workbench.reading"}
    allowed |= {"workbench.widgets.progress"}
    for room in ROOMS:
        for node in ast.walk(ast.parse(Path(room.__file__).read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("workbench"):
                names = {alias.name for alias in node.names}
                tools = node.module == "workbench" and names <= {"lab", "project"}
                tools = tools or node.module.startswith(("workbench.cli.", "workbench.deployment."))
                assert tools or node.module in allowed, (room.__name__, node.module)


def test_completion_and_version():
    found = subprocess.run(
        [sys.executable, "-m", "workbench", "--version"], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == wb.__version__
    shown = subprocess.run(
        [sys.executable, "-m", "workbench", "--show-completion", "bash"], capture_output=True, text=True,
        # Whoever runs the tests may have no shell among its parents.
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )  # fmt: skip
    assert "COMPLETE" in shown.stdout + shown.stderr


def test_lists_and_pairs():
    assert numbers("80, 560", int) == [80, 560]
    assert numbers("none", int) == []
    assert numbers(None, int) is None
    assert pairs(["el=el-GR", "a = b"]) == {"el": "el-GR", "a": "b"}
    for wrong in ("el", "=x"):
        with pytest.raises(typer.BadParameter):
            pairs([wrong])
    with pytest.raises(typer.BadParameter):
        numbers("80;560", int)


def test_a_run_and_a_policy_by_their_files(tmp_path, capsys):
    made = tmp_path / "recipe.yaml"
    assert main(["preset", "quick_cpu", "base.nemo", "m.jsonl", "--locale", "el-GR", "--out", str(made)]) == 0
    assert wb.Recipe.from_yaml(made).preset == "quick_cpu"
    assert main(["preflight", str(made)]) == 1
    write_atomic(made, "name: x\nlerning_rate: 1\n")
    capsys.readouterr()
    assert main(["preflight", str(made)]) == 2
    assert "learning_rate" in capsys.readouterr().err
