"""The objects that a workspace hands out: what the rooms made, with their widgets and charts attached.

Rooms do not know Jupyter; here they meet it. Nothing heavy is imported until a method needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.capacity.result import Capacity as MeasuredCapacity
from workbench.corpus.query.table import Corpus as CorpusTable
from workbench.errors import WorkbenchError
from workbench.evaluation import Evaluation as Scored
from workbench.field.conditions import ConditionSweep as SweptConditions
from workbench.field.dashboard import FieldReport as Watched
from workbench.finetuning.run import Run as TrainingRun
from workbench.names import check_name
from workbench.recognizer.checkpoint import Checkpoint as Recognizer
from workbench.release.release import Release as Candidate
from workbench.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from workbench.field import Proposal
    from workbench.widgets.board import Board
    from workbench.widgets.explorer import Explorer
    from workbench.widgets.lineage import Lineage
    from workbench.widgets.microphone import Microphone
    from workbench.widgets.monitor import Monitor
    from workbench.widgets.playback import Playback


class Corpus(CorpusTable):
    """A corpus of a workspace, or a filtered view of one; see ``corpus.query.table.Corpus``."""

    def board(self, **options: Any) -> Board:
        """The curation board on these utterances."""
        from workbench.widgets.board import Board

        return Board(self, **options)

    @property
    def predictions_folder(self) -> Path:
        return self.folder / "predictions"

    def prediction_names(self) -> list[str]:
        """Names of the predictions that exist, oldest first."""
        found = sorted(self.predictions_folder.glob("*.parquet"), key=lambda p: p.stat().st_mtime_ns)
        return [p.stem for p in found]

    def prediction(self, name: str) -> pd.DataFrame:
        """A prediction as a table (see "Predictions" in docs/architecture.md).

        Raises:
            WorkbenchError: there is none of that name; those there are are listed.
        """
        import pandas as pd

        path = self.predictions_folder / f"{check_name(name)}.parquet"
        if not path.is_file():
            known = ", ".join(self.prediction_names()) or "none yet"
            raise WorkbenchError(
                f"no prediction {name!r}",
                where=f"corpus {self.name}",
                hint=f"There is {known}; make one with ws.transcribe.",
            )
        return pd.read_parquet(path)


class Checkpoint(Recognizer):
    """A checkpoint; see :class:`workbench.recognizer.checkpoint.Checkpoint`."""

    def play(
        self, corpus: CorpusTable, id: str, *, others: Mapping[str, Recognizer] | None = None, **options: Any
    ) -> Playback:
        """Hear an utterance of a corpus with the transcript appearing as it would live.

        Args:
            others: further checkpoints to choose from, by the name shown for them; ``options`` are those of
                :class:`workbench.widgets.playback.Playback`, such as ``beside={"checkpoint": "tuned"}``.
        """
        from workbench.widgets.playback import Playback

        choice = {self.path.stem: self, **others} if others else self
        return Playback(choice, corpus.row(id), corpus=corpus, **options)

    def microphone(self, corpus: CorpusTable | None = None, **options: Any) -> Microphone:
        """Speak in the browser, watch the transcript come; takes of speakers who consent join ``corpus``."""
        from workbench.widgets.microphone import Microphone

        return Microphone(self, corpus=corpus, **options)


class Run(TrainingRun):
    """A fine-tuning run; see :class:`workbench.finetuning.run.Run`."""

    def monitor(self, **options: Any) -> Monitor:
        """Live curves, throughput, samples and log of the run, with cancel and resume."""
        from workbench.widgets.monitor import Monitor

        return Monitor(self, **options)


class Evaluation(Scored):
    """Scored predictions; see :class:`workbench.evaluation.Evaluation`."""

    corpus: CorpusTable | None = None

    def explorer(
        self, checkpoint: Recognizer | Mapping[str, Recognizer] | None = None, **options: Any
    ) -> Explorer:
        """The error explorer: heat map, utterances, aligned words, audio.

        ``checkpoint``: to stream an utterance again; one, or those of the predictions by name.
        """
        from workbench.widgets.explorer import Explorer

        return Explorer(self, self.corpus, checkpoint=checkpoint, **options)


class Release(Candidate):
    """A candidate on its way out; see :class:`workbench.release.Release`."""

    def lineage(self) -> Lineage:
        """From recordings to this release, to click through; :meth:`graph` gives it as data."""
        from workbench.widgets.lineage import Lineage

        return Lineage(self.graph())


class Capacity(MeasuredCapacity):
    """A capacity sweep; see :class:`workbench.capacity.Capacity`."""

    def chart(self, **options: Any) -> go.Figure:
        """Latency and share of computing against streams, a line per look-ahead."""
        from workbench.widgets.capacity_figures import capacity_chart

        return capacity_chart(self, **options)


class ConditionSweep(SweptConditions):
    """A sweep of noise and band; see :class:`workbench.field.ConditionSweep`."""

    def chart(self, **options: Any) -> go.Figure:
        """Errors, empty outputs and punctuation against noise, a row per locale, a line per band."""
        from workbench.widgets.conditions_figures import conditions_panels

        return conditions_panels(self, **options)


class FieldReport(Watched):
    """A field log against its baseline; see :class:`workbench.field.FieldReport`."""

    workspace: WorkspaceFolder | None = None

    def chart(self, quantity: str | None = None, **options: Any) -> go.Figure:
        """Control charts of one quantity, a panel per locale; None: that of the clearest alarm."""
        from workbench.widgets.field_figures import field_chart

        clearest = self.alarms.sort_values("p_value")["quantity"].tolist()
        return field_chart(self, quantity or (clearest or ["empty"])[0], **options)

    def propose(self, purpose: str | None = None, **options: Any) -> Proposal:
        """Calls that the drift points at, as far as consent and erasures allow."""
        from workbench.field import propose

        assert self.workspace is not None
        return propose(self.log, self.alarms, self.workspace, purpose=purpose, **options)
