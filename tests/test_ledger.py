"""The ledger: what it keeps, what it refuses, and which attacks verify() shows."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.workspace.ledger import ERASED, Head, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path / "ledger.sqlite")
    for i in range(10):
        made.append("corpus.import", {"rows": i, "digest": f"{i:064x}"})
    return made


def tampered(ledger: Ledger, script: str) -> Ledger:
    """The same ledger after someone with write access ran SQL on the file, guards removed."""
    ledger.close()
    with sqlite3.connect(ledger.path) as connection:
        connection.executescript(f"DROP TRIGGER events_fixed; DROP TRIGGER events_kept; {script}")
    connection.close()
    return Ledger(ledger.path)


@pytest.mark.parametrize("kind", [(), 3, b"run", ["run"], {}])
def test_a_kind_that_is_no_word_is_no_kind(ledger: Ledger, kind: object) -> None:
    with pytest.raises(TypeError, match="kind is"):
        list(ledger.events(kind))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="kind is"):
        ledger.latest(kind)  # type: ignore[arg-type]


def test_events_come_back_in_order_and_survive_reopening(ledger: Ledger) -> None:
    again = Ledger(ledger.path)
    assert [e.payload["rows"] for e in again.events() if e.payload] == list(range(10))
    assert len(again) == 10
    assert again.head() == ledger.head()
    assert again.latest("corpus.import") == list(ledger.events())[-1]
    assert again.latest("run") is None


def test_events_filter_by_kind_and_position(ledger: Ledger) -> None:
    ledger.append("run.start", {"steps": 5})
    assert [e.seq for e in ledger.events(kind="run.start")] == [11]
    assert [e.seq for e in ledger.events(after=8)] == [9, 10, 11]
    assert [e.seq for e in ledger.events(limit=2)] == [1, 2]


def test_file_is_private(ledger: Ledger) -> None:
    assert ledger.path.stat().st_mode & 0o077 == 0


def test_events_are_guarded_against_update_and_removal(ledger: Ledger) -> None:
    with sqlite3.connect(ledger.path) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            connection.execute("UPDATE events SET kind = 'x'")
        with pytest.raises(sqlite3.IntegrityError, match="never removed"):
            connection.execute("DELETE FROM events WHERE seq = 3")


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "Maria Lopez"},
        {"path": "/home/maria/calls"},
        {"path": "C:\\calls"},
        {"text": "ναι"},
        {"nested": {"list": ["fine", "not fine"]}},
        {"email": "maria@example.org"},
        {"rate": float("nan")},
        {"a key with spaces": 1},
        {"blob": b"x"},
    ],
)
def test_text_names_and_paths_are_refused_without_quoting_them(
    ledger: Ledger, bad: dict[str, object]
) -> None:
    with pytest.raises(WorkbenchError) as refusal:
        ledger.append("corpus.import", bad)
    assert "Maria" not in str(refusal.value)
    assert "maria" not in str(refusal.value)
    assert len(ledger) == 10


def test_unknown_kinds_are_refused(ledger: Ledger) -> None:
    with pytest.raises(WorkbenchError, match="no event kind"):
        ledger.append("Corpus Import", {})


def test_one_bad_event_keeps_the_whole_batch_out(ledger: Ledger) -> None:
    with pytest.raises(WorkbenchError):
        ledger.append_many([("run.start", {"n": 1}), ("run.start", {"n": "two words"})])
    assert len(ledger) == 10
    assert ledger.verify().ok


def test_verify_says_what_it_could_not_check(ledger: Ledger) -> None:
    assert ledger.verify().ok
    assert not ledger.verify().anchored
    assert "no outside head" in str(ledger.verify())
    head = str(ledger.head())
    ledger.append("run.start", {})
    grown = ledger.verify(head)
    assert grown.ok
    assert grown.anchored


def test_erasure_leaves_the_chain_whole_and_the_bytes_gone(ledger: Ledger) -> None:
    secret = "f00dfacef00dfacef00dfacef00dface"
    event = ledger.append("corpus.import", {"digest": secret})
    head = ledger.head()
    assert secret.encode() in ledger.path.read_bytes()
    record = ledger.erase(event.id)
    assert record.kind == ERASED
    assert secret.encode() not in ledger.path.read_bytes()
    found = ledger.find(event.id)
    assert found.erased
    assert found.payload is None
    verification = ledger.verify(head)
    assert verification.ok
    assert verification.erased == 1
    ledger.erase(event.id)
    assert ledger.verify(head).ok


def test_the_record_of_an_erasure_cannot_be_erased(ledger: Ledger) -> None:
    record = ledger.erase(next(ledger.events()).id)
    with pytest.raises(WorkbenchError, match="nothing to erase"):
        ledger.erase(record.id)


ATTACKS = {
    "edited payload": """UPDATE payloads SET payload = '{"rows":99}' WHERE seq = 4""",
    "edited kind": "UPDATE events SET kind = 'release.promote' WHERE seq = 4",
    "edited time": "UPDATE events SET at = '2020-01-01T00:00:00.000Z' WHERE seq = 4",
    "edited digest": "UPDATE events SET digest = zeroblob(32) WHERE seq = 4",
    "removed from the middle": "DELETE FROM events WHERE seq = 4; DELETE FROM payloads WHERE seq = 4",
    "removed from the front": "DELETE FROM events WHERE seq = 1; DELETE FROM payloads WHERE seq = 1",
    "renumbered": "UPDATE events SET seq = 44 WHERE seq = 4; UPDATE payloads SET seq = 44 WHERE seq = 4",
    "swapped": "UPDATE events SET seq = -1 WHERE seq = 3; UPDATE events SET seq = 3 WHERE seq = 4; "
    "UPDATE events SET seq = 4 WHERE seq = -1",
    "payload removed in silence": "DELETE FROM payloads WHERE seq = 4",
    "payloads exchanged": "UPDATE payloads SET seq = -1 WHERE seq = 3; "
    "UPDATE payloads SET seq = 3 WHERE seq = 4; UPDATE payloads SET seq = 4 WHERE seq = -1",
    "another ledger's origin": "UPDATE meta SET value = 'f00d' WHERE key = 'ledger'",
    "newest event removed, payload left": "DELETE FROM events WHERE seq = 10",
}


@pytest.mark.parametrize("script", ATTACKS.values(), ids=ATTACKS.keys())
def test_edits_are_found_without_an_outside_head(ledger: Ledger, script: str) -> None:
    verification = tampered(ledger, script).verify()
    assert not verification.ok
    assert str(verification).startswith("broken")


def test_truncation_is_found_with_an_outside_head_and_owned_up_to_without(ledger: Ledger) -> None:
    head = ledger.head()
    cut = tampered(ledger, "DELETE FROM events WHERE seq > 7; DELETE FROM payloads WHERE seq > 7")
    assert cut.verify().ok
    assert "no outside head" in str(cut.verify())
    assert not cut.verify(head).ok
    assert "truncated or rewritten" in str(cut.verify(head))


def test_a_rewritten_ledger_is_found_with_an_outside_head(ledger: Ledger, tmp_path: Path) -> None:
    head = ledger.head()
    forged = Ledger(tmp_path / "forged.sqlite")
    for i in range(12):
        forged.append("corpus.import", {"rows": 100 + i})
    shutil.copy(forged.path, ledger.path)
    rewritten = Ledger(ledger.path)
    assert rewritten.verify().ok
    assert not rewritten.verify(head).ok


def test_a_file_of_garbage_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(WorkbenchError, match="not a readable ledger"):
        Ledger(path)


def test_damaged_pages_are_reported_not_raised(ledger: Ledger) -> None:
    ledger.append_many(("run.step", {"n": n, "pad": "a" * 150}) for n in range(500))
    ledger.close()
    data = bytearray(ledger.path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 8192] = b"\xff" * 8192
    ledger.path.write_bytes(bytes(data))
    assert not Ledger(ledger.path).verify().ok


def test_heads_are_read_strictly() -> None:
    text = f"12:{'ab' * 32}"
    assert str(Head.parse(text)) == text
    for bad in ("", "12", "x:" + "ab" * 32, "12:" + "AB" * 32, "12:abc"):
        with pytest.raises(WorkbenchError, match="ledger head"):
            Head.parse(bad)


def test_threads_append_without_losing_or_doubling(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for i in range(20):
                ledger.append("run.step", {"thread": thread, "i": i})
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    seen = [(e.payload["thread"], e.payload["i"]) for e in ledger.events() if e.payload]
    assert sorted(seen) == [(t, i) for t in range(6) for i in range(20)]
    assert ledger.verify().ok


_APPENDER = """
import sys
from workbench.workspace.ledger import Ledger
ledger = Ledger(sys.argv[1])
for i in range(int(sys.argv[2])):
    event = ledger.append("run.step", {"i": i})
    print(event.seq, flush=True)
"""


def test_processes_append_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path)
    jobs = [subprocess.Popen([sys.executable, "-c", _APPENDER, str(path), "25"]) for _ in range(3)]
    assert [job.wait() for job in jobs] == [0, 0, 0]
    assert len(Ledger(path)) == 75
    assert Ledger(path).verify().ok


@pytest.mark.parametrize("lines", [1, 4, 9])
def test_kill_9_loses_nothing_that_was_reported(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "ledger.sqlite"
    job = subprocess.Popen(
        [sys.executable, "-c", _APPENDER, str(path), "100000"], stdout=subprocess.PIPE, text=True
    )
    assert job.stdout is not None
    reported = [int(job.stdout.readline()) for _ in range(lines)][-1]
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    ledger = Ledger(path)
    assert len(ledger) >= reported
    assert ledger.verify().ok
    ledger.append("run.step", {})
    assert ledger.verify().ok


_payloads = st.dictionaries(
    st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
    st.one_of(
        st.integers(-(2**40), 2**40), st.booleans(), st.none(), st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
    ),
    max_size=4,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payloads=st.lists(_payloads, min_size=1, max_size=8), data=st.data())
def test_any_subset_can_be_erased_and_any_cut_is_found(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[dict[str, object]], data: st.DataObject
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("drawn") / "ledger.sqlite")
    events = ledger.append_many(("corpus.import", p) for p in payloads)
    for event in data.draw(st.lists(st.sampled_from(events), unique_by=lambda e: e.seq)):
        ledger.erase(event.id)
    assert ledger.verify(ledger.head()).ok
    head, cut = ledger.head(), data.draw(st.integers(1, len(ledger)))
    gone = tampered(ledger, f"DELETE FROM events WHERE seq >= {cut}; DELETE FROM payloads WHERE seq >= {cut}")
    assert not gone.verify(head).ok


def test_numbers_that_sqlite_cannot_hold_ask_for_what_is_not_there(ledger):
    assert list(ledger.events(after=10**30)) == []
    assert len(list(ledger.events(after=-(10**30), limit=10**30))) == len(ledger) == 10
