"""What a reviewer asked to see: words or SQL in one box, facets, status, order; views kept by name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.workspace import json_store

LONGEST_SEARCH = 500
SEARCHED = ("text", "speaker", "id")
VIEWS_FILE = "board_views.json"
VIEWS_SCHEMA = 1
MOST_VIEWS = 100

_WORD = re.compile(r'"([^"]+)"|(\S+)')
_COMPARED = re.compile(r"(<=|>=|<|>)?\s*(\d+(?:\.\d+)?)\s*s?")
_BETWEEN = re.compile(r"(\d+(?:\.\d+)?)\s*(?:-|–|\.\.)\s*(\d+(?:\.\d+)?)\s*s?")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_AFTER_COLUMN = re.compile(
    r"^\(*\s*(?:not\s+)?\"?(\w+)\"?\s+(?:is|in|like|ilike|between|not)\b", re.IGNORECASE
)
_CALL = re.compile(r"^\(*\s*(?:not\s+)?\w+\s*\(.*\)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Query:
    """What the reviewer asked to see.

    ``text``: words that transcript, speaker or id contain, all of them, accents and case aside; words in
    double quotes stand together. ``columns``: column → what its filter says: words or, of the length,
    ``> 2`` or ``1-3``. ``facets``: column → chosen values, None for unknown; ``rule``: id of a check, ``*``
    for any finding; ``tag``: one that reviewers or the error explorer gave; ``status``: a status,
    ``decided``, ``disputed`` (reviewers differ) or ``all``; ``minutes``: what the reviewer has, for the
    order ``priority``: the undecided clips worth most in that time; 0 for all clips.
    """

    sql: str = ""
    text: str = ""
    facets: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    status: str = "all"
    rule: str = ""
    tag: str = ""
    order_by: str = ""
    descending: bool = False
    minutes: float = 0.0

    @classmethod
    def from_json(cls, body: Mapping[str, Any], columns: Iterable[str] = ()) -> Query:
        """Keep what is understood, so that a state remembered from an older board still opens.

        ``box``: what stands in the one box, in place of ``sql`` and ``text``; ``columns``: those there are.
        """
        facets = body.get("facets") or {}
        sql, text = str(body.get("sql") or "").strip(), str(body.get("text") or "").strip()
        if "box" in body:
            box = str(body["box"] or "").strip()
            sql, text = (box, "") if reads_as_sql(box, columns) else ("", box)
        return cls(
            sql=sql,
            text=text[:LONGEST_SEARCH],
            facets={str(name): [known(v) for v in values] for name, values in facets.items() if values},
            columns={str(k): str(v).strip()[:LONGEST_SEARCH] for k, v in columns_of(body).items() if v},
            status=str(body.get("status") or "all"),
            rule=str(body.get("rule") or ""),
            tag=str(body.get("tag") or ""),
            order_by=str(body.get("order_by") or ""),
            descending=bool(body.get("descending")),
            minutes=_minutes(body.get("minutes")),
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def columns_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The filters of the columns in what a browser sent."""
    found = body.get("columns")
    return found if isinstance(found, Mapping) else {}


def known(value: object) -> str | None:
    """A facet's value; null of any kind, and nothing, are None."""
    return None if value is None or value != value or value == "" else str(value)


def reads_as_sql(box: str, columns: Iterable[str]) -> bool:
    """Whether a filter is SQL and not words to look for: it compares, calls, or asks of a column."""
    bare = _QUOTED.sub("''", box)
    if re.search(r"[<>=]|::", bare) or _CALL.match(bare):
        return True
    found = _AFTER_COLUMN.match(box)
    return bool(found) and found[1].lower() in {name.lower() for name in columns}  # type: ignore[index]


def column_sql(name: str, text: str) -> str:
    """The SQL that stands behind what is written in the filter of a column.

    Raises:
        WorkbenchError: the length is compared with something that is no number.
    """
    if name != "duration":
        return search_sql(text, (name,))
    if between := _BETWEEN.fullmatch(text):
        return f"duration BETWEEN {between[1]} AND {between[2]}"
    if compared := _COMPARED.fullmatch(text):
        return (
            f"duration {compared[1]} {compared[2]}"
            if compared[1]
            else f"round(duration) = round({compared[2]})"
        )
    raise WorkbenchError(f"no length can be read from {text[:40]!r}", hint="Write > 2, < 0.5, 1-3 or 4.")


def search_sql(text: str, columns: Sequence[str] = SEARCHED) -> str:
    """The SQL that stands behind a search for words."""
    together = ", ".join(f'"{name}"' for name in columns)
    found = f"replace(replace(strip_accents(lower(concat_ws(' ', {together}))), 'ς', 'σ'), 'ß', 'ss')"
    words = [folded(quoted or word) for quoted, word in _WORD.findall(text)]
    literals = ["'" + word.replace("'", "''") + "'" for word in words]
    return " AND ".join(f"contains({found}, {literal})" for literal in literals)


def folded(word: str) -> str:
    """A word without case and accents, as the search compares it."""
    bare = (c for c in unicodedata.normalize("NFD", word.lower()) if unicodedata.category(c) != "Mn")
    return unicodedata.normalize("NFC", "".join(bare)).replace("ς", "σ").replace("ß", "ss")


class SavedViews:
    """Queries kept by name in the corpus's folder, for all who review it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / VIEWS_FILE

    def all(self) -> list[dict[str, Any]]:
        """``name`` and ``query`` of each, by name."""
        return [{"name": name, "query": query} for name, query in sorted(self._read().items())]

    def keep(self, name: str, query: Query) -> None:
        """Keep a query under a name; one that was there is replaced.

        Raises:
            WorkbenchError: no name, or too many views.
        """
        name = name.strip()[:80]
        if not name:
            raise WorkbenchError("a view needs a name")
        found = self._read()
        if name not in found and len(found) >= MOST_VIEWS:
            raise WorkbenchError(f"{MOST_VIEWS} views are kept already", hint="Delete one first.")
        self._write(found | {name: query.to_json()})

    def remove(self, name: str) -> None:
        """Forget a view; one that is not there is no fault."""
        found = self._read()
        if found.pop(name, None) is not None:
            self._write(found)

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        with json_store.reading(self._path, "saved views of a board", VIEWS_SCHEMA) as held:
            return dict(held["views"])

    def _write(self, views: Mapping[str, Any]) -> None:
        json_store.write(self._path, {"schema_version": VIEWS_SCHEMA, "views": dict(views)})


def _minutes(value: Any) -> float:
    """Minutes as a browser sends them; 0 for anything that is none."""
    try:
        minutes = float(value or 0)
    except (TypeError, ValueError):
        return 0.0
    return minutes if 0 < minutes < 1e6 else 0.0
