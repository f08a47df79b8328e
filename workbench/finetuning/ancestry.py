"""Which checkpoints descend from which data: through batch plans, run folders and base checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import Problem
from workbench.files import sha256_file
from workbench.finetuning import plan as batch_plan
from workbench.finetuning.provenance import settled_data
from workbench.finetuning.recipe import Recipe
from workbench.ingest.manifest import expand, read
from workbench.reading import read_parquet
from workbench.workspace.folder import WorkspaceFolder


def trained_on(ws: WorkspaceFolder, ids: Set[str]) -> list[str]:
    """Hashes of the checkpoints whose runs trained on any of the utterances, and of those trained on them."""
    made = {run: set(checkpoints_of(run)) for run in runs(ws)}
    tainted: set[str] = set()
    for run, digests in made.items():
        if _uses(run, ids):
            tainted |= digests
    while True:
        bases = {run: provenance(run).get("base", {}).get("sha256") for run in made}
        more = set().union(*(d for run, d in made.items() if bases[run] in tainted), set()) - tainted
        if not more:
            return sorted(tainted)
        tainted |= more


def runs(ws: WorkspaceFolder) -> list[Path]:
    return [ws.runs / name for name in ws.run_names()]


def checkpoints_of(run: Path) -> Iterator[str]:
    """Hashes of the ``.nemo`` files a run wrote."""
    for path in sorted((run / "checkpoints").glob("*.nemo")):
        yield sha256_file(path)


def run_of(ws: WorkspaceFolder, digest: str) -> Path | None:
    """The run that made a checkpoint."""
    return next((run for run in runs(ws) if digest in set(checkpoints_of(run))), None)


def provenance(run: Path) -> dict[str, Any]:
    """What the run folder says it was made from; empty where it says nothing."""
    path = run / "provenance.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {**found, **({"data": settled_data(found, run)} if "data" in found else {})}


def training_rows(run: Path) -> pd.DataFrame:
    """The utterance rows a run trained on: manifest rows that its batch plan drew, one each.

    Raises:
        WorkbenchError: the manifests or the plan are gone.
    """
    drawn = set(batch_plan.read(run / "plan.parquet")["id"])
    problems: list[Problem] = []
    rows = [row for row in _manifest_rows(run, problems) if str(row.get("id")) in drawn]
    return pd.DataFrame(rows).drop_duplicates("id").reset_index(drop=True) if rows else pd.DataFrame()


def _manifest_rows(run: Path, problems: list[Any]) -> Iterator[dict[str, Any]]:
    for source in Recipe.from_yaml(run / "recipe.yaml").sources:
        for path in expand(Path(source.manifest)):
            for table in read(path, problems):
                yield from table.to_pylist()


def _uses(run: Path, ids: Set[str]) -> bool:
    path = run / "plan.parquet"
    if not path.exists():
        return False
    table = read_parquet(path, "batch plan", ["id"])
    return "id" in table.column_names and not ids.isdisjoint(table["id"].to_pylist())
