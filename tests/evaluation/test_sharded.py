"""Alignments cut into shards and put together again: the very arrays that one process makes."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.evaluation import characters, score_predictions, sharded
from workbench.evaluation.scored import ScoredCorpus

WORDS = ["yes", "no", "Tá", "l’un", "ναι", "όχι.", "да", "-", "twenty-one", "はい", ""]


def by_others(function: Any, shards: Any, *, address: str | None = None) -> Iterator[tuple[int, Any]]:
    """Shards as other processes take them: pickled there and back, the results in any order."""
    sent = [pickle.dumps((function, shard)) for shard in shards]
    order = list(range(len(sent)))
    random.Random(len(sent)).shuffle(order)
    for number in order:
        work, shard = pickle.loads(sent[number])
        yield number, pickle.loads(pickle.dumps(work(*shard)))


def scored(rng: random.Random, count: int) -> ScoredCorpus:
    tags = ["el-GR", "en-US", "ja-JP"]
    lines = [" ".join(rng.choices(WORDS, k=rng.randint(0, 9))) for _ in range(3 * count)]
    rows = pd.DataFrame(
        {"id": [f"{n}" for n in range(count)], "text": lines[:count],
         "target_lang": [tags[n % 3] for n in range(count)]}
    )  # fmt: skip
    base = pd.DataFrame({"id": rows["id"], "hypothesis": lines[count : 2 * count]})
    few = pd.DataFrame({"id": rows["id"], "hypothesis": lines[2 * count :]}).iloc[::2]
    return score_predictions(rows, {"base": base, "few": few}).scored


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40), chunk=st.integers(1, 11))
def test_shards_put_together_are_what_one_process_makes(seed: int, count: int, chunk: int) -> None:
    here, there = (scored(random.Random(seed), count) for _ in range(2))
    reported = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharded, "over_ray", by_others)
        patch.setattr(sharded, "CHUNK", chunk)
        patch.setattr(characters, "CHUNK", chunk)
        sharded.align_ahead(there, ("basic", "raw"), progress=lambda *at: reported.append(at))
    assert reported[-1][0] == reported[-1][1]
    assert set(there._edits) == {(name, kind) for name in ("base", "few") for kind in ("basic", "raw")}
    for (name, kind), found in there._edits.items():
        wanted = here.word_edits(name, kind)
        for pair in zip(vars(wanted.edits).values(), vars(found.edits).values(), strict=True):
            assert pair[0].dtype == pair[1].dtype
            np.testing.assert_array_equal(*pair)
        np.testing.assert_array_equal(wanted.pair, found.pair)
        counted = here.counts(name, "cer", kind)
        for unit, values in there._counts[name, kind, "cer"].items():
            assert values.dtype == counted[unit].dtype
            np.testing.assert_array_equal(values, counted[unit])


def test_a_lost_shard_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def loses(*given: Any, **options: Any) -> Iterator[tuple[int, Any]]:
        return iter(list(by_others(*given, **options))[1:])

    monkeypatch.setattr(sharded, "over_ray", loses)
    with pytest.raises(WorkbenchError, match="1 of 8 shards of scoring are missing"):
        sharded.align_ahead(scored(random.Random(1), 6), ("basic", "raw"))
