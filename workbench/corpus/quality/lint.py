"""A source checked as a linter checks code: read, checked, told, and nothing of it kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.corpus.importing import import_source
from workbench.corpus.quality.checks import run_checks
from workbench.corpus.quality.own_rules import OwnRule
from workbench.corpus.quality.signal import scan
from workbench.errors import Problem, WorkbenchError
from workbench.ingest.columns_only import HUB, on_hub
from workbench.signatures import public

if TYPE_CHECKING:
    import pandas as pd

    from workbench.recognizer.checkpoint import Checkpoint

Severity = Literal["error", "warning", "info"]
_RANK = {"error": 0, "warning": 1, "info": 2}


@dataclass
class Lint:
    """What a source is worth.

    Attributes:
        rows: that can be used; ``left_out`` could not be read at all.
        problems: of reading, each with file and line.
        findings: of the checks, as :func:`~workbench.corpus.quality.checks.run_checks` gives them.
        fixed: folder with a copy of the rows without an error, as a NeMo manifest; None where not asked for.
    """

    rows: int
    left_out: int
    problems: list[Problem]
    findings: pd.DataFrame
    fixed: Path | None = None
    counts: dict[str, int] = field(default_factory=dict)

    def failed(self, at: Severity = "error") -> bool:
        """Whether anything of this severity or worse was found; rows that could not be read are errors."""
        worst = min((_RANK[s] for s in self.findings["severity"]), default=3)
        return bool(self.left_out) or worst <= _RANK[at]


@public
def lint(
    source: Any,
    *,
    mapping: Mapping[str, str] | None = None,
    locale: str | None = None,
    audio_roots: Sequence[str | Path] | None = None,
    tokenizer: Any = None,
    checkpoint: Checkpoint | None = None,
    rules: Mapping[str, Any] | Sequence[str] | None = None,
    own: Sequence[OwnRule] = (),
    sound: bool = False,
    columns: bool = False,
    fix: str | Path | None = None,
) -> Lint:
    """Check a source without importing it. What a recognizer heard (columns ``pred_text`` and
    ``pred_text_NAME``) is held against the transcripts.

    Args:
        source: as for ``Workspace.import_corpus``; or ``hf://datasets/OWNER/NAME``. A data set of the hub is
            read by its columns alone, unless ``sound`` is asked for.
        mapping: field → column.
        locale: of rows that state none or only its language.
        audio_roots: folders that recordings may lie in.
        tokenizer: of a checkpoint, for the characters that it does not know.
        checkpoint: gives its tokenizer, and its limit: one label a frame of its encoder.
        rules: which, and with which thresholds; see :func:`workbench.corpus.quality.rules.chosen`.
        own: rules of the team.
        sound: measure the recordings too, loudness included, for the rules on sound.
        columns: read a Parquet or saved data set by its columns alone, without its sound.
        fix: write a copy of the rows without an error here; the source is not touched.

    Raises:
        WorkbenchError: the source cannot be read, an unknown rule, or sound is asked for that is not read.
    """
    columns = columns or (on_hub(source) and not sound)
    if columns and (sound or fix is not None):
        raise WorkbenchError(
            f"{'--sound' if sound else '--fix'} needs the recordings, and only the columns are read",
            where=str(source), hint="Fetch the data set, and lint its folder without --columns.",
        )  # fmt: skip
    if isinstance(source, str) and sound:
        source = source.removeprefix(HUB)
    folder = Path(tempfile.mkdtemp(prefix="workbench-lint-"))
    try:
        corpus = import_source(
            source, folder / "source", name="source", mapping=mapping, locale=locale, audio_roots=audio_roots,
            require_audio=not columns, columns_only=columns,
        )  # fmt: skip
        if sound:
            scan(corpus, loudness=True)
        if checkpoint is not None:
            tokenizer = tokenizer or checkpoint.tokenizer()
            own = [*own, _frames_rule(tokenizer, checkpoint.info.frame_ms / 1000)]
        heard = next((corpus.prediction(report.name) for report in corpus.take_predictions()), None)
        found = run_checks(corpus, rules, tokenizer=tokenizer, predictions=heard, own=own)
        made = Lint(len(corpus), corpus.facts["left_out"], corpus.problems, found)
        made.counts = {str(k): int(v) for k, v in found.groupby("rule").size().items()}
        if fix is not None:
            flawed = found[found["severity"] == "error"]["id"].unique().tolist()
            if flawed:
                corpus.pick(flawed).reject("lint")
            if len(flawed) < len(corpus):
                made.fixed = corpus.export(fix, only="not_rejected").path
            else:
                what = "every row has an error; no copy was written"
                made.problems.append(Problem("", what, "Correct what the findings name, and lint again."))
        return made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _frames_rule(tokenizer: Any, frame_s: float) -> OwnRule:
    """Rows with more labels than the encoder has frames: no path reads them, and training leaves them out."""

    def test(row: Mapping[str, Any]) -> str | None:
        labels = len(tokenizer.encode(row["text"] or "")) + 1
        frames = int(row["duration"] // frame_s) if row["duration"] else labels
        return f"{labels} labels, {frames} frames" if labels > frames else None

    return OwnRule(
        "labels_exceed_frames", "has more labels than this checkpoint has frames for", test, "error",
        "Check duration and transcript; split the row, or reject it.",
    )  # fmt: skip
