"""Log-mel features of a stream, equal to what the checkpoint's preprocessor computes from the whole clip.

NeMo's featurizer centers frame ``f`` on sample ``f * hop``, pre-emphasizes, pads with zeros at both ends and
counts ``samples // hop`` frames. Here frames are computed as soon as the window's last non-zero sample is
there: 200 samples (12.5 ms) after the frame's center, at a window of 25 ms.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


class MelFrontend:
    """The settings of a checkpoint's featurizer, shared by its sessions.

    Args:
        featurizer: NeMo's ``FilterbankFeatures`` (``model.preprocessor.featurizer``).

    Raises:
        WorkbenchError: the checkpoint normalizes over the clip or stacks frames, which no stream can do.
    """

    def __init__(self, featurizer: Any) -> None:
        if featurizer.normalize in ("per_feature", "all_features") or isinstance(featurizer.normalize, dict):
            raise WorkbenchError(
                f"the checkpoint normalizes features over the whole clip ({featurizer.normalize})",
                hint="Streaming needs a checkpoint trained with normalize: NA.",
            )
        if featurizer.exact_pad or featurizer.frame_splicing > 1 or featurizer.pad_value != 0:
            raise WorkbenchError(
                "the checkpoint's features use exact_pad, frame splicing or a pad value",
                hint="Transcribe offline.",
            )
        self.featurizer = featurizer
        self.hop, self.n_fft = int(featurizer.hop_length), int(featurizer.n_fft)
        self.left = self.n_fft // 2
        self.reach = self.n_fft // 2 - (self.n_fft - int(featurizer.win_length)) // 2

    def samples_for(self, frames: int) -> int:
        """Samples that must have come before the first ``frames`` frames can be computed."""
        return (frames - 1) * self.hop + self.reach if frames > 0 else 0

    def mel(self, signal: torch.Tensor, frames: int) -> torch.Tensor:
        """Emphasized signals (…, (frames - 1) * hop + n_fft) → log-mel features (…, mels, frames)."""
        import torch

        featurizer = self.featurizer
        spectrum = torch.stft(
            signal,
            n_fft=self.n_fft,
            hop_length=self.hop,
            win_length=featurizer.win_length,
            center=False,
            window=featurizer.window,
            return_complex=True,
        )
        # Through the magnitude, as NeMo does, so that rounding is the same.
        power = torch.sqrt(torch.view_as_real(spectrum[..., :frames]).pow(2).sum(-1)).pow(
            featurizer.mag_power
        )
        mel = torch.matmul(featurizer.fb[0].to(power.dtype), power)
        if not featurizer.log:
            return mel
        guard = featurizer.log_zero_guard_value_fn(mel)
        added = featurizer.log_zero_guard_type == "add"
        return torch.log(mel + guard if added else torch.clamp(mel, min=guard))


class MelStream:
    """One session's samples on their way to features. ``push`` may come from another thread than ``take``."""

    def __init__(self, frontend: MelFrontend, device: Any = "cpu") -> None:
        self.frontend, self.device = frontend, device
        self.samples = 0
        self.frames = 0
        self._lock = threading.Lock()
        # Zeros before the first sample: the centered first window, and one for pre-emphasis.
        self._pieces: deque[NDArray[np.float32]] = deque([np.zeros(frontend.left + 1, np.float32)])
        self._whole = self._pieces[0].size

    def push(self, pcm: NDArray[np.float32]) -> None:
        """Take (samples,) at the checkpoint's rate."""
        if pcm.size:
            with self._lock:
                self._pieces.append(pcm)
                self.samples += pcm.size

    def ready(self, frames: int) -> bool:
        """Whether the first ``frames`` frames of the stream can be computed."""
        return self.samples >= self.frontend.samples_for(frames)

    def take(self, upto: int) -> torch.Tensor:
        """Frames ``self.frames`` to ``upto``: (mels, upto - self.frames)."""
        import torch

        count = upto - self.frames
        if count <= 0:
            return torch.zeros(self.frontend.featurizer.nfilt, 0, device=self.device)
        return self.frontend.mel(self.signal(upto), count)

    def total(self) -> int:
        """Frames of the clip if it ended now, as NeMo counts them."""
        return self.samples // self.frontend.hop

    def take_rest(self) -> torch.Tensor:
        """The frames that remain when the stream has ended; windows reach into zeros, as offline."""
        return self.take(self.total())

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the samples that later frames need: new ones, and the last window's overlap."""
        with self._lock:
            return sum(piece.nbytes for piece in self._pieces)

    def signal(self, upto: int) -> torch.Tensor:
        """Take frames ``self.frames`` to ``upto``, one at least: their emphasized samples,
        ((count - 1) * hop + n_fft,)."""
        import torch

        frontend, count = self.frontend, upto - self.frames
        need = (count - 1) * frontend.hop + frontend.n_fft
        pcm = torch.from_numpy(self._front(need + 1, count * frontend.hop)).to(self.device)
        signal = pcm[1:]
        if frontend.featurizer.preemph is not None:
            signal = signal - frontend.featurizer.preemph * pcm[:-1]
        # Beyond the last sample the emphasized signal is zero; before it, missing samples lie where the
        # window is zero.
        self.frames = upto
        missing = need - signal.numel()
        return torch.nn.functional.pad(signal, (0, missing)) if missing > 0 else signal

    def _front(self, count: int, passed: int) -> NDArray[np.float32]:
        """The first ``count`` samples held, or all where there are fewer; the first ``passed`` are let go."""
        with self._lock:
            taken, held = [self._pieces.popleft()], 0
            while (held := held + taken[-1].size) < count and self._pieces:
                taken.append(self._pieces.popleft())
            if len(taken) > 1:
                taken = [np.concatenate(taken)]
                self._whole = held
            left = taken[0][passed:]
            # What is left is a view, which keeps the whole piece in memory; a copy once it is less than half
            # of that. To copy at every chunk would be quadratic in the length of a piece.
            if 2 * left.size < self._whole:
                left, self._whole = left.copy(), left.size
            self._pieces.appendleft(left)
            return taken[0][:count]
