"""What every public call returns, on real objects of a small workspace."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from public_fuzz import HEAVY, LEFT_OUT, PLAIN
from public_fuzz import objects as small_objects
from test_public_face import CALLABLES
from test_public_objects import boost, choice, gated, suite_run

import workbench as wb
from workbench.capacity.measurement import Budget
from workbench.errors import WorkbenchError
from workbench.glance import MOST_COLUMNS

WIDGETS = {"Board", "Explorer", "PlanEditor", "Lineage", "Microphone", "Monitor", "Playback", "Overview"}
CHANGES = {"close", "promote", "roll_back", "stage", "reject", "erase", "cancel", "resume", "edit", "split"}
"""Not called: the calls after them would find other things. ``split`` is called last."""
DATA = {
    "to_dict": "for a program", "alignment": "a word each, for a program", "page": "for the board",
    "rows_of": "for transcribe", "binding": "for the ledger", "files": "paths",
    "learning_rate_at": "a number to calculate with",
    "audio": "samples", "apply": "samples", "tokenizer": "the tokenizer's own class", "at_once": "for with",
    "views": "views that show themselves", "runs": "runs that show themselves",
    "points": "what people wrote down",
    "chart": "a figure of plotly", "events": "records of the file", "history": "records of the file",
    "table": "Arrow's own", "at": "Arrow's own",
}  # fmt: skip
"""What may be shown as Python shows it, and why."""
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "Evaluation": {"name": "base", "keywords": ["sun"], "margin": 0.02},
    "SuiteRun": {"engine": "base", "base": "base", "candidate": "tuned"},
    "Release": {"path": None},
}
_NAMED = {
    "Corpus.prediction": "base", "Workspace.checkpoint": "base", "Workspace.corpus": "calls",
    "Workspace.run": "small", "Workspace.suite": "pilot",
}  # fmt: skip


def walked(ws: wb.Workspace) -> Iterator[tuple[str, Any]]:
    """(name, what was returned) of every public call that works with usual arguments."""
    found = small_objects(ws)
    found |= {"KeywordBoost": boost(ws), "Choice": choice(ws), "SuiteRun": suite_run(ws)}
    found |= {"Release": gated(ws), "ConditionSweep": wb.ConditionSweep({})}
    found["Capacity"] = wb.Capacity("starter", "ab" * 32, "auto", 0, 6.0, 1, 0, Budget(500.0), "2026-01-01")
    for name, function in CALLABLES.items():
        owner, _, member = name.partition(".")
        skipped = name in HEAVY or name in LEFT_OUT or owner in WIDGETS or member in CHANGES
        if skipped or (member and owner not in found) or not inspect.isfunction(function):
            continue
        if not member and owner[:1].isupper():
            continue
        given = {**PLAIN, "columns": ("target_lang",), "n_per_group": 2, **_ARGUMENTS.get(owner, {})}
        given |= {"ws": ws, "corpus": found["Corpus"], "evaluation": found["Evaluation"]}
        given |= {"name": _NAMED[name]} if name in _NAMED else {}
        asked = inspect.signature(function).parameters.values()
        needed = [p.name for p in asked if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
        values = {key: given.get(key) for key in needed if key not in ("self", "cls")}
        with contextlib.suppress(WorkbenchError, TypeError):
            if not member:
                yield name, function(**values)
            elif isinstance(inspect.getattr_static(type(found[owner]), member), property):
                yield name, getattr(found[owner], member)
            else:
                more = ["target_lang"] if name == "Corpus.groups" else []
                yield name, getattr(found[owner], member)(*more, **values)
    yield "Corpus.split", found["Corpus"].split()


def raw(name: str, found: Any) -> list[str]:
    """What is raw in how a result shows itself."""
    member = name.rpartition(".")[2]
    if member in DATA or found is None or isinstance(found, bool | int | str | Path | np.ndarray):
        return []
    if inspect.isgenerator(found):
        return [fault for one in itertools.islice(found, 3) for fault in raw(name, one)]
    faults = []
    said = repr(found)
    if " object at 0x" in said:
        faults.append("a pointer")
    if type(found) is dict:
        faults.append("a plain dictionary")
    if isinstance(found, list | tuple) and any(isinstance(one, dict | float) for one in found):
        faults.append("a list of raw values")
    if re.search(r"\d\.\d{5,}|\d\d\.\d{4,}", re.sub(r"\S*[/:]\S*", "", said)):
        faults.append("digits that nobody reads")
    if re.search(r"\b(nan|NaN|NaT|inf|PosixPath|Timestamp|np\.\w+)\b", said):
        faults.append("Python's own words")
    page = found._repr_html_() if hasattr(found, "_repr_html_") else ""
    first = re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
    wide = [len(re.findall("<th[ >]", head)) for head in re.findall("<thead>.*?</thead>", first, re.DOTALL)]
    if max(wide, default=0) > MOST_COLUMNS:
        faults.append("more than six columns")
    if (
        isinstance(found, pd.DataFrame)
        and len(found.columns) > MOST_COLUMNS
        and "…" in said.partition("\n")[0]
    ):
        faults.append("columns that pandas left out")
    return faults
