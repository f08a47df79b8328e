"""Export, fine-tune, evaluate and gate again, unattended: the same recipe on what was accepted since.

Sources of the recipe that lie in an export of this workspace are exported anew, with the same filters and
settings and today's decisions; other manifests are taken as they are. A pass that was cut off, by whatever,
goes on where it stopped when it is asked for again: exports and predictions that are whole are kept, a run
that lives is waited for, one that died is resumed.

    <workspace>/pipelines/NAME/     state.json, exports/, gate.json, gate.html
    <workspace>/runs/NAME/          the run
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.finetuning.recipe import Recipe
from workbench.finetuning.run import absolute
from workbench.glance import Glance, as_html, as_text
from workbench.names import check_name
from workbench.pages import page
from workbench.reading import read_json
from workbench.recognizer.checkpoint import Checkpoint
from workbench.release.gates import GateReport, Policy
from workbench.release.promotion import GATED
from workbench.signatures import public
from workbench.suites.points import OperatingPoint
from workbench.suites.run import run_suite
from workbench.suites.store import Suite
from workbench.workspace.settings import Config
from workbench.workspace.slots import hold_slot

if TYPE_CHECKING:
    from workbench.corpus.query.table import Corpus
    from workbench.finetuning.run import Run
    from workbench.release.release import Release
    from workbench.workspace.ledger import Ledger

log = logging.getLogger("workbench.release.pipeline")
SCHEMA_VERSION = 1
LONGEST_SUFFIX = "auto"
TEST = "split = 'test'"
_PICKED = re.compile(r"[\d,]+ picked ids")


@public
@dataclass(frozen=True)
class Outcome:
    """What came of it: its name, which is the run's and the candidate's too; the gate's report; what changed
    since the release in production; where the report lies."""

    name: str
    report: GateReport
    changes: tuple[str, ...]
    folder: Path

    def _glance(self) -> Glance:
        lines = "".join(f"<li>{escape(line)}</li>" for line in self.changes)
        return replace(
            self.report._glance(), more=f"<ul>{lines}</ul>" if lines else "",
            about="changed since the release in production",
        )  # fmt: skip

    __repr__, _repr_html_ = as_text, as_html


class Workplace(Protocol):
    """What a pass needs of a workspace; :class:`workbench.Workspace` has it."""

    path: Path
    reports: Path
    config: Config
    ledger: Ledger

    def corpus_names(self) -> list[str]: ...

    def corpus(self, name: str) -> Corpus: ...

    def run_folder(self, name: str) -> Path: ...

    def run(self, name: str) -> Run: ...

    def finetune(self, recipe: Recipe, name: str) -> Run: ...

    def release(self, candidate: str, base: str) -> Release: ...


@public
class Pipeline:
    """One pass of a recipe; :meth:`run` may be repeated until it returns."""

    def __init__(
        self,
        ws: Workplace,
        recipe: Recipe | str | Path,
        policy: Policy | str | Path,
        *,
        name: str | None = None,
        corpus: str | None = None,
        where: str = TEST,
        suite: str | None = None,
        base: str | None = None,
    ) -> None:
        """Find the pass that this continues, or begin one.

        Args:
            policy: what the gate asks for; read anew each time.
            name: of the pass. Default: the recipe's name and the time; an unfinished pass of the same recipe
                and test goes on. A finished one of that name is only gated again.
            corpus: where the test utterances are; default: the corpus that the recipe's exports came from.
            where: which of its utterances are tested on.
            suite: what is tested on; default: one over ``corpus`` and ``where``, at the operating points that
                the policy asks for, named ``pipeline-CORPUS``.
            base: what the candidate is held against; default: the recipe's base.

        Raises:
            WorkbenchError: a faulty recipe or policy, or the name belongs to another recipe.
        """
        self.ws = ws
        self.recipe = absolute(recipe if isinstance(recipe, Recipe) else Recipe.from_yaml(recipe))
        self.policy = policy if isinstance(policy, Policy) else Policy.from_yaml(policy)
        self.corpus, self.where, self.suite = corpus, where, suite
        self.base = base or self.recipe.base
        asked = [self.recipe.to_yaml(), corpus or "", where, self.base, *([suite] if suite else [])]
        self.digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        self.name = name or self._unfinished() or f"{self.recipe.name[:40]}.{_now():%Y%m%dT%H%M%S}"
        check_name(f"{self.name}-{LONGEST_SUFFIX}")
        self.folder = ws.path / "pipelines" / self.name

    def run(self) -> Outcome:
        """Do what is left to do, and gate.

        Raises:
            WorkbenchError: a step failed, or the same pass is going elsewhere. Repeat to go on.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.parent.chmod(0o700)
        with hold_slot(self.folder / "lock", 1, timeout_s=0):
            self._begin()
            recipe = self._with_fresh_exports()
            self._train(recipe)
            release = self.ws.release(self.name, base=self.base)
            report = self._gated() or self._gate(release)
            write_atomic(self.folder / "gate.json", report.to_json())
            write_atomic(self.folder / "gate.html", _page(report))
            ended = _now().isoformat(timespec="seconds")
            self._note(ended_at=ended, verdict=report.verdict, gates=self._gates() + 1)
            return Outcome(self.name, report, tuple(release.changes()), self.folder)

    def _begin(self) -> None:
        state = _state(self.folder)
        if state and state["asked"] != self.digest:
            hint = "Give the new pass another name, or none."
            raise WorkbenchError("it was begun with another recipe or test", where=self.name, hint=hint)
        if not state:
            self._note(name=self.name, asked=self.digest, began_at=_now().isoformat(timespec="seconds"))
            log.info("pipeline %s begins", self.name)
        else:
            log.info("pipeline %s goes on", self.name)

    def _note(self, **facts: Any) -> None:
        state = {"schema_version": SCHEMA_VERSION, **_state(self.folder), **facts}
        write_atomic(self.folder / "state.json", json.dumps(state, indent=1) + "\n")

    def _unfinished(self) -> str | None:
        states = [_state(path.parent) for path in (self.ws.path / "pipelines").glob("*/state.json")]
        mine = [s for s in states if s["asked"] == self.digest and "ended_at" not in s]
        return max(mine, key=lambda s: str(s["began_at"]))["name"] if mine else None

    def _with_fresh_exports(self) -> Recipe:
        changed = [
            tuple(replace(s, manifest=str(self._fresh(Path(s.manifest)))) for s in some)
            for some in (self.recipe.sources, self.recipe.validation)
        ]
        return self.recipe.changed(name=self.name, sources=changed[0], validation=changed[1])

    def _fresh(self, manifest: Path) -> Path:
        """The manifest, exported anew where it came from a corpus of this workspace."""
        made = _export_of(manifest)
        if made is None or made["corpus"] not in self.ws.corpus_names():
            return manifest
        folder: Path = made["folder"]
        known = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
        target = self.folder / "exports" / f"{made['corpus']}-{known}"
        if not (target / "export.json").exists():
            _repeat(self._view(made), made, target)
        fresh = target / manifest.relative_to(folder)
        if not fresh.is_file():
            raise WorkbenchError("this split is empty by now", where=str(fresh), hint="Accept rows of it.")
        return fresh

    def _view(self, made: Mapping[str, Any]) -> Corpus:
        view = self.ws.corpus(made["corpus"])
        for sql in made["filters"]:
            if _PICKED.fullmatch(sql):
                hint = "Export what a filter finds, such as a tag."
                raise WorkbenchError("an export of ids picked by hand", where=str(made["folder"]), hint=hint)
            view = view.where(sql)
        return view

    def _train(self, recipe: Recipe) -> None:
        folder = self.ws.run_folder(self.name)
        if folder.exists() and not (folder / "job.json").exists():
            shutil.rmtree(folder)  # killed before it was a run that knows its slots
        if not folder.exists():
            log.info("fine-tuning begins")
            self.ws.finetune(recipe, self.name)
        run = self.ws.run(self.name)
        if not run.alive and run.state["status"] != "finished":
            log.info("fine-tuning goes on from step %s", run.state.get("step", 0))
            run.resume()
        state = run.wait()
        if state["status"] != "finished":
            what = f"the run ended as {state['status']}: {state.get('message') or 'no message'}"
            raise WorkbenchError(what, where=self.name, hint=state.get("hint") or "Repeat to go on.")

    def _tested(self, release: Release) -> Suite:
        """The suite that is tested on; made, or renewed where its corpus has changed, if none is named."""
        ws = release.workspace
        if self.suite is not None:
            return Suite(ws, self.suite)
        exports = [_export_of(Path(source.manifest)) for source in self.recipe.sources]
        found = [made["corpus"] for made in exports if made and made["corpus"] in self.ws.corpus_names()]
        if self.corpus is None and not found:
            raise WorkbenchError("no source of the recipe is an export", hint="Name the corpus to test on.")
        name = self.corpus or found[0]
        if not len(self.ws.corpus(name).where(self.where)):
            raise WorkbenchError("there is nothing to test on", where=name, hint=f"Where: {self.where}.")
        suite = Suite(ws, f"pipeline-{name[:50]}")
        suite.create({name: self.where}, points=list(self._points()))
        return suite

    def _gate(self, release: Release) -> GateReport:
        """Read the suite with both as the policy needs it, measure where it asks, and judge."""
        suite = self._tested(release)
        both = {"base": release.base_path, self.name: release.candidate_path}
        run = run_suite(suite, {name: Checkpoint.open(path) for name, path in both.items()})
        kinds = {check.kind: check for check in self.policy.checks}
        for kind in {"latency", "memory"} & set(kinds):
            at = kinds[kind].options.get("lookahead_ms")
            if release.measurement is None:
                name = run.version.corpora[0]
                clips = run.clips_of(name)["utterance_id"]
                release.measure(self.ws.corpus(name).pick(clips), lookahead_ms=at)
        return release.gate(self.policy, run, base="base", candidate=self.name, act=self._act())

    def _gates(self) -> int:
        """How often this pass has been gated to its end."""
        return int(_state(self.folder).get("gates", 0))

    def _act(self) -> str:
        """One gate of this pass under this policy: what was recorded for it already is not recorded twice."""
        return f"pipeline-{self.name}-{self._gates()}-{self.policy.digest[:12]}"

    def _gated(self) -> GateReport | None:
        """The report of this pass, where it was cut off after its gate was recorded."""
        event = self.ws.ledger.of_act(GATED, self._act())
        if event is None or event.payload is None:
            return None
        path = self.ws.reports / "gates" / f"{event.payload['report']}.json"
        return GateReport.from_json(path.read_text(encoding="utf-8")) if path.exists() else None

    def _points(self) -> Iterator[OperatingPoint]:
        """With the tag; automatic; streamed: as the policy needs them."""
        normalizer = self.ws.config.normalizer
        yield OperatingPoint(normalizer=normalizer)
        if any(check.kind == "language" for check in self.policy.checks):
            yield OperatingPoint(prompt_mode="auto", normalizer=normalizer)
        for at in dict.fromkeys(
            check.options.get("lookahead_ms") or self.ws.config.lookahead_ms
            for check in self.policy.checks
            if check.kind == "streaming"
        ):
            yield OperatingPoint(streaming=True, lookahead_ms=at, normalizer=normalizer)


def _repeat(view: Corpus, made: Mapping[str, Any], target: Path) -> None:
    if made["format"] != "nemo":
        hint = "Export it as nemo; recipes name manifests."
        raise WorkbenchError(f"an export as {made['format']}", where=str(made["folder"]), hint=hint)
    pseudonymize = bool(made.get("speaker_names"))
    found = view.export(target, only=made["only"], pseudonymize=pseudonymize, **made["settings"])
    log.info("exported %s utterances of %s", f"{found.counts['utterances']:,}", view.name)


def _export_of(manifest: Path) -> dict[str, Any] | None:
    """What the export that a manifest lies in says of itself; None where it lies in none."""
    for folder in manifest.parents:
        card = folder / "data_card.json"
        if (folder / "export.json").exists() and card.exists():
            return {**read_json(card, "data card"), "folder": folder}
    return None


def _state(folder: Path) -> dict[str, Any]:
    path = folder / "state.json"
    return read_json(path, "state of the pipeline", SCHEMA_VERSION) if path.exists() else {}


def _page(report: GateReport) -> str:
    title = f"{report.candidate}: {report.verdict}"
    return page(title, "body{font:15px/1.5 system-ui,sans-serif;margin:2rem}", report._repr_html_())


def _now() -> datetime:
    return datetime.now(UTC)
