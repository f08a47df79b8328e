"""Published corpora as they come: Common Voice, LJSpeech, LibriSpeech, MLS, VoxPopuli, FLEURS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Problem
from workbench.ingest.found_audio import FoundAudio
from workbench.ingest.manifest import table_of
from workbench.ingest.reader import FILE, LINE, Reader, batched
from workbench.ingest.schema import split_name
from workbench.ingest.tables import columns_of, joined, records

if TYPE_CHECKING:
    import pyarrow as pa

Rows = Callable[[list[Problem], list[Problem]], Iterator[dict[str, Any]]]
_CLIPS = {"path", "sentence", "client_id"}
_SPLIT_FILES = ("train", "dev", "test")
_VOX = {"id", "raw_text", "normalized_text", "speaker_id"}


def _reader(kind: str, where: Path, base: Path, rows: Rows, files: Sequence[Path]) -> Reader:
    notes: list[Problem] = []

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        yield from batched(rows(problems, notes), table_of)

    return Reader(kind, str(where), base, read, files=list(files), notes=notes, text_expected=True)


def _columns(path: Path) -> set[str]:
    try:
        return set(columns_of(path))
    except ValueError:
        return set()


def common_voice(path: Path) -> Reader | None:
    """A Common Voice folder or one of its TSVs; None for anything else.

    Of a folder train, dev and test are read, which hold no clip twice; where they are missing, ``validated``,
    then ``other``. The tables passed over are named.
    """
    if path.is_file():
        return _common_voice_table(path) if _columns(path) >= _CLIPS else None
    found = {p.stem: p for p in sorted(path.glob("*.tsv")) if _columns(p) >= _CLIPS}
    if not found:
        return None
    chosen = [found[name] for name in _SPLIT_FILES if name in found]
    chosen = chosen or [found[name] for name in ("validated", "other") if name in found][:1]
    chosen = chosen or list(found.values())[:1]
    reader = joined([_common_voice_table(p) for p in chosen], "Common Voice", str(path), chosen[0].parent)
    reader.base = _clips(chosen[0].parent)
    passed = [p.name for p in found.values() if p not in chosen]
    if passed:
        what = f"read: {', '.join(p.name for p in chosen)}; passed over: {', '.join(passed)}"
        reader.notes.append(Problem("", what, "To import another table, give its path."))
    return reader


def _clips(folder: Path) -> Path:
    return folder / "clips" if (folder / "clips").is_dir() else folder


def _common_voice_table(path: Path) -> Reader:
    lengths = _clip_durations(path.parent)
    base = _clips(path.parent)
    places = FoundAudio(base)

    def rows(problems: list[Problem], notes: list[Problem]) -> Iterator[dict[str, Any]]:
        for row in records(path, problems, notes):
            if lengths:
                row["duration"] = lengths.get(str(row.get("path")))
            yield {**row, "path": places.find(row.get("path"))}

    reader = _reader("Common Voice", path, base, rows, [path])
    reader.mapping = {"audio_filepath": "path", "text": "sentence", "speaker": "client_id"}
    if "locale" in _columns(path):
        reader.mapping |= {"target_lang": "locale", "lang": "locale"}
    reader.defaults = {"license": "CC0-1.0", "domain": "read-sentences"}
    if path.stem in _SPLIT_FILES:
        reader.defaults["split"] = split_name(path.stem)
    return reader


def _clip_durations(folder: Path) -> dict[str, float]:
    """``clip_durations.tsv`` of a Common Voice release: clip → seconds."""
    path = folder / "clip_durations.tsv"
    if not path.exists():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        clip, _, milliseconds = line.partition("\t")
        if milliseconds.strip().isdigit():
            found[clip] = int(milliseconds) / 1000
    return found


def _lines(path: Path, problems: list[Problem]) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(path.read_bytes().split(b"\n"), 1):
        try:
            line = raw.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError:
            problems.append(Problem(path.name, "not UTF-8", "Save the file as UTF-8.", number))
            continue
        if line.strip():
            yield number, line


def lj_speech(path: Path) -> Reader | None:
    """``metadata.csv`` of ``id|text|normalized text`` without a header, beside ``wavs/``."""
    table = path if path.is_file() else path / "metadata.csv"
    home = table.parent
    folder = next((home / name for name in ("wavs", "wav", "audio") if (home / name).is_dir()), None)
    if folder is None or not table.is_file() or table.suffix not in (".csv", ".txt"):
        return None
    first = next(_lines(table, []), (1, ""))[1]
    name = first.split("|")[0]
    places = FoundAudio(folder)
    if "|" not in first or (places.find(name) == name and not (folder / name).exists()):
        return None

    def rows(problems: list[Problem], _: list[Problem]) -> Iterator[dict[str, Any]]:
        for number, line in _lines(table, problems):
            values = line.split("|")
            if len(values) not in (2, 3):
                what = f"{len(values)} columns where id|text|normalized text has 2 or 3"
                problems.append(Problem(table.name, what, "Is a bar missing?", number))
                continue
            found = places.find(values[0])
            row = {"id": values[0], "audio_filepath": found, "text": values[1] or None, LINE: number}
            yield {**row, "normalized_text": values[2]} if len(values) == 3 else row

    return _reader("LJSpeech", path, folder, rows, [table])


def libri_speech(path: Path) -> Reader | None:
    """LibriSpeech: ``*.trans.txt`` of ``id TEXT`` beside the recordings."""
    found = sorted(path.rglob("*.trans.txt")) if path.is_dir() else []
    if not found:
        return None
    return _by_id("LibriSpeech", path, found, " ", speaker="-")


def mls(path: Path) -> Reader | None:
    """Multilingual LibriSpeech: ``SPLIT/transcripts.txt`` of ids with texts, ``SPLIT/audio/``."""
    if not path.is_dir():
        return None
    found = [p for p in (path / "transcripts.txt", *sorted(path.glob("*/transcripts.txt"))) if p.is_file()]
    if not found:
        return None
    reader = _by_id("Multilingual LibriSpeech", path, found, "\t", speaker="_")
    if match := re.search(r"mls_([a-z]+)", path.name):
        reader.defaults["target_lang"] = match[1].title()
    return reader


def _by_id(kind: str, path: Path, found: Sequence[Path], separator: str, speaker: str) -> Reader:
    """Lists of ids with texts; recordings are named by the ids, and speakers by their first part."""
    places = FoundAudio(path)

    def rows(problems: list[Problem], _: list[Problem]) -> Iterator[dict[str, Any]]:
        for file in found:
            name = file.relative_to(path).as_posix()
            top = file.relative_to(path).parts[0] if file.parent != path else path.name
            split = split_name(re.split(r"[-_]", top)[0])
            for number, line in _lines(file, problems):
                key, _sign, text = line.partition(separator)
                yield {
                    "id": key, "audio_filepath": places.find(key), "text": text.strip() or None,
                    "speaker": key.split(speaker)[0], "split": split, LINE: number, FILE: name,
                }  # fmt: skip

    reader = _reader(kind, path, path, rows, found)
    reader.defaults = {"domain": "audiobooks"}
    return reader


def vox_populi(path: Path) -> Reader | None:
    """VoxPopuli: ``asr_train.tsv`` and its kin, recordings named by ``id``."""
    found = [path] if path.is_file() else sorted([*path.glob("asr_*.tsv"), *path.glob("*/asr_*.tsv")])
    found = [p for p in found if p.suffix == ".tsv" and _columns(p) >= _VOX]
    if not found:
        return None
    home = path if path.is_dir() else path.parent
    places = FoundAudio(home)

    def rows(problems: list[Problem], notes: list[Problem]) -> Iterator[dict[str, Any]]:
        for file in found:
            split = split_name(file.stem.split("_")[1])
            for row in records(file, problems, notes):
                text = row.get("raw_text") or row.get("normalized_text")
                made = {**row, "audio_filepath": places.find(row.get("id")), "text": text, FILE: file.name}
                if made.get("split") is None:
                    made["split"] = split
                yield made

    reader = _reader("VoxPopuli", path, home, rows, found)
    reader.defaults = {"license": "CC0-1.0", "domain": "parliament"}
    if len(folder := found[0].parent.name) == 2:
        reader.defaults["target_lang"] = folder
    return reader


def fleurs(path: Path) -> Reader | None:
    """FLEURS: ``train.tsv`` of seven columns without a header, recordings in ``audio/train/``."""
    found = [path] if path.is_file() else [p for n in _SPLIT_FILES if (p := path / f"{n}.tsv").is_file()]
    found = [p for p in found if p.suffix == ".tsv" and _is_fleurs(p)]
    if not found:
        return None
    home = path if path.is_dir() else path.parent
    places = FoundAudio(home)

    def rows(problems: list[Problem], _: list[Problem]) -> Iterator[dict[str, Any]]:
        for file in found:
            for number, line in _lines(file, problems):
                values = line.split("\t")
                if len(values) not in (6, 7) or not values[-2].isdigit():
                    problems.append(Problem(file.name, "not a row of FLEURS", "Seven columns.", number))
                    continue
                yield {
                    "audio_filepath": places.find(f"audio/{file.stem}/{values[1]}"),
                    "text": values[2], "normalized_text": values[3], "duration": int(values[-2]) / 16_000,
                    "gender": values[-1].lower(), "sentence_id": values[0], "split": split_name(file.stem),
                    LINE: number, FILE: file.name,
                }  # fmt: skip

    reader = _reader("FLEURS", path, home, rows, found)
    reader.defaults = {"license": "CC-BY-4.0", "domain": "read-sentences"}
    if match := re.match(r"([a-z]{2,3})_([a-z]{2,4})(_[a-z]{2})?$", home.name):
        region = (match[3] or match[2]).strip("_")
        reader.defaults["target_lang"] = f"{match[1]}-{region.upper()}"
    return reader


def _is_fleurs(path: Path) -> bool:
    values = next(_lines(path, []), (1, ""))[1].split("\t")
    return len(values) in (6, 7) and values[1].endswith(".wav") and values[-2].isdigit()
