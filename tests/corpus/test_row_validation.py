"""The quick look at a plain manifest says what the thorough one says, or nothing."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.ingest import paths, plain_manifest, row_validation
from workbench.ingest.manifest import NotPlainError
from workbench.ingest.reader import LINE
from workbench.ingest.row_survey import Seen, glance, look_over
from workbench.ingest.schema import FIELDS, OPTIONAL, UNKNOWN, quoted
from workbench.ingest.validation_sql import tidied_sql

CLEAN = {"id": "u1", "audio_filepath": "a/1.wav", "offset": 0.0, "duration": 1.5, "text": "Hello.",
         "target_lang": "en-US", "split": "train"}  # fmt: skip


def looks(rows: list[dict[str, Any]], *, thorough: bool = True) -> tuple[Seen | None, Seen | None]:
    kinds = {"VARCHAR": pa.string(), "DOUBLE": pa.float64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in FIELDS.items()] + [(LINE, pa.int64())])
    table = pa.Table.from_pylist([{**row, LINE: n} for n, row in enumerate(rows, 1)], schema=schema)
    with row_validation.connect() as connection:
        connection.register("parsed", table)
        tidy = ", ".join(f"{tidied_sql(quoted(n))} AS {n}" for n in OPTIONAL)
        connection.execute(f"CREATE TEMP VIEW written AS SELECT * REPLACE ({tidy}) FROM parsed")
        return glance(connection, "parsed", list(FIELDS)), look_over(connection) if thorough else None


PATHS = ["/a.wav", "~/a.wav", "", "  ", "a//b", "./a", "a/../b", "c:\\a", "c:/b", "a|",
         "a.", "a/", "a\nb", "a\x7f",
         "x" * 1001, None]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"audio_filepath": path} for path in PATHS]
    + [{name: word} for name in ("target_lang", "accent", "recorded_at") for word in UNKNOWN]
    + [{"speaker": " Ann"}, {"speaker": "NULL"}, {"id": ""}, {"id": "x" * 301}, {"offset": -1.0}]
    + [{"duration": d} for d in (0.0, -1.0, float("nan"), float("inf"), 1e19)],
)
def test_a_row_that_may_be_at_fault_is_looked_at_thoroughly(change: dict[str, Any]) -> None:
    assert looks([CLEAN, {**CLEAN, "id": "u2", **change}], thorough=False)[0] is None


def test_odd_paths_are_found_among_ordinary_ones() -> None:
    good = ["a.wav", "b c/d-e.flac", "č/ř.ogg", "a..b/c.wav", "-/_", "a"]
    assert paths.ordinary(pa.array(good))
    assert paths.ordinary(pa.array(["/", *good, ""]).slice(1, len(good)))
    assert paths.ordinary(pa.array([], pa.string()))
    for path in PATHS:
        for at in (0, 2, len(good)):
            assert not paths.ordinary(pa.array([*good[:at], path, *good[at:]]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("a./~ :|\\\n\x7fč", max_size=6), min_size=1, max_size=3))
def test_what_passes_for_ordinary_is_so_by_the_pattern(written: list[str]) -> None:
    if paths.ordinary(pa.array(written)):
        assert not any(re.search(paths.NEEDS_A_LOOK_PATTERN, path) for path in written)


ROW = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["u1", "u2", "ü", None]),
        "audio_filepath": st.sampled_from(["a.wav", "b c/d-e.flac", "č.ogg", "a..wav", "a/.wav", "x/./y"]),
        "offset": st.sampled_from([0.0, 1.25]),
        "duration": st.sampled_from([0.5, 3.0, None]),
        "text": st.sampled_from(["Hi.", "", None]),
        "target_lang": st.sampled_from(["en-US", "el-GR", "el", None, "unknown"]),
        "lang": st.sampled_from(["en-US", None]),
        "split": st.sampled_from(["train", "dev", None]),
    }
)


@settings(max_examples=25, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=6))
def test_both_looks_agree(rows: list[dict[str, Any]]) -> None:
    quick, thorough = looks(rows)
    assert thorough is not None
    odd = any(row["target_lang"] == "unknown" for row in rows) or thorough.odd_paths
    assert (quick is None) == bool(odd)
    if quick is not None:
        assert quick == thorough


@pytest.mark.parametrize("place", [0, 70, plain_manifest._BLOCK - 3, plain_manifest._BLOCK + 5])
def test_a_nul_byte_anywhere_sends_the_file_to_the_careful_reader(tmp_path: Any, place: int) -> None:
    path = tmp_path / "m.jsonl"
    data = bytearray(b'{"text": "x"}\n' * (plain_manifest._BLOCK // 14 + 20))
    assert plain_manifest._scan(_put(path, data))[0] == data.count(b"\n")
    data[place] = 0
    with pytest.raises(NotPlainError):
        plain_manifest._scan(_put(path, data))


def _put(path: Any, data: bytes) -> Any:
    path.write_bytes(data)
    return path
