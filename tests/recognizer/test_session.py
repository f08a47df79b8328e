"""Sessions: events, text, the language tag apart, and every kind of audio."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from offline import cut, offline, streamed

from workbench.errors import WorkbenchError
from workbench.recognizer.frontend import MelStream
from workbench.recognizer.pool import Pool
from workbench.recognizer.streaming import play

pytestmark = pytest.mark.model


def test_events_tell_the_session_as_it_was(tiny, clips):
    pcm = clips[12]
    session = tiny.session("en-US", 320)
    events = session.feed(pcm, 16000)
    assert [event.index for event in events] == list(range(len(events)))
    assert all(a.audio_end_s == b.audio_start_s for a, b in itertools.pairwise(events))
    # A chunk of 320 ms, less the first frame's 80 ms, plus the window's half: 200 samples.
    assert events[0].audio_end_s == pytest.approx(0.24 + 200 / 16000)
    assert events[1].audio_end_s - events[1].audio_start_s == pytest.approx(0.32)
    [last] = session.finish()
    assert last.is_last
    assert last.partial_transcript == ""
    assert last.audio_end_s == len(pcm) / 16000
    assert last.end_of_utterance
    assert not any(event.is_last for event in events)
    assert last.final_transcript == session.final_transcript == " ".join(w.word for w in session.words)
    assert session.finish() == []
    json.dumps([event.to_dict() for event in events])


def test_a_snapshot_only_grows(tiny, clips):
    """Greedy decoding appends: a final word never changes, and emission times never go back."""
    events = play(tiny, clips[-1], 16000, "auto", 160)
    for before, after in itertools.pairwise(events):
        assert after.final_transcript.startswith(before.final_transcript)
        assert after.words[: max(0, len(before.words) - 1)] == before.words[:-1]
        assert after.emission_s >= before.emission_s >= before.audio_end_s
    tokens = [token for event in events for token in event.new_tokens]
    assert [token.frame for token in tokens] == sorted(token.frame for token in tokens)
    assert all(0 <= token.confidence <= 1 for token in tokens)
    assert len(tokens) > 5
    assert all(token.time_s == pytest.approx(token.frame * 0.08, abs=1e-3) for token in tokens)


def test_text_equals_the_tokenizers(tiny, clips):
    """Words joined are what NeMo's own detokenizing gives, tags taken out."""
    from workbench.language_tags import strip_tag

    for pcm in clips[::5]:
        hypothesis, _ = offline(tiny, pcm, 560, "fr-CA")
        text, tag = strip_tag(tiny.tokenizer().decode(hypothesis.y_sequence.tolist()))
        last = play(tiny, pcm, 16000, "fr-CA", 560)[-1]
        assert last.final_transcript.replace(" ", "") == text.replace(" ", "")
        assert last.detected_lang == tag


@pytest.mark.parametrize("samples", [0, 1, 159])
def test_next_to_nothing_is_no_text(tiny, samples):
    session = tiny.session("auto", 560)
    assert session.feed(np.zeros(samples, np.float32), 16000) == []
    [event] = session.finish()
    assert (event.transcript, event.words, event.detected_lang) == ("", (), None)
    assert event.is_last
    assert event.audio_end_s == samples / 16000


def test_silence_equals_offline(tiny):
    silence = np.zeros(48_000, np.float32)
    expected, _ = offline(tiny, silence, 560)
    tokens = [t.id for event in play(tiny, silence, 16000, "auto", 560) for t in event.new_tokens]
    assert tokens == expected.y_sequence.tolist()


def test_int16_float32_and_channels_are_the_same_sound(tiny, clips):
    whole = (clips[8] * 32767).astype(np.int16)
    scaled = whole.astype(np.float32) / 32768
    texts = {
        tuple(t.id for e in play(tiny, form, 16000, "auto", 560) for t in e.new_tokens)
        for form in (whole, scaled, scaled.astype(np.float64), np.stack([scaled, scaled], axis=1))
    }
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("pcm", "rate", "words"),
    [
        (np.array([0.0, np.nan, 0.1], np.float32), 16000, "1 of 3 samples are not finite, the first at 1"),
        (np.array([0.0, np.inf], np.float32), 16000, "not finite"),
        (np.array([0.0, 20000.0], np.float32), 16000, "Scale to -1..1"),
        (np.zeros((2, 500), np.float32), 16000, "transpose"),
        (np.zeros(10, np.complex64), 16000, "type complex64"),
        (np.zeros(10, np.float32), 0, "sample rate changed from 16000 to 0 Hz"),
        (np.zeros(10, np.float32), 8000, "sample rate changed from 16000 to 8000 Hz"),
    ],
)
def test_bad_audio_is_one_line_and_the_session_goes_on(tiny, clips, pcm, rate, words):
    session, half = tiny.session("auto", 560), len(clips[6]) // 2
    events = session.feed(clips[6][:half], 16000)
    with pytest.raises(WorkbenchError, match=words):
        session.feed(pcm, rate)
    events += session.feed(clips[6][half:], 16000) + session.finish()
    expected, _ = offline(tiny, clips[6], 560)
    assert [t.id for e in events for t in e.new_tokens] == expected.y_sequence.tolist()


def test_feed_after_finish_and_reset(tiny, clips):
    session = tiny.session("el-GR", 1120)
    session.feed(clips[5], 16000)
    first = session.finish()[-1].final_transcript
    with pytest.raises(WorkbenchError, match="finished"):
        session.feed(clips[5], 16000)
    session.reset()
    assert session.final_transcript == ""
    assert session.detected_lang is None
    session.feed(clips[5], 16000)
    assert session.finish()[-1].final_transcript == first


def test_what_a_session_holds_stays_the_same(tiny):
    """A minute of noise: after the caches are full, not a byte more."""
    noise = np.random.default_rng(3).normal(0, 0.05, 60 * 16_000).astype(np.float32)
    session = tiny.session("auto", 1120)
    events = [event for second in np.split(noise, 60) for event in session.feed(second, 16000)]
    assert {event.cache_bytes for event in events} == {session.cache_bytes}
    assert session.cache_bytes > tiny.info.cache_bytes
    assert all(event.backlog_s <= 1.0 for event in events), "a piece of a second waits at most"


def test_a_long_piece_shows_as_backlog_not_as_cache(tiny, clips):
    """Twelve seconds fed at once wait their turn in ``backlog_s``; the state is as with audio in pieces."""
    pcm = np.concatenate(clips)[: 12 * 16_000]
    at_once, paced = tiny.session("auto", 560), tiny.session("auto", 560)
    events = at_once.feed(pcm, 16000)
    slowly = [event for piece in np.array_split(pcm, 120) for event in paced.feed(piece, 16000)]
    waited = [event.backlog_s for event in events]
    assert waited[0] == pytest.approx(12 - events[0].audio_end_s)
    assert waited == sorted(waited, reverse=True)
    assert waited[-1] == pytest.approx(at_once.backlog_s) == pytest.approx(paced.backlog_s)
    assert at_once.backlog_s < 0.56 + 0.1
    assert max(event.backlog_s for event in slowly) < 0.1
    assert {event.cache_bytes for event in events} == {event.cache_bytes for event in slowly}
    assert [e.new_tokens for e in events] == [e.new_tokens for e in slowly]


def test_a_long_piece_is_let_go_as_it_is_decoded(tiny):
    """What waits of a long piece takes at most twice its own memory, and is not copied at every chunk."""
    engine = tiny.engine("cpu")
    mel, chunk = MelStream(engine.frontend), 56
    mel.push(np.random.default_rng(4).normal(0, 0.05, 600 * 16_000).astype(np.float32))
    bases = set()
    for upto in range(chunk, 600 * 100 - chunk, chunk):
        mel.signal(upto)
        left = mel._pieces[0]
        whole = left if left.base is None else left.base
        bases.add(whole.size)
        assert whole.nbytes <= 2 * mel.waiting_bytes + 8
    assert len(bases) < 20, "copied when half is gone: as often as ten minutes can be halved"


def test_the_callers_buffer_may_be_used_again(tiny, clips):
    """Audio devices fill one buffer over and over; a pool only stores what it is fed."""
    pcm, buffer = clips[8], np.zeros(320, np.float32)
    expected = streamed(tiny.session("auto", 560), [pcm])[0]
    for form in (buffer, memoryview(buffer)):
        pool = Pool(tiny)
        member = pool.join("auto", 560)
        for piece in cut(pcm, [320]):
            buffer[: len(piece)] = piece
            member.feed(form[: len(piece)], 16000)
        member.finish()
        pool.drain()
        assert [token.id for event in member.events() for token in event.new_tokens] == expected


def test_unknown_locale_names_near_ones_and_lookahead_those_there(tiny):
    with pytest.raises(WorkbenchError, match=r"Did you mean .*es-ES"):
        tiny.session("es")
    with pytest.raises(WorkbenchError, match="80, 160, 320, 560, 1120 ms"):
        tiny.session("en-US", 500)


def test_boosting_is_per_session_and_leaves_others_alone(tiny, clips):
    """A heavy boost changes what the model says; sessions without it stay as they are."""
    import gc

    from workbench.recognizer.boosting import Boost

    plain = [play(tiny, pcm, 16000, "auto", 560)[-1].final_transcript for pcm in clips[10:14]]
    boost = Boost(("please", "thank you"), weight=6.0)
    boosted = [play(tiny, pcm, 16000, "auto", 560, boost)[-1].final_transcript for pcm in clips[10:14]]
    assert boosted != plain
    assert [play(tiny, pcm, 16000, "auto", 560)[-1].final_transcript for pcm in clips[10:14]] == plain
    gc.collect()
    assert len(tiny.engine("cpu").boosts) == 0
    with pytest.raises(WorkbenchError, match="empty phrase"):
        tiny.session("auto", boost=["good", " "])
