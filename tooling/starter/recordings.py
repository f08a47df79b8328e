"""Build the starter corpus: unpack the Debian packages, re-encode to Ogg Opus, write the manifest.

The same packages and the same PyAV (it carries the encoder) give byte-identical manifests. Nothing is
cleaned: the flaws that the recordings have are for the curation notebook to find.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import logging
import subprocess
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tooling.starter.voices import PACKAGES, UNHEARD_VOICES, VOICES, Clip, Voice, clips
from workbench.errors import WorkbenchError
from workbench.starter_files import CORPUS, MANIFEST

log = logging.getLogger("tooling.starter")

SAMPLE_RATE = 16000
BIT_RATE = 24000
MIN_DURATION_S = 0.25
SPLIT_SALT = "starter-143"  # the first that gives every voice its share of test and validation
TEST_SHARE, VALIDATION_SHARE = 0.23, 0.12
SCARCE_LOCALES = ("el-GR", "bg-BG")
SCARCE_SHARE = 0.10
UNHEARD_LOCALES = tuple(voice.locale for voice in UNHEARD_VOICES)


def fetch_packages(folder: Path, packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Download (once) and unpack the packages below ``folder``; returns package → version.

    Raises:
        WorkbenchError: ``apt-get`` or ``dpkg`` is missing, or a package cannot be fetched.
    """
    root = folder / "root"
    root.mkdir(parents=True, exist_ok=True)
    versions = {}
    for package in packages:
        found = sorted(folder.glob(f"{package}_*.deb"))
        try:
            if not found:
                subprocess.run(["apt-get", "download", package], cwd=folder, check=True, capture_output=True)
                found = sorted(folder.glob(f"{package}_*.deb"))
            subprocess.run(["dpkg", "-x", str(found[-1]), str(root)], check=True)
            show = ["dpkg-deb", "-f", str(found[-1]), "Version"]
            versions[package] = subprocess.run(
                show, check=True, capture_output=True, text=True
            ).stdout.strip()
        except (OSError, subprocess.CalledProcessError, IndexError) as error:
            raise WorkbenchError(
                f"cannot fetch the Debian package {package} ({error})",
                where=str(folder),
                hint="Run on Debian with network access, after apt-get update, or put the .deb file there.",
            ) from error
    return versions


def read_source(path: Path) -> npt.NDArray[np.float32]:
    """Decode a package's clip to 16 kHz mono float32, shape (samples,)."""
    if path.suffix == ".g722":
        import av

        with av.open(str(path), format="g722") as container:
            frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        return (np.concatenate(frames).astype(np.float32) / 32768.0) if frames else np.zeros(0, np.float32)
    import soundfile
    import soxr

    pcm, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono: npt.NDArray[np.float32] = soxr.resample(pcm.mean(axis=1), rate, SAMPLE_RATE).astype(np.float32)
    return mono


def encode_opus(pcm: npt.NDArray[np.float32]) -> bytes:
    """Mono 16 kHz PCM to Ogg Opus at 24 kbit/s; the same samples give the same bytes."""
    import av

    # Short pages: libsndfile cannot read the length of an Ogg Opus file that is one page.
    options = {"fflags": "+bitexact", "serial_offset": "1", "page_duration": "100000"}
    buffer = io.BytesIO()
    samples = np.clip(pcm * 32768.0, -32768, 32767).astype(np.int16)
    with av.open(buffer, "w", format="ogg", options=options) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = BIT_RATE
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return buffer.getvalue()


def sentence_key(text: str) -> str:
    """What makes two transcripts the same sentence for splitting: letters and digits, case folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def _draw(purpose: str, key: str) -> float:
    """A uniform number in [0, 1) that depends on nothing but the sentence."""
    digest = hashlib.sha256(f"{SPLIT_SALT}/{purpose}/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_of(text: str) -> str:
    """The fixed split of a sentence: the same in every locale and voice."""
    draw = _draw("split", sentence_key(text))
    return "test" if draw < TEST_SHARE else "validation" if draw < TEST_SHARE + VALIDATION_SHARE else "train"


def heard_by_starter(locale: str, text: str, split: str) -> bool:
    """Whether the starter checkpoint trains on the row: a tenth of the train sentences of scarce locales,
    nothing of the voices in ``data/unheard``, kept for adapting to what was never heard."""
    if split != "train" or locale in UNHEARD_LOCALES:
        return False
    return locale not in SCARCE_LOCALES or _draw("scarce", sentence_key(text)) < SCARCE_SHARE


@dataclass(frozen=True, slots=True)
class _Job:
    clip: Clip
    source_path: str
    version: str
    target: Path
    root: Path


def _convert(job: _Job) -> dict[str, Any] | None:
    """Encode one clip and return its manifest row, or None if it is too short to be speech."""
    voice = job.clip.voice
    pcm = read_source(job.clip.path)
    if len(pcm) < MIN_DURATION_S * SAMPLE_RATE:
        return None
    job.target.parent.mkdir(parents=True, exist_ok=True)
    job.target.write_bytes(encode_opus(pcm))
    split = split_of(job.clip.text)
    return {
        "id": f"{voice.locale}.{voice.name}.{job.clip.key.replace('/', '.')}",
        "audio_filepath": str(job.target.relative_to(job.root)),
        "offset": 0.0,
        "duration": round(len(pcm) / SAMPLE_RATE, 4),
        "text": job.clip.text,
        "target_lang": voice.locale,
        "lang": voice.locale,
        "accent": voice.accent,
        "speaker": voice.speaker,
        "domain": voice.domain,
        "source": voice.name,
        "split": split,
        "license": voice.license,
        "consent": "published by the speaker's project",
        "recorded_at": None,
        "heard_by_starter": heard_by_starter(voice.locale, job.clip.text, split),
        "source_package": voice.package,
        "source_version": job.version,
        "source_path": job.source_path,
        "source_sha256": hashlib.sha256(job.clip.path.read_bytes()).hexdigest(),
    }


def sounds(rows: list[dict[str, Any]], corpus: Path = CORPUS) -> list[bytes]:
    """A digest of each row's recording: what two files of the packages that sound the same have in common."""
    return [hashlib.sha256((corpus / row["audio_filepath"]).read_bytes()).digest() for row in rows]


def apart(rows: list[dict[str, Any]], corpus: Path = CORPUS) -> list[dict[str, Any]]:
    """The test rows whose recording does not stand in the train split too, under another sentence (a flaw of
    the packages): the same audio blocks, as in every split the workbench makes."""
    trained = set(sounds([row for row in rows if row["split"] == "train"], corpus))
    test = [row for row in rows if row["split"] == "test"]
    return [row for row, sound in zip(test, sounds(test, corpus), strict=True) if sound not in trained]


def _unhear(rows: list[dict[str, Any]], corpus: Path) -> None:
    """Where one recording stands under a train sentence and a held-out one too, the starter does not hear it,
    be it the same file in its package or another one with the same sound.

    The row stays in the train split: a flaw of the packages, for curation to find.
    """
    pairs = list(zip(rows, sounds(rows, corpus), strict=True))
    files = {row["source_sha256"] for row, _ in pairs if row["split"] != "train"}
    heard_elsewhere = {sound for row, sound in pairs if row["split"] != "train"}
    for row, sound in pairs:
        row["heard_by_starter"] &= row["source_sha256"] not in files and sound not in heard_elsewhere


def build(
    packages: Path,
    corpus: Path = CORPUS,
    progress: Callable[[int, int], None] | None = None,
    voices: Sequence[Voice] = VOICES,
) -> Path:
    """Write ``corpus/audio`` and ``corpus/manifest.jsonl`` of ``voices`` from the packages in ``packages``.

    Returns the manifest's path. Rows are ordered by id; clips under 0.25 s are left out, the log counts them.
    """
    versions = fetch_packages(packages)
    root = packages / "root"
    jobs = []
    for voice in voices:
        for clip in clips(voice, root):
            stem = clip.key.replace("/", ".")
            target = corpus / "audio" / voice.locale / voice.name / f"{stem}.ogg"
            source_path = str(clip.path.relative_to(root))
            jobs.append(_Job(clip, source_path, versions[voice.package], target, corpus))
    rows = []
    with ProcessPoolExecutor() as pool:
        for done, row in enumerate(pool.map(_convert, jobs, chunksize=32), start=1):
            if row is not None:
                rows.append(row)
            if progress:
                progress(done, len(jobs))
    log.info("%d clips, %d shorter than %.2f s left out", len(rows), len(jobs) - len(rows), MIN_DURATION_S)
    rows.sort(key=lambda row: row["id"])
    for before, row in itertools.pairwise(rows):
        if row["id"] == before["id"]:  # one clip with two transcripts in its package: a flaw that stays
            row["id"] += "~2"
    _unhear(rows, corpus)
    manifest = corpus / MANIFEST.name
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest
