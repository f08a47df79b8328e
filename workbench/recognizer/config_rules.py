"""What a checkpoint's configuration may say, and what of it reaches NeMo.

NeMo builds each part of a model by Hydra, which imports what ``_target_`` names *wherever it stands*, and
calls it. NeMo's own list goes by prefix and lets functions with side effects through. Here each place has its
exact classes, and nothing that Hydra or OmegaConf would act on may stand anywhere else: no ``_target_`` or
older ``cls`` and ``params``, no ``${…}``. Numbers are limited before anything of their size is built. What
reaches NeMo is the value that was checked, cut to the sections that a transducer is made of.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from workbench.errors import WorkbenchError

Path = tuple[str, ...]
MODEL_CLASSES = {
    "EncDecRNNTBPEModelWithPrompt": "nemo.collections.asr.models.rnnt_bpe_models_prompt",
    "EncDecRNNTBPEModel": "nemo.collections.asr.models.rnnt_bpe_models",
    "EncDecHybridRNNTCTCBPEModelWithPrompt": "nemo.collections.asr.models.hybrid_rnnt_ctc_bpe_models_prompt",
    "EncDecHybridRNNTCTCBPEModel": "nemo.collections.asr.models.hybrid_rnnt_ctc_bpe_models",
}
_MODULES = "nemo.collections.asr.modules"
_ATTENTION_ADAPTERS = "nemo.collections.asr.parts.submodules.adapters.multi_head_attention_adapter_module"
_STRATEGIES = "nemo.core.classes.mixins.adapter_mixin_strategies"


def _module(file: str, *names: str) -> frozenset[str]:
    """Of NeMo's modules, by the two names that configurations use."""
    return frozenset(f"{place}.{name}" for place in (_MODULES, f"{_MODULES}.{file}") for name in names)


ANY = "*"
PLACES: dict[Path, frozenset[str]] = {
    ("preprocessor",): _module("audio_preprocessing", "AudioToMelSpectrogramPreprocessor"),
    ("spec_augment",): _module("audio_preprocessing", "SpectrogramAugmentation"),
    ("encoder",): _module("conformer_encoder", "ConformerEncoder", "ConformerEncoderAdapter"),
    ("decoder",): _module("rnnt", "RNNTDecoder"),
    ("joint",): _module("rnnt", "RNNTJoint"),
    ("aux_ctc", "decoder"): _module("conv_asr", "ConvASRDecoder"),
    ("adapters", ANY): frozenset(
        {
            "nemo.collections.common.parts.adapter_modules.LinearAdapter",
            f"{_ATTENTION_ADAPTERS}.MultiHeadAttentionAdapter",
            f"{_ATTENTION_ADAPTERS}.RelPositionMultiHeadAttentionAdapter",
            f"{_ATTENTION_ADAPTERS}.PositionalEncodingAdapter",
            f"{_ATTENTION_ADAPTERS}.RelPositionalEncodingAdapter",
        }
    ),
    ("adapters", ANY, "adapter_strategy"): frozenset(
        {
            f"{_STRATEGIES}.ResidualAddAdapterStrategy",
            f"{_STRATEGIES}.ReturnResultAdapterStrategy",
            f"{_ATTENTION_ADAPTERS}.MHAResidualAddAdapterStrategy",
        }
    ),
}
"""Where a class may be named, and which."""
REQUIRED = ("model_defaults", "tokenizer", "preprocessor", "encoder", "decoder", "joint")
"""Sections without which no transducer is built."""
CARRIED = {
    *REQUIRED,
    *("target", "nemo_version", "spec_augment", "loss", "decoding", "aux_ctc", "adapters", "interctc"),
    *("sample_rate", "subsampling_factor", "num_prompts", "initialize_prompt_feature", "rnnt_reduction"),
    *("ctc_reduction", "log_prediction", "compute_eval_loss", "use_cer", "skip_nan_grad"),
    *("variational_noise", "normalize_joint_txu", "normalize_encoder_norm"),
}
"""Top-level keys that reach NeMo: not data, trainers or profilers, which name files to read and write, nor
the vocabulary, which NeMo takes from the tokenizer."""
DECODING = ("strategy", "model_type", "durations", "strip_lang_tags", "lang_tag_pattern")
GREEDY = ("max_symbols", "max_symbols_per_step", "loop_labels", "use_cuda_graph_decoder")
BUILT = (
    *("model_defaults", "preprocessor", "spec_augment", "encoder", "decoder", "joint", "aux_ctc", "adapters"),
    *("decoding", "loss", "interctc"),
)
"""Sections whose numbers become sizes."""
MAX_DEPTH = 32
MAX_NUMBER, MAX_ITEMS, MAX_CONTEXTS = 1_000_000, 4096, 64
MAX_VOCABULARY = 300_000
MAXIMA = {
    **dict.fromkeys(("n_layers", "n_heads", "stochastic_depth_start_layer"), 256),
    **dict.fromkeys(("d_model", "pred_hidden", "enc_hidden", "encoder_hidden", "in_features", "dim"), 8192),
    **dict.fromkeys(("feat_out", "joint_hidden"), 16_384),
    **dict.fromkeys(("feat_in", "features", "conv_kernel_size"), 1024),
    **dict.fromkeys(("subsampling_factor", "reduction_factor", "frame_splicing", "ff_expansion_factor"), 64),
    **dict.fromkeys(("subsampling_conv_channels", "num_prompts", "fused_batch_size", "global_tokens"), 4096),
    **dict.fromkeys(("pred_rnn_layers", "num_extra_outputs"), 64),
    **dict.fromkeys(("num_classes", "vocab_size"), MAX_VOCABULARY),
    **dict.fromkeys(("freq_masks", "time_masks", "rect_masks", "max_symbols"), 1000),
    **dict.fromkeys(("n_fft", "n_window_size", "n_window_stride"), 65_536),
    "pos_emb_max_len": 20_000,
    "att_context_size": 4096,
    "sample_rate": 192_000,
    "window_size": 1,
    "window_stride": 1,
}
"""Largest number that a key may have in a built section; others go by ``MAX_NUMBER``."""
_HYDRA = re.compile(r"_.*_|cls|params|target", re.S)
"""Keys that Hydra, or NeMo's conversion of older configurations, acts on."""


def check(config: Any) -> dict[str, Any]:
    """The configuration, if it may be built from.

    Raises:
        WorkbenchError: ``what`` says which place holds what it must not; ``hint`` how to go on, if anything
            can be done.
    """
    if not isinstance(config, dict):
        raise WorkbenchError("the configuration is not a mapping")
    _check_class(config.get("target"))
    for path, value in _walk(config):
        _check_place(path, value)
    for name in (*REQUIRED, *(name for name in BUILT if config.get(name) is not None)):
        if not isinstance(config.get(name), dict):
            raise WorkbenchError(f"{name} is not a mapping")
    for name in BUILT:
        for path, value in _walk(config.get(name)):
            _check_size((name, *path), value)
    _check_tokenizer(config["tokenizer"])
    _check_transducer(config)
    _check_prompts(config)
    return config


def for_nemo(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a checked configuration that a model is built from; a copy."""
    found = {key: _copy(value) for key, value in config.items() if key in CARRIED}
    # NeMo looks for more files of the tokenizer in this folder of whoever saved the checkpoint.
    found["tokenizer"]["dir"] = ""
    found["joint"].pop("vocabulary", None)
    decoding = found.get("decoding")
    decoding = decoding if isinstance(decoding, dict) else {}
    greedy = decoding.get("greedy")
    kept = {key: decoding[key] for key in DECODING if key in decoding}
    if kept.get("strategy") not in ("greedy", "greedy_batch"):
        kept["strategy"] = "greedy_batch"
    kept["greedy"] = {key: greedy[key] for key in GREEDY if key in greedy} if isinstance(greedy, dict) else {}
    found["decoding"] = kept
    if isinstance(found.get("aux_ctc"), dict):
        found["aux_ctc"]["decoding"] = {"strategy": "greedy_batch"}
    return found


def parts(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each section that names a class, with its dotted path; adapters left out."""
    for path in PLACES:
        node: Any = config
        for key in path:
            node = node.get(key) if isinstance(node, dict) else None
        if ANY not in path and isinstance(node, dict) and "_target_" in node:
            yield ".".join(path), node


def parameters(config: Mapping[str, Any]) -> int:
    """About how many weights a checked configuration describes; at most a few per cent below."""
    encoder, defaults = config["encoder"], config["model_defaults"]

    def number(section: Any, key: str, default: int) -> int:
        value = section.get(key) if isinstance(section, dict) else None
        return value if type(value) is int and value > 0 else default

    width, layers = number(encoder, "d_model", 512), number(encoder, "n_layers", 1)
    in_layer = width * width * (4 * number(encoder, "ff_expansion_factor", 4) + 8)
    prednet, jointnet = config["decoder"].get("prednet"), config["joint"].get("jointnet")
    pred = number(prednet, "pred_hidden", number(defaults, "pred_hidden", 640))
    joint = number(jointnet, "joint_hidden", number(defaults, "joint_hidden", 640))
    labels = config.get("labels")
    vocabulary = max(
        number(config["decoder"], "vocab_size", 1), len(labels) if isinstance(labels, list) else 1
    )
    recurrent = number(prednet, "pred_rnn_layers", 1) * 8 * pred * pred
    return layers * in_layer + recurrent + vocabulary * (pred + joint) + joint * (width + pred)


def _walk(root: Any) -> Iterator[tuple[Path, Any]]:
    """Every key and value, with the keys that lead to it; ``ANY`` for the items of a list."""
    stack: list[tuple[Path, Any]] = [((), root)]
    while stack:
        path, node = stack.pop()
        if len(path) > MAX_DEPTH:
            raise WorkbenchError("the configuration is nested too deeply")
        if isinstance(node, dict):
            for key, value in node.items():
                if not isinstance(key, str):
                    raise WorkbenchError(f"{_dotted(path)} has the key {str(key)[:40]!r}, which is no text")
                stack.append(((*path, key), value))
        elif isinstance(node, list):
            stack.extend(((*path, ANY), value) for value in node)
        if path:
            yield path, node


def _dotted(path: Path) -> str:
    return ".".join(path)[:90] or "the configuration"


def _check_class(target: Any) -> None:
    module, _, name = target.rpartition(".") if isinstance(target, str) else ("", "", "")
    if MODEL_CLASSES.get(name) != module:
        known = ", ".join(MODEL_CLASSES)
        raise WorkbenchError(f"class {str(target)[:90]!r}", hint=f"Supported: {known}.")


def _check_place(path: Path, value: Any) -> None:
    if (isinstance(value, str) and "${" in value) or "${" in path[-1]:
        raise WorkbenchError(f"{_dotted(path)} refers to a value outside (${{…}})")
    if not _HYDRA.fullmatch(path[-1]) or path == ("target",):
        return
    place = path[:-1]
    if place[:1] == ("adapters",) and len(place) > 1:
        place = ("adapters", ANY, *place[2:])
    if path[-1] != "_target_" or place not in PLACES:
        raise WorkbenchError(f"{_dotted(path)}: nothing may be named there ({str(value)[:60]!r})")
    if not isinstance(value, str) or value not in PLACES[place]:
        raise WorkbenchError(f"{_dotted(path)} names {str(value)[:90]!r}, which is no class for this place")


def _check_size(path: Path, value: Any) -> None:
    names = [name for name in path if name != ANY]
    if isinstance(value, list):
        limit = {"vocabulary": MAX_VOCABULARY, "att_context_size": MAX_CONTEXTS}.get(names[-1], MAX_ITEMS)
        if len(value) > limit:
            raise WorkbenchError(f"{_dotted(path)} has {len(value):,} items, more than {limit:,}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        if names[-1] in MAXIMA and isinstance(value, str | bool):
            raise WorkbenchError(f"{_dotted(path)} is {str(value)[:40]!r}, no number")
        return
    limit = MAXIMA.get(names[-1], MAX_NUMBER)
    if not math.isfinite(value) or abs(value) > limit:
        raise WorkbenchError(f"{_dotted(path)} is {str(value)[:40]}, beyond the limit of {limit:,}")


def _check_tokenizer(tokenizer: Mapping[str, Any]) -> None:
    kind = tokenizer.get("type")
    if not isinstance(kind, str) or kind.lower() != "bpe":
        raise WorkbenchError(
            f"a tokenizer of the type {str(kind)[:40]!r}", hint="A SentencePiece model is read (type: bpe)."
        )
    if tokenizer.get("special_tokens") or tokenizer.get("custom_tokenizer"):
        raise WorkbenchError("a tokenizer with parts of its own", hint="A SentencePiece model is read.")
    for key in ("model_path", "vocab_path"):
        _check_member(key, tokenizer.get(key))
    if tokenizer.get("spe_tokenizer_vocab") is not None:
        _check_member("spe_tokenizer_vocab", tokenizer["spe_tokenizer_vocab"])


def _check_member(key: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"nemo:[\w.+@ -]+", value):
        raise WorkbenchError(f"tokenizer.{key} is {str(value)[:60]!r}, no file of the archive (nemo:NAME)")


def _check_transducer(config: Mapping[str, Any]) -> None:
    loss = config.get("loss")
    name = loss.get("loss_name") if isinstance(loss, dict) else None
    if config["joint"].get("num_extra_outputs") or name in ("tdt", "multiblank_rnnt"):
        raise WorkbenchError(
            "a transducer that predicts durations (TDT, multi-blank)", hint="A plain RNNT checkpoint is read."
        )


def _check_prompts(config: Mapping[str, Any]) -> None:
    defaults = config["model_defaults"]
    prompts, count = defaults.get("prompt_dictionary"), defaults.get("num_prompts", 128)
    if type(count) is not int or not 0 < count <= MAXIMA["num_prompts"]:
        raise WorkbenchError(f"model_defaults.num_prompts is {str(count)[:40]!r}")
    if prompts is None:
        return
    if not isinstance(prompts, dict):
        raise WorkbenchError("model_defaults.prompt_dictionary is not a mapping")
    for tag, index in prompts.items():
        if type(index) is not int or not 0 <= index < count:
            raise WorkbenchError(
                f"the prompt of {tag[:40]!r} is {str(index)[:40]!r}, outside 0 … {count - 1}",
                hint="Every prompt index must be one of the checkpoint's prompts.",
            )


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
