"""Tables that spreadsheets open: no cell runs, no text breaks a row, what was defused comes back."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from workbench.spreadsheets import FORMULA, LINE_END, defused, undefused

_CELLS = st.text() | st.sampled_from(["=1+1", "a\r=cmd", " =2", "＝1", "-3", "\r=x"])


@given(rows=st.lists(st.lists(_CELLS, min_size=2, max_size=2), max_size=6))
def test_rows_stay_rows_and_nothing_begins_a_formula(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=LINE_END)
    for row in rows:
        writer.writerow([defused(value) for value in row])
    read = list(csv.reader(io.StringIO(text.getvalue(), newline="")))
    assert [[undefused(value) for value in row] for row in read] == rows
    assert not any(value.lstrip(" ").startswith(FORMULA) for row in read for value in row)
    # A reader that takes a bare carriage return for the end of a row finds none outside quotes.
    outside = "".join(text.getvalue().split('"')[::2])
    assert "\r" not in outside.replace("\r\n", "")
