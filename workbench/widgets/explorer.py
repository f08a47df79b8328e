"""The error explorer: from a cell of the heat map to the sound of one word, and to acting on it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from workbench.errors import WorkbenchError
from workbench.widgets import assets
from workbench.widgets.audio import AudioAnswers
from workbench.widgets.channel import LiveWidget, answers, plain
from workbench.widgets.explorer_cell import beside, utterances
from workbench.widgets.explorer_data import first_choice, heat_map, prediction_label, where_of
from workbench.widgets.explorer_static import explorer_html, heat_svg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.corpus.table import Corpus
    from workbench.evaluation import Evaluation
    from workbench.recognizer.checkpoint import Checkpoint

log = logging.getLogger("workbench.widgets.explorer")
SAMPLE_RATE = 16_000
MOST_SENT = 5_000


class Explorer(AudioAnswers, LiveWidget):
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
        self._keeping = threading.Lock()
        super().__init__(
            map=plain(heat_map(evaluation, self._choice)),
            can={"listen": corpus is not None, "stream": corpus is not None and checkpoint is not None},
        )

    def load_audio(self, key: str) -> tuple[NDArray[np.float32], int]:
        return self._corpus().audio(key, sample_rate=SAMPLE_RATE), SAMPLE_RATE

    def static_html(self) -> str:
        return explorer_html(self.evaluation, self._choice, dict(self.map))

    # -- looking ---------------------------------------------------------------------------------------------

    @answers("choose")
    def _choose(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        choice = self._choice.changed(self.evaluation, body)
        made = plain(heat_map(self.evaluation, choice))
        self._choice = choice
        self.opened = {}
        self.map = made
        return {}

    @answers("cell")
    def _cell(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """A page of utterances of a cell, and on its first page, unfiltered, what lies beside them."""
        row, column = body.get("row"), body.get("column")
        chosen, offset = dict(body.get("filter") or {}), int(body.get("offset") or 0)
        page = utterances(self.evaluation, self._choice, row, column, chosen, offset)
        if not offset:
            self.opened = plain({"row": row, "column": column, "filter": chosen})
        return page

    @answers("beside")
    def _beside(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        return beside(self.evaluation, self._choice, body.get("row"), body.get("column"))

    @answers("stream", lane="stream")
    def _stream(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Open playback of an utterance shortly before a moment; words and chunks are its own."""
        from workbench.widgets.playback import Playback

        if self._checkpoints is None:
            raise WorkbenchError("no checkpoint to stream with", mend="Pass checkpoint=… to the explorer.")
        facts = self.evaluation.facts(self._choice.name)
        given = self._checkpoints
        if isinstance(given, Mapping):
            given = (
                {self._choice.name: given[self._choice.name], **given}
                if self._choice.name in given
                else given
            )
        ahead = facts.get("lookahead_ms")
        locale = "auto" if facts.get("prompt_mode") == "auto" else None
        start_s = max(0.0, float(body.get("at_s") or 0.0) - 0.5)
        old, self.playback = (
            self.playback,
            Playback(
                given,
                str(body["id"]),
                corpus=self._corpus(),
                locale=locale,
                lookahead_ms=int(ahead) if ahead is not None and ahead == ahead else None,
                start_s=start_s,
            ),
        )
        if old is not None:
            old.close()
        return {}

    @answers("unstream", lane="stream")
    def _unstream(self, _body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        old, self.playback = self.playback, None
        if old is not None:
            old.close()
        return {}

    # -- acting ----------------------------------------------------------------------------------------------

    @answers("send", lane="decide")
    def _send_to_curation(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Tag utterances for the reviewers, with the reason; the board filters by that tag."""
        ids = [str(item) for item in body.get("ids") or []][:MOST_SENT]
        reason = " ".join(str(body.get("reason") or "").split())
        if not reason:
            raise WorkbenchError(
                "no reason is given", mend="Say in a few words what a reviewer should check."
            )
        tag = f"check: {reason}"[:100]
        self._corpus().decisions.tag(ids, tag)
        return {"tag": tag, "sent": len(ids)}

    @answers("plan", lane="decide")
    def _plan(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Add minutes of a locale and accent to the collection plan, a JSON file beside the corpus."""
        minutes = float(body.get("minutes") or 0)
        if not 0 < minutes <= 100_000:
            raise WorkbenchError(f"{minutes:g} minutes cannot be planned", mend="Give a number above 0.")
        wish = {"target_lang": body.get("locale"), "accent": body.get("accent"), "minutes": minutes}
        kept = self._keep("collection_plan.json", [*self._kept("collection_plan.json"), wish])
        return {"planned": len(kept), "minutes": sum(float(item["minutes"]) for item in kept)}

    @answers("keyword", lane="decide")
    def _keyword(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Add a word to the keyword list of the corpus, which scoring and boosting take."""
        word = str(body.get("word") or "").strip()
        kept = [item for item in self._kept("keywords.json") if item != word]
        return {"keywords": len(self._keep("keywords.json", [*kept, word]))}

    @answers("export")
    def _export(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """The map as SVG, or the cell's utterances as CSV with formulas defused, or the cell as SQL."""
        row, column = body.get("row"), body.get("column")
        if body.get("format") == "svg":
            return {"text": heat_svg(dict(self.map))}
        if body.get("format") == "sql":
            return {"text": sql_of(where_of(self._choice, row, column))}
        from workbench.corpus.formats import defused

        options: dict[str, Any] = {"metric": self._choice.metric, "normaliser": self._choice.normaliser}
        frame = self.evaluation.utterances(self._choice.name, where_of(self._choice, row, column), **options)
        return {"text": frame.map(defused).to_csv(index=False)}

    @property
    def keywords(self) -> list[str]:
        """Words that were added to the keyword list."""
        return [str(item) for item in self._kept("keywords.json")]

    @property
    def collection_plan(self) -> list[dict[str, Any]]:
        """What is to be collected: ``target_lang``, ``accent``, ``minutes`` each."""
        return list(self._kept("collection_plan.json"))

    def _kept(self, name: str) -> list[Any]:
        file = self._corpus().folder / name
        return list(json.loads(file.read_text("utf-8"))) if file.exists() else []

    def _keep(self, name: str, values: list[Any]) -> list[Any]:
        from workbench.workspace import write_atomic

        with self._keeping:
            write_atomic(
                self._corpus().folder / name, json.dumps(values, ensure_ascii=False, indent=1) + "\n"
            )
        return values

    def _corpus(self) -> Corpus:
        if self.corpus is None:
            raise WorkbenchError("this explorer has no corpus", mend="Pass corpus=… to hear and to decide.")
        return self.corpus

    def label(self) -> str:
        return prediction_label(self.evaluation, self._choice.name)


def sql_of(where: Mapping[str, Any] | None) -> str:
    """A cell as an expression for ``corpus.where``; bands become conditions on the number behind them."""
    from workbench.evaluation.slices import BANDS

    parts = []
    for name, value in (where or {}).items():
        if value is None:
            parts.append(f"{BANDS[name][0] if name in BANDS else name} IS NULL")
        elif name in BANDS:
            parts.append(_band_sql(BANDS[name][0], str(value).rsplit(" ", 1)[0]))
        else:
            parts.append(f"{name} = '{str(value).replace(chr(39), 2 * chr(39))}'")
    return " AND ".join(parts) or "true"


def _band_sql(column: str, band: str) -> str:
    if band.startswith("<"):
        return f"{column} < {band[1:].strip()}"
    if band.startswith("≥"):
        return f"{column} >= {band[1:].strip()}"
    low, high = band.split("–")
    return f"{column} >= {low} AND {column} < {high}"
