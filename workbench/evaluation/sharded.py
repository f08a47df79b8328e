"""Alignments on a cluster: the pairs of several predictions cut into shards, each aligned by some worker.

What an evaluation otherwise does when it is first asked is done ahead, many predictions at once. An alignment
knows nothing but its own pair, so the arrays are those that this process would have made, to the last byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.cluster import over_ray
from workbench.errors import WorkbenchError
from workbench.evaluation.alignment import Edits, Side, align_sides, count_sides
from workbench.evaluation.characters import CharacterChunk, character_chunks, concatenated_counts
from workbench.evaluation.scored import Metric, PairedEdits, ScoredCorpus, spread

CHUNK = 20_000
"""Pairs of texts a shard of word alignments: about a second of work, some megabytes to send."""


@dataclass(frozen=True)
class _Job:
    name: str
    metric: Metric
    normalizer: str


def align_shard(keep: bool, references: Side, hypotheses: Side, alphabet: int) -> Any:
    """In a worker: the edits of pairs where ``keep``, else their counts."""
    return (align_sides if keep else count_sides)(references, hypotheses, alphabet)


def align_ahead(
    scored: ScoredCorpus,
    normalizers: Sequence[str],
    *,
    metrics: Sequence[Metric] = ("wer", "cer"),
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Align every prediction under each normalizer on a Ray cluster and keep what ``scored`` would make.

    Args:
        address: as :func:`workbench.cluster.over_ray`.
        progress: called with (done, total) pairs, words and characters counted apart.

    Raises:
        WorkbenchError: as there; or a worker gave back what does not fit.
    """
    jobs = [
        _Job(name, m, n) for name in scored.predictions for n in dict.fromkeys(normalizers) for m in metrics
    ]
    cut: list[tuple[_Job, CharacterChunk | None, int]] = []

    def shards() -> Iterator[tuple[Any, ...]]:
        for job in jobs:
            for chunk, sides in _chunks(scored, job):
                cut.append((job, chunk, len(sides[0].starts)))
                yield (job.metric == "wer", *sides)

    total = sum(len(scored.pair_codes(job.name)[0]) for job in jobs)
    results: dict[int, Any] = {}
    done = 0
    for number, found in over_ray(align_shard, shards(), address=address):
        _, chunk, pairs = cut[number]
        results[number] = found if chunk is None else chunk.counted(found)
        done += pairs
        if progress is not None:
            progress(done, total)
    if len(results) != len(cut):
        raise WorkbenchError(f"{len(cut) - len(results)} of {len(cut)} shards of scoring are missing")
    for job in jobs:
        _keep(scored, job, [results[n] for n, (owner, _, _) in enumerate(cut) if owner == job])


def _chunks(
    scored: ScoredCorpus, job: _Job
) -> Iterator[tuple[CharacterChunk | None, tuple[Side, Side, int]]]:
    left, right = scored.pair_codes(job.name)
    if job.metric == "cer":
        for chunk in character_chunks(scored.store, job.normalizer, left, right):
            yield chunk, chunk.sides
        return
    table = scored.store.words(job.normalizer)
    for start in range(0, max(len(left), 1), CHUNK):
        sides = []
        for codes in (left[start : start + CHUNK], right[start : start + CHUNK]):
            numbers, offsets = table.flat(codes)
            sides.append(Side(numbers, offsets[:-1], offsets[1:]))
        yield None, (sides[0], sides[1], len(table.vocabulary))


def _keep(scored: ScoredCorpus, job: _Job, parts: list[Any]) -> None:
    """Put the results of a job where :class:`ScoredCorpus` looks for them."""
    key, pair = (job.name, job.normalizer), scored.pairs_of_rows(job.name)
    if job.metric == "wer":
        scored.keep_edits(key, PairedEdits(_joined(parts), pair))
        return
    counts = concatenated_counts(parts)
    scored.keep_counts((*key, "cer"), {kind: spread(pair, counts[kind]) for kind in counts})


def _joined(parts: Sequence[Edits]) -> Edits:
    """The alignments of consecutive chunks as one."""
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    columns = (
        "operation",
        "reference_position",
        "hypothesis_position",
        "reference_units",
        "hypothesis_units",
    )
    return Edits(offsets, *(np.concatenate([getattr(part, name) for part in parts]) for name in columns))
