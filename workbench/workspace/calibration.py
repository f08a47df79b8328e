"""What a checkpoint's confidence is worth: fitted on validation clips, kept with the workspace by its digest.

Drafts, the board's listening order and field reports take the line below which a word, or a call, is
uncertain from here; where nothing was fitted, from a constant; and say which it was.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from workbench.workspace import json_store

SCHEMA_VERSION = 1
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was fitted of one checkpoint.

    Attributes:
        checkpoint_sha256: of the file.
        corpus, where: whose clips, and which of them; prediction: of which name.
        words: with a confidence; right: the share of them that is.
        temperature: what the log-odds of a confidence are divided by, so that it is the share that is right.
        word_line: confidence, as the recognizer gives it, below which a word is uncertain.
        utterance_line: likewise of an utterance; None where there were too few, or all alike.
        auc, normalized_cross_entropy: of the words' confidence as it comes.
        calibration_error, tempered_error: mean distance of confidence and share of right words, as it comes
            and with the temperature.
        thresholds: ``below, flagged, wrong_found, wrong_among_flagged``, shares of words.
        lookahead_ms, prompt_mode, streaming: how the prediction was made.
        made_at: UTC, ISO 8601.
    """

    checkpoint_sha256: str
    corpus: str
    where: str
    prediction: str
    words: int
    right: float
    temperature: float
    word_line: float
    utterance_line: float | None
    auc: float
    normalized_cross_entropy: float | None
    calibration_error: float
    tempered_error: float
    thresholds: tuple[dict[str, float | None], ...]
    lookahead_ms: int | None
    prompt_mode: str | None
    streaming: bool | None
    made_at: str

    def __str__(self) -> str:
        utterance = "" if self.utterance_line is None else f", an utterance below {self.utterance_line:g}"
        return (
            f"Fitted on {self.words:,} words of {self.corpus} ({self.where}), {self.right:.0%} of them "
            f"right: a word below {self.word_line:g} is uncertain{utterance}; "
            f"temperature {self.temperature:.2f} brings the distance from the share that is right from "
            f"{self.calibration_error:.3f} to {self.tempered_error:.3f}."
        )

    __repr__ = __str__


@dataclass(frozen=True, slots=True)
class Line:
    """A confidence below which something is uncertain, and where it comes from, in words."""

    below: float
    source: str


def write(reports: Path, found: Calibration) -> Path:
    """Keep it; an earlier one of the same checkpoint goes.

    Args:
        reports: the workspace's folder of reports.
    """
    figures = {"schema_version": SCHEMA_VERSION, **asdict(found)}
    return json_store.write(_path(reports, found.checkpoint_sha256), figures)


def read(reports: Path, sha256: Any) -> Calibration | None:
    """What was fitted of a checkpoint; None where nothing was.

    Raises:
        WorkbenchError: the file is damaged, or of a newer workbench.
    """
    if not isinstance(sha256, str) or not _DIGEST.match(sha256) or not _path(reports, sha256).exists():
        return None
    with json_store.reading(_path(reports, sha256), "a calibration", SCHEMA_VERSION) as held:
        known = {one.name for one in fields(Calibration)}
        held["thresholds"] = tuple(held["thresholds"])
        return Calibration(**{name: value for name, value in held.items() if name in known})


def line_of(
    reports: Path | None, sha256: Any, default: float, unit: Literal["word", "utterance"] = "word"
) -> Line:
    """The line that holds for what a checkpoint recognized.

    Args:
        reports: the workspace's folder of reports; None where there is no workspace.
        sha256: of the checkpoint; None where none is known, or an imported engine recognized.
        default: where nothing was fitted of it.
        unit: of what the line is.

    Raises:
        WorkbenchError: as :func:`read`.
    """
    found = None if reports is None else read(reports, sha256)
    below = None if found is None else found.word_line if unit == "word" else found.utterance_line
    if found is None or below is None:
        return Line(default, "the default, not calibrated")
    return Line(below, f"fitted on {found.words:,} words of {found.corpus}")


def _path(reports: Path, sha256: str) -> Path:
    return reports / "calibration" / f"{sha256}.json"
