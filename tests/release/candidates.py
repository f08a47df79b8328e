"""Two candidates for a release: the starter under two names, and real clips read with planted errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.files import sha256_file
from workbench.suites.run import SuiteRun
from workbench.suites.store import Suite
from workbench.workspace.folder import WorkspaceFolder

STARTER = Path(__file__).parents[2] / "data" / "starter" / "manifest.jsonl"
POLICY = "name: pilot\nchecks:\n- {kind: improves, locales: [it-IT]}\n- {kind: not_worse, margin: 0.02}\n"


def with_candidates(ws: WorkspaceFolder, checkpoints: dict[str, Path]) -> WorkspaceFolder:
    """Two checkpoints and their predictions on real clips; the tuned one errs less in Italian."""
    for name, path in checkpoints.items():
        shutil.copy(path, ws.checkpoint_path(name))
    rows = [json.loads(line) for line in STARTER.read_text(encoding="utf-8").splitlines()]
    chosen = [
        r for tag in ("it-IT", "fr-FR") for r in rows if r["target_lang"] == tag and r["split"] == "test"
    ][:400]
    folder = ws.path / "recordings"
    for r in chosen:
        target = folder / r["audio_filepath"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(STARTER.parent / r["audio_filepath"], target)
    (folder / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in chosen))
    corpus = import_source(folder / "manifest.jsonl", ws.corpus_folder("calls"), name="calls")
    predict(ws, corpus, "base", {"it-IT": 3, "fr-FR": 5})
    predict(ws, corpus, "tuned", {"it-IT": 9, "fr-FR": 5})
    return ws


def on_suite(ws: WorkspaceFolder) -> SuiteRun:
    """The same predictions as a run of a suite over the corpus."""
    suite = Suite(ws, "pilot")
    version = suite.create("calls")
    suite.freeze(version)
    names = ws.checkpoint_names()
    run = SuiteRun(suite, version, {name: sha256_file(ws.checkpoint_path(name)) for name in names})
    for name, digest in run.checkpoints.items():
        table = pd.read_parquet(ws.corpus_folder("calls") / "predictions" / f"{name}.parquet")
        path = run.path("calls", digest, version.points[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        table.assign(runtime="torch", precision="fp32").to_parquet(path)
    return run


def predict(ws: WorkspaceFolder, corpus: Corpus, name: str, every: dict[str, int]) -> None:
    """Predictions in which every n-th word of a locale is wrong."""
    rows = corpus.frame()
    texts = [
        " ".join("zzz" if i % every[tag] == 0 else w for i, w in enumerate(text.split()))
        for text, tag in zip(rows["text"], rows["target_lang"], strict=True)
    ]
    facts = {
        "checkpoint_sha256": sha256_file(ws.checkpoint_path(name)),
        "lookahead_ms": None,
        "prompt_mode": "langID",
    }
    table = pd.DataFrame({"id": rows["id"], "hypothesis": texts, "detected_lang": rows["target_lang"]})
    (corpus.folder / "predictions").mkdir(exist_ok=True)
    table.assign(streaming=False, schema_version=1, **facts).to_parquet(
        corpus.folder / "predictions" / f"{name}.parquet"
    )
