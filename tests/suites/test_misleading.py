"""Twenty ways to mislead: each once passed a gate or a comparison; each is refused or not enough data now."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from planted import BASE, BETTER, OFFLINE, TUNED, WORSE, errors_of, open_run, plant, tone

from workbench.api import Workspace
from workbench.errors import WorkbenchError
from workbench.evaluation import Evaluation, score_predictions
from workbench.release.gates import GateReport, Policy, gate
from workbench.release.verdicts import FAIL, PASS, UNKNOWN
from workbench.suites.points import OperatingPoint
from workbench.suites.run import SuiteRun
from workbench.workspace.settings import Pilot

POLICY = Policy.from_yaml(
    "name: pilot\nchecks:\n- {kind: improves}\n- {kind: not_worse, margin: 0.05}\n- {kind: weighted_rate}\n"
)
PILOT = Pilot.of(
    {"tag": "da-DK", "traffic_share": 0.3},
    {"tag": "en-US", "role": "guardrail", "traffic_share": 0.5},
    {"tag": "it-IT", "role": "guardrail", "traffic_share": 0.2},
)
SHORT = OperatingPoint(lookahead_ms=80, streaming=True)
LONG = OperatingPoint(lookahead_ms=1120, streaming=True)
ROLES = {"da-DK": 50, "en-US": 50, "it-IT": 50}


def suite_run(ws: Workspace, *points: OperatingPoint, **more: object) -> SuiteRun:
    """Base and a better candidate on both corpora, at every point."""
    suite = ws.suite("pilot")
    suite.create(["calls", "guardrails"], points=points or (OFFLINE,), locales=ROLES, **more)  # type: ignore[arg-type]
    run = open_run(suite)
    for point in run.points:
        plant(run, "base", WORSE, point=point)
        plant(run, "tuned", BETTER, point=point)
    return run


def judged(run: SuiteRun | Evaluation, policy: Policy = POLICY, **more: object) -> GateReport:
    return gate(policy, run, base="base", candidate="tuned", pilot=PILOT, **more)  # type: ignore[arg-type]


def opened(run: SuiteRun) -> SuiteRun:
    """The same run, read from disk anew."""
    return SuiteRun(run.suite, run.version, run.checkpoints)


def test_what_is_alike_and_whole_passes(ws: Workspace) -> None:
    report = judged(suite_run(ws))
    assert report.verdict == PASS, str(report)
    assert report.suite is not None
    assert report.suite["corpora"] == ["calls", "guardrails"]
    assert report.basis.startswith("on suite pilot v1")
    assert GateReport.from_json(report.to_json()) == report


# 1–5: unlike operating points, named
@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (OFFLINE, OperatingPoint(prompt_mode="auto"), "prompt langID against auto"),
        (SHORT, LONG, "look-ahead 80 ms against 1120 ms"),
        (OFFLINE, SHORT, "way of reading offline against streaming"),
        (OFFLINE, OperatingPoint(normalizer="raw"), "normalizer basic against raw"),
        (OFFLINE, OperatingPoint(precision="bf16"), "precision auto against bf16"),
        (OFFLINE, OperatingPoint(metric="cer"), "metric headline against cer"),
    ],
)
def test_unlike_operating_points_are_refused_by_name(
    ws: Workspace, a: OperatingPoint, b: OperatingPoint, said: str
) -> None:
    run = suite_run(ws, a, b)
    with pytest.raises(WorkbenchError, match=said):
        run.compare("base", "tuned", point=a, candidate_point=b)
    assert len(run.compare("base", "tuned", point=a)) == 3


# 6–8: predictions that are not what they should be
@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"lookahead_ms": 80}, "lookahead_ms is 80, not None"),
        ({"prompt_mode": "auto"}, "prompt_mode is auto, not langID"),
        ({"runtime": "onnx"}, "runtime is onnx, not torch"),
        ({"checkpoint_sha256": "c" * 64}, "checkpoint_sha256 is cccccccccccc"),
        ({"audio_sha256": "d" * 64}, "60 clips were read from other audio"),
    ],
)
def test_a_prediction_with_other_facts_than_its_place_is_refused(
    ws: Workspace, facts: dict[str, object], said: str
) -> None:
    run = suite_run(ws)
    plant(run, "tuned", BETTER, **facts)
    with pytest.raises(WorkbenchError, match=said):
        judged(opened(run))


def test_two_checkpoints_mixed_in_one_prediction_are_refused(ws: Workspace) -> None:
    run = suite_run(ws)
    path = run.path("calls", TUNED, OFFLINE)
    frame = pd.read_parquet(path)
    frame.loc[frame.index % 2 == 0, "checkpoint_sha256"] = "c" * 64
    frame.to_parquet(path)
    with pytest.raises(WorkbenchError, match="mixes several checkpoint_sha256"):
        judged(opened(run))


def test_two_precisions_under_one_operating_point_are_refused(ws: Workspace) -> None:
    run = suite_run(ws)
    plant(run, "tuned", BETTER, precision="bf16")
    with pytest.raises(WorkbenchError, match="precision fp32 against bf16"):
        opened(run).compare("base", "tuned")
    assert judged(opened(run)).verdict == UNKNOWN


def test_the_same_checkpoint_twice_is_refused(ws: Workspace) -> None:
    suite = ws.suite("pilot")
    suite.create(["calls", "guardrails"])
    run = open_run(suite, base=BASE, tuned=BASE)
    plant(run, "base", WORSE)
    for act in (lambda: judged(run), lambda: run.compare("base", "tuned")):
        with pytest.raises(WorkbenchError, match="one checkpoint"):
            act()


# 9–10: stale audio, changed reference
def test_audio_and_references_that_changed_are_refused(ws: Workspace, tmp_path: Path) -> None:
    run = suite_run(ws)
    soundfile.write(tmp_path / "recordings" / "calls-da-DK-7.wav", tone("louder"), 16000)
    with pytest.raises(WorkbenchError, match="audio changed in 1 clips of calls"):
        judged(opened(run))
    with pytest.raises(WorkbenchError, match="audio changed"):
        ws.run_suite("pilot", progress=lambda d, t: None)


def test_a_reference_made_easier_is_refused(ws: Workspace) -> None:
    run = suite_run(ws)
    ws.corpus("calls").pick(["0-1", "0-2"]).edit("text", "zulu")
    with pytest.raises(WorkbenchError, match="reference changed in 2 clips of calls"):
        judged(opened(run))


# 11–13: clips that are missing: at random, the worst, a whole accent, a whole locale
def at_random(run: SuiteRun) -> list[str]:
    return [f"calls/{i}" for i in np.random.default_rng(0).choice(run.clips_of("calls")["utterance_id"], 5)]


def the_worst(run: SuiteRun) -> list[str]:
    return errors_of(run, "tuned").sort_values(ascending=False).index[:16].tolist()


def an_accent(run: SuiteRun) -> list[str]:
    return run.clips["id"][run.clips["accent"] == "jysk"].tolist()


def a_locale(run: SuiteRun) -> list[str]:
    return run.clips["id"][run.clips["target_lang"] == "it-IT"].tolist()


@pytest.mark.parametrize("chosen", [at_random, the_worst, an_accent, a_locale])
def test_missing_clips_are_not_enough_data(ws: Workspace, chosen: Callable[[SuiteRun], list[str]]) -> None:
    run = suite_run(ws, accents={"da-DK": {"jysk": 10}})
    # A candidate that is worse in English: with its worst clips gone it must not become a pass.
    plant(run, "tuned", {**BETTER, "en-US": 0.3})
    assert judged(opened(run)).verdict == FAIL
    gone = chosen(run)
    for engines in (("tuned",), ("base", "tuned")):
        for name in engines:
            plant(run, name, {**BETTER, "en-US": 0.3} if name == "tuned" else WORSE, without=gone)
        report = judged(opened(run))
        assert report.verdict in (FAIL, UNKNOWN)
        assert report.check("coverage").verdict == UNKNOWN
        table = opened(run).coverage()
        own = table[(table["engine"] == "tuned") & (table["target_lang"] == "all")].iloc[0]
        assert own["missing"] == len(set(gone))
    better = [f for c in judged(opened(run)).checks if c.kind == "improves" for f in c.evidence]
    assert all(f.verdict == UNKNOWN for f in better if chosen in (at_random, an_accent))


def test_the_worst_clips_deleted_from_predictions_picked_by_hand_do_not_pass(ws: Workspace) -> None:
    run = suite_run(ws)
    whole = run.evaluation()
    rows = whole.rows
    tables = {name: run.frame(name, OFFLINE) for name in ("base", "tuned")}
    gone = set(the_worst(run))
    cut = {n: t[~t["id"].isin(gone)] for n, t in tables.items() if t is not None}
    one = score_predictions(rows, {"base": tables["base"], "tuned": cut["tuned"]})  # type: ignore[dict-item]
    both = score_predictions(rows, cut)
    for evaluation in (one, both):
        assert judged(evaluation).verdict == UNKNOWN
    assert "tuned lacks 16 of 180 utterances" in str(one.compare("base", "tuned").iloc[0, 0])


# 14: another corpus with equal ids
def test_a_base_from_another_corpus_with_equal_ids_is_refused(ws: Workspace) -> None:
    run = suite_run(ws)
    other = run.path("guardrails", BASE, OFFLINE)
    other.replace(run.path("calls", BASE, OFFLINE))
    with pytest.raises(WorkbenchError, match="60 clips were read from other audio"):
        judged(opened(run))


# 15: duplicates
def test_duplicates_are_counted_and_block(ws: Workspace, tmp_path: Path) -> None:
    run = suite_run(ws)
    path = run.path("calls", TUNED, OFFLINE)
    frame = pd.read_parquet(path)
    pd.concat([frame, frame.iloc[:4]]).to_parquet(path)
    report = judged(opened(run))
    assert report.verdict == UNKNOWN
    assert "tuned: 4 ids predicted twice" in report.check("coverage").because
    lines = (tmp_path / "recordings" / "calls.jsonl").read_text()
    again = tmp_path / "recordings" / "again.jsonl"
    again.write_text(lines)
    ws.import_corpus("again", again)
    with pytest.raises(WorkbenchError, match="every recording is in another view already"):
        ws.suite("pooled").create(["calls", "again"])
    (tmp_path / "recordings" / "calls-da-DK-1.wav").write_bytes(
        (tmp_path / "recordings" / "calls-da-DK-0.wav").read_bytes()
    )
    pooled = ws.suite("pooled").create("calls")
    assert (pooled.utterances, pooled.views[0].repeated) == (59, 1)


# 16: pooled units
def test_characters_and_words_are_not_pooled_into_one_figure(ws: Workspace, tmp_path: Path) -> None:
    place = tmp_path / "recordings"
    lines = []
    for i in range(60):
        soundfile.write(place / f"ja-{i}.wav", tone(f"ja{i}"), 16000)
        row = {"id": f"j{i}", "audio_filepath": f"ja-{i}.wav", "offset": 0.0, "duration": 0.1}
        lines.append({**row, "text": "今日は天気がいいですね", "target_lang": "ja-JP", "split": "test"})
    (place / "ja.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ws.import_corpus("japanese", place / "ja.jsonl")
    suite = ws.suite("pilot")
    suite.create(["guardrails", "japanese"])
    run = open_run(suite)
    plant(run, "base", WORSE)
    plant(run, "tuned", BETTER)
    table = run.compare("base", "tuned")
    assert dict(zip(table["target_lang"], table["metric"], strict=True)) == {
        "en-US": "wer", "it-IT": "wer", "ja-JP": "cer",
    }  # fmt: skip
    with pytest.raises(WorkbenchError, match="words and characters"):
        run.compare("base", "tuned", by=())


# 17: a demonstration corpus that is first in the alphabet
def test_a_small_corpus_that_sorts_first_is_not_taken(ws: Workspace, tmp_path: Path) -> None:
    from workbench.release import Release

    place = tmp_path / "recordings"
    few = (place / "calls.jsonl").read_text().splitlines(keepends=True)[:6]
    (place / "a-demo.jsonl").write_text("".join(few))
    ws.import_corpus("a-demo", place / "a-demo.jsonl")
    for name in ("one", "two"):
        ws.checkpoint_path(name).write_bytes(name.encode())
    release = Release(ws, candidate="two", base="one")
    for corpus in ("a-demo", "calls"):
        folder = ws.corpora / corpus / "predictions"
        folder.mkdir(exist_ok=True)
        rows = ws.corpus(corpus).frame()
        for name, digest in (("one", release.base_sha256), ("two", release.candidate_sha256)):
            made = pd.DataFrame({"id": rows["id"], "hypothesis": rows["text"], "checkpoint_sha256": digest})
            made.to_parquet(folder / f"{name}.parquet")
    with pytest.raises(WorkbenchError, match=r"which corpus\? a-demo, calls"):
        release.gate(POLICY)
    ws.suite("pilot").create(["calls", "guardrails"])
    ws.suite("other").create("calls")
    with pytest.raises(WorkbenchError, match=r"which suite\? There are other, pilot"):
        release.gate(POLICY)


# 18: one locale only
def test_one_locale_does_not_show_that_none_was_harmed(ws: Workspace) -> None:
    suite = ws.suite("danish")
    suite.create("calls")
    run = open_run(suite)
    plant(run, "base", WORSE)
    plant(run, "tuned", BETTER)
    policy = Policy.from_yaml("checks:\n- {kind: improves, locales: [da-DK]}\n- {kind: not_worse}\n")
    report = gate(policy, run, base="base", candidate="tuned")
    assert report.check("improves").verdict == PASS
    assert report.check("not_worse").verdict == UNKNOWN
    assert "no locale besides the adapted one" in report.check("not_worse").because
    # What training replayed must have been tested, too.
    trained = pd.DataFrame({"target_lang": ["da-DK", "fr-FR"], "id": ["x", "y"]})
    report = gate(policy, run, base="base", candidate="tuned", training=trained)
    assert "fr-FR: no test utterances" in report.check("not_worse").because


# 19: empty slices
def test_a_required_locale_or_accent_without_clips_is_not_enough_data(ws: Workspace) -> None:
    suite = ws.suite("pilot")
    suite.create(
        ["calls", "guardrails"], locales={**ROLES, "nb-NO": 20}, accents={"da-DK": {"bornholmsk": 5}}
    )
    run = open_run(suite)
    plant(run, "base", WORSE)
    plant(run, "tuned", BETTER)
    report = judged(run)
    assert report.verdict == UNKNOWN
    told = {f.slice: f.because for f in report.check("coverage").evidence}
    assert told["nb-NO"] == "guardrail locale has 0 clips, 20 required"
    assert told["da-DK"] == "accent bornholmsk has 0 clips, 5 required"


# 20: settings that decide on nothing, or are not held
@pytest.mark.parametrize(
    "changes", [{"resamples": 0}, {"resamples": 1}, {"confidence": 0.0}, {"confidence": 1.0}]
)
def test_settings_that_decide_on_nothing_are_refused(ws: Workspace, changes: dict[str, float]) -> None:
    with pytest.raises(WorkbenchError, match=r"decide.? on nothing"):
        judged(suite_run(ws).evaluation().with_settings(**changes))


def test_a_confidence_that_is_asked_for_is_given_everywhere(ws: Workspace) -> None:
    run = suite_run(ws)
    usual = run.evaluation()
    strict = usual.with_settings(confidence=0.99)
    assert "95 %" not in strict._repr_html_() + repr(strict.rates(strict.names[0])), "no heading says 95"
    for ask in (
        lambda e: e.rates("tuned"),
        lambda e: e.compare("base", "tuned"),
        lambda e: e.non_inferior("base", "tuned", 0.05),
    ):
        wide, narrow = (ask(e) for e in (strict, usual))
        open_ = narrow["high"] > narrow["low"]  # a locale in which nothing changed has no width
        assert open_.any()
        widths = (wide["high"] - wide["low"]) / (narrow["high"] - narrow["low"])
        assert (widths[open_] > 1.1).all()
        if "upper_bound" in wide:
            assert (wide["upper_bound"] > narrow["upper_bound"])[open_].all()
    kinds = "checks:\n- {kind: improves, locales: [da-DK]}\n- {kind: formatting}\n- {kind: weighted_rate}\n"
    said = [judged(e, Policy.from_yaml(kinds)) for e in (strict, usual)]
    for wide_check, narrow_check in zip(*(report.checks for report in said), strict=True):
        a, b = (check.evidence[0].numbers for check in (wide_check, narrow_check))
        assert float(a["upper_bound"] or 0) >= float(b["upper_bound"] or 0)
        assert wide_check.kind == "formatting" or "99 %" in wide_check.evidence[0].because


def test_look_aheads_are_chosen_where_nothing_else_differs(ws: Workspace) -> None:
    from workbench.capacity.choice import choose_lookahead

    suite = ws.suite("waiting")
    suite.create(["calls", "guardrails"], points=[SHORT, LONG])
    run = open_run(suite, base=BASE)
    plant(run, "base", WORSE, point=SHORT)
    plant(run, "base", BETTER, point=LONG)
    chosen = choose_lookahead(run)
    assert chosen.recommended["da-DK"] == 1120
    plant(run, "base", BETTER, point=LONG, without=["calls/0-3"])
    with pytest.raises(
        WorkbenchError, match="not enough data at streaming-1120: da-DK: base transcribed 59 of 60"
    ):
        choose_lookahead(opened(run))
    both = suite_run(ws, SHORT, LONG)
    with pytest.raises(WorkbenchError, match="which checkpoint"):
        choose_lookahead(both)
    mixed = both.at_all_points(("base", "tuned"))
    with pytest.raises(WorkbenchError, match="not alike: checkpoints aaaaaaaaaaaa, bbbbbbbbbbbb"):
        choose_lookahead(mixed)
