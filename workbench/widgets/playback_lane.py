"""A lane of playback: the recorded events of one streaming session as plain data the browser can replay.

Times are seconds on the media clock. Emission of a chunk = end of its audio + measured compute, queued behind
the chunks before it; nothing here is paced, and the view says so.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rapidfuzz.distance import Levenshtein

from workbench import text as texts
from workbench.locales import LATIN_MARKS, LOCALES, UNSPACED_LANGUAGES
from workbench.recognizer.languages import written_ends
from workbench.recognizer.words import spaced, written_units

if TYPE_CHECKING:
    from workbench.recognizer.events import StreamEvent

Pair = tuple[str, str, str]
"""(operation, reference unit, hypothesis unit); operations: equal, style, substitute, delete, insert."""

OPERATIONS = {"replace": "substitute", "delete": "delete", "insert": "insert"}


def units(text: str, locale: str | None) -> list[str]:
    """What is marked as one word: as written, with its marks; single characters in unspaced scripts."""
    return written_units(text) if unspaced(locale) else text.split()


def unspaced(locale: str | None) -> bool:
    """Whether a locale is written without spaces between words."""
    return (locale or "").split("-")[0] in UNSPACED_LANGUAGES


def align(reference: Sequence[str], hypothesis: Sequence[str], locale: str | None) -> list[Pair]:
    """Align written words, matching them without case and marks; equal but for those is 'style'."""
    keys = [[_key(word, locale) for word in side] for side in (reference, hypothesis)]
    pairs: list[Pair] = []
    for step in Levenshtein.opcodes(*keys):
        left = reference[step.src_start : step.src_end]
        right = hypothesis[step.dest_start : step.dest_end]
        for ref, hyp in itertools.zip_longest(left, right, fillvalue=""):
            same = step.tag == "equal"
            tag = ("equal" if ref == hyp else "style") if same else OPERATIONS[step.tag]
            pairs.append((tag, ref, hyp))
    return pairs


def _key(word: str, locale: str | None) -> str:
    # A lone mark keeps itself: an empty key would match any other lone mark.
    return texts.normalize(word, locale, "basic") or word


def marks_of(pairs: Iterable[Pair]) -> list[str]:
    """The operation of each hypothesis word, in order, for marking a running transcript."""
    return [tag for tag, _, _ in pairs if tag != "delete"]


def error_counts(pairs: Sequence[Pair]) -> dict[str, int]:
    """Substitutions, deletions, insertions and style differences of an alignment, and its reference."""
    count = {
        name: sum(tag == name for tag, _, _ in pairs) for name in ("substitute", "delete", "insert", "style")
    }
    return {**count, "reference": sum(tag != "insert" for tag, _, _ in pairs)}


def style_kept(pairs: Iterable[Pair], locale: str | None) -> dict[str, list[int]]:
    """``marks`` and ``capitals``, each [kept, of the reference's].

    A mark is kept where the word aligned with its own bears it on the same side; a capital where the same
    word has one. What goes with a lost word is lost. (Rates over a corpus: ``Evaluation.punctuation``.)
    """
    row = LOCALES.get(locale or "")
    scored = row.marks if row else LATIN_MARKS
    marks, capitals = [0, 0], [0, 0]
    for tag, reference, hypothesis in pairs:
        for said, heard in zip(_sides(reference, scored), _sides(hypothesis, scored), strict=True):
            marks[1] += len(said)
            marks[0] += sum((Counter(said) & Counter(heard)).values())
        if _capital(reference):
            capitals[1] += 1
            capitals[0] += tag in ("equal", "style") and _capital(hypothesis)
    return {"marks": marks, "capitals": capitals}


def _sides(word: str, marks: str) -> tuple[str, str]:
    """The marks before and behind a word."""
    bare = word.lstrip(marks)
    return word[: len(word) - len(bare)], bare[len(bare.rstrip(marks)) :]


def _capital(word: str) -> bool:
    letter = next((character for character in word if character.isalpha()), "")
    return letter.isupper() or letter.istitle()


def lane_data(events: Sequence[StreamEvent], locale: str, reference: str | None) -> dict[str, Any]:
    """What the browser needs to replay one session and to explain it.

    Returns:
        ``events``: [audio_start, audio_end, compute, emission, keep, add, partial, tag] each, where the final
        transcript is its first ``keep`` code points as they were and ``add``; ``words``: [text, start, end,
        emission, confidence]; ``spans``: [tag, words up to its end, emission], where there are two languages;
        ``unspaced``: words are cut by character, as ``written_units`` does; and ``final``, ``lang``,
        ``lang_at``, ``alignment``, ``errors``, ``style``, ``marks``, ``figures``.
    """
    rows, previous = [], ""
    for event in events:
        keep = _common(previous, event.final_transcript)
        rows.append(
            [
                *(
                    _ms(value)
                    for value in (event.audio_start_s, event.audio_end_s, event.compute_s, event.emission_s)
                ),
                keep,
                event.final_transcript[keep:],
                event.partial_transcript,
                event.detected_lang,
            ]
        )
        previous = event.final_transcript
    final = events[-1].transcript if events else ""
    tag = (events[-1].detected_lang if events else None) or (None if locale == "auto" else locale)
    written = units(final, tag)
    pairs = align(units(reference, tag), written, tag) if reference else []
    words = timed_words(events, written, tag)
    return {
        "events": rows,
        "words": words,
        "final": final,
        "unspaced": unspaced(tag),
        "lang": events[-1].detected_lang if events else None,
        "spans": _span_ends(events, tag),
        "lang_at": next((_ms(event.emission_s) for event in events if event.detected_lang), None),
        "alignment": [list(pair) for pair in pairs],
        "errors": error_counts(pairs) if pairs else None,
        "style": style_kept(pairs, tag) if pairs else None,
        "marks": marks_of(pairs),
        "figures": _figures(events, words),
    }


def _span_ends(events: Sequence[StreamEvent], locale: str | None) -> list[list[Any]]:
    """[tag, written words up to its end, emission] of each span of languages; empty where there is one."""
    spans = events[-1].spans if events else ()
    if len({span.lang for span in spans}) < 2:
        return []
    ends = written_ends(spans, events[-1].words, by_unit=unspaced(locale))
    found = []
    for number, (tag, end) in enumerate(ends):
        out = next((event for event in events if _has_closed(event, number, tag)), events[-1])
        found.append([tag, end, _ms(out.emission_s)])
    return found


def _has_closed(event: StreamEvent, number: int, tag: str | None) -> bool:
    return len(event.spans) > number and event.spans[number].lang == tag


def _common(left: str, right: str) -> int:
    return sum(
        1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))
    )


def timed_words(events: Sequence[StreamEvent], written: Sequence[str], locale: str | None) -> list[list[Any]]:
    """Each written word with its time in the audio, the moment it came to stay on screen, and its confidence.

    A word has come when its letters are complete; a full stop in the next chunk is not waited for.
    """
    spoken = list(events[-1].words) if events else []
    if not unspaced(locale):
        spoken = spaced(spoken)
    matched: Sequence[Any] = spoken if len(spoken) == len(written) else [None] * len(written)
    keys: dict[str, str] = {}
    outcome = [keys.setdefault(word, _key(word, locale)) for word in written]
    emitted: list[float | None] = [None] * len(written)
    stable = len(written)
    for event in reversed(events):
        now = units(event.transcript, locale)
        on_screen = [keys.get(word) or keys.setdefault(word, _key(word, locale)) for word in now]
        pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(on_screen, outcome, strict=False))
        stable = min(stable, sum(1 for _ in pairs))
        emitted[:stable] = [_ms(event.emission_s)] * stable
        if not stable:
            break
    # When a word was spoken is an estimate; where the recording ends is not.
    last_s = events[-1].audio_end_s if events else 0.0
    return [
        [word, *(_ms(min(s, last_s)) for s in (info.start_s, info.end_s)), at, info.confidence]
        if info
        else [word, None, None, at, None]
        for word, info, at in zip(written, matched, emitted, strict=True)
    ]


def _figures(events: Sequence[StreamEvent], words: Sequence[Sequence[Any]]) -> dict[str, float | None]:
    late = sorted(emitted - end for _, _, end, emitted, _ in words if end is not None and emitted is not None)
    audio_s = events[-1].audio_end_s if events else 0.0
    compute_s = sum(event.compute_s for event in events)
    return {
        "first_word_s": next((row[3] for row in words if row[3] is not None), None),
        "last_word_s": _ms(events[-1].emission_s) if events else None,
        "late_p50_s": _ms(statistics.median(late)) if late else None,
        "late_p95_s": _ms(late[min(len(late) - 1, int(0.95 * len(late)))]) if late else None,
        "compute_s": _ms(compute_s),
        "load": round(compute_s / audio_s, 3) if audio_s else None,
    }


def _ms(seconds: float) -> float:
    return round(float(seconds), 3)
