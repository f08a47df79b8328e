"""The quick reader and the careful one give the same rows; damage is named, good rows are kept."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.corpus import manifest
from workbench.corpus.sources import import_source
from workbench.errors import Problem, WorkbenchError

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
    "a duplicate key": (GOOD + b'\n{"audio_filepath": "b.wav", "duration": 1, "duration": 2}\n', "twice", 2),
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
    "a web address": (GOOD + b'\n{"audio_filepath": "https://x/y.wav", "duration": 1}\n', "leaves", 2),
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
