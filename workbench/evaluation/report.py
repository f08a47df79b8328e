"""The report: one HTML file without scripts, addresses or anything to load, and the same figures as JSON.

It is written for a reader who skims: every figure stands with its interval and what that speaks for, slices
with too few words are grayed in words and not only in color, and a difference is called one only where its
interval, corrected for looking at many slices, leaves out zero.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Protocol

from workbench.evaluation import report_sections as sections
from workbench.evaluation.intervals import MIN_CLUSTERS
from workbench.evaluation.report_parts import STYLE, folded, heat_map, number, percent, table, text
from workbench.evaluation.significance import EXACT_CLUSTERS
from workbench.files import write_atomic
from workbench.pages import page
from workbench.plain_values import as_json, plain


class Section(Protocol):
    """What another room adds to the report, such as the field report: escaped HTML, and its figures."""

    def section(self) -> str: ...

    def to_dict(self) -> dict[str, Any]: ...


def write_report(
    figures: dict[str, Any], path: Path, *, title: str = "Error report", field: Section | None = None
) -> Path:
    """Write ``path`` (HTML) and the same name with ``.json``.

    Args:
        figures: what :func:`workbench.evaluation.summary.summarize` made.
        field: what production says of the same release, as a section of its own.
    """
    path = path if path.suffix else path.with_suffix(".html")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, render(figures, title, field.section() if field else ""))
    seen = {"field": plain(field.to_dict())} if field else {}
    write_atomic(path.with_suffix(".json"), as_json({"title": title, **figures, **seen}))
    return path


def render(summary: dict[str, Any], title: str, field: str = "") -> str:
    """The whole page; ``field``: a section of escaped HTML."""
    body = [
        f"<h1>{escape(title)}</h1>",
        sections.scope(summary),
        sections.opening(summary),
        sections.warnings(summary),
        sections.headline(summary),
        sections.heat_maps(summary),
        sections.comparisons(summary),
        sections.silences(summary),
        sections.collect(summary),
        field,
        *map(
            folded,
            (
                sections.cuts(summary), sections.punctuation(summary), sections.languages(summary),
                sections.tradeoff(summary), confidence(summary), sections.word_lists(summary),
                methods(summary),
            ),
        ),
    ]  # fmt: skip
    style = f"{STYLE}body{{margin:0;background:var(--bg)}}"
    return page(title, style, f'<main class="report">{"".join(body)}</main>')


def fragment(figures: dict[str, Any]) -> str:
    """What a notebook shows: the findings, or what each prediction comes to where nothing stands out; then
    warnings, headline and heat maps under *more*.

    Args:
        figures: from :func:`workbench.evaluation.summary.headlines`.
    """
    maps = [
        heat_map(f"{name}: error rate", found["slices"], figures["by"])
        for name, found in figures["predictions"].items()
    ]
    more = "".join([sections.warnings(figures, each=False), sections.headline(figures), *maps])
    parts = [
        sections.opening(figures) or sections.said([p["sentence"] for p in figures["predictions"].values()]),
        sections.scope(figures),
        f"<details><summary>More</summary>{more}</details>",
    ]
    return f'<style>{STYLE}</style><div class="report">{"".join(parts)}</div>'


def confidence(summary: dict[str, Any]) -> str:
    """Stated confidence against the share of right words; nothing where no recognizer gave one."""
    parts = []
    for name, found in summary["predictions"].items():
        rows = found["calibration"]
        if not rows:
            continue
        words = sum(row["words"] for row in rows)
        off = sum(row["words"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / words
        parts.append(
            f"<p><b>{text(name)}</b>: stated confidence and share of right words are {100 * off:.1f} points "
            "apart on average (expected calibration error over these bins).</p>"
        )
        columns = [
            ("confidence", lambda r: f"{percent(r['from'], 0)} to {percent(r['to'], 0)}", False),
            ("words", lambda r: number(r["words"]), True),
            ("stated on average", lambda r: percent(r["confidence"]), True),
            ("right", lambda r: percent(r["accuracy"]), True),
        ]
        parts.append(table(f"{name}: is its confidence earned?", rows, columns))
    return "<h2>Confidence</h2>" + "".join(parts) if parts else ""


def methods(summary: dict[str, Any]) -> str:
    made, limits = summary["methods"], summary["methods"]["thresholds"]
    variants = ", ".join(
        f"{text(name)} {number(found['spelling_only'])}" for name, found in summary["predictions"].items()
    )
    lines = [
        "An error rate is the sum of substituted, inserted and deleted units over the sum of reference "
        "units; rates of utterances are never averaged. Words, or characters in slices of Japanese, Korean, "
        "Chinese (as NVIDIA's model card does) and Thai (ours).",
        f"Normalizer of the headline: {text(made['normalizer'])}."
        f"{_substituted(made['substitutions'])} Raw is Unicode NFC on both sides. "
        "Substitutions in raw text that differ in encoding, apostrophe or ё/е alone, counted in the raw "
        f"rate: {variants}.",
        f"{100 * made['confidence']:.0f} % intervals over speakers: the wider of Student's (cluster-robust) "
        f"and of the bootstrap-t with {number(made['resamples'])} samples, on the logarithmic scale; rates "
        "below 5 %, and speakers closer together than chance, "
        "by a gamma-Poisson model. Over utterances instead where a slice has fewer "
        f"than {limits['min_speakers']} speakers (†) or speakers are not known (‡). None below "
        f"{MIN_CLUSTERS} independent units, or where nearly all errors come from one or two of them. "
        f"Seed {made['seed']}.",
        f"Grayed below {number(limits['gray_below_words'])} reference words, provisional below "
        f"{number(limits['provisional_below_words'])}.",
        "Comparisons: the two systems' names swapped speaker by speaker (all ways up to "
        f"{EXACT_CLUSTERS} speakers, else {number(made['resamples'])} sampled ways), Student's tail where "
        "swapping reaches its smallest p-value; intervals by inverting the same test, never narrower "
        "than counts of changed words or clips allow (where none changed: the rule of three); matched-pairs "
        "sentence-segment test (Gillick and Cox 1989); Holm's correction over the slices of a table. "
        "Worst and best slice were picked after seeing the rates, so their gap is biased upwards.",
        "Punctuation error rate as in NeMo, on text under NFKC; case on words both sides have.",
        "Made with " + ", ".join(f"{text(k)} {text(v)}" for k, v in made["versions"].items()) + ".",
    ]
    return f"<h2>Methods</h2><ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"


def _substituted(listed: list[dict[str, Any]]) -> str:
    """The substitution list, in full: whoever reads a figure must see what counted as equal."""
    if not listed:
        return ""
    pairs = ", ".join(
        f"{text(item['written'])} as {text(item['meant'])}"
        + (f" ({text(item['language'])})" if item["language"] else "")
        for item in listed
    )
    return f" Counted as equal: {pairs}."
