"""Greedy transducer search over the few frames of a chunk, for CPUs.

The same search as NeMo's label looping, with fewer and larger steps: the joint is asked about all frames of
the chunk at once, so that blanks cost nothing more, and the predictor runs for tokens only (label looping
runs it once more at the end of a chunk). Whole clips would make the joint's tensor large, and a GPU would
wait for the decisions that are taken here in Python: both stay with NeMo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    Found = list[tuple[list[int], list[int], list[float]]]

CHUNK_FRAMES = 16
"""Encoder frames up to which a chunk is searched as one; the longest of the released class has 14."""


class ChunkDecoder:
    """The search over one model.

    Args:
        computer: NeMo's label looping, whose predictor, joint, confidence and states are used.
    """

    def __init__(self, computer: Any) -> None:
        self._computer, self._joint, self._predictor = computer, computer.joint, computer.decoder

    @staticmethod
    def suits(model: Any) -> bool:
        """Whether the model is on CPU and its predictor an LSTM, whose states are (layers, batch, width)."""
        return bool(model.device.type == "cpu" and type(model.decoder).__name__ == "RNNTDecoder")

    def decode(self, encoded: torch.Tensor, lengths: torch.Tensor, state: Any) -> tuple[Found, Any]:
        """Token numbers, frames from the start of the stream and confidences of each row, and the new state.

        Args:
            encoded: (batch, frames, d_model), at most :data:`CHUNK_FRAMES`; ``lengths``: (batch,) that count.
            state: NeMo's batched state of an earlier call; None at the start. It is left as it was.
        """
        size = encoded.shape[0]
        if state is None:
            state = self._computer._get_batched_decoding_state_after_sos(encoded.device, size)
        output, hidden = state.predictor_outputs.clone(), [part.clone() for part in state.predictor_states]
        search = Search(lengths.tolist(), self._computer._blank_index, self._computer.max_symbols)
        said = self._search(search, self._joint.project_encoder(encoded), output, hidden)
        starts = state.decoded_lengths.tolist()
        confidences = self._confidences(search, said)
        found = [
            (ids, [start + frame for frame in frames], confidence)
            for ids, frames, confidence, start in zip(
                search.ids, search.frames, confidences, starts, strict=True
            )
        ]
        return found, self._continued(state, search, lengths, output, hidden)

    def _search(
        self, search: Search, projected: torch.Tensor, output: torch.Tensor, hidden: list[torch.Tensor]
    ) -> list[tuple[int, torch.Tensor]]:
        """Find every row's tokens; ``output`` and ``hidden`` become the predictor's after them.

        Returns:
            (row, logits) of each token, in the order in which they were found.
        """
        import torch

        said: list[tuple[int, torch.Tensor]] = []
        rows = search.unfinished(range(len(search.counts)))
        while rows:
            start = min(search.next[row] for row in rows)
            some = chosen(rows, len(projected))
            logits = self._joint.joint_after_projection(projected[some, start:], output[some])[:, :, 0]
            best = logits.max(dim=-1).indices.tolist()
            emitted = [
                (place, row) for place, row in enumerate(rows) if search.advance(row, best[place], start)
            ]
            said += [(row, logits[place, search.frames[row][-1] - start]) for place, row in emitted]
            rows = [row for _, row in emitted]
            if not rows:
                break
            some = chosen(rows, len(projected))
            labels = torch.tensor([[search.ids[row][-1]] for row in rows], device=projected.device)
            found, after, *_ = self._predictor.predict(
                labels, [part[:, some] for part in hidden], add_sos=False, batch_size=len(rows)
            )
            output[some] = self._joint.project_prednet(found).to(output.dtype)
            for part, new in zip(hidden, after, strict=True):
                part[:, some] = new.to(part.dtype)
            rows = search.unfinished(rows)
        return said

    def _confidences(self, search: Search, said: list[tuple[int, torch.Tensor]]) -> list[list[float]]:
        import torch

        found: list[list[float]] = [[] for _ in search.counts]
        if said:
            values = self._computer._get_step_confidence(torch.stack([logits for _, logits in said]))
            for (row, _), value in zip(said, values.float().clamp(0, 1).tolist(), strict=True):
                found[row].append(value)
        return found

    def _continued(
        self,
        state: Any,
        search: Search,
        lengths: torch.Tensor,
        output: torch.Tensor,
        hidden: Sequence[torch.Tensor],
    ) -> Any:
        """NeMo's batched state after the chunk."""
        import torch

        last = [ids[-1] if ids else None for ids in search.ids]
        before = state.labels.tolist() if None in last else last
        labels = [old if new is None else new for old, new in zip(before, last, strict=True)]
        return type(state)(
            predictor_states=tuple(hidden),
            predictor_outputs=output,
            labels=torch.tensor(labels, device=output.device),
            decoded_lengths=state.decoded_lengths + lengths,
            fusion_states_list=[],
            time_jumps=None,
        )


class Search:
    """Where each row stands: the frame that it looks at next, and the tokens found with their frames."""

    def __init__(self, counts: Sequence[int], blank: int, most: int | None) -> None:
        self.counts, self._blank, self._most = counts, blank, most
        self.next = [0 for _ in counts]
        self.ids: list[list[int]] = [[] for _ in counts]
        self.frames: list[list[int]] = [[] for _ in counts]

    def unfinished(self, rows: Sequence[int]) -> list[int]:
        return [row for row in rows if self.next[row] < self.counts[row]]

    def advance(self, row: int, best: Sequence[int], start: int) -> bool:
        """Take the first token at or after the row's frame; False where only blanks are left.

        Args:
            best: the best label of each frame from ``start`` on, after the tokens so far.
        """
        for frame in range(self.next[row], self.counts[row]):
            if best[frame - start] != self._blank:
                self.ids[row].append(best[frame - start])
                self.frames[row].append(frame)
                # As many tokens in one frame as are allowed: go on with the next.
                full = self._most is not None and self.frames[row][-self._most :] == [frame] * self._most
                self.next[row] = frame + full
                return True
        self.next[row] = self.counts[row]
        return False


def chosen(rows: list[int], size: int) -> Any:
    """An index of rows that copies nothing where they are all there are, as always with one stream."""
    return slice(None) if len(rows) == size else rows
