"""A corpus, or the part of it that a filter leaves: looked at, decided on and handed out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workbench.corpus import predictions as predicted
from workbench.corpus.export.export import Export, Only, export
from workbench.corpus.export.timed_text import Format as TimedText
from workbench.corpus.export.timed_text import TimedTextExport, write_timed_text
from workbench.corpus.imported_predictions import predictions_within
from workbench.corpus.query.view import View
from workbench.corpus.split import mixing, splits
from workbench.corpus.split.splits import SplitReport
from workbench.errors import WorkbenchError
from workbench.glance import counted
from workbench.ingest import not_speech
from workbench.locks import unerased
from workbench.signatures import public
from workbench.views import Widget, view
from workbench.workspace import roles

if TYPE_CHECKING:
    import pandas as pd

    from workbench.corpus.imported_predictions import MatchReport
    from workbench.corpus.quality.checks import Checked


@public
class Corpus(View):
    """A corpus of a workspace, or a filtered view of one: ``corpus.where("target_lang = 'el-GR'")``."""

    def accept(self, *, reviewer: str | None = None) -> int:
        """Accept every row of this view; returns how many."""
        return self._decide(lambda ids: self.decisions.accept(ids, reviewer=reviewer, filter=self._sql()))

    def reject(self, reason: str, *, reviewer: str | None = None) -> int:
        """Reject every row of this view; returns how many."""
        return self._decide(
            lambda ids: self.decisions.reject(ids, reason, reviewer=reviewer, filter=self._sql())
        )

    def edit(self, field: str, value: str | float | None, *, reviewer: str | None = None) -> int:
        """Change a field of every row of this view; returns how many.

        Args:
            field: ``text``, ``target_lang``, ``accent``, ``speaker``, ``split``, ``offset`` or ``duration``.
            value: text, or seconds for the last two; None: not known.
            reviewer: whose decision it is; the current user by default.
        """
        return self._decide(
            lambda ids: self.decisions.edit(ids, field, value, reviewer=reviewer, filter=self._sql())
        )

    def tag(self, tag: str, *, reviewer: str | None = None) -> int:
        """Tag every row of this view; returns how many."""
        return self._decide(lambda ids: self.decisions.tag(ids, tag, reviewer=reviewer, filter=self._sql()))

    def _decide(self, act: Callable[[list[str]], int]) -> int:
        with unerased(self.folder):
            ids = self.ids()
            if ids:
                act(ids)
            return len(ids)

    def split(
        self,
        *,
        seed: int = 0,
        fractions: Mapping[str, float] | None = None,
        speakers: Literal["disjoint", "shared"] = "disjoint",
        reviewer: str | None = None,
    ) -> SplitReport:
        """Divide the rows of this view into train, validation and test.

        Args:
            seed: the same seed divides the same rows the same way.
            fractions: split → share of the hours; default 0.8, 0.1, 0.1.
            speakers: 'disjoint' keeps each speaker in one split; 'shared' may place one in several.
            reviewer: whose decision it is; the current user by default.

        Raises:
            WorkbenchError: see :func:`workbench.corpus.split.splits.split`.
        """
        with unerased(self.folder):
            return splits.split(self, seed=seed, fractions=fractions, speakers=speakers, reviewer=reviewer)

    def mix(
        self,
        *,
        temperature: float | None = None,
        weights: Mapping[str, float] | None = None,
        budget_hours: float | None = None,
        split: str | None = "train",
        by: str = "target_lang",
    ) -> pd.DataFrame:
        """Hours per locale under a mixture; see :func:`workbench.corpus.split.mixing.mix` for the columns.

        Args:
            temperature: shares proportional to ``hours ** temperature``: 1 as it is, 0 all equal.
            weights: locale → relative weight instead.
            budget_hours: hours that training will hear; default as many as there are.
            split: the part that training reads; None takes all.
            by: another column to mix by.

        Raises:
            WorkbenchError: neither or both of temperature and weights, or no hours.
        """
        return mixing.mix(
            self, temperature=temperature, weights=weights, budget_hours=budget_hours, split=split, by=by
        )

    def export(
        self,
        path: str | Path,
        format: str = "nemo",
        *,
        append_tag: bool = True,
        only: Only = "accepted",
        prompt_mode: str = "langID",
        relative_paths: bool = False,
        replace: bool = False,
        pseudonymize: bool = False,
        shard_size: int | None = None,
        findings: pd.DataFrame | Checked | None = None,
        workers: int = 1,
        silence_limit: float = not_speech.LIMIT,
        progress: Callable[[int, int], None] | None = None,
    ) -> Export:
        """Write the rows of this view out; rejected ones never leave.

        Args:
            path: the folder to make.
            format: ``nemo`` (a manifest per split), ``shar`` (Lhotse Shar), ``tarred`` (NeMo tarred), ``hf``
                (a saved ``datasets.DatasetDict``) or ``csv``.
            append_tag: end each transcript with its tag, as the prompt model is trained.
            only: ``accepted``, or ``not_rejected`` to take pending rows too.
            prompt_mode: written on each NeMo row: ``langID``, ``auto`` or ``unified``.
            relative_paths: audio relative to the manifest, so that the tree can move.
            replace: an export that lies there already may be replaced.
            pseudonymize: keyed pseudonyms in place of speakers; the key stays in the workspace.
            shard_size: utterances per shard of ``shar`` and ``tarred``.
            findings: of the checks, for the data card.
            workers: processes that write the shards of ``shar`` and ``tarred``.
            silence_limit: most of the rows, as a share, that may be declared to hold no speech (a true column
                ``no_speech``, or the tag 'no speech').
            progress: called with (rows done, rows in all).

        Raises:
            WorkbenchError: nothing is left to write, the path is taken, the format is unknown, the user is no
                trainer, or no workspace holds a key for pseudonyms.
        """
        home = roles.workspace_of(self.folder)
        if home is not None:
            roles.require(home, "trainer", "corpus.export")
        if pseudonymize and home is None:
            raise WorkbenchError("only a workspace keeps a key for pseudonyms", where=self.name)

        def pseudonym(name: str) -> str:
            assert home is not None
            return home.pseudonym("speaker", name)

        return export(
            self, path, format, append_tag=append_tag, only=only, prompt_mode=prompt_mode,
            relative_paths=relative_paths, replace=replace, shard_size=shard_size, findings=findings,
            speaker_id=pseudonym if pseudonymize else None, workers=workers, ledger=self._ledger,
            silence_limit=silence_limit, progress=progress,
        )  # fmt: skip

    @property
    def predictions_folder(self) -> Path:
        """Where the Parquet files of the predictions lie."""
        return predicted.folder_of(self.folder)

    def prediction_names(self) -> list[str]:
        """Names of the predictions that exist, oldest first."""
        return predicted.names(self.folder)

    def prediction(self, name: str) -> pd.DataFrame:
        """A prediction as a table (see "Predictions" in docs/architecture.md).

        Raises:
            WorkbenchError: there is none of that name; those there are are listed.
        """
        from workbench.shown import show_rows

        found = predicted.read(self.folder, name, corpus=self.name)
        said = f"{name}: what was recognized in {counted(len(found), 'utterance')} of {self.name}."
        return show_rows(found, said, ("id", "hypothesis", "detected_lang", "confidence", "compute_s"))

    def take_predictions(self) -> list[MatchReport]:
        """Keep what the source's own columns ``pred_text`` and ``pred_text_NAME`` hold as predictions."""
        with unerased(self.folder):
            return predictions_within(self)

    def export_prediction(
        self, name: str, path: str | Path, format: TimedText = "ctm", minimum_confidence: float = 0.0
    ) -> TimedTextExport:
        """Write the words of a prediction with their times, for these rows: CTM, SRT or WebVTT.

        Args:
            name: of the prediction.
            path: the file for CTM; a folder for subtitles, one file a recording.
            minimum_confidence: words below it are left out of CTM, and in parentheses in subtitles.

        Raises:
            WorkbenchError: no such prediction, or no word times in it for these rows.
        """
        rows = self.frame().to_dict("records")
        predictions = {str(row["id"]): row for row in self.prediction(name).to_dict("records")}
        return write_timed_text(rows, predictions, Path(path), format, minimum_confidence)

    def board(
        self,
        *,
        findings: pd.DataFrame | None = None,
        predictions: pd.DataFrame | str | None = None,
        reviewer: str | None = None,
        order_by: str = "",
        blind: bool = False,
    ) -> Widget:
        """The curation board on these utterances: table, filters, player, findings, decisions.

        Args:
            findings: of the checks; left out, the checks run in the background.
            predictions: of a model on these clips, whose doubts count in what to listen to first: a table, or
                the name of one; left out, the newest.
            reviewer: whose decisions these are; the current user by default.
            order_by: a column, ``"priority"`` (what to listen to first) or nothing for the source's order.
            blind: hide what other reviewers decided, so that a second opinion is one.

        Raises:
            WorkbenchError: no such column or prediction.
        """
        made: Widget = view("board").Board(
            self,
            findings=findings,
            predictions=predictions,
            reviewer=reviewer,
            order_by=order_by,
            blind=blind,
        )
        return made
