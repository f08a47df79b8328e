"""Normalizers, word splitting and tags."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from workbench import text as t
from workbench.errors import WorkbenchError

ANY_LOCALE = st.sampled_from(
    ["en-US", "tr-TR", "el-GR", "ru-RU", "hi-IN", "ar-AR", "zh-CN", "th-TH", "fr-FR", None]
)


@pytest.mark.parametrize(
    ("text", "locale", "expected"),
    [
        ("Hello, World! Don’t  stop", "en-US", "hello world don't stop"),
        ("'quoted' rock 'n' roll", "en-US", "quoted rock n roll"),
        ("İstanbul IŞIK", "tr-TR", "istanbul ışık"),
        ("Istanbul", "en-US", "istanbul"),
        ("ΟΔΟΣ; τί;", "el-GR", "οδος τί"),
        ("Ёлка—ель", "ru-RU", "елка ель"),
        ("नमस्ते, दुनिया।", "hi-IN", "नमस्ते दुनिया"),
        ("كِتَابٌ، نعم؟", "ar-AR", "كتاب نعم"),
        ("¿Qué? ¡Sí!", "es-ES", "qué sí"),
        ("L’homme qu´il", "fr-FR", "l'homme qu'il"),
        ("你好，世界。", "zh-CN", "你好 世界"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "ja-JP", "full width"),
        ("\u200ezero\u200b width\u00ad", "en-US", "zero width"),
        (" . ", "en-US", ""),
        ("", "en-US", ""),
    ],
)
def test_basic(text: str, locale: str, expected: str) -> None:
    assert t.normalize(text, locale) == expected


def test_raw_keeps_case_and_marks_and_composes() -> None:
    assert t.normalize("  E\u0301te\u0301,\n  OUI! ", "fr-FR", "raw") == "Été, OUI!"
    assert t.normalize("что\u037e", "el-GR", "raw") == "что;"


@settings(max_examples=120, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=6), ANY_LOCALE, st.sampled_from(["raw", "basic", "cased"]))
def test_many_is_one_by_one_and_stable(texts: list[str], locale: str | None, name: str) -> None:
    many = t.normalize_many(texts, locale, name)
    assert many == [t.normalize(text, locale, name) for text in texts]
    assert all(line == " ".join(line.split()) for line in many)
    assert t.normalize_many(many, locale, name) == many


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=40), ANY_LOCALE)
def test_basic_leaves_no_mark_and_no_symbol(text: str, locale: str | None) -> None:
    left = t.normalize(text, locale).replace("'", "")
    assert not [c for c in left if unicodedata.category(c)[0] in "PS"]


@pytest.mark.parametrize("text", ["Mr. Brown's 3 colors, isn't it?", "[noise] twenty-two dollars", "OK."])
def test_whisper_is_the_package_s_own(text: str) -> None:
    assert t.normalize(text, "en-GB", "whisper") == " ".join(EnglishTextNormalizer()(text).split())
    assert t.normalize(text, "de-DE", "whisper") == " ".join(BasicTextNormalizer()(text).split())


@pytest.mark.parametrize(("locale", "word"), [("hi-IN", "किताबें"), ("th-TH", "น้ำใจ")])
def test_whisper_keeps_vowel_signs(locale: str, word: str) -> None:
    marks = sum(unicodedata.category(c)[0] == "M" for c in unicodedata.normalize("NFKC", word))
    kept = sum(unicodedata.category(c)[0] == "M" for c in t.normalize(word, locale, "whisper"))
    assert marks == kept > 0


def test_unknown_normalizer_names_the_others() -> None:
    with pytest.raises(WorkbenchError, match="basic"):
        t.normalize("a", "en-US", "bsic")


def test_words_and_characters_by_script() -> None:
    assert t.words("one two's", "en-US") == ["one", "two's"]
    assert t.words("你好 hello 3d", "zh-CN") == ["你", "好", "hello", "3d"]
    assert t.words("สวัสดี", "th-TH") == ["ส", "วั", "ส", "ดี"]
    assert t.words("안녕 하세요", "ko-KR") == ["안녕", "하세요"]
    assert t.characters("안녕 하세요", "ko-KR") == "안녕하세요"
    assert t.characters("a b", "en-US") == "a b"


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(max_size=25), min_size=1, max_size=5))
def test_keys_of_many_are_keys_of_each(texts: list[str]) -> None:
    assert t.normalized_keys(texts) == [t.normalized_key(text) for text in texts]


def test_key_ignores_case_marks_spaces_and_tag() -> None:
    assert t.normalized_key("Hello,  World! <en-US>") == t.normalized_key("hello world")
    assert t.normalized_key("का") != t.normalized_key("की")


def test_spelling_folds_encoding_and_habit_only() -> None:
    assert t.fold_spelling("l’été") == t.fold_spelling("l'e\u0301te\u0301")
    assert t.fold_spelling("ёж") == t.fold_spelling("еж")
    assert t.fold_spelling("chat") != t.fold_spelling("Chat")
