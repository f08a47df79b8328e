"""Rows as numbers: keys, hashes, findings and exports of the compact code against the plain way."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.corpus import workers
from workbench.corpus.export import export_rows
from workbench.corpus.importing import import_source
from workbench.corpus.quality import checks, duplicates, leakage
from workbench.corpus.query import row_index, spill_db
from workbench.corpus.query.engine import Engine
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.text import normalized_keys

Make = Callable[..., Corpus]
PINNED_COUNT = 12129
PINNED = {
    "manifest": "531a9bb7d1a0f875fd695785783f5d4ef6dfe9abf5ecfc92f14360c832986720",
    "findings": "4216cec52930bce331feb9c560a2761c966b3c74b8938752cd690e14c26ed9bd",
    "shared": "d590f384d548499ce18f695584b4d370d7c454af1661cfcc4533ec8b39f56db4",
    "disjoint": "ffca0c1f8c05fe25e669b123f5a2f905b56fd75a2ddb1b032d29d7d9bca4011c",
    "set_aside": "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945",
}
STARTER = Path(__file__).resolve().parents[2] / "data" / "starter" / "manifest.jsonl"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.sampled_from("abcdefg"), max_size=40))
def test_the_first_of_a_key_is_its_lowest_row(values: list[str | None]) -> None:
    found = row_index.firsts(row_index.digests(values)).tolist()
    assert found == [-1 if value is None else values.index(value) for value in values]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.none() | st.integers(0, 9)] * 3, st.booleans()), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_what_hangs_together_is_found_among_the_chosen_rows(rows: list[Any], draw: random.Random) -> None:
    levels = {
        name: row_index.firsts(row_index.digests([None if row[at] is None else str(row[at]) for row in rows]))
        for at, name in enumerate("abc")
    }
    count = len(rows)
    none = np.zeros(count, np.int32)
    made = row_index.Keys(
        np.arange(count), np.zeros(count), np.ones(count), none, [(None, None)], none - 1, [],
        np.ones(count, bool), levels,
    )  # fmt: skip
    named = [{name: row[at] for at, name in enumerate("abc")} for row in rows]
    assert groups(made.components("abc")) == reference.components(named, "abc")
    chosen = np.array([row[3] for row in rows])
    places = np.flatnonzero(chosen).tolist()
    among = [[places[i] for i in g] for g in reference.components([named[i] for i in places], "abc")]
    assert groups(made.components("abc", chosen)) == sorted(among)
    order = list(range(count))
    draw.shuffle(order)
    moved = made.reordered(np.array(order))
    assert groups(moved.components("abc")) == reference.components([named[i] for i in order], "abc")


def groups(first: np.ndarray) -> list[list[int]]:
    found: dict[int, list[int]] = {}
    for place, group in enumerate(first.tolist()):
        found.setdefault(group, []).append(place)
    found.pop(-1, None)
    return list(found.values())


def test_near_sentences_are_those_of_the_plain_way(make: Make) -> None:
    rng = random.Random(3)
    words = ["σήμερα", "breakfast", "window", "αύριο", "quietly", "river", "日本語の", "mountain", "θάλασσα"]
    texts = [" ".join(rng.choices(words, k=rng.randint(2, 7))) for _ in range(250)]
    texts += [f"{text}s" for text in texts[::5]] + [text.replace("o", "a", 1) for text in texts[::7]]
    rows = [{"text": text, "target_lang": rng.choice(["en-US", "en-GB", "el-GR"])} for text in texts]
    corpus = make(rows)
    distinct: dict[tuple[str, str], int] = {}
    for place, (row, key) in enumerate(zip(rows, normalized_keys(texts), strict=True)):
        if len(key) >= duplicates.LEAST_LETTERS:
            distinct.setdefault((row["target_lang"][:2], key), place)
    ids = corpus.ids()
    wanted = reference.near_texts(list(distinct), 0.9)
    at = list(distinct.values())
    found = checks.run_checks(corpus, ["near_duplicate_text"])
    assert len(wanted) >= 20
    assert list(zip(found["id"], found["value"], strict=True)) == [
        (ids[at[b]], ids[at[a]]) for b, a, _ in sorted(wanted, key=lambda hit: at[hit[0]])
    ]


def test_findings_in_a_file_are_those_in_memory(make: Make, tmp_path: Path) -> None:
    """Numbers come back as what they were, whole numbers whole."""
    rows = [
        {"text": "No 5 here.", "duration": 41.5}, {"text": "No 5 here.", "audio_filepath": "0.wav"},
        {"text": "[noise] quiet", "target_lang": "xx"}, {"text": "Wоrd."}, {"text": ""},
    ]  # fmt: skip
    corpus = make(rows)
    frame = checks.run_checks(corpus)
    checked = checks.write_checks(corpus, tmp_path / "f.parquet", {"too_long": 41})
    assert checked.counts == frame["rule"].value_counts().to_dict()
    assert (checked.rows, checked.not_run) == (5, frame.attrs["not_run"])
    import pyarrow.parquet as pq

    table = pq.read_table(checked.path).to_pylist()
    assert [(r["id"], r["rule"], r["severity"]) for r in table] == list(
        zip(frame["id"], frame["rule"], frame["severity"], strict=True)
    )
    (long,) = [row for row in table if row["rule"] == "too_long"]
    assert (long["number"], frame[frame["rule"] == "too_long"]["value"].item()) == (41.5, 41.5)
    assert not list(corpus.folder.glob(".scratch-*"))
    with pytest.raises(WorkbenchError, match="no rule"):
        checks.write_checks(corpus, tmp_path / "g.parquet", ["loud"])
    assert not (tmp_path / "g.parquet").exists()


def test_findings_count_in_the_card_from_file_and_frame(make: Make, tmp_path: Path) -> None:
    corpus = make([{"text": "No 5 here."}, {"text": "7."}, {"text": ""}])
    one = corpus.export(tmp_path / "a", only="not_rejected", findings=checks.run_checks(corpus))
    two = corpus.export(
        tmp_path / "b", only="not_rejected", findings=checks.write_checks(corpus, tmp_path / "f.parquet")
    )
    cards = [json.loads((made.path / "data_card.json").read_text())["findings"] for made in (one, two)]
    assert cards[0] == cards[1]
    assert cards[0]["digits"] == {"severity": "warning", "utterances": 2}
    assert "text_empty" not in cards[0]


@pytest.mark.parametrize("format", ["tarred", "shar"])
def test_several_processes_write_the_same_bytes(real: Corpus, tmp_path: Path, format: str) -> None:
    view = real.where("target_lang IN ('el-GR', 'en-US', 'fr-FR')")
    seen: list[tuple[int, int]] = []
    options: dict[str, Any] = {"only": "not_rejected", "shard_size": 5}
    one = view.export(tmp_path / "x", format, **options)
    files = {p.relative_to(one.path): p.read_bytes() for p in one.path.rglob("*") if p.is_file()}
    two = view.export(
        tmp_path / "x", format, workers=2, replace=True, progress=lambda *at: seen.append(at), **options
    )
    assert one.digest == two.digest
    assert files == {p.relative_to(two.path): p.read_bytes() for p in two.path.rglob("*") if p.is_file()}
    assert seen[-1] == (len(view), len(view))
    rows = [count for name, count in one.counts.items() if name.startswith("split_")]
    assert len([path for path in files if path.suffix == ".tar"]) == sum(-(-count // 5) for count in rows) > 3


def test_a_fault_in_another_process_is_told_as_here(real: Corpus, tmp_path: Path) -> None:
    real.audio_path(real.ids()[3]).rename(tmp_path / "moved.ogg")
    told = []
    for processes in (1, 2):
        with pytest.raises(WorkbenchError, match="missing") as fault:
            real.export(tmp_path / "x", "tarred", only="not_rejected", workers=processes, shard_size=20)
        told.append(str(fault.value))
    (tmp_path / "moved.ogg").rename(real.audio_path(real.ids()[3]))
    assert told[0] == told[1]
    assert not list(tmp_path.glob(".x*"))


def test_a_process_that_dies_is_named() -> None:
    with pytest.raises(WorkbenchError, match="ended with code 3"):
        list(workers.each_done(os._exit, [3, 3], 2))


def test_rows_that_come_in_another_order_are_put_in_theirs(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = make([{"id": f"u{i}", "text": f"Number {i}."} for i in range(9)])
    corpus.decisions.reject(["u7", "u2"], "x", reviewer="ann")
    plain = corpus.export(tmp_path / "a" / "x", only="not_rejected")
    in_order = Engine.scan
    asked: list[str] = []

    def scan(self: Engine, select: str, where: str, rest: str, take: Any, *more: Any) -> Any:
        asked.append(rest)
        return in_order(self, select, where, rest or "ORDER BY row_index DESC", take, *more)

    monkeypatch.setattr(Engine, "scan", scan)
    again = corpus.export(tmp_path / "b" / "x", only="not_rejected")
    assert asked == ["", "ORDER BY row_index"]
    for name in ("unassigned.jsonl", "left_out.jsonl"):
        assert (plain.path / name).read_bytes() == (again.path / name).read_bytes()
    with spill_db.database(corpus.folder) as database:
        made = leakage.read(corpus, database, only="")
    assert made.row_index.tolist() == list(range(9))


def test_room_on_disk_is_made_and_left_clean(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit goes to disk and is gone after; what a killed process left goes with the next."""
    corpus = make([{}])
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left = spill_db.folder(corpus.folder)
    left = left.with_name(left.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-"))
    left.mkdir()
    alive = spill_db.folder(corpus.folder)
    assert not left.exists()
    alive.mkdir()
    monkeypatch.setattr(spill_db, "MEMORY_LIMIT", "40MB")
    with spill_db.database(corpus.folder) as database:
        database.execute("CREATE TABLE t AS SELECT md5(range::VARCHAR) AS a FROM range(2000000)")
        assert [p for p in corpus.folder.glob(".scratch-*/*") if p.stat().st_size]
        assert database.execute("SELECT count(*), min(a) FROM t").fetchall()[0][0] == 2_000_000
    assert list(corpus.folder.glob(".scratch-*")) == [alive]
    alive.rmdir()


def test_a_decision_names_millions_one_by_one(make: Make) -> None:
    corpus = make([{"id": f"u{i}"} for i in range(4)])
    corpus.decisions.accept((f"u{i % 3}" for i in range(9)), reviewer="ann")
    (event,) = corpus.decisions.events()
    assert (event.clips, corpus.decisions.clips_of(event.seq)) == (3, ["u0", "u1", "u2"])
    with pytest.raises(WorkbenchError, match="no clip is named"):
        corpus.decisions.accept((id_ for id_ in ()), reviewer="ann")
    assert len(corpus.decisions.events()) == 1


def test_the_starter_corpus_is_split_and_checked_as_ever(tmp_path: Path) -> None:
    """Pinned by what the code found that held a dict a row."""
    manifest = hashlib.sha256(STARTER.read_bytes()).hexdigest()
    assert manifest == PINNED["manifest"], "the starter corpus has changed: pin what is found in it anew"
    corpus = import_source(STARTER, tmp_path / "c", name="starter")
    found = checks.run_checks(corpus)
    rows = [list(row) for row in zip(found["id"], found["rule"], found["value"], strict=True)]
    assert (len(rows), digest(rows)) == (PINNED_COUNT, PINNED["findings"])
    for speakers in ("shared", "disjoint"):
        report = corpus.split(seed=3, speakers=speakers)
        splits = sorted([row["id"], row["split"]] for row in corpus.table(["id", "split"]).to_pylist())
        assert digest(splits) == PINNED[speakers]
    assert digest(report.set_aside) == PINNED["set_aside"]


def digest(rows: list[Any]) -> str:
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()


def test_a_known_folder_lets_no_link_out(tmp_path: Path) -> None:
    """What is remembered of a folder is not believed of links in it, nor of folders above."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "link.wav").symlink_to(tmp_path / "outside.wav")
    (root / "sub" / "inner.wav").symlink_to(root / "sub" / "a.wav")
    place = export_rows.Place([str(root)], tmp_path / "x", {})
    for name in ("sub/a.wav", "sub/b.wav", "sub/inner.wav", "sub/../c.wav", "d.wav", "e.wav"):
        wanted = os.path.normpath(root / name)
        assert place.audio_path({"audio_filepath": name}) == wanted
    for name in ("sub/link.wav", "sub/..", "..", "../e.wav", str(tmp_path / "e.wav")):
        with pytest.raises(WorkbenchError, match="outside"):
            place.audio_path({"audio_filepath": name})
