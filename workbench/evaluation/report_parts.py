"""Pieces of the report: escaped text, tables, heat map, interval plot, style. No scripts, no links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from workbench.evaluation.confounding import WORDS

MOST_LINES = 40
UNKNOWN = "not stated"
_ROW_HEIGHT, _LABEL_WIDTH, _PLOT_WIDTH = 22, 230, 420


def text(value: Any) -> str:
    """A value as escaped text; unknown is a dash."""
    return "–" if value is None else escape(str(value))


def words(value: Any) -> str:
    """Transcript text, kept apart from what surrounds it whatever its direction."""
    return f'<bdi dir="auto">{text(value)}</bdi>'


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def points(value: float | None) -> str:
    """A difference in percentage points, always with its sign."""
    return "–" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def span(low: float | None, high: float | None, show: Callable[[float | None], str] = percent) -> str:
    if low is None or high is None:
        return "no interval"
    return f"{show(low).removesuffix(' %')} to {show(high)}"


def p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return "&lt; 0.001" if value < 0.001 else f"{value:.3f}"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def slice_name(record: dict[str, Any], by: Sequence[str]) -> str:
    """What a slice is called, as plain text; a record without the columns is about everything."""
    if not any(c in record for c in by):
        return "everything"
    return " · ".join(UNKNOWN if record.get(c) is None else str(record[c]) for c in by)


def mark_of(record: dict[str, Any]) -> str:
    """Signs beside a figure: † these voices only, ‡ speakers unknown, ~ provisional."""
    signs = {"these voices only": "†", "speakers unknown": "‡"}.get(str(record.get("interval_kind")), "")
    return signs + ("~" if record.get("enough") == "provisional" else "")


def table(
    caption: str,
    rows: Sequence[dict[str, Any]],
    columns: Sequence[tuple[str, Callable[[dict[str, Any]], str], bool]],
    row_class: Callable[[dict[str, Any]], str] | None = None,
) -> str:
    """An HTML table.

    Args:
        columns: (heading, cell as HTML, whether it is a number); the first one heads its row.
    """
    if not rows:
        return ""
    head = "".join(f'<th scope="col"{" class=n" if n else ""}>{escape(h)}</th>' for h, _, n in columns)
    lines = []
    for row in rows:
        cells = []
        for place, (_, cell, numeric) in enumerate(columns):
            tag = 'th scope="row"' if place == 0 else "td"
            cells.append(f"<{tag}{' class=n' if numeric else ''}>{cell(row)}</{tag.split()[0]}>")
        extra = row_class(row) if row_class else ""
        lines.append(f"<tr{f' class={extra}' if extra else ''}>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def heat_map(caption: str, rows: Sequence[dict[str, Any]], by: Sequence[str]) -> str:
    """Rates of two columns as a table whose cells say everything the color says."""
    if not rows or not by:
        return ""
    row_key, column_key = by[0], by[1] if len(by) > 1 else None
    if column_key and 2 * len(rows) <= 3 * len({row.get(row_key) for row in rows}):
        return _slice_map(caption, rows, by)
    across = list(dict.fromkeys(r.get(column_key) for r in rows)) if column_key else [None]
    across.sort(key=lambda v: (v is None, str(v)))
    down = list(dict.fromkeys(r.get(row_key) for r in rows))
    cells = {(r.get(row_key), r.get(column_key) if column_key else None): r for r in rows}
    titles = [UNKNOWN if v is None else v for v in across] if column_key else ["all"]
    head = "".join(f'<th scope="col">{text(t)}</th>' for t in titles)
    corner = text(" \\ ".join(column_name(key) for key in (row_key, column_key) if key))
    lines = []
    for key in down:
        name = text(UNKNOWN if key is None else key)
        line = "".join(_heat_cell(cells.get((key, a))) for a in across)
        lines.append(f'<tr><th scope="row">{name}</th>{line}</tr>')
    return (
        f'<div class="scroll"><table class="heat"><caption>{escape(caption)}</caption><thead><tr>'
        f'<th scope="col">{corner}</th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


def _slice_map(caption: str, rows: Sequence[dict[str, Any]], by: Sequence[str]) -> str:
    """The heat map where nearly every row has one cell: a line a slice, in place of a nearly empty table."""
    lines = [f'<tr><th scope="row">{escape(slice_name(row, by))}</th>{_heat_cell(row)}</tr>' for row in rows]
    return (
        f'<div class="scroll"><table class="heat"><caption>{escape(caption)}</caption><thead><tr>'
        f'<th scope="col">{escape(" · ".join(column_name(c) for c in by[:2]))}</th>'
        f'<th scope="col">error rate</th></tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


def column_name(column: str) -> str:
    """A column as readers know it."""
    return WORDS.get(column, column)


def _heat_cell(record: dict[str, Any] | None) -> str:
    if record is None:
        return '<td class="none">·</td>'
    rate, size = record["rate"], number(record["reference_words"])
    if record["enough"] == "no" or rate is None:
        return f'<td class="gray"><span>not enough data</span><small>{size} words</small></td>'
    # Color says how high the rate is; the words, the size of the evidence.
    strength = min(60, round(75 * min(rate, 1.0) ** 0.7))
    interval = span(record["low"], record["high"])
    label = "" if record["metric"] == "wer" else " CER"
    return (
        f'<td style="--heat:{strength}%"><span>{percent(rate)}{label}{mark_of(record)}</span>'
        f"<small>{interval}</small></td>"
    )


def interval_plot(
    title: str, rows: Sequence[dict[str, Any]], by: Sequence[str], overall: float | None
) -> str:
    """Rate and interval of each slice, highest first, as an SVG; slices with too few words are left out, and
    the title counts what is."""
    known = [r for r in rows if r["enough"] != "no" and r["rate"] is not None and r["low"] is not None]
    shown = sorted(known, key=lambda r: -r["rate"])[:MOST_LINES]
    if not shown:
        return ""
    hidden = len(rows) - len(shown)
    title += f"; {hidden} of {len(rows)} slices not drawn (no interval, or not among the highest)" * (
        hidden > 0
    )
    top = max(*(r["high"] for r in shown), overall or 0, 0.01) * 1.05
    height = (len(shown) + 1) * _ROW_HEIGHT + 8

    def x(value: float) -> str:
        return f"{_LABEL_WIDTH + value / top * _PLOT_WIDTH:.1f}"

    parts = []
    if overall is not None:
        parts.append(f'<line x1="{x(overall)}" x2="{x(overall)}" y1="4" y2="{height - 24}" class="whole"/>')
    for place, row in enumerate(shown):
        y = place * _ROW_HEIGHT + 15
        dashed = ' stroke-dasharray="3 3"' if row["interval_kind"] != "speakers" else ""
        name = escape(slice_name(row, by)[:34]) + mark_of(row)
        parts.append(
            f'<text x="{_LABEL_WIDTH - 8}" y="{y + 4}" text-anchor="end">{name}</text>'
            f'<line x1="{x(row["low"])}" x2="{x(row["high"])}" y1="{y}" y2="{y}"{dashed}/>'
            f'<circle cx="{x(row["rate"])}" cy="{y}" r="4"/>'
            f'<text x="{_LABEL_WIDTH + _PLOT_WIDTH + 8}" y="{y + 4}">{percent(row["rate"])}</text>'
        )
    sizes = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 10.0)
    step = next((size for size in sizes if top / size <= 6), top)
    ticks = "".join(
        f'<text x="{x(step * i)}" y="{height - 6}" text-anchor="middle">{percent(step * i, 0)}</text>'
        for i in range(int(top / step) + 1)
    )
    width = _LABEL_WIDTH + _PLOT_WIDTH + 70
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(title)}">{"".join(parts)}{ticks}</svg></figure>'
    )


STYLE = """
:root{color-scheme:light dark;--bg:#fff;--ink:#1a1c20;--soft:#5b616b;--line:#d5d9e0;
--panel:#f4f6f9;--hot:#d9480f;--accent:#1f5fbf}
@media (prefers-color-scheme:dark){:root{--bg:#15171b;--ink:#e8eaee;--soft:#a3abb8;--line:#3a404a;
--panel:#1e2127;--hot:#e8590c;--accent:#7fb0ff}}
@media print{:root{color-scheme:light;--bg:#fff;--ink:#000;--soft:#444;--line:#bbb;--panel:#f4f6f9;
--hot:#d9480f;--accent:#1f5fbf}}
body[data-jp-theme-light="true"] .report{color-scheme:light;--bg:#fff;--ink:#1a1c20;--soft:#5b616b;
--line:#d5d9e0;--panel:#f4f6f9;--hot:#d9480f;--accent:#1f5fbf}
body[data-jp-theme-light="false"] .report{color-scheme:dark;--bg:#15171b;--ink:#e8eaee;--soft:#a3abb8;
--line:#3a404a;--panel:#1e2127;--hot:#e8590c;--accent:#7fb0ff}
.report *{box-sizing:border-box}
.report{background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:72rem;
margin:0 auto;padding:1.5rem}
.report h1{font-size:1.6rem;margin:0 0 .2rem}
.report h2{font-size:1.2rem;margin:2.2rem 0 .5rem;border-top:1px solid var(--line);padding-top:1rem}
.report details.fold>summary{cursor:pointer;border-top:1px solid var(--line);margin-top:1rem;padding:.6rem 0}
.report details.fold>summary h2{display:inline;border:0;margin:0;padding:0}
.report h3{font-size:1rem;margin:1.4rem 0 .3rem}
.report p,.report li{max-width:52rem}
.report .soft,.report small{color:var(--soft)}
.report .say,.report .warn{background:var(--panel);padding:.7rem 1rem;margin:1rem 0}
.report .say li:first-child{font-weight:600}
.report .say{border-left:4px solid var(--accent)}
.report .warn{border-left:4px solid var(--hot)}
.report .say ol,.report .warn ul{margin:.2rem 0;padding-left:1.1rem}
.report .scroll{overflow-x:auto;margin:.8rem 0}
.report table{color:var(--ink);border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
.report caption{text-align:left;color:var(--soft);padding:.3rem 0}
.report th,.report td{border-bottom:1px solid var(--line);padding:.28rem .6rem;text-align:left;
vertical-align:top;background:transparent;color:inherit}
.report th{font-weight:600}
.report .n{text-align:right;white-space:nowrap}
.report th.n{white-space:normal}
.report tr.gray{color:var(--soft)}
.report .heat td{text-align:center;min-width:5.5rem;print-color-adjust:exact;
-webkit-print-color-adjust:exact;background:color-mix(in srgb,var(--hot) var(--heat,0%),var(--bg))}
.report .heat td span{display:block;font-weight:600}
.report .heat td small{display:block;color:inherit}
.report .heat td.gray{color:var(--soft);
background:repeating-linear-gradient(45deg,transparent 0 6px,var(--panel) 6px 12px)}
.report .heat td.gray span{font-weight:400}
.report figure{margin:1rem 0}
.report figcaption{color:var(--soft);font-size:.9rem}
.report svg{width:100%;max-width:46rem;height:auto;font:12px system-ui,sans-serif}
.report svg text{fill:var(--ink)}
.report svg line{stroke:var(--ink);stroke-width:2}
.report svg line.whole{stroke:var(--accent);stroke-width:1;stroke-dasharray:5 3}
.report svg circle{fill:var(--accent);stroke:var(--bg)}
@media print{.report{max-width:none;padding:0;font-size:10pt}
.report .scroll{overflow:visible}
.report table{font-size:7.5pt}
.report th,.report td{padding:.15rem .3rem}
.report .n{white-space:normal}
.report .heat td{min-width:4rem}
.report h2{break-after:avoid}
.report details.fold::details-content{content-visibility:visible;block-size:auto}
.report details.fold>summary{list-style:none}
.report tr,.report figure,.report .say,.report .warn{break-inside:avoid}
.report thead{display:table-header-group}}
"""
"""Light or dark by the reader's setting, in JupyterLab by its theme, and on paper."""


def folded(section: str) -> str:
    """A section behind its heading: closed on the screen, where a search opens it, and open in print."""
    heading, end, rest = section.partition("</h2>")
    if not rest:
        return section
    return f'<details class="fold"><summary>{heading}{end}</summary>{rest}</details>'
