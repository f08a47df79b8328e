"""What a streaming session reports: tokens, words, events. Frozen, plain, without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Token:
    """One SentencePiece token. ``frame``: encoder frame that emitted it; ``time_s``: that frame's time in the
    audio; ``confidence``: probability of the token, 0 to 1 (NeMo's ``max_prob`` method)."""

    text: str
    frame: int
    time_s: float
    confidence: float
    id: int = -1


@dataclass(frozen=True, slots=True)
class Word:
    """A word between spaces, or a character of a script that is scored by characters.

    Attributes:
        start_s, end_s: of the first and last token in it that is spoken; punctuation does not count.
        confidence: the least of its spoken tokens' confidences, 0 to 1.
        glued: no space stands before it.
    """

    word: str
    start_s: float
    end_s: float
    confidence: float
    glued: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "word": self.word,
            "start": self.start_s,
            "end": self.end_s,
            "confidence": self.confidence,
            "glued": self.glued,
        }


@dataclass(frozen=True, slots=True)
class LanguageSpan:
    """Words in one language: those that end at its tag. ``lang``: the tag, None where none came;
    ``start_word``, ``end_word``: numbers of words, the end not included; seconds of the first and last."""

    lang: str | None
    start_word: int
    end_word: int
    start_s: float
    end_s: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "lang": self.lang,
            "start_word": self.start_word,
            "end_word": self.end_word,
            "start": self.start_s,
            "end": self.end_s,
        }


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """The state of a session after one chunk: a snapshot, so that playback can seek to any of them.

    Attributes:
        index: number of the chunk, from 0.
        audio_start_s, audio_end_s: the audio that this chunk added; at ``audio_end_s`` it could be computed.
        compute_s: measured time of features, network and decoding for this chunk.
        emission_s: when a caller sees it on the media clock: end of the chunk's audio plus compute, queued
            behind the chunks before it.
        final_transcript: all words since the start that cannot change any more, tags left out.
        partial_transcript: the last word while it may still grow: until the next word, a tag or the end. A
            pause does not make it final, for its full stop, or its rest, may follow.
        new_tokens: tokens of this chunk, tag tokens among them.
        words: all words so far, the open one last.
        spans: runs of words by language, each up to its tag.
        final_words: how many of the words cannot change any more.
        detected_lang: the last tag that the model emitted, such as ``el-GR``; None before one.
        cache_bytes: of the model's state between chunks: encoder caches, decoder state, features
            of context. It does not grow; audio that waits is counted in ``backlog_s``.
        is_last: the event of ``finish()``.
        end_of_utterance: this chunk ended an utterance: its tag came, or a pause of 0.8 s.
        backlog_s: seconds of audio that had come and still waited after this chunk; up to the look-ahead is
            normal, more means that audio comes faster than it is computed, or came in a long piece.
    """

    index: int
    audio_start_s: float
    audio_end_s: float
    compute_s: float
    emission_s: float
    final_transcript: str
    partial_transcript: str
    new_tokens: tuple[Token, ...]
    words: tuple[Word, ...]
    detected_lang: str | None
    cache_bytes: int
    is_last: bool
    end_of_utterance: bool = False
    backlog_s: float = 0.0
    spans: tuple[LanguageSpan, ...] = ()
    final_words: int = 0

    @property
    def transcript(self) -> str:
        """Everything a caller sees at this moment: final and partial transcript."""
        return " ".join(part for part in (self.final_transcript, self.partial_transcript) if part)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)
