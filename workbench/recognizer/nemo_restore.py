"""NeMo's model of a checked archive: built from the configuration that was checked, in a private folder.

NeMo's own ``restore_from`` reads the file again, by rules of its own (gzip, another YAML reader, its list of
classes by prefix) and leaves to an environment variable whether the weights may run code. Here it is given
the unpacked members, the checked configuration as a value, and weights that are loaded as weights only.

Nor is anything made that is thrown away again. Weights are not filled with random numbers first; they are the
pages of the unpacked file, which is removed, and takes its room on the disk until the model is gone. The
names of all pieces, which NeMo converts and copies nine times on its way, are put in where they are needed:
in a checkpoint that is saved.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, one_line
from workbench.machine import trim_memory
from workbench.recognizer import config_rules, torch_file
from workbench.recognizer.archive import WEIGHTS, Archive

log = logging.getLogger("workbench.recognizer.nemo_restore")
_building = threading.RLock()
"""One model is built at a time: NeMo changes the process's folder meanwhile."""


def restore(archive: Archive, change: Callable[[dict[str, Any]], None] | None = None) -> Any:
    """NeMo's model on the CPU, in the state in which NeMo restores it.

    Args:
        archive: checked; the file must be as it was then.
        change: alters the configuration's copy before the model is built.

    Raises:
        WorkbenchError: the file has changed, NeMo does not know a key, or cannot build or fill the model.
    """
    config = config_rules.for_nemo(archive.config)
    if change is not None:
        change(config)
    _check_keys(archive, config)
    left_out = sorted(set(archive.config) - set(config))
    log.info("not loaded of %s's configuration: %s", archive.path.name, ", ".join(left_out) or "nothing")
    folder = tempfile.TemporaryDirectory(prefix="workbench-checkpoint-")
    try:
        archive.unpack(Path(folder.name))
        model = _build(folder.name, config)
    except WorkbenchError:
        folder.cleanup()
        raise
    except Exception as error:  # NeMo raises what its parts raise: there is no common class
        folder.cleanup()
        raise _fault(archive, error) from error
    (Path(folder.name) / WEIGHTS).unlink()
    # NeMo copies the tokenizer's files from here when the model is saved.
    weakref.finalize(model, folder.cleanup)
    trim_memory()
    return model


def _build(folder: str, config: dict[str, Any]) -> Any:
    from nemo.collections.asr.models import ASRModel
    from omegaconf import OmegaConf

    from workbench.recognizer.unfilled import Unfilled

    with _building, _pieces_unnamed(), Unfilled():
        model = ASRModel.restore_from(
            folder,
            override_config_path=OmegaConf.create(config),
            map_location="cpu",
            strict=True,
            save_restore_connector=_connector(folder),
        )
    # Of the stand-in nothing is left, nor in the copies of the configuration that Lightning keeps.
    _name_pieces(model, None)
    model.cfg = model.cfg
    model.joint.vocabulary = list(_pieces(model))
    return model


@contextlib.contextmanager
def _pieces_unnamed() -> Iterator[None]:
    """While a model is built, its configuration holds a text of as many letters as there are pieces.

    NeMo asks only how many there are; a text is one value, a list is as many as it has items, each checked
    and copied at every conversion.
    """
    modules = [vars(import_module(name)) for name in config_rules.MODEL_CLASSES.values()]
    kept = [module["ListConfig"] for module in modules]
    try:
        for module in modules:
            module["ListConfig"] = lambda pieces: "-" * len(pieces)
        yield
    finally:
        for module, plain in zip(modules, kept, strict=True):
            module["ListConfig"] = plain


def _pieces(model: Any) -> list[str]:
    return list(model.tokenizer.tokenizer.get_vocab())


def _name_pieces(model: Any, names: list[str] | None) -> None:
    """Put the names of all pieces wherever NeMo's configurations have them, or nothing."""
    from omegaconf import open_dict

    held = [(model.cfg, "labels"), (model.cfg.joint, "vocabulary")]
    if "aux_ctc" in model.cfg:
        held.append((model.cfg.aux_ctc.decoder, "vocabulary"))
    if names is None:
        parts = (getattr(model, "joint", None), getattr(model, "ctc_decoder", None))
        held += [(part._cfg, "vocabulary") for part in parts if part is not None and "_cfg" in vars(part)]
    for section, key in held:
        with open_dict(section):
            section[key] = names


def _connector(folder: str) -> Any:
    from nemo.core.connectors.save_restore_connector import SaveRestoreConnector

    class Unpacked(SaveRestoreConnector):  # type: ignore[misc]
        """Restores from the members that were checked; saves with the names of all pieces."""

        @staticmethod
        def _load_state_dict_from_disk(model_weights: str, map_location: Any = "cpu") -> Any:
            return torch_file.load(Path(model_weights), "weights", mapped=True)

        def load_instance_with_state_dict(self, instance: Any, state_dict: Any, strict: bool) -> None:
            _fill(instance, state_dict)
            instance._set_model_restore_state(is_being_restored=False)

        def save_to(self, model: Any, save_path: str) -> Any:
            _name_pieces(model, _pieces(model))
            try:
                return super().save_to(model, save_path)
            finally:
                _name_pieces(model, None)

    connector = Unpacked()
    connector.model_extracted_dir = folder
    return connector


def _fill(model: Any, state: dict[str, Any]) -> None:
    """Make a file's tensors the model's weights.

    A weight that is one thing under two names stays so, and keeps the model's kind of number: such are
    copied into place, as NeMo does with all of them.

    Raises:
        RuntimeError: names or shapes are not those of the model.
    """
    there = dict(model.named_parameters(remove_duplicate=False))
    if len({id(value) for value in there.values()}) < len(there):
        model.load_state_dict(state, strict=True)
        return
    kinds = {name: value.dtype for name, value in model.state_dict().items()}
    fitting = {name: value.to(kinds.get(name, value.dtype)) for name, value in state.items()}
    model.load_state_dict(fitting, strict=True, assign=True)


def _check_keys(archive: Archive, config: dict[str, Any]) -> None:
    """Every key of a part is an argument of its class in the NeMo that is installed.

    Raises:
        WorkbenchError: names the first that is not, and both versions.
    """
    from hydra.utils import get_class
    from nemo import __version__ as installed

    for place, section in config_rules.parts(config):
        taken = inspect.signature(get_class(section["_target_"])).parameters
        unknown = sorted(set(section) - set(taken) - {"_target_"})
        if unknown and not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
            saved = f"NeMo {archive.version}" if archive.version else "an unknown version of NeMo"
            raise WorkbenchError(
                f"{place}.{unknown[0][:60]} is not known to NeMo {installed}",
                where=archive.path.name,
                hint=f"The file was saved by {saved}: install that one, or save the checkpoint without it.",
            )


def _fault(archive: Archive, error: Exception) -> WorkbenchError:
    saved = f"It was saved by NeMo {archive.version}. " if archive.version else ""
    return WorkbenchError(
        f"NeMo cannot restore it ({type(error).__name__}: {one_line(str(error), limit=160)})",
        where=archive.path.name,
        hint=f"{saved}Check that the file is complete and that its weights fit its configuration.",
    )
