"""A suite is frozen, versioned and reviewed as YAML; its run is resumable and kept by digests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from planted import BETTER, OFFLINE, TUNED, WORSE, open_run, plant, tone

from workbench.api import Workspace
from workbench.errors import WorkbenchError
from workbench.suites.points import OperatingPoint
from workbench.suites.store import suite_names
from workbench.suites.suite import SuiteVersion

STREAMING = OperatingPoint(lookahead_ms=560, streaming=True)


def test_the_same_content_is_the_same_version_and_a_change_is_a_new_one(ws: Workspace) -> None:
    suite = ws.suite("pilot")
    assert repr(suite).startswith("Suite pilot: not made yet")
    with pytest.raises(WorkbenchError, match="not made yet"):
        _ = suite.latest
    first = suite.create(["calls", "guardrails"])
    assert suite.create(["calls", "guardrails"]) == first
    assert (first.version, first.utterances, first.corpora) == (1, 180, ["calls", "guardrails"])
    second = suite.create(["calls", "guardrails"], points=[OFFLINE, STREAMING])
    assert (second.version, suite.versions) == (2, [1, 2])
    assert suite.version(1) == first
    assert first.digest != second.digest
    assert suite.create(["calls", "guardrails"]).version == 1
    assert suite_names(ws) == ["pilot"]
    assert ws.ledger.verify().ok


def test_the_yaml_may_be_edited_until_it_is_run(ws: Workspace) -> None:
    suite = ws.suite("pilot")
    made = suite.create({"calls": "accent = 'jysk'"}, locales={"da-DK": 5})
    path = suite.path()
    assert SuiteVersion.from_yaml(path.read_text()) == made
    path.write_text(path.read_text().replace("minimum_utterances: 5", "minimum_utterances: 7"))
    assert suite.latest.locales[0].minimum_utterances == 7
    suite.freeze(suite.latest)
    path.write_text(path.read_text().replace("minimum_utterances: 7", "minimum_utterances: 1"))
    with pytest.raises(WorkbenchError, match="edited after it was run"):
        _ = suite.latest


def test_requirements_come_from_the_pilot_plan(ws: Workspace) -> None:
    ws.set_pilot(
        {"tag": "da-DK", "traffic_share": 0.3, "accents": ["jysk"]},
        {"tag": "en-US", "role": "guardrail", "traffic_share": 0.6},
    )
    made = ws.suite("pilot").create(["calls", "guardrails"], replayed=["it-IT"], minimum_utterances=20)
    assert {row.tag: (row.role, row.minimum_utterances) for row in made.locales} == {
        "da-DK": ("target", 20), "en-US": ("guardrail", 20), "it-IT": ("replayed", 20),
    }  # fmt: skip
    assert dict(made.locales[0].accents) == {"jysk": 20}
    assert dict(made.weights) == {"da-DK": pytest.approx(1 / 3), "en-US": pytest.approx(2 / 3)}


def test_what_cannot_be_a_suite_is_refused(ws: Workspace, tmp_path: Path) -> None:
    suite = ws.suite("pilot")
    with pytest.raises(WorkbenchError, match=r"no corpus 'cals'.*calls, guardrails"):
        suite.create("cals")
    with pytest.raises(WorkbenchError, match="no usable row"):
        suite.create({"calls": "split = 'nowhere'"})
    with pytest.raises(WorkbenchError, match="operating points"):
        suite.create("calls", points=[OFFLINE, OFFLINE])
    with pytest.raises(WorkbenchError, match="streaming needs a look-ahead"):
        suite.create("calls", points=[{"streaming": True}])
    with pytest.raises(WorkbenchError, match="unknown fields look_ahead"):
        suite.create("calls", points=[{"look_ahead": 80}])
    (tmp_path / "recordings" / "calls-da-DK-0.wav").unlink()
    with pytest.raises(WorkbenchError, match="audio of 1 utterances cannot be read"):
        suite.create("calls")


@given(
    lookahead_ms=st.none() | st.integers(0, 2000),
    prompt_mode=st.sampled_from(["langID", "auto"]),
    precision=st.sampled_from(["auto", "fp32", "bf16"]),
    normalizer=st.sampled_from(["basic", "raw"]),
    metric=st.sampled_from(["headline", "wer", "cer"]),
)
def test_every_difference_of_two_points_has_a_phrase_and_a_name_of_its_own(**facts: object) -> None:
    point = OperatingPoint(**facts)  # type: ignore[arg-type]
    assert OperatingPoint.of(point.to_dict()) == point
    assert point.differences(point) == []
    changed = sum(getattr(OFFLINE, name) != value for name, value in facts.items())
    assert len(OFFLINE.differences(point)) == changed
    assert (point.name == OFFLINE.name) == (changed == 0)


def test_changes_of_the_corpora_are_named_and_renewed(ws: Workspace, tmp_path: Path) -> None:
    suite = ws.suite("pilot")
    first = suite.create(["calls", "guardrails"])
    assert suite.changes() == []
    soundfile.write(tmp_path / "recordings" / "calls-da-DK-0.wav", tone("other"), 16000)
    ws.corpus("guardrails").pick(["0-1"]).edit("text", "something else")
    ws.corpus("guardrails").pick(["0-2", "0-3"]).edit("target_lang", "en-GB")
    found = suite.changes()
    assert "audio changed in 1 clips of calls (0-0)" in found
    assert "reference changed in 1 clips of guardrails (0-1)" in found
    assert "locale changed in 2 clips of guardrails (0-2, 0-3)" in found
    second = suite.renew()
    assert (second.version, suite.changes(), suite.version(1)) == (2, [], first)


def test_clips_that_were_erased_since_are_said(ws: Workspace) -> None:
    import pandas as pd

    suite = ws.suite("pilot")
    made = suite.create("calls")
    run = open_run(suite)
    plant(run, "base", WORSE)
    held = ws.corpora / "calls" / "suites"
    (path,) = held.glob("*.parquet")
    clips = pd.read_parquet(path)
    clips[clips["id"] != "0-4"].to_parquet(path, index=False)
    assert suite.changes(made) == ["1 of 60 clips were erased since"]
    with pytest.raises(WorkbenchError, match="renew"):
        suite.clips(made)


def test_coverage_counts_every_clip_once(ws: Workspace) -> None:
    suite = ws.suite("pilot")
    suite.create(["calls", "guardrails"])
    run = open_run(suite)
    plant(run, "base", WORSE)
    plant(run, "tuned", BETTER, without=[f"calls/0-{i}" for i in range(10)])
    faults = run.path("calls", TUNED, OFFLINE).with_suffix(".problems.jsonl")
    faults.write_text(json.dumps({"file": "x.wav", "what": "broken", "field": "id 0-3"}) + "\n")
    for locale in ("all", "da-DK", "en-US", "it-IT"):
        for engine in run.names:
            row = _row(run, engine, locale)
            assert row["expected"] == row["transcribed"] + row["failed"] + row["missing"]
    assert _row(run, "tuned", "da-DK")[["expected", "transcribed", "failed", "missing"]].tolist() == [
        60,
        50,
        1,
        9,
    ]
    assert _row(run, "tuned", "da-DK", "jysk")["missing"] == 3
    assert run.shortfalls("base", "tuned") == {
        "da-DK": ["base transcribed 60 of 60", "tuned transcribed 50 of 60"]
    }


def _row(run, engine, locale, accent=None):  # type: ignore[no-untyped-def]
    table = run.coverage()
    same = table["accent"].isna() if accent is None else table["accent"] == accent
    return table[(table["engine"] == engine) & (table["target_lang"] == locale) & same].iloc[0]


def test_the_forgetting_matrix_shows_every_locale(ws: Workspace) -> None:
    suite = ws.suite("pilot")
    suite.create(["calls", "guardrails"])
    run = open_run(suite, base="a" * 64, tuned="b" * 64, hasty="c" * 64)
    plant(run, "base", WORSE)
    plant(run, "tuned", BETTER)
    plant(run, "hasty", {**BETTER, "en-US": 0.6})
    matrix = run.forgetting("base")
    verdicts = {(r["engine"], r["target_lang"]): r["verdict"] for r in matrix.table.to_dict("records")}
    assert verdicts[("tuned", "da-DK")] == "fewer errors"
    assert verdicts[("hasty", "en-US")] == "more errors"
    assert verdicts[("tuned", "en-US")] == "no clear difference"
    assert matrix.differences().loc["hasty", "en-US"] > 20
    page = matrix._repr_html_()
    assert page.count("<td style") == 6
    assert "more errors in en-US" in page
    assert page.startswith("<p><b>tuned against base: overall fewer errors: ")
    assert "only where the interval leaves out zero" in page
    for row in matrix.table.to_dict("records"):
        compared = run.compare("base", row["engine"]).set_index("target_lang")
        assert compared.loc[row["target_lang"], "reading"] == row["verdict"], "one reading everywhere"
    plant(run, "tuned", BETTER, without=["guardrails/0-7"])
    again = open_run(suite, base="a" * 64, tuned="b" * 64).forgetting("base").table
    open_row = again[again["target_lang"] == "en-US"].iloc[0]
    assert (open_row["verdict"], open_row["difference"] != open_row["difference"]) == (
        "not enough data",
        True,
    )


def test_an_imported_engine_joins_as_its_own(ws: Workspace) -> None:
    suite = ws.suite("pilot")
    suite.create("calls")
    run = open_run(suite)
    plant(run, "base", WORSE)
    plant(run, "tuned", BETTER)
    frame = ws.corpus("calls").frame(["id", "text"]).rename(columns={"text": "hypothesis"})
    joined = run.join("whisper", {"calls": frame})
    assert joined.names == ["base", "tuned", "whisper"]
    assert joined.evaluation().overall("whisper")["rate"] == 0
    with pytest.raises(WorkbenchError, match="engine torch against imported whisper"):
        joined.compare("base", "whisper")
    with pytest.raises(WorkbenchError, match="engine 'base' already"):
        run.join("base", {"calls": frame})
    with pytest.raises(WorkbenchError, match="no prediction for corpus calls"):
        run.join("other", {})


def test_what_import_prediction_kept_joins_by_its_name(ws: Workspace) -> None:
    suite = ws.suite("pilot")
    suite.create({"calls": "accent = 'jysk'", "guardrails": "target_lang = 'it-IT'"})
    run = open_run(suite)
    plant(run, "base", WORSE)
    for name in ("calls", "guardrails"):
        texts = ws.corpus(name).frame(["id", "text"]).set_index("id")["text"].to_dict()
        ws.import_prediction(ws.corpus(name), texts, "whisper", engine="whisper-large-v3")
    joined = run.join("whisper")
    assert joined.evaluation(engines=["whisper"]).overall("whisper")["rate"] == 0
    coverage = joined.coverage().query("engine == 'whisper' and target_lang == 'all'").iloc[0]
    assert (coverage["missing"], coverage["unmatched"]) == (0, 0)
    with pytest.raises(WorkbenchError, match="engine torch against imported whisper-large-v3"):
        joined.compare("base", "whisper")
    # Picked by hand, the two may be compared: what differs is said first.
    by_hand = joined.evaluation(engines=["base", "whisper"])
    assert (by_hand.compare("base", "whisper", by="target_lang")["difference"] < 0).all()
    assert (
        run.join("again", {"calls": "whisper", "guardrails": "whisper"}).checkpoints["again"]
        == (joined.checkpoints["whisper"])
    )
    with pytest.raises(WorkbenchError, match="no prediction 'nobody'"):
        run.join("nobody")


@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_run_transcribes_what_is_missing_and_goes_on(tiny: Workspace) -> None:
    suite = tiny.suite("pilot")
    suite.create({"calls": "split = 'validation'"}, points=[OFFLINE, STREAMING])
    seen: list[tuple[int, int]] = []

    def stopped() -> bool:
        return bool(seen) and seen[-1][0] >= 6

    with pytest.raises(WorkbenchError, match="cancelled"):
        tiny.run_suite("pilot", "one", "two", progress=lambda d, t: seen.append((d, t)), cancel=stopped)
    run = tiny.run_suite("pilot", "one", "two", progress=lambda d, t: seen.append((d, t)))
    assert seen[-1] == (48, 48)
    assert (run.coverage()["missing"] == 0).all()
    made = {path: path.stat().st_mtime_ns for path in tiny.corpora.rglob("predictions/suites/**/*.parquet")}
    assert len(made) == 4
    tiny.run_suite("pilot", "one", "two", progress=lambda d, t: None)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    matrix = run.forgetting("one")
    assert (matrix.table["difference"].fillna(0) == 0).all()  # the same network in other bytes
    assert tiny.corpus("calls").prediction_names() == []
    frame = run.frame("one", STREAMING)
    assert frame is not None
    assert set(frame["lookahead_ms"]) == {560}
    assert frame["audio_sha256"].notna().all()
    assert set(frame["precision"]) == {"fp32"}


def test_an_erasure_finds_clips_and_predictions_of_a_suite(ws: Workspace) -> None:
    import pandas as pd

    from workbench.privacy.erasure import erase, plan_erasure

    suite = ws.suite("pilot")
    suite.create("calls")
    run = open_run(suite)
    plant(run, "base", WORSE)
    gone = set(ws.corpus("calls").where("speaker = 'da-DK-3'").ids())
    assert len(gone) == 5
    done = erase(ws, plan_erasure(ws, speaker="da-DK-3"))
    assert done.remaining == 0
    left = pd.read_parquet(run.path("calls", run.checkpoints["base"], OFFLINE))
    assert not gone & set(left["id"])
    assert suite.changes() == ["5 of 60 clips were erased since"]
    assert suite.renew().utterances == 55
