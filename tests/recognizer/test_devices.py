"""Where and in what precision a session runs: bf16 close to fp32; CUDA, or a clear line."""

from __future__ import annotations

import numpy as np
import pytest
import rapidfuzz
from offline import offline, streamed

from workbench.errors import WorkbenchError
from workbench.recognizer.pool import Pool

pytestmark = pytest.mark.model


def distance(one: list[list[int]], other: list[list[int]]) -> float:
    """Token edits between two readings of the same clips, over the tokens of the first."""
    edits = sum(rapidfuzz.distance.Levenshtein.distance(a, b) for a, b in zip(one, other, strict=True))
    return edits / sum(map(len, one))


@pytest.mark.parametrize("lookahead_ms", [80, 560])
def test_bf16_reads_nearly_as_fp32(tiny, clips, lookahead_ms):
    """Rounding tips close decisions, of which a random model has many; another prompt changes far more."""
    heard = clips[:14]
    exact = [streamed(tiny.session("en-US", lookahead_ms, precision="fp32"), [pcm])[0] for pcm in heard]
    rough = [streamed(tiny.session("en-US", lookahead_ms, precision="bf16"), [pcm])[0] for pcm in heard]
    other = [streamed(tiny.session("ru-RU", lookahead_ms, precision="fp32"), [pcm])[0] for pcm in heard]
    assert exact != rough, "bf16 changed nothing at all: was it used?"
    assert distance(exact, rough) < 0.35
    assert distance(exact, rough) < 0.5 * distance(exact, other)


def test_bf16_encoder_frames_are_within_its_rounding(tiny, clips):
    import torch

    exact = offline(tiny, clips[8], 320)[1]
    model = tiny.model("cpu", "bf16")
    engine = tiny.engine("cpu", "bf16")
    assert next(model.encoder.parameters()).dtype == torch.bfloat16
    assert next(iter(model.preprocessor.buffers()), torch.zeros(1)).dtype == torch.float32
    from workbench.recognizer.stream import Stream

    stream, parts = Stream(engine, tiny.right_context(320), tiny.prompt_index("auto")), []
    stream.push(clips[8])
    with engine.lock, torch.inference_mode():
        while stream.ready or stream.rest > 0:
            engine.set_context(stream.right)
            encoded, lengths, stream.caches = engine._encode([stream])
            parts.append(encoded[0, : lengths[0]])
    found = torch.cat(parts).float()
    assert found.shape == exact.shape
    error = (found - exact).pow(2).mean().sqrt() / exact.pow(2).mean().sqrt()
    assert 1e-5 < error < 0.05


def test_bf16_halves_the_caches(tiny, clips):
    held = {}
    for precision in ("fp32", "bf16"):
        session = tiny.session("auto", 560, precision=precision)
        session.feed(clips[6], 16000)
        held[precision] = session.cache_bytes
    # Samples and features stay as they are: a little more than half.
    assert 0.45 < held["bf16"] / held["fp32"] < 0.75


def test_a_pool_takes_a_precision(tiny, clips):
    pool = Pool(tiny, precision="bf16")
    member = pool.join("en-US", 560)
    member.feed(clips[3], 16000)
    member.finish()
    pool.drain()
    ids = [token.id for event in member.events() for token in event.new_tokens]
    assert ids == streamed(tiny.session("en-US", 560, precision="bf16"), [clips[3]])[0]


@pytest.mark.parametrize(
    ("there", "bf16", "asked", "given"),
    [
        (False, False, ("auto", "auto"), ("cpu", "fp32")),
        (True, True, ("auto", "auto"), ("cuda", "bf16")),
        (True, False, ("auto", "auto"), ("cuda", "fp32")),
        (True, True, ("cpu", "auto"), ("cpu", "fp32")),
        (True, True, ("cuda:1", "fp32"), ("cuda:1", "fp32")),
        (False, False, ("cpu", "bf16"), ("cpu", "bf16")),
    ],
)
def test_device_and_precision_are_chosen_by_what_is_there(monkeypatch, there, bf16, asked, given):
    import torch

    from workbench.recognizer.loading import choose

    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 if there else 0)
    assert choose(*asked) == given
    if there:
        for faulty in ("cuda:2", "cuda:", "cuda:x"):
            with pytest.raises(WorkbenchError, match=r"no CUDA device '.?' among 2"):
                choose(faulty, "auto")


def test_what_is_not_there_is_said(tiny):
    import torch

    with pytest.raises(WorkbenchError, match="unknown precision 'fp8'"):
        tiny.session("auto", 560, precision="fp8")
    with pytest.raises(WorkbenchError, match="unknown device 'tpu'"):
        tiny.session("auto", 560, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(WorkbenchError, match=r"no CUDA device here"):
            tiny.session("auto", 560, device="cuda")


def test_cuda_reads_as_the_cpu_does(tiny, clips):
    """Batches, sessions and caches on a GPU; fp32 tokens equal but for ties of rounding."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    cpu = [streamed(tiny.session("en-US", 320, device="cpu"), [pcm])[0] for pcm in clips]
    gpu = [
        streamed(tiny.session("en-US", 320, device="cuda", precision="fp32"), np.array_split(pcm, 7))[0]
        for pcm in clips
    ]
    rough = [streamed(tiny.session("en-US", 320, device="cuda", precision="bf16"), [pcm])[0] for pcm in clips]
    assert distance(cpu, gpu) < 0.01
    assert distance(cpu, rough) < 0.15
