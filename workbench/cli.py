"""``python -m workbench VERB``: the public calls from a shell. Exit code 2: a fault that is explained."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from workbench.cluster import ENGINES
from workbench.errors import WorkbenchError


def parser() -> argparse.ArgumentParser:
    """The command line; every verb is a method of the public face."""
    top = argparse.ArgumentParser(prog="python -m workbench", description=__doc__)
    top.add_argument("--workspace", help="folder; default WORKBENCH_WORKSPACE, then ./workspace")
    verbs = top.add_subparsers(dest="verb", required=True)

    lab = verbs.add_parser("lab", help="open JupyterLab on the notebooks")
    lab.add_argument("--port", type=int, default=8888)

    notebooks = verbs.add_parser("notebooks", help="run the notebooks headless, in order; write HTML")
    notebooks.add_argument("names", nargs="*", help="only these, such as 01_curate")
    notebooks.add_argument("--out", type=Path, default=Path("build/notebooks"))

    imports = verbs.add_parser("import", help="import recordings as a corpus")
    imports.add_argument("name")
    imports.add_argument("source", help="manifest, folder, CSV, Parquet, saved data set")

    scan = verbs.add_parser("scan", help="measure level, noise, band and silence of every recording")
    scan.add_argument("corpus")
    scan.add_argument("--where", help="only utterances that this SQL expression is true for")
    scan.add_argument("--processes", type=int, help="on this machine; default one per core")
    _add_engine(scan)

    transcribe = verbs.add_parser("transcribe", help="transcribe a corpus with a checkpoint")
    transcribe.add_argument("corpus")
    transcribe.add_argument("checkpoint")
    transcribe.add_argument("name", help="of the prediction")
    transcribe.add_argument("--where", help="only utterances that this SQL expression is true for")
    transcribe.add_argument("--lookahead-ms", type=int)
    transcribe.add_argument("--prompt-mode", default="langID", choices=("langID", "auto"))
    transcribe.add_argument("--streaming", action="store_true")
    _add_engine(transcribe)

    lookaheads = verbs.add_parser("lookaheads", help="stream at several look-aheads, score each, report")
    lookaheads.add_argument("corpus")
    lookaheads.add_argument("checkpoint")
    lookaheads.add_argument("--where", help="only utterances that this SQL expression is true for")
    lookaheads.add_argument("--lookaheads-ms", type=int, nargs="+", help="default: all of the checkpoint's")
    lookaheads.add_argument("--report", type=Path, default=Path("report.html"))
    _add_engine(lookaheads)

    evaluate = verbs.add_parser("evaluate", help="score predictions of a corpus and write the report")
    evaluate.add_argument("corpus")
    evaluate.add_argument("predictions", nargs="+")
    evaluate.add_argument("--where")
    evaluate.add_argument("--report", type=Path, default=Path("report.html"))
    _add_engine(evaluate)

    finetune = verbs.add_parser("finetune", help="start a fine-tuning run from a recipe")
    finetune.add_argument("recipe", type=Path)
    finetune.add_argument("--name")
    finetune.add_argument("--wait", action="store_true", help="return when the run has ended")

    capacity = verbs.add_parser("capacity", help="how many paced streams this machine serves; write JSON")
    capacity.add_argument("corpus")
    capacity.add_argument("checkpoint")
    capacity.add_argument("--where", help="only utterances that this SQL expression is true for")
    capacity.add_argument("--name", help="of the sweep; the checkpoint's by default")
    capacity.add_argument("--budget-ms", type=float, help="last text after the audio, 95th percentile")
    capacity.add_argument("--streams", type=int, nargs="*", help="the grid; none: the search alone")
    capacity.add_argument("--lookaheads-ms", type=int, nargs="+")
    capacity.add_argument("--repeats", type=int)
    capacity.add_argument("--ceiling", type=int, help="no more streams than these are tried")
    capacity.add_argument("--call-s", type=float, help="length of a call")
    capacity.add_argument("--beside", type=int, help="processes of other load meanwhile")
    capacity.add_argument("--memory-sessions", type=int, nargs="*", help="open sessions; none: no memory")
    capacity.add_argument("--threads", type=int, help="of torch")
    capacity.add_argument("--chart", type=Path, help="write the chart as a page of its own")

    _add_conditions(verbs)
    _add_pipeline(verbs)

    verify = verbs.add_parser("verify", help="check the ledger's chain")
    verify.add_argument("--head", help="the head hash kept elsewhere")
    return top


def _add_engine(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--engine",
        default="local",
        choices=ENGINES,
        help="where the work is done; ray needs the extra [cluster]",
    )
    verb.add_argument("--address", help="of a Ray cluster: host:6379, ray://host:10001, auto")


def _add_conditions(verbs: Any) -> None:
    conditions = verbs.add_parser("conditions", help="errors by noise and band, per locale; write JSON")
    conditions.add_argument("corpus")
    conditions.add_argument("checkpoint")
    conditions.add_argument("--where", help="only utterances that this SQL expression is true for")
    conditions.add_argument("--name", help="of the sweep; the checkpoint's by default")
    conditions.add_argument("--snr-db", type=float, nargs="*", help="besides none added")
    conditions.add_argument("--bands", nargs="+", choices=("wide", "telephone"))
    conditions.add_argument("--noise", choices=("white", "pink", "street"))
    conditions.add_argument("--lookahead-ms", type=int)
    conditions.add_argument("--chart", type=Path, help="write the chart as a page of its own")
    _add_engine(conditions)


def _add_pipeline(verbs: Any) -> None:
    pipeline = verbs.add_parser(
        "pipeline",
        help="export, fine-tune, evaluate and gate, unattended; after a break it goes on",
        description="Export anew what the recipe's manifests were exported from, fine-tune, transcribe the "
        "test utterances with base and candidate, and gate. Repeated after a break it goes on.",
        epilog="Exit code: 0 the gate passed, 1 it failed, 3 not enough data, 2 a fault (stderr says what; "
        "nothing was gated).",
    )
    pipeline.add_argument("recipe", type=Path)
    pipeline.add_argument("--policy", type=Path, help="of the gate; default: policy.yaml beside the recipe")
    pipeline.add_argument("--name", help="of run and candidate; default: the recipe's name and the time")
    pipeline.add_argument("--corpus", help="with the test utterances; default: the one exported from")
    pipeline.add_argument("--where", help="which utterances to test on; default: split = 'test'")
    pipeline.add_argument("--base", help="what the candidate is held against; default: the recipe's base")


def main(arguments: list[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    given = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return int(_VERBS[given.verb](given) or 0)
    except WorkbenchError as error:
        sys.stderr.write(f"workbench: {error}\n")
        return 2


def _workspace(given: argparse.Namespace) -> Any:
    from workbench.api import Workspace

    return Workspace(given.workspace)


def _lab(given: argparse.Namespace) -> int:
    from workbench import lab

    return lab.lab(given.port)


def _notebooks(given: argparse.Namespace) -> None:
    from workbench import lab

    lab.run_notebooks(given.out, given.names)


def _import(given: argparse.Namespace) -> None:
    corpus = _workspace(given).import_corpus(given.name, given.source)
    for problem in corpus.problems:
        sys.stderr.write(f"{problem}\n")
    sys.stdout.write(f"{len(corpus)} utterances, {len(corpus.problems)} problems\n")


def _view(given: argparse.Namespace) -> tuple[Any, Any]:
    workspace = _workspace(given)
    corpus = workspace.corpus(given.corpus)
    return workspace, corpus.where(given.where) if given.where else corpus


def _transcribe(given: argparse.Namespace) -> None:
    workspace, corpus = _view(given)
    made = workspace.transcribe(
        corpus,
        given.checkpoint,
        given.name,
        lookahead_ms=given.lookahead_ms,
        prompt_mode=given.prompt_mode,
        streaming=given.streaming,
        engine=given.engine,
        address=given.address,
    )
    sys.stdout.write(f"{len(made)} utterances transcribed as {given.name}\n")


def _scan(given: argparse.Namespace) -> None:
    from workbench.corpus.quality.signal import scan
    from workbench.widgets.progress import progress_bar

    _, corpus = _view(given)
    with progress_bar(f"scan {given.corpus}", None) as shown:
        found = scan(
            corpus, processes=given.processes, engine=given.engine, address=given.address, progress=shown
        )
    unread = int(found["error"].notna().sum())
    sys.stdout.write(f"{len(found) - unread} recordings measured, {unread} could not be read\n")


def _lookaheads(given: argparse.Namespace) -> None:
    workspace, corpus = _view(given)
    _show(
        workspace.evaluate_lookaheads(
            corpus, given.checkpoint, given.lookaheads_ms, engine=given.engine, address=given.address
        ),
        given.report,
    )


def _evaluate(given: argparse.Namespace) -> None:
    from workbench.evaluation.corpora import evaluate

    _, corpus = _view(given)
    _show(evaluate(corpus, *given.predictions, engine=given.engine, address=given.address), given.report)


def _show(scored: Any, report: Path) -> None:
    for name in scored.names:
        sys.stdout.write(f"{name}\n{scored.rates(name).to_string(index=False)}\n")
    sys.stdout.write(f"{scored.report(report)}\n")


def _finetune(given: argparse.Namespace) -> int:
    run = _workspace(given).finetune(given.recipe, given.name)
    if not given.wait:
        sys.stdout.write(f"{run.folder.path}\n")
        return 0
    state = run.wait()
    sys.stdout.write(json.dumps(state, ensure_ascii=False) + "\n")
    return 0 if state.get("status") == "finished" else 1


def _capacity(given: argparse.Namespace) -> int:
    workspace, corpus = _view(given)
    names = (
        "name", "budget_ms", "streams", "lookaheads_ms", "repeats", "ceiling", "call_s", "beside",
        "memory_sessions", "threads",
    )  # fmt: skip
    options = {name: value for name in names if (value := getattr(given, name)) is not None}
    found = workspace.capacity(given.checkpoint, corpus, **options)
    for line in found.lines():
        sys.stdout.write(f"{line}\n")
    for guess in found.extrapolations():
        sys.stdout.write(
            "extrapolated, not measured: {lookahead_ms} ms, {what}: {streams} ({because})\n".format(**guess)
        )
    if given.chart is not None:
        found.chart().write_html(given.chart)
    sys.stdout.write(f"{workspace.capacity_path(given.name or given.checkpoint)}\n")
    return 0 if found.status == "complete" else 1


def _conditions(given: argparse.Namespace) -> int:
    workspace, corpus = _view(given)
    names = ("name", "bands", "noise", "lookahead_ms", "engine", "address")
    options = {name: value for name in names if (value := getattr(given, name)) is not None}
    if given.snr_db is not None:
        options["snr_db"] = (None, *given.snr_db)
    found = workspace.conditions(given.checkpoint, corpus, **options)
    sys.stdout.write(f"{found.table.round(3).to_string(index=False)}\n")
    if given.chart is not None:
        found.chart().write_html(given.chart)
    return 0 if found.status == "complete" else 1


def _pipeline(given: argparse.Namespace) -> int:
    names = ("name", "corpus", "where", "base")
    options = {name: value for name in names if (value := getattr(given, name)) is not None}
    policy = given.policy or given.recipe.with_name("policy.yaml")
    try:
        made = _workspace(given).pipeline(given.recipe, policy, **options)
    except WorkbenchError:
        raise
    except Exception:
        # An exit code of 1 says that the gate failed: a fault that nobody explained must not say so.
        logging.exception("the pipeline broke")
        return 2
    sys.stdout.write("".join(f"{line}\n" for line in (str(made.report), *made.changes, made.folder)))
    return int(made.report.exit_code)


def _verify(given: argparse.Namespace) -> int:
    found = _workspace(given).ledger.verify(given.head)
    sys.stdout.write(f"{found}\n")
    return 0 if found.ok else 1


_VERBS = {
    "lab": _lab,
    "notebooks": _notebooks,
    "import": _import,
    "scan": _scan,
    "transcribe": _transcribe,
    "lookaheads": _lookaheads,
    "evaluate": _evaluate,
    "finetune": _finetune,
    "capacity": _capacity,
    "conditions": _conditions,
    "pipeline": _pipeline,
    "verify": _verify,
}
