"""Settings of a workspace: ``workspace.toml``, then ``WORKBENCH_*``, then arguments; the last one wins.

The file also holds what a pilot is about (locales with traffic share, risk weight and adjacent accents), when
retraining falls due, and on which terms each source may be used.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from workbench.errors import WorkbenchError, one_line
from workbench.glance import Glance, as_html, counted
from workbench.locales import LATIN_MARKS, Locale, Tier, canonical, declare
from workbench.reading import read_text
from workbench.schema_checks import build, toml_lines
from workbench.shown import Facts
from workbench.signatures import public

SCHEMA_VERSION = 1
Role = Literal["target", "guardrail"]
_PLAIN = ("slots", "device", "precision", "lookahead_ms", "normalizer", "seed")


@public
@dataclass(frozen=True, slots=True)
class PilotLocale:
    """One locale of the pilot. ``traffic_share``: part of all calls, 0 to 1. ``risk_weight``: how much worse
    an error here is than elsewhere (1 = as usual). ``accents``: neighbors that must not be left behind."""

    tag: str
    role: Role = "target"
    traffic_share: float = 0.0
    risk_weight: float = 1.0
    accents: tuple[str, ...] = ()


@public
@dataclass(frozen=True, slots=True)
class Pilot:
    """Which locales the pilot improves and which it must not harm."""

    locales: tuple[PilotLocale, ...] = ()

    def _glance(self) -> Glance:
        if not self.locales:
            return Glance("No pilot plan yet: ws.set_pilot(...) writes one.")
        said = f"The pilot improves {', '.join(self.targets) or 'no locale'}"
        said += f" and must not harm {', '.join(self.guardrails)}." if self.guardrails else "."
        head = "locale", "role", "traffic", "risk weight", "accents"
        rows = [
            (row.tag, row.role, f"{100 * row.traffic_share:.0f} %", f"{row.risk_weight:g}",
             ", ".join(row.accents) or "–")
            for row in self.locales
        ]  # fmt: skip
        return Glance(said, head, rows)

    _repr_html_ = as_html

    @property
    def targets(self) -> list[str]:
        """Tags of the locales that the pilot improves."""
        return [row.tag for row in self.locales if row.role == "target"]

    @property
    def guardrails(self) -> list[str]:
        """Tags of the locales that it must not harm."""
        return [row.tag for row in self.locales if row.role == "guardrail"]

    def traffic(self) -> dict[str, float]:
        """Share of the pilot's calls per locale, summing to 1; empty where no share is given."""
        total = sum(row.traffic_share for row in self.locales)
        shares = {row.tag: row.traffic_share / total for row in self.locales if row.traffic_share}
        return Facts(shares, f"Shares of the pilot's calls: {counted(len(shares), 'locale')}.")

    def weights(self) -> dict[str, float]:
        """Traffic share times risk weight per locale, summing to 1; empty where no share is given."""
        raw = {row.tag: row.traffic_share * row.risk_weight for row in self.locales}
        total = sum(raw.values())
        weights = {tag: value / total for tag, value in raw.items() if value} if total > 0 else {}
        return Facts(weights, f"Traffic times risk: {counted(len(weights), 'locale')}.")

    @classmethod
    def of(cls, *rows: PilotLocale | Mapping[str, Any]) -> Pilot:
        """Check and collect rows.

        Raises:
            WorkbenchError: unknown tag, a locale named twice, shares outside 0–1 or adding up to over 1.
        """
        checked = tuple(_pilot_row(row) for row in rows)
        tags = [row.tag for row in checked]
        twice = sorted({tag for tag in tags if tags.count(tag) > 1})
        if twice:
            raise WorkbenchError(
                f"{', '.join(twice)} named twice", where="pilot", hint="Keep one row per locale."
            )
        total = sum(row.traffic_share for row in checked)
        if total > 1 + 1e-6:
            raise WorkbenchError(
                f"traffic shares add up to {total:g}", where="pilot", hint="They are parts of 1; lower them."
            )
        return cls(checked)


@public
@dataclass(frozen=True, slots=True)
class RetrainingSchedule:
    """When retraining falls due: so many days after the last release, so many newly accepted hours, or a
    slice whose error rate rose by more than ``regressed`` (0.02 = two points)."""

    days: float = 90.0
    accepted_hours: float = 5.0
    regressed: float = 0.02


@public
@dataclass(frozen=True, slots=True)
class SourceTerms:
    """On which terms a source may be used. ``keep_days`` counts from ``recorded_at``, or from the import."""

    license: str | None = None
    consent: str | None = None
    purpose: str | None = None
    keep_days: float | None = None


@public
@dataclass(frozen=True, slots=True)
class Config:
    """Everything that is configured. ``slots``: training jobs at once. ``lookahead_ms``: the operating point
    that streaming, gates and release use unless told otherwise."""

    slots: int = 1
    device: str = "auto"
    precision: str = "auto"
    lookahead_ms: int = 560
    normalizer: str = "basic"
    seed: int = 20260707
    pilot: Pilot = field(default_factory=Pilot)
    retraining_schedule: RetrainingSchedule = field(default_factory=RetrainingSchedule)
    sources: dict[str, SourceTerms] = field(default_factory=dict)
    locales: dict[str, Locale] = field(default_factory=dict)

    def _glance(self) -> Glance:
        rows = [(name, str(getattr(self, name))) for name in _PLAIN]
        schedule = self.retraining_schedule
        rows += [(f"retraining: {one.name}", str(getattr(schedule, one.name))) for one in fields(schedule)]
        pilot = ", ".join(row.tag for row in self.pilot.locales) or "none yet"
        rows += [("pilot", pilot), ("sources with terms", ", ".join(self.sources) or "none")]
        rows += [("locales added", ", ".join(self.locales) or "none")]
        said = "Settings of the workspace; ws.configure(...) changes them."
        return Glance(said, ("setting", "value"), rows)

    _repr_html_ = as_html


@dataclass(frozen=True, slots=True)
class PilotTable:
    """``[[pilot.locale]]``: a row each."""

    locale: tuple[PilotLocale, ...] = ()


@dataclass(frozen=True, slots=True)
class LocaleTable:
    """``[locale.TAG]``: a locale that the team adds; fields of :class:`workbench.locales.Locale`."""

    prompt_index: int
    name: str = ""
    tier: Tier = "adapt"
    script: str = "Latin"
    direction: Literal["ltr", "rtl"] = "ltr"
    scored_by: Literal["word", "char"] = "word"
    marks: str = LATIN_MARKS
    final_marks: str = ".?!"
    cased: bool = True

    def locale(self, tag: str) -> Locale:
        """The locale of that tag."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        return Locale(**{**named, "tag": tag, "name": self.name or tag})


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """``workspace.toml`` as it is written: ``[source.NAME]`` and ``[locale.TAG]`` for each."""

    schema_version: int = SCHEMA_VERSION
    slots: int = 1
    device: str = "auto"
    precision: str = "auto"
    lookahead_ms: int = 560
    normalizer: str = "basic"
    seed: int = 20260707
    pilot: PilotTable = field(default_factory=PilotTable)
    retraining_schedule: RetrainingSchedule = field(default_factory=RetrainingSchedule)
    source: dict[str, SourceTerms] = field(default_factory=dict)
    locale: dict[str, LocaleTable] = field(default_factory=dict)


def load(path: Path, arguments: Mapping[str, Any] | None = None) -> Config:
    """The settings in force: the file, overridden by ``WORKBENCH_*``, overridden by arguments.

    Raises:
        WorkbenchError: not TOML, an unknown key, a wrong type, or a newer schema.
    """
    config = load_file(path)
    for name in _PLAIN:
        if (text := os.environ.get(f"WORKBENCH_{name.upper()}")) is not None:
            config = replace(config, **{name: _typed(name, text, f"WORKBENCH_{name.upper()}")})
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    if unknown := sorted(set(given) - {f.name for f in fields(Config)}):
        raise WorkbenchError(f"unknown settings {', '.join(unknown)}", where="arguments")
    plain = {n: _typed(n, v, n) if n in _PLAIN else v for n, v in given.items()}
    return replace(config, **plain)


def load_file(path: Path) -> Config:
    """The settings of the file alone; the defaults where there is none. Raises as ``load``."""
    where = str(path)
    raw: dict[str, Any] = {}
    text = ""
    if path.exists():
        try:
            text = read_text(path, "file of settings")
            raw = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise WorkbenchError(one_line(str(error)), where=where, hint="Correct the file.") from error
    if raw.pop("schema_version", SCHEMA_VERSION) > SCHEMA_VERSION:
        raise WorkbenchError("settings of a newer schema", where=where, hint="Update the workbench.")
    found: SettingsFile = build(SettingsFile, raw, where=path.name, lines=toml_lines(text))
    if found.slots < 1:
        raise WorkbenchError(
            f"slots = {found.slots}", where=where, hint="At least one job must be able to run."
        )
    # Declared before the pilot names them.
    locales = {tag: declare(row.locale(tag)) for tag, row in found.locale.items()}
    return Config(
        **{name: getattr(found, name) for name in _PLAIN},
        pilot=Pilot.of(*found.pilot.locale),
        retraining_schedule=found.retraining_schedule,
        sources=dict(found.source),
        locales=locales,
    )


def dump(config: Config) -> str:
    """The settings as the text of ``workspace.toml``."""
    lines = [f"schema_version = {SCHEMA_VERSION}"]
    lines += [f"{name} = {_toml(getattr(config, name))}" for name in _PLAIN]
    lines += ["", "[retraining_schedule]", *_assignments(config.retraining_schedule)]
    for name, terms in sorted(config.sources.items()):
        lines += ["", f"[source.{_toml(name)}]", *_assignments(terms)]
    for tag, locale in sorted(config.locales.items()):
        lines += [
            "",
            f"[locale.{_toml(tag)}]",
            *(a for a in _assignments(locale) if not a.startswith("tag =")),
        ]
    for row in config.pilot.locales:
        lines += ["", "[[pilot.locale]]", *_assignments(row)]
    return "\n".join(lines) + "\n"


def _assignments(row: Any) -> list[str]:
    pairs = [(f.name, getattr(row, f.name)) for f in fields(row)]
    return [f"{name} = {_toml(value)}" for name, value in pairs if value is not None]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml(v) for v in value)}]"
    escaped = re.sub(r'[\\"]', lambda m: "\\" + m[0], str(value))
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'


def _typed(name: str, value: Any, where: str) -> Any:
    wanted = type(getattr(Config(), name))
    try:
        if isinstance(value, bool):
            raise TypeError
        typed = wanted(value)
    except (TypeError, ValueError):
        raise WorkbenchError(
            f"{name} = {str(value)[:40]!r}", where=where, hint=f"Give a {wanted.__name__}."
        ) from None
    if name == "slots" and typed < 1:
        raise WorkbenchError(f"slots = {typed}", where=where, hint="At least one job must be able to run.")
    return typed


def _pilot_row(row: PilotLocale | Mapping[str, Any]) -> PilotLocale:
    if not isinstance(row, PilotLocale):
        names = {f.name for f in fields(PilotLocale)}
        if set(row) - names or "tag" not in row:
            raise WorkbenchError(
                f"{sorted(row)}", where="pilot", hint=f"A row needs tag and may have {sorted(names)}."
            )
        row = PilotLocale(**{**row, "accents": tuple(row.get("accents", ()))})
    if row.role not in ("target", "guardrail"):
        raise WorkbenchError(f"role {row.role!r}", where=f"pilot {row.tag}", hint="Use target or guardrail.")
    if not (0 <= row.traffic_share <= 1 and row.risk_weight >= 0):
        raise WorkbenchError(
            f"traffic_share {row.traffic_share}, risk_weight {row.risk_weight}",
            where=f"pilot {row.tag}",
            hint="A share lies between 0 and 1, a weight is not negative.",
        )
    return replace(row, tag=canonical(row.tag))
