"""Lines and objects of a JSON file as it lies on disk: gzipped or not, UTF-8 or UTF-16, lines, an array, or
objects written over several lines. What is damaged is said with its line; what is whole is handed on."""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from workbench.errors import Problem

LINE_LIMIT = 4 << 20
"""A longer line is no utterance; it is skipped without being held in memory."""
DOCUMENT_LIMIT = 1 << 30
"""Bytes of a file that has to be held whole: an array, or objects over several lines."""
_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

Line = tuple[int, bytes, bool]
"""Number from 1, bytes (at most LINE_LIMIT + 1), and whether a line break ended it."""


def is_plain(path: Path) -> bool:
    """Whether the bytes are lines of UTF-8 as they lie there: not gzipped, no UTF-16, no array."""
    with path.open("rb") as stream:
        head = stream.read(200)
    return not head.startswith(_GZIP) and _encoding(head) is None and not head.lstrip().startswith(b"[")


def chunks(path: Path, problems: list[Problem]) -> Iterator[bytes]:
    """The file's text in UTF-8, unpacked and without its byte order mark."""
    unpacked = _unpacked(path, problems)
    first = next(unpacked, b"")
    encoding = _encoding(first)
    mark = next((mark for mark, _ in _BOMS if first.startswith(mark)), b"")
    first = first[len(mark) :]
    if encoding is None:
        yield first
        yield from unpacked
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    yield decoder.decode(first).encode("utf-8", "replace")
    for chunk in unpacked:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", True).encode("utf-8", "replace")


def _encoding(head: bytes) -> str | None:
    """UTF-16 of one order or the other, with its mark or without; None for UTF-8."""
    for mark, encoding in _BOMS[1:]:
        if head.startswith(mark):
            return encoding
    some = head[:200]
    if len(some) >= 4 and b"\0" in some:
        if some[1::2].count(0) > len(some) // 3:
            return "utf-16-le"
        if some[::2].count(0) > len(some) // 3:
            return "utf-16-be"
    return None


def _unpacked(path: Path, problems: list[Problem]) -> Iterator[bytes]:
    with path.open("rb") as stream:
        chunk = stream.read(_CHUNK)
        if not chunk.startswith(_GZIP):
            if path.suffix == ".gz":
                problems.append(Problem(path.name, "not gzipped, despite its name; read as it is"))
            while chunk:
                yield chunk
                chunk = stream.read(_CHUNK)
            return
        unpacker = zlib.decompressobj(31)
        while chunk:
            try:
                data = unpacker.decompress(chunk, _CHUNK)
            except zlib.error:
                problems.append(_broken(path, "damaged"))
                return
            if data:
                yield data
            if unpacker.eof:
                chunk = unpacker.unused_data or stream.read(_CHUNK)
                unpacker = zlib.decompressobj(31)
                if not chunk.startswith(_GZIP):  # padding, or the end
                    return
            else:
                chunk = unpacker.unconsumed_tail or stream.read(_CHUNK)
        problems.append(_broken(path, "cut off"))


def _broken(path: Path, how: str) -> Problem:
    return Problem(path.name, f"the gzip file is {how}; the lines before are kept", "Fetch it again.")


def lines(path: Path, problems: list[Problem]) -> Iterator[Line]:
    """The lines of a file; of one that is too long only the beginning is held."""
    number, rest = 1, b""
    for chunk in chunks(path, problems):
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            line = rest + chunk[start : end + 1]
            yield number, line[: LINE_LIMIT + 1], True
            number, rest, start = number + 1, b"", end + 1
        rest = (rest + chunk[start:])[: LINE_LIMIT + 1]
    if rest:
        yield number, rest, False


def is_document(head: list[bytes]) -> bool:
    """Whether the first lines are those of an array or of objects over several lines, not one object each."""
    said = [line.strip() for line in head if line.strip()]
    if not said:
        return False
    if said[0].startswith(b"["):
        # An array on a line of its own among lines of objects is a bad line, not a document.
        return not (len(said) > 1 and said[1].startswith(b"{") and _parses(said[1]) and _parses(said[0]))
    if said[0] == b"{":
        return True
    return (
        said[0].startswith(b"{") and not _parses(said[0]) and len(said) > 1 and not said[1].startswith(b"{")
    ) and said[0].endswith((b",", b"{", b"["))


def _parses(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def objects(
    text: str, file: str, hook: Callable[[list[tuple[str, Any]]], Any], problems: list[Problem]
) -> Iterator[tuple[int, Any]]:
    """The values of an array, or of objects one after the other, each with the line that it begins on.

    A value that cannot be parsed is named; reading goes on at the next line that begins one as the first did.
    """
    decoder = json.JSONDecoder(object_pairs_hook=hook)
    in_array = text.lstrip().startswith("[")
    at = text.find("[") + 1 if in_array else 0
    line, counted = 1, 0
    first = re.search(r"^[ \t]*\{", text, re.MULTILINE)
    begins = re.compile("^" + re.escape(first[0]) if first else r"^\s*\{", re.MULTILINE)
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if at >= len(text):
            if in_array:
                problems.append(Problem(file, "the array has no end; its rows are kept", "Is it cut off?"))
            return
        if in_array and text[at] == "]":
            return
        line += text.count("\n", counted, at)
        counted = at
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            problems.append(Problem(file, f"not JSON ({reason(error)})", "", line))
            found = begins.search(text, at + 1)
            if found is None:
                return
            at = found.start()
            continue
        yield line, value
        at = end


def reason(error: Exception) -> str:
    """Why text is no JSON, in short."""
    return f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too deep"
