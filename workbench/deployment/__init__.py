"""The adapted checkpoint in the runtimes that serve it: packages, and what they need to be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.deployment.package import Package
    from workbench.recognizer.checkpoint import Checkpoint

TARGETS = ("onnx", "sherpa-onnx", "transformers")


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
        to: 'onnx' (for the workbench's own engine; all look-aheads), 'sherpa-onnx' (one look-ahead), or
            'transformers' (all look-aheads).
        lookahead_ms: of a sherpa-onnx package, or that a Transformers package starts with; None is the
            checkpoint's default.
        precision: 'fp32' or 'int8'; of a Transformers package 'fp32'.
        clips: recordings to put beside it as WAV, to try it with.

    Raises:
        WorkbenchError: an unknown target, precision or look-ahead, a folder that holds something, or a
            checkpoint that cannot be exported.
    """
    from workbench.deployment import onnx, sherpa, transformers

    if to == sherpa.TARGET:
        return sherpa.write_package(
            checkpoint, folder, lookahead_ms=lookahead_ms, precision=precision, clips=clips
        )
    if to == transformers.TARGET:
        if precision != "fp32":
            raise WorkbenchError(f"no Transformers package of {precision} weights", hint="Use fp32.")
        return transformers.write_package(checkpoint, folder, lookahead_ms=lookahead_ms, clips=clips)
    if to != onnx.TARGET:
        raise WorkbenchError(f"unknown target {to!r}", hint=f"Use {' or '.join(TARGETS)}.")
    if lookahead_ms is not None:
        raise WorkbenchError("one ONNX package serves every look-ahead", hint="Leave lookahead_ms out.")
    return onnx.write_package(checkpoint, folder, precision=precision, clips=clips)
