"""Decisions: every one on disk when reported, undone and redone, folded the same way by anyone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.corpus.query.table import Corpus
from workbench.corpus.review.decisions import DecisionStore
from workbench.errors import WorkbenchError

Make = Callable[..., Corpus]
CLIPS = [f"c{i}" for i in range(6)]


def fold(
    log: list[tuple[int, str, list[str], str, str | None]], undone: set[int]
) -> dict[tuple[str, str], str | None]:
    """The state as a plain loop would compute it."""
    state: dict[tuple[str, str], str | None] = {}
    for seq, _, clips, field, value in log:
        if seq not in undone:
            state.update({(clip, field): value for clip in clips})
    return state


@pytest.mark.parametrize("seed", range(6))
def test_state_is_the_fold_of_what_stands(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    store = DecisionStore(tmp_path / "d.sqlite")
    log: list[tuple[int, str, list[str], str, str | None]] = []
    undone: list[int] = []
    groups: dict[int, list[int]] = {}
    redoable: dict[str, list[int]] = {"ann": [], "bob": []}
    seen = 0
    running: dict[tuple[str, str], str | None] = {}
    for _ in range(60):
        who = rng.choice(["ann", "bob"])
        clips = rng.sample(CLIPS, rng.randint(1, 4))
        act = rng.choice(["accept", "reject", "edit", "tag", "together", "undo", "undo", "redo"])
        if act == "undo":
            mine = [e for e in log if e[1] == who and e[0] not in undone]
            found = store.undo(reviewer=who)
            assert (found.seq if found else None) == (mine[-1][0] if mine else None)
            if mine:
                undone += groups.get(mine[-1][0], [mine[-1][0]])
                redoable[who].append(mine[-1][0])
        elif act == "redo":
            found = store.redo(reviewer=who)
            assert (found.seq if found else None) == (redoable[who][-1] if redoable[who] else None)
            if redoable[who]:
                last = redoable[who].pop()
                undone = [seq for seq in undone if seq not in groups.get(last, [last])]
        elif act == "together":
            times = {"offset": repr(rng.random()), "duration": repr(1 + rng.random())}
            edits = {name: repr(round(float(value), 6)) for name, value in times.items()}
            made = store.edit_together(clips[0], times, accept=rng.random() < 0.5, reviewer=who)
            words = [*edits.items(), ("status", "accepted")]
            log += [(seq, who, clips[:1], *word) for seq, word in zip(made, words, strict=False)]
            groups[made[-1]] = made
            redoable[who] = []
        else:
            value = {"accept": "accepted", "reject": "rejected", "edit": f"t{rng.random()}", "tag": "1"}[act]
            field = {"edit": "text", "tag": "tag:x"}.get(act, "status")
            if act == "accept":
                seq = store.accept(clips, reviewer=who)
            elif act == "reject":
                seq = store.reject(clips, "why", reviewer=who)
            elif act == "edit":
                seq = store.edit(clips, "text", value, reviewer=who)
            else:
                seq = store.tag(clips, "x", reviewer=who)
            log.append((seq, who, clips, field, value))
            redoable[who] = []
        expected = fold(log, set(undone))
        assert {(c, f): v for c, f, v, _ in store.state()} == expected
        # Incrementally too: forget the clips that changed, then take their new state.
        changed = list(store.state(seen)) if seen else list(store.state())
        gone = {clip for clip, *_ in changed}
        running = {key: v for key, v in running.items() if key[0] not in gone}
        running.update({(c, f): v for c, f, v, _ in changed if f})
        seen = store.version()
        assert running == expected
    assert store.verify() == []


def test_the_view_follows_every_decision(make: Make) -> None:
    corpus = make([{"id": f"u{i}", "text": f"Text {i}.", "accent": "x"} for i in range(5)])
    assert corpus.where("duration < 5").reject("noisy", reviewer="ann") == 5
    assert corpus.where("status = 'rejected'").ids() == [f"u{i}" for i in range(5)]
    corpus.decisions.undo(reviewer="ann")
    assert len(corpus.where("status = 'pending'")) == 5
    corpus.decisions.edit("u1", "text", "  New   text. ", reviewer="ann")
    corpus.decisions.edit("u1", "accent", None, reviewer="ann")
    corpus.decisions.tag("u1", "loud", reviewer="ann")
    row = corpus.row("u1")
    assert (row["text"], row["original_text"], row["accent"]) == ("New text.", "Text 1.", None)
    assert (row["tags"], row["edited"]) == (["loud"], True)
    other = Corpus.open(corpus.folder)
    other.decisions.accept("u1", reviewer="bob")
    assert corpus.row("u1")["status"] == "accepted"


def test_a_bulk_decision_stores_ids_and_its_filter(make: Make) -> None:
    corpus = make([{"id": f"u{i}", "duration": float(i + 1)} for i in range(5)])
    assert len(corpus.where("duration > 3")) == 2
    corpus.where("duration > 3").accept(reviewer="ann")
    event = corpus.decisions.events()[-1]
    assert event.filter == "(duration > 3)"
    assert corpus.decisions.clips_of(event.seq) == ["u3", "u4"]


def test_reviewers_differ_and_someone_resolves(make: Make) -> None:
    corpus = make([{"id": f"u{i}"} for i in range(4)])
    store = corpus.decisions
    store.accept(["u0", "u1", "u2"], reviewer="ann")
    store.reject("u0", "clipped", reviewer="bob")
    store.accept("u1", reviewer="bob")
    (conflict,) = store.conflicts()
    assert (conflict.id, set(conflict.views)) == ("u0", {"ann", "bob"})
    assert conflict.views["bob"][:2] == ("rejected", "clipped")
    assert store.agreement()["clips"] == 2
    assert store.agreement()["agreed"] == 1
    store.resolve("u0", "status", "accepted", reviewer="chris")
    assert store.conflicts() == []
    assert corpus.row("u0")["status"] == "accepted"
    assert len(store.history("u0")) == 3


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (lambda s: s.reject("u", " "), "reason"),
        (lambda s: s.edit("u", "audio_filepath", "a.wav"), "cannot be edited"),
        (lambda s: s.edit("u", "target_lang", "el"), "el-GR"),
        (lambda s: s.edit("u", "text", "a\0b"), "NUL"),
        (lambda s: s.edit("u", "text", "\ud800"), "unpaired surrogate"),
        (lambda s: s.accept([]), "no clip"),
        (lambda s: s.tag("u", ""), "tag"),
    ],
)
def test_unfit_decisions_are_refused(tmp_path: Path, act: Callable[[DecisionStore], int], what: str) -> None:
    store = DecisionStore(tmp_path / "d.sqlite")
    with pytest.raises(WorkbenchError, match=what):
        act(store)
    assert store.version() == 0


def test_many_threads_and_one_file(make: Make) -> None:
    corpus = make([{"id": f"u{i}"} for i in range(40)])
    faults: list[Exception] = []

    def review(who: int) -> None:
        try:
            for i in range(10):
                corpus.decisions.accept(f"u{who * 10 + i}", reviewer=f"r{who}")
                corpus.page(0, 5, order_by="duration")
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=review, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert len(corpus.where("status = 'accepted'")) == 40


WRITER = """
import sys
from workbench.corpus.review.decisions import DecisionStore
store = DecisionStore(sys.argv[1])
for i in range(100000):
    store.edit(f"u{i % 7}", "text", f"v{i}", reviewer="ann")
    print(i, flush=True)
"""


@pytest.mark.parametrize("after", [5, 40])
def test_kill_9_loses_nothing_that_was_reported(tmp_path: Path, after: int) -> None:
    path = tmp_path / "d.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        last = -1
        for line in writer.stdout:
            last = int(line)
            if last >= after:
                os.kill(writer.pid, signal.SIGKILL)
                break
        rest = [int(line) for line in writer.stdout if line.strip().isdigit() and line.endswith("\n")]
        last = max([last, *rest])
    store = DecisionStore(path)
    assert store.version() >= last + 1
    assert {event.value for event in store.events()} >= {f"v{i}" for i in range(last + 1)}
    store.accept("u0", reviewer="bob")


@pytest.mark.parametrize(
    "given", [{"texts": range(10**9)}, {"ids": [0, "a"]}, {"ids": [b"a"]}, {"texts": [None]}]
)
def test_an_erasure_takes_texts_alone_and_removes_nothing_else(tmp_path: Path, given: dict[str, Any]) -> None:
    store = DecisionStore(tmp_path / "decisions.sqlite")
    store.accept(["a", "b"])
    with pytest.raises(TypeError, match="is no text"):
        store.erase(**{"ids": ["a"], **given})
    assert store.history("a")
    assert store.erase("a") == 1
    assert not store.history("a")


def test_erasure_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    store = DecisionStore(path)
    store.edit("gone", "text", "a secret sentence", reviewer="ann")
    store.accept(["gone", "stays"], reviewer="ann")
    store.erase(["gone"])
    store.close()
    data = b"".join(p.read_bytes() for p in path.parent.glob("d.sqlite*"))
    assert b"secret" not in data
    assert b"gone" not in data
    assert dict((c, v) for c, _, v, _ in DecisionStore(path).state()) == {"stays": "accepted"}
