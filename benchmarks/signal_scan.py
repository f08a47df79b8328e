"""The signal scan beside what Speech Data Explorer does for ``--estimate-audio-metrics``.

The peer's script cannot be imported (it parses arguments and starts a server on import), so its work per file
is written again here from its description: one process, ``librosa.load`` at the file's own rate, a mean power
spectrum from ``librosa.stft`` (512 points, 10 ms apart), the highest frequency above -50 dB, and the peak
level. Ours measures eleven things and a hash. Sequential decoding is the peer's design, so ours on one
process is shown too.

    python benchmarks/signal_scan.py [--clips 400] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import budgets

STARTER = Path(__file__).resolve().parents[1] / "data" / "starter"


def peer(paths: list[Path]) -> None:
    import librosa
    import numpy as np

    for path in paths:
        signal, rate = librosa.load(str(path), sr=None)
        spectrum = np.abs(librosa.stft(y=signal, n_fft=512, hop_length=rate // 100, window="blackmanharris"))
        power = librosa.power_to_db(np.mean(spectrum**2, axis=1), ref=np.max, top_db=100)
        above = np.flatnonzero(power > -50)
        _ = (above[-1] * rate / 512 if len(above) else 0.0, 20 * np.log10(np.abs(signal).max() + 1e-12))


def ours(folder: Path, manifest: Path, processes: int, name: str) -> None:
    from workbench.corpus import signal
    from workbench.corpus.sources import import_source

    corpus = import_source(manifest, folder / name, name="c")
    start = time.perf_counter()
    frame = signal.scan(corpus, processes=processes)
    TIMES.setdefault(f"ours, {processes} processes", []).append(time.perf_counter() - start)
    assert frame["error"].isna().all()
    corpus.close()


TIMES: dict[str, list[float]] = {}


def prepare(folder: Path, clips: int, kind: str) -> tuple[Path, list[Path]]:
    import soundfile

    rows = [json.loads(line) for line in (STARTER / "manifest.jsonl").open(encoding="utf-8")]
    rows = rows[:: max(1, len(rows) // clips)][:clips]
    folder.mkdir()
    for i, row in enumerate(rows):
        path = folder / f"{i}.{kind}"
        source = STARTER / row["audio_filepath"]
        if kind == "wav":
            samples, rate = soundfile.read(source)
            soundfile.write(path, samples, rate, subtype="PCM_16")
        else:
            path.write_bytes(source.read_bytes())
        row["audio_filepath"] = path.name
    manifest = folder / "m.jsonl"
    manifest.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return manifest, [folder / row["audio_filepath"] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for kind in ("wav", "ogg"):
        TIMES.clear()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            manifest, paths = prepare(folder / "clips", arguments.clips, kind)
            peer(paths[:20])
            for number in range(arguments.rounds):
                start = time.perf_counter()
                peer(paths)
                TIMES.setdefault("peer's work, 1 process", []).append(time.perf_counter() - start)
                for processes in sorted({1, os.cpu_count() or 1}):
                    ours(folder, manifest, processes, f"c{number}-{processes}")
        print(f"\n{arguments.clips} clips as {kind}")
        base = TIMES["peer's work, 1 process"]
        for label, values in TIMES.items():
            ratio = statistics.median(a / b for a, b in zip(base, values, strict=True))
            print(
                f"{label:28s} {statistics.median(values):7.2f} s [{min(values):.2f}-{max(values):.2f}]  "
                f"{statistics.median(values) / arguments.clips * 1e3:6.2f} ms a clip  {ratio:5.2f}x"
            )
        best = [a / b for a, b in zip(base, values, strict=True)]
        budgets.record("signal_scan", best, clips=arguments.clips, kind=kind, how=label)


if __name__ == "__main__":
    main()
