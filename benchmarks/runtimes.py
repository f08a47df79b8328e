"""Processor time of one checkpoint in torch, ONNX Runtime (fp32, int8) and sherpa-onnx, on the same clips.

``python benchmarks/runtimes.py``: the starter, one thread, clips taken in turn by each runtime, so that a
neighbor on the machine slows all alike; seconds of processor time a second of audio, sessions and pools.
``--record`` writes ``docs/evidence/runtimes.json``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from workbench.deployment import sherpa
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.pool import Pool
from workbench.starter_files import CHECKPOINT, CORPUS, MANIFEST

OUT = Path(__file__).parents[1] / "docs" / "evidence" / "runtimes.json"
RUNTIMES = ("torch", "onnx", "onnx-int8")
Clip = tuple[np.ndarray, str]


def spent(call: Callable[[], Any]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def session(checkpoint: Checkpoint, clip: Clip, lookahead_ms: int, runtime: str) -> str:
    made = checkpoint.session(clip[1], lookahead_ms, device="cpu", runtime=runtime)
    made.feed(clip[0], 16_000)
    made.finish()
    return made.final_transcript


def pool(checkpoint: Checkpoint, clips: list[Clip], lookahead_ms: int, streams: int, runtime: str) -> None:
    for start in range(0, len(clips), streams):
        made = Pool(checkpoint, device="cpu", runtime=runtime)
        for pcm, tag in clips[start : start + streams]:
            member = made.join(tag, lookahead_ms)
            member.feed(pcm, 16_000)
            member.finish()
        made.drain()


def served(recognizer: Any, package: Any, clips: list[Clip], padded: bool) -> None:
    """Many streams at once through sherpa-onnx's own batches; unpadded, it loses first and last words."""
    before = 16 * package.settings["left_padding_ms"] if padded else 0
    after = 16 * sherpa.TAIL_MS if padded else 0
    streams = []
    for pcm, tag in clips:
        stream = recognizer.create_stream()
        stream.set_option("language", tag)
        stream.accept_waveform(16_000, np.pad(pcm, (before, after)))
        stream.input_finished()
        streams.append(stream)
    while ready := [stream for stream in streams if recognizer.is_ready(stream)]:
        recognizer.decode_streams(ready)


def _all_served(recognizer: Any, package: Any, batches: list[list[Clip]], padded: bool) -> None:
    for batch in batches:
        served(recognizer, package, batch, padded)


def measured(checkpoint: Checkpoint, clips: list[Clip], lookahead_ms: int, folder: Path) -> dict[str, Any]:
    """Seconds of processor time a second of audio, of each runtime, alone and in pools."""
    package = sherpa.write_package(checkpoint, folder, lookahead_ms=lookahead_ms)
    recognizer = sherpa.recognizer(package)
    audio_s = sum(pcm.size for pcm, _ in clips) / 16_000
    for name in RUNTIMES:
        session(checkpoint, clips[0], lookahead_ms, name)
    alone: dict[str, list[float]] = {name: [] for name in (*RUNTIMES, "sherpa-onnx")}
    texts: dict[str, list[str]] = {name: [] for name in RUNTIMES}
    for clip in clips:
        for name in RUNTIMES:
            alone[name].append(
                spent(lambda n=name, c=clip: texts[n].append(session(checkpoint, c, lookahead_ms, n)))
            )
        alone["sherpa-onnx"].append(spent(lambda c=clip: sherpa.transcribe(recognizer, package, *c)))
    pools: dict[str, dict[str, float]] = {}
    for streams in (1, 4, 16):
        many = [clips[number % len(clips)] for number in range(max(streams, len(clips)))]
        heard_s = sum(pcm.size for pcm, _ in many) / 16_000
        found = {
            name: spent(lambda n=name, m=many, s=streams: pool(checkpoint, m, lookahead_ms, s, n)) / heard_s
            for name in RUNTIMES
        }
        cut = [many[start : start + streams] for start in range(0, len(many), streams)]
        for name, padded in (("sherpa-onnx", True), ("sherpa-onnx, unpadded", False)):
            found[name] = spent(partial(_all_served, recognizer, package, cut, padded)) / heard_s
        pools[str(streams)] = {name: round(value, 4) for name, value in found.items()}
    ratios = [torch_s / onnx_s for torch_s, onnx_s in zip(alone["torch"], alone["onnx"], strict=True)]
    return {
        "lookahead_ms": lookahead_ms,
        "session_cpu_s_per_s": {name: round(sum(times) / audio_s, 4) for name, times in alone.items()},
        "torch_over_onnx_median": round(statistics.median(ratios), 2),
        "equal_texts": {
            name: sum(a == b for a, b in zip(texts["torch"], texts[name], strict=True))
            for name in RUNTIMES[1:]
        },
        "clips": len(clips),
        "pool_cpu_s_per_s": pools,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--lookaheads", type=int, nargs="+", default=[80, 160, 320, 560, 1120])
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in MANIFEST.read_text().splitlines()]
    rows = [row for row in rows if 2 < row["duration"] < 8]
    rows = rows[:: max(1, len(rows) // options.clips)][: options.clips]
    clips = [
        (soundfile.read(CORPUS / row["audio_filepath"], dtype="float32")[0], row["target_lang"])
        for row in rows
    ]
    checkpoint = Checkpoint.open(options.checkpoint)
    proof = checkpoint.prepare_onnx(int8=True)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for lookahead_ms in options.lookaheads:
            results.append(measured(checkpoint, clips, lookahead_ms, Path(folder) / str(lookahead_ms)))
            print(json.dumps(results[-1]), flush=True)
    if options.record:
        facts = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "command": "python benchmarks/runtimes.py --record",
            "checkpoint_sha256": checkpoint.sha256,
            "machine": {
                "processor": platform.machine(),
                "cores": os.cpu_count(),
                "load_1min": os.getloadavg()[0],
            },
            "versions": {
                name: version(name) for name in ("torch", "onnxruntime", "sherpa-onnx", "nemo-toolkit")
            },
            "parity": proof,
            "results": results,
        }
        OUT.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
