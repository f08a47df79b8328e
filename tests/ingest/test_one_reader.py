"""Every part of the workbench hears the same samples of a row, or says the same of what cannot be heard."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import threading
from pathlib import Path
from typing import Any

import datasets
import lhotse
import numpy as np
import pytest
import soundfile
from sound_codecs import CODECS, MONO, encode, ffmpeg_frames, speech

from workbench.corpus.importing import import_source
from workbench.corpus.quality import measure_rows, measures, signal, sound_checks
from workbench.corpus.quality.checks import run_checks
from workbench.corpus.quality.rules import RULES
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.finetuning.recipe import Source
from workbench.finetuning.rows import read_source
from workbench.finetuning.sounds import read_audio
from workbench.ingest import audio
from workbench.ingest.audio import containers
from workbench.recognizer.audio import Resampler

SECONDS = 2.6


def corpus_of(folder: Path, rows: list[dict[str, Any]], roots: list[Path]) -> Corpus:
    lines = [json.dumps({"text": "one", "target_lang": "en-US", **row}) for row in rows]
    manifest = roots[0] / "manifest.jsonl"
    manifest.write_text("\n".join(lines) + "\n")
    return import_source(manifest, folder / "corpora" / "c", name="c", audio_roots=roots)


@pytest.mark.parametrize("name", list(CODECS))
def test_a_codec_gives_what_ffmpeg_gives_and_seeking_changes_nothing(name: str, tmp_path: Path) -> None:
    channels = 1 if name in MONO else 2
    path = encode(tmp_path, name, SECONDS, 16_000, channels)
    facts = audio.probe(path)
    samples, rate = audio.read(path)
    assert (len(samples), samples.shape[1], rate) == (facts.frames, facts.channels, facts.sample_rate)
    assert abs(facts.duration_s - ffmpeg_frames(path, rate) / rate) < 0.02
    assert facts.duration_s > SECONDS - 0.08
    for offset_s, duration_s in ((0.0, 0.5), (0.7, 1.0), (1.31, None), (SECONDS - 0.3, 0.1)):
        part, _ = audio.read(path, offset_s, duration_s)
        start = round(offset_s * rate)
        assert len(part) >= (0 if duration_s is None else round(duration_s * rate))
        np.testing.assert_array_equal(part, samples[start : start + len(part)])


@pytest.mark.parametrize("name", ["x.mp3", "x.opus", "x.m4a", "vorbis.ogg", "chained.opus"])
def test_a_long_file_is_decoded_once_and_heard_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.ingest.audio import reading

    monkeypatch.setattr(reading, "_SPILL_AFTER_S", 0.5)
    monkeypatch.setattr(reading, "BLOCK", 7_001)
    path = encode(tmp_path, name, SECONDS, 16_000, 1)
    whole, rate = audio.read(path)
    for _ in range(3):
        part, _ = audio.read(path, 1.2, 0.7)
        np.testing.assert_array_equal(part, whole[round(1.2 * rate) :][: len(part)])
    assert any(key[0] == str(path) for key in reading._spills)


def _trained_on(corpus: Corpus, folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """What a run hears of each row of an export."""
    made = corpus.export(folder / "nemo", only="not_rejected")
    source = Source(str(made.manifest("unassigned")), audio_root=corpus.audio_roots)
    problems: list[Any] = []
    rows = read_source(source, ["en-US"], problems, (0.0, 100.0))
    assert not problems
    return {row.id: read_audio(row) for row in rows}


def _live(raw: np.ndarray[Any, Any], rate: int) -> np.ndarray[Any, Any]:
    """What a live session hears when it is fed in pieces."""
    resampler = Resampler(16_000)
    parts = [resampler.push(raw[at : at + 1_777], rate) for at in range(0, len(raw), 1_777)]
    return np.concatenate([*parts, resampler.flush()])


def _of_shar(folder: Path) -> dict[str, tuple[np.ndarray[Any, Any], int]]:
    """What Lhotse loads of each cut."""
    cuts = lhotse.CutSet.from_shar(in_dir=folder)
    return {cut.id: (cut.load_audio()[0], cut.sampling_rate) for cut in cuts}


def _of_hugging_face(folder: Path) -> dict[str, tuple[np.ndarray[Any, Any], int]]:
    """What ``datasets`` hands out of each row, decoded."""
    found = {}
    for part in datasets.load_from_disk(str(folder / "dataset")).values():
        for row in part:
            path = folder / row["audio"]["path"]
            path.write_bytes(row["audio"]["bytes"])
            found[row["id"]] = audio.read_row(
                {"audio_filepath": path.name, "duration": row["duration"]}, [str(folder)]
            )
    return found


def _of_tar(folder: Path, id: str) -> tuple[np.ndarray[Any, Any], int]:
    for manifest in folder.rglob("manifest_*.json"):
        for line in manifest.read_text().splitlines():
            row = json.loads(line)
            if row["id"] == id:
                archive = manifest.with_name(manifest.name.replace("manifest", "audio")).with_suffix(".tar")
                with tarfile.open(archive) as opened:
                    data = opened.extractfile(row["audio_filepath"])
                    assert data is not None
                    target = folder / row["audio_filepath"]
                    target.write_bytes(data.read())
                return audio.read_row(
                    {"audio_filepath": str(target), "duration": row["duration"]}, [str(folder)]
                )
    raise AssertionError(id)


@pytest.mark.parametrize(
    ("name", "rate"),
    [("pcm16.wav", 16_000), ("pcm16.wav", 8_000), ("x.flac", 44_100), ("x.mp3", 22_050), ("x.opus", 48_000),
     ("vbr.mp3", 16_000), ("chained.ogg", 16_000), ("x.m4a", 44_100), ("streamed.wav", 16_000)],
)  # fmt: skip
def test_every_part_hears_the_same(name: str, rate: int, tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    encode(near, name, SECONDS, rate, 2)
    encode(far, name, SECONDS, rate, 2, seed=5)
    rows: list[dict[str, Any]] = []
    for root, prefix in ((near, ""), (far, f"{far}/")):
        for channel in (None, 0, 1):
            for offset, duration in ((0.0, round(audio.probe(root / name).duration_s, 4)), (0.83, 0.9)):
                row = {"audio_filepath": f"{prefix}{name}", "offset": offset, "duration": duration}
                row |= {} if channel is None else {"channel_selector": channel}
                rows.append({"id": f"{root.name}-{channel}-{offset}", **row})
    corpus = corpus_of(tmp_path, rows, [near, far])
    assert len(corpus) == len(rows)
    assert not corpus.problems
    scanned = signal.scan(corpus).set_index("id")
    assert scanned["error"].isna().all()
    made = corpus.export(tmp_path / "tarred", "tarred", only="not_rejected")
    shar = _of_shar(corpus.export(tmp_path / "shar", "shar", only="not_rejected").manifest("unassigned"))
    hub = _of_hugging_face(corpus.export(tmp_path / "hf", "hf", only="not_rejected").path)
    trained_on = _trained_on(corpus, tmp_path)
    reader = pickle.loads(pickle.dumps(audio.RowReader(corpus.audio_roots, 16_000)))
    heard = {}
    for row in rows:
        whole, own_rate = audio.read(Path(far if row["id"].startswith("far") else near) / name)
        start = round(row["offset"] * own_rate)
        part = whole[start:] if not row["offset"] else whole[start : start + round(0.9 * own_rate)]
        channel = row.get("channel_selector")
        mono = part.mean(axis=1, dtype=np.float32) if channel is None else part[:, channel]
        raw, raw_rate = audio.read_row(corpus.row(row["id"]), corpus.audio_roots)
        assert raw_rate == own_rate
        np.testing.assert_array_equal(raw, mono)
        played = corpus.audio(row["id"], 16_000)
        np.testing.assert_array_equal(reader(corpus.row(row["id"])), played)
        np.testing.assert_array_equal(np.concatenate(list(reader.blocks(corpus.row(row["id"])))), played)
        np.testing.assert_array_equal(trained_on[row["id"]], played)
        measured = measures.measure(mono[:, None], own_rate)
        if channel is not None or not row["offset"]:
            assert scanned.loc[row["id"], "rms_dbfs"] == pytest.approx(measured["rms_dbfs"], abs=1e-6)
        np.testing.assert_array_equal(_live(raw, own_rate), played)
        for packed, packed_rate in (_of_tar(made.path, row["id"]), shar[row["id"]], hub[row["id"]]):
            assert packed_rate == own_rate
            np.testing.assert_allclose(packed, mono, atol=1 / 32_000)  # 16-bit FLAC
        heard[row["id"]] = raw
    assert not np.array_equal(heard["near-0-0.0"], heard["near-1-0.0"])
    assert not np.array_equal(heard["near-0-0.0"], heard["far-0-0.0"])


def test_two_speakers_of_a_call_are_no_duplicates(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "call.wav", speech(2.0, 8_000, 2), 8_000)
    row = {"audio_filepath": "call.wav", "duration": 2.0}
    rows = [{**row, "channel_selector": c, "text": f"number {c}"} for c in (0, 1, 1)]
    corpus = corpus_of(tmp_path / "c", [{"id": f"{n}", **row} for n, row in enumerate(rows)], [tmp_path])
    assert len(corpus) == 3
    findings = run_checks(corpus)
    again = findings[findings["rule"] == "duplicate_audio"]
    assert again["id"].tolist() == ["2"]


@pytest.mark.parametrize(
    ("value", "meant"),
    [(None, None), ("", None), (float("nan"), None), (1, (1,)), (1.0, (1,)), ("0", (0,)), ("average", None),
     ([0, 1], (0, 1)), ("[1]", (1,)), (np.int64(2), (2,))],
)  # fmt: skip
def test_what_a_channel_means(value: Any, meant: Any) -> None:
    assert audio.channel_of({"channel": value}) == meant
    assert audio.channel_of({"channel_selector": value}) == meant


@pytest.mark.parametrize("value", [-1, 1.5, "left", True, [0, "x"], []])
def test_what_no_channel_means(value: Any) -> None:
    with pytest.raises(WorkbenchError, match="channel"):
        audio.channel_of({"channel": value})


def _spoilt(samples: Any, kind: str) -> Any:
    if kind == "nan":
        samples[1_000] = np.nan
    elif kind == "infinite":
        samples[50] = -np.inf
    elif kind == "unscaled":
        samples *= 32_768
    return samples


@pytest.mark.parametrize(
    "kind", ["nan", "infinite", "unscaled", "none", "empty", "pipe", "folder", "text", "past"]
)
def test_what_cannot_be_heard_is_said_alike(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    row = {"id": "a", "audio_filepath": "a.wav", "offset": 0.0, "duration": 1.0}
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind in ("empty", "text"):
        path.write_bytes(b"" if kind == "empty" else b"no sound at all " * 400)
    elif kind != "none":
        soundfile.write(path, _spoilt(speech(1.0, 16_000, 1), kind), 16_000, subtype="FLOAT")
    row["offset"] = 1.5 if kind == "past" else 0.0
    corpus = corpus_of(tmp_path / "c", [row], [tmp_path])
    said = []
    utterance = read_source(Source(str(tmp_path / "manifest.jsonl")), ["en-US"], [], (0.0, 100.0))[0]
    for hear in (
        lambda: corpus.audio("a"),
        lambda: audio.RowReader(corpus.audio_roots, 16_000)(corpus.row("a")),
        lambda: list(audio.RowReader(corpus.audio_roots, 16_000).blocks(corpus.row("a"))),
        lambda: read_audio(utterance),
    ):
        result: list[Any] = []
        thread = threading.Thread(target=_into, args=(result, hear), daemon=True)
        thread.start()
        thread.join(30)
        assert result, "it waits for ever"
        assert isinstance(result[0], WorkbenchError), result[0]
        said.append(result[0].what)
    found = signal.scan(corpus)
    said.append(found["error"][0])
    assert said[0]
    assert len(set(said)) == 1, said


def _into(result: list[Any], hear: Any) -> None:
    try:
        result.append(hear())
    except Exception as error:
        result.append(error)


def test_a_play_list_is_no_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "secret.wav", speech(0.5, 16_000, 1), 16_000)
    for name, text in (
        ("a.m3u8", "#EXTM3U\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n"),
        ("a.mp4", f"ffconcat version 1.0\nfile {tmp_path}/secret.wav\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(WorkbenchError, match="no audio that can be read"):
            audio.read(tmp_path / name)


def test_the_header_is_not_believed(tmp_path: Path) -> None:
    whole = encode(tmp_path, "x.flac", SECONDS, 16_000, 1)
    rows = []
    for name, facts in (
        ("vbr.mp3", False),
        ("joined.mp3", True),
        ("chained.ogg", True),
        ("streamed.wav", True),
    ):
        path = encode(tmp_path, name, SECONDS, 16_000, 1)
        found = audio.probe(path)
        assert found.duration_s == pytest.approx(SECONDS, abs=0.2)
        if facts:
            assert found.stated_s is not None
            assert abs(found.stated_s - found.duration_s) > 0.5
        rows.append({"id": name, "audio_filepath": name, "duration": None})
    corpus = corpus_of(tmp_path / "c", [*rows, {"id": "x", "audio_filepath": whole.name}], [tmp_path])
    signal.scan(corpus)
    for row in rows:
        assert corpus.row(row["id"])["duration"] == pytest.approx(SECONDS, abs=0.2)


def test_a_recording_of_hours_is_measured_as_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.wav", speech(9.0, 16_000, 2), 16_000, subtype="FLOAT")
    task = ("a", str(tmp_path / "a.wav"), 0.0, None, None, None, None)
    short = measure_rows.measure_rows([task])[0]
    monkeypatch.setattr(measure_rows, "LONG_S", 2.0)
    from workbench.ingest.audio import reading

    monkeypatch.setattr(reading, "BLOCK", 12_345)
    long = measure_rows.measure_rows([task])[0]
    for name, value in short.items():
        if name == "fingerprint":
            one, two = measures.read_fingerprint(value), measures.read_fingerprint(long[name])
            assert float(one @ two) > 0.985
        else:
            assert long[name] == (
                pytest.approx(value, rel=1e-3, abs=1e-6) if isinstance(value, float) else value
            ), name


def test_a_tone_is_no_clipping_and_cut_tops_are(tmp_path: Path) -> None:
    time = np.arange(48_000) / 16_000
    for level_db in (-12, -3, -0.05):
        for hertz in (60, 440, 1_000):
            tone = (10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
            assert measures.measure(tone[:, None], 16_000)["clipping_ratio"] == 0.0
    voice = speech(3.0, 16_000, 1)
    for gain, limit in ((8.0, 0.999), (8.0, 0.3)):
        cut = np.clip(gain * voice, -1, 1) * np.float32(limit)
        assert measures.measure(cut, 16_000)["clipping_ratio"] > 0.02


def test_opposite_channels_are_explained(tmp_path: Path) -> None:
    one = speech(1.0, 16_000, 1)
    data = io.BytesIO()
    soundfile.write(data, np.concatenate([one, -one], axis=1), 16_000, format="WAV", subtype="FLOAT")
    (tmp_path / "a.wav").write_bytes(data.getvalue())
    corpus = corpus_of(tmp_path / "c", [{"id": "a", "audio_filepath": "a.wav", "duration": 1.0}], [tmp_path])
    signal.scan(corpus)
    hits = list(sound_checks.hits(corpus, corpus.page(0, 10), RULES))
    assert any(rule == "audio_empty" and "opposite phase" in str(value) for _, rule, value in hits)


@pytest.mark.parametrize("name", ["channel", "channel_selector"])
def test_a_list_of_channels_survives_the_import(name: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "four.wav", speech(1.0, 16_000, 4), 16_000, subtype="FLOAT")
    said: list[Any] = [[0, 2], 3, "average", "telephone"]
    rows = [
        {"id": f"{n}", "audio_filepath": "four.wav", "duration": 1.0, name: s} for n, s in enumerate(said)
    ]
    if name == "channel_selector":
        rows.pop()
    corpus = corpus_of(tmp_path / "c", rows, [tmp_path])
    samples, _ = audio.read(tmp_path / "four.wav")
    everything = samples.mean(axis=1, dtype=np.float32)
    meant = [samples[:, [0, 2]].mean(axis=1, dtype=np.float32), samples[:, 3], everything, everything]
    for row, expected in zip(rows, meant, strict=False):
        np.testing.assert_array_equal(corpus.audio(row["id"], 16_000), expected)


def _frames_of(data: bytes) -> list[int]:
    """Where the frames of an MP3 begin."""
    at, found = containers.id3_bytes(data[:10]), list[int]()
    while (frame := containers._frame(data, at)) is not None:
        found.append(at)
        at += frame[0]
    return found


@pytest.mark.parametrize(("odd", "refused"), [(1, False), (6, True)])
def test_a_damaged_frame_of_another_rate_is_passed_over_and_a_change_is_said(
    odd: int, refused: bool, tmp_path: Path
) -> None:
    one = encode(tmp_path / "one", "vbr.mp3", SECONDS, 16_000, 1).read_bytes()
    other = encode(tmp_path / "other", "x.mp3", SECONDS, 24_000, 1).read_bytes()
    starts, cut = _frames_of(other), _frames_of(one)[20]
    frames = other[starts[3] : starts[3 + odd]]
    path = tmp_path / "a.mp3"
    path.write_bytes(one[:cut] + frames + one[cut:])
    if refused:
        with pytest.raises(WorkbenchError, match="changes within the file"):
            audio.read(path)
    else:
        samples, rate = audio.read(path)
        assert rate == 16_000
        assert len(samples) / rate == pytest.approx(SECONDS, abs=0.25)
