"""What was fitted of a checkpoint's confidence holds wherever its words are judged, and is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.corpus.quality import listening_order
from workbench.corpus.review.drafts import Drafts
from workbench.errors import WorkbenchError
from workbench.evaluation.confidence import tempered
from workbench.field.dashboard import watch_log
from workbench.field.log import FieldLog
from workbench.release import promotion
from workbench.release.card import model_card
from workbench.starter_files import CHECKPOINT
from workbench.widgets.board_drafts import BoardDrafts
from workbench.workspace import calibration

SHA = "5f" * 32
SAID = "one two three four five six seven eight nine ten"


def predict(ws: wb.Workspace, name: str, sha256: str | None = SHA, clips: int = 120) -> None:
    """A prediction whose words are right as often as its confidence says under a temperature of 2.5."""
    corpus = ws.corpus("calls")
    rng, rows = np.random.default_rng(4), []
    for id in corpus.ids()[:clips]:
        given = tempered(rng.uniform(0.05, 0.95, 10), 0.4)
        right = rng.random(10) < tempered(given, 2.5)
        texts = [word if good else "wrong" for word, good in zip(SAID.split(), right, strict=True)]
        words = [{"word": word, "start": at / 2, "end": at / 2 + 0.4, "confidence": float(sure)}
                 for at, (word, sure) in enumerate(zip(texts, given, strict=True))]  # fmt: skip
        how = {"checkpoint_sha256": sha256, "lookahead_ms": 560, "prompt_mode": "langID", "streaming": True}
        said = {"id": id, "hypothesis": " ".join(texts), "words": words, "confidence": float(given.mean())}
        rows.append({**said, **how})
    corpus.predictions_folder.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_parquet(corpus.predictions_folder / f"{name}.parquet")


@pytest.fixture
def ws(tmp_path: Path) -> wb.Workspace:
    rows = [{"id": f"u{n:03d}", "audio_filepath": f"u{n:03d}.wav", "duration": 5.0, "text": SAID,
             "target_lang": "en-US", "split": "validation" if n < 100 else "test"}
            for n in range(120)]  # fmt: skip
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = wb.Workspace(tmp_path / "ws")
    made.import_corpus("calls", tmp_path / "m.jsonl", require_audio=False)
    predict(made, "heard")
    return made


def fitted(ws: wb.Workspace, name: str = "heard") -> calibration.Calibration:
    return ws.calibrate(ws.corpus("calls").where("split = 'validation'"), name)


def test_a_temperature_and_lines_are_fitted_and_kept(ws: wb.Workspace) -> None:
    found = fitted(ws)
    assert found.temperature == pytest.approx(2.5, rel=0.15)
    assert found.tempered_error < 0.5 * found.calibration_error
    assert 0.3 < found.word_line < 0.7
    assert (found.words, found.corpus, found.where) == (1000, "calls", "split = 'validation'")
    assert (found.lookahead_ms, found.streaming) == (560, True)
    assert calibration.read(ws.reports, SHA) == found
    assert "temperature 2." in str(found)
    table = {row["below"]: row for row in found.thresholds}
    assert table[0.1]["wrong_found"] < table[0.9]["wrong_found"]


def test_drafts_and_orders_take_the_line_that_was_fitted_and_say_so(ws: wb.Workspace) -> None:
    corpus = ws.corpus("calls")
    path = corpus.predictions_folder / "heard.parquet"
    before = Drafts(corpus, "heard")
    assert before.uncertain == listening_order.DOUBT
    assert "not calibrated" in repr(before)
    assert listening_order.read_prediction(path).attrs["line"].below == listening_order.DOUBT
    kept = fitted(ws)
    # The line is moved where no constant lies.
    moved = calibration.Calibration(**{**_fields(kept), "word_line": 0.35})
    calibration.write(ws.reports, moved)
    drafts = ws.drafts(corpus, "heard")
    assert drafts.uncertain == 0.35
    assert "fitted on 1,000 words of calls" in repr(drafts)
    id = corpus.ids()[0]
    marks = {word["confidence"] < 0.35: word["uncertain"] for word in drafts.draft(id).words}
    assert marks == {True: True, False: False}
    shown = BoardDrafts(drafts, [], "ana").of(corpus.row(id))
    assert shown is not None
    assert (shown["threshold"], shown["threshold_from"]) == (0.35, "fitted on 1,000 words of calls")
    read = listening_order.read_prediction(path)
    words = corpus.prediction("heard")["words"]
    wanted = [np.mean([word["confidence"] < 0.35 for word in some]) for some in words]
    assert read["low_confidence"].tolist() == pytest.approx(wanted)
    order = listening_order.order(corpus, predictions=read)
    assert order["why"].str.contains("in doubt (confidence below 0.35)", regex=False).any()
    # What is asked for wins.
    assert ws.drafts(corpus, "heard", uncertain=0.8).uncertain == 0.8
    assert listening_order.read_prediction(path, 0.8).attrs["line"].source == "as given"
    with pytest.raises(WorkbenchError, match="A confidence, 0 to 1"):
        ws.drafts(corpus, "heard", uncertain=60)


def test_another_checkpoint_and_an_imported_engine_have_no_line(ws: wb.Workspace) -> None:
    fitted(ws)
    predict(ws, "newer", "a0" * 32)
    predict(ws, "engine", None)
    predict(ws, "odd", "../../escape")
    for name in ("newer", "engine", "odd"):
        assert "not calibrated" in ws.drafts(ws.corpus("calls"), name).line.source
    with pytest.raises(WorkbenchError, match="not made by one checkpoint"):
        fitted(ws, "engine")
    predict(ws, "few", SHA, clips=5)
    with pytest.raises(WorkbenchError, match="not enough data: 50 words"):
        ws.calibrate(ws.corpus("calls").where("id < 'u005'"), "few")


def test_field_reports_count_calls_below_the_line_of_their_release(ws: wb.Workspace) -> None:
    rng = np.random.default_rng(1)
    count = 14 * 7 * 20
    rows = pd.DataFrame(
        {"time": pd.date_range("2026-01-05", periods=count, freq="72min", tz="UTC"),
         "requested_lang": "en-US", "detected_lang": "en-US", "words": 8.0, "marks": 1.0,
         "confidence": rng.uniform(0, 1, count), "latency_ms": 300.0,
         "release": "pilot", "text": None, "audio_filepath": None, "consent": None}
    )  # fmt: skip
    plainly = watch_log(FieldLog(rows), workspace=ws)
    assert (plainly.line.below, plainly.to_dict()["uncertain_below"]) == (0.6, 0.6)
    assert "uncertain: confidence below 0.6, the default" in plainly.html()
    promotion.stage(ws, "pilot", CHECKPOINT)
    sha256 = promotion.pointers(ws).candidate
    assert sha256 is not None
    held = {**_fields(fitted(ws)), "checkpoint_sha256": sha256.sha256, "utterance_line": 0.25}
    calibration.write(ws.reports, calibration.Calibration(**held))
    found = watch_log(FieldLog(rows), workspace=ws)
    assert found.line.below == 0.25
    assert "fitted on 1,000 words of calls" in found.html()
    assert found.weekly["uncertain"].sum() == int((rows["confidence"] < 0.25).sum())
    assert watch_log(FieldLog(rows), workspace=ws, uncertain=0.9).line.source == "as given"
    with pytest.raises(WorkbenchError, match="uncertain=90"):
        watch_log(FieldLog(rows), workspace=ws, uncertain=90)


def test_the_model_card_holds_what_was_fitted(ws: wb.Workspace) -> None:
    found = fitted(ws)
    alone = model_card("x", {}, calibration=found).markdown()
    assert "Fitted on 1,000 words" in alone
    assert "confidence below" in alone
    evaluation = wb.evaluate(ws.corpus("calls"), "heard")
    text = model_card("x", {}, evaluation=evaluation, prediction="heard", calibration=found).markdown()
    assert f"Temperature {found.temperature:.2f}" in text
    assert "Fitted on 1,000 words" in text


def test_a_damaged_calibration_is_one_clear_line(ws: wb.Workspace) -> None:
    fitted(ws)
    path = ws.reports / "calibration" / f"{SHA}.json"
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("{")
    with pytest.raises(WorkbenchError, match="not a calibration"):
        ws.drafts(ws.corpus("calls"), "heard")


def _fields(found: calibration.Calibration) -> dict[str, Any]:
    return {name: getattr(found, name) for name in type(found).__dataclass_fields__}
