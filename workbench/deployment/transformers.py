"""A package for Hugging Face Transformers, whose ``Nemotron3_5AsrForRNNT`` reads this class of checkpoint.

Weights, configuration, processor and tokenizer as ``from_pretrained`` wants them; every look-ahead at once.
Its class has one size for the predictor's and the joint's hidden units. Where a checkpoint's two differ, the
smaller is filled up with zeros, which changes no value: a unit of an LSTM whose weights and biases are zero
stays at zero, and so does one of the joint.

Its own ``generate`` streams chunks of features that must be full, so the audio of a stream is filled up with
silence; what it reads in that silence is part of what a caller gets.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.deployment.package import Package, describe, empty_folder
from workbench.errors import WorkbenchError, one_line
from workbench.recognizer.decoder import Decoded, confidence, most_symbols

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.engine import Engine

TARGET = "transformers"
BLANK = "<blank>"
_ENCODER = {
    "att_context_style": "chunked_limited",
    "self_attention_model": "rel_pos",
    "subsampling": "dw_striding",
    "causal_downsampling": True,
    "conv_norm_type": "layer_norm",
    "conv_context_size": "causal",
    "untie_biases": True,
}
"""What its encoder always is, by NeMo's names."""
_NAMES = (
    (r"^encoder\.pre_encode\.conv\.0\.", "encoder.subsampling.conv_in."),
    (r"^encoder\.pre_encode\.out\.", "encoder.subsampling.linear."),
    (r"\.conv\.batch_norm\.", ".conv.norm."),
    (r"\.self_attn\.linear_([qkv])\.", r".self_attn.\1_proj."),
    (r"\.self_attn\.linear_out\.", ".self_attn.o_proj."),
    (r"\.self_attn\.linear_pos\.", ".self_attn.relative_k_proj."),
    (r"\.self_attn\.pos_bias_([uv])$", r".self_attn.bias_\1"),
    (r"^prompt_kernel\.0\.", "prompt_projector.linear_1."),
    (r"^prompt_kernel\.2\.", "prompt_projector.linear_2."),
    (r"^decoder\.prediction\.embed\.", "decoder.embedding."),
    (r"^decoder\.prediction\.dec_rnn\.lstm\.", "decoder.lstm."),
    (r"^joint\.enc\.", "encoder_projector."),
    (r"^joint\.pred\.", "decoder.decoder_projector."),
    (r"^joint\.joint_net\.\d+\.", "joint.head."),
)
"""NeMo's names of weights and those of Transformers."""
_FRONT_END = ("preprocessor.featurizer.window", "preprocessor.featurizer.fb")


def write_package(
    checkpoint: Checkpoint,
    folder: str | Path,
    *,
    lookahead_ms: int | None = None,
    clips: Sequence[Path] = (),
) -> Package:
    """Write a checkpoint as a folder that Transformers' ``from_pretrained`` loads, in fp32.

    Args:
        folder: that does not exist, or is empty.
        lookahead_ms: that its processor starts with; None is the checkpoint's default. It serves all.
        clips: recordings to put beside it as WAV, to try it with.

    Raises:
        WorkbenchError: the folder holds something, an unknown look-ahead, or a checkpoint whose parts
            Transformers' class does not have.
    """
    right = checkpoint.right_context(lookahead_ms)
    engine = checkpoint.engine("cpu", "fp32")
    _check(engine, checkpoint)
    target = empty_folder(Path(folder))
    processor, model = _processor(engine, checkpoint, right), _model(engine, checkpoint, right)
    with _quiet():
        processor.save_pretrained(target)
        model.save_pretrained(target)
    settings = {
        "lookahead_ms": (right + 1) * checkpoint.info.frame_ms,
        "lookaheads_ms": list(checkpoint.info.lookaheads_ms),
        "sample_rate": checkpoint.info.sample_rate,
    }
    return describe(
        target, TARGET, checkpoint, precision="fp32", settings=settings,
        guide=guide(checkpoint, right), clips=clips,
    )  # fmt: skip


class Reader:
    """Transformers' own model and processor of a package.

    Args:
        package: of :func:`write_package`. ``checkpoint``: that it was made of.
        right: look-ahead in encoder frames.
    """

    def __init__(self, package: Package, checkpoint: Checkpoint, right: int) -> None:
        from transformers import LogitsProcessorList, Nemotron3_5AsrForRNNT, Nemotron3_5AsrProcessor

        with _quiet():
            self.processor = Nemotron3_5AsrProcessor.from_pretrained(package.path, local_files_only=True)
            self.model = Nemotron3_5AsrForRNNT.from_pretrained(package.path, local_files_only=True).eval()
        self.processor.set_num_lookahead_tokens(right)
        self._step = int(self.model.config.encoder_config.subsampling_factor)
        self._scores: list[float] = []
        self._watch = LogitsProcessorList([self._note])

    def read(self, pcm: NDArray[np.float32], locale: str, *, streaming: bool = True) -> Decoded:
        """Tokens, frames and confidences of one clip.

        Args:
            pcm: (samples,) float32 at the processor's rate.
            locale: a tag of the checkpoint's dictionary, or ``auto``.
            streaming: by chunks of the look-ahead, from features that are cut as its guide says; False reads
                the whole clip at once.
        """
        import torch

        right = self.processor.default_num_lookahead_tokens
        self._scores.clear()
        with torch.inference_mode(), _quiet():
            inputs = self._features(self.filled(pcm) if streaming else pcm, locale)
            features = inputs.pop("input_features")
            if streaming:
                inputs.pop("attention_mask")
            inputs["num_lookahead_tokens"] = right
            found = self.model.generate(
                input_features=self._chunks(features) if streaming else features,
                logits_processor=self._watch, **inputs,
                max_new_tokens=self.model.max_symbols_per_step * (features.shape[1] // self._step + 2),
            )  # fmt: skip
        return self._decoded(found)

    def filled(self, pcm: NDArray[np.float32]) -> NDArray[np.float32]:
        """The clip with silence behind it, so that its last chunk is full."""
        hop = self.processor.feature_extractor.hop_length
        first, later = (
            self.processor.num_mel_frames_first_audio_chunk,
            self.processor.num_mel_frames_per_audio_chunk,
        )
        frames = len(pcm) // hop
        chunks = max(0, -(-(frames - first) // later))
        return np.pad(pcm, (0, max(0, (first + chunks * later) * hop - len(pcm))))

    def _features(self, pcm: NDArray[np.float32], locale: str) -> Any:
        rate = self.processor.feature_extractor.sampling_rate
        return self.processor(pcm, sampling_rate=rate, language=locale)

    def _chunks(self, features: torch.Tensor) -> Iterator[torch.Tensor]:
        first, later = (
            self.processor.num_mel_frames_first_audio_chunk,
            self.processor.num_mel_frames_per_audio_chunk,
        )
        yield features[:, :first]
        for start in range(first, features.shape[1] - later + 1, later):
            yield features[:, start : start + later]

    def _note(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Called by ``generate`` at each step: how sure it is of what it is about to say."""
        self._scores.append(confidence(float(scores[0].softmax(-1).max()), scores.shape[-1]))
        return scores

    def _decoded(self, found: Any) -> Decoded:
        blank = self.model.config.blank_token_id
        ids, advanced = found.sequences[0].tolist()[1:], found.durations[0].tolist()[1:]
        frame, said = 0, Decoded([], [], [])
        for token, step, score in zip(ids, advanced, self._scores, strict=True):
            if token != blank:
                said.ids.append(token)
                said.frames.append(frame)
                said.confidences.append(score)
            frame += step
        return said


def _check(engine: Engine, checkpoint: Checkpoint) -> None:
    """Raise where the checkpoint has a part that Transformers' class has not."""
    config = checkpoint.archive.config
    encoder = config["encoder"]
    unlike = [f"encoder.{key} is {encoder[key]!r}" for key, value in _ENCODER.items()
              if key in encoder and encoder[key] != value]  # fmt: skip
    if not checkpoint.info.prompts:
        unlike.append("it takes no language prompt")
    lefts = {int(left) for left, _ in engine.encoder.att_context_size_all}
    if len(lefts) > 1:
        unlike.append(f"its look-aheads see different left contexts ({sorted(lefts)})")
    if checkpoint.info.tokenizer != "sentencepiece bpe":
        unlike.append(f"its tokenizer is {checkpoint.info.tokenizer}")
    if type(engine.model.decoder).__name__ != "RNNTDecoder":
        unlike.append("its predictor is no LSTM")
    if config["joint"]["jointnet"].get("activation", "relu") != "relu":
        unlike.append("the joint's activation is not relu")
    if not _hears_alike(engine):
        unlike.append("its features are made in another way")
    if unlike:
        raise WorkbenchError(
            f"Transformers' class does not fit: {'; '.join(unlike)}", where=str(checkpoint.path)
        )


def _hears_alike(engine: Engine) -> bool:
    """Whether the front ends have the same window, filters and levels."""
    import torch

    theirs, ours = _feature_extractor(engine), engine.frontend.featurizer
    window = torch.hann_window(theirs.win_length, periodic=False)
    return (
        ours.normalize in ("NA", "none", None, "")
        and ours.mag_power == 2.0
        and bool(ours.log)
        and ours.log_zero_guard_type == "add"
        and abs(float(ours.log_zero_guard_value_fn(torch.zeros(1))) - 2**-24) < 1e-12
        and ours.window.shape == window.shape
        and torch.allclose(ours.window, window, atol=1e-6)
        and torch.allclose(ours.fb[0], theirs.mel_filters, atol=1e-6)
    )


def _feature_extractor(engine: Engine) -> Any:
    from transformers import NemotronAsrStreamingFeatureExtractor

    ours = engine.frontend.featurizer
    return NemotronAsrStreamingFeatureExtractor(
        feature_size=int(ours.nfilt), sampling_rate=engine.sample_rate, hop_length=int(ours.hop_length),
        n_fft=int(ours.n_fft), win_length=int(ours.win_length), preemphasis=float(ours.preemph or 0.0),
    )  # fmt: skip


def _processor(engine: Engine, checkpoint: Checkpoint, right: int) -> Any:
    from transformers import Nemotron3_5AsrProcessor

    rights = [int(one) for _, one in engine.encoder.att_context_size_all]
    return Nemotron3_5AsrProcessor(
        feature_extractor=_feature_extractor(engine),
        tokenizer=_tokenizer(checkpoint),
        blank_token=BLANK,
        supported_num_lookahead_tokens=sorted(rights),
        default_num_lookahead_tokens=right,
        prompt_dictionary={**checkpoint.info.aliases, **checkpoint.info.prompts},
        num_prompts=int(engine.model.num_prompts),
    )


def _tokenizer(checkpoint: Checkpoint) -> Any:
    """The checkpoint's pieces by the same numbers; language tags are special, the blank is the padding."""
    from transformers import ParakeetTokenizer
    from transformers.convert_slow_tokenizer import ParakeetConverter

    pieces = checkpoint.tokenizer()
    with tempfile.TemporaryDirectory() as held:
        model = Path(held) / "tokenizer.model"
        model.write_bytes(pieces.serialized_model_proto())
        found = ParakeetTokenizer(
            tokenizer_object=ParakeetConverter(str(model)).converted(), clean_up_tokenization_spaces=False
        )
    found.add_special_tokens({"pad_token": BLANK, "unk_token": pieces.id_to_piece(pieces.unk_id())})
    tags = [f"<{tag}>" for tag in checkpoint.info.prompts]
    vocabulary = found.get_vocab()
    found.add_special_tokens({"extra_special_tokens": [tag for tag in tags if tag in vocabulary]})
    wanted = [pieces.id_to_piece(number) for number in range(pieces.get_piece_size())]
    if found.convert_ids_to_tokens(list(range(len(wanted) + 1))) != [*wanted, BLANK]:
        raise WorkbenchError("the tokenizer's pieces cannot keep their numbers", where=str(checkpoint.path))
    return found


def _model(engine: Engine, checkpoint: Checkpoint, right: int) -> Any:
    import torch
    from transformers import (
        Nemotron3_5AsrConfig,
        Nemotron3_5AsrForRNNT,
        NemotronAsrStreamingEncoderConfig,
    )

    encoder, model = checkpoint.archive.config["encoder"], engine.model
    biased = bool(encoder.get("use_bias", True))
    left = int(engine.encoder.att_context_size_all[0][0])
    hidden, joint = int(model.decoder.pred_hidden), int(model.joint.joint_hidden)
    blank, prompts = int(model.decoder.blank_idx), checkpoint.info.prompts
    config = Nemotron3_5AsrConfig(
        vocab_size=blank + 1, blank_token_id=blank, pad_token_id=blank,
        decoder_hidden_size=max(hidden, joint), num_decoder_layers=int(model.decoder.pred_rnn_layers),
        max_symbols_per_step=most_symbols(model), num_prompts=int(model.num_prompts),
        prompt_intermediate_size=int(model.prompt_kernel[0].out_features),
        default_prompt_id=int(prompts.get("auto", next(iter(prompts.values())))),
        encoder_config=NemotronAsrStreamingEncoderConfig(
            hidden_size=int(encoder["d_model"]), num_hidden_layers=int(encoder["n_layers"]),
            num_attention_heads=int(encoder["n_heads"]),
            intermediate_size=int(encoder["d_model"]) * int(encoder["ff_expansion_factor"]),
            attention_bias=biased, convolution_bias=biased,
            conv_kernel_size=int(encoder["conv_kernel_size"]), subsampling_factor=engine.subsampling,
            subsampling_conv_channels=int(encoder["subsampling_conv_channels"]),
            num_mel_bins=int(encoder["feat_in"]), scale_input=bool(encoder.get("xscaling", True)),
            max_position_embeddings=int(encoder.get("pos_emb_max_len", 5000)),
            sliding_window=left + 1, default_num_lookahead_tokens=right,
            dropout=encoder.get("dropout", 0.1), attention_dropout=encoder.get("dropout_att", 0.0),
            activation_dropout=encoder.get("dropout", 0.1), dropout_positions=encoder.get("dropout_emb", 0.0),
            layerdrop=0.0,
        ).to_dict(),
    )  # fmt: skip
    weights = weights_of(model.state_dict(), hidden, joint)
    with torch.device("meta"):
        found = Nemotron3_5AsrForRNNT(config)
    missing, unknown = found.load_state_dict(weights, strict=False, assign=True)
    if missing or unknown:
        what = f"Transformers' class lacks {unknown[:3]} and wants {missing[:3]}"
        raise WorkbenchError(one_line(what), where=str(checkpoint.path))
    found.generation_config.decoder_start_token_id = blank
    found.generation_config.pad_token_id = blank
    return found


def weights_of(state: Mapping[str, torch.Tensor], hidden: int, joint: int) -> dict[str, torch.Tensor]:
    """NeMo's weights by Transformers' names, with one hidden size.

    Args:
        state: of the NeMo model. ``hidden``, ``joint``: units of its predictor and of its joint.
    """
    width, found = max(hidden, joint), {}
    stages = sorted(
        {int(number) for name in state for number in re.findall(r"^encoder\.pre_encode\.conv\.(\d+)\.", name)}
    )[1:]
    names = list(_NAMES)
    for layer, (depthwise, pointwise) in enumerate(zip(stages[::2], stages[1::2], strict=True)):
        for number, kind in ((depthwise, "depthwise_conv"), (pointwise, "pointwise_conv")):
            pattern = rf"^encoder\.pre_encode\.conv\.{number}\."
            names.append((pattern, f"encoder.subsampling.layers.{layer}.{kind}."))
    for name, value in state.items():
        if name in _FRONT_END:
            continue
        new = name
        for pattern, replacement in names:
            new = re.sub(pattern, replacement, new)
        found[new] = _widened(new, value, width).contiguous()
    return found


def _widened(name: str, value: torch.Tensor, width: int) -> torch.Tensor:
    """A weight of predictor or joint with zeros for the units that it lacks; others as they are."""
    import torch

    if name.startswith("decoder.lstm."):
        return torch.cat([_filled(gate, width, width) for gate in value.chunk(4)])
    if name.startswith("decoder.decoder_projector."):
        return _filled(value, width, width)
    if name.startswith("encoder_projector."):
        return _filled(value, width, value.shape[-1])
    if name in ("decoder.embedding.weight", "joint.head.weight"):
        return _filled(value, len(value), width)
    return value


def _filled(value: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """With zeros below, and to the right where it has columns."""
    from torch.nn.functional import pad

    right = (0, columns - value.shape[1]) if value.dim() == 2 else ()
    return pad(value, (*right, 0, rows - value.shape[0]))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Transformers' advice and progress bars belong to its own callers, not on a widget."""
    from transformers.utils import logging as told

    level, bars = told.get_verbosity(), told.is_progress_bar_enabled()
    told.set_verbosity_error()
    told.disable_progress_bar()
    try:
        yield
    finally:
        told.set_verbosity(level)
        if bars:
            told.enable_progress_bar()


def guide(checkpoint: Checkpoint, right: int) -> str:
    """How the package is used, in Markdown."""
    tag, rate = next(iter(checkpoint.info.locales), "auto"), checkpoint.info.sample_rate
    return f"""
`pip install transformers torch`; the folder is what `from_pretrained` takes. The language is an argument of
the processor; `auto` finds it, and its tag is a special token.

```python
import soundfile, torch
from transformers import Nemotron3_5AsrForRNNT, Nemotron3_5AsrProcessor
processor = Nemotron3_5AsrProcessor.from_pretrained(".")
model = Nemotron3_5AsrForRNNT.from_pretrained(".").eval()
pcm, rate = soundfile.read("clips/00.wav", dtype="float32")
inputs = processor(pcm, sampling_rate={rate}, language="{tag}")
with torch.inference_mode():
    found = model.generate(**inputs)
print(processor.batch_decode(found.sequences, skip_special_tokens=True))
```

As a stream: chunks of features of exactly the look-ahead's size (the first shorter), the last filled up with
silence:

```python
processor.set_num_lookahead_tokens({right})
first, later = processor.num_mel_frames_first_audio_chunk, processor.num_mel_frames_per_audio_chunk
def chunks(features):
    yield features[:, :first]
    for start in range(first, features.shape[1] - later + 1, later):
        yield features[:, start : start + later]
found = model.generate(input_features=chunks(inputs["input_features"]), prompt_ids=inputs["prompt_ids"],
                       num_lookahead_tokens={right})
```
"""
