"""Measure clips in a process of its own: batches come in on standard input, rows go out, one JSON line each.

``multiprocessing`` runs the caller's main module again in every worker, so that a plain script without
``if __name__ == "__main__"`` would start itself over and over. These workers know nothing of the caller.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from workbench.corpus.measures import measure_rows
from workbench.errors import WorkbenchError

Rows = list[dict[str, Any]]


class WorkerPool:
    """So many processes, each fed by a thread; to be used in a ``with``."""

    def __init__(self, processes: int) -> None:
        self._threads = ThreadPoolExecutor(processes)
        self._own = threading.local()
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        for worker in self._started:
            if worker.stdin is not None:
                with contextlib.suppress(BrokenPipeError):  # it died with input unread
                    worker.stdin.close()
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()

    def submit(self, tasks: Sequence[Any]) -> Future[Rows]:
        """Measure a batch.

        The future raises WorkbenchError where the worker died of it.
        """
        return self._threads.submit(self._measured, tasks)

    def _measured(self, tasks: Sequence[Any]) -> Rows:
        worker = self._worker()
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(json.dumps(tasks) + "\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
        except OSError:
            answer = ""
        if not answer:
            raise WorkbenchError(
                f"a process that measured sound ended with code {worker.wait()}",
                where=f"{len(tasks)} clips from {str(tasks[0][0])[:80]}",
                mend="Scan again with processes=1 to see which clip; what was measured is kept.",
            )
        rows: Rows = json.loads(answer)
        return rows

    def _worker(self) -> subprocess.Popen[str]:
        worker: subprocess.Popen[str] | None = getattr(self._own, "worker", None)
        if worker is None:
            package = str(Path(__file__).resolve().parents[2])
            path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
            worker = subprocess.Popen(
                [sys.executable, "-m", "workbench.corpus.scan_worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
                env={**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1"},
            )  # fmt: skip
            self._own.worker = worker
            self._started.append(worker)
        return worker


def main() -> None:
    """Answer batches until the input ends, as it also does when the caller is killed."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(measure_rows(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
