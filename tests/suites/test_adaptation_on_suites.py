"""What a suite makes easy: recipes, learning curves and variants from corpora and one suite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.api import Workspace
from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.finetuning.checks import problems
from workbench.finetuning.preflight import preflight
from workbench.finetuning.presets import preset
from workbench.finetuning.variants import ADAPTER, ORDER, OWN, SHARED, recommend
from workbench.release.gates import Policy

pytestmark = pytest.mark.model
SMALL = {
    "steps": 2,
    "warmup_steps": 1,
    "batch_s": 8.0,
    "max_duration_s": 8.0,
    "validate_every": 2,
    "save_every": 2,
}
SMALL |= {"streaming_lookahead_ms": None}


@pytest.fixture
def split(tiny: Workspace) -> Workspace:
    """The tiny corpus with a test split and a suite on it."""
    calls = tiny.corpus("calls")
    calls.where("split = 'validation' AND (id LIKE '%/14' OR id LIKE '%/15')").edit("split", "test")
    tiny.suite("pilot").create("calls")
    return tiny


def test_a_preset_builds_sources_replay_and_validation_from_corpora(split: Workspace) -> None:
    calls, base = split.corpus("calls"), split.checkpoint("one")
    recipe = preset("quick_cpu", base, calls, "el-GR", **SMALL)
    assert problems(recipe) == []
    assert [s.role for s in recipe.sources] == ["target", "replay"]
    assert recipe.sources[0].locales == ("el-GR",)
    again = preset("quick_cpu", base, calls, "el-GR", **SMALL)
    assert again == recipe  # exported once
    calls.pick(["el-GR/0"]).reject("noise")
    assert preset("quick_cpu", base, calls, "el-GR", **SMALL).sources != recipe.sources
    alone = preset("quick_cpu", base, calls, "el-GR", replay=["it-IT"], **SMALL)
    assert alone.sources[1].locales == ("it-IT",)
    assert [s.role for s in preset("quick_cpu", base, calls, "el-GR", replay=False, **SMALL).sources] == [
        "target"
    ]
    with pytest.raises(WorkbenchError, match="no training rows of fi-FI"):
        preset("quick_cpu", base, calls, "fi-FI")
    by_suite = preset("quick_cpu", base, split.suite("pilot"), "el-GR", **SMALL)
    assert problems(by_suite) == []


def test_preflight_says_what_stands_in_the_way(split: Workspace) -> None:
    calls, base = split.corpus("calls"), split.checkpoint("one")
    ready = preflight(preset("quick_cpu", base, calls, "el-GR", **SMALL))
    assert ready.verdict in ("ready", "ready with risks")
    assert not any("validation holds nothing" in risk for risk in ready.risks)
    greek = calls.where("NOT (split = 'validation' AND target_lang = 'el-GR')")
    found = preflight(preset("quick_cpu", base, greek, "el-GR", **SMALL))
    assert found.verdict == "ready with risks"
    assert any("validation holds nothing of el-GR" in risk for risk in found.risks)
    lonely = preflight(preset("quick_cpu", base, calls, "el-GR", replay=False, **SMALL))
    assert any(risk.startswith("no replay") for risk in lonely.risks)
    broken = preflight(preset("quick_cpu", base, calls, "el-GR", **{**SMALL, "steps": 0}))
    assert (broken.verdict, broken.summary()[0]) == ("not ready", "not ready")


@pytest.mark.timeout(1500)
def test_a_learning_curve_is_measured_on_the_suite(split: Workspace) -> None:
    recipe = preset("quick_cpu", split.checkpoint("one"), split.corpus("calls"), "el-GR", **SMALL)
    found = split.learning_curve(recipe, "pilot", shares=(0.5, 1.0), progress=lambda d, t: None)
    assert found.table["share"].tolist() == [0.0, 0.5, 1.0]
    assert found.table["hours"].is_monotonic_increasing
    assert (found.table["utterances"] == 2).all()
    again = split.learning_curve(recipe, "pilot", shares=(0.5, 1.0), progress=lambda d, t: None)
    assert again.table.equals(found.table)


@pytest.mark.timeout(1500)
def test_a_learning_curve_from_the_shell_counts_as_its_locale_is_scored(
    split: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = split.corpus("calls")
    calls.where("split = 'test' AND target_lang = 'it-IT'").edit("target_lang", "ja-JP")
    split.suite("mixed").create("calls")
    recipe = preset("quick_cpu", split.checkpoint("one"), calls, "el-GR", **SMALL)
    recipe.to_yaml(tmp_path / "recipe.yaml")
    asked = ["--workspace", str(split.path), "learning-curve", str(tmp_path / "recipe.yaml"), "mixed"]
    code = main([*asked, "--shares", "0.5,1", "--points", "1", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert code == (3 if told["unknown"] else 0)
    assert [point["share"] for point in told["points"]] == [0.0, 0.5, 1.0]
    assert split.learning_curve(recipe, "mixed", shares=(0.5, 1.0)).metric == "wer"
    japanese = split.learning_curve(recipe, "mixed", shares=(0.5, 1.0), locales=("ja-JP",))
    assert japanese.metric == "cer"
    with pytest.raises(WorkbenchError, match="characters"):
        split.learning_curve(recipe, "mixed", shares=(0.5, 1.0), locales=("el-GR", "ja-JP"))
    # One share draws no line, and a rate of nothing is none.
    assert main([*asked, "--shares", "1"]) == 2
    assert "two shares" in capsys.readouterr().err
    assert main([*asked, "--shares", "0.5,1", "--points", "400"]) == 2
    assert "is no rate" in capsys.readouterr().err


@pytest.mark.timeout(1500)
def test_variants_are_decided_on_the_suite(split: Workspace) -> None:
    adapters = {}
    for tag in ("el-GR", "it-IT"):
        recipe = preset("quick_cpu", split.checkpoint("one"), split.corpus("calls"), tag, trains="adapter",
                        adapter_dim=4, run_name=f"adapter-{tag}", **SMALL)  # fmt: skip
        assert split.finetune(recipe).wait()["status"] == "finished"
        adapters[tag] = recipe.name
    found = split.variants("pilot", "two", adapters=adapters, own={"el-GR": "one"})
    assert set(found.rates["variant"]) == {"base", SHARED, ADAPTER, OWN}
    costs = found.costs.set_index("variant")
    assert costs["artifacts"].to_dict() == {SHARED: 1, ADAPTER: 3, OWN: 1}
    assert (costs["load_s"] > 0).all()
    assert costs.loc[ADAPTER, "swap_s"] < costs["load_s"].min()
    # Two clips a locale say nothing, and that is said.
    assert found.recommended is None
    assert found.reasons[0] == "not enough data in el-GR, it-IT"
    assert "not enough data" in found._repr_html_()


@given(
    st.lists(st.sampled_from(["better", "worse", "no difference shown"]), min_size=3, max_size=3),
    st.booleans(),
)
def test_the_cheapest_variant_that_none_beats_is_recommended(verdicts: list[str], lacking: bool) -> None:
    import pandas as pd

    pairs = [(SHARED, ADAPTER), (SHARED, OWN), (ADAPTER, OWN)]
    rows = [
        {"target_lang": "el-GR", "first": a, "second": b, "verdict": v, "difference": 0.1, "low": 0.0,
         "high": 0.2, "metric": "wer", "because": ""}
        for (a, b), v in zip(pairs, verdicts, strict=True)
    ]  # fmt: skip
    if lacking:
        rows.append({**rows[0], "target_lang": "it-IT", "verdict": "not enough data"})
    costs = pd.DataFrame({"variant": ORDER, "artifacts": 1, "memory_mb": 1.0, "swap_s": 0.0})
    chosen, reasons = recommend(pd.DataFrame(rows), costs)
    beaten = {a for (a, _), v in zip(pairs, verdicts, strict=True) if v == "better"}
    expected = next((v for v in ORDER if v not in beaten), OWN)
    assert chosen == (None if lacking else expected)
    assert len(reasons) >= 3


def test_exports_of_a_preset_lie_in_the_workspace(split: Workspace) -> None:
    recipe = preset("quick_cpu", split.checkpoint("one"), split.corpus("calls"), "el-GR", **SMALL)
    assert all(Path(s.manifest).is_relative_to(split.path / "exports" / "runs") for s in recipe.sources)


@pytest.mark.timeout(1500)
def test_a_run_is_gated_in_one_call_with_guardrails_in_another_corpus(
    tiny: Workspace, tmp_path: Path
) -> None:
    lines = (tmp_path / "recordings" / "manifest.jsonl").read_text("utf-8").splitlines()
    others = [row for row in map(json.loads, lines) if row["target_lang"] != "el-GR"]
    path = tmp_path / "recordings" / "guardrails.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in others), "utf-8")
    guardrails = tiny.import_corpus("guardrails", path)
    greek = tiny.corpus("calls").where("target_lang = 'el-GR'")
    greek.where("id LIKE '%/14' OR id LIKE '%/15'").edit("split", "test")
    guardrails.where("id LIKE '%/14' OR id LIKE '%/15'").edit("split", "test")
    tiny.suite("pilot").create([greek.where("split = 'test'"), guardrails.where("split = 'test'")])
    recipe = preset(
        "quick_cpu", tiny.checkpoint("one"), [greek, guardrails], "el-GR", run_name="greek", **SMALL
    )
    assert {s.role for s in recipe.sources} == {"target", "replay"}
    assert tiny.finetune(recipe).wait()["status"] == "finished"
    policy = "checks:\n- {kind: improves, locales: [el-GR]}\n- {kind: not_worse}\n- {kind: leakage}\n"
    report = tiny.release("greek", base="one").gate(Policy.from_yaml(policy))
    assert report.suite is not None
    assert report.suite["corpora"] == ["calls", "guardrails"]
    assert report.check("coverage").verdict == "pass"
    assert {f.slice for f in report.check("not_worse").evidence} == {"en-US", "it-IT"}
    assert report.check("leakage").verdict == "pass", str(report)
    assert report.verdict != "pass"  # two clips a locale decide nothing
    assert report.suite["digest"][:12] in str(report)
