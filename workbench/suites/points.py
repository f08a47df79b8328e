"""Operating points: everything but the checkpoint that two results must share to be alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from workbench.errors import WorkbenchError
from workbench.recognizer import runtimes
from workbench.text import NORMALIZERS

PromptMode = Literal["langID", "auto"]
Metric = Literal["headline", "wer", "cer"]
RUNTIMES = tuple(name for name in runtimes.RUNTIMES if name != "auto")
IMPORTED = "imported"
"""Runtime of predictions that another engine made."""
_CHOICES: dict[str, tuple[str, ...]] = {
    "prompt_mode": ("langID", "auto"),
    "metric": ("headline", "wer", "cer"),
    "precision": ("auto", "fp32", "bf16"),
}
_WORDS = {
    "lookahead_ms": "look-ahead",
    "prompt_mode": "prompt",
    "streaming": "way of reading",
    "runtime": "engine",
    "precision": "precision",
    "normalizer": "normalizer",
    "metric": "metric",
}


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """How a suite is read and scored.

    Attributes:
        lookahead_ms: of the checkpoint; None is its default, for offline reading only.
        prompt_mode: 'langID': each utterance's own tag; 'auto': the model finds the language.
        streaming: chunk by chunk, or each utterance at once.
        runtime: what runs the network; 'imported': another engine did.
        precision: 'fp32', 'bf16', or 'auto' (bf16 on CUDA, fp32 on CPU); the predictions record which it was.
        normalizer, metric: how texts are compared and what the headline figure is.
    """

    lookahead_ms: int | None = None
    prompt_mode: PromptMode = "langID"
    streaming: bool = False
    runtime: str = "torch"
    precision: str = "auto"
    normalizer: str = "basic"
    metric: Metric = "headline"

    def __post_init__(self) -> None:
        for name, choices in {**_CHOICES, "normalizer": tuple(NORMALIZERS)}.items():
            if getattr(self, name) not in choices:
                raise WorkbenchError(
                    f"unknown {name} {getattr(self, name)!r}",
                    where="operating point",
                    hint=f"Use one of {', '.join(choices)}.",
                )
        if self.runtime not in (*RUNTIMES, IMPORTED):
            raise WorkbenchError(
                f"unknown runtime {self.runtime!r}",
                where="operating point",
                hint=f"Use one of {', '.join(RUNTIMES)}.",
            )
        whole = isinstance(self.lookahead_ms, int) and not isinstance(self.lookahead_ms, bool)
        if self.lookahead_ms is not None and (not whole or self.lookahead_ms < 0):
            raise WorkbenchError(f"lookahead_ms = {self.lookahead_ms!r}", where="operating point")
        if self.streaming and self.lookahead_ms is None:
            hint = "Name one, such as lookahead_ms=560."
            raise WorkbenchError("streaming needs a look-ahead", where="operating point", hint=hint)

    @property
    def name(self) -> str:
        """Short, unique among points, safe in a file name: ``streaming-560-auto``."""
        scored = [v for n, v in (("basic", self.normalizer), ("headline", self.metric)) if v != n]
        return "-".join([self.reading, *scored])

    @property
    def reading(self) -> str:
        """The part of the name that a prediction depends on: not the normalizer, not the metric."""
        parts = ["streaming" if self.streaming else "offline"]
        parts += [str(self.lookahead_ms)] if self.lookahead_ms is not None else []
        parts += [
            value
            for usual, value in (
                ("langID", self.prompt_mode),
                ("torch", self.runtime),
                ("auto", self.precision),
            )
            if value != usual
        ]
        return "-".join(parts)

    def differences(self, other: OperatingPoint) -> list[str]:
        """What differs, one phrase each: ``look-ahead 80 ms against 1120 ms``."""
        return [
            f"{_WORDS[name]} {_said(name, mine)} against {_said(name, theirs)}"
            for name in _WORDS
            if (mine := getattr(self, name)) != (theirs := getattr(other, name))
        ]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, value: OperatingPoint | Mapping[str, Any]) -> OperatingPoint:
        """From a mapping, as YAML gives it.

        Raises:
            WorkbenchError: an unknown field or choice.
        """
        if isinstance(value, OperatingPoint):
            return value
        known = {f.name for f in fields(cls)}
        if not isinstance(value, Mapping) or set(value) - known:
            odd = sorted(map(str, set(value) - known)) if isinstance(value, Mapping) else [str(value)[:40]]
            raise WorkbenchError(
                f"unknown fields {', '.join(odd)}",
                where="operating point",
                hint=f"Known: {', '.join(sorted(known))}.",
            )
        return cls(**value)


def _said(name: str, value: Any) -> str:
    if name == "lookahead_ms":
        return "the default" if value is None else f"{value} ms"
    if name == "streaming":
        return "streaming" if value else "offline"
    return str(value)
