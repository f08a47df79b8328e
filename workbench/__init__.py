"""Adaptation workbench for Nemotron 3.5 ASR: curate, stream, fine-tune, analyze errors, release.

``import workbench as wb`` is quick: it loads neither NeMo nor torch nor pandas; names are resolved when used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# Nothing phones home. Set before any library that would is imported; a user's own setting is left alone.
for _name, _value in {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime 1.32 sends events to its makers, from C++
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "ONE_LOGGER_ENABLED": "0",
    "NEMO_ONE_LOGGER_ENABLED": "0",
}.items():
    os.environ.setdefault(_name, _value)

__version__ = "0.1.0"

if TYPE_CHECKING:
    from workbench.api import Workspace as Workspace
    from workbench.capacity.choice import choose_lookahead as choose_lookahead
    from workbench.capacity.result import Capacity as Capacity
    from workbench.corpus.quality.checks import run_checks as run_checks
    from workbench.corpus.quality.lint import lint as lint
    from workbench.corpus.quality.own_rules import OwnRule as OwnRule
    from workbench.corpus.quality.signal import scan as scan
    from workbench.corpus.query.table import Corpus as Corpus
    from workbench.errors import WorkbenchError as WorkbenchError
    from workbench.evaluation.corpora import evaluate as evaluate
    from workbench.evaluation.evaluation import Evaluation as Evaluation
    from workbench.field.conditions import ConditionSweep as ConditionSweep
    from workbench.field.dashboard import FieldReport as FieldReport
    from workbench.field.simulated_log import in_conditions as in_conditions
    from workbench.field.simulated_log import simulate_log as simulate_log
    from workbench.finetuning.preflight import preflight as preflight
    from workbench.finetuning.presets import preset as preset
    from workbench.finetuning.recipe import Recipe as Recipe
    from workbench.finetuning.recipe import Source as Source
    from workbench.finetuning.recipe import ValidationSet as ValidationSet
    from workbench.finetuning.run import Run as Run
    from workbench.ingest.inspect import inspect_source as inspect_source
    from workbench.ingest.plan import ImportPlan as ImportPlan
    from workbench.locales import LOCALES as LOCALES
    from workbench.locales import canonical as canonical
    from workbench.privacy.erasure import erase as erase
    from workbench.privacy.erasure import plan_erasure as plan_erasure
    from workbench.recognizer.checkpoint import Checkpoint as Checkpoint
    from workbench.recognizer.conditions import Condition as Condition
    from workbench.recognizer.conditions import ladder as ladder
    from workbench.recognizer.nemo_loader import first_batch as first_batch
    from workbench.release.policy import Policy as Policy
    from workbench.release.release import Release as Release
    from workbench.starter_workspace import starter as starter
    from workbench.starter_workspace import starter_manifest as starter_manifest
    from workbench.suites.run import SuiteRun as SuiteRun
    from workbench.suites.store import Suite as Suite
    from workbench.widgets import figures as figures
    from workbench.widgets.robustness import robustness as robustness
    from workbench.workspace.settings import RetrainingSchedule as RetrainingSchedule

_PUBLIC = {
    "Capacity": "capacity.result",
    "Checkpoint": "recognizer.checkpoint",
    "Condition": "recognizer.conditions",
    "ConditionSweep": "field.conditions",
    "Corpus": "corpus.query.table",
    "Evaluation": "evaluation.evaluation",
    "FieldReport": "field.dashboard",
    "ImportPlan": "ingest.plan",
    "LOCALES": "locales",
    "Policy": "release.policy",
    "Recipe": "finetuning.recipe",
    "Release": "release.release",
    "RetrainingSchedule": "workspace.settings",
    "Run": "finetuning.run",
    "Source": "finetuning.recipe",
    "Suite": "suites.store",
    "SuiteRun": "suites.run",
    "ValidationSet": "finetuning.recipe",
    "WorkbenchError": "errors",
    "Workspace": "api",
    "canonical": "locales",
    "choose_lookahead": "capacity.choice",
    "erase": "privacy.erasure",
    "evaluate": "evaluation.corpora",
    "figures": "widgets.figures",
    "first_batch": "recognizer.nemo_loader",
    "inspect_source": "ingest.inspect",
    "lint": "corpus.quality.lint",
    "OwnRule": "corpus.quality.own_rules",
    "in_conditions": "field.simulated_log",
    "ladder": "recognizer.conditions",
    "plan_erasure": "privacy.erasure",
    "preflight": "finetuning.preflight",
    "preset": "finetuning.presets",
    "robustness": "widgets.robustness",
    "run_checks": "corpus.quality.checks",
    "scan": "corpus.quality.signal",
    "simulate_log": "field.simulated_log",
    "starter": "starter_workspace",
    "starter_manifest": "starter_workspace",
}
"""Public name → the module that has it."""
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    module = importlib.import_module(f"workbench.{_PUBLIC[name]}")
    return getattr(module, name, module)  # a module that is public itself holds nothing of its own name


def __dir__() -> list[str]:
    return sorted(__all__)
