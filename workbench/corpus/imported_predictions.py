"""Any engine's transcripts as a prediction of a corpus, with a report of which utterances they matched."""

from __future__ import annotations

import hashlib
import html
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.corpus import predictions
from workbench.errors import Problem, WorkbenchError
from workbench.files import replacing
from workbench.ingest.confidences import as_shares
from workbench.ingest.transcripts import Heard, read_transcripts
from workbench.names import check_name

IMPORTED = "imported"
NOT_STATED = "not stated"
_SHOWN = 5
_NEAR_S = 0.05
"""Two offsets are the same stretch within this."""
Row = dict[str, Any]


class Utterances(Protocol):
    """What is asked of a :class:`workbench.corpus.query.table.Corpus`, which keeps the predictions."""

    @property
    def name(self) -> str: ...

    @property
    def folder(self) -> Path: ...

    @property
    def facts(self) -> dict[str, Any]: ...

    @property
    def columns(self) -> Any: ...

    def table(self, columns: Sequence[str] | None = None) -> pa.Table: ...

    def prediction_names(self) -> Any: ...


@dataclass
class MatchReport:
    """What of an engine's transcripts went to which utterances.

    Attributes:
        name: of the prediction.
        engine: what made it, as stated; ``settings`` and ``lookahead_ms`` likewise.
        transcripts: how many were read.
        matched: utterances that got one, by what they were known: ``id``, ``path``, ``file name``,
            ``path and offset``, ``time``.
        without: utterances without a transcript.
        unmatched: transcripts without an utterance, the first of them; ``unmatched_count`` of all.
        confidence: what was done to confidences that were not written as shares.
        problems: lines that could not be read, transcripts that fit several utterances or came twice,
            confidences that are none.
    """

    name: str
    engine: str = NOT_STATED
    settings: str = NOT_STATED
    lookahead_ms: int | None = None
    transcripts: int = 0
    matched: dict[str, int] = field(default_factory=dict)
    without: int = 0
    unmatched: list[str] = field(default_factory=list)
    unmatched_count: int = 0
    confidence: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def utterances(self) -> int:
        """How many got a transcript."""
        return sum(self.matched.values())

    def lines(self) -> list[str]:
        """The report in words, a line each."""
        how = ", ".join(f"{count:,} by {way}" for way, count in self.matched.items()) or "none"
        ahead = NOT_STATED if self.lookahead_ms is None else f"{self.lookahead_ms} ms"
        made = [
            f"{self.name}: engine {self.engine}, settings {self.settings}, look-ahead {ahead}",
            f"{self.utterances:,} utterances matched ({how}); {self.without:,} without a transcript",
        ]
        if self.unmatched_count:
            shown = ", ".join(self.unmatched)
            made.append(
                f"{self.unmatched_count:,} of {self.transcripts:,} transcripts fit no utterance: {shown}"
            )
        return made + self.confidence + [str(problem) for problem in self.problems[:20]]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {**asdict(self), "problems": [problem.to_dict() for problem in self.problems]}

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(f'<div dir="auto">{html.escape(line)}</div>' for line in self.lines())


def import_prediction(
    corpus: Utterances,
    source: Any,
    name: str,
    *,
    engine: str | None = None,
    settings: str | None = None,
    lookahead_ms: int | None = None,
    streaming: bool | None = None,
    column: str | None = None,
) -> MatchReport:
    """Keep an engine's transcripts as prediction ``name`` of a corpus.

    They are matched by id, by path (and offset), by file name, and words with times to the stretch that they
    are spoken in. Evaluation, explorer and comparison take them as they take ours.

    Args:
        corpus: with the utterances.
        source: see :func:`workbench.ingest.transcripts.read_transcripts`.
        name: of the prediction.
        engine: what made them, such as ``whisper-large-v3``.
        settings: how it was asked, in words.
        lookahead_ms: of a streaming engine.
        streaming: whether it streamed.
        column: which column of a table holds what was heard.

    Returns:
        The report of what matched; what is not said stands there as "not stated".

    Raises:
        WorkbenchError: the source cannot be read, there is a prediction of that name, or nothing matched.
    """
    target = predictions.folder_of(corpus.folder) / f"{check_name(name)}.parquet"
    if target.exists():
        raise WorkbenchError(
            f"there is a prediction {name!r}", where=corpus.name, hint="Choose another name."
        )
    report = MatchReport(name, engine or NOT_STATED, settings or NOT_STATED, lookahead_ms)
    heard = read_transcripts(source, column, report.problems)
    report.confidence = as_shares(heard, report.problems)
    rows = corpus.table(["id", "audio_filepath", "offset", "duration", "target_lang"]).to_pylist()
    found = _Matcher(rows, [Path(root) for root in corpus.facts["audio_roots"]], report).match(heard)
    report.transcripts, report.without = len(heard), len(rows) - len(found)
    if not found:
        keys = ", ".join(dict.fromkeys(str(h.id or h.recording) for h in heard[:_SHOWN])) or "none"
        ids = ", ".join(str(row["id"]) for row in rows[:3])
        raise WorkbenchError(
            f"none of {len(heard):,} transcripts fits an utterance; they name {keys}", where=corpus.name,
            hint=f"Utterances are {ids} …; give ids, paths or file names of this corpus.",
        )  # fmt: skip
    made = [_prediction(row, found[row["id"]], report, streaming) for row in rows if row["id"] in found]
    digest = hashlib.sha256(
        repr([name, [(row["id"], row["hypothesis"]) for row in made]]).encode()
    ).hexdigest()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    with replacing(target) as draft:
        pq.write_table(_table(made, digest), draft, compression="zstd")
    return report


def _prediction(row: Row, heard: Heard, report: MatchReport, streaming: bool | None) -> Row:
    offset = row["offset"] or 0.0
    words = [w for w in heard.words if w["start"] is not None and w["end"] is not None]
    if heard.words and len(words) == len(heard.words) and _is_of_whole(heard, row):
        # Times of an utterance count from its beginning.
        words = [{**w, "start": w["start"] - offset, "end": w["end"] - offset} for w in words]
    return {
        "id": row["id"],
        "hypothesis": heard.text,
        "detected_lang": heard.lang,
        "confidence": heard.confidence,
        "words": words or None,
        "lookahead_ms": report.lookahead_ms,
        "streaming": streaming,
        "runtime": f"{IMPORTED} {report.engine}",
        "settings": report.settings,
        "matched_from": heard.where,
    }


def _is_of_whole(heard: Heard, row: Row) -> bool:
    """Whether words count from the beginning of the recording, not of the utterance."""
    offset = row["offset"] or 0.0
    return bool(offset) and heard.words[0]["start"] >= offset - _NEAR_S


def _table(rows: Sequence[Row], digest: str) -> pa.Table:
    number = pa.float64()
    word = pa.struct(
        [("word", pa.string()), ("start", number), ("end", number), ("confidence", pa.float32()),
         ("glued", pa.bool_())]
    )  # fmt: skip
    kinds = [
        ("id", pa.string()), ("hypothesis", pa.string()), ("detected_lang", pa.string()),
        ("confidence", pa.float32()), ("words", pa.list_(word)), ("checkpoint_sha256", pa.string()),
        ("lookahead_ms", pa.int32()), ("prompt_mode", pa.string()), ("streaming", pa.bool_()),
        ("runtime", pa.string()), ("precision", pa.string()), ("settings", pa.string()),
        ("matched_from", pa.string()), ("schema_version", pa.int32()),
    ]  # fmt: skip
    facts = {"checkpoint_sha256": digest, "schema_version": 2}
    return pa.Table.from_pylist([{**row, **facts} for row in rows], schema=pa.schema(kinds))


class _Matcher:
    """Finds the utterance of a transcript among the rows of a corpus."""

    def __init__(self, rows: Sequence[Row], roots: Sequence[Path], report: MatchReport) -> None:
        self._rows = {str(row["id"]): row for row in rows}
        self._roots = [os.fspath(root) for root in roots]
        self._report = report
        self._by: dict[str, dict[str, list[Row]]] = {"path": {}, "file name": {}, "stem": {}}
        for row in rows:
            path = PurePosixPath(str(row["audio_filepath"]))
            for way, key in (("path", str(path)), ("file name", path.name), ("stem", path.stem)):
                self._by[way].setdefault(key, []).append(row)
        self._found: dict[str, Heard] = {}
        self._ways: Counter[str] = Counter()
        self._parts: dict[str, list[Heard]] = {}

    def match(self, heard: Iterable[Heard]) -> dict[str, Heard]:
        """Id → transcript; the report is filled."""
        for one in heard:
            if not self._one(one):
                self._report.unmatched_count += 1
                if len(self._report.unmatched) < _SHOWN:
                    self._report.unmatched.append(str(one.id or one.recording)[:60])
        for id_, parts in self._parts.items():
            words = [word for part in parts for word in part.words]
            text = " ".join(part.text for part in parts)
            self._keep(id_, Heard(text, parts[0].where, words=words, lang=parts[0].lang), "time")
        self._report.matched = dict(self._ways.most_common())
        return self._found

    def _one(self, heard: Heard) -> bool:
        for key in (heard.id, heard.recording):
            if key is not None and key in self._rows:
                return self._keep(key, heard, "id")
        if heard.recording is None:
            return False
        for way, key in self._keys(heard.recording):
            rows = self._by[way].get(key, [])
            if len({row["audio_filepath"] for row in rows}) > 1:
                what = f"{key[:60]!r} names several recordings"
                self._report.problems.append(Problem(heard.where, what, "Give paths or ids."))
                return False
            if rows:
                said = "file name" if way == "stem" else way
                return self._among(rows, heard, said)
        return False

    def _keys(self, recording: str) -> Iterable[tuple[str, str]]:
        path = PurePosixPath(os.path.normpath(recording.replace("\\", "/")))
        yield "path", str(path)
        for root in self._roots:
            if path.is_relative_to(root):
                yield "path", str(path.relative_to(root))
        yield "file name", path.name
        yield "stem", path.name
        yield "stem", path.stem

    def _among(self, rows: Sequence[Row], heard: Heard, way: str) -> bool:
        """One recording: the whole of it, the stretch that begins where the transcript does, or each stretch
        with the words that are spoken in it."""
        near = [
            row for row in rows if heard.offset is not None and abs(row["offset"] - heard.offset) < _NEAR_S
        ]
        if len(near) == 1 and len(rows) > 1:
            return self._keep(near[0]["id"], heard, f"{way} and offset")
        timed = [w for w in heard.words if w["start"] is not None and w["end"] is not None]
        if len(rows) == 1 and not (timed and heard.offset is not None):
            return self._keep(rows[0]["id"], heard, way)
        if not timed:
            what = f"{str(heard.recording)[:60]!r} has {len(rows)} utterances and the transcript no times"
            self._report.problems.append(Problem(heard.where, what, "Give ids or offsets."))
            return False
        hit = False
        for row in rows:
            end = row["offset"] + (row["duration"] or 1e9)
            mine = [w for w in timed if row["offset"] <= (w["start"] + w["end"]) / 2 < end]
            if mine:
                text = " ".join(word["word"] for word in mine)
                part = Heard(text, heard.where, words=mine, lang=heard.lang)
                self._parts.setdefault(row["id"], []).append(part)
                hit = True
        return hit

    def _keep(self, id_: str, heard: Heard, way: str) -> bool:
        if id_ in self._found:
            what = f"a second transcript for {id_[:60]!r}; the first is kept"
            self._report.problems.append(Problem(heard.where, what, "Give one a row."))
            return True
        self._found[id_] = heard
        self._ways[way] += 1
        return True


def predictions_within(corpus: Utterances) -> list[MatchReport]:
    """What the columns ``pred_text`` and ``pred_text_NAME`` of the source hold, kept as predictions."""
    made = []
    for column in corpus.columns:
        if column == "pred_text" or column.startswith("pred_text_"):
            frame = corpus.table(["id", column])
            name = column.removeprefix("pred_text_") if column != "pred_text" else "pred_text"
            if name not in corpus.prediction_names():
                made.append(import_prediction(corpus, frame, name, column=column))
    return made
