"""A team's own rules beside the built-in ones: an SQL expression, or a function on a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.corpus.quality.rules import RULES, Severity
from workbench.errors import WorkbenchError
from workbench.signatures import public

if TYPE_CHECKING:
    from workbench.corpus.query.view import View

_AT_ONCE = 5_000


@public
@dataclass(frozen=True)
class OwnRule:
    """A rule of the team.

    Attributes:
        id: its name in findings and data cards: small letters, digits, underscores.
        reason: what a finding means, in words for a reviewer.
        test: an SQL expression that is true for a flawed row, as for ``corpus.where``; or a function
            that takes a row and returns whether it is flawed, or what is wrong, or None.
        severity: ``error``, ``warning`` or ``info``.
        hint: what to do.
    """

    id: str
    reason: str
    test: str | Callable[[dict[str, Any]], Any]
    severity: Severity = "warning"
    hint: str = "Listen; correct or reject."

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", self.id) or self.id in RULES:
            taken = "the name of a built-in rule" if self.id in RULES else "no name of a rule"
            raise WorkbenchError(f"{self.id!r} is {taken}", hint="Use small letters, digits and underscores.")
        if self.severity not in ("error", "warning", "info"):
            raise WorkbenchError(
                f"severity {self.severity!r}", where=self.id, hint="Use error, warning or info."
            )

    def found(self, corpus: View) -> Iterator[tuple[str, str | None]]:
        """Id and value of each flawed row.

        Raises:
            WorkbenchError: the expression is none over the columns, or the function failed; the row is named.
        """
        if isinstance(self.test, str):
            yield from ((id_, None) for id_ in corpus.where(self.test).ids())
            return
        for offset in range(0, len(corpus), _AT_ONCE):
            for row in corpus.page(offset, _AT_ONCE):
                try:
                    said = self.test(row)
                except Exception as error:
                    what = f"the rule {self.id} failed on {row['id']!r}: {type(error).__name__}: {error}"
                    raise WorkbenchError(what, hint="Let it take every row; fields may be None.") from error
                if said:
                    yield row["id"], None if said is True else str(said)[:200]


def add_own(frame: pd.DataFrame, corpus: View, own: Sequence[OwnRule]) -> pd.DataFrame:
    """Findings with those of the team's rules, errors first, each severity in the order of the rules."""
    rows = [
        {"id": id_, "rule": rule.id, "severity": rule.severity, "reason": rule.reason, "hint": rule.hint,
         "value": value}
        for rule in own for id_, value in rule.found(corpus)
    ]  # fmt: skip
    if not rows:
        return frame
    attrs = dict(frame.attrs)
    made = pd.DataFrame(rows, columns=list(frame.columns))
    joined = pd.concat([frame, made], ignore_index=True) if len(frame) else made
    order = joined["severity"].map({"error": 0, "warning": 1, "info": 2})
    joined = joined.iloc[order.argsort(kind="stable")].reset_index(drop=True)
    joined.attrs.update(attrs)
    return joined
