"""The starter corpus in data/: what stands in it, and that its splits keep sentences apart."""

import hashlib
import json

import numpy as np
import pytest
import soundfile

from tooling.starter.checkpoint import heard, validation_sample
from tooling.starter.recordings import (
    SCARCE_LOCALES,
    UNHEARD_LOCALES,
    encode_opus,
    heard_by_starter,
    sentence_key,
    split_of,
)
from workbench.starter_files import CORPUS, MANIFEST


@pytest.fixture(scope="module")
def rows():
    return [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]


def test_every_row_has_its_fields_and_an_id_of_its_own(rows):
    needed = {
        "id", "audio_filepath", "duration", "text", "target_lang", "lang", "license", "domain", "split",
        "source_package", "source_version", "source_path", "source_sha256", "speaker", "accent",
    }  # fmt: skip
    assert all(needed <= row.keys() for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["target_lang"] for row in rows} >= {
        "en-US", "es-US", "es-ES", "fr-CA", "fr-FR", "it-IT", "ru-RU", "el-GR", "bg-BG",
    }  # fmt: skip
    assert len({row["speaker"] for row in rows if row["target_lang"] == "ru-RU"}) == 2


def test_audio_is_there_and_as_long_as_stated(rows):
    for row in rows[:: len(rows) // 150]:
        info = soundfile.info(CORPUS / row["audio_filepath"])
        assert (info.samplerate, info.channels) == (16000, 1)
        assert info.duration == pytest.approx(row["duration"], abs=0.002)


def test_repository_holds_at_most_60_mb_of_audio():
    assert sum(p.stat().st_size for p in CORPUS.rglob("*") if p.is_file()) <= 60e6


def test_a_sentence_is_in_one_split_only_and_voices_have_their_shares(rows):
    splits = {}
    for row in rows:
        splits.setdefault(sentence_key(row["text"]), set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    for voice in {row["source"] for row in rows}:
        own = [row["split"] for row in rows if row["source"] == voice]
        assert own.count("test") >= 0.2 * len(own), voice
        assert own.count("validation") >= 0.1 * len(own), voice


def sound(row):
    return hashlib.sha256((CORPUS / row["audio_filepath"]).read_bytes()).hexdigest()


def test_splits_can_be_drawn_again(rows):
    sounds = {row["id"]: sound(row) for row in rows}
    held_out = {row["source_sha256"] for row in rows if row["split"] != "train"}
    held_out |= {sounds[row["id"]] for row in rows if row["split"] != "train"}
    for row in rows:
        assert row["split"] == split_of(row["text"])
        drawn = heard_by_starter(row["target_lang"], row["text"], row["split"])
        known = {row["source_sha256"], sounds[row["id"]]} & held_out
        assert row["heard_by_starter"] == (drawn and not known)


def test_the_starter_hears_train_sentences_only_and_a_tenth_of_the_scarce_locales(rows):
    own = heard(rows)
    held_out = {sentence_key(row["text"]) for row in rows if row["split"] != "train"}
    assert not held_out & {sentence_key(row["text"]) for row in own}
    apart = [row for row in rows if row["split"] != "train"]
    assert not {row["source_sha256"] for row in apart} & {row["source_sha256"] for row in own}
    assert not {sound(row) for row in apart} & {sound(row) for row in own}, "the same sound in another file"
    assert {row["split"] for row in validation_sample(rows, 8)} == {"validation"}
    for locale in SCARCE_LOCALES:
        train = sum(row["target_lang"] == locale and row["split"] == "train" for row in rows)
        assert 0.05 <= sum(row["target_lang"] == locale for row in own) / train <= 0.15


@pytest.mark.parametrize("duration_s", [0.25, 0.51, 1.0, 3.21])
def test_encoding_is_deterministic_and_keeps_the_length(duration_s, tmp_path):
    rng = np.random.default_rng(7)
    pcm = (0.1 * rng.standard_normal(int(16000 * duration_s))).astype(np.float32)
    first, second = encode_opus(pcm), encode_opus(pcm)
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    path = tmp_path / "clip.ogg"
    path.write_bytes(first)
    back, rate = soundfile.read(path)
    assert (rate, len(back)) == (16000, len(pcm))


def test_voices_of_unheard_locales_lie_apart_with_the_same_splits(rows):
    folder = CORPUS.with_name("unheard")
    own = [json.loads(line) for line in (folder / MANIFEST.name).read_text("utf-8").splitlines()]
    assert {row["target_lang"] for row in own} == {*UNHEARD_LOCALES}
    assert not {row["target_lang"] for row in rows} & {*UNHEARD_LOCALES}
    assert not any(row["heard_by_starter"] for row in own)
    assert all(row["split"] == split_of(row["text"]) and row["license"] for row in own)
    assert {path.name for path in folder.rglob("*.ogg")} == {
        row["audio_filepath"].rsplit("/", 1)[1] for row in own
    }
    for row in own[:: len(own) // 20]:
        info = soundfile.info(folder / row["audio_filepath"])
        assert (info.samplerate, info.channels) == (16000, 1)
        assert info.duration == pytest.approx(row["duration"], abs=0.002)
