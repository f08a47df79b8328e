"""Damaged and odd manifests: every row is kept or named; what cannot be read is refused, with the reason."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sound_files import lines, tone

from workbench.corpus.query.table import Corpus
from workbench.errors import Problem, WorkbenchError
from workbench.ingest import manifest, paths
from workbench.ingest.reader import LINE

Bring = Callable[..., Corpus]
SAFE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows(count: int = 3) -> list[dict[str, Any]]:
    return [
        {"audio_filepath": f"audio/{i}.wav", "duration": 1.0, "text": f"Satz {i}.", "target_lang": "de-DE"}
        for i in range(count)
    ]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for i in range(4):
        tone(tmp_path / "audio" / f"{i}.wav")
    return tmp_path


def texts(corpus: Corpus) -> list[str]:
    return [row["text"] for row in corpus.page(0, 100)]


FORMS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "array": lambda some: json.dumps(some).encode(),
    "array over lines": lambda some: json.dumps(some, indent=2).encode(),
    "objects over lines": lambda some: "\n".join(json.dumps(row, indent=1) for row in some).encode(),
    "UTF-16": lambda some: "\n".join(json.dumps(row) for row in some).encode("utf-16"),
    "UTF-16 without a mark": lambda some: "\n".join(json.dumps(row) for row in some).encode("utf-16-be"),
    "UTF-8 with a mark": lambda some: "\n".join(json.dumps(row) for row in some).encode("utf-8-sig"),
    "gzip": lambda some: gzip.compress("\n".join(json.dumps(row) for row in some).encode()),
    "gzip in two members": lambda some: b"".join(
        gzip.compress(json.dumps(row).encode() + b"\n") for row in some
    ),
    "gzipped array": lambda some: gzip.compress(json.dumps(some, indent=1).encode()),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".jsonl.gz"])
def test_a_manifest_is_read_in_every_form_and_under_any_name(
    home: Path, bring: Bring, form: str, suffix: str
) -> None:
    path = home / f"m{suffix}"
    path.write_bytes(FORMS[form](rows()))
    corpus = bring(path)
    assert texts(corpus) == ["Satz 0.", "Satz 1.", "Satz 2."]
    assert corpus.facts["left_out"] == 0


def test_a_cut_gzip_file_keeps_the_lines_before(home: Path, bring: Bring) -> None:
    many = [
        {**rows(1)[0], "offset": i / 10_000, "duration": 0.1, "text": f"{i * 7919}"} for i in range(2_000)
    ]
    whole = gzip.compress("".join(json.dumps(row) + "\n" for row in many).encode())
    (home / "m.jsonl.gz").write_bytes(whole[: len(whole) * 2 // 3])
    corpus = bring(home / "m.jsonl.gz")
    assert 500 < len(corpus) < 2_000
    assert texts(corpus)[:3] == ["0", "7919", "15838"]
    assert any("cut off" in problem.what for problem in corpus.problems)


def test_one_bad_object_of_an_array_is_named_and_the_rest_kept(home: Path, bring: Bring) -> None:
    text = json.dumps(rows(), indent=1).replace(
        '"duration": 1.0,\n  "text": "Satz 1."', '"duration": ,\n  "text": 1'
    )
    (home / "m.json").write_text(text)
    corpus = bring(home / "m.json")
    assert texts(corpus) == ["Satz 0.", "Satz 2."]
    assert [(p.line, "not JSON" in p.what) for p in corpus.problems] == [(8, True)]


ODD_VALUES: dict[str, tuple[dict[str, Any], str]] = {
    "two recordings": ({"audio_filepath": ["audio/0.wav", "audio/1.wav"]}, "a list of 2 recordings"),
    "no recording": ({"audio_filepath": []}, "a list of 0 recordings"),
    "a recording that is a number": ({"audio_filepath": [7]}, "a list of 1 recordings"),
    "null": ({"audio_filepath": None}, "no audio path"),
    "empty": ({"audio_filepath": ""}, "no audio path"),
    "a web address": ({"audio_filepath": "s3://bucket/0.wav"}, "a web address"),
    "a command": ({"audio_filepath": "sox audio/0.wav -t wav - |"}, "never run"),
    "a drive": ({"audio_filepath": "C:\\calls\\0.wav"}, "Windows drive"),
    "elsewhere": ({"audio_filepath": "../../0.wav"}, "leaves the corpus root"),
    "a transcript that is a list": ({"text": ["a", "b"]}, "the transcript is a list"),
    "a duration that is a list": ({"duration": [1.0]}, "not a number"),
    "a duration that is words": ({"duration": "long"}, "not a positive number"),
    "NUL": ({"text": "a\0b"}, "NUL"),
    "an unpaired surrogate": ({"text": "a\ud83d"}, "surrogate"),
    "a key with a surrogate": ({"no\ud83dte": 1}, "a key holds"),
}


@pytest.mark.parametrize("name", ODD_VALUES)
def test_a_row_that_cannot_be_used_is_named_and_the_others_kept(home: Path, bring: Bring, name: str) -> None:
    odd, what = ODD_VALUES[name]
    some = [rows()[0], {**rows()[1], **odd}, rows()[2]]
    (home / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    corpus = bring(home / "m.jsonl")
    assert texts(corpus) == ["Satz 0.", "Satz 2."]
    assert corpus.facts["left_out"] == 1
    (problem,) = corpus.problems
    assert what in problem.what
    assert problem.line == 2


GOOD_NAMES = ["call 10:30.wav", "2026-11-30T10:30:00Z.wav", "a|b.wav", "ü č 日本.wav",
              "a'b\"c.wav", "100%.wav",
              "a:b/c:d.wav", "wav.wav", "[1].wav", "{1,2}.wav", "..dots.wav", "#1.wav"]  # fmt: skip


@pytest.mark.parametrize("name", GOOD_NAMES)
@pytest.mark.parametrize("others", [0, 1])
def test_what_a_file_may_be_called_is_a_name(home: Path, bring: Bring, name: str, others: int) -> None:
    tone(home / "audio" / name)
    some = [{**rows()[0], "audio_filepath": f"audio/{name}"}, *rows(4)[1 : 1 + others]]
    corpus = bring(lines(home / "m.jsonl", some))
    assert corpus.page(0, 1)[0]["audio_filepath"] == f"audio/{name}"
    assert len(corpus.audio(corpus.ids()[0])) == 16_000
    assert not corpus.problems


@SAFE
@given(st.text(st.sampled_from("a./~:|\\ č"), min_size=1, max_size=7))
def test_one_rule_for_paths(written: str) -> None:
    """What the quick tests let through, the rule leaves as it is; what it gives lies inside a root."""
    import re

    import pyarrow as pa

    root = Path("/srv/calls")
    found = paths.settled(written, [root])
    if paths.ordinary(pa.array([written])):
        assert not re.search(paths.NEEDS_A_LOOK_PATTERN, written)
    if not re.search(paths.NEEDS_A_LOOK_PATTERN, written):
        assert found == written
    if found is not None:
        assert not found.startswith(("/", "../"))
        assert (root / found).is_relative_to(root)


@pytest.mark.parametrize(
    "name", ["z__OP_000..002_CL_.jsonl", "z_{000..002}.jsonl", "z_*.jsonl", "z_{000,001,002}.jsonl",
             "z_000.jsonl,z_001.jsonl,z_002.jsonl", "[z_000.jsonl, z_001.jsonl, z_002.jsonl]"],
)  # fmt: skip
def test_shards_by_any_name_that_nemo_takes(
    home: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for i, row in enumerate(rows()):
        lines(home / f"z_{i:03d}.jsonl", [row])
    monkeypatch.chdir(home)
    assert texts(bring(name)) == ["Satz 0.", "Satz 1.", "Satz 2."]
    (home / "z_001.jsonl").unlink()
    if "*" not in name:
        with pytest.raises(WorkbenchError, match=r"1 of 3 files are missing, first z_001\.jsonl"):
            bring(name)


def test_ids_given_twice_are_said_and_the_rows_kept(home: Path, bring: Bring) -> None:
    some = [{**row, "id": id_} for row, id_ in zip(rows(4), ("x", "x", "y", 7.5), strict=True)]
    corpus = bring(lines(home / "m.jsonl", some))
    assert len(corpus) == 4
    assert corpus.ids()[2:] == ["y", "7.5"]
    assert [p.what for p in corpus.problems] == ["the id 'x' is given to 2 rows"]


@pytest.mark.parametrize("count", [1, 3])
def test_durations_that_no_row_states_are_measured(home: Path, bring: Bring, count: int) -> None:
    some = rows()
    for row in some[:count]:
        row["duration"] = None
    tone(home / "audio" / "1.wav", 2.5)
    some[1]["offset"] = 0.5
    found = bring(lines(home / "m.jsonl", some)).page(0, 9)
    assert [row["duration"] for row in found] == [1.0, 2.0 if count > 1 else 1.0, 1.0]


def test_channels_by_nemos_selector(home: Path, bring: Bring) -> None:
    tone(home / "audio" / "s.wav", channels=2)
    said = (0, 1, "average")
    some = [{**rows()[0], "audio_filepath": "audio/s.wav", "channel_selector": one} for one in said]
    corpus = bring(lines(home / "m.jsonl", some))
    assert [row["channel"] for row in corpus.page(0, 9)] == [0, 1, None]
    assert len(set(corpus.ids())) == 3
    again = bring(lines(home / "n.jsonl", [{**row, "channel_selector": i} for i, row in enumerate(some[:2])]))
    assert [row["channel"] for row in again.page(0, 9)] == [0, 1]


def test_an_import_without_any_recording_fails_and_keeps_no_name(
    home: Path, bring: Bring, tmp_path: Path
) -> None:
    some = [{**row, "audio_filepath": f"gone/{i}.wav"} for i, row in enumerate(rows())]
    with pytest.raises(WorkbenchError, match="every recording is missing: 3"):
        bring(lines(home / "m.jsonl", some))
    assert not list((tmp_path / "corpora").iterdir())
    some[1] = rows()[1]
    corpus = bring(lines(home / "m.jsonl", some))
    assert len(corpus) == 3
    assert "2 of 3 recordings are missing" in corpus.problems[-1].what


KEPT = {"audio_filepath": "audio/0.wav", "duration": 1.0, "text": "Gut."}
LISTS = st.lists(st.text(max_size=2), max_size=2)
VALUE = LISTS | st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5)
FUZZ = st.one_of(
    st.binary(max_size=30),
    st.dictionaries(
        st.sampled_from(["audio_filepath", "text", "duration", "", "id", "x"]), VALUE, max_size=4
    ).map(lambda row: json.dumps(row).encode("utf-8", "surrogatepass")),
    st.just(json.dumps(KEPT).encode()),
)


@SAFE
@given(st.lists(FUZZ, min_size=1, max_size=12))
def test_lines_in_are_rows_kept_and_lines_named(tmp_path: Path, fuzzed: list[bytes]) -> None:
    """Of any lines the good ones are kept, and each of the others has a problem with its number."""
    data = json.dumps(KEPT).encode() + b"\n" + b"\n".join(fuzzed)
    path = tmp_path / "m.jsonl"
    path.write_bytes(data)
    problems: list[Problem] = []
    kept = [line for table in manifest.read(path, problems) for line in table[LINE].to_pylist()]
    named = [problem.line for problem in problems if problem.line is not None]
    blank = [n for n, raw in enumerate(data.split(b"\n"), 1) if not raw.strip()]
    assert sorted([*kept, *named, *blank]) == list(range(1, data.count(b"\n") + 2))


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_that_is_too_long_is_named_plain_or_packed(home: Path, bring: Bring, packed: bool) -> None:
    some = rows()
    some[1]["text"] = "x" * 6_000_000
    data = "".join(json.dumps(row) + "\n" for row in some).encode()
    path = home / ("m.jsonl.gz" if packed else "m.jsonl")
    path.write_bytes(gzip.compress(data) if packed else data)
    corpus = bring(path)
    assert texts(corpus) == ["Satz 0.", "Satz 2."]
    assert [(p.line, "longer than" in p.what) for p in corpus.problems] == [(2, True)]


@pytest.mark.parametrize("others", [0, 1])
def test_a_key_without_a_name_keeps_its_row(home: Path, bring: Bring, others: int) -> None:
    some = [{**rows()[0], "": 1}, *rows()[1 : 1 + others]]
    corpus = bring(lines(home / "m.jsonl", some))
    assert len(corpus) == 1 + others
    assert corpus.page(0, 1)[0]["unnamed"] == 1
    assert (
        len(bring([{**row, "audio_filepath": str(home / row["audio_filepath"])} for row in some]))
        == 1 + others
    )
