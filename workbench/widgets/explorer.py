"""The error explorer: from a cell of the heat map to the sound of one word, and to acting on it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from workbench.errors import WorkbenchError
from workbench.plain_values import plain
from workbench.signatures import public
from workbench.widgets import assets
from workbench.widgets.channel import answers
from workbench.widgets.explorer_actions import ExplorerActions
from workbench.widgets.explorer_cell import utterances
from workbench.widgets.explorer_comparison import marks, side_panel
from workbench.widgets.explorer_data import ALL, OFFLINE, first_choice, fitting_first, heat_map, lookahead_of
from workbench.widgets.explorer_order import WORST, orders
from workbench.widgets.explorer_static import explorer_html
from workbench.widgets.playback import Playback

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.corpus.query.table import Corpus
    from workbench.evaluation import Evaluation
    from workbench.recognizer.checkpoint import Checkpoint

log = logging.getLogger("workbench.widgets.explorer")
SAMPLE_RATE = 16_000


@public
class Explorer(ExplorerActions):
    """Heat map → cell → utterance → word, with what they share beside them.

    Args:
        evaluation: what was scored.
        corpus: where the recordings and decisions are; without it there is no sound and nothing to send to.
        checkpoint: for "stream this": one, or a mapping of prediction name → checkpoint.
        name: the prediction shown first, the last one by default; ``against``: a base to compare it with.

    Raises:
        WorkbenchError: no column that could span the map.
    """

    _esm = assets.module("explorer.js")
    _css = assets.style("playback.css", "explorer.css")

    map = traitlets.Dict().tag(sync=True)
    opened = traitlets.Dict().tag(sync=True)
    can = traitlets.Dict().tag(sync=True)
    playback = anywidget.WidgetTrait().tag(sync=True)

    def __init__(
        self,
        evaluation: Evaluation,
        corpus: Corpus | None = None,
        checkpoint: Checkpoint | Mapping[str, Checkpoint] | None = None,
        *,
        name: str = "",
        against: str = "",
    ) -> None:
        self.evaluation, self.corpus = evaluation, corpus
        self._checkpoints = checkpoint
        self._choice = first_choice(evaluation, name, against)
        super().__init__(
            map=plain(heat_map(evaluation, self._choice)),
            can={
                "listen": corpus is not None,
                "stream": corpus is not None and checkpoint is not None,
                "memory_key": self._memory_key(),
            },
        )
        # Aligning marks takes seconds the first time; it is done before anyone asks, behind what they ask.
        self.run_in_queue("marks", self._warm)

    def load_audio(self, key: str) -> tuple[NDArray[np.float32], int]:
        return self._corpus().audio(key, sample_rate=SAMPLE_RATE), SAMPLE_RATE

    def _memory_key(self) -> str:
        """Under which a browser tab keeps what it showed, for after a kernel restart: this data, first shown
        this way."""
        folder = "" if self.corpus is None else str(self.corpus.folder)
        parts = [folder, *self.evaluation.names, self._choice.name, self._choice.against]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def static_html(self) -> str:
        return explorer_html(self.evaluation, self._choice, dict(self.map))

    # -- looking ---------------------------------------------------------------------------------------------

    @answers("choose")
    def _choose(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Change what the map shows."""
        choice = self._choice.changed(self.evaluation, body)
        made = plain(heat_map(self.evaluation, choice))
        self._choice = choice
        self.opened = {}
        self.map = made
        return {}

    @answers("cell")
    def _cell(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """A page of utterances of a cell; what lies beside them is asked for apart."""
        row, column = body.get("row"), body.get("column")
        chosen, offset = dict(body.get("filter") or {}), int(body.get("offset") or 0)
        order = str(body.get("order") or WORST)
        if order not in orders(self.evaluation, self._choice):
            order = WORST  # such as the difference to a base that is no longer chosen
        page = utterances(self.evaluation, self._choice, row, column, chosen, offset, order)
        if not offset:
            self.opened = plain({"row": row, "column": column, "filter": chosen})
        return page

    @answers("side_panel")
    def _side_panel(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        return side_panel(self.evaluation, self._choice, body.get("row"), body.get("column"))

    @answers("marks", queue="marks")
    def _marks(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        return marks(self.evaluation, self._choice, body.get("row"), body.get("column"))

    def _warm(self) -> None:
        marks(self.evaluation, self._choice, ALL, ALL)

    @answers("stream", queue="stream")
    def _stream(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Open playback of an utterance shortly before a moment; words and chunks are its own."""
        if self._checkpoints is None:
            raise WorkbenchError("no checkpoint to stream with", hint="Pass checkpoint=… to the explorer.")
        facts = self.evaluation.facts(self._choice.name)
        given = self._checkpoints
        if isinstance(given, Mapping):
            given = fitting_first(self.evaluation, self._choice.name, given)
        ahead = lookahead_of(self.evaluation, self._choice.name)
        locale = "auto" if facts.get("prompt_mode") == "auto" else None
        start_s = max(0.0, float(body.get("at_s") or 0.0) - 0.5)
        old, self.playback = (
            self.playback,
            Playback(
                given,
                str(body["id"]),
                corpus=self._corpus(),
                locale=locale,
                lookahead_ms=None if ahead == OFFLINE else int(ahead),
                start_s=start_s,
            ),
        )
        if old is not None:
            old.close()
        return {}

    @answers("unstream", queue="stream")
    def _unstream(self, _body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        old, self.playback = self.playback, None
        if old is not None:
            old.close()
        return {}

    def _corpus(self) -> Corpus:
        if self.corpus is None:
            raise WorkbenchError("this explorer has no corpus", hint="Pass corpus=… to hear and to decide.")
        return self.corpus
