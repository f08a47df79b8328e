"""The signal scan beside Speech Data Explorer's ``--estimate-audio-metrics``.

The peer works through the manifest in one process, one clip after the other (``append_data`` in
``tools/speech_data_explorer/data_explorer.py``; it has no workers): ``librosa.load`` at the file's own rate,
``eval_bandwidth`` (``librosa.stft`` of 512 points every 10 ms) and the peak level. With ``--peer-source`` its
own ``eval_bandwidth`` is taken out of that file and run; without, the same calls are written out here. The
script as a whole cannot be imported: it parses arguments and starts a server. Ours measures eleven things and
a hash, on all cores. Both start from a manifest and read the same files, in interleaved rounds.

Clips: of the starter corpus (1.8 s on average), and joined to 8 to 12 s, which is what read-speech corpora
have; as WAV (what the peer's users mostly have), FLAC and Opus. Decoding is the floor for the last two: what
share of the peer's time it takes is shown, and no scan that decodes in one process goes below it.

    python benchmarks/signal_scan.py [--clips 400] [--rounds 3] [--peer-source data_explorer.py]
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import budgets
import librosa
import numpy as np
import soundfile

STARTER = Path(__file__).resolve().parents[1] / "data" / "starter"
SUBTYPES = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "OPUS"}
Bandwidth = Callable[..., float]


def eval_bandwidth(signal: Any, sr: int, threshold: float = -50) -> float:
    """The peer's measure: highest frequency of the mean spectrum within 50 dB of the maximum."""
    spectrum = np.mean(
        np.abs(librosa.stft(y=signal, n_fft=512, hop_length=sr // 100, window="blackmanharris")) ** 2, axis=1
    )
    power = librosa.power_to_db(S=spectrum, ref=np.max, top_db=100)
    return float(np.flatnonzero(power > threshold)[-1] * sr / 512)


def peers_own(source: str | None) -> Bandwidth:
    """``eval_bandwidth`` of the peer's file, or its twin above."""
    if source is None:
        return eval_bandwidth
    tree = ast.parse(Path(source).read_text(encoding="utf-8"))
    tree.body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "eval_bandwidth"]
    scope: dict[str, Any] = {"np": np, "librosa": librosa}
    exec(compile(tree, source, "exec"), scope)
    made: Bandwidth = scope["eval_bandwidth"]
    return made


def peer(manifest: Path, bandwidth: Bandwidth) -> None:
    for line in manifest.open(encoding="utf-8"):
        item = json.loads(line)
        signal, rate = librosa.load(path=manifest.parent / item["audio_filepath"], sr=None)
        item["freq_bandwidth"] = int(bandwidth(signal, rate))
        item["level_db"] = 20 * np.log10(np.max(np.abs(signal)))


def decode(manifest: Path) -> None:
    for line in manifest.open(encoding="utf-8"):
        librosa.load(path=manifest.parent / json.loads(line)["audio_filepath"], sr=None)


def ours(manifest: Path, folder: Path) -> Callable[[], None]:
    """A scan of a corpus that was imported before; the peer's reading of the manifest is dearer than that."""
    from workbench.corpus.importing import import_source
    from workbench.corpus.quality import signal

    corpus = import_source(manifest, folder, name="c")

    def scan() -> None:
        assert signal.scan(corpus)["error"].isna().all()

    return scan


def prepare(folder: Path, clips: int, kind: str, joined: bool) -> Path:
    """A manifest of clips in one format; ``joined``: clips of one voice put together to at least 8 s."""
    rows = [json.loads(line) for line in (STARTER / "manifest.jsonl").open(encoding="utf-8")]
    rows = rows if joined else rows[:: max(1, len(rows) // clips)]
    folder.mkdir()
    made: list[dict[str, Any]] = []
    held: list[Any] = []
    for row in rows:
        samples, rate = soundfile.read(STARTER / row["audio_filepath"], dtype="float32")
        held.append(samples)
        seconds = sum(map(len, held)) / rate
        if joined and seconds < 8:
            continue
        name = f"{len(made)}.{kind}"
        soundfile.write(folder / name, np.concatenate(held), rate, subtype=SUBTYPES[kind],
                        format={"ogg": "OGG"}.get(kind))  # fmt: skip
        kept = {"text": row["text"], "target_lang": row["target_lang"]}
        made.append({**kept, "audio_filepath": name, "duration": round(seconds, 4)})
        held = []
        if len(made) == clips:
            break
    manifest = folder / "m.jsonl"
    manifest.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made), encoding="utf-8")
    return manifest


def clock(act: Callable[[], None]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(kind: str, joined: bool, clips: int, rounds: int, bandwidth: Bandwidth) -> None:
    with tempfile.TemporaryDirectory() as name:
        manifest = prepare(Path(name) / "clips", clips, kind, joined)
        rows = [json.loads(line) for line in manifest.open(encoding="utf-8")]
        seconds = statistics.fmean(row["duration"] for row in rows)
        times: dict[str, list[tuple[float, float]]] = {
            "peer": [],
            "its decoding": [],
            "ours": [],
            "again": [],
        }
        peer(manifest, bandwidth)
        ours(manifest, Path(name) / "warm")()
        for number in range(rounds):
            times["peer"].append(clock(lambda: peer(manifest, bandwidth)))
            times["its decoding"].append(clock(lambda: decode(manifest)))
            scan = ours(manifest, Path(name) / f"c{number}")
            times["ours"].append(clock(scan))
            times["again"].append(clock(scan))
    print(f"\n{len(rows)} clips of {seconds:.1f} s as {kind}, {os.cpu_count()} cores")
    for label, pairs in times.items():
        walls, cpus = zip(*pairs, strict=True)
        ratios = [[a[i] / b[i] for a, b in zip(times["peer"], pairs, strict=True)] for i in (0, 1)]
        wall, cpu = (statistics.median(some) / len(rows) * 1e3 for some in (walls, cpus))
        spread = f"[{min(ratios[0]):.2f}-{max(ratios[0]):.2f}]"
        speed = statistics.median(ratios[0])
        print(
            f"{label:14s} {wall:7.3f} ms a clip, {speed:6.2f}x {spread} the peer's speed; "
            f"processor {cpu:7.3f} ms, {statistics.median(ratios[1]):.2f}x"
        )
        if label == "ours" and kind == "wav" and joined:  # what the peer's users mostly have
            budgets.record("signal_scan", ratios[0], clips=len(rows), seconds=round(seconds, 1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", default=list(SUBTYPES), choices=SUBTYPES)
    parser.add_argument("--peer-source", help="the peer's data_explorer.py")
    arguments = parser.parse_args()
    bandwidth = peers_own(arguments.peer_source)
    for joined in (False, True):
        for kind in arguments.kinds:
            compare(kind, joined, arguments.clips, arguments.rounds, bandwidth)


if __name__ == "__main__":
    main()
