"""Predictions of a suite: kept by suite digest, checkpoint digest and operating point, and read back only if
they are what they say."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from workbench.corpus import predictions as kept
from workbench.corpus.query.table import Corpus
from workbench.corpus.review.origins import with_origins
from workbench.errors import WorkbenchError
from workbench.evaluation import score_predictions
from workbench.evaluation.rates import Settings
from workbench.files import replacing, sha256_file
from workbench.glance import Glance, as_html, as_text, counted, preformatted
from workbench.names import check_name
from workbench.plain_values import plain
from workbench.shown import Facts, show_rows
from workbench.signatures import public, takes_fields
from workbench.suites.coverage import Reading, coverage_table, reading_of, shortfalls, shown_coverage
from workbench.suites.points import IMPORTED, OperatingPoint
from workbench.suites.store import Suite
from workbench.suites.suite import SuiteVersion
from workbench.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    from workbench.evaluation import Evaluation

_FACTS = ("lookahead_ms", "prompt_mode", "streaming", "runtime")
_CLIP = "id", "target_lang", "accent"
_ROW = "id", "text", "target_lang", "accent", "speaker", "duration"


def refuse_changes(suite: Suite, version: SuiteVersion) -> None:
    if found := suite.changes(version):
        raise WorkbenchError(
            "; ".join(found),
            where=f"suite {suite.name} v{version.version}",
            hint=f"Restore them, or make a new version: ws.suite({suite.name!r}).renew().",
        )


@public
class SuitePredictions:
    """What engines made of one version of a suite. ``checkpoints``: engine → digest (of the checkpoint, or of
    an imported engine's predictions)."""

    def __init__(self, suite: Suite, version: SuiteVersion, checkpoints: Mapping[str, str]) -> None:
        self.suite, self.version = suite, version
        self.checkpoints = {check_name(name): digest for name, digest in checkpoints.items()}
        self._corpora: dict[str, Corpus] = {}
        self._evaluations: dict[Any, Evaluation] = {}
        self._settings: dict[str, Any] = {}

    @property
    def names(self) -> list[str]:
        """Names of the checkpoints and engines."""
        return list(self.checkpoints)

    @property
    def points(self) -> tuple[OperatingPoint, ...]:
        """The operating points of the version."""
        return self.version.points

    def _glance(self) -> Glance:
        version = self.version
        start = f"{', '.join(self.names)} on suite {version.name} v{version.version}"
        covered = self.coverage()
        held = covered[covered["accent"].isna()]
        whole = held[held["target_lang"] == "all"]
        lacking = int((whole["failed"] + whole["missing"]).sum())
        many = f"{counted(version.utterances, 'clip')} at {counted(len(self.points), 'operating point')}"
        said = f"{many}, all transcribed" if not lacking else (
            f"{many}: {lacking:,} of {int(whole['expected'].sum()):,} transcriptions are missing or failed"
        )  # fmt: skip
        head = "engine", "operating point", "locale", "transcribed", "failed", "missing"
        rows = [
            (
                str(row["engine"]), str(row["point"]), str(row["target_lang"]),
                f"{row['transcribed']:,} of {row['expected']:,}", f"{row['failed']:,}", f"{row['missing']:,}",
            )
            for row in pd.concat([whole, held[held["target_lang"] != "all"]]).to_dict("records")
        ]  # fmt: skip
        return Glance(
            f"{start}: {said}.", head, rows, more=preformatted(version.to_yaml()), about="the suite"
        )

    __repr__, _repr_html_ = as_text, as_html

    def corpus(self, name: str) -> Corpus:
        """A corpus of the suite, whole."""
        if name not in self._corpora:
            self._corpora[name] = Corpus.open(self.suite.workspace.corpus_folder(name))
        return self._corpora[name]

    @cached_property
    def clips(self) -> pd.DataFrame:
        """Every clip: ``id`` (``corpus/id`` where the suite spans corpora), ``corpus, utterance_id,
        audio_sha256, reference_sha256, target_lang, accent``."""
        parts = []
        for name, held in self.suite.clips(self.version).items():
            made = held.rename(columns={"id": "utterance_id"}).assign(corpus=name)
            parts.append(made.assign(id=[self._id(name, id) for id in made["utterance_id"]]))
        return pd.concat(parts, ignore_index=True)

    def clips_of(self, corpus: str) -> pd.DataFrame:
        """The clips of one corpus."""
        found = self.clips[self.clips["corpus"] == corpus]
        said = (
            f"{counted(len(found), 'clip')} of {corpus} in suite {self.suite.name} v{self.version.version}."
        )
        return show_rows(found, said, _CLIP)

    def rows_of(self, corpus: str) -> list[dict[str, Any]]:
        """Rows of one corpus as ``transcribe`` takes them, with the audio digests of the suite."""
        clips = self.clips_of(corpus)
        frame = self.corpus(corpus).pick(clips["utterance_id"]).frame()
        digests = dict(zip(clips["utterance_id"], clips["audio_sha256"], strict=True))
        frame["audio_sha256"] = [digests[str(id)] for id in frame["id"]]
        rows: list[dict[str, Any]] = frame.to_dict("records")
        return rows

    def _id(self, corpus: str, id: str) -> str:
        return id if len(self.version.views) == 1 else f"{corpus}/{id}"

    def path(self, corpus: str, digest: str, point: OperatingPoint) -> Path:
        """Where a prediction lies: corpus, suite digest, checkpoint digest, operating point."""
        folder = self.suite.workspace.corpus_folder(corpus) / "predictions" / "suites"
        return folder / self.version.digest[:16] / digest[:16] / f"{point.reading}.parquet"

    def join(
        self, engine: str, predictions: Mapping[str, pd.DataFrame | Path | str] | str | None = None
    ) -> Self:
        """The run with another engine's transcripts beside its checkpoints.

        Args:
            engine: what it is called in this run.
            predictions: name under which ``ws.import_prediction`` kept them in every corpus of the suite
                (default: ``engine``); or corpus → such a name, a table with ``id`` and ``hypothesis``, or its
                Parquet.

        Raises:
            WorkbenchError: a name that is taken, a corpus of the suite without a prediction, missing columns.
        """
        if check_name(engine) in self.checkpoints:
            raise WorkbenchError(f"there is an engine {engine!r} already", where=self.suite.name)
        if predictions is None or isinstance(predictions, str):
            predictions = dict.fromkeys(self.version.corpora, predictions or engine)
        if lacking := sorted(set(self.version.corpora) - set(predictions)):
            raise WorkbenchError(f"no prediction for corpus {', '.join(lacking)}", where=f"engine {engine}")
        frames = {
            name: found if isinstance(found, pd.DataFrame) else self._imported(name, found)
            for name, found in predictions.items()
        }
        digest = hashlib.sha256()
        for name in self.version.corpora:
            frame = frames[name]
            if not {"id", "hypothesis"} <= set(frame):
                raise WorkbenchError("needs id and hypothesis", where=f"engine {engine}, corpus {name}")
            digest.update(repr([name, *zip(frame["id"], frame["hypothesis"], strict=True)]).encode())
        made = type(self)(self.suite, self.version, {**self.checkpoints, engine: digest.hexdigest()})
        for name in self.version.corpora:
            path = made.path(name, digest.hexdigest(), OperatingPoint(runtime=IMPORTED))
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            facts = {"checkpoint_sha256": digest.hexdigest()}
            if "runtime" not in frames[name]:  # ws.import_prediction says which engine it was
                facts["runtime"] = f"{IMPORTED} {engine}"
            with replacing(path) as draft:
                frames[name].assign(**facts).to_parquet(draft, index=False)
        return made

    def _imported(self, corpus: str, found: Path | str) -> pd.DataFrame:
        """A Parquet, or the clips of the suite in a prediction that was imported under a name."""
        if isinstance(found, Path) or found.endswith(".parquet"):
            return kept.read_file(Path(found))
        frame = self.corpus(corpus).prediction(found)
        return frame[frame["id"].astype(str).isin(self.clips_of(corpus)["utterance_id"])]

    def frame(self, engine: str, point: OperatingPoint) -> pd.DataFrame | None:
        """The prediction of an engine at a point over all corpora, ids as in :attr:`clips`; None: not run.

        Raises:
            WorkbenchError: a file that is not what the run says: another checkpoint, several in one, another
                look-ahead, prompt, way of reading or engine, or audio that is not the suite's.
        """
        parts = []
        for name, path in self.files(engine, point):
            if path.is_file():
                made = pd.read_parquet(path)
                self._check(engine, point, name, path, made)
                parts.append(made.assign(id=[self._id(name, str(id)) for id in made["id"]]))
        if not parts:
            return None
        return pd.concat(parts, ignore_index=True).assign(suite_sha256=self.version.digest)

    def files(self, engine: str, point: OperatingPoint) -> Iterator[tuple[str, Path]]:
        """Corpus and file of each part of a prediction, whether it is there or not.

        Raises:
            WorkbenchError: no such engine in this run.
        """
        if engine not in self.checkpoints:
            known = ", ".join(self.names)
            raise WorkbenchError(f"no engine {engine!r} in this run", hint=f"It has {known}.")
        for name in self.version.corpora:
            imported = self.path(name, self.checkpoints[engine], OperatingPoint(runtime=IMPORTED))
            yield name, imported if imported.is_file() else self.path(name, self.checkpoints[engine], point)

    def _check(self, engine: str, point: OperatingPoint, corpus: str, path: Path, made: pd.DataFrame) -> None:
        """Refuse a prediction whose own facts are not those of the place where it lies."""
        faults = []
        wanted: dict[str, Any] = {"checkpoint_sha256": self.checkpoints[engine]}
        if not path.stem.endswith(IMPORTED):
            wanted |= {fact: getattr(point, fact) for fact in _FACTS}
        for fact, value in wanted.items():
            there = {plain(value) for value in made[fact].drop_duplicates()} if fact in made else {None}
            if len(there) > 1:
                faults.append(f"it mixes several {fact}")
            elif len(made) and there != {value}:
                faults.append(f"{fact} is {_short(there.pop())}, not {_short(value)}")
        if "audio_sha256" in made:
            clips = self.clips_of(corpus)
            known = dict(zip(clips["utterance_id"], clips["audio_sha256"], strict=True))
            pairs = zip(made["id"].astype(str), made["audio_sha256"], strict=True)
            stale = sum(id in known and isinstance(a, str) and a != known[id] for id, a in pairs)
            faults += [f"{stale} clips were read from other audio"] if stale else []
        if faults:
            raise WorkbenchError(
                f"the prediction is not what it should be: {'; '.join(faults)}",
                where=f"{engine}, {point.name}, corpus {corpus}",
                hint="Delete the file and run the suite again.",
            )

    def reading(self, engine: str, point: OperatingPoint) -> Reading:
        """Which clips an engine transcribed at a point, and which failed."""
        failed: list[str] = []
        for name, path in self.files(engine, point):
            faults = path.with_suffix(".problems.jsonl")
            if faults.is_file():
                failed += [self._id(name, id) for id in _failed(faults)]
        return reading_of(self.clips["id"], self.frame(engine, point), failed)

    def coverage(self, point: str | OperatingPoint | None = None) -> pd.DataFrame:
        """Clips ``expected, transcribed, failed, missing`` of every engine at every point (or one), by locale
        and accent; on the rows ``all`` also ``repeated, null, unmatched``."""
        points = self.points if point is None else (self.version.point(point),)
        tables = []
        for one in points:
            for name in self.names:
                table = coverage_table(self.clips, self.reading(name, one))
                table.insert(0, "point", one.name)
                table.insert(0, "engine", name)
                tables.append(table)
        return shown_coverage(pd.concat(tables, ignore_index=True))

    def shortfalls(self, *engines: str, point: str | OperatingPoint | None = None) -> dict[str, list[str]]:
        """Locale (or ``all``) → why nothing can be judged there; see ``coverage.shortfalls``."""
        at = self.version.point(point)
        readings = {name: self.reading(name, at) for name in engines or self.names}
        found = shortfalls(self.clips, self.version.locales, readings)
        said = (
            f"At {at.name} {counted(len(found), 'locale')} cannot be judged."
            if found
            else f"At {at.name} nothing is missing."
        )
        return Facts(found, said)

    def evaluation(
        self, point: str | OperatingPoint | None = None, engines: Sequence[str] | None = None
    ) -> Evaluation:
        """Every engine at one operating point, scored as the point says.

        Raises:
            WorkbenchError: none of them was run there, or a prediction is not what it should be.
        """
        return self._scored((self.version.point(point),), tuple(engines or self.names))

    def at_all_points(self, engines: Sequence[str]) -> Evaluation:
        """Engines at every operating point, scored as the first one says: ``NAME`` at the first,
        ``NAME @ POINT`` at the others."""
        return self._scored(self.points, tuple(engines))

    def label(self, engine: str, point: OperatingPoint) -> str:
        """What a prediction is called in :meth:`at_all_points`."""
        return engine if point == self.points[0] else f"{engine} @ {point.name}"

    def _scored(self, points: tuple[OperatingPoint, ...], engines: tuple[str, ...]) -> Evaluation:
        key = (points, engines)
        if key not in self._evaluations:
            tables = {}
            for point in points:
                for name in engines:
                    found = self.frame(name, point)
                    if found is not None:
                        tables[name if len(points) == 1 else self.label(name, point)] = found
            if not tables:
                hint = f"Run it: ws.run_suite({self.suite.name!r}, {', '.join(map(repr, engines))})."
                raise WorkbenchError(
                    "nothing was run at this operating point", where=points[0].name, hint=hint
                )
            self._evaluations[key] = score_predictions(
                self.rows(),
                tables,
                normalizer=points[0].normalizer,
                traffic=dict(self.version.weights),
                corpus=self._only_corpus(),
            )
        found = self._evaluations[key]
        return found.with_settings(**self._settings) if self._settings else found

    @takes_fields(Settings)
    def with_settings(self, **changes: Any) -> Self:
        """The same predictions under other settings, e.g. ``confidence=0.99``: comparisons, matrix and
        evaluations are made under them.

        Args:
            changes: fields of :class:`workbench.evaluation.rates.Settings`; those not named stay.
        """
        made = copy.copy(self)
        made._settings = {**self._settings, **changes}
        return made

    def _only_corpus(self) -> Corpus | None:
        """The corpus of a suite over one, whose ids are the suite's, for sound in the explorer."""
        return self.corpus(self.version.corpora[0]) if len(self.version.views) == 1 else None

    def binding(self, *engines: str) -> dict[str, Any]:
        """What a verdict on these engines rests on: digests of suite, checkpoints and predictions, corpora,
        operating points, coverage; :func:`unbound` looks whether it still holds."""
        coverage = self.coverage()
        chosen = coverage[(coverage["engine"].isin(engines)) & (coverage["target_lang"] == "all")]
        files = {
            str(path.relative_to(self.suite.workspace.path)): sha256_file(path)
            for name in engines
            for point in self.points
            for _, path in self.files(name, point)
            if path.is_file()
        }
        columns = ["engine", "point", "expected", "transcribed", "failed", "missing"]
        return {
            "name": self.suite.name,
            "version": self.version.version,
            "digest": self.version.digest,
            "corpora": self.version.corpora,
            "points": [point.name for point in self.points],
            "checkpoints": {name: self.checkpoints[name] for name in engines},
            "coverage": [
                {k: v if isinstance(v, str) else int(v) for k, v in row.items()}
                for row in chosen[columns].to_dict("records")
            ],
            "predictions": files,
        }

    def rows(self) -> pd.DataFrame:
        """The suite's utterances as they are in their corpora, ids as in :attr:`clips`.

        Raises:
            WorkbenchError: a reference, recording or locale changed since the suite was made.
        """
        refuse_changes(self.suite, self.version)
        parts = []
        for name in self.version.corpora:
            rows = with_origins(self.corpus(name), pd.DataFrame(self.rows_of(name))).assign(corpus=name)
            rows["utterance_id"] = rows["id"].astype(str)
            parts.append(rows.assign(id=[self._id(name, id) for id in rows["utterance_id"]]))
        found = pd.concat(parts, ignore_index=True)
        said = f"{counted(len(found), 'utterance')} of suite {self.suite.name} v{self.version.version}."
        return show_rows(found, said, _ROW)


def unbound(workspace: WorkspaceFolder, binding: Mapping[str, Any]) -> list[str]:
    """What has changed since a verdict was bound to it, one sentence each; see :meth:`binding`."""
    suite = Suite(workspace, str(binding["name"]))
    where = f"suite {suite.name} v{binding['version']}"
    try:
        version = suite.version(int(binding["version"]))
        found = [f"{where}: {what}" for what in suite.changes(version)]
    except WorkbenchError as error:
        return [f"{where}: {error.what}"]
    if version.digest != binding["digest"]:
        found.append(f"{where} is not the one that was gated on")
    for name, digest in dict(binding["predictions"]).items():
        path = workspace.path / name
        if not path.is_file() or sha256_file(path) != digest:
            found.append(f"a prediction {'changed' if path.is_file() else 'is gone'}: {path.stem}")
    return found


def _failed(path: Path) -> list[str]:
    """Ids of a transcription's problems file."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        problem = json.loads(line)
        field = str(problem.get("field", ""))
        found.append(field[3:] if field.startswith("id ") else str(problem["file"]))
    return found


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else str(value)
