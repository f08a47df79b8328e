"""Work in processes of their own: functions and tasks come in on standard input, answers go out.

``multiprocessing`` runs the caller's main module again in every worker, so that a plain script without
``if __name__ == "__main__"`` would start itself over and over. These workers know nothing of that module.
What is sent is the caller's own, between processes of one user.
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
from typing import Any, TypeVar

from workbench.errors import WorkbenchError
from workbench.machine import child_environment

Answer = TypeVar("Answer")


def each_done(
    work: Callable[[Any], Answer], tasks: Iterable[Any], workers: int, hint: str = ""
) -> Iterator[Answer]:
    """What ``work``, a function of a module, returns for each task, in their order.

    Args:
        workers: processes; 1 works in this one. No more than two tasks a process are held.
        hint: what to do where a process ends.

    Raises:
        WorkbenchError: that of a task, or a process ended.
    """
    if workers == 1:
        yield from map(work, tasks)
        return
    waiting: deque[Future[Answer]] = deque()
    with WorkerPool(workers, hint) as pool:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class WorkerPool:
    """So many processes, each fed by a thread; to be used in a ``with``."""

    def __init__(self, processes: int, hint: str = "") -> None:
        self._threads = ThreadPoolExecutor(processes)
        self._own = threading.local()
        self._started: list[subprocess.Popen[bytes]] = []
        self._hint = hint

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

    def submit(self, work: Callable[[Any], Answer], task: Any) -> Future[Answer]:
        """``work(task)`` in one of the processes; ``work`` is a function of a module.

        The future raises WorkbenchError where the work failed or its process ended.
        """
        return self._threads.submit(self._answered, work, task)

    def _answered(self, work: Callable[[Any], Any], task: Any) -> Any:
        worker = self._worker()
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            pickle.dump((work, task), worker.stdin)
            worker.stdin.flush()
            answer, error = pickle.load(worker.stdout)
        except (OSError, EOFError) as fault:
            raise WorkbenchError(
                f"a worker process ended with code {worker.wait()}", where=_named(task), hint=self._hint
            ) from fault
        if error is not None:
            raise error
        return answer

    def _worker(self) -> subprocess.Popen[bytes]:
        worker: subprocess.Popen[bytes] | None = getattr(self._own, "worker", None)
        if worker is None:
            package = str(Path(__file__).resolve().parents[2])
            path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
            worker = subprocess.Popen(
                [sys.executable, "-m", "workbench.corpus.workers"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env=child_environment(PYTHONPATH=path, PYTHONUTF8="1"),
            )  # fmt: skip
            self._own.worker = worker
            self._started.append(worker)
        return worker


def _named(task: Any) -> str:
    """What a task is about, for a message: the folder of a shard, the first clip of a batch."""
    if isinstance(task, list | tuple):
        return f"{len(task)} clips from {str(task[0][0])[:80]}" if task else ""
    return str(getattr(task, "folder", ""))


def main() -> None:
    """Answer tasks until the input ends, as it also does when the caller is killed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not stand among the answers
    while True:
        try:
            work, task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer: tuple[Any, Exception | None] = work(task), None
        except WorkbenchError as error:
            answer = None, error
        except Exception as error:
            fault = f"{getattr(work, '__name__', 'work')} failed: {type(error).__name__}: {error}"
            answer = None, WorkbenchError(fault, where=_named(task))
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
