"""Measure the starter checkpoint on sentences it never heard, and write what was found.

``docs/evidence/starter.json`` holds every figure; ``data/README.md``, the data card, is made from it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from tooling.starter import joined
from tooling.starter.checkpoint import heard
from tooling.starter.features import read_rows
from tooling.starter.recordings import SCARCE_LOCALES, apart
from workbench.evaluation import score_predictions
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.transcribe import transcribe
from workbench.starter_files import CHECKPOINT, CORPUS, MANIFEST

log = logging.getLogger("tooling.starter")
WELL_COVERED = "well covered"  # all locales but those that the starter hardly heard
QUIET_S = 0.25
CURVE = ("step", "cer", "cer_well_heard", "tags_right")
COLUMNS = ["target_lang", "rate", "low", "high", "errors", "reference_units", "utterances", "interval_kind"]


def measure(folder: Path, checkpoint: Path = CHECKPOINT, every: int = 1) -> dict[str, Any]:
    """All figures of the data card, on the test clips whose recording is not in the train split too.

    ``folder`` keeps predictions, so a stopped call goes on; ``every`` takes each n-th clip (1: all).
    """
    rows = read_rows(MANIFEST)
    whole = [row for row in rows if row["split"] == "test"][::every]
    test = apart(rows)[::every]
    model = Checkpoint.open(checkpoint)
    folder = folder / model.sha256[:12]
    frame = pd.DataFrame(test)
    by_lookahead, wer = {}, {}
    for ms in model.info.lookaheads_ms:
        found = _predict(model, test, folder / f"{ms}.parquet", lookahead_ms=ms)
        scored = score_predictions(frame, {"starter": found}, by=("target_lang",))
        by_lookahead[str(ms)] = _rates(scored, "cer")
        wer[str(ms)] = _rates(scored, "wer")
    longest = max(model.info.lookaheads_ms)
    figures = {
        "schema_version": 1,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "checkpoint_sha256": model.sha256,
        "checkpoint_bytes": checkpoint.stat().st_size,
        "parameters": model.info.parameters,
        "test_clips": len(test),
        "test_clips_left_out": len(whole) - len(test),
        "normalizer": "basic",
        "cer_by_lookahead": by_lookahead,
        "wer_by_lookahead": wer,
        "auto": _auto(model, test, folder / "auto.parquet", longest),
        "auto_then_quiet": _auto(model, test, folder / "auto-quiet.parquet", longest, load=_then_quiet),
        "auto_nothing_left_out": _auto(model, whole, folder / "auto-whole.parquet", longest),
        "wrong_tag": _wrong_tag(model, test, folder, longest, frame),
        "streaming": _streaming(model, test, folder, longest),
        "joined": _joined(model, rows, folder, longest),
    }
    return figures


def _predict(model: Checkpoint, rows: list[dict[str, Any]], out: Path, **options: Any) -> pd.DataFrame:
    out.parent.mkdir(parents=True, exist_ok=True)
    transcribe(model, rows, CORPUS, out, **options)
    log.info("%s: %d utterances", out.stem, len(rows))
    return pd.read_parquet(out)


def _rates(scored: Any, metric: str) -> list[dict[str, Any]]:
    overall = scored.rates("starter", by=(), metric=metric).assign(target_lang="all")
    own = scored.rates("starter", by=("target_lang",), metric=metric)
    covered = [tag for tag in own["target_lang"] if tag not in SCARCE_LOCALES]
    where = f"target_lang IN ({', '.join(repr(tag) for tag in covered)})"
    well = scored.rates("starter", by=(), metric=metric, where=where).assign(target_lang=WELL_COVERED)
    table = pd.concat([own, well, overall])
    rows: list[dict[str, Any]] = json.loads(table[COLUMNS].round(4).to_json(orient="records"))
    return rows


def _then_quiet(row: Mapping[str, Any]) -> Any:
    """A clip with ``QUIET_S`` of silence behind it, as an open line leaves it."""
    import numpy as np
    import soundfile

    pcm, rate = soundfile.read(CORPUS / row["audio_filepath"], dtype="float32")
    return np.concatenate([pcm, np.zeros(round(QUIET_S * rate), np.float32)])


def _auto(
    model: Checkpoint, test: list[dict[str, Any]], out: Path, ms: int, **options: Any
) -> dict[str, Any]:
    """Share of clips whose emitted tag is the stated one, the prompt being ``auto``."""
    found = _predict(model, test, out, lookahead_ms=ms, prompt_mode="auto", **options)
    stated = pd.Series({row["id"]: row["target_lang"] for row in test})
    detected = found.set_index("id")["detected_lang"].reindex(stated.index)
    right = detected == stated
    by_locale = right.groupby(stated).mean().round(4).to_dict()
    language = detected.str.split("-").str[0] == stated.str.split("-").str[0]
    return {
        "tags_right": round(float(right.mean()), 4),
        "language_right": round(float(language.mean()), 4),
        "tags_missing": round(float(detected.isna().mean()), 4),
        "by_locale": by_locale,
    }


def _wrong_tag(
    model: Checkpoint, test: list[dict[str, Any]], folder: Path, ms: int, frame: pd.DataFrame
) -> dict[str, Any]:
    """The same clips with the next locale's tag: how many transcripts or tags change, and the CER."""
    locales = sorted({row["target_lang"] for row in test})
    following = dict(zip(locales, locales[1:] + locales[:1], strict=True))
    wrong = [{**row, "target_lang": following[row["target_lang"]]} for row in test]
    found = _predict(model, wrong, folder / "wrong.parquet", lookahead_ms=ms).set_index("id")
    right = pd.read_parquet(folder / f"{ms}.parquet").set_index("id").reindex(found.index)
    scored = score_predictions(frame, {"starter": found.reset_index()}, by=("target_lang",))
    return {
        "texts_changed": round(float((found["hypothesis"] != right["hypothesis"]).mean()), 4),
        "tags_changed": round(float((found["detected_lang"] != right["detected_lang"]).mean()), 4),
        "cer": _rates(scored, "cer")[-1],
    }


def _streaming(model: Checkpoint, test: list[dict[str, Any]], folder: Path, ms: int) -> dict[str, Any]:
    """Share of clips whose streamed transcript and tag equal the offline ones of the same look-ahead."""
    some = test[:: max(1, len(test) // 200)]
    equal = {}
    for lookahead in (ms, min(model.info.lookaheads_ms)):
        name = f"streaming-{lookahead}.parquet"
        live = _predict(model, some, folder / name, lookahead_ms=lookahead, streaming=True).set_index("id")
        offline = pd.read_parquet(folder / f"{lookahead}.parquet").set_index("id").reindex(live.index)
        same = (live["hypothesis"] == offline["hypothesis"]) & (
            live["detected_lang"].fillna("") == offline["detected_lang"].fillna("")
        )
        equal[str(lookahead)] = {"clips": len(live), "equal": int(same.sum())}
    return equal


def _joined(model: Checkpoint, rows: list[dict[str, Any]], folder: Path, ms: int) -> dict[str, Any]:
    made = joined.rows(heard(rows), per_voice=30)
    by_id = {row["id"]: row for row in rows}

    def load(row: Mapping[str, Any]) -> Any:
        return joined.audio(dict(row), by_id, CORPUS)

    found = _predict(model, made, folder / "joined.parquet", lookahead_ms=ms, load=load)
    scored = score_predictions(pd.DataFrame(made), {"starter": found}, by=("target_lang",))
    return {"cer": _rates(scored, "cer"), "wer": _rates(scored, "wer")}


def write(figures: Mapping[str, Any], metrics: Path, evidence: Path) -> None:
    """Write the figures with the curve, the time and the device of each stage; ``metrics`` is the training's
    metrics.jsonl. Without it what the last measurement says of the training stays."""
    if metrics.is_file():
        training = {"curves": curves(metrics), "minutes": minutes(metrics), "devices": devices(metrics)}
        calibrated = metrics.with_name("calibration.json")
        if calibrated.is_file():
            training["calibration"] = json.loads(calibrated.read_text("utf-8"))
    else:
        held = json.loads(evidence.read_text("utf-8"))
        training = {
            name: held[name]
            for name in ("curves", "minutes", "devices", "core_hours", "calibration")
            if name in held
        }
    evidence.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**figures, **training}, ensure_ascii=False, indent=1)
    evidence.write_text(text + "\n", encoding="utf-8")


def _points(metrics: Path) -> list[dict[str, Any]]:
    """Lines of a training in order; a step that was done again after a kill counts once, as done last."""
    points = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
    last = {(point["stage"], point["step"], "cer" in point): point for point in points}
    return list(last.values())


def curves(metrics: Path) -> dict[str, list[dict[str, Any]]]:
    """Error rates on validation clips by stage and step."""
    found: dict[str, list[dict[str, Any]]] = {}
    for point in _points(metrics):
        if "cer" in point:
            kept = {key: point[key] for key in CURVE if key in point}
            found.setdefault(point["stage"], []).append(kept)
    return found


def devices(metrics: Path) -> dict[str, str]:
    """What each stage was trained on."""
    return {point["stage"]: point.get("device", "one CPU core") for point in _points(metrics)}


def core_hours(folder: Path, steps: int = 4) -> dict[str, float]:
    """Hours of one core that each stage of the recipe takes from nothing: ``steps`` of its steps, timed here
    in processor seconds, times all of them. ``folder`` holds features and alignment, or gets them."""
    import tempfile

    import torch

    from tooling.starter.checkpoint import load_recipe, prepare
    from tooling.starter.training import train_stage

    torch.set_num_threads(1)
    recipe = load_recipe()
    learner, material = prepare(folder, recipe, folder / "packages")
    found = {}
    for number, stage in enumerate(recipe["stages"]):
        whole = stage.get("until", stage["steps"])
        stage["until"] = steps
        with tempfile.TemporaryDirectory() as scratch:
            begin = time.process_time()
            train_stage(learner, material, number, Path(scratch), lambda _learner, _material: {})
            found[stage["name"]] = round((time.process_time() - begin) / steps * whole / 3600, 2)
    return found


def minutes(metrics: Path) -> dict[str, float]:
    """Minutes of training by stage, validation left out."""
    found: dict[str, float] = {}
    before: dict[str, int] = {}
    for point in _points(metrics):
        if "step_s" in point:
            stage, step = point["stage"], point["step"]
            found[stage] = found.get(stage, 0.0) + point["step_s"] * (step - before.get(stage, 0)) / 60
            before[stage] = step
    return {stage: round(spent, 1) for stage, spent in found.items()}
