"""Takes spoken at a microphone: they join a corpus with the speaker's consent, and can leave it again.

The import stays as it was, line by line; a take is a row behind it, and its sound lies with the corpus. From
then on it is a row like all others: shown, decided on, exported, found by an erasure. Its making and its
leaving are events of the workspace's ledger.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import soundfile

from workbench import locales
from workbench.corpus import record
from workbench.errors import WorkbenchError
from workbench.files import replacing
from workbench.ingest.purposes import PURPOSES
from workbench.ingest.row_validation import numbered
from workbench.ingest.schema import FIELDS
from workbench.reading import read_parquet
from workbench.workspace import roles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.corpus.query.table import Corpus

SOURCE = "microphone takes"
KEPT, WITHDRAWN = "corpus.take", "corpus.take.withdrawn"


def take_row(
    samples: int, sample_rate: int, *, text: str, locale: str, consent: str, purpose: str, speaker: str = ""
) -> dict[str, Any]:
    """The utterance row of a take, without its path.

    Args:
        samples: how many; ``sample_rate``: in Hz.
        text: what was said; ``locale``: its tag.
        consent: by whom and how it was given; ``purpose``: words of PURPOSES, with spaces between.
        speaker: a code name, or empty.

    Raises:
        WorkbenchError: no samples, no consent, a purpose of another kind, or an unknown tag.
    """
    if not samples:
        raise WorkbenchError("nothing was recorded", hint="Record a take first.")
    if not consent.strip():
        raise WorkbenchError("the speaker has not consented", hint="Ask, or discard the take.")
    if not purpose.split() or set(purpose.split()) - set(PURPOSES):
        raise WorkbenchError(
            "what the take may be used for is not said", hint=f"Choose from {', '.join(PURPOSES)}."
        )
    if "\0" in text + speaker or len(speaker) > 300:
        raise WorkbenchError("the text or the speaker's name cannot be kept", hint="Write plain text.")
    now = time.gmtime()
    tag = locales.canonical(locale)
    return {
        "id": f"take-{time.strftime('%Y%m%dT%H%M%SZ', now)}-{os.urandom(4).hex()}",
        "offset": 0.0,
        "duration": round(samples / sample_rate, 3),
        "text": " ".join(text.split()),
        "target_lang": tag,
        "lang": tag,
        "speaker": " ".join(speaker.split()) or None,
        "source": SOURCE,
        "consent": consent.strip(),
        "purpose": " ".join(purpose.split()),
        "recorded_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", now),
    }


def write_sound(path: Path, pcm: NDArray[np.int16], sample_rate: int) -> None:
    """Samples (n,) as a 16-bit WAV file, bit for bit; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with replacing(path) as draft:
        soundfile.write(draft, pcm, sample_rate, subtype="PCM_16", format="WAV")


def keep_take(
    corpus: Corpus, pcm: NDArray[np.int16], sample_rate: int, row: dict[str, Any]
) -> dict[str, Any]:
    """Add a take to a corpus, behind its other rows.

    Args:
        pcm: 16-bit samples (n,) at ``sample_rate`` Hz.
        row: from :func:`take_row`.

    Returns:
        the row as the corpus now shows it. Other notebooks that have the corpus open see it as well.

    Raises:
        WorkbenchError: the user is neither reviewer, trainer nor steward of the workspace.
    """
    home = roles.workspace_of(corpus.folder)
    if home is not None:
        roles.require(home, "reviewer|trainer|steward", KEPT)
    sound = _folder(corpus) / f"{row['id']}.wav"
    with _alone(corpus):
        table = _read(corpus)
        _sweep(corpus, table)
        write_sound(sound, pcm, sample_rate)
        root = Path(os.path.realpath(corpus.audio_root))
        path = sound.relative_to(root).as_posix() if sound.is_relative_to(root) else str(sound)
        _write(corpus, _with_row(table, {**row, "audio_filepath": path}))
    if home is not None:
        home.record(KEPT, {**_facts(corpus, home.pseudonym("take", row["id"])), "consent": True})
    return corpus.row(row["id"])


def withdraw_take(corpus: Corpus, id: str) -> None:
    """Take a take back: its row, its sound and the decisions on it are removed.

    What was made with it meanwhile (predictions, exports, checkpoints) is found by an erasure, not by this.

    Raises:
        WorkbenchError: no such row, or it was imported and not spoken here.
    """
    row = corpus.row(id)
    if row["source"] != SOURCE:
        raise WorkbenchError(
            "this utterance was imported, not spoken at the microphone", where=id[:80], hint="Reject it."
        )
    home = roles.workspace_of(corpus.folder)
    if home is not None:
        roles.require(home, "reviewer|trainer|steward", WITHDRAWN)

    with _alone(corpus):
        table = _read(corpus)
        kept = table.filter(pc.not_equal(table["id"], id))
        _write(corpus, kept)
        _sweep(corpus, kept)
        if corpus.decisions.history(id):
            corpus.decisions.erase([id])
    if home is not None:
        home.record(WITHDRAWN, _facts(corpus, home.pseudonym("take", id)))


@contextmanager
def _alone(corpus: Corpus) -> Iterator[None]:
    """Of all notebooks and processes, one at a time changes the rows."""
    with record.alone_with(corpus.folder):
        yield


def _folder(corpus: Corpus) -> Path:
    """Where the sound of takes lies: every corpus may read what lies in its own ``audio/``."""
    return Path(os.path.realpath(corpus.folder)) / "audio" / "takes"


def _read(corpus: Corpus) -> pa.Table:
    return numbered(read_parquet(corpus.folder / record.ROWS, "rows of the corpus"))


def _with_row(table: pa.Table, row: dict[str, Any]) -> pa.Table:
    """The table with one more row; ``purpose`` becomes a column where there was none."""
    names = {name.lower(): name for name in table.column_names}
    if "purpose" not in names:
        names["purpose"] = "purpose"
        table = table.append_column("purpose", pa.nulls(table.num_rows, pa.string()))
    made = {names[name]: value for name, value in row.items() if name in FIELDS or name == "purpose"}
    # An import may have found a column without nulls, such as the line of the source, which a take has not.
    table = table.cast(pa.schema([field.with_nullable(True) for field in table.schema]))
    last = pc.max(table["row_index"]).as_py()
    made["row_index"] = 0 if last is None else last + 1
    return pa.concat_tables([table, pa.Table.from_pylist([made], schema=table.schema)])


def _write(corpus: Corpus, table: pa.Table) -> None:
    """Put the rows in place, and say so in the record of the import."""
    columns = record.read(corpus.folder)["columns"]
    more = [name for name in ("purpose",) if name not in columns]
    record.replace_rows(corpus.folder, table, {"columns": [*columns, *more]})


def _sweep(corpus: Corpus, table: pa.Table) -> None:
    """Sound without a row (of a take withdrawn, or cut off while it was kept) does not stay."""
    named = {Path(name).name for name in table["audio_filepath"].to_pylist()}
    folder = _folder(corpus)
    for path in folder.glob("*.wav") if folder.is_dir() else ():
        if path.name not in named:
            path.unlink()


def _facts(corpus: Corpus, take: str) -> dict[str, Any]:
    """What the ledger holds of a take: opaque, and the corpus as it is now."""
    facts = corpus.facts
    return {"take": take, "utterances": facts["rows"], "utterances_sha256": facts["utterances_sha256"]}
