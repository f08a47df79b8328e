"""Small corpora for the tests of the corpus room: real clips of the starter data, and rows without sound."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from manifest_files import write_manifest

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus

STARTER = Path(__file__).resolve().parents[2] / "data" / "starter"
PER_LOCALE = 8


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 8 real clips of 1 to 4 s for each locale of the starter data, copied apart."""
    folder = tmp_path_factory.mktemp("clips")
    taken: dict[str, list[dict[str, Any]]] = {}
    with (STARTER / "manifest.jsonl").open(encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            some = taken.setdefault(row["target_lang"], [])
            if (
                len(some) < PER_LOCALE
                and 1 < row["duration"] < 4
                and row["text"] not in [r["text"] for r in some]
            ):
                some.append(row)
    rows = [row for some in taken.values() for row in some]
    for number, row in enumerate(rows):
        name = f"audio/{number:03d}.ogg"
        (folder / "audio").mkdir(exist_ok=True)
        shutil.copy(STARTER / row["audio_filepath"], folder / name)
        row["audio_filepath"] = name
    return write_manifest(folder / "manifest.jsonl", rows)


@pytest.fixture
def real(clips: Path, tmp_path: Path) -> Corpus:
    """The real clips as a fresh corpus."""
    return import_source(clips, tmp_path / "corpora" / "real", name="real")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Corpus]:
    """Make a corpus of rows; fields that every row needs are filled in."""
    count = 0

    def _make(rows: Sequence[dict[str, Any]], **options: Any) -> Corpus:
        nonlocal count
        count += 1
        base = {"duration": 1.0, "text": "Hello.", "target_lang": "en-US"}
        full = [{"audio_filepath": f"{i}.wav", **base, **row} for i, row in enumerate(rows)]
        manifest = write_manifest(tmp_path / f"source{count}" / "manifest.jsonl", full)
        return import_source(manifest, tmp_path / "corpora" / f"made{count}", name=f"made{count}", **options)

    return _make
