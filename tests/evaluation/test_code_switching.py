"""Speech that switches languages: spans and switches found, missed and invented; words within and around."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from workbench.corpus.importing import import_source
from workbench.corpus.mixed_speech import join_clips
from workbench.errors import WorkbenchError
from workbench.evaluation import score_predictions
from workbench.evaluation.code_switching import COUNTS, counts_of
from workbench.language_tags import split_spans

SPANISH, ENGLISH = "buenos días a todos los amigos", "thank you all very much indeed"
REFERENCE = f"{SPANISH.capitalize()}. <es-US> {ENGLISH.capitalize()}. <en-US>"


def heard(*runs: tuple[str, str | None]) -> dict[str, Any]:
    words, spans = [], []
    for text, tag in runs:
        start = len(words)
        words += [
            {"word": w, "start": 0.0, "end": 0.1, "confidence": 0.9, "glued": False} for w in text.split()
        ]
        spans.append({"lang": tag, "start_word": start, "end_word": len(words), "start": 0.0, "end": 0.1})
    return {
        "hypothesis": " ".join(text for text, _ in runs),
        "detected_lang": runs[-1][1],
        "words": words,
        "spans": spans,
    }


def scored(prediction: dict[str, Any], text: str = REFERENCE) -> Any:
    rows = pd.DataFrame({"id": ["a", "b"], "text": [text, "Yes."], "target_lang": ["es-US", "en-US"]})
    rows = rows.convert_dtypes(dtype_backend="pyarrow")
    frame = pd.DataFrame([{"id": "a", **prediction}, {"id": "b", **heard(("yes", "en-US"))}])
    return score_predictions(rows, {"p": frame}, by=())


def mixed(prediction: dict[str, Any]) -> dict[str, Any]:
    table = scored(prediction).code_switching("p").table
    return table[table["slice"] == "code-switched"].to_dict("records")[0]


def test_all_right_is_all_right() -> None:
    found = mixed(heard((SPANISH, "es-US"), (ENGLISH, "en-US")))
    assert (found["spans"], found["spans_right"], found["switches"], found["found"]) == (2, 2, 1, 1)
    assert (found["invented"], found["errors_within"], found["errors_around"]) == (0, 0, 0)
    assert (found["words_within"], found["words_around"]) == (8, 4)


@pytest.mark.parametrize(
    ("runs", "right", "switched", "invented", "errors"),
    [
        ([(f"{SPANISH} {ENGLISH}", "en-US")], 1, 0, 0, (0, 0)),
        ([(SPANISH, "es-US"), (ENGLISH, "de-DE")], 1, 0, 1, (0, 0)),
        ([(f"{SPANISH} thank", "es-US"), (ENGLISH.split(" ", 1)[1], "en-US")], 2, 1, 0, (0, 0)),
        ([("buenos días a", "es-US"), (f"todos los amigos {ENGLISH}", "en-US")], 1, 0, 1, (0, 0)),
        ([(SPANISH.replace("amigos", "migos"), "es-US"), (ENGLISH, "en-US")], 2, 1, 0, (0, 1)),
        ([(SPANISH.replace("buenos", "bueno"), "es-US"), (ENGLISH, "en-US")], 2, 1, 0, (1, 0)),
        ([(SPANISH, "es-US"), ("thank you", "en-US"), ("all very much indeed", "es-US")], 2, 1, 1, (0, 0)),
    ],
)
def test_what_is_missed_and_what_is_invented(
    runs: list[tuple[str, str]], right: int, switched: int, invented: int, errors: tuple[int, int]
) -> None:
    found = mixed(heard(*runs))
    assert (found["spans_right"], found["found"], found["invented"]) == (
        right - (runs[-1] == ("all very much indeed", "es-US")),
        switched,
        invented,
    )
    assert (found["errors_within"], found["errors_around"]) == errors


def test_a_prediction_without_spans_has_the_language_it_detected() -> None:
    bare = {"hypothesis": f"{SPANISH} {ENGLISH}", "detected_lang": "es-US", "words": None, "spans": None}
    found = scored(bare).code_switching("p")
    assert found.table.set_index("slice").loc["code-switched", "spans_right"] == 1
    assert "0 of 1 switches found" in str(found)
    assert set(found.intervals["figure"]) >= {"spans right", "switches found"}


def test_text_without_tags_says_so() -> None:
    evaluation = scored(heard(("hola", "es-US")), "Hola.")
    assert "no reference switches languages" in str(evaluation.code_switching("p"))


WORDS = st.lists(st.sampled_from(["uno", "dos", "tres", "one", "two", "three"]), min_size=1, max_size=5)
RUNS = st.lists(st.tuples(WORDS, st.sampled_from(["es-US", "en-US", "de-DE", None])), min_size=1, max_size=5)


@given(RUNS, RUNS)
def test_counts_add_up(reference: Any, predicted: Any) -> None:
    found = counts_of(reference, predicted)
    assert set(found) == set(COUNTS)
    assert found["words_within"] + found["words_around"] == sum(len(words) for words, _ in reference)
    assert 0 <= found["found"] <= found["switches"] == len(reference) - 1
    assert 0 <= found["spans_right"] <= found["spans"]
    assert found["found"] + found["invented"] == len(predicted) - 1
    same = counts_of(reference, reference)
    assert (same["errors_within"], same["errors_around"], same["invented"]) == (0, 0, 0)
    assert same["spans_right"] == same["spans"]


def test_joined_clips_hold_what_they_say(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    lines = []
    for number, tag in enumerate(["en-US", "es-ES", "fr-FR"] * 3):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * rng.standard_normal(8000 + 100 * number), 16_000)
        lines.append({"audio_filepath": f"{number}.wav", "duration": (8000 + 100 * number) / 16_000,
                      "text": f"Number {number}.", "target_lang": tag, "speaker": f"s{number}"})  # fmt: skip
    pd.DataFrame(lines).to_json(tmp_path / "m.jsonl", orient="records", lines=True)
    corpus = import_source(tmp_path / "m.jsonl", tmp_path / "c", name="c")
    made = join_clips(corpus, tmp_path / "one", clips=20, seed=5)
    again = join_clips(corpus, tmp_path / "two", clips=20, seed=5)
    assert made.read_bytes() == again.read_bytes()
    rows = pd.read_json(made, orient="records", lines=True)
    used: dict[str, int] = {}
    for row in rows.to_dict("records"):
        spans = split_spans(row["text"])
        assert 2 <= len(spans) <= 3
        assert all(one[1] != two[1] for one, two in itertools.pairwise(spans))
        assert soundfile.info(made.parent / row["audio_filepath"]).duration == pytest.approx(
            row["duration"], abs=1e-3
        )
        for _, tag in spans:
            used[tag] = used.get(tag, 0) + 1
    assert max(used.values()) - min(used.values()) <= 2
    with pytest.raises(WorkbenchError, match="two languages"):
        join_clips(corpus.where("target_lang = 'en-US'"), tmp_path / "three")
