"""Drafts: transcripts that a model made and a person accepts or corrects before they are a reference.

A draft is a prediction. The row keeps no transcript until somebody accepts or corrects the draft; only then
there is a text that exports, training and evaluation see, and the decision says what it was drafted by, who
made it a reference, and how long that took. A share of the clips is given to a second reviewer, who sees
neither the first one's words nor, by default, any draft.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.corpus.quality.listening_order import given_or_fitted
from workbench.corpus.quality.text_checks import disagreement
from workbench.corpus.review.agreement import agreement
from workbench.corpus.review.provenance import after, provenance, reason_of
from workbench.errors import WorkbenchError
from workbench.ingest import not_speech
from workbench.language_tags import with_tags
from workbench.names import current_user
from workbench.signatures import public
from workbench.views import Widget, view

if TYPE_CHECKING:
    from workbench.corpus.query.table import Corpus

DISAGREES, UNSURE, RARE = 2.0, 1.0, 0.5
"""What two drafts that share no word, a draft of no confidence, and the rarest accent add to the order."""
_SILENT = f"or tag it {not_speech.TAG!r} and accept it where silence is meant"
COMMON = 0.75
"""An accent that a quarter of the clips at most have is rare."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a reviewer is shown of one clip.

    Attributes:
        id: of the clip. text: the draft; empty for a second reviewer, who works blind.
        words: word, start and end in seconds of the clip, confidence, and whether it is uncertain.
        second: what the other checkpoint made of it, where there are two.
        blind: this is the clip's second transcription.
    """

    id: str
    text: str
    words: tuple[Mapping[str, Any], ...] = ()
    second: str | None = None
    blind: bool = False


@public
class Drafts:
    """The drafts of a corpus and the work on them."""

    def __init__(
        self,
        corpus: Corpus,
        name: str,
        second: str | None = None,
        *,
        twice: float = 0.1,
        uncertain: float | None = None,
        seed: int = 0,
    ) -> None:
        """
        Args:
            corpus: the rows that are drafted.
            name: of the prediction that holds the drafts. second: of another model's on the same clips.
            twice: share of the clips that two reviewers transcribe apart, 0 to 1, chosen by id and seed.
            uncertain: words of less confidence are shown as uncertain; default: the line that was fitted for
                the checkpoint (``ws.calibrate``), else 0.6.
            seed: of the choice.

        Raises:
            WorkbenchError: no such prediction, a share or a confidence that is none.
        """
        if not 0 <= twice <= 1:
            raise WorkbenchError(f"twice={twice}", hint="A share of the clips, 0 to 1.")
        self.corpus, self.name, self.second_name = corpus, name, second
        self.twice, self.seed = twice, seed
        drafted = corpus.prediction(name)
        self._drafts = _by_id(drafted)
        self.line = given_or_fitted(corpus.folder, drafted, uncertain)
        self._second = _by_id(corpus.prediction(second)) if second is not None else {}

    def __repr__(self) -> str:
        line = f"words below {self.uncertain:g} are uncertain ({self.line.source})"
        return f"<Drafts of {self.corpus.name} by {self.name}: {len(self._drafts):,} clips; {line}>"

    @property
    def uncertain(self) -> float:
        """Words of less confidence are shown as uncertain; ``line`` says where it comes from."""
        return self.line.below

    def queue(self, *, reviewer: str | None = None, second: bool = False) -> pd.DataFrame:
        """The clips that a reviewer has still to do, those most worth it first.

        Args:
            reviewer: whose; the current user by default.
            second: instead the clips that another reviewer has transcribed and that are to be done twice.

        Returns:
            DataFrame ``id, target_lang, accent, duration, disagreement`` (character edits between the two
            drafts, over length; null without a second), ``confidence, rare`` (the accent), ``priority``.
            First where two drafts disagree, then where confidence is low and accents are rare.
        """
        who = reviewer or current_user()
        rows = self.corpus.frame(["id", "target_lang", "accent", "duration", "status", "text"])
        done, by_others = self._transcribed(who)
        rows = rows[rows["id"].isin(list(self._drafts)) & ~rows["id"].isin(done)]
        if second:
            rows = rows[rows["id"].isin(by_others & set(self.twice_ids()))]
        else:
            untouched = rows["text"].isna() | (rows["text"].str.strip() == "")
            rows = rows[untouched & (rows["status"] == "pending") & ~rows["id"].isin(by_others)]
        return self._ranked(rows.drop(columns=["status", "text"]))

    def twice_ids(self) -> list[str]:
        """The clips that two reviewers transcribe: the same for the same share and seed."""
        limit = int(self.twice * 2**64)
        return [id for id in self._drafts if _hashed(f"{self.seed}/{id}") < limit]

    def draft(self, id: str, *, reviewer: str | None = None, blind: bool | None = None) -> Draft:
        """What a reviewer is shown of a clip: never another reviewer's words.

        Args:
            id: of the clip.
            reviewer: who looks; the current user by default.
            blind: without the draft; default: where another reviewer has transcribed the clip before.

        Raises:
            WorkbenchError: there is no draft of this clip.
        """
        found = self._known(id)
        if blind is None:
            blind = id in self._transcribed(reviewer or current_user())[1]
        if blind:
            return Draft(id, "", blind=True)
        other = self._second.get(id)
        return Draft(id, _text(found), self._words(found), None if other is None else _text(other))

    def holds(self, id: str) -> bool:
        """Whether there is a draft of a clip."""
        return id in self._drafts

    def made(self, id: str, reviewer: str | None = None) -> dict[str, Any] | None:
        """What a clip's reference came of, as :meth:`provenance` has it; None before there is one.

        Args:
            id: of the clip.
            reviewer: only what this one made of the draft; anybody by default.
        """
        found = None
        for event in self.corpus.decisions.history(id):
            if event.field == "text" and event.stands and reviewer in (None, event.reviewer):
                found = after(found, event)
        return found

    def accept(self, id: str, *, seconds: float, reviewer: str | None = None) -> list[int]:
        """The draft is right as it is: it becomes the reference, and the clip is accepted.

        A clip that is declared without speech is accepted without a text: what a model wrote was never said.

        Args:
            seconds: that the reviewer spent on it.
            id, reviewer: as :meth:`draft` takes them.

        Returns:
            the numbers of the events, which one undo takes back together.

        Raises:
            WorkbenchError: there is no draft of this clip, or it is empty.
        """
        text, row = _text(self._known(id)), self.corpus.row(id)
        if not_speech.is_declared(row.get(not_speech.COLUMN), row.get("tags")):
            return [self.corpus.decisions.accept(id, reviewer=reviewer)]
        if not text:
            raise WorkbenchError("an empty draft", where=id, hint=f"Correct it, reject the clip, {_SILENT}.")
        return self._reference(id, text, "accepted", seconds, reviewer)

    def correct(self, id: str, text: str, *, seconds: float, reviewer: str | None = None) -> list[int]:
        """The reference is what the reviewer wrote, drafted or blind; the clip is accepted.

        Raises:
            WorkbenchError: there is no draft of this clip, or no text.
        """
        self._known(id)
        if not text.strip():
            raise WorkbenchError("no text", where=id, hint=f"Reject the clip, {_SILENT}.")
        return self._reference(id, text, "corrected", seconds, reviewer)

    def reject(self, id: str, reason: str, *, reviewer: str | None = None) -> int:
        """The clip is not fit for use, and why."""
        self._known(id)
        return self.corpus.decisions.reject(id, reason, reviewer=reviewer)

    def provenance(self) -> pd.DataFrame:
        """Of each reference that came of a draft: ``id, drafted_by, checkpoint_sha256`` (its first digits),
        ``corrected`` (else accepted as it was), ``reviewer, at`` (the last hand) and ``seconds`` in all."""
        return provenance(self.corpus)

    def board(
        self, *, names: Sequence[str] = (), reviewer: str | None = None, second: bool = False
    ) -> Widget:
        """The board for this work: drafts with their doubts, the clips most worth it first, seconds counted.

        Args:
            names: of people, places, accounts: marked as personal data, beside numbers, e-mail and cards.
            reviewer: who works; the current user by default.
            second: the clips that are to be transcribed twice, without a draft or the first one's words.
        """
        who = reviewer or current_user()
        corpus = self.corpus.pick(self.queue(reviewer=who, second=True)["id"]) if second else self.corpus
        made: Widget = view("board").Board(
            corpus,
            reviewer=who,
            order_by="priority",
            blind=second,
            predictions=self.name,
            drafts=self,
            names=names,
        )
        return made

    def agreement(self, *, normalizer: str = "basic") -> pd.DataFrame:
        """How far reviewers agree, by locale and pair; see :func:`workbench.corpus.review.agreement`."""
        return agreement(self.corpus, normalizer=normalizer)

    def minutes_an_hour(self) -> float | None:
        """Minutes of review that an hour of speech took so far; None before the first."""
        spent = self.provenance()
        rows = self.corpus.frame(["id", "duration"]).set_index("id")["duration"]
        hours = float(rows.reindex(spent["id"]).sum()) / 3600
        return float(spent["seconds"].sum()) / 60 / hours if hours else None

    def _known(self, id: str) -> Mapping[str, Any]:
        if id not in self._drafts:
            raise WorkbenchError(f"no draft of {id[:80]!r}", where=self.name)
        return self._drafts[id]

    def _words(self, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
        held = row.get("words")
        found: Sequence[Any] = [] if held is None else list(held)
        return tuple({**dict(word), "uncertain": self._is_uncertain(word)} for word in found)

    def _is_uncertain(self, word: Mapping[str, Any]) -> bool:
        """Whether a word is less sure than the line; no where the engine states no confidence."""
        sure = word.get("confidence")
        return sure is not None and float(sure) < self.uncertain

    def _reference(self, id: str, text: str, what: str, seconds: float, reviewer: str | None) -> list[int]:
        if not 0 <= seconds < 86_400:
            raise WorkbenchError(f"seconds={seconds}", hint="The time spent on the clip.")
        sha = str(self._known(id).get("checkpoint_sha256") or "")[:12]
        blind = id in self._transcribed(reviewer or current_user())[1]
        reason = reason_of(self.name, sha, what, seconds, blind=blind)
        store = self.corpus.decisions
        return store.edit_together(id, {"text": text}, accept=True, reason=reason, reviewer=reviewer)

    def _transcribed(self, who: str) -> tuple[set[str], set[str]]:
        """Clips that a reviewer has given a text, and those that others have."""
        mine, others = set[str](), set[str]()
        for clip, name, reviewer, value in self.corpus.decisions.words_of_reviewers():
            if name == "text" and value is not None:
                (mine if reviewer == who else others).add(clip)
        return mine, others

    def _ranked(self, rows: pd.DataFrame) -> pd.DataFrame:
        counts = rows["accent"].fillna("").value_counts(normalize=True)
        made = []
        for row in rows.to_dict("records"):
            draft, other = self._drafts[row["id"]], self._second.get(row["id"])
            differs = None if other is None else disagreement(_text(draft), row["target_lang"], _text(other))
            confidence = draft.get("confidence")
            sure = float(confidence) if confidence is not None and confidence == confidence else 0.0
            rare = 1.0 - float(counts[row["accent"] or ""]) if row["accent"] == row["accent"] else 0.0
            priority = DISAGREES * min(1.0, differs or 0.0) + UNSURE * (1 - sure) + RARE * rare
            made.append({**row, "disagreement": differs, "confidence": sure, "priority": round(priority, 4),
                         "rare": bool(row["accent"]) and rare >= COMMON})  # fmt: skip
        columns = [
            "id",
            "target_lang",
            "accent",
            "duration",
            "disagreement",
            "confidence",
            "rare",
            "priority",
        ]
        found = pd.DataFrame(made, columns=columns)
        return found.sort_values(["priority", "id"], ascending=[False, True]).reset_index(drop=True)


def _by_id(prediction: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {str(row["id"]): row for row in prediction.to_dict("records")}


def _text(row: Mapping[str, Any]) -> str:
    """What a prediction says of a clip, a tag at the end of each run where it holds several languages."""
    said = row.get("hypothesis")
    spans, words = ([] if row.get(name) is None else list(row[name]) for name in ("spans", "words"))
    if len({span["lang"] for span in spans if span["lang"] is not None}) < 2:
        return said.strip() if isinstance(said, str) else ""
    runs = [(_joined(words[span["start_word"] : span["end_word"]]), span["lang"]) for span in spans]
    return with_tags(runs)


def _joined(words: Sequence[Mapping[str, Any]]) -> str:
    return "".join(f"{'' if word.get('glued') else ' '}{word['word']}" for word in words).strip()


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
