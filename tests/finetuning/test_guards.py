"""A clip that cannot be trained on is left out by row, before the run and within it; the run goes on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from workbench.errors import WorkbenchError
from workbench.finetuning import data, plan, sounds
from workbench.finetuning.recipe import Recipe, Source
from workbench.finetuning.rows import read_source

RATE = 16_000


def _wave(seconds):
    rng = np.random.default_rng(1)
    return (0.1 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.fixture
def spoilt(tmp_path):
    """A manifest of two good rows and one of each kind of bad one; kind → id."""
    rows = []

    def add(name, pcm, **fields):
        if pcm is not None:
            soundfile.write(tmp_path / f"{name}.wav", pcm, RATE, subtype="FLOAT")
        fields = {"duration": 1.0, "text": "water sun", "target_lang": "en-US", **fields}
        rows.append({"id": name, "audio_filepath": f"{name}.wav", **fields})

    for name in ("good-1", "good-2"):
        add(name, _wave(1.0))
    broken = _wave(1.0)
    broken[100] = np.nan
    add("nan", broken)
    broken = _wave(1.0)
    broken[7] = np.inf
    add("infinite", broken)
    add("unscaled", _wave(1.0) * 32_768)
    add("short", _wave(0.5))
    add("past", _wave(1.0), offset=3.0)
    add("dense", _wave(1.0), text="water sun " * 80)
    add("unreadable", None)
    (tmp_path / "unreadable.wav").write_bytes(b"RIFF of nothing" * 100)
    path = tmp_path / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _rows(path):
    problems = []
    return read_source(Source(str(path)), ["en-US", "el-GR"], problems, (0.0, 100.0)), problems


def test_the_preflight_names_every_bad_row(spoilt):
    rows, _ = _rows(spoilt)
    found, read = sounds.unusable(rows, lambda text: len(text.split()) * 2, 0.08)
    assert read == len(rows)
    assert sorted(problem.line for problem in found) == list(range(3, 10))
    assert all(problem.what for problem in found)
    some, read = sounds.unusable(rows * 100, len, 0.08, most_s=0.0)
    assert (some, read) == ([], 0)


def test_a_run_leaves_bad_rows_out_and_goes_on(spoilt):
    """Batches of one row each: those of which nothing is left are taken by the next."""
    rows, _ = _rows(spoilt)
    told = []
    recipe = Recipe(name="r", base="none.nemo", sources=(Source(str(spoilt)),), steps=len(rows), batch_s=1.2)
    table = plan._frame(__import__("pandas"), recipe, [rows], [(n, 0, 0, n) for n in range(len(rows))])
    batches = data.PlanBatches(
        table, [rows], recipe, lambda text: list(range(len(text.split()) * 2)), {"en-US": 0, "auto": 1},
        on_problem=told.append,
    )  # fmt: skip
    for _ in range(2):
        made = list(batches)
        assert len(made) == len(rows)
        for signals, lengths, tokens, token_lengths, _slots in made:
            assert bool(np.isfinite(signals.numpy()).all())
            assert lengths.tolist() == [RATE]
            assert token_lengths.tolist() == [tokens.shape[1]]
    assert sorted(p.line for p in told if p.line) == list(range(3, 10))  # each once, whatever the passes


def test_a_run_without_anything_to_read_says_so(spoilt):
    rows, _ = _rows(spoilt)
    bad = [row for row in rows if not row.id.startswith("good")]
    recipe = Recipe(name="r", base="none.nemo", sources=(Source(str(spoilt)),), steps=2)
    table = plan._frame(__import__("pandas"), recipe, [bad], [(0, 0, 0, 0), (1, 0, 0, 1)])
    batches = data.PlanBatches(table, [bad], recipe, lambda text: [1], {"en-US": 0, "auto": 1})
    with pytest.raises(WorkbenchError, match="no utterance of the run can be read"):
        list(batches)


@pytest.mark.parametrize(
    ("fields", "taken", "what"),
    [
        ({"target_lang": "auto"}, None, "no locale"),
        ({"target_lang": "auto", "lang": "auto"}, None, "no locale"),
        ({"target_lang": "auto", "lang": "el-GR"}, "el-GR", ""),
        ({"text": "water <el-GR>"}, None, "ends in <el-GR>"),
        ({"text": "water <en-US>"}, "en-US", ""),
        ({"channel": "left"}, None, "channel"),
    ],
)
def test_a_tag_is_never_auto_and_never_anothers(fields, taken, what, tmp_path):
    soundfile.write(tmp_path / "a.wav", _wave(1.0), RATE)
    row = {"audio_filepath": "a.wav", "duration": 1.0, "text": "water", "target_lang": "en-US", **fields}
    (tmp_path / "m.jsonl").write_text(json.dumps(row) + "\n")
    problems = []
    rows = read_source(Source(str(tmp_path / "m.jsonl")), ["en-US", "el-GR", "auto"], problems, (0.0, 9.0))
    assert [row.locale for row in rows] == ([taken] if taken else [])
    assert bool(problems) == (taken is None)
    assert what in " ".join(problem.what for problem in problems)


def test_channels_are_trained_on_apart(tmp_path):
    stereo = np.stack([_wave(1.0), 0.5 * _wave(1.0)[::-1]], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, RATE, subtype="FLOAT")
    row = {"audio_filepath": "a.wav", "duration": 1.0, "text": "water", "target_lang": "en-US"}
    lines = [json.dumps({**row, "id": str(c), "channel_selector": c}) for c in (0, 1, [0, 1])]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    rows, problems = _rows(tmp_path / "m.jsonl")
    assert not problems
    cache = data.AudioCache()
    left, right, both = (cache.read(row) for row in rows)
    np.testing.assert_array_equal(left, stereo[:, 0])
    np.testing.assert_array_equal(right, stereo[:, 1])
    np.testing.assert_array_equal(both, stereo.mean(axis=1, dtype=np.float32))
    assert replace(rows[0], channel=None) != rows[0]
