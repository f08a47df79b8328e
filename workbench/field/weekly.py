"""Sums by locale and week, in DuckDB: what control charts and dashboard are made from. No text in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pandas as pd

if TYPE_CHECKING:
    from workbench.field.log import FieldLog

UNCERTAIN = 0.6
"""Confidence of a call below which it is uncertain, where its checkpoint was not calibrated."""
SQL = """
WITH calls AS (
    SELECT
        CASE WHEN requested_lang <> 'auto' THEN requested_lang ELSE coalesce(detected_lang, 'unknown') END
            AS locale,
        CAST(date_trunc('week', time AT TIME ZONE 'UTC') AS DATE) AS week,
        requested_lang <> 'auto' AND detected_lang IS NOT NULL AS compared,
        detected_lang <> requested_lang AS other,
        requested_lang = 'auto' AS automatic,
        words, marks, confidence, latency_ms
    FROM log
)
SELECT
    c.locale, c.week,
    count(*) AS calls,
    count(*) FILTER (automatic) AS automatic,
    count(words) AS read,
    count(*) FILTER (words = 0) AS empty,
    count(*) FILTER (compared) AS compared,
    count(*) FILTER (compared AND other) AS other_language,
    count(confidence) AS rated,
    avg(confidence) AS confidence,
    var_samp(confidence) AS confidence_variance,
    count(*) FILTER (confidence < $uncertain) AS uncertain,
    count(latency_ms) AS timed,
    quantile_cont(latency_ms, 0.5) AS latency_p50_ms,
    quantile_cont(latency_ms, 0.95) AS latency_p95_ms,
    count(*) FILTER (latency_ms > s.latency_ms_limit) AS slow,
    count(*) FILTER (words > 0 AND marks IS NOT NULL) AS marked,
    sum(words) FILTER (words > 0 AND marks IS NOT NULL) AS words,
    sum(marks) FILTER (words > 0) AS marks,
    sum(words * words) FILTER (words > 0 AND marks IS NOT NULL) AS words_squared,
    sum(marks * marks) FILTER (words > 0) AS marks_squared,
    sum(words * marks) FILTER (words > 0) AS words_marks
FROM calls c LEFT JOIN slow_limits s ON s.locale = c.locale
GROUP BY ALL
ORDER BY c.locale, c.week
"""


def weekly(
    rows: pd.DataFrame, slow_limits: dict[str, float] | None = None, uncertain: float = UNCERTAIN
) -> pd.DataFrame:
    """One row a locale and week (from Monday, UTC).

    ``locale`` is the one that was asked for; for ``auto`` the detected one, ``unknown`` where none was.

    Args:
        rows: of a :class:`FieldLog`.
        slow_limits: locale → latency in ms above which a call counts as ``slow``.
        uncertain: confidence below which it counts as ``uncertain``.

    Returns:
        ``locale, week, calls, automatic``; ``read`` (calls with a transcript or a word count) and ``empty``
        among them; ``compared`` (a locale was asked for and one detected) and ``other_language`` among them;
        ``rated, confidence, confidence_variance, uncertain``; ``timed, latency_p50_ms, latency_p95_ms,
        slow``; ``marked`` (calls with words), ``words, marks`` and their sums of squares and products;
        ``whole``: False for a first or last week that the log covers in part.
    """
    needed = ["time", "requested_lang", "detected_lang", "words", "marks", "confidence", "latency_ms"]
    limits = pd.DataFrame(
        {"locale": list(slow_limits or {}), "latency_ms_limit": list((slow_limits or {}).values())}
    ).astype({"locale": "object", "latency_ms_limit": "float64"})
    with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        given = rows[needed]
        texts = {name: given[name].astype("string") for name in ("requested_lang", "detected_lang")}
        connection.register("log", given.assign(**texts))
        connection.register("slow_limits", limits.assign(locale=limits["locale"].astype("string")))
        table = connection.execute(SQL, {"uncertain": uncertain}).df()
    table["week"] = pd.to_datetime(table["week"]).dt.date
    table["whole"] = _whole(table, rows)
    return table


def latency_limits(rows: pd.DataFrame) -> dict[str, float]:
    """Locale → 95th percentile of latency in ms; locales with fewer than 20 timed calls are left out."""
    table = weekly(rows.assign(time=rows["time"].min())) if len(rows) else None
    if table is None:
        return {}
    kept = table[table["timed"] >= 20]
    return {str(k): float(v) for k, v in zip(kept["locale"], kept["latency_p95_ms"], strict=True)}


def weeks_of(log: FieldLog) -> list[str]:
    """Weeks (their Mondays, ISO) that the log covers from one end to the other."""
    table = weekly(log.rows)
    return sorted({week.isoformat() for week in table[table["whole"]]["week"]})


def _whole(table: pd.DataFrame, rows: pd.DataFrame) -> pd.Series[bool]:
    if not len(rows):
        return pd.Series([], dtype=bool)
    day = pd.Timedelta(days=1)
    begins = pd.to_datetime(table["week"]).dt.tz_localize("UTC")
    # A first call on Monday and a last one on Sunday: nights are quiet, so a day's grace at either end.
    found: pd.Series[bool] = (begins + day > rows["time"].min()) & (begins + 6 * day <= rows["time"].max())
    return found
