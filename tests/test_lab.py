"""JupyterLab as it is started: its token on no command line, its first notebook with a kernel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import lab


def test_the_command_line_holds_no_token(tmp_path: Path) -> None:
    assert not any("token" in word.lower() for word in lab.lab_command(8888, tmp_path / "s", tmp_path))


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What ``workbench lab`` prints, while its server runs; a proxy that is set is of no concern to it."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / lab.FIRST).write_text("{}")
    code = "from workbench import lab; lab.lab(0)"
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment |= {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    server = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        line = ""
        while "token=" not in line:
            line = server.stdout.readline()
            assert line, "the server ended"
        yield line.strip()
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        for _ in range(100):
            if server.poll() is not None:
                break
            time.sleep(0.1)
        else:
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_nobody_sees_the_token_of_a_running_server(address: str) -> None:
    token = address.rsplit("token=", 1)[1]
    assert len(token) == 48
    seen = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            seen.append(path.read_bytes())
        except OSError:
            continue
    assert any(b"jupyterlab" in text for text in seen)
    assert not any(token.encode() in text for text in seen)


def test_the_first_notebook_has_its_kernel_before_its_address_is_printed(address: str) -> None:
    """Else JupyterLab drops what is run while it looks for one, without a word."""
    host, token = address.split("/lab/")[0], address.rsplit("token=", 1)[1]
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(f"{host}/api/sessions?token={token}", timeout=10) as answer:
        sessions = json.load(answer)
    assert [one["path"] for one in sessions] == [f"notebooks/{lab.FIRST}"]
    assert sessions[0]["kernel"]["id"]
