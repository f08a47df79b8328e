"""The quick reader and the careful one give the same rows; damage is named, good rows are kept."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.corpus.importing import import_source
from workbench.errors import Problem, WorkbenchError
from workbench.ingest import intake, manifest, plain_manifest

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
ROW = st.fixed_dictionaries(
    {"audio_filepath": TEXT, "duration": st.floats(0.01, 100)},
    optional={
        "text": TEXT,
        "offset": st.integers(0, 9) | st.floats(0, 9),
        "note": TEXT,
        "count": st.integers(-(2**62), 2**62),
        "flag": st.booleans(),
        "speaker": st.none() | TEXT,
    },
)
FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows_of(tables: Any) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if v is not None} for table in tables for row in table.to_pylist()]


@FAST
@given(st.lists(ROW, min_size=1, max_size=8), st.booleans())
def test_both_readers_agree(tmp_path: Path, rows: list[dict[str, Any]], ascii_only: bool) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=ascii_only) + "\n" for r in rows), encoding="utf-8")
    problems: list[Problem] = []
    slow = rows_of(manifest.careful(path, problems))
    assert not problems
    # The quick one may decline, but what it gives is the same.
    try:
        quick = rows_of(manifest.quick(path))
    except manifest.NotPlainError:
        return
    assert quick == slow


def test_the_quick_reader_takes_plain_manifests(clips: Path) -> None:
    quick = rows_of(manifest.quick(clips))
    assert quick == rows_of(manifest.careful(clips, []))
    assert len(quick) == len(clips.read_text(encoding="utf-8").splitlines())


GOOD = b'{"audio_filepath": "a.wav", "duration": 1.5, "text": "Hi.", "target_lang": "en-US"}'
DAMAGE = {
    "a truncated last line": (GOOD + b'\n{"audio_filepath": "b.wav", "dur', "cut off", 2),
    "half a line": (GOOD + b'\n{"audio_filepath"\n', "not JSON", 2),
    "no object": (GOOD + b"\n[1, 2]\n", "not a JSON object", 2),
    "NaN": (GOOD + b'\n{"audio_filepath": "b.wav", "duration": NaN}\n', "not a finite number", 2),
    "infinity": (GOOD + b'\n{"audio_filepath": "b.wav", "duration": 1e999}\n', "not a finite number", 2),
    "a duplicate key": (
        GOOD + b'\n{"audio_filepath": "b.wav", "duration": 1, "duration": 2}\n',
        "duplicate key",
        2,
    ),
    "NUL escaped": (GOOD + b'\n{"audio_filepath": "b.wav", "duration": 1, "text": "a\\u0000"}\n', "NUL", 2),
    "NUL raw": (GOOD + b'\n{"audio_filepath": "b\0.wav", "duration": 1}\n', "not JSON", 2),
    "Latin-1": (GOOD + '\n{"audio_filepath": "é.wav", "duration": 1}\n'.encode("latin-1"), "not UTF-8", 2),
    "half a surrogate": (GOOD + b'\n{"audio_filepath": "\\ud800", "duration": 1}\n', "surrogate", 2),
    "no path": (GOOD + b'\n{"duration": 1, "text": "x"}\n', "no audio path", 2),
    "negative": (GOOD + b'\n{"audio_filepath": "b.wav", "duration": -1}\n', "positive number", 2),
    "words for seconds": (
        GOOD + b'\n{"audio_filepath": "b.wav", "duration": "long"}\n',
        "positive number",
        2,
    ),
    "deep nesting": (GOOD + b'\n{"a": ' + b"[" * 100_000 + b"\n", "not JSON", 2),
    "the same row": (GOOD + b"\n" + GOOD + b"\n", "earlier row", 2),
    "another folder": (GOOD + b'\n{"audio_filepath": "../../etc/passwd", "duration": 1}\n', "leaves", 2),
    "an absolute path": (GOOD + b'\n{"audio_filepath": "/etc/passwd", "duration": 1}\n', "leaves", 2),
    "a web address": (GOOD + b'\n{"audio_filepath": "https://x/y.wav", "duration": 1}\n', "web address", 2),
    "a bell": (GOOD + b'\n{"audio_filepath": "a\\u0007.wav", "duration": 1}\n', "control", 2),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_and_the_good_row_kept(tmp_path: Path, name: str) -> None:
    data, what, line = DAMAGE[name]
    path = tmp_path / "m.jsonl"
    path.write_bytes(data)
    corpus = import_source(path, tmp_path / "c", name="c")
    assert [row["text"] for row in corpus.page(0, 9)] == ["Hi."]
    (problem,) = corpus.problems
    assert what in problem.what
    assert problem.line == line
    assert "\n" not in str(problem)
    assert len(str(problem)) <= 400
    assert corpus.facts["left_out"] == 1


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b""])
def test_bom_and_windows_line_ends_are_harmless(tmp_path: Path, prefix: bytes) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(prefix + GOOD + b"\r\n\r\n" + GOOD.replace(b"a.wav", b"b.wav") + b"\r\n")
    corpus = import_source(path, tmp_path / "c", name="c")
    assert len(corpus) == 2
    assert [row["source_line"] for row in corpus.page(0, 9)] == [1, 3]
    assert not corpus.problems


def test_a_line_of_100_megabytes_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with path.open("wb") as stream:
        stream.write(GOOD + b'\n{"text": "')
        for _ in range(100):
            stream.write(b"x" * 1_000_000)
        stream.write(b'"}\n' + GOOD.replace(b"a.wav", b"b.wav") + b"\n")
    corpus = import_source(path, tmp_path / "c", name="c")
    assert len(corpus) == 2
    assert [p.line for p in corpus.problems] == [2]


@FAST
@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([GOOD, GOOD + b"\n" + GOOD]), min_size=1, max_size=6)
)
def test_any_bytes_lose_no_good_line(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"\n".join(lines))
    problems: list[Problem] = []
    rows = rows_of(manifest.read(path, problems))
    kept = [line for line in path.read_bytes().split(b"\n") if line.strip() == GOOD]
    assert len([row for row in rows if row.get("text") == "Hi."]) >= len(kept)
    lines_at_fault = {p.line for p in problems}
    blank = {
        n for n, raw in enumerate(path.read_bytes().split(b"\n"), 1) if not raw.strip(b" \t\r\n\x0b\x0c")
    }
    told = {row["source_line"] for row in rows} | lines_at_fault | blank
    assert set(range(1, path.read_bytes().count(b"\n") + 2)) <= told | blank | {1}


def test_gzip_and_shards(tmp_path: Path) -> None:
    for shard in range(3):
        line = GOOD.replace(b"a.wav", f"{shard}.wav".encode())
        (tmp_path / f"m_{shard}.json").write_bytes(line + b"\n")
        (tmp_path / f"z_{shard}.json.gz").write_bytes(gzip.compress(line + b"\n"))
    one = import_source(tmp_path / "m__OP_0..2_CL_.json", tmp_path / "a", name="a")
    two = import_source(tmp_path / "z_*.json.gz", tmp_path / "b", name="b")
    assert [r["audio_filepath"] for r in one.page(0, 9)] == ["0.wav", "1.wav", "2.wav"]
    assert [r["audio_filepath"] for r in two.page(0, 9)] == ["0.wav", "1.wav", "2.wav"]
    with pytest.raises(WorkbenchError, match="missing"):
        import_source(tmp_path / "m__OP_0..7_CL_.json", tmp_path / "d", name="d")


def test_unknown_fields_ride_along_and_nested_ones_too(tmp_path: Path) -> None:
    row = {**json.loads(GOOD), "mos": 4.2, "deep": {"a": [1, None]}, "status": "theirs", "n": 12345678901}
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    found = import_source(path, tmp_path / "c", name="c").page(0, 1)[0]
    assert found["mos"] == 4.2
    assert found["n"] == 12345678901
    assert json.loads(found["deep"]) == {"a": [1, None]}
    assert found["source_status"] == "theirs"
    assert found["status"] == "pending"


def test_ids_are_kept_if_unique_else_made_without_the_text(tmp_path: Path) -> None:
    rows = [{**json.loads(GOOD), "audio_filepath": f"{i}.wav", "id": i_d, "text": text}
            for i, (i_d, text) in enumerate([("x", "a"), ("x", "b"), ("y", "c"), (None, "d")])]  # fmt: skip
    path = tmp_path / "m.jsonl"
    ids = []
    for suffix in ("", " changed"):
        path.write_text("".join(json.dumps({**r, "text": r["text"] + suffix}) + "\n" for r in rows))
        ids.append(import_source(path, tmp_path / f"c{len(suffix)}", name="c").ids())
    assert ids[0] == ids[1]
    assert ids[0][2] == "y"
    assert len(set(ids[0])) == 4
    assert "x" not in ids[0]


def both_ways(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Rows, problems and facts of an import through DuckDB's parser where it will, and without it."""
    made = []
    for name in ("straight", "tables"):
        with monkeypatch.context() as patch:
            if name == "tables":
                patch.setattr(plain_manifest, "look", _declines)
            try:
                corpus = import_source(path, folder / name / "c", name="c")
            except WorkbenchError as error:
                made.append(str(error))
                continue
        rows = [{k: v for k, v in row.items() if v is not None} for row in corpus.page(0, 10_000)]
        facts = {k: corpus.facts[k] for k in ("rows", "left_out", "problems", "mapping", "source_sha256")}
        made.append((rows, [p.to_dict() for p in corpus.problems], facts))
        corpus.close()
    return made


def _declines(*_: Any) -> None:
    raise manifest.NotPlainError


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=8), ascii_only=st.booleans(), number=st.integers(0, 10**9))
def test_the_straight_way_gives_the_same_corpus(
    tmp_path: Path, rows: list[dict[str, Any]], ascii_only: bool, number: int
) -> None:
    folder = tmp_path / str(number)
    folder.mkdir(exist_ok=True)
    path = folder / "m.jsonl"
    path.write_text("".join(json.dumps(r, ensure_ascii=ascii_only) + "\n" for r in rows), encoding="utf-8")
    with pytest.MonkeyPatch.context() as monkeypatch:
        straight, tables = both_ways(path, folder, monkeypatch)
    shutil.rmtree(folder)
    assert straight == tables


LATER = {
    "a key that comes late": ('"note": "x"', {}),
    "a fraction among whole numbers": ('"take": 1.5', {"take": 1}),
    "a number among texts": ('"take": 15', {"take": "a"}),
    "a text among numbers": ('"take": "007"', {"take": 7}),
    "a list among texts": ('"take": ["a"]', {"take": "a"}),
    "a date": ('"take": "2020-02-01"', {"take": "2020-01-01"}),
    "a date among texts": ('"take": "2020-02-01"', {"take": "someday"}),
    "a key twice": ('"take": 1, "take": 2', {"take": 1}),
    "a comma too many": ('"take": 1, ', {"take": 1}),
    "NaN among texts": ('"text": NaN', {"text": "Hi."}),
    "NaN among unknown speakers": ('"speaker": NaN', {"speaker": "a"}),
    "NUL": ('"take": "a\\u0000b"', {"take": "a"}),
    "another case": ('"Take": "b"', {"take": "a"}),
    "a huge number": ('"take": 123456789012345678901', {"take": 1.5}),
    "infinity": ('"take": 1e999', {"take": 1.5}),
    "nothing but null": ('"take": null', {"take": None}),
    "null at first": ('"take": "a"', {"take": None}),
    "an unknown speaker": ('"speaker": "unknown"', {"speaker": "a"}),
    "a short tag": ('"target_lang": "el"', {"target_lang": "el-GR"}),
    "a split of another name": ('"split": "dev"', {"split": "train"}),
    "an id again": ('"id": "u1"', None),
    "the same row": (None, {}),
    "a path from the root": ('"audio_filepath": "/etc/passwd"', {}),
}


@pytest.mark.parametrize("name", LATER)
def test_what_comes_late_is_read_as_by_the_careful_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The odd line lies beyond what DuckDB looks at first."""
    odd, usual = LATER[name]
    monkeypatch.setattr(plain_manifest, "_SAMPLE", 2)
    plain_rows = [
        {"audio_filepath": f"{i}.wav", "duration": 1.5, **(usual if usual is not None else {"id": f"u{i}"})}
        for i in range(4)
    ]
    lines = [json.dumps(row) for row in plain_rows]
    path_field = "" if odd and "audio_filepath" in odd else '"audio_filepath": "odd.wav", '
    lines.append(lines[1] if odd is None else f'{{{path_field}"duration": 1.25, {odd}}}')
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    straight, tables = both_ways(path, tmp_path, monkeypatch)
    assert straight == tables


def test_nothing_is_closed_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a later batch is in doubt the writer is at work: closing it then would end the process."""
    told: list[str] = []

    class Slow(pq.ParquetWriter):
        def write_batch(self, *given: Any) -> None:
            told.append("begun")
            time.sleep(0.2)
            super().write_batch(*given)
            told.append("written")

        def close(self) -> None:
            told.append("closed")
            super().close()

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"audio_filepath": ["a.wav"], "duration": [1.0]})
        raise plain_manifest.NotPlainError

    monkeypatch.setattr(pq, "ParquetWriter", Slow)
    with ThreadPoolExecutor(1) as pool, pytest.raises(plain_manifest.NotPlainError):
        plain_manifest._write(batches(), ["audio_filepath", "duration"], {}, tmp_path / "t.parquet", pool)
    assert told[:3] == ["begun", "written", "closed"]


def test_a_plain_manifest_is_never_held_in_memory(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The straight way is really taken, and rows keep their places after one is erased."""
    monkeypatch.setattr(intake, "_by_tables", None)
    corpus = import_source(clips, tmp_path / "c", name="c")
    rows = [json.loads(line) for line in clips.open(encoding="utf-8")]
    assert [row["text"] for row in corpus.page(0, 1_000)] == [row["text"] for row in rows]
    assert [row["source_line"] for row in corpus.page(0, 1_000)] == list(range(1, len(rows) + 1))
    speaker = rows[3]["speaker"]
    left = import_source(
        clips, tmp_path / "d", name="d", erased=lambda asked: [row["speaker"] == speaker for row in asked]
    )
    kept = [number for number, row in enumerate(rows, 1) if row["speaker"] != speaker]
    assert [row["source_line"] for row in left.page(0, 1_000)] == kept
    assert [row["row_index"] for row in left.page(0, 1_000)] == list(range(len(kept)))
