"""Write shards in processes of their own: tasks come in on standard input, counts go out.

As with ``scan_worker``, workers know nothing of the caller's main module. What is sent is the caller's own.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError


def each_done(write: Callable[[Any], int], tasks: Iterable[Any], workers: int) -> Iterator[int]:
    """What ``write``, a function of a module, returns for each task, in their order.

    Args:
        workers: processes; 1 works in this one. No more than two tasks a process are held.

    Raises:
        WorkbenchError: that of a task, or a process ended.
    """
    if workers == 1:
        yield from map(write, tasks)
        return
    waiting: deque[Future[int]] = deque()
    with _Pool(workers) as pool:
        for task in tasks:
            waiting.append(pool.submit(write, task))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Pool:
    """So many processes, each fed by a thread."""

    def __init__(self, processes: int) -> None:
        self._threads = ThreadPoolExecutor(processes)
        self._own = threading.local()
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> _Pool:
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

    def submit(self, write: Callable[[Any], int], task: Any) -> Future[int]:
        return self._threads.submit(self._written, write, task)

    def _written(self, write: Callable[[Any], int], task: Any) -> int:
        worker = self._worker()
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            pickle.dump((write, task), worker.stdin)
            worker.stdin.flush()
            count, error = pickle.load(worker.stdout)
        except (OSError, EOFError) as fault:
            raise WorkbenchError(
                f"a process that wrote a shard ended with code {worker.wait()}",
                where=str(getattr(task, "folder", "")),
                mend="Export again with workers=1; memory may have run out.",
            ) from fault
        if error is not None:
            raise error
        return int(count)

    def _worker(self) -> subprocess.Popen[bytes]:
        worker: subprocess.Popen[bytes] | None = getattr(self._own, "worker", None)
        if worker is None:
            package = str(Path(__file__).resolve().parents[2])
            path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
            worker = subprocess.Popen(
                [sys.executable, "-m", "workbench.corpus.shard_worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1"},
            )  # fmt: skip
            self._own.worker = worker
            self._started.append(worker)
        return worker


def main() -> None:
    """Answer tasks until the input ends, as it also does when the caller is killed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not stand among the answers
    while True:
        try:
            write, task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer: tuple[int, Exception | None] = write(task), None
        except WorkbenchError as error:
            answer = 0, error
        except Exception as error:
            answer = 0, WorkbenchError(f"a shard was not written: {type(error).__name__}: {error}")
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
