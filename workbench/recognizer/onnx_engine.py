"""The streaming step in ONNX Runtime: the torch engine's front end, first chunk and tail, without NeMo.

Only what a network computes is another: subsampling, encoder with the prompt, predictor and joint run from
graphs that ``onnx_graphs`` wrote. Which features a chunk takes, what is dropped and what a tail counts is
inherited, so tokens and frames are the torch engine's, as ``onnx_parity`` proves for each checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.recognizer.chunk_decoder import Search, chosen
from workbench.recognizer.decoder import Decoded
from workbench.recognizer.engine import Engine
from workbench.recognizer.frontend import MelFrontend
from workbench.recognizer.onnx_graphs import FACTS, FORMAT, FRONTEND, GRAPHS

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from workbench.recognizer.stream import Caches

    Floats = NDArray[np.float32]


def read_facts(folder: Path) -> dict[str, Any]:
    """What ``onnx_graphs.write`` recorded.

    Raises:
        WorkbenchError: no graphs there, or of another format.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / FACTS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WorkbenchError("no ONNX graphs of the workbench here", where=str(folder)) from error
    if facts.get("format") != FORMAT:
        raise WorkbenchError("ONNX graphs of another version", where=str(folder), hint="Export them again.")
    return facts


class OnnxEngine(Engine):
    """As :class:`Engine`, from a folder of graphs.

    Args:
        folder: that ``onnx_graphs.write`` filled. ``threads``: of one step; 0 is as many as cores.
        int8: take the graphs whose weights were quantized, where they are there.

    Raises:
        WorkbenchError: no such graphs.
    """

    def __init__(self, folder: Path, threads: int = 1, int8: bool = False) -> None:
        import torch

        facts = read_facts(folder)
        self.facts, self.folder = facts, folder
        self.runtime = "onnx-int8" if int8 else "onnx"
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self.lock = threading.RLock()
        self.parameters, self.sample_rate = int(facts["parameters"]), int(facts["sample_rate"])
        self.subsampling, self.context_features = int(facts["subsampling"]), int(facts["context_features"])
        settings = dict(facts["featurizer"])
        self.hop = int(settings["hop_length"])
        self.frame_s = self.subsampling * self.hop / self.sample_rate
        with np.load(folder / FRONTEND, allow_pickle=False) as held:
            window, filters = torch.from_numpy(held["window"]), torch.from_numpy(held["filters"])
        guard = float(facts["log_zero_guard"])
        self.cannot_stream = None
        self._frontend = MelFrontend(
            SimpleNamespace(
                **settings, window=window, fb=filters[None], log_zero_guard_value_fn=lambda mel: guard
            )
        )
        self._rights = {int(right) for _, right in facts["contexts"]}
        self._graphs = {name: _session(folder, name, threads, int8) for name in GRAPHS}
        self.decoder: Any = OnnxDecoder(self._graphs["predictor"], self._graphs["joint"], facts)

    @property
    def boosts(self) -> Any:
        """None: boosting changes the search of the torch runtime.

        Raises:
            WorkbenchError: always.
        """
        raise WorkbenchError("boosting needs the torch runtime", hint="Use runtime='torch' or 'auto'.")

    def set_context(self, right: int) -> None:
        """One graph serves all look-aheads."""
        if right not in self._rights:
            raise WorkbenchError(f"the graphs have no look-ahead of {right} frames")

    @contextlib.contextmanager
    def _threads(self, streams: int) -> Iterator[None]:
        yield

    def _pre_encode(self, features: torch.Tensor) -> torch.Tensor:
        import torch

        time = features.shape[2]
        lengths = torch.full((features.shape[0],), time).numpy()
        given = {"features": features.transpose(1, 2).contiguous().numpy(), "lengths": lengths}
        [frames] = self._graphs["subsampling"].run(["frames"], given)
        return torch.from_numpy(frames)

    def _initial_caches(self) -> Caches:
        import torch

        layers, *channel = self.facts["cache_channel"]
        _, *time = self.facts["cache_time"]
        return (
            torch.zeros(layers, 1, *channel),
            torch.zeros(layers, 1, *time),
            torch.zeros(1, dtype=torch.int64),
        )

    def _layers(
        self, audio: torch.Tensor, lengths: torch.Tensor, caches: Caches, prompts: Sequence[int | None]
    ) -> tuple[torch.Tensor, torch.Tensor, Caches]:
        import torch

        channel, time, length = caches
        given = {
            "frames": audio.contiguous().numpy(),
            "lengths": lengths.numpy(),
            "cache_channel": channel.contiguous().numpy(),
            "cache_time": time.contiguous().numpy(),
            "cache_length": length.numpy(),
        }
        if self.facts["prompts"] is not None:
            if any(prompt_index is None for prompt_index in prompts):
                raise WorkbenchError("no locale was chosen", hint="Give a tag of the checkpoint, or auto.")
            given["prompt"] = torch.tensor([int(prompt_index or 0) for prompt_index in prompts]).numpy()
        found = self._graphs["encoder"].run(None, given)
        projected, *after = (torch.from_numpy(one) for one in found)
        return projected, lengths, (after[0], after[1], after[2])


@dataclass(frozen=True, slots=True)
class OnnxItem:
    """One stream's search: (layers, 1, width) twice, (1, 1, joint), its frames so far."""

    predictor_state: tuple[torch.Tensor, torch.Tensor]
    predictor_output: torch.Tensor
    decoded_length: int


@dataclass(frozen=True, slots=True)
class OnnxState:
    """Of streams searched as one batch: as of an item, with a row for each of them."""

    predictor_states: tuple[torch.Tensor, torch.Tensor]
    predictor_outputs: torch.Tensor
    decoded_lengths: tuple[int, ...]


class OnnxDecoder:
    """Greedy search over the predictor's and the joint's graphs, in the steps of :class:`ChunkDecoder`."""

    def __init__(self, predictor: Any, joint: Any, facts: dict[str, Any]) -> None:
        self._predictor, self._joint = predictor, joint
        self._blank, self._most = int(facts["blank"]), facts["max_symbols"]
        self._layers, self._width = facts["predictor"]

    def decode_chunk(
        self, projected: torch.Tensor, lengths: torch.Tensor, state: OnnxState | None
    ) -> tuple[list[Decoded], OnnxState]:
        """Tokens of a chunk and the state after it; ``state`` None is the start, and is left as it was.

        Args:
            projected: (B, frames, joint). ``lengths``: (B,) frames that count.
        """
        import torch

        state = self._start(len(projected)) if state is None else state
        output = state.predictor_outputs.numpy().copy()
        hidden = [part.numpy().copy() for part in state.predictor_states]
        search = Search(lengths.tolist(), self._blank, self._most)
        confidences = self._search(search, projected.numpy(), output, hidden)
        starts = state.decoded_lengths
        found = [
            Decoded(ids, [start + frame for frame in frames], sure)
            for ids, frames, sure, start in zip(search.ids, search.frames, confidences, starts, strict=True)
        ]
        after = tuple(start + count for start, count in zip(starts, lengths.tolist(), strict=True))
        states = (torch.from_numpy(hidden[0]), torch.from_numpy(hidden[1]))
        return found, OnnxState(states, torch.from_numpy(output), after)

    def _search(
        self, search: Search, projected: Floats, output: Floats, hidden: list[Floats]
    ) -> list[list[float]]:
        """Find every row's tokens; ``output`` and ``hidden`` become the predictor's after them."""
        sure: list[list[float]] = [[] for _ in search.counts]
        rows = search.unfinished(range(len(search.counts)))
        while rows:
            start = min(search.next[row] for row in rows)
            some = chosen(rows, len(projected))
            best, logits = self._joint.run(
                ["best", "logits"],
                {"projected": np.ascontiguousarray(projected[some, start:]), "predicted": output[some]},
            )
            labels = best.tolist()
            emitted = [
                (place, row) for place, row in enumerate(rows) if search.advance(row, labels[place], start)
            ]
            for place, row in emitted:
                sure[row].append(_confidence(logits[place, search.frames[row][-1] - start]))
            rows = [row for _, row in emitted]
            if not rows:
                break
            some = chosen(rows, len(projected))
            given = np.array([[search.ids[row][-1]] for row in rows])
            self._predict(given, some, output, hidden)
            rows = search.unfinished(rows)
        return sure

    def _predict(self, labels: NDArray[np.int64], some: Any, output: Floats, hidden: list[Floats]) -> None:
        before = [np.ascontiguousarray(part[:, some]) for part in hidden]
        given = {"labels": labels, "hidden": before[0], "cell": before[1]}
        output[some], hidden[0][:, some], hidden[1][:, some] = self._predictor.run(None, given)

    def _start(self, size: int) -> OnnxState:
        import torch

        zeros = np.zeros((self._layers, size, self._width), np.float32)
        given = {"labels": np.full((size, 1), self._blank), "hidden": zeros, "cell": zeros}
        output, hidden, cell = (torch.from_numpy(one) for one in self._predictor.run(None, given))
        return OnnxState((hidden, cell), output, (0,) * size)

    def merge(self, items: Sequence[OnnxItem | None], boosted: bool = False) -> OnnxState | None:
        """The batched state of single streams' items; None where no stream has decoded yet."""
        import torch

        if all(item is None for item in items):
            return None
        fresh = self._start(1)
        one = OnnxItem(fresh.predictor_states, fresh.predictor_outputs, 0)
        held = [one if item is None else item for item in items]
        hidden, cell = (torch.cat([item.predictor_state[part] for item in held], dim=1) for part in (0, 1))
        output = torch.cat([item.predictor_output for item in held])
        return OnnxState((hidden, cell), output, tuple(item.decoded_length for item in held))

    def split(self, state: OnnxState) -> list[OnnxItem]:
        """The items of a batched state, copied unless there is one."""
        hidden, cell = state.predictor_states
        if len(state.decoded_lengths) == 1:
            return [OnnxItem((hidden, cell), state.predictor_outputs, state.decoded_lengths[0])]
        return [
            OnnxItem((hidden[:, [row]], cell[:, [row]]), state.predictor_outputs[[row]], length)
            for row, length in enumerate(state.decoded_lengths)
        ]


def _confidence(logits: Floats) -> float:
    """NeMo's ``max_prob``: 0 where every label is as likely, 1 where one is certain."""
    best = float(1.0 / np.exp(logits - logits.max()).sum())
    return min(1.0, max(0.0, (best * logits.size - 1) / (logits.size - 1)))


def _session(folder: Path, name: str, threads: int, int8: bool) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    options.inter_op_num_threads = 1
    # Threads that wait must not take the processor from the work beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    path = folder / f"{name}.int8.onnx"
    path = path if int8 and path.is_file() else folder / f"{name}.onnx"
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own, without a common one
        raise WorkbenchError(
            f"cannot be run: {str(error)[:120]}", where=str(path), hint="Export again."
        ) from error
