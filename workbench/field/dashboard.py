"""The field report: what the log says by locale and week against the baseline, as HTML and as JSON.

Neither holds a transcript, an id, a path or a speaker: only counts, means and the names of locales.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.evaluation.report_parts import STYLE, text
from workbench.evaluation.report_parts import table as html_table
from workbench.field.baseline import Baseline
from workbench.field.charts import QUANTITIES, SMALLEST, Quantity
from workbench.field.control_chart_svg import control_chart
from workbench.field.drift import alarms, causes, points, shown
from workbench.field.log import FieldLog
from workbench.field.proposals import Proposal, propose
from workbench.field.weekly import UNCERTAIN, weekly
from workbench.files import write_atomic
from workbench.glance import MOST_ROWS, counted
from workbench.locales import AUTO
from workbench.pages import page
from workbench.plain_values import plain, records
from workbench.release.promotion import pointers
from workbench.signatures import public
from workbench.views import view
from workbench.workspace.calibration import Line, line_of
from workbench.workspace.folder import WorkspaceFolder

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

SCHEMA_VERSION = 1
_SOURCES = (
    "Limits: Laney's p′ chart (Quality Engineering 14(4), 2002) in quasi-likelihood form, with Student's t "
    "for the weeks of the baseline; slow drift by an exponentially weighted mean (Roberts, Technometrics "
    "1(3), 1959), λ = 0.25."
)

_LEGEND = "Shaded: limits of a single week; dashed: the baseline; hollow: not judged; diamond: drift."
_GRID = "display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:0 24px"


@public
@dataclass
class FieldReport:
    """A log held against its baseline.

    Attributes:
        weekly: a row per locale and week, see :func:`workbench.field.weekly.weekly`.
        points: a row per quantity, locale and week, see :func:`workbench.field.drift.points`.
        alarms: the alarms, newest first, with a sentence each.
        false_alarms_per_week: what the limits were set for.
        line: confidence below which a call is counted as uncertain, and where that comes from.
        workspace: whose terms and erasures :meth:`propose` keeps to.
    """

    log: FieldLog
    baseline: Baseline
    weekly: pd.DataFrame
    points: pd.DataFrame
    alarms: pd.DataFrame
    false_alarms_per_week: float
    line: Line
    workspace: WorkspaceFolder | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        found = causes(self.alarms)
        release = f" of release {self.baseline.release}" if self.baseline.release else ""
        calls = f"{counted(len(self.log), 'call')}{release}"
        first = self.unjudged() or (f"{counted(len(found), 'drift')}." if found else "No drift was seen.")
        return "\n".join([f"{calls}. {first}", *found[:MOST_ROWS]])

    def unjudged(self) -> str:
        """Why no week could be judged; empty where one was."""
        if len(self.points) and self.points["judged"].any():
            return ""
        after = self.weekly[~self.weekly["week"].astype(str).isin(self.baseline.weeks)]
        if len(self.weekly) and not after["whole"].any():
            return "Not enough data: the log has no whole week after those of its baseline. Wait for one."
        most = int(self.weekly["calls"].max()) if len(self.weekly) else 0
        return (
            f"Not enough data: no week could be judged. A locale needs {SMALLEST} calls in a week, in the "
            f"baseline and after it; the fullest week has {most}. Wait, or watch locales with more calls."
        )

    def problem_lines(self, limit: int = 20) -> list[str]:
        """The damaged lines, one sentence each, and how many more there are."""
        lines = [str(problem) for problem in self.log.problems[:limit]]
        more = len(self.log.problems) - limit
        return [*lines, f"… and {more} more"] if more > 0 else lines

    def to_dict(self) -> dict[str, Any]:
        """Every figure of the report, as JSON can hold it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "release": self.baseline.release,
            "lines": self.log.lines,
            "used": len(self.log),
            "of_other_releases": self.log.others,
            "damaged": _damage(self.log),
            "baseline_weeks": self.baseline.weeks,
            "baseline_suite": self.baseline.suite,
            "dispersion": {name: found[0] for name, found in self.baseline.dispersion.items()},
            "false_alarms_per_week": self.false_alarms_per_week,
            "uncertain_below": self.line.below,
            "uncertain_from": self.line.source,
            "weekly": records(self.weekly),
            "points": records(self.points),
            "alarms": records(self.alarms),
            "causes": causes(self.alarms),
            "method": _SOURCES,
        }

    def write(self, path: str | Path, *, title: str = "Field report") -> Path:
        """Write one HTML file that loads nothing, and the same figures as JSON beside it."""
        path = Path(path)
        path = path if path.suffix else path.with_suffix(".html")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, self.html(title))
        figures = json.dumps(plain(self.to_dict()), ensure_ascii=False, indent=1, allow_nan=False)
        write_atomic(path.with_suffix(".json"), figures + "\n")
        return path

    def html(self, title: str = "Field report") -> str:
        """The whole page."""
        style = f"{STYLE}body{{margin:0;background:var(--bg)}}"
        body = f'<main class="report"><h1>{escape(title)}</h1>{self._body()}</main>'
        return page(title, style, body)

    def section(self) -> str:
        """The same as a section of the error report: ``evaluation.report(path, field=…)``."""
        inner = self._body().replace("<h2>", "<h3>").replace("</h2>", "</h3>")
        return f'<section id="field"><h2>In the field</h2>{inner}</section>'

    def chart(self, quantity: str | None = None, *, title: str = "") -> go.Figure:
        """Control charts of one quantity, a panel per locale.

        Args:
            quantity: 'volume', 'empty', 'other_language', 'confidence', 'slow' or 'punctuation'; None: that
                of the clearest alarm.

        Raises:
            WorkbenchError: the log has no such figures; those it has are named.
        """
        if not len(self.points):
            raise WorkbenchError(self.unjudged(), where="field log")
        clearest = self.alarms.sort_values("p_value")["quantity"].tolist()
        return view("field_figures").field_chart(self, quantity or (clearest or ["empty"])[0], title=title)

    def propose(
        self, purpose: str | None = None, *, per_alarm: int = 50, now: datetime | None = None
    ) -> Proposal:
        """Calls that the drift points at, as far as consent and erasures allow.

        Args:
            purpose: that consent must have been given for; None: any.
            per_alarm: calls proposed for each alarm at most.
            now: when keeping times are held against; the present by default.

        Raises:
            WorkbenchError: the report belongs to no workspace; ``ws.field_log`` makes one that does.
        """
        if self.workspace is None:
            raise WorkbenchError("no workspace says what may be used", hint="Make the report: ws.field_log.")
        return propose(self.log, self.alarms, self.workspace, purpose=purpose, per_alarm=per_alarm, now=now)

    def _repr_html_(self) -> str:
        return f'<style>{STYLE}</style><div class="report">{self._body()}</div>'

    def _body(self) -> str:
        return "".join(
            (
                self._scope(),
                self._alarm_list(),
                self._latest(),
                self._charts(),
                self._damaged(),
                self._method(),
            )
        )

    def _scope(self) -> str:
        rows = self.log.rows
        span = f"{rows['time'].min():%Y-%m-%d} to {rows['time'].max():%Y-%m-%d}" if len(rows) else "no time"
        release = f" of release {text(self.baseline.release)}" if self.baseline.release else ""
        return (
            f'<p class="soft">{len(rows):,} calls{release}, {span}; {len(self.log.problems):,} of '
            f"{self.log.lines:,} lines could not be used. Baseline: {text(self.baseline.origin)}."
            f"{self._unwatched()}</p>"
        )

    def _unwatched(self) -> str:
        """What no chart shows, in words: calls of other releases, and locales that the baseline lacks."""
        said = f" {self.log.others:,} calls of other releases are left out." if self.log.others else ""
        known = {locale for levels in self.baseline.levels.values() for locale in levels}
        calls = self.weekly.groupby("locale", sort=True)["calls"].sum()
        new = [f"{text(tag)} ({count:,.0f} calls)" for tag, count in calls.items() if tag not in known]
        return said + (f" Not judged, since the baseline has too few calls: {', '.join(new)}." if new else "")

    def _alarm_list(self) -> str:
        if not len(self.alarms):
            judged = int(self.points["judged"].sum()) if len(self.points) else 0
            if not judged:
                return f'<div class="say"><p>{text(self.unjudged())}</p></div>'
            return f'<div class="say"><p>No drift: {judged} chart points are within their limits.</p></div>'
        items = "".join(f"<li>{text(sentence)}</li>" for sentence in causes(self.alarms))
        return f'<h2>Drift</h2><div class="say"><ul>{items}</ul></div>'

    def _latest(self) -> str:
        whole = self.weekly[self.weekly["whole"]]
        if not len(whole):
            return ""
        week = whole["week"].max()
        at = self.points[self.points["week"] == week.isoformat()]
        rows = []
        for locale, part in at.groupby("locale", sort=True):
            held = {r["quantity"]: r for r in part.to_dict("records")}
            of_week = whole[(whole["week"] == week) & (whole["locale"] == locale)].to_dict("records")
            rows.append({"locale": locale, **held, "uncertain": _uncertain(of_week)})
        columns: list[tuple[str, Callable[[dict[str, Any]], str], bool]] = [
            ("locale", lambda r: text(r["locale"]), False)
        ]
        columns += [(_heading(q), lambda r, q=q: _cell(q, r.get(q.name)), True) for q in QUANTITIES]  # type: ignore[misc]
        columns.append(("uncertain calls", lambda r: text(r["uncertain"]), True))
        line = f"uncertain: confidence below {self.line.below:g}, {self.line.source}"
        return "<h2>Latest whole week</h2>" + html_table(
            f"Week of {week}; in brackets what the baseline had; ▲▼ beyond the limits; {line}", rows, columns
        )

    def _charts(self) -> str:
        drawn = []
        for quantity in QUANTITIES:
            part = self.points[self.points["quantity"] == quantity.name]
            charts = [
                control_chart(quantity, str(locale), rows.to_dict("records"))
                for locale, rows in part.groupby("locale", sort=True)
            ]
            if any(charts):
                drawn.append(f'<div style="{_GRID}">{"".join(charts)}</div>')
        if not drawn:
            return ""
        return f'<h2>Control charts</h2><p class="soft">{text(_LEGEND)}</p>{"".join(drawn)}'

    def _damaged(self) -> str:
        # By field only: a damaged value may be anything, a name or a transcript in the wrong place.
        rows = [{"field": name, "lines": count} for name, count in sorted(_damage(self.log).items())]
        return html_table(
            "Lines that could not be used, by the field at fault",
            rows,
            [("field", lambda r: text(r["field"]), False), ("lines", lambda r: text(r["lines"]), True)],
        )

    def _method(self) -> str:
        return (
            f'<h2>Method</h2><p class="soft">{text(_SOURCES)} The chance of any false alarm in a week is set '
            f"to {self.false_alarms_per_week:.1%}, over all locales and quantities together. A drift says "
            "that calls or their recognition changed, not that the recognizer got worse: without references "
            "there is no error rate. Holidays change volume.</p>"
        )


def watch_log(
    log: FieldLog,
    baseline: Baseline | None = None,
    *,
    baseline_weeks: int = 6,
    release: str | None = None,
    false_alarms_per_week: float = 0.01,
    workspace: WorkspaceFolder | None = None,
    uncertain: float | None = None,
) -> FieldReport:
    """Hold a log against a release's baseline.

    Args:
        baseline: saved from an earlier log of the same release, or of a suite (``ws.suite_baseline``); None
            takes the first ``baseline_weeks`` whole weeks of this one.
        release: use the calls of this release only; None: the last one that the log names, or all if it
            names none.
        workspace: whose terms and erasures proposals keep to, and where checkpoints were calibrated.
        uncertain: confidence below which a call is uncertain; None: the line that was fitted for the
            checkpoint of the release, where the workspace's pointers know it, else 0.6.

    Raises:
        WorkbenchError: no usable line, too few weeks, a release that the log does not name, a baseline of
            another release or prompt, ``uncertain`` is no confidence, or ``false_alarms_per_week`` no chance.
    """
    if not 0 < false_alarms_per_week < 1:
        what = f"false_alarms_per_week={false_alarms_per_week!r} decides on nothing"
        raise WorkbenchError(what, where="field log", hint="Give a chance between 0 and 1, such as 0.01.")
    if not len(log):
        first = next(iter(log.problems), None)
        raise WorkbenchError(
            "no line of the log can be used", where="field log", hint=f"First: {first}" if first else ""
        )
    release = release or (log.releases[-1] if log.releases else None)
    log = log.of_release(release) if release is not None else log
    if baseline is not None and baseline.release != release:
        raise WorkbenchError(
            f"the baseline is of release {baseline.release}",
            where="field log",
            hint=f"Take one of {release}.",
        )
    if baseline is not None and baseline.suite is not None:
        _refuse_other_prompt(log, baseline)
    baseline = baseline or Baseline.of(log, baseline_weeks, release)
    line = _line(workspace, release, uncertain)
    table = weekly(log.rows, baseline.slow_limits, line.below)
    found = points(table, baseline, false_alarms_per_week)
    return FieldReport(log, baseline, table, found, alarms(found), false_alarms_per_week, line, workspace)


def _line(workspace: WorkspaceFolder | None, release: str | None, given: float | None) -> Line:
    """Below which confidence a call is uncertain."""
    if given is not None:
        if not 0 <= given <= 1:
            raise WorkbenchError(f"uncertain={given}", where="field log", hint="A confidence, 0 to 1.")
        return Line(float(given), "as given")
    if workspace is None:
        return line_of(None, None, UNCERTAIN)
    now = pointers(workspace)
    digests = [p.sha256 for p in (now.production, now.previous, now.candidate) if p and p.name == release]
    return line_of(workspace.reports, digests[0] if digests else None, UNCERTAIN, "utterance")


def _refuse_other_prompt(log: FieldLog, baseline: Baseline) -> None:
    automatic = float((log.rows["requested_lang"] == AUTO).mean())
    if (automatic > 0.5) != (baseline.prompt_mode == AUTO):
        raise WorkbenchError(
            f"not alike: {automatic:.0%} of the calls asked for auto, the baseline's prompt is "
            f"{baseline.prompt_mode}",
            where=f"suite {baseline.suite}",
            hint="Take the operating point that callers get: ws.suite_baseline(…, point=…).",
        )


def _heading(quantity: Quantity) -> str:
    return {"other_language": "other language", "slow": "slow calls"}.get(quantity.name, quantity.label)


def _uncertain(rows: list[dict[str, Any]]) -> str:
    """The share of a week's calls with a confidence that are uncertain."""
    rated = sum(row["rated"] for row in rows)
    return f"{sum(row['uncertain'] for row in rows) / rated:.1%}" if rated else "–"


def _cell(quantity: Quantity, row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    sign = ("▲ " if row["value"] > row["usual"] else "▼ ") if row["alarm"] else ""
    return text(f"{sign}{shown(quantity, row['value'])} ({shown(quantity, row['usual'])})")


def _damage(log: FieldLog) -> dict[str, int]:
    """Damaged lines by field: the values in them stay out of a report that travels."""
    return dict(Counter(problem.field or "line" for problem in log.problems))
