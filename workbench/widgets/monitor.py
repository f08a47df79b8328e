"""The monitor of fine-tuning runs: curves, validation, throughput, samples, log; cancel and resume.

A thread looks into the run folders and changes the traits when something has changed there, so every view
shows the same, a reloaded page gets it whole, and a restarted kernel attaches by showing a new monitor.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import traitlets

from workbench.errors import WorkbenchError
from workbench.plain_values import plain
from workbench.signatures import public
from workbench.widgets import assets
from workbench.widgets.channel import LiveWidget, answers
from workbench.widgets.monitor_data import log_lines, snapshot, stamp
from workbench.widgets.monitor_static import monitor_html

if TYPE_CHECKING:
    from workbench.finetuning.run import Run

log = logging.getLogger("workbench.widgets.monitor")
POLL_S = 1.0


@public
class Monitor(LiveWidget):
    """One run, or several over each other.

    Args:
        runs: a ``Run``, or several; the first is the one whose log and samples are shown at first.
        poll_s: seconds between two looks into the run folders.

    Raises:
        WorkbenchError: no run.
    """

    _esm = assets.module("monitor.js")
    _css = assets.style("monitor.css")

    runs = traitlets.List().tag(sync=True)
    logs = traitlets.Dict().tag(sync=True)

    def __init__(self, runs: Run | Sequence[Run], *, poll_s: float = POLL_S) -> None:
        self._runs: list[Run] = list(runs) if isinstance(runs, list | tuple) else [runs]  # type: ignore[list-item]
        if not self._runs:
            raise WorkbenchError("no run to watch", hint="Pass a run, or Run.attach(folder).")
        self._stamps: dict[int, Any] = {}
        self._closed = threading.Event()
        self._looking = threading.Lock()
        super().__init__()
        self.look()
        watcher = threading.Thread(target=_watch, args=(weakref.ref(self), self._closed, poll_s), daemon=True)
        watcher.name = "workbench-monitor"
        watcher.start()

    def look(self) -> None:
        """Read what changed in the run folders; safe from any thread."""
        with self._looking:
            shown = list(self.runs) or [None] * len(self._runs)
            changed = False
            for place, run in enumerate(self._runs):
                now = stamp(run)
                if self._stamps.get(place) != now:
                    self._stamps[place] = now
                    shown[place] = plain(snapshot(run))
                    changed = True
            if changed:
                self.runs = shown
                self.logs = plain({run.name: log_lines(run) for run in self._runs})

    def static_html(self) -> str:
        self.look()
        return monitor_html(list(self.runs))

    def close(self) -> None:
        self._closed.set()
        super().close()

    @answers("cancel", queue="act")
    def _cancel(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        run = self._run(body)
        if not run.alive:
            raise WorkbenchError("the run is not running", where=run.name)
        run.cancel()
        self.look()
        return {}

    @answers("resume", queue="act")
    def _resume(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        run = self._run(body)
        run.resume()
        self.look()
        return {}

    def _run(self, body: dict[str, Any]) -> Run:
        place = int(body.get("run") or 0)
        if not 0 <= place < len(self._runs):
            raise WorkbenchError("no such run")
        return self._runs[place]


def _watch(monitor: weakref.ref[Monitor], closed: threading.Event, poll_s: float) -> None:
    """Until the monitor is closed or forgotten. Holds it only while looking."""
    while not closed.wait(poll_s):
        held = monitor()
        if held is None:
            return
        try:
            held.look()
        except Exception:  # a file that is being replaced; the next look will do
            log.debug("could not look into a run folder", exc_info=True)
        del held
