"""What runs a checkpoint's network: torch, or ONNX Runtime from graphs that are exported once and kept by
digest.

``auto`` takes ONNX Runtime on a CPU where graphs of this very checkpoint are there and were proved to say the
same, token by token; torch otherwise. It never exports by itself: that takes seconds to minutes, so it is
asked for, with ``runtime='onnx'`` or ``Checkpoint.prepare_onnx``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.recognizer import loading, onnx_graphs, onnx_parity
from workbench.recognizer.onnx_engine import OnnxEngine
from workbench.recognizer.onnx_graphs import FACTS, FORMAT

if TYPE_CHECKING:
    from workbench.recognizer.checkpoint_info import OpenCheckpoint
    from workbench.recognizer.clips import Clip
    from workbench.recognizer.engine import Engine

log = logging.getLogger("workbench.recognizer.runtimes")
RUNTIMES = ("auto", "torch", "onnx", "onnx-int8")
PARITY = "parity.json"
QUANTIZED = ("encoder", "joint")
"""Graphs whose weights int8 quantizes; the others are small."""
LARGE_STEP = 50_000_000
"""Parameters from which on a step takes two threads, where there are two cores: below, one is as fast."""


def cache_folder() -> Path:
    """Where exported graphs are kept: ``WORKBENCH_CACHE``, or the user's cache folder."""
    named = os.environ.get("WORKBENCH_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(home) / "nemotron-workbench"


def settle(
    checkpoint: OpenCheckpoint,
    runtime: str,
    device: str = "auto",
    precision: str = "auto",
    boosted: bool = False,
) -> str:
    """'torch', 'onnx' or 'onnx-int8' for what was asked.

    Args:
        boosted: words are to be favored, which the torch runtime does alone.

    Raises:
        WorkbenchError: an unknown runtime, ONNX asked for on CUDA, in bf16 or with boosting, or as
            :func:`loading.choose`.
    """
    if runtime not in RUNTIMES:
        raise WorkbenchError(f"unknown runtime {runtime!r}", hint=f"Use {', '.join(RUNTIMES)}.")
    if runtime == "torch":
        return runtime
    place, kind = loading.choose(device, precision)
    fits = place == "cpu" and kind == "fp32" and not boosted
    if runtime == "auto":
        return "onnx" if fits and is_proved(checkpoint) else "torch"
    if not fits:
        what = "with boosting" if boosted else f"on {place} in {kind}"
        raise WorkbenchError(f"ONNX Runtime is not used {what}", hint="Use runtime='torch'.")
    return runtime


def recorded(checkpoint: OpenCheckpoint, settled: str) -> str:
    """What a prediction records of a settled runtime: 'onnx' where graphs were proved to say what torch says,
    'onnx-unproved' where they were not, so that the two are never compared as one; others as they are.

    Raises:
        WorkbenchError: as :func:`prepare`, which is done where it was not.
    """
    if settled != "onnx":
        return settled
    prepare(checkpoint)
    return "onnx" if is_proved(checkpoint) else "onnx-unproved"


def why_torch(checkpoint: OpenCheckpoint, device: str = "auto", precision: str = "auto") -> str:
    """Why ``auto`` takes torch for a checkpoint, in words; "" where it takes ONNX Runtime."""
    if settle(checkpoint, "auto", device, precision) == "onnx":
        return ""
    place, kind = loading.choose(device, precision)
    if place != "cpu" or kind != "fp32":
        return f"ONNX Runtime is used on a CPU in fp32; this is {place} in {kind}"
    if not checkpoint.info.lookaheads_ms:
        return "the checkpoint decodes offline only"
    found = proof(checkpoint).get("fp32")
    if found is None:
        return "no graphs were exported for it: call prepare_onnx(), once"
    return f"its graphs did not say what torch says: {found['equal']} of {found['clips']} clips are equal"


def engine_of(checkpoint: OpenCheckpoint, runtime: str, device: str, precision: str) -> Engine:
    """The checkpoint's engine in a settled runtime; graphs that are not there yet are exported first.

    Raises:
        WorkbenchError: as :func:`loading.loaded` and :func:`prepare`.
    """
    if runtime == "torch":
        return loading.loaded(checkpoint.archive, device, precision)

    folder, int8 = prepare(checkpoint, int8=runtime == "onnx-int8"), runtime == "onnx-int8"
    threads = min(2, os.cpu_count() or 1) if checkpoint.info.parameters > LARGE_STEP else 1
    return loading.kept(("onnx", str(folder), int8), lambda: OnnxEngine(folder, threads, int8))


def is_proved(checkpoint: OpenCheckpoint) -> bool:
    """Whether graphs of this checkpoint are there and say what torch says."""
    if not any((cache_folder() / "onnx").glob("*")):
        return False  # without reading the whole file for its digest
    return bool(proof(checkpoint).get("fp32", {}).get("proved"))


def proof(checkpoint: OpenCheckpoint) -> dict[str, Any]:
    """What was compared when the graphs were written: ``fp32`` and ``int8``; empty where there are none."""
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((_folder(checkpoint) / PARITY).read_text("utf-8"))
        return found
    return {}


def prepare(checkpoint: OpenCheckpoint, *, int8: bool = False, clips: Sequence[Clip] = ()) -> Path:
    """The folder of the checkpoint's graphs; written, and compared with torch, where they are not there.

    Args:
        int8: the graphs with quantized weights too.
        clips: recordings to compare on, beside the fixed ones.

    Raises:
        WorkbenchError: the checkpoint cannot be exported, or its graphs cannot be written.
    """
    folder = _folder(checkpoint)
    if (folder / FACTS).is_file() and (not int8 or (folder / "encoder.int8.onnx").is_file()):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as held:
            draft = Path(held) / "graphs"
            draft.mkdir(mode=0o700)
            export(checkpoint, draft, int8=int8, clips=clips)
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(draft, folder)
    except OSError as error:
        # Another process may have put the same graphs there meanwhile.
        if not (folder / FACTS).is_file():
            what = f"the graphs cannot be written: {error.strerror}"
            raise WorkbenchError(what, where=str(folder), hint="Set WORKBENCH_CACHE.") from error
    return folder


def export(
    checkpoint: OpenCheckpoint, folder: Path, *, int8: bool = False, clips: Sequence[Clip] = ()
) -> dict[str, Any]:
    """Write the checkpoint's graphs into an empty folder, compare them with torch, and record both.

    Returns:
        The comparison, as :func:`proof`.
    """
    engine = loading.loaded(checkpoint.archive, "cpu", "fp32")
    facts = onnx_graphs.write(engine, folder, checkpoint.sha256)
    if int8:
        quantize(folder)
    rights = [int(right) for _, right in facts["contexts"]]
    prompt_indices: list[int | None] = [*checkpoint.info.prompts.values()] or [None]
    heard = [
        *onnx_parity.fixed_clips(engine.sample_rate, prompt_indices[:: max(1, len(prompt_indices) // 11)]),
        *clips,
    ]
    said, found = onnx_parity.spoken(engine, heard, rights), {}
    for name in ("fp32", "int8") if int8 else ("fp32",):
        other = onnx_parity.spoken(OnnxEngine(folder, int8=name == "int8"), heard, rights)
        found[name] = onnx_parity.compare(said, other, engine.frame_s)
    if not found["fp32"]["proved"]:
        log.warning("%s says not quite the same in ONNX Runtime: %s", checkpoint.path.name, found["fp32"])
    (folder / PARITY).write_text(json.dumps(found, indent=1) + "\n")
    return found


def quantize(folder: Path) -> None:
    """Write the large graphs again with weights of eight bits, scaled as each step's numbers come."""
    for name in QUANTIZED:
        onnx_graphs.quantize(folder / f"{name}.onnx", folder / f"{name}.int8.onnx")


def _folder(checkpoint: OpenCheckpoint) -> Path:
    return cache_folder() / "onnx" / f"{checkpoint.sha256}-{FORMAT}"
