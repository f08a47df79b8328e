"""Exports that carry their audio: Lhotse Shar, NeMo tarred, Hugging Face; the same bytes every time.

Whole recordings in a codec that NeMo's loaders read go in as they are; parts of recordings, several channels
and headerless codecs are decoded and written as 16-bit FLAC. What was re-encoded is counted in the data card.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.corpus import audio
from workbench.corpus.export import Job, plain_fields, write_lines
from workbench.corpus.formats import nemo_row
from workbench.errors import WorkbenchError

SHARD_SIZE = 200
"""Utterances per shard, as NVIDIA advises for resumable training."""
_AS_IS = (".wav", ".flac", ".ogg", ".opus", ".mp3")


def tarred(job: Job) -> dict[str, str]:
    """NeMo tarred: per split ``audio_N.tar`` with ``manifest_N.json``, rows in a fixed shuffled order.

    Load with ``manifest_filepath=SPLIT/manifest__OP_0..K_CL_.json`` and
    ``tarred_audio_filepaths=SPLIT/audio__OP_0..K_CL_.tar``; the files of the result name the first.
    """
    files, done = {}, 0
    for split, rows in job.by_split().items():
        folder = job.draft / split
        folder.mkdir()
        shards = list(_shards(rows, job.settings.get("shard_size", SHARD_SIZE)))
        for number, shard in enumerate(shards):
            lines = []
            with tarfile.open(folder / f"audio_{number}.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
                for at, row in enumerate(shard):
                    data, suffix = audio_bytes(job, row)
                    name = f"{number:05d}_{at:05d}{suffix}"
                    _put(archive, name, data)
                    line = {**nemo_row(job, row), "audio_filepath": name, "shard_id": number}
                    lines.append({**line, "offset": 0.0})
                    done += 1
            write_lines(folder / f"manifest_{number}.json", lines)
            job.tick(done)
        files[split] = f"{split}/manifest__OP_0..{len(shards) - 1}_CL_.json"
    return files


def shar(job: Job) -> dict[str, str]:
    """Lhotse Shar: per split a folder for ``CutSet.from_shar`` or NeMo's ``shar_path``."""
    from lhotse.shar import SharWriter

    files, done = {}, 0
    for split, rows in job.by_split().items():
        folder = job.draft / split
        folder.mkdir()
        size = job.settings.get("shard_size", SHARD_SIZE)
        with SharWriter(str(folder), fields={"recording": "flac"}, shard_size=size) as writer:
            for row in _shuffled(rows):
                writer.write(_cut(job, row))
                done += 1
                if done % 100 == 0:
                    job.tick(done)
        for path in sorted(folder.glob("*.jsonl.gz")):
            _settle(path)
        files[split] = split
    job.tick(done)
    return files


def hugging_face(job: Job) -> dict[str, str]:
    """A saved ``DatasetDict`` with the audio inside; decoding is left to whoever loads it."""
    import datasets

    parts = {}
    for split, rows in job.by_split().items():
        plain = [_hf_row(job, row) for row in rows]
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
    job.tick(len(job.rows))
    return {"all": "dataset"}


def audio_bytes(job: Job, row: Mapping[str, Any]) -> tuple[bytes, str]:
    """A row's audio as a file of its own: bytes and suffix."""
    path = job.audio_path(row)
    suffix = path.suffix.lower()
    if suffix in _AS_IS and not row["offset"] and row.get("channel") is None:
        facts = audio.probe(path)
        if facts["channels"] == 1 and abs(facts["duration_s"] - row["duration"]) < 0.05:
            return path.read_bytes(), suffix
    samples, rate = _mono(path, row)
    return _flac(samples, rate), ".flac"


def _mono(path: Path, row: Mapping[str, Any]) -> tuple[Any, int]:
    rate = int(audio.probe(path)["sample_rate"])
    channel = row.get("channel") if isinstance(row.get("channel"), int) else None
    samples = audio.read_mono(path, row["offset"] or 0.0, row["duration"], None, channel)
    if not len(samples):
        raise WorkbenchError("the recording holds no samples", where=path.name, mend="Reject the row.")
    return samples, rate


def _flac(samples: Any, rate: int) -> bytes:
    import soundfile

    target = io.BytesIO()
    soundfile.write(target, samples, rate, format="FLAC", subtype="PCM_16")
    return target.getvalue()


def _cut(job: Job, row: Mapping[str, Any]) -> Any:
    from lhotse import AudioSource, Recording, SupervisionSegment

    samples, rate = _mono(job.audio_path(row), row)
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
    custom = {k: v for k, v in nemo_row(job, row).items() if k not in skipped}
    cut.custom = dict(custom)
    cut.supervisions = [
        SupervisionSegment(
            id=row["id"], recording_id=row["id"], start=0.0, duration=cut.duration, channel=0,
            text=row["text"], language=row["target_lang"], speaker=row.get("speaker"), custom=dict(custom),
        )
    ]  # fmt: skip
    return cut


def _hf_row(job: Job, row: Mapping[str, Any]) -> dict[str, Any]:
    data, suffix = audio_bytes(job, row)
    fields = {k: v for k, v in plain_fields(row).items() if k not in ("audio_filepath", "offset")}
    digest = hashlib.sha256(str(row["id"]).encode()).hexdigest()[:20]
    return {"audio": {"bytes": data, "path": f"{digest}{suffix}"}, **fields}


def _shuffled(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A fixed order that mixes locales: loaders read shards in sequence."""
    return sorted(rows, key=lambda row: hashlib.sha256(str(row["id"]).encode()).digest())


def _shards(rows: Sequence[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    mixed = _shuffled(rows)
    for start in range(0, len(mixed), size):
        yield mixed[start : start + size]


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
