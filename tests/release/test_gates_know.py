"""What gates and the watch over production must also know: unknown pieces, no tags, erasures, short logs."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pandas as pd
import pytest
from bound import gated_on_suite
from drawn import BASE, TUNED, heard, judged, rows_of

from workbench.api import Workspace
from workbench.errors import WorkbenchError
from workbench.evaluation import score_predictions
from workbench.privacy import tainted_checkpoints
from workbench.release.gate_report import GateReport
from workbench.release.promotion import pointers, promote, stage
from workbench.release.retraining_schedule import retraining_status
from workbench.release.verdicts import FAIL, PASS, UNKNOWN
from workbench.workspace.folder import WorkspaceFolder

SAME = {"el-GR": 0.1, "en-US": 0.1}


def test_formatting_is_not_charged_for_pieces_that_the_tokenizer_does_not_know() -> None:
    rows = rows_of()
    base, tuned = heard(rows, SAME, BASE, 1), heard(rows, SAME, TUNED, 1)
    odd = tuned.assign(hypothesis=[f"{text} ⁇" for text in tuned["hypothesis"]])
    report = judged(score_predictions(rows, {"base": base, "tuned": odd}), "{kind: formatting, margin: 0.01}")
    assert report.verdict == PASS, str(report)
    bare = tuned.assign(hypothesis=tuned["hypothesis"].str.rstrip("."))
    report = judged(
        score_predictions(rows, {"base": base, "tuned": bare}), "{kind: formatting, margin: 0.01}"
    )
    assert report.verdict == FAIL


def _on_silence(base: float, tuned: float, check: str, clips: int = 480) -> GateReport:
    """Clips of two locales whose references are empty or a mark alone; shares of them get words."""
    rows = rows_of(clips)
    rows["text"] = ["" if i % 2 else "." for i in range(len(rows))]
    spoken = rows_of(clips).assign(id=[f"spoken-{i}" for i in range(2 * clips)])
    every = pd.concat([rows, spoken], ignore_index=True)
    tables = {}
    for name, digest, share in (("base", BASE, base), ("tuned", TUNED, tuned)):
        made = heard(spoken, SAME, digest, 1)
        silent = made.assign(
            id=rows["id"],
            hypothesis=["thank you" if (i * 37) % 100 < 100 * share else "" for i in range(len(rows))],
        )
        tables[name] = pd.concat([made, silent], ignore_index=True)
    return judged(score_predictions(every, tables), check)


@pytest.mark.parametrize(("base", "tuned", "expected"), [
    (0.1, 0.1, PASS), (0.3, 0.05, PASS), (0.05, 0.3, FAIL), (0.0, 0.0, PASS),
])  # fmt: skip
def test_words_invented_in_silence_are_judged_apart(base: float, tuned: float, expected: str) -> None:
    report = _on_silence(base, tuned, "{kind: silence, margin: 0.02}")
    assert report.verdict == expected, str(report)
    assert {f.slice for f in report.checks[0].evidence} == {"el-GR", "en-US"}
    assert "480 silent clips" in report.checks[0].evidence[0].because
    # They are in no error rate: the same clips leave it where it was.
    assert _on_silence(base, tuned, "{kind: not_worse, margin: 0.02}").verdict == PASS


def test_silence_that_nobody_tested_is_no_pass() -> None:
    rows = rows_of()
    tables = {"base": heard(rows, SAME, BASE, 1), "tuned": heard(rows, SAME, TUNED, 1)}
    report = judged(score_predictions(rows, tables), "{kind: silence}")
    assert report.verdict == UNKNOWN
    assert "no test clip is silent" in report.checks[0].because
    assert _on_silence(0.0, 0.0, "{kind: silence}", clips=8).verdict == UNKNOWN
    assert _on_silence(0.3, 0.3, "{kind: silence, maximum: 0.1}").verdict == FAIL
    assert _on_silence(0.05, 0.05, "{kind: silence, maximum: 0.1}").verdict == PASS


@pytest.mark.parametrize(("base_tags", "tuned_tags", "expected"), [
    (False, False, UNKNOWN), (True, False, FAIL), (False, True, PASS), (True, True, PASS),
])  # fmt: skip
def test_no_tag_at_all_is_no_pass_of_language_identification(
    base_tags: bool, tuned_tags: bool, expected: str
) -> None:
    rows = rows_of(480)
    tables = {}
    for name, digest, tagged in (("base", BASE, base_tags), ("tuned", TUNED, tuned_tags)):
        made = heard(rows, SAME, digest, 1, prompt_mode="auto")
        tables[name] = made if tagged else made.assign(detected_lang=None)
    report = judged(score_predictions(rows, tables), "{kind: language, margin: 0.05}")
    assert report.verdict == expected, str(report)
    if expected == UNKNOWN:
        assert "no tag was emitted" in report.checks[0].because


def test_a_sample_without_a_change_passes_only_where_it_is_large_enough() -> None:
    """Equal tags on 120 clips of 12 speakers leave 6 points open: no pass of a margin of 2."""
    for clips, margin, expected in ((120, 0.02, UNKNOWN), (120, 0.07, PASS), (480, 0.02, PASS)):
        rows = rows_of(clips)
        tables = {
            n: heard(rows, SAME, d, 1, prompt_mode="auto") for n, d in (("base", BASE), ("tuned", TUNED))
        }
        evaluation = score_predictions(rows, tables)
        check = judged(evaluation, f"{{kind: language, margin: {margin}}}").checks[0]
        assert check.verdict == expected, check
        assert all(f.numbers["upper_bound"] > 0 for f in check.evidence)
        silent = _on_silence(0.0, 0.0, f"{{kind: silence, margin: {margin}}}", clips=clips)
        assert silent.verdict == expected, silent


def test_leakage_that_looked_at_nothing_says_so() -> None:
    rows = rows_of()
    evaluation = score_predictions(
        rows, {"base": heard(rows, SAME, BASE, 1), "tuned": heard(rows, SAME, TUNED, 1)}
    )
    training = pd.DataFrame({"id": [None], "audio_filepath": [None], "offset": [None], "text": ["Yes."]})
    training["target_lang"] = "el-GR"
    report = judged(evaluation, "{kind: leakage}", training=training)
    told = {f.slice: f for f in report.checks[0].evidence}
    assert told["utterance"].verdict == UNKNOWN
    assert "no id is known" in told["utterance"].because


def test_equal_ids_of_other_recordings_are_no_leak_and_equal_recordings_are() -> None:
    rows = rows_of().assign(audio_sha256=[f"{i:064d}" for i in range(240)])
    evaluation = score_predictions(
        rows, {"base": heard(rows, SAME, BASE, 1), "tuned": heard(rows, SAME, TUNED, 1)}
    )
    training = rows.head(3).assign(audio_sha256="f" * 64, text="something else", audio_filepath="x.wav")
    assert judged(evaluation, "{kind: leakage}", training=training).verdict == PASS
    training = rows.head(3).assign(id=["x", "y", "z"], text="something else", audio_filepath="x.wav")
    assert judged(evaluation, "{kind: leakage}", training=training).verdict == FAIL


def test_an_erasure_makes_retraining_due_at_once(ws: WorkspaceFolder, checkpoints: dict[str, Path]) -> None:
    stage(ws, "tuned", checkpoints["tuned"], generation=pointers(ws).generation)
    import hashlib

    digest = hashlib.sha256(checkpoints["tuned"].read_bytes()).hexdigest()
    gated_on_suite(ws, digest)
    promote(ws, generation=pointers(ws).generation)
    found = retraining_status(ws)
    assert found is not None
    assert found.due == ()
    tainted_checkpoints.add(ws, [digest], "certificate-9")
    found = retraining_status(ws)
    assert found is not None
    assert found.due[0] == "at once: tuned was trained on data erased since (certificates certificate-9)"
    rows = rows_of()
    tables = {"base": heard(rows, SAME, digest, 1), "tuned": heard(rows, SAME, TUNED, 1)}
    report = judged(score_predictions(rows, tables), "{kind: erasure}", erased=tainted_checkpoints.read(ws))
    assert report.verdict == PASS
    assert (
        "the base was trained on data since erased (certificates certificate-9)" in report.checks[0].because
    )


def test_a_promotion_is_refused_when_what_it_rests_on_has_changed(
    ws: WorkspaceFolder, checkpoints: dict[str, Path]
) -> None:
    import hashlib

    digest = hashlib.sha256(checkpoints["tuned"].read_bytes()).hexdigest()
    stage(ws, "tuned", checkpoints["tuned"], generation=pointers(ws).generation)
    run = gated_on_suite(ws, digest)
    made = run.path("bound", digest, run.points[0])
    kept, audio = made.read_bytes(), ws.path / "recordings" / "a.wav"
    sound = audio.read_bytes()
    made.write_bytes(kept + b" ")
    _refused(ws, "a prediction changed: offline")
    made.unlink()
    _refused(ws, "a prediction is gone: offline")
    made.write_bytes(kept)
    audio.write_bytes(sound + b"\0\0")
    _refused(ws, "audio changed in 1 clips of bound")
    audio.write_bytes(sound)
    (report,) = (ws.reports / "gates").glob("*.json")
    text = report.read_text()
    report.write_text(text.replace('"utterances": 1', '"utterances": 9'))
    _refused(ws, "its gate report was changed")
    report.write_text(text)
    assert promote(ws, generation=pointers(ws).generation).production is not None


def _refused(ws: WorkspaceFolder, why: str) -> None:
    with pytest.raises(WorkbenchError, match=why):
        promote(ws, generation=pointers(ws).generation)


@pytest.mark.parametrize("calls", [1, 29])
def test_an_ordinary_log_that_is_short_gives_a_sentence(tmp_path: Path, calls: int) -> None:
    start = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)
    lines = []
    for week in range(10):
        for i in range(calls):
            at = start + datetime.timedelta(days=7 * week + i * 7 / calls)
            row = {"id": f"{week}-{i}", "time": at.isoformat(), "requested_lang": "da-DK", "text": "Hej."}
            lines.append(
                json.dumps({**row, "detected_lang": "da-DK", "confidence": 0.9, "latency_ms": 200 + i})
            )
    path = tmp_path / "calls.jsonl"
    path.write_text("\n".join(lines) + "\n")
    found = Workspace(tmp_path / "ws").field_log(str(path))
    assert found.unjudged().startswith("Not enough data: no week could be judged.")
    assert f"the fullest week has {calls}" in found._repr_html_()
    assert len(found.alarms) == 0
    with pytest.raises(WorkbenchError, match="no week could be judged"):
        found.chart()
