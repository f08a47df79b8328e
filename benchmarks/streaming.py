"""Streaming beside NeMo's own: a session against its cache-aware loop, a pool against its RNNT pipeline.

Run: python benchmarks/streaming.py [--checkpoint PATH] [--pairs 7] [--clips 8] [--lookaheads 80 560 1120]
    [--out docs/evidence/streaming-speed.json]

Same weights, same clips, one thread, interleaved pairs in CPU seconds (other work on the machine counts
little then), medians with min and max, and the ratio of the least seconds of each side; the median ratio by
the clock on the wall stands beside it. Budgets: session at most 1.05 times NeMo's loop; pool at least as fast
as the pipeline at 1, 4 and 16 streams. NeMo's side includes its features, as ours does; its loop is given
whole files, our session packets of 20 ms.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import budgets
import numpy as np
import soundfile
import torch

from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.loading import restore
from workbench.recognizer.pool import Pool
from workbench.recognizer.quiet import quiet_nemo

DATA = Path(__file__).parents[1] / "data"
PACKET = 320


def load_clips(count: int, low_s: float, high_s: float) -> list[np.ndarray]:
    """The first test clips of each source in turn whose length lies between the bounds."""
    rows = [json.loads(line) for line in (DATA / "starter/manifest.jsonl").read_text("utf-8").splitlines()]
    sources: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if low_s <= row["duration"] <= high_s:
            sources.setdefault(row["source"], []).append(row)
    taken = [held[turn] for turn in range(count) for held in sources.values() if turn < len(held)][:count]
    return [soundfile.read(DATA / "starter" / row["audio_filepath"], dtype="float32")[0] for row in taken]


def our_session(checkpoint: Checkpoint, clips: list[np.ndarray], lookahead_ms: int) -> None:
    for pcm in clips:
        session = checkpoint.session("auto", lookahead_ms)
        for start in range(0, len(pcm), PACKET):
            session.feed(pcm[start : start + PACKET], 16000)
        session.finish()


def nemo_loop(model: Any, clips: list[np.ndarray], right: int) -> None:
    """The loop of NeMo's cache-aware streaming script, one clip at a time."""
    from nemo.collections.asr.parts.utils.streaming_utils import CacheAwareStreamingAudioBuffer

    model.encoder.set_default_att_context_size([56, right])
    model.set_inference_prompt("auto")
    for pcm in clips:
        buffer = CacheAwareStreamingAudioBuffer(model=model)
        buffer.append_audio(pcm)
        caches = model.encoder.get_initial_cache_state(batch_size=1)
        hypotheses = predictions = None
        for step, (chunk, lengths) in enumerate(buffer):
            with torch.inference_mode():
                predictions, _, *caches, hypotheses = model.conformer_stream_step(
                    processed_signal=chunk,
                    processed_signal_length=lengths,
                    cache_last_channel=caches[0],
                    cache_last_time=caches[1],
                    cache_last_channel_len=caches[2],
                    keep_all_outputs=buffer.is_buffer_empty(),
                    previous_hypotheses=hypotheses,
                    previous_pred_out=predictions,
                    drop_extra_pre_encoded=model.encoder.streaming_cfg.drop_extra_pre_encoded if step else 0,
                    return_transcription=True,
                )


def our_pool(checkpoint: Checkpoint, clips: list[np.ndarray], lookahead_ms: int, streams: int) -> int:
    """Clips one behind the other on ``streams`` lines; each line gives a chunk of audio before each step.

    Returns the chunks computed. One more than NeMo's where a clip's tail makes a frame that NeMo drops."""
    pool, waiting, live = Pool(checkpoint, max_batch=streams, max_backlog_s=60), list(clips), []
    packet = lookahead_ms * 16
    while waiting or live:
        while waiting and len(live) < streams:
            live.append([pool.join("auto", lookahead_ms), waiting.pop(0), 0])
        for line in live:
            member, pcm, sent = line
            member.feed(pcm[sent : sent + packet], 16000)
            line[2] += packet
            if line[2] >= len(pcm):
                member.finish()
        pool.drain()
        for member, _, _ in live:
            member.events()
        live = [line for line in live if not line[0].done]
    load = pool.load()
    return round(load.steps * load.mean_batch)


def pipeline(path: Path, right: int, streams: int) -> Any:
    """NeMo's CacheAwareRNNTPipeline over the checkpoint, with the settings of its example configuration."""
    from nemo.collections.asr.inference.factory.pipeline_builder import PipelineBuilder
    from omegaconf import OmegaConf

    method = {"name": "max_prob", "entropy_type": "tsallis", "alpha": 1.0, "entropy_norm": "exp"}
    config = {
        "asr": {
            "model_name": str(path),
            "device": "cpu",
            "device_id": 0,
            "compute_dtype": "float32",
            "use_amp": False,
            "decoding": {"strategy": "greedy_batch", "greedy": {"max_symbols": 10}},
        },
        "itn": {"batch_size": 1, "n_jobs": 1, "left_padding_size": 4},
        "confidence": {"exclude_blank": True, "aggregation": "mean", "method_cfg": method},
        "endpointing": {"stop_history_eou": 800, "residue_tokens_at_end": 2},
        "streaming": {
            "sample_rate": 16000,
            "batch_size": streams,
            "num_slots": max(streams, 32),
            "att_context_size": [56, right],
            "use_cache": True,
            "use_feat_cache": True,
            "word_boundary_tolerance": 4,
            "request_type": "frame",
        },
        "matmul_precision": "high",
        "pipeline_type": "cache_aware",
        "asr_decoding_type": "rnnt",
        "asr_output_granularity": "segment",
        "automatic_punctuation": False,
        "enable_itn": False,
        "enable_nmt": False,
        "lang": "en",
        "cache_dir": None,
        "return_tail_result": False,
        "log_level": 40,
    }
    return PipelineBuilder.build_pipeline(OmegaConf.create(config))


def nemo_pipeline(engine: Any, clips: list[np.ndarray], streams: int) -> int:
    """Clips one behind the other on ``streams`` lines, a frame of each per step, as NeMo's streamer does.

    Returns the chunks computed."""
    from nemo.collections.asr.inference.streaming.framing.request import Frame
    from nemo.collections.asr.inference.streaming.framing.request_options import ASRRequestOptions

    size = int(engine.chunk_size_in_secs * 16000)
    waiting, live, number, chunks = list(clips), [], 0, 0
    engine.open_session()
    while waiting or live:
        while waiting and len(live) < streams:
            live.append([number, waiting.pop(0), 0])
            number += 1
        frames = []
        for line in live:
            stream, pcm, sent = line
            piece = torch.from_numpy(np.pad(pcm[sent : sent + size], (0, max(0, sent + size - len(pcm)))))
            last = sent + size >= len(pcm)
            valid = min(size, len(pcm) - sent)
            options = ASRRequestOptions(language_code="auto") if sent == 0 else None
            frames.append(
                Frame(piece, stream, is_first=sent == 0, is_last=last, length=valid, options=options)
            )
            line[2] += size
            chunks += 1
        with torch.inference_mode():
            engine.transcribe_step(frames)
        live = [line for line in live if line[2] < len(line[1])]
    engine.close_session()
    return chunks


def interleaved(
    ours: Callable[[], int | None], theirs: Callable[[], int | None], pairs: int
) -> dict[str, Any]:
    """Median seconds of both and the median, least and greatest of ours / theirs over the pairs."""
    chunks = ours(), theirs()
    times: list[tuple[float, float]] = []
    walls: list[float] = []
    for pair in range(pairs):
        both = []
        for run in (ours, theirs) if pair % 2 == 0 else (theirs, ours):
            begin = time.process_time(), time.perf_counter()
            run()
            both.append((time.process_time() - begin[0], time.perf_counter() - begin[1]))
        own, peer = both if pair % 2 == 0 else reversed(both)
        times.append((own[0], peer[0]))
        walls.append(own[1] / peer[1])
    ratios = [own / peer for own, peer in times]
    return {
        "ours_s": round(statistics.median(own for own, _ in times), 4),
        "nemo_s": round(statistics.median(peer for _, peer in times), 4),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "ratio_of_least": round(min(own for own, _ in times) / min(peer for _, peer in times), 3),
        "wall_ratio": round(statistics.median(walls), 3),
        "pairs": pairs,
        **({"chunks": chunks} if None not in chunks else {}),
    }


def measured(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One result after the other: sessions first, then pools."""
    checkpoint = Checkpoint.open(options.checkpoint)
    clips = load_clips(options.clips, *options.seconds)
    # A second copy: NeMo's loop changes the encoder's streaming settings under our engine.
    peer = restore(checkpoint.archive, "cpu", "fp32")
    for lookahead_ms in options.lookaheads if "session" in options.what else ():
        right = checkpoint.right_context(lookahead_ms)
        found = interleaved(
            lambda ms=lookahead_ms: our_session(checkpoint, clips, ms),
            lambda r=right: nemo_loop(peer, clips, r),
            options.pairs,
        )
        yield {"what": "session", "lookahead_ms": lookahead_ms, "streams": 1, **found}
    for lookahead_ms in options.lookaheads if "pool" in options.what else ():
        for streams in options.streams:
            engine = pipeline(options.checkpoint, checkpoint.right_context(lookahead_ms), streams)
            many = [clips[i % len(clips)] for i in range(max(streams, len(clips)))]
            found = interleaved(
                lambda ms=lookahead_ms, n=streams, c=many: our_pool(checkpoint, c, ms, n),
                lambda e=engine, n=streams, c=many: nemo_pipeline(e, c, n),
                options.pairs,
            )
            yield {"what": "pool", "lookahead_ms": lookahead_ms, "streams": streams, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=DATA / "checkpoint" / "starter.nemo")
    parser.add_argument("--what", nargs="+", default=["session", "pool"], choices=("session", "pool"))
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seconds", type=float, nargs=2, default=[2.0, 5.0], help="least and most of a clip")
    parser.add_argument("--lookaheads", type=int, nargs="+", default=[80, 560, 1120])
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 4, 16])
    parser.add_argument("--out", type=Path, help="JSON that keeps the results, written after each of them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts = {
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "checkpoint_sha256": Checkpoint.open(options.checkpoint).sha256,
        "clips": options.clips,
        "unit": "CPU seconds of one thread; ratio: ours over NeMo's; wall_ratio: by the clock on the wall",
        "load_1min": os.getloadavg()[0],
    }
    results: list[dict[str, Any]] = []
    with quiet_nemo():
        for result in measured(options):
            results.append(result)
            print(json.dumps(result), flush=True)
            if options.out:
                options.out.write_text(json.dumps({**facts, "results": results}, indent=1) + "\n")
    for what in ("session", "pool"):
        ratios = [r["ratio"] for r in results if r["what"] == what]
        if ratios:  # a value for each look-ahead and number of streams, each a median of pairs
            budgets.record(what, ratios, checkpoint_sha256=facts["checkpoint_sha256"])


if __name__ == "__main__":
    main()
