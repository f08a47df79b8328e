"""A filter is one safe expression; whatever else is refused with a line that helps."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.corpus.query import engine
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError

Make = Callable[..., Corpus]

REFUSED = {
    "id IN (SELECT id FROM rows)": "subqueries",
    "EXISTS (FROM rows)": "subqueries",
    "1=1) OR (1=1": "cannot be read|not a filter",
    "1=1; DROP TABLE state": "not a filter",
    "duration > 1 ORDER BY 1": "one expression",
    "1=1 LIMIT 1": "one expression",
    "1=1 UNION SELECT 1": "one expression",
    "1=1 GROUP BY ALL": "one expression|grouping",
    "row_number() OVER () = 1": "window",
    "count(*) > 1": "cannot be used",
    "duration > ?": "parameters",
    "COLUMNS('a.*') IS NULL": "COLUMNS",
    "read_text('/etc/passwd') = ''": "cannot be used",
    "getenv('HOME') = ''": "cannot be used",
    "current_setting('threads') = ''": "cannot be used",
    "query('SELECT 1') = 1": "cannot be used",
    "list_filter(tags, lambda x: x = 'a') = []": "cannot be used",
    "durration > 1": "Did you mean duration",
    "locale = 'el-GR'": "Did you mean target_lang",
    "transcript = ''": "Did you mean text",
    'text = "hello"': "single quotes",
    "duration > 'long'": "does not fit",
    "": "empty",
    "/* open": "not a filter",
}


@pytest.fixture
def corpus(make: Make) -> Corpus:
    rows = [
        {"text": "One.", "duration": 1.0, "target_lang": "en-US", "speaker": "a"},
        {"text": "Δύο λέξεις.", "duration": 2.0, "target_lang": "el-GR", "speaker": "b"},
        {"text": "Три слова тут.", "duration": 30.0, "target_lang": "ru-RU"},
    ]
    return make(rows)


@pytest.mark.parametrize("expression", REFUSED)
def test_refused(corpus: Corpus, expression: str) -> None:
    with pytest.raises(WorkbenchError, match=REFUSED[expression]):
        corpus.where(expression)


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("duration > 1.5 AND target_lang LIKE 'el%'", 1),
        ("script = 'Cyrillic' OR script = 'Greek'", 2),
        ("speaker IS NULL", 1),
        ("text ILIKE '%λέξεις%'", 1),
        ("words BETWEEN 2 AND 3", 2),
        ("regexp_matches(text, '^[A-Z]')", 1),
        ("CASE WHEN duration > 10 THEN true ELSE false END", 1),
        ("duration::INT = 2 -- a comment", 1),
        ("list_contains(tags, 'x')", 0),
        ("duration_bucket IN ('20-40')", 1),
        ("characters_per_s > 5", 1),
        ("status = 'pending' AND NOT edited", 3),
    ],
)
def test_allowed(corpus: Corpus, expression: str, count: int) -> None:
    assert len(corpus.where(expression)) == count


def test_a_comment_cannot_swallow_the_next_filter(corpus: Corpus) -> None:
    assert len(corpus.where("duration > 0 --").where("duration > 1.5 --").where("words = 3")) == 1


def test_an_or_stays_within_its_filter(corpus: Corpus) -> None:
    assert len(corpus.where("target_lang = 'el-GR'").where("duration = 1 OR duration = 30")) == 0


def test_files_cannot_be_reached_even_past_the_parser(corpus: Corpus) -> None:
    for sql in (
        "FROM read_text('/etc/passwd')",
        "COPY rows TO '/tmp/stolen.csv'",
        "SET threads = 1",
        "ATTACH 'x.db'",
    ):
        with pytest.raises(WorkbenchError):
            corpus._engine.query(sql)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_one_clear_line(corpus: Corpus, text: str) -> None:
    try:
        found = len(corpus.where(text))
    except WorkbenchError as error:
        line = str(error)
    else:
        line = ""
        assert 0 <= found <= 3
    assert "\n" not in line


def test_a_runaway_query_is_interrupted(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LONGEST_QUERY_S", 0.3)
    with pytest.raises(WorkbenchError, match="longer than"):
        corpus._engine.query("SELECT count(*) FROM range(100000000) a, range(100000) b")


SLOW, MANY = "SELECT sum(hash(a.range + b.range)) AS n", ", range(8000) a, range(5000) b"


@pytest.mark.parametrize("where", ["", "WHERE duration > 0"])
def test_what_the_program_reads_may_take_longer(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    limits: list[float | None] = []
    real = engine._run
    monkeypatch.setattr(engine, "_run", lambda *given: limits.append(given[3]) or real(*given))
    monkeypatch.setattr(engine, "LONGEST_QUERY_S", 0.02)
    with pytest.raises(WorkbenchError, match="longer than"):
        corpus._engine.query(f"{SLOW} FROM rows {MANY}")
    monkeypatch.setattr(engine, "LONGEST_QUERY_S", 20.0 if where else 0.02)
    assert corpus._engine.read(SLOW, where, MANY)["n"][0].as_py() > 0
    assert limits == ([0.02, 20.0, None] if where else [0.02, None])


def test_a_filter_is_interrupted_before_the_program_reads(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LONGEST_QUERY_S", 0.3)
    endless = "(SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range + b.range > duration)"
    with pytest.raises(WorkbenchError, match="filter ran longer than"):
        corpus._engine.read("SELECT *", f"WHERE {endless} > 0")
    assert len(corpus) == 3


def test_texts_too_long_to_compare_are_refused_and_not_waited_for(make: Make) -> None:
    """A filter over 15,000 characters ran for minutes after it was told to stop."""
    corpus = make([{"text": "a" * 15_000, "duration": 1.0, "target_lang": "en-US"} for _ in range(40)])
    for name in ("damerau_levenshtein", "levenshtein", "jaro_similarity"):
        began = time.process_time()
        with pytest.raises(WorkbenchError, match=f"too long for {name}"):
            len(corpus.where(f"{name}(text, reverse(text)) > 3"))
        assert time.process_time() - began < 20
    assert len(corpus.where("damerau_levenshtein('house', 'hosue') = 1")) == 40
    with pytest.raises(WorkbenchError, match="a filter may hold"):
        corpus.where(" OR ".join(["levenshtein(text, 'a') > 1"] * 5))


def test_the_slowest_filter_that_is_let_through_stops_soon(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = make([{"text": "ab" * 150, "duration": 1.0, "target_lang": "en-US"} for _ in range(6000)])
    monkeypatch.setattr(engine, "LONGEST_QUERY_S", 0.2)
    began = time.process_time()
    slow = "damerau_levenshtein(text, concat(reverse(text), '{}')) < 0"
    view = corpus.where(" OR ".join(slow.format(number) for number in range(4)))
    with pytest.raises(WorkbenchError, match="ran longer"):
        len(view)
    assert time.process_time() - began < 60
