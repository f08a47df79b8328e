"""Exports: the same bytes twice, whole or not at all, and readable by the loaders that they are for."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from workbench.corpus.export import export as exporting
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.workspace.ledger import Ledger

FORMATS = exporting.FORMATS


def split_and_accept(corpus: Corpus) -> Corpus:
    corpus.split(seed=3, speakers="shared", reviewer="ann")
    corpus.accept(reviewer="ann")
    first = corpus.ids()[0]
    corpus.decisions.reject(first, "cut off", reviewer="ann")
    corpus.decisions.edit(corpus.ids()[1], "text", "A | fixed <b>line</b>.", reviewer="ann")
    return corpus


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_source_and_decisions_give_the_same_bytes(real: Corpus, tmp_path: Path, format: str) -> None:
    corpus = split_and_accept(real)
    one = corpus.export(tmp_path / "one" / "x", format)
    # Paths in a manifest are absolute, so the twin is written to the same place.
    first = {p.relative_to(one.path): p.read_bytes() for p in one.path.rglob("*") if p.is_file()}
    two = Corpus.open(corpus.folder).export(tmp_path / "one" / "x", format, replace=True)
    assert one.digest == two.digest
    assert first == {p.relative_to(two.path): p.read_bytes() for p in two.path.rglob("*") if p.is_file()}
    assert one.counts["utterances"] == len(corpus) - 1
    assert not list((tmp_path / "one").glob(".*"))


def test_the_manifest_says_what_was_decided(real: Corpus, tmp_path: Path) -> None:
    corpus = split_and_accept(real)
    made = corpus.export(tmp_path / "x", "nemo")
    rows = [
        json.loads(line) for name in made.files.values() for line in (made.path / name).open(encoding="utf-8")
    ]
    by_id = {row["id"]: row for row in rows}
    ids = corpus.ids()
    assert ids[0] not in by_id
    assert by_id[ids[1]]["text"] == f"A | fixed <b>line</b>. <{by_id[ids[1]]['target_lang']}>"
    for row in rows:
        assert row["text"].endswith(f" <{row['target_lang']}>")
        assert row["lang"] == row["target_lang"]
        assert row["prompt_mode"] == "langID"
        assert Path(row["audio_filepath"]).is_file()
        assert row["source_package"]
        assert "status" not in row
    left = [json.loads(line) for line in (made.path / "left_out.jsonl").open()]
    assert left == [{"id": ids[0], "why": "rejected", "detail": "cut off"}]
    plain = corpus.export(tmp_path / "y", "nemo", append_tag=False, relative_paths=True)
    row = json.loads(plain.manifest("train").open(encoding="utf-8").readline())
    assert "<" not in row["text"] or "fixed" in row["text"]
    assert (plain.path / row["audio_filepath"]).is_file()


def test_the_card_counts_and_the_ledger_anchors(real: Corpus, tmp_path: Path) -> None:
    corpus = split_and_accept(real)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    made = exporting.export(corpus, tmp_path / "x", ledger=ledger)
    card = json.loads((made.path / "data_card.json").read_text(encoding="utf-8"))
    assert card["utterances"] == sum(row["utterances"] for row in card["by_locale"].values())
    assert card["rejected_because"] == {"cut off": 1}
    assert set(card["licenses"]) == {"GPL-2", "CC-BY-SA-3.0", "CC-BY-3.0"}
    assert card["split_policy"]["speakers"] == "shared"
    text = (made.path / "data_card.md").read_text(encoding="utf-8")
    assert "Speakers are shared" in text
    event = ledger.latest("corpus.export")
    assert event is not None
    assert event.payload is not None
    assert event.payload["digest"] == made.digest
    assert event.payload["decisions"] == card["decisions"]["digest"]


def test_nothing_is_written_where_nothing_is_fit(real: Corpus, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="not_rejected"):
        real.export(tmp_path / "x")
    assert not (tmp_path / "x").exists()
    (tmp_path / "y").mkdir()
    (tmp_path / "y" / "thesis.txt").write_text("keep me")
    with pytest.raises(WorkbenchError, match="taken"):
        real.export(tmp_path / "y", only="not_rejected")
    made = real.export(tmp_path / "z", only="not_rejected")
    with pytest.raises(WorkbenchError, match="replace=True"):
        real.export(made.path, only="not_rejected")


def test_a_failed_export_leaves_the_old_one(real: Corpus, tmp_path: Path) -> None:
    made = real.export(tmp_path / "x", "tarred", only="not_rejected")
    real.audio_path(real.ids()[3]).rename(tmp_path / "moved.ogg")
    with pytest.raises(WorkbenchError, match="missing"):
        real.export(tmp_path / "x", "tarred", only="not_rejected", replace=True)
    assert exporting.folder_digest(made.path) == made.digest
    (tmp_path / "moved.ogg").rename(real.audio_path(real.ids()[3]))
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_spreadsheet_runs_no_formula(make: Any, tmp_path: Path) -> None:
    evil = ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\tx", "Fine."]
    corpus = make([{"text": text, "speaker": text} for text in evil])
    made = corpus.export(tmp_path / "x", "csv", only="not_rejected", append_tag=False)
    with (made.path / "utterances.csv").open(encoding="utf-8-sig", newline="") as stream:
        cells = [cell for row in csv.DictReader(stream) for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))]


def test_lhotse_reads_a_decoded_batch_from_shar(real: Corpus, tmp_path: Path) -> None:
    import lhotse

    made = split_and_accept(real).export(tmp_path / "x", "shar", shard_size=10)
    cuts = list(lhotse.CutSet.from_shar(in_dir=made.manifest("train")))
    rows = {row["id"]: row for row in real.page(0, 1000)}
    assert len(cuts) == made.counts["split_train"]
    for cut in cuts[:8]:
        sound = cut.load_audio()
        assert sound.shape == (1, cut.num_samples)
        assert abs(sound).max() > 0.01
        assert abs(cut.duration - rows[cut.id]["duration"]) < 0.02
        assert cut.supervisions[0].language == rows[cut.id]["target_lang"]


def test_datasets_loads_what_was_saved(real: Corpus, tmp_path: Path) -> None:
    import io

    import datasets
    import soundfile

    made = split_and_accept(real).export(tmp_path / "x", "hf")
    loaded = datasets.load_from_disk(str(made.path / "dataset"))
    assert sum(len(part) for part in loaded.values()) == made.counts["utterances"]
    row = loaded["train"][0]
    samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    assert rate == 16_000
    assert abs(len(samples) / rate - row["duration"]) < 0.02


def test_a_part_of_a_recording_leaves_as_that_part(make: Any, tmp_path: Path) -> None:
    import tarfile

    import numpy as np
    import soundfile

    tone = np.sin(np.arange(48_000) * 2 * np.pi * 440 / 16_000) * np.repeat([0.1, 0.5, 0.2], 16_000)
    corpus = make([{"audio_filepath": "a.wav", "offset": float(i), "id": f"p{i}"} for i in range(3)])
    soundfile.write(corpus.audio_root / "a.wav", tone, 16_000)
    made = corpus.export(tmp_path / "x", "tarred", only="not_rejected")
    with tarfile.open(made.path / "unassigned" / "audio_0.tar") as archive:
        for line in (made.path / "unassigned" / "manifest_0.json").open():
            row = json.loads(line)
            samples, _ = soundfile.read(archive.extractfile(row["audio_filepath"]))
            assert len(samples) == 16_000
            wanted = {"p0": 0.1, "p1": 0.5, "p2": 0.2}[row["id"]]
            assert abs(np.abs(samples).max() - wanted) < 0.01
    assert corpus.audio("p1").shape == (16_000,)
    assert abs(np.abs(corpus.audio("p1")).max() - 0.5) < 0.01


def test_a_transcript_that_ends_in_another_tag_stays_behind(make: Any, tmp_path: Path) -> None:
    texts = ["Hello. <el-GR>", "Hello. <en-US>", "Hello. <el-GR> Good day. <en-US>", "Hi. <es-419>", "Plain."]
    corpus = make([{"id": f"{n}", "text": text} for n, text in enumerate(texts)])
    for append_tag in (True, False):
        made = corpus.export(tmp_path / f"{append_tag}", only="not_rejected", append_tag=append_tag)
        left = [json.loads(line) for line in (made.path / "left_out.jsonl").open()]
        assert [(row["id"], row["why"]) for row in left] == [
            ("0", "transcript ends in another tag"),
            ("3", "transcript ends in another tag"),
        ]
        assert left[0]["detail"] == "<el-GR>, the row says en-US"
        assert made.counts["utterances"] == 3


@pytest.mark.parametrize(("given", "written"), [(1, 1), ([0, 1], [0, 1]), ("average", None), (None, None)])
def test_a_manifest_names_the_channel_as_nemo_does(
    make: Any, tmp_path: Path, given: Any, written: Any
) -> None:
    corpus = make([{"channel": given}])
    made = corpus.export(tmp_path / "x", only="not_rejected")
    row = json.loads(made.manifest("unassigned").read_text())
    assert "channel" not in row
    assert row.get("channel_selector") == written
