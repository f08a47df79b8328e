"""Conditions do to a signal what they say: measured levels, bands and decay, not just 'something changed'."""

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.recognizer.conditions import (
    Condition,
    add_noise,
    gain,
    ladder,
    make_noise,
    room_response,
    speech_level,
    telephone_line,
)

RATE = 16000


def voice_like(seconds: float = 2.0, seed: int = 1) -> np.ndarray:
    """Harmonics with pauses, so that the level over speech differs from the level over all."""
    t = np.arange(int(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 40))
    bursts = (np.sin(2 * np.pi * 1.5 * t) > 0).astype(float)
    return (0.2 * tone * bursts / np.max(np.abs(tone))).astype(np.float32)


def band_power(pcm: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(pcm)) ** 2
    hz = np.fft.rfftfreq(len(pcm), 1 / RATE)
    return float(power[(hz >= low_hz) & (hz < high_hz)].sum())


@pytest.mark.parametrize("snr_db", [20.0, 10.0, 0.0, -5.0])
@pytest.mark.parametrize("kind", ["white", "pink", "street"])
def test_snr_is_what_was_asked(snr_db, kind):
    speech = voice_like()
    noise = make_noise(kind, len(speech), RATE, seed=3)
    mixed = add_noise(speech, noise, snr_db, RATE)
    scale = float(mixed @ speech / (speech @ speech)) if snr_db > 15 else None
    silent = np.flatnonzero(speech == 0)
    ratio = np.std(mixed[silent]) / np.std(noise[silent])  # gain the noise got, scaling included
    peak = np.max(np.abs(speech + noise * speech_level(speech, RATE) / np.std(noise) * 10 ** (-snr_db / 20)))
    expected = speech_level(speech, RATE) / np.sqrt(np.mean(noise**2)) * 10 ** (-snr_db / 20) / max(peak, 1)
    assert ratio == pytest.approx(expected, rel=0.02)
    assert np.max(np.abs(mixed)) <= 1.0
    assert scale is None or scale == pytest.approx(1.0, abs=0.1)


def test_level_of_speech_leaves_pauses_out():
    speech = voice_like()
    assert speech_level(speech, RATE) > 1.2 * np.sqrt(np.mean(speech**2))


def test_telephone_removes_what_a_line_removes():
    noise = make_noise("white", RATE, RATE, seed=2) / 10
    heard = telephone_line(noise, RATE)
    assert len(heard) == len(noise)
    inside = band_power(heard, 500, 3000) / band_power(noise, 500, 3000)
    assert inside == pytest.approx(1.0, abs=0.2)
    assert band_power(heard, 4500, 8000) < 1e-3 * band_power(noise, 4500, 8000)
    assert band_power(heard, 20, 120) < 0.05 * band_power(noise, 20, 120)


def test_gain_clips_at_full_scale():
    tone = np.sin(np.linspace(0, 100, RATE)).astype(np.float32) * 0.5
    assert np.max(gain(tone, -6.0206)) == pytest.approx(0.25, rel=1e-3)
    assert np.mean(np.abs(gain(tone, 20)) == 1.0) > 0.5


def test_room_falls_60_db_in_its_time():
    response = room_response(0.5, RATE, seed=1)
    early, late = response[200:1000], response[200 + 4000 : 1000 + 4000]  # 0.25 s apart: 30 dB
    assert 20 * np.log10(np.std(early) / np.std(late)) == pytest.approx(30, abs=1.5)


def test_same_seed_same_samples_and_length_kept():
    condition = Condition(snr_db=5, noise="street", telephone=True, gain_db=3, rt60_s=0.4, seed=9)
    speech = voice_like()
    first, again = condition.apply(speech, RATE), condition.apply(speech, RATE)
    assert np.array_equal(first, again)
    assert first.shape == speech.shape
    assert first.dtype == np.float32
    assert not np.array_equal(first, Condition(snr_db=5, noise="street", seed=10).apply(speech, RATE))
    assert np.array_equal(Condition().apply(speech, RATE), speech)


def test_refusals_name_the_mend():
    with pytest.raises(WorkbenchError, match="street"):
        Condition(noise="rain")  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match="voices"):
        Condition(snr_db=3, noise="babble").apply(voice_like(), RATE)
    with pytest.raises(WorkbenchError, match="one field"):
        ladder(Condition(), snr_db=[1], gain_db=[2])


def test_a_ladder_varies_one_field_and_names_its_steps():
    steps = ladder(Condition(noise="white", seed=4), snr_db=[None, 0])
    assert [step.label for step in steps] == ["as recorded", "white 0 dB"]
    assert [step.seed for step in steps] == [4, 4]
