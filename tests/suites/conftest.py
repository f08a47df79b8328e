"""Workspaces: tiny checkpoints of the real class on one corpus; two corpora for planted predictions."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import soundfile
from planted import tone

from workbench.api import Workspace

_PLACE = Path(__file__).parents[1] / "finetuning" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("finetuning_conftest", _PLACE)
assert _SPEC is not None
assert _SPEC.loader is not None
_TINY = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_TINY)
corpus, base = _TINY.corpus, _TINY.base


@pytest.fixture
def tiny(tmp_path: Path, corpus: Path, base: Path) -> Workspace:
    """A workspace whose corpus ``calls`` the tiny checkpoints ``one`` and ``two`` really read."""
    ws = Workspace(tmp_path / "ws")
    place = tmp_path / "recordings"
    shutil.copytree(corpus.parent, place)
    ws.import_corpus("calls", place / "manifest.jsonl")
    shutil.copy(base, ws.checkpoint_path("one"))
    _repack(base, ws.checkpoint_path("two"))
    return ws


def _repack(source: Path, target: Path) -> None:
    """The same network in other bytes: another checkpoint that reads alike."""
    import tarfile

    with tarfile.open(source) as old, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as new:
        for member in reversed(old.getmembers()):
            new.addfile(member, old.extractfile(member))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of two corpora: Danish calls of two accents, and guardrails whose ids partly repeat them."""
    folder = tmp_path_factory.mktemp("drawn")
    words = [
        "alfa",
        "bravo",
        "delta",
        "echo",
        "golf",
        "hotel",
        "india",
        "kilo",
        "lima",
        "mike",
        "november",
        "oscar",
        "papa",
        "romeo",
        "tango",
    ]
    for name, tags, count in (("calls", ("da-DK",), 60), ("guardrails", ("en-US", "it-IT"), 60)):
        lines = []
        for tag in tags:
            for i in range(count):
                file = f"{name}-{tag}-{i}.wav"
                soundfile.write(folder / file, tone(f"{name}{tag}{i}"), 16000)
                said = [
                    words[(i * 7 + k * 3 + len(tag) + (tag == "it-IT") * 5) % len(words)] for k in range(10)
                ]
                id = f"{tags.index(tag)}-{i}"  # the same ids in both corpora
                row = {"id": id, "audio_filepath": file, "offset": 0.0, "duration": 0.1, "target_lang": tag}
                row |= {"text": f"{' '.join(said)} {i} {tag}", "speaker": f"{tag}-{i % 12}", "split": "test"}
                row |= {"accent": ("jysk" if i % 3 == 0 else "rigsdansk") if tag == "da-DK" else None}
                lines.append(json.dumps(row) + "\n")
        (folder / f"{name}.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def ws(tmp_path: Path, drawn: Path) -> Workspace:
    """Danish calls and guardrails in two corpora; two checkpoints whose predictions tests plant."""
    made = Workspace(tmp_path / "ws")
    place = tmp_path / "recordings"
    shutil.copytree(drawn, place)
    for name in ("calls", "guardrails"):
        made.import_corpus(name, place / f"{name}.jsonl")
    return made
