"""The parent's side of the measuring process: starts it, asks it, ends it on cancel."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.capacity.measurement import Measurement, Memory
from workbench.errors import WorkbenchError
from workbench.machine import child_environment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.recognizer.checkpoint import Checkpoint

    Pcm = NDArray[np.float32]


class CancelledError(Exception):
    """The user asked to stop; what was measured before is kept by the caller."""


class Bench:
    """A measuring process while the ``with`` block runs.

    Args:
        clips: float32 mono at the checkpoint's rate.
        cancel: asked four times a second while an answer is awaited; True ends the process at once.
        threads: of torch; None leaves its default. ``runtime``: as ``Checkpoint.engine``.
        timeout_s: longest wait for one answer.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        clips: Sequence[Pcm],
        *,
        locale: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        runtime: str = "auto",
        cancel: Callable[[], bool] | None = None,
        timeout_s: float = 1800,
    ) -> None:
        self._checkpoint, self._clips = checkpoint, clips
        self._job = {"locale": locale, "device": device, "threads": threads, "runtime": runtime}
        self._cancel, self._timeout_s = cancel, timeout_s
        self.machine: dict[str, Any] = {}

    def __enter__(self) -> Bench:
        self._folder = tempfile.TemporaryDirectory(prefix="capacity-")
        folder = Path(self._folder.name)
        np.savez(folder / "clips.npz", *self._clips)
        self._errors = (folder / "errors.log").open("w+", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workbench.capacity.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=child_environment(PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
            start_new_session=True,
        )
        job = {"checkpoint": str(self._checkpoint.path.absolute()), "clips": str(folder / "clips.npz")}
        try:
            self.machine = self._ask({**job, **self._job})["ready"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._errors.close()
        self._folder.cleanup()

    def measurement(
        self,
        *,
        lookahead_ms: int,
        streams: int,
        repeat: int,
        calls: int,
        background_load: int,
        purpose: str,
        backlog_limit_s: float,
    ) -> Measurement:
        """One measurement: ``streams × calls`` clips at their own pace.

        Args:
            lookahead_ms: a look-ahead of the checkpoint. ``streams``: at once.
            repeat: which time this is; each speaks other clips.
            calls: one after the other on every stream.
            background_load: processes that burn a core each meanwhile, as it is recorded.
            purpose: what the measurement is for, as it is recorded.
            backlog_limit_s: seconds behind at which it is given up.
        """
        asked = {
            "do": "measurement", "lookahead_ms": lookahead_ms, "streams": streams, "repeat": repeat,
            "calls": calls, "background_load": background_load, "purpose": purpose,
            "backlog_limit_s": backlog_limit_s,
        }  # fmt: skip
        return Measurement.of(self._ask(asked)["measurement"])

    def memory(self, lookahead_ms: int, sessions: Sequence[int]) -> Memory:
        """Memory against open sessions."""
        asked = {"do": "memory", "lookahead_ms": lookahead_ms, "sessions": list(sessions)}
        return Memory.of(self._ask(asked)["memory"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        answer: dict[str, Any] = json.loads(self._line())
        if "error" in answer:
            what, where, hint = answer["error"]
            raise WorkbenchError(what, where=where, hint=hint)
        return answer

    def _line(self) -> bytes:
        pipe = self._process.stdout
        assert pipe is not None
        ends_at, held = time.monotonic() + self._timeout_s, b""
        with selectors.DefaultSelector() as waiting:
            waiting.register(pipe, selectors.EVENT_READ)
            while not held.endswith(b"\n"):
                if self._cancel is not None and self._cancel():
                    raise CancelledError
                if time.monotonic() > ends_at:
                    raise WorkbenchError(
                        f"no answer within {self._timeout_s:g} s", where="capacity", hint="Ask for less."
                    )
                if waiting.select(0.25):
                    part = os.read(pipe.fileno(), 1 << 16)
                    if not part:
                        raise self._died()
                    held += part
        return held

    def _died(self) -> WorkbenchError:
        self._process.wait()
        self._errors.flush()
        self._errors.seek(0)
        last = self._errors.read()[-4000:].strip().splitlines()[-1:] or ["no message"]
        return WorkbenchError(
            f"the measuring process ended with {self._process.returncode}: {last[0][:200]}",
            where="capacity",
            hint="Fewer streams need less memory.",
        )
