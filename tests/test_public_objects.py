"""Every public object, made or loaded in a workspace: no default repr, six columns at most at first sight."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from inspect import isclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_workspace import small_recipe, small_workspace
from test_public_face import objects

import workbench as wb
from workbench.capacity.choice import choose
from workbench.capacity.measurement import Budget
from workbench.cli import main
from workbench.evaluation.boosted import KeywordBoost, gains
from workbench.evaluation.evaluation import Evaluation, score_predictions
from workbench.evaluation.keywords import Keyword
from workbench.field.proposals import Proposal
from workbench.finetuning.registry import Registry
from workbench.glance import MOST_ROWS, Glance
from workbench.recognizer.streaming import Session
from workbench.release.bundle import Bundle
from workbench.release.pipeline import Outcome
from workbench.suites.run import SuiteRun

POLICY = "name: pilot\nchecks:\n- {kind: not_worse, margin: 0.02}\n"
FLAT = {
    "Condition", "Source", "ValidationSet", "Settings", "Thresholds", "PilotLocale", "SourceTerms",
    "Recipe", "RetrainingSchedule", "Config", "Pilot", "OwnRule", "CheckpointInfo", "Budget", "Baseline",
    "WorkbenchError",
}  # fmt: skip
"""What people write down themselves shows its fields, as it was written."""
WIDGETS = {"Board", "Explorer", "PlanEditor", "Lineage", "Microphone", "Monitor", "Playback"}
"""Live views, whose static forms have tests of their own."""


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> wb.Workspace:
    made = small_workspace(tmp_path_factory.mktemp("shown") / "ws")
    made.suite("pilot").create(made.corpus("calls"), where="TRUE")
    return made


def evaluation(ws: wb.Workspace) -> Evaluation:
    return wb.evaluate(ws.corpus("calls"), "base", "tuned", resamples=200)


def boost(ws: wb.Workspace) -> KeywordBoost:
    rows = pd.DataFrame({"id": ["a", "b"], "text": ["call Anna", "no"], "target_lang": "en-US"})
    heard = pd.DataFrame({"id": ["a", "b"], "hypothesis": ["call Ann", "no"]})
    scored = score_predictions(rows, {"without list": heard, "with list": heard})
    listed = [Keyword("Anna")]
    return KeywordBoost(gains(scored, listed), pd.DataFrame(scored.keywords("with list", listed)), scored, [])


def choice(ws: wb.Workspace) -> Any:
    table = pd.DataFrame(
        {"target_lang": ["en-US"] * 2, "lookahead_ms": [80, 560], "rate": [0.3, 0.2], "low": [0.25, 0.15],
         "high": [0.35, 0.25], "enough": ["yes", "yes"], "latency_p50_s": [0.1, 0.6],
         "latency_p95_s": [0.2, 0.9], "on_tradeoff": [True, True]}
    )  # fmt: skip
    return choose(table, latency_p95_s=0.5)


def gated(ws: wb.Workspace) -> Any:
    release = ws.release("base", "base")
    said = pd.DataFrame({"id": ws.corpus("calls").ids(), "hypothesis": "The sun is here."})
    picked = wb.evaluate(ws.corpus("calls"), predictions={"old": said, "new": said}, resamples=200)
    release.gate("checks:\n- {kind: erasure}\n", picked, base="old", candidate="new")
    return release


def suite_run(ws: wb.Workspace) -> SuiteRun:
    suite = ws.suite("pilot")
    return SuiteRun(suite, suite.latest, {"base": "ab" * 32, "tuned": "cd" * 32})


def erased(ws: wb.Workspace) -> Any:
    return wb.erase(ws, wb.plan_erasure(ws, speaker="speaker 2"))


MAKE: dict[str, Callable[[wb.Workspace], Any]] = {
    "Workspace": lambda ws: ws,
    "Corpus": lambda ws: ws.corpus("calls"),
    "Evaluation": evaluation,
    "Checkpoint": lambda ws: ws.checkpoint("base"),
    "Session": lambda ws: Session(ws.checkpoint("base")),
    "Release": gated,
    "Suite": lambda ws: ws.suite("pilot"),
    "SuiteRun": suite_run,
    "Run": lambda ws: Registry(ws.runs).runs()[0],
    "Registry": lambda ws: Registry(ws.runs),
    "Preflight": lambda ws: wb.preflight(small_recipe(ws)),
    "Export": lambda ws: ws.corpus("calls").export(ws.path / "exports" / "again", replace=True),
    "DecisionStore": lambda ws: ws.corpus("calls").decisions,
    "Ledger": lambda ws: ws.ledger,
    "KeywordBoost": boost,
    "Choice": choice,
    "Capacity": lambda ws: wb.Capacity(
        "starter", "ab" * 32, "auto", 0, 6.0, 1, 0, Budget(500.0), "2026-01-01"
    ),
    "ConditionSweep": lambda ws: wb.ConditionSweep({}),
    "ImportPlan": lambda ws: wb.inspect_source(ws.path / "recordings" / "manifest.jsonl"),
    "ErasurePlan": lambda ws: wb.plan_erasure(ws, speaker="speaker 1"),
    "RetrainingStatus": lambda ws: ws.retraining_status(),
    "Bundle": lambda ws: Bundle(ws.path / "bundle", "ab" * 32, 3),
    "Policy": lambda ws: wb.Policy.from_yaml(POLICY),
    "Outcome": lambda ws: Outcome("pass", gated(ws).report, ("Recipe steps: 1 to 2.",), ws.path),
    "Proposal": lambda ws: Proposal(pd.DataFrame({"target_lang": ["en-US"], "because": ["more errors"]}), {}),
    "Overview": lambda ws: ws.overview(),
    "Corpus.frame": lambda ws: ws.corpus("calls").frame(),
    "Corpus.frame.head": lambda ws: ws.corpus("calls").frame().head(2),
    "Corpus.groups": lambda ws: ws.corpus("calls").groups("target_lang", "status"),
    "Corpus.facts": lambda ws: ws.corpus("calls").facts,
    "DecisionStore.agreement": lambda ws: ws.corpus("calls").decisions.agreement(),
    "Run.consumed_hours": lambda ws: Registry(ws.runs).runs()[0].consumed_hours(),
    "Run.metrics": lambda ws: Registry(ws.runs).runs()[0].metrics("train"),
    "Run.samples": lambda ws: Registry(ws.runs).runs()[0].samples(),
    "Evaluation.facts": lambda ws: evaluation(ws).facts("base"),
    "Evaluation.overall": lambda ws: evaluation(ws).overall("base"),
    "Evaluation.disparity": lambda ws: evaluation(ws).disparity("base", "target_lang"),
    "Evaluation.rows": lambda ws: evaluation(ws).rows,
    "Evaluation.auto_cost": lambda ws: evaluation(ws).auto_cost(),
    "Certificate": erased,  # the last: what it erases is gone for the others
}  # fmt: skip


def test_every_public_class_is_walked() -> None:
    names = {name for name, found in objects() if isclass(found)}
    assert names - set(MAKE) - FLAT - WIDGETS == {"FieldReport"}, "tests/field looks at a report itself"
    flat = [found for name, found in objects() if name in FLAT]
    assert not [found for found in flat if isclass(found) and found.__repr__ is object.__repr__]


@pytest.mark.parametrize("name", MAKE)
def test_an_object_opens_with_words_and_six_columns(ws: wb.Workspace, name: str) -> None:
    found = MAKE[name](ws)
    said = repr(found)
    assert " object at 0x" not in said
    assert not re.search(r"\b(nan|None|inf|PosixPath|Timestamp)\b", said), said
    page = found._repr_html_() if hasattr(found, "_repr_html_") else ""
    assert " object at 0x" not in page
    if not page:
        return
    at_first_sight = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    heads = re.findall("<thead>.*?</thead>", at_first_sight, re.DOTALL)
    assert all(len(re.findall("<th[ >]", head)) <= 6 for head in heads), heads
    assert not re.search(r"\b(nan|NaN|None|inf)\b", re.sub("<[^>]+>", " ", at_first_sight))


def test_a_glance_says_what_it_leaves_out() -> None:
    rows = [(str(n), "<b>") for n in range(MOST_ROWS + 3)]
    found = Glance("So it is.", ("n", "what"), rows)
    assert str(found).splitlines()[0] == "So it is."
    assert str(found).splitlines()[-1] == "… 3 more rows"
    page = found.html()
    assert "… 3 more rows" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page.replace("<p><b>So it is.</b></p>", "")
    assert page.count("<tr>") == MOST_ROWS + 1
    assert found.html(every=True).count("<tr>") == len(rows) + 1
    assert "1,000 more rows" in str(replace(found, total=MOST_ROWS + 1000))
    with pytest.raises(AssertionError, match="six columns"):
        Glance("", tuple("abcdefg"))


QUESTIONS = {
    "fix-first calls base": "rate",
    "better calls base tuned": "difference",
    "better calls base tuned --confidence 0.99": "difference",
    "more-data calls base": "advice",
}


@pytest.mark.parametrize("asked", QUESTIONS)
def test_a_question_is_answered_in_one_sentence_first(
    ws: wb.Workspace, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On eight clips: not enough data, exit code 3; the sentence, then six columns at most."""
    code = main(["--workspace", str(ws.path), *asked.split()])
    first, *lines = capsys.readouterr().out.splitlines()
    assert code == 3
    assert first.endswith(".")
    assert "  " not in first
    head = re.split(r" {2,}", lines[0].strip())
    assert 2 <= len(head) <= 6
    level = re.search(r"--confidence 0\.(\d+)", asked)
    assert lines[-1] == f"Intervals: {level[1] if level else 95} %."
    assert main(["--workspace", str(ws.path), *asked.split(), "--json"]) == code
    data = json.loads(capsys.readouterr().out)
    assert data["answer"] == first
    assert QUESTIONS[asked] in data["rows"][0]


@pytest.mark.parametrize(
    "asked", ["evaluate calls base --by none", "compare calls base tuned", "better calls base tuned"]
)
def test_a_confidence_that_decides_on_nothing_is_refused_in_the_shell(
    ws: wb.Workspace, asked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--report", str(tmp_path / "report.html")] if asked.startswith("evaluate") else []
    command = ["--workspace", str(ws.path), *asked.split(), *more]
    for level in ("99", "0", "1", "nan"):
        assert main([*command, "--confidence", level]) == 2
        assert "decides on nothing" in capsys.readouterr().err
    main([*command, "--confidence", "0.9"])
    assert "Intervals: 90 %." in capsys.readouterr().out.splitlines()
