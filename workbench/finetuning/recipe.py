"""A fine-tuning recipe: one small YAML file that says everything a run depends on.

Every rate is the real peak rate of the optimizer. NeMo's Noam schedule takes a *scale* instead, and a rate
written there (1e-4, as for any other schedule) trains a hundred times too slowly; a recipe with
``schedule: noam`` is turned into the scale that reaches the stated peak.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.finetuning.run_paths import settled
from workbench.glance import Glance, as_html, counted
from workbench.plain_data import read_yaml
from workbench.plain_values import plain
from workbench.schema_checks import Lines, build, yaml_lines
from workbench.signatures import public, takes_fields

SCHEMA_VERSION = 1
Trains = Literal["full", "encoder_frozen", "decoder_joint", "adapter", "lora"]
LoraTarget = Literal["linear_q", "linear_k", "linear_v", "linear_out", "linear_pos", "linear1", "linear2"]
"""Linear layers of an encoder layer, by NeMo's names: of attention, and (``linear1``, ``linear2``) of both
feed-forward parts."""
PromptMode = Literal["langID", "auto", "unified"]
Schedule = Literal["cosine", "noam", "constant"]
Precision = Literal["32", "bf16-mixed", "bf16-true"]
Device = Literal["auto", "cpu", "cuda"]
Role = Literal["target", "replay"]


@public
@dataclass(frozen=True, slots=True)
class Source:
    """Training utterances from one manifest.

    Attributes:
        manifest: NeMo manifest (JSON lines).
        role: ``target`` is what the run is for; ``replay`` keeps what the base can already do.
        weight: share of the consumed hours, relative to the other sources.
        audio_root: folder that audio paths must lie in, or several, that first to which they are relative;
            default: the manifest's own folder.
        locales, except_locales, split: which rows; empty or None takes all.
        share: part of those utterances, drawn from the recipe's seed; a smaller one lies within a larger one.
        prompt_mode: ``langID`` gives the tag as prompt, ``auto`` the automatic prompt, ``unified`` tosses a
            coin for each utterance when the plan is drawn.
    """

    manifest: str
    role: Role = "target"
    weight: float = 1.0
    audio_root: str | tuple[str, ...] | None = None
    locales: tuple[str, ...] = ()
    except_locales: tuple[str, ...] = ()
    split: str | None = None
    share: float = 1.0
    prompt_mode: PromptMode = "unified"


@public
@dataclass(frozen=True, slots=True)
class ValidationSet:
    """Utterances to validate on; the same ones each time, drawn from the recipe's seed."""

    manifest: str
    audio_root: str | tuple[str, ...] | None = None
    locales: tuple[str, ...] = ()
    split: str | None = None
    utterances_per_locale: int = 24
    allow_shared_sentences: bool = False


@public
@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is done to training audio, seeded by step. ``speeds`` are factors, drawn evenly; masks of None
    leave the checkpoint's SpecAugment as it is; ``noise_share`` and ``telephone_share`` are probabilities."""

    speeds: tuple[float, ...] = (1.0,)
    gain_db: float = 0.0
    noise_share: float = 0.0
    noise_snr_db: tuple[float, ...] = (10.0, 30.0)
    telephone_share: float = 0.0
    freq_masks: int | None = None
    time_masks: int | None = None


@public
@dataclass(frozen=True, slots=True)
class Recipe:
    """All choices of one run. Paths are relative to the folder the run is started from; those that begin
    with ``run:``, as a run's own ``recipe.yaml`` has them, to the folder of that file.

    Attributes:
        base: a ``.nemo`` checkpoint.
        trains: ``full``; ``encoder_frozen`` (prompt projection, decoder and joint train); ``decoder_joint``;
            ``adapter`` (linear adapters of ``adapter_dim`` in every encoder layer, nothing else); ``lora``
            (low-rank adapters of the encoder's linear layers, nothing else; merged in every checkpoint).
        lora_rank, lora_alpha: of ``lora``: the rank, and the scale: what is learned counts alpha / rank.
        lora_targets: which linear layers get one.
        new_locales: tags that the base has no prompt for; each gets a free prompt index.
        tokenizer: folder of another SentencePiece tokenizer (``tokenizer.model``, ``vocab.txt``). It **resets
            decoder and joint**: what the base could read is gone until they have learned anew.
        train_subsampling: False leaves the encoder's first convolutions as they are, which saves time;
            ``dropout``: of the encoder, 0 for none, None for the checkpoint's own.
        predictor_masking: share of label positions where the joint hears the encoder alone (Xu et al. 2024,
            arXiv:2410.02597). Little new data otherwise teaches sentences by heart, not sounds.
        steps: optimizer steps; ``batch_s``: seconds of audio per batch, padding included; ``accumulate``:
            batches per step and device.
        learning_rate: peak rate; ``encoder_rate_factor`` scales it for the encoder.
        temperature: locales of one source are drawn ∝ hours ** temperature (1: as they are, 0: evenly).
        lookahead_ms: look-ahead of offline validation, None for the longest; ``streaming_lookahead_ms``:
            that of streaming validation, None for none of it.
        best_by: locales whose mean CER picks the best checkpoint; empty means those of the target sources.
        forgetting_weight: how much of the other locales' mean CER is added to that figure.
        average_best: weights of this many best checkpoints are averaged at the end, kept only if better.
    """

    name: str
    base: str
    sources: tuple[Source, ...]
    validation: tuple[ValidationSet, ...] = ()
    trains: Trains = "full"
    adapter_dim: int = 32
    lora_rank: int = 16
    lora_alpha: float = 32.0
    lora_targets: tuple[LoraTarget, ...] = (
        "linear_q", "linear_k", "linear_v", "linear_out", "linear1", "linear2",
    )  # fmt: skip
    new_locales: tuple[str, ...] = ()
    tokenizer: str | None = None
    train_subsampling: bool = True
    dropout: float | None = None
    predictor_masking: float = 0.0
    steps: int = 500
    batch_s: float = 40.0
    accumulate: int = 1
    min_duration_s: float = 0.3
    max_duration_s: float = 20.0
    learning_rate: float = 3e-4
    min_learning_rate: float = 1e-6
    encoder_rate_factor: float = 1.0
    schedule: Schedule = "cosine"
    warmup_steps: int = 50
    weight_decay: float = 1e-3
    clip_norm: float = 1.0
    temperature: float = 0.5
    augmentation: Augmentation = field(default_factory=Augmentation)
    precision: Precision = "32"
    device: Device = "auto"
    devices: int = 1
    nodes: int = 1
    loader_workers: int = 0
    seed: int = 0
    validate_every: int = 100
    prompt_modes: tuple[PromptMode, ...] = ("langID", "auto")
    lookahead_ms: int | None = None
    streaming_lookahead_ms: int | None = None
    streaming_utterances_per_locale: int = 4
    best_by: tuple[str, ...] = ()
    forgetting_weight: float = 1.0
    save_every: int = 50
    average_best: int = 0
    preset: str = ""

    def _glance(self) -> Glance:
        plain = Recipe(self.name, self.base, self.sources)
        targets = [one for one in self.sources if one.role == "target"]
        said = f"{self.name}: {counted(self.steps, 'step')}, trains {self.trains.replace('_', ' ')}, from"
        said += f" {Path(self.base).name} on {counted(len(targets), 'target source')}"
        said += f" and {counted(len(self.sources) - len(targets), 'source')} of replay."
        rows = [
            (str(one.role), " · ".join([one.manifest, ", ".join(one.locales) or "all locales"]))
            for one in self.sources
        ]
        changed = [one.name for one in fields(self) if getattr(self, one.name) != getattr(plain, one.name)]
        rows += [("validation", one.manifest) for one in self.validation]
        rows += [(n.replace("_", " "), str(getattr(self, n))) for n in changed if n != "validation"]
        return Glance(said, ("what", "value"), rows)

    _repr_html_ = as_html

    @classmethod
    def from_yaml(cls, path: str | Path) -> Recipe:
        """Read a recipe. Raises WorkbenchError: missing file, broken YAML, unknown or ill-typed field."""
        path = Path(path)
        found = _read(read_yaml(path), path.name, yaml_lines(path.read_text(encoding="utf-8")))
        return found.with_paths(lambda given: settled(given, path.absolute().parent))

    @classmethod
    def from_dict(cls, values: Any, where: str = "recipe") -> Recipe:
        """Build from plain values, as YAML gives them. Raises WorkbenchError as ``from_yaml``."""
        return _read(values, where, None)

    def to_dict(self) -> dict[str, Any]:
        """Every field as plain values, as :meth:`from_dict` takes them."""
        values: dict[str, Any] = plain(asdict(self))
        return {"schema_version": SCHEMA_VERSION, **values}

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The recipe as YAML; also written to ``path``, atomically, if one is given."""
        text: str = yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=100)
        if path is not None:
            write_atomic(Path(path), text)
        return text

    @property
    def trains_adapter(self) -> bool:
        """Whether the base's own weights rest, and an adapter of either kind trains."""
        return self.trains in ("adapter", "lora")

    @property
    def ranks(self) -> int:
        """Processes that train together, each on batches of its own."""
        return self.devices * self.nodes

    def changed(self, **changes: Any) -> Recipe:
        """A copy with other values; a field that does not exist is a ``TypeError`` that names the nearest."""
        return replace(self, **changes)

    def with_paths(self, change: Callable[[str], str]) -> Recipe:
        """A copy whose paths are what ``change`` gives for each: base, tokenizer, manifests, audio roots."""

        def changed(source: Any) -> Any:
            given = source.audio_root
            root = change(given) if isinstance(given, str) else tuple(map(change, given or ())) or None
            return replace(source, manifest=change(source.manifest), audio_root=root)

        return replace(
            self,
            base=change(self.base),
            tokenizer=None if self.tokenizer is None else change(self.tokenizer),
            sources=tuple(changed(source) for source in self.sources),
            validation=tuple(changed(source) for source in self.validation),
        )

    def effective_peak(self) -> float:
        """The highest learning rate the optimizer will see, warm-up and length considered."""
        return max(self.learning_rate_at(step) for step in (0, min(self.warmup_steps, self.steps - 1)))

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0, outside the encoder; the formula of NeMo's schedulers."""
        warmup, peak, floor = self.warmup_steps, self.learning_rate, self.min_learning_rate
        if self.schedule == "noam":
            at, top = max(1, step), max(1, warmup)
            rate = peak * min(math.sqrt(top / at), at / top)
            return max(rate, floor) if at > warmup else rate
        if step < warmup:
            return peak * (step + 1) / (warmup + 1)
        if self.schedule == "constant":
            return peak
        done = (step - warmup) / max(1, self.steps - warmup)
        return floor + (peak - floor) * (1 + math.cos(math.pi * min(1.0, done))) / 2


Recipe.changed = takes_fields(Recipe)(Recipe.changed)  # type: ignore[method-assign]


def noam_peak(scale: float, d_model: int, warmup_steps: int) -> float:
    """The rate that NeMo's ``lr: scale`` with ``NoamAnnealing`` really reaches."""
    return float(scale * d_model**-0.5 * max(1, warmup_steps) ** -0.5)


def noam_scale(peak: float, d_model: int, warmup_steps: int) -> float:
    """NeMo's ``lr`` under ``NoamAnnealing`` that reaches ``peak``."""
    return peak / noam_peak(1.0, d_model, warmup_steps)


def _read(values: Any, where: str, lines: Lines | None) -> Recipe:
    if not isinstance(values, dict):
        raise WorkbenchError("a recipe is a mapping of fields", where=where)
    version = values.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise WorkbenchError(f"schema_version is {version!r}", where=where, hint=f"Use {SCHEMA_VERSION}.")
    rest = {key: value for key, value in values.items() if key != "schema_version"}
    recipe: Recipe = build(Recipe, rest, where=where, lines=lines)
    return recipe
