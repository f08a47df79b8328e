"""Batch transcription of rows into a Parquet of predictions: offline or streaming, resumable, by locale.

NeMo's own ``transcribe(paths, target_lang=…)`` ignores its ``target_lang``; here every row is decoded with
the prompt of its own tag (``prompt_mode='langID'``) or with ``auto``.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cluster import Needs, check_engine, over_ray
from workbench.errors import Problem, WorkbenchError
from workbench.ingest.audio import Roots, RowReader, audio_digests, roots_of
from workbench.recognizer import runtimes
from workbench.recognizer.batches import (
    BatchResult,
    Decoding,
    Prepared,
    cut,
    decode,
    decode_shard,
)
from workbench.recognizer.loading import choose
from workbench.recognizer.predictions import RunFacts, Shards, job_digest, write_problems
from workbench.recognizer.runtimes import settle

if TYPE_CHECKING:
    from workbench.recognizer.batches import Loader
    from workbench.recognizer.checkpoint import Checkpoint

log = logging.getLogger("workbench.recognizer.transcribe")
PROMPT_MODES = ("langID", "auto")
SHARD_S = 20.0
_WORKER_BYTES = 3 << 29
"""What a worker holds beside the weights: torch, NeMo and a batch."""


def transcribe(
    checkpoint: Checkpoint,
    rows: Iterable[Mapping[str, Any]],
    audio_root: Roots,
    out: Path,
    *,
    lookahead_ms: int | None = None,
    prompt_mode: str = "langID",
    streaming: bool = False,
    batch_s: float = 60.0,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "auto",
    load: Loader | None = None,
    engine: str = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Path:
    """Write the predictions Parquet of utterance rows; a killed or cancelled call goes on when repeated.

    A finished file of the same checkpoint, settings, rows and sound is returned as it is; the digest of each
    recording is kept with its prediction.

    Args:
        rows: utterance rows with ``id``, ``audio_filepath``, ``offset``, ``duration``, ``channel``,
            ``target_lang``.
        audio_root: folder that ``audio_filepath`` is relative to, or several that audio may lie in, that one
            first; paths that leave them are refused.
        lookahead_ms: a look-ahead of the checkpoint; None is its default (recorded as null when offline).
        prompt_mode: 'langID': each row's ``target_lang``; 'auto': the model finds the language.
        batch_s: seconds of audio in one batch, padding included.
        device, precision: as ``Checkpoint.model``; ``auto`` is settled here, for a cluster too.
        runtime: as ``Checkpoint.engine``, settled here as well and recorded with the predictions. ONNX
            Runtime streams the clips also where ``streaming`` is False, which gives the same tokens.
        load: gives a row's samples, (n,) float32 mono at the checkpoint's rate; None reads the file.
        engine: 'local', or 'ray': batches are decoded on a cluster, at ``address`` (see
            :func:`workbench.cluster.over_ray`); what is written is the same but for ``compute_s``, which is
            a measurement. ``load`` must pickle then.
        progress: called with (done, total) rows. ``cancel``: asked before each batch.

    Returns:
        ``out``. Rows that could not be read are in ``NAME.problems.jsonl`` beside it.

    Raises:
        WorkbenchError: unknown look-ahead or prompt mode, ids that repeat, cancelled, or the engine's.
    """
    check_engine(engine, address)
    if prompt_mode not in PROMPT_MODES:
        raise WorkbenchError(f"unknown prompt mode {prompt_mode!r}", hint=f"Use {' or '.join(PROMPT_MODES)}.")
    right = checkpoint.right_context(lookahead_ms)
    recorded = (right + 1) * checkpoint.info.frame_ms if streaming or lookahead_ms is not None else None
    rows, out = list(rows), Path(out)
    order = {str(row["id"]): number for number, row in enumerate(rows)}
    if len(order) != len(rows):
        raise WorkbenchError(f"{len(rows) - len(order)} ids repeat", hint="Give every row an id of its own.")
    _, resolved = choose(device, precision)
    roots = roots_of(audio_root)
    rows = _with_digests(rows, roots)
    settled = settle(checkpoint, runtime, device, resolved) if checkpoint.info.lookaheads_ms else "torch"
    _tell_runtime(checkpoint, runtime, settled, device, resolved)
    facts = RunFacts(
        checkpoint.sha256, recorded, prompt_mode, streaming, runtimes.recorded(checkpoint, settled), resolved
    )
    shards = Shards(out, facts, job_digest(facts, rows))
    report = progress or (lambda done, total: None)
    if shards.finished():
        log.info("%s is already there for these rows and settings", out.name)
        report(len(rows), len(rows))
        return out
    done = shards.resume()
    prepared, problems = _with_prompts(checkpoint, rows, prompt_mode)
    batches = _left(cut(prepared, batch_s), done)
    loader = load or RowReader(roots, checkpoint.info.sample_rate)
    how, stop = Decoding(right, streaming, device, resolved, settled), cancel or (lambda: False)
    if engine == "ray":
        results = _on_ray(checkpoint, batches, how, loader, address, stop)
    else:
        results = decode(checkpoint, batches, how, loader)
    count = len(done) + len(problems)
    report(count, len(rows))
    for result in _kept(results, shards, stop):
        problems += result.problems
        count += len(result)
        report(count, len(rows))
    if count < len(rows):
        raise WorkbenchError(f"cancelled after {count} of {len(rows)} rows", hint="Repeat the call to go on.")
    _write_problems(problems, out, len(rows))
    return shards.finish(order)


def _left(batches: Iterable[list[Prepared]], done: Collection[str]) -> list[list[Prepared]]:
    """What is left to decode of batches that were cut before: a job that goes on decodes the batches of one
    that never stopped."""
    left = ([one for one in batch if str(one[0]["id"]) not in done] for batch in batches)
    return [batch for batch in left if batch]


def _write_problems(problems: list[Problem], out: Path, rows: int) -> None:
    problems.sort(key=lambda problem: (problem.file, problem.field))
    write_problems(out.with_suffix(".problems.jsonl"), [problem.to_dict() for problem in problems])
    if problems:
        log.warning("%d of %d rows could not be transcribed: see the problems file", len(problems), rows)


def _tell_runtime(checkpoint: Checkpoint, asked: str, settled: str, device: str, precision: str) -> None:
    """Say once in the log why ``auto`` did not take the faster runtime."""
    if asked == "auto" and settled == "torch" and checkpoint.info.lookaheads_ms:
        why = runtimes.why_torch(checkpoint, device, precision)
        log.info("%s runs in torch: %s", checkpoint.path.name, why)


def _with_digests(rows: Sequence[Mapping[str, Any]], roots: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows with the digest of the sound that is there now, whatever they state."""
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="digests") as pool:
        parts = [rows[at : at + 256] for at in range(0, len(rows), 256)]
        digests = [one for part in pool.map(lambda part: audio_digests(part, roots), parts) for one in part]
    return [{**row, "audio_sha256": digest} for row, digest in zip(rows, digests, strict=True)]


def _kept(results: Iterator[BatchResult], shards: Shards, stop: Callable[[], bool]) -> Iterator[BatchResult]:
    """The results as they come, until stopped; predictions are written every ``SHARD_S`` and at the end."""
    saved_at = time.monotonic()
    while not stop() and (result := next(results, None)) is not None:
        for prediction in result.predictions:
            shards.add(prediction)
        if time.monotonic() - saved_at > SHARD_S:
            shards.flush()
            saved_at = time.monotonic()
        yield result
    shards.flush()


def _on_ray(
    checkpoint: Checkpoint,
    batches: Sequence[list[Prepared]],
    how: Decoding,
    load: Loader,
    address: str | None,
    stop: Callable[[], bool],
) -> Iterator[BatchResult]:
    """Batches decoded by the workers of a cluster, in the order in which they end."""
    import torch

    threads = torch.get_num_threads()
    # Few batches go one by one, so that every worker has some; many go eight at a time.
    size = min(8, max(1, len(batches) // 100))
    shards = (
        (str(checkpoint.path), list(batches[i : i + size]), how, load, threads)
        for i in range(0, len(batches), size)
    )
    gpus = {"cpu": 0.0, "auto": None}.get(how.device, 1.0)
    needs = Needs(1.0, 2 * checkpoint.info.memory_bytes + _WORKER_BYTES, gpus)
    for _, results in over_ray(decode_shard, shards, address=address, needs=needs, cancel=stop):
        yield from results


def _with_prompts(
    checkpoint: Checkpoint, rows: Sequence[Mapping[str, Any]], prompt_mode: str
) -> tuple[list[Prepared], list[Problem]]:
    """Rows with their prompt index, and those whose tag the checkpoint does not know."""
    prompt_indices: dict[str, int | None] = {}
    prepared: list[Prepared] = []
    problems: list[Problem] = []
    for row in rows:
        tag = "auto" if prompt_mode == "auto" else _text(row.get("target_lang"))
        try:
            if not tag and checkpoint.info.prompts:
                raise WorkbenchError("no target_lang", hint="Set it, or use prompt_mode='auto'.")
            if tag not in prompt_indices:
                prompt_indices[tag] = checkpoint.prompt_index(tag)
            prepared.append((row, prompt_indices[tag]))
        except WorkbenchError as error:
            problems.append(Problem(str(row["id"]), error.what, error.hint, field="target_lang"))
    return prepared, problems


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
