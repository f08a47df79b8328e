"""A decision among 100,000 rows, by the processor: what the kernel does for a key, and how much it sends."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator

import pandas as pd
import pytest

from workbench.corpus.importing import import_source
from workbench.widgets.board import Board

ROWS = 100_000


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("many")
    with (folder / "m.jsonl").open("w") as out:
        for n in range(ROWS):
            row = {"id": f"clip-{n:06d}", "audio_filepath": f"{n}.wav", "duration": 1.0 + n % 7,
                   "text": f"This is sentence number {n}.", "target_lang": ("en-US", "de-DE")[n % 2],
                   "speaker": f"s{n % 50}"}  # fmt: skip
            out.write(json.dumps(row) + "\n")
    corpus = import_source(folder / "m.jsonl", folder / "c", name="many")
    none = pd.DataFrame(columns=["id", "rule", "severity"])
    made = Board(corpus, findings=none, reviewer="ana")
    made._query({"query": {"order_by": "priority", "minutes": 30}}, [])
    yield made
    made.close()
    corpus.close()


def test_the_first_page_is_small(board: Board) -> None:
    """Issue: under 50 kB; what a view asks for when it opens, and the rows in sight."""
    sent = [board._open({}, []), board._rows({"offset": 0, "limit": 40}, [])]
    assert len(json.dumps(sent).encode()) < 50_000


def test_accept_and_next_cost_little(board: Board) -> None:
    """A quarter at most of the 0.6 s that the browser may take, by the processor's clock."""
    spent = []
    for place in range(15):
        body = {"action": "accept", "id": board.view.clip_at(place), "place": place,
                "seen": board.corpus.decisions.version()}  # fmt: skip
        start = time.process_time()
        answer = board._decide(body, [])
        spent.append(time.process_time() - start)
        assert answer["row"]["status"] == "accepted"
        assert answer["next_row"]["id"] == board.view.clip_at(place + 1)
    assert statistics.median(spent) < 0.15
