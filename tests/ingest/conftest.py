"""Imports for the tests of the ingest room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus


@pytest.fixture
def bring(tmp_path: Path) -> Callable[..., Corpus]:
    """Import a source with its recordings looked for."""
    count = 0

    def _bring(source: Any, **said: Any) -> Corpus:
        nonlocal count
        count += 1
        folder = tmp_path / "corpora" / f"c{count}"
        return import_source(source, folder, name="c", require_audio=True, **said)

    return _bring
