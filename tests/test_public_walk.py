"""No public call returns what shows as a raw dictionary, a pointer, a wide table or many digits."""

from pathlib import Path

import pandas as pd
import pytest
from public_walk import DATA, raw, walked
from small_workspace import small_workspace

from workbench.shown import Facts, show_rows

LEAST = 150
"""Calls that must have worked, so that the walk cannot become empty unseen."""


def test_what_public_calls_return_shows_itself(tmp_path: Path) -> None:
    seen, faults = 0, []
    for name, found in walked(small_workspace(tmp_path / "ws")):
        seen += 1
        faults += [f"{name} ({type(found).__name__}): {fault}" for fault in raw(name, found)]
    assert not faults, "\n".join(faults)
    assert seen >= LEAST


@pytest.mark.parametrize(
    ("found", "fault"),
    [({"a": 1}, "a plain dictionary"), (pd.DataFrame({"a": [0.123456789]}), "digits that nobody reads"),
     (object(), "a pointer"), (pd.DataFrame([range(7)]), "more than six columns"),
     ([{"a": 1}], "a list of raw values"), (pd.DataFrame({"a": [float("nan")]}), "Python's own words")],
)  # fmt: skip
def test_the_walk_finds_what_is_raw(found: object, fault: str) -> None:
    assert fault in raw("Corpus.other", found)


def test_what_shows_itself_passes() -> None:
    wide = pd.DataFrame([range(7)], columns=list("abcdefg")).assign(
        rate=0.123456789, hours=1 / 3600, mixed=None
    )
    wide["mixed"] = pd.Series([0.123456789], dtype=object)
    shown = show_rows(wide, "One row.", ("a", "rate", "hours", "mixed"))
    assert raw("Corpus.other", shown) == []
    assert repr(shown).splitlines()[2].split() == ["0", "12.3", "%", "0.00", "0.1235"]
    assert "0.1235" in shown._repr_html_()
    assert raw("Corpus.other", Facts({"rate": 0.123456789}, "So it is.")) == []
    assert repr(Facts({"rate": 0.123456789}, "So it is.")).splitlines()[-1].split() == ["rate", "12.3", "%"]
    assert all(DATA.values())
