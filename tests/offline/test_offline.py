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
from namespace import CHROMIUMS_QUESTION, REPO, Heard, missing, run

WHY = missing()
pytestmark = pytest.mark.skipif(WHY is not None, reason=WHY or "")
CHROMIUM = os.environ.get("WORKBENCH_CHROMIUM", "/usr/bin/chromium")
WALK = Path(__file__).with_name("walk.py")
NONE = {"ipv4": 0, "ipv6": 0}
NO_PACKETS = {**NONE, "packets": 0}
needs_chromium = pytest.mark.skipif(
    not shutil.which(CHROMIUM), reason=f"no Chromium at {CHROMIUM} (set WORKBENCH_CHROMIUM)"
)

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


_QUESTION = """
import socket, sys
host, how = sys.argv[1:]
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).connect((host, 443))
if how == "datagram":
    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"?", (host, 53))
if how == "connection":
    stream = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    stream.setblocking(False)
    stream.connect_ex((host, 443))
"""


@pytest.mark.parametrize(("how", "packets"), [("nothing", 0), ("datagram", 1), ("connection", 1)])
def test_what_is_sent_where_chromium_asks_is_counted(tmp_path: Path, how: str, packets: int) -> None:
    """Chromium's question for a way out is not counted, as it sends nothing; whatever is sent there, is."""
    command = [sys.executable, "-c", _QUESTION, CHROMIUMS_QUESTION, how]
    heard = run(command, tmp_path, 120, answer=CHROMIUMS_QUESTION)
    assert (heard.code, heard.attempts) == (0, {**NONE, "packets": packets}), heard.output
    elsewhere = run([*command[:3], "2001:db8::99", how], tmp_path, 120, answer=CHROMIUMS_QUESTION)
    assert elsewhere.attempts == {**NO_PACKETS, "ipv6": 1}  # where it stops: no route


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
    command = [sys.executable, str(WALK), str(root), *names]
    heard = run(command, tmp_path, 7000, answer=CHROMIUMS_QUESTION)
    assert heard.code == 0, heard.output[-3000:]
    return heard, json.loads(next(line for line in heard.output.splitlines() if line.startswith("{")))


@pytest.mark.soak  # a JupyterLab and a Chromium of its own
@needs_chromium
@pytest.mark.timeout(1200)
def test_the_browser_reaches_for_nothing(tmp_path: Path) -> None:
    heard, told = walked(tmp_path, "00_start_here")
    assert [book["notebook"] for book in told["notebooks"]] == ["00_start_here"]
    assert (told["requests_of_pages"], heard.notes, heard.attempts) == ([], [], NO_PACKETS)


def bare_chromium(tmp_path: Path, answer: str) -> dict[str, int]:
    """What a Chromium with an empty page and nothing of ours is counted for."""
    heard = run([sys.executable, str(WALK), "--bare"], tmp_path, 300, answer=answer)
    assert heard.code == 0, heard.output[-3000:]
    return heard.attempts


@pytest.mark.soak
@needs_chromium
@pytest.mark.timeout(7200)
def test_all_notebooks_with_workers_and_browser_reach_for_nothing(tmp_path: Path) -> None:
    heard, told = walked(tmp_path)
    names = [path.stem for path in sorted((REPO / "notebooks").glob("*.ipynb"))]
    assert [book["notebook"] for book in told["notebooks"]] == names
    assert (told["requests_of_pages"], heard.notes, heard.attempts) == ([], [], NO_PACKETS)
    control = {
        "without_a_way_out": bare_chromium(tmp_path, ""),
        "with_one_that_ends_here": bare_chromium(tmp_path, CHROMIUMS_QUESTION),
    }
    assert control["with_one_that_ends_here"] == NO_PACKETS
    made = {
        "what": "All notebooks from their top in JupyterLab in Chromium, in a network namespace with only "
        "loopback: kernel, fine-tuning and measuring processes, server, browser. Attempts: sends and "
        "connects without a route as the system counts them (OutNoRoutes of ipv4 and ipv6, lookups of names "
        "included); packets to the one address that has a way out, which ends on this machine; connects and "
        "lookups noted by audit hooks in every Python process; requests of pages to anything but the server.",
        "chromiums_own_question": f"Chromium connects a UDP socket to {CHROMIUMS_QUESTION} to see whether "
        "IPv6 would work, and sends nothing. Without a way out the system counts that as an attempt, with an "
        "empty page as well (see the control); with one that ends here nothing is counted unless it sends.",
        **_origin(),
        "notebooks": [{k: v for k, v in book.items() if k != "fault"} for book in told["notebooks"]],
        "attempts": {**heard.attempts, "python": len(heard.notes), "requests_of_pages": 0},
        "control_chromium_with_an_empty_page": control,
    }
    (REPO / "docs" / "evidence" / "offline.json").write_text(json.dumps(made, indent=1) + "\n")


def _origin() -> dict[str, Any]:
    """Commit, what differs from it, day and Chromium's version."""

    def said(*command: str) -> str:
        return subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True).stdout.strip()

    changed = said("git", "status", "--porcelain", "--", "workbench", "notebooks").splitlines()
    return {
        "commit": said("git", "rev-parse", "HEAD"),
        "changed_since": len(changed),
        "date": datetime.now(UTC).date().isoformat(),
        "chromium": said(CHROMIUM, "--version").split(" built")[0],
    }
