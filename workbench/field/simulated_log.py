"""A made-up field log, drawn from real predictions: what an operator will see before any traffic.

Transcripts, detected languages, confidences and delays are those of clips that a checkpoint really read; only
the times of the calls are made up, and every line says ``"source": "simulated"``. A change is rehearsed by
giving other predictions of the same clips, such as of the clips in street noise, from one week on. Delays
stay those of the usual ones: both were computed on this machine, and how busy it was then is no change.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.ingest.audio import read_row
from workbench.plain_values import plain
from workbench.recognizer.transcribe import transcribe
from workbench.signatures import public

if TYPE_CHECKING:
    from workbench.corpus.query.table import Corpus
    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.conditions import Condition

SOURCE = "simulated"
_BEGIN = datetime(2026, 1, 5, tzinfo=UTC)


@public
def simulate_log(
    rows: pd.DataFrame,
    usual: pd.DataFrame,
    path: str | Path,
    *,
    changed: pd.DataFrame | None = None,
    changed_from_week: int = 10,
    weeks: int = 12,
    calls_per_week: int = 200,
    release: str = "rehearsed",
    seed: int = 20260907,
) -> Path:
    """Write a log of ``weeks`` whole weeks, calls drawn with replacement.

    Args:
        rows: utterance rows: ``id, target_lang, duration, audio_filepath, consent …``.
        usual: predictions of them. ``changed``: predictions that take the place of the usual ones from week
            ``changed_from_week`` (0 is the first) on, for the ids that it holds.
        calls_per_week: of all locales together, in the proportions of ``rows``.

    Raises:
        WorkbenchError: no prediction belongs to a row.
    """
    held = {str(r["id"]): r for r in rows.to_dict("records")}
    before = {str(p["id"]): p for p in usual.to_dict("records") if str(p["id"]) in held}
    after = {**before, **_of(changed, held)}
    if not before:
        raise WorkbenchError(
            "no prediction belongs to a row", where="simulated", hint="Transcribe them first."
        )
    draw, ids, lines = random.Random(seed), sorted(before), list[tuple[datetime, str]]()
    week_s = 7 * 86400
    for week in range(weeks):
        read = after if week >= changed_from_week else before
        count = round(calls_per_week * draw.uniform(0.95, 1.05))
        # Both ends of the log are marked: a week counts as whole from its Monday to its Sunday.
        seconds = [60.0, week_s - 60.0, *(draw.uniform(0, week_s) for _ in range(count))]
        for second in sorted(seconds):
            key = draw.choice(ids)
            at = _BEGIN + timedelta(seconds=week * week_s + second)
            number = f"{week:03d}-{len(lines):06d}"
            taken = {**read[key], "compute_s": before[key].get("compute_s")}
            lines.append((at, _line(number, at, held[key], taken, release)))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_atomic(path, "".join(line for _, line in sorted(lines)))


def _of(changed: pd.DataFrame | None, held: Mapping[str, Any]) -> dict[str, Any]:
    if changed is None:
        return {}
    return {str(p["id"]): p for p in changed.to_dict("records") if str(p["id"]) in held}


def _line(number: str, at: datetime, row: Mapping[str, Any], read: Mapping[str, Any], release: str) -> str:
    kept = ("audio_filepath", "offset", "duration", "speaker", "consent")
    record = {
        "id": number,
        "time": at.isoformat(timespec="seconds"),
        "release": release,
        "requested_lang": row["target_lang"],
        "detected_lang": plain(read.get("detected_lang")),
        "text": plain(read.get("hypothesis")) or "",
        "confidence": plain(read.get("confidence")),
        "latency_ms": round(1000 * float(plain(read.get("compute_s")) or 0.0), 1),
        "source": SOURCE,
        **{name: plain(row.get(name)) for name in kept},
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


@public
def in_conditions(
    checkpoint: Checkpoint,
    corpus: Corpus,
    condition: Condition,
    *,
    lookahead_ms: int | None = None,
    prompt_mode: str = "auto",
    streaming: bool = False,
    batch_s: float = 60.0,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "auto",
    engine: str = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """Predictions of a view's clips as they sound under a condition; nothing is kept.

    Args:
        condition: noise, telephone line, room; see ``recognizer.conditions``.
        lookahead_ms: one of the checkpoint's; None is its default.
        prompt_mode: 'langID' or 'auto'.
        streaming, batch_s, device, precision, runtime, engine, address, progress, cancel: as
            :func:`workbench.recognizer.transcribe.transcribe` takes them.

    Raises:
        WorkbenchError: as ``transcribe``.
    """
    rate = checkpoint.info.sample_rate
    with tempfile.TemporaryDirectory(prefix="conditions-") as folder:
        out = transcribe(
            checkpoint,
            corpus.table().to_pylist(),
            corpus.audio_roots,
            Path(folder) / "conditions.parquet",
            lookahead_ms=lookahead_ms,
            prompt_mode=prompt_mode,
            load=ConditionReader(condition, corpus.audio_roots, rate),
            streaming=streaming,
            batch_s=batch_s,
            device=device,
            precision=precision,
            runtime=runtime,
            engine=engine,
            address=address,
            progress=progress,
            cancel=cancel,
        )
        return pd.read_parquet(out)


@dataclass(frozen=True, slots=True)
class ConditionReader:
    """Reads a row's sound as it is under a condition; pickles, so that workers on other machines read too.

    Attributes:
        roots: folders that the audio may lie in, as the corpus records them. ``sample_rate``: of what is
            given: (n,) float32 mono.
    """

    condition: Condition
    roots: tuple[str, ...]
    sample_rate: int

    def __call__(self, row: Mapping[str, Any]) -> Any:
        return self.condition.apply(read_row(row, self.roots, self.sample_rate)[0], self.sample_rate)
