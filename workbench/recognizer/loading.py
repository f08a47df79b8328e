"""Restoring a checkpoint with NeMo: device and precision."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.recognizer.engine import Engine
from workbench.recognizer.nemo_restore import restore as from_archive
from workbench.recognizer.quiet import quiet_nemo

if TYPE_CHECKING:
    from workbench.recognizer.archive import Archive

log = logging.getLogger("workbench.recognizer.loading")
PRECISIONS = ("fp32", "bf16")
KEPT = 2
"""Models kept per process in torch, and as many in ONNX Runtime: a base and its candidate. The one unused
longest is let go first."""

_engines: OrderedDict[tuple[str | int, ...], Engine] = OrderedDict()
_sources: dict[tuple[int, ...], Archive] = {}
"""The files that the kept engines were restored from, by their state."""
_lock = threading.RLock()


def loaded(archive: Archive, device: str = "auto", precision: str = "auto") -> Engine:
    """The engine of a checked file, restored once while it is unchanged on disk; one for all files that
    hold the same bytes.

    Raises:
        WorkbenchError: as :func:`choose` and :func:`restore`.
    """
    place = choose(device, precision)
    with _lock:
        key: tuple[str | int, ...] = (*_first(archive).state, *place)
        engine = kept(key, lambda: Engine(restore(archive, *place)))
        held = {other[: len(archive.state)] for other in _engines}
        for state in [state for state in _sources if state not in held]:
            del _sources[state]
    return engine


def _first(archive: Archive) -> Archive:
    """The file of these bytes whose engine is there; this one where there is none."""
    for other in _sources.values():
        if other.state == archive.state or _are_same(other, archive):
            return other
    return _sources.setdefault(archive.state, archive)


def _are_same(one: Archive, other: Archive) -> bool:
    if one.size != other.size or one.shapes != other.shapes or one.config != other.config:
        return False
    try:
        return one.sha256() == other.sha256()
    except WorkbenchError:  # one is gone or has changed: what is loaded of it stays its own
        return False


def kept(key: tuple[str | int, ...], make: Callable[[], Engine]) -> Engine:
    """The engine of a key, made once; of too many of a kind, the one unused longest is let go."""
    with _lock:
        if key not in _engines:
            _engines[key] = make()
        _engines.move_to_end(key)
        is_onnx = _engines[key].runtime != "torch"
        alike = [other for other, engine in _engines.items() if (engine.runtime != "torch") == is_onnx]
        for other in alike[:-KEPT]:
            del _engines[other]
        return _engines[key]


def choose(device: str, precision: str) -> tuple[str, str]:
    """('cpu' or 'cuda…', 'fp32' or 'bf16') for what was asked.

    Raises:
        WorkbenchError: CUDA asked for and not there, no such number of it, or an unknown precision.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.split(":")[0] not in ("cpu", "cuda"):
        raise WorkbenchError(f"unknown device {device!r}", hint="Use auto, cpu or cuda.")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise WorkbenchError("no CUDA device here", hint="Use device='cpu' or 'auto'.")
    _, colon, index = device.partition(":")
    if colon and device.startswith("cuda") and not _is_there(index):
        raise WorkbenchError(
            f"no CUDA device {index!r} among {torch.cuda.device_count()}", hint="Use cuda or cuda:NUMBER."
        )
    if precision == "auto":
        on_gpu = device.startswith("cuda") and torch.cuda.is_bf16_supported()
        precision = "bf16" if on_gpu else "fp32"
    if precision not in PRECISIONS:
        raise WorkbenchError(f"unknown precision {precision!r}", hint="Use auto, fp32 or bf16.")
    return device, precision


def _is_there(index: str) -> bool:
    import torch

    return index.isdecimal() and int(index) < torch.cuda.device_count()


def restore(archive: Archive, device: str, precision: str) -> Any:
    """NeMo's model of a checked archive, eval mode, no gradients.

    Raises:
        WorkbenchError: NeMo cannot restore it, or the file has changed since it was checked.
    """
    import torch

    with quiet_nemo():
        model = from_archive(archive)
    model.eval()
    model.requires_grad_(False)
    if precision == "bf16":
        # Features keep their range in fp32; only the network runs in bf16.
        for name, part in model.named_children():
            if name != "preprocessor":
                part.to(torch.bfloat16)
    log.info("loaded %s on %s in %s", archive.path.name, device, precision)
    return model.to(device)
