"""Playback: hear a recording while the words land when a caller would have seen them.

Recognition runs once, as fast as the machine can, in a background thread; the browser replays its events on
the media clock. So seeking shows the state at that moment, and the view says that nothing was paced.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from workbench.errors import WorkbenchError
from workbench.locales import AUTO, LOCALES
from workbench.plain_values import plain
from workbench.recognizer.conditions import Condition
from workbench.recognizer.streaming import play
from workbench.signatures import public
from workbench.widgets import assets
from workbench.widgets.audio import AudioAnswers
from workbench.widgets.channel import LiveWidget, answers
from workbench.widgets.playback_lane import align, lane_data, marks_of, units
from workbench.widgets.playback_static import playback_html

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.corpus.query.table import Corpus
    from workbench.recognizer.checkpoint import Checkpoint

log = logging.getLogger("workbench.widgets.playback")
RATE = 16000
MIN_TAIL_S = 1.2
"""Silence after the recording, so that the media clock runs on until the last word is out."""


@cache
def recognition_thread() -> ThreadPoolExecutor:
    """One thread for all players: sessions share a checkpoint's weights; a second would slow the first."""
    return ThreadPoolExecutor(1, thread_name_prefix="workbench-playback")


@dataclass(frozen=True, slots=True)
class Settings:
    """What one lane recognizes with."""

    checkpoint: str
    locale: str
    lookahead_ms: int


@public
class Playback(AudioAnswers, LiveWidget):
    """Waveform, transcript on the media clock, chunk strip, and two lanes side by side.

    Args:
        checkpoint: the recognizer, or a mapping of names to several; the first is shown.
        audio: float samples (n,) at ``sample_rate``, or a row of ``corpus``, or its id.
        corpus: where the row comes from; its text is the reference and its locale the first one tried.
        compare_with: settings in which a second lane differs, such as ``{"lookahead_ms": 1120}``.
        start_s: where the cursor stands when it opens.
        runtime: as ``Checkpoint.engine``.

    Raises:
        WorkbenchError: empty audio, or a locale or look-ahead the checkpoint does not have.
    """

    _esm = assets.module("playback.js")
    _css = assets.style("playback.css")

    clip = traitlets.Dict().tag(sync=True)
    choices = traitlets.Dict().tag(sync=True)
    condition = traitlets.Dict().tag(sync=True)
    lanes = traitlets.List().tag(sync=True)
    differences = traitlets.Dict().tag(sync=True)
    start_s = traitlets.Float(0.0).tag(sync=True)

    def __init__(
        self,
        checkpoint: Checkpoint | Mapping[str, Checkpoint],
        audio: NDArray[np.float32] | Mapping[str, Any] | str,
        sample_rate: int = RATE,
        *,
        corpus: Corpus | None = None,
        locale: str | None = None,
        lookahead_ms: int | None = None,
        reference: str | None = None,
        title: str = "",
        compare_with: Mapping[str, Any] | None = None,
        condition: Condition | None = None,
        start_s: float = 0.0,
        runtime: str = "auto",
    ) -> None:
        self._runtime = runtime
        row: Mapping[str, Any] = audio if isinstance(audio, Mapping) else {}
        if corpus is not None and isinstance(audio, str):
            row = corpus.row(audio)
        self._pcm, self._rate = _samples(audio, sample_rate, corpus)
        self._checkpoints = (
            dict(checkpoint) if isinstance(checkpoint, Mapping) else {_name(checkpoint): checkpoint}
        )
        self._reference = reference if reference is not None else row.get("text")
        self._condition = condition or Condition()
        self._tail_s = MIN_TAIL_S
        self._lock = threading.RLock()
        self._asked: dict[int, int] = {}
        self._heard: dict[tuple[Settings, Condition], dict[str, Any]] = {}
        choices = {name: _choices(item) for name, item in self._checkpoints.items()}
        first = next(iter(self._checkpoints))
        settings = [self._settings(choices, first, locale or row.get("target_lang") or AUTO, lookahead_ms)]
        if compare_with is not None:
            settings.append(self._settings(choices, **(asdict(settings[0]) | dict(compare_with))))
        super().__init__(
            clip=self._clip(title or str(row.get("id") or "")),
            choices={"checkpoints": plain(choices)},
            condition=asdict(self._condition),
            lanes=[_waiting(item) for item in settings],
            start_s=start_s,
        )
        for index, item in enumerate(settings):
            self._ask(index, item)

    # -- what the browser asks -------------------------------------------------------------------------------

    def load_audio(self, key: str) -> tuple[NDArray[np.float32], int]:
        heard = self._condition.apply(self._pcm, self._rate)
        return np.concatenate([heard, np.zeros(int(self._tail_s * self._rate), np.float32)]), self._rate

    @answers("lane")
    def _answer_lane(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        index = 1 if body.get("index") else 0
        wanted = {key: body[key] for key in ("checkpoint", "locale", "lookahead_ms") if key in body}
        with self._lock:
            base = self.lanes[min(index, len(self.lanes) - 1)]["settings"]
        self._ask(index, self._settings(self.choices["checkpoints"], **(base | wanted)))
        return {}

    @answers("single")
    def _answer_single(self, _body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        with self._lock:
            self._asked[1] = self._asked.get(1, 0) + 1
            self.lanes = self.lanes[:1]
            self.differences = {}
        return {}

    @answers("condition")
    def _answer_condition(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        known = {
            key: body[key] for key in ("snr_db", "noise", "telephone", "gain_db", "rt60_s") if key in body
        }
        with self._lock:
            self._condition = replace(self._condition, **known)
            self.condition = asdict(self._condition)
            self.clip = self._clip(self.clip["title"])
            settings = [Settings(**lane["settings"]) for lane in self.lanes]
        for index, item in enumerate(settings):
            self._ask(index, item)
        return {}

    # -- recognition, in its own thread ----------------------------------------------------------------------

    def wait(self, timeout_s: float = 120.0) -> Playback:
        """Return once every lane is recognized; for notebooks run without a browser."""
        recognition_thread().submit(lambda: None).result(timeout_s)
        return self

    def _ask(self, index: int, settings: Settings) -> None:
        with self._lock:
            ticket = self._asked[index] = self._asked.get(index, 0) + 1
            condition = self._condition
            self._place(index, _waiting(settings, self._outcome(index)))
        recognition_thread().submit(self._recognize, index, ticket, settings, condition)

    def _recognize(self, index: int, ticket: int, settings: Settings, condition: Condition) -> None:
        if self._asked.get(index) != ticket:
            return
        try:
            data = self._heard.get((settings, condition)) or self._run(settings, condition)
            self._heard[settings, condition] = data
            lane = {"settings": asdict(settings), "state": "ready", "message": "", **data}
        except WorkbenchError as error:
            lane = {"settings": asdict(settings), "state": "failed", "message": str(error)}
        except Exception as error:
            log.exception("recognition for playback failed")
            lane = {
                "settings": asdict(settings),
                "state": "failed",
                "message": f"{type(error).__name__}: {error}"[:400],
            }
        with self._lock:
            if self._asked.get(index) == ticket:
                self._place(index, lane)
                self._after()

    def _run(self, settings: Settings, condition: Condition) -> dict[str, Any]:
        pcm = condition.apply(self._pcm, self._rate)
        checkpoint = self._checkpoints[settings.checkpoint]
        events = play(
            checkpoint, pcm, self._rate, settings.locale, settings.lookahead_ms, runtime=self._runtime
        )
        data: dict[str, Any] = plain(lane_data(events, settings.locale, self._reference))
        return data

    def _after(self) -> None:
        """Room for the last word on the clock, and what differs between the lanes."""
        ready = [lane for lane in self.lanes if lane["state"] == "ready"]
        last = max((lane["figures"]["last_word_s"] or 0.0 for lane in ready), default=0.0)
        if last + 0.2 > len(self._pcm) / self._rate + self._tail_s:
            self._tail_s = round(last + 0.5 - len(self._pcm) / self._rate, 1)
            self.clip = self._clip(self.clip["title"])
        self.differences = compared(ready[0], ready[1]) if len(ready) == 2 else {}

    def _place(self, index: int, lane: dict[str, Any]) -> None:
        lanes = list(self.lanes)
        lanes[index : index + 1] = [lane]
        self.lanes = lanes

    def _outcome(self, index: int) -> dict[str, Any]:
        """The last outcome of a lane, kept on screen (dimmed) until the next is there."""
        return self.lanes[index] if index < len(self.lanes) else {}

    def _clip(self, title: str) -> dict[str, Any]:
        with self._lock:
            version = getattr(self, "_version", 0) + 1
            self._version = version
        return {
            "key": f"clip-{version}",
            "title": title,
            "audio_s": len(self._pcm) / self._rate,
            "total_s": len(self._pcm) / self._rate + self._tail_s,
            "reference": self._reference or "",
        }

    def _settings(
        self, choices: Mapping[str, Any], checkpoint: str, locale: str, lookahead_ms: Any
    ) -> Settings:
        if checkpoint not in choices:
            raise WorkbenchError(f"no checkpoint '{checkpoint}'", hint=f"Choose from {', '.join(choices)}.")
        has = choices[checkpoint]
        stops = [int(value) for value in has["lookaheads_ms"]]
        wanted = int(has["default_lookahead_ms"]) if lookahead_ms is None else int(lookahead_ms)
        if wanted not in stops:
            raise WorkbenchError(
                f"'{checkpoint}' has no look-ahead of {wanted} ms",
                hint=f"Choose from {', '.join(map(str, stops))}.",
            )
        if locale not in has["locales"]:
            raise WorkbenchError(
                f"'{checkpoint}' has no locale '{locale}'", hint=f"Choose from {', '.join(has['locales'])}."
            )
        return Settings(checkpoint, locale, wanted)

    def static_html(self) -> str:
        if wait_s := float(os.environ.get("WORKBENCH_STATIC_WAIT_S", "0")):
            self.wait(wait_s)  # notebooks run without a browser
        heard = self._condition.apply(self._pcm, self._rate)
        return playback_html(heard, self.clip, list(self.lanes), self._condition.label)


def compared(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Where two lanes say different words: marks per word of each, and how many."""
    locale = left["lang"] or right["lang"] or left["settings"]["locale"]
    pairs = align(units(left["final"], locale), units(right["final"], locale), locale)
    return {
        "left": [tag for tag, _, _ in pairs if tag != "insert"],
        "right": marks_of(pairs),
        "words": sum(tag not in ("equal", "style") for tag, _, _ in pairs),
        "style": sum(tag == "style" for tag, _, _ in pairs),
    }


def _waiting(settings: Settings, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {**(before or {}), "settings": asdict(settings), "state": "busy", "message": ""}


def _samples(audio: Any, sample_rate: int, corpus: Corpus | None) -> tuple[NDArray[np.float32], int]:
    if isinstance(audio, str | Mapping):
        if corpus is None:
            raise WorkbenchError("a row needs its corpus", hint="Pass corpus=…, or the samples themselves.")
        id = audio if isinstance(audio, str) else str(audio["id"])
        pcm = np.asarray(corpus.audio(id, sample_rate=RATE), dtype=np.float32)
        sample_rate = RATE
    else:
        pcm = np.asarray(audio, dtype=np.float32).reshape(-1)
    if not len(pcm):
        raise WorkbenchError("the recording is empty", hint="Choose another row.")
    return pcm, int(sample_rate)


def _name(checkpoint: Any) -> str:
    return str(getattr(checkpoint, "name", None) or getattr(checkpoint.path, "stem", None) or "checkpoint")


def _choices(checkpoint: Any) -> dict[str, Any]:
    """Locales (auto first) and look-aheads of a checkpoint, with the names people know."""
    locales = [tag for tag in checkpoint.info.locales if tag != AUTO]
    return {
        "lookaheads_ms": sorted(int(value) for value in checkpoint.info.lookaheads_ms),
        "default_lookahead_ms": int(checkpoint.info.default_lookahead_ms),
        "locales": [AUTO, *locales],
        "names": {tag: LOCALES[tag].name for tag in locales if tag in LOCALES},
    }
