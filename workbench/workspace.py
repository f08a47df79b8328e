"""The folders of a workspace, its settings, its ledger and its slots; knows no other room.

Everything a team makes lies under one folder that only its owner may enter (0700). Jobs wait for a *slot*, a
file held with ``flock``: the kernel lets go of it when a process ends, however it ends, so nothing has to be
cleaned up after a crash and process ids never decide anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench import settings
from workbench.errors import WorkbenchError
from workbench.ledger import Event, Ledger
from workbench.settings import Cadence, Config, Pilot, PilotLocale, SourceTerms

__all__ = [
    "Cadence", "Config", "Pilot", "PilotLocale", "Slot", "SourceTerms", "WorkspaceFolder", "check_name",
    "current_user", "hold_slot", "replacing", "sha256_file", "write_atomic",
]  # fmt: skip

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_FOLDERS = ("corpora", "runs", "checkpoints", "reports", "releases", "slots", "keys")
_POLL_S = 0.2


class WorkspaceFolder:
    """A workspace on disk.

    ``path`` defaults to ``WORKBENCH_WORKSPACE``, then ``./workspace``. Folders are created on opening.
    """

    def __init__(self, path: str | Path | None = None, **arguments: Any) -> None:
        """Open or create.

        Args:
            path: the folder.
            arguments: settings that win over file and environment, e.g. ``slots=2``.

        Raises:
            WorkbenchError: the settings cannot be read, or the path is a file.
        """
        self.path = Path(path or os.environ.get("WORKBENCH_WORKSPACE") or "workspace").expanduser().absolute()
        if self.path.exists() and not self.path.is_dir():
            raise WorkbenchError("a workspace is a folder", where=str(self.path), mend="Choose another path.")
        for folder in (self.path, *(self.path / name for name in _FOLDERS)):
            _private_folder(folder)
        self.corpora, self.runs = self.path / "corpora", self.path / "runs"
        self.checkpoints, self.reports = self.path / "checkpoints", self.path / "reports"
        self.releases, self.slots = self.path / "releases", self.path / "slots"
        self.settings_path = self.path / "workspace.toml"
        self._arguments = arguments
        self.config: Config = settings.load(self.settings_path, arguments)
        self.ledger = Ledger(self.path / "ledger.sqlite")

    def __repr__(self) -> str:
        return f"WorkspaceFolder({str(self.path)!r})"

    @property
    def pilot(self) -> Pilot:
        return self.config.pilot

    def configure(self, **changes: Any) -> Config:
        """Change settings and write ``workspace.toml`` (its comments are not kept).

        Args:
            changes: fields of ``Config``: ``slots=2``, ``cadence=Cadence(days=30)``.

        Raises:
            WorkbenchError: an unknown setting.
        """
        unknown = sorted(set(changes) - set(Config.__dataclass_fields__))
        if unknown:
            raise WorkbenchError(
                f"unknown settings {', '.join(unknown)}", mend=f"Known: {sorted(Config.__slots__)}."
            )
        # The file is changed alone: what environment or arguments override for this session stays out of it.
        saved = settings.load_file(self.settings_path)
        write_atomic(self.settings_path, settings.dump(replace(saved, **changes)))
        self.config = settings.load(self.settings_path, {**self._arguments, **changes})
        return self.config

    def set_pilot(self, *rows: PilotLocale | Mapping[str, Any]) -> Pilot:
        """Write the pilot plan: ``set_pilot({"tag": "el-GR", "traffic_share": 0.3, "risk_weight": 2})``."""
        return self.configure(pilot=Pilot.of(*rows)).pilot

    def set_terms(self, source: str, **terms: Any) -> SourceTerms:
        """Write on which terms a source may be used: license, consent, purpose, keep_days."""
        made = replace(self.config.sources.get(source, SourceTerms()), **terms)
        self.configure(sources={**self.config.sources, source: made})
        return made

    def corpus_folder(self, name: str) -> Path:
        """Where a corpus of this name lies (it need not exist yet)."""
        return self.corpora / check_name(name)

    def run_folder(self, name: str) -> Path:
        return self.runs / check_name(name)

    def checkpoint_path(self, name: str) -> Path:
        return self.checkpoints / f"{check_name(name)}.nemo"

    def corpus_names(self) -> list[str]:
        return sorted(p.name for p in self.corpora.iterdir() if (p / "source.json").exists())

    def checkpoint_names(self) -> list[str]:
        return sorted(p.stem for p in self.checkpoints.glob("*.nemo"))

    def run_names(self) -> list[str]:
        return sorted(p.name for p in self.runs.iterdir() if p.is_dir())

    def record(self, kind: str, payload: Mapping[str, Any] | None = None) -> Event:
        """Add an event to the ledger, with the opaque id of who acts."""
        return self.ledger.append(kind, {"actor": self.actor(), **(payload or {})})

    def actor(self, user: str | None = None) -> str:
        """Opaque id of a user (default: the current one), the same for one name within this workspace."""
        return self.pseudonym("actor", user or current_user())

    def pseudonym(self, kind: str, value: str) -> str:
        """Keyed pseudonym of a speaker, source or user: the same value gives the same id here, and without
        ``keys/pseudonym.key`` nobody can tell whose it is. Whoever holds the key can test a guess."""
        digest = hmac.new(self._key, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()
        return f"{kind}-{digest[:16]}"

    def slot(
        self, *, timeout_s: float | None = None, cancel: Callable[[], bool] | None = None
    ) -> contextlib.AbstractContextManager[Slot]:
        """Wait for a free slot and hold it: ``with ws.slot(): ...``; see ``hold_slot``."""
        return hold_slot(self.slots, self.config.slots, timeout_s=timeout_s, cancel=cancel)

    def busy_slots(self) -> int:
        """How many slots are held now, by whatever process."""
        return sum(not _is_free(self.slots / f"{i}.lock") for i in range(self.config.slots))

    @cached_property
    def _key(self) -> bytes:
        path = self.path / "keys" / "pseudonym.key"
        if not path.exists():
            # Linked, not renamed: of two first users at once, one key wins for both.
            draft = path.with_name(f".{secrets.token_hex(6)}")
            write_atomic(draft, secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        return path.read_bytes()


class Slot:
    """A slot that is held: its number and its open file."""

    def __init__(self, index: int, descriptor: int) -> None:
        self.index, self.descriptor = index, descriptor


@contextlib.contextmanager
def hold_slot(
    folder: Path,
    count: int,
    *,
    timeout_s: float | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Iterator[Slot]:
    """Hold one of ``count`` slots; waits until one is free.

    Args:
        folder: where the lock files lie.
        count: how many jobs may run at once.
        timeout_s: give up after this many seconds; None waits for ever.
        cancel: asked while waiting; True gives up.

    Raises:
        WorkbenchError: no slot came free in time, or the wait was cancelled.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    started = time.monotonic()
    while (slot := _take(folder, count)) is None:
        if cancel is not None and cancel():
            raise WorkbenchError("cancelled while waiting for a slot", where=str(folder))
        if timeout_s is not None and time.monotonic() - started > timeout_s:
            raise WorkbenchError(
                f"all {count} slots are busy",
                where=str(folder),
                mend="Wait for a run to end, or raise slots.",
            )
        time.sleep(_POLL_S)
    try:
        yield slot
    finally:
        os.close(slot.descriptor)


def current_user() -> str:
    """Who acts: ``WORKBENCH_USER``, ``JUPYTERHUB_USER``, else the login of this process. A statement, not a
    proof: whoever can set the environment can claim any name."""
    claimed = os.environ.get("WORKBENCH_USER") or os.environ.get("JUPYTERHUB_USER")
    if claimed:
        return claimed
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def check_name(name: str) -> str:
    """The name if it is safe as a file name.

    Raises:
        WorkbenchError: empty, too long, or with anything but letters, digits, dot, dash and underscore.
    """
    if not _NAME.match(name):
        raise WorkbenchError(
            f"{name[:70]!r} cannot name a thing in a workspace",
            mend="Use up to 64 letters, digits, dots, dashes, underscores; begin with a letter or digit.",
        )
    return name


def write_atomic(path: Path, data: str | bytes, mode: int = 0o600) -> Path:
    """Write a whole file or nothing: temporary file beside it, fsync, rename."""
    with replacing(path, mode=mode) as draft:
        draft.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o600) -> Iterator[Path]:
    """A temporary path beside ``path``; on leaving without an error it is synced and takes its place."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        yield draft
        draft.chmod(mode)
        sync(draft)
        os.replace(draft, path)
        sync(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Ask the system to put a file or folder on the disk now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _private_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        # A read-only mount cannot be changed; its files are still readable.
        with contextlib.suppress(PermissionError):
            folder.chmod(0o700)


def _take(folder: Path, count: int) -> Slot | None:
    for index in range(count):
        descriptor = os.open(folder / f"{index}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return Slot(index, descriptor)
    return None


def _is_free(path: Path) -> bool:
    if not path.exists():
        return True
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
