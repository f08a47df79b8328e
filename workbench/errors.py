"""The one error users see, and the record of a row that could not be used.

Every message says what is wrong, where (file, line, field) and how to fix it, in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from workbench.signatures import public


@public
class WorkbenchError(ValueError):
    """A fault the user can fix. ``str(error)`` is one line: where, what, hint."""

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(one_line(what, where, hint))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the message, without the way to it (``%tb`` shows that)."""
        parts = [": ".join(part for part in (self.where, self.what) if part)]
        return [one_line(part) for part in [*parts, f"Hint: {self.hint}" if self.hint else ""] if part]


@dataclass(frozen=True, slots=True)
class Problem:
    """A row, field or file that was left out or needs attention; never dropped silently.

    ``line`` counts from 1; ``field`` names the manifest field at fault. Empty where not known.
    """

    file: str
    what: str
    hint: str = ""
    line: int | None = None
    field: str = ""

    def __str__(self) -> str:
        where = (
            self.file + (f":{self.line}" if self.line else "") + (f" [{self.field}]" if self.field else "")
        )
        return one_line(self.what, where, self.hint)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Problem:
        """What :meth:`to_dict` gave, of an earlier workbench too (``mend`` was ``hint``)."""
        return cls(**{"hint" if key == "mend" else key: value for key, value in values.items()})


def one_line(what: str, where: str = "", hint: str = "", limit: int = 400) -> str:
    """Join the parts of a message; control characters and line breaks become spaces."""
    text = ": ".join(part for part in (where, what) if part)
    if hint:
        text = f"{text}. Hint: {hint}"
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
