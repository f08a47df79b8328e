"""The demonstration: one real variant, stopped and gone on with; its figures counted anew by hand."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tooling.starter import adaptation
from workbench.errors import WorkbenchError
from workbench.finetuning import Run, start

VARIANT = {"locale": "el-GR", "trains": "adapter", "replay": True}


def cell(before, after, low=-0.1, high=0.1):
    return {"rate_a": before, "rate_b": after, "difference": after - before, "low": low, "high": high}


RUN = {
    **VARIANT,
    "minutes": 7.6,
    "processor_minutes": 6.1,
    "wer": {"el-GR": cell(0.9, 0.6, -0.35, -0.25), "it-IT": cell(0.5, 0.53), "ru-RU": cell(0.4, 0.41)},
    "cer": {"el-GR": cell(0.5, 0.3)},
}


def test_figures_of_a_run():
    assert adaptation.relative(RUN) == pytest.approx(-1 / 3)
    assert adaptation.forgotten(RUN) == pytest.approx(0.02)
    line = adaptation.table([RUN]).splitlines()[2]
    assert line == (
        "| el-GR | adapter | yes | 8 (6) | 90 → 60 % (-30: -35 to -25) | -33 % | 50 → 30 % | +2.0 points |"
    )
    head, _, row = adaptation.matrix([RUN]).splitlines()
    assert head == "| run | el-GR | it-IT | ru-RU |"
    assert row == "| el-GR-adapter-replay | -30.0* | +3.0 | +1.0 |"


def test_variants_are_chosen_by_locale_or_name():
    assert len(adaptation.variants()) == 12  # two locales, three ways to train, with replay and without
    assert {v["locale"] for v in adaptation.variants(["el-GR"])} == {"el-GR"}
    assert adaptation.variants(["el-GR-adapter-replay"]) == [VARIANT]
    with pytest.raises(WorkbenchError, match="el-GR-full-alone"):
        adaptation.variants(["el"])


def test_every_target_clip_and_a_spread_of_the_others_is_measured(tmp_path, monkeypatch):
    """But for one whose recording is trained on under another sentence."""
    rows = [
        {"id": f"{tag}{i}", "target_lang": tag, "split": "test" if i % 2 else "train"}
        for tag in ("el-GR", "it-IT")
        for i in range(42)
    ]
    for row in rows:
        row["audio_filepath"] = row["id"]
        (tmp_path / row["id"]).write_text("el-GR0" if row["id"] == "el-GR41" else row["id"], "utf-8")
    monkeypatch.setattr(adaptation, "CORPUS", tmp_path)
    found = pd.DataFrame(adaptation.unheard(rows, "el-GR", 5))
    assert (found["split"] == "test").all()
    assert found["target_lang"].value_counts().to_dict() == {"el-GR": 20, "it-IT": 5}
    assert found[found["target_lang"] == "it-IT"]["id"].tolist() == [
        "it-IT1",
        "it-IT9",
        "it-IT17",
        "it-IT25",
        "it-IT33",
    ]


@pytest.fixture
def place(base, corpus, tmp_path, monkeypatch):
    """The demonstration on the tiny base, with test sentences in the tiny corpus."""
    rows = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    for row in rows:
        row["split"] = "test" if row["id"].endswith(("14", "15")) else row["split"]
    manifest = corpus.with_name("demonstration.jsonl")
    manifest.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    for name, value in (("CHECKPOINT", base), ("MANIFEST", manifest), ("CORPUS", corpus.parent)):
        monkeypatch.setattr(adaptation, name, value)
    return tmp_path / "folder"


@pytest.mark.model
@pytest.mark.timeout(1500)
def test_a_stopped_variant_goes_on_and_its_figures_are_right(place, tmp_path, base):
    from workbench.finetuning.validation import Tally

    changes = {"steps": 3, "batch_s": 12.0}
    name = adaptation.name_of(VARIANT)
    stopped = start(adaptation.recipe_of(VARIANT, changes), place / "runs" / name)
    stopped.cancel()
    assert stopped.wait(600)["status"] == "cancelled", stopped.log_tail()
    assert stopped.state["step"] < 3

    target = tmp_path / "evidence.json"
    (found,) = adaptation.demonstrate(place, target, [VARIANT], changes)
    run = Run.attach(place / "runs" / name)
    assert run.state["attempts"] == 2
    assert list(run.metrics("train")["step"]) == [1, 2, 3]
    assert run.state["busy_s"] > run.metrics("train")["step_s"].sum()
    assert found["steps"] == 3
    assert set(found["wer"]) == {"el-GR", "en-US", "it-IT"}

    rows = adaptation.unheard(adaptation.read_rows(adaptation.MANIFEST), "el-GR", adaptation.OTHERS_EACH)
    for side, glob in (("rate_a", "base-*.parquet"), ("rate_b", f"{name}-*.parquet")):
        (path,) = place.glob(glob)
        heard = pd.read_parquet(path).set_index("id")["hypothesis"]
        tally = Tally()
        for row in rows:
            if row["target_lang"] == "el-GR":
                tally.add(row["text"], heard[row["id"]], None, "el-GR")
        assert found["wer"]["el-GR"][side] == pytest.approx(tally.rates()["wer"], abs=1e-3)

    held = json.loads(target.read_text("utf-8"))
    assert held["runs"] == [found]
    again = adaptation.demonstrate(place, target, [VARIANT], changes)  # nothing is run twice
    assert again == [found]
    assert Run.attach(place / "runs" / name).state["attempts"] == 2
    with pytest.raises(WorkbenchError, match="another base"):
        _with_other_base(place, target)


def _with_other_base(place, target):
    path = place / f"{adaptation.name_of(VARIANT)}.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "base_sha256": "0"}))
    adaptation.demonstrate(place, target, [VARIANT], {})


@pytest.mark.soak
@pytest.mark.model
@pytest.mark.timeout(4 * 3600)
def test_the_demonstration():
    """All eight variants on the starter; goes on where an earlier call was stopped. Writes the evidence."""
    from pathlib import Path

    root = Path(__file__).parents[2]
    target = root / "docs" / "evidence" / "adaptation.json"
    runs = adaptation.demonstrate(root / "build" / "adaptation", target)
    assert len(runs) == 8
    for run in runs:
        mine = run["wer"][run["locale"]]
        assert mine["high"] < 0, f"{adaptation.name_of(run)} did not help"
    for locale in ("el-GR", "bg-BG"):
        for trains in ("full", "adapter"):
            kept, lost = (
                adaptation.forgotten(r)
                for replay in (True, False)
                for r in runs
                if (r["locale"], r["trains"], r["replay"]) == (locale, trains, replay)
            )
            assert kept < lost, f"replay did not help {locale} {trains}"
