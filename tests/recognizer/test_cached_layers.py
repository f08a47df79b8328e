"""Keys and values kept between chunks: what NeMo's own layers say, at every look-ahead, in fewer steps."""

from __future__ import annotations

from typing import Any

import pytest
from starter_clips import adapted_starter, recordings

from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.clips import Clip, stream_together
from workbench.recognizer.engine import Engine
from workbench.starter_files import CHECKPOINT

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]
LOOKAHEADS = (80, 160, 320, 560, 1120)


def both(model: Any, clips: list[Clip], right: int) -> int:
    """Tokens that an engine and NeMo's own layers both find, at the same frames, alone and together."""
    mine, nemo = Engine(model), Engine(model)
    assert mine._cached is not None
    nemo._cached = None
    expected = [stream_together(nemo, [clip], right)[0] for clip in clips]
    for found in (
        [stream_together(mine, [clip], right)[0] for clip in clips],
        stream_together(mine, clips, right),
    ):
        assert [one.ids for one in found] == [one.ids for one in expected]
        assert [one.frames for one in found] == [one.frames for one in expected]
    return sum(len(one.ids) for one in expected)


@pytest.mark.parametrize("lookahead_ms", LOOKAHEADS)
def test_the_starter_says_the_same(lookahead_ms):
    starter = Checkpoint.open(CHECKPOINT)
    right = starter.right_context(lookahead_ms)
    assert both(starter.model("cpu"), recordings(starter, 1400), right) > 60


@pytest.mark.parametrize("lookahead_ms", LOOKAHEADS)
def test_a_random_model_says_the_same(tiny, clips, lookahead_ms):
    heard = [Clip(pcm, prompt_index) for pcm, prompt_index in zip(clips[:4], (0, 3, 101, 15), strict=True)]
    assert both(tiny.model("cpu"), heard, tiny.right_context(lookahead_ms)) > 20


def test_adapters_and_weights_changed_in_place_are_followed():
    import torch

    starter = Checkpoint.open(CHECKPOINT)
    model = adapted_starter()
    clips = recordings(starter, 2800)
    assert both(model, clips, 6) > 20
    engine = Engine(model)
    before = stream_together(engine, clips, 6)
    with torch.no_grad():
        for layer in model.encoder.layers:
            layer.self_attn.linear_pos.weight.mul_(-2)
    nemo = Engine(model)
    nemo._cached = None
    after = [one.ids for one in stream_together(nemo, clips, 6)]
    assert after != [one.ids for one in before]
    assert [one.ids for one in stream_together(engine, clips, 6)] == after
