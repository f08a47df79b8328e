"""Streaming equals offline decoding of the same look-ahead, token by token and frame by frame."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from offline import cut, offline, streamed

pytestmark = pytest.mark.model
LOOKAHEADS = (80, 160, 320, 560, 1120)


@pytest.mark.parametrize("lookahead_ms", LOOKAHEADS)
def test_tokens_and_frames_equal_nemos_offline_decoding(tiny, clips, lookahead_ms):
    session, emitted = tiny.session("auto", lookahead_ms), 0
    for pcm in clips:
        expected, _ = offline(tiny, pcm, lookahead_ms)
        ids, frames = streamed(session, [pcm])
        assert ids == expected.y_sequence.tolist()
        assert frames == [int(t) for t in expected.timestamp]
        emitted += len(ids)
        session.reset()
    assert emitted > 5 * len(clips)


@hypothesis.settings(max_examples=25, deadline=None, derandomize=True)
@hypothesis.given(
    sizes=strategies.lists(strategies.integers(1, 30_000), min_size=1, max_size=6),
    lookahead_ms=strategies.sampled_from(LOOKAHEADS),
    clip=strategies.integers(0, 20),
    tail=strategies.integers(0, 1300),
)
def test_cuts_and_lengths_change_nothing(tiny, clips, sizes, lookahead_ms, clip, tail):
    pcm = clips[clip % len(clips)]
    pcm = pcm[: len(pcm) - tail]
    expected, _ = offline(tiny, pcm, lookahead_ms, "el-GR")
    ids, frames = streamed(tiny.session("el-GR", lookahead_ms), cut(pcm, sizes))
    assert (ids, frames) == (expected.y_sequence.tolist(), [int(t) for t in expected.timestamp])


@pytest.mark.parametrize("lookahead_ms", LOOKAHEADS)
def test_text_words_and_spans_equal_offline_too(tiny, clips, lookahead_ms):
    """Also with a hesitation of a second in the middle, and for two sentences joined: no word is torn."""
    from workbench.recognizer.clips import Clip, read

    engine, right = tiny.engine("cpu"), tiny.right_context(lookahead_ms)
    pause = np.zeros(16_000, np.float32)
    held = [np.concatenate([pcm[: len(pcm) // 2], pause, pcm[len(pcm) // 2 :]]) for pcm in clips[:8]]
    held += [np.concatenate([one, pause, two]) for one, two in zip(clips[:6], clips[6:12], strict=True)]
    words = 0
    for pcm in held:
        [expected] = read(engine, [Clip(pcm, tiny.prompt_index("auto"))], tiny.tokenizer(), right, False)
        session = tiny.session("auto", lookahead_ms)
        session.feed(pcm, 16_000)
        last = session.finish()[-1]
        assert last.transcript == last.final_transcript == expected.text
        assert [w.to_dict() for w in last.words] == [w.to_dict() for w in expected.words]
        assert last.spans == expected.spans
        words += len(last.words)
    assert words > len(held)


def test_one_sample_at_a_time(tiny, clips):
    for number, lookahead_ms in ((0, 80), (2, 560), (4, 1120)):
        pcm = clips[number]
        ids, _ = streamed(tiny.session("auto", lookahead_ms), list(pcm.reshape(-1, 1)))
        assert ids == offline(tiny, pcm, lookahead_ms)[0].y_sequence.tolist()


@pytest.mark.parametrize("lookahead_ms", LOOKAHEADS)
def test_encoder_frames_equal_offline_to_1e_4(tiny, clips, lookahead_ms):
    """Every length of the last chunk in feature frames, from a clip just long enough for one frame."""
    import torch

    from workbench.recognizer.stream import Stream

    engine, right = tiny.engine("cpu"), tiny.right_context(lookahead_ms)
    pcm = next(pcm for pcm in clips if len(pcm) > 40_000)
    for length in [160, 1000, *range(24_000, 24_000 + 1280, 160), 40_000]:
        expected = offline(tiny, pcm[:length], lookahead_ms)[1]
        stream, parts = Stream(engine, right, 101), []
        stream.push(pcm[:length])
        with engine.lock, torch.inference_mode():
            while stream.ready or stream.rest > 0:
                engine.set_context(right)
                encoded, lengths, stream.caches = engine._encode([stream])
                parts.append(encoded[0, : lengths[0]])
        found = torch.cat(parts)
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_features_equal_the_preprocessor(tiny, clips):
    import torch

    from workbench.recognizer.frontend import MelStream

    engine = tiny.engine("cpu")
    for pcm in clips[:6]:
        expected, lengths = engine.model.preprocessor(
            input_signal=torch.from_numpy(pcm)[None], length=torch.tensor([len(pcm)])
        )
        stream, parts = MelStream(engine.frontend), []
        for piece in cut(pcm, [701, 3001]):
            stream.push(piece)
            while stream.ready(stream.frames + 3):
                parts.append(stream.take(stream.frames + 3))
        parts.append(stream.take_rest())
        found = torch.cat(parts, dim=1)
        torch.testing.assert_close(found, expected[0, :, : int(lengths[0])], atol=1e-4, rtol=1e-4)


def test_a_batch_of_streams_decodes_as_each_alone(tiny, clips):
    from workbench.recognizer.clips import Clip, decode_offline, stream_together

    engine, right = tiny.engine("cpu"), tiny.right_context(320)
    batch = [
        Clip(pcm, tiny.prompt_index(tag))
        for pcm, tag in zip(clips, ["en-US", "el-GR", "auto"] * 11, strict=False)
    ]
    alone = [decode_offline(engine, [clip], right)[0] for clip in batch]
    for together in (decode_offline(engine, batch, right), stream_together(engine, batch, right)):
        assert [found.ids for found in together] == [found.ids for found in alone]
        assert [found.frames for found in together] == [found.frames for found in alone]


def test_the_prompt_is_applied(tiny, clips):
    """Another tag changes the encoder's output at every frame, and the tokens of most clips."""
    changed = 0
    for pcm in clips[:12]:
        english, right = offline(tiny, pcm, 560, "en-US")[0].y_sequence.tolist(), tiny.session("en-US", 560)
        wrong = tiny.session("ru-RU", 560)
        ids = streamed(right, [pcm])[0]
        assert ids == english
        changed += ids != streamed(wrong, [pcm])[0]
    assert changed >= 8


@pytest.mark.parametrize(("rate", "channels", "kind"), [(8000, 1, np.int16), (48000, 2, np.float32)])
def test_other_rates_and_forms_equal_offline_resampling(tiny, clips, rate, channels, kind):
    import soxr

    from workbench.recognizer.audio import to_mono

    pcm = soxr.resample(clips[12], 16000, rate).astype(np.float32).clip(-1, 1)
    pcm = (pcm * 32767).astype(np.int16) if kind is np.int16 else pcm
    pcm = np.stack([pcm] * channels, axis=1) if channels > 1 else pcm
    expected, _ = offline(tiny, soxr.resample(to_mono(pcm), rate, 16000), 560)
    for sizes in ([len(pcm)], [333, 8000]):
        ids, _ = streamed(tiny.session("auto", 560), cut(pcm, sizes), rate)
        assert ids == expected.y_sequence.tolist()
