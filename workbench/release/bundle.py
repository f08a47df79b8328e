"""A release bundle: checkpoint, card, gate report, digests, clips with their expected text, and a smoke test.

bundle/
  bundle.json          schema, names, hashes of every file, manifest digests, head of the ledger
  NAME.nemo            (and NAME.adapter.pt)
  model_card.md/.html  data_card.md   gate.json
  clips/00.wav …       expected.jsonl
  smoke_test.py        runs in a fresh process on any machine
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import soundfile

from workbench.cards import Card
from workbench.drafts import drafting
from workbench.errors import WorkbenchError
from workbench.files import sha256_file, sync
from workbench.glance import counted
from workbench.ingest.audio import Roots, read_row, roots_of
from workbench.machine import child_environment
from workbench.names import check_name
from workbench.release import smoke
from workbench.release.gates import GateReport
from workbench.signatures import public

SCHEMA_VERSION = 1


@public
@dataclass(frozen=True, slots=True)
class Bundle:
    """A written bundle; ``digest`` is the SHA-256 of ``bundle.json``, which covers every other file."""

    path: Path
    digest: str
    clips: int

    def __repr__(self) -> str:
        clips = counted(self.clips, "clip")
        return (
            f"Bundle {self.path.name}: {clips} for its smoke test, digest {self.digest[:12]}; "
            "smoke_test() tries it in a process of its own."
        )

    def smoke_test(self, timeout_s: float = 1800) -> SmokeTest:
        """Run the bundle's own script in a fresh process."""
        return run_smoke_test(self.path, self.digest, timeout_s)


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """Outcome of a smoke test; ``exit_code`` as ``smoke_test.py`` documents it."""

    exit_code: int
    output: str

    @property
    def passed(self) -> bool:
        return self.exit_code == 0

    def __str__(self) -> str:
        return self.output.strip()

    __repr__ = __str__


def build(
    path: Path,
    name: str,
    checkpoint: Path,
    *,
    sha256: str,
    gate: GateReport,
    model_card: Card,
    data_card: Card | None = None,
    rows: Iterable[Mapping[str, Any]],
    audio_root: Roots,
    lookahead_ms: int,
    manifests: Mapping[str, str] | None = None,
    ledger_head: str | None = None,
    adapter: Path | None = None,
) -> Bundle:
    """Write a bundle: whole or not at all.

    Args:
        sha256: hash the checkpoint must have: the one that was gated.
        rows: the fixed set of clips; their audio goes into the bundle, so choose speakers who agreed.
        lookahead_ms: look-ahead the expected texts are streamed at.
        manifests: digests of the manifests trained on, by a name.
        adapter: the trained adapter alone, beside the checkpoint that holds it.

    Raises:
        WorkbenchError: the folder exists, the gate report is about another file, or no clip was given.
    """
    path, check = Path(path), check_name(name)
    if path.exists():
        raise WorkbenchError("something lies there already", where=str(path), hint="Choose another folder.")
    if gate.candidate_sha256 != sha256:
        raise WorkbenchError(
            "the gate report is about another checkpoint", where=check, hint="Gate this one."
        )
    chosen = list(rows)
    if not chosen:
        raise WorkbenchError("a smoke test needs clips", where=check, hint="Give a few utterance rows.")
    with drafting(path.absolute()) as drafted:
        draft = drafted.path
        target = draft / f"{name}.nemo"
        shutil.copyfile(checkpoint, target)
        if sha256_file(target) != sha256:
            raise WorkbenchError(
                "the checkpoint file changed since its gate", where=check, hint="Gate it again."
            )
        if adapter is not None:
            shutil.copyfile(adapter, draft / f"{name}.adapter{adapter.suffix}")
        (draft / "model_card.md").write_text(model_card.markdown(), encoding="utf-8")
        (draft / "model_card.html").write_text(model_card.html(), encoding="utf-8")
        if data_card is not None:
            (draft / "data_card.md").write_text(data_card.markdown(), encoding="utf-8")
        (draft / "gate.json").write_text(gate.to_json(), encoding="utf-8")
        shutil.copyfile(Path(smoke.__file__), draft / "smoke_test.py")
        _write_clips(draft, target, chosen, roots_of(audio_root), lookahead_ms)
        digest = _seal(draft, target.name, manifests or {}, ledger_head)
        drafted.put()
        sync(path.parent)
    return Bundle(path, digest, len(chosen))


def verify(path: Path, digest: str | None = None) -> list[str]:
    """Faults of a bundle's files; without a ``digest`` kept elsewhere, one rewritten whole looks whole."""
    return smoke.damaged(Path(path), digest)


def run_smoke_test(path: Path, digest: str | None = None, timeout_s: float = 1800) -> SmokeTest:
    """Run a bundle's smoke test in a fresh process."""
    command = [sys.executable, str(Path(path) / "smoke_test.py"), str(path)]
    command += ["--digest", digest] if digest else []
    # The script runs from the bundle, so the package must be found as it is found here.
    root = str(Path(__file__).parents[2])
    environment = child_environment(PYTHONPATH=root, PYTHONDONTWRITEBYTECODE="1")
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, env=environment, check=False
    )
    failed = done.returncode not in (0, 1, 2, 3) or not done.stdout
    return SmokeTest(done.returncode, done.stdout + (done.stderr[-2000:] if failed else ""))


def _write_clips(
    draft: Path,
    checkpoint: Path,
    rows: list[Mapping[str, Any]],
    audio_roots: tuple[str, ...],
    lookahead_ms: int,
) -> None:
    """Clips as 16-bit WAV, so that no decoder stands between machines, and what is heard in them."""
    (draft / "clips").mkdir()
    expected = []
    for number, row in enumerate(rows):
        pcm, rate = read_row(row, audio_roots)
        name = f"clips/{number:02d}.wav"
        soundfile.write(draft / name, pcm, rate, subtype="PCM_16")
        locale = row.get("target_lang") or "auto"
        expected.append({"audio": name, "locale": locale, "lookahead_ms": lookahead_ms})
    _write_lines(draft / "expected.jsonl", expected)
    (draft / "bundle.json").write_text(json.dumps({"checkpoint": checkpoint.name}))
    heard = smoke.read_all(draft)
    kept = ("audio", "locale", "lookahead_ms")
    _write_lines(
        draft / "expected.jsonl",
        [{**{k: c[k] for k in kept}, "text": c["got"], "detected_lang": c["got_lang"]} for c in heard],
    )


def _write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")


def _seal(draft: Path, checkpoint: str, manifests: Mapping[str, str], ledger_head: str | None) -> str:
    files = {
        str(p.relative_to(draft)): sha256_file(p)
        for p in sorted(draft.rglob("*"))
        if p.is_file() and p.name != "bundle.json"
    }
    facts = {
        "schema_version": SCHEMA_VERSION,
        "checkpoint": checkpoint,
        "ledger_head": ledger_head,
        "manifests": dict(sorted(manifests.items())),
        "versions": _versions(),
        "files": files,
    }
    text = json.dumps(facts, indent=1, sort_keys=True)
    (draft / "bundle.json").write_text(text, encoding="utf-8")
    for path in draft.rglob("*"):
        sync(path)
    return hashlib.sha256(text.encode()).hexdigest()


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in ("nemotron-workbench", "nemo_toolkit", "torch"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed as a package"
    return found
