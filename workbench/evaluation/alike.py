"""Whether two predictions are alike: everything but the checkpoint equal. What differs is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Problem
from workbench.evaluation.scored import ScoredCorpus
from workbench.ingest.audio import audio_digests

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

_WORDS = {
    "lookahead_ms": "look-ahead",
    "prompt_mode": "prompt",
    "streaming": "way of reading",
    "runtime": "engine",
    "precision": "precision",
    "suite_sha256": "suite",
}
MIXED = "mixed"
_SAME = {"onnx": "torch"}
"""``onnx`` is recorded where ONNX Runtime in fp32 was proved to say what torch says of that checkpoint, token
by token: the two are compared as one. Without the proof it is ``onnx-unproved``, an engine of its own."""


def differences(scored: ScoredCorpus, a: str, b: str, rows: Array | None = None) -> list[str]:
    """What keeps two predictions from being compared like with like, one phrase each; empty where nothing.

    Named are: a prediction that mixes checkpoints or settings; another look-ahead, prompt, way of reading,
    engine, precision or suite; recordings that changed between the two; one checkpoint twice with nothing
    else different; utterances that only one of them has.

    Args:
        rows: the utterances in question; all by default.
    """
    found = _mixtures(scored, a) + _mixtures(scored, b)
    told = {name: scored.prediction(name).facts for name in (a, b)}
    for fact, word in _WORDS.items():
        mine, theirs = (_same(_known(told[name].get(fact))) for name in (a, b))
        if mine != theirs and MIXED not in (mine, theirs):
            found.append(f"{word} {_said(fact, mine)} against {_said(fact, theirs)}")
    found += _audio(scored, a, b, rows)
    same = _known(told[a].get("checkpoint_sha256"))
    if (
        a != b
        and same not in (None, MIXED)
        and same == _known(told[b].get("checkpoint_sha256"))
        and not found
    ):
        found.append(f"one checkpoint twice ({str(same)[:12]})")
    return found + uncovered(scored, a, b, rows)


def uncovered(scored: ScoredCorpus, a: str, b: str, rows: Array | None = None) -> list[str]:
    """Utterances that only one of two predictions has, one phrase a prediction."""
    sides = [scored.prediction(name).present for name in (a, b)]
    if rows is not None:
        sides = [side[rows] for side in sides]
    lacking = ((a, int((~sides[0] & sides[1]).sum())), (b, int((~sides[1] & sides[0]).sum())))
    return [f"{name} lacks {count} of {len(sides[0])} utterances" for name, count in lacking if count]


def _mixtures(scored: ScoredCorpus, name: str) -> list[str]:
    facts = scored.prediction(name).facts
    words = {"checkpoint_sha256": "checkpoints", **{fact: f"{word}s" for fact, word in _WORDS.items()}}
    return [f"{name} mixes {word}" for fact, word in words.items() if facts.get(fact) == MIXED]


def _audio(scored: ScoredCorpus, a: str, b: str, rows: Array | None) -> list[str]:
    sides = [scored.prediction(name) for name in (a, b)]
    if any("audio_sha256" not in side.source.columns for side in sides):
        return []
    heard = [side.column("audio_sha256").to_numpy(object) for side in sides]
    known = np.array([x is not None and y is not None and x != y for x, y in zip(*heard, strict=True)], bool)
    count = int(known[rows].sum() if rows is not None else known.sum())
    return [f"audio changed between them in {count} utterances"] if count else []


def audio_changes(scored: ScoredCorpus, roots: Sequence[str]) -> list[Problem]:
    """Predictions whose recordings are not those any more that they were made on.

    Args:
        roots: folders that the recordings lie in.
    """
    held = [name for name in scored.predictions if "audio_sha256" in scored.prediction(name).source.columns]
    if not held or "audio_filepath" not in scored.rows.columns:
        return []
    columns = ["audio_filepath"]
    now = audio_digests(scored.rows[columns].to_dict("records"), roots)
    found = []
    for name in held:
        heard = scored.prediction(name).column("audio_sha256").to_numpy(object)
        count = sum(isinstance(old, str) and old != new for old, new in zip(heard, now, strict=True))
        if count:
            what = f"the audio of {count:,} utterances changed since they were transcribed"
            found.append(Problem(name, what, "Transcribe again: ws.transcribe with the same name."))
    return found


def _same(value: Any) -> Any:
    return _SAME.get(value, value) if isinstance(value, str) else value


def _known(value: Any) -> Any:
    return None if value is None or value != value else value


def _said(fact: str, value: Any) -> str:
    if fact == "lookahead_ms":
        return "the default" if value is None else f"{int(value)} ms"
    if fact == "streaming":
        return {True: "streaming", False: "offline", None: "unknown"}[None if value is None else bool(value)]
    if fact == "suite_sha256":
        return "none" if value is None else str(value)[:12]
    return "unknown" if value is None else str(value)
