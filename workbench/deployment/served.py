"""What callers of a package get: rows read by the runtime that serves it, beside what was measured in torch.

The package's own runtime reads every row from its audio; tokens become words by the workbench's one rule, and
the predictions lie beside others, so that every figure of an evaluation is there for what is served, with
paired intervals against what was measured.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.deployment import sherpa
from workbench.deployment.package import MANIFEST
from workbench.errors import Problem, WorkbenchError
from workbench.evaluation.corpora import evaluate
from workbench.files import sha256_file
from workbench.ingest.audio.locating import roots_of
from workbench.ingest.audio.rows import RowReader
from workbench.names import check_name
from workbench.recognizer.decoder import Decoded
from workbench.recognizer.predictions import RunFacts, Shards, job_digest, write_problems
from workbench.recognizer.transcribe import transcribe
from workbench.recognizer.transcript import Transcript

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from workbench.corpus.query.table import Corpus
    from workbench.deployment.package import Package
    from workbench.recognizer.checkpoint import Checkpoint

    Pcm = NDArray[np.float32]
    Loader = Callable[[Mapping[str, Any]], Pcm]

log = logging.getLogger("workbench.deployment.served")
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class ServedParity:
    """How a package's words differ from those that were measured, on the same rows.

    Attributes:
        rows: read by both. ``equal``: with the same text.
        first_words_lost: rows whose first measured word is not among the first two served.
        tags_changed: rows where another language was reported.
        cpu_s_per_s: processor seconds of the runtime that serves, a second of audio.
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

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__

    def lines(self) -> list[str]:
        """The figures in words."""
        return [
            f"{self.equal} of {self.rows} texts are equal to what was measured",
            f"{self.first_words_lost} rows lost their first word",
            f"{self.tags_changed} rows report another language",
            f"{self.cpu_s_per_s:.4f} s of one core a second of audio",
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
    prompt_mode: str = "langID",
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Path:
    """Write the predictions of rows as the package's runtime makes them; a broken-off call goes on.

    Args:
        package: for sherpa-onnx. ``checkpoint``: that it was made of.
        rows: as ``transcribe`` takes them. ``load``: gives a row's samples at the checkpoint's rate.
        prompt_mode: 'langID': each row's ``target_lang``; 'auto': the runtime finds the language.
        progress: called with (done, total) rows. ``cancel``: asked before each row.

    Raises:
        WorkbenchError: a package of another checkpoint or for another runtime, or cancelled.
    """
    _check(package, checkpoint)
    rows = list(rows)
    facts = RunFacts(
        checkpoint.sha256, int(package.settings["lookahead_ms"]), prompt_mode, True, package.target,
        package.precision,
    )  # fmt: skip
    made = json.dumps([package.settings, package.digests], sort_keys=True)
    job = hashlib.sha256((job_digest(facts, rows) + made).encode()).hexdigest()
    shards = Shards(out, facts, job)
    if shards.finished():
        return out
    done, problems, recognizer = shards.resume(), [], sherpa.recognizer(package)
    for number, row in enumerate(rows):
        if cancel is not None and cancel():
            shards.flush()
            raise WorkbenchError(f"cancelled after {number} of {len(rows)} rows", hint="Repeat to go on.")
        if str(row["id"]) not in done:
            try:
                shards.add(_prediction(package, checkpoint, recognizer, row, load(row), prompt_mode))
            except (WorkbenchError, OSError, RuntimeError) as error:
                what = error.what if isinstance(error, WorkbenchError) else f"cannot read audio: {error}"
                problems.append(Problem(str(row.get("audio_filepath")), what, field=f"id {row['id']}"))
        if progress is not None:
            progress(number + 1, len(rows))
    write_problems(out.with_suffix(".problems.jsonl"), [problem.to_dict() for problem in problems])
    return shards.finish({str(row["id"]): number for number, row in enumerate(rows)})


def measure(
    corpus: Corpus,
    checkpoint: Checkpoint,
    package: Package,
    name: str,
    *,
    prompt_mode: str = "langID",
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ServedParity:
    """Read a corpus (or view) in torch and in the package's runtime, and compare the two.

    Two predictions are kept with the corpus: ``NAME-measured`` and ``NAME-served``.

    Args:
        corpus: rows with references.
        checkpoint: that the package was made of.
        name: of the two predictions.
        prompt_mode: as ``transcribe``.
        progress: called with (done, total) rows of what is served. ``cancel``: asked before each row.

    Raises:
        WorkbenchError: as :func:`predict` and ``transcribe``.
    """
    _check(package, checkpoint)
    rows, names = corpus.frame().to_dict("records"), (f"{name}-measured", f"{name}-served")
    paths = [corpus.predictions_folder / f"{check_name(one)}.parquet" for one in names]
    transcribe(
        checkpoint, rows, corpus.audio_roots, paths[0], lookahead_ms=package.settings["lookahead_ms"],
        prompt_mode=prompt_mode, streaming=True, runtime="torch", device="cpu", cancel=cancel,
    )  # fmt: skip
    load = RowReader(roots_of(corpus.audio_roots), checkpoint.info.sample_rate)
    predict(
        package, checkpoint, rows, load, paths[1], prompt_mode=prompt_mode, progress=progress, cancel=cancel
    )
    table = evaluate(corpus, *names).compare(*names, by="target_lang")
    seconds = float(sum(row["duration"] for row in rows))
    measured, served = (corpus.prediction(one) for one in names)
    found = parity(measured, served, seconds, table)
    return replace(
        found, checkpoint_sha256=checkpoint.sha256, package_sha256=sha256_file(package.path / MANIFEST),
        target=package.target, precision=package.precision,
    )  # fmt: skip


def parity(measured: pd.DataFrame, served: pd.DataFrame, seconds: float, table: pd.DataFrame) -> ServedParity:
    """Put the figures together.

    Args:
        measured, served: predictions of the same rows. ``seconds``: of their audio.
        table: ``Evaluation.compare`` of the two.
    """
    both = measured.merge(served, on="id", suffixes=("", "_served"))
    texts = list(zip(both["hypothesis"], both["hypothesis_served"], strict=True))
    lost = sum(bool(a.split()) and a.split()[0] not in b.split()[:2] for a, b in texts)
    tags = both["detected_lang"].fillna("") != both["detected_lang_served"].fillna("")
    equal, rows = sum(a == b for a, b in texts), len(both)
    causes = []
    if lost > rows / 20:
        causes.append(
            "the beginning differs: sherpa-onnx's first window has no left padding, and its first frames are "
            "dropped; put silence before the audio"
        )
    if equal < rows:
        causes.append("its features are computed by another library (kaldi-native-fbank) than NeMo's")
    spent = float(served["compute_s"].sum())
    return ServedParity(rows, equal, lost, int(tags.sum()), spent / max(seconds, 1e-9), table, tuple(causes))


def _check(package: Package, checkpoint: Checkpoint) -> None:
    if package.checkpoint_sha256 != checkpoint.sha256:
        raise WorkbenchError("the package was made of another checkpoint", where=str(package.path))
    if package.target != sherpa.TARGET:
        raise WorkbenchError(f"a package for {package.target} is not served", hint="Use sherpa-onnx.")


def _prediction(
    package: Package, checkpoint: Checkpoint, recognizer: Any, row: Mapping[str, Any], pcm: Pcm, mode: str
) -> dict[str, Any]:
    locale = AUTO if mode == AUTO else str(row.get("target_lang") or "")
    checkpoint.prompt_index(locale)
    begin = time.process_time()
    found = sherpa.read(recognizer, package, pcm, locale)
    spent_s = time.process_time() - begin
    decoded = _decoded(package, checkpoint, found)
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


def _decoded(package: Package, checkpoint: Checkpoint, found: Any) -> Decoded:
    """sherpa-onnx's tokens as the checkpoint's numbers, on the clock of the audio without its padding."""
    pieces, frame_s = checkpoint.tokenizer(), checkpoint.info.frame_ms / 1000
    padding_s = package.settings["left_padding_ms"] / 1000
    ids = [pieces.piece_to_id(token.replace(" ", "\u2581")) for token in found.tokens]
    frames = [max(0, round((time_s - padding_s) / frame_s)) for time_s in found.timestamps]
    sure = [min(1.0, math.exp(value)) for value in found.ys_probs] or [0.0] * len(ids)
    return Decoded(ids, frames, sure)
