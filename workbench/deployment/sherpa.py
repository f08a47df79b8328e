"""A package for sherpa-onnx, which serves this class of checkpoint on CPUs, phones and by websocket.

``encoder.onnx``, ``decoder.onnx``, ``joiner.onnx`` and ``tokens.txt`` as its loader wants them, one
look-ahead a package. NeMo's own export of the encoder leaves the language prompt out; here the prompt's
projection is part of the encoder, with an input ``prompt_index`` and the dictionary in the metadata.

sherpa-onnx starts without left padding and drops what the first frames would be, so the beginning is lost:
audio needs :data:`LEFT_PADDING_MS` of silence before it.
"""

from __future__ import annotations

import copy
import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.deployment.package import Package, describe, empty_folder
from workbench.errors import WorkbenchError
from workbench.recognizer import onnx_graphs
from workbench.recognizer.decoder import Decoded, confidence
from workbench.recognizer.quiet import quiet_nemo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.engine import Engine

TARGET = "sherpa-onnx"
LEFT_PADDING_MS = 300
PRECISIONS = ("fp32", "int8")
TAIL_MS = 660
"""Of silence after the audio, so that the last chunk is full whatever the look-ahead's rest was."""


def write_package(
    checkpoint: Checkpoint,
    folder: str | Path,
    *,
    lookahead_ms: int | None = None,
    precision: str = "fp32",
    clips: Sequence[Path] = (),
) -> Package:
    """Write a checkpoint as a package that the unmodified sherpa-onnx loads.

    Args:
        folder: that does not exist, or is empty.
        lookahead_ms: one of the checkpoint's; None is its default.
        precision: 'fp32', or 'int8': the encoder's weights in eight bits.
        clips: recordings to put beside it as WAV, to try it with.

    Raises:
        WorkbenchError: the folder holds something, an unknown look-ahead or precision, or a checkpoint that
            cannot stream or be exported.
    """
    if precision not in PRECISIONS:
        raise WorkbenchError(f"unknown precision {precision!r}", hint=f"Use {' or '.join(PRECISIONS)}.")
    right, target = checkpoint.right_context(lookahead_ms), empty_folder(Path(folder))
    engine = checkpoint.engine("cpu", "fp32")
    onnx_graphs.check(engine)
    with tempfile.TemporaryDirectory() as held:
        # Only the quantized encoder belongs into a package of eight bits.
        encoder = Path(held) / "encoder.onnx" if precision == "int8" else target / "encoder.onnx"
        metadata = _export(engine, checkpoint, right, target, encoder)
        if precision == "int8":
            onnx_graphs.quantize(encoder, target / "encoder.onnx")
    _set_metadata(target / "encoder.onnx", metadata)
    pieces = checkpoint.tokenizer()
    lines = [f"{pieces.id_to_piece(number)} {number}" for number in range(pieces.get_piece_size())]
    (target / "tokens.txt").write_text("\n".join([*lines, f"<blk> {len(lines)}"]) + "\n", "utf-8")
    chunk_ms = (right + 1) * checkpoint.info.frame_ms
    settings = {
        "lookahead_ms": chunk_ms,
        "left_padding_ms": LEFT_PADDING_MS,
        "feature_dim": int(metadata["feat_dim"]),
        "sample_rate": checkpoint.info.sample_rate,
    }
    return describe(
        target, TARGET, checkpoint, precision=precision, settings=settings,
        guide=guide(checkpoint, settings), clips=clips,
    )  # fmt: skip


def recognizer(package: Package, threads: int = 1) -> Any:
    """sherpa-onnx's own recognizer of a package.

    Raises:
        WorkbenchError: sherpa-onnx is not installed.
    """
    try:
        import sherpa_onnx
    except ImportError:
        raise WorkbenchError("sherpa-onnx is not installed", hint="pip install sherpa-onnx") from None
    part = {name: str(package.path / f"{name}.onnx") for name in ("encoder", "decoder", "joiner")}
    return sherpa_onnx.OnlineRecognizer.from_transducer(
        tokens=str(package.path / "tokens.txt"),
        **part,
        num_threads=threads,
        sample_rate=package.settings["sample_rate"],
        feature_dim=package.settings["feature_dim"],
        provider="cpu",
    )


class Reader:
    """sherpa-onnx as a reader of clips, as ``served`` asks for one.

    Args:
        package: of :func:`write_package`. ``checkpoint``: that it was made of.
        right: look-ahead in encoder frames; a package has one.

    Raises:
        WorkbenchError: sherpa-onnx is not installed, or a look-ahead that the package has not.
    """

    def __init__(self, package: Package, checkpoint: Checkpoint, right: int) -> None:
        asked, held = (right + 1) * checkpoint.info.frame_ms, package.settings["lookahead_ms"]
        if asked != held:
            raise WorkbenchError(f"the package serves {held} ms, not {asked} ms", hint="Export another.")
        self.package, self.recognizer = package, recognizer(package)
        self.pieces, self.frame_s = checkpoint.tokenizer(), checkpoint.info.frame_ms / 1000

    def read(self, pcm: Any, locale: str) -> Decoded:
        """Its tokens as the checkpoint's numbers, on the clock of the audio without the padding."""
        found = read(self.recognizer, self.package, pcm, locale)
        padding_s = self.package.settings["left_padding_ms"] / 1000
        ids = [self.pieces.piece_to_id(token.replace(" ", "\u2581")) for token in found.tokens]
        frames = [max(0, round((time_s - padding_s) / self.frame_s)) for time_s in found.timestamps]
        labels = self.pieces.get_piece_size() + 1
        sure = [confidence(math.exp(value), labels) for value in found.ys_probs] or [0.0] * len(ids)
        return Decoded(ids, frames, sure)


def transcribe(recognizer: Any, package: Package, pcm: Any, locale: str) -> str:
    """The text of one clip, as a caller of the package would get it; as :func:`read`."""
    text: str = read(recognizer, package, pcm, locale).text
    return text


def read(recognizer: Any, package: Package, pcm: Any, locale: str) -> Any:
    """sherpa-onnx's result of one clip, with the padding of the package: text, tokens, timestamps.

    Args:
        recognizer: of :func:`recognizer`.
        pcm: (samples,) float32 at the package's rate.
        locale: a tag of the checkpoint's dictionary, or ``auto``.
    """
    rate, padding = package.settings["sample_rate"], package.settings["left_padding_ms"]
    stream = recognizer.create_stream()
    stream.set_option("language", locale)
    before, after = (np.zeros(rate * ms // 1000, np.float32) for ms in (padding, TAIL_MS))
    stream.accept_waveform(rate, np.concatenate([before, pcm, after]))
    stream.input_finished()
    while recognizer.is_ready(stream):
        recognizer.decode_streams([stream])
    return recognizer.get_result_all(stream)


def _export(engine: Engine, checkpoint: Checkpoint, right: int, folder: Path, to: Path) -> dict[str, str]:
    """Write decoder and joiner into the folder, the encoder to its file; returns the encoder's metadata."""
    import torch

    from workbench.recognizer.onnx_modules import ServedEncoder

    model, encoder = engine.model, engine.encoder
    with engine.lock, torch.inference_mode(), onnx_graphs.quiet(), quiet_nemo():
        engine.set_context(right)
        streaming = encoder.streaming_cfg
        shift, before = _last(streaming.shift_size), _last(streaming.pre_encode_cache_size)
        window = shift + before
        channel, time, length = encoder.get_initial_cache_state(1, engine.dtype, engine.device)
        channel, time = channel.transpose(0, 1), time.transpose(0, 1)
        mels = int(engine.frontend.featurizer.nfilt)
        inputs = (torch.randn(1, mels, window), torch.tensor([window]), channel, time, length)
        names = ["audio_signal", "length", "cache_last_channel", "cache_last_time", "cache_last_channel_len"]
        outputs = ["outputs", "encoded_lengths", *(f"{name}_next" for name in names[2:])]
        prompted = bool(checkpoint.info.prompts)
        onnx_graphs.export(
            ServedEncoder(model),
            (*inputs, torch.tensor([0])) if prompted else inputs,
            to,
            [*names, "prompt_index"] if prompted else names,
            outputs,
            {name: {0: "N"} for name in (*names, "prompt_index", *outputs)},
        )
        # NeMo marks what it exports; the loaded model must stay as it is.
        for part, name in ((model.decoder, "decoder"), (model.joint, "joiner")):
            copy.deepcopy(part).export(str(folder / f"{name}.onnx"), onnx_opset_version=onnx_graphs.OPSET)
    info = checkpoint.info
    found = {
        "vocab_size": info.vocabulary,
        "window_size": window,
        "chunk_shift": shift,
        "chunk_size_ms": (right + 1) * info.frame_ms,
        "normalize_type": "",
        "subsampling_factor": engine.subsampling,
        "feat_dim": mels,
        "pred_rnn_layers": int(model.decoder.pred_rnn_layers),
        "pred_hidden": int(model.decoder.pred_hidden),
        **{f"cache_last_channel_dim{n}": int(channel.shape[n]) for n in (1, 2, 3)},
        **{f"cache_last_time_dim{n}": int(time.shape[n]) for n in (1, 2, 3)},
        "model_type": info.class_name,
        "version": "1",
        "model_author": "NeMo",
        "url": "",
        "comment": f"checkpoint sha256 {checkpoint.sha256}",
    }
    if info.prompts:
        found["prompt_dictionary"] = json.dumps(info.prompts)
        found["auto_prompt_id"] = info.prompts.get("auto", 0)
    return {key: str(value) for key, value in found.items()}


def _last(value: Any) -> int:
    """NeMo gives sizes as a number, or as those of the first and of the later chunks."""
    return int(value[-1] if isinstance(value, list | tuple) else value)


def _set_metadata(path: Path, metadata: dict[str, str]) -> None:
    import onnx

    graph = onnx.load(str(path), load_external_data=False)
    del graph.metadata_props[:]
    for key, value in sorted(metadata.items()):
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(graph, str(path))


def guide(checkpoint: Checkpoint, settings: dict[str, Any]) -> str:
    """How the package is used, in Markdown."""
    tag = next(iter(checkpoint.info.locales), "auto")
    files = "--tokens=tokens.txt --encoder=encoder.onnx --decoder=decoder.onnx --joiner=joiner.onnx"
    padding, rate = settings["left_padding_ms"], settings["sample_rate"]
    return f"""
**Put {padding} ms of silence before the audio** of every stream: sherpa-onnx starts without left padding and
loses the beginning otherwise. Choose the language per stream; without it, the language is found (`auto`).

A file, padded with SoX (`pip install sherpa-onnx`, `apt-get install sox`):

```sh
sox clips/00.wav -r {rate} -c 1 padded.wav pad {padding / 1000:g} {TAIL_MS / 1000:g}
sherpa-onnx {files} padded.wav
```

In Python, with the language (also by microphone, with any library that gives samples):

```python
import numpy as np, sherpa_onnx
recognizer = sherpa_onnx.OnlineRecognizer.from_transducer(
    tokens="tokens.txt", encoder="encoder.onnx", decoder="decoder.onnx", joiner="joiner.onnx",
    feature_dim={settings["feature_dim"]}, sample_rate={rate}, num_threads=1)
stream = recognizer.create_stream()
stream.set_option("language", "{tag}")
stream.accept_waveform({rate}, np.zeros({rate * padding // 1000}, np.float32))
# stream.accept_waveform({rate}, samples) as they come; at the end stream.input_finished()
while recognizer.is_ready(stream):
    recognizer.decode_stream(stream)
print(recognizer.get_result(stream))
```

A microphone, and a websocket server (`pip install sherpa-onnx-bin`). The server takes float samples and
`Done`, has no language option (every caller is served with `auto`), and listens on every network interface:

```sh
sherpa-onnx-microphone {files}
sherpa-onnx-online-websocket-server --port=6006 --feat-dim={settings["feature_dim"]} \\
  --enable-endpoint=false {files}
```

`workbench serve-model FOLDER` starts it, `workbench capacity CORPUS --server ws://127.0.0.1:6006` measures
it.
"""
