"""The adapted checkpoint in the runtimes that serve it: packages, and what they need to be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.deployment.package import Package
    from workbench.recognizer.checkpoint import Checkpoint

TARGETS = ("onnx", "sherpa-onnx")


def export_model(
    checkpoint: Checkpoint,
    folder: str | Path,
    *,
    to: str = "onnx",
    lookahead_ms: int | None = None,
    precision: str = "fp32",
    clips: Sequence[Path] = (),
) -> Package:
    """Write a checkpoint as a package for a runtime.

    Args:
        folder: that does not exist, or is empty.
        to: 'onnx' (for the workbench's own engine; all look-aheads), or 'sherpa-onnx' (one look-ahead).
        lookahead_ms: of a sherpa-onnx package; None is the checkpoint's default.
        precision: 'fp32' or 'int8'.
        clips: recordings to put beside it as WAV, to try it with.

    Raises:
        WorkbenchError: an unknown target, precision or look-ahead, a folder that holds something, or a
            checkpoint that cannot be exported.
    """
    from workbench.deployment import onnx, sherpa

    if to == sherpa.TARGET:
        return sherpa.write_package(
            checkpoint, folder, lookahead_ms=lookahead_ms, precision=precision, clips=clips
        )
    if to != onnx.TARGET:
        raise WorkbenchError(f"unknown target {to!r}", hint=f"Use {' or '.join(TARGETS)}.")
    if lookahead_ms is not None:
        raise WorkbenchError("one ONNX package serves every look-ahead", hint="Leave lookahead_ms out.")
    return onnx.write_package(checkpoint, folder, precision=precision, clips=clips)
