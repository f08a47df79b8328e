"""Choosing the look-ahead: error rate, latency and streams per machine, per locale, against a stated budget.

Longer look-aheads err less, answer later and, in larger chunks, let one machine serve more callers. The table
says which settings no other one beats in all three, and which is recommended within the budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.glance import Glance, as_html, as_text
from workbench.shown import Facts
from workbench.signatures import public
from workbench.suites.predictions import SuitePredictions
from workbench.views import view

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from workbench.capacity.result import Capacity
    from workbench.evaluation import Evaluation

COLUMNS = (
    "locale", "lookahead_ms", "rate", "low", "high", "enough", "latency_p50_s", "latency_p95_s", "streams",
    "on_tradeoff", "within_budget", "recommended", "why_not",
)  # fmt: skip


@public
@dataclass(frozen=True)
class Choice:
    """The table (a row per locale and look-ahead, see :func:`choose`) and what was asked of it."""

    table: pd.DataFrame
    latency_p95_s: float | None
    streams: int | None

    @property
    def recommended(self) -> dict[str, int]:
        """Locale → look-ahead in ms; a locale without one has no setting within the budget."""
        chosen = self.table[self.table["recommended"]]
        found = {str(r["locale"]): int(r["lookahead_ms"]) for r in chosen.to_dict("records")}
        return Facts(found, f"Look-ahead in ms for {self.budget_line()}.")

    def sentences(self) -> list[str]:
        """One per locale: the recommended setting with its figures, or why there is none."""
        found = []
        for locale, part in self.table.groupby("locale", sort=True):
            chosen = part[part["recommended"]].to_dict("records")
            if not chosen:
                reasons = "; ".join(
                    f"{r['lookahead_ms']} ms: {r['why_not']}" for r in part.to_dict("records")
                )
                found.append(f"{locale}: no look-ahead keeps the budget ({reasons}).")
                continue
            row = chosen[0]
            extra = "" if row["streams"] is None else f", {row['streams']} streams on this machine"
            rough = "" if row["enough"] == "yes" else ", few words: provisional"
            known = row["low"] == row["low"]
            span = f"{row['low']:.1%} to {row['high']:.1%}" if known else "no interval"
            found.append(
                f"{locale}: {row['lookahead_ms']} ms: error rate {row['rate']:.1%} ({span}{rough}), "
                f"word latency p95 {row['latency_p95_s']:.2f} s{extra}."
            )
        return found

    def _glance(self) -> Glance:
        chosen = self.recommended
        tags = [str(tag) for tag in dict.fromkeys(self.table["locale"])]
        without = [tag for tag in tags if tag not in chosen]
        named = ", ".join(f"{tag} {ms} ms" for tag, ms in chosen.items())
        said = f"For {self.budget_line()}: {named or 'no look-ahead keeps it'}"
        said += f"; nothing keeps it for {', '.join(without)}" if chosen and without else ""
        head = "locale", "look-ahead", "error rate", "word latency p95", "streams", "reading"
        rows = [
            (
                str(r["locale"]), f"{r['lookahead_ms']} ms", f"{r['rate']:.1%}",
                "–" if r["latency_p95_s"] != r["latency_p95_s"] else f"{r['latency_p95_s']:.2f} s",
                "–" if r["streams"] is None or r["streams"] != r["streams"] else f"{int(r['streams']):,}",
                "recommended" if r["recommended"] else str(r["why_not"] or ""),
            )
            for r in self.table.to_dict("records")
        ]  # fmt: skip
        lines = "".join(f"<li>{escape(line)}</li>" for line in self.sentences())
        return Glance(f"{said}.", head, rows, more=f"<ul>{lines}</ul>", about="with intervals")

    __repr__, _repr_html_ = as_text, as_html

    def chart(self, *, title: str = "") -> go.Figure:
        """Error rate against word latency, a line per locale, a point per look-ahead; streams beside them."""
        return view("capacity_figures").choice_chart(self, title=title)

    def budget_line(self) -> str:
        """The budget in words."""
        parts = [f"word latency p95 ≤ {self.latency_p95_s:g} s"] if self.latency_p95_s is not None else []
        parts += [f"at least {self.streams} streams"] if self.streams is not None else []
        return " and ".join(parts) or "no budget"


@public
def choose_lookahead(
    evaluation: Evaluation | SuitePredictions,
    capacity: Capacity | Mapping[str, Capacity] | None = None,
    *,
    by: str | Sequence[str] = "target_lang",
    latency_p95_s: float | None = None,
    streams: int | None = None,
) -> Choice:
    """Error rate, latency and streams per locale and look-ahead, with the setting for a budget.

    Args:
        evaluation: a suite run of one checkpoint at several streamed points, or an evaluation of one
            streamed prediction per look-ahead.
        capacity: of this machine, or one per locale; its search gives the streams.
        by: ``target_lang``, or ``()`` for all locales together.
        latency_p95_s: the budget of word latency.
        streams: that one machine must hold.

    Raises:
        WorkbenchError: predictions that differ in more than the look-ahead, two of the same one, a suite run
            of several checkpoints or with clips missing, or a budget for what was not measured.
    """
    if isinstance(evaluation, SuitePredictions):
        evaluation = _of_suite(evaluation)
    return choose(evaluation.tradeoff(by=by), capacity, latency_p95_s=latency_p95_s, streams=streams)


def _of_suite(run: SuitePredictions) -> Evaluation:
    """One checkpoint at every operating point of its suite.

    Raises:
        WorkbenchError: several checkpoints, or a point whose coverage does not suffice.
    """
    if len(run.names) != 1:
        raise WorkbenchError(
            f"which checkpoint? The run has {', '.join(run.names)}", hint="Run the suite with one of them."
        )
    for point in run.points:
        if lacking := run.shortfalls(point=point):
            why = "; ".join(f"{tag}: {', '.join(what)}" for tag, what in lacking.items())
            raise WorkbenchError(f"not enough data at {point.name}: {why}", where=f"suite {run.suite.name}")
    return run.at_all_points(run.names)


def _refuse_unlike(rows: pd.DataFrame) -> None:
    """Look-aheads are compared where nothing else differs.

    Raises:
        WorkbenchError: several checkpoints, prompts, engines or precisions; each is named.
    """
    words = {"checkpoint_sha256": "checkpoints", "prompt_mode": "prompts", "streaming": "ways of reading"}
    found = []
    for column, word in words.items():
        values = sorted({str(value)[:12] for value in rows[column].dropna()}) if column in rows else []
        if len(values) > 1 or "mixed" in values:
            found.append(f"{word} {', '.join(values)}")
    if found:
        raise WorkbenchError(
            f"not alike: {'; '.join(found)}",
            where="tradeoff",
            hint="Give predictions that differ in the look-ahead alone: tradeoff(names=[…]).",
        )


def choose(
    tradeoff: pd.DataFrame,
    capacity: Capacity | Mapping[str, Capacity] | None = None,
    *,
    latency_p95_s: float | None = None,
    streams: int | None = None,
) -> Choice:
    """Put the tradeoff of an evaluation and the streams of a capacity sweep side by side and recommend.

    Args:
        tradeoff: ``Evaluation.tradeoff(by="target_lang")``, or without ``by`` for all locales together; of
            predictions of one checkpoint and prompt mode. Offline predictions (no look-ahead) are left out.
        capacity: of this machine, or one per locale; its search gives ``streams``, and its word latency at
            that load takes the place of the unloaded one.
        latency_p95_s: the budget of word latency. ``streams``: that one machine must hold.

    Recommended is the lowest error rate within the budget; of settings less than a tenth of a point apart,
    the shortest.

    Raises:
        WorkbenchError: two predictions of the same look-ahead, or a budget for what was not measured.
    """
    rows = tradeoff[tradeoff["lookahead_ms"].notna()].copy()
    rows["locale"] = rows["target_lang"].astype(str) if "target_lang" in rows else "all"
    _refuse_unlike(rows)
    repeated = rows[rows.duplicated(["locale", "lookahead_ms"])]
    if len(repeated):
        raise WorkbenchError(
            f"two predictions at {int(repeated['lookahead_ms'].iloc[0])} ms",
            where="tradeoff",
            hint="Evaluate one prediction per look-ahead: tradeoff(names=[…]).",
        )
    if streams is not None and capacity is None:
        raise WorkbenchError("a budget of streams needs a capacity sweep", hint="Pass capacity=….")
    records: list[dict[str, Any]] = []
    for row in rows.to_dict("records"):
        measured = capacity.get(row["locale"]) if isinstance(capacity, Mapping) else capacity
        records.append(_record(row, measured, latency_p95_s, streams))
    for locale in sorted({r["locale"] for r in records}):
        _recommend([r for r in records if r["locale"] == locale])
    order = sorted(records, key=lambda r: (r["locale"], r["lookahead_ms"]))
    return Choice(
        pd.DataFrame(order, columns=list(COLUMNS)).astype({"streams": object}), latency_p95_s, streams
    )


def _record(
    row: Mapping[str, Any], capacity: Capacity | None, latency_p95_s: float | None, streams: int | None
) -> dict[str, Any]:
    lookahead_ms = int(row["lookahead_ms"])
    p50, p95 = (float(row.get(f"latency_{p}_s", float("nan"))) for p in ("p50", "p95"))
    held = None
    if capacity is not None:
        loaded = capacity.latency_table().set_index("lookahead_ms")
        found = capacity.streams_at(lookahead_ms)
        held = found.streams if found is not None else None
        if lookahead_ms in loaded.index and loaded.loc[lookahead_ms, "latency_p95_s"] > 0:
            p50, p95 = (float(loaded.loc[lookahead_ms, f"latency_{p}_s"]) for p in ("p50", "p95"))
    faults = []
    if row["rate"] != row["rate"] or row.get("enough") == "no":
        faults.append("not enough words")
    if latency_p95_s is not None and not p95 <= latency_p95_s:
        faults.append("latency not known" if p95 != p95 else f"latency p95 {p95:.2f} s")
    if streams is not None and (held is None or held < streams):
        faults.append("streams not measured" if held is None else f"{held} streams")
    return {
        "locale": row["locale"],
        "lookahead_ms": lookahead_ms,
        **{name: row.get(name) for name in ("rate", "low", "high", "enough")},
        "latency_p50_s": p50,
        "latency_p95_s": p95,
        "streams": held,
        "within_budget": not faults,
        "recommended": False,
        "why_not": ", ".join(faults),
    }


def _recommend(records: list[dict[str, Any]]) -> None:
    for record in records:
        record["on_tradeoff"] = not any(_beats(other, record) for other in records)
    usable = [r for r in records if r["within_budget"]]
    if usable:
        least = min(r["rate"] for r in usable)
        near = [r for r in usable if r["rate"] <= least + 0.001]
        min(near, key=lambda r: r["lookahead_ms"])["recommended"] = True


def _beats(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether ``a`` is nowhere worse than ``b`` and somewhere better; what is not known decides nothing."""
    pairs = [(a["rate"], b["rate"]), (a["latency_p95_s"], b["latency_p95_s"])]
    pairs.append((-(a["streams"] or 0), -(b["streams"] or 0)))
    known = [(x, y) for x, y in pairs if x == x and y == y]
    return all(x <= y for x, y in known) and any(x < y for x, y in known)
