"""Setting up: each thing that can be missing gets one line with the hint, and a second call does nothing."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from workbench import lab

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("bash", "cat", "cksum", "awk", "df", "dirname", "grep", "tail", "printf", "sh", "env", "rm", "mkdir")


@pytest.fixture
def checkout(tmp_path):
    """A folder with what the installer reads, and a PATH that holds no Python."""
    for name in ("pyproject.toml", "constraints.txt", "tooling"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        if found:
            (binaries / tool).symlink_to(found)
    return tmp_path


def install(checkout, **environment):
    plain = {"PATH": str(checkout / "bin"), "HOME": str(checkout), **environment}
    script = [shutil.which("bash"), str(checkout / "tooling" / "install.sh")]
    return subprocess.run(script, env=plain, capture_output=True, text=True, timeout=300)


def fake(checkout, name, body):
    path = checkout / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!{shutil.which('bash')}\n{body}\n")
    path.chmod(0o755)


def one_line(result):
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_no_usable_python(checkout):
    result = install(checkout)
    assert result.returncode == 1
    assert "no Python 3.11 to 3.13" in one_line(result)


def test_old_python_is_passed_over(checkout):
    fake(checkout, "python3", 'case "$*" in *version_info*) exit 1;; *) exit 0;; esac')
    assert "no Python 3.11 to 3.13" in one_line(install(checkout))


def test_no_venv_module(checkout):
    fake(checkout, "python3", f'case "$*" in *ensurepip*) exit 1;; *) exec {sys.executable} "$@";; esac')
    assert "no venv module" in one_line(install(checkout))


def test_too_little_disk(checkout):
    fake(checkout, "python3", f'exec {sys.executable} "$@"')
    fake(
        checkout,
        "df",
        "printf 'Filesystem 1M-blocks Used Available Capacity Mounted\\n/dev/x 9 9 123 9%% /\\n'",
    )
    assert "only 123 MB free" in one_line(install(checkout))


def test_no_network(checkout):
    real = Path(os.path.realpath(sys.executable))
    fake(checkout, "python3", f'exec {real} "$@"')
    nowhere = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
    }
    result = install(checkout, **nowhere)
    assert result.returncode == 1
    assert "cannot be fetched" in one_line(result)


def test_second_call_does_nothing(checkout):
    want = subprocess.run(
        "cat pyproject.toml constraints.txt | cksum", shell=True, cwd=checkout, capture_output=True, text=True
    ).stdout
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / ".installed").write_text(want)
    result = install(checkout)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_lab_takes_another_port_when_its_own_is_taken_and_wants_a_token(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert lab.free_port(port) != port
        environment = {**os.environ, "WORKBENCH_WORKSPACE": str(tmp_path), "HOME": str(tmp_path)}
        command = [sys.executable, "-m", "workbench", "lab", "--port", str(port)]
        server = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            address = _address(server)
            assert f":{port}/" not in address
            page = urllib.request.urlopen(address, timeout=60).read().decode()
            assert "JupyterLab" in page
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(re.sub(r"/lab.*", "/api/contents", address), timeout=60)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def _address(server):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = re.search(r"http://127\.0\.0\.1:\d+/lab\S+", server.stdout.readline())
        if found:
            return found[0]
        assert server.poll() is None
    raise AssertionError("no address printed")
