"""The progress bar: ends full where the work ended early, and as it was where it failed."""

from __future__ import annotations

import io
from typing import Any

import pytest
import tqdm.std

from workbench.widgets import progress
from workbench.widgets.progress import progress_bar


@pytest.mark.parametrize("fails", [False, True])
def test_an_early_end_is_a_full_bar_and_a_failure_is_not(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    ends: list[tuple[int, int]] = []

    class Bar(tqdm.std.tqdm):  # type: ignore[type-arg]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options, disable=False, file=io.StringIO())

        def close(self) -> None:
            if not self.disable:
                ends.append((self.n, self.total))
            super().close()

    monkeypatch.setattr(progress, "tqdm", Bar)
    try:
        with progress_bar("search", None) as show:
            show(1, 9)
            show(4, 9)
            if fails:
                raise RuntimeError
    except RuntimeError:
        pass
    assert ends[0] == ((4, 9) if fails else (4, 4))


def test_the_callers_own_report_wins() -> None:
    seen: list[tuple[int, int]] = []
    with progress_bar("search", lambda done, total: seen.append((done, total))) as show:
        show(1, 2)
    assert seen == [(1, 2)]
