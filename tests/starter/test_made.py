"""Made speech: what is said, by whom, in which room; no held-out sentence, the same from one seed."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tooling.starter.features import FeatureCache, together
from tooling.starter.made import rooms, speech, synthesizers, texts
from tooling.starter.recordings import SAMPLE_RATE, sentence_key, split_of
from workbench.errors import WorkbenchError
from workbench.starter_files import MANIFEST

WORDS = ("casa", "verde", "gatto", "mela", "sole", "luna", "pane", "vino", "nove", "alto")


def material(**changes):
    own = {"sentences": ("Il sole scalda la casa.",), "captions": ("Un gatto verde.",), **changes}
    return texts.Material("it", WORDS, **own)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_nothing_said_falls_into_validation_or_test(seed):
    said = texts.draw(material(), 20, np.random.default_rng(seed))
    assert len(said) == 20
    assert {split_of(text) for text in said} == {"train"}
    assert all(text[0].isupper() and sentence_key(text) for text in said)


def test_no_held_out_sentence_of_the_corpus_is_allowed():
    rows = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    held_out = [row["text"] for row in rows if row["split"] != "train"]
    assert held_out
    assert not any(texts.allowed(text) for text in held_out)
    assert not any(texts.allowed(text.upper().replace(".", " !")) for text in held_out), "case and marks"


def test_the_same_seed_says_the_same():
    first, again, other = (texts.draw(material(), 30, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert first == again != other


def test_kinds_that_a_language_lacks_give_way_to_words():
    said = texts.draw(material(sentences=(), captions=()), 40, np.random.default_rng(0))
    inside = {word for text in said for word in sentence_key(text).split()}
    assert inside & set(WORDS)
    assert not inside & {"scalda", "un"}


@pytest.mark.parametrize("language", sorted(synthesizers.LOCALES))
def test_numbers_are_words(language):
    rng = np.random.default_rng(3)
    said = [texts.number(language, rng) for _ in range(30)]
    assert not any(c.isdigit() for text in said for c in text)


def test_sentences_of_fortunes_come_without_digits_markup_or_attributions(tmp_path):
    folder = tmp_path / "usr/share/games/fortunes/it"
    folder.mkdir(parents=True)
    (folder / "uno").write_text(
        "La vita è bella.  Costa 100 lire.\n\t-- Anonimo\n%\nUn <b>altro</b> giorno.\n%\nSì.\n"
    )
    (folder / "uno.dat").write_bytes(b"\0\1")
    assert texts.fortunes(tmp_path, "it") == ["La vita è bella."]


def test_captions_are_read_in_every_language(tmp_path):
    folder = tmp_path / "usr/share/tuxpaint/stamps/animals"
    folder.mkdir(parents=True)
    (folder / "frog.txt").write_text(
        "A frog.\nit.utf8=Una  rana.\nfr.utf8=Une grenouille (verte).\n", "utf-8"
    )
    assert texts.captions(tmp_path, "en") == ["A frog."]
    assert texts.captions(tmp_path, "it") == ["Una rana."]
    assert texts.captions(tmp_path, "fr") == [], "stage directions are not said"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), seconds=st.floats(0.3, 2.0))
def test_rooms_leave_finite_samples_in_range(seed, seconds):
    rng = np.random.default_rng(seed)
    plain = (0.3 * np.sin(np.arange(int(seconds * SAMPLE_RATE)) / 9)).astype(np.float32)
    heard = rooms.vary(plain, rng)
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1
    assert 0.8 * len(plain) <= len(heard) <= 1.2 * len(plain) + SAMPLE_RATE


def test_a_telephone_line_takes_what_is_low_and_high():
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    level = {
        hz: float(np.std(rooms.telephone(np.sin(2 * np.pi * hz * time).astype(np.float32))))
        for hz in (100, 1000, 6000)
    }
    assert level[100] < 0.1 * level[1000]
    assert level[6000] < 0.1 * level[1000]


@pytest.mark.parametrize("snr", [10, 20])
def test_noise_has_its_ratio(snr):
    pcm = np.sin(np.arange(SAMPLE_RATE) / 7).astype(np.float32)
    noise = rooms.noisy(pcm, snr, np.random.default_rng(0)) - pcm
    assert 10 * np.log10(np.mean(pcm**2) / np.mean(noise**2)) == pytest.approx(snr, abs=0.1)


def test_another_throat_moves_the_pitch():
    pcm = np.sin(2 * np.pi * 400 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    moved = rooms.throat(pcm, 1.1)
    peak = np.argmax(np.abs(np.fft.rfft(moved * np.hanning(len(moved))))) * SAMPLE_RATE / len(moved)
    assert peak == pytest.approx(440, rel=0.02)
    assert len(moved) == pytest.approx(len(pcm) / 1.1, rel=0.01)


@pytest.mark.parametrize(
    ("text", "seconds", "whole"),
    [("Una rana verde.", 1.2, True), ("Una rana verde.", 0.2, False), ("Una rana verde.", 12.0, False),
     ("Una rana verde.", 8.0, False), ("A" * 200, 2.0, False)],
)  # fmt: skip
def test_clips_whose_length_does_not_fit_their_text_are_left_out(text, seconds, whole):
    assert speech.spoken_whole(text, seconds) is whole


def test_voices_have_names_of_their_own_and_a_license():
    names = [voice.name for voice in synthesizers.VOICES]
    assert len(set(names)) == len(names)
    assert all(voice.license and voice.locales for voice in synthesizers.VOICES)
    held_back = {"el", "bg", "ro", "nl", "lt", "da", "ca"}
    assert not held_back & {voice.language for voice in synthesizers.VOICES}, "no made speech of theirs"


def test_a_missing_synthesizer_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "")
    voice = next(voice for voice in synthesizers.VOICES if voice.engine == "espeak")
    with pytest.raises(WorkbenchError, match="espeak is missing"):
        synthesizers.speak(voice, ["Hello."], np.random.default_rng(0))


def test_caches_lie_one_behind_the_other():
    first, second = (
        FeatureCache(np.full((n, 2), n, np.float16), np.array([0, 1, n], np.int64)) for n in (3, 5)
    )
    both = together(first, second)
    assert both.lengths().tolist() == [1, 2, 1, 4]
    assert both.clip(3).tolist() == second.clip(1).tolist()


@pytest.mark.model
@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
def test_shards_are_made_once_and_the_same_again(tmp_path, monkeypatch):
    from nemo.collections.asr.modules import AudioToMelSpectrogramPreprocessor

    monkeypatch.setattr(speech, "SHARD_CLIPS", 4)
    monkeypatch.setattr(texts, "common_words", lambda _language: WORDS)
    voice = next(voice for voice in synthesizers.VOICES if voice.name == "espeak-it")
    mels = AudioToMelSpectrogramPreprocessor(normalize="NA", features=80, pad_to=0)
    made = [
        speech.make(tmp_path / name, tmp_path, mels, seed=5, hours=0.004, voices=[voice])
        for name in ("a", "b")
    ]
    (rows, cache), (again, same) = speech.load(tmp_path / "a"), speech.load(tmp_path / "b")
    assert made[0] == made[1] >= 0.004
    assert rows == again
    assert np.array_equal(cache.frames, same.frames)
    assert len(rows) == len(cache.lengths())
    assert all(row["split"] == "train" and row["made"] == "espeak" for row in rows)
    assert cache.lengths() == pytest.approx([100 * row["duration"] for row in rows], abs=2)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()}
    speech.make(tmp_path / "a", tmp_path, mels, seed=5, hours=0.004, voices=[voice])
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()}
    hours = speech.hours_by_voice(rows)
    assert hours == {("it-IT", "espeak-it"): pytest.approx(made[0])}
