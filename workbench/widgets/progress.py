"""A progress bar around a call that reports how far it is; drawn by tqdm, as text or as a widget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

Progress = Callable[[int, int], None]


@contextmanager
def progress_bar(label: str, progress: Progress | None, unit: str = "utt") -> Iterator[Progress]:
    """What to report (done, total) to; the caller's own report, if given, wins."""
    if progress is not None:
        yield progress
        return

    with tqdm(desc=label, unit=unit, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
        bar.total = bar.n  # a search may end before its upper bound: that is no failure
