"""The model of a run: restored through NeMo, with what shall train set free and the rest frozen."""

from __future__ import annotations

import functools
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.files import replacing, sha256_file
from workbench.finetuning import adapters
from workbench.finetuning.recipe import noam_scale

if TYPE_CHECKING:
    from workbench.finetuning.base import Base
    from workbench.finetuning.recipe import Recipe

log = logging.getLogger("workbench.finetuning.model")
NEVER = 1 << 30


def load(recipe: Recipe, base: Base, device: str) -> Any:
    """The base model on ``device`` (``cpu`` or ``cuda``), ready to train as the recipe says.

    Raises:
        WorkbenchError: the checkpoint has adapters of its own under the same name, or cannot be restored.
    """
    from omegaconf import open_dict

    model = adapters.restore(base, device, adapters.shape_of(recipe), recipe.seed)
    model.strict_loading = False  # a run's own checkpoints hold what trains
    if recipe.tokenizer is not None:
        model.change_vocabulary(new_tokenizer_dir=recipe.tokenizer, new_tokenizer_type="bpe")
    with open_dict(model.cfg):
        model.cfg.model_defaults.prompt_dictionary.update(base.added)
        # Their data is not here; NeMo would try to open it when training starts.
        for name in ("train_ds", "validation_ds", "test_ds"):
            model.cfg[name] = None
        model.cfg.optim = optimizer(recipe, base.d_model)
        model.cfg.pop("optim_param_groups", None)
        if recipe.encoder_rate_factor != 1:
            rate = model.cfg.optim.lr * recipe.encoder_rate_factor
            model.cfg.optim_param_groups = {"encoder": {"lr": rate}}
    _spec_augment(model, recipe)
    model.joint.masking_prob = recipe.predictor_masking or -1.0  # NeMo's own way to say none
    set_trainable(model, recipe)
    if device == "cpu":
        from workbench.finetuning import packed_joint, transducer_loss

        if transducer_loss.install(model):
            packed_joint.install(model)
        if recipe.precision == "bf16-mixed":
            _predict_in_full_precision(model)
    return model


def _predict_in_full_precision(model: Any) -> None:
    """Leave the predictor out of autocast: oneDNN has no bf16 LSTM for processors without AVX-512."""
    import torch

    forward = model.decoder.forward

    @functools.wraps(forward)
    def plain(*arguments: Any, **named: Any) -> Any:
        with torch.autocast("cpu", enabled=False):
            return forward(*arguments, **named)

    model.decoder.forward = plain


def optimizer(recipe: Recipe, d_model: int) -> dict[str, Any]:
    """NeMo's optimizer configuration that follows ``recipe.learning_rate_at`` step by step."""
    schedule: dict[str, Any] = {"warmup_steps": recipe.warmup_steps, "max_steps": recipe.steps}
    rate = recipe.learning_rate
    if recipe.schedule == "cosine":
        schedule |= {"name": "CosineAnnealing", "min_lr": min(recipe.min_learning_rate, _lowest_peak(recipe))}
    elif recipe.schedule == "noam":
        rate = noam_scale(rate, d_model, recipe.warmup_steps)
        schedule |= {"name": "NoamAnnealing", "d_model": d_model, "min_lr": recipe.min_learning_rate}
    else:
        schedule |= {"name": "WarmupPolicy"}
    return {
        "name": "adamw",
        "lr": rate,
        "betas": [0.9, 0.98],
        "weight_decay": recipe.weight_decay,
        "sched": schedule,
    }


def _lowest_peak(recipe: Recipe) -> float:
    return recipe.learning_rate * (recipe.encoder_rate_factor or 1.0)


def _spec_augment(model: Any, recipe: Recipe) -> None:
    chosen = recipe.augmentation
    if chosen.freq_masks is None and chosen.time_masks is None:
        return
    from nemo.collections.asr.modules import SpectrogramAugmentation

    old = dict(model.cfg.get("spec_augment") or {})
    model.spec_augmentation = SpectrogramAugmentation(
        freq_masks=old.get("freq_masks", 0) if chosen.freq_masks is None else chosen.freq_masks,
        time_masks=old.get("time_masks", 0) if chosen.time_masks is None else chosen.time_masks,
        freq_width=old.get("freq_width", 16),
        time_width=old.get("time_width", 0.05),
    )


def set_trainable(model: Any, recipe: Recipe) -> None:
    """Freeze what the recipe leaves alone; batch statistics and dropout of frozen parts are off as well."""
    if recipe.trains == "adapter":
        model.freeze()
        model.unfreeze_enabled_adapters()
    elif recipe.trains == "lora":
        model.freeze()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(adapters.is_weight(name, "lora"))
    else:
        frozen = {"full": [], "encoder_frozen": [model.encoder]}.get(recipe.trains)
        for module in frozen if frozen is not None else [model.encoder, model.prompt_kernel]:
            module.requires_grad_(False)
        if not recipe.train_subsampling:
            model.encoder.pre_encode.requires_grad_(False)
    apply_training_mode(model, recipe)


def apply_training_mode(model: Any, recipe: Recipe) -> None:
    """Training mode for what trains, evaluation mode for frozen parts; again after each validation."""
    model.train()
    if recipe.trains in ("encoder_frozen", "decoder_joint"):
        model.encoder.eval()
    if recipe.trains == "decoder_joint":
        model.prompt_kernel.eval()
    if recipe.trains_adapter:
        model.eval()
        for module in model.encoder.modules():
            if type(module).__name__ == "LinearAdapter":
                module.train()
        # NeMo's wrapper draws a look-ahead per batch only while the encoder itself is in training mode.
        model.encoder.training = True
    if recipe.dropout is not None:
        _set_dropout(model.encoder, recipe.dropout)


def _set_dropout(encoder: Any, rate: float) -> None:
    """Dropouts that work get ``rate``; at 0 they are switched off, for they would still draw their numbers,
    which is a sixth of the encoder's time on CPU."""
    import torch

    for module in encoder.modules():
        if isinstance(module, torch.nn.Dropout) and module.training:
            module.p = rate
            module.train(rate > 0)


def counts(model: Any) -> dict[str, int]:
    """Numbers of weights: ``total`` and ``trained``."""
    return {
        "total": sum(p.numel() for p in model.parameters()),
        "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }


def trained_state(model: Any) -> dict[str, Any]:
    """The weights that may have changed, on CPU, by name; on a CPU the model's own memory, not a copy."""
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    buffers = {name for name, _ in model.named_buffers()}
    return {
        name: value.detach().cpu()
        for name, value in model.state_dict().items()
        if name in names or name in buffers
    }


def save(model: Any, path: Path, recipe: Recipe) -> None:
    """Write the model as ``.nemo``, atomically; NeMo's own loss settings are put back first.

    An adapter is written beside it. A low-rank one is merged into the model's weights first, for good: what
    is saved is a plain checkpoint of the base's class.
    """
    save_adapter(model, path, recipe)
    if recipe.trains == "lora":
        from workbench.finetuning import lora

        lora.merge(model)
    log_softmax = model.joint.log_softmax
    try:
        model.joint.log_softmax = None
        with replacing(path) as draft:
            model.save_to(str(draft))
            if not draft.is_file():
                raise WorkbenchError("NeMo wrote no checkpoint", where=str(path))
    finally:
        model.joint.log_softmax = log_softmax


def save_adapter(model: Any, path: Path, recipe: Recipe) -> None:
    """Write what an adapter run trained, as ``NAME.adapter.pt`` beside ``path``; nothing for other runs."""
    shape = adapters.shape_of(recipe)
    if shape is not None and shape.kind == "linear":
        # A base that had one already keeps its width.
        shape = replace(shape, dim=int(model.cfg.adapters[adapters.ADAPTER_NAME].dim))
    if shape is not None:
        adapters.save(model, path.with_suffix(".adapter.pt"), sha256_file(Path(recipe.base)), shape)
