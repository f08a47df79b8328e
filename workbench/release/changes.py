"""What changed between two releases: data, recipe, figures. Facts are kept when a checkpoint is gated."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.files import write_atomic
from workbench.reading import read_json
from workbench.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation.evaluation import Evaluation


class Changes(list[str]):
    """Sentences on what changed; where there are none, ``why`` says so in one."""

    def __init__(self, sentences: Iterable[str] = (), why: str = "Nothing changed.") -> None:
        super().__init__(sentences)
        self.why = why

    def __repr__(self) -> str:
        return "\n".join(self) or self.why

    def _repr_html_(self) -> str:
        if not self:
            return f"<p>{escape(self.why)}</p>"
        return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in self)}</ul>"


def keep(ws: WorkspaceFolder, digest: str, facts: Mapping[str, Any]) -> None:
    """Keep the facts of a checkpoint beside the releases."""
    folder = ws.releases / "facts"
    folder.mkdir(exist_ok=True, mode=0o700)
    write_atomic(folder / f"{digest}.json", json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False))


def read(ws: WorkspaceFolder, digest: str) -> dict[str, Any]:
    """The facts of a checkpoint; empty where none were kept."""
    path = ws.releases / "facts" / f"{digest}.json"
    return read_json(path, "record of a release") if path.exists() else {}


def facts_of(
    recipe: Mapping[str, Any],
    training: pd.DataFrame | None,
    evaluation: Evaluation,
    name: str,
    suite: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Facts worth comparing: recipe, training hours by locale, rates by locale and what they rest on.

    Args:
        suite: what the verdict is bound to; None: predictions picked by hand.
    """
    data: dict[str, Any] = {}
    if training is not None and {"target_lang", "duration"} <= set(training):
        for tag, rows in training.groupby("target_lang"):
            data[str(tag)] = {
                "utterances": len(rows),
                "hours": round(float(rows["duration"].sum()) / 3600, 4),
            }
    rates = evaluation.rates(name, by="target_lang") if "target_lang" in evaluation.rows else None
    figures = {
        str(r["target_lang"]): round(float(r["rate"]), 6)
        for r in (rates.to_dict("records") if rates is not None else [])
        if r["rate"] == r["rate"]
    }
    made = evaluation.facts(name)
    basis = {
        "suite": f"{suite['name']} v{suite['version']} {suite['digest'][:12]}" if suite else None,
        "operating point": suite["points"][0] if suite else None,
        "normalizer": evaluation.normalizer,
        **{fact: made.get(fact) for fact in ("lookahead_ms", "prompt_mode", "streaming", "precision")},
    }
    return {"recipe": dict(recipe), "data": data, "figures": figures, "basis": basis}


def between(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    """One sentence a change, data first, then recipe, then figures."""
    if not before:
        return Changes(
            why="The release in production was not gated here, so nothing is known to compare with."
        )
    found = [*_data(before, after), *_recipe(before, after), *_figures(before, after)]
    return Changes(
        found, "Nothing changed since the release in production: data, recipe and figures are equal."
    )


def _data(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = before.get("data", {}), after.get("data", {})
    for tag in sorted({*old, *new}):
        a, b = (side.get(tag, {"utterances": 0, "hours": 0.0}) for side in (old, new))
        if a != b:
            change = f"{b['hours'] - a['hours']:+.2f} h, {b['utterances'] - a['utterances']:+d} utterances"
            yield f"Data {tag}: {a['hours']:.2f} to {b['hours']:.2f} h ({change})."


def _recipe(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = before.get("recipe", {}), after.get("recipe", {})
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield f"Recipe {name}: {_shown(old.get(name))} to {_shown(new.get(name))}."


def _figures(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = before.get("figures", {}), after.get("figures", {})
    was, now = before.get("basis", {}), after.get("basis", {})
    unlike = [name for name in sorted({*was, *now}) if was.get(name) != now.get(name)]
    if old and new and unlike:
        told = ", ".join(f"{name} {_shown(was.get(name))} against {_shown(now.get(name))}" for name in unlike)
        yield f"Figures are not compared: {told}."
        return
    for tag in sorted({*old, *new}):
        a, b = old.get(tag), new.get(tag)
        if a is None or b is None:
            yield f"Figure {tag}: {'now tested' if a is None else 'no longer tested'}."
        elif a != b:
            yield f"Figure {tag}: {100 * a:.2f} to {100 * b:.2f} % ({100 * (b - a):+.2f} points)."


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
