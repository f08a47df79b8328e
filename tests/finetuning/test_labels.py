"""What a training row teaches: its text, a tag for each language in it, and nothing unsaid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.errors import Problem
from workbench.finetuning import Source
from workbench.finetuning.rows import Utterance, read_source

PROMPTS = ["es-US", "en-US", "el-GR", "auto"]


def read(tmp_path: Path, text: str, tag: str) -> tuple[list[Utterance], list[Problem]]:
    (tmp_path / "a.wav").write_bytes(b"")
    row = {"audio_filepath": "a.wav", "duration": 2.0, "text": text, "target_lang": tag, "id": "a"}
    (tmp_path / "m.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    problems: list[Problem] = []
    return read_source(Source(str(tmp_path / "m.jsonl")), PROMPTS, problems, (0, 100)), problems


@pytest.mark.parametrize(
    ("text", "label", "closing"),
    [
        ("Buenos días. <es-US>", "Buenos días.", "es-US"),
        ("Buenos días.", "Buenos días.", "es-US"),
        ("Buenos<es-US>días. <es-US>", "Buenos días.", "es-US"),
        ("Buenos días. <es-US> Thank you. <en-US>", "Buenos días. <es-US> Thank you.", "en-US"),
        ("Good morning. <en-US> Buenos días.", "Good morning. <en-US> Buenos días.", "es-US"),
    ],
)
def test_a_row_that_switches_languages_keeps_its_tags(
    tmp_path: Path, text: str, label: str, closing: str
) -> None:
    [row], problems = read(tmp_path, text, "es-US")
    assert not problems
    assert (row.label, row.closing_locale, row.locale) == (label, closing, "es-US")
    assert "<" not in row.text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Buenos días. <en-US>", "the transcript ends in <en-US>, the row says es-US"),
        ("Buenos días. <es-419>", "the transcript holds <es-419>, no tag of this checkpoint"),
        ("Buenos <auto> días. <es-US>", "the transcript holds <auto>, no tag of this checkpoint"),
        ("<|es|> Buenos días.", "the transcript holds <|es|>, no tag of this checkpoint"),
        (
            "Guten Tag. <de-DE> Buenos días. <es-US>",
            "the transcript holds <de-DE>, no tag of this checkpoint",
        ),
    ],
)
def test_what_would_be_trained_unsaid_leaves_the_row_out(tmp_path: Path, text: str, what: str) -> None:
    rows, problems = read(tmp_path, text, "es-US")
    assert not rows
    assert [(p.what, p.field, p.line) for p in problems] == [(what, "text", 1)]
