"""Pools: batched sessions decode as each alone, whatever the order of feeding, joining and leaving."""

from __future__ import annotations

import random
import threading
import time

import numpy as np
import pytest
from offline import cut, streamed

from workbench.errors import WorkbenchError
from workbench.recognizer.latency import IdleCore, measure
from workbench.recognizer.pool import Pool

pytestmark = pytest.mark.model
TAGS = ("auto", "en-US", "el-GR", "ru-RU")


def tokens_of(events):
    return [token.id for event in events for token in event.new_tokens]


def test_random_schedules_equal_single_sessions(tiny, clips):
    """Members with other locales, look-aheads and boosts join, feed at random, and end at different times."""
    draw = random.Random(5)
    pool, live, results = Pool(tiny, max_batch=5), {}, {}
    plans = [
        (TAGS[i % 4], (160, 560)[i % 2], ["please"] if i % 5 == 0 else None, clips[i % len(clips)])
        for i in range(14)
    ]
    waiting = list(range(len(plans)))
    while waiting or live:
        if waiting and (len(live) < 6 or draw.random() < 0.1):
            number = waiting.pop(0)
            tag, lookahead_ms, boost, pcm = plans[number]
            pieces = cut(pcm, [draw.randint(500, 20_000) for _ in range(4)])
            live[number] = (pool.join(tag, lookahead_ms, boost), pieces)
            results[number] = []
        for member, pieces in list(live.values()):
            if draw.random() < 0.6:
                if pieces:
                    member.feed(pieces.pop(0), 16000)
                else:
                    member.finish()
        pool.step()
        for number, (member, _) in list(live.items()):
            results[number] += member.events()
            if member.done:
                del live[number]
    assert pool.load().members == 0
    assert pool.load().mean_batch > 1.5
    for number, (tag, lookahead_ms, boost, pcm) in enumerate(plans):
        alone = streamed(tiny.session(tag, lookahead_ms, boost), [pcm])[0]
        assert tokens_of(results[number]) == alone
        assert results[number][-1].is_last


def test_a_slow_member_holds_nobody(tiny, clips):
    pool = Pool(tiny)
    slow, quick = pool.join("auto", 560), pool.join("auto", 560)
    slow.feed(clips[10][:100], 16000)
    quick.feed(clips[10], 16000)
    quick.finish()
    pool.drain()
    assert quick.done
    assert quick.events()[-1].is_last
    assert not slow.done
    assert slow.events() == []
    assert pool.load().members == 1
    slow.leave()
    assert pool.load().members == 0


def test_backpressure_is_visible_and_bounded(tiny):
    pool = Pool(tiny, max_backlog_s=2.0)
    member, second = pool.join("auto", 560), np.zeros(16_000, np.float32)
    assert member.feed(second, 16000) == pytest.approx(1.0)
    assert member.feed(second, 16000) == pytest.approx(2.0)
    assert pool.load().backlog_s == pytest.approx(2.0)
    assert pool.load().ready == 1
    with pytest.raises(WorkbenchError, match="s wait \\(limit"):
        member.feed(second, 16000)
    pool.drain()
    assert member.backlog_s < 0.6
    member.feed(second, 16000)


def test_threads_feed_while_the_pool_steps(tiny, clips):
    """No sample is lost between a feeding thread and the stepping one."""
    found = {}

    def speak(pool, number):
        member, events = pool.join(TAGS[number % 4], 320), []
        for piece in cut(clips[number], [160]):
            member.feed(piece, 16000)
            events += member.events()
        member.finish()
        while not member.done:
            with pool.changed:
                pool.changed.wait(0.05)
        found[number] = tokens_of(events + member.events())

    with Pool(tiny) as pool:
        threads = [threading.Thread(target=speak, args=(pool, n)) for n in range(4, 10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number, ids in found.items():
        assert ids == streamed(tiny.session(TAGS[number % 4], 320), [clips[number]])[0]
    assert len(found) == 6


class Clock:
    """Time that passes only when slept, and a little with every look, so that a measurement is repeatable."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1e-5
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.mark.parametrize("lookahead_ms", [160, 560])
def test_paced_latency_lies_between_its_bounds(tiny, clips, lookahead_ms):
    """With computing free of charge, what is left is the algorithm: at most its delay and one packet."""
    clock = Clock()
    found = measure(tiny, clips[8:14], lookahead_ms=lookahead_ms, streams=3, clock=clock, sleep=clock.sleep)
    assert found.algorithmic_ms == pytest.approx(lookahead_ms + 12.5)
    assert 0 < found.first_token_ms["p50"] <= found.first_token_ms["max"] <= found.algorithmic_ms + 25
    assert found.word_ms["count"] > 3
    assert found.word_ms["max"] <= found.algorithmic_ms + 25 + 80
    assert found.last_token_ms["count"] == 6
    assert found.last_token_ms["max"] <= 25
    assert found.cache_bytes > tiny.info.cache_bytes
    assert found.real_time_factor > 0
    assert clock.now_s > sum(len(c) for c in clips[8:14]) / 16000 / 3


def test_an_idle_core_counts_computing_and_skips_waiting(tiny, clips):
    """Time is what was slept and what this process computed: nothing that others did."""
    idle, spoken = IdleCore(), clips[8:12]
    begin_s = time.process_time()
    found = measure(tiny, spoken, lookahead_ms=560, clock=idle.clock, sleep=idle.sleep)
    computed_s = time.process_time() - begin_s
    audio_s = sum(map(len, spoken)) / 16000
    assert found.audio_s == pytest.approx(audio_s)
    assert idle.slept_s <= found.wall_s <= idle.slept_s + computed_s
    assert found.wall_s >= audio_s
    assert 0 < found.real_time_factor <= computed_s / audio_s
    assert found.last_token_ms["max"] <= 1000 * computed_s
