"""Before the first step: what the run will consume, whether data and base fit, what it will cost."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import Problem
from workbench.finetuning import resources
from workbench.finetuning.checks import problems
from workbench.finetuning.judgment import judge
from workbench.finetuning.run import start
from workbench.glance import Glance, as_html, as_text, counted, table
from workbench.locales import LOCALES
from workbench.signatures import public

if TYPE_CHECKING:
    from workbench.finetuning.base import Base
    from workbench.finetuning.recipe import Recipe
    from workbench.finetuning.rows import Utterance


@public
@dataclass(slots=True)
class Preflight:
    """What was found. ``faults`` stop a run, ``warnings`` do not; tables are ready to show.

    Attributes:
        hours: consumed hours per source and locale, with passes over the data.
        tokenizer: per locale, share of unknown tokens, pieces per second, and the unknown characters.
        recordings_read: of how many training rows, and of how many in all, the sound was read.
        left_out: rows that are not trained on, with the reason: by their fields and by their sound.
        style: per locale, share of training texts that end in punctuation and that begin with a capital.
        trained_weights, total_weights: how many train, of how many.
        device: where the run would train here; ``memory_free_mb``: what is free there.
        memory_mb: peak of the process (of the GPU, there), measured, or by the sizes of model and batch where
            nothing was; ``measured``: which of them.
        disk_needed_mb, disk_free_mb: for what the run keeps: states, best weights, ``.nemo`` files.
        step_s: median seconds of the measured steps; ``validation_s``: of one validation; ``total_s``: of the
            whole run: start, steps as long as the plan's batches make them, validations, saving.
        processor_s: of that, seconds of the processor, which other work on this machine hardly changes; None
            on CUDA.
    """

    faults: list[str]
    warnings: list[str] = field(default_factory=list)
    hours: pd.DataFrame | None = None
    tokenizer: pd.DataFrame | None = None
    style: pd.DataFrame | None = None
    recordings_read: tuple[int, int] = (0, 0)
    left_out: list[Problem] = field(default_factory=list)
    effective_peak: float = 0.0
    longest_s: float = 0.0
    trained_weights: int = 0
    total_weights: int = 0
    device: str = "cpu"
    memory_free_mb: float = 0.0
    memory_mb: float = 0.0
    disk_needed_mb: float = 0.0
    disk_free_mb: float = 0.0
    step_s: float | None = None
    validation_s: float | None = None
    total_s: float | None = None
    processor_s: float | None = None
    measured: bool = False

    risks: list[str] = field(default_factory=list)
    """Warnings that decide whether the run is worth starting, each with what to do."""

    @property
    def verdict(self) -> Literal["ready", "ready with risks", "not ready"]:
        """Whether to start: ``not ready`` with a fault, ``ready with risks`` with a risk."""
        return "not ready" if self.faults else "ready with risks" if self.risks else "ready"

    @property
    def ok(self) -> bool:
        """Whether the run may start."""
        return not self.faults

    def summary(self) -> list[str]:
        """The verdict, then one line per finding, faults and risks first."""
        lines = [self.verdict, *(f"fault: {line}" for line in self.faults)]
        lines += [*(f"risk: {line}" for line in self.risks), *(f"note: {line}" for line in self.warnings)]
        return lines + [text for _, text in self._figures()]

    def _figures(self) -> list[tuple[str, str]]:
        """What the run takes: the matter, and a line on it; nothing where a fault stops it."""
        if not self.ok:
            return []
        how = "measured" if self.measured else "by the sizes of model and batch"
        where = "the GPU's" if self.device == "cuda" else "this machine's"
        free = f"{where} {self.memory_free_mb:.0f} MB free"
        share = f"{self.trained_weights:,} of {self.total_weights:,} weights train"
        found = []
        if self.step_s is not None and self.total_s is not None:
            each = f", {self.validation_s:.1f} s a validation" if self.validation_s else ""
            spent = "" if self.processor_s is None else f", {self.processor_s / 60:.1f} of the processor"
            whole = f"about {self.total_s / 60:.1f} minutes in all{spent}"
            found.append(("time", f"{whole}; {self.step_s:.2f} s a step{each}"))
        else:
            found.append(
                ("time", "time not measured: preflight(recipe, measure_steps=8) tries it on this machine")
            )
        found += [
            ("memory", f"memory {self.memory_mb:.0f} MB ({how}) of {free}"),
            ("disk", f"disk {self.disk_needed_mb:.0f} MB of {self.disk_free_mb:.0f} MB free"),
            ("size", f"{share}, longest utterance {self.longest_s:.1f} s"),
            ("learning rate", f"effective peak learning rate {self.effective_peak:.1e}"),
        ]
        found.append(("rows", f"{len(self.left_out)} rows left out"))
        read, total = self.recordings_read
        if read < total:
            found.append(
                ("rows", f"sound of {read} of {total} rows read; the rest is checked as it is trained on")
            )
        return found

    def _glance(self) -> Glance:
        named = (("fault", self.faults), ("risk", self.risks))
        told = [counted(len(lines), what) for what, lines in named if lines]
        if self.total_s is not None and self.ok:
            told.append(f"about {self.total_s / 60:.1f} minutes and {self.memory_mb:,.0f} MB of memory")
        elif self.ok and self.memory_mb:
            told.append(f"about {self.memory_mb:,.0f} MB of memory by its sizes, time not measured")
        said = self.verdict.capitalize() + (f": {', '.join(told)}" if told else "")
        rows = [(what, line) for what, lines in named for line in lines]
        rows += [*self._figures(), *(("note", line) for line in self.warnings)]
        return Glance(f"{said}.", ("about", "finding"), rows, more=self._tables(),
                      about="hours, pieces and texts by locale")  # fmt: skip

    __repr__, _repr_html_ = as_text, as_html

    def _tables(self) -> str:
        found: list[str] = []
        lines: list[tuple[str, ...]]
        if self.hours is not None:
            lines = [
                (str(r["source"]), r["target_lang"], f"{r['hours']:.2f} h", f"{r['utterances']:,}",
                 f"{r['passes']:.1f}")
                for r in self.hours.to_dict("records")
            ]  # fmt: skip
            found.append(
                table(
                    ("source", "locale", "trained on", "utterances", "passes"),
                    lines,
                    "Hours that the run consumes",
                )
            )
        if self.tokenizer is not None:
            lines = [
                (r["target_lang"], f"{r['unknown_share']:.2%}", f"{r['pieces_per_s']:.1f}",
                 r["unknown_characters"] or "none", f"{r['utterances_with_unknown']:,}")
                for r in self.tokenizer.to_dict("records")
            ]  # fmt: skip
            head = "locale", "unknown pieces", "pieces a second", "unknown characters", "utterances with any"
            found.append(table(head, lines, "What the tokenizer knows"))
        if self.style is not None and len(self.style):
            lines = [
                (r["target_lang"], f"{r['texts']:,}", _share(r["ends_in_mark"]), _share(r["begins_capital"]))
                for r in self.style.to_dict("records")
            ]
            found.append(
                table(
                    ("locale", "texts", "end in a mark", "begin with a capital"),
                    lines,
                    "How the texts are written",
                )
            )
        return "".join(found)


def _share(value: float) -> str:
    return "–" if value != value else f"{value:.0%}"


@public
def preflight(recipe: Recipe, *, folder: Path | None = None, measure_steps: int = 0) -> Preflight:
    """Check a recipe and foretell its run.

    Args:
        recipe: the recipe.
        folder: where the run will live; its disk is the one looked at.
        measure_steps: train this many steps of the plan in a process of their own, with validation and
            checkpoints, for time and memory: the heaviest step and others that stand for all; 8 tell them
            well. 0 only estimates memory, roughly.
    """
    from workbench.finetuning import plan, sounds
    from workbench.finetuning.base import base_of, notices, tokenizer_of

    found = Preflight(faults=problems(recipe))
    if found.faults:
        return found
    base = base_of(recipe)
    found.warnings += notices(recipe, base)
    sources = plan.read_training(recipe, found.left_out)
    rows = [row for source in sources for row in source]
    drawn = plan.draw(recipe, sources)
    found.hours = plan.consumed_hours(drawn)
    found.effective_peak = recipe.effective_peak()
    found.longest_s = max(row.duration_s for row in rows)
    found.tokenizer = tokenizer_coverage(rows, tokenizer_of(recipe, base))
    found.style = text_style(rows)
    pieces = tokenizer_of(recipe, base)
    silent, read = sounds.unusable(
        rows, lambda text: len(pieces.encode(text)) + 1, base.checkpoint.info.frame_ms / 1000
    )
    found.left_out += silent
    found.recordings_read = read, len(rows)
    if len(silent) == len(rows):
        found.faults.append(f"no utterance can be trained on; first: {silent[0]}")
    _take_stock(recipe, base, drawn, rows, folder or Path.cwd(), found)
    if measure_steps and not found.faults:
        _measure(recipe, measure_steps, drawn, found)
        found.faults += _memory_fault(found)
    judged = judge(recipe, base, found.hours, found.tokenizer, found.style)
    found.risks += judged.risks
    found.warnings += judged.notes
    return found


def tokenizer_coverage(rows: Sequence[Utterance], pieces: Any) -> pd.DataFrame:
    """Per locale: share of unknown tokens, pieces per second of audio, and which characters are unknown.

    More pieces a second than encoder frames (12.5) cannot be emitted by one token a frame.
    """
    unknown = pieces.unk_id()
    grouped: dict[str, list[Utterance]] = {}
    for row in rows:
        grouped.setdefault(row.locale, []).append(row)
    table = []
    for locale, own in sorted(grouped.items()):
        tokens = [pieces.encode(row.text) for row in own]
        total = sum(map(len, tokens))
        missing = Counter(
            character
            for row, ids in zip(own, tokens, strict=True)
            if unknown in ids
            for character in set(row.text)
            if unknown in pieces.encode(character)
        )
        table.append(
            {
                "target_lang": locale,
                "unknown_share": sum(ids.count(unknown) for ids in tokens) / max(1, total),
                "pieces_per_s": total / sum(row.duration_s for row in own),
                "unknown_characters": "".join(c for c, _ in missing.most_common(20)),
                "utterances_with_unknown": sum(unknown in ids for ids in tokens),
            }
        )
    return pd.DataFrame(table)


def text_style(rows: Sequence[Utterance]) -> pd.DataFrame:
    """Per locale: share of texts that end in a final mark and that begin with a capital.

    The published checkpoint writes both; texts without them teach it to drop them.
    """
    table = []
    for locale in sorted({row.locale for row in rows}):
        texts = [row.text for row in rows if row.locale == locale and row.text]
        if not texts:
            continue  # clips without speech only
        known = LOCALES.get(locale)
        marks = known.final_marks if known else ".?!"
        letters = [next((c for c in text if c.isalpha()), "") for text in texts]
        cased = known is None or known.cased
        table.append(
            {
                "target_lang": locale,
                "texts": len(texts),
                "ends_in_mark": sum(text[-1] in marks for text in texts) / len(texts) if marks else math.nan,
                "begins_capital": sum(c.isupper() for c in letters) / len(texts) if cased else math.nan,
            }
        )
    return pd.DataFrame(table)


def _take_stock(
    recipe: Recipe, base: Base, drawn: pd.DataFrame, rows: Sequence[Utterance], folder: Path, found: Preflight
) -> None:
    """What the run takes by its sizes, and whether this machine has it."""
    place, needed = resources.place_of(recipe), resources.disk(recipe, base)
    held = resources.weights(recipe, base)
    found.trained_weights, found.total_weights = held.trained, held.total
    found.device, found.memory_free_mb = place.device, place.free_mb
    found.memory_mb = resources.estimate_memory_mb(recipe, base, drawn, rows, place.device)
    found.disk_needed_mb, found.disk_free_mb = needed.folder_mb, resources.disk_free_mb(folder)
    found.faults += [*place.faults, *resources.disk_faults(needed, folder), *_memory_fault(found)]


def _memory_fault(found: Preflight) -> list[str]:
    if found.memory_mb <= found.memory_free_mb:
        return []
    what = f"the run takes {found.memory_mb:.0f} MB of memory, {found.memory_free_mb:.0f} MB are free"
    return [f"{what}: lower batch_s and max_duration_s, train an adapter or lora, or free some"]


def _measure(recipe: Recipe, steps: int, drawn: pd.DataFrame, found: Preflight) -> None:
    """Real steps, validations and checkpoints, by the real worker, on steps that stand for the real plan."""
    chosen = typical_steps(drawn, steps)
    steps = len(chosen)
    short = recipe.changed(
        steps=steps, warmup_steps=min(recipe.warmup_steps, steps - 1), validate_every=steps, save_every=steps
    )
    numbers = dict(zip(chosen, range(steps), strict=True))
    part = drawn[drawn["step"].isin(chosen)].assign(step=lambda rows: rows["step"].map(numbers))
    part = part.sort_values(["step", "part"], kind="stable").astype({"step": "int32"})
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="preflight-") as place:
        run = start(short, Path(place) / "run", check=False, drawn=part.reset_index(drop=True))
        state = run.wait()
        whole_s = time.monotonic() - began
        if state["status"] != "finished":
            found.faults.append(f"the measured steps ended: {state.get('message')} {state.get('hint', '')}")
            return
        train = run.metrics("train")
    found.measured = True
    found.step_s = float(statistics.median(train["step_s"].to_numpy(float)[1 if len(train) > 1 else 0 :]))
    found.validation_s = float(state.get("validation_s") or 0.0)
    heard = padded_seconds(part)[: len(train)], padded_seconds(drawn)
    if found.device == "cpu":
        # Seconds of the processor: other work on this machine stretches those of the clock, and not evenly.
        spent = float(state["processor_s"])
        found.processor_s = _whole(recipe, "processor_s", spent, train, state, heard)
        found.total_s = found.processor_s * whole_s / spent
    else:
        found.total_s = _whole(recipe, "s", whole_s, train, state, heard)
    found.memory_mb = float(state.get("peak_memory_mb") or train["memory_mb"].max())
    if found.device == "cpu":  # a few steps have read little of the audio that the whole run will hold
        found.memory_mb += resources.audio_mb(recipe, drawn) - resources.audio_mb(recipe, part)


def _whole(
    recipe: Recipe, unit: str, probe_s: float, train: pd.DataFrame, state: Any, heard: tuple[Any, Any]
) -> float:
    """Seconds of the whole run: start and end, steps as long as the plan's batches make them, validations,
    saving.

    Args:
        unit: 's' of the clock, or 'processor_s'.
        probe_s: of the measured run from start to end, ``train`` its steps.
        heard: padded seconds of audio of each measured step, and of each of the whole run.
    """
    validation_s, save_s = (float(state.get(f"{what}_{unit}") or 0.0) for what in ("validation", "save"))
    # The first step compiles and allocates: it is paid once, as the start is.
    times, used = train[f"step_{unit}"].to_numpy(float), slice(1 if len(train) > 1 else 0, None)
    measured_s = _steps_s(times[used], heard[0][used], heard[0]) + save_s
    once = probe_s - measured_s - (2 * validation_s if recipe.validation else 0.0)
    passes = math.ceil(recipe.steps / recipe.validate_every) + 1 + (recipe.average_best > 1)
    return (
        max(0.0, once)
        + _steps_s(times[used], heard[0][used], heard[1])
        + (passes * validation_s if recipe.validation else 0.0)
        + math.ceil(recipe.steps / recipe.save_every) * save_s
    )


def typical_steps(plan: pd.DataFrame, count: int) -> list[int]:
    """Steps of a plan that stand for all of it: first the one that takes the most memory (the longest
    utterances, squared: a joint grows with frames times labels), then evenly spaced by padded length."""
    weight = (plan["duration_s"] ** 2).groupby([plan["step"], plan["part"]]).sum().groupby("step").max()
    heaviest = int(weight.idxmax())
    rest = np.argsort(padded_seconds(plan), kind="stable")
    rest = rest[rest != heaviest]
    more = min(count - 1, len(rest))
    places = ((np.arange(more) + 0.5) * len(rest) / max(more, 1)).astype(int)
    # Not in the order of their length: a machine that warms up would pass for one.
    order = np.random.default_rng(0).permutation(more)
    return [heaviest, *(int(rest[places[at]]) for at in order)]


def _steps_s(times: Any, padded: Any, whole: Any) -> float:
    """Seconds of all steps: a part that each step takes and one by its padded length, where enough were
    measured to tell them apart; else by length alone. One slow step does not decide (Theil and Sen)."""
    if len(times) >= 4:
        slope, base, *_ = stats.theilslopes(times, padded)
        if slope >= 0 and base >= 0:
            return float(base * len(whole) + slope * whole.sum())
    return float(times.sum() / padded.sum() * whole.sum())


def padded_seconds(plan: pd.DataFrame) -> Any:
    """Seconds of audio of each step, padding included: each batch counts its longest utterance for all."""
    batches = plan.groupby(["step", "part"])["duration_s"].agg(["max", "size"])
    return (batches["max"] * batches["size"]).groupby("step").sum().to_numpy(float)
