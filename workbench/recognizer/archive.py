"""What a ``.nemo`` archive holds, read without NeMo and without running anything in it.

The archive is untrusted: member names, sizes, the classes that its configuration names and the pickle of its
weights are checked before NeMo opens it. NeMo extracts safely and loads weights only; this refuses earlier,
with a reason.
"""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import yaml

from workbench.errors import WorkbenchError

CONFIG, WEIGHTS = "model_config.yaml", "model_weights.ckpt"
MODEL_CLASSES = {
    "EncDecRNNTBPEModelWithPrompt": "nemo.collections.asr.models.rnnt_bpe_models_prompt",
    "EncDecRNNTBPEModel": "nemo.collections.asr.models.rnnt_bpe_models",
    "EncDecHybridRNNTCTCBPEModelWithPrompt": "nemo.collections.asr.models.hybrid_rnnt_ctc_bpe_models_prompt",
    "EncDecHybridRNNTCTCBPEModel": "nemo.collections.asr.models.hybrid_rnnt_ctc_bpe_models",
}
TARGET_PREFIXES = ("nemo.collections.asr.", "nemo.collections.common.", "nemo.core.")
MAX_CONFIG_BYTES = 8 << 20
MAX_PICKLE_BYTES = 64 << 20
MAX_MEMBERS = 2000
MAX_UNPACKED_BYTES = 64 << 30
MAX_COMPRESSION = 200
"""Unpacked size over the size on disk; weights hardly compress, so more is a decompression bomb."""


class Archive:
    """An opened and checked ``.nemo`` file.

    Raises:
        WorkbenchError: not an archive, a member that leaves the folder, a link or device, a bomb, no
            configuration, a class outside the supported ones, or a pickle that names foreign code.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with tarfile.open(path) as tar:
                self.members = self._checked_members(tar)
                self.config = self._config(tar)
                self.shapes = self._weights(tar)
        except FileNotFoundError:
            raise WorkbenchError("no such checkpoint", where=str(path), mend="Check the path.") from None
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
            raise self._refuse(f"not a readable .nemo archive ({type(error).__name__})") from error

    def read(self, name: str, limit: int = MAX_PICKLE_BYTES) -> bytes:
        """The bytes of one member, by its plain name, as ``nemo:NAME`` in the configuration."""
        with tarfile.open(self.path) as tar:
            return self._read(tar, name.removeprefix("nemo:"), limit)

    def _refuse(self, what: str) -> WorkbenchError:
        return WorkbenchError(
            f"refused: {what}",
            where=self.path.name,
            mend="Use a checkpoint saved by NeMo from a trusted source.",
        )

    def _checked_members(self, tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
        members: dict[str, tarfile.TarInfo] = {}
        total, limit = 0, min(MAX_UNPACKED_BYTES, max(1 << 20, self.path.stat().st_size * MAX_COMPRESSION))
        for member in tar:
            name = PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts or "\\" in member.name or "\0" in member.name:
                raise self._refuse(f"member {member.name[:60]!r} leaves the archive's folder")
            if not (member.isfile() or member.isdir()):
                raise self._refuse(f"member {member.name[:60]!r} is a link or a device")
            total += member.size
            if total > limit or len(members) > MAX_MEMBERS:
                raise self._refuse("it unpacks to far more than its size")
            members[str(name)] = member
        return members

    def _read(self, tar: tarfile.TarFile, name: str, limit: int) -> bytes:
        member = self.members.get(name)
        if member is None or not member.isfile():
            raise self._refuse(f"it has no {name}")
        if member.size > limit:
            raise self._refuse(f"{name} is {member.size} bytes")
        file = tar.extractfile(member)
        assert file is not None
        return file.read()

    def _config(self, tar: tarfile.TarFile) -> dict[str, Any]:
        try:
            config = yaml.safe_load(self._read(tar, CONFIG, MAX_CONFIG_BYTES))
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            raise self._refuse(f"{CONFIG} is not plain YAML") from error
        if not isinstance(config, dict):
            raise self._refuse(f"{CONFIG} is not a mapping")
        target = str(config.get("target", ""))
        module, _, name = target.rpartition(".")
        if MODEL_CLASSES.get(name) != module:
            known = ", ".join(MODEL_CLASSES)
            raise WorkbenchError(
                f"refused: class {target[:90]!r}", where=self.path.name, mend=f"Supported: {known}."
            )
        for found in _targets(config):
            if found != target and not found.startswith(TARGET_PREFIXES):
                raise self._refuse(f"its configuration names the class {found[:90]!r}")
        return config

    def _weights(self, tar: tarfile.TarFile) -> dict[str, tuple[int, ...]]:
        member = self.members.get(WEIGHTS)
        if member is None:
            raise self._refuse(f"it has no {WEIGHTS}")
        file = tar.extractfile(member)
        assert file is not None
        with zipfile.ZipFile(file) as weights:
            inner = next((i for i in weights.infolist() if i.filename.endswith("/data.pkl")), None)
            if inner is None or inner.file_size > MAX_PICKLE_BYTES:
                raise self._refuse("its weights are not in torch's zip format")
            try:
                state = _ShapeReader(io.BytesIO(weights.read(inner))).load()
            except (
                pickle.UnpicklingError,
                AttributeError,
                IndexError,
                KeyError,
                TypeError,
                ValueError,
            ) as error:
                raise self._refuse(f"its weights are not plain tensors ({str(error)[:80]})") from error
        if not isinstance(state, dict):
            raise self._refuse("its weights are not a state dictionary")
        return {str(key): tuple(value) for key, value in state.items() if isinstance(value, tuple)}


def _targets(node: Any) -> Iterator[str]:
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("_target_", "target", "cls") and isinstance(value, str):
                    yield value
                else:
                    stack.append(value)
        elif isinstance(node, list):
            stack.extend(node)


class _ShapeReader(pickle.Unpickler):
    """Reads the shapes of a torch state dictionary; no class it names is imported."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
            return lambda storage, offset, size, *rest: tuple(size)
        if module == "torch._utils" and name == "_rebuild_parameter":
            return lambda data, *rest: data
        if module == "torch" and (name.endswith("Storage") or name in _DTYPES):
            return name
        raise pickle.UnpicklingError(f"names {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        return None


_DTYPES = {"float32", "float16", "bfloat16", "float64", "int64", "int32", "bool", "uint8"}
