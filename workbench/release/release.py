"""A candidate on its way out: found in the workspace, measured, gated, described, bundled, promoted.

release = ws.release("tuned", base="starter")
report = release.gate("policy.yaml")
release.stage(); release.promote(); release.bundle("out/tuned", clips)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.capacity.result import Capacity
from workbench.cards import Card
from workbench.corpus import predictions
from workbench.corpus.query.table import Corpus
from workbench.corpus.review.origins import references
from workbench.deployment.package import Package
from workbench.deployment.served import ServedParity
from workbench.deployment.served import measure as measure_served
from workbench.errors import WorkbenchError
from workbench.evaluation.evaluation import score_predictions
from workbench.files import sha256_file
from workbench.finetuning import ancestry
from workbench.glance import Glance, as_html, as_text, counted
from workbench.ingest.audio import Roots
from workbench.plain_data import read_yaml
from workbench.privacy import tainted_checkpoints
from workbench.privacy.erasure import with_terms
from workbench.recognizer.checkpoint import Checkpoint
from workbench.release import bundle as bundles
from workbench.release import card as cards
from workbench.release import changes, lineage, promotion
from workbench.release.gates import GateReport, Policy, gate
from workbench.release.promotion import GATED, Pointers
from workbench.shown import show_rows
from workbench.signatures import public
from workbench.suites.predictions import SuitePredictions
from workbench.suites.run import run_suite
from workbench.suites.store import Suite, suite_names
from workbench.views import Widget, view
from workbench.workspace import calibration
from workbench.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation.evaluation import Evaluation
    from workbench.release.measure import Measurement
    from workbench.suites.run import SuiteRun


_TERMS = ("id", "target_lang", "speaker", "source", "license", "consent")


@public
class Release:
    """A candidate checkpoint against the one it would replace.

    Names are checkpoints of the workspace, runs (their best checkpoint) or ``.nemo`` paths.
    """

    def __init__(self, folder: WorkspaceFolder, *, candidate: str, base: str) -> None:
        self.workspace, self.candidate, self.base = folder, candidate, base
        self.candidate_path, self.base_path = self._locate(candidate), self._locate(base)
        self.report: GateReport | None = None
        self.measurement: Measurement | None = None
        self.served: ServedParity | None = None
        self._evaluated: Evaluation | None = None
        self.seen = promotion.pointers(folder)

    @property
    def name(self) -> str:
        """What the candidate is called in pointers and bundles."""
        return Path(self.candidate).stem if self.candidate.endswith(".nemo") else self.candidate

    def _glance(self) -> Glance:
        if self.report is not None:
            return self.report._glance()
        now = promotion.pointers(self.workspace)
        there = now.production is not None and now.production.sha256 == self.candidate_sha256
        state = "it is in production" if there else "gate(policy) says whether it may go out"
        rows = [
            (role, one.name, one.sha256[:12], one.since[:16].replace("T", " "))
            for role in ("production", "candidate", "previous")
            if (one := getattr(now, role)) is not None
        ]
        said = f"{self.name} against {self.base}: not gated in this session; {state}."
        return Glance(said, ("pointer", "release", "checkpoint", "since (UTC)"), rows)

    __repr__, _repr_html_ = as_text, as_html

    @cached_property
    def candidate_sha256(self) -> str:
        return sha256_file(self.candidate_path)

    @cached_property
    def base_sha256(self) -> str:
        return sha256_file(self.base_path)

    @cached_property
    def run(self) -> Path | None:
        """The run that made the candidate; None where it came from elsewhere."""
        return ancestry.run_of(self.workspace, self.candidate_sha256)

    @cached_property
    def training(self) -> pd.DataFrame | None:
        """Rows the candidate was trained on, with the terms of their sources; None where not known."""
        if self.run is None:
            return None
        try:
            rows = ancestry.training_rows(self.run)
        except WorkbenchError:
            return None
        if not len(rows):
            return None
        found = with_terms(self.workspace, rows)
        return show_rows(found, f"{counted(len(found), 'row')} that {self.candidate} was trained on.", _TERMS)

    def evaluation(self, corpus: Corpus | None = None, where: str = "split = 'test'") -> Evaluation:
        """Every prediction of the two checkpoints on a corpus, scored; for want of a suite.

        Args:
            corpus: default: the one corpus with predictions of both.
            where: which rows.

        Raises:
            WorkbenchError: no corpus has predictions of both checkpoints, or several have.
        """
        folders = (
            [corpus.folder]
            if corpus is not None
            else [p for p in self.workspace.corpora.iterdir() if p.is_dir()]
        )
        held = {folder: self._predictions(folder) for folder in sorted(folders)}
        both = {self.candidate_sha256, self.base_sha256}
        matching = [folder for folder, found in held.items() if both <= {sha for sha, _ in found.values()}]
        if not matching:
            raise WorkbenchError(
                f"no corpus has predictions of both {self.candidate} and {self.base}",
                hint="Transcribe with both first, or make a suite: ws.suite(NAME).create(…).",
            )
        if len(matching) > 1:
            names = ", ".join(folder.name for folder in matching)
            raise WorkbenchError(
                f"which corpus? {names} have predictions of both",
                hint="Name one, or make a suite over them: ws.suite(NAME).create([…]).",
            )
        tested = (corpus if corpus is not None else Corpus.open(matching[0])).where(where)
        tables = {n: predictions.read_file(path) for n, (_, path) in held[matching[0]].items()}
        return score_predictions(
            references(tested), tables, normalizer=self.workspace.config.normalizer,
            traffic=self.workspace.pilot.traffic(),
        )  # fmt: skip

    def suite_run(self, suite: str | None = None) -> SuiteRun:
        """Base and candidate on a suite: what is missing is transcribed.

        Args:
            suite: its name; default: the one of the workspace.

        Raises:
            WorkbenchError: there is none, or several: then name one.
        """
        names = suite_names(self.workspace)
        if suite is None and len(names) != 1:
            what = f"which suite? There are {', '.join(names)}" if names else "there is no suite"
            raise WorkbenchError(what, hint="Name one: suite=…, or make one: ws.suite(NAME).create(…).")
        engines = {"base": self.base_path, "candidate": self.candidate_path}
        labels = {"base": Path(self.base).stem, "candidate": self.name}
        if labels["base"] == labels["candidate"]:
            labels = {role: role for role in labels}
        found = {labels[role]: Checkpoint.open(path) for role, path in engines.items()}
        return run_suite(Suite(self.workspace, suite or names[0]), found)

    def measure(self, corpus: Corpus, *, clips: int = 20, lookahead_ms: int | None = None) -> Measurement:
        """Latency and memory of the candidate, in a process of its own, on the first clips of a view."""
        from workbench.release.measure import measure

        rows = corpus.page(0, clips, order_by="id")
        at = lookahead_ms or self.workspace.config.lookahead_ms
        self.measurement = measure(self.candidate_path, rows, corpus.audio_roots, at)
        return self.measurement

    def serve(self, package: str | Path, corpus: Corpus, *, prompt_mode: str = "langID") -> ServedParity:
        """Read a view with the candidate's package as it is served, for checks of the kind ``served``.

        Args:
            package: folder of ``ws.export_model(CANDIDATE, …, to="sherpa-onnx")``.
            corpus: test rows with references. Two predictions are kept with it.
            prompt_mode: as ``ws.served``.

        Raises:
            WorkbenchError: a package that was changed, of another checkpoint, or for another runtime.
        """
        checkpoint = Checkpoint.open(self.candidate_path)
        self.served = measure_served(
            corpus, checkpoint, Package.open(package), f"{self.name}-package", prompt_mode=prompt_mode
        )
        return self.served

    def gate(
        self,
        policy: Policy | str | Path,
        evaluation: Evaluation | SuitePredictions | None = None,
        *,
        suite: str | None = None,
        base: str | None = None,
        candidate: str | None = None,
        training: pd.DataFrame | None = None,
        act: str | None = None,
    ) -> GateReport:
        """Hold the candidate against a policy; recorded in the ledger and bound to the candidate's bytes.

        Args:
            evaluation: a suite run, or an evaluation of predictions picked by hand, on which nothing can be
                promoted without an override; default: :meth:`suite_run` where the workspace has a suite, else
                :meth:`evaluation`.
            suite: name of the suite where there are several.
            base, candidate: prediction names; default: those made by the two checkpoints, offline and with
                the tag as prompt where there are several.
            training: rows trained on; default: :attr:`training`.

        Raises:
            WorkbenchError: as ``gates.gate``, :meth:`suite_run` and :meth:`evaluation`.
            act: an id of this act, where it may be repeated after a kill and is to be recorded once.
        """
        policy = policy if isinstance(policy, Policy) else Policy.from_yaml(policy)
        if evaluation is None:
            by_suite = suite is not None or suite_names(self.workspace)
            evaluation = self.suite_run(suite) if by_suite else self.evaluation()
        subject = evaluation
        if isinstance(evaluation, SuitePredictions):
            base = base or self._engine_of(evaluation, self.base_sha256, self.base)
            candidate = candidate or self._engine_of(evaluation, self.candidate_sha256, self.candidate)
            evaluation = evaluation.at_all_points((base, candidate))
        base = base or self._prediction_of(evaluation, self.base_sha256, self.base)
        candidate = candidate or self._prediction_of(evaluation, self.candidate_sha256, self.candidate)
        rows = training if training is not None else self.training
        report = gate(
            policy,
            subject,
            base=base,
            candidate=candidate,
            pilot=self.workspace.pilot,
            lookahead_ms=self.workspace.config.lookahead_ms,
            training=rows,
            measurement=self.measurement,
            served=self.served,
            erased=tainted_checkpoints.read(self.workspace),
            candidate_sha256=self.candidate_sha256,
        )
        self.report, self._evaluated = report, evaluation
        self._record(report, rows, evaluation, candidate, act)
        return report

    def look(self) -> Pointers:
        """Where the pointers stand now; from then on a promotion or roll-back is decided on this state."""
        self.seen = promotion.pointers(self.workspace)
        return self.seen

    def stage(self, *, generation: int | None = None) -> Pointers:
        """Make it the candidate of the workspace.

        Args:
            generation: of the pointers that were looked at; default: as this object saw them last.

        Raises:
            WorkbenchError: the pointers moved meanwhile, or as ``promotion.stage``.
        """
        self.seen = promotion.stage(
            self.workspace, self.name, self.candidate_path, generation=self._decided_on(generation)
        )
        return self.seen

    def promote(self, *, generation: int | None = None, override: str | None = None) -> Pointers:
        """Make it production; staged first where it is not. See ``promotion.promote``.

        Args:
            generation: of the pointers that were looked at; default: as this object saw them last, when it
                was made, by :meth:`look` or by what it did itself.
            override: a reason to promote without a gate report that passes.

        Raises:
            WorkbenchError: the pointers moved meanwhile, or as ``promotion.promote``.
        """
        decided_on = self._decided_on(generation)
        staged = promotion.pointers(self.workspace).candidate
        if staged is None or staged.sha256 != self.candidate_sha256:
            decided_on = self.stage(generation=decided_on).generation
        self.seen = promotion.promote(
            self.workspace, generation=decided_on, candidate=self.candidate_sha256, override=override
        )
        return self.seen

    def roll_back(self, *, generation: int | None = None) -> Pointers:
        """Take this release out of production and bring the previous one back; see ``promotion.roll_back``.

        Args:
            generation: of the pointers that were looked at; default: as this object saw them last, when it
                was made, by :meth:`look` or by what it did itself.

        Raises:
            WorkbenchError: another release is in production (somebody may have rolled back already), the
                pointers moved meanwhile, or as ``promotion.roll_back``.
        """
        self.seen = promotion.roll_back(
            self.workspace, generation=self._decided_on(generation), production=self.candidate_sha256
        )
        return self.seen

    def _decided_on(self, generation: int | None) -> int:
        return self.seen.generation if generation is None else generation

    def capacity(self) -> list[str]:
        """What the workspace's sweeps of this very checkpoint measured, one sentence a look-ahead."""
        found = []
        for path in sorted((self.workspace.reports / "capacity").glob("*.json")):
            measured = Capacity.load(path)
            if measured.checkpoint_sha256 == self.candidate_sha256:
                found += measured.lines()
        return found

    def changes(self) -> changes.Changes:
        """What changed since the release in production, where both were gated: data, recipe, figures; a
        sentence where nothing did, or nothing is in production."""
        production = promotion.pointers(self.workspace).production
        if production is None:
            return changes.Changes(why="Nothing is in production yet, so there is nothing to compare with.")
        before = changes.read(self.workspace, production.sha256)
        return changes.between(before, changes.read(self.workspace, self.candidate_sha256))

    def card(self, purpose: cards.Purpose | None = None) -> Card:
        """The model card, with the figures of the last gate."""
        info = Checkpoint.open(self.candidate_path).info
        facts: dict[str, Any] = {
            "SHA-256": self.candidate_sha256,
            "base": f"{self.base}, SHA-256 {self.base_sha256}",
            "class": info.class_name,
            "parameters": f"{info.parameters:,}",
            "locales": info.locales,
            "look-aheads in ms": info.lookaheads_ms,
            "run": self.run.name if self.run else None,
            "ledger head": str(self.workspace.ledger.head()),
        }
        return cards.model_card(
            self.candidate,
            facts,
            purpose=purpose,
            evaluation=self._evaluated,
            prediction=self.report.candidate if self.report else None,
            base=self.report.base if self.report else None,
            gate=self.report,
            training=self.training,
            measurement=self.measurement,
            capacity=self.capacity(),
            changes=self.changes(),
            calibration=calibration.read(self.workspace.reports, self.candidate_sha256),
        )

    def bundle(
        self,
        path: str | Path,
        clips: Corpus | Iterable[Mapping[str, Any]],
        *,
        audio_root: Roots | None = None,
        lookahead_ms: int | None = None,
        purpose: cards.Purpose | None = None,
        adapter: Path | None = None,
    ) -> bundles.Bundle:
        """Write the bundle of the gated candidate and record its digest.

        Args:
            clips: the fixed set for the smoke test: a small view of a corpus, or rows with ``audio_root``.
            adapter: the adapter alone; the one that the run left beside its checkpoint by default.

        Raises:
            WorkbenchError: not gated yet, or as ``bundle.build``.
        """
        if self.report is None:
            raise WorkbenchError("not gated yet", where=self.candidate, hint="Call gate(policy) first.")

        rows: list[Any] = clips.frame().to_dict("records") if isinstance(clips, Corpus) else list(clips)
        root = clips.audio_roots if audio_root is None and isinstance(clips, Corpus) else audio_root
        if root is None:
            raise WorkbenchError("rows need audio_root", where="bundle")
        data = ancestry.provenance(self.run).get("data", {}) if self.run else {}
        left = self.candidate_path.with_suffix(".adapter.pt")
        made = bundles.build(
            Path(path),
            self.name,
            self.candidate_path,
            sha256=self.candidate_sha256,
            gate=self.report,
            model_card=self.card(purpose),
            data_card=cards.data_card(self.candidate, self.training) if self.training is not None else None,
            rows=rows,
            audio_root=root,
            lookahead_ms=lookahead_ms or self.workspace.config.lookahead_ms,
            manifests={Path(name).name: digest for name, digest in data.items()},
            ledger_head=str(self.workspace.ledger.head()),
            adapter=adapter or (left if left.exists() else None),
        )
        self.workspace.record("release.bundle", {"candidate": self.candidate_sha256, "bundle": made.digest})
        return made

    def graph(self) -> lineage.Graph:
        """From recordings to this release, as nodes and edges."""
        return lineage.graph(self.workspace)

    def lineage(self) -> Widget:
        """From recordings to this release, to click through; :meth:`graph` gives it as data."""
        made: Widget = view("lineage").Lineage(self.graph())
        return made

    def _record(
        self,
        report: GateReport,
        training: pd.DataFrame | None,
        evaluation: Evaluation,
        name: str,
        act: str | None,
    ) -> None:
        text = report.to_json()
        digest = hashlib.sha256(text.encode()).hexdigest()
        folder = self.workspace.reports / "gates"
        folder.mkdir(exist_ok=True, mode=0o700)
        report.to_json(folder / f"{digest}.json")
        event = {
            "candidate": self.candidate_sha256,
            "base": self.base_sha256,
            "policy": report.policy_digest,
            "report": digest,
            "suite": report.suite["digest"] if report.suite else None,
            "verdict": report.verdict.replace(" ", "-"),
        }
        recipe = self._recipe()
        changes.keep(
            self.workspace,
            self.candidate_sha256,
            changes.facts_of(recipe, training, evaluation, name, report.suite),
        )
        # Last: what is recorded is done.
        if act is None:
            self.workspace.record(GATED, event)
        else:
            self.workspace.record_once(GATED, act, event)

    def _recipe(self) -> dict[str, Any]:
        path = self.run / "recipe.yaml" if self.run else None
        raw = read_yaml(path) if path is not None and path.exists() else {}
        # Paths say where a file lay, not what was done.
        return {k: v for k, v in raw.items() if k not in ("name", "base", "sources", "validation")}

    def _predictions(self, folder: Path) -> dict[str, tuple[str, Path]]:
        """Predictions of a corpus made by one of the two: name → (checkpoint hash, file)."""
        found = {}
        for path in sorted((folder / "predictions").glob("*.parquet")):
            made = predictions.made_by(path)
            if len(made) == 1 and made <= {self.candidate_sha256, self.base_sha256}:
                found[path.stem] = (made.pop(), path)
        return found

    def _engine_of(self, run: SuitePredictions, digest: str, what: str) -> str:
        for name, sha256 in run.checkpoints.items():
            if sha256 == digest:
                return name
        raise WorkbenchError(f"the suite run has nothing by {what}", hint=f"It has {', '.join(run.names)}.")

    def _prediction_of(self, evaluation: Evaluation, digest: str, what: str) -> str:
        names = [n for n in evaluation.names if evaluation.facts(n).get("checkpoint_sha256") == digest]
        if not names:
            others = ", ".join(evaluation.names)
            hint = f"Transcribe with it; {others} are of other checkpoints, whatever their names."
            raise WorkbenchError(f"the evaluation has no prediction by {what}", hint=hint)

        def order(name: str) -> tuple[bool, bool]:
            facts = evaluation.facts(name)
            return bool(facts.get("streaming")), facts.get("prompt_mode") != "langID"

        return min(names, key=order)

    def _locate(self, name: str) -> Path:
        ws = self.workspace
        if name in ws.checkpoint_names():
            return ws.checkpoint_path(name)
        if name in ws.run_names():
            for file in ("best.nemo", "last.nemo"):
                if (path := ws.run_folder(name) / "checkpoints" / file).is_file():
                    return path
            raise WorkbenchError(
                f"the run {name} has written no checkpoint yet", hint="Wait for it to finish."
            )
        if name.endswith(".nemo") and Path(name).is_file():
            return Path(name)
        known = ", ".join([*ws.checkpoint_names(), *ws.run_names()]) or "none"
        raise WorkbenchError(f"no checkpoint or run {name!r}", where=str(ws.path), hint=f"There is {known}.")
