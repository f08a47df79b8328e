"""What the reviewers of a corpus say of its clips, where they differ, and who may settle it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.corpus.review.decisions import differ
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.corpus.query.table import Corpus
    from workbench.corpus.review.decisions import Conflict


class Opinions:
    """The words on a corpus's clips as one reviewer may see them: in a blind review, no other's."""

    def __init__(self, corpus: Corpus, reviewer: str) -> None:
        self._decisions, self.reviewer = corpus.decisions, reviewer
        self.blind = self._decisions.only is not None
        self._version = -1
        self._conflicts: dict[str, list[Conflict]] = {}
        self._agreement: dict[str, Any] = {}

    def disputed(self) -> set[str]:
        """Clips on which two reviewers differ and nobody has settled it."""
        self._catch_up()
        return set(self._conflicts)

    def figures(self) -> dict[str, Any]:
        """``disputed`` clips, and the ``agreement`` of reviewers: ``clips, agreed, kappa``."""
        self._catch_up()
        return {"disputed": len(self._conflicts), "agreement": self._agreement}

    def of(self, clip: str) -> dict[str, Any]:
        """``others``: the other reviewers' latest words on a clip, each with whether it ``differs`` from this
        reviewer's own; ``dispute``: the fields that reviewers differ on, with ``words`` of each, and whether
        this reviewer is a ``party``."""
        words: dict[tuple[str, str], Any] = {}
        for event in self._decisions.history(clip):
            if not event.stands or event.field is None or event.field.startswith("tag:"):
                continue
            if event.action == "resolve":  # what was said before no longer counts
                words = {key: word for key, word in words.items() if key[1] != event.field}
            words[event.reviewer, event.field] = event
        others = [
            {"reviewer": who, "field": name, "value": word.value, "reason": word.reason, "at": word.at}
            | {
                "differs": (own := words.get((self.reviewer, name))) is not None
                and differ((own.value, word.value))
            }
            for (who, name), word in words.items()
            if who != self.reviewer
        ]
        dispute = []
        for field in dict.fromkeys(name for _, name in words):
            said = {who: word for (who, name), word in words.items() if name == field}
            if differ(word.value for word in said.values()):
                listed = [
                    {"reviewer": who, "value": word.value, "reason": word.reason}
                    for who, word in said.items()
                ]
                dispute.append({"field": field, "words": listed, "party": self.reviewer in said})
        return {"others": others, "dispute": dispute}

    def check_settling(self, clip: str, field: str, value: object) -> None:
        """Nobody is the judge of their own word.

        Raises:
            WorkbenchError: this reviewer is one of those who differ, and would make the own word hold.
        """
        for conflict in self._decisions.conflicts() if not self.blind else ():
            own = conflict.views.get(self.reviewer)
            if (conflict.id, conflict.field) == (clip, field) and own is not None and own[0] == value:
                raise WorkbenchError(
                    "you are one of the reviewers who differ",
                    hint="A third reviewer decides; or take the other word.",
                )

    def _catch_up(self) -> None:
        version = self._decisions.version()
        if self.blind or version == self._version:
            return
        found: dict[str, list[Conflict]] = {}
        for conflict in self._decisions.conflicts():
            found.setdefault(conflict.id, []).append(conflict)
        self._conflicts, self._agreement = found, dict(self._decisions.agreement())
        self._version = version
