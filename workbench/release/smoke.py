"""Smoke test of a release bundle: are the files whole, and does this machine read the clips the same?

    python smoke_test.py [BUNDLE_FOLDER] [--digest SHA256]

Digests are checked with the standard library alone, before anything in the bundle is opened; then every clip
is streamed and its text compared with the one expected. Needs ``pip install nemotron-workbench``.
Exit code: 0 the same on every clip, 1 some text differs, 2 a file is damaged, 3 the package is missing.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any


def damaged(folder: Path, digest: str | None = None) -> list[str]:
    """Faults of a bundle's files against ``bundle.json``; ``digest``: of that file."""
    try:
        text = (folder / "bundle.json").read_bytes()
        files: dict[str, str] = json.loads(text)["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return ["bundle.json is missing or damaged"]
    faults = []
    if digest is not None and hashlib.sha256(text).hexdigest() != digest:
        faults.append("bundle.json is not the one that was released")
    for name, expected in sorted(files.items()):
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            faults.append(f"{name} leaves the bundle")
        elif not path.is_file():
            faults.append(f"{name} is missing")
        elif _sha256(path) != expected:
            faults.append(f"{name} was changed")
    present = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    faults += [f"{name} does not belong here" for name in sorted(present - set(files) - {"bundle.json"})]
    return faults


def read_all(folder: Path) -> list[dict[str, Any]]:
    """Stream every clip of the bundle: its expected record with ``got`` and ``got_lang``."""
    import soundfile

    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.streaming import play

    facts = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    checkpoint = Checkpoint.open(folder / facts["checkpoint"])
    results = []
    for line in (folder / "expected.jsonl").read_text(encoding="utf-8").splitlines():
        clip = json.loads(line)
        pcm, rate = soundfile.read(folder / clip["audio"], dtype="float32")
        last = play(checkpoint, pcm, rate, clip["locale"], clip["lookahead_ms"])[-1]
        results.append({**clip, "got": last.final_transcript, "got_lang": last.detected_lang})
    return results


def main(arguments: list[str]) -> int:
    """Run the test; what is written to standard output holds no transcript."""
    digest = None
    if "--digest" in arguments:
        at = arguments.index("--digest")
        digest = arguments[at + 1]
        arguments = arguments[:at] + arguments[at + 2 :]
    folder = Path(arguments[0] if arguments else Path(__file__).parent)
    if faults := damaged(folder, digest):
        _say(*(f"damaged: {fault}" for fault in faults))
        return 2
    try:
        results = read_all(folder)
    except ModuleNotFoundError as error:
        _say(f"cannot read: {error.name} is missing; pip install nemotron-workbench")
        return 3
    differing = 0
    for clip in results:
        same = (clip["got"], clip["got_lang"]) == (clip["text"], clip["detected_lang"])
        differing += not same
        _say(f"{'same   ' if same else 'DIFFERS'} {clip['audio']}")
    _say(f"{len(results) - differing} of {len(results)} clips read the same")
    return 1 if differing else 0


def _say(*lines: str) -> None:
    sys.stdout.write("".join(line + "\n" for line in lines))
    sys.stdout.flush()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
