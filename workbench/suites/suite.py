"""The definition of a suite: its views, requirements, operating points and weights, as a YAML to review."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import yaml

from workbench.errors import WorkbenchError, one_line
from workbench.glance import Glance, as_html, as_text, counted, preformatted
from workbench.suites.points import OperatingPoint

SCHEMA_VERSION = 1
Role = Literal["target", "guardrail", "replayed"]
_HEAD = "# A test suite. Edit it until it is run for the first time; after that a change is a new version.\n"


@dataclass(frozen=True, slots=True)
class View:
    """Utterances of one corpus: those that ``where`` held for when the suite was made, frozen by digest.

    Left out and counted: those ``without_reference``, and ``repeated``, recordings that occur again.
    ``picked``: by ids, which ``where`` then only describes.
    """

    corpus: str
    where: str
    utterances: int
    hours: float
    clips_sha256: str
    without_reference: int = 0
    repeated: int = 0
    picked: bool = False


@dataclass(frozen=True, slots=True)
class Requirement:
    """A locale that must be there. ``accents``: accent → least utterances; ``minimum_utterances``: of the
    locale; ``role``: what the pilot wants of it, or ``replayed`` where training replays it."""

    tag: str
    role: Role = "guardrail"
    minimum_utterances: int = 1
    accents: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SuiteVersion:
    """One version of a suite, never changed once run; see ``to_yaml``."""

    name: str
    version: int
    views: tuple[View, ...]
    locales: tuple[Requirement, ...]
    points: tuple[OperatingPoint, ...]
    weights: tuple[tuple[str, float], ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over everything but the version's number."""
        return hashlib.sha256(json.dumps(self._content(), sort_keys=True).encode()).hexdigest()

    @property
    def corpora(self) -> list[str]:
        return [view.corpus for view in self.views]

    @property
    def utterances(self) -> int:
        return sum(view.utterances for view in self.views)

    def point(self, name: str | OperatingPoint | None = None) -> OperatingPoint:
        """An operating point by its name; the first one where None.

        Raises:
            WorkbenchError: the suite has none of that name.
        """
        if name is None:
            return self.points[0]
        for point in self.points:
            if name in (point, point.name):
                return point
        shown = name.name if isinstance(name, OperatingPoint) else name
        known = ", ".join(point.name for point in self.points)
        raise WorkbenchError(
            f"no operating point {shown!r}", where=f"suite {self.name}", hint=f"It has {known}."
        )

    def _content(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "views": [asdict(view) for view in self.views],
            "locales": [{**asdict(row), "accents": dict(row.accents)} for row in self.locales],
            "points": [point.to_dict() for point in self.points],
            "weights": dict(self.weights),
        }

    def to_yaml(self) -> str:
        """The definition as text."""
        content = {"schema_version": SCHEMA_VERSION, "version": self.version, **self._content()}
        text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
        return f"{_HEAD}{text}"

    @classmethod
    def from_yaml(cls, text: str, where: str = "suite") -> SuiteVersion:
        """Read a definition.

        Raises:
            WorkbenchError: not YAML, or not such a definition.
        """
        try:
            raw = yaml.safe_load(text)
            if raw.pop("schema_version") > SCHEMA_VERSION:
                raise WorkbenchError("a suite of a newer schema", where=where, hint="Update the workbench.")
            return cls(
                name=str(raw.pop("name")),
                version=int(raw.pop("version")),
                views=tuple(View(**view) for view in raw.pop("views")),
                locales=tuple(_requirement(row) for row in raw.pop("locales")),
                points=tuple(OperatingPoint.of(point) for point in raw.pop("points")),
                weights=tuple(sorted((str(k), float(v)) for k, v in raw.pop("weights").items())),
                **raw,
            )
        except yaml.YAMLError as error:
            raise WorkbenchError(one_line(str(error)), where=where, hint="Correct the YAML.") from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise WorkbenchError(f"not a suite: {one_line(str(error))}", where=where) from error

    def _glance(self) -> Glance:
        return self.glance()

    def glance(self, there: Mapping[str, int] | None = None, *, ran: bool | None = None) -> Glance:
        """What a cell shows.

        Args:
            there: clips by locale, where the frozen clips were read.
            ran: whether it was run, where that is known.
        """
        points = ", ".join(point.name for point in self.points)
        hours = sum(view.hours for view in self.views)
        short = [] if there is None else [
            one.tag for one in self.locales if there.get(one.tag, 0) < one.minimum_utterances
        ]  # fmt: skip
        said = (
            f"Suite {self.name}, version {self.version}: {counted(self.utterances, 'utterance')} "
            f"({hours:.2f} h) of {', '.join(self.corpora)} at {points}"
        )
        state = "" if ran is None else "; frozen, it was run" if ran else "; not run yet"
        lacking = f"; too few clips of {', '.join(short)}" if short else ""
        head = "locale", "role", "clips", "needed", "accents"
        rows = [
            (
                one.tag, one.role, "–" if there is None else f"{there.get(one.tag, 0):,}",
                f"{one.minimum_utterances:,}", ", ".join(f"{name}: {n}" for name, n in one.accents) or "–",
            )
            for one in self.locales
        ]  # fmt: skip
        return Glance(
            f"{said}{lacking}{state}.", head, rows, more=preformatted(self.to_yaml()), about="as YAML"
        )

    __repr__, _repr_html_ = as_text, as_html


def _requirement(row: Mapping[str, Any]) -> Requirement:
    return Requirement(**{**row, "accents": tuple(sorted(dict(row.get("accents") or {}).items()))})
