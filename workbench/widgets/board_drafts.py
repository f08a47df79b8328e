"""Drafts on the board: their words, which of them are uncertain, and the order to work in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from rapidfuzz.distance import Levenshtein

from workbench.corpus.quality.listening_order import OVERHEAD_S
from workbench.errors import WorkbenchError
from workbench.privacy.bleeping import DROP_TAG, kept_tag
from workbench.privacy.personal_data import PersonalSpan, find_personal
from workbench.text import normalize

if TYPE_CHECKING:
    from workbench.corpus.review.drafts import Draft, Drafts

LOW, DIFFERENT = 0.7, 0.001


class BoardDrafts:
    """The drafts that a board works on.

    Args:
        drafts: of its corpus.
        names: of people, places, accounts that count as personal data.
        reviewer: who works.
        second: the work is the second, blind transcription.
    """

    def __init__(self, drafts: Drafts, names: Sequence[str], reviewer: str, *, second: bool = False) -> None:
        self.drafts, self.names, self.reviewer, self.second = drafts, tuple(names), reviewer, second

    def of(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the board shows of a row's draft; None where there is none.

        Returns:
            ``by``, ``second_by``, ``blind``, ``text``; ``words`` and ``second``: lists of ``word`` with
            ``start, end, confidence, uncertain`` (of the draft's) and ``differs``; ``threshold`` and where it
            comes from; ``personal``: ``kind,
            text, first, last`` (numbers of words), ``keep`` and ``tag``; ``drop``: the clip is left out of
            copies; ``made``: what the reference came of (``drafted_by, corrected, reviewer, seconds``), None
            before there is one.
        """
        clip = str(row["id"])
        try:
            draft = self.drafts.draft(clip, reviewer=self.reviewer, blind=self.second)
        except WorkbenchError:
            return None
        words, second = _compared(draft, row.get("target_lang"))
        tags = list(row.get("tags") or ())
        return {
            "by": self.drafts.name, "second_by": self.drafts.second_name, "blind": draft.blind,
            "text": draft.text, "words": words, "second": second, "threshold": self.drafts.uncertain,
            "threshold_from": self.drafts.line.source,
            "personal": [] if draft.blind else self._personal(row, draft, words, tags),
            "drop": DROP_TAG in tags, "drop_tag": DROP_TAG, "made": self.drafts.made(clip, self.reviewer),
        }  # fmt: skip

    def holds(self, clip: str) -> bool:
        """Whether there is a draft of a clip."""
        return self.drafts.holds(clip)

    def text_of(self, clip: str) -> str:
        """The draft as the table shows it: empty where the reviewer works blind, or where there is none."""
        try:
            return self.drafts.draft(clip, reviewer=self.reviewer, blind=self.second).text
        except WorkbenchError:
            return ""

    def queue(self, shown: Callable[[str], bool], minutes: float = 0.0) -> pd.DataFrame:
        """``id, why, minutes`` (summed up) of the clips that are still to do, in the order to do them.

        Args:
            shown: whether a clip is in the view.
            minutes: only those that fit into so many; 0 for all.
        """
        found = self.drafts.queue(reviewer=self.reviewer, second=self.second)
        found = found[[shown(clip) for clip in found["id"]]]
        seconds = found["duration"].fillna(0.0) + OVERHEAD_S
        why = [_why(row) for row in found.to_dict("records")]
        made = pd.DataFrame({"id": found["id"], "why": why, "minutes": seconds.cumsum() / 60})
        return made[made["minutes"] <= minutes] if minutes else made

    def reference(self, action: str, clip: str, text: str | None, seconds: float) -> list[int]:
        """Accept the draft as it is, or make what was written the reference; the numbers of the events."""
        shown = self.drafts.draft(clip, reviewer=self.reviewer, blind=self.second)
        same = text is None or text.strip() == shown.text
        if action == "accept" and shown.blind:
            raise WorkbenchError("no draft is shown here", where=clip, hint="Write what you hear: key E.")
        if same and not shown.blind:
            return self.drafts.accept(clip, seconds=seconds, reviewer=self.reviewer)
        return self.drafts.correct(clip, text or "", seconds=seconds, reviewer=self.reviewer)

    def waits(self, row: Mapping[str, Any]) -> bool:
        """Whether a row has a draft and no reference yet."""
        return not row.get("text") and self.drafts.holds(str(row["id"]))

    def _personal(
        self, row: Mapping[str, Any], draft: Draft, words: Sequence[Mapping[str, Any]], tags: Sequence[str]
    ) -> list[dict[str, Any]]:
        text = draft.text
        spans = find_personal(text, row.get("target_lang"), self.names)
        places = _places(text, [str(word["word"]) for word in words])
        found = []
        for span in spans:
            said = text[span.start : span.end]
            inside = [n for n, place in enumerate(places) if _meets(place, span)]
            tag = kept_tag(said)
            found.append(
                {"kind": span.kind, "text": said, "tag": tag, "keep": tag in tags,
                 "first": inside[0] if inside else None, "last": inside[-1] if inside else None}
            )  # fmt: skip
        return found


def _compared(draft: Draft, locale: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The words of a draft and of the second, each with whether the other has another word in its place."""
    plain = [{"word": word} for word in draft.text.split()]
    words = [{**word, "differs": False} for word in (draft.words or plain)]
    if draft.second is None:
        return words, []
    second = [{"word": word, "differs": False} for word in draft.second.split()]
    tag = locale if isinstance(locale, str) else None
    one, other = ([normalize(str(word["word"]), tag) for word in side] for side in (words, second))
    for part in Levenshtein.opcodes(one, other):
        if part.tag != "equal":
            for word in words[part.src_start : part.src_end] + second[part.dest_start : part.dest_end]:
                word["differs"] = True
    return words, second


def _places(text: str, words: Sequence[str]) -> list[tuple[int, int] | None]:
    """Where in a text its words stand, one after the other; None for one that is not found."""
    found: list[tuple[int, int] | None] = []
    at = 0
    for word in words:
        start = text.find(word, at)
        found.append(None if start < 0 else (start, start + len(word)))
        at = at if start < 0 else start + len(word)
    return found


def _meets(place: tuple[int, int] | None, span: PersonalSpan) -> bool:
    return place is not None and place[0] < span.end and place[1] > span.start


def _why(row: Mapping[str, Any]) -> str:
    differs, sure = row["disagreement"], float(row["confidence"])
    found = []
    if differs is not None and differs == differs and differs > DIFFERENT:
        found.append("the drafts disagree")
    if sure < LOW:
        found.append("low confidence")
    if row["rare"]:
        found.append("rare accent")
    return ", ".join(found)
