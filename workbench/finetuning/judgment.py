"""What a pre-flight finds in data, tokenizer and validation: what puts a run at risk, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from workbench.finetuning.base import Base
    from workbench.finetuning.recipe import Recipe

UNKNOWN_LIMIT = 0.005
"""Share of unknown tokens above which a warning is due: a few stray signs, not a script."""
MANY_PASSES = 40.0


@dataclass(slots=True)
class Judgment:
    """``risks``: what decides whether the run is worth starting, each with what to do; ``notes``: others."""

    risks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def judge(
    recipe: Recipe, base: Base, hours: pd.DataFrame, tokenizer: pd.DataFrame, style: pd.DataFrame
) -> Judgment:
    """Risks and notes of a recipe; one cause in several locales is one sentence.

    Args:
        hours, tokenizer, style: tables of the pre-flight, see ``Preflight``.
    """
    found = Judgment()
    _tokenizer(base, tokenizer, found)
    _passes_and_style(hours, style, found)
    if not any(source.role == "replay" for source in recipe.sources):
        found.risks.append("no replay: expect the other locales to be forgotten: add replay sources")
    _validation(recipe, base, hours, found)
    return found


def _tokenizer(base: Base, tokenizer: pd.DataFrame, found: Judgment) -> None:
    rows = tokenizer.to_dict("records")
    for row in rows:
        if row["unknown_share"] > UNKNOWN_LIMIT:
            found.risks.append(
                f"{row['target_lang']}: {row['unknown_share']:.1%} unknown: {row['unknown_characters']}: "
                f"leave the {row['utterances_with_unknown']} utterances out (the check unknown_characters "
                "names them), respell these letters in the texts, or train with another tokenizer (recipe: "
                "tokenizer; decoder and joint then start anew and need far more hours)"
            )
    frames = 1000 / base.checkpoint.info.frame_ms
    if many := [row["target_lang"] for row in rows if row["pieces_per_s"] > frames]:
        found.notes.append(
            f"more pieces than encoder frames a second ({frames:g}) in {', '.join(many)}: "
            "several pieces a frame must be written there"
        )


def _passes_and_style(hours: pd.DataFrame, style: pd.DataFrame, found: Judgment) -> None:
    for row in hours.to_dict("records"):
        if row["passes"] > MANY_PASSES:
            found.risks.append(
                f"{row['target_lang']}: {row['passes']:.0f} passes over {row['utterances']} utterances: "
                "fewer steps, or more data"
            )
    styles = style.to_dict("records")
    for name, what in (("ends_in_mark", "end in punctuation"), ("begins_capital", "begin with a capital")):
        if few := [row for row in styles if row[name] < 0.5]:
            found.notes.append(f"few texts {what}: {_shares(few, name)}: the run learns to leave it out")


def _shares(rows: Iterable[dict[str, Any]], name: str) -> str:
    return ", ".join(f"{100 * row[name]:.0f} % in {row['target_lang']}" for row in rows)


def _validation(recipe: Recipe, base: Base, hours: pd.DataFrame, found: Judgment) -> None:
    """Whether the best checkpoint can be told: validation must hold every locale that the run is for."""
    from workbench.finetuning.rows import draw_validation

    if not recipe.validation:
        found.risks.append("no validation: the last step is taken, not the best: add a validation set")
        return
    held = {row.locale for row in draw_validation(recipe, base.locales, [])}
    wanted = set(recipe.best_by)
    for source in recipe.sources:
        wanted |= set(source.locales) if source.role == "target" else set()
    if not recipe.best_by and not wanted:
        targets = {number for number, source in enumerate(recipe.sources) if source.role == "target"}
        rows = hours[hours["source"].isin(targets)] if "source" in hours else hours
        wanted = set(rows["target_lang"])
    if absent := sorted(wanted - held):
        found.risks.append(
            f"validation holds nothing of {', '.join(absent)}: the best step cannot be told: "
            "add utterances of it to the validation split"
        )
    replayed = {tag for source in recipe.sources if source.role == "replay" for tag in source.locales}
    if lost := sorted(replayed - held):
        found.risks.append(
            f"validation holds nothing of the replayed {', '.join(lost)}: forgetting goes unseen"
        )
