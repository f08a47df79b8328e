"""What a reviewer types: words or SQL, filters of columns, saved views; figures of a model to sort by."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.widgets.board_measures import MEASURES
from workbench.widgets.board_query import Query, SavedViews, column_sql, folded, reads_as_sql, search_sql
from workbench.widgets.board_view import BoardView

TEXTS = [
    "En blå bil", "la niña soñó", "Μια μικρή πόλη", "O'Brien said hi", "straße nach Köln", "ПРИВЕТ мир",
    "e\u0301cole", "100% sure_thing", "παιδιά και φίλος", "", "نعم", "it's \"quoted\"",
]  # fmt: skip
HEADERS = ["id", "text", "target_lang", "accent", "speaker", "duration"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("words")
    rows = [
        {
            "id": f"clip-{n:02d}", "audio_filepath": f"{n}.wav", "duration": 0.5 + n, "text": text,
            "target_lang": "sv-SE", "speaker": f"speaker {n % 3}", "gender": ["f", "m", None][n % 3],
            "notes": {"nested": n}, "age": 20 + n % 2,
        }
        for n, text in enumerate(TEXTS)
    ]  # fmt: skip
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    return import_source(folder / "rows.jsonl", folder / "corpus", name="words")


def found(corpus: Corpus, text: str) -> list[str]:
    view = BoardView(corpus, "ana")
    view.ask(Query.from_json({"box": text}, corpus.columns))
    return [row["text"] for row in view.rows(0, 100)]


@pytest.mark.parametrize(
    ("box", "hit"),
    [
        ("En blå", "En blå bil"), ("en bla", "En blå bil"), ("BLÅ en", "En blå bil"),
        ("nina sono", "la niña soñó"),
        ("πολη", "Μια μικρή πόλη"), ("ΦΊΛΟΣ", "παιδιά και φίλος"), ("o'brien", "O'Brien said hi"),
        ("привет", "ПРИВЕТ мир"), ("école", "e\u0301cole"), ("100%", "100% sure_thing"), ("نعم", "نعم"),
        ("it's", "it's \"quoted\""), ('"said hi"', "O'Brien said hi"), ("koln", "straße nach Köln"),
        ("STRASSE", "straße nach Köln"),
    ],
)  # fmt: skip
def test_a_plain_word_searches(corpus: Corpus, box: str, hit: str) -> None:
    assert found(corpus, box) == [hit]


def test_speaker_and_id_are_searched_and_all_words_must_be_there(corpus: Corpus) -> None:
    assert len(found(corpus, "speaker 1")) >= len(TEXTS) // 3
    assert found(corpus, "clip-03") == [TEXTS[3]]
    assert found(corpus, "blå moped") == []
    assert found(corpus, '"hi said"') == []
    assert len(found(corpus, "")) == len(TEXTS)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1, max_size=30))
def test_anything_may_be_searched_for(corpus: Corpus, text: str) -> None:
    """No letter breaks out of the search: it finds rows or none, and never fails."""
    sql = search_sql(text)
    assert sql == "" or len(corpus.where(sql)) <= len(TEXTS)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.sampled_from([text for text in TEXTS if text]), data=st.data())
def test_every_piece_of_a_transcript_finds_it(corpus: Corpus, text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    piece = text[start : start + data.draw(st.integers(1, 12))].replace('"', "")
    piece = data.draw(st.sampled_from([piece, piece.upper(), piece.lower()]))
    if folded(piece).strip() and not reads_as_sql(piece, HEADERS):
        assert text in found(corpus, piece)


@pytest.mark.parametrize(
    ("box", "sql"),
    [
        ("duration > 2", True), ("durration > 1", True), ("target_lang = 'el-GR'", True),
        ("accent is null", True),
        ("text LIKE '%a%'", True), ("not accent in ('a')", True), ("contains(text, 'a')", True),
        ("len(tags) > 0", True), ("duration between 1 and 2", True),
        ("hello", False), ("what is this", False), ("not here", False), ("love is blind", False),
        ("a - b", False), ("between us", False), ("in the house", False), ("'quoted > word'", False),
    ],
)  # fmt: skip
def test_what_reads_as_sql(box: str, sql: bool) -> None:
    assert reads_as_sql(box, HEADERS) is sql


@pytest.mark.parametrize(
    ("text", "rows"),
    [("> 5", 7), (">=5.5", 7), ("< 1", 1), ("1-3", 2), ("2 – 4", 2), ("4.5", 1), ("1.5 s", 1)],
)
def test_lengths_are_read_from_a_columns_filter(corpus: Corpus, text: str, rows: int) -> None:
    view = BoardView(corpus, "ana")
    assert view.ask(Query(columns={"duration": text})) == rows
    assert view.ask(Query(columns={"duration": text, "text": "zzz"})) == 0


def test_a_length_that_is_none_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="no length can be read from 'long'"):
        column_sql("duration", "long")


def test_any_column_can_be_counted_and_several_chosen_from(corpus: Corpus) -> None:
    view = BoardView(corpus, "ana")
    bars = view.facets(["gender", "age"])
    assert {(bar["value"], bar["clips"]) for bar in bars["gender"]} == {("f", 4), ("m", 4), (None, 4)}
    assert {(bar["value"], bar["clips"]) for bar in bars["age"]} == {("20", 6), ("21", 6)}
    assert view.ask(Query(facets={"gender": ["f", None], "age": ["20"]})) == 4
    # Each column is counted under the choices made in the others.
    assert {bar["value"]: bar["clips"] for bar in view.facets()["gender"]} == {"f": 2, "m": 2, None: 2}
    assert "gender" in view.table.countable
    assert "text" not in view.table.countable
    with pytest.raises(WorkbenchError, match="no column 'nothing'"):
        view.ask(Query(facets={"nothing": ["a"]}))


def test_a_nested_column_is_not_counted(corpus: Corpus) -> None:
    view = BoardView(corpus, "ana")
    if "notes" in corpus.columns:
        assert "notes" not in view.facets(["notes"]) or len(view.facets(["notes"])["notes"]) <= len(TEXTS)


def test_views_are_kept_by_name_for_all(tmp_path: Path) -> None:
    views, query = SavedViews(tmp_path), Query(text="blå", facets={"gender": ["f", None]}, order_by="wer")
    assert views.all() == []
    views.keep("Swedish women", query)
    views.keep("all", Query())
    kept = SavedViews(tmp_path).all()
    assert {view["name"] for view in kept} == {"all", "Swedish women"}
    stored = next(view["query"] for view in kept if view["name"] == "Swedish women")
    assert Query.from_json(stored) == query
    views.remove("all")
    views.remove("never there")
    assert len(SavedViews(tmp_path).all()) == 1
    with pytest.raises(WorkbenchError, match="needs a name"):
        views.keep("  ", query)


def test_a_models_figures_are_shown_and_sorted_by(corpus: Corpus) -> None:
    view = BoardView(corpus, "ana")
    texts = corpus.frame(["id", "text"])
    heard = pd.DataFrame({"id": texts["id"], "hypothesis": texts["text"], "confidence": 0.9})
    heard.loc[0, ["hypothesis", "confidence"]] = ["En grå bil kom", 0.2]
    heard.loc[3, "hypothesis"] = ""
    worse = heard.assign(hypothesis="nothing of this")
    view.take_predictions(heard, worse)
    assert view.measures is not None
    assert set(view.measures.columns) == set(MEASURES) - {"low_confidence"}  # no words were given
    first = view.rows(0, 1)[0]["measures"]
    assert first == {
        "wer": pytest.approx(2 / 3), "cer": first["cer"], "substitutions": 1, "insertions": 1, "deletions": 0,
        "confidence": 0.2, "difference": pytest.approx(2 / 3 - 1),
    }  # fmt: skip
    view.ask(Query(order_by="deletions", descending=True))
    assert view.rows(0, 1)[0]["text"] == TEXTS[3]
    view.ask(Query(order_by="confidence"))
    assert view.rows(0, 1)[0]["text"] == TEXTS[0]
    assert view.details("clip-00")["hypothesis"] == "En grå bil kom"
    assert len(view) == len(TEXTS)


def test_without_predictions_there_is_nothing_to_sort_by(corpus: Corpus) -> None:
    with pytest.raises(WorkbenchError, match="no wer to sort by"):
        BoardView(corpus, "ana").ask(Query(order_by="wer"))


def test_a_missing_file_is_said_with_the_row(corpus: Corpus) -> None:
    view = BoardView(corpus, "ana")
    assert all(row["missing"] for row in view.rows(0, 100))
    assert view.details("clip-00")["missing"]
    corpus.audio_path("clip-00").write_bytes(b"here")
    assert "missing" not in view.rows(0, 1)[0]
    assert not view.details("clip-00")["missing"]
