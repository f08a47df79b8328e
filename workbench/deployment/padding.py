"""How much silence a package wants before the audio: measured on clips with references, written into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from rapidfuzz.distance import Levenshtein

from workbench.deployment import sherpa
from workbench.deployment.package import Package, describe
from workbench.errors import WorkbenchError
from workbench.language_tags import strip_tag
from workbench.text import characters, normalize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.recognizer.checkpoint import Checkpoint

PADDINGS_MS = (0, 80, 160, 240, 320, 400)


@dataclass(frozen=True, slots=True)
class Tuned:
    """``package``: with the padding that had the fewest errors; ``before_ms``, ``after_ms``: what it was and
    is; ``table``: ``left_padding_ms, rate`` (character errors), ``errors, characters, first_words_lost``."""

    package: Package
    before_ms: int
    after_ms: int
    table: pd.DataFrame

    def __str__(self) -> str:
        rates = 100 * self.table.set_index("left_padding_ms")["rate"]
        return (
            f"{self.after_ms} ms of silence before the audio: {rates[self.after_ms]:.1f} % of characters "
            f"wrong, {rates[self.before_ms]:.1f} % at {self.before_ms} ms"
        )

    __repr__ = __str__


def tune_padding(
    package: Package,
    checkpoint: Checkpoint,
    rows: Sequence[Mapping[str, Any]],
    load: Callable[[Mapping[str, Any]], NDArray[np.float32]],
    *,
    paddings_ms: Sequence[int] = PADDINGS_MS,
    progress: Callable[[int, int], None] | None = None,
) -> Tuned:
    """Read clips with each padding, and write the best into the package's settings and guide.

    The clips should be none that the package is judged on afterwards: validation, not test.

    Args:
        package: for sherpa-onnx. ``checkpoint``: that it was made of.
        rows: with ``text`` and ``target_lang``. ``load``: gives a row's samples at the package's rate.
        paddings_ms: to try, beside the one it has. Of equal ones the shortest wins: silence costs latency.
        progress: called with (done, total) readings.

    Raises:
        WorkbenchError: no rows, another target, or a package of another checkpoint.
    """
    if package.target != sherpa.TARGET or package.checkpoint_sha256 != checkpoint.sha256:
        raise WorkbenchError("no sherpa-onnx package of this checkpoint", where=str(package.path))
    if not rows:
        raise WorkbenchError("no clips to tune on", where=str(package.path))
    before = int(package.settings["left_padding_ms"])
    tried = sorted({*(int(ms) for ms in paddings_ms), before})
    recognizer, records = sherpa.recognizer(package), []
    sounds = [load(row) for row in rows]
    for place, padding_ms in enumerate(tried):
        padded = replace(package, settings={**package.settings, "left_padding_ms": padding_ms})
        errors = total = lost = 0
        for number, (row, pcm) in enumerate(zip(rows, sounds, strict=True)):
            tag = str(row["target_lang"])
            reference, heard = (
                normalize(strip_tag(text)[0], tag)
                for text in (str(row["text"]), sherpa.transcribe(recognizer, padded, pcm, tag))
            )
            said, found = characters(reference, tag), characters(heard, tag)
            errors += Levenshtein.distance(said, found)
            total += len(said)
            lost += bool(reference.split()) and reference.split()[0] not in heard.split()[:2]
            if progress is not None:
                progress(place * len(rows) + number + 1, len(tried) * len(rows))
        records.append(
            {
                "left_padding_ms": padding_ms,
                "rate": errors / max(total, 1),
                "errors": errors,
                "characters": total,
                "first_words_lost": lost,
            }
        )
    table = pd.DataFrame(records)
    best = int(table.sort_values(["errors", "left_padding_ms"]).iloc[0]["left_padding_ms"])
    settings = {**package.settings, "left_padding_ms": best}
    made = describe(
        package.path, package.target, checkpoint, precision=package.precision, settings=settings,
        guide=sherpa.guide(checkpoint, settings),
    )  # fmt: skip
    return Tuned(made, before, best, table)
