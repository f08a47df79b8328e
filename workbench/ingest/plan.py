"""What an import will do, as plain data: shown before anything is written, edited, kept with the corpus."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.glance import Glance
from workbench.ingest.intake import ImportOptions
from workbench.reading import regular
from workbench.signatures import public

PLAN_VERSION = 1


@dataclass
class Column:
    """A column of the source.

    Attributes:
        name: as the source has it.
        feeds: the field that it feeds; empty where it rides along.
        filled: share of rows that say something, 0 to 1.
        samples: a few different values.
    """

    name: str
    feeds: str = ""
    filled: float = 0.0
    samples: list[str] = field(default_factory=list)


@dataclass
class SaidLocale:
    """What rows say of their locale.

    Attributes:
        value: as the source writes it; empty where rows say nothing.
        rows: how many.
        tag: the locale it becomes; None where that has to be decided.
        candidates: tags that may be meant.
    """

    value: str
    rows: int
    tag: str | None = None
    candidates: list[str] = field(default_factory=list)


@public
@dataclass
class ImportPlan:
    """What was understood of a source, and what an import will do. ``mapping``, ``defaults``, ``tags``,
    ``audio_roots`` and ``locale`` may be changed; the rest says what was found with them.

    Attributes:
        layout: what the source was taken for.
        source: where it is.
        mapping: field → column; an empty column: none feeds the field, whatever its name.
        defaults: field → value where rows have none.
        tags: what the source writes → locale tag.
        audio_roots: folders that recordings are read from; empty: the source's own.
        locale: of rows that state none or only its language.
        rows: rows of the source; ``usable`` come in.
        hours: of the usable rows, as far as durations are known.
        left_out: reason → rows.
        columns: of the source.
        locales: what rows say of theirs.
        speakers: how many are known; ``without_speaker`` rows have none.
        splits: split → rows. licenses: license → rows.
        missing: what the source lacks, in words.
        notes: files passed over, choices made, guesses to confirm.
        examples: the first rows as they would come in.
        roots: folders in which the recordings were looked for.
    """

    layout: str
    source: str
    mapping: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    audio_roots: list[str] = field(default_factory=list)
    locale: str | None = None
    rows: int = 0
    usable: int = 0
    hours: float = 0.0
    left_out: dict[str, int] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)
    locales: list[SaidLocale] = field(default_factory=list)
    speakers: int = 0
    without_speaker: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    licenses: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    version: int = PLAN_VERSION

    @property
    def questions(self) -> list[str]:
        """What has to be decided before the rows can be exported and trained on."""
        asked = []
        for said in self.locales:
            if said.tag is None:
                what = f"{said.value!r}" if said.value else "no locale"
                choice = f" (may be {', '.join(said.candidates)})" if said.candidates else ""
                how = f"plan.tags[{said.value!r}] = …" if said.value else "plan.locale = …"
                asked.append(f"{said.rows:,} rows say {what}{choice}: {how}")
        return asked

    def options(self, over: ImportOptions | None = None) -> ImportOptions:
        """What an import goes by; ``over`` wins where it says something."""
        over = over or ImportOptions()
        return ImportOptions(
            {**self.mapping, **over.mapping},
            {**self.defaults, **over.defaults},
            {**self.tags, **over.tags},
            tuple(over.audio_roots) or tuple(self.audio_roots),
            over.locale or self.locale,
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything the plan says, as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImportPlan:
        """A plan that :meth:`to_dict` gave.

        Raises:
            WorkbenchError: an unknown key, or the plan of a newer workbench.
        """
        known = [one.name for one in fields(cls)]
        odd = sorted(set(values) - set(known))
        if odd:
            raise WorkbenchError(f"no part {odd[0]!r} of a plan", hint=f"Parts: {', '.join(known)}.")
        if values.get("version", PLAN_VERSION) > PLAN_VERSION:
            raise WorkbenchError("the plan of a newer workbench", hint="Update the workbench.")
        made = dict(values)
        made["columns"] = [Column(**one) for one in values.get("columns", ())]
        made["locales"] = [SaidLocale(**one) for one in values.get("locales", ())]
        return cls(**made)

    def save(self, path: str | Path) -> Path:
        """Write the plan as JSON, to be edited and loaded again."""
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=1)
        return write_atomic(Path(path), text + "\n")

    @classmethod
    def load(cls, path: str | Path) -> ImportPlan:
        """A plan that :meth:`save` wrote.

        Raises:
            WorkbenchError: no plan.
        """
        try:
            return cls.from_dict(json.loads(regular(Path(path), "import plan").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            if isinstance(error, WorkbenchError):
                raise
            raise WorkbenchError(
                "no import plan", where=str(path), hint="Write one with plan.save."
            ) from error

    def __str__(self) -> str:
        lines = [f"{self.layout}: {self.usable:,} of {self.rows:,} rows come in, {self.hours:.2f} hours"]
        lines += [f"  {name} <- {column}" for name, column in self.mapping.items() if column]
        rest = [column.name for column in self.columns if not column.feeds]
        lines += [f"  ride along: {', '.join(rest)}"] if rest else []
        lines += [f"  locale: {_locale(said)}" for said in self.locales]
        lines += [f"  speakers: {self.speakers:,} known; {self.without_speaker:,} rows without one"]
        lines += [f"  splits: {_counts(self.splits)}"] if self.splits else []
        lines += [f"  licenses: {_counts(self.licenses)}"] if self.licenses else []
        lines += [f"  left out: {count:,} rows: {why}" for why, count in self.left_out.items()]
        lines += [f"  missing: {what}" for what in self.missing]
        lines += [f"  note: {what}" for what in self.notes]
        lines += [f"  decide: {what}" for what in self.questions]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        facts = [
            ("Layout", self.layout), ("Source", self.source),
            ("Rows", f"{self.usable:,} of {self.rows:,} come in, {self.hours:.2f} hours"),
            ("Locales", "; ".join(map(_locale, self.locales)) or "none stated"),
            ("Speakers", f"{self.speakers:,} known; {self.without_speaker:,} rows without one"),
            ("Splits", _counts(self.splits) or "none stated"),
            ("Licenses", _counts(self.licenses) or "none stated"),
            ("Left out", "; ".join(f"{n:,} rows: {why}" for why, n in self.left_out.items()) or "nothing"),
            ("Missing", "; ".join(self.missing) or "nothing"),
            ("Notes", "; ".join(self.notes) or "none"),
            ("To decide", "; ".join(self.questions) or "nothing"),
        ]  # fmt: skip
        asked = "; ".join(self.questions)
        state = f"to decide: {asked}" if asked else "nothing to decide"
        said = f"{self.usable:,} of {self.rows:,} rows come in ({self.hours:.2f} h), {self.layout}; {state}."
        columns = [
            (one.name, one.feeds or "rides along", f"{one.filled:.0%}", " · ".join(one.samples)[:160])
            for one in self.columns
        ]
        body = _table(["column", "feeds", "filled", "samples"], columns, "Columns")
        names = list(dict.fromkeys(name for row in self.examples for name in row))
        rows = [[row.get(name, "") for name in names] for row in self.examples]
        more = body + (_table(names, rows, "First rows as they would come in") if rows else "")
        scrolls = f'<div style="overflow-x:auto">{more}</div>'
        about = "columns and first rows"
        return Glance(said, ("about", "finding"), facts, more=scrolls, about=about).html(every=True)


def _locale(said: SaidLocale) -> str:
    written = said.value or "not stated"
    becomes = "" if said.tag == said.value else f" → {said.tag or 'to be decided'}"
    return f"{written}{becomes}, {said.rows:,} rows"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]], caption: str) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    body = "".join(
        "<tr>"
        + "".join(f'<td dir="auto" style="text-align:left">{html.escape(_shown(v))}</td>' for v in row)
        + "</tr>"
        for row in rows
    )
    header = f"<thead><tr>{head}</tr></thead>" if any(names) else ""
    return f"<table><caption>{html.escape(caption)}</caption>{header}<tbody>{body}</tbody></table>"


def _shown(value: Any) -> str:
    return "" if value is None else str(value)[:200]
