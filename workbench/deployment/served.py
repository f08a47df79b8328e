"""What callers of a package get: rows read by the runtime that serves it, beside what was measured in torch.

The package's own runtime reads every row from its audio; tokens become words by the workbench's one rule, and
the predictions lie beside others, so that every figure of an evaluation is there for what is served, with
paired intervals against what was measured.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
import psutil
from rapidfuzz.distance import Levenshtein

from workbench.corpus.query.table import Corpus
from workbench.corpus.review.origins import references
from workbench.deployment import onnx, sherpa, transformers
from workbench.deployment.package import MANIFEST
from workbench.errors import Problem, WorkbenchError
from workbench.evaluation.evaluation import score_predictions
from workbench.files import sha256_file
from workbench.ingest.audio.locating import roots_of
from workbench.ingest.audio.rows import RowReader
from workbench.names import check_name
from workbench.recognizer.predictions import RunFacts, Shards, job_digest, write_problems
from workbench.recognizer.transcribe import transcribe
from workbench.recognizer.transcript import Transcript
from workbench.text import normalized_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.deployment.package import Package
    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.decoder import Decoded

    class Reader(Protocol):
        """A runtime with a package loaded."""

        def read(self, pcm: NDArray[np.float32], locale: str) -> Decoded:
            """The tokens of one clip, streamed."""
            ...

    Pcm = NDArray[np.float32]
    Loader = Callable[[Mapping[str, Any]], Pcm]

log = logging.getLogger("workbench.deployment.served")
AUTO = "auto"
READERS: dict[str, Callable[[Package, Checkpoint, int], Reader]] = {
    sherpa.TARGET: sherpa.Reader,
    onnx.TARGET: onnx.Reader,
    transformers.TARGET: transformers.Reader,
}
"""The runtime of each kind of package, which reads clips as its callers would have them read."""


@dataclass(frozen=True, slots=True)
class ServedParity:
    """How a package's words differ from those that were measured, on the same rows.

    Attributes:
        rows: read by both. ``equal``: with the same text.
        first_words_lost: rows whose first measured word is not among the first two served.
        tags_changed: rows where another language was reported.
        words, words_changed: measured, and how many of them a caller gets otherwise or not at all, or gets
            beside them (edit distance). ``punctuation_changed``: rows that differ in punctuation and capitals
            alone.
        cpu_s_per_s: processor seconds of the runtime that serves, a second of audio.
        memory_mib: that loading the package and reading the first clip took.
        table: served minus measured error rate by slice, with paired intervals, as ``Evaluation.compare``.
        causes: what is known to make the difference, in words.
        checkpoint_sha256: of the checkpoint that was measured. ``package_sha256``: of ``package.json``, which
            holds the digests of all files that were served; ``target``, ``precision``: of the package.
    """

    rows: int
    equal: int
    first_words_lost: int
    tags_changed: int
    cpu_s_per_s: float
    table: pd.DataFrame
    causes: tuple[str, ...]
    checkpoint_sha256: str = ""
    package_sha256: str = ""
    target: str = ""
    precision: str = ""
    words: int = 0
    words_changed: int = 0
    punctuation_changed: int = 0
    memory_mib: float = 0.0

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__

    def lines(self) -> list[str]:
        """The figures in words."""
        return [
            f"{self.equal} of {self.rows} texts are equal to what was measured",
            f"{self.words_changed} of {self.words} words changed",
            f"{self.punctuation_changed} rows differ in punctuation and capitals alone",
            f"{self.first_words_lost} rows lost their first word",
            f"{self.tags_changed} rows report another language",
            f"{self.cpu_s_per_s:.4f} s of one core a second of audio, {self.memory_mib:.0f} MiB of memory",
            *self.causes,
        ]

    def to_dict(self) -> dict[str, Any]:
        held = {key: value for key, value in asdict(self).items() if key != "table"}
        return {**held, "table": json.loads(self.table.to_json(orient="records"))}


def predict(
    package: Package,
    checkpoint: Checkpoint,
    rows: Iterable[Mapping[str, Any]],
    load: Loader,
    out: Path,
    *,
    lookahead_ms: int | None = None,
    prompt_mode: str = "langID",
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Path:
    """Write the predictions of rows as the package's runtime makes them; a broken-off call goes on.

    Args:
        package: of any target. ``checkpoint``: that it was made of.
        rows: as ``transcribe`` takes them. ``load``: gives a row's samples at the checkpoint's rate.
        lookahead_ms: as :func:`measure`.
        prompt_mode: 'langID': each row's ``target_lang``; 'auto': the runtime finds the language.
        progress: called with (done, total) rows. ``cancel``: asked before each row.

    Raises:
        WorkbenchError: a package of another checkpoint or for another runtime, or cancelled.
    """
    at = _lookahead(package, checkpoint, lookahead_ms)
    rows = list(rows)
    facts = RunFacts(checkpoint.sha256, at, prompt_mode, True, package.target, package.precision)
    made = json.dumps([package.settings, package.digests], sort_keys=True)
    job = hashlib.sha256((job_digest(facts, rows) + made).encode()).hexdigest()
    shards = Shards(out, facts, job)
    if shards.finished():
        return out
    done, problems = shards.resume(), []
    reader = READERS[package.target](package, checkpoint, checkpoint.right_context(at))
    for number, row in enumerate(rows):
        if cancel is not None and cancel():
            shards.flush()
            raise WorkbenchError(f"cancelled after {number} of {len(rows)} rows", hint="Repeat to go on.")
        if str(row["id"]) not in done:
            try:
                shards.add(_prediction(reader, checkpoint, row, load(row), prompt_mode))
            except (WorkbenchError, OSError, RuntimeError) as error:
                what = error.what if isinstance(error, WorkbenchError) else f"cannot read audio: {error}"
                problems.append(Problem(str(row.get("audio_filepath")), what, field=f"id {row['id']}"))
        if progress is not None:
            progress(number + 1, len(rows))
    write_problems(out.with_suffix(".problems.jsonl"), [problem.to_dict() for problem in problems])
    return shards.finish({str(row["id"]): number for number, row in enumerate(rows)})


def measure(
    corpora: Corpus | Sequence[Corpus],
    checkpoint: Checkpoint,
    package: Package,
    name: str,
    *,
    lookahead_ms: int | None = None,
    prompt_mode: str = "langID",
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ServedParity:
    """Read a corpus (or views, as of a suite) in torch and in the package's runtime, and compare the two.

    Two predictions are kept with each corpus: ``NAME-measured`` and ``NAME-served``.

    Args:
        corpora: rows with references.
        checkpoint: that the package was made of.
        name: of the two predictions.
        lookahead_ms: of a package that serves several; None is the package's own, or the checkpoint's.
        prompt_mode: as ``transcribe``.
        progress: called with (done, total) rows of what is served. ``cancel``: asked before each row.

    Raises:
        WorkbenchError: as :func:`predict` and ``transcribe``.
    """
    at = _lookahead(package, checkpoint, lookahead_ms)
    views, names = [corpora] if isinstance(corpora, Corpus) else list(corpora), _names(name)
    held = [view.frame().to_dict("records") for view in views]
    total, before = sum(map(len, held)), 0
    begin_mib = _memory_mib()
    loaded_mib: list[float] = []

    def moved(done: int, _: int) -> None:
        if not loaded_mib:
            loaded_mib.append(_memory_mib() - begin_mib)
        if progress is not None:
            progress(before + done, total)

    for view, rows in zip(views, held, strict=True):
        served = view.predictions_folder / f"{names[1]}.parquet"
        load = RowReader(roots_of(view.audio_roots), checkpoint.info.sample_rate)
        predict(
            package, checkpoint, rows, load, served, lookahead_ms=at, prompt_mode=prompt_mode,
            progress=moved, cancel=cancel,
        )  # fmt: skip
        before += len(rows)
    for view, rows in zip(views, held, strict=True):
        measured = view.predictions_folder / f"{names[0]}.parquet"
        transcribe(
            checkpoint, rows, view.audio_roots, measured, lookahead_ms=at, prompt_mode=prompt_mode,
            streaming=True, runtime="torch", device="cpu", cancel=cancel,
        )  # fmt: skip
    both = {one: _joined(views, [view.prediction(one) for view in views]) for one in names}
    scored = score_predictions(_joined(views, [references(view) for view in views]), both)
    seconds = float(sum(row["duration"] for rows in held for row in rows))
    found = parity(both[names[0]], both[names[1]], seconds, scored.compare(*names, by="target_lang"), package)
    return replace(
        found, checkpoint_sha256=checkpoint.sha256, package_sha256=sha256_file(package.path / MANIFEST),
        memory_mib=loaded_mib[0] if loaded_mib else 0.0,
    )  # fmt: skip


def _names(name: str) -> tuple[str, str]:
    return check_name(f"{name}-measured"), check_name(f"{name}-served")


def _joined(views: Sequence[Corpus], held: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Rows of all views, their ids as a suite over several corpora has them."""
    if len(views) == 1:
        return held[0]
    parts = [
        rows.assign(id=[f"{view.name}/{id}" for id in rows["id"]])
        for view, rows in zip(views, held, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _memory_mib() -> float:
    return float(psutil.Process().memory_info().rss) / (1 << 20)


def parity(
    measured: pd.DataFrame, served: pd.DataFrame, seconds: float, table: pd.DataFrame, package: Package
) -> ServedParity:
    """Put the figures together.

    Args:
        measured, served: predictions of the same rows. ``seconds``: of their audio.
        table: ``Evaluation.compare`` of the two. ``package``: that was served.
    """
    both = measured.merge(served, on="id", suffixes=("", "_served"))
    texts = list(zip(both["hypothesis"], both["hypothesis_served"], strict=True))
    lost = sum(bool(a.split()) and a.split()[0] not in b.split()[:2] for a, b in texts)
    tags = both["detected_lang"].fillna("") != both["detected_lang_served"].fillna("")
    equal, rows = sum(a == b for a, b in texts), len(both)
    return ServedParity(
        rows, equal, lost, int(tags.sum()), float(served["compute_s"].sum()) / max(seconds, 1e-9), table,
        tuple(_causes(package, rows, equal, lost)), target=package.target, precision=package.precision,
        words=sum(len(a.split()) for a, _ in texts),
        words_changed=sum(Levenshtein.distance(a.split(), b.split()) for a, b in texts),
        punctuation_changed=sum(a != b and normalized_key(a) == normalized_key(b) for a, b in texts),
    )  # fmt: skip


def _causes(package: Package, rows: int, equal: int, lost: int) -> Iterator[str]:
    """What is known to make the difference, in words."""
    if package.precision == "int8":
        yield "its weights have eight bits"
    if equal == rows:
        return
    if package.target == sherpa.TARGET:
        if lost > rows / 20:
            yield (
                "the beginning differs: sherpa-onnx's first window has no left padding, and its first frames "
                "are dropped; put silence before the audio (tune_package finds how much)"
            )
        yield "its features are computed by another library (kaldi-native-fbank) than NeMo's"
    if package.target == transformers.TARGET:
        yield "its streams end in silence that fills the last chunk, and something may be read there"


def _lookahead(package: Package, checkpoint: Checkpoint, asked: int | None) -> int:
    """The look-ahead that a package is read at, in ms, after a check that it can be read."""
    if package.checkpoint_sha256 != checkpoint.sha256:
        raise WorkbenchError("the package was made of another checkpoint", where=str(package.path))
    if package.target not in READERS:
        hint = f"Use {', '.join(READERS)}."
        raise WorkbenchError(f"a package for {package.target} is not served", hint=hint)
    at = asked or package.settings.get("lookahead_ms") or checkpoint.info.default_lookahead_ms
    checkpoint.right_context(at)
    return int(at)


def _prediction(
    reader: Reader, checkpoint: Checkpoint, row: Mapping[str, Any], pcm: Pcm, mode: str
) -> dict[str, Any]:
    locale = AUTO if mode == AUTO else str(row.get("target_lang") or "")
    checkpoint.prompt_index(locale)
    begin = time.process_time()
    decoded = reader.read(pcm, locale)
    spent_s = time.process_time() - begin
    transcript = Transcript(checkpoint.tokenizer(), checkpoint.info.frame_ms / 1000)
    transcript.add(decoded.ids, decoded.frames, decoded.confidences, 0)
    transcript.end()
    words = transcript.words
    return {
        "id": str(row["id"]),
        "hypothesis": transcript.final,
        "detected_lang": transcript.detected_lang,
        "confidence": sum(word.confidence for word in words) / len(words) if words else None,
        "words": [word.to_dict() for word in words],
        "spans": [span.to_dict() for span in transcript.spans],
        "compute_s": spent_s,
        "audio_sha256": row.get("audio_sha256"),
    }
