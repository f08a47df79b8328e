"""When retraining is due: at once where production was trained on data erased since; after so many days, so
many accepted hours, or where a slice regressed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.corpus.query.table import Corpus
from workbench.corpus.review.decisions import ACCEPTED
from workbench.privacy import tainted_checkpoints
from workbench.release import changes
from workbench.release.promotion import pointers
from workbench.signatures import public
from workbench.times import parse_utc
from workbench.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    from workbench.evaluation.evaluation import Evaluation


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


def retraining_status(
    ws: WorkspaceFolder,
    *,
    now: datetime | None = None,
    evaluation: Evaluation | None = None,
    released: str | None = None,
    today: str | None = None,
) -> RetrainingStatus | None:
    """Where the workspace stands; None where nothing was released yet.

    Args:
        now: default: the clock.
        evaluation, released, today: a test of whether a slice regressed: the prediction made at the
            release and one of the same checkpoint on the same kind of calls made since, both in the
            evaluation's rows.
    """
    at = pointers(ws)
    if at.production is None:
        return None
    retraining_schedule, reasons = ws.config.retraining_schedule, []
    if erased := tainted_checkpoints.read(ws).get(at.production.sha256):
        certificates = ", ".join(erased)
        reasons.append(
            f"at once: {at.production.name} was trained on data erased since (certificates {certificates})"
        )
    since = parse_utc(at.production.since)
    assert since is not None
    days = ((now or datetime.now(UTC)) - since).total_seconds() / 86_400
    if erased := tainted_checkpoints.read(ws).get(at.production.sha256):
        name, why = at.production.name, ", ".join(erased)
        reasons.append(f"{name} was trained on data that were erased since ({why}); train without them now")
    if days >= retraining_schedule.days:
        reasons.append(
            f"{days:.0f} days since {at.production.name} went out (every {retraining_schedule.days:.0f})"
        )
    hours = accepted_hours(ws, since)
    if hours >= retraining_schedule.accepted_hours:
        reasons.append(f"{hours:.1f} hours accepted since (every {retraining_schedule.accepted_hours:g})")
    if evaluation is not None and released is not None and today is not None:
        reasons += regressed(evaluation, released, today, retraining_schedule.regressed)
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


def regressed(evaluation: Evaluation, released: str, today: str, by_more_than: float) -> list[str]:
    """Locales whose rate is shown to have risen by more than so much."""
    table = evaluation.compare(released, today, by="target_lang")
    return [
        f"{row['target_lang']} regressed by {100 * row['difference']:.1f} points since the release"
        for row in table.to_dict("records")
        if row["enough"] != "no" and row["lower_bound"] > by_more_than
    ]
