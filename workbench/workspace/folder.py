"""The folders of a workspace, its settings, its ledger and its slots; knows no other room.

Everything a team makes lies under one folder that only its owner may enter (0700).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from workbench.errors import WorkbenchError
from workbench.files import digest_fault, digest_path, write_atomic
from workbench.locales import LATIN_MARKS, Locale, declare, free_prompt_indexes
from workbench.locks import alone, is_held
from workbench.names import account, check_name, current_user
from workbench.reading import regular
from workbench.signatures import public, takes_fields
from workbench.workspace.ledger import Event, Ledger
from workbench.workspace.settings import Config, Pilot, PilotLocale, SourceTerms, dump, load_file
from workbench.workspace.settings import load as load_settings
from workbench.workspace.slots import Slot, hold_slot

_KEY_BYTES = 32
_LOST_KEY = "Restore it from a backup: with another key no pseudonym and no erasure is known again."
_FOLDERS = ("corpora", "runs", "checkpoints", "reports", "releases", "slots", "keys", "locks")


@public
class WorkspaceFolder:
    """A workspace on disk.

    ``path`` defaults to ``WORKBENCH_WORKSPACE``, then ``./workspace``. Folders are created on opening.
    """

    @takes_fields(Config)
    def __init__(self, path: str | Path | None = None, **settings: Any) -> None:
        """Open or create.

        Args:
            path: the folder.
            settings: fields of ``Config`` that win over file and environment, e.g. ``slots=2``.

        Raises:
            WorkbenchError: the settings cannot be read, the path is a file, or the folder is another
                account's.
        """
        self.path = Path(path or os.environ.get("WORKBENCH_WORKSPACE") or "workspace").expanduser().absolute()
        self.read_only = _read_only(self.path)
        if not self.read_only:
            for folder in (self.path, *(self.path / name for name in _FOLDERS)):
                _private_folder(folder)
        self.corpora, self.runs = self.path / "corpora", self.path / "runs"
        self.checkpoints, self.reports = self.path / "checkpoints", self.path / "reports"
        self.releases, self.slots = self.path / "releases", self.path / "slots"
        self.settings_path = self.path / "workspace.toml"
        self._arguments = settings
        self.config: Config = load_settings(self.settings_path, settings)
        self.ledger = Ledger(self.path / "ledger.sqlite")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def pilot(self) -> Pilot:
        """Which locales the pilot improves and which it must not harm."""
        return self.config.pilot

    @takes_fields(Config)
    def configure(self, **changes: Any) -> Config:
        """Change settings and write ``workspace.toml`` (its comments are not kept).

        Args:
            changes: fields of ``Config``: ``slots=2``, ``retraining_schedule=RetrainingSchedule(days=30)``.

        Raises:
            TypeError: an unknown setting; the nearest is named.
            WorkbenchError: a value of the wrong kind.
        """
        return self._reconfigure(lambda saved: replace(saved, **changes), changes)

    def set_pilot(self, *rows: PilotLocale | Mapping[str, Any]) -> Pilot:
        """Write the pilot plan: ``set_pilot({"tag": "el-GR", "traffic_share": 0.3, "risk_weight": 2})``."""
        return self.configure(pilot=Pilot.of(*rows)).pilot

    def add_locale(
        self,
        tag: str,
        *,
        name: str | None = None,
        prompt_index: int | None = None,
        script: str = "Latin",
        direction: Literal["ltr", "rtl"] = "ltr",
        scored_by: Literal["word", "char"] = "word",
        marks: str = LATIN_MARKS,
        final_marks: str = ".?!",
        cased: bool = True,
    ) -> Locale:
        """Declare a locale that is none of the 40: checks, export, pre-flight, training and gates then know
        it, in this workspace and in the processes that it starts.

        Args:
            tag: language and region, such as ``ca-ES``.
            name: in English; the tag by default.
            prompt_index: its place in the one-hot prompt; the first that is free by default.
            script: of most letters, such as Latin or Cyrillic.
            direction: of writing.
            scored_by: unit of the headline error rate.
            marks: punctuation that is scored.
            final_marks: what may end a sentence.
            cased: whether it has capitals.

        Raises:
            WorkbenchError: no tag, one of the 40, declared otherwise already, or a taken prompt index.
        """
        index = free_prompt_indexes()[0] if prompt_index is None else prompt_index
        row = Locale(
            tag, name or tag, index, "adapt", script, direction, scored_by, marks, final_marks, cased
        )
        if prompt_index is None and (known := self.config.locales.get(tag)) is not None:
            row = replace(row, prompt_index=known.prompt_index)
        declare(row)
        self._reconfigure(lambda saved: replace(saved, locales={**saved.locales, tag: row}), {})
        return row

    @takes_fields(SourceTerms)
    def set_terms(self, source: str, **terms: Any) -> SourceTerms:
        """Write on which terms a source may be used.

        Args:
            source: its name, as rows have it in ``source``.
            terms: ``license``, ``consent``, ``purpose``, ``keep_days``; those not named stay.
        """

        def changed(saved: Config) -> Config:
            made = replace(saved.sources.get(source, SourceTerms()), **terms)
            return replace(saved, sources={**saved.sources, source: made})

        return self._reconfigure(changed, {}).sources[source]

    def _reconfigure(self, change: Callable[[Config], Config], arguments: Mapping[str, Any]) -> Config:
        """Read, change and write the file alone: what environment or arguments override for this session
        stays out of it, and what another process wrote meanwhile stays in it."""
        with alone(self.path / "locks" / "settings"):
            write_atomic(self.settings_path, dump(change(load_file(self.settings_path))))
            self.config = load_settings(self.settings_path, {**self._arguments, **arguments})
        return self.config

    def corpus_folder(self, name: str) -> Path:
        """Where a corpus of this name lies (it need not exist yet)."""
        return self.corpora / check_name(name)

    def run_folder(self, name: str) -> Path:
        """Where a run of this name lies (it need not exist yet)."""
        return self.runs / check_name(name)

    def checkpoint_path(self, name: str) -> Path:
        """Where a checkpoint of this name lies (it need not exist yet)."""
        return self.checkpoints / f"{check_name(name)}.nemo"

    def corpus_names(self) -> list[str]:
        """Names of the corpora that were imported."""
        there = (p for p in _inside(self.corpora) if not p.name.startswith("."))
        return sorted(p.name for p in there if (p / "source.json").exists())

    def checkpoint_names(self) -> list[str]:
        """Names of the checkpoints that were added."""
        return sorted(p.stem for p in self.checkpoints.glob("*.nemo"))

    def run_names(self) -> list[str]:
        """Names of the runs that lie here."""
        return sorted(p.name for p in _inside(self.runs) if p.is_dir() and not p.name.startswith("."))

    def record(self, kind: str, payload: Mapping[str, Any] | None = None) -> Event:
        """Add an event to the ledger, with the opaque id of who acts."""
        return self.ledger.append(kind, {"actor": self.actor(), **(payload or {})})

    def record_once(self, kind: str, act: str, payload: Mapping[str, Any]) -> None:
        """Add the event of an act unless it is there, or nothing can be written here."""
        if not self.read_only:
            self.ledger.append_once(kind, act, {"actor": self.actor(), **payload})

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
        return sum(is_held(self.slots / f"{i}.lock") for i in range(self.config.slots))

    @property
    def key_path(self) -> Path:
        """The key that pseudonyms are made with."""
        return self.path / "keys" / "pseudonym.key"

    @cached_property
    def _key(self) -> bytes:
        path = self.key_path
        with alone(self.path / "locks" / "key"):
            if not path.exists() and not digest_path(path).exists():
                write_atomic(path, secrets.token_bytes(_KEY_BYTES), digest=True)
            if not path.exists():
                what, hint = "the key of the pseudonyms is missing: it was there before", _LOST_KEY
                raise WorkbenchError(what, where=str(path), hint=hint)
            held = regular(path, "key").read_bytes()
            if len(held) != _KEY_BYTES or digest_fault(path):
                what = "was emptied" if not held else "was changed"
                raise WorkbenchError(f"the key of the pseudonyms {what}", where=str(path), hint=_LOST_KEY)
            if not digest_path(path).exists() and not self.read_only:
                write_atomic(path, held, digest=True)
        return held


def _read_only(path: Path) -> bool:
    """Whether a workspace can only be read, as on a mount for reading.

    Raises:
        WorkbenchError: no folder, or another account's, whose files must stay his.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise WorkbenchError(f"the workspace cannot be opened ({text})", where=str(path)) from error
    if not path.is_dir():
        raise WorkbenchError("a workspace is a folder", where=str(path), hint="Choose another path.")
    if not os.access(path, os.R_OK | os.X_OK):
        raise _not_yours(path, found.st_uid)
    if not os.access(path, os.W_OK):
        if (path / "ledger.sqlite").exists():
            return True
        what = "no workspace, and none can be made here"
        raise WorkbenchError(what, where=str(path), hint="Choose another path.")
    if found.st_uid != os.geteuid():
        raise _not_yours(path, found.st_uid)
    return False


def _not_yours(path: Path, owner: int) -> WorkbenchError:
    return WorkbenchError(
        f"the workspace belongs to another account ({account(owner)}; this one is {account(os.geteuid())})",
        where=str(path),
        hint="Work as its owner, or in a workspace of your own; export what is to be shared.",
    )


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _private_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)
