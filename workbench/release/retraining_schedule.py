"""When retraining is due: at once where production was trained on data erased since; after so many days, so
many accepted hours, or where a slice regressed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.corpus.query.table import Corpus
from workbench.corpus.review.decisions import ACCEPTED
from workbench.errors import WorkbenchError
from workbench.glance import Glance, as_html, as_text
from workbench.privacy import tainted_checkpoints
from workbench.release import changes
from workbench.release.promotion import pointers
from workbench.signatures import public
from workbench.suites.since import regressed
from workbench.times import parse_utc
from workbench.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    from workbench.suites.predictions import SuitePredictions


@public
@dataclass(frozen=True)
class RetrainingStatus:
    """Where a workspace stands between two releases.

    Attributes:
        name, since: of the release in production.
        days, hours: since it went out; accepted since.
        due: reasons why retraining is due, one sentence each.
        changes: what it changed from the release before: data, recipe, figures, one sentence each.
    """

    name: str
    since: str
    days: float
    hours: float
    due: tuple[str, ...]
    changes: tuple[str, ...]

    def _glance(self) -> Glance:
        since = f"{self.days:.0f} days and {self.hours:.1f} accepted hours since {self.name}"
        said = f"Retraining is due: {since}." if self.due else f"Retraining is not due: {since}."
        rows = [("due", line) for line in self.due]
        rows += [(f"changed by {self.name}", line) for line in self.changes]
        return Glance(said, ("about", "finding"), rows)

    __repr__, _repr_html_ = as_text, as_html


def retraining_status(
    ws: WorkspaceFolder,
    *,
    now: datetime | None = None,
    at_release: SuitePredictions | None = None,
    today: SuitePredictions | None = None,
    point: str | None = None,
) -> RetrainingStatus | None:
    """Where the workspace stands; None where nothing was released yet.

    Args:
        now: default: the clock.
        at_release, today: whether a locale regressed: runs of two versions of a suite, the one of the release
            and one renewed since, both with the checkpoint in production.
        point: operating point they are held at; default: the first.

    Raises:
        WorkbenchError: one run without the other, or two that are not alike.
    """
    if (at_release is None) != (today is None):
        raise WorkbenchError(
            "one suite run alone", where="retraining status", hint="Give both: at_release=…, today=…"
        )
    at = pointers(ws)
    if at.production is None:
        return None
    retraining_schedule, reasons = ws.config.retraining_schedule, []
    since = parse_utc(at.production.since)
    assert since is not None
    days = ((now or datetime.now(UTC)) - since).total_seconds() / 86_400
    if erased := tainted_checkpoints.read(ws).get(at.production.sha256):
        certificates = ", ".join(erased)
        reasons.append(
            f"at once: {at.production.name} was trained on data erased since (certificates {certificates})"
        )
    if days >= retraining_schedule.days:
        reasons.append(
            f"{days:.0f} days since {at.production.name} went out (every {retraining_schedule.days:.0f})"
        )
    hours = accepted_hours(ws, since)
    if hours >= retraining_schedule.accepted_hours:
        reasons.append(f"{hours:.1f} hours accepted since (every {retraining_schedule.accepted_hours:g})")
    if at_release is not None and today is not None:
        reasons += regressed(
            at_release, today, at.production.sha256, retraining_schedule.regressed, point=point
        )
    before = changes.read(ws, at.previous.sha256) if at.previous else {}
    changed = changes.between(before, changes.read(ws, at.production.sha256))
    return RetrainingStatus(
        at.production.name, at.production.since, days, hours, tuple(reasons), tuple(changed)
    )


def accepted_hours(ws: WorkspaceFolder, since: datetime) -> float:
    """Hours of utterances accepted after a moment, and still accepted."""
    seconds = 0.0
    for name in ws.corpus_names():
        corpus = Corpus.open(ws.corpus_folder(name))
        fresh: set[str] = set()
        for event in corpus.decisions.events():
            at = parse_utc(event.at)
            if event.stands and event.value == ACCEPTED and at is not None and at > since:
                fresh.update(corpus.decisions.clips_of(event.seq))
        if fresh:
            rows = corpus.table(["id", "duration", "status"]).to_pylist()
            seconds += sum(r["duration"] or 0 for r in rows if r["id"] in fresh and r["status"] == ACCEPTED)
        corpus.close()
    return seconds / 3600
