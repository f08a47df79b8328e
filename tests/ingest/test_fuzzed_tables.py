"""3,000 fuzzed lines of every table format: rows in are rows kept and rows named, and no good row is lost."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import Problem
from workbench.ingest.layouts import open_reader
from workbench.ingest.reader import LINE

LINES = 3_000
WORDS = [
    "Haus",
    "ü",
    "日本",
    "a;b",
    "a,b",
    "a\tb",
    '"',
    '""',
    "'",
    "<b>",
    "\\",
    "=1+1",
    "\x07",
    "\u2028",
    "|",
    "x" * 300,
]


def odd(draw: random.Random, sign: str) -> bytes:
    """A line that may or may not be a row."""
    kind = draw.randrange(7)
    if kind == 0:
        return bytes(draw.randrange(1, 256) for _ in range(draw.randrange(20))).replace(b"\n", b"")
    if kind == 1:
        return sign.join(["a.wav"] + ["x"] * draw.randrange(6)).encode()
    if kind == 2:
        return f'a.wav{sign}"{draw.choice(WORDS)}{sign}de'.encode()
    if kind == 3:
        return b"\xff\xfe" + b"a.wav"
    if kind == 4:
        return b"a.wav\0"
    if kind == 5:
        return b"" if draw.random() < 0.5 else b"   "
    return sign.join(draw.choice(WORDS) for _ in range(3)).encode()


def good(number: int, draw: random.Random, sign: str) -> tuple[str, str]:
    """A row, and the text that it must come out with."""
    text = " ".join(draw.choice(WORDS) for _ in range(draw.randrange(1, 4)))
    if sign in "\t|":
        text = text.replace(sign, " ")
        text = text.strip().strip('"').strip() or "x"  # quotes that hold the whole value come off
        return f"{number}.wav{sign}{text}{sign}de", text
    return f'{number}.wav{sign}"{text.replace(chr(34), chr(34) * 2)}"{sign}de', text


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("suffix", "sign"), [(".csv", ","), (".csv", ";"), (".tsv", "\t"), (".csv", "|")])
def test_delimited(tmp_path: Path, suffix: str, sign: str, seed: int) -> None:
    draw = random.Random(seed)
    raw, wanted = [sign.join(["path", "text", "lang"]).encode()], {}
    for number in range(2, LINES + 2):
        if draw.random() < 0.5:
            line, wanted[number] = good(number, draw, sign)
            raw.append(line.encode())
        else:
            raw.append(odd(draw, sign))
    path = tmp_path / f"t{suffix}"
    path.write_bytes(b"\n".join(raw))
    problems: list[Problem] = []
    reader = open_reader(path, None)
    rows = [row for table in reader.tables(problems) for row in table.to_pylist()]
    kept = {row[LINE]: row for row in rows}
    named = {problem.line for problem in problems if problem.line is not None}
    assert len(kept) == len(rows)
    assert not set(kept) & named
    assert reader.left_out == len([p for p in problems if p.line is not None]) == len(named)
    lost = [n for n in wanted if n not in kept]
    assert not lost
    assert all(kept[n]["text"] == text for n, text in wanted.items())
    for number in range(2, LINES + 2):
        if number in kept or number in named or not raw[number - 1].strip(f'" {sign}'.encode()):
            continue
        # Only a value over several lines may hold a line that is no row of its own.
        before = max(n for n in kept if n < number)
        held = "".join(str(v) for v in kept[before].values() if v is not None)
        bare = re.compile(f'["\\s{re.escape(sign)}]')
        assert bare.sub("", raw[number - 1].decode())[:20] in bare.sub("", held)


def excel(path: Path, rows: list[list[Any]]) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def parquet(path: Path, rows: list[list[Any]]) -> None:
    import pandas as pd

    pd.DataFrame(rows[1:], columns=rows[0]).to_parquet(path)


@pytest.mark.parametrize(("suffix", "write"), [(".xlsx", excel), (".parquet", parquet)])
def test_cells(tmp_path: Path, suffix: str, write: Callable[[Path, list[list[Any]]], None]) -> None:
    draw = random.Random(3)
    words = [word for word in WORDS if word not in ("\x07", "=1+1")]  # no cell; a formula without a value
    rows: list[list[Any]] = [["path", "text", "lang"]]
    for number in range(LINES):
        path = draw.choice([f"{number}.wav", f"{number}.wav", None])
        rows.append([path, draw.choice([draw.choice(words), None]), draw.choice(["de-DE", None])])
    write(tmp_path / f"t{suffix}", rows)
    problems: list[Problem] = []
    reader = open_reader(tmp_path / f"t{suffix}", None)
    found = [row for table in reader.tables(problems) for row in table.to_pylist()]
    empty = sum(not any(row) for row in rows[1:]) if suffix == ".xlsx" else 0
    assert len(found) + reader.left_out == LINES - empty
    said = [(row["path"], row["text"]) for row in found]
    assert said == [(row[0], row[1]) for row in rows[1:] if any(row) or not empty]
