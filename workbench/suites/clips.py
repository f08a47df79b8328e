"""The utterances of a view, frozen: id, audio digest and reference digest of each, kept beside their corpus.

They lie in the corpus's own folder, so that an erasure finds them there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.corpus.query.table import Corpus
from workbench.corpus.review.origins import disputed, held_back, unaccepted
from workbench.errors import WorkbenchError
from workbench.files import replacing
from workbench.ingest.audio import audio_digests
from workbench.suites.suite import View

COLUMNS = ("id", "audio_sha256", "reference_sha256", "offset", "duration", "target_lang", "accent")


def freeze(corpus: Corpus) -> tuple[pd.DataFrame, int]:
    """The rows of a view, with digests, and how many were left out for want of a reference: without a
    transcript, with a draft that nobody accepted, or with one on which reviewers differ.

    Raises:
        WorkbenchError: no row is left, or audio of one cannot be read.
    """
    rows = corpus.frame()
    spoken = rows["text"].notna() & ~rows["id"].isin(list(held_back(corpus)))
    held = _digested(rows[spoken], corpus)
    unread = held["id"][held["audio_sha256"].isna()].tolist()
    if unread:
        what = f"audio of {len(unread)} utterances cannot be read: {', '.join(map(str, unread[:5]))}"
        raise WorkbenchError(what, where=corpus.name, hint="Repair them, or narrow the view.")
    if not len(held):
        raise WorkbenchError(
            "no usable row", where=f"{corpus.name} {' AND '.join(corpus.filters)}", hint="Widen the view."
        )
    return held, int((~spoken).sum())


def _digested(rows: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    made = rows.reindex(columns=["id", "offset", "duration", "target_lang", "accent"]).reset_index(drop=True)
    made["id"] = made["id"].astype(str)
    made["audio_sha256"] = audio_digests(rows.to_dict("records"), corpus.audio_roots)
    made["reference_sha256"] = [hashlib.sha256(str(t).encode()).hexdigest() for t in rows["text"]]
    for name in ("target_lang", "accent"):
        made[name] = made[name].astype(object).where(made[name].notna(), None)
    return made[list(COLUMNS)]


def digest(clips: pd.DataFrame) -> str:
    """SHA-256 over the clips in the order of their ids."""
    found = hashlib.sha256()
    ordered = clips.sort_values("id")
    for row in ordered[list(COLUMNS)].itertuples(index=False, name=None):
        plain = [f"{v:.6f}" if isinstance(v, float) else v for v in row]
        found.update(repr(plain).encode())
    return found.hexdigest()


def path_of(folder: Path, suite: str, clips_sha256: str) -> Path:
    """Where the clips of a view lie; ``folder``: of the corpus."""
    return folder / "suites" / f"{suite}.{clips_sha256[:16]}.parquet"


def write(folder: Path, suite: str, clips: pd.DataFrame) -> str:
    """Keep the clips of a view; returns their digest."""
    made = digest(clips)
    path = path_of(folder, suite, made)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with replacing(path) as draft:
        clips.to_parquet(draft, index=False)
    return made


def read(folder: Path, suite: str, view: View) -> pd.DataFrame:
    """The clips of a view as they were frozen.

    Raises:
        WorkbenchError: they are gone, or some were erased since: what is left is no longer the suite.
    """
    path = path_of(folder, suite, view.clips_sha256)
    hint = f"Make a new version: ws.suite({suite!r}).renew()."
    if not path.is_file():
        raise WorkbenchError(
            "the clips of the suite are missing", where=f"suite {suite}, corpus {view.corpus}", hint=hint
        )
    clips = pd.read_parquet(path)
    for name in ("target_lang", "accent"):
        clips[name] = clips[name].astype(object).where(clips[name].notna(), None)
    if len(clips) < view.utterances:
        what = f"{view.utterances - len(clips)} of {view.utterances} clips were erased since"
        raise WorkbenchError(what, where=f"suite {suite}, corpus {view.corpus}", hint=hint)
    if digest(clips) != view.clips_sha256:
        raise WorkbenchError(
            "the clips of the suite were changed", where=f"suite {suite}, corpus {view.corpus}", hint=hint
        )
    return clips


def changes(clips: pd.DataFrame, corpus: Corpus) -> list[str]:
    """What is no longer as it was frozen, one sentence a kind; empty where all is."""
    frozen = clips.set_index("id")
    rows = corpus.pick(clips["id"]).frame()
    now = _digested(rows, corpus).set_index("id")
    found = []
    gone = frozen.index.difference(now.index)
    if len(gone):
        found.append(f"{len(gone)} clips are no longer in {corpus.name} ({_few(gone)})")
    both = frozen.index.intersection(now.index)
    told = {
        "audio_sha256": "audio changed",
        "reference_sha256": "reference changed",
        "target_lang": "locale changed",
        "accent": "accent changed",
        "offset": "segment changed",
        "duration": "segment changed",
    }
    for name, what in told.items():
        a, b = frozen.loc[both, name], now.loc[both, name]
        moved = both[~((a == b) | (a.isna() & b.isna())).to_numpy(bool)]
        if len(moved):
            found.append(f"{what} in {len(moved)} clips of {corpus.name} ({_few(moved)})")
    if drafts := sorted(unaccepted(corpus) & set(both)):
        found.append(f"drafts that nobody accepts any more: {len(drafts)} of {corpus.name} ({_few(drafts)})")
    if differ := sorted(disputed(corpus) & set(both)):
        found.append(f"reviewers differ on {len(differ)} clips of {corpus.name} ({_few(differ)})")
    return found


def without_repeats(rows: pd.DataFrame, seen: set[tuple[Any, ...]]) -> pd.DataFrame:
    """The rows whose recording (file content and segment) is not in ``seen`` yet; theirs is added."""
    keep = []
    columns = rows[["audio_sha256", "offset", "duration"]]
    for audio, offset, duration in columns.itertuples(index=False, name=None):
        key = (audio, round(offset or 0.0, 3), round(duration or 0.0, 2))
        keep.append(key not in seen)
        seen.add(key)
    return rows[keep].reset_index(drop=True)


def _few(ids: Any) -> str:
    shown = ", ".join(str(i)[:40] for i in list(ids[:3]))
    return f"{shown}, …" if len(ids) > 3 else shown
