"""sherpa-onnx's own server on a package, driven by paced callers; what goes wrong is counted, not raised."""

from __future__ import annotations

import json
import os
import signal
import threading

import numpy as np
import pytest
import soundfile

import workbench as wb
from workbench.capacity.server import Caller, ServerCapacity, ServerLoad, measure_server
from workbench.deployment import export_model
from workbench.deployment.package import Package
from workbench.deployment.server import command, running
from workbench.errors import WorkbenchError
from workbench.recognizer.checkpoint import Checkpoint
from workbench.starter_files import CHECKPOINT, CORPUS, MANIFEST

LIMITS = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("served") / "package"
    return export_model(Checkpoint.open(CHECKPOINT), folder, to="sherpa-onnx", lookahead_ms=560)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    rows = [json.loads(line) for line in MANIFEST.read_text().splitlines()]
    rows = [row for row in rows if 2 < row["duration"] < 5][::400][:6]
    return [soundfile.read(CORPUS / row["audio_filepath"], dtype="float32")[0] for row in rows]


@pytest.mark.model
@LIMITS
def test_callers_of_the_real_server_are_timed_and_its_faults_counted(package, clips, tmp_path):
    out = tmp_path / "server.json"
    with running(package, threads=1) as (address, pid):
        found = measure_server(
            address, clips, streams=(1, 4), call_s=3.0, repeats=1, budget_ms=60_000, padding_ms=300,
            leaving=1, slow_readers=1, out=out,
        )  # fmt: skip
        one, four = found.loads
        assert (one.finished, one.faults, one.slow_readers) == (1, {}, 0)
        assert one.first_text_ms["count"] == 1
        assert one.token_ms["count"] > 3
        assert one.last_text_ms["p50"] > 0
        assert one.rss_mib > 20
        assert one.cpu_share > 0
        # One hung up and one read late; the two others have their times all the same.
        assert (four.finished, four.faults, four.slow_readers) == (3, {"left": 1}, 1)
        assert four.last_text_ms["count"] == 2
        assert found.largest == 4
        assert json.loads(out.read_text())["largest"] == 4
        killer = threading.Timer(1.0, os.kill, (pid, signal.SIGKILL))
        killer.start()
        killed = measure_server(address, clips, streams=(2,), call_s=3.0, repeats=1)
        assert killed.loads[0].faults == {"dropped": 2}
        assert killed.largest is None
        assert "2 dropped" in str(killed)
        with pytest.raises(WorkbenchError, match="no server answers"):
            measure_server(address, clips, streams=(1,), call_s=1.0, repeats=1)


@pytest.mark.model
@LIMITS
def test_the_padding_is_measured_and_written_into_the_package(package, tmp_path):
    ws = wb.Workspace(tmp_path / "ws")
    rows = [json.loads(line) for line in MANIFEST.read_text().splitlines()]
    rows = [row for row in rows if row["split"] == "validation" and 1 < row["duration"] < 4][::40][:6]
    lines = [{**row, "audio_filepath": str(CORPUS / row["audio_filepath"])} for row in rows]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    corpus = ws.import_corpus("calls", tmp_path / "m.jsonl", audio_roots=[CORPUS])
    found = ws.tune_package(package.path, corpus, str(CHECKPOINT), paddings_ms=(0, 160))
    assert found.table["left_padding_ms"].tolist() == [0, 160, 300]
    rates = found.table.set_index("left_padding_ms")["rate"]
    assert rates[found.after_ms] == rates.min()
    assert rates[0] > rates.min(), "without padding the beginning is lost"
    again = Package.open(package.path)
    assert again.settings["left_padding_ms"] == found.after_ms
    assert f"**Put {found.after_ms} ms of silence" in (package.path / "README.md").read_text()


def test_the_command_names_the_package(tmp_path):
    made = Package(tmp_path, "sherpa-onnx", "fp32", "0" * 64, {"feature_dim": 80, "sample_rate": 16000}, {})
    called = command(made, port=7007)
    assert f"--encoder={tmp_path / 'encoder.onnx'}" in called
    assert {"--port=7007", "--feat-dim=80", "--enable-endpoint=false"} <= set(called)
    with pytest.raises(WorkbenchError, match="has no server"):
        command(Package(tmp_path, "onnx", "fp32", "0" * 64, {}, {}))


@pytest.mark.parametrize("address", ["127.0.0.1:6006", "http://a:1", "ws://", "ws://a b:1"])
def test_what_is_no_address_is_said(address):
    with pytest.raises(WorkbenchError, match="no server address"):
        measure_server(address, [np.zeros(16000, np.float32)])


def test_nobody_listening_is_one_line():
    with pytest.raises(WorkbenchError, match="no server answers"):
        measure_server("ws://127.0.0.1:9", [np.zeros(16000, np.float32)])
    caller = Caller("ws://127.0.0.1:9", np.zeros(1600, np.float32), 16_000, 0)
    caller.start()
    caller.join()
    assert caller.fault == "refused"


def test_the_largest_number_is_that_of_most_repeats():
    def load(streams: int, last_ms: float, **faults: int) -> ServerLoad:
        times = {"p50": last_ms, "p95": last_ms, "p99": last_ms, "max": last_ms, "count": streams}
        return ServerLoad(streams, 0, 1.0, streams, times, times, times, 0, faults, 0, None, None)

    loads = [load(1, 100), load(2, 100), load(2, 900), load(2, 200), load(4, 100, dropped=1), load(4, 900)]
    assert ServerCapacity("ws://a:1", 1.0, 500, loads).largest == 2
    assert ServerCapacity("ws://a:1", 1.0, 50, loads).largest == 0
    assert load(3, 100, left=1).holds(500)
