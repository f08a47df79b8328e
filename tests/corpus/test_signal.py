"""The scan: what is known is not measured again; processes need nothing of the caller."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile

from workbench.corpus import workers
from workbench.corpus.quality import measure_rows, measures, signal
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import numpy as np

Make = Callable[..., Corpus]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the rows that were really measured, in order."""
    seen: list[str] = []
    real = measure_rows.measure_rows

    def watched(tasks: Any) -> Any:
        seen.extend(task[0] for task in tasks)
        return real(tasks)

    monkeypatch.setattr(signal, "measure_rows", watched)
    return seen


def tones(corpus: Corpus) -> None:
    """A recording for each row: tones of rising pitch, 1 s."""
    import numpy as np

    for number, row in enumerate(corpus.page(0, 100)):
        wave = 0.5 * np.sin(np.arange(16_000) * 2 * np.pi * (200 + 90 * number) / 16_000)
        soundfile.write(corpus.audio_root / row["audio_filepath"], wave, 16_000)


def test_only_what_is_new_is_measured(make: Make, measured: list[str]) -> None:
    corpus = make([{"id": name} for name in "abc"])
    tones(corpus)
    first = signal.scan(corpus)
    assert measured == ["a", "b", "c"]
    signal.scan(corpus)
    assert len(measured) == 3
    path = corpus.audio_path("b")
    soundfile.write(path, soundfile.read(path)[0] * 0.1, 16_000)
    again = signal.scan(corpus)
    assert measured[3:] == ["b"]
    assert again["peak_dbfs"][1] == pytest.approx(first["peak_dbfs"][1] - 20, abs=0.1)


def test_a_copy_under_another_name_or_time_keeps_its_measures(make: Make, measured: list[str]) -> None:
    corpus = make([{"id": name} for name in "ab"])
    tones(corpus)
    one, two = corpus.audio_path("a"), corpus.audio_path("b")
    first = signal.scan(corpus)
    os.utime(one, (1, 1))
    two.write_bytes(one.read_bytes())
    second = signal.scan(corpus)
    assert measured == ["a", "b"]
    assert list(second["id"]) == ["a", "b"]
    assert second["audio_sha256"].nunique() == 1
    assert second["fingerprint"][1] == first["fingerprint"][0] != first["fingerprint"][1]


def test_channels_that_rows_name_are_measured_each(make: Make, measured: list[str]) -> None:
    import numpy as np

    row = {"audio_filepath": "two.wav"}
    corpus = make([{**row, "id": "left", "channel": 0}, {**row, "id": "right", "channel": 1, "offset": 0.25}])
    wave = np.sin(np.arange(32_000) * 2 * np.pi * 300 / 16_000)
    soundfile.write(corpus.audio_root / "two.wav", np.stack([0.5 * wave, 0.05 * wave], axis=1), 16_000)
    found = signal.scan(corpus)
    assert found["peak_dbfs"].tolist() == pytest.approx([-6.0, -26.0], abs=0.1)
    os.utime(corpus.audio_root / "two.wav", (1, 1))
    signal.scan(corpus)
    assert measured == ["left", "right"]


SCRIPT = """
import sys
from workbench.corpus.quality import signal
from workbench.corpus.query.table import Corpus
signal._IN_PROCESS = 0
print(signal.scan(Corpus.open(sys.argv[1]), processes=2)["peak_dbfs"].notna().sum())
"""


def test_a_plain_script_without_a_main_guard_scans_in_processes(make: Make, tmp_path: Path) -> None:
    corpus = make([{} for _ in range(3)])
    tones(corpus)
    (tmp_path / "plain.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "plain.py"), str(corpus.folder)]
    env = {**os.environ, "PYTHONPATH": str(Path(signal.__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=env)
    assert done.stdout.split() == ["3"], done.stderr


def test_processes_measure_what_threads_measure(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    corpora = [make([{"id": str(i), "text": "é"} for i in range(5)]) for _ in range(2)]
    for corpus in corpora:
        tones(corpus)
        corpus.audio_path("4").unlink()
    threads = signal.scan(corpora[0], processes=1)
    monkeypatch.setattr(signal, "_IN_PROCESS", 0)
    processes = signal.scan(corpora[1], processes=2)
    assert json.loads(threads.to_json()) == json.loads(processes.to_json())
    assert processes["error"].isna().tolist() == [True] * 4 + [False]
    assert "missing" in processes["error"][4]


def test_a_worker_that_dies_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with workers.WorkerPool(1) as pool, pytest.raises(WorkbenchError, match="ended with code 1") as fault:
        pool.submit(measure_rows.measure_rows, [("a", "a.wav", 0.0, None, None, None, None)]).result()
    assert "1 clips from a" in str(fault.value)


def test_a_wav_file_is_read_as_libsndfile_reads_it(tmp_path: Path) -> None:
    """Long after short and short after long: nothing of one clip stays for the next."""
    import numpy as np

    path = tmp_path / "a.wav"
    for frames in (4_000, 9_000, 500):
        wave = np.random.default_rng(frames).uniform(-1, 1, (frames, 2))
        soundfile.write(path, wave, 8_000, subtype="PCM_16")
        data = measures.contents(str(path), path.stat().st_size)
        assert bytes(data) == path.read_bytes()
        samples, rate = measures.wav_samples(data) or (None, 0)
        assert rate == 8_000
        assert np.array_equal(samples, soundfile.read(path, dtype="int16", always_2d=True)[0])
    assert measures.wav_samples(data[:-100]) is None
    assert bytes(measures.contents(str(path), 7)) == path.read_bytes()  # it grew since it was looked at
    for subtype in ("PCM_24", "FLOAT"):
        soundfile.write(path, wave, 8_000, subtype=subtype)
        assert measures.wav_samples(memoryview(path.read_bytes())) is None


def test_chunks_around_the_samples_do_not_matter(tmp_path: Path) -> None:
    """A list before the samples, of odd length and so padded; and what is no WAV file of 16 bits at all."""
    import numpy as np

    path = tmp_path / "a.wav"
    soundfile.write(path, np.linspace(-0.5, 0.5, 700), 16_000, subtype="PCM_16")
    plain = path.read_bytes()
    listed = plain[:36] + b"LIST" + (5).to_bytes(4, "little") + b"notes\0" + plain[36:]
    for data in (plain, listed):
        samples, rate = measures.wav_samples(memoryview(data)) or (None, 0)
        assert rate == 16_000
        assert np.array_equal(samples[:, 0], soundfile.read(path, dtype="int16")[0])
    wide = plain[:20] + b"\x03\0" + plain[22:]  # floats, by their header
    nobody = plain[:22] + b"\0\0" + plain[24:]  # no channels
    for data in (b"", plain[:20], plain[:40], b"RIFX" + plain[4:], wide, nobody, plain[:-2]):
        assert measures.wav_samples(memoryview(data)) is None


def by_numpy(sound: np.ndarray, rate: int) -> dict[str, Any]:
    """The measures once more, pass by pass, as their definitions read; one channel."""
    import numpy as np

    size = round(0.02 * rate)
    whole = sound[: len(sound) // size * size].reshape(-1, size).astype(float)
    levels = np.maximum(10 * np.log10(np.maximum((whole**2).mean(axis=1), 1e-12)), -120)
    loud = np.abs(sound)
    at = np.flatnonzero(loud > 0.02 * loud.max())
    part = sound[at[0] : at[-1] + 1]
    starts = np.linspace(0, len(part) - 512, 64).astype(int)
    frames = np.stack([part[start : start + 512] for start in starts]).astype(float)
    power = np.abs(np.fft.rfft(frames * measures.blackman_harris(False))) ** 2
    mean = power.mean(axis=0)
    runs, run = [], 0
    for top in [*(loud >= np.float32(0.99 * loud.max())), False]:
        run, ended = (run + 1, 0) if top else (0, run)
        runs += [ended] if ended >= 3 else []
    flat = sum(runs) / len(sound) if loud.max() >= 0.99 or len(runs) >= 10 else 0.0
    edges = measures._edges(rate)
    bands = np.stack([power[:, a:b].sum(axis=1) for a, b in itertools.pairwise(edges)], axis=1)
    logs = np.log10(bands.reshape(8, 8, 8).mean(axis=1) + 1e-12)
    logs -= logs.mean(axis=0)
    heard = levels[levels > -100]
    return {
        "peak_dbfs": 20 * np.log10(loud.max()),
        "rms_dbfs": 10 * np.log10(np.mean(sound.astype(float) ** 2)),
        "dc_offset": sound.astype(float).mean(),
        "clipping_ratio": flat,
        "bandwidth_hz": np.flatnonzero(mean > 1e-5 * mean.max())[-1] * rate / 512,
        "snr_db": float(np.subtract(*np.percentile(heard, [95, 10], method="nearest"))),
        "print": logs / np.abs(logs).max(),
    }


@pytest.mark.parametrize("clipped", [False, True])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_compiled_loops_measure_what_plain_passes_do(rate: int, clipped: bool) -> None:
    """Of integers, and of the same samples as floats."""
    import numpy as np

    drawn = np.random.default_rng(rate).normal(0, 1, 2 * rate)
    swelling = np.convolve(drawn, np.ones(5) / 5, "same") * np.linspace(0.001, 0.4, len(drawn)) ** 2 + 0.001
    whole = np.clip(np.round(32768 * (9 if clipped else 1) * swelling), -32768, 32767).astype(np.int16)
    for samples in (whole, whole / np.float32(32768)):
        found = measures.measure(samples, rate)
        wanted = by_numpy(whole / np.float32(32768), rate)
        prints = wanted.pop("print").reshape(-1)
        assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-4, abs=1e-6)
        assert found["clipping_ratio"] > 0 or not clipped
        near = measures.read_fingerprint(found["fingerprint"]) @ (prints / np.linalg.norm(prints))
        assert near > 0.999


def test_a_narrow_recording_has_fewer_bands() -> None:
    """At 4 kHz half of a fingerprint's bands lie beyond what the recording can hold."""
    import numpy as np

    found = measures.measure(np.random.default_rng(1).normal(0, 0.1, 8_000).astype(np.float32), 4_000)
    assert 1_900 < found["bandwidth_hz"] <= 2_000
    assert np.isfinite(measures.read_fingerprint(found["fingerprint"])).all()


@pytest.mark.parametrize("frames", [1, 3, 100, 319, 321, 5_000])
def test_only_what_is_heard_is_transformed(frames: int) -> None:
    """Between the first and the last loud sample, wherever frames begin; the rest of a window is silence."""
    import numpy as np

    from workbench.corpus.quality import sound_kernels

    for first, last in {(0, frames - 1), (frames // 3, frames // 2), (frames - 1, frames - 1)}:
        samples = np.full(frames, 50, np.int16)
        samples[[first, last]] = -32_768, 20_000
        mono = measures._Mono(samples, 16_000)
        made = np.empty((64, 512), np.float32)
        window = np.ones(512, np.float32)
        sound_kernels.windowed(samples, samples, 320, mono._peaks, 0.02 * mono.peak, window, made)
        part = samples[first : last + 1]
        assert np.array_equal(made[0], np.pad(part, (0, 512))[:512])
        assert np.array_equal(made[-1], np.pad(part[-512:], (0, max(0, 512 - len(part)))))


def test_samples_that_are_no_numbers_are_named() -> None:
    import numpy as np

    for odd in (np.nan, np.inf, -np.inf):
        sound = np.zeros(16_000, np.float32)
        sound[7_000] = odd
        assert "no numbers" in measures.measure(sound, 16_000)["error"]


def test_measures_are_what_they_say() -> None:
    """A tone with known level, clipped tops, offset and silence at both ends."""
    import numpy as np

    time = np.arange(32_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * 440 * time) + 0.001 * np.sin(2 * np.pi * 6_000 * time)
    sound = np.concatenate([np.zeros(8_000), tone, np.zeros(4_000)]).astype(np.float32)
    found = measures.measure(sound, 16_000)
    assert found["peak_dbfs"] == pytest.approx(-6.02, abs=0.05)
    assert found["rms_dbfs"] == pytest.approx(-9.03 + 10 * np.log10(32 / 44), abs=0.05)
    assert (found["leading_silence_s"], found["trailing_silence_s"]) == pytest.approx((0.5, 0.25), abs=0.021)
    assert found["bandwidth_hz"] < 600
    assert found["clipping_ratio"] == 0
    louder = measures.measure(sound + 0.02 * np.float32(time[-1] > 0), 16_000)
    assert louder["dc_offset"] == pytest.approx(0.02, abs=0.001)
    flat = np.clip(4 * sound, -1, 1)
    share = float(np.mean(np.abs(flat) >= 0.999))
    assert measures.measure(flat, 16_000)["clipping_ratio"] == pytest.approx(share, rel=0.05)
    wide = measures.measure(np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32), 16_000)
    assert wide["bandwidth_hz"] > 7_900
