"""A checkpoint as ONNX graphs that stream as the torch engine does: caches, language prompt, all look-aheads.

NeMo's own export of this class writes an encoder without the prompt projection, and text from it is wrong
without an error. Four graphs are written here, each NeMo's own modules traced: ``subsampling`` (features →
frames), ``encoder`` (frames and caches → frames after the prompt and the joint's projection), ``predictor``
(label and state) and ``joint`` (the best label of each frame, and the logits). ``facts.json`` and
``frontend.npz`` hold what the front end and the search need, so that NeMo is not needed to run them.

One encoder serves every look-ahead: a chunk is one block of attention, and all of the left context is seen,
so a graph that was traced with the longest look-ahead sees what a shorter one sees, if all share a left
context of whole blocks.
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.files import sha256_file
from workbench.recognizer.decoder import most_symbols

if TYPE_CHECKING:
    from workbench.recognizer.engine import Engine

FORMAT = 2
OPSET = 17
GRAPHS = ("subsampling", "encoder", "predictor", "joint")
FACTS, FRONTEND = "facts.json", "frontend.npz"
EXTERNAL_BYTES = 1_500_000_000
"""Of weights from which on they lie in a file beside their graph: a graph's own limit is 2 GB."""
_FEATURIZER = ("normalize", "exact_pad", "frame_splicing", "pad_value", "hop_length", "n_fft", "win_length")
_LEVELS = ("preemph", "mag_power", "log", "log_zero_guard_type", "nfilt")


def write(engine: Engine, folder: Path, checkpoint_sha256: str) -> dict[str, Any]:
    """Write the graphs, the front end's settings and ``facts.json`` of a model on the CPU into a folder.

    Args:
        engine: the torch engine of the checkpoint, on the CPU in fp32; adapters that are switched on are part
            of what is traced.
        checkpoint_sha256: recorded.

    Returns:
        The facts.

    Raises:
        WorkbenchError: a model whose look-aheads cannot share a graph, or that cannot stream.
    """
    import torch

    contexts = check(engine)
    right = max(right for _, right in contexts)
    with engine.lock, torch.inference_mode(), quiet(), _plain_joint(engine.model):
        engine.set_context(right)
        for name, (module, inputs, names, outputs, axes) in _traced(engine, right).items():
            export(module, inputs, folder / f"{name}.onnx", names, outputs, axes)
        facts = _facts(engine, contexts, checkpoint_sha256)
    featurizer = engine.frontend.featurizer
    np.savez(folder / FRONTEND, window=featurizer.window.numpy(), filters=featurizer.fb[0].numpy())
    facts["files"] = {path.name: sha256_file(path) for path in sorted(folder.iterdir()) if path.name != FACTS}
    (folder / FACTS).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    return facts


def check(engine: Engine) -> list[tuple[int, int]]:
    """The (left, right) contexts of a model, in frames, if one graph can serve them.

    Raises:
        WorkbenchError: it cannot stream, is not on the CPU in fp32, or its contexts differ in what they see.
    """
    import torch

    _ = engine.frontend  # raises where the checkpoint decodes offline only
    contexts = [(int(left), int(right)) for left, right in engine.encoder.att_context_size_all]
    longest = max(right for _, right in contexts) + 1
    if len({left for left, _ in contexts}) > 1 or contexts[0][0] % longest:
        raise WorkbenchError(
            f"its look-aheads see different left contexts ({contexts})", hint="Use runtime='torch'."
        )
    if engine.device.type != "cpu" or engine.dtype is not torch.float32:
        raise WorkbenchError("ONNX graphs are written on the CPU in fp32", hint="Use device='cpu'.")
    if type(engine.model.decoder).__name__ != "RNNTDecoder":
        raise WorkbenchError("only an LSTM predictor is exported", hint="Use runtime='torch'.")
    return contexts


def _facts(engine: Engine, contexts: list[tuple[int, int]], sha256: str) -> dict[str, Any]:
    import torch

    model, featurizer = engine.model, engine.frontend.featurizer
    guard = featurizer.log_zero_guard_value_fn(torch.zeros(1))
    channel, time, _ = engine._initial_caches()
    return {
        "format": FORMAT,
        "checkpoint_sha256": sha256,
        "contexts": [list(context) for context in contexts],
        "sample_rate": engine.sample_rate,
        "subsampling": engine.subsampling,
        "context_features": engine.context_features,
        "cache_channel": [channel.shape[0], *channel.shape[2:]],
        "cache_time": [time.shape[0], *time.shape[2:]],
        "prompts": int(model.num_prompts) if getattr(model, "concat", False) else None,
        "predictor": [int(model.decoder.pred_rnn_layers), int(model.decoder.pred_hidden)],
        "joint_hidden": int(model.joint.joint_hidden),
        "blank": int(model.decoder.blank_idx),
        "max_symbols": most_symbols(model),
        "parameters": engine.parameters,
        "featurizer": {key: _plain(getattr(featurizer, key)) for key in (*_FEATURIZER, *_LEVELS)},
        "log_zero_guard": float(guard),
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _traced(engine: Engine, right: int) -> dict[str, tuple[Any, ...]]:
    """Of each graph: module, example inputs, their names, the outputs' names, and the axes that vary."""
    import torch

    from workbench.recognizer import onnx_modules as traced

    model, encoder = engine.model, engine.encoder
    width, layers = int(encoder.d_model), int(model.decoder.pred_rnn_layers)
    hidden, joint = int(model.decoder.pred_hidden), int(model.joint.joint_hidden)
    held = [torch.cat([one, one], dim=int(one.dim() > 1)) for one in engine._initial_caches()]
    frames = torch.randn(2, right + 1, width)
    counts = torch.tensor([right + 1, right])
    features = torch.randn(2, 8 * right + 9, int(engine.frontend.featurizer.nfilt))
    state = torch.zeros(layers, 2, hidden)
    prompt = [torch.tensor([0, 1])] if getattr(model, "concat", False) else []
    batch, steps = {0: "batch", 1: "frames"}, {0: "rows", 1: "frames"}
    caches = {"cache_channel": {1: "batch"}, "cache_time": {1: "batch"}, "cache_length": {0: "batch"}}
    after = {f"{name}_next": axes for name, axes in caches.items()}
    return {
        "subsampling": (
            traced.Subsampling(encoder),
            (features, torch.full((2,), features.shape[1])),
            ["features", "lengths"],
            ["frames"],
            {"features": {0: "batch", 1: "time"}, "lengths": {0: "batch"}, "frames": batch},
        ),
        "encoder": (
            traced.Encoder(model, engine._cached, encoder.streaming_cfg.last_channel_cache_size),
            (frames, counts, *held, *prompt),
            ["frames", "lengths", *caches, *(["prompt"] if prompt else [])],
            ["projected", *after],
            {"frames": batch, "lengths": {0: "batch"}, "prompt": {0: "batch"}, "projected": batch}
            | caches
            | after,
        ),
        "predictor": (
            traced.Predictor(model),
            (torch.zeros(2, 1, dtype=torch.int64), state, state),
            ["labels", "hidden", "cell"],
            ["predicted", "hidden_next", "cell_next"],
            {"labels": {0: "rows"}, "predicted": {0: "rows"}}
            | {name: {1: "rows"} for name in ("hidden", "cell", "hidden_next", "cell_next")},
        ),
        "joint": (
            traced.Joint(model),
            (torch.randn(2, right + 1, joint), torch.randn(2, 1, joint)),
            ["projected", "predicted"],
            ["best", "logits"],
            {"projected": steps, "predicted": {0: "rows"}, "best": steps, "logits": steps},
        ),
    }


def export(
    module: Any, inputs: tuple[Any, ...], path: Path, names: list[str], outputs: list[str], axes: Any
) -> None:
    import onnx
    import torch

    size = sum(p.numel() * p.element_size() for p in module.parameters())
    torch.onnx.export(
        module.eval(),
        inputs,
        str(path),
        input_names=names,
        output_names=outputs,
        dynamic_axes={key: value for key, value in axes.items() if key in (*names, *outputs)},
        opset_version=OPSET,
        dynamo=False,
    )
    if size > EXTERNAL_BYTES:
        graph = onnx.load(str(path))
        for other in path.parent.iterdir():
            # torch writes each large weight to a file of its own.
            if other.suffix not in (".onnx", ".data", ".npz", ".json"):
                other.unlink()
        onnx.save_model(
            graph, str(path), save_as_external_data=True, location=f"{path.name}.data", size_threshold=1024
        )


def quantize(source: Path, target: Path) -> None:
    """A graph with the weights of its matrices in eight bits, scaled as each step's numbers come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # It advises on the root logger to optimize the graph first, which gains nothing here.
    logging.disable(logging.WARNING)
    try:
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            weight_type=QuantType.QInt8,
            use_external_data_format=source.with_name(f"{source.name}.data").is_file(),
        )
    finally:
        logging.disable(logging.NOTSET)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the tracer's warnings about Python values taken for constants: they are constants here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _plain_joint(model: Any) -> Iterator[None]:
    """The joint without its log-softmax, which the best label does not need."""
    before = model.joint.log_softmax
    model.joint.log_softmax = False
    try:
        yield
    finally:
        model.joint.log_softmax = before
