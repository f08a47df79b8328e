"""Batches exactly as the plan lists them, from any step on."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from workbench.errors import Problem, WorkbenchError
from workbench.finetuning.resources import CACHE_MB
from workbench.finetuning.sounds import SAMPLE_RATE, problem_of, read_audio, refuse_dense
from workbench.recognizer.conditions import Condition

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from workbench.finetuning.recipe import Augmentation, Recipe
    from workbench.finetuning.rows import Utterance

log = logging.getLogger("workbench.finetuning.data")


def _resample(pcm: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    resampled: NDArray[np.float32] = soxr.resample(pcm, rate, SAMPLE_RATE, quality="HQ")
    return resampled


class AudioCache:
    """Decoded utterances; the longest unused are let go first."""

    def __init__(self, limit_mb: float = CACHE_MB) -> None:
        self._left = limit_mb * 1e6
        self._held: OrderedDict[tuple[Any, ...], NDArray[np.float32]] = OrderedDict()

    def read(self, utterance: Utterance) -> NDArray[np.float32]:
        """As ``read_audio``; the array must not be written to."""
        key = str(utterance.audio), utterance.offset_s, utterance.duration_s, utterance.channel
        found = self._held.pop(key, None)
        if found is None:
            found = read_audio(utterance)
            self._left -= found.nbytes
            while self._left < 0 and self._held:
                self._left += self._held.popitem(last=False)[1].nbytes
        self._held[key] = found
        return found

    def __len__(self) -> int:
        return len(self._held)


def augment(pcm: NDArray[np.float32], chosen: Augmentation, rng: np.random.Generator) -> NDArray[np.float32]:
    """Speed, then noise, gain and telephone line, each drawn from ``rng``."""
    speed = float(rng.choice(chosen.speeds))
    gain_db = float(rng.uniform(-1, 1)) * chosen.gain_db
    noisy, narrow = rng.random(2) < (chosen.noise_share, chosen.telephone_share)
    low_db, high_db = chosen.noise_snr_db
    snr_db, noise_seed = float(rng.uniform(low_db, high_db)), int(rng.integers(1 << 31))
    if speed != 1:
        pcm = _resample(pcm, SAMPLE_RATE * speed)
    condition = Condition(
        snr_db=snr_db if noisy else None, gain_db=gain_db, telephone=bool(narrow), seed=noise_seed
    )
    changed: NDArray[np.float32] = condition.apply(pcm, SAMPLE_RATE)
    return changed


class PlanBatches(IterableDataset):  # type: ignore[misc]
    """Batches of the plan from ``first_step`` on, as NeMo's prompt model takes them.

    Each is (signal ``(B, T)``, signal lengths ``(B,)``, tokens ``(B, U)``, token lengths ``(B,)``,
    prompt indices ``(B,)``). What cannot be trained on is left out and noted through ``on_problem``, once;
    a batch of which nothing is left gives way to the next one that has something.
    """

    def __init__(
        self,
        plan: pd.DataFrame,
        sources: Sequence[Sequence[Utterance]],
        recipe: Recipe,
        tokenize: Callable[[str], list[int]],
        prompts: dict[str, int],
        *,
        first_step: int = 0,
        rank: int = 0,
        untagged: frozenset[str] = frozenset(),
        frame_s: float = 0.08,
        on_problem: Callable[[Problem], None] = lambda problem: None,
    ) -> None:
        super().__init__()
        self.sources, self.recipe, self.tokenize, self.prompts = sources, recipe, tokenize, prompts
        self.on_problem, self.untagged, self.frame_s = on_problem, untagged, frame_s
        self._told: set[tuple[int, int]] = set()
        self._cache = AudioCache(CACHE_MB / max(1, recipe.loader_workers))
        kept = plan[(plan["step"] >= first_step) & (plan["part"] % recipe.ranks == rank)]
        self._uses = kept[["step", "part", "source", "row"]].to_numpy(dtype=np.int64)
        self._prompt_indices = kept["prompt"].map(prompts).to_numpy(dtype=np.int64)
        keys = self._uses[:, 0] * (recipe.accumulate * recipe.ranks) + self._uses[:, 1]
        edges = np.flatnonzero(np.diff(keys)) + 1
        self._edges = [0, *edges.tolist(), len(kept)] if len(kept) else [0]

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for at in range(first, len(self._edges) - 1, stride):
            yield self._readable(at)

    def _readable(self, at: int) -> tuple[torch.Tensor, ...]:
        """The batch at a place of the plan, or the next after it of which anything can be read."""
        count = len(self._edges) - 1
        for place in range(at, at + count):
            number = place % count
            batch = self._batch(self._edges[number], self._edges[number + 1])
            if batch is not None:
                return batch
            if place == at:
                step = int(self._uses[self._edges[at]][0])
                what = f"nothing of a batch of step {step} can be read; the next batch takes its place"
                self.on_problem(Problem("plan.parquet", what, field="audio_filepath"))
        raise WorkbenchError(
            "no utterance of the run can be read", hint="See problems.jsonl in the run folder."
        )

    def _batch(self, begin: int, end: int) -> tuple[torch.Tensor, ...] | None:
        signals, tokens, prompt_indices = [], [], []
        for position in range(begin, end):
            step, part, source, row = (int(value) for value in self._uses[position])
            utterance = self.sources[source][row]
            rng = np.random.default_rng([self.recipe.seed, 3, step, part, position - begin])
            try:
                signal = augment(self._cache.read(utterance), self.recipe.augmentation, rng)
                closing = utterance.closing_locale
                tag = "" if closing in self.untagged else f" <{closing}>"
                pieces = self.tokenize((utterance.label + tag).strip()) if utterance.label or tag else []
                refuse_dense(len(pieces), len(signal) / SAMPLE_RATE, self.frame_s, utterance.audio.name)
            except WorkbenchError as error:
                if (source, row) not in self._told:
                    self._told.add((source, row))
                    self.on_problem(problem_of(utterance, error))
                continue
            signals.append(torch.from_numpy(signal))
            tokens.append(torch.tensor(pieces, dtype=torch.int64))
            prompt_indices.append(int(self._prompt_indices[position]))
        if not signals:
            return None
        return collate(signals, tokens, prompt_indices)


def collate(
    signals: list[torch.Tensor], tokens: list[torch.Tensor], prompt_indices: list[int]
) -> tuple[torch.Tensor, ...]:
    """Pad signals and tokens to the longest with zeros."""
    return (
        torch.nn.utils.rnn.pad_sequence(signals, batch_first=True),
        torch.tensor([len(signal) for signal in signals]),
        torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True),
        torch.tensor([len(piece) for piece in tokens]),
        torch.tensor(prompt_indices),
    )


def loader(batches: PlanBatches) -> Any:
    """Lightning's loader: order is the plan's, whatever the number of worker processes."""
    workers = batches.recipe.loader_workers
    return DataLoader(batches, batch_size=None, num_workers=workers, persistent_workers=workers > 0)
