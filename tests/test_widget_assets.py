"""The front end travels whole and unmodified: bundles, vendored library, audio for the browser, answers."""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.plain_values import plain
from workbench.widgets import assets, audio, channel


def test_vendored_library_is_the_published_one() -> None:
    table = re.findall(
        r"\| `([\w.]+\.js)` \| `[^`]+` \| `([0-9a-f]{64})` \|", assets.text("vendor/README.md")
    )
    assert len(table) == 2
    for name, digest in table:
        assert hashlib.sha256(assets.text(f"vendor/{name}").encode()).hexdigest() == digest


def test_bundle_holds_all_imports_and_no_address() -> None:
    bundle = assets.module("player.js")
    line = next(row for row in bundle.splitlines() if row.startswith("const SOURCES = "))
    sources = json.loads(line.removeprefix("const SOURCES = ").removesuffix(";"))
    assert set(assets.imports("player.js").values()) <= set(sources)
    assert {"vendor/wavesurfer.esm.js", "dom.js", "strings.js"} <= set(sources)
    for name, source in sources.items():
        assert source["imports"] == assets.imports(name)
        assert not re.search(
            r"https?://(?!www\.w3\.org)", re.sub(r"//# \S+|/\*.*?\*/", "", source["text"])
        ), name


def test_a_type_in_a_comment_is_no_import() -> None:
    """Else types that name each other's modules would make a circle, and a file of types would travel."""
    code = """
import { a } from "./a.js";
export {
  b,
} from "./b.js";
import "./c.js";
/** @import { D } from "./d.js" */
export class E {
  /** @param {import("./f.js").F} f */
  take(f) {}
}
export const g = (/** @type {import('./g.js').G} */ one) => one;
"""
    assert assets.IMPORT.findall(code) == ["./a.js", "./b.js", "./c.js"]


def test_style_begins_with_the_theme() -> None:
    assert assets.style("theme.css").startswith(assets.text("theme.css"))


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=300), st.sampled_from([8000, 16000, 48000]))
def test_wav_holds_the_clipped_samples(samples: list[float], rate: int) -> None:
    with wave.open(io.BytesIO(audio.wav_bytes(np.array(samples, np.float32), rate))) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getnframes()) == (1, rate, len(samples))
        got = np.frombuffer(wav.readframes(len(samples)), "<i2") / 32767
    assert np.abs(got - np.clip(samples, -1, 1)).max() <= 0.51 / 32767 + 1e-7


@given(st.integers(1, 5000), st.integers(1, 400))
def test_peaks_cover_every_sample(length: int, points: int) -> None:
    pcm = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    got = audio.peaks(pcm, points)
    assert len(got) == min(points, length)
    assert got.max() == np.abs(pcm).max()


def test_long_audio_travels_in_windows() -> None:
    pcm = np.random.default_rng(0).uniform(-1, 1, 16000 * 90).astype(np.float32)
    head, (buffer,) = audio.clip(pcm, 16000)
    assert (head["whole"], head["duration_s"], head["window_s"]) == (False, 90.0, 30.0)
    assert len(np.frombuffer(buffer, "<f4")) == audio.PEAK_POINTS
    part = audio.window(pcm, 16000, 60.0, 90.0)
    assert part == audio.wav_bytes(pcm[16000 * 60 :], 16000)
    assert len(part) < audio.MAX_MESSAGE_BYTES


class Echo(channel.LiveWidget):
    """Answers in one lane, keeps what it would have sent."""

    _esm = assets.module("player.js")

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict] = []
        self.arrived = threading.Semaphore(0)
        self.threads: list[str] = []
        self.received: list[int] = []

    def send(self, content, buffers=None):
        if "received" in content:
            self.received.append(content["received"])
            return
        self.sent.append(content)
        self.arrived.release()

    @channel.answers("twice")
    def _twice(self, body, _buffers):
        self.threads.append(threading.current_thread().name)
        return {"value": body["value"] * 2, "nan": float("nan")}

    @channel.answers("refuse")
    def _refuse_it(self, _body, _buffers):
        raise WorkbenchError("no such row", hint="Choose another.")

    @channel.answers("break")
    def _break(self, _body, _buffers):
        raise RuntimeError("torn")

    def ask(self, *questions: tuple[str, dict]) -> list[dict]:
        for number, (question, body) in enumerate(questions):
            self._handle_custom_msg({"ask": number, "question": question, "body": body}, [])
        for _ in questions:
            assert self.arrived.acquire(timeout=10)
        return self.sent


def test_answers_come_in_order_from_another_thread() -> None:
    echo = Echo()
    sent = echo.ask(*[("twice", {"value": n}) for n in range(50)])
    assert [(m["answer"], m["body"]) for m in sent] == [(n, {"value": 2 * n, "nan": None}) for n in range(50)]
    assert set(echo.threads) == {"Echo-data_0"}
    echo.close()


@pytest.mark.parametrize(
    ("question", "error", "fault"),
    [
        ("refuse", "no such row. Hint: Choose another.", False),
        ("break", "RuntimeError: torn", True),
        ("what", "unknown question 'what'", True),
    ],
)
def test_every_question_is_answered(question: str, error: str, fault: bool) -> None:
    echo = Echo()
    assert echo.ask((question, {})) == [{"answer": 0, "error": error, "fault": fault}]
    echo.close()


def test_a_question_sent_again_is_acknowledged_again_and_acted_on_once() -> None:
    echo = Echo()
    echo.ask(("twice", {"value": 21}))
    message = {"ask": 0, "question": "twice", "body": {"value": 21}}
    echo._handle_custom_msg(message, [])
    assert echo.arrived.acquire(timeout=10)
    assert echo.received == [0, 0]
    assert [sent["body"]["value"] for sent in echo.sent] == [42, 42]
    assert len(echo.threads) == 1
    echo.close()


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(1, 12))
def test_no_order_of_repeats_makes_an_answer_count_twice(tickets: list[int], kept: int) -> None:
    """However often each of the questions comes, each is taken once as long as it is remembered."""
    channel_tickets = channel._Tickets()
    taken = []
    for ticket in tickets:
        if channel_tickets.take(ticket):
            taken.append(ticket)
            channel_tickets.keep(ticket, {"answer": ticket}, [b"x" * kept])
        answer = channel_tickets.answer(ticket)
        assert answer is not None
        assert answer[0] == {"answer": ticket}
    assert taken == list(dict.fromkeys(tickets))


def test_an_answer_too_large_to_keep_is_made_anew() -> None:
    tickets = channel._Tickets()
    assert tickets.take("a")
    tickets.keep("a", {}, [bytes(channel.ANSWERS_KEPT_BYTES + 1)])
    assert tickets.take("a")


def test_plain_makes_json_of_table_values() -> None:
    import pandas as pd

    row = {
        "a": np.float32("nan"),
        "b": np.int64(3),
        "c": pd.NaT,
        "d": pd.Timestamp("2026-01-02T03:04"),
        "e": [np.nan],
    }
    got = plain(row)
    assert got == {"a": None, "b": 3, "c": None, "d": "2026-01-02T03:04:00", "e": [None]}
    json.dumps(got, allow_nan=False)
