"""How to serve several locales: one checkpoint for all, an adapter a locale, or a checkpoint a locale.

Decided on a suite: paired differences in each locale's own metric, and what each way costs to keep and serve.
"""

from __future__ import annotations

import html
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.evaluation import readings
from workbench.finetuning.adapters import AdapterBank, restore
from workbench.finetuning.base import read_base
from workbench.finetuning.run import Run
from workbench.glance import Glance, as_html, as_text, counted, table
from workbench.recognizer.checkpoint import Checkpoint
from workbench.signatures import public
from workbench.suites.run import SuiteRun, run_suite
from workbench.suites.store import Suite

SWAPS = 20
SHARED, ADAPTER, OWN = "one shared checkpoint", "one adapter a locale", "one checkpoint a locale"
ORDER = (SHARED, ADAPTER, OWN)
"""From the cheapest to keep to the dearest."""
_WORDS = {readings.BETTER: "better", readings.WORSE: "worse"}


@public
@dataclass(frozen=True)
class Variants:
    """Attributes:
    rates: one row per locale and variant (``base`` too): ``rate, low, high, metric, utterances``.
    differences: one row per locale and pair of variants, the second minus the first: ``first, second,
        difference, low, high, verdict, metric``.
    costs: one row per variant: files to govern, MB on disk, MB of weights in memory, seconds to load, and to
        change from one locale to the next (median, least, most); ``streams`` where capacity was measured.
    recommended: a variant, or None where the data do not decide; ``reasons``: why, one sentence each.
    """

    rates: pd.DataFrame
    differences: pd.DataFrame
    costs: pd.DataFrame
    recommended: str | None
    reasons: tuple[str, ...]

    def _glance(self) -> Glance:
        first, *others = self.reasons or ("",)
        said = f"Recommended: {self.recommended}" if self.recommended else "No recommendation"
        sentence = f"{said}: {first.removeprefix(f'{self.recommended}: ')}." if first else f"{said}."
        rows = [
            (
                str(row["target_lang"]), str(row["variant"]), readings.percent(row["rate"]),
                "none" if row["low"] != row["low"] else
                f"{readings.percent(row['low']).removesuffix(' %')} to {readings.percent(row['high'])}",
                str(row["metric"]).upper(), readings.TOO_FEW if row["enough"] == "no" else "",
            )
            for row in self.rates.to_dict("records")
        ]  # fmt: skip
        head = ("locale", "variant", "error rate", "interval", "metric", "reading")
        reasons = f"<ul>{''.join(f'<li>{html.escape(reason)}</li>' for reason in others)}</ul>"
        more = f"{reasons}{self._shown_differences()}{self._shown_costs()}"
        return Glance(sentence, head, rows, more=more, about="reasons, differences, costs")

    def _shown_differences(self) -> str:
        rows = []
        for row in self.differences.to_dict("records"):
            least, most, middle = (
                "–" if row[name] != row[name] else readings.points(row[name])
                for name in ("low", "high", "difference")
            )
            span = f"{least.removesuffix(' points')} to {most}"
            pair = f"{row['second']} against {row['first']}"
            because = str(row["because"] or "")
            rows.append((str(row["target_lang"]), pair, middle, span, str(row["verdict"]), because))
        return table(("locale", "variants", "difference", "interval", "reading", "because"), rows)

    def _shown_costs(self) -> str:
        head = ("variant", "files", "on disk", "in memory", "to load", "to change the locale")
        rows = [
            (
                str(row["variant"]), f"{row['artifacts']:,}", f"{row['disk_mb']:,.0f} MB",
                f"{row['memory_mb']:,.0f} MB", f"{row['load_s']:.1f} s", f"{1000 * row['swap_s']:.1f} ms",
            )
            for row in self.costs.to_dict("records")
        ]  # fmt: skip
        return table(head, rows)

    __repr__, _repr_html_ = as_text, as_html


def compare_variants(
    suite: Suite,
    shared: Checkpoint,
    *,
    adapters: Mapping[str, Run] | None = None,
    own: Mapping[str, Checkpoint] | None = None,
    base: Checkpoint | None = None,
    streams: Mapping[str, int] | None = None,
) -> Variants:
    """Measure ways of serving several locales on one suite and recommend one.

    Args:
        shared: the one checkpoint trained on all of them.
        adapters: locale → a finished run with ``trains: adapter`` or ``lora``; all on one base.
        own: locale → a checkpoint of its own.
        base: shown beside them; default: the adapters' base.
        streams: variant → streams that one machine holds, from a capacity sweep.

    Raises:
        WorkbenchError: neither adapters nor checkpoints, a run has no adapter yet, the bases differ, or the
            suite lacks clips of a locale.
    """
    adapters, own = dict(adapters or {}), dict(own or {})
    locales = sorted({*adapters, *own})
    if not locales:
        raise WorkbenchError(
            "nothing to compare with", hint="Give adapters={tag: run} or own={tag: checkpoint}."
        )
    checkpoints = {"shared": shared}
    checkpoints |= {f"adapter-{tag}": Checkpoint.open(run.checkpoint_path) for tag, run in adapters.items()}
    checkpoints |= {f"own-{tag}": checkpoint for tag, checkpoint in own.items()}
    if base is None and adapters:
        base = Checkpoint.open(next(iter(adapters.values())).recipe.base)
    checkpoints |= {"base": base} if base is not None else {}
    run = run_suite(suite, checkpoints, points=[suite.latest.points[0].name])
    engines = {tag: _engines(tag, checkpoints) for tag in locales}
    rates = _rates(run, engines)
    differences = _differences(run, engines)
    files = {tag: made.checkpoint_path.with_suffix(".adapter.pt") for tag, made in adapters.items()}
    costs = _costs(read_base(base.path) if base is not None else None, files, shared.path, own)
    if streams:
        costs["streams"] = [streams.get(str(variant)) for variant in costs["variant"]]
    recommended, reasons = recommend(differences, costs)
    return Variants(rates, differences, costs, recommended, reasons)


def _engines(tag: str, checkpoints: Mapping[str, Checkpoint]) -> dict[str, str]:
    """Variant → the engine of the run that reads a locale under it."""
    named = (("base", "base"), (SHARED, "shared"), (ADAPTER, f"adapter-{tag}"), (OWN, f"own-{tag}"))
    return {variant: engine for variant, engine in named if engine in checkpoints}


def _rates(run: SuiteRun, engines: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Each variant in each locale, in the locale's own metric (characters in ja, ko, th, zh)."""
    evaluation, records = run.evaluation(run.points[0]), []
    for tag, variants in engines.items():
        for variant, engine in variants.items():
            rated = evaluation.rates(engine, "target_lang", run.points[0].metric)
            own = rated[rated["target_lang"] == tag].to_dict("records")
            if not own:
                raise WorkbenchError(f"no clips of {tag}", where=f"suite {run.suite.name}")
            kept = {key: own[0][key] for key in ("rate", "low", "high", "metric", "utterances", "enough")}
            records.append({"target_lang": tag, "variant": variant, **kept})
    return pd.DataFrame(records)


def _differences(run: SuiteRun, engines: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Every dearer variant against every cheaper one, paired, in each locale."""
    records = []
    for tag, variants in engines.items():
        chosen = [variant for variant in ORDER if variant in variants]
        for place, first in enumerate(chosen):
            for second in chosen[place + 1 :]:
                found = _difference(run, tag, variants[first], variants[second])
                records.append({"target_lang": tag, "first": first, "second": second, **found})
    return pd.DataFrame(records)


def _difference(run: SuiteRun, tag: str, first: str, second: str) -> dict[str, Any]:
    if run.checkpoints[first] == run.checkpoints[second]:
        nothing = {"difference": 0.0, "low": 0.0, "high": 0.0, "metric": None}
        return {"verdict": "no difference shown", **nothing, "because": "one checkpoint"}
    compared = run.compare(first, second, point=run.points[0])
    row = compared[compared["target_lang"] == tag].to_dict("records")[0]
    verdict = "not enough data"
    if row["enough"] != "no" and row["low"] == row["low"]:
        verdict = _WORDS.get(readings.direction(row), "no difference shown")
    kept = {key: row[key] for key in ("difference", "low", "high", "metric", "because")}
    return {"verdict": verdict, **kept}


def recommend(differences: pd.DataFrame, costs: pd.DataFrame) -> tuple[str | None, tuple[str, ...]]:
    """The cheapest variant that no dearer one is shown to beat in any locale, with the reasons."""
    rows = differences.to_dict("records")
    reasons = []
    for row in rows:
        if row["verdict"] in ("better", "worse"):
            span = f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
            reasons.append(
                f"{row['target_lang']}: {row['second']} is {row['verdict']} than {row['first']} by "
                f"{abs(100 * row['difference']):.1f} points {str(row['metric']).upper()} ({span})"
            )
    open_ = sorted({str(row["target_lang"]) for row in rows if row["verdict"] == "not enough data"})
    for row in costs.to_dict("records"):
        files = counted(int(row["artifacts"]), "file")
        reasons.append(
            f"{row['variant']}: {files}, {row['memory_mb']:.0f} MB in memory, "
            f"{1000 * row['swap_s']:.1f} ms to change the locale"
        )
    if open_:
        return None, (f"not enough data in {', '.join(open_)}", *reasons)
    there = [variant for variant in ORDER if variant in set(costs["variant"])]
    for variant in there:
        beaten = [r for r in rows if r["first"] == variant and r["verdict"] == "better"]
        if not beaten:
            return variant, (f"{variant}: the cheapest that no other is shown to beat", *reasons)
    return there[-1], tuple(reasons)


def _costs(base: Any, files: Mapping[str, Path], shared: Path, own: Mapping[str, Checkpoint]) -> pd.DataFrame:
    began = time.perf_counter()
    model = restore(read_base(shared), "cpu")
    load_s = time.perf_counter() - began
    weights_mb = 4 * sum(p.numel() for p in model.parameters()) / 1e6
    records = [_cost(SHARED, [shared], weights_mb, load_s, [0.0])]
    if files:
        bank = AdapterBank(base, files)
        tags = list(files)
        swaps = [bank.use(tags[number % len(tags)]) for number in range(SWAPS)]
        held = sum(p.numel() for p in bank.model.parameters())
        held += sum(adapter.parameters for adapter in bank.adapters.values())
        records.append(_cost(ADAPTER, [base.path, *files.values()], 4 * held / 1e6, bank.load_s, swaps))
    if own:
        # All stay loaded: changing the locale is a choice among them.
        count = len(own)
        records.append(_cost(OWN, [c.path for c in own.values()], count * weights_mb, count * load_s, [0.0]))
    return pd.DataFrame(records)


def _cost(
    variant: str, disk: list[Path], memory_mb: float, load_s: float, swaps: list[float]
) -> dict[str, Any]:
    return {
        "variant": variant,
        "artifacts": len(disk),
        "disk_mb": sum(path.stat().st_size for path in disk) / 1e6,
        "memory_mb": memory_mb,
        "load_s": load_s,
        "swap_s": statistics.median(swaps),
        "swap_least_s": min(swaps),
        "swap_most_s": max(swaps),
    }
