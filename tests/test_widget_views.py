"""What playback, explorer and monitor show, as plain data: times, marks, sentences, static forms."""

from __future__ import annotations

import pandas as pd
import pytest

from workbench.recognizer.events import StreamEvent, Word
from workbench.widgets.explorer_actions import sql_of
from workbench.widgets.explorer_data import ALL, Choice, sentence
from workbench.widgets.figures import (
    COLORS,
    counts_by_locale,
    look,
    rate_and_latency,
    training_curves,
)
from workbench.widgets.monitor_data import changes, moving_metric
from workbench.widgets.monitor_static import monitor_html
from workbench.widgets.playback import compared
from workbench.widgets.playback_lane import align, lane_data, timed_words, units
from workbench.widgets.static import Markup, marked, table


def event(
    index: int, final: str, partial: str, emission_s: float, words: str = "", lang: str | None = None
) -> StreamEvent:
    said = tuple(Word(word, 0.1 + i, 0.9 + i, 0.5) for i, word in enumerate(words.split()))
    return StreamEvent(
        index, index * 1.0, index + 1.0, 0.1, emission_s, final, partial, (), said, lang, 0, is_last=False
    )


def test_a_word_counts_from_when_it_came_to_stay() -> None:
    events = [
        event(0, "", "go", 1.1),
        event(1, "going", "", 2.1),
        event(2, "going", "ho", 3.1),
        event(3, "going home.", "", 4.1, words="going home."),
    ]
    rows = timed_words(events, ["going", "home."], "en-US")
    assert [row[3] for row in rows] == [2.1, 4.1]
    assert [row[1] for row in rows] == [0.1, 1.1]


def test_a_mark_that_follows_does_not_make_a_word_late() -> None:
    events = [event(0, "", "home", 1.1), event(1, "home.", "", 2.1, words="home.")]
    assert timed_words(events, ["home."], "en-US")[0][3] == 1.1


def test_a_word_taken_back_counts_from_its_return() -> None:
    events = [event(0, "a", "", 1.1), event(1, "b", "", 2.1), event(2, "a", "", 3.1)]
    assert timed_words(events, ["a"], "en-US")[0][3] == 3.1


def test_lane_data_replays_to_the_same_transcripts() -> None:
    events = [
        event(0, "", "κα", 1.1),
        event(1, "καλη", "", 2.1),
        event(2, "καλη 😀", "μέ", 3.1, lang="el-GR"),
    ]
    data = lane_data(events, "auto", "καλή μέρα")
    final, seen = "", []
    for row in data["events"]:
        final = final[: row[4]] + row[5]
        seen.append((final, row[6]))
    assert seen == [(e.final_transcript, e.partial_transcript) for e in events]
    assert data["lang"] == "el-GR"
    assert data["lang_at"] == 3.1
    assert data["figures"]["load"] == pytest.approx(0.1)
    assert data["unspaced"] is False
    assert lane_data([], "auto", None)["final"] == ""
    assert lane_data([], "ja-JP", None)["unspaced"] is True


@pytest.mark.parametrize(
    ("reference", "hypothesis", "operations"),
    [
        ("a b c", "a b c", ["equal", "equal", "equal"]),
        ("A b, c", "a b c", ["style", "style", "equal"]),
        ("a b c", "b x", ["delete", "equal", "substitute"]),
        ("", "a", ["insert"]),
        ("... a", "a", ["delete", "equal"]),
    ],
)
def test_alignment_sets_case_and_marks_apart(reference, hypothesis, operations) -> None:
    assert [tag for tag, _, _ in align(reference.split(), hypothesis.split(), "en-US")] == operations


def test_unspaced_scripts_are_marked_by_character() -> None:
    assert units("天気いい", "ja-JP") == ["天", "気", "い", "い"]
    assert units("ένα δύο", "el-GR") == ["ένα", "δύο"]


def test_two_lanes_are_marked_where_they_differ() -> None:
    lanes = [
        {"final": text, "lang": "en-US", "settings": {"locale": "auto"}}
        for text in ("one two", "one too three")
    ]
    found = compared(*lanes)
    assert found["words"] == 2
    assert len(found["left"]) == 2
    assert len(found["right"]) == 3
    assert found["left"][0] == found["right"][0] == "equal"


def test_a_cell_is_a_sentence() -> None:
    cell = {
        "row": "el-GR", "column": None, "rate": 0.234, "low": 0.2, "high": 0.27, "utterances": 12,
        "reference_words": 80, "enough": "no", "difference": -0.1,
    }  # fmt: skip
    said = sentence(cell, Choice("base", metric="wer"))
    assert said.startswith(
        "el-GR, not stated: word error rate 23.4 percent, between 20.0 and 27.0; 12 utterances"
    )
    assert said.endswith("not enough data")
    against = Choice("base", against="old")
    assert "base is 10.0 points better than old" in sentence(cell | {"way": "good"}, against)
    few = sentence(cell | {"way": "gray"}, against)
    assert "not enough data to compare base and old (−10.0 points" in few
    assert "no clear difference" in sentence(cell | {"way": "gray", "enough": "yes"}, against)
    assert sentence(cell | {"row": ALL, "column": ALL, "rate": None}, Choice("base")).startswith(
        "everything: no ref"
    )


def test_a_cell_as_sql_quotes_what_data_hold() -> None:
    where = {"accent": "d'ici", "target_lang": None, "duration_band": "2–5 s"}
    assert sql_of(where) == "accent = 'd''ici' AND target_lang IS NULL AND duration >= 2 AND duration < 5"
    assert sql_of({"snr_band": "≥ 30 dB"}) == "snr_db >= 30"
    assert sql_of(None) == "true"


def test_static_forms_escape_what_data_hold() -> None:
    shown = table(("a",), [("<script>",), (marked([("substitute", "<img src=x>"), ("equal", "ok")]),)])
    assert "<script>" not in shown
    assert "<img" not in shown
    assert "&lt;img" in shown
    assert isinstance(marked([]), Markup)


def test_figures_draw_what_tables_hold() -> None:
    points = pd.DataFrame(
        {"lookahead_ms": [560, 80], "rate": [0.2, 0.4], "low": [0.1, 0.3], "high": [0.3, 0.6]}
    )
    line = rate_and_latency(points).data[0]
    assert list(line.x) == [80, 560]
    assert list(line.error_y.array) == pytest.approx([0.2, 0.1])
    runs = {"<b>run</b>": pd.DataFrame({"step": [1, 2], "loss": [2.0, None]})}
    curve = training_curves(runs).data[0]
    assert list(curve.x) == [1]
    assert "<b>" not in curve.hovertemplate.replace("<extra>", "").replace("</extra>", "")
    groups = pd.DataFrame({"target_lang": ["el-GR", None], "hours": [1.0, 2.0], "utterances": [3, 4]})
    assert list(counts_by_locale(groups).data[0].y) == ["el-GR", "not stated"]


def test_more_than_six_series_are_told_apart() -> None:
    styles = [look(index) for index in range(36)]
    told = {(style["line"]["color"], style["line"]["dash"], style["marker"]["symbol"]) for style in styles}
    assert len(told) == 36


def test_bars_start_where_the_last_one_ended() -> None:
    rows = {"target_lang": ["en-US", "en-US", "el-GR"], "accent": ["General American", None, "Cretan"]}
    bars = counts_by_locale(pd.DataFrame(rows).assign(hours=[0.4, 0.015, 0.2]), split_by="accent").data
    assert not any(value != value for bar in bars for value in bar.x), "a gap would draw over what is there"


def test_stacked_bars_add_up_and_name_what_is_not_stated() -> None:
    """A clip without an accent counts too, under a name of its own, last; bands stand by their numbers."""
    parts = [("es-MX", 0.2), (None, 0.15), ("Andean", 0.05)]
    groups = pd.DataFrame([{"target_lang": "es-US", "accent": a, "hours": h} for a, h in parts])
    bars = counts_by_locale(groups, split_by="accent").data
    assert [bar.name for bar in bars] == ["Andean", "es-MX", "not stated"]
    assert sum(float(bar.x[0]) for bar in bars) == pytest.approx(0.4)
    told = ["10–20 s", "< 2 s", "≥ 20 s", "2–5 s", "5–10 s"]
    bands = pd.DataFrame({"target_lang": "es-US", "band": told, "hours": 1.0})
    names = [bar.name for bar in counts_by_locale(bands, split_by="band").data]
    assert names == ["< 2 s", "2–5 s", "5–10 s", "10–20 s", "≥ 20 s"]


def test_a_legend_with_many_names_leaves_the_plot_its_room() -> None:
    few, many = (
        pd.DataFrame(
            {"target_lang": "es-US", "accent": [f"accent {n:02}" for n in range(count)], "hours": 1.0}
        )
        for count in (3, 12)
    )
    assert counts_by_locale(few.assign(hours=1.0), split_by="accent").layout.legend.orientation == "h"
    assert counts_by_locale(many.assign(hours=1.0), split_by="accent").layout.legend.orientation == "v"
    assert counts_by_locale(many.assign(hours=1.0), split_by="accent").layout.legend.traceorder == "normal"
    assert len(set(COLORS)) == len(COLORS)


def test_no_word_ends_after_the_recording() -> None:
    late = (Word("home.", 0.6, 1.4, 0.5),)
    last = StreamEvent(0, 0.0, 1.0, 0.1, 1.1, "home.", "", (), late, "en-US", 0, is_last=True)
    assert lane_data([last], "en-US", None)["words"] == [["home.", 0.6, 1.0, 1.1, 0.5]]
    assert lane_data([last], "en-US", None)["figures"]["late_p50_s"] == pytest.approx(0.1)


def test_digits_alone_stand_as_their_line_runs() -> None:
    line = marked([("equal", "שלום"), ("substitute", "17:45.")])
    assert line.count('dir="rtl"') == 2
    assert line.index('<bdi dir="rtl"') > line.index("שלום")
    assert 'dir="rtl"' not in marked([("equal", "hello"), ("equal", "17:45.")])


def validated(
    locale: str, wer: list[float], cer: list[float], *, streaming: bool = False
) -> dict[str, object]:
    steps = [100 * n for n in range(len(wer))]
    facts = {"locale": locale, "prompt_mode": "langID", "streaming": streaming, "lookahead_ms": 560}
    return facts | {"step": steps, "wer": wer, "cer": cer, "utterances": 12}


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ([], "wer"),
        ([validated("el-GR", [1.0, 0.97], [0.8, 0.5])], "cer"),
        ([validated("el-GR", [1.0, 0.6], [0.8, 0.3])], "wer"),
        ([validated("ja-JP", [0.4, 0.3], [0.2, 0.1])], "cer"),
        ([validated("el-GR", [1.0, 0.95], [0.8, 0.5]), validated("de-DE", [0.4, 0.4], [0.2, 0.2])], "cer"),
        (
            [validated("el-GR", [1.0, 0.95], [0.8, 0.5]), *[validated(t, [0.4], [0.2]) for t in ("a", "b")]],
            "wer",
        ),
        (
            [validated("el-GR", [0.5, 0.4], [0.2, 0.2]), validated("el-GR", [1, 1], [1, 1], streaming=True)],
            "wer",
        ),
    ],
)
def test_the_monitor_opens_on_the_metric_that_moves(series: list[dict[str, object]], expected: str) -> None:
    assert moving_metric(series) == expected


def test_the_strip_says_what_each_locale_lost_the_largest_loss_first() -> None:
    series = [
        validated("el-GR", [1.0, 0.7], [0.8, 0.4]),
        validated("de-DE", [0.4, 0.45], [0.2, 0.25]),
        validated("fr-FR", [0.5], [0.3]),
        validated("es-ES", [0.5, 0.6], [0.3, 0.4], streaming=True),
    ]
    found = changes(series, "cer")
    assert [(one["locale"], round(one["change"], 3)) for one in found] == [("de-DE", 0.05), ("el-GR", -0.4)]
    assert [one["locale"] for one in changes(series, "tags_right")] == []


def test_the_static_monitor_shows_references_and_the_strip() -> None:
    heard = {"step": 100, "pairs": [["substitute", "μέρα", "μέλα"]], "errors": 1, "words": 1, "lang": None}
    sample = {"locale": "el-GR", "id": "a", "prompt_mode": "langID", "reference": "μέρα", "history": [heard]}
    run = {
        "name": "greek", "state": {"status": "finished", "step": 100, "steps": 100}, "train": {},
        "validation": [validated("el-GR", [1.0, 0.98], [0.8, 0.4])], "metric": "cer", "samples": [sample],
    }  # fmt: skip
    page = monitor_html([run])
    for said in ("Character error rate", "reference", "μέρα", "\N{MINUS SIGN}40.0", "80.0", "40.0"):
        assert said in page
    assert "Word error rate" not in page
