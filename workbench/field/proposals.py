"""Calls that a drift points at, proposed for curation, as far as consent and erasures allow.

The rules are those that a release's training data are held against: consent must be stated and not refused,
the purpose, where one is asked for, must be among those that were given, the keeping time must not be over,
and what was erased from this workspace does not come back. Every call that is left out is counted by reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.files import write_atomic
from workbench.privacy.erasure import with_terms
from workbench.privacy.suppression_list import suppressed
from workbench.release.data_checks import refused
from workbench.signatures import public
from workbench.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    from workbench.field.log import FieldLog

_DATED = ("volume",)


@public
@dataclass(frozen=True)
class Proposal:
    """Calls to listen to.

    Attributes:
        rows: ``id, audio_filepath, offset, duration, target_lang, recorded_at, consent, purpose, keep_days,
            source, speaker``, ``hypothesis`` (what was recognized; it is no reference, ``text`` is null) and
            ``because`` (the drift that points at the call).
        left_out: reason → calls.
    """

    rows: pd.DataFrame
    left_out: dict[str, int] = field(default_factory=dict)

    def write(self, path: str | Path) -> Path:
        """As a manifest for ``ws.import_corpus``; readable by its owner only."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        records = self.rows.astype(object).where(self.rows.notna(), None).to_dict("records")
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        return write_atomic(path, "".join(lines))

    def __str__(self) -> str:
        left = ", ".join(f"{count} {reason}" for reason, count in sorted(self.left_out.items()))
        return f"{len(self.rows)} calls proposed; left out: {left or 'none'}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        shown = self.rows.groupby(["target_lang", "because"], as_index=False).size()
        return f"<p>{escape(str(self))}.</p>{shown.to_html(index=False, escape=True)}"


def propose(
    log: FieldLog,
    alarms: pd.DataFrame,
    ws: WorkspaceFolder,
    *,
    purpose: str | None = None,
    per_alarm: int = 50,
    now: datetime | None = None,
) -> Proposal:
    """Choose calls for the alarms of a log.

    Args:
        alarms: of ``drift.alarms``: an alarm about empty outputs proposes empty calls, one about confidence
            the least confident, and so on.
        ws: its terms of sources fill in what a line does not say; what was erased here stays out.
        purpose: that consent must have been given for; None: any.
        per_alarm: calls proposed for each at most.
    """
    left: Counter[str] = Counter()
    now = now or datetime.now(UTC)
    chosen: dict[int, str] = {}
    rows = with_terms(ws, log.rows)
    week = rows["time"].dt.tz_convert("UTC").dt.tz_localize(None)
    week = (week - pd.to_timedelta(week.dt.dayofweek, unit="D")).dt.strftime("%Y-%m-%d")
    locale = rows["requested_lang"].where(rows["requested_lang"] != "auto", rows["detected_lang"])
    allowed: dict[int, str | None] = {}
    for alarm in alarms.to_dict("records"):
        if alarm["quantity"] in _DATED:
            continue
        at = rows[(week == alarm["week"]) & (locale == alarm["locale"])]
        taken = 0
        for index in _ordered(at, alarm["quantity"]).index:
            if taken == per_alarm:
                break
            if index in chosen:
                continue
            if index not in allowed:
                allowed[index] = _refusal(ws, rows.loc[index].to_dict(), purpose, now)
                left[allowed[index] or ""] += 1
            if allowed[index] is None:
                chosen[index] = f"{alarm['quantity']} in the week of {alarm['week']}"
                taken += 1
    left.pop("", None)
    return Proposal(_manifest(rows, locale, chosen), dict(left))


def _ordered(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The calls that made the value what it is, clearest first."""
    if quantity == "empty":
        return rows[rows["words"] == 0]
    if quantity == "other_language":
        return rows[rows["detected_lang"].notna() & (rows["detected_lang"] != rows["requested_lang"])]
    if quantity == "confidence":
        return rows[rows["confidence"].notna()].sort_values("confidence")
    if quantity == "slow":
        return rows[rows["latency_ms"].notna()].sort_values("latency_ms", ascending=False)
    density = rows["marks"] / rows["words"].where(rows["words"] > 0)
    return rows.assign(density=density).dropna(subset=["density"]).sort_values("density")


def _refusal(ws: WorkspaceFolder, row: dict[str, Any], purpose: str | None, now: datetime) -> str | None:
    """Why a call may not be proposed; None where it may."""
    consent, given = row.get("consent"), row.get("purpose")
    if not isinstance(row.get("audio_filepath"), str):
        return "kept no audio"
    if not isinstance(consent, str):
        return "have no stated consent"
    if refused(consent):
        return "were refused consent"
    if purpose is not None and (not isinstance(given, str) or purpose not in given.split()):
        return f"were not given for {purpose}"
    days = row.get("keep_days")
    if days is not None and days == days and row["time"].to_pydatetime() + timedelta(days=float(days)) < now:
        return "are past their keeping time"
    if suppressed(ws, [{**row, "id": row.get("id"), "offset": _known(row.get("offset")) or 0.0}]):
        return "were erased"
    return None


def _manifest(rows: pd.DataFrame, locale: pd.Series[Any], chosen: dict[int, str]) -> pd.DataFrame:
    kept = rows.loc[list(chosen)].copy()
    kept["target_lang"] = locale.loc[list(chosen)]
    kept["recorded_at"] = kept["time"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    kept["hypothesis"], kept["because"] = kept["text"], list(chosen.values())
    columns: Iterable[str] = (
        "id", "audio_filepath", "offset", "duration", "target_lang", "recorded_at", "consent", "purpose",
        "keep_days", "source", "speaker", "hypothesis", "because",
    )  # fmt: skip
    return kept[list(columns)].assign(text=None).reset_index(drop=True)


def _known(value: Any) -> float | None:
    return None if value is None or value != value else float(value)
