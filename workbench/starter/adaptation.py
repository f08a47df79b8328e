"""The demonstration: adapt the starter to Greek and to Bulgarian, with and without replay, full or adapter.

Each run is a real one of ``workbench.finetuning``; what it gained and what it cost is measured on test
sentences that neither the starter nor the run heard. ``docs/evidence/adaptation.json`` holds the figures,
``table`` is the README's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.evaluation import evaluate
from workbench.finetuning.presets import preset
from workbench.finetuning.run import Run, start
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.transcribe import transcribe
from workbench.starter import CHECKPOINT, CORPUS, MANIFEST
from workbench.starter.features import read_rows
from workbench.starter.recordings import SCARCE_LOCALES

log = logging.getLogger("workbench.starter")
OTHERS_EACH = 60  # test clips of every locale that is not the target
METRICS = ("wer", "cer")
FIGURES = ["rate_a", "rate_b", "difference", "low", "high", "p_holm", "utterances"]


def variants(targets: Sequence[str] = SCARCE_LOCALES) -> list[dict[str, Any]]:
    """Every run of the demonstration: locale, what trains, replay or not."""
    return [
        {"locale": locale, "trains": trains, "replay": replay}
        for locale in targets
        for replay in (True, False)
        for trains in ("full", "adapter")
    ]


def unheard(rows: Sequence[dict[str, Any]], locale: str, each: int) -> list[dict[str, Any]]:
    """All test clips of the target and ``each`` of every other locale, spread over the manifest's order."""
    taken = []
    for tag in sorted({row["target_lang"] for row in rows}):
        own = [row for row in rows if row["target_lang"] == tag and row["split"] == "test"]
        taken += own if tag == locale else own[:: max(1, len(own) // each)][:each]
    return taken


def run_one(
    variant: Mapping[str, Any], folder: Path, changes: Mapping[str, Any], timeout_s: float | None = None
) -> dict[str, Any]:
    """Train one variant in ``folder`` (or go on with it), measure it, and return its figures.

    Raises:
        WorkbenchError: the run ended otherwise than finished; its log's tail is in the message.
    """
    locale = variant["locale"]
    name = f"{locale}-{variant['trains']}-{'replay' if variant['replay'] else 'alone'}"
    held = folder / f"{name}.json"
    if held.is_file():
        found: dict[str, Any] = json.loads(held.read_text("utf-8"))
        return found
    rates = {"learning_rate": 3e-3} if variant["trains"] == "adapter" else {}
    recipe = preset(
        "quick_cpu",
        str(CHECKPOINT),
        str(MANIFEST),
        locale,
        run_name=name,
        replay_weight=1.0 if variant["replay"] else 0.0,
        trains=variant["trains"],
        **{**rates, **changes},
    )
    place = folder / "runs" / name
    if (place / "recipe.yaml").is_file():
        run = Run.attach(place)
        run = run if run.alive or run.state["status"] == "finished" else run.resume()
    else:
        run = start(recipe, place, slots=folder / "slots", slot_count=2)
    ended = run.wait(timeout_s)
    if ended["status"] != "finished":
        raise WorkbenchError(f"the run {ended['status']}", where=str(place), mend=run.log_tail(5))
    figures = {
        **variant,
        "steps": recipe.steps,
        "minutes": round(_minutes(run), 1),
        **_measure(run.checkpoint_path, unheard(read_rows(MANIFEST), locale, OTHERS_EACH), folder, name),
    }
    held.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return figures


def _minutes(run: Run) -> float:
    at = run.metrics()["at"]
    return float(at.max() - at.min()) / 60


def _measure(tuned: Path, rows: list[dict[str, Any]], folder: Path, name: str) -> dict[str, Any]:
    """Paired differences to the starter by locale, WER and CER, with the locale given."""
    frame = pd.DataFrame(rows)
    tables = {}
    for label, path in (("base", CHECKPOINT), ("tuned", tuned)):
        checkpoint = Checkpoint.open(path)
        locale = name.rsplit("-", 2)[0]
        out = folder / f"{f'base-{locale}-{checkpoint.sha256[:8]}' if label == 'base' else name}.parquet"
        transcribe(checkpoint, rows, CORPUS, out)
        tables[label] = pd.read_parquet(out)
    scored = evaluate(frame, tables, by=("target_lang",))
    found: dict[str, Any] = {"test_clips": len(rows)}
    for metric in METRICS:
        table = scored.compare("base", "tuned", by=("target_lang",), metric=metric)  # type: ignore[arg-type]
        found[metric] = json.loads(table.set_index("target_lang")[FIGURES].round(4).to_json(orient="index"))
    return found


def demonstrate(
    folder: Path,
    target: Path,
    targets: Sequence[str] = SCARCE_LOCALES,
    changes: Mapping[str, Any] | None = None,
    cancel: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """All variants one after the other; ``target`` is written after each. A stopped call goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    done: list[dict[str, Any]] = []
    for variant in variants(targets):
        if cancel():
            break
        done.append(run_one(variant, folder, changes or {}))
        write(done, target)
    return done


def write(figures: Sequence[Mapping[str, Any]], target: Path) -> None:
    sha256 = Checkpoint.open(CHECKPOINT).sha256
    text = json.dumps(
        {"schema_version": 1, "base_sha256": sha256, "runs": list(figures)}, ensure_ascii=False, indent=1
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n", encoding="utf-8")


def relative(run: Mapping[str, Any], metric: str = "wer") -> float:
    """Relative change of the target's rate: -0.3 is 30 % fewer errors."""
    cell = run[metric][run["locale"]]
    return float(cell["difference"] / cell["rate_a"])


def forgotten(run: Mapping[str, Any], metric: str = "wer") -> float:
    """Mean change of the other locales' rates, as a fraction: 0.02 is two points worse."""
    others = [cell["difference"] for tag, cell in run[metric].items() if tag != run["locale"]]
    return float(sum(others) / len(others))


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """The README's table in Markdown."""
    header = (
        *("locale", "what trains", "replay", "minutes", "WER before → after (difference, 95 %)"),
        *("relative", "CER", "other locales, mean WER"),
    )
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for run in runs:
        wer, cer = run["wer"][run["locale"]], run["cer"][run["locale"]]
        lines.append(
            f"| {run['locale']} | {run['trains']} | {'yes' if run['replay'] else 'no'} "
            f"| {run['minutes']:.0f} "
            f"| {100 * wer['rate_a']:.0f} → {100 * wer['rate_b']:.0f} % ({100 * wer['difference']:+.0f}: "
            f"{100 * wer['low']:+.0f} to {100 * wer['high']:+.0f}) | {100 * relative(run):+.0f} % "
            f"| {100 * cer['rate_a']:.0f} → {100 * cer['rate_b']:.0f} % "
            f"| {100 * forgotten(run):+.1f} points |"
        )
    return "\n".join(lines)
