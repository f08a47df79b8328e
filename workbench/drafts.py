"""Drafts of what is handed out: hidden beside their target, and known until they are gone.

A draft holds transcripts, and a killed call cannot take it away. The next call of the same corpus does,
wherever the draft lay; ``verify`` names it until then. What a killed call had put aside goes back.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.locks import hold
from workbench.reading import read_json

HOME = ".drafts"
"""The folder, within a corpus's own, that remembers where drafts lie."""
_KINDS = ("part", "rows", "act", "old", "live")


@dataclass(frozen=True, slots=True)
class Draft:
    """What one call writes before it has its place.

    Attributes:
        target: the place.
        token: tells this call's files from those of others.
        cut_off: digest → act of calls to the same target that were killed, maybe after they were recorded.
    """

    target: Path
    token: str
    cut_off: Mapping[str, str] = field(default_factory=dict)

    def sibling(self, kind: str) -> Path:
        """A hidden path of this call beside the target: ``part`` becomes the target, ``rows`` is a spool,
        ``act`` is what the ledger will say of it, ``old`` is what lay there, ``live`` is held while the call
        lives."""
        return self.target.with_name(f".{self.target.name}.{self.token}.{kind}")

    @property
    def path(self) -> Path:
        """The folder to write into; it becomes the target."""
        return self.sibling("part")

    def act(self, digest: str) -> str:
        """The opaque id under which a finished draft is recorded: the one of a killed call that made the
        same, so that the ledger tells it once."""
        made = self.cut_off.get(digest) or self.token
        self.sibling("act").touch(0o600)
        self.sibling("act").write_text(json.dumps({digest: made}), "ascii")
        return made

    def put(self) -> None:
        """The finished folder takes its place; what lay there goes only after, the spool before."""
        self.sibling("rows").unlink(missing_ok=True)
        old = self.sibling("old")
        if self.target.exists():
            os.replace(self.target, old)
        os.replace(self.path, self.target)
        shutil.rmtree(old, ignore_errors=True)

    def put_back(self) -> None:
        """What was put aside goes back where nothing took its place."""
        old = self.sibling("old")
        if old.exists() and not self.target.exists():
            os.replace(old, self.target)

    def clear(self) -> None:
        """Leave nothing of this call, and the place as it was where nothing took it."""
        self.put_back()
        for kind in _KINDS:
            path = self.sibling(kind)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def drafting(target: Path, home: Path | None = None) -> Iterator[Draft]:
    """Within, a call writes a folder that takes the place of ``target`` by :meth:`Draft.put`.

    What killed calls left is cleared first: those that ``home`` remembers, and those to the same target.

    Args:
        target: absolute.
        home: of the corpus, which then remembers the draft, where anything can be written there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    cut_off = _acts(target)
    clear(home)
    _clear_siblings(target)
    draft = Draft(target, secrets.token_hex(6), cut_off)
    record = None if home is None or not os.access(home, os.W_OK) else home / HOME / f"{draft.token}.json"
    living = _live(draft)
    try:
        if home is not None and record is not None:
            record.parent.mkdir(mode=0o700, exist_ok=True)
            write_atomic(record, json.dumps({"target": _told(target, home)}))
        draft.path.mkdir(mode=0o700)
        yield draft
    finally:
        draft.clear()
        if record is not None:
            record.unlink(missing_ok=True)
        os.close(living)


def left(home: Path) -> Iterator[Draft]:
    """What calls left that ended without clearing up, as far as the corpus remembers it."""
    for draft in _remembered(home):
        if (held := _seized(draft)) is not None:
            held.close()
            yield draft


def put_back(home: Path) -> None:
    """What killed calls had put aside is in its place again, as far as the corpus remembers them."""
    for draft in _remembered(home):
        if (held := _seized(draft)) is not None:
            with held, contextlib.suppress(PermissionError):
                draft.put_back()


def clear(home: Path | None) -> None:
    """Take away what killed calls left, as far as the corpus remembers it."""
    for draft in [] if home is None else list(_remembered(home)):
        _clear(draft)
        if home is not None and not draft.sibling("live").exists():
            with contextlib.suppress(PermissionError):
                (home / HOME / f"{draft.token}.json").unlink(missing_ok=True)


def _remembered(home: Path) -> Iterator[Draft]:
    for record in sorted((home / HOME).glob("*.json")):
        target = read_json(record, "record of a draft").get("target")
        if isinstance(target, str) and re.fullmatch("[0-9a-f]{12}", record.stem):
            yield Draft(Path(os.path.normpath(home / target)), record.stem)


def _siblings(target: Path) -> Iterator[Draft]:
    shape = re.compile(rf"\.{re.escape(target.name)}\.([0-9a-f]{{12}})\.(?:{'|'.join(_KINDS)})")
    for token in sorted({found[1] for name in os.listdir(target.parent) if (found := shape.fullmatch(name))}):
        yield Draft(target, token)


def _clear_siblings(target: Path) -> None:
    for draft in _siblings(target):
        _clear(draft)


def _acts(target: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for draft in _siblings(target):
        if draft.sibling("act").exists() and (held := _seized(draft)) is not None:
            with held, contextlib.suppress(OSError, WorkbenchError):
                found |= read_json(draft.sibling("act"), "act of a draft")
    return found


def _clear(draft: Draft) -> None:
    if (held := _seized(draft)) is not None:
        with held, contextlib.suppress(PermissionError):
            draft.clear()


def _live(draft: Draft) -> int:
    """Hold the file that says that this call lives; who clears up may have taken it in the same instant."""
    path = draft.sibling("live")
    while True:
        if (held := hold(path)) is not None:
            if path.exists() and path.stat().st_ino == os.fstat(held).st_ino:
                return held
            os.close(held)
        time.sleep(0.01)


def _seized(draft: Draft) -> contextlib.ExitStack | None:
    """What a dead call left, held for the one who clears it; None where the call lives."""
    stack = contextlib.ExitStack()
    try:
        descriptor = hold(draft.sibling("live"), create=False)
    except OSError:  # it is gone, as after half a clearing
        return stack
    if descriptor is None:
        return None
    stack.callback(os.close, descriptor)
    return stack


def _told(target: Path, home: Path) -> str:
    """Relative where both lie in one workspace, so that a copy of it does not look for this one's drafts."""
    workspace = home.parent.parent
    return os.path.relpath(target, home) if target.is_relative_to(workspace) else str(target)
