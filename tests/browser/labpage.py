"""JupyterLab and headless Chromium for browser tests: one server and one page a session.

``Lab.notebook(name, cells)`` opens and runs a notebook as a further tab and returns a ``Notebook``:
``nb.page`` (Playwright), ``nb.panel`` (locator of this notebook), ``nb.kernel("expression")`` (its JSON value
from the live kernel), ``nb.failures()`` (cell errors), ``nb.wait(fn)``, ``nb.reload()``, ``nb.restart()``,
``lab.theme("dark")``. Chromium resolves no name and may reach loopback only; ``lab.outside`` lists attempts.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Locator, Page

REPO = Path(__file__).parents[2]
BIN = Path(sys.executable).parent  # not resolved: that would leave the virtual environment
CHROMIUM = os.environ.get("WORKBENCH_CHROMIUM", "/usr/bin/chromium")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}
READY = """async (path) => {
    const nb = window.jupyterapp.shell.currentWidget;
    await nb.context.ready; await nb.sessionContext.ready; await nb.revealed;
}"""


def wait_for(fn: Callable[[], Any], page: Page | None, what: str, timeout_s: float = 60.0) -> Any:
    """Poll ``fn`` until it is true; a synchronous Playwright page must go on delivering events."""
    end = time.monotonic() + timeout_s
    while not (value := fn()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what}; last value {value!r}")
        page.wait_for_timeout(50) if page else time.sleep(0.05)
    return value


class Server:
    """``jupyter lab`` in its own process group, with its own home, settings and token, on a free port.

    ``ip``: the address it is served at; another than loopback is no secure context to a browser.
    """

    def __init__(self, root: Path, ip: str = "127.0.0.1") -> None:
        self.root, self.ip, self.token = root, ip, secrets.token_hex(16)
        self.log = root / ".lab.log"
        for name, value in SETTINGS.items():
            file = root / ".settings" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(value))
        self.process = subprocess.Popen(
            self._command(),
            cwd=root,
            env=self._environment(),
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self.url = f"http://{ip}:{wait_for(self._port, None, 'port in the server log', 240)}"
        except BaseException:
            self.stop()  # no fixture would tear it down
            raise

    def _command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--ip={self.ip}"),
            *("--port=0", f"--ServerApp.root_dir={self.root}", f"--IdentityProvider.token={self.token}"),
            *("--LabApp.expose_app_in_browser=True", f"--LabApp.user_settings_dir={self.root / '.settings'}"),
            *(f"--LabApp.workspaces_dir={self.root / '.workspaces'}", "--LabApp.news_url=None"),
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]

    def _environment(self) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith("JUPYTER")}
        return env | {
            "PATH": f"{BIN}{os.pathsep}{env['PATH']}",
            "PYTHONPATH": str(REPO),
            "HOME": str(self.root),
            "IPYTHONDIR": str(self.root / ".ipython"),
            "JUPYTER_CONFIG_DIR": str(self.root / ".config"),
            "JUPYTER_DATA_DIR": str(self.root / ".data"),
            "JUPYTER_RUNTIME_DIR": str(self.root / ".run"),
            "JUPYTER_PLATFORM_DIRS": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def _port(self) -> int | None:
        assert self.process.poll() is None, self.log.read_text()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", self.log.read_text())
        return int(found[1]) if found else None

    def get(self, path: str) -> Any:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """Ask the group to end, so that the server ends its kernels; insist after 15 s."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(5)


class Lab:
    """The one JupyterLab page; notebooks are tabs of it."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self.server = server
        self.outside: list[str] = []
        self.console: list[str] = []
        context = browser.new_context(viewport={"width": 1440, "height": 1000}, base_url=server.url)
        context.grant_permissions(["microphone"])
        self.page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("request", self._note_request)
        self.page.on("console", lambda m: self.console.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.console.append(f"page error: {error}"))
        self.open(f"/lab?token={server.token}&reset")

    def _note_request(self, request: Any) -> None:
        if not re.match(r"(data|blob):|(http|ws)://(127\.0\.0\.1|localhost):", request.url):
            self.outside.append(request.url)

    def open(self, address: str) -> None:
        self.page.goto(address)
        self.page.wait_for_function("() => window.jupyterapp")
        self.page.evaluate(
            "async () => { await window.jupyterapp.started; await window.jupyterapp.restored; }"
        )

    def theme(self, name: str) -> None:
        """``light`` or ``dark``."""
        self.command("apputils:change-theme", {"theme": f"JupyterLab {name.capitalize()}"})
        light = "true" if name == "light" else "false"
        self.page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{light}'")
        self.page.wait_for_timeout(150)

    def command(self, name: str, args: dict[str, Any] | None = None) -> None:
        """Run a JupyterLab command and wait for it."""
        self.page.evaluate(
            "async ([name, args]) => { await window.jupyterapp.commands.execute(name, args); }",
            [name, args or {}],
        )

    def notebook(self, name: str, cells: list[str], *, wait: bool = True) -> Notebook:
        """Write a notebook, open it as a tab, run all its cells; ``wait``: until they have run."""
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(book, self.server.root / name)
        notebook = Notebook(self, name)
        notebook.show()
        if wait:
            notebook.run_all()
        else:
            self.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        return notebook


class Notebook:
    """A notebook open in the Lab page, with its kernel."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name, self.page = lab, name, lab.page

    @property
    def panel(self) -> Locator:
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def show(self) -> None:
        """Bring this notebook's tab to the front, and wait until JupyterLab has moved the focus."""
        current = "(path) => window.jupyterapp.shell.currentWidget?.context?.path === path"
        if self.page.evaluate(current, self.name):
            return
        self.lab.command("docmanager:open", {"path": self.name, "factory": "Notebook"})
        self.page.wait_for_function(current, arg=self.name)
        self.page.evaluate(READY)
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft?.()")
        inside = "() => window.jupyterapp.shell.currentWidget.node.contains(document.activeElement)"
        self.page.wait_for_function(inside)

    def run_all(self) -> None:
        self.lab.command("notebook:run-all-cells")

    def kernel(self, expression: str, setup: str = "") -> Any:
        """JSON value of a Python expression in the notebook's kernel, after running ``setup``."""
        reply = self.page.evaluate(
            """async ([code, expression]) => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({ code, silent: false, store_history: false,
                    user_expressions: { value: `__import__("json").dumps(${expression})` } });
                return (await future.done).content;
            }""",
            [setup or "pass", expression],
        )
        assert reply["status"] == "ok", reply.get("evalue")
        value = reply["user_expressions"]["value"]
        assert value["status"] == "ok", value.get("evalue")
        return json.loads(
            eval(value["data"]["text/plain"], {"__builtins__": {}})
        )  # the repr of a JSON string

    def failures(self) -> list[dict[str, Any]]:
        """Cell outputs that are errors or warnings on stderr."""
        return self.page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.context.model.toJSON().cells.flatMap(
                (c) => (c.outputs || []).filter((o) => o.output_type === "error" || o.name === "stderr"))"""
        )

    def wait(self, fn: Callable[[], Any], what: str = "condition", timeout_s: float = 60.0) -> Any:
        return wait_for(fn, self.page, what, timeout_s)

    def reload(self) -> None:
        """Save the notebook and load the page anew; the kernel goes on."""
        self.lab.command("docmanager:save")
        self.lab.open(f"/lab?token={self.lab.server.token}&reset")
        self.show()

    def restart(self) -> None:
        """Restart the kernel, as a user would after a crash; outputs stay."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")


class Window:
    """A browser window that Playwright does not hold, so that it can be hidden: its own pages stay visible
    for ever. ``window.run("js expression")`` gives its JSON value; promises are awaited."""

    def __init__(self, browser: Browser, page: Page, address: str) -> None:
        self._cdp, self._page, self._calls = browser.new_browser_cdp_session(), page, 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._cdp.on("Target.receivedMessageFromTarget", self._take)
        microphone = {"permission": {"name": "microphone"}, "setting": "granted"}
        self._cdp.send("Browser.setPermission", microphone)
        self.target = self._cdp.send("Target.createTarget", {"url": address, "newWindow": True})["targetId"]
        self._session = self._cdp.send("Target.attachToTarget", {"targetId": self.target})["sessionId"]

    def _take(self, event: dict[str, Any]) -> None:
        message = json.loads(event["message"])
        if "id" in message:
            self._answers[message["id"]] = message

    def run(self, expression: str, timeout_s: float = 60.0) -> Any:
        self._calls += 1
        call, params = self._calls, {"expression": expression, "awaitPromise": True, "returnByValue": True}
        message = json.dumps({"id": call, "method": "Runtime.evaluate", "params": params})
        self._cdp.send("Target.sendMessageToTarget", {"sessionId": self._session, "message": message})
        answer = wait_for(lambda: self._answers.pop(call, None), self._page, expression[:80], timeout_s)
        result = answer["result"]
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression: str, timeout_s: float = 60.0) -> Any:
        return wait_for(lambda: self.run(expression), self._page, expression[:120], timeout_s)

    def show(self, state: str) -> None:
        """``minimized`` or ``normal``."""
        held = self._cdp.send("Browser.getWindowForTarget", {"targetId": self.target})["windowId"]
        self._cdp.send("Browser.setWindowBounds", {"windowId": held, "bounds": {"windowState": state}})

    def close(self) -> None:
        self._cdp.send("Target.closeTarget", {"targetId": self.target})
