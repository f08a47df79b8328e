"""The same, or nearly the same, sound or sentence a second time.

Near ones are looked for in two steps, so that a million rows need no million squared comparisons: hash
bands put likely pairs together (MinHash, Broder 1997; sign bits for sound), then each pair is compared.
Sentences stay on disk meanwhile.
"""

from __future__ import annotations

import functools
import shutil
import zlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
from rapidfuzz import fuzz, process

from workbench.corpus.query import kernels
from workbench.corpus.query.row_index import Keys, append, batches

if TYPE_CHECKING:
    import duckdb

Array = np.ndarray[Any, np.dtype[Any]]

LEAST_LETTERS = 20
"""Shorter sentences are alike by chance."""
_SHINGLE = 4
_LARGEST_BUCKET = 60
_PAIRS_AT_ONCE = 1_000_000


class Bands:
    """Hashes of the bands of every sentence that is long enough, a file a band: 124 bytes a row, on disk."""

    def __init__(self, folder: Path) -> None:
        """``folder``: made here, and gone with :meth:`remove`."""
        self._folder = folder
        folder.mkdir(mode=0o700)
        self._rows, self._letters, self._lengths = (
            (folder / name).open("w+b") for name in ("rows", "letters", "lengths")
        )
        self._bands = [(folder / f"band{number}").open("w+b") for number in range(kernels.BANDS)]
        random = np.random.default_rng(20_240)
        self._factors = random.integers(1, kernels.PRIME, kernels.BANDS * kernels.ROWS, dtype=np.int64)
        self._shifts = random.integers(0, kernels.PRIME, kernels.BANDS * kernels.ROWS, dtype=np.int64)

    def add(self, row_index: Sequence[int], tags: Sequence[str | None], sentences: Sequence[str]) -> None:
        """Take in rows; ``sentences``: letters and digits of each."""
        long = [
            (row, zlib.crc32((tag or "").split("-")[0].encode()), key.encode())
            for row, tag, key in zip(row_index, tags, sentences, strict=True)
            if len(key) >= LEAST_LETTERS
        ]
        if not long:
            return
        rows, salts, encoded = zip(*long, strict=True)
        made, letters, lengths = kernels.band_hashes(
            np.frombuffer(b"".join(encoded), np.uint8), np.cumsum([len(one) for one in encoded]),
            np.array(salts, np.uint64), _SHINGLE, _crc_table(), self._factors, self._shifts,
        )  # fmt: skip
        self._rows.write(np.array(rows, np.int64).tobytes())
        self._letters.write(letters.tobytes())
        self._lengths.write(lengths.tobytes())
        for stream, hashes in zip(self._bands, made, strict=True):
            stream.write(hashes.tobytes())

    def pairs(self, keys: Keys, threshold: float) -> Iterator[Array]:
        """(pairs, 2) of places of rows that share a band, the lower first; of equal sentences the first.

        The same pair comes once for each band that it shares; pairs that cannot reach the threshold do not.
        """
        place = np.searchsorted(keys.row_index, self._whole(self._rows, np.int64)).astype(np.int32)
        chosen = np.flatnonzero(keys.ties["sentence"][place] == place)
        chosen = chosen[np.argsort(place[chosen], kind="stable")]
        place = place[chosen]
        letters = self._whole(self._letters, np.uint8).reshape(-1, kernels.LETTERS)[chosen]
        lengths = self._whole(self._lengths, np.int32)[chosen]
        languages = {
            tag: number for number, tag in enumerate({(c[0] or "").split("-")[0] for c in keys.cells})
        }
        spoken = np.array([languages[(c[0] or "").split("-")[0]] for c in keys.cells], np.int32)[keys.cell]
        for stream in self._bands:
            hashes = self._whole(stream, np.uint64)[chosen]
            order = np.argsort(hashes, kind="stable").astype(np.int32)
            hashes, start = hashes[order], 0
            while start < len(hashes):
                found, start = kernels.pairs_of_runs(
                    hashes, order, letters, lengths, 1 - threshold, _LARGEST_BUCKET, _PAIRS_AT_ONCE, start
                )
                found = place[found]
                yield found[spoken[found[:, 0]] == spoken[found[:, 1]]]

    def _whole(self, stream: BinaryIO, kind: Any) -> Array:
        stream.flush()
        stream.seek(0)
        return np.fromfile(stream, kind)

    def _files(self) -> tuple[BinaryIO, ...]:
        return self._rows, self._letters, self._lengths, *self._bands

    def begin(self) -> None:
        """Forget all rows."""
        for stream in self._files():
            stream.seek(0)
            stream.truncate()

    def remove(self) -> None:
        """Close and delete the files."""
        for stream in self._files():
            stream.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def near_texts(
    spill: duckdb.DuckDBPyConnection, bands: Bands, keys: Keys, threshold: float
) -> Iterator[tuple[int, int, float]]:
    """(row_index, that of the first near one, similarity 0 to 1): sentences that differ a little.

    Args:
        spill: with ``named`` as :func:`workbench.corpus.query.row_index.gather` makes it, sentences in it.
        bands: of the rows.
        keys: of the same rows.
        threshold: least similarity (rapidfuzz ratio).
    """
    spill.execute("CREATE OR REPLACE TABLE pairs (row_index BIGINT, earlier BIGINT)")
    for found in bands.pairs(keys, threshold):
        if len(found):
            earlier, later = keys.row_index[found[:, 0]], keys.row_index[found[:, 1]]
            append(spill, "pairs", pa.table({"row_index": later, "earlier": earlier}))
    # Few sentences are in question, and they are told apart from the many first: a join of all takes memory.
    spill.execute(
        "CREATE OR REPLACE TABLE asked AS SELECT row_index, sentence FROM named WHERE row_index IN "
        "(SELECT row_index FROM pairs UNION SELECT earlier FROM pairs)"
    )
    told = -1
    for batch in batches(
        spill,
        "SELECT p.row_index AS row_index, p.earlier AS earlier, a.sentence AS one, b.sentence AS other "
        "FROM (SELECT DISTINCT * FROM pairs) p JOIN asked a ON a.row_index = p.earlier "
        "JOIN asked b ON b.row_index = p.row_index ORDER BY p.row_index, p.earlier",
    ):
        likeness = process.cpdist(
            batch["one"], batch["other"], scorer=fuzz.ratio, score_cutoff=threshold * 100, dtype=np.float64
        )
        for row, earlier, like in zip(batch["row_index"], batch["earlier"], likeness.tolist(), strict=True):
            if like / 100 >= threshold and told != row:
                told = row
                yield row, earlier, round(like / 100, 3)
    spill.execute("DROP TABLE pairs; DROP TABLE asked")


@functools.cache
def _crc_table() -> Array:
    """CRC-32 of each byte, as zlib's."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0xEDB88320), table >> 1).astype(np.uint32)
    return table


def near_sounds(
    ids: Sequence[str],
    prints: np.ndarray,
    seconds: np.ndarray,
    hashes: Sequence[str | None],
    threshold: float,
) -> Iterator[tuple[str, str, float]]:
    """(id, id of a near one, cosine): recordings alike in the course of their energies.

    Args:
        ids: of the clips.
        prints: (clips, 64) of ``workbench.corpus.quality.measures.fingerprint``, unit length.
        seconds: (clips,) durations; pairs differ by at most 4 %.
        hashes: of the files; equal ones are exact duplicates, told elsewhere.
        threshold: least cosine.
    """
    buckets: dict[Hashable, list[int]] = defaultdict(list)
    # The strongest directions: their signs survive noise and re-encoding.
    for shift in range(4):
        bits = np.packbits(prints[:, shift::4] > 0, axis=1)
        scale = np.round(np.log(np.maximum(seconds, 0.01)) / 0.08).astype(int)
        for index in range(len(ids)):
            for near in (scale[index], scale[index] + 1):
                buckets[shift, int(near), bits[index].tobytes()].append(index)
    seen: set[int] = set()
    for a, b in sorted(_pairs(buckets.values())):
        if b in seen or abs(seconds[a] - seconds[b]) > 0.04 * max(seconds[a], seconds[b]):
            continue
        if hashes[a] is not None and hashes[a] == hashes[b]:
            continue
        cosine = float(prints[a] @ prints[b])
        if cosine >= threshold:
            seen.add(b)
            yield ids[b], ids[a], round(cosine, 4)


def _pairs(buckets: Iterable[Sequence[int]]) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for bucket in buckets:
        # What thousands share is a formula of the domain, not a pair.
        for at, a in enumerate(bucket[:_LARGEST_BUCKET]):
            for b in bucket[at + 1 : _LARGEST_BUCKET]:
                if a != b:
                    found.add((min(a, b), max(a, b)))
    return found
