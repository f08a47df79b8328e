"""What ties utterances together so that they must not stand on both sides of a split.

Three levels. The same audio or the same sentence blocks always; the same speaker blocks unless the policy
says that speakers are shared, which then stands in every report.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.text import normalised_keys

if TYPE_CHECKING:
    import pandas as pd

    from workbench.corpus.table import Corpus

COLUMNS = ("id", "audio_filepath", "offset", "duration", "text", "target_lang", "accent", "speaker", "split")
LEVELS = ("audio", "sentence", "speaker")
_END = 4_096
"""Bytes at either end of a file that are compared before all of it is read."""


def keyed_rows(corpus: Corpus) -> list[dict[str, Any]]:
    """Rows with ``audio_key``, ``sentence_key`` and ``speaker_key``; null where nothing can be said.

    Two rows have one ``audio_key`` where any of these is the same: the path, the bytes of the file, or a hash
    that the source states (of the file, or of what it was made from: two encodings of one recording). Files
    that ``signal.scan`` has not hashed are compared here; one that is missing is like no other.
    """
    names = [*COLUMNS, *(n for n in ("audio_sha256", "source_sha256") if n in corpus.columns)]
    rows: list[dict[str, Any]] = corpus.table(names).to_pylist()
    keys = normalised_keys([row["text"] or "" for row in rows])
    hashes = _hashes(corpus, [row for row in rows if not row["offset"]])
    for row, key in zip(rows, keys, strict=True):
        # A sentence is the same in its own language only: "no" is Spanish, Italian and English.
        language = (row["target_lang"] or "").split("-")[0]
        row["sentence_key"] = (language, key) if key else None
        row["speaker_key"] = row["speaker"] or None
        row["_path"] = row["audio_filepath"]
        row["_file"] = hashes.get(row["id"]) if not row["offset"] else None
        for name in ("audio_sha256", "source_sha256"):
            row[f"_{name}"] = row.get(name) if not row["offset"] else None
    ties = ("_path", "_file", "_audio_sha256", "_source_sha256")
    for group in components(rows, ties):
        for index in group:
            row = rows[index]
            row["audio_key"] = rows[group[0]]["audio_filepath"]
            for name in ties:
                del row[name]
    return rows


def _hashes(corpus: Corpus, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Hashes by id, of all files that may hold the same bytes as another: first sizes are compared, then the
    ends of files of one size, and only what is still alike is read."""
    from concurrent.futures import ThreadPoolExecutor

    from workbench.corpus.audio import locate_text
    from workbench.corpus.measures import hash_file
    from workbench.errors import WorkbenchError

    scanned = _scanned(corpus)
    roots = [str(root) for root in corpus.facts["audio_roots"]]

    def located(row: dict[str, Any]) -> tuple[str, int] | None:
        try:
            path = locate_text(str(row["audio_filepath"]), roots)
            return path, os.stat(path).st_size
        except (WorkbenchError, OSError, ValueError):
            return None

    new = {row["id"]: found for row in rows if row["id"] not in scanned and (found := located(row))}
    known = {size for _, size in scanned.values()}
    paths: dict[int, set[str]] = defaultdict(set)
    for path, size in new.values():
        paths[size].add(path)
    twins = {path for size, some in paths.items() if len(some) > 1 and size not in known for path in some}
    whole = {path for size, some in paths.items() if size in known for path in some}
    with ThreadPoolExecutor() as pool:
        alike: dict[Hashable, list[str]] = defaultdict(list)
        ordered = sorted(twins)
        for path, ends in zip(ordered, pool.map(_ends, ordered), strict=True):
            alike[ends].append(path)
        whole |= {path for ends, some in alike.items() if ends and len(some) > 1 for path in some}
        ordered = sorted(whole)
        digests = dict(zip(ordered, pool.map(_read_or_none(hash_file), ordered), strict=True))
    read = {id_: digest for id_, (path, _) in new.items() if (digest := digests.get(path))}
    return {id_: digest for id_, (digest, _) in scanned.items()} | read


def _read_or_none(read: Callable[[Path], str]) -> Callable[[str], str | None]:
    def act(path: str) -> str | None:
        try:
            return read(Path(path))
        except OSError:
            return None

    return act


def _ends(path: str) -> tuple[int, bytes, bytes] | None:
    """Size, and the first and last bytes of a file; None where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            first = stream.read(_END)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _END))
            return size, first, stream.read()
    except OSError:
        return None


def _scanned(corpus: Corpus) -> dict[str, tuple[str, int]]:
    """Hash and size of the audio by id, where ``signal.scan`` has measured it."""
    path = corpus.folder / "signal.parquet"
    if not path.exists():
        return {}
    import pyarrow.parquet as pq

    rows = pq.read_table(path, columns=["id", "audio_sha256", "size"]).to_pylist()
    return {row["id"]: (row["audio_sha256"], row["size"]) for row in rows if row["audio_sha256"]}


def find(corpus: Corpus, speakers: str = "disjoint") -> pd.DataFrame:
    """Ties across splits.

    Returns:
        One row per shared audio, sentence or speaker: ``level``, ``blocks`` (false for speakers where the
        policy shares them), ``splits``, ``utterances`` and the ``ids``, sorted by level.
    """
    import pandas as pd

    rows = [row for row in keyed_rows(corpus.where("status <> 'rejected'")) if row["split"]]
    found = []
    for level in LEVELS:
        for members in _shared(rows, f"{level}_key").values():
            splits = sorted({row["split"] for row in members})
            if len(splits) > 1:
                blocks = level != "speaker" or speakers != "shared"
                ids = [row["id"] for row in members]
                found.append((level, blocks, ", ".join(splits), len(ids), ids))
    return pd.DataFrame(found, columns=["level", "blocks", "splits", "utterances", "ids"])


def _shared(rows: Iterable[dict[str, Any]], name: str) -> dict[Hashable, list[dict[str, Any]]]:
    found: dict[Hashable, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row[name] is not None:
            found[row[name]].append(row)
    return {key: members for key, members in found.items() if len(members) > 1}


def components(rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> list[list[int]]:
    """Positions of rows that hang together by any of the keys, each group sorted, in order of first row."""
    parent = list(range(len(rows)))

    def top(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for name in names:
        first: dict[Hashable, int] = {}
        for index, row in enumerate(rows):
            key = row[name]
            if key is not None:
                a, b = top(first.setdefault(key, index)), top(index)
                parent[max(a, b)] = min(a, b)
    found: dict[int, list[int]] = defaultdict(list)
    for index in range(len(rows)):
        found[top(index)].append(index)
    return list(found.values())
