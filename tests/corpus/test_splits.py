"""Splits keep speakers and sentences apart, follow shares and seed, and say where they mean little."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.corpus.quality import leakage, measures, signal
from workbench.corpus.quality.checks import run_checks
from workbench.corpus.query import spill_db
from workbench.corpus.query.row_index import Keys
from workbench.corpus.query.table import Corpus
from workbench.corpus.split import collection, splits
from workbench.errors import WorkbenchError

Make = Callable[..., Corpus]
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
KEYED = st.fixed_dictionaries(
    {
        "audio_key": st.none() | st.integers(0, 30),
        "sentence_key": st.none() | st.tuples(st.just("en"), st.integers(0, 20)),
        "speaker_key": st.none() | st.integers(0, 8),
        "duration": st.floats(0.5, 20),
        "target_lang": st.sampled_from(["en-US", "el-GR"]),
        "accent": st.sampled_from([None, "x"]),
    }
)


@settings(max_examples=80, deadline=None)
@given(st.lists(KEYED, min_size=1, max_size=60), st.integers(0, 5), st.sampled_from(["disjoint", "shared"]))
def test_nothing_tied_stands_apart(rows: list[dict[str, Any]], seed: int, speakers: str) -> None:
    keys = keys_of(rows)
    assigned = splits.divide(keys, SHARES, seed, speakers).tolist()
    ties = ["sentence_key", "audio_key"] + (["speaker_key"] if speakers == "disjoint" else [])
    for tie in ties:
        seen = defaultdict(set)
        for row, code in zip(rows, assigned, strict=True):
            if row[tie] is not None and code >= 0:
                seen[row[tie]].add(code)
        assert all(len(codes) == 1 for codes in seen.values())
    assert splits.divide(keys, SHARES, seed, speakers).tolist() == assigned
    # The plain way, a dict a row, that held before rows were numbers: the same seed gives the same split.
    assert assigned == reference.divide(rows, SHARES, seed, speakers)


def keys_of(rows: list[dict[str, Any]]) -> Keys:
    """Rows with ``..._key`` and a cell as the arrays that ``gather`` makes of a corpus."""

    def firsts(name: str) -> np.ndarray:
        seen: dict[Any, int] = {}
        found = [-1 if row[name] is None else seen.setdefault(row[name], i) for i, row in enumerate(rows)]
        return np.array(found, np.int32)

    cells: dict[Any, int] = {}
    cell = [cells.setdefault((row["target_lang"], row["accent"]), len(cells)) for row in rows]
    return Keys(
        np.arange(len(rows)), np.zeros(len(rows)), np.array([row["duration"] for row in rows]),
        np.array(cell, np.int32), list(cells), np.full(len(rows), -1, np.int32), [], np.ones(len(rows), bool),
        {"path": firsts("audio_key"), "sentence": firsts("sentence_key"), "speaker": firsts("speaker_key")},
    )  # fmt: skip


def many(speakers: int, sentences: int, count: int) -> list[dict[str, Any]]:
    rng = random.Random(1)
    return [
        {"id": f"u{i:05d}", "speaker": f"s{rng.randrange(speakers)}",
         "text": f"Sentence number {rng.randrange(sentences)}.", "duration": rng.uniform(1, 6),
         "target_lang": rng.choice(["en-US", "el-GR"]), "accent": rng.choice(["a", "b"])}
        for i in range(count)
    ]  # fmt: skip


def test_shares_hold_in_every_cell(make: Make) -> None:
    corpus = make(many(300, 10**9, 3000))
    report = corpus.split(seed=5, speakers="disjoint")
    hours = report.table.pivot_table(index=["target_lang", "accent"], columns="split", values="hours")
    shares = hours.div(hours.sum(axis=1), axis=0)
    assert (shares["train"] - 0.8).abs().max() < 0.05
    assert (shares["test"] - 0.1).abs().max() < 0.05
    assert leakage.find(corpus).empty
    assert report.set_aside == []


def test_prompts_that_everyone_reads_do_not_stop_a_split(make: Make) -> None:
    corpus = make(many(40, 60, 1500))
    report = corpus.split(seed=5)
    assert leakage.find(corpus).empty
    assert 0 < len(report.set_aside) < 1500
    assert any("set aside" in w or "no split" in w for w in report.warnings)


def test_the_seed_decides_and_undo_takes_it_back(make: Make) -> None:
    corpus = make(many(50, 10**9, 200))

    def state() -> dict[str, str]:
        return {row["id"]: row["split"] for row in corpus.page(0, 1000)}

    corpus.split(seed=1, reviewer="ann")
    one = state()
    corpus.split(seed=2, reviewer="ann")
    two = state()
    corpus.split(seed=1, reviewer="ann")
    assert state() == one != two
    while corpus.decisions.undo(reviewer="ann"):
        pass
    assert set(state().values()) == {None}


def test_leaks_are_found_by_level(make: Make) -> None:
    corpus = make(
        [
            {"id": "a", "split": "train", "text": "One thing.", "speaker": "s1"},
            {"id": "b", "split": "test", "text": "one THING!", "speaker": "s2"},
            {"id": "c", "split": "validation", "text": "Another.", "speaker": "s1"},
            {"id": "d", "split": "test", "text": "one thing", "speaker": "s3", "target_lang": "it-IT"},
        ]
    )
    found = leakage.find(corpus).set_index("level")
    assert found.loc["sentence", "ids"] == ["a", "b"]
    assert found.loc["speaker", "ids"] == ["a", "c"]
    assert not leakage.find(corpus, "shared").set_index("level").loc["speaker", "blocks"]


def test_small_cells_and_shared_speakers_are_said(make: Make) -> None:
    report = make(many(2, 10**9, 40)).split(speakers="shared")
    assert "speakers are shared" in report.warnings[0]
    assert any("anecdote" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    "fractions", [{"train": 0.5}, {"train": 0.9, "test": 0.2}, {"train": 1.0, "dev": 0.0}]
)
def test_fractions_must_be_shares(make: Make, fractions: dict[str, float]) -> None:
    with pytest.raises(WorkbenchError, match="shares"):
        make([{}]).split(fractions=fractions)


def test_a_mix_says_what_each_locale_hears(make: Make) -> None:
    rows = [{"duration": 3600.0, "split": "train", "target_lang": tag} for tag in ["en-US"] * 9 + ["el-GR"]]
    corpus = make(rows)
    table = corpus.mix(temperature=0.5).set_index("target_lang")
    assert table.loc["en-US", "weight"] == pytest.approx(3 / 4)
    assert table.loc["el-GR", "passes"] == pytest.approx(2.5)
    assert table["heard_hours"].sum() == pytest.approx(10)
    even = corpus.mix(temperature=0, budget_hours=4).set_index("target_lang")
    assert even.loc["el-GR", "heard_hours"] == pytest.approx(2)
    chosen = corpus.mix(weights={"el-GR": 1}).set_index("target_lang")
    assert chosen.loc["en-US", "note"] == "left out"
    with pytest.raises(WorkbenchError, match="temperature or weights"):
        corpus.mix()
    with pytest.raises(WorkbenchError, match="it-IT"):
        corpus.mix(weights={"it-IT": 1})


def test_the_plan_puts_errors_and_gaps_first(make: Make) -> None:
    rows = [
        {"duration": 3600.0, "target_lang": t, "speaker": s}
        for t, s in [("en-US", "a"), ("en-US", "b"), ("el-GR", "c")]
    ]
    corpus = make(rows)
    assert collection.plan(corpus, target_hours=2)["target_lang"].iloc[0] == "el-GR"
    by_error = collection.plan(corpus, target_hours=4, error_rates={"en-US": 0.9, "el-GR": 0.1}, minutes=60)
    assert by_error["target_lang"].iloc[0] == "en-US"
    assert by_error["minutes"].sum() == pytest.approx(60)


def test_the_plan_holds_the_minutes_that_the_explorer_was_told_to_collect(make: Make) -> None:
    rows = [
        {"duration": 7200.0, "target_lang": tag, "accent": accent, "speaker": s}
        for tag, accent in (("en-US", "us"), ("en-US", "scots"), ("el-GR", None))
        for s in "abcdefghij"
    ]
    corpus = make(rows)
    assert collection.plan(corpus, target_hours=1)["missing_minutes"].sum() == 0
    collection_requests = [
        {"target_lang": "en-US", "accent": "scots", "minutes": 20},
        {"target_lang": "en-US", "accent": None, "minutes": 10},
        {"target_lang": "el-GR", "accent": "cretan", "minutes": 90},
    ]
    (corpus.folder / collection.WISHES).write_text(json.dumps(collection_requests), encoding="utf-8")
    found = collection.plan(corpus, target_hours=1)
    cells = found["target_lang"] + " " + found["accent"].fillna("-")
    minutes = dict(zip(cells, found["minutes"], strict=True))
    assert minutes == {"el-GR cretan": 90, "en-US scots": 25, "en-US us": 5, "el-GR -": 0}
    assert found["accent"].iloc[0] == "cretan", "nothing of it is there yet"
    (corpus.folder / collection.WISHES).write_text("{", encoding="utf-8")
    with pytest.raises(WorkbenchError, match="cannot read the collection_requests"):
        collection.plan(corpus)


def test_one_recording_is_one_whatever_it_is_called(make: Make) -> None:
    """The same bytes, or two encodings of one source, tie rows that share neither path nor sentence."""
    rows = [
        {"id": "a", "text": "One.", "split": "train"},
        {"id": "b", "text": "Two.", "split": "test"},
        {"id": "c", "text": "Three.", "split": "train", "source_sha256": "f" * 64},
        {"id": "d", "text": "Four.", "split": "test", "source_sha256": "f" * 64},
        {"id": "e", "text": "Five.", "split": "test", "source_sha256": "f" * 64, "offset": 3.0},
    ]
    corpus = make(rows)
    for id_, content in zip("abcd", (b"same", b"same", b"else", b"d"), strict=True):
        corpus.audio_path(id_).write_bytes(content)
    assert tied(corpus) == [["a", "b"], ["c", "d"], ["e"]]  # without a scan
    found = leakage.find(corpus)
    assert sorted(found[found["level"] == "audio"]["ids"]) == [["a", "b"], ["c", "d"]]
    checked = run_checks(corpus, ["leak_audio", "duplicate_audio"])
    assert set(checked[checked["rule"] == "leak_audio"]["id"]) == set("abcd")
    report = corpus.split(seed=1)
    chosen = {row["id"]: row["split"] for row in corpus.page(0, 9)}
    assert chosen["a"] == chosen["b"]
    assert chosen["c"] == chosen["d"]
    assert set(report.set_aside) <= set("abcde")


def tied(corpus: Corpus) -> list[list[str]]:
    groups = defaultdict(list)
    with spill_db.database(corpus.folder) as database:
        first = leakage.read(corpus, database).audio().tolist()
    for id_, group in zip(corpus.ids(), first, strict=True):
        groups[group].append(id_)
    return sorted(groups.values())


def test_only_what_may_be_alike_is_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same size is not enough, nor are the same ends; what a scan has hashed is not read again."""
    corpus = make([{"id": id_, "text": id_} for id_ in "abcdefg"])
    big = 3 * leakage._END
    middle = {id_: b"0" * leakage._END + id_.encode() * leakage._END + b"1" * leakage._END for id_ in "ab"}
    files = {**middle, "c": middle["a"], "d": b"x" * big, "e": b"short", "f": b"other"}
    for id_, content in files.items():
        corpus.audio_path(id_).write_bytes(content)
    read: list[str] = []
    real = measures.hash_file
    monkeypatch.setattr(leakage, "hash_file", lambda path: read.append(path.name) or real(path))
    assert tied(corpus) == [["a", "c"], ["b"], ["d"], ["e"], ["f"], ["g"]]  # g is missing
    assert sorted(read) == ["0.wav", "1.wav", "2.wav"]
    read.clear()
    signal.scan(corpus.pick(["a"]))
    assert tied(corpus) == [["a", "c"], ["b"], ["d"], ["e"], ["f"], ["g"]]
    assert sorted(read) == ["1.wav", "2.wav", "3.wav"]  # of the size that the scan met


def test_a_mix_takes_a_split_of_any_name(make: Make) -> None:
    names = ["train-clean-100", "it's", 'a "b"', "δοκιμή", "1; DROP TABLE rows", "%", "true"]
    corpus = make([{"duration": 3600.0, "split": name} for name in names for _ in range(2)])
    for name in names:
        assert corpus.mix(temperature=1, split=name)["hours"].sum() == pytest.approx(2), name
    with pytest.raises(WorkbenchError, match="no hours in split"):
        corpus.mix(temperature=1, split="' OR 'a' = 'a")
