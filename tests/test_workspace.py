"""The workspace folder: privacy of files, order of settings, pilot plan, slots, pseudonyms."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.files import replacing, write_atomic
from workbench.locks import alone, is_held
from workbench.names import check_name
from workbench.workspace import settings
from workbench.workspace.folder import WorkspaceFolder
from workbench.workspace.settings import Config, Pilot, RetrainingSchedule, SourceTerms
from workbench.workspace.slots import hold_slot, queue_up


@pytest.fixture
def ws(tmp_path: Path) -> WorkspaceFolder:
    return WorkspaceFolder(tmp_path / "ws")


def test_folders_are_for_the_owner_alone(ws: WorkspaceFolder) -> None:
    for folder in (ws.path, ws.corpora, ws.runs, ws.checkpoints, ws.reports, ws.releases, ws.slots):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    ws.path.chmod(0o755)
    WorkspaceFolder(ws.path)
    assert stat.S_IMODE(ws.path.stat().st_mode) == 0o700


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(WorkbenchError, match="is a folder"):
        WorkspaceFolder(tmp_path / "x")


def test_arguments_beat_environment_beats_file(ws: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    ws.configure(slots=2)
    assert WorkspaceFolder(ws.path).config.slots == 2
    monkeypatch.setenv("WORKBENCH_SLOTS", "3")
    assert WorkspaceFolder(ws.path).config.slots == 3
    assert WorkspaceFolder(ws.path, slots=4).config.slots == 4


def test_what_the_environment_overrides_is_not_written_to_the_file(
    ws: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_LOOKAHEAD_MS", "80")
    ws.configure(slots=2)
    monkeypatch.delenv("WORKBENCH_LOOKAHEAD_MS")
    assert WorkspaceFolder(ws.path).config.lookahead_ms == 560


def test_the_default_place_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_WORKSPACE", str(tmp_path / "elsewhere"))
    assert WorkspaceFolder().path == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("slots = ", "workspace.toml"),
        ("slots = 'many'", "'many' is not a int"),
        ("slots = 0", "At least one"),
        ("slot = 1", "workspace.toml:1: unknown field 'slot'.*Did you mean slots"),
        ("schema_version = 99", "newer schema"),
        ("[retraining_schedule]\ndays = 'soon'", "'soon' is not a float"),
        ("[[pilot.locale]]\ntag = 'el'", "el-GR"),
        ("[[pilot.locale]]\ntag = 'el-GR'\nrole = 'boss'", "target, guardrail"),
        ("[[pilot.locale]]\ntag = 'el-GR'\ntraffic_share = 1.5", "between 0 and 1"),
    ],
)
def test_faulty_settings_name_the_file_and_the_mend(ws: WorkspaceFolder, text: str, says: str) -> None:
    ws.settings_path.write_text(text)
    with pytest.raises(WorkbenchError, match=says):
        WorkspaceFolder(ws.path)


def test_the_pilot_weighs_traffic_by_risk(ws: WorkspaceFolder) -> None:
    ws.set_pilot(
        {"tag": "EL_gr", "traffic_share": 0.25, "risk_weight": 3, "accents": ["Cypriot"]},
        {"tag": "en-US", "role": "guardrail", "traffic_share": 0.75},
    )
    pilot = WorkspaceFolder(ws.path).pilot
    assert pilot.targets == ["el-GR"]
    assert pilot.guardrails == ["en-US"]
    assert pilot.weights() == {"el-GR": 0.5, "en-US": 0.5}
    assert pilot.locales[0].accents == ("Cypriot",)


def test_a_pilot_refuses_doubles_and_shares_over_one() -> None:
    with pytest.raises(WorkbenchError, match="twice"):
        Pilot.of({"tag": "el-GR"}, {"tag": "el_gr"})
    with pytest.raises(WorkbenchError, match="add up"):
        Pilot.of({"tag": "el-GR", "traffic_share": 0.6}, {"tag": "en-US", "traffic_share": 0.6})


_names = st.text(min_size=1, max_size=12)


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    name=_names, purpose=st.none() | _names, days=st.none() | st.floats(0, 1e4), slots=st.integers(1, 9),
    retraining_schedule=st.floats(0, 1e3),
)  # fmt: skip
def test_settings_survive_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    purpose: str | None,
    days: float | None,
    slots: int,
    retraining_schedule: float,
) -> None:
    terms = {name: SourceTerms(purpose=purpose, keep_days=days)}
    config = Config(
        slots=slots, retraining_schedule=RetrainingSchedule(days=retraining_schedule), sources=terms
    )
    path = tmp_path_factory.mktemp("toml") / "workspace.toml"
    write_atomic(path, settings.dump(config))
    assert settings.load_file(path) == config


@pytest.mark.parametrize("bad", ["", "..", "../x", "a/b", ".hidden", "a b", "é", "x" * 65, "a\n"])
def test_names_that_could_leave_the_folder_are_refused(bad: str) -> None:
    with pytest.raises(WorkbenchError):
        check_name(bad)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_atomic(tmp_path / "f", "old")

    def write_and_fail() -> None:
        with replacing(path) as draft:
            draft.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_pseudonyms_are_stable_here_and_different_elsewhere(ws: WorkspaceFolder, tmp_path: Path) -> None:
    first = ws.pseudonym("speaker", "Maria")
    assert WorkspaceFolder(ws.path).pseudonym("speaker", "Maria") == first
    assert WorkspaceFolder(tmp_path / "other").pseudonym("speaker", "Maria") != first
    assert "Maria" not in first


def test_first_users_at_once_agree_on_one_key(ws: WorkspaceFolder) -> None:
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(ws.pseudonym("speaker", "M"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1


def test_records_carry_the_actor_as_an_opaque_id(
    ws: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_USER", "anna@example.org")
    event = ws.record("corpus.import", {"rows": 3})
    assert event.actor == ws.actor("anna@example.org")
    assert "anna" not in str(event)


def test_slots_admit_as_many_as_configured(ws: WorkspaceFolder) -> None:
    ws.configure(slots=2)
    with ws.slot() as first, ws.slot() as second:
        assert {first.index, second.index} == {0, 1}
        assert ws.busy_slots() == 2
        with pytest.raises(WorkbenchError, match="busy"), ws.slot(timeout_s=0):
            pass
        with pytest.raises(WorkbenchError, match="cancelled"), ws.slot(cancel=lambda: True):
            pass
    assert ws.busy_slots() == 0


def test_a_killed_holder_frees_its_slot(ws: WorkspaceFolder) -> None:
    code = (
        "import sys, time\nfrom workbench.workspace.folder import WorkspaceFolder\n"
        "with WorkspaceFolder(sys.argv[1]).slot():\n    print('held', flush=True)\n    time.sleep(600)\n"
    )
    job = subprocess.Popen([sys.executable, "-c", code, str(ws.path)], stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    assert job.stdout.readline() == "held\n"
    assert ws.busy_slots() == 1
    job.kill()
    job.wait()
    with ws.slot(timeout_s=10) as slot:
        assert slot.index == 0


def test_waiting_jobs_are_served_in_the_order_of_coming(ws: WorkspaceFolder) -> None:
    served: list[int] = []
    tickets = [queue_up(ws.slots) for _ in range(6)]

    def work(number: int) -> None:
        with hold_slot(ws.slots, 1, ticket=tickets[number]):
            served.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in (5, 2, 4, 1, 3)]
    for thread in threads:
        thread.start()
    with pytest.raises(WorkbenchError, match="busy"), hold_slot(ws.slots, 1, timeout_s=0.5):
        pass  # whoever is not first waits even while the slot is free
    assert served == []
    tickets[0].leave()  # as the end of its process would
    for thread in threads:
        thread.join(60)
    assert served == [1, 2, 3, 4, 5]
    assert list((ws.slots / "queue").glob("*.ticket")) == []


_WRITES = """
import sys
from workbench.workspace.folder import WorkspaceFolder
ws, me = WorkspaceFolder(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
for number in range(50):
    ws.set_terms(f"{me}-{number}", license="CC0", consent=me)
"""


def test_of_writers_at_once_nothing_is_lost(ws: WorkspaceFolder) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITES, str(ws.path), me], stdin=subprocess.PIPE)
        for me in ("anna", "ben")
    ]
    for writer in writers:
        writer.communicate(b"\n")
    assert [writer.returncode for writer in writers] == [0, 0]
    held = WorkspaceFolder(ws.path).config.sources
    assert len(held) == 100
    assert {terms.consent for terms in held.values()} == {"anna", "ben"}


def test_a_lock_is_entered_again_by_its_thread_and_by_no_other(tmp_path: Path) -> None:
    with alone(tmp_path / "lock"), alone(tmp_path / "lock"):
        assert is_held(tmp_path / "lock")
        found: list[str] = []

        def other() -> None:
            try:
                with alone(tmp_path / "lock", timeout_s=0.1, busy="anna is writing"):
                    found.append("in")
            except WorkbenchError as error:
                found.append(error.what)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join(60)
        assert found == ["anna is writing"]
    assert not is_held(tmp_path / "lock")
