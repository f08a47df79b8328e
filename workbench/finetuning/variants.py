"""One adapter per locale against one checkpoint for all: error rates, what each costs to keep and serve."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.ingest.audio import Roots

if TYPE_CHECKING:
    import pandas as pd

    from workbench.finetuning.run import Run

SWAPS = 20


@dataclass(frozen=True)
class Variants:
    """Attributes:
    rates: one row per locale and variant (base, shared, adapter): WER with its 95 % interval.
    costs: one row per variant: files to govern, MB on disk, MB of weights in memory, seconds to load, and to
        change from one locale to the next (median, least, most).
    """

    rates: pd.DataFrame
    costs: pd.DataFrame

    def _repr_html_(self) -> str:
        tables = (self.rates.round(4), self.costs.round(4))
        return "".join(table.to_html(index=False) for table in tables)


def compare_variants(
    adapted: Mapping[str, Run],
    shared: Path,
    rows: Sequence[Mapping[str, Any]],
    audio_root: Roots,
    folder: Path,
) -> Variants:
    """Measure both ways of serving several locales.

    Args:
        adapted: locale → a finished run with ``trains: adapter``; all on one base.
        shared: the one checkpoint trained on all of them.
        rows: utterance rows of these locales, heard by none of the runs; audio_root: where their audio lies.
        folder: where predictions are kept.

    Raises:
        WorkbenchError: a run has no adapter or checkpoint yet, or the bases differ.
    """
    import pandas as pd

    from workbench.evaluation import score_predictions
    from workbench.finetuning.adapters import AdapterBank
    from workbench.finetuning.base import read_base
    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.transcribe import transcribe

    folder.mkdir(parents=True, exist_ok=True)
    base = read_base(next(iter(adapted.values())).recipe.base)
    files = {tag: run.checkpoint_path.with_suffix(".adapter.pt") for tag, run in adapted.items()}
    bank = AdapterBank(base, files)
    rates = []
    for tag, run in adapted.items():
        own = [row for row in rows if row["target_lang"] == tag]
        tables = {}
        for name, path in (("base", base.path), ("shared", shared), ("adapter", run.checkpoint_path)):
            checkpoint = Checkpoint.open(path)
            out = folder / f"{tag}-{name}-{checkpoint.sha256[:8]}.parquet"
            tables[name] = transcribe(checkpoint, own, audio_root, out)
        found = score_predictions(pd.DataFrame(own), tables, by=())
        for name in tables:
            row = found.overall(name, "wer")
            kept = {key: row[key] for key in ("rate", "low", "high", "utterances")}
            rates.append({"target_lang": tag, "variant": name, **kept})
    return Variants(pd.DataFrame(rates), pd.DataFrame(_costs(base, bank, files, shared)))


def _costs(base: Any, bank: Any, files: Mapping[str, Path], shared: Path) -> list[dict[str, Any]]:
    from workbench.finetuning.adapters import restore
    from workbench.finetuning.base import read_base

    began = time.perf_counter()
    model = restore(read_base(shared), "cpu")
    load_s = time.perf_counter() - began
    weights = sum(p.numel() for p in model.parameters())
    tags = list(files)
    swaps = [bank.use(tags[number % len(tags)]) for number in range(SWAPS)]
    held = sum(p.numel() for p in bank.model.parameters())
    held += sum(adapter.parameters for adapter in bank.adapters.values())
    disk = [base.path, *files.values()]
    return [
        {
            "variant": "one shared checkpoint",
            "artifacts": 1,
            "disk_mb": shared.stat().st_size / 1e6,
            "memory_mb": 4 * weights / 1e6,
            "load_s": load_s,
            "swap_s": 0.0,
            "swap_least_s": 0.0,
            "swap_most_s": 0.0,
        },
        {
            "variant": "one adapter a locale",
            "artifacts": len(disk),
            "disk_mb": sum(path.stat().st_size for path in disk) / 1e6,
            "memory_mb": 4 * held / 1e6,
            "load_s": bank.load_s,
            "swap_s": statistics.median(swaps),
            "swap_least_s": min(swaps),
            "swap_most_s": max(swaps),
        },
    ]
