"""The verdict of a gate with its evidence, written down and read back."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.glance import Glance
from workbench.release.verdicts import FAIL, PASS, UNKNOWN, Check, Finding, Verdict, worst

SCHEMA_VERSION = 2


@dataclass(frozen=True, slots=True)
class GateReport:
    """The verdict on a candidate and what it rests on; ``to_json`` and ``report`` write it down."""

    policy: str
    policy_digest: str
    base: str
    candidate: str
    base_sha256: str | None
    candidate_sha256: str | None
    checks: tuple[Check, ...]
    utterances: int
    made_at: str
    suite: dict[str, Any] | None = None
    """What the verdict is bound to, see ``SuiteRun.binding``; None: predictions picked by hand."""
    schema_version: int = SCHEMA_VERSION

    @property
    def verdict(self) -> Verdict:
        return worst(check.verdict for check in self.checks)

    @property
    def passed(self) -> bool:
        return self.verdict == PASS

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 not enough data; 2 is left to commands that could not run at all."""
        return {PASS: 0, FAIL: 1, UNKNOWN: 3}[self.verdict]

    def check(self, name: str) -> Check:
        """The check of a name.

        Raises:
            WorkbenchError: there is none.
        """
        for check in self.checks:
            if check.name == name:
                return check
        raise WorkbenchError(f"no check {name!r}", hint=f"Checks: {', '.join(c.name for c in self.checks)}.")

    def to_dict(self) -> dict[str, Any]:
        names = [n for n in self.__slots__ if n != "checks"]
        checks = [check.to_dict() for check in self.checks]
        return {**{n: getattr(self, n) for n in names}, "verdict": self.verdict, "checks": checks}

    def to_json(self, path: Path | None = None) -> str:
        """The report as JSON, written to ``path`` where given."""
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        if path is not None:
            write_atomic(Path(path), text)
        return text

    @classmethod
    def from_json(cls, text: str) -> GateReport:
        """Read a report back.

        Raises:
            WorkbenchError: not a report, of another schema, or with a verdict its checks do not bear out.
        """
        try:
            raw = json.loads(text)
            made = [
                Check(**{**c, "evidence": tuple(Finding(**f) for f in c["evidence"])})
                for c in raw.pop("checks")
            ]
            verdict = raw.pop("verdict")
            if raw.get("schema_version") == 1:
                raw |= {"suite": None, "schema_version": SCHEMA_VERSION}
            report = cls(**raw, checks=tuple(made))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WorkbenchError("not a gate report", hint="Gate the candidate again.") from error
        if report.schema_version != SCHEMA_VERSION or report.verdict != verdict:
            raise WorkbenchError(
                "gate report of another schema or with an edited verdict", hint="Gate again."
            )
        for check in report.checks:
            if check.verdict != worst(f.verdict for f in check.evidence):
                raise WorkbenchError(f"check {check.name!r} was edited", hint="Gate the candidate again.")
        return report

    @property
    def basis(self) -> str:
        """What the verdict rests on, in one line."""
        if self.suite is None:
            return f"on {self.utterances} utterances and predictions picked by hand, not on a suite"
        bound = self.suite
        return (
            f"on suite {bound['name']} v{bound['version']} ({bound['digest'][:12]}): {self.utterances} "
            f"utterances of {', '.join(bound['corpora'])} at {', '.join(bound['points'])}"
        )

    @property
    def answer(self) -> str:
        """May we ship? Yes, no, or not yet, and why, in one sentence."""
        failed = [check for check in self.checks if check.verdict == FAIL]
        lacking = [check for check in self.checks if check.verdict == UNKNOWN]
        said = f"{self.candidate} against {self.base}"
        if failed:
            more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
            return f"Do not ship {said}: {failed[0].name} failed ({failed[0].because}){more}."
        if lacking:
            more = f", and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            return f"Not yet, {said}: not enough data for {lacking[0].name} ({lacking[0].because}){more}."
        how = "all" if self.suite else "but on predictions picked by hand, so not without an override; all"
        return f"Ship {said}: {how} {len(self.checks)} checks of policy {self.policy} passed."

    def __str__(self) -> str:
        lines = [
            self.answer,
            f"{self.candidate} against {self.base}, policy {self.policy}: {self.verdict}",
            f"  {self.basis}",
        ]
        return "\n".join([*lines, *(f"  {c.verdict:16} {c.name}: {c.because}" for c in self.checks)])

    __repr__ = __str__

    def _glance(self) -> Glance:
        """The verdict is written, never told by color alone."""
        title = f"{self.candidate} against {self.base}, policy {self.policy}: {self.verdict}"
        figure = f"<p>{html.escape(title)}<br>{html.escape(self.basis)}</p>"
        rows = [(check.verdict, check.name, check.requirement, check.because) for check in self.checks]
        return Glance(self.answer, ("verdict", "check", "requirement", "because"), rows, figure=figure)

    def _repr_html_(self) -> str:
        return self._glance().html(every=True)
