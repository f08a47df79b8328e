"""NeMo's model of a checked archive: built from the configuration that was checked, in a private folder.

NeMo's own ``restore_from`` reads the file again, by rules of its own (gzip, another YAML reader, its list of
classes by prefix) and leaves to an environment variable whether the weights may run code. Here it is given
the unpacked members, the checked configuration as a value, and weights that are loaded as weights only.
"""

from __future__ import annotations

import inspect
import logging
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, one_line
from workbench.recognizer import config_rules, torch_file
from workbench.recognizer.archive import WEIGHTS, Archive

log = logging.getLogger("workbench.recognizer.nemo_restore")


def restore(archive: Archive, change: Callable[[dict[str, Any]], None] | None = None) -> Any:
    """NeMo's model on the CPU, in the state in which NeMo restores it.

    Args:
        archive: checked; the file must be as it was then.
        change: alters the configuration's copy before the model is built.

    Raises:
        WorkbenchError: the file has changed, NeMo does not know a key, or cannot build or fill the model.
    """
    from nemo.collections.asr.models import ASRModel
    from omegaconf import OmegaConf

    config = config_rules.for_nemo(archive.config)
    if change is not None:
        change(config)
    _check_keys(archive, config)
    left_out = sorted(set(archive.config) - set(config))
    log.info("not loaded of %s's configuration: %s", archive.path.name, ", ".join(left_out) or "nothing")
    folder = tempfile.TemporaryDirectory(prefix="workbench-checkpoint-")
    try:
        archive.unpack(Path(folder.name))
        model = ASRModel.restore_from(
            folder.name,
            override_config_path=OmegaConf.create(config),
            map_location="cpu",
            strict=True,
            save_restore_connector=_connector(folder.name),
        )
    except WorkbenchError:
        folder.cleanup()
        raise
    except Exception as error:  # NeMo raises what its parts raise: there is no common class
        folder.cleanup()
        raise _fault(archive, error) from error
    (Path(folder.name) / WEIGHTS).unlink()
    # NeMo copies the tokenizer's files from here when the model is saved.
    weakref.finalize(model, folder.cleanup)
    return model


def _connector(folder: str) -> Any:
    from nemo.core.connectors.save_restore_connector import SaveRestoreConnector

    class Unpacked(SaveRestoreConnector):  # type: ignore[misc]
        """Restores from the members that were checked."""

        @staticmethod
        def _load_state_dict_from_disk(model_weights: str, map_location: Any = "cpu") -> Any:
            return torch_file.load(Path(model_weights), "weights")

    connector = Unpacked()
    connector.model_extracted_dir = folder
    return connector


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
