"""Exports that carry their audio: Lhotse Shar, NeMo tarred, Hugging Face; the same bytes every time.

Whole recordings in a codec that NeMo's loaders read go in as they are; parts of recordings, several channels
and headerless codecs are decoded and written as 16-bit FLAC. What was re-encoded is counted in the data card.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soundfile

from workbench.corpus.export.export_rows import Place, mono_fields, write_lines
from workbench.corpus.export.formats import nemo_row
from workbench.corpus.workers import each_done
from workbench.ingest import audio

if TYPE_CHECKING:
    from workbench.corpus.export.job import Job

SHARD_SIZE = 200
"""Utterances per shard, as NVIDIA advises for resumable training."""
_MEND = "Export again with workers=1; memory may have run out."
_AS_IS = (".wav", ".flac", ".ogg", ".opus", ".mp3")


def tarred(job: Job) -> dict[str, str]:
    """NeMo tarred: per split ``audio_N.tar`` with ``manifest_N.json``, rows in a fixed shuffled order.

    Load with ``manifest_filepath=SPLIT/manifest__OP_0..K_CL_.json`` and
    ``tarred_audio_filepaths=SPLIT/audio__OP_0..K_CL_.tar``; the files of the result name the first.
    """
    counts = _sharded(job, write_tar)
    return {split: f"{split}/manifest__OP_0..{count - 1}_CL_.json" for split, count in counts.items()}


def shar(job: Job) -> dict[str, str]:
    """Lhotse Shar: per split a folder for ``CutSet.from_shar`` or NeMo's ``shar_path``."""
    return {split: split for split in _sharded(job, write_shar)}


def _sharded(job: Job, write: Callable[[Shard], int]) -> dict[str, int]:
    """Write the shards of every split, by several processes where asked for; split → shards."""
    size = job.place.settings.get("shard_size", SHARD_SIZE)
    counts, done = {}, 0

    def shards() -> Iterator[Shard]:
        for split in job.rows.splits:
            folder = job.draft / split
            folder.mkdir()
            rows = job.rows.shuffled(job.spill, split)
            for number in itertools.count():
                some = list(itertools.islice(rows, size))
                if not some:
                    break
                counts[split] = number + 1
                yield Shard(job.place, folder, number, size, some)

    for count in each_done(write, shards(), job.workers, _MEND):
        done += count
        job.tick(done)
    return counts


@dataclass(frozen=True)
class Shard:
    """One shard to write: ``rows`` are the ``number``-th ``size`` of a split."""

    place: Place
    folder: Path
    number: int
    size: int
    rows: list[dict[str, Any]]


def write_tar(shard: Shard) -> int:
    """A tar of NeMo's with its manifest; returns its rows."""
    lines = []
    path = shard.folder / f"audio_{shard.number}.tar"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for at, row in enumerate(shard.rows):
            data, suffix = audio_bytes(shard.place, row)
            name = f"{shard.number:05d}_{at:05d}{suffix}"
            _put(archive, name, data)
            line = {**nemo_row(shard.place, row, mono=True), "audio_filepath": name, "shard_id": shard.number}
            lines.append({**line, "offset": 0.0})
    write_lines(shard.folder / f"manifest_{shard.number}.json", lines)
    return len(lines)


def write_shar(shard: Shard) -> int:
    """A shard of Lhotse's; returns its rows."""
    from lhotse.shar import SharWriter

    fields = {"recording": "flac"}
    with SharWriter(
        str(shard.folder), fields=fields, shard_size=shard.size, shard_offset=shard.number
    ) as writer:
        for row in shard.rows:
            writer.write(_cut(shard.place, row))
    _settle(shard.folder / f"cuts.{shard.number:06d}.jsonl.gz")
    return len(shard.rows)


def hugging_face(job: Job) -> dict[str, str]:
    """A saved ``DatasetDict`` with the audio inside; decoding is left to whoever loads it.

    A split is in memory while it is written, sound and all; larger ones go out as Shar or tarred.
    """
    import datasets

    parts = {}
    for split in job.rows.splits:
        plain = [_hf_row(job.place, row) for row in job.counted(job.rows.rows(split))]
        names = list(dict.fromkeys(name for row in plain for name in row))
        columns = {name: [row.get(name) for row in plain] for name in names}
        part = datasets.Dataset.from_dict(columns)
        parts[split] = part.cast_column("audio", datasets.Audio(decode=False))
    folder = job.draft / "dataset"
    datasets.DatasetDict(parts).save_to_disk(str(folder), num_proc=None)
    for path in sorted(folder.glob("*/state.json")):
        state = json.loads(path.read_text(encoding="utf-8"))
        # The library draws it from cache times; ours follows from the content.
        arrows = sorted(path.parent.glob("*.arrow"))
        digest = hashlib.sha256(b"".join(p.read_bytes() for p in arrows)).hexdigest()
        state["_fingerprint"] = digest[:16]
        path.write_text(json.dumps(state, indent=2, sort_keys=True), encoding="utf-8")
    return {"all": "dataset"}


def audio_bytes(place: Place, row: Mapping[str, Any]) -> tuple[bytes, str]:
    """A row's audio as a file of its own: bytes and suffix."""
    path = Path(place.audio_path(row))
    suffix = path.suffix.lower()
    if suffix in _AS_IS and not row["offset"] and audio.channel_of(row) in (None, (0,)):
        facts = audio.probe(path)
        # What others would hear otherwise than it is (a header that errs) is written anew.
        told = facts.stated_s is not None and abs(facts.stated_s - facts.duration_s) < 0.005
        if told and facts.channels == 1 and abs(facts.duration_s - row["duration"]) < 0.01:
            return path.read_bytes(), suffix
    samples, rate = _mono(place, row)
    return _flac(samples, rate), ".flac"


def _mono(place: Place, row: Mapping[str, Any]) -> tuple[Any, int]:
    return audio.read_row(row, place.roots)


def _flac(samples: Any, rate: int) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, samples, rate, format="FLAC", subtype="PCM_16")
    return target.getvalue()


def _cut(place: Place, row: Mapping[str, Any]) -> Any:
    from lhotse import AudioSource, Recording, SupervisionSegment

    samples, rate = _mono(place, row)
    recording = Recording(
        id=row["id"],
        sources=[AudioSource(type="memory", channels=[0], source=_flac(samples, rate))],
        sampling_rate=rate,
        num_samples=len(samples),
        duration=len(samples) / rate,
    )
    cut = recording.to_cut()
    cut.id = row["id"]
    skipped = ("id", "audio_filepath", "offset", "duration", "text", "speaker")
    custom = {k: v for k, v in nemo_row(place, row, mono=True).items() if k not in skipped}
    cut.custom = dict(custom)
    cut.supervisions = [
        SupervisionSegment(
            id=row["id"], recording_id=row["id"], start=0.0, duration=cut.duration, channel=0,
            text=row["text"], language=row["target_lang"], speaker=row.get("speaker"), custom=dict(custom),
        )
    ]  # fmt: skip
    return cut


def _hf_row(place: Place, row: Mapping[str, Any]) -> dict[str, Any]:
    data, suffix = audio_bytes(place, row)
    fields = {k: v for k, v in mono_fields(row).items() if k not in ("audio_filepath", "offset")}
    digest = hashlib.sha256(str(row["id"]).encode()).hexdigest()[:20]
    return {"audio": {"bytes": data, "path": f"{digest}{suffix}"}, **fields}


def _put(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    # A fresh TarInfo has time, owner and group zero: the same bytes every time.
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def _settle(path: Path) -> None:
    """Write a gzip file again without the time and name in its header."""
    content = gzip.decompress(path.read_bytes())
    with path.open("wb") as stream, gzip.GzipFile("", "wb", 6, stream, mtime=0) as packed:
        packed.write(content)
