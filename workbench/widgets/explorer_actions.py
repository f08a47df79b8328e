"""What the explorer leads to: curation, the collection plan, the keyword list, SQL, CSV and pictures."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import text as txt
from workbench.corpus.split.collection import WISHES, collection_requests
from workbench.errors import WorkbenchError
from workbench.evaluation.keywords import Keyword, read_keywords
from workbench.evaluation.slices import BANDS
from workbench.files import write_atomic
from workbench.language_tags import strip_tag
from workbench.locales import UNSPACED_LANGUAGES
from workbench.signatures import public
from workbench.spreadsheets import LINE_END, defused
from workbench.widgets.audio import AudioAnswers
from workbench.widgets.channel import LiveWidget, answers
from workbench.widgets.explorer_comparison import ids_of
from workbench.widgets.explorer_data import Choice, where_of
from workbench.widgets.explorer_static import heat_svg, svg_size

if TYPE_CHECKING:
    from workbench.corpus.query.table import Corpus
    from workbench.evaluation import Evaluation

MOST_SENT = 5_000
KEYWORDS = "keywords.csv"
COLUMNS = ("keyword", "domain", "target_lang")
FORMULA = "=+-@\t\r\n"
_LOOKED_AT = 300  # utterances, to learn how a word is written


@public
class ExplorerActions(AudioAnswers, LiveWidget):
    """Answers of the explorer that change something, or that write a file."""

    evaluation: Evaluation
    corpus: Corpus | None
    _choice: Choice

    def __init__(self, **traits: Any) -> None:
        self._keeping = threading.Lock()
        super().__init__(**traits)

    @property
    def keyword_file(self) -> Path:
        """The keyword list, a CSV beside the corpus as ``evaluation.keywords`` and policies take it."""
        return self._corpus().folder / KEYWORDS

    @property
    def keywords(self) -> list[str]:
        """Words of the keyword list, as transcripts write them: ``session(boost=explorer.keywords)``."""
        return [keyword.text for keyword in _listed(self.keyword_file)]

    @property
    def collection_plan(self) -> list[dict[str, Any]]:
        """What is to be collected: ``target_lang``, ``accent``, ``minutes`` each."""
        return collection_requests(self._corpus())

    @answers("send", queue="decide")
    def _send_to_curation(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Tag utterances for the reviewers, with the reason; the board shows the tag and filters by it."""
        ids = [str(item) for item in body.get("ids") or []][:MOST_SENT]
        reason = " ".join(str(body.get("reason") or "").split())
        if not reason:
            raise WorkbenchError(
                "no reason is given", hint="Say in a few words what a reviewer should check."
            )
        tag = f"check: {reason}"[:100]
        self._corpus().decisions.tag(ids, tag)
        return {"tag": tag, "sent": len(ids)}

    @answers("plan", queue="decide")
    def _plan(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Add minutes of a locale and accent to the collection plan, a JSON file beside the corpus that
        :func:`workbench.corpus.split.collection.plan` reads."""
        minutes = float(body.get("minutes") or 0)
        if not 0 < minutes <= 100_000:
            raise WorkbenchError(f"{minutes:g} minutes cannot be planned", hint="Give a number above 0.")
        wish = {"target_lang": body.get("locale"), "accent": body.get("accent"), "minutes": minutes}
        if not wish["target_lang"] and not wish["accent"]:
            raise WorkbenchError(
                "this cell names no locale and no accent to collect",
                hint="Let locale or accent span the map, and open a cell of one.",
            )
        with self._keeping:
            kept = [*self.collection_plan, wish]
            text = json.dumps(kept, ensure_ascii=False, indent=1) + "\n"
            write_atomic(self._corpus().folder / WISHES, text)
        return {"planned": len(kept), "minutes": sum(float(item["minutes"]) for item in kept)}

    @answers("keyword", queue="decide")
    def _keyword(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Add words to the keyword list. They belong to the utterance ``id``, or to the cell they were lost
        in, whose transcripts also tell how a word is written there."""
        words = [" ".join(str(word).split()) for word in body.get("words") or []]
        if body.get("id") is not None:
            rows = [int(self.evaluation.position(str(body["id"])))]
        else:
            rows = self._rows_losing(words, body.get("row"), body.get("column"))
        written = self._as_written(words, rows)
        found = self._shared(rows)
        with self._keeping:
            added, kept = add_keywords(self.keyword_file, written, found["domain"], found["target_lang"])
        return {"added": added, "keywords": len(kept), "file": KEYWORDS}

    @answers("export")
    def _export(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """The map as SVG, or the cell's utterances as CSV with formulas defused, or the cell as SQL."""
        row, column = body.get("row"), body.get("column")
        if body.get("format") == "svg":
            shown = dict(self.map)
            return {"text": heat_svg(shown)} | dict(zip(("width", "height"), svg_size(shown), strict=True))
        if body.get("format") == "sql":
            return {"text": sql_of(where_of(self._choice, row, column))}

        options: dict[str, Any] = {"metric": self._choice.metric, "normalizer": self._choice.normalizer}
        frame = self.evaluation.utterances(self._choice.name, where_of(self._choice, row, column), **options)
        return {"text": frame.map(defused).to_csv(index=False, lineterminator=LINE_END)}

    def _corpus(self) -> Corpus:
        if self.corpus is None:
            raise WorkbenchError("this explorer has no corpus", hint="Pass corpus=… to hear and to decide.")
        return self.corpus

    def _rows_losing(self, words: Sequence[str], row: Any, column: Any) -> list[int]:
        where = where_of(self._choice, row, column)
        ids: set[str] = set()
        for word in words:
            ids |= ids_of(self.evaluation, self._choice, where, {"kind": "word", "word": word})
        return sorted(self.evaluation.position(id) for id in ids)[:_LOOKED_AT]

    def _as_written(self, words: Sequence[str], rows: Sequence[int]) -> list[str]:
        """Normalized words as these references write them, capitals and accents included."""
        scored, normalizer = self.evaluation.scored, self._choice.normalizer
        texts = [(str(self.evaluation.rows["text"].iloc[n]), str(scored.languages[n])) for n in rows]
        return [as_written(word, texts, normalizer) for word in words]

    def _shared(self, rows: Sequence[int]) -> dict[str, str]:
        """Domain and locale that these rows have in common; empty where none."""
        out = {}
        for name in ("domain", "target_lang"):
            known = self.evaluation.rows[name].iloc[list(rows)] if name in self.evaluation.rows else []
            values = {str(value) for value in known if value is not None and value == value}
            out[name] = values.pop() if len(values) == 1 and len(rows) else ""
        return out


def add_keywords(
    file: Path, words: Iterable[str], domain: str = "", target_lang: str = ""
) -> tuple[list[str], list[Keyword]]:
    """Add words to a keyword list, a CSV with columns ``keyword, domain, target_lang``; each stands once.

    Returns:
        The words that were new, and the whole list.

    Raises:
        WorkbenchError: no word is left once signs that start a spreadsheet formula are off; the file cannot
            be read as a keyword list.
    """
    cleaned = (" ".join(str(word).split()).lstrip(FORMULA + " ") for word in words)
    wanted = [Keyword(word[:200], domain, target_lang) for word in dict.fromkeys(cleaned) if word]
    if not wanted:
        raise WorkbenchError("no word to add", hint="Choose a word of the reference.")
    known = _listed(file)
    new = [keyword for keyword in wanted if keyword not in known]
    kept = [*known, *new]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([COLUMNS, *((k.text, k.domain, k.target_lang) for k in kept)])
    write_atomic(file, buffer.getvalue())
    return [keyword.text for keyword in new], kept


def _listed(file: Path) -> list[Keyword]:
    if not file.exists() or file.read_text("utf-8-sig").strip() in ("", ",".join(COLUMNS)):
        return []
    return read_keywords(file)


def as_written(word: str, texts: Iterable[tuple[str, str]], normalizer: str) -> str:
    """The commonest way in which ``texts`` (each with its language) write a normalized word.

    Boosting takes phrases as transcripts have them, while scoring counts words without case and marks.
    """
    forms: Counter[str] = Counter()
    for text, language in texts:
        if language in UNSPACED_LANGUAGES:
            continue
        tokens = [_bare(token) for token in strip_tag(text)[0].split()]
        for token, made in zip(tokens, txt.normalize_many(tokens, language, normalizer), strict=True):
            forms.update([token] if made == word and token else [])
    return forms.most_common(1)[0][0] if forms else word


def _bare(token: str) -> str:
    """Without the marks around it."""
    start, end = 0, len(token)
    while start < end and not token[start].isalnum():
        start += 1
    while end > start and not token[end - 1].isalnum():
        end -= 1
    return token[start:end]


def sql_of(where: Mapping[str, Any] | None) -> str:
    """A cell as an expression for ``corpus.where``; bands become conditions on the number behind them."""
    parts = []
    for name, value in (where or {}).items():
        if value is None:
            parts.append(f"{BANDS[name][0] if name in BANDS else name} IS NULL")
        elif name in BANDS:
            parts.append(_band_sql(BANDS[name][0], str(value).rsplit(" ", 1)[0]))
        else:
            parts.append(f"{name} = '{str(value).replace(chr(39), 2 * chr(39))}'")
    return " AND ".join(parts) or "true"


def _band_sql(column: str, band: str) -> str:
    if band.startswith("<"):
        return f"{column} < {band[1:].strip()}"
    if band.startswith("≥"):
        return f"{column} >= {band[1:].strip()}"
    low, high = band.split("–")
    return f"{column} >= {low} AND {column} < {high}"
