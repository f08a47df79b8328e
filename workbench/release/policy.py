"""A gate policy: one YAML file that says what a candidate must show before it may go out.

Every check must pass. Because *all* of them must, no correction for their number is due: a candidate that
fails one requirement in truth is let through no oftener than that one check errs (an intersection-union test,
Berger 1982).
"""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model

from workbench.errors import WorkbenchError
from workbench.glance import Glance, counted
from workbench.plain_data import SETTINGS, parse_yaml, read_bytes
from workbench.schema_checks import CONFIG, Lines, build, json_schema, renamed, yaml_lines
from workbench.signatures import nearest, public

SCHEMA_VERSION = 1

# kind → option → (type, default); None as default means "may be left out".
_RATE = {"metric": (str, "headline"), "normalizer": (str, None), "where": (str, None), "voices": (str, "any")}
OPTIONS: dict[str, dict[str, tuple[type, Any]]] = {
    "improves": {"locales": (list, None), "by": (list, ["target_lang"]), **_RATE},
    "not_worse": {
        "locales": (list, None),
        "by": (list, ["target_lang"]),
        "margin": (float, 0.01),
        "required": (bool, True),
        **_RATE,
    },
    "weighted_rate": {"margin": (float, 0.0), "weights": (dict, None), **_RATE},
    "formatting": {"margin": (float, 0.02), "by": (list, ["target_lang"]), "locales": (list, None)},
    "language": {"margin": (float, 0.02), "minimum_accuracy": (float, None), "locales": (list, None)},
    "keywords": {"words": (list, None), "margin": (float, 0.02), "minimum_occurrences": (int, 20)},
    "silence": {
        "margin": (float, 0.02),
        "maximum": (float, None),
        "minimum_clips": (int, 20),
        "locales": (list, None),
    },
    "streaming": {"lookahead_ms": (int, None), "margin": (float, 0.01), "locales": (list, None), **_RATE},
    "served": {"margin": (float, 0.01), "locales": (list, None), "target": (str, None)},
    "latency": {"lookahead_ms": (int, None), "p95_ms": (float, None), "minimum_samples": (int, 100)},
    "memory": {"maximum_mib": (float, None), "beyond_weights_mib": (float, None)},
    "terms": {"licenses": (list, None), "purpose": (str, None), "consent_required": (bool, True)},
    "leakage": {"sentences": (bool, True), "speakers": (bool, False)},
    "erasure": {},
    "references": {"maximum_unchanged": (float, None)},
}
_REQUIRED = {
    "keywords": ("words",),
    "latency": ("p95_ms",),
    "terms": ("licenses",),
}
_WHAT = {
    "improves": "the locales to adapt must get better: paired interval below zero",
    "not_worse": "no slice may get worse by the margin: upper bound of the paired difference below it",
    "weighted_rate": "rate weighted by traffic and risk of the pilot must not get worse by the margin",
    "formatting": "punctuation and capitals must not get worse by the margin",
    "language": "language identification must not get worse by the margin",
    "keywords": "keywords must not be missed oftener by the margin",
    "silence": "words must not be invented in silent clips oftener by the margin",
    "streaming": "streaming at the chosen look-ahead must not get worse by the margin",
    "served": "what is served must not be worse than what was measured by the margin, in every locale",
    "latency": "95th percentile from the end of a word to its final text",
    "memory": "peak memory of one process while it streams: in all, or beyond the checkpoint's weights",
    "terms": "license, consent, purpose and keeping time of everything trained on",
    "leakage": "nothing of the test set was trained on",
    "erasure": "not trained on anything since erased",
    "references": "a person accepted every drafted reference trained on and tested on",
}


@public
@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One requirement: its kind, a name unique in the policy, and its options with defaults filled in."""

    kind: str
    name: str
    options: dict[str, Any]

    @property
    def what(self) -> str:
        """The requirement in words."""
        return _WHAT[self.kind]

    def __getitem__(self, option: str) -> Any:
        return self.options[option]


@public
@dataclass(frozen=True, slots=True)
class Policy:
    """The checks of a release; ``provisional``: whether slices under 1,000 reference words may decide."""

    name: str
    checks: tuple[CheckSpec, ...]
    provisional: bool = True
    digest: str = ""
    """Of its file, or of what it asks for where it was made in code."""

    def __post_init__(self) -> None:
        if not self.digest:
            asked = repr((self.name, self.checks, self.provisional))
            object.__setattr__(self, "digest", hashlib.sha256(asked.encode()).hexdigest())

    @classmethod
    def from_yaml(cls, source: str | Path) -> Policy:
        """Read a policy from a file, or from text that holds a line break.

        Raises:
            WorkbenchError: not YAML, an unknown kind or option, a wrong type, no check.
        """
        text, where = (
            (source, "policy") if isinstance(source, str) and "\n" in source else _read(Path(source))
        )
        raw = renamed(parse_yaml(text, where=where))
        if not isinstance(raw, Mapping) or not isinstance(raw.get("checks"), list) or not raw["checks"]:
            raise WorkbenchError(
                "no list of checks", where=where, hint="Write checks: with one item or more."
            )
        if raw.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
            raise WorkbenchError("policy of another schema", where=where, hint="Update the workbench.")
        lines = yaml_lines(text)
        head = build(PolicyFile, {**raw, "checks": []}, where=where, lines=lines)
        checks = tuple(_spec(item, i, where, lines) for i, item in enumerate(raw["checks"]))
        names = [check.name for check in checks]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise WorkbenchError(
                f"checks named twice: {', '.join(twice)}", where=where, hint="Give them names."
            )
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(head.name, checks, head.provisional, digest)

    def _glance(self) -> Glance:
        few = "may" if self.provisional else "may not"
        said = (
            f"Policy {self.name}: {counted(len(self.checks), 'check')}, each must pass; slices under 1,000 "
            f"words {few} decide."
        )
        rows = [(check.name, check.what, _options(check)) for check in self.checks]
        return Glance(said, ("check", "requirement", "options"), rows)

    def __repr__(self) -> str:
        return str(self._glance())

    def _repr_html_(self) -> str:
        return self._glance().html(every=True)


def _options(check: CheckSpec) -> str:
    """What a check was told, apart from what every check of its kind is told."""
    usual = {name: default for name, (_, default) in OPTIONS[check.kind].items()}
    told = {name: value for name, value in check.options.items() if value != usual.get(name)}
    said = (
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in told.items()
    )
    return "; ".join(said) or "–"


def _read(path: Path) -> tuple[str, str]:
    try:
        return read_bytes(path, SETTINGS.size).decode(), path.name
    except UnicodeDecodeError as error:
        raise WorkbenchError("not UTF-8 text", where=str(path), hint="Save the policy as UTF-8.") from error


@dataclass(frozen=True)
class PolicyFile:
    """A policy as its file has it; ``checks`` are told apart by their kind."""

    checks: tuple[Any, ...]
    schema_version: int = SCHEMA_VERSION
    name: str = "policy"
    provisional: bool = True


@functools.cache
def model_of(kind: str) -> type[BaseModel]:
    """The pydantic model of one kind of check."""
    given: dict[str, Any] = {"kind": (Literal[kind], ...), "name": (str, kind)}
    for option, (wanted, default) in OPTIONS[kind].items():
        hint: Any = list[Any] if wanted is list else dict[str, Any] if wanted is dict else wanted
        if option in _REQUIRED.get(kind, ()):
            given[option] = (hint, ...)
        else:
            given[option] = (hint if default is not None else hint | None, default)
    return create_model(kind, __config__=CONFIG, __doc__=_WHAT[kind], **given)


def schema() -> dict[str, Any]:
    """The JSON schema of a policy, for editors."""
    kinds: Any = functools.reduce(operator.or_, (model_of(kind) for kind in OPTIONS))
    listed: Any = list[Annotated[kinds, Field(discriminator="kind")]]
    whole = create_model(
        "Policy",
        __config__=CONFIG,
        schema_version=(int, SCHEMA_VERSION),
        name=(str, "policy"),
        provisional=(bool, True),
        checks=(listed, Field(min_length=1)),
    )
    return json_schema(whole, "Gate policy")


def _spec(raw: Any, number: int, where: str, lines: Lines) -> CheckSpec:
    place = f"{where} check {number + 1}"
    if not isinstance(raw, Mapping) or raw.get("kind") not in OPTIONS:
        kind = raw.get("kind") if isinstance(raw, Mapping) else raw
        raise WorkbenchError(
            f"unknown kind {str(kind)[:40]!r}", where=place, hint=nearest(str(kind), OPTIONS)
        )
    kind = raw["kind"]
    listed = {name for name, (wanted, _) in OPTIONS[kind].items() if wanted is list}
    told = {name: [v] if name in listed and isinstance(v, str) else v for name, v in raw.items()}
    made = build(
        model_of(kind), told, where=place, lines=lambda loc: lines(("checks", number, *loc))
    ).model_dump()
    if kind == "memory" and made["maximum_mib"] is None and made["beyond_weights_mib"] is None:
        hint = "Write maximum_mib, or beyond_weights_mib for checkpoints of any size."
        raise WorkbenchError("a memory check without a limit", where=place, hint=hint)
    name = made.pop("name")
    return CheckSpec(made.pop("kind"), name, made)
