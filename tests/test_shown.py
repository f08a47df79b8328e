"""Tables and mappings that show themselves: a sentence and six columns, also of what is chosen from them."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pandas as pd
import pytest

from workbench.shown import Facts, Shown, show, show_rows

WIDE = pd.DataFrame(
    {"id": ["a", "b", "c"], "text": ["one", None, "x" * 200], "target_lang": ["el-GR", "it-IT", "el-GR"],
     "duration": [1.23456789, 2.0, np.nan], "wer": [0.123456, 1.0, np.nan], "clips": [1234, 2, 3],
     "tags": [["a", "b"], [], None], "at": pd.to_datetime(["2026-01-01", None, "2026-01-03"])}
)  # fmt: skip
SEEN = ("id", "text", "target_lang", "duration", "wer", "clips", "never")


def made() -> Shown:
    return show_rows(WIDE, "Three clips.", SEEN)


def test_a_wide_table_opens_with_its_sentence_and_six_columns() -> None:
    lines = repr(made()).splitlines()
    assert lines[0] == "Three clips."
    assert lines[1].split() == ["id", "text", "locale", "seconds", "wer", "clips"]
    assert lines[2].split() == ["a", "one", "el-GR", "1.235", "12.3", "%", "1,234"]
    assert lines[3].split() == ["b", "–", "it-IT", "2", "100.0", "%", "2"]
    assert "…" in lines[4]
    assert len(lines[4]) < 200
    assert lines[-1] == "(a table of 8 columns)"
    assert "<b>Three clips.</b>" in made()._repr_html_()


@pytest.mark.parametrize(
    "chosen",
    [lambda t: t.head(2), lambda t: t[t["clips"] < 1000], lambda t: t.query("clips < 1000"),
     lambda t: t.iloc[1:], lambda t: t.tail(2), lambda t: t.sample(2, random_state=1)],
)  # fmt: skip
def test_rows_that_are_chosen_show_themselves_likewise(chosen: object) -> None:
    lines = repr(chosen(made())).splitlines()  # type: ignore[operator]
    assert lines[0] == "2 of 3 rows."
    assert lines[1].split() == ["id", "text", "locale", "seconds", "wer", "clips"]


@pytest.mark.parametrize(
    "other",
    [lambda t: t[["id", "clips"]], lambda t: t.rename(columns={"id": "name"}),
     lambda t: t.pivot_table(index="target_lang", values="clips"), lambda t: t.describe(),
     lambda t: t.groupby("target_lang").sum(numeric_only=True), lambda t: t.set_index("id")],
)  # fmt: skip
def test_other_columns_are_shown_as_pandas_does(other: object) -> None:
    found = other(made())  # type: ignore[operator]
    assert repr(found) == repr(pd.DataFrame(found))
    assert found._repr_html_() == pd.DataFrame(found)._repr_html_()


def test_it_is_a_data_frame_in_everything_else() -> None:
    table = made()
    pd.testing.assert_frame_equal(pd.DataFrame(table), WIDE)
    assert table["clips"].sum() == 1239
    assert table.to_dict("records")[0]["id"] == "a"
    elsewhere = pickle.loads(pickle.dumps(table))
    assert type(elsewhere) is pd.DataFrame
    pd.testing.assert_frame_equal(elsewhere, WIDE)
    assert repr(table.copy()).splitlines()[0] == "3 of 3 rows."
    assert repr(show(pd.DataFrame(columns=["a"]), "Nothing.", {})).startswith("Nothing.")


def test_a_mapping_shows_each_entry_in_plain_figures() -> None:
    facts = Facts(
        {"rate": 0.123456789, "utterances": 12345, "kappa": None, "worst": {"accent": "Lima"}, "parts": [],
         "n": float("nan"), "yes": True},
        "What is known.",
    )  # fmt: skip
    lines = str(facts).splitlines()
    assert lines[0] == "What is known."
    told = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in lines[2:]}
    assert told == {
        "rate": "12.3 %", "utterances": "12,345", "kappa": "–", "worst": "accent: Lima", "parts": "–",
        "n": "–", "yes": "yes",
    }  # fmt: skip
    assert "<b>What is known.</b>" in facts._repr_html_()
    assert json.loads(json.dumps(facts))["utterances"] == 12345
    assert facts == dict(facts)
