"""Hub names: fetched with Hugging Face's own client, token and cache, from a small hub on this machine."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_archive import archive

NAME, COMMIT = "nvidia/some-model", "0123456789abcdef0123456789abcdef01234567"
OPEN = (
    "import sys; from workbench.recognizer.checkpoint import Checkpoint; from workbench.errors import *\n"
    "try: print(Checkpoint.open(sys.argv[1]).path)\n"
    "except WorkbenchError as error: print('refused:', error)"
)


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's protocol as a snapshot needs: the list of a revision, and its files."""

    files: dict[str, bytes] = {}  # noqa: RUF012
    token = ""
    seen: list[tuple[str, str, str | None]] = []  # noqa: RUF012

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        self.seen.append((self.command, self.path, self.headers.get("Authorization")))
        name, sent = self.path.rpartition("/")[2], b""
        if self.token and self.headers.get("Authorization") != f"Bearer {self.token}":
            self.send_response(401)
            self.send_header("X-Error-Code", "GatedRepo")
        elif self.path.startswith(f"/api/models/{NAME}"):
            sent = json.dumps(self._tree() if "/tree/" in self.path else self._revision()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
        elif name in self.files:
            sent = self.files[name]
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(sent).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
        else:
            self.send_response(404)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        if body:
            self.wfile.write(sent)

    def _revision(self) -> dict[str, Any]:
        return {"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": held} for held in self.files]}

    def _tree(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": path, "size": len(held), "oid": hashlib.sha1(held).hexdigest()}
            for path, held in self.files.items()
        ]

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[type[Hub], str]]:
    handler = type("OneHub", (Hub,), {"seen": [], "files": {"README.md": b"words"}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def opened(tmp_path: Path, endpoint: str, **environment: str) -> str:
    """What opening the name says, in a process of its own: the client reads its settings when imported."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home"), **environment}
    found = subprocess.run(
        [sys.executable, "-c", OPEN, NAME],
        env={**clean, **settings},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout.strip()


def test_a_gated_name_is_fetched_with_the_users_token_once(tmp_path, hub):
    handler, endpoint = hub
    handler.files["model.nemo"], handler.token = archive(tmp_path / "x.nemo").read_bytes(), "hf_mine"
    path = Path(opened(tmp_path, endpoint, HF_TOKEN="hf_mine"))
    assert path.name == "model.nemo"
    assert path.read_bytes() == handler.files["model.nemo"]
    assert path.is_relative_to(tmp_path / "home" / "hub" / "models--nvidia--some-model")
    assert not any(asked.endswith("README.md") for _, asked, _ in handler.seen), (
        "only the checkpoint is fetched"
    )
    handler.seen.clear()
    # From the cache that other tools fill, whether or not the hub can be reached.
    assert opened(tmp_path, endpoint, HF_HUB_OFFLINE="1") == str(path)
    assert opened(tmp_path, "http://127.0.0.1:9") == str(path)
    assert handler.seen == []


def test_without_token_network_or_file_one_line_says_how_to_place_it(tmp_path, hub):
    handler, endpoint = hub
    cases = [(endpoint, "holds no .nemo file"), ("http://127.0.0.1:9", "cannot fetch it from the hub")]
    for where, words in cases:
        [line] = opened(tmp_path, where).splitlines()
        assert line.startswith("refused:")
        assert words in line
        assert "open it by its path" in line
    handler.files["model.nemo"], handler.token = b"not shown", "hf_other"
    [line] = opened(tmp_path, endpoint, HF_TOKEN="hf_mine").splitlines()
    assert "cannot fetch it from the hub (GatedRepoError)" in line
    assert f"hf download {NAME}" in line
    assert "hf_mine" not in line
