import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import WorkbenchError, one_line
from workbench.locales import (
    AUTO,
    AUTO_PROMPT_INDEX,
    LOCALES,
    NUM_PROMPTS,
    canonical,
    near,
    prompt_dictionary,
)


def test_forty_locales_in_three_tiers_with_slots_of_their_own():
    tiers = [row.tier for row in LOCALES.values()]
    assert (tiers.count("ready"), tiers.count("broad"), tiers.count("adapt")) == (19, 13, 8)
    slots = list(prompt_dictionary().values())
    assert len(set(slots)) == 41
    assert max(slots) < NUM_PROMPTS
    assert prompt_dictionary()[AUTO] == AUTO_PROMPT_INDEX == 101


@pytest.mark.parametrize(
    ("written", "tag"), [("el-GR", "el-GR"), ("EL_gr", "el-GR"), (" fr_ca ", "fr-CA"), ("AUTO", "auto")]
)
def test_a_tag_has_one_written_form(written, tag):
    assert canonical(written) == tag


@pytest.mark.parametrize(
    ("written", "candidate"), [("el", "el-GR"), ("es", "es-US"), ("fr-BE", "fr-CA"), ("gr-EL", "el-GR")]
)
def test_a_region_is_asked_about_never_guessed(written, candidate):
    with pytest.raises(WorkbenchError, match=candidate):
        canonical(written)


@given(st.text(max_size=30))
def test_any_text_is_a_tag_or_one_clear_line(text):
    message = ""
    try:
        found = canonical(text)
    except WorkbenchError as error:
        message = str(error)
    else:
        assert found in {*LOCALES, AUTO}
    assert "\n" not in message
    assert len(near(text)) <= 5


@given(st.text(), st.text(), st.text())
def test_a_message_is_one_printable_line(what, where, hint):
    line = one_line(what, where, hint)
    assert line.isprintable()
    assert len(line) <= 400
