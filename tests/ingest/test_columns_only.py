"""Data sets by their columns alone: from a hub on this machine, which counts every byte that it hands out."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import workbench as wb
from workbench.errors import WorkbenchError

NAME, COMMIT = "someone/voices", "0123456789abcdef0123456789abcdef01234567"
TEXTS = ["Ein erster Satz.", "Noch ein Satz mit 12 Wörtern.", "", "Der letzte."]


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's protocol as reading parts of files needs; ``sent`` counts bytes of files."""

    files: dict[str, bytes] = {}  # noqa: RUF012
    revision = "main"
    sent = 0
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        held = [entry for entry in self._tree() if entry["path"] in asked.get("paths", [])]
        self._send(json.dumps(held).encode(), 200, {"Content-Type": "application/json"}, True)

    def _answer(self, body: bool) -> None:
        path = unquote(self.path.partition("?")[0])
        kind, found = type(self), f"/datasets/{NAME}/resolve/"
        if path.startswith(f"/api/datasets/{NAME}"):
            rest = path.removeprefix(f"/api/datasets/{NAME}").lstrip("/")
            if rest and not any(known in rest for known in ("main", self.revision, COMMIT)):
                self._send(b"{}", 404, {"X-Error-Code": "RevisionNotFound"}, body)
                return
            held: Any = {"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": n} for n in self.files]}
            told = held
            if rest.startswith("tree"):
                told = self._tree() if self.revision in rest else []
            self._send(json.dumps(told).encode(), 200, {"Content-Type": "application/json"}, body)
        elif path.startswith(found) and (name := next((n for n in self.files if path.endswith(n)), None)):
            data, code = self.files[name], 200
            heads = {"ETag": '"x"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if asked := self.headers.get("Range"):
                first, last = asked.removeprefix("bytes=").split("-")
                part = data[int(first) : int(last) + 1]
                heads["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
                data, code = part, 206
            kind.sent += len(data) if body else 0
            self._send(data, code, heads, body)
        else:
            self._send(b"{}", 404, {"X-Error-Code": "RepoNotFound"}, body)

    def _send(self, data: bytes, code: int, heads: dict[str, str], body: bool) -> None:
        self.send_response(code)
        for name, value in heads.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def _tree(self) -> list[dict[str, Any]]:
        folders = {str(Path(name).parent) for name in self.files} - {"."}
        return [{"type": "directory", "path": name, "oid": "0"} for name in sorted(folders)] + [
            {"type": "file", "path": name, "size": len(held), "oid": "1"} for name, held in self.files.items()
        ]

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[type[Hub], str]]:
    handler = type("OneHub", (Hub,), {"files": {}, "sent": 0})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def parquet(path: Path, texts: list[str], seconds: int = 20) -> Path:
    """Rows with half a megabyte of sound each, of noise so that it does not shrink."""
    rng = np.random.default_rng(1)
    sounds = [rng.bytes(32_000 * seconds) for _ in texts]
    cells = [{"bytes": sound, "path": f"{at}.wav"} for at, sound in enumerate(sounds)]
    columns = {"audio": cells, "sentence": texts, "locale": ["de"] * len(texts), "thumbnail": sounds}
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def linted(tmp_path: Path, endpoint: str, source: str, *more: str) -> tuple[int, Any]:
    """The verb, in a process of its own: the client reads its settings when it is imported."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    command = [sys.executable, "-m", "workbench", "lint", source, "--json", "--locale", "de-DE", *more]
    done = subprocess.run(
        command, env={**clean, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home")},
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else done.stderr


def rules_by_row(found: Any) -> set[str]:
    return {row["rule"] for row in found["findings"]}


@pytest.mark.parametrize("revision", ["main", "refs/convert/parquet"])
def test_a_hub_data_set_is_linted_without_its_sound(tmp_path: Path, hub: Any, revision: str) -> None:
    """As it lies there, or as the hub converted it: less than a fiftieth of its bytes is fetched."""
    handler, endpoint = hub
    handler.files["README.md"] = b"words"
    handler.revision = revision
    for split in ("train", "test"):
        file = parquet(tmp_path / f"{split}.parquet", TEXTS)
        handler.files[f"data/{split}-00000-of-00001.parquet"] = file.read_bytes()
    code, found = linted(tmp_path, endpoint, f"hf://datasets/{NAME}")
    assert code == 1, found
    assert found["rows"] == 8
    assert found["left_out"] == 0
    assert {"digits", "text_empty", "leak_sentence"} <= rules_by_row(found)
    assert not rules_by_row(found) & {"audio_missing", "audio_unreadable", "duplicate_audio"}
    assert handler.sent < sum(map(len, handler.files.values())) / 50
    assert linted(tmp_path, endpoint, NAME)[1]["rows"] == 8  # by its plain name as well


def test_what_cannot_be_had_is_said_in_one_line(tmp_path: Path, hub: Any) -> None:
    handler, endpoint = hub
    handler.files["README.md"] = b"words"
    code, said = linted(tmp_path, endpoint, f"hf://datasets/{NAME}")
    assert (code, "holds no Parquet files" in str(said)) == (2, True), said
    code, said = linted(tmp_path, "http://127.0.0.1:9", f"hf://datasets/{NAME}")
    assert (code, "cannot be reached" in str(said)) == (2, True), said


def test_folders_and_saved_data_sets_by_their_columns(tmp_path: Path) -> None:
    """The same findings; splits by the names of files; no copy of any sound is made."""
    folder = tmp_path / "set" / "data"
    folder.mkdir(parents=True)
    parquet(folder / "train-00000-of-00001.parquet", TEXTS)
    parquet(folder / "test-00000-of-00001.parquet", TEXTS)
    found = wb.lint(tmp_path / "set", locale="de-DE", columns=True)
    assert (found.rows, found.left_out) == (8, 0)
    sound = {"bytes": pa.array([b"RIFF" + bytes(99)] * 4), "path": pa.array([f"{n}.wav" for n in range(4)])}
    features = datasets.Features({
        "sentence": datasets.Value("string"), "audio": datasets.Audio(decode=False),
        "gender": datasets.ClassLabel(names=["f", "m"]),
    })  # fmt: skip
    cells = pa.StructArray.from_arrays(list(sound.values()), list(sound))
    columns = pa.table({"sentence": TEXTS, "audio": cells, "gender": [0, 1, 0, 1]})
    held = datasets.Dataset(columns.cast(features.arrow_schema))
    datasets.DatasetDict({"train": held, "test": held}).save_to_disk(str(tmp_path / "saved"))
    saved = wb.lint(tmp_path / "saved", locale="de-DE", columns=True)
    assert saved.rows == 8
    for one in (found, saved):
        assert {"digits", "text_empty", "leak_sentence"} <= set(one.counts)
        assert not {name for name in one.counts if name.startswith("audio")}


def test_sound_cannot_be_asked_of_columns(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", TEXTS, seconds=1)
    for asked in ({"sound": True}, {"fix": tmp_path / "out"}):
        with pytest.raises(WorkbenchError, match="only the columns are read"):
            wb.lint(file, columns=True, **asked)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkbenchError, match="no Parquet files"):
        wb.lint(tmp_path / "empty", columns=True)
