"""Named foldings, the substitution list, markup, and the Open ASR Leaderboard's way of counting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from corpora import random_corpus, table
from hypothesis import given
from hypothesis import strategies as st

from workbench import text as txt
from workbench.errors import WorkbenchError
from workbench.evaluation import score_predictions
from workbench.evaluation.leaderboard import VERSION, joined_compounds, leaderboard_text, pair_errors
from workbench.foldings import FOLDINGS, read_substitutions
from workbench.locales import CHARACTER_LANGUAGES, LOCALES, UNSPACED_LANGUAGES


@pytest.mark.parametrize(
    ("locale", "fold", "written", "meant"),
    [
        ("ro-RO", "cedilla", "şi Ţara", "și țara"),
        ("ar-AR", "hamza", "أحمد إلى آخر مؤمن بئر", "احمد الى اخر مومن بير"),
        ("ar-AR", "wasla", "ٱلكتاب", "الكتاب"),
        ("ar-AR", "digits", "٣٤ دقيقة", "34 دقيقة"),
        ("hi-IN", "digits", "१२ लोग", "12 लोग"),
        ("ru-RU", "stress", "за\u0301мок замо\u0301к", "замок замок"),
        ("vi-VN", "tone", "hoà khoẻ thuý quý hoàng", "hòa khỏe thúy quý hoàng"),
        ("de-DE", "swiss", "Straße", "strasse"),
        ("de-DE", "numerals", "Es kostet 1.234 Euro.", "es kostet eintausendzweihundertvierunddreißig euro"),
        ("fr-FR", "numerals", "23 pages", "vingt trois pages"),
        ("es-ES", "numerals", "tres o 4,5", "tres o cuatro punto cinco"),
        ("it-IT", "numerals", "il 8 marzo", "il otto marzo"),
        ("pt-BR", "numerals", "16 reais", "dezesseis reais"),
        ("ru-RU", "numerals", "12 лет", "двенадцать лет"),
        (
            "en-US",
            "numerals",
            "at 10:30, 1,200, 07",
            "at ten thirty one thousand two hundred zero seven",
        ),
        ("ja-JP", "numerals", "12月", "十二月"),
        ("en-US", "markup", "well [laughter] so <v-noise> (cough) yes", "well so yes"),
    ],
)
def test_each_folding_by_name(locale: str, fold: str, written: str, meant: str) -> None:
    assert txt.normalize(written, locale, f"basic+{fold}") == meant
    assert txt.normalize(written, locale, "basic") != meant
    rows, predictions = table({"id": "a", "text": written, "hypothesis": meant, "target_lang": locale})
    found = score_predictions(rows, {"p": predictions}, by=())
    assert found.overall("p", normalizer=f"basic+{fold}")["errors"] == 0
    assert found.overall("p")["errors"] > 0


def test_a_folding_holds_in_its_own_language_only() -> None:
    assert txt.normalize("Straße", "tr-TR", "basic+swiss") == "straße"
    assert txt.normalize("şi", "tr-TR", "basic+cedilla") == "şi"
    rows, predictions = table(
        {"id": "a", "text": "Straße", "hypothesis": "Strasse", "target_lang": "de-DE"},
        {"id": "b", "text": "Straße", "hypothesis": "Strasse", "target_lang": "nl-NL"},
    )
    by = score_predictions(rows, {"p": predictions}, by=("target_lang",), normalizer="basic+swiss").rates("p")
    assert by.set_index("target_lang")["errors"].to_dict() == {"de-DE": 0, "nl-NL": 1}


@pytest.mark.parametrize("ghost", ["👨\u200d👩\u200d👧", "❤\ufe0f", "ok \ufe0f\u20e3", "👍🏽"])
def test_emoji_leave_no_word_behind(ghost: str) -> None:
    assert txt.normalize(f"hi {ghost} you", "en-US").split() == ["hi", *["ok"] * ("ok" in ghost), "you"]


def test_joiners_inside_words_stay() -> None:
    assert txt.normalize("क्\u200dष می\u200cشود", "hi-IN") == "क्\u200dष می\u200cشود"


@given(st.text(max_size=40), st.sampled_from(sorted(LOCALES)), st.sampled_from(sorted(FOLDINGS)))
def test_foldings_never_break_a_text(text: str, locale: str, fold: str) -> None:
    once = txt.normalize(text, locale, f"basic+{fold}")
    assert "\n" not in once
    assert once == once.strip()
    assert txt.normalize_many([text, "x"], locale, f"basic+{fold}")[1] == "x"


def test_numerals_that_are_no_plain_numbers_stay() -> None:
    for text in ("a4 2nd", "7.8.9", "1" * 16):
        assert txt.normalize(text, "en-US", "basic+numerals") == txt.normalize(text, "en-US")
    assert txt.normalize("12 άτομα", "el-GR", "basic+numerals") == "12 άτομα"


def test_unknown_names_say_what_there_is() -> None:
    with pytest.raises(WorkbenchError, match="unknown folding 'digit'"):
        txt.normalize("a", None, "basic+digit")
    rows, predictions = random_corpus(20)
    with pytest.raises(WorkbenchError, match="unknown normalizer 'fancy'"):
        score_predictions(rows, predictions, normalizer="fancy+digits")


def test_the_substitution_list_makes_spellings_equal_and_is_printed(tmp_path: Path) -> None:
    listed = tmp_path / "substitutions.csv"
    listed.write_text("written,meant,language\nWi-Fi,wifi,\nkm/h,kilometer pro stunde,de\n", encoding="utf-8")
    rows, predictions = table(
        {"id": "a", "text": "Das WLAN hat Wi-Fi.", "hypothesis": "das wlan hat wifi", "target_lang": "de-DE"},
        {"id": "b", "text": "90 km/h", "hypothesis": "90 Kilometer pro Stunde", "target_lang": "de-DE"},
        {"id": "c", "text": "90 km/h", "hypothesis": "90 kilometer pro stunde", "target_lang": "nl-NL"},
    )
    found = score_predictions(rows, {"p": predictions}, by=("target_lang",), substitutions=listed)
    assert found.normalizer == "basic+list"
    errors = found.rates("p").set_index("target_lang")["errors"].to_dict()
    assert errors == {"de-DE": 0, "nl-NL": 3}
    html = found.report(tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Counted as equal: Wi-Fi as wifi, km/h as kilometer pro stunde (de)." in html
    assert found.to_dict()["methods"]["substitutions"][0]["written"] == "Wi-Fi"
    plain = score_predictions(rows, {"p": predictions}, by=())
    assert plain.normalizer == "basic"
    assert "Counted as equal" not in plain.report(tmp_path / "q.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "no columns"),
        ("written,meant\nx,y\nX,z\n", "meant two ways"),
        ("written,meant\n,z\n", "empty"),
    ],
)
def test_a_faulty_list_is_one_clear_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(WorkbenchError, match=message):
        read_substitutions(path)
    with pytest.raises(WorkbenchError, match="cannot read"):
        read_substitutions(tmp_path / "none.csv")


def test_markup_and_unknown_locales_are_asked_about() -> None:
    rows, predictions = table(
        {"id": "a", "text": "so [laughter] yes", "hypothesis": "so (cough) yes", "target_lang": "en-US"},
        {"id": "b", "text": "今日はいい天気です", "hypothesis": "今日", "target_lang": "auto"},
        {"id": "c", "text": "ordinary (ordinary) words", "hypothesis": "x", "target_lang": None},
    )
    said = [str(p) for p in score_predictions(rows, {"p": predictions}).problems]
    assert any("markup in the reference (1): a" in x and "[laughter]" in x for x in said)
    assert any("markup in the hypothesis (1): a" in x and "(cough)" in x for x in said)
    assert any("locale unknown or auto, text in a script without spaces (1): b" in x for x in said)


def test_one_table_says_who_is_scored_by_characters() -> None:
    by_table = {row.language for row in LOCALES.values() if row.scored_by == "char"}
    assert by_table <= CHARACTER_LANGUAGES
    assert {"ko"} == CHARACTER_LANGUAGES - UNSPACED_LANGUAGES
    for row in LOCALES.values():
        assert (txt.characters("a b", row.tag) == "ab") == (row.scored_by == "char")


def test_the_leaderboard_joins_compounds_and_speaks_numbers() -> None:
    """Finnish "rautatie asema": 2 of 5 words wrong by plain words, none there."""
    assert pair_errors("helsingin rautatie asema on auki", "Helsingin rautatieasema on auki.", "fi")[0] == 0
    assert joined_compounds("a b c", "ab c") == (["ab", "c"], ["ab", "c"])
    assert leaderboard_text("Wir haben 42 (lacht) Leute!", "de") == "wir haben zweiundvierzig leute"
    assert leaderboard_text("10 000 euros", "fr") == "dix mille euros"
    assert leaderboard_text("Uh, the B B C has 5 G", "en") == "the bbc has 5g"
    assert pair_errors("...", "noise", "de") == (0, 0)
    rows, predictions = table(
        {"id": "a", "text": "rautatie asema", "hypothesis": "rautatieasema", "target_lang": "fi-FI"},
        {"id": "b", "text": "", "hypothesis": "noise", "target_lang": "fi-FI"},
    )
    found = score_predictions(rows, {"p": predictions}).leaderboard("p").iloc[0]
    assert (found["errors"], found["dropped"], found["profile"]) == (0, 1, VERSION)


EXAMPLES = json.loads((Path(__file__).parent / "leaderboard_examples.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("example", EXAMPLES["texts"], ids=lambda e: f"{e['language']} {e['text'][:12]}")
def test_texts_come_out_as_from_the_public_code(example: dict[str, str]) -> None:
    assert leaderboard_text(example["text"], example["language"]) == example["normalized"]


@pytest.mark.parametrize("pair", EXAMPLES["pairs"], ids=lambda p: f"{p['language']} {p['reference'][:12]}")
def test_errors_are_counted_as_by_the_public_code(pair: dict[str, Any]) -> None:
    found = pair_errors(pair["reference"], pair["hypothesis"], pair["language"])
    assert found == (pair["errors"], pair["words"])


def test_keywords_have_intervals_or_are_grey() -> None:
    rows, predictions = random_corpus(400)
    found = (
        score_predictions(rows, predictions).keywords("base", ["cat", "sat", "nowhere"]).set_index("keyword")
    )
    for word in ("cat", "all"):
        row = found.loc[word]
        for measure in ("recall", "precision", "f1"):
            assert row[f"{measure}_low"] < row[measure] < row[f"{measure}_high"]
        assert row["enough"] == "yes"
    assert found.loc["nowhere", "enough"] == "no"
