"""Open a manifest with NeMo's own data loader, as its training script would: the proof of an export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.recognizer.quiet import quiet_nemo
from workbench.signatures import public

if TYPE_CHECKING:
    from workbench.recognizer.checkpoint import Checkpoint


@public
def first_batch(manifest: str | Path, checkpoint: Checkpoint, *, utterances: int = 4) -> pd.DataFrame:
    """The first batch that NeMo's Lhotse loader makes of a manifest, a row per utterance.

    Args:
        manifest: NeMo manifest (JSON lines); audio paths are relative to its folder.
        checkpoint: whose tokenizer and prompt dictionary are used.

    Returns:
        ``seconds`` of audio, ``tokens``, ``prompt_index`` and the ``text`` that the tokens spell.

    Raises:
        WorkbenchError: NeMo's loader cannot open the manifest; its own words are in the message.
    """
    from omegaconf import OmegaConf

    model = checkpoint.model()
    prompts = dict(checkpoint.info.prompts)
    settings: dict[str, Any] = {
        "use_lhotse": True,
        "manifest_filepath": str(manifest),
        "sample_rate": checkpoint.info.sample_rate,
        "batch_size": utterances,
        "shuffle": False,
        "num_workers": 0,
        "use_bucketing": False,
        "lang_field": "target_lang",
        "text_field": "text",
        "prompt_dictionary": prompts,
        "num_prompts": 128,
        "subsampling_factor": 8,
        "default_prompt_mode": "langID",
    }
    try:
        with quiet_nemo():
            loader = model._setup_dataloader_from_config(OmegaConf.create(settings))
            audio, audio_lengths, tokens, token_lengths, prompt_indices = next(iter(loader))
    except Exception as error:  # whatever NeMo or Lhotse says about the manifest is the user's to read
        raise WorkbenchError(f"NeMo's loader cannot open it: {error}", where=str(manifest)) from error
    rows = []
    for i in range(len(audio)):
        ids = tokens[i, : int(token_lengths[i])].tolist()
        rows.append(
            {
                "seconds": round(int(audio_lengths[i]) / checkpoint.info.sample_rate, 2),
                "tokens": len(ids),
                "prompt_index": int(prompt_indices[i]),
                "text": model.tokenizer.ids_to_text(ids),
            }
        )
    return pd.DataFrame(rows)
