"""Loudness against pyloudnorm, the standard's own figures, and the rules that read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import pytest
import soundfile

from workbench.corpus.importing import import_source
from workbench.corpus.quality import checks, long_measures, loudness, loudness_checks, measures, rules, signal


def speechlike(rng: np.random.Generator, rate: int, seconds: float, channels: int = 1) -> np.ndarray:
    """Colored noise with pauses and swells, and an offset that the weighting has to remove."""
    count = round(rate * seconds)
    wave = np.convolve(rng.normal(0, 0.2, count), [0.4, 0.3, 0.2, 0.1], "same")
    course = np.repeat(rng.choice([0.001, 0.05, 0.3, 1.0], count // (rate // 5) + 1), rate // 5)[:count]
    mono = wave * course + 0.05
    return np.stack([mono * (1 - 0.4 * i) for i in range(channels)], axis=1).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_it_is_pyloudnorms(rate: int, channels: int) -> None:
    """With the filters that are the standard's at 48 kHz. Whole steps of 0.1 s: pyloudnorm counts a last
    block that is not full, which the standard leaves out."""
    rng = np.random.default_rng(rate + channels)
    for seconds in (0.4, 0.5, 1.8, 3.3, 12.7):
        sound = speechlike(rng, rate, seconds, channels)
        sound = sound[: round(rate / 10) * round(10 * seconds)]
        wanted = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(sound.astype(float))
        found = measures.measure(sound, rate, loud=True)
        assert found["loudness_lufs"] == pytest.approx(wanted, abs=0.01)
        whole = np.round(sound * 32768).astype(np.int16)
        assert measures.measure(whole, rate, loud=True)["loudness_lufs"] == pytest.approx(wanted, abs=0.02)


def test_the_standards_own_figures() -> None:
    """ITU-R BS.1770-4: the filters at 48 kHz (tables 1, 2); 997 Hz at full scale is -3.01 LUFS."""
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585]
    high_pass = [-1.99004745483398, 0.99007225036621]
    assert loudness.weighting(48_000) == pytest.approx([*shelf, *high_pass], abs=1e-6)
    # The bilinear transform bends the shelf a little at lower rates; pyloudnorm's as well.
    for rate, near in ((48_000, 0.01), (16_000, 0.05), (11_025, 0.1)):
        tone = np.sin(2 * np.pi * 997 * np.arange(5 * rate) / rate).astype(np.float32)
        assert measures.measure(tone, rate, loud=True)["loudness_lufs"] == pytest.approx(-3.01, abs=near)


def test_what_has_no_loudness_says_why() -> None:
    short = measures.measure(np.full(6_399, 0.1, np.float32), 16_000, loud=True)
    quiet = measures.measure(np.full(16_000, 1e-6, np.float32), 16_000, loud=True)
    assert (short["loudness_lufs"], short["loudness_note"]) == (None, "shorter than 0.4 s: no loudness")
    assert (quiet["loudness_lufs"], quiet["loudness_note"]) == (None, loudness.TOO_QUIET)
    assert "loudness_note" not in measures.measure(np.full(16_000, 0.1, np.float32), 16_000)


@pytest.mark.parametrize("cuts", [[1_000], [37, 1_601, 5_000], [15_999, 16_001]])
def test_blocks_of_a_long_recording_give_the_same(cuts: list[int]) -> None:
    sound = speechlike(np.random.default_rng(1), 16_000, 6, 2)
    wanted = measures.measure(sound, 16_000, loud=True)["loudness_lufs"]
    found = long_measures.measure_blocks(lambda: iter(np.split(sound, cuts)), 16_000, 2, loud=True)
    assert found["loudness_lufs"] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("sizes", [(5, 7), (1, 8), (6, 6), (3, 200)])
def test_the_median_of_others(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(sizes))
    levels = np.sort(rng.normal(-23, 5, sum(sizes)))
    own = np.sort(rng.choice(len(levels), sizes[0], replace=False))
    rest = np.delete(levels, own)
    assert loudness_checks._median_of_others(own, levels) == pytest.approx(float(np.median(rest)))


def corpus_of(folder: Path, gains: dict[str, list[float]]) -> Any:
    """Speaker → gain of each clip in dB."""
    lines = []
    for speaker, levels in gains.items():
        for number, gain in enumerate(levels):
            name = f"{speaker}{number}.wav"
            sound = np.clip(
                speechlike(np.random.default_rng(number % 2), 16_000, 1.5)[:, 0] * 10 ** (gain / 20), -1, 1
            )
            soundfile.write(folder / name, sound, 16_000)
            lines.append({"audio_filepath": name, "text": f"Sentence {speaker} {number}.", "duration": 1.5,
                          "target_lang": "en-US", "speaker": speaker, "source": "calls"})  # fmt: skip
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return import_source(folder / "m.jsonl", folder / "c", name="c")


def test_the_speaker_that_stands_apart_is_named(tmp_path: Path) -> None:
    """Once, not once a clip; and who differs much from clip to clip too. Without a loudness scan both rules
    say what they lack."""
    gains = {"anna": [0.0] * 8, "bert": [-1.0] * 8, "carl": [-22.0] * 8, "dora": [2.0] * 20 + [-30.0] * 4}
    corpus = corpus_of(tmp_path, gains)
    signal.scan(corpus)
    lacking = checks.run_checks(corpus).attrs["not_run"]
    assert {name: lacking[name] for name in ("loudness_apart", "loudness_spread")} == {
        "loudness_apart": "loudness", "loudness_spread": "loudness",
    }  # fmt: skip
    again = signal.scan(corpus, loudness=True)
    assert again["loudness_lufs"].notna().all()
    found = checks.run_checks(corpus)
    apart = found[found["rule"] == "loudness_apart"]
    assert [value.split(":")[0] for value in apart["value"]] == ["speaker carl"]
    assert corpus.row(apart["id"].iloc[0])["speaker"] == "carl"
    spread = found[found["rule"] == "loudness_spread"]
    assert {value.split(":")[0] for value in spread["value"]} == {"speaker dora", "source calls"}
    loose = checks.run_checks(corpus, {"loudness_apart": {"threshold": 40}})
    assert "loudness_apart" not in set(loose["rule"])


def test_a_scan_without_loudness_keeps_what_was_measured_with(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, {"anna": [0.0] * 3})
    first = signal.scan(corpus, loudness=True)
    assert signal.scan(corpus)["loudness_lufs"].tolist() == first["loudness_lufs"].tolist()
    assert len(corpus.where("loudness_lufs > -60")) == 3


def test_rules_on_loudness_say_their_standard() -> None:
    assert all("BS.1770" in rules.RULES[name].source for name in ("loudness_apart", "loudness_spread"))
