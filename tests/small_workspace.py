"""A workspace with a little of everything: corpus, decisions, predictions, scan, run, checkpoint, release."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import soundfile

from workbench.api import Workspace
from workbench.corpus.quality.signal import scan
from workbench.finetuning.recipe import Recipe, Source
from workbench.privacy import suppression_list, tainted_checkpoints
from workbench.privacy.erasure_request import Target
from workbench.recognizer.predictions import RunFacts, Shards

STARTER = Path(__file__).parents[1] / "data" / "checkpoint" / "starter.nemo"
WORDS = ("water", "sun", "tree", "house", "sea", "hill", "bread", "milk")


def recordings(folder: Path, count: int = 8) -> Path:
    """``count`` clips of a second and their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    lines = []
    for number in range(count):
        sound = (0.1 * rng.standard_normal(16_000)).astype(np.float32)
        soundfile.write(folder / f"{number}.wav", sound, 16_000)
        row = {
            "id": f"clip/{number}", "audio_filepath": f"{number}.wav", "offset": 0.0, "duration": 1.0,
            "text": f"The {WORDS[number % 8]} is here.", "target_lang": ("en-US", "it-IT")[number % 2],
            "speaker": f"speaker {number % 3}", "split": "test" if number > 5 else "train",
        }  # fmt: skip
        lines.append(json.dumps(row) + "\n")
    (folder / "manifest.jsonl").write_text("".join(lines))
    return folder / "manifest.jsonl"


def small_workspace(path: Path) -> Workspace:
    """All of it below ``path``, its recordings too."""
    ws = Workspace(path)
    corpus = ws.import_corpus("calls", recordings(path / "recordings"))
    corpus.accept()
    corpus.where("id = 'clip/1'").reject("noise")
    corpus.where("id = 'clip/2'").edit("text", "Edited.")
    scan(corpus, processes=1)
    (corpus.folder / "predictions").mkdir(mode=0o700)
    for name, said in (("base", "The water was here."), ("tuned", "The sun was here.")):
        shards = Shards(
            corpus.folder / "predictions" / f"{name}.parquet", RunFacts(name * 10, None, "langID", False), "j"
        )
        shards.resume()
        for row in corpus.frame().to_dict("records"):
            read = {"id": row["id"], "hypothesis": said, "detected_lang": row["target_lang"]}
            shards.add({**read, "confidence": 0.5, "words": [], "compute_s": 0.1})
        shards.finish({id_: n for n, id_ in enumerate(corpus.ids())})
    corpus.export(ws.path / "exports" / "calls")
    ws.add_checkpoint("base", STARTER)
    ws.prepare_launch(small_recipe(ws))
    ws.release("base", base="base").promote(override="the first one")
    ws.set_terms("calls", license="CC0-1.0")
    suppression_list.place(ws, Target("speaker", "nobody"))
    tainted_checkpoints.add(ws, ["ab" * 32], "erasure-1")
    return ws


def small_recipe(ws: Workspace) -> Recipe:
    """On the workspace's own export, and the recordings that it names."""
    manifest = ws.path / "exports" / "calls" / "train.jsonl"
    named = json.loads(manifest.read_text().splitlines()[0])["audio_filepath"]
    source = Source(str(manifest), audio_root=str(Path(named).parent))
    return Recipe("small", str(ws.checkpoint_path("base")), (source,), steps=60)


def copied(ws: Workspace, path: Path) -> Path:
    """A copy, with large files linked."""

    def copy(source: str, target: str) -> str:
        if source.endswith((".nemo", ".wav")):
            os.link(source, target)
            return target
        return str(shutil.copy2(source, target))

    return Path(shutil.copytree(ws.path, path, symlinks=True, copy_function=copy))
