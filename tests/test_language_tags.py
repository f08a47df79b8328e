"""Language tags in texts: every form is found, none glues words, none is trained unsaid."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.corpus.export.export_rows import _tagged
from workbench.corpus.quality.text_checks import hits
from workbench.language_tags import find_tags, locale_of, split_spans, strip_tag, with_tags
from workbench.locales import LOCALES

FORMS = ["<el-GR>", "<en>", "<es-419>", "<zh-Hans>", "<|en|>", "<EN-us>", "<pt_BR>", "<auto>", "<|fr-CA|>"]
WORDS = st.lists(st.sampled_from(["so", "pues", "καλά", "hello", "3"]), min_size=1, max_size=4)

SPACE = st.sampled_from(["", " "])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("thank you. <en-US>", ("thank you.", "en-US")),
        ("<el-GR>", ("", "el-GR")),
        ("one <en-US> two <es-US>", ("one two", "es-US")),
        ("so <en-US>pues", ("so pues", "en-US")),
        ("so<en-US>pues", ("so pues", "en-US")),
        ("one <en-US>, two", ("one, two", "en-US")),
        ("hola <es-419>.", ("hola.", "es-419")),
        ("hi<|en|>there", ("hi there", "en")),
        ("geia <el>", ("geia", "el-GR")),
        ("no tag <b>bold</b>", ("no tag <b>bold</b>", None)),
        ("a < b", ("a < b", None)),
        ("<unk> x", ("<unk> x", None)),
    ],
)
def test_strip_tag(text: str, expected: tuple[str, str | None]) -> None:
    assert strip_tag(text) == expected


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(WORDS, st.sampled_from(FORMS), st.sampled_from(["", " "]), st.sampled_from(["", " "])),
        min_size=1,
    )
)
def test_no_form_glues_or_stays(runs: list[tuple[list[str], str, str, str]]) -> None:
    text = "".join(f"{' '.join(words)}{before}{tag}{after}" for words, tag, before, after in runs)
    bare, last = strip_tag(text)
    assert bare.split() == [word for words, *_ in runs for word in words]
    assert bare == " ".join(bare.split())
    assert last is not None
    assert not find_tags(bare)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(WORDS.map(" ".join), st.sampled_from(sorted(LOCALES))), min_size=1, max_size=5))
def test_spans_come_back(spans: list[tuple[str, str]]) -> None:
    assert split_spans(with_tags(spans)) == spans


def test_codes_are_mapped_only_where_one_locale_can_be_meant() -> None:
    assert locale_of("el") == "el-GR"
    assert locale_of("EN-us") == "en-US"
    assert locale_of("zh-Hans") == "zh-CN"
    assert (locale_of("en"), locale_of("es-419"), locale_of("zh-Hant")) == (None, None, None)


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("<el-GR>", "<auto>")])
def test_other_forms_are_errors_of_the_row(form: str) -> None:
    found = {rule for _, rule, _ in hits(["a"], [f"Hola. {form}"], ["es-ES"], {})}
    assert {"stray_tag", "tag_form"} <= found
    exact = {rule for _, rule, _ in hits(["a"], ["Hola. <es-ES>"], ["es-ES"], {})}
    assert "stray_tag" in exact
    assert "tag_form" not in exact


def test_an_export_keeps_a_tag_for_each_language_of_a_row() -> None:
    assert (
        _tagged("Good morning. <en-US> Buenos días.", "es-US") == "Good morning. <en-US> Buenos días. <es-US>"
    )
    assert _tagged("Buenos <es-US>días. <es-US>", "es-US") == "Buenos días. <es-US>"
    assert _tagged("Buenos días.", "es-US") == "Buenos días. <es-US>"
