"""From raw calls to references: segments, drafts, and who corrected them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.cluster import check_engine, over_ray
from workbench.corpus import aligning, segmenting
from workbench.corpus.importing import Making
from workbench.corpus.query.table import Corpus
from workbench.corpus.review.agreement import agreement
from workbench.corpus.review.drafts import Drafts
from workbench.errors import Problem, WorkbenchError
from workbench.holdings import Holdings
from workbench.ingest.audio import CHANNEL_COLUMNS
from workbench.ingest.voice_activity import SegmentRules
from workbench.locales import AUTO
from workbench.names import check_name
from workbench.privacy.bleeping import UNFINISHED, Action, PersonalWords, bleeped_or_why, personal_words
from workbench.recognizer import alignments
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.known_text import anchors_of, parts_of
from workbench.signatures import public
from workbench.widgets.progress import Progress, progress_bar
from workbench.workspace.roles import require


@public
class Reviewing(Holdings):
    """A workspace in which long recordings become utterances with references."""

    def segment(
        self,
        corpus: Corpus,
        name: str,
        *,
        shortest_s: float = 0.3,
        longest_s: float = 20.0,
        silence_s: float = 0.5,
        padding_s: float = 0.4,
        threshold: float = 0.35,
        locale: str | None = None,
        replace: bool = False,
        engine: str = "local",
        address: str | None = None,
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Corpus:
        """Cut the recordings of a corpus (or view) into utterances by voice activity, each channel by itself.

        The recordings stay where they are: a segment is a row with ``offset``, ``duration`` and ``channel``,
        without a transcript. Repeated after a stop, the call goes on.

        Args:
            corpus: its rows are recordings.
            name: of the corpus that the segments make.
            shortest_s: less speech than so many seconds is no segment.
            longest_s: of a segment in seconds, padding included.
            silence_s: a pause in seconds that ends a segment.
            padding_s: seconds kept before and after.
            threshold: probability from which on 32 ms are speech.
            locale: of recordings that state none.
            replace: a corpus of this name goes, once the new one is there.
            engine: 'local', or 'ray' on a cluster at ``address``.
            address: of the Ray cluster.
            progress: called with (channels done, channels in all); a bar is shown without it.
            cancel: asked after each channel; what is done is kept.

        Returns:
            The corpus of the segments; its ``problems`` name the recordings that could not be cut. Its rows
            carry ``recording`` (id of the row that they come from) and ``speech`` (mean probability).

        Raises:
            WorkbenchError: limits that cannot hold, no speech anywhere, the name is taken, cancelled, or the
                user is neither trainer nor steward.
        """
        require(self, "trainer|steward", "corpus.import")
        rules = SegmentRules(shortest_s, longest_s, silence_s, padding_s, threshold)
        if not replace:
            self._must_be_free(name)
        with progress_bar(f"segment {corpus.name}", progress) as shown:
            cut = segmenting.segment(
                corpus, rules, engine=engine, address=address, progress=shown, cancel=cancel
            )
        if not cut.rows:
            first = f"; first fault: {cut.problems[0]}" if cut.problems else ""
            raise WorkbenchError(f"no speech in {len(corpus):,} recordings{first}", where=corpus.name)
        facts = {
            "recordings": len(corpus), "segments": len(cut.rows), "hours": round(cut.seconds / 3600, 4),
            "speech_hours": round(cut.speech_s / 3600, 4),
        }  # fmt: skip
        return self._take_in(
            name, cut.rows, replace, audio_roots=list(corpus.audio_roots), locale=locale,
            making=Making("corpus.segment", facts, cut.problems),
        )  # fmt: skip

    def _must_be_free(self, name: str) -> None:
        """Refuse a name that no corpus can have, or that one has already, before anything is computed."""
        if check_name(name) in self.corpus_names():
            where, hint = str(self.corpus_folder(name)), "Choose another name, or remove that corpus."
            raise WorkbenchError(f"there is a corpus {name!r} already", where=where, hint=hint)

    def drafts(
        self,
        corpus: Corpus,
        name: str,
        second: str | None = None,
        *,
        twice: float = 0.1,
        uncertain: float | None = None,
        seed: int = 0,
    ) -> Drafts:
        """Work on drafts: predictions of one or two checkpoints, or of an imported engine, that reviewers
        accept or correct. Make them with :meth:`Workspace.draft` or ``ws.import_prediction``.

        Args:
            corpus: the rows that are drafted.
            name: of the prediction that holds the drafts.
            second: of another model's on the same clips; where the two disagree is worked on first.
            twice: share of the clips that two reviewers transcribe apart.
            uncertain: words of less confidence are shown as uncertain; default: the line that was fitted for
                the checkpoint (:meth:`Workspace.calibrate`), else 0.6; the drafts say which.
            seed: of the choice of that share.

        Raises:
            WorkbenchError: no such prediction, a share or a confidence that is none.
        """
        return Drafts(corpus, name, second, twice=twice, uncertain=uncertain, seed=seed)

    def agreement(self, corpus: Corpus, *, normalizer: str = "basic") -> pd.DataFrame:
        """How far the reviewers of a corpus agree, by locale and pair.

        Args:
            corpus: the rows.
            normalizer: under which words are compared.

        Returns:
            See :func:`workbench.corpus.review.agreement.agreement` for the columns.
        """
        return agreement(corpus, normalizer=normalizer)

    def align(
        self,
        corpus: Corpus,
        name: str,
        prediction: str,
        *,
        checkpoint: str | None = None,
        longest_s: float = 20.0,
        silence_s: float = 0.5,
        least_confidence: float = 0.0,
        engine: str = "local",
        address: str | None = None,
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Corpus:
        """Lay the known transcripts of long recordings onto them: a corpus of utterances with transcripts.

        Forced alignment by the transducer: the best path of the transcript's tokens through the recording
        (:mod:`workbench.recognizer.forced_alignment`). Repeated after a stop, the call goes on.

        Args:
            corpus: its rows are long recordings with their whole transcript.
            name: of the corpus that the utterances make.
            prediction: of the same rows, with word times: where transcript and prediction agree for some
                words, the path is looked for near them.
            checkpoint: that aligns; default: the one of the workspace that made the prediction.
            longest_s: of an utterance in seconds, where there is a place to cut.
            silence_s: a pause in seconds that ends an utterance.
            least_confidence: utterances of less are left out, and named in ``problems``.
            engine: 'local', or 'ray' on a cluster at ``address``.
            address: of the Ray cluster.
            progress: called with (recordings done, recordings in all); a bar is shown without it.
            cancel: asked after each recording; what is done is kept.

        Returns:
            The utterances; ``alignment_confidence`` is the geometric mean of the probabilities of their
            tokens, 0 to 1, near 0 for what was never said; ``recording`` the row that they come from.

        Raises:
            WorkbenchError: limits that cannot hold, no such prediction or checkpoint, nothing could be
                aligned, the name is taken, cancelled, the engine's, or the user is neither trainer nor
                steward.
        """
        require(self, "trainer|steward", "corpus.import")
        self._must_be_free(name)
        aligning.check_limits(longest_s, silence_s, least_confidence)
        known = corpus.prediction(prediction)
        by = self.checkpoint(checkpoint) if checkpoint else self._maker(known, prediction)
        tasks, rows, problems = _alignment_tasks(by, corpus, known)
        with progress_bar(f"align {corpus.name}", progress, unit="recording") as shown:
            times = alignments.align_tasks(
                by, tasks, corpus.audio_roots, corpus.folder, engine=engine, address=address, progress=shown,
                cancel=cancel,
            )  # fmt: skip
        made_rows: list[dict[str, Any]] = []
        for task in tasks:
            found = times[task.id]
            if isinstance(found, str):
                problems.append(Problem(task.id, found, "Check the file."))
                continue
            words = [
                aligning.SaidWord(
                    part.text, time.start_s, time.end_s, time.confidence, part.glued, part.lang, part.closes
                )
                for part, time in zip(task.parts, found, strict=True)
            ]
            kept, left_out = aligning.rows_of(
                rows[task.id], words, longest_s=longest_s, silence_s=silence_s,
                least_confidence=least_confidence,
            )  # fmt: skip
            made_rows += kept
            problems += left_out
        if not made_rows:
            first = str(problems[0]) if problems else ""
            raise WorkbenchError("nothing could be aligned", where=corpus.name, hint=first)
        facts = {"recordings": len(corpus), "utterances": len(made_rows), "checkpoint": by.sha256}
        return self._take_in(
            name, made_rows, False, audio_roots=list(corpus.audio_roots),
            making=Making("corpus.align", facts, problems),
        )  # fmt: skip

    def _maker(self, prediction: pd.DataFrame, name: str) -> Checkpoint:
        """The checkpoint of the workspace that made a prediction.

        Raises:
            WorkbenchError: it is not here, or an imported engine made it.
        """
        stated = prediction.get("checkpoint_sha256", pd.Series(dtype=object)).dropna()
        made_by = set(stated)
        for known in [*self.checkpoint_names(), *self.run_names()]:
            with contextlib.suppress(WorkbenchError):  # a run that has not ended
                if (found := self.checkpoint(known)).sha256 in made_by:
                    return found
        raise WorkbenchError(
            "the checkpoint that made it is not in this workspace", where=name,
            hint="Name one that knows the language: checkpoint=…",
        )  # fmt: skip

    def personal_data(self, corpus: Corpus, prediction: str, names: Sequence[str] = ()) -> pd.DataFrame:
        """What is personal in references and drafts by rules: listed names, numbers, e-mail, payment cards.

        It finds no other names, no addresses and nothing that was misrecognized into other words.

        Args:
            corpus: the rows.
            prediction: whose word times say when a span is heard; also the text where a row has none.
            names: of people, places, accounts; whole words, case and accents aside.

        Returns:
            DataFrame ``id, kind, text, start_s, end_s``: seconds within the clip, null where no word times
            are known.

        Raises:
            WorkbenchError: no such prediction.
        """
        found = []
        for row, words in self._personal(corpus, prediction, names):
            for span, time in zip(words.spans, words.times, strict=True):
                start_s, end_s = time or (None, None)
                said = words.text[span.start : span.end]
                found.append((row["id"], span.kind, said, start_s, end_s))
        return pd.DataFrame(found, columns=["id", "kind", "text", "start_s", "end_s"])

    def bleep(
        self,
        corpus: Corpus,
        name: str,
        prediction: str,
        names: Sequence[str] = (),
        *,
        action: Action = "bleep",
        engine: str = "local",
        address: str | None = None,
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Corpus:
        """Make a corpus of copies without personal data, to be exported in the place of the recordings.

        Each clip is copied as a file of its own, a tone in the place of what :meth:`personal_data` finds, and
        the words are taken out of its transcript. A clip whose personal data cannot be placed in time, or
        that a reviewer dropped on the board, is left out, and named in ``problems``; what a reviewer kept
        there stays. A stopped call goes on where it was.

        Args:
            corpus: the rows; what they are part of beside them is not copied.
            name: of the corpus that the copies make.
            prediction, names: as :meth:`personal_data` takes them.
            action: 'bleep', or 'drop' to leave out every clip that holds personal data.
            engine: 'local', or 'ray' on a cluster at ``address`` whose nodes reach the workspace.
            address: of the Ray cluster.
            progress: called with (clips done, clips in all); a bar is shown without it.
            cancel: asked after each clip; what is done is kept.

        Raises:
            WorkbenchError: no such prediction or action, the name is taken, nothing is left, cancelled, the
                user is neither trainer nor steward, or the engine's.
        """
        require(self, "trainer|steward", "corpus.import")
        check_engine(engine, address)
        if action not in ("bleep", "drop"):
            raise WorkbenchError(f"no action {action!r}", hint="Use bleep or drop.")
        self._must_be_free(name)
        folder = self.corpus_folder(name) / "audio"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder.parent / UNFINISHED).touch(0o600)
        roots = list(corpus.audio_roots)
        tasks = (
            (row, words, action, roots, folder) for row, words in self._personal(corpus, prediction, names)
        )
        found: dict[int, dict[str, Any] | Problem] = {}
        with progress_bar(f"bleep {corpus.name}", progress, unit="clip") as shown:
            for number, copied in _each(bleeped_or_why, tasks, engine, address, cancel):
                found[number] = copied
                shown(len(found), len(corpus))
        if len(found) < len(corpus):
            what = f"cancelled after {len(found)} of {len(corpus)} clips"
            raise WorkbenchError(what, hint="Repeat the call to go on.")
        ordered = [found[number] for number in sorted(found)]
        rows = [one for one in ordered if not isinstance(one, Problem)]
        problems = [one for one in ordered if isinstance(one, Problem)]
        if not rows:
            shutil.rmtree(folder.parent)
            raise WorkbenchError(
                "no clip is left", where=corpus.name, hint=str(problems[0]) if problems else ""
            )
        _keep_only(folder, {str(row["audio_filepath"]) for row in rows})
        bleeps = sum(row["bleeps"] for row in rows)
        facts = {"clips": len(rows), "bleeps": bleeps, "left_out": len(problems)}
        making = Making("corpus.bleep", facts, problems)
        made = self._take_in(name, rows, False, audio_roots=[folder], making=making)
        (folder.parent / UNFINISHED).unlink(missing_ok=True)
        return made

    def _personal(
        self, corpus: Corpus, prediction: str, names: Sequence[str]
    ) -> Iterator[tuple[dict[str, Any], PersonalWords]]:
        known = {str(row["id"]): row for row in corpus.prediction(prediction).to_dict("records")}
        made_at = (corpus.predictions_folder / f"{prediction}.parquet").stat().st_mtime
        heard_from = aligning.offsets_at(corpus, made_at)
        for row in corpus.frame().to_dict("records"):
            id, found = str(row["id"]), known.get(str(row["id"]))
            if found is not None and id in heard_from:  # its start was moved since
                found = aligning.moved_words(found, heard_from[id] - float(row["offset"] or 0.0))
            yield row, personal_words(row, found, names)


def _each(
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    engine: str,
    address: str | None,
    cancel: Callable[[], bool] | None,
) -> Iterator[tuple[int, Any]]:
    """Results of ``function(*task)`` with the task's number, here in order or from a cluster as they come."""
    if engine == "ray":
        yield from over_ray(function, tasks, address=address, cancel=cancel)
        return
    for number, task in enumerate(tasks):
        yield number, function(*task)
        if cancel is not None and cancel():
            return


def _keep_only(folder: Path, names: Set[str]) -> None:
    """Take away copies that an earlier call left and that no row of this one names."""
    for file in folder.iterdir():
        if file.name not in names:
            file.unlink()


def _alignment_tasks(
    checkpoint: Checkpoint, corpus: Corpus, prediction: pd.DataFrame
) -> tuple[list[alignments.Task], dict[str, dict[str, Any]], list[Problem]]:
    """What is to be aligned, the rows by id, and the recordings that cannot be."""
    recognized = {str(row["id"]): row["words"] for row in prediction.to_dict("records") if "words" in row}
    tasks: list[alignments.Task] = []
    rows: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for row in corpus.frame().to_dict("records"):
        id, text, length = str(row["id"]), row.get("text"), row.get("duration")
        words = recognized.get(id)
        if words is None or not isinstance(text, str) or not isinstance(length, float) or length != length:
            problems.append(Problem(id, "no transcript, duration or word times", "Transcribe it first."))
            continue
        locale = row["target_lang"] if isinstance(row.get("target_lang"), str) else AUTO
        try:
            checkpoint.prompt_index(locale)
        except WorkbenchError as error:
            problems.append(Problem(id, error.what, error.hint))
            continue
        parts = tuple(parts_of(text, None if locale == AUTO else locale))
        place = {key: row.get(key) for key in ("audio_filepath", "offset", "duration", *CHANNEL_COLUMNS)}
        rows[id] = row
        tasks.append(alignments.Task(id, place, locale, parts, tuple(anchors_of(parts, locale, list(words)))))
    return tasks, rows, problems
