"""The explorer's kernel side: look-aheads, linked filters, keyword list, pictures, what the board gets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.evaluation import Evaluation, score_predictions
from workbench.evaluation.keywords import read_keywords
from workbench.widgets.board_static import board_html
from workbench.widgets.board_view import BoardView, Query
from workbench.widgets.explorer import Explorer
from workbench.widgets.explorer_actions import add_keywords, as_written
from workbench.widgets.explorer_cell import utterances
from workbench.widgets.explorer_comparison import ids_of, marks, side_panel
from workbench.widgets.explorer_data import ALL, Choice, fitting_first, heat_map
from workbench.widgets.explorer_order import orders
from workbench.widgets.explorer_static import HATCHED, heat_svg, strength, svg_size

SAID = ["Ask Athina, please.", "The bank is closed.", "Athina is here today.", "Go home now, Nikos."]
HEARD = ["ask a thin a please", "The bank is closed", "athina is hear today.", "go home"]
FACTS = {"checkpoint_sha256": "ab", "prompt_mode": "langID"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    rows = [
        {"id": f"u{n}", "audio_filepath": f"{n}.wav", "duration": 1.0 + 2 * n, "text": SAID[n % 4]}
        | {"target_lang": ("en-US", "en-GB")[n // 4], "accent": f"accent {n // 4}", "speaker": f"s{n}"}
        | {"source": f"set {n // 4}", "domain": "bank"}
        for n in range(8)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder / "rows.jsonl"


@pytest.fixture
def corpus(manifest: Path, tmp_path: Path) -> Corpus:
    return import_source(manifest, tmp_path / "calls", name="calls")


@pytest.fixture
def evaluation(corpus: Corpus) -> Evaluation:
    frame = corpus.frame()
    frame["snr_db"] = [3.0, 8.0, 12.0, 25.0] * 2

    def predicted(ahead: int | None, heard: list[str], **facts: str) -> pd.DataFrame:
        table = pd.DataFrame({"id": frame["id"], "hypothesis": heard * 2, "lookahead_ms": ahead})
        table["detected_lang"] = ["en-GB", *frame["target_lang"][1:]]
        return table.assign(**{**FACTS, **facts})

    return score_predictions(
        frame,
        {
            "base-560": predicted(560, HEARD),
            "base-80": predicted(80, ["ask a thin a", *HEARD[1:]]),
            "tuned-560": predicted(560, SAID, checkpoint_sha256="cd"),
            "tuned-80": predicted(80, HEARD, checkpoint_sha256="cd"),
            "auto-560": predicted(560, HEARD, prompt_mode="auto"),
        },
        resamples=50,
    )


def choice(**changes: str) -> Choice:
    return Choice(**{"name": "base-560", "row": "target_lang", "column": "accent", **changes})


def test_a_lookahead_chooses_the_prediction_that_differs_in_nothing_else(evaluation: Evaluation) -> None:
    map_ = heat_map(evaluation, choice())
    assert (map_["choices"]["lookaheads"], map_["lookahead"]) == (["80", "560"], "560")
    assert choice().changed(evaluation, {"lookahead": "80"}).name == "base-80"
    both = choice(name="tuned-560", against="base-560").changed(evaluation, {"lookahead": "80"})
    assert (both.name, both.against) == ("tuned-80", "base-80")
    kept = choice(name="tuned-560", against="base-80").changed(evaluation, {"lookahead": "80"})
    assert (kept.name, kept.against) == ("tuned-80", "base-80")
    assert heat_map(evaluation, choice(name="auto-560"))["choices"]["lookaheads"] == ["560"]
    with pytest.raises(WorkbenchError, match="look-ahead 1120"):
        choice().changed(evaluation, {"lookahead": "1120"})


def test_an_utterance_is_streamed_by_the_checkpoint_that_made_its_prediction(evaluation: Evaluation) -> None:
    given = {"base-560": "A", "tuned-560": "B"}
    assert list(fitting_first(evaluation, "tuned-80", given)) == ["tuned-560", "base-560"]
    assert list(fitting_first(evaluation, "base-560", given)) == ["base-560", "tuned-560"]
    assert fitting_first(evaluation, "auto-560", given) == given


def test_every_bar_leads_to_the_utterances_it_counts(evaluation: Evaluation) -> None:
    side = side_panel(evaluation, choice(), ALL, ALL) | marks(evaluation, choice(), ALL, ALL)

    def found(**filter_: object) -> set[str]:
        return ids_of(evaluation, choice(), None, filter_)

    assert {band["snr_band"]: band["utterances"] for band in side["snr"]} == {
        "< 5 dB": 2, "5–10 dB": 2, "10–20 dB": 2, "20–30 dB": 2,
    }  # fmt: skip
    assert found(kind="snr", band="10–20 dB") == {"u2", "u6"}
    assert found(kind="duration", band="≥ 20 s") == set()
    assert side["heard_as"] == [{"said": "en-US", "heard": "en-GB", "count": 1}]
    assert found(kind="language", said="en-US", heard="en-GB") == {"u0"}
    pairs = {(row["reference"], row["hypothesis"]): row["count"] for row in side["confusions"]}
    assert pairs["here", "hear"] == 2
    assert found(kind="confusion", reference="here", hypothesis="hear") == {"u2", "u6"}
    lost = {row["word"]: (row["lost"], row["occurrences"]) for row in side["lost"]}
    assert lost["athina"] == (2, 4)
    assert found(kind="word", word="athina") == {"u0", "u4"}
    commas = next(row for row in side["marks"] if row["mark"] == ",")
    assert commas["reference"] == 4
    assert found(kind="mark", mark=",") == {"u0", "u3", "u4", "u7"}
    assert found(kind="case") == {"u0", "u2", "u3", "u4", "u6", "u7"}  # ask, athina, go
    four = next(row for row in side["frequency"] if row["at_least"] == 4)
    assert four["accuracy"] < 1
    assert found(kind="frequency", at_least=4, occurs="4–7") == {"u0", "u4"}
    assert found(kind="position", part=7, bins=10) == {"u3", "u7"}  # the last of four words
    with pytest.raises(WorkbenchError, match="unknown filter"):
        found(kind="anything")


def test_a_cell_without_utterances_is_empty_not_an_error(evaluation: Evaluation, corpus: Corpus) -> None:
    explorer = Explorer(evaluation, corpus)
    assert explorer._cell({"row": "en-US", "column": "accent 1"}, [])["total"] == 0


def test_keywords_are_listed_as_transcripts_write_them(evaluation: Evaluation, corpus: Corpus) -> None:
    explorer = Explorer(evaluation, corpus, name="base-560")
    first = explorer._keyword({"words": ["athina"], "row": "en-US", "column": ALL}, [])
    assert (first["added"], first["keywords"]) == (["Athina"], 1)
    again = explorer._keyword({"words": ["athina", " nikos "], "id": "u3"}, [])
    assert again["added"] == ["athina", "Nikos"]  # u3 does not hold it, so it stays as it was given
    listed = read_keywords(explorer.keyword_file)
    assert [(word.text, word.domain, word.target_lang) for word in listed][:1] == [
        ("Athina", "bank", "en-US")
    ]
    assert explorer.keywords == ["Athina", "athina", "Nikos"]
    table = evaluation.keywords("base-560", explorer.keyword_file).set_index("keyword")
    assert table.loc["Athina", "reference"] == 2
    assert table.loc["Athina", "recalled"] == 1


def test_a_keyword_list_takes_no_formula_and_no_word_twice(tmp_path: Path) -> None:
    file = tmp_path / "keywords.csv"
    assert add_keywords(file, ["=HYPERLINK(1)", "a, b\n", "a, b"])[0] == ["HYPERLINK(1)", "a, b"]
    assert add_keywords(file, ["a, b"])[0] == []
    assert [word.text for word in read_keywords(file)] == ["HYPERLINK(1)", "a, b"]
    with pytest.raises(WorkbenchError, match="no word"):
        add_keywords(file, [" = "])
    file.write_text("keyword,domain,target_lang\n", encoding="utf-8")
    assert [word.text for word in add_keywords(file, ["c"])[1]] == ["c"]


def test_the_commonest_spelling_is_taken() -> None:
    texts = [("«Ελλάδα», είπε", "el"), ("η Ελλάδα.", "el"), ("ΕΛΛΆΔΑ", "el")]
    assert as_written("ελλάδα", texts, "basic") == "Ελλάδα"
    assert as_written("missing", texts, "basic") == "missing"


def test_a_direction_is_told_only_where_the_interval_excludes_zero() -> None:
    rng = np.random.default_rng(5)
    rows: list[dict[str, str]] = []
    heard: dict[str, list[dict[str, str]]] = {"old": [], "new": []}
    for tag, wrong in (
        ("it-IT", (0.3, 0.05)),
        ("fr-FR", (0.05, 0.3)),
        ("es-ES", (0.2, 0.2)),
        ("el-GR", (1, 0)),
    ):
        for i in range(3 if tag == "el-GR" else 48):
            words = [str(word) for word in rng.choice(["alfa", "bravo", "golf", "kilo"], 8)]
            rows.append({"id": f"{tag}{i}", "text": " ".join(words), "target_lang": tag, "accent": "a",
                         "speaker": f"{tag}{i % 12}"})  # fmt: skip
            for name, share in zip(heard, wrong, strict=True):
                said = ["zulu" if rng.random() < share else word for word in words]
                heard[name].append({"id": f"{tag}{i}", "hypothesis": " ".join(said)})
    tables = {name: pd.DataFrame(made) for name, made in heard.items()}
    found = score_predictions(pd.DataFrame(rows), tables)
    shown = heat_map(found, Choice("new", row="target_lang", column="accent", against="old"))
    ways = {cell["row"]: cell["way"] for cell in shown["cells"].values() if cell["column"] == "a"}
    assert {tag: ways[tag] for tag in ("it-IT", "fr-FR", "es-ES", "el-GR")} == {
        "it-IT": "good", "fr-FR": "bad", "es-ES": "gray", "el-GR": "gray",
    }  # fmt: skip
    said = {cell["row"]: cell["sentence"] for cell in shown["cells"].values()}
    assert " points better than old" in said["it-IT"]
    assert "no clear difference between new and old" in said["es-ES"]
    assert "not enough data to compare new and old" in said["el-GR"]  # 100 points, 24 words


def test_the_picture_hatches_few_words_marks_what_is_confounded_and_fits_its_size(
    evaluation: Evaluation,
) -> None:
    shown = heat_map(evaluation, choice())
    confounded = [cell for cell in shown["cells"].values() if cell["confounded"]]
    assert confounded  # accent and source change together
    few = [cell for cell in shown["cells"].values() if cell["enough"] == "no"]
    drawn = heat_svg(shown)
    assert drawn.count("url(#hatch)") == len(few)
    assert drawn.count(" ⇄<") == len(confounded)
    width, height = svg_size(shown)
    assert f'width="{width}" height="{height}"' in drawn
    page = Explorer(evaluation, name="base-560").static_html()
    assert page.count(HATCHED) == len(few)
    assert "hatched: not enough data; ⇄ confounded" in page
    assert "± half-width of the 95 % CI" in page
    strict = Explorer(evaluation.with_settings(confidence=0.99), name="base-560").static_html()
    assert "± half-width of the 99 % CI" in strict
    for way in ("good", "bad", "gray"):
        assert strength({"difference": -0.1, "enough": "yes", "way": way}, True)[1] == way
    assert strength({"rate": 0.5, "enough": "no"}, False)[1] == "gray"
    shown["cells"]["\n"] = confounded[0] | {"row": "<script>", "column": None}
    shown["rows"].append("<script>")
    assert "<script>" not in heat_svg(shown)


def test_what_is_sent_to_curation_shows_on_the_board(evaluation: Evaluation, corpus: Corpus) -> None:
    view = BoardView(corpus, "ana")
    explorer = Explorer(evaluation, corpus)
    sent = explorer._send_to_curation({"ids": ["u1", "u6"], "reason": "clipped  end"}, [])
    assert sent == {"tag": "check: clipped end", "sent": 2}
    assert set(view.catch_up()) == {"u1", "u6"}
    assert {row["id"]: row["tags"] for row in view.rows(0, 8) if row["tags"]} == {
        "u1": [sent["tag"]], "u6": [sent["tag"]],
    }  # fmt: skip
    assert view.facets()["tag"] == [{"value": sent["tag"], "clips": 2}]
    assert view.ask(Query(tag=sent["tag"], facets={"target_lang": ["en-US"]})) == 1
    assert view.ids() == ["u1"]
    assert "check: clipped end" in board_html("calls", view)
    assert BoardView(corpus, "ben").facets()["tag"] == [{"value": sent["tag"], "clips": 2}]
    corpus.decisions.untag("u1", sent["tag"], reviewer="ana")
    view.catch_up()
    assert view.ask(Query(tag=sent["tag"])) == 1
    assert view.details("u1")["tags"] == []


@pytest.mark.parametrize(
    "order", ["best", "wer", "cer", "insertions", "deletions", "lost", "gained", "duration"]
)
def test_utterances_come_in_the_order_asked_for(evaluation: Evaluation, order: str) -> None:
    """Recomputed from the tables that the evaluation gives; pages cut one and the same list."""
    chosen = choice(name="tuned-80", against="tuned-560", metric="wer")
    assert order in orders(evaluation, chosen)
    page = utterances(evaluation, chosen, ALL, ALL, {}, order=order)
    frame = evaluation.utterances("tuned-80", metric="wer")
    by_id = frame.set_index("id")
    if order in ("wer", "cer"):
        figure = evaluation.utterances("tuned-80", metric=order).set_index("id")["rate"]
    elif order in ("lost", "gained"):
        figure = by_id["rate"] - evaluation.utterances("tuned-560", metric="wer").set_index("id")["rate"]
    else:
        figure = by_id["rate" if order == "best" else order]
    shown = [figure[item["id"]] for item in page["utterances"]]
    assert shown == sorted(shown, reverse=order not in ("best", "gained"))
    assert sorted(item["id"] for item in page["utterances"]) == sorted(frame["id"])
    assert page["total"] == len(frame)
    some = utterances(evaluation, chosen, ALL, ALL, {"kind": "word", "word": "go"}, order=order)
    assert [item["id"] for item in some["utterances"]] == [
        item["id"] for item in page["utterances"] if item["id"] in {u["id"] for u in some["utterances"]}
    ]
    with pytest.raises(WorkbenchError, match="no order 'luck'"):
        utterances(evaluation, chosen, ALL, ALL, {}, order="luck")


def test_each_word_lies_where_both_models_read_it_and_opens_its_clips(evaluation: Evaluation) -> None:
    chosen = choice(name="tuned-560", against="base-560")
    found = side_panel(evaluation, chosen, ALL, ALL)["scatter"]
    at = {word: (p["before"], p["now"]) for p in found["points"] for word in p["words"]}
    assert at["bank"] == (1.0, 1.0)
    assert at["athina"] == (0.5, 1.0)  # lost in one of two sentences
    assert at["nikos"] == (0.0, 1.0)
    assert found["worse"] == 0
    assert found["better"] == sum(x < y for x, y in at.values())
    assert sum(p["count"] for p in found["points"]) == found["better"] + found["same"]
    assert found["points"][0]["before"] == 0.0, "what changed most comes first"
    ids = ids_of(evaluation, chosen, None, {"kind": "said", "words": ["nikos", "bank"]})
    assert ids == {"u1", "u3", "u5", "u7"}
    assert "scatter" not in side_panel(evaluation, choice(), ALL, ALL)
