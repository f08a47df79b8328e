"""A way to the server that can be cut and mended, as a laptop's that sleeps and wakes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from labpage import Lab, Server
from playwright.sync_api import Browser, Page


class Sleepy:
    """Passes connections on to a server. Asleep, it has none and takes none."""

    def __init__(self, server: Server) -> None:
        self.root, self.token = server.root, server.token
        self._server = urlsplit(server.url)
        self._awake = threading.Event()
        self._awake.set()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def sleep(self) -> None:
        self._awake.clear()
        with self._lock:
            ending, self._open = self._open, set()
        for end in ending:
            _shut(end)

    def wake(self) -> None:
        self._awake.set()

    def close(self) -> None:
        self._listener.close()
        self.sleep()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # closed
                return
            if not self._awake.is_set():
                near.close()
                continue
            try:
                far = socket.create_connection((self._server.hostname or "", self._server.port or 0))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(near: socket.socket, far: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while some := near.recv(1 << 16):
            far.sendall(some)
    _shut(near)
    _shut(far)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def laptop(browser: Browser, server: Server) -> Iterator[tuple[Lab, Sleepy]]:
    """A second person's JupyterLab, on a laptop that can be put to sleep."""
    way: Any = Sleepy(server)
    lab = Lab(browser, way)
    # JupyterLab says over the page that the server is out of reach; its only button is Close.
    lab.page.add_locator_handler(
        lab.page.locator(".jp-Dialog"),
        lambda: lab.page.locator(".jp-Dialog .jp-Dialog-button").last.click(),
    )
    try:
        yield lab, way
    finally:
        lab.page.context.close()
        way.close()


def offline(page: Page) -> bool:
    """Whether the notebook in front has lost its kernel's connection."""
    return bool(
        page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.connectionStatus"
            " !== 'connected'"
        )
    )
