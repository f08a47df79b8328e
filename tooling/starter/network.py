"""The starter network: NeMo's ``EncDecRNNTBPEModelWithPrompt`` in small, and the head that teaches sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear, Module

from workbench.locales import NUM_PROMPTS, prompt_dictionary

LEFT_CONTEXT = 56
SLOTS = 2  # of the letter head in each frame of the encoder
LOG_MEL_MEAN, LOG_MEL_STD = -9.0, 4.0


def config(network: dict[str, Any], mels: int, tokenizer_dir: Path) -> dict[str, Any]:
    """NeMo's model configuration of the starter, as a plain dictionary."""
    d_model, predictor = network["d_model"], network["predictor"]
    prompts = prompt_dictionary()
    return {
        "sample_rate": 16000,
        "compute_eval_loss": False,
        "log_prediction": False,
        "subsampling_factor": 8,
        "model_defaults": {
            "enc_hidden": d_model,
            "pred_hidden": predictor,
            "joint_hidden": 2 * d_model,
            "initialize_prompt_feature": True,
            "num_prompts": NUM_PROMPTS,
            "prompt_dictionary": prompts,
        },
        "tokenizer": {"dir": str(tokenizer_dir), "type": "bpe"},
        "preprocessor": {
            "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
            "sample_rate": 16000,
            "normalize": "NA",
            "window_size": 0.025,
            "window_stride": 0.01,
            "window": "hann",
            "features": mels,
            "n_fft": 512,
            "frame_splicing": 1,
            "dither": 1e-5,
            "pad_to": 0,
        },
        "spec_augment": {
            "_target_": "nemo.collections.asr.modules.SpectrogramAugmentation",
            "freq_masks": 0,
            "time_masks": 0,
            "freq_width": 16,
            "time_width": 0.05,
        },
        "encoder": _encoder(network, mels),
        "decoder": {
            "_target_": "nemo.collections.asr.modules.RNNTDecoder",
            "normalization_mode": None,
            "random_state_sampling": False,
            "blank_as_pad": True,
            "prednet": {"pred_hidden": predictor, "pred_rnn_layers": 1, "t_max": None, "dropout": 0.2},
        },
        "joint": {
            "_target_": "nemo.collections.asr.modules.RNNTJoint",
            "log_softmax": None,
            "preserve_memory": False,
            "fuse_loss_wer": False,
            "fused_batch_size": 4,
            "jointnet": {"joint_hidden": 2 * d_model, "activation": "relu", "dropout": 0.0},
        },
        "decoding": {"strategy": "greedy_batch", "strip_lang_tags": False, "greedy": {"max_symbols": 10}},
        "loss": {"loss_name": "default"},
        "optim": {"name": "adamw", "lr": 1e-3},
    }


def _encoder(network: dict[str, Any], mels: int) -> dict[str, Any]:
    return {
        "_target_": "nemo.collections.asr.modules.ConformerEncoder",
        "feat_in": mels,
        "feat_out": -1,
        "n_layers": network["layers"],
        "d_model": network["d_model"],
        "use_bias": False,
        "subsampling": "dw_striding",
        "subsampling_factor": 8,
        "subsampling_conv_channels": network["subsampling_channels"],
        "causal_downsampling": True,
        "ff_expansion_factor": network.get("ff_expansion", 4),
        "self_attention_model": "rel_pos",
        "n_heads": network["heads"],
        "att_context_size": [[LEFT_CONTEXT, right] for right in network["look_aheads"]],
        "att_context_style": "chunked_limited",
        "xscaling": False,
        "untie_biases": True,
        "pos_emb_max_len": 5000,
        "conv_kernel_size": network["conv_kernel"],
        "conv_norm_type": "layer_norm",
        "conv_context_size": "causal",
        "dropout": 0.1,
        "dropout_pre_encoder": 0.1,
        "dropout_emb": 0.0,
        "dropout_att": 0.1,
    }


def build(network: dict[str, Any], mels: int, tokenizer_dir: Path) -> Any:
    """A fresh model of the real class, its first layers set so that log-mel features arrive standardized."""
    from nemo.collections.asr.models import EncDecRNNTBPEModelWithPrompt
    from omegaconf import OmegaConf

    model = EncDecRNNTBPEModelWithPrompt(OmegaConf.create(config(network, mels, tokenizer_dir)))
    with torch.no_grad():
        first = model.encoder.pre_encode.conv[0]
        first.bias -= first.weight.sum(dim=(1, 2, 3)) * LOG_MEL_MEAN / LOG_MEL_STD
        first.weight /= LOG_MEL_STD
        d_model = network["d_model"]
        into, out = model.prompt_kernel[0], model.prompt_kernel[2]
        eye = torch.eye(d_model)
        into.weight[:, :d_model] = torch.cat([eye, -eye])
        into.weight[:, d_model:].normal_(std=0.02)
        into.bias.zero_()
        out.weight.copy_(torch.cat([eye, -eye], dim=1))
        out.bias.zero_()
    return model


class LetterHead(Module):  # type: ignore[misc]
    """An auxiliary head on a middle layer that names the letter spoken in each 40 ms, two in each frame.

    It learns from alignments (``alignment.py``), frame by frame, so that the encoder hears sounds from the
    first step on. The last class is the pause. Used in training only.
    """

    def __init__(self, encoder: Any, layer: int, d_model: int, letters: str) -> None:
        super().__init__()
        self.letters = {letter: i for i, letter in enumerate(letters)}
        self.pause = len(letters)
        self.output = Linear(d_model, SLOTS * (len(letters) + 1))
        encoder.layers[layer - 1].register_forward_hook(self._keep)
        self._kept: Tensor | None = None

    def _keep(self, _module: Any, _inputs: Any, output: Any) -> None:
        self._kept = output[0] if isinstance(output, tuple) else output

    def forward(self) -> Tensor:
        """Logits (batch, 2 · frames, letters + 1) of the last batch that the encoder saw."""
        if self._kept is None:
            raise RuntimeError("the encoder has not run yet")
        batch, frames, _ = self._kept.shape
        logits: Tensor = self.output(self._kept).reshape(batch, SLOTS * frames, -1)
        self._kept = None
        return logits


def set_dropout(model: Any, rate: float) -> None:
    """Training mode with every dropout of the encoder at ``rate``; the predictor keeps its own.

    At rate 0 they are switched off, because a dropout of nothing still draws its random numbers.
    """
    model.train()
    for module in model.encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = rate
            module.train(rate > 0)
