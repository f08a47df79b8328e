"""A widget on a page of its own, without JupyterLab: its own kernel side, spoken to over HTTP.

Cheap enough to be looked at in every size and theme. What passes between them is what would pass a comm.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from workbench.plain_values import plain

PAGE = """<!doctype html><meta charset="utf-8"><title>%(name)s</title>
<style>:root { --jp-layout-color0: #fff } [data-jp-theme-light=false] { --jp-layout-color0: #111 }
body { margin: 0; padding: 8px; background: var(--jp-layout-color0) } %(css)s</style>
<body data-jp-theme-light="%(light)s"><div id="at"></div><script type="module">
const state = %(state)s, listeners = new Map();
const emit = (name, ...rest) => { for (const fn of listeners.get(name) ?? []) fn(...rest); };
const view = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const model = {
  get: (name) => state[name],
  on(name, fn) { listeners.set(name, (listeners.get(name) ?? new Set()).add(fn)); },
  off(name, fn) { listeners.get(name)?.delete(fn); },
  async send(content) {
    const reply = await fetch("/ask/%(name)s", { method: "POST", body: JSON.stringify(content) });
    const answer = await reply.json();
    for (const [name, value] of Object.entries(answer.state)) {
      if (JSON.stringify(value) === JSON.stringify(state[name])) continue;
      state[name] = value;
      emit(`change:${name}`);
    }
    for (const [message, buffers] of answer.messages) emit("msg:custom", message, buffers.map(view));
  },
};
const text = await (await fetch("/esm/%(name)s")).text();
const module = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
module.default.render({ model, el: document.getElementById("at") });
</script></body>"""


class PlainPages:
    """Serves widgets by name: ``pages.url("board", light=False)``. ``traits``: what the browser reads."""

    def __init__(self, widgets: dict[str, Any], traits: dict[str, tuple[str, ...]]) -> None:
        self.widgets, self.traits = widgets, traits
        self._sent: dict[str, list[tuple[dict[str, Any], list[bytes]]]] = {name: [] for name in widgets}
        for name, widget in widgets.items():
            widget.send = self._sender(name)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, name: str, *, light: bool = True) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}/{'light' if light else 'dark'}"

    def close(self) -> None:
        self._server.shutdown()
        for widget in self.widgets.values():
            widget.close()

    def _sender(self, name: str) -> Any:
        def send(content: dict[str, Any], buffers: Any = ()) -> None:
            self._sent[name].append((content, [bytes(buffer) for buffer in buffers]))

        return send

    def state(self, name: str) -> dict[str, Any]:
        return {trait: plain(getattr(self.widgets[name], trait)) for trait in self.traits.get(name, ())}

    def ask(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        """What came back for a question, and whatever was pushed meanwhile."""
        sent, ticket = self._sent[name], content["ask"]
        self.widgets[name]._receive(self.widgets[name], content, [])
        end = time.monotonic() + 120
        while not any(message.get("answer") == ticket for message, _ in sent):
            assert time.monotonic() < end, content
            time.sleep(0.01)
        mine = [one for one in sent if one[0].get("answer") in (ticket, None)]
        for one in mine:
            sent.remove(one)
        messages = [[message, [base64.b64encode(b).decode() for b in buffers]] for message, buffers in mine]
        return {"state": self.state(name), "messages": messages}


def _handler(pages: PlainPages) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nothing on the tests' own output."""

        def do_GET(self) -> None:
            first, *rest = self.path.strip("/").split("/")
            if first == "esm":
                self._answer(str(pages.widgets[rest[0]]._esm), "text/javascript")
            elif first in pages.widgets:
                facts = {
                    "name": first,
                    "css": str(pages.widgets[first]._css),
                    "light": "true" if rest == ["light"] else "false",
                }
                self._answer(PAGE % {**facts, "state": json.dumps(pages.state(first))}, "text/html")
            else:
                self._answer("", "text/plain")

        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = pages.ask(self.path.rsplit("/", 1)[-1], content)
            self._answer(json.dumps(found, default=str), "application/json")

        def _answer(self, text: str, kind: str) -> None:
            body = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
