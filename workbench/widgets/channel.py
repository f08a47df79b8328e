"""Questions from the browser, answered off the kernel's message thread; the base class of live widgets.

Browser: ``await channel.ask("page", {offset: 0})`` (``js/channel.js``). Kernel::

    class Board(LiveWidget):
        @answers("page")
        def _page(self, body, buffers):
            return {"rows": rows}                    # or (answer, [bytes, ...])

With ipykernel 7 a message arrives in another thread than cells run in, even while a cell runs. There a
``LiveWidget`` only queues it and returns. A *worker queue* (``@answers("audio", queue="audio")``) is one
thread: its questions are answered in order and need no lock among themselves; what two queues share does.

A ``WorkbenchError`` is answered as a sentence for the user; anything else is logged whole and answered
as a fault, so the browser never waits for ever. Every question is acknowledged at once. Until then the
browser sends it again; one that has come before is not acted on again, but acknowledged and answered again.
"""

from __future__ import annotations

import contextlib
import html
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import anywidget

from workbench.errors import WorkbenchError
from workbench.plain_values import plain
from workbench.signatures import public

log = logging.getLogger("workbench.widgets")

Handler = TypeVar("Handler", bound=Callable[..., Any])
DEFAULT_QUEUE = "data"
TICKETS_KEPT = 512
ANSWERS_KEPT_BYTES = 200_000


def answers(question: str, *, queue: str = DEFAULT_QUEUE) -> Callable[[Handler], Handler]:
    """Mark a method ``(self, body: dict, buffers: list[memoryview])`` as the answer to ``question``."""

    def mark(method: Handler) -> Handler:
        method.__dict__["_answers"] = (question, queue)
        return method

    return mark


@public
class LiveWidget(anywidget.AnyWidget):  # type: ignore[misc]
    """An anywidget with questions and answers, and a static form for exported HTML."""

    def __init__(self, **traits: Any) -> None:
        self._queues: dict[str, ThreadPoolExecutor] = {}
        self._queues_lock = threading.Lock()
        self._answering = _handlers(type(self))
        self._tickets = _Tickets()
        super().__init__(**traits)
        self.on_msg(self._receive)

    def open(self) -> None:
        """Open the comm, and take what each page sends where that page sends it.

        ipykernel would send every later message where the last one came from: to the main thread, which a
        running cell holds, or to the subshell of a page that has been closed, where it is lost.
        """
        super().open()
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = _living_subshell

    def static_html(self) -> str:
        """What stands in exported HTML and wherever no widget can run. Escape every text."""
        return f"<p>{html.escape(type(self).__name__)}: run this cell in JupyterLab to see the live view.</p>"

    def __repr__(self) -> str:
        return f"{type(self).__name__}: a live view; a cell of JupyterLab shows it."

    def _repr_html_(self) -> str:
        try:
            return self.static_html()
        except Exception:  # the live view must still show
            log.exception("static form of %s failed", type(self).__name__)
            return f"<p>{html.escape(type(self).__name__)}</p>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live view, and beside it the static form for wherever no widget can run."""
        found = super()._repr_mimebundle_(**kwargs)
        data, metadata = found if isinstance(found, tuple) else (found, {})
        return {**(data or {}), "text/html": self._repr_html_()}, metadata

    def push(self, event: str, body: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Tell all open views of this widget something they did not ask for; safe from any thread."""
        self.send({"event": event, "body": plain(body)}, buffers=list(buffers))

    def run_in_queue(self, queue: str, work: Callable[[], None]) -> Future[None]:
        """Queue work of the kernel's own behind the questions of a queue."""
        return self._queue(queue).submit(_logged, work)

    def __del__(self) -> None:
        # One whose making failed has nothing to close.
        if "_queues_lock" in self.__dict__:
            super().__del__()

    def close(self) -> None:
        """Stop the queues (running work ends by itself) and close the widget."""
        with self._queues_lock:
            for queue in self._queues.values():
                queue.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _receive(self, _widget: Any, content: Any, buffers: list[memoryview]) -> None:
        if not isinstance(content, dict) or "ask" not in content:
            return
        ticket, question = content["ask"], str(content.get("question"))
        self.send({"received": ticket})
        if not self._tickets.take(ticket):
            answer = self._tickets.answer(ticket)
            if answer is not None:
                self.send(answer[0], buffers=answer[1])
            return
        body = {"view": content.get("view")} | (content.get("body") or {})
        method, queue = self._answering.get(question, (None, DEFAULT_QUEUE))
        if method is None:
            self._refuse(ticket, f"unknown question {question[:40]!r}", fault=True)
            return
        with contextlib.suppress(RuntimeError):  # the widget has been closed
            self._queue(queue).submit(self._answer, ticket, method, body, buffers)

    def _answer(self, ticket: Any, method: str, body: dict[str, Any], buffers: list[memoryview]) -> None:
        try:
            answer = getattr(self, method)(body, buffers)
        except WorkbenchError as error:
            self._refuse(ticket, str(error), fault=False)
        except Exception as error:
            log.exception("%s.%s failed", type(self).__name__, method)
            self._refuse(ticket, f"{type(error).__name__}: {error}"[:400], fault=True)
        else:
            body, out = answer if isinstance(answer, tuple) else (answer, [])
            # the key is not "id": ipykernel keeps routing entries for messages that carry one
            self._reply(ticket, {"answer": ticket, "body": plain(body or {})}, list(out))

    def _refuse(self, ticket: Any, message: str, *, fault: bool) -> None:
        self._reply(ticket, {"answer": ticket, "error": message, "fault": fault}, [])

    def _reply(self, ticket: Any, message: dict[str, Any], buffers: list[bytes]) -> None:
        self._tickets.keep(ticket, message, buffers)
        self.send(message, buffers=buffers)

    def _queue(self, name: str) -> ThreadPoolExecutor:
        with self._queues_lock:
            if name not in self._queues:
                prefix = f"{type(self).__name__}-{name}"
                self._queues[name] = ThreadPoolExecutor(max_workers=1, thread_name_prefix=prefix)
            return self._queues[name]


class _Tickets:
    """Questions lately taken, and their answers, for those that are sent again. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: OrderedDict[str, tuple[dict[str, Any], list[bytes]] | None] = OrderedDict()

    def take(self, ticket: Any) -> bool:
        """Whether this question is new, or its answer was too large to keep and is to be made anew."""
        with self._lock:
            if str(ticket) in self._taken:
                return False
            self._taken[str(ticket)] = None
            while len(self._taken) > TICKETS_KEPT:
                self._taken.popitem(last=False)
            return True

    def answer(self, ticket: Any) -> tuple[dict[str, Any], list[bytes]] | None:
        """The answer to a question taken before; None while it is still worked on."""
        with self._lock:
            return self._taken.get(str(ticket))

    def keep(self, ticket: Any, message: dict[str, Any], buffers: list[bytes]) -> None:
        """Keep an answer. One with much sound in it is not kept: reading it again changes nothing."""
        with self._lock:
            if sum(len(buffer) for buffer in buffers) > ANSWERS_KEPT_BYTES:
                self._taken.pop(str(ticket), None)
            else:
                self._taken[str(ticket)] = (message, buffers)


def _living_subshell(_data: Any, asked: str | None) -> str | None:
    """The subshell that a page sent a message to; the main thread where it is gone or none was asked for."""
    if asked is None:
        return None
    from ipykernel.kernelbase import Kernel

    try:
        Kernel.instance().shell_channel_thread.manager.get_shell_channel_to_subshell_socket(asked)
    except Exception:  # ended, or an ipykernel that keeps its subshells elsewhere
        return None
    return asked


def _handlers(cls: type) -> dict[str, tuple[str, str]]:
    """Question → (method name, queue), from the marks of ``answers``; subclasses win."""
    found: dict[str, tuple[str, str]] = {}
    for base in reversed(cls.__mro__):
        for name, member in vars(base).items():
            mark = getattr(member, "_answers", None)
            if isinstance(mark, tuple):
                found[mark[0]] = (name, mark[1])
    return found


def _logged(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        log.exception("background work of a widget failed")
