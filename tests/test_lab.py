"""JupyterLab's token: on no command line, where every account of the machine could read it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workbench import lab


def test_the_command_line_holds_no_token(tmp_path: Path) -> None:
    assert not any("token" in word.lower() for word in lab.lab_command(8888, tmp_path / "s", tmp_path))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_nobody_sees_the_token_of_a_running_server(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / lab.FIRST).write_text("{}")
    code = "from workbench import lab; lab.lab(0)"
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
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
        token = line.rsplit("token=", 1)[1].strip()
        assert len(token) == 48
        seen = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(path.read_bytes())
            except OSError:
                continue
        assert any(b"jupyterlab" in text for text in seen)
        assert not any(token.encode() in text for text in seen)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        for _ in range(100):
            if server.poll() is not None:
                break
            time.sleep(0.1)
        else:
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
