"""The one rule for paths, case by case: what a mutant would move."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from workbench.ingest import paths

ROOT, SECOND = Path("/data/corpus"), Path("/mnt/more")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("http://host/a.wav", "path_address"),
        ("s3://bucket/a.wav", "path_address"),
        ("a+b.c-1://x", "path_address"),
        ("1http://host/a.wav", None),
        ("sox in.wav -t wav - |", "path_command"),
        ("sox in.wav -t wav - |  ", "path_command"),
        ("| cat a.wav", "path_command"),
        ("  | cat a.wav", "path_command"),
        ("a|b.wav", None),
        ("C:/calls/a.wav", "path_drive"),
        ("c:\\calls\\a.wav", "path_drive"),
        ("call 10:30.wav", None),
        ("2026-12-01T10:30:00.wav", None),
        ("CC:/a.wav", None),
        ("a.wav", None),
    ],
)
def test_what_is_refused_whatever_the_roots(written: str, why: str | None) -> None:
    assert paths.refused(written) == why
    assert (paths.settled(written, [ROOT]) is None) is (why is not None)


@pytest.mark.parametrize(
    ("written", "settled"),
    [
        ("a.wav", "a.wav"),
        ("./a.wav", "a.wav"),
        ("x/../a.wav", "a.wav"),
        ("x//a.wav", "x/a.wav"),
        ("x\\y\\a.wav", "x/y/a.wav"),
        ("/data/corpus/x/a.wav", "x/a.wav"),
        ("/data/corpus", None),
        (".", None),
        ("call 10:30.wav", "call 10:30.wav"),
        ("/mnt/more/a.wav", "/mnt/more/a.wav"),
        ("/mnt/more/x/../a.wav", "/mnt/more/a.wav"),
        ("/mnt/more", None),
        ("/mnt/moreover/a.wav", None),
        ("/data/corpus2/a.wav", None),
        ("../a.wav", None),
        ("x/../../a.wav", None),
        ("/etc/passwd", None),
        ("~/a.wav", None),
        ("~other/a.wav", None),
        ("a~.wav", "a~.wav"),
        ("a\0.wav", None),
    ],
)
def test_what_a_path_becomes(written: str, settled: str | None) -> None:
    assert paths.settled(written, [ROOT, SECOND]) == settled


def test_without_roots_there_is_no_path() -> None:
    assert paths.settled("a.wav", []) is None


def test_inside_and_outside() -> None:
    assert paths.within(ROOT / "x" / "a.wav", ROOT) == "x/a.wav"
    assert paths.within(ROOT, ROOT) == ""
    assert paths.within(SECOND, ROOT) is None
    assert paths.within(Path("/data/corpus2"), ROOT) is None


ODD = [
    "/a.wav", "~a.wav", "x//a.wav", "./a.wav", "x./a.wav", "x\\a.wav", "a|.wav", "c:/a.wav", "a.", "x/", "..",
    "x/../a.wav",
]  # fmt: skip
CONTROLS = ["\x01a.wav", "a\x1f.wav", "a\x7f.wav"]
PLAIN = ["a.wav", "x/a.wav", "x/y/é 2.wav", "a~.wav", "x.y/z.wav", "CC/a.wav"]


@pytest.mark.parametrize("written", ODD)
def test_the_quick_tests_see_what_may_change(written: str) -> None:
    assert not paths.ordinary(pa.array([written]))
    assert not paths.ordinary(pa.array(["a.wav", written, "b.wav"]))
    asked = duckdb.sql(f"SELECT {paths.NEEDS_A_LOOK.format('p')} FROM (SELECT $1 AS p)", params=[written])
    assert asked.fetchall() == [(True,)]
    assert pc.match_substring_regex(pa.array([written]), paths.NEEDS_A_LOOK_PATTERN).to_pylist() == [True]


@pytest.mark.parametrize("written", CONTROLS)
def test_control_characters_are_seen(written: str) -> None:
    assert not paths.ordinary(pa.array([written]))
    assert pc.match_substring_regex(pa.array([written]), paths.NEEDS_A_LOOK_PATTERN).to_pylist() == [True]


@pytest.mark.parametrize("written", PLAIN)
def test_the_quick_tests_let_plain_paths_pass(written: str) -> None:
    assert paths.ordinary(pa.array([written]))
    assert paths.ordinary(pa.array(["b/c.wav", written, "d.wav"]))
    asked = duckdb.sql(f"SELECT {paths.NEEDS_A_LOOK.format('p')} FROM (SELECT $1 AS p)", params=[written])
    assert asked.fetchall() == [(False,)]
    assert pc.match_substring_regex(pa.array([written]), paths.NEEDS_A_LOOK_PATTERN).to_pylist() == [False]


def test_the_quick_test_at_its_borders() -> None:
    assert paths.ordinary(pa.array([], pa.string()))
    assert not paths.ordinary(pa.array([None], pa.string()))
    assert not paths.ordinary(pa.array(["a.wav", None]))
    assert not paths.ordinary(pa.array(["a.wav", ""]))
    assert not paths.ordinary(pa.array([""]))
    assert not paths.ordinary(pa.array([" a.wav"]))
    assert not paths.ordinary(pa.array(["a:b.wav"]))
    assert paths.ordinary(pa.array(["a" * paths.LONGEST]))
    assert not paths.ordinary(pa.array(["a" * (paths.LONGEST + 1)]))
    assert paths.ordinary(pa.array(["a b.wav"]))


def test_the_quick_test_looks_at_its_own_slice_alone() -> None:
    column = pa.array(["/bad", "a/b.wav", "c.wav", "~bad"])
    assert paths.ordinary(column[1:3])
    assert not paths.ordinary(column[:2])
    assert not paths.ordinary(column[2:])
    # What ends one path and begins the next is no pair of slashes.
    assert paths.ordinary(pa.array(["a.wav", "b.wav"]))
