"""Audit, bill of materials, signed digests: real tools, a local stand-in for the vulnerability service."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tooling import supply_chain


class _Osv(BaseHTTPRequestHandler):
    """Knows one vulnerability, of jinja2 2.4.1, in the service's own format."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = asked["package"]["name"] == "jinja2"
        affected = {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.11.3"}]}],
        }
        vulnerability = {"id": "PYSEC-2021-66", "published": "2021-02-01T20:15:00Z", "affected": [affected]}
        body = json.dumps({"vulns": [vulnerability]} if known else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def test_an_audit_names_what_is_known(
    service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pinned = tmp_path / "constraints.txt"
    pinned.write_text("tqdm==4.67.1\n")
    assert supply_chain.audit(pinned, service) == 0
    pinned.write_text("tqdm==4.67.1\njinja2==2.4.1\n")
    assert supply_chain.audit(pinned, service) == 1
    said = capsys.readouterr().out
    assert "jinja2 2.4.1: PYSEC-2021-66; mended in 2.11.3" in said
    assert "2 packages audited, 1 vulnerabilities known" in said


def test_an_audit_without_a_network_says_so_and_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pinned = tmp_path / "constraints.txt"
    pinned.write_text("tqdm==4.67.1\n")
    assert supply_chain.audit(pinned, "http://127.0.0.1:9/v1/query") == 0
    assert "unaudited" in capsys.readouterr().err


def test_what_was_signed_is_known_again(tmp_path: Path) -> None:
    key, other = tmp_path / "key", tmp_path / "other"
    for path in (key, other):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"workbench {key.with_suffix('.pub').read_text()}")
    folder = tmp_path / "bundle"
    (folder / "clips").mkdir(parents=True)
    (folder / "clips" / "00.wav").write_bytes(b"sound")
    (folder / "model_card.md").write_text("# Card\n")
    assert not supply_chain.sign(folder, None)
    assert supply_chain.verify(folder, signers) == ["it is not signed"]
    assert supply_chain.sign(folder, str(key))
    assert supply_chain.verify(folder, signers) == []
    (folder / "clips" / "00.wav").write_bytes(b"other")
    (folder / "added.txt").write_text("x")
    (folder / "model_card.md").unlink()
    faults = ["model_card.md: missing", "added.txt: not signed", "clips/00.wav: changed"]
    assert supply_chain.verify(folder, signers) == faults
    assert supply_chain.sign(folder, str(other))
    assert "not by one of the signers" in supply_chain.verify(folder, signers)[0]


def test_the_bill_of_materials_names_every_dependency(tmp_path: Path) -> None:
    made = json.loads(supply_chain.bill_of_materials(tmp_path / "sbom.cdx.json").read_text("utf-8"))
    assert made["bomFormat"] == "CycloneDX"
    versions = {part["name"].lower().replace("_", "-"): part["version"] for part in made["components"]}
    assert {"torch", "numpy", "duckdb", "jupyterlab", "soundfile"} <= versions.keys()
    assert made["metadata"]["component"]["name"] == "nemotron-workbench"
