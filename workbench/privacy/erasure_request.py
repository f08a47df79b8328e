"""What an erasure is about: whose traces are looked for, and what a trace is."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from workbench.privacy.trie import any_of

Kind = Literal["speaker", "recording", "source", "expired"]
Action = Literal["drop rows", "drop lines", "erase decisions", "delete", "silence", "mark", "leave"]
SHORTEST_TEXT = 12
SHORTEST_ID, SHORTEST_NAME = 8, 3
"""Shorter transcripts ("Yes."), ids and names are not searched for in text; their rows are found by field."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Something that holds traces. ``where`` names the room: audio, table, predictions, export …;
    ``count``: rows, lines or files; ``why``: for what stays, why it does."""

    where: str
    path: Path
    action: Action
    count: int = 1
    why: str = ""


@dataclass
class Target:
    """Whose traces are looked for: utterances by corpus, and the strings that give them away. Complete once
    ``select`` returns it; what is derived is then kept."""

    kind: Kind
    value: str
    ids: dict[str, list[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    clips: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def all_ids(self) -> set[str]:
        return {clip for clips in self.ids.values() for clip in clips}

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """The strings as they stand in text files, as whole words: plain, as HTML and as JSON write them.

        Short ids and names are left out, since "12" or "Al" stand in any file; their rows are found by field.
        """
        ids = {i for i in self.all_ids if len(i) >= SHORTEST_ID}
        plain = ids | {n for n in self.names if len(n) >= SHORTEST_NAME} | self.long_texts
        forms = {form for text in plain for form in (text, html.escape(text), json.dumps(text)[1:-1])}
        if not forms:
            return re.compile(rb"(?!)")
        words = any_of(form.encode() for form in forms)
        return re.compile(rb"(?<![\w])" + words + rb"(?![\w])")

    def ids_of(self, corpus: str | None) -> set[str]:
        """Ids in one corpus; outside of any, those of all."""
        return self.all_ids if corpus is None else set(self.ids.get(corpus, ()))

    def matches(self, record: Mapping[str, Any], corpus: str | None) -> bool:
        """Whether a row is one of the utterances, or names one."""
        if str(record.get("id", "")) in self.ids_of(corpus):
            return True
        return any(isinstance(v, str) and (v in self.names or v in self.long_texts) for v in record.values())

    @cached_property
    def long_texts(self) -> set[str]:
        return {t for t in self.texts if len(t) >= SHORTEST_TEXT}
