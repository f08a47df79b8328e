"""How the front end reaches the browser: plain ES modules and style sheets, without a build step.

``module("board.js")`` returns the text for a widget's ``_esm``, ``style("board.css")`` that for ``_css``::

    class Board(LiveWidget):
        _esm = assets.module("board.js")
        _css = assets.style("board.css")      # theme.css always comes first

Files in ``js/`` import each other as usual (``import { createPlayer } from "./player.js"``); only static
imports of relative paths are followed. ``board.js`` itself has ``export default { render }``, as anywidget
wants it. The text that travels holds the entry and everything it imports; in
the browser each file becomes one Blob, shared by all widgets of the page that carry the same content.
Nothing is fetched from any address.

Why no bundler: what is in the repository is what runs, from an editable install as from the wheel, so that
nobody builds anything and no made file can be older than its sources; and the widgets of a page share their
modules (wavesurfer is 50 kB), which one bundle a widget would repeat. ``tooling/javascript.py`` checks types,
format and lint.

Shared modules: ``dom.js`` (elements from text, never HTML), ``channel.js`` (questions to the kernel, see
``channel.LiveWidget``), ``player.js`` (waveform, loop, speed, spectrogram), ``strings.js`` (every word on
screen). ``messages.d.ts`` and ``page.d.ts`` name the types of what passes between kernel, page and modules;
they never travel. Classes of ``theme.css`` begin with ``nwb-``; a widget's root element has class ``nwb``.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from functools import cache
from importlib import resources

# At the start of a line, with nothing but names before the path: neither an example nor a type in a comment
# is one. The names may stand on lines of their own.
IMPORT = re.compile(
    r"""^(?:import|export)\s+(?:[\w*${},\s]+\sfrom\s+)?["'](\.{1,2}/[\w./-]+\.js)["']""", re.MULTILINE
)


@cache
def text(name: str) -> str:
    """Text of a file below ``widgets/js/``, by its path there (``vendor/wavesurfer.esm.js``)."""
    return (resources.files("workbench.widgets") / "js" / name).read_text(encoding="utf-8")


@cache
def module(entry: str) -> str:
    """The ES module for a widget's ``_esm``: ``entry`` and all it imports, with a small loader in front.

    Raises:
        FileNotFoundError: ``entry``, or a file imported by it, is missing.
        ValueError: modules import each other in a circle.
    """
    sources = {name: _source(name) for name in _order(entry)}
    loader = text("loader.js")
    return loader.replace("__SOURCES__", json.dumps(sources, ensure_ascii=False)).replace(
        "__ENTRY__", json.dumps(entry)
    )


@cache
def style(*names: str) -> str:
    """Style sheets joined for ``_css``: the theme, then the named files of ``js/``."""
    return "\n".join(text(name) for name in ("theme.css", *names))


def imports(name: str) -> dict[str, str]:
    """What a module imports: specifier as written → path below ``js/``."""
    folder = posixpath.dirname(name)
    return {spec: posixpath.normpath(posixpath.join(folder, spec)) for spec in IMPORT.findall(text(name))}


def digest(name: str) -> str:
    """Hash over a module and all it imports; equal digests may share one Blob."""
    parts = [text(name), *(digest(path) for path in imports(name).values())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _source(name: str) -> dict[str, object]:
    return {"text": text(name), "digest": digest(name), "imports": imports(name)}


def _order(entry: str) -> list[str]:
    """``entry`` and its imports, each after what it imports."""
    done: list[str] = []

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"modules import each other in a circle: {' → '.join((*above, name))}")
        if name not in done:
            for path in imports(name).values():
                visit(path, (*above, name))
            done.append(name)

    visit(entry, ())
    return done
