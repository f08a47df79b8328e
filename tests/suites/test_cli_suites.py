"""The suite verbs of the console script: make, show, run, compare; what is wrong is said in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from workbench.api import Workspace
from workbench.cli import main


def call(ws: Workspace, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """Run a verb with --json in the workspace and return what it says."""
    capsys.readouterr()
    assert main(["--workspace", str(ws.path), *words, "--json"]) == code, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


def refused(ws: Workspace, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a verb that cannot be done."""
    capsys.readouterr()
    assert main(["--workspace", str(ws.path), *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_suite_is_made_shown_and_made_anew(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not made yet" in refused(ws, capsys, "suite", "pilot")
    made = call(ws, capsys, "suite", "pilot", "calls", "guardrails=target_lang = 'it-IT'")
    assert (made["version"], made["utterances"]) == (1, 120)
    assert call(ws, capsys, "suite", "pilot") == made
    again = call(ws, capsys, "suite", "pilot", "calls", "guardrails=target_lang = 'it-IT'")
    assert again == made
    more = call(
        ws, capsys, "suite", "pilot", "calls", "--lookaheads-ms", "80,560", "--auto", "--replayed", "it-IT",
        "--minimum", "5",
    )  # fmt: skip
    assert more["version"] == 2
    capsys.readouterr()
    assert main(["--workspace", str(ws.path), "suite", "pilot"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert [(p["streaming"], p["lookahead_ms"], p["prompt_mode"]) for p in shown["points"]] == [
        (False, None, "langID"), (False, None, "auto"), (True, 80, "langID"), (True, 560, "langID"),
    ]  # fmt: skip
    assert {row["tag"]: row["minimum_utterances"] for row in shown["locales"]} == {"da-DK": 5, "it-IT": 5}
    assert shown == yaml.safe_load(ws.suite("pilot").path().read_text("utf-8"))


def test_what_the_suite_verbs_refuse(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no corpus 'cals'" in refused(ws, capsys, "suite", "pilot", "cals")
    call(ws, capsys, "suite", "pilot", "calls")
    assert "no checkpoint 'nobody'" in refused(ws, capsys, "run-suite", "pilot", "nobody")
    # What typer itself refuses is one line too, not a traceback.
    assert "is no list of numbers" in refused(ws, capsys, "suite", "pilot", "calls", "--lookaheads-ms", "x")
    assert "--nothing" in refused(ws, capsys, "suite", "pilot", "--nothing")
    assert "argument 'checkpoints'" in refused(ws, capsys, "run-suite", "pilot")
    assert "'b-c'" in refused(ws, capsys, "suite", "pilot", "calls", "--normalizer", "b-c")


@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_suite_is_run_and_compared(tiny: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    call(tiny, capsys, "suite", "pilot", "calls=split = 'validation'")
    covered = call(tiny, capsys, "run-suite", "pilot", "one", "two")
    assert {row["engine"] for row in covered} == {"one", "two"}
    assert all(row["missing"] == 0 for row in covered)
    texts = tiny.corpus("calls").frame(["id", "text"]).set_index("id")["text"].to_dict()
    tiny.import_prediction(tiny.corpus("calls"), texts, "whisper", engine="whisper-large-v3")
    joined = call(tiny, capsys, "run-suite", "pilot", "one", "--join", "whisper")
    assert {row["engine"] for row in joined} == {"one", "whisper"}
    # Four clips a locale say nothing: exit code 3.
    table = call(tiny, capsys, "run-suite", "pilot", "one", "two", "--base", "one", code=3)
    assert {row["verdict"] for row in table} == {"not enough data"}
    assert "no operating point" in refused(
        tiny, capsys, "run-suite", "pilot", "one", "--point", "streaming-80"
    )
    # The questions are asked of the suite, too: what is not transcribed yet is.
    asked = ("fix-first", "pilot", "two"), ("better", "pilot", "one", "two"), ("more-data", "pilot", "one")
    for words in asked:
        found = call(tiny, capsys, *words, "--suite", code=3)
        assert found["answer"].endswith(".")
        assert found["rows"]
    nobody = "--suite", "--where", "target_lang = 'xx-XX'"
    assert main(["--workspace", str(tiny.path), *asked[1], *nobody]) == 2
    assert "no utterance with target_lang = 'xx-XX'" in capsys.readouterr().err
