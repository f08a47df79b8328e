"""Whole files or nothing: atomic writes, the digest of a file, and digests that are kept beside files."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import WorkbenchError

FULL = "the disk is full"
FOLDER_DRAFT = ".draft"
DRAFT_S = 60.0
"""Seconds after which a draft that nobody holds was left by a killed call."""
_DRAFT = re.compile(r"(sha256\.)?[0-9a-f]{12}\.part(\.draft|-journal)?")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SQLITE_NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE")
_SAID_SO = ("disk is full", "no space left", "file too large", "quota exceeded")


def write_atomic(path: Path, data: str | bytes, mode: int = 0o600, *, digest: bool = False) -> Path:
    """Write a whole file or nothing: temporary file beside it, fsync, rename; see :func:`replacing`."""
    with replacing(path, mode=mode, digest=digest) as draft:
        draft.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o600, *, digest: bool = False) -> Iterator[Path]:
    """A temporary path beside ``path``; on leaving without an error it is synced and takes its place.

    What killed writers of the same file left beside it goes: it may hold transcripts.

    Args:
        mode: of the file.
        digest: keep its digest beside it, for :func:`digest_fault`; kept up for ever once it is there.

    Raises:
        WorkbenchError: the disk is full, or a folder, a device or a pipe lies there; it is as it was.
    """
    if path.exists() and not path.is_file():  # a renamed file would take the place of /dev/stdout for good
        raise WorkbenchError("no file, and nothing takes its place", where=str(path), hint="Name a file.")
    with naming_a_full_disk(path), held_draft(path) as draft:
        yield draft
        draft.chmod(mode)
        sync(draft)
        kept = digest_path(path)
        if digest or kept.exists():
            made = sha256_file(draft)
            # Both count until the file is in its place: a kill between the two leaves no false alarm.
            before = kept.read_text("ascii").split()[-1:] if kept.exists() else []
            _put(kept, [*before, made])
            os.replace(draft, path)
            sync(path.parent)
            _put(kept, [made])
        else:
            os.replace(draft, path)
            sync(path.parent)


@contextlib.contextmanager
def held_draft(path: Path) -> Iterator[Path]:
    """An empty file beside ``path`` that nobody else can read, held while one is inside; gone afterwards,
    where it was not renamed. What killed writers of the same file left goes."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    living = None
    try:
        clear_drafts(path)
        # Made here, so that whoever writes it finds it closed to others from the first byte on.
        living = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        hold(living)
        yield draft
    finally:
        draft.unlink(missing_ok=True)
        if living is not None:
            os.close(living)


@contextlib.contextmanager
def drafted_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path``; on leaving without an error it takes the place of that name, which
    nothing or an empty folder holds. What killed makers of the same folder left goes.

    Raises:
        WorkbenchError: the disk is full; nothing is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    clear_folder_drafts(path.parent, path.name)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}{FOLDER_DRAFT}")
    draft.mkdir(mode=0o700)
    living = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
    try:
        hold(living)
        with naming_a_full_disk(path):
            yield draft
            sync(draft)
            os.replace(draft, path)
            sync(path.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        os.close(living)


def clear_folder_drafts(parent: Path, name: str = "*", *, older_s: float | None = None) -> None:
    """Take away the folders that killed calls of :func:`drafted_folder` left in ``parent``.

    Args:
        name: of the folder that they were to be; any by default.
        older_s: younger ones stay, which their makers may not hold yet; default: ``DRAFT_S``.
    """
    for left in parent.glob(f".{name}.{'[0-9a-f]' * 12}{FOLDER_DRAFT}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY | os.O_CLOEXEC)
            try:
                age = time.time() - os.fstat(descriptor).st_mtime
                if age > (DRAFT_S if older_s is None else older_s) and hold(descriptor):
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(descriptor)


def clear_drafts(path: Path) -> None:
    """Take away drafts of this file, and of its digest, whose writer is gone; it held its draft as long as it
    lived."""
    begin = f".{path.name}."
    for name in os.listdir(path.parent):
        if name.startswith(begin) and _DRAFT.fullmatch(name[len(begin) :]):
            left = path.with_name(name)
            with contextlib.suppress(OSError):
                descriptor = os.open(left, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
                try:
                    # A draft of this instant may not be held yet; one of an engine's own is held by nobody.
                    if time.time() - os.fstat(descriptor).st_mtime > DRAFT_S and hold(descriptor):
                        left.unlink(missing_ok=True)
                finally:
                    os.close(descriptor)


def hold(descriptor: int) -> bool:
    """Hold an open draft, for :func:`clear_drafts` of others; whether that could be had."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another one holds it, or the file system knows no locks
        return False
    return True


def digest_path(path: Path) -> Path:
    """Where the digest of a file is kept."""
    return path.with_name(f".{path.name}.sha256")


def digest_fault(path: Path) -> str | None:
    """What is wrong with a file whose digest is kept beside it; None where nothing is, or none is kept."""
    kept = digest_path(path)
    if not kept.exists():
        return None
    if not path.exists():
        return "is missing"
    if not path.is_file():
        return "is no file"
    if not path.stat().st_size:
        return "was emptied"
    wanted = kept.read_text("ascii", errors="replace").split()
    return None if sha256_file(path) in wanted else "was changed: its bytes do not match its digest"


@contextlib.contextmanager
def naming_a_full_disk(where: Path) -> Iterator[None]:
    """An error for want of room inside becomes one that says so."""
    try:
        yield
    except Exception as error:
        if isinstance(error, WorkbenchError) or not is_full_disk(error):
            raise
        hint = "Free some space, then repeat the call."
        raise WorkbenchError(FULL, where=str(where), hint=hint) from error


def is_full_disk(error: BaseException | None) -> bool:
    """Whether a write failed for want of room, by whatever library it was made."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        if getattr(error, "sqlite_errorname", "") in _SQLITE_NO_ROOM:
            return True
        if any(sign in str(error).lower() for sign in _SAID_SO):
            return True
        if isinstance(error, RuntimeError) and "inline_container" in str(error):  # torch's own writer
            return True
        error = error.__cause__ or error.__context__
    return False


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


def _put(path: Path, digests: list[str]) -> None:
    draft = path.with_name(f"{path.name}.{secrets.token_hex(6)}.part")
    try:
        draft.write_text("\n".join(digests) + "\n", "ascii")
        draft.chmod(0o600)
        sync(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
