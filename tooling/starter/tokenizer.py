"""The starter tokenizer: one SentencePiece model over the train texts, each locale tag one piece."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from workbench.locales import LOCALES


def tag_piece(tag: str) -> str:
    """How a locale stands at the end of a training transcript, as in NVIDIA's checkpoint: ``<el-GR>``."""
    return f"<{tag}>"


def train(texts: Iterable[str], folder: Path, *, model_type: str, vocab_size: int) -> Path:
    """Write ``tokenizer.model`` and ``vocab.txt`` (what NeMo's checkpoints hold) into ``folder``."""
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(list(texts)),
        model_prefix=str(folder / "tokenizer"),
        model_type=model_type,
        vocab_size=vocab_size,
        user_defined_symbols=[tag_piece(tag) for tag in LOCALES],
        character_coverage=1.0,
        normalization_rule_name="nmt_nfkc",
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        unk_id=0,
        num_threads=1,
        minloglevel=2,
    )
    model = folder / "tokenizer.model"
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    pieces = (processor.id_to_piece(i) for i in range(1, processor.vocab_size()))
    (folder / "vocab.txt").write_text(
        "\n".join(p if p.startswith("▁") else f"##{p}" for p in pieces) + "\n", "utf-8"
    )
    (folder / "tokenizer.vocab").unlink()
    return model
