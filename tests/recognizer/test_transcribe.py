"""Batch transcription: one prediction for each row, by its own locale, resumable."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from offline import offline

from workbench.errors import WorkbenchError
from workbench.language_tags import split_spans, strip_tag
from workbench.recognizer.predictions import SCHEMA_VERSION, schema
from workbench.recognizer.transcribe import transcribe
from workbench.starter_files import CORPUS as STARTER

pytestmark = pytest.mark.model


@pytest.fixture
def short(rows):
    return rows[:14]


def test_each_row_is_decoded_with_its_own_prompt(tiny, short, clips, tmp_path):
    out = transcribe(tiny, short, STARTER, tmp_path / "base.parquet", lookahead_ms=560)
    table = pq.read_table(out)
    assert table.schema.equals(schema())
    assert table["id"].to_pylist() == [row["id"] for row in short]
    for found, row, pcm in zip(table.to_pylist(), short, clips, strict=False):
        hypothesis, _ = offline(tiny, pcm, 560, row["target_lang"])
        text = tiny.tokenizer().decode(hypothesis.y_sequence.tolist())
        counts = Counter()
        for run, locale in split_spans(text):
            counts[locale] += len(run.split()) if locale else 0
        text, last = strip_tag(text)
        most = max(counts.values(), default=0)
        main = {locale for locale, words in counts.items() if locale and words == most} or {last}
        assert found["hypothesis"].replace(" ", "") == text.replace(" ", "")
        assert found["detected_lang"] in main
        assert " ".join(word["word"] for word in found["words"]) == found["hypothesis"]
        assert found["checkpoint_sha256"] == tiny.sha256
        assert found["lookahead_ms"] == 560
        facts = (found["prompt_mode"], found["streaming"], found["schema_version"])
        assert facts == ("langID", False, SCHEMA_VERSION)
        assert (found["confidence"] is None) == (not found["words"])
    auto = pq.read_table(
        transcribe(tiny, short, STARTER, tmp_path / "auto.parquet", lookahead_ms=560, prompt_mode="auto")
    )
    assert auto["hypothesis"].to_pylist() != table["hypothesis"].to_pylist()


def test_streaming_and_offline_agree(tiny, short, tmp_path):
    texts = []
    for streaming in (False, True):
        out = transcribe(
            tiny, short, STARTER, tmp_path / f"{streaming}.parquet", lookahead_ms=320, streaming=streaming
        )
        texts.append(pq.read_table(out, columns=["hypothesis", "detected_lang"]).to_pylist())
    assert texts[0] == texts[1]


def test_a_cancelled_call_goes_on_without_repeating(tiny, short, tmp_path):
    out, asked, read = tmp_path / "x.parquet", [], []

    def load(row):
        import soundfile

        read.append(row["id"])
        return soundfile.read(STARTER / row["audio_filepath"], dtype="float32")[0]

    def after_two():
        asked.append(1)
        return len(asked) > 2

    options = {"lookahead_ms": 1120, "batch_s": 3.0, "load": load}
    with pytest.raises(WorkbenchError, match="cancelled after"):
        transcribe(tiny, short, STARTER, out, cancel=after_two, **options)
    kept = {
        i
        for part in out.with_suffix(".parts").glob("*.parquet")
        for i in pq.read_table(part)["id"].to_pylist()
    }
    assert 0 < len(kept) < len(short)
    assert not out.exists()
    read.clear()
    seen = []
    transcribe(tiny, short, STARTER, out, progress=lambda done, total: seen.append((done, total)), **options)
    assert kept.isdisjoint(read)
    assert seen[0] == (len(kept), len(short))
    assert seen[-1] == (len(short), len(short))
    assert pq.read_table(out)["id"].to_pylist() == [row["id"] for row in short]
    assert not out.with_suffix(".parts").exists()
    read.clear()
    transcribe(tiny, short, STARTER, out, **options)
    assert read == [], "a finished file of the same job is used again"
    transcribe(tiny, [{**short[0], "target_lang": "ru-RU"}, *short[1:]], STARTER, out, **options)
    assert len(read) == len(short), "another locale is another job"


def test_what_cannot_be_read_is_listed(tiny, short, tmp_path):
    bad = [
        {**short[0], "id": "gone", "audio_filepath": "audio/none.ogg"},
        {**short[0], "id": "outside", "audio_filepath": "../../etc/passwd"},
        {**short[0], "id": "no-tag", "target_lang": None},
        {**short[0], "id": "what", "target_lang": "xx-YY"},
    ]
    out = transcribe(tiny, [*short[:2], *bad], STARTER, tmp_path / "p.parquet", lookahead_ms=560)
    assert pq.read_table(out)["id"].to_pylist() == [row["id"] for row in short[:2]]
    lines = [json.loads(line) for line in (tmp_path / "p.problems.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 4
    assert all(line["what"] and line["hint"] for line in lines)
    text = json.dumps(lines)
    for words in ("lies outside the corpus root", "unknown locale", "no target_lang", "id gone"):
        assert words in text


def test_segments_are_cut_from_their_file(tiny, rows, clips, tmp_path):
    long = rows[-1]
    part = {**long, "id": "part", "offset": 0.5, "duration": 1.25}
    out = transcribe(tiny, [part], STARTER, tmp_path / "s.parquet", lookahead_ms=560)
    hypothesis, _ = offline(tiny, clips[-1][8000:28000], 560, long["target_lang"])
    found = pq.read_table(out).to_pylist()[0]["hypothesis"]
    text, _ = strip_tag(tiny.tokenizer().decode(hypothesis.y_sequence.tolist()))
    assert found.replace(" ", "") == text.replace(" ", "")


def test_ids_that_repeat_and_unknown_modes_are_refused(tiny, short, tmp_path):
    with pytest.raises(WorkbenchError, match="ids repeat"):
        transcribe(tiny, [short[0], short[0]], STARTER, tmp_path / "r.parquet")
    with pytest.raises(WorkbenchError, match="langID or auto"):
        transcribe(tiny, short, STARTER, tmp_path / "r.parquet", prompt_mode="unified")


def test_a_row_of_hours_is_read_block_by_block_to_the_same_words(tiny, short, tmp_path, monkeypatch):
    """And what is at fault in one is its problem, not the run's."""
    from workbench.ingest.audio import reading
    from workbench.recognizer import batches

    whole = transcribe(tiny, short[:4], STARTER, tmp_path / "w.parquet", lookahead_ms=320, streaming=True)
    monkeypatch.setattr(batches, "LONG_S", 0.5)
    monkeypatch.setattr(reading, "BLOCK", 3_001)
    gone = {**short[0], "id": "gone", "audio_filepath": "audio/none.ogg"}
    cut = transcribe(
        tiny,
        [*short[:4], gone],
        STARTER,
        tmp_path / "b.parquet",
        lookahead_ms=320,
        streaming=True,
        batch_s=0.1,
    )
    columns = ["id", "hypothesis", "detected_lang"]
    assert (
        pq.read_table(cut, columns=columns).to_pylist() == pq.read_table(whole, columns=columns).to_pylist()
    )
    assert "id gone" in (tmp_path / "b.problems.jsonl").read_text("utf-8")


def test_changed_audio_is_transcribed_anew(tiny, tmp_path):
    """Every file overwritten, name, length and all else the same: the old text is not returned."""
    import soundfile

    rng = np.random.default_rng(3)
    rows = []
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
        row = {"id": str(number), "audio_filepath": f"{number}.wav", "offset": 0.0, "duration": 1.0}
        rows.append({**row, "target_lang": "en-US", "text": "one"})
    first = pq.read_table(transcribe(tiny, rows, tmp_path, tmp_path / "p.parquet", lookahead_ms=320))
    made = (tmp_path / "p.parquet").stat().st_mtime_ns
    transcribe(tiny, rows, tmp_path, tmp_path / "p.parquet", lookahead_ms=320)
    assert (tmp_path / "p.parquet").stat().st_mtime_ns == made
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    second = pq.read_table(transcribe(tiny, rows, tmp_path, tmp_path / "p.parquet", lookahead_ms=320))
    assert (tmp_path / "p.parquet").stat().st_mtime_ns != made
    assert set(first["audio_sha256"].to_pylist()).isdisjoint(second["audio_sha256"].to_pylist())
