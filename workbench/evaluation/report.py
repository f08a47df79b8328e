"""The report: one HTML file without scripts, addresses or anything to load, and the same figures as JSON.

It is written for a reader who skims: every figure stands with its interval and what that speaks for, slices
with too few words are grayed in words and not only in color, and a difference is called one only where its
interval, corrected for looking at many slices, leaves out zero.
"""

from __future__ import annotations

import os
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from workbench.evaluation import report_sections as sections
from workbench.evaluation.report_confidence import confidence
from workbench.evaluation.report_methods import methods
from workbench.evaluation.report_parts import heat_map
from workbench.evaluation.report_style import STYLE
from workbench.evaluation.summary import as_json, first, plain, records, summarize

if TYPE_CHECKING:
    from workbench.evaluation.evaluation import Evaluation


class Section(Protocol):
    """What another room adds to the report, such as the field report: escaped HTML, and its figures."""

    def section(self) -> str: ...

    def to_dict(self) -> dict[str, Any]: ...


def write_report(
    evaluation: Evaluation,
    path: Path,
    *,
    title: str = "Error report",
    field: Section | None = None,
    **options: Any,
) -> Path:
    """Write ``path`` (HTML) and the same name with ``.json``; see :func:`summarize` for the options.

    Args:
        field: what production says of the same release, as a section of its own.
    """
    summary = summarize(evaluation, **options)
    path = path if path.suffix else path.with_suffix(".html")
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, render(summary, title, field.section() if field else ""))
    seen = {"field": plain(field.to_dict())} if field else {}
    _write(path.with_suffix(".json"), as_json({"title": title, **summary, **seen}))
    return path


def render(summary: dict[str, Any], title: str, field: str = "") -> str:
    """The whole page; ``field``: a section of escaped HTML."""
    body = [
        f"<h1>{escape(title)}</h1>",
        sections.scope(summary),
        sections.headline(summary),
        sections.warnings(summary),
        sections.heat_maps(summary),
        sections.comparisons(summary),
        sections.collect(summary),
        sections.cuts(summary),
        sections.marks(summary),
        sections.languages(summary),
        sections.tradeoff(summary),
        confidence(summary),
        sections.word_lists(summary),
        field,
        methods(summary),
    ]
    # The policy is a second lock: even text that regressed through unescaped could load or run nothing.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}body{{margin:0;background:var(--bg)}}</style></head>"
        f'<body><main class="report">{"".join(body)}</main></body></html>\n'
    )


def fragment(evaluation: Evaluation) -> str:
    """What a notebook shows: headline, warnings and heat map of the first prediction."""
    small: dict[str, Any] = {
        "by": list(evaluation.by),
        "utterances": len(evaluation),
        "problems": [problem.to_dict() for problem in evaluation.problems],
        "confounded": records(evaluation.confounded()),
        "predictions": {},
        "comparisons": [],
    }
    for name in evaluation.names:
        small["predictions"][name] = {
            "overall": plain(evaluation.overall(name)),
            "overall_raw": plain(evaluation.overall(name, normalizer="raw")),
            "gap": plain(evaluation.gap(name)),
            "slices": records(evaluation.rates(name)),
            "facts": plain(evaluation.facts(name)),
        }
    for other in evaluation.names[1:]:
        overall = first(records(evaluation.compare(evaluation.names[0], other, ())))
        small["comparisons"].append({"base": evaluation.names[0], "other": other, "overall": overall})
    maps = [
        heat_map(f"{name}: error rate", found["slices"], small["by"])
        for name, found in small["predictions"].items()
    ]
    parts = [sections.scope(small), sections.headline(small), sections.warnings(small), *maps]
    return f'<style>{STYLE}</style><div class="report">{"".join(parts)}</div>'


def _write(path: Path, content: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
