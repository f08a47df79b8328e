"""Checkpoints are looked into without NeMo, and hostile ones are refused with a reason."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from hostile import packed, starter

from workbench.errors import WorkbenchError
from workbench.recognizer.archive import MODEL_CLASSES, Archive
from workbench.recognizer.checkpoint import Checkpoint

CHECKPOINT = Path(__file__).parents[2] / "data" / "checkpoint" / "starter.nemo"
TARGET = f"{MODEL_CLASSES['EncDecRNNTBPEModelWithPrompt']}.EncDecRNNTBPEModelWithPrompt"
CONFIG = {
    "target": TARGET,
    "encoder": {
        "_target_": "nemo.collections.asr.modules.ConformerEncoder",
        "att_context_size": [[56, 13], [56, 0]],
        "att_context_style": "chunked_limited",
        "subsampling_factor": 8,
        "n_layers": 2,
        "d_model": 8,
        "conv_kernel_size": 9,
    },
    "preprocessor": {"window_stride": 0.01, "sample_rate": 16000},
    "model_defaults": {"prompt_dictionary": {"en-US": 0, "es": 3, "es-US": 3, "auto": 101}},
    "tokenizer": {"type": "bpe", "model_path": "nemo:t.model", "vocab_path": "nemo:t.txt"},
    "decoder": {"prednet": {"pred_hidden": 8}},
    "joint": {"vocabulary": ["a", "b"]},
    "nemo_version": "3.0.0",
}


class Hostile:
    """Unpickled carelessly, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def weights(value: object) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("model/data.pkl", pickle.dumps(value, protocol=2))
    return held.getvalue()


def archive(path: Path, config: object = CONFIG, state: object = None, extra=()) -> Path:
    """A .nemo with this configuration and weights; ``extra``: (TarInfo, bytes) pairs."""
    members = [
        ("model_config.yaml", yaml.safe_dump(config).encode()),
        ("model_weights.ckpt", weights(state or {})),
        ("t.model", next(data for name, data in starter().items() if name.endswith("tokenizer.model"))),
        ("t.txt", b"a"),
    ]
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info, data in extra:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_a_plain_one_is_accepted(tmp_path):
    info = Checkpoint.open(archive(tmp_path / "plain.nemo")).info
    assert info.lookaheads_ms == (80, 1120)
    assert info.default_lookahead_ms == 1120
    assert info.locales == ("en-US", "es-US")
    assert info.prompts["auto"] == 101
    assert info.vocabulary == 288
    assert info.tokenizer == "sentencepiece bpe"
    assert info.nemo_version == "3.0.0"


def test_short_codes_of_the_dictionary_mean_what_it_says(tmp_path):
    checkpoint = Checkpoint.open(archive(tmp_path / "plain.nemo"))
    assert checkpoint.info.aliases == {"es": ("es-US",)}
    assert (
        checkpoint.prompt_index("es")
        == checkpoint.prompt_index("ES")
        == checkpoint.prompt_index("es_us")
        == 3
    )
    with pytest.raises(WorkbenchError, match="Did you mean en-US"):
        checkpoint.prompt_index("en")


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ([(member("../evil"), b"x")], "leaves the archive's folder"),
        ([(member("/etc/evil"), b"x")], "leaves the archive's folder"),
        ([(member("a/../../evil"), b"x")], "leaves the archive's folder"),
        ([(member("link", tarfile.SYMTYPE, "/etc/passwd"), b"")], "link or a device"),
        ([(member("hard", tarfile.LNKTYPE, "/etc/passwd"), b"")], "link or a device"),
        ([(member("pipe", tarfile.FIFOTYPE), b"")], "link or a device"),
    ],
)
def test_members_that_reach_outside_are_refused(tmp_path, extra, words):
    with pytest.raises(WorkbenchError, match=words):
        Archive(archive(tmp_path / "x.nemo", extra=extra))


def test_classes_outside_nemo_are_refused(tmp_path):
    for config, words in (
        ({**CONFIG, "target": "os.system"}, "refused: class 'os.system'"),
        ({**CONFIG, "target": "nemo.collections.tts.models.Evil"}, "refused: class"),
        (
            {**CONFIG, "loss": {"_target_": "subprocess.Popen", "args": ["true"]}},
            r"loss._target_: nothing may be named there \('subprocess.Popen'\)",
        ),
        (
            {**CONFIG, "list": [{"deep": {"_target_": "builtins.eval"}}]},
            r"list.\*.deep._target_: nothing may",
        ),
    ):
        with pytest.raises(WorkbenchError, match=words):
            Archive(archive(tmp_path / "x.nemo", config))


def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path):
    made = tmp_path / "made"
    with pytest.raises(WorkbenchError, match=r"not plain tensors .*names posix.mkdir"):
        Archive(archive(tmp_path / "x.nemo", state={"w": Hostile(made)}))
    assert not made.exists()


def test_a_python_tag_in_the_yaml_is_refused(tmp_path):
    packed(tmp_path / "x.nemo", {"model_config.yaml": b"target: !!python/object/apply:os.system ['true']\n"})
    with pytest.raises(WorkbenchError, match="not plain YAML"):
        Archive(tmp_path / "x.nemo")


def test_bombs_and_debris_are_refused(tmp_path):
    bomb = tmp_path / "bomb.nemo"
    with tarfile.open(bomb, "w:gz") as tar:
        info = tarfile.TarInfo("zeros")
        info.size = 40 << 20
        tar.addfile(info, _Zeros(info.size))
    with pytest.raises(WorkbenchError, match="compressed with gzip"):
        Archive(bomb)
    debris = tmp_path / "debris.nemo"
    debris.write_bytes(b"not an archive at all" * 100)
    with pytest.raises(WorkbenchError, match="not a readable"):
        Archive(debris)
    cut = tmp_path / "cut.nemo"
    cut.write_bytes(archive(tmp_path / "whole.nemo").read_bytes()[:900])
    with pytest.raises(WorkbenchError, match="refused"):
        Archive(cut)


class _Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        taken = min(self.left, size if size >= 0 else self.left)
        self.left -= taken
        return bytes(taken)


def test_names_and_places(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(WorkbenchError, match=r"hf download nvidia/some-model .*open it by its path"):
        Checkpoint.open("nvidia/some-model")
    with pytest.raises(WorkbenchError, match="no such checkpoint"):
        Checkpoint.open(tmp_path / "gone.nemo")
    with pytest.raises(WorkbenchError, match=r"0 \.nemo files"):
        Checkpoint.open(tmp_path)
    archive(tmp_path / "one.nemo")
    assert Checkpoint.open(tmp_path).path.name == "one.nemo"


def test_inspection_needs_neither_torch_nor_nemo():
    code = (
        "import sys; from workbench.recognizer.checkpoint import Checkpoint; "
        f"c = Checkpoint.open({str(CHECKPOINT)!r}); i = c.info; "
        "assert i.class_name == 'EncDecRNNTBPEModelWithPrompt'; "
        "assert i.lookaheads_ms == (80, 160, 320, 560, 1120); "
        "assert 4e6 < i.parameters < 6e6 and c.tokenizer().get_piece_size() == i.vocabulary; "
        "assert c.prompt_index('auto') == 101 and len(i.locales) == 40; "
        "assert not {'torch', 'nemo', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
