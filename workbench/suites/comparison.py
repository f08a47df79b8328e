"""Two engines of a suite compared like with like, or refused with every difference named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.evaluation.alike import differences
from workbench.evaluation.readings import TOO_FEW
from workbench.locales import CHARACTER_LANGUAGES
from workbench.suites.points import OperatingPoint
from workbench.suites.predictions import SuitePredictions

if TYPE_CHECKING:
    import pandas as pd


def refuse_unlike(
    run: SuitePredictions,
    base: str,
    candidate: str,
    point: OperatingPoint,
    candidate_point: OperatingPoint,
) -> None:
    """Raise WorkbenchError with every difference of facts: operating point, checkpoint, prediction."""
    found = point.differences(candidate_point)
    if run.checkpoints.get(base) == run.checkpoints.get(candidate) and base in run.checkpoints:
        found.append(f"{base} and {candidate} are one checkpoint")
    if not found:
        for name in (base, candidate):
            if run.frame(name, point) is None:
                hint = f"Run it: ws.run_suite({run.suite.name!r}, {name!r})."
                raise WorkbenchError(f"{name} was not run at {point.name}", where=run.suite.name, hint=hint)
        scored = run.evaluation(point, (base, candidate)).scored
        found = [what for what in differences(scored, base, candidate) if " lacks " not in what]
    if found:
        raise WorkbenchError(
            f"not alike: {'; '.join(found)}",
            where=f"{base} against {candidate}",
            hint="Compare at one operating point of one suite.",
        )


MIXED = "one figure over words and characters says nothing"


def refuse_pooled(run: SuitePredictions, by: Sequence[str]) -> None:
    """Raise WorkbenchError where a slice would pool words of some languages with characters of others."""
    if "target_lang" not in by and are_mixed(run.clips["target_lang"].dropna()):
        raise WorkbenchError(
            MIXED,
            where=f"suite {run.suite.name}",
            hint="Compare by target_lang, or name a metric in the operating point.",
        )


def are_mixed(tags: Iterable[str]) -> bool:
    """Whether some of the locales are scored by words and some by characters."""
    return len({str(tag).split("-")[0] in CHARACTER_LANGUAGES for tag in tags}) > 1


def compared(table: pd.DataFrame, lacking: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The comparison with ``because``: slices that coverage leaves open lose their figures."""
    tags = table["target_lang"] if "target_lang" in table else ["all"] * len(table)
    everywhere = list(lacking.get("all", ()))
    total = [w for some in lacking.values() for w in some] if "target_lang" not in table else []
    because = ["; ".join(dict.fromkeys([*everywhere, *lacking.get(str(tag), ()), *total])) for tag in tags]
    table = table.assign(because=because)
    open_ = table["because"] != ""
    figures = [c for c in table.columns if table[c].dtype.kind == "f"]
    table.loc[open_, figures] = np.nan
    if "enough" in table:
        table.loc[open_, "enough"] = "no"
    if "reading" in table:
        table.loc[open_, "reading"] = TOO_FEW
    return table


def shortfall_sentence(lacking: Mapping[str, Sequence[str]]) -> str:
    """What coverage leaves open, the first three in words."""
    said = [f"{tag}: {'; '.join(why)}" if tag != "all" else "; ".join(why) for tag, why in lacking.items()]
    return "; ".join(said[:3]) + (f"; and {len(said) - 3} more" if len(said) > 3 else "")
