"""Suites of a workspace: made, read, frozen when run; every version stays.

suites/NAME/v1.yaml       the definition, to read and review
suites/NAME/v1.run        its digest when it was first run: the YAML is frozen since
corpora/*/suites/         the clips, beside their corpus
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.glance import Glance, as_html, as_text
from workbench.locales import canonical
from workbench.locks import unerased
from workbench.names import check_name
from workbench.signatures import public
from workbench.suites import clips as clip_files
from workbench.suites.points import OperatingPoint
from workbench.suites.suite import Requirement, SuiteVersion, View
from workbench.workspace.folder import WorkspaceFolder

TEST = "split = 'test'"
Views = str | Corpus | Sequence[str | Corpus] | Mapping[str, str]
_PICKED = re.compile(r"[\d,]+ picked ids")
Points = Sequence[OperatingPoint | Mapping[str, Any]]


@public
class Suite:
    """A suite by name: ``create`` makes a version, the rest reads the newest."""

    def __init__(self, workspace: WorkspaceFolder, name: str) -> None:
        self.workspace, self.name = workspace, check_name(name)
        self.folder = workspace.path / "suites" / self.name

    def _glance(self) -> Glance:
        if not self.versions:
            return Glance(f"Suite {self.name}: not made yet; create(…) makes it.")
        newest = self.latest
        try:
            clips = pd.concat(self.clips(newest).values())
        except WorkbenchError as error:
            made = newest.glance()
            return replace(made, sentence=f"{made.sentence[:-1]}; it cannot be run any more: {error.what}.")
        counts = {str(tag): int(n) for tag, n in clips["target_lang"].value_counts().items()}
        return newest.glance(counts, ran=self.path(newest.version).with_suffix(".run").exists())

    __repr__, _repr_html_ = as_text, as_html

    @property
    def versions(self) -> list[int]:
        """Numbers of the versions there are."""
        found = (re.fullmatch(r"v(\d+)\.yaml", path.name) for path in self.folder.glob("v*.yaml"))
        return sorted(int(match[1]) for match in found if match)

    @property
    def latest(self) -> SuiteVersion:
        """The newest version. Raises WorkbenchError: as :meth:`version`."""
        return self.version(self.versions[-1] if self.versions else None)

    def version(self, number: int | None) -> SuiteVersion:
        """One version.

        Raises:
            WorkbenchError: there is none, or its YAML was edited after it was run.
        """
        if number not in self.versions:
            known = ", ".join(map(str, self.versions)) or "none yet"
            what = f"no version {number}" if number is not None else "not made yet"
            raise WorkbenchError(
                what,
                where=f"suite {self.name}",
                hint=f"Versions: {known}. Make one with ws.suite({self.name!r}).create(…).",
            )
        path = self.path(number)
        found = SuiteVersion.from_yaml(path.read_text(encoding="utf-8"), where=str(path))
        ran = path.with_suffix(".run")
        if ran.exists() and ran.read_text("ascii") != found.digest:
            raise WorkbenchError(
                f"version {number} was edited after it was run",
                where=str(path),
                hint="Restore it, and make a new version with create(…).",
            )
        return found

    def path(self, number: int | None = None) -> Path:
        """The YAML of a version; of the newest by default."""
        return self.folder / f"v{number if number is not None else self.versions[-1]}.yaml"

    def create(
        self,
        views: Views,
        *,
        where: str = TEST,
        points: Points | None = None,
        locales: Mapping[str, int] | Iterable[str] | None = None,
        accents: Mapping[str, Mapping[str, int]] | None = None,
        replayed: Iterable[str] = (),
        weights: Mapping[str, float] | None = None,
        minimum_utterances: int = 1,
    ) -> SuiteVersion:
        """Freeze utterances, requirements and operating points as a version.

        The same content gives the version there is; other content a new one, the old ones stay. A recording
        that occurs again is left out and counted (``views[…].repeated``).

        Args:
            views: a corpus or view, several, or corpus → SQL condition.
            where: the condition on corpora that are named without one; a view brings its own.
            points: operating points; the first is what gates judge by; default: offline, tag as prompt.
            locales: required locales, with the least utterances of each if a mapping; default: those of the
                pilot plan, and where there is none every locale of the views.
            accents: locale → accent → least utterances; default: the accents that the pilot plan names.
            replayed: locales that training replays: required, too.
            weights: traffic shares; default: the pilot plan's.
            minimum_utterances: of each required locale that gives no number itself.

        Raises:
            WorkbenchError: no such corpus, nothing left by a condition, audio that cannot be read, a view
                whose every recording is in an earlier one, two points of one name.
        """
        chosen = self._views(views, where)
        made_points = tuple(OperatingPoint.of(point) for point in (points or [OperatingPoint()]))
        names = [point.name for point in made_points]
        if not made_points or len(set(names)) < len(names):
            hint = "Give each operating point once."
            raise WorkbenchError(f"operating points {', '.join(names) or 'none'}", where=self.name, hint=hint)
        with unerased(chosen[0].folder):
            held, frozen = self._frozen(chosen)
            needed = self._requirements(frozen, locales, accents or {}, replayed, minimum_utterances)
            shares = self.workspace.pilot.traffic() if weights is None else weights
            made = SuiteVersion(self.name, 0, held, needed, made_points, tuple(sorted(shares.items())))
            return self._keep(made, frozen)

    def renew(self) -> SuiteVersion:
        """The newest version made again from the corpora as they are now: same conditions, requirements,
        points and weights. Raises WorkbenchError: as :meth:`create`."""
        last = self.latest
        views = []
        for view in last.views:
            corpus = self._corpus(view.corpus)
            ids = clip_files.read(corpus.folder, self.name, view)["id"] if view.picked else ()
            views.append(corpus.pick(ids) if view.picked else corpus.where(view.where))
        with unerased(views[0].folder):
            held, frozen = self._frozen(views)
            return self._keep(replace(last, views=held), frozen)

    def freeze(self, version: SuiteVersion) -> None:
        """Note that a version is run: its YAML may not change any more."""
        ran = self.path(version.version).with_suffix(".run")
        if not ran.exists():
            write_atomic(ran, version.digest)

    def clips(self, version: SuiteVersion) -> dict[str, pd.DataFrame]:
        """Corpus → frozen clips. Raises WorkbenchError: some were erased or changed since."""
        corpora = self.workspace.corpora
        return {v.corpus: clip_files.read(corpora / v.corpus, self.name, v) for v in version.views}

    def views(self, version: SuiteVersion | None = None) -> list[Corpus]:
        """The clips of a version (default: the newest) as views of their corpora.

        Raises:
            WorkbenchError: some were erased or changed since.
        """
        frozen = self.clips(version or self.latest)
        return [self._corpus(name).pick(rows["id"].astype(str)) for name, rows in frozen.items()]

    def changes(self, version: SuiteVersion | None = None) -> list[str]:
        """What is no longer as it was frozen (audio, references, locales, clips), one sentence a kind."""
        version = version or self.latest
        found: list[str] = []
        for view in version.views:
            try:
                held = clip_files.read(self.workspace.corpora / view.corpus, self.name, view)
                found += clip_files.changes(held, self._corpus(view.corpus))
            except WorkbenchError as error:
                found.append(error.what)
        return found

    def _keep(self, made: SuiteVersion, frozen: Mapping[str, pd.DataFrame]) -> SuiteVersion:
        for corpus, rows in frozen.items():
            clip_files.write(self.workspace.corpora / corpus, self.name, rows)
        there = {found.digest: found for found in map(self.version, self.versions)}
        if made.digest in there:
            made = there[made.digest]
        else:
            made = replace(made, version=(self.versions or [0])[-1] + 1)
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomic(self.path(made.version), made.to_yaml())
        facts = {"suite": made.digest, "version": made.version, "utterances": made.utterances}
        self.workspace.record_once("suite", f"{made.digest[:32]}-{made.version}", facts)
        return made

    def _frozen(self, views: Sequence[Corpus]) -> tuple[tuple[View, ...], dict[str, pd.DataFrame]]:
        """The views and their clips; a recording that was there before is left out and counted."""
        frozen: dict[str, pd.DataFrame] = {}
        held: list[View] = []
        seen: set[tuple[Any, ...]] = set()
        for view in views:
            rows, unspoken = clip_files.freeze(view)
            frozen[view.name] = clip_files.without_repeats(rows, seen)
            if not len(frozen[view.name]):
                hint = "Leave it out, or narrow the other views."
                raise WorkbenchError("every recording is in another view already", where=view.name, hint=hint)
            held.append(_view(view, frozen[view.name], unspoken, len(rows) - len(frozen[view.name])))
        return tuple(held), frozen

    def _views(self, views: Views, where: str) -> list[Corpus]:
        if isinstance(views, Mapping):
            found = [self._corpus(name).where(condition) for name, condition in views.items()]
        else:
            listed = [views] if isinstance(views, str | Corpus) else list(views)
            found = [self._corpus(v).where(where) if isinstance(v, str) else v for v in listed]
        names = [view.name for view in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            hint = "Give each corpus once; join conditions with OR."
            raise WorkbenchError(f"{', '.join(twice)} given twice", where=f"suite {self.name}", hint=hint)
        return found

    def _requirements(
        self,
        frozen: Mapping[str, pd.DataFrame],
        locales: Mapping[str, int] | Iterable[str] | None,
        accents: Mapping[str, Mapping[str, int]],
        replayed: Iterable[str],
        least: int,
    ) -> tuple[Requirement, ...]:
        plan = {row.tag: row for row in self.workspace.pilot.locales}
        if locales is None:
            there = {tag for rows in frozen.values() for tag in rows["target_lang"] if isinstance(tag, str)}
            locales = list(plan) or sorted(there)
        asked = dict(locales) if isinstance(locales, Mapping) else dict.fromkeys(locales, least)
        again = {canonical(tag) for tag in replayed}
        asked.update({tag: least for tag in again if tag not in asked})
        made = []
        for tag, minimum in sorted(asked.items()):
            row = plan.get(tag)
            role = row.role if row else "replayed" if tag in again else "guardrail"
            own = accents.get(tag)
            if own is None:
                own = dict.fromkeys(row.accents, least) if row else {}
            made.append(Requirement(canonical(tag), role, max(1, int(minimum)), tuple(sorted(own.items()))))
        return tuple(made)

    def _corpus(self, name: str) -> Corpus:
        if name not in self.workspace.corpus_names():
            known = ", ".join(self.workspace.corpus_names()) or "none yet"
            raise WorkbenchError(f"no corpus {name!r}", where=f"suite {self.name}", hint=f"There is {known}.")
        return Corpus.open(self.workspace.corpus_folder(name))


def suite_names(workspace: WorkspaceFolder) -> list[str]:
    """Suites of a workspace that have a version."""
    folder = workspace.path / "suites"
    return sorted({path.parent.name for path in folder.glob("*/v*.yaml")})


def _view(view: Corpus, rows: pd.DataFrame, unspoken: int, repeated: int) -> View:
    hours = round(float(rows["duration"].fillna(0).sum()) / 3600, 4)
    picked = any(_PICKED.fullmatch(shown) for shown in view.filters)
    where = " AND ".join(shown if len(view.filters) == 1 else f"({shown})" for shown in view.filters)
    digest = clip_files.digest(rows)
    return View(view.name, where, len(rows), hours, digest, unspoken, repeated, picked)
