"""Nothing phones home: kernel, workers and browser in a network namespace with loopback only try no other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from namespace import REPO, Heard, missing, run

WHY = missing()
pytestmark = pytest.mark.skipif(WHY is not None, reason=WHY or "")
CHROMIUM = os.environ.get("WORKBENCH_CHROMIUM", "/usr/bin/chromium")
WALK = Path(__file__).with_name("walk.py")
NONE = {"ipv4": 0, "ipv6": 0}

_TRIES = """
import socket, urllib.request
for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            socket.socket(family, kind).connect((address, 80))
            raise SystemExit("got out")
        except OSError:
            pass
try:
    urllib.request.urlopen("http://example.org", timeout=5)
    raise SystemExit("got out")
except OSError:
    pass
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname())
"""


def test_the_count_sees_every_attempt_and_no_loopback(tmp_path: Path) -> None:
    """The control: without it a count of none would prove nothing."""
    heard = run([sys.executable, "-c", _TRIES], tmp_path, 120)
    assert heard.code == 0, heard.output
    assert heard.attempts["ipv4"] >= 3
    assert heard.attempts["ipv6"] >= 2
    assert [line.split(" by ")[0] for line in heard.notes] == [
        *["socket.connect 192.0.2.1"] * 2, *["socket.connect 2001:db8::1"] * 2,
        "socket.getaddrinfo example.org",
    ]  # fmt: skip
    quiet = run(
        [sys.executable, "-c", "import socket; socket.create_server(('127.0.0.1', 0))"], tmp_path, 120
    )
    assert (quiet.code, quiet.attempts, quiet.notes) == (0, NONE, [])


@pytest.mark.model
def test_a_notebook_reaches_for_nothing(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "workbench",
        "notebooks",
        "00_start_here",
        "--out",
        str(tmp_path / "out"),
    ]
    heard = run(command, tmp_path, 900)
    assert heard.code == 0, heard.output[-3000:]
    assert (tmp_path / "out" / "00_start_here.html").exists()
    assert heard.notes == []
    assert heard.attempts == NONE


def walked(tmp_path: Path, *names: str) -> tuple[Heard, dict[str, Any]]:
    """Notebooks walked through in Chromium inside; what was heard, and what the walk tells."""
    root = tmp_path / "lab"
    root.mkdir()
    heard = run([sys.executable, str(WALK), str(root), *names], tmp_path, 7000)
    assert heard.code == 0, heard.output[-3000:]
    return heard, json.loads(next(line for line in heard.output.splitlines() if line.startswith("{")))


@pytest.mark.soak  # open: Chromium itself looks for a way out by IPv6 (5 missing routes, no page asks)
@pytest.mark.browser
@pytest.mark.model
@pytest.mark.skipif(not shutil.which(CHROMIUM), reason=f"no Chromium at {CHROMIUM} (set WORKBENCH_CHROMIUM)")
@pytest.mark.timeout(1200)
def test_the_browser_reaches_for_nothing(tmp_path: Path) -> None:
    heard, told = walked(tmp_path, "00_start_here")
    assert [book["notebook"] for book in told["notebooks"]] == ["00_start_here"]
    assert (told["requests_of_pages"], heard.notes, heard.attempts) == ([], [], NONE)


@pytest.mark.soak
@pytest.mark.skipif(not shutil.which(CHROMIUM), reason=f"no Chromium at {CHROMIUM} (set WORKBENCH_CHROMIUM)")
@pytest.mark.timeout(7200)
def test_all_notebooks_with_workers_and_browser_reach_for_nothing(tmp_path: Path) -> None:
    heard, told = walked(tmp_path)
    assert (told["requests_of_pages"], heard.notes, heard.attempts) == ([], [], NONE)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPO, capture_output=True, text=True
    ).stdout.strip()
    evidence = {
        "what": "All notebooks from their top in JupyterLab in Chromium, in a network namespace with only "
        "loopback: kernel, fine-tuning and measuring processes, server, browser. Attempts: what the system "
        "counted of sends and connects without a route (OutNoRoutes), name lookups included; audit hooks of "
        "Python; requests of pages to anything but the server.",
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "notebooks": [book["notebook"] for book in told["notebooks"]],
        "attempts": heard.attempts,
        "attempts_noted_by_python": len(heard.notes),
        "requests_of_pages": len(told["requests_of_pages"]),
    }
    (REPO / "docs" / "evidence" / "offline.json").write_text(json.dumps(evidence, indent=1) + "\n")
