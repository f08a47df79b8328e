"""What a ``.nemo`` archive holds, read without NeMo and without running anything in it.

The archive is untrusted: member names, sizes, the classes that its configuration names and the pickle of its
weights are checked before NeMo opens it. NeMo extracts safely and loads weights only; this refuses earlier,
with a reason.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from pickle import UnpicklingError
from typing import Any

import yaml

from workbench.errors import WorkbenchError
from workbench.recognizer.shapes import Shape, read_shapes

CONFIG, WEIGHTS = "model_config.yaml", "model_weights.ckpt"
MODEL_CLASSES = {
    "EncDecRNNTBPEModelWithPrompt": "nemo.collections.asr.models.rnnt_bpe_models_prompt",
    "EncDecRNNTBPEModel": "nemo.collections.asr.models.rnnt_bpe_models",
    "EncDecHybridRNNTCTCBPEModelWithPrompt": "nemo.collections.asr.models.hybrid_rnnt_ctc_bpe_models_prompt",
    "EncDecHybridRNNTCTCBPEModel": "nemo.collections.asr.models.hybrid_rnnt_ctc_bpe_models",
}
TARGET_PREFIXES = ("nemo.collections.asr.", "nemo.collections.common.", "nemo.core.")
MAX_CONFIG_BYTES = 8 << 20
MAX_MEMBER_BYTES = 64 << 20
MAX_STATE_BYTES = 8 << 20
"""Of the pickle beside the weights, which takes about 200 bytes a tensor."""
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
            raise WorkbenchError("no such checkpoint", where=str(path), hint="Check the path.") from None
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
            raise self._refuse(f"not a readable .nemo archive ({type(error).__name__})") from error

    def read(self, name: str, limit: int = MAX_MEMBER_BYTES) -> bytes:
        """The bytes of one member, by its plain name, as ``nemo:NAME`` in the configuration."""
        with tarfile.open(self.path) as tar:
            return self._read(tar, name.removeprefix("nemo:"), limit)

    def _refuse(self, what: str) -> WorkbenchError:
        return WorkbenchError(
            f"refused: {what}",
            where=self.path.name,
            hint="Use a checkpoint saved by NeMo from a trusted source.",
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
                f"refused: class {target[:90]!r}", where=self.path.name, hint=f"Supported: {known}."
            )
        for found in _targets(config):
            if found != target and not found.startswith(TARGET_PREFIXES):
                raise self._refuse(f"its configuration names the class {found[:90]!r}")
        return config

    def _weights(self, tar: tarfile.TarFile) -> dict[str, Shape]:
        member = self.members.get(WEIGHTS)
        if member is None:
            raise self._refuse(f"it has no {WEIGHTS}")
        file = tar.extractfile(member)
        assert file is not None
        with zipfile.ZipFile(file) as weights:
            inner = next((i for i in weights.infolist() if i.filename.endswith("/data.pkl")), None)
            if inner is None or inner.file_size > MAX_STATE_BYTES:
                raise self._refuse("its weights are not in torch's zip format")
            try:
                return read_shapes(weights.read(inner))
            except (UnpicklingError, RuntimeError, zlib.error) as error:
                raise self._refuse(f"its weights are not plain tensors ({str(error)[:80]})") from error


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
