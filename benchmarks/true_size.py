"""What the released model's size costs on a CPU: loading, memory, seconds per second of audio by runtime.

Run: python -m benchmarks.true_size CHECKPOINT [--parts load equal speed transformers] [--lookaheads 1120 80]

``CHECKPOINT`` is made by ``python -m tooling.true_size --out CHECKPOINT``. One thread. Each part is a process
of its own; figures are CPU seconds, so that other work on the machine matters little. The result goes to
``docs/evidence/true-size.json``; parts that were not run keep what they said.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from workbench.deployment import transformers
from workbench.deployment.package import MANIFEST, Package
from workbench.recognizer import onnx_graphs, onnx_parity, runtimes
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.clips import decode_offline, stream_together
from workbench.recognizer.engine import Engine
from workbench.recognizer.loading import restore
from workbench.recognizer.onnx_engine import OnnxEngine
from workbench.recognizer.quiet import quiet_nemo

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "docs" / "evidence" / "true-size.json"
LOOKAHEADS = (1120, 560, 320, 80)
RUNTIMES = ("nemo layers", "torch", "torch int8", "onnx", "onnx-int8")
SPOKEN = 3.0
"""Tokens in a second of speech."""
BURSTS = (1, 10)
"""Tokens that a frame may emit at most: few, then NeMo's own limit."""


class Pointwise(torch.nn.Module):
    """A convolution of width one as a linear layer, in a convolution's place: (B, C, T) → (B, C', T)."""

    def __init__(self, linear: torch.nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.linear(x.transpose(1, 2)).transpose(1, 2)
        return found


def memory_mib(*names: str) -> list[int]:
    """Of this process, as the system says: VmHWM is the peak, VmRSS what is held, RssAnon without files."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return [int(lines[name].split()[0]) // 1024 for name in names]


def load(path: Path) -> dict[str, Any]:
    """CPU seconds and memory of a fresh process, from the import of NeMo to two seconds of speech."""
    began = time.process_time()
    with quiet_nemo():
        import nemo.collections.asr.models  # noqa: F401
    imported = time.process_time()
    [base] = memory_mib("VmRSS")
    checkpoint = Checkpoint.open(path)
    engine = checkpoint.engine("cpu")
    done = time.process_time()
    peak, held = memory_mib("VmHWM", "VmRSS")
    clip = onnx_parity.fixed_clips(engine.sample_rate, [checkpoint.prompt_index("auto")])[1]
    stream_together(engine, [clip], checkpoint.right_context(560))
    peak_used, held_used, anonymous = memory_mib("VmHWM", "VmRSS", "RssAnon")
    return {
        "parameters": checkpoint.info.parameters,
        "weights_mib": checkpoint.info.memory_bytes >> 20,
        "import_cpu_s": round(imported - began, 1),
        "import_mib": base,
        "load_cpu_s": round(done - imported, 1),
        "load_peak_mib": peak,
        "load_held_mib": held,
        "used_peak_mib": peak_used,
        "used_held_mib": held_used,
        "used_anonymous_mib": anonymous,
    }


def equal(path: Path, lookaheads: list[int]) -> dict[str, Any]:
    """Of two clips, at each look-ahead: whether a session says what offline decoding says."""
    checkpoint = Checkpoint.open(path)
    engine = checkpoint.engine("cpu")
    clips = onnx_parity.fixed_clips(
        engine.sample_rate, [checkpoint.prompt_index("auto"), checkpoint.prompt_index("el-GR")]
    )[:4]
    found = {}
    for ms in lookaheads:
        right = checkpoint.right_context(ms)
        whole = [decode_offline(engine, [clip], right)[0] for clip in clips]
        streamed = [stream_together(engine, [clip], right)[0] for clip in clips]
        same = [a.ids == b.ids and a.frames == b.frames for a, b in zip(whole, streamed, strict=True)]
        found[str(ms)] = {"equal": sum(same), "clips": len(same), "tokens": sum(len(o.ids) for o in whole)}
    return found


def speed(path: Path, lookaheads: list[int], kinds: list[str]) -> dict[str, Any]:
    """CPU seconds per second of audio with :data:`SPOKEN` tokens in it, of the longest clip, by runtime and
    look-ahead; whether each says what torch says.

    A random model emits tokens in bursts. It is heard twice, with few and with many of them, which tells what
    a token costs."""
    checkpoint = Checkpoint.open(path)
    base = checkpoint.engine("cpu")
    cached = base._cached
    found: dict[str, Any] = {}
    said: dict[tuple[int, int], Any] = {}
    for kind in kinds:
        engine = graphs(checkpoint, path.parent, kind) if kind.startswith("onnx") else base
        base._cached = None if kind == "nemo layers" else cached
        if kind == "torch int8":
            engine = quantized(checkpoint)
        clips = onnx_parity.fixed_clips(engine.sample_rate, [checkpoint.prompt_index("auto")])
        clip = max(clips, key=lambda one: one.pcm.size)  # a stream's steady state
        audio_s = clip.pcm.size / engine.sample_rate
        row = found[kind] = {}
        stream_together(engine, clips[:1], checkpoint.right_context(lookaheads[0]))
        for ms in lookaheads:
            spent, rates = [], []
            for most in BURSTS:
                limit(engine, most)
                began = time.process_time()
                heard = stream_together(engine, [clip], checkpoint.right_context(ms))[0]
                spent.append((time.process_time() - began) / audio_s)
                rates.append(len(heard.ids) / audio_s)
                mine = heard.ids, heard.frames
                same = mine == said.setdefault((ms, most), mine)
                row[f"{ms} says the same"] = same and row.get(f"{ms} says the same", True)
            token = (
                max(0.0, (spent[1] - spent[0]) / (rates[1] - rates[0])) if rates[1] > rates[0] + 5 else 0.0
            )
            row[str(ms)] = round(spent[0] + token * (SPOKEN - rates[0]), 4)
            row[f"{ms} a token"] = round(token, 5)
    return found


def limit(engine: Engine | OnnxEngine, most: int) -> None:
    """Let a frame emit so many tokens at most."""
    if isinstance(engine, OnnxEngine):
        engine.decoder._most = most
    else:
        engine.decoder._plain.max_symbols = most


def quantized(checkpoint: Checkpoint) -> Engine:
    """The torch engine with the linear layers of its encoder in eight bits, by torch's own dynamic
    quantization; a peer, which the workbench does not offer: it is to be removed from torch."""
    model = restore(checkpoint.archive, "cpu", "fp32")
    for layer in model.encoder.layers:
        for name in ("pointwise_conv1", "pointwise_conv2"):
            conv = getattr(layer.conv, name)
            linear = torch.nn.Linear(conv.in_channels, conv.out_channels, bias=conv.bias is not None)
            linear.weight.data = conv.weight.data[:, :, 0]
            if conv.bias is not None:
                linear.bias.data = conv.bias.data
            setattr(layer.conv, name, Pointwise(linear))
    torch.ao.quantization.quantize_dynamic(model.encoder, {torch.nn.Linear}, torch.qint8, inplace=True)
    return Engine(model.eval())


def graphs(checkpoint: Checkpoint, beside: Path, kind: str) -> OnnxEngine:
    """The engine of the checkpoint's graphs, which are written beside it once, without the long proof."""
    folder = beside / f"{checkpoint.path.stem}-graphs"
    if not (folder / onnx_graphs.FACTS).is_file():
        folder.mkdir(exist_ok=True)
        onnx_graphs.write(checkpoint.engine("cpu"), folder, "")
    if kind == "onnx-int8" and not (folder / "encoder.int8.onnx").is_file():
        runtimes.quantize(folder)
    return OnnxEngine(folder, 1, kind == "onnx-int8")


def in_transformers(path: Path, lookaheads: list[int]) -> dict[str, Any]:
    """Of two clips, at each look-ahead: whether Transformers' own class streams what a session says."""
    checkpoint = Checkpoint.open(path)
    engine = checkpoint.engine("cpu")
    folder = path.parent / f"{path.stem}-transformers"
    if not (folder / MANIFEST).is_file():
        transformers.write_package(checkpoint, folder)
    found: dict[str, Any] = {}
    for ms in lookaheads:
        right = checkpoint.right_context(ms)
        reader = transformers.Reader(Package.open(folder), checkpoint, right)
        clips = onnx_parity.fixed_clips(engine.sample_rate, [checkpoint.prompt_index("auto")])[:2]
        said = [reader.read(clip.pcm, "auto") for clip in clips]
        filled = [replace(clip, pcm=reader.filled(clip.pcm)) for clip in clips]
        wanted = [stream_together(engine, [clip], right)[0] for clip in filled]
        same = [(a.ids, a.frames) == (b.ids, b.frames) for a, b in zip(said, wanted, strict=True)]
        found[str(ms)] = {"equal": sum(same), "clips": len(same), "tokens": sum(len(o.ids) for o in said)}
    return found


def of_its_own(part: str, path: Path, lookaheads: list[int], kinds: list[str]) -> dict[str, Any]:
    """A part in a fresh process with one thread."""
    one = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    command = [sys.executable, "-m", "benchmarks.true_size", str(path), "--part", part]
    command += ["--lookaheads", *map(str, lookaheads), "--runtimes", *kinds]
    environment = {**os.environ, **one, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def record(found: dict[str, Any]) -> None:
    """Merge parts into the evidence."""
    earlier = json.loads(EVIDENCE.read_text()) if EVIDENCE.is_file() else {}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    facts = {
        "command": "python -m benchmarks.true_size CHECKPOINT",
        "commit": commit.stdout.strip(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "threads": 1},
    }
    EVIDENCE.write_text(json.dumps({**earlier, **facts, **found}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--parts", nargs="+", default=["load", "equal", "speed", "transformers"])
    parser.add_argument("--part", help="this one, in this process")
    parser.add_argument("--lookaheads", nargs="+", type=int, default=list(LOOKAHEADS))
    parser.add_argument("--runtimes", nargs="+", default=list(RUNTIMES))
    given = parser.parse_args()
    if given.part:
        parts = {
            "load": lambda: load(given.checkpoint),
            "equal": lambda: equal(given.checkpoint, given.lookaheads),
            "speed": lambda: speed(given.checkpoint, given.lookaheads, given.runtimes),
            "transformers": lambda: in_transformers(given.checkpoint, given.lookaheads),
        }
        print(json.dumps(parts[given.part]()))
        return
    for part in given.parts:
        found = of_its_own(part, given.checkpoint, given.lookaheads, given.runtimes)
        print(json.dumps({part: found}, indent=1), flush=True)
        record({part: found})


if __name__ == "__main__":
    main()
