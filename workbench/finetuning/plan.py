"""The batch plan: which utterance stands in which batch of which step, drawn once from the seed.

Hours are shared out exactly, not by chance: each (source, locale) has a share of the hours, and the next
utterance is always taken from the one furthest behind its share. Replay that is listed is therefore
consumed, at its share, from the first steps on. Resume, consumed hours and devices all read this table.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import Problem, WorkbenchError
from workbench.files import replacing
from workbench.finetuning.base import base_of
from workbench.finetuning.rows import read_source
from workbench.locales import AUTO
from workbench.reading import read_parquet

if TYPE_CHECKING:
    import pandas as pd

    from workbench.finetuning.recipe import Recipe, Source
    from workbench.finetuning.rows import Utterance

WINDOW_BATCHES = 12
"""Batches drawn together and sorted by length, so that padding stays small and mixing stays local."""

SCHEMA_VERSION = 1


def read_training(recipe: Recipe, problems: list[Problem]) -> list[list[Utterance]]:
    """Usable utterances of each training source, in the recipe's order."""
    locales = base_of(recipe).locales
    limits = (recipe.min_duration_s, recipe.max_duration_s)
    read = [read_source(source, locales, problems, limits) for source in recipe.sources]
    return [
        _share(rows, source.share, [recipe.seed, 4, number])
        for number, (source, rows) in enumerate(zip(recipe.sources, read, strict=True))
    ]


def _share(rows: list[Utterance], share: float, seed: list[int]) -> list[Utterance]:
    """The first ``share`` of the rows in a drawn order, back in their own; at least one."""
    if share >= 1 or not rows:
        return rows
    drawn = np.random.default_rng(seed).permutation(len(rows))[: max(1, round(share * len(rows)))]
    return [rows[at] for at in sorted(drawn)]


def shares(recipe: Recipe, sources: Sequence[Sequence[Utterance]]) -> dict[tuple[int, str], float]:
    """Share of the consumed hours of each (source number, locale); they sum to 1.

    Within a source, locales weigh ∝ hours ** temperature (Conneau et al., "Unsupervised Cross-lingual
    Representation Learning at Scale", 2020, section 3.1).
    """
    result: dict[tuple[int, str], float] = {}
    total = sum(s.weight for s, rows in zip(recipe.sources, sources, strict=True) if rows)
    for number, (source, rows) in enumerate(zip(recipe.sources, sources, strict=True)):
        seconds: dict[str, float] = {}
        for row in rows:
            seconds[row.locale] = seconds.get(row.locale, 0.0) + row.duration_s
        powers = {locale: s**recipe.temperature for locale, s in sorted(seconds.items())}
        for locale, power in powers.items():
            result[number, locale] = source.weight / total * power / sum(powers.values())
    return result


def draw(
    recipe: Recipe,
    sources: Sequence[Sequence[Utterance]],
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """Draw the plan.

    Returns:
        One row per utterance and use, in order: ``step`` (from 0), ``part`` (batch within the step:
        accumulation × devices × nodes), ``source``, ``row`` (number within the source's usable rows), ``id``,
        ``target_lang``, ``prompt`` (tag or ``auto``), ``duration_s``.

    Raises:
        WorkbenchError: nothing to draw from, or cancelled.
    """
    stream = _stream(recipe, sources)
    parts = recipe.accumulate * recipe.ranks
    needed = recipe.steps * parts
    rng = np.random.default_rng([recipe.seed, 1])
    batches: list[list[tuple[int, int]]] = []
    while len(batches) < needed:
        batches += _window(stream, sources, recipe.batch_s, rng)
        if cancel is not None and cancel():
            raise WorkbenchError("cancelled while drawing the batch plan")
        if progress is not None:
            progress(min(len(batches), needed), needed)
    uses = [(n // parts, n % parts, s, r) for n, batch in enumerate(batches[:needed]) for s, r in batch]
    return _frame(pd, recipe, sources, uses)


def _frame(pd: Any, recipe: Recipe, sources: Sequence[Sequence[Utterance]], uses: list[Any]) -> Any:
    step, part, source, row = (np.array(column) for column in zip(*uses, strict=True))
    chosen = [sources[s][r] for s, r in zip(source, row, strict=True)]
    coins = np.random.default_rng([recipe.seed, 2]).random(len(chosen)) < 0.5
    prompts = [
        _prompt(recipe.sources[s], utterance.locale, bool(coin))
        for s, utterance, coin in zip(source, chosen, coins, strict=True)
    ]
    return pd.DataFrame(
        {
            "step": step.astype("int32"),
            "part": part.astype("int16"),
            "source": source.astype("int16"),
            "row": row.astype("int32"),
            "id": [utterance.id for utterance in chosen],
            "target_lang": [utterance.locale for utterance in chosen],
            "prompt": prompts,
            "duration_s": np.array([utterance.duration_s for utterance in chosen], dtype="float32"),
        }
    )


def _prompt(source: Source, locale: str, coin: bool) -> str:
    return AUTO if source.prompt_mode == "auto" or (source.prompt_mode == "unified" and coin) else locale


def _stream(recipe: Recipe, sources: Sequence[Sequence[Utterance]]) -> Iterator[tuple[int, int]]:
    """Endless (source, row): always from the group whose consumed seconds are furthest behind its share."""
    groups: dict[tuple[int, str], list[int]] = {}
    for number, rows in enumerate(sources):
        for index, utterance in enumerate(rows):
            groups.setdefault((number, utterance.locale), []).append(index)
    if not groups:
        raise WorkbenchError("no usable training utterance", hint="Check split, locales and durations.")
    share = shares(recipe, sources)

    def passes(key: tuple[int, str]) -> Iterator[int]:
        rng = np.random.default_rng([recipe.seed, 0, key[0], *key[1].encode()])
        while True:
            for at in rng.permutation(len(groups[key])):
                yield groups[key][at]

    drawn = {key: passes(key) for key in groups}
    queue = [(0.0, key) for key in sorted(groups)]
    heapq.heapify(queue)
    while True:
        due, key = heapq.heappop(queue)
        row = next(drawn[key])
        heapq.heappush(queue, (due + sources[key[0]][row].duration_s / share[key], key))
        yield key[0], row


def _window(
    stream: Iterator[tuple[int, int]], sources: Sequence[Sequence[Utterance]], batch_s: float, rng: Any
) -> list[list[tuple[int, int]]]:
    """About WINDOW_BATCHES batches of like lengths, each at most ``batch_s`` with padding, shuffled."""
    taken: list[tuple[float, int, int]] = []
    seconds = 0.0
    while seconds < WINDOW_BATCHES * batch_s * 0.95:
        source, row = next(stream)
        duration = sources[source][row].duration_s
        taken.append((duration, source, row))
        seconds += duration
    batches: list[list[tuple[int, int]]] = []
    for duration, source, row in sorted(taken):
        if not batches or duration * (len(batches[-1]) + 1) > batch_s:
            batches.append([])
        batches[-1].append((source, row))
    return [batches[at] for at in rng.permutation(len(batches))]


def write(plan: pd.DataFrame, path: Path) -> None:
    """Write the plan as Parquet, atomically."""
    table = pa.Table.from_pandas(plan, preserve_index=False)
    table = table.replace_schema_metadata({"schema_version": str(SCHEMA_VERSION)})
    with replacing(path, digest=True) as draft:
        pq.write_table(table, draft, write_page_checksum=True)


def read(path: Path) -> pd.DataFrame:
    """Read a plan. Raises WorkbenchError if it is missing or of another schema version."""
    if not path.is_file():
        raise WorkbenchError("the batch plan is missing", where=str(path), hint="Start the run anew.")
    table = read_parquet(path, "batch plan")
    version = (table.schema.metadata or {}).get(b"schema_version", b"?").decode()
    if version != str(SCHEMA_VERSION):
        raise WorkbenchError(f"batch plan of schema version {version}", where=str(path))
    frame: pd.DataFrame = table.to_pandas()
    return frame


def consumed_hours(plan: pd.DataFrame, steps: int | None = None) -> pd.DataFrame:
    """Hours that the first ``steps`` steps consume (all by default), by source and locale, with the number of
    passes over each group's utterances: columns source, target_lang, hours, uses, utterances, passes."""
    taken = plan if steps is None else plan[plan["step"] < steps]
    groups = taken.groupby(["source", "target_lang"], sort=True)
    result = groups.agg(hours=("duration_s", "sum"), uses=("row", "size"), utterances=("row", "nunique"))
    result["hours"] = result["hours"].astype("float64") / 3600
    result["passes"] = result["uses"] / result["utterances"]
    frame: pd.DataFrame = result.reset_index()
    return frame
