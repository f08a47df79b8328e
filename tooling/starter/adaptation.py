"""The demonstration: adapt the starter to Greek and Bulgarian, with and without replay: full, adapter, LoRA.

Each run is a real one of ``workbench.finetuning``; what it gained and what it cost is measured on test
sentences that neither the starter nor the run heard. ``docs/evidence/adaptation.json`` holds the figures,
``table`` is the README's.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tooling.starter.features import read_rows
from tooling.starter.recordings import SCARCE_LOCALES, apart
from workbench.errors import WorkbenchError
from workbench.evaluation import score_predictions
from workbench.files import sha256_file, write_atomic
from workbench.finetuning import provenance
from workbench.finetuning.folder import now
from workbench.finetuning.presets import preset
from workbench.finetuning.recipe import Recipe
from workbench.finetuning.run import Run, absolute, start
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.transcribe import transcribe
from workbench.starter_files import CHECKPOINT, CORPUS, MANIFEST
from workbench.workspace.slots import hold_slot

log = logging.getLogger("tooling.starter")
OTHERS_EACH = 60  # test clips of every locale that is not the target
RATES = {"adapter": 3e-3, "lora": 2e-3}
"""Of what starts from nothing; the preset's is for weights that can read."""
REPLAY_WEIGHT = 2.0  # hours of the other locales to one of the target
METRICS = ("wer", "cer")
FIGURES = ["rate_a", "rate_b", "difference", "low", "high", "p_holm", "utterances"]


def variants(only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Every run of the demonstration: locale, what trains, replay or not.

    Args:
        only: locales or names such as ``el-GR-adapter-replay``; none means all.

    Raises:
        WorkbenchError: nothing is called so.
    """
    every: list[dict[str, Any]] = [
        {"locale": locale, "trains": trains, "replay": replay}
        for locale in SCARCE_LOCALES
        for replay in (True, False)
        for trains in ("full", "adapter", "lora")
    ]
    known = {variant["locale"] for variant in every} | {name_of(variant) for variant in every}
    for name in only:
        if name not in known:
            raise WorkbenchError(f"no variant {name!r}", hint=f"There are {', '.join(sorted(known))}.")
    return [v for v in every if not only or v["locale"] in only or name_of(v) in only]


def unheard(rows: Sequence[dict[str, Any]], locale: str, each: int) -> list[dict[str, Any]]:
    """All test clips of the target and ``each`` of every other locale, spread over the manifest's order;
    of those whose recording is not in the train split too (``recordings.apart``)."""
    test = apart(list(rows), CORPUS)
    taken = []
    for tag in sorted({row["target_lang"] for row in test}):
        own = [row for row in test if row["target_lang"] == tag]
        taken += own if tag == locale else own[:: max(1, len(own) // each)][:each]
    return taken


def name_of(variant: Mapping[str, Any]) -> str:
    return f"{variant['locale']}-{variant['trains']}-{'replay' if variant['replay'] else 'alone'}"


def recipe_of(variant: Mapping[str, Any], changes: Mapping[str, Any] | None = None) -> Recipe:
    """What a variant trains with: the preset, and an adapter's own rate."""
    trains = variant["trains"]
    own: dict[str, Any] = {"learning_rate": RATES[trains]} if trains in RATES else {}
    made = preset(
        "cpu",
        str(CHECKPOINT),
        str(MANIFEST),
        variant["locale"],
        run_name=name_of(variant),
        replay_weight=REPLAY_WEIGHT if variant["replay"] else 0.0,
        trains=trains,
        **own,
    )
    changed = made.changed(**(changes or {}))
    return changed.changed(warmup_steps=min(changed.warmup_steps, changed.steps // 2))


def run_one(
    variant: Mapping[str, Any], folder: Path, changes: Mapping[str, Any], timeout_s: float | None = None
) -> dict[str, Any]:
    """Train one variant in ``folder`` (or go on with it), measure it, and return its figures.

    Raises:
        WorkbenchError: the run ended otherwise than finished (its log's tail is in the message), or the
            folder holds one of another base or recipe.
    """
    name, recipe = name_of(variant), recipe_of(variant, changes)
    held, place = folder / f"{name}.json", folder / "runs" / name
    if held.is_file():
        found: dict[str, Any] = json.loads(held.read_text("utf-8"))
        return _same_base(found, held)
    if (place / "state.json").is_file():
        run = Run.attach(place)
        if run.recipe != absolute(recipe):
            raise WorkbenchError(
                "the folder holds a run of another recipe", where=str(place), hint="Name another --folder."
            )
        run = run if run.alive or run.state["status"] == "finished" else run.resume()
    else:
        run = start(recipe, place, slots=folder / "slots", slot_count=2)
    ended = run.wait(timeout_s)
    if ended["status"] != "finished":
        raise WorkbenchError(f"the run {ended['status']}", where=str(place), hint=run.log_tail(5))
    figures = {
        **variant,
        "base_sha256": provenance.read(run.folder)["base"]["sha256"],
        "steps": recipe.steps,
        "chosen": ended["chosen"],
        "minutes": round(ended["busy_s"] / 60, 1),
        "processor_minutes": round(ended["processor_s"] / 60, 1),
        "consumed_hours": ended["consumed_hours"],
        "trained_weights": ended["weights"]["trained"],
        "peak_memory_mb": ended["peak_memory_mb"],
        "saved_mb": _saved_mb(run),
    }
    with hold_slot(folder / "measuring", 1):  # the starter's predictions are shared
        rows = unheard(read_rows(MANIFEST), variant["locale"], OTHERS_EACH)
        figures |= _measure(run.checkpoint_path, rows, held)
    write_atomic(held, json.dumps(figures, ensure_ascii=False, indent=1) + "\n")
    return figures


def _saved_mb(run: Run) -> dict[str, float]:
    """Sizes of what a run leaves: what is swapped in (all of it, where the weights themselves were trained),
    the checkpoint, and the state that a resume reads."""
    own = run.checkpoint_path.with_suffix(".adapter.pt")
    files = {"to_swap": own if own.is_file() else run.checkpoint_path, "checkpoint": run.checkpoint_path}
    files["to_resume"] = run.folder.last
    return {name: round(path.stat().st_size / 1e6, 3) for name, path in files.items()}


def _same_base(figures: dict[str, Any], where: Path) -> dict[str, Any]:
    if figures["base_sha256"] != sha256_file(CHECKPOINT):
        raise WorkbenchError(
            "these figures are of another base checkpoint", where=str(where), hint="Name another --folder."
        )
    return figures


def _measure(tuned: Path, rows: list[dict[str, Any]], held: Path) -> dict[str, Any]:
    """Paired differences to the starter by locale, WER and CER, with the locale given; predictions are kept
    beside ``held``, the starter's under its digest for the next variant."""
    tables = {}
    for label, path in (("base", CHECKPOINT), ("tuned", tuned)):
        checkpoint = Checkpoint.open(path)
        digest = hashlib.sha256(repr([row["id"] for row in rows]).encode()).hexdigest()[:8]
        out = held.with_name(
            f"{held.stem if label == 'tuned' else 'base'}-{checkpoint.sha256[:8]}-{digest}.parquet"
        )
        transcribe(checkpoint, rows, CORPUS, out)
        tables[label] = pd.read_parquet(out)
    scored = score_predictions(pd.DataFrame(rows), tables, by=("target_lang",))
    found: dict[str, Any] = {"test_clips": len(rows)}
    for metric in METRICS:
        table = scored.compare("base", "tuned", by=("target_lang",), metric=metric)  # type: ignore[arg-type]
        found[metric] = json.loads(table.set_index("target_lang")[FIGURES].round(4).to_json(orient="index"))
    return found


def demonstrate(
    folder: Path,
    target: Path,
    chosen: Sequence[Mapping[str, Any]] | None = None,
    changes: Mapping[str, Any] | None = None,
    cancel: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """The chosen variants (all by default) one after the other; ``target`` is written after each, with what
    other calls left in ``folder``. A stopped call goes on; calls for different variants may run at once."""
    folder.mkdir(parents=True, exist_ok=True)
    for variant in variants() if chosen is None else chosen:
        if cancel():
            break
        run_one(variant, folder, changes or {})
        write(finished(folder), target)
    return finished(folder)


def finished(folder: Path) -> list[dict[str, Any]]:
    """Figures of all variants that ``folder`` holds, in the order of ``variants``."""
    held = [folder / f"{name_of(variant)}.json" for variant in variants()]
    return [_same_base(json.loads(path.read_text("utf-8")), path) for path in held if path.is_file()]


def write(figures: Sequence[Mapping[str, Any]], target: Path) -> None:
    """The evidence file: what was run, on what, by which commit, and all figures."""
    facts = {
        "schema_version": 1,
        "base_sha256": sha256_file(CHECKPOINT),
        "made_at": now(),
        "git": provenance.git_state(Path(__file__).parent),
        "machine": provenance.environment(),
        "runs": list(figures),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, json.dumps(facts, ensure_ascii=False, indent=1) + "\n")


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
    header = ["locale", "what trains", "replay", "minutes (of processor)"]
    header += ["WER before → after (difference, 95 %)", "relative", "CER", "other locales, mean WER"]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for run in runs:
        wer, cer = run["wer"][run["locale"]], run["cer"][run["locale"]]
        lines.append(
            f"| {run['locale']} | {run['trains']} | {'yes' if run['replay'] else 'no'} "
            f"| {run['minutes']:.0f} ({run['processor_minutes']:.0f}) "
            f"| {100 * wer['rate_a']:.0f} → {100 * wer['rate_b']:.0f} % ({100 * wer['difference']:+.0f}: "
            f"{100 * wer['low']:+.0f} to {100 * wer['high']:+.0f}) | {100 * relative(run):+.0f} % "
            f"| {100 * cer['rate_a']:.0f} → {100 * cer['rate_b']:.0f} % "
            f"| {100 * forgotten(run):+.1f} points |"
        )
    return "\n".join(lines)


def costs(runs: Sequence[Mapping[str, Any]]) -> str:
    """What each way of training takes and leaves, in Markdown."""
    header = ["locale", "what trains", "weights trained", "minutes of processor", "peak memory"]
    header += ["file to swap", "state to resume", "CER before → after", "other locales, mean WER"]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for run in runs:
        cer, saved, spent = run["cer"][run["locale"]], run["saved_mb"], run["processor_minutes"]
        lines.append(
            f"| {run['locale']} | {run['trains']} | {run['trained_weights']:,} | {spent:.1f} "
            f"| {run['peak_memory_mb']:.0f} MB | {saved['to_swap']:.1f} MB | {saved['to_resume']:.1f} MB "
            f"| {100 * cer['rate_a']:.0f} → {100 * cer['rate_b']:.0f} % "
            f"({100 * cer['low']:+.0f} to {100 * cer['high']:+.0f}) | {100 * forgotten(run):+.1f} points |"
        )
    return "\n".join(lines)


def matrix(runs: Sequence[Mapping[str, Any]]) -> str:
    """The forgetting matrix in Markdown: what each run did to the WER of every locale, in points; ``*`` where
    the 95 % interval of the paired difference leaves zero out."""
    locales = sorted({tag for run in runs for tag in run["wer"]})
    lines = [f"| run | {' | '.join(locales)} |", "|---" * (len(locales) + 1) + "|"]
    for run in runs:
        cells = [_cell(run["wer"].get(tag)) for tag in locales]
        lines.append(f"| {name_of(run)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(figures: Mapping[str, Any] | None) -> str:
    if figures is None or figures["difference"] is None:
        return ""
    sure = None not in (figures["low"], figures["high"]) and figures["low"] * figures["high"] > 0
    return f"{100 * figures['difference']:+.1f}{'*' if sure else ''}"
