"""Word boosting: a keyword list per session, with NeMo's own boosting tree and multi-model biasing.

Helps vocabulary (names, products, towns) before anything is trained. Phrases are tokenized by the
checkpoint's tokenizer, so write them as transcripts have them, capitals included.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workbench.errors import WorkbenchError
from workbench.recognizer.quiet import quiet_nemo

MAX_PHRASES = 10_000


@dataclass(frozen=True, slots=True)
class Boost:
    """Phrases to favor. ``weight``: 1 is NeMo's default; with much more they appear unsaid.

    A checkpoint that reads weakly wants less: of 37 words said to a half-trained starter, 3 were found
    without a list of 4 to 8 words, 10 with weight 0.5 (one appeared unsaid), 15 with 1 (10), 18 with 2 (27).
    """

    phrases: tuple[str, ...]
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.phrases or any(not phrase.strip() for phrase in self.phrases):
            raise WorkbenchError("the boosting list is empty or holds an empty phrase", hint="Give words.")
        if len(self.phrases) > MAX_PHRASES:
            raise WorkbenchError(f"{len(self.phrases)} phrases", hint=f"At most {MAX_PHRASES}.")
        if not 0 < self.weight <= 10:
            raise WorkbenchError(f"boosting weight {self.weight}", hint="Give a weight above 0, to 10.")

    @classmethod
    def of(cls, value: Boost | Iterable[str] | None) -> Boost | None:
        """A boost as it is, of a list of phrases, or of one phrase; None of nothing."""
        if value is None or isinstance(value, Boost):
            return value
        phrases = (value,) if isinstance(value, str) else tuple(value)
        return cls(tuple(dict.fromkeys(phrases))) if phrases else None


class BoostTable:
    """The boosting lists in use on one engine; a list that no stream uses any more is taken out.

    Args:
        decoding: NeMo's label looping with ``enable_per_stream_biasing``.
    """

    def __init__(self, decoding: Any, tokenizer: Any) -> None:
        self._decoding, self._tokenizer = decoding, tokenizer
        self._used: dict[Boost, list[Any]] = {}

    def attach(self, boost: Boost, stream: object) -> int:
        """The number of a list in the multi-model; held until ``stream`` is garbage."""
        from nemo.collections.asr.parts.context_biasing.biasing_multi_model import BiasingRequestItemConfig
        from nemo.collections.asr.parts.context_biasing.boosting_graph_batched import BoostingTreeModelConfig

        if boost not in self._used:
            tree = BoostingTreeModelConfig(key_phrases_list=list(boost.phrases))
            item = BiasingRequestItemConfig(boosting_model_cfg=tree, boosting_model_alpha=boost.weight)
            with quiet_nemo():
                item.add_to_multi_model(self._tokenizer, self._decoding.biasing_multi_model)
            self._used[boost] = [item, 0]
        self._used[boost][1] += 1
        weakref.finalize(stream, _release, weakref.ref(self), boost)
        return int(self._used[boost][0].multi_model_id)

    def __len__(self) -> int:
        return len(self._used)

    def release(self, boost: Boost) -> None:
        """One stream less uses it."""
        self._used[boost][1] -= 1
        if self._used[boost][1] == 0:
            item, _ = self._used.pop(boost)
            item.remove_from_multi_model(self._decoding.biasing_multi_model)


def _release(table: weakref.ref[BoostTable], boost: Boost) -> None:
    found = table()
    if found is not None:
        found.release(boost)
