"""All runs of a folder side by side: what each was made from, what came out, what differs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.files import sha256_file
from workbench.finetuning import provenance
from workbench.finetuning.recipe import Recipe
from workbench.finetuning.run import Run
from workbench.glance import Glance, as_html, as_text, counted
from workbench.shown import Shown, show_rows
from workbench.signatures import public, takes_fields


@public
class Registry:
    """The runs below a folder, such as a workspace's ``runs``."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def _glance(self) -> Glance:
        table = self.table()
        head = "run", "status", "trains", "steps", "best score", "hours"
        rows = [
            (
                str(r["run"]), str(r["status"]), str(r["trains"]), f"{r['step']} of {r['steps']}",
                "–" if r["best_score"] is None or r["best_score"] != r["best_score"]
                else f"{r['best_score']:.1%} at step {int(r['best_step'])}",
                f"{r['hours']:.2f}",
            )
            for r in table.to_dict("records")
        ]  # fmt: skip
        return Glance(table.sentence, head, rows)

    __repr__, _repr_html_ = as_text, as_html

    def runs(self) -> list[Run]:
        """Every run, by name."""
        found = [path.parent for path in sorted(self.folder.glob("[!.]*/state.json"))]
        return [Run.attach(path) for path in found]

    def table(self) -> Shown:
        """One row per run: status, base, what trained, peak, steps, best score, hours."""
        rows = []
        for run in self.runs():
            state, recipe = run.state, run.recipe
            made = _provenance(run)
            best = state.get("best") or {}
            rows.append(
                {
                    "run": run.name,
                    "status": state["status"],
                    "base_sha256": made.get("base", {}).get("sha256", "")[:12],
                    "trains": recipe.trains,
                    "peak": recipe.effective_peak(),
                    "step": state.get("step", 0),
                    "steps": recipe.steps,
                    "best_step": best.get("step"),
                    "best_score": best.get("score"),
                    "base_score": state.get("base_score"),
                    "hours": sum((state.get("consumed_hours") or {}).values()),
                    "commit": made.get("git", {}).get("commit", "")[:12],
                    "created_at": state.get("created_at"),
                }
            )
        table = pd.DataFrame(rows)
        states = Counter(row["status"] for row in rows).most_common()
        named = ", ".join(f"{n} {status}" for status, n in states)
        said = f"{counted(len(rows), 'run')}: {named}." if rows else "No run yet."
        return show_rows(table, said, ("run", "status", "trains", "step", "best_score", "hours"))

    def compare(self, first: str, second: str) -> pd.DataFrame:
        """What differs between two runs: fields of the recipe, digests, versions, validation figures.

        Columns: kind (recipe, provenance, figure), what, and one column per run.
        """
        runs = [self._run(first), self._run(second)]
        rows: list[dict[str, Any]] = []
        sides = [
            [("recipe", _flat(run.recipe.to_dict())) for run in runs],
            [("provenance", _flat(_provenance(run))) for run in runs],
            [("figure", _figures(run)) for run in runs],
        ]
        for (kind, left), (_, right) in sides:
            for name in sorted(set(left) | set(right)):
                if left.get(name) != right.get(name) and not name.startswith("created_at"):
                    rows.append({"kind": kind, "what": name, first: left.get(name), second: right.get(name)})
        return pd.DataFrame(rows, columns=["kind", "what", first, second])

    @takes_fields(Recipe, without=("name", "base"))
    def continue_from(self, name: str, new_name: str, **changes: Any) -> Recipe:
        """The run's recipe with its chosen checkpoint as base. Raises WorkbenchError before it has one."""
        run = self._run(name)
        return run.recipe.changed(name=new_name, base=str(run.checkpoint_path), **changes)

    def reproduce(self, name: str, new_name: str) -> tuple[Recipe, list[str]]:
        """The same recipe, and a line for each thing that is not as it was: base, data, code, versions."""
        run = self._run(name)
        recipe, before = run.recipe, _provenance(run)
        changed = []
        if not Path(recipe.base).is_file():
            changed.append(f"the base is gone: {recipe.base}")
        elif sha256_file(Path(recipe.base)) != before["base"]["sha256"]:
            changed.append(f"the base is another file now: {recipe.base}")
        try:
            data = provenance.digests(recipe)
        except (WorkbenchError, OSError) as error:
            changed.append(f"data: {error}")
            data = {}
        for path, digest in before["data"].items():
            if data and data.get(path) != digest:
                changed.append(f"the manifest has changed: {path}")
        here = provenance.environment()
        for package, version in before["environment"]["packages"].items():
            if here["packages"].get(package) != version:
                changed.append(f"{package} was {version}, is {here['packages'].get(package)}")
        commit = provenance.git_state(Path(__file__).parent).get("commit")
        if before["git"].get("commit") != commit:
            changed.append(f"the code was at {before['git'].get('commit')}, is at {commit}")
        if before["git"].get("changed"):
            changed.append("the code had uncommitted changes")
        return recipe.changed(name=new_name), changed

    def _run(self, name: str) -> Run:
        if not (self.folder / name / "state.json").exists():
            known = ", ".join(run.name for run in self.runs()) or "none yet"
            raise WorkbenchError(f"no run {name!r}", where=str(self.folder), hint=f"There is {known}.")
        return Run.attach(self.folder / name)


def _provenance(run: Run) -> dict[str, Any]:
    return provenance.read(run.folder) if run.folder.provenance.exists() else {}


def _figures(run: Run) -> dict[str, Any]:
    """Rates of the best validated step (the last, where none is best), by locale and prompt mode."""
    table = run.metrics("validation")
    if table.empty:
        return {}
    step = (run.state.get("best") or {}).get("step", table["step"].max())
    rows = table[table["step"] == step].to_dict("records")
    names = {"wer": "WER", "cer": "CER"}
    return {
        f"{names[rate]} {row['locale']} {row['prompt_mode']}{' streaming' if row['streaming'] else ''}": row[
            rate
        ]
        for row in rows
        for rate in names
    }


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested plain values as ``outer.inner`` → value."""
    if isinstance(value, dict):
        pairs = [(f"{name}.{key}" if name else str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        pairs = [(f"{name}.{i + 1}", item) for i, item in enumerate(value)]
    else:
        return {name: value}
    return {key: found for label, item in pairs for key, found in _flat(item, label).items()}
