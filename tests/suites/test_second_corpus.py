"""A locale of a second corpus is adapted to, guardrails in the first: recipe, suite, and one call."""

from __future__ import annotations

import datetime
import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import workbench as wb
from workbench.release.pipeline import Outcome

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "second-corpus.json"
NEW = "ro-RO"
GUARDED = ("en-US", "es-ES", "fr-FR", "it-IT")
POLICY = """
name: second corpus
checks:
  - {kind: improves, name: Romanian improves, metric: cer}
  - {kind: not_worse, name: no locale worse by 5 points, metric: cer, margin: 0.05}
  - {kind: formatting, margin: 0.05}
  - {kind: leakage}
  - {kind: erasure}
"""


def adapted(ws: wb.Workspace, replay: bool) -> Outcome:
    """From two corpora to a gated candidate: recipe and suite name both, one call does the rest."""
    new = ws.corpus("romanian").where(f"target_lang = '{NEW}'")
    tags = ", ".join(f"'{tag}'" for tag in GUARDED)
    known = ws.corpus("starter").where(f"target_lang IN ({tags})")
    recipe = wb.preset(
        "quick_cpu", ws.checkpoint("starter"), [new, known], NEW, replay=replay, replay_weight=2.0,
        run_name=f"romanian-{'replayed' if replay else 'alone'}", streaming_lookahead_ms=None,
        steps=250, validate_every=250,
    )  # fmt: skip
    return ws.pipeline(recipe, ws.path / "policy.yaml", suite="pilot")


@pytest.mark.model
@pytest.mark.timeout(1500)
def test_two_corpora_one_recipe_one_suite_one_call(tmp_path: Path, corpus: Path, base: Path) -> None:
    """The same way on a tiny checkpoint: a clip or two say nothing, and nothing passes on them."""
    ws = wb.Workspace(tmp_path / "ws")
    place = tmp_path / "recordings"
    shutil.copytree(corpus.parent, place)
    rows = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    for name, tags in (("greek", {"el-GR"}), ("calls", {"en-US", "it-IT"})):
        own = [
            row | {"split": "test" if row["id"].endswith(("/14", "/15")) else row["split"]} for row in rows
        ]
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in own if row["target_lang"] in tags]
        (place / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        ws.import_corpus(name, place / f"{name}.jsonl")
    shutil.copy(base, ws.checkpoint_path("one"))
    ws.suite("pilot").create(["greek", "calls"], locales=["el-GR", "en-US", "it-IT"])
    recipe = wb.preset(
        "quick_cpu", ws.checkpoint("one"), [ws.corpus("greek"), ws.corpus("calls")], "el-GR", steps=2,
        warmup_steps=1, batch_s=8.0, max_duration_s=8.0, validate_every=2, save_every=2,
        streaming_lookahead_ms=None,
    )  # fmt: skip
    assert {(s.role, Path(s.manifest).parent.name.split("-")[0]) for s in recipe.sources} == {
        ("target", "greek"),
        ("replay", "calls"),
    }
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    report = ws.pipeline(recipe, policy, suite="pilot").report
    assert report.suite is not None
    assert sorted(report.suite["corpora"]) == ["calls", "greek"]
    told = {check.name: check for check in report.checks}
    assert {f.slice for f in told["no locale worse by 5 points"].evidence} >= {"en-US", "it-IT"}
    assert told["Romanian improves"].verdict != "pass"
    assert told["no locale worse by 5 points"].verdict == "not enough data"
    assert report.verdict != "pass"


def figures(outcome: Outcome) -> dict[str, Any]:
    return {
        "verdict": outcome.report.verdict,
        "checks": {check.name: check.verdict for check in outcome.report.checks},
    }


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_locale_of_a_second_corpus_is_gated_in_one_call(tmp_path: Path) -> None:
    """Some 20 minutes of one core. With replay the guardrails hold; without, the same call refuses.

    One voice reads all of the Romanian clips, so that nobody can say that it improved for speakers.
    """
    began, spent = time.monotonic(), time.process_time()
    ws = wb.starter(tmp_path / "ws")
    ws.import_corpus("romanian", wb.starter_manifest().parents[1] / "unheard" / "manifest.jsonl")
    (ws.path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    tags = ", ".join(f"'{tag}'" for tag in GUARDED)
    ws.suite("pilot").create(
        {
            "romanian": f"split = 'test' AND target_lang = '{NEW}'",
            "starter": f"split = 'test' AND target_lang IN ({tags}) AND duration < 6",
        },
        points=[{}],
        locales=[NEW, *GUARDED],
    )
    outcomes = {"with replay": adapted(ws, replay=True), "without": adapted(ws, replay=False)}
    evidence = {
        "what": "The starter adapted to Romanian (data/unheard, one new voice) with replay of four "
        "locales of the starter corpus, and without; one suite over both corpora, one call to the verdict.",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "minutes_of_cpu_beside_training": round((time.process_time() - spent) / 60, 1),
        "policy": POLICY.strip().splitlines(),
        **{name: figures(outcome) for name, outcome in outcomes.items()},
    }
    EVIDENCE.write_text(json.dumps(evidence, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    kept, lost = (outcome.report for outcome in outcomes.values())
    assert kept.suite is not None
    assert sorted(kept.suite["corpora"]) == ["romanian", "starter"]
    assert kept.verdict == "not enough data"
    assert evidence["with replay"]["checks"]["Romanian improves"] == "not enough data"  # type: ignore[index]
    assert kept.checks[2].verdict == "pass"
    assert {f.slice for f in kept.checks[2].evidence} >= set(GUARDED)
    assert lost.verdict == "fail"
    assert lost.checks[2].verdict == "fail"
