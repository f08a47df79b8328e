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
FULL_MODEL_MEMORY_GB = 8.0


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
        gpu = bool(self.gpus)
        return [
            (self.versions["nemo_toolkit"] is not None, "stream and transcribe with NeMo"),
            (self.free_memory_gb >= MIN_TRAINING_MEMORY_GB, "fine-tune the starter checkpoint in minutes"),
            (
                self.free_memory_gb >= FULL_MODEL_MEMORY_GB,
                "transcribe with the 600M checkpoint" + ("" if gpu else ", slowly"),
            ),
            (
                gpu,
                "fine-tune the 600M checkpoint" if gpu else "fine-tune the 600M checkpoint: needs a CUDA GPU",
            ),
        ]


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
