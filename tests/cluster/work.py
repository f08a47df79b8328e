"""Shards for the tests, run in workers: some kill their process, some fail."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from workbench.errors import WorkbenchError


def square(number: int, folder: str, deadly: bool = False) -> int:
    """The square; a deadly shard ends its worker the first time. Each beginning leaves a file."""
    begun = Path(folder) / f"{number}.{os.getpid()}.{time.monotonic_ns()}"
    first = not list(Path(folder).glob(f"{number}.*"))
    begun.touch()
    if deadly and first:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def poison(number: int, folder: str) -> int:
    """Ends its worker whenever it is begun."""
    (Path(folder) / f"{number}.{time.monotonic_ns()}").touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def fault(number: int, folder: str) -> int:
    """Fails as a function may."""
    (Path(folder) / f"{number}.{time.monotonic_ns()}").touch()
    raise WorkbenchError("nothing to hear", where=f"clip {number}", hint="Speak up.")


def slow(number: int) -> int:
    """Takes its time."""
    time.sleep(0.3)
    return number


def node_of(number: int) -> str:
    """Where it ran; slow enough that no node takes all."""
    import ray

    time.sleep(0.5)
    return str(ray.get_runtime_context().get_node_id())
