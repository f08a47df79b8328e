"""The workbench's own ONNX graphs as a package: ONNX Runtime behind the workbench's front end and search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.deployment.package import Package, describe, empty_folder
from workbench.errors import WorkbenchError
from workbench.recognizer import runtimes
from workbench.recognizer.clips import Clip, stream_together
from workbench.recognizer.onnx_engine import OnnxEngine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.decoder import Decoded

TARGET = "onnx"
PRECISIONS = ("fp32", "int8")


def write_package(
    checkpoint: Checkpoint, folder: str | Path, *, precision: str = "fp32", clips: Sequence[Path] = ()
) -> Package:
    """Write subsampling, encoder (caches and prompt), predictor and joint, for every look-ahead at once.

    They are compared with torch on fixed clips, token by token; the card says how many were equal.

    Args:
        folder: that does not exist, or is empty.
        precision: 'fp32', or 'int8': encoder and joint in eight bits beside them.
        clips: recordings to put beside it as WAV, to try it with.

    Raises:
        WorkbenchError: the folder holds something, an unknown precision, or a checkpoint that cannot be
            exported.
    """
    if precision not in PRECISIONS:
        raise WorkbenchError(f"unknown precision {precision!r}", hint=f"Use {' or '.join(PRECISIONS)}.")
    target = empty_folder(Path(folder))
    found = runtimes.export(checkpoint, target, int8=precision == "int8")
    equal = {name: f"{one['equal']} of {one['clips']} clips" for name, one in found.items()}
    settings = {
        "lookaheads_ms": list(checkpoint.info.lookaheads_ms),
        "sample_rate": checkpoint.info.sample_rate,
        "equal to torch, by look-ahead": equal,
        "proved": {name: one["proved"] for name, one in found.items()},
    }
    return describe(
        target, TARGET, checkpoint, precision=precision, settings=settings, guide=_GUIDE, clips=clips
    )


class Reader:
    """ONNX Runtime as a reader of clips, from the package's own graphs, as ``served`` asks for one.

    Args:
        package: of :func:`write_package`. ``checkpoint``: that it was made of.
        right: look-ahead in encoder frames.
    """

    def __init__(self, package: Package, checkpoint: Checkpoint, right: int) -> None:
        self.engine = OnnxEngine(package.path, int8=package.precision == "int8")
        self.checkpoint, self.right = checkpoint, right

    def read(self, pcm: Any, locale: str) -> Decoded:
        """The tokens of one clip, streamed."""
        clip = Clip(pcm, self.checkpoint.prompt_index(locale))
        return stream_together(self.engine, [clip], self.right)[0]


_GUIDE = """
| Graph | Takes | Gives |
| --- | --- | --- |
| `subsampling.onnx` | `features` (B, time, mels), `lengths` (B) | `frames` (B, frames, width) |
| `encoder.onnx` | `frames`, `lengths`, `cache_*` three times, `prompt` (B) | `projected`, caches `_next` |
| `predictor.onnx` | `labels` (B, 1), `hidden`, `cell` | `predicted`, states `_next` |
| `joint.onnx` | `projected`, `predicted` | `best` label of each frame, `logits` |

`facts.json` holds sizes, the blank's number, contexts and the front end's settings; `frontend.npz` its window
and filters. A chunk takes the features that the convolutions need before it, and the last one ends where the
audio ends: `workbench.recognizer.onnx_engine` does both, and is the reference for another caller.

```python
from workbench.recognizer.onnx_engine import OnnxEngine
engine = OnnxEngine(folder)
```
"""
