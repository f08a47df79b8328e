"""What a recipe needs to know of its base checkpoint, read from the archive without NeMo."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.recognizer.archive import Archive
from workbench.recognizer.checkpoint import Checkpoint

PROMPT_CLASS = "EncDecRNNTBPEModelWithPrompt"


@dataclass(frozen=True, slots=True)
class Base:
    """A base checkpoint that passed inspection. ``config``: NeMo's configuration as plain values."""

    checkpoint: Checkpoint
    config: dict[str, Any]

    @property
    def path(self) -> Path:
        return self.checkpoint.path

    @property
    def prompts(self) -> dict[str, int]:
        """Locale tag (and ``auto``) → prompt slot."""
        return self.checkpoint.info.prompts

    @property
    def locales(self) -> list[str]:
        return list(self.checkpoint.info.locales)

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
            mend=f"Fine-tuning needs {PROMPT_CLASS}.",
        )
    return Base(checkpoint, dict(Archive(checkpoint.path).config))
