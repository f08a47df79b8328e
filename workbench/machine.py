"""What this machine is and what therefore works on it; read once for ``ws.overview()`` and run records."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

MIN_TRAINING_MEMORY_GB = 4.0
STREAM_600M_GB, ADAPT_600M_GB, TRAIN_600M_GB = 5.0, 7.0, 13.0
"""Of the 600M checkpoint in fp32 on a CPU: to stream, to train an adapter or LoRA, to train all weights;
measured with random weights of its size, and what the rest of the process takes."""
ADAPT_600M_STEP = "about 4 s a step of 10 s of audio"
TRAIN_600M_STEP = "several times an adapter's time: a GPU is for that"


@dataclass(frozen=True, slots=True)
class Machine:
    """Hardware and versions. Memory and disk in GB (10⁹ bytes); ``gpus`` are CUDA device names."""

    cores: int
    memory_gb: float
    free_memory_gb: float
    free_disk_gb: float
    gpus: tuple[str, ...]
    python: str
    versions: dict[str, str | None]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def abilities(self) -> list[tuple[bool, str]]:
        """(works here, what) in words, for people who decide what to try first."""
        free = self.free_memory_gb
        return [
            (self.versions["nemo_toolkit"] is not None, "stream and transcribe with NeMo"),
            (free >= MIN_TRAINING_MEMORY_GB, "fine-tune the starter checkpoint in minutes"),
            (free >= STREAM_600M_GB, f"stream the 600M checkpoint ({STREAM_600M_GB:.0f} GB of memory)"),
            self._trains("an adapter or LoRA of the 600M checkpoint", ADAPT_600M_GB, ADAPT_600M_STEP),
            self._trains("all weights of the 600M checkpoint", TRAIN_600M_GB, TRAIN_600M_STEP),
        ]

    def _trains(self, what: str, needed_gb: float, step: str) -> tuple[bool, str]:
        if self.gpus:
            return True, f"train {what} on {self.gpus[0]}"
        return self.free_memory_gb >= needed_gb, f"train {what} on the CPU ({needed_gb:.0f} GB, {step})"


def read(folder: Path) -> Machine:
    """This machine, with the free space of the disk that ``folder`` is on."""
    memory = psutil.virtual_memory()
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=memory.total / 1e9,
        free_memory_gb=memory.available / 1e9,
        free_disk_gb=shutil.disk_usage(folder).free / 1e9,
        gpus=_gpus(),
        python=platform.python_version(),
        versions={name: _version(name) for name in ("nemo_toolkit", "torch", "lhotse", "jupyterlab")},
    )


def child_environment(**added: str) -> dict[str, str]:
    """The environment for a process that the package starts: this one's, with threads that sleep while they
    wait.

    A thread of OpenMP turns in a loop while it waits for the others. With two of them and any other work on
    the machine that took 13 to 15 seconds of CPU for what takes 3 when they sleep, or when there is one.
    ``OMP_WAIT_POLICY`` that is set already holds.

    Args:
        added: variables that are to be set as well.
    """
    return {"OMP_WAIT_POLICY": "passive", **os.environ, **added}


def trim_memory() -> None:
    """Give freed memory back to the system where the C library can (glibc), which keeps it otherwise."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _gpus() -> tuple[str, ...]:
    try:
        import torch
    except ImportError:
        return ()
    return tuple(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
