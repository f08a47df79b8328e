"""What a recipe needs to know of its base checkpoint, read from the archive without NeMo."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sentencepiece

from workbench.errors import WorkbenchError
from workbench.locales import DECLARED
from workbench.recognizer.checkpoint import Checkpoint

if TYPE_CHECKING:
    from workbench.finetuning.recipe import Recipe

PROMPT_CLASS = "EncDecRNNTBPEModelWithPrompt"


@dataclass(frozen=True, slots=True)
class Base:
    """A base checkpoint that passed inspection. ``config``: NeMo's configuration as plain values; ``added``:
    locales that a recipe adds → their prompt indices."""

    checkpoint: Checkpoint
    config: dict[str, Any]
    added: dict[str, int] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.checkpoint.path

    @property
    def prompts(self) -> dict[str, int]:
        """Locale tag (and ``auto``) → prompt index."""
        return {**self.checkpoint.info.prompts, **self.added}

    @property
    def locales(self) -> list[str]:
        return [*self.checkpoint.info.locales, *self.added]

    @property
    def lookaheads_ms(self) -> list[int]:
        return list(self.checkpoint.info.lookaheads_ms)

    @property
    def d_model(self) -> int:
        return self.checkpoint.info.d_model

    @property
    def parameters(self) -> int:
        return self.checkpoint.info.parameters


def read_base(path: str | Path) -> Base:
    """Inspect a ``.nemo`` archive; nothing of it is executed, NeMo is not imported.

    Raises:
        WorkbenchError: missing, hostile or damaged, or not a prompt-aware transducer.
    """
    checkpoint = Checkpoint.open(path)
    if checkpoint.info.class_name != PROMPT_CLASS:
        raise WorkbenchError(
            f"{checkpoint.info.class_name} is not a prompt-aware transducer",
            where=checkpoint.path.name,
            hint=f"Fine-tuning needs {PROMPT_CLASS}.",
        )
    return Base(checkpoint, dict(checkpoint.archive.config))


def base_of(recipe: Recipe) -> Base:
    """The base of a recipe, with a free prompt index for each of its new locales.

    Raises:
        WorkbenchError: as ``read_base``; a new locale that is no tag or has a prompt; no index left.
    """
    base = read_base(recipe.base)
    if not recipe.new_locales:
        return base
    where, known = "recipe [new_locales]", base.prompts
    for tag in recipe.new_locales:
        if not re.fullmatch(r"[a-z]{2,3}(-[A-Z][a-z]{3})?-([A-Z]{2}|[0-9]{3})", tag):
            raise WorkbenchError(f"{tag!r} is no locale tag", where=where, hint="Write it like ga-IE.")
        if tag in known:
            raise WorkbenchError(f"the checkpoint has a prompt for {tag}", where=where, hint="Leave it out.")
    count = int(base.config.get("model_defaults", {}).get("num_prompts", 128))
    free = sorted(set(range(count)) - set(known.values()))
    if len(free) < len(recipe.new_locales):
        raise WorkbenchError(f"only {len(free)} of {count} prompt indices are free", where=where)
    added: dict[str, int] = {}
    for tag in recipe.new_locales:
        # The index that the team declared the locale with, where this checkpoint has it free.
        wanted = DECLARED[tag].prompt_index if tag in DECLARED else free[0]
        added[tag] = wanted if wanted in free else free[0]
        free.remove(added[tag])
    return Base(base.checkpoint, base.config, added)


def tokenizer_of(recipe: Recipe, base: Base) -> Any:
    """The SentencePiece processor that the run will write with: the recipe's, or the base's.

    Raises:
        WorkbenchError: the recipe's folder holds none.
    """
    if recipe.tokenizer is None:
        return base.checkpoint.tokenizer()

    path = Path(recipe.tokenizer) / "tokenizer.model"
    if not path.is_file() or not path.with_name("vocab.txt").is_file():
        hint = "A tokenizer's folder holds tokenizer.model and vocab.txt."
        raise WorkbenchError("no tokenizer here", where=str(recipe.tokenizer), hint=hint)
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def untagged(recipe: Recipe, base: Base) -> frozenset[str]:
    """New locales whose tag is not one piece of the tokenizer: their transcripts are trained without it."""
    pieces = tokenizer_of(recipe, base)
    unknown = pieces.unk_id()
    return frozenset(tag for tag in recipe.new_locales if pieces.piece_to_id(f"<{tag}>") == unknown)


def notices(recipe: Recipe, base: Base) -> list[str]:
    """What must be said loudly before a run: a reset, and locales that cannot be told by their tag."""
    found = []
    if recipe.tokenizer is not None:
        found.append(
            "THE NEW TOKENIZER RESETS DECODER AND JOINT: they are trained from scratch, no locale is read "
            "until they have learned anew"
        )
    found += [
        f"{tag} gets the free prompt index {prompt_index}, which no training has ever used"
        for tag, prompt_index in base.added.items()
    ]
    found += [
        f"the tokenizer has no piece <{tag}>: its transcripts go without a tag, auto cannot report it"
        for tag in sorted(untagged(recipe, base))
    ]
    return found
