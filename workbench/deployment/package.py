"""A folder that a runtime loads, with what it is made of: card, digests, license and clips to try it with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soundfile

from workbench.errors import WorkbenchError
from workbench.files import sha256_file
from workbench.plain_data import parse_json, read_bytes

if TYPE_CHECKING:
    from workbench.recognizer.checkpoint import Checkpoint

SCHEMA_VERSION = 1
MANIFEST, CARD = "package.json", "README.md"
LICENSE_NOTE = (
    "The weights keep the license of the checkpoint that they come from; this package grants no other."
)


@dataclass(frozen=True, slots=True)
class Package:
    """A written package.

    Attributes:
        path: its folder. ``target``: the runtime that it is for. ``precision``: of its weights.
        checkpoint_sha256: of the ``.nemo`` that it was made of.
        settings: what a caller must know, such as ``lookahead_ms`` and ``left_padding_ms``.
        digests: SHA-256 of every file but ``package.json``.
    """

    path: Path
    target: str
    precision: str
    checkpoint_sha256: str
    settings: dict[str, Any]
    digests: dict[str, str]

    @classmethod
    def open(cls, path: str | Path) -> Package:
        """Read a package and check its files against their digests.

        Raises:
            WorkbenchError: no package, of a newer schema, or a file is missing or was changed.
        """
        folder = Path(path)
        held = parse_json(read_bytes(folder / MANIFEST, 1 << 20), where=str(folder / MANIFEST))
        version = held.get("schema_version") if isinstance(held, dict) else None
        if type(version) is int and version > SCHEMA_VERSION:
            raise WorkbenchError(
                "a package of a newer schema", where=str(folder), hint="Update the workbench."
            )
        try:
            found = cls(
                folder, str(held["target"]), str(held["precision"]), str(held["checkpoint_sha256"]),
                dict(held["settings"]), dict(held["digests"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise WorkbenchError(f"not a package: {error}", where=str(folder)) from error
        for name, digest in found.digests.items():
            file = folder / name
            if not file.is_file() or sha256_file(file) != digest:
                raise WorkbenchError(
                    f"{name} is missing or was changed", where=str(folder), hint="Export again."
                )
        return found


def empty_folder(folder: Path) -> Path:
    """The folder, made where it is not there.

    Raises:
        WorkbenchError: it holds something, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise WorkbenchError("the folder holds something", where=str(folder), hint="Name a new one.")
    except OSError as error:
        raise WorkbenchError(f"cannot be written: {error.strerror}", where=str(folder)) from error
    return folder


def describe(
    folder: Path,
    target: str,
    checkpoint: Checkpoint,
    *,
    precision: str,
    settings: Mapping[str, Any],
    guide: str,
    clips: Sequence[Path] = (),
) -> Package:
    """Add clips, card and ``package.json`` to a folder of graphs.

    Args:
        target: the runtime. ``settings``: what a caller must know.
        guide: how it is used, in Markdown.
        clips: recordings, which are written to ``clips/`` as WAV.
    """
    for number, clip in enumerate(clips):
        (folder / "clips").mkdir(exist_ok=True)
        pcm, rate = soundfile.read(clip, dtype="int16")
        soundfile.write(folder / "clips" / f"{number:02d}.wav", pcm, rate, subtype="PCM_16")
    info = checkpoint.info
    facts = {
        "made from": f"{checkpoint.path.name}, SHA-256 {checkpoint.sha256}",
        "class": info.class_name,
        "weights": f"{info.parameters:,}, {precision}",
        "locales": ", ".join(info.locales) or "one language",
        **{key.replace("_", " "): value for key, value in settings.items()},
    }
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    head = f"# {checkpoint.path.stem} for {target}\n\n| | |\n| --- | --- |\n{rows}\n"
    text = f"{head}{guide}\n## License\n\n{LICENSE_NOTE}\n"
    (folder / CARD).write_text(text, "utf-8")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    found = Package(
        folder, target, precision, checkpoint.sha256, dict(settings),
        {str(path.relative_to(folder)): sha256_file(path) for path in files},
    )  # fmt: skip
    held = {
        "schema_version": SCHEMA_VERSION,
        "target": target,
        "precision": precision,
        "checkpoint_sha256": found.checkpoint_sha256,
        "settings": found.settings,
        "digests": found.digests,
    }
    (folder / MANIFEST).write_text(json.dumps(held, indent=1, sort_keys=True) + "\n", "utf-8")
    return found
