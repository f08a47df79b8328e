"""sherpa-onnx's own streaming websocket server on a package: the command, and a process of it.

The server is the binary that ``pip install sherpa-onnx-bin`` brings. It takes float samples and the text
``Done``, and answers with JSON; it has no language option, so every caller is served with ``auto``; and it
listens on **every** network interface, for it has no option for that either: close its port to others.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from workbench.deployment import sherpa
from workbench.deployment.package import Package
from workbench.errors import WorkbenchError

BINARY = "sherpa-onnx-online-websocket-server"
PORT = 6006


def command(
    package: Package,
    *,
    port: int = PORT,
    threads: int = 1,
    batch: int = 16,
    log_file: Path | None = None,
) -> list[str]:
    """The command that serves a package.

    Args:
        package: for sherpa-onnx.
        port: of TCP. ``threads``: that decode, each with one thread of computing.
        batch: most streams decoded as one. ``log_file``: the server's own; none by default.

    Raises:
        WorkbenchError: another target, or no such binary.
    """
    if package.target != sherpa.TARGET:
        raise WorkbenchError(f"a package for {package.target} has no server", hint="Use sherpa-onnx.")
    binary = Path(sys.executable).with_name(BINARY)
    found = str(binary) if binary.is_file() else shutil.which(BINARY)
    if found is None:
        raise WorkbenchError(f"{BINARY} is not installed", hint="pip install sherpa-onnx-bin")
    parts = [f"--{name}={package.path / name}.onnx" for name in ("encoder", "decoder", "joiner")]
    return [
        found, f"--port={port}", f"--num-work-threads={threads}", f"--max-batch-size={batch}",
        f"--tokens={package.path / 'tokens.txt'}", *parts, f"--feat-dim={package.settings['feature_dim']}",
        f"--sample-rate={package.settings['sample_rate']}",
        f"--input-sample-rate={package.settings['sample_rate']}",
        f"--end-tail-padding={sherpa.TAIL_MS / 1000:g}", "--enable-endpoint=false",
        f"--log-file={log_file or '/dev/null'}",
    ]  # fmt: skip


@contextlib.contextmanager
def running(
    package: Package, *, threads: int = 1, batch: int = 16, timeout_s: float = 120.0
) -> Iterator[tuple[str, int]]:
    """A server on a free port while the block runs.

    Yields:
        Its address (``ws://127.0.0.1:PORT``) and its process number.

    Raises:
        WorkbenchError: as :func:`command`, or it did not begin to listen; its last words are told.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command(package, port=port, threads=threads, batch=batch), stdout=said, stderr=said
        )
        try:
            _await_port(process, port, timeout_s, said)
            yield f"ws://127.0.0.1:{port}", process.pid
        finally:
            process.kill()
            process.wait()


def _await_port(process: subprocess.Popen[bytes], port: int, timeout_s: float, said: object) -> None:
    ends_at = time.monotonic() + timeout_s
    while time.monotonic() < ends_at and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    said.seek(0)  # type: ignore[attr-defined]
    lines = said.read().decode(errors="replace").split("\n")  # type: ignore[attr-defined]
    last = next((line for line in reversed(lines) if line.strip()), "nothing")
    raise WorkbenchError(f"the server does not listen; its last words: {last[:200]}", where=BINARY)
