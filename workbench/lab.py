"""Start JupyterLab on the notebooks, and run the notebooks headless.

Only loopback, always with a token, no news and no update checks.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.machine import child_environment
from workbench.pages import SCRIPTED
from workbench.project import FIRST, OWN

CHECKOUT = Path(__file__).resolve().parents[1]
QUIET_SETTINGS = {
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}


KERNEL_START_S = 20
"""The most that the address waits for the first notebook's kernel."""


def free_port(preferred: int = 8888) -> int:
    """``preferred`` if nobody listens there, else any free port of the loopback address."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise WorkbenchError("no free port on 127.0.0.1")


def project_folder() -> Path:
    """The project to open: the current folder or one above it that has the notebooks, else the checkout.

    Raises:
        WorkbenchError: neither.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, CHECKOUT):
        if (folder / "notebooks" / FIRST).is_file():
            return folder
    raise WorkbenchError(
        "no notebooks here",
        where=str(here),
        hint="Make a project: workbench init my-pilot; then cd my-pilot.",
    )


def lab_command(port: int, settings: Path, root: Path) -> list[str]:
    """The JupyterLab command line on a project; ``settings``: folder for overrides of the user interface."""
    for name, value in QUIET_SETTINGS.items():
        path = settings / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(json.dumps(value), "utf-8")
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"),
        *(f"--port={port}", f"--ServerApp.root_dir={root}"),
        f"--LabApp.user_settings_dir={settings}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=None",
        "--ServerApp.log_level=WARN",
        # A take from the microphone or a long clip is larger than the server's 10 MB default.
        '--ServerApp.tornado_settings={"websocket_max_message_size":104857600}',
    ]
    return [*command, "--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else command


def board_page(workspace: Path, corpus: str) -> Path:
    """Write a notebook with the board of a corpus below a workspace; it is left alone where it is there."""
    path = workspace / "opened" / f"{corpus}.ipynb"
    if not path.exists():
        code = f"import workbench as wb\n\nwb.Workspace({str(workspace)!r}).corpus({corpus!r}).board()"
        cell: dict[str, object] = {
            "cell_type": "code",
            "execution_count": None,
            "id": "board",
            "source": code,
        }
        cell |= {"metadata": {}, "outputs": []}
        kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
        page = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        path.parent.mkdir(exist_ok=True, mode=0o700)
        write_atomic(path, json.dumps(page, indent=1))
    return path


def lab(port: int = 8888, *, root: Path | None = None, page: str | None = None) -> int:
    """Serve JupyterLab until interrupted; prints the address to open.

    Args:
        port: to listen on; another one where it is taken.
        root: folder that is served; by default the project.
        page: notebook to open, relative to ``root``; by default the first of the project's.

    Returns:
        The server's exit code.
    """
    root, token, port = root or project_folder(), secrets.token_hex(24), free_port(port)
    environment = child_environment(JUPYTER_PLATFORM_DIRS="1")
    environment.setdefault("WORKBENCH_WORKSPACE", str(root / "workspace"))
    settings = root / "workspace" / ".lab-settings"
    address = f"http://127.0.0.1:{port}/lab/tree/{page or f'notebooks/{FIRST}'}?token={token}"
    # The token goes by files that this account alone may read: every account sees command lines.
    with tempfile.TemporaryDirectory(prefix="workbench-lab-") as private:
        environment["JUPYTER_TOKEN_FILE"] = str(write_atomic(Path(private) / "token", token))
        server = subprocess.Popen(lab_command(port, settings, root), env=environment)
        try:
            if _wait_for(port, server):
                _begin_kernel(port, token, page or f"notebooks/{FIRST}")
                sys.stdout.write(f"\nThe workbench is open at\n\n    {address}\n\nStop it with Ctrl-C.\n")
                sys.stdout.flush()
                moves = f'<meta http-equiv="refresh" content="0; url={html.escape(address)}">'
                _open_browser(write_atomic(Path(private) / "open.html", moves).as_uri())
            return server.wait()
        except KeyboardInterrupt:
            server.terminate()
            return server.wait(20)


def _wait_for(port: int, server: subprocess.Popen[bytes], timeout_s: float = 60) -> bool:
    end = time.monotonic() + timeout_s
    while server.poll() is None and time.monotonic() < end:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def _begin_kernel(port: int, token: str, page: str) -> None:
    """Start the kernel of the notebook that is about to be opened: JupyterLab drops a cell that is run before
    it knows a kernel, without a word."""
    session = {"path": page, "name": Path(page).name, "type": "notebook", "kernel": {"name": "python3"}}
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/sessions",
        json.dumps(session).encode(),
        {"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the token is for no proxy
    with contextlib.suppress(OSError):  # then the page starts one
        direct.open(asked, timeout=KERNEL_START_S).close()


def _open_browser(address: str) -> None:
    import webbrowser

    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)


def run_notebooks(out: Path, names: list[str] | None = None, timeout_s: int = 1800) -> list[Path]:
    """Execute the notebooks in order, in a fresh workspace below ``out``; returns the HTML files.

    Raises:
        WorkbenchError: a cell failed; the message names notebook and cell, and the HTML so far is kept.
    """
    import shutil

    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    out.mkdir(parents=True, exist_ok=True)
    out.chmod(0o700)  # the pages hold transcripts
    workspace = out / "workspace"
    shutil.rmtree(workspace, ignore_errors=True)
    os.environ["WORKBENCH_WORKSPACE"] = str(workspace.absolute())
    # Figures must show in the HTML too, from this file alone and without a network.
    os.environ["TQDM_DISABLE"] = "1"
    os.environ["WORKBENCH_STATIC_WAIT_S"] = "600"  # a page holds what was recognized, not that it is awaited
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype+notebook"
    warnings.filterwarnings("ignore", "Your element with mimetype")
    pages = []
    books = project_folder() / "notebooks"
    for path in sorted(books.glob("*.ipynb")):
        if path.name == OWN or (names and path.stem not in names):
            continue
        began = time.monotonic()
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(
            notebook,
            timeout=timeout_s,
            resources={"metadata": {"path": str(books)}},
            extra_arguments=["--log-level=ERROR"],
        )
        failure = None
        try:
            client.execute()
        except CellExecutionError as error:
            failure = error
        page = write_atomic(out / f"{path.stem}.html", notebook_page(notebook))
        pages.append(page)
        if failure:
            raise WorkbenchError(
                f"a cell failed: {failure.ename}: {failure.evalue}", where=path.name, hint=f"See {page}."
            )
        sys.stdout.write(f"{path.name}: ran in {time.monotonic() - began:.0f} s, {page}\n")
        sys.stdout.flush()
    return pages


def notebook_page(notebook: Any) -> str:
    """An executed notebook as a page that fetches nothing: figures and sounds are in it.

    Args:
        notebook: of nbformat, version 4; loses the live views of outputs that have a static form.
    """
    from nbconvert import HTMLExporter

    _show_static_forms(notebook)
    nothing = dict.fromkeys(("require_js_url", "jquery_url", "mathjax_url", "jupyter_widgets_base_url"), "")
    made, _ = HTMLExporter(**nothing).from_notebook_node(notebook)
    # Addresses of the template that are no settings; the policy holds for whatever an output names besides.
    made = re.sub(r'<script[^>]*\bsrc="[^"]*"[^>]*>\s*</script>', "", made)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{SCRIPTED}"/>'
    return str(made).replace("<head>", f"<head>{policy}", 1)


def _show_static_forms(notebook: Any) -> None:
    """Where an output has a static form, take its live view out: exported pages hold no kernel to live on."""
    live = "application/vnd.jupyter.widget-view+json"
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if live in data and "text/html" in data:
                del data[live]
