"""ONNX Runtime beside torch: the same tokens at the same frames, in sessions, pools and transcriptions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from starter_clips import adapted_starter, recordings

from workbench.errors import WorkbenchError
from workbench.recognizer import onnx_engine, onnx_graphs, onnx_parity, runtimes
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.clips import Clip, stream_together
from workbench.recognizer.pool import Pool
from workbench.recognizer.transcribe import transcribe
from workbench.starter_files import CHECKPOINT, CORPUS, MANIFEST

pytestmark = [pytest.mark.model, pytest.mark.timeout(1800)]
LOOKAHEADS = (80, 160, 320, 560, 1120)


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def starter() -> Checkpoint:
    return Checkpoint.open(CHECKPOINT)


def test_auto_is_torch_until_the_same_words_are_proved(starter):
    assert starter.session("auto", device="cpu").runtime == "torch"
    found = starter.prepare_onnx(int8=True)
    assert found["fp32"]["proved"]
    assert found["fp32"]["equal"] == {str(ms): found["fp32"]["clips"] for ms in LOOKAHEADS}
    assert starter.session("auto", device="cpu").runtime == "onnx"
    assert starter.session("auto", device="cpu", runtime="torch").runtime == "torch"
    assert starter.session("auto", device="cpu", boost=["hello"]).runtime == "torch"
    folder = runtimes.prepare(starter)
    (folder / runtimes.PARITY).write_text(json.dumps({"fp32": {"proved": False}}))
    assert starter.session("auto", device="cpu").runtime == "torch"
    (folder / runtimes.PARITY).write_text(json.dumps(found))
    for wrong in ({"precision": "bf16"}, {"boost": ["hello"]}):
        with pytest.raises(WorkbenchError, match="ONNX Runtime is not used"):
            starter.session("auto", device="cpu", runtime="onnx", **wrong)
    with pytest.raises(WorkbenchError, match="unknown runtime 'tensorrt'"):
        starter.session("auto", runtime="tensorrt")


@pytest.mark.parametrize("lookahead_ms", LOOKAHEADS)
def test_tokens_and_frames_are_those_of_torch(starter, lookahead_ms):
    clips, right = recordings(starter, 600), starter.right_context(lookahead_ms)
    mine, other = starter.engine("cpu"), starter.engine("cpu", runtime="onnx")
    alone = [stream_together(mine, [clip], right)[0] for clip in clips]
    said = sum(len(one.ids) for one in alone)
    assert said > 60
    for found in (
        [stream_together(other, [clip], right)[0] for clip in clips],
        stream_together(other, clips, right),
    ):
        assert [one.ids for one in found] == [one.ids for one in alone]
        assert [one.frames for one in found] == [one.frames for one in alone]
        for a, b in zip(found, alone, strict=True):
            np.testing.assert_allclose(a.confidences, b.confidences, atol=1e-4)


def test_sessions_fed_in_odd_pieces_say_the_same(starter):
    rng = np.random.default_rng(1)
    for clip, lookahead_ms in zip(recordings(starter, 2500), (80, 560, 1120), strict=False):
        whole = starter.session("auto", lookahead_ms, device="cpu", runtime="torch")
        pieces = starter.session("auto", lookahead_ms, device="cpu", runtime="onnx")
        whole.feed(clip.pcm, 16_000)
        place = 0
        while place < len(clip.pcm):
            step = int(rng.integers(1, 9000))
            pieces.feed(clip.pcm[place : place + step], 16_000)
            place += step
        whole.finish()
        pieces.finish()
        assert pieces.final_transcript == whole.final_transcript
        assert [(w.word, w.start_s, w.end_s) for w in pieces.words] == [
            (w.word, w.start_s, w.end_s) for w in whole.words
        ]
        assert pieces.cache_bytes == pytest.approx(whole.cache_bytes, rel=0.2)


def test_a_random_model_alone_and_in_batches(tiny, clips, tmp_path):
    """A model whose words are chance: any difference in sound or prompt shows."""
    mine = tiny.engine("cpu")
    onnx_graphs.write(mine, tmp_path, tiny.sha256)
    other = onnx_engine.OnnxEngine(tmp_path)
    heard = [
        Clip(pcm, prompt_index) for pcm, prompt_index in zip(clips[:6], (0, 3, 8, 21, 101, 15), strict=False)
    ]
    rights = [tiny.right_context(ms) for ms in LOOKAHEADS]
    said = onnx_parity.spoken(mine, heard, rights)
    found = onnx_parity.compare(said, onnx_parity.spoken(other, heard, rights), mine.frame_s)
    assert found["proved"], found
    for right in rights:
        together = stream_together(other, heard, right)
        assert [one.ids for one in together] == [one.ids for one in said[right]]


def test_a_pool_mixes_runtimes_where_a_member_is_boosted(starter):
    starter.prepare_onnx()
    pool, clips = Pool(starter, device="cpu"), recordings(starter, 900)
    assert pool.runtime == "onnx"
    members = [pool.join("auto", 560, boost=["hello"] if n == 1 else None) for n in range(3)]
    assert [member.kind[1] for member in members] == ["onnx", "torch", "onnx"]
    for member, clip in zip(members, clips, strict=False):
        member.feed(clip.pcm, 16_000)
        member.finish()
    pool.drain()
    assert all(member.done for member in members)
    with pytest.raises(WorkbenchError, match="boost"):
        Pool(starter, device="cpu", runtime="onnx").join("auto", 560, boost=["hello"])


def test_predictions_say_what_ran_and_are_the_same(starter, tmp_path):
    import pyarrow.parquet as pq

    rows = [json.loads(line) for line in MANIFEST.read_text().splitlines()][::1500]
    rows = [{**row, "id": str(n)} for n, row in enumerate(rows)]
    tables = {
        runtime: pq.read_table(
            transcribe(starter, rows, CORPUS, tmp_path / f"{runtime}.parquet", device="cpu", runtime=runtime)
        )
        for runtime in ("torch", "onnx")
    }
    assert set(tables["onnx"]["runtime"].to_pylist()) == {"onnx"}
    assert tables["onnx"]["hypothesis"].to_pylist() == tables["torch"]["hypothesis"].to_pylist()
    assert set(tables["torch"]["runtime"].to_pylist()) == {"torch"}


def test_int8_is_smaller_counted_and_close(starter):
    found = (
        runtimes.proof(starter)["int8"]
        if runtimes.proof(starter)
        else starter.prepare_onnx(int8=True)["int8"]
    )
    folder = runtimes.prepare(starter)
    assert (folder / "encoder.int8.onnx").stat().st_size < 0.6 * (folder / "encoder.onnx").stat().st_size
    assert set(found["equal"]) == {str(ms) for ms in LOOKAHEADS}
    session = starter.session("auto", 560, device="cpu", runtime="onnx-int8")
    session.feed(recordings(starter, 900)[0].pcm, 16_000)
    session.finish()
    assert session.runtime == "onnx-int8"


def test_exports_are_the_same_bytes_and_large_weights_lie_beside(tiny, tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("one", "two", "beside")]
    for folder in folders:
        folder.mkdir()
    facts = [onnx_graphs.write(tiny.engine("cpu"), folder, tiny.sha256) for folder in folders[:2]]
    assert facts[0]["files"] == facts[1]["files"]
    monkeypatch.setattr(onnx_graphs, "EXTERNAL_BYTES", 1000)
    onnx_graphs.write(tiny.engine("cpu"), folders[2], tiny.sha256)
    beside = (folders[2] / "encoder.onnx.data").stat().st_size
    assert beside > 0.2 * (folders[0] / "encoder.onnx").stat().st_size
    assert (folders[2] / "encoder.onnx").stat().st_size < (
        folders[0] / "encoder.onnx"
    ).stat().st_size - 0.9 * beside
    right = tiny.right_context(320)
    clip = onnx_parity.fixed_clips(16_000, [0])[0]
    found = [stream_together(onnx_engine.OnnxEngine(folder), [clip], right)[0] for folder in folders]
    assert found[0].ids == found[2].ids


def test_graphs_that_are_none_are_one_line(tmp_path):
    with pytest.raises(WorkbenchError, match="no ONNX graphs"):
        onnx_engine.OnnxEngine(tmp_path)
    (tmp_path / "facts.json").write_text('{"format": 99}')
    with pytest.raises(WorkbenchError, match="another version"):
        onnx_engine.OnnxEngine(tmp_path)


def test_adapters_that_are_on_are_part_of_the_graphs(starter, tmp_path):
    """The export of a model with an adapter says what the model says, and not what its base says."""
    from workbench.recognizer.engine import Engine

    engine, folder = Engine(adapted_starter()), Path(tmp_path)
    onnx_graphs.write(engine, folder, starter.sha256)
    clips = recordings(starter, 1500)
    said = onnx_parity.spoken(onnx_engine.OnnxEngine(folder), clips, [6])
    same = onnx_parity.compare(onnx_parity.spoken(engine, clips, [6]), said, engine.frame_s)
    assert same["equal"] == {"560": len(clips)}
    base = onnx_parity.compare(onnx_parity.spoken(starter.engine("cpu"), clips, [6]), said, engine.frame_s)
    assert base["equal"] != same["equal"]
