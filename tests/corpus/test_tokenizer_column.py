"""The share of unknown pieces as a column: filtered, grouped, right after an edit, not exported."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello there", "hello again", "over there"] * 20), model_writer=model,
        vocab_size=20, model_type="char", minloglevel=2,
    )  # fmt: skip
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def test_a_column_of_unknown_pieces(make: Callable[..., Corpus], tokenizer: Any, tmp_path: Path) -> None:
    texts = ["hello there", "hello Ωξ", None, "ΩξΨ <el-GR>", "hello there"]
    corpus = make([{"id": f"u{i}", "text": text, "split": "train"} for i, text in enumerate(texts)])
    with pytest.raises(WorkbenchError, match="unknown_rate"):
        corpus.where("unknown_rate > 0")
    view = corpus.where("duration > 0")
    corpus.use_tokenizer(tokenizer)
    assert view.where("unknown_rate > 0").ids() == ["u1", "u3"]
    rates = {row["id"]: row["unknown_rate"] for row in view.page(0, 9, order_by="unknown_rate")}
    assert rates["u0"] == rates["u4"] == 0
    assert rates["u2"] is None
    assert rates["u3"] > rates["u1"] > 0
    corpus.decisions.edit("u0", "text", "Ψ", reviewer="ann")
    corpus.decisions.edit("u1", "text", "over", reviewer="ann")
    assert view.where("unknown_rate > 0").ids() == ["u0", "u3"]
    made = corpus.export(tmp_path / "x", only="not_rejected")
    assert "unknown_rate" not in json.loads((made.path / "train.jsonl").open(encoding="utf-8").readline())
    with pytest.raises(WorkbenchError, match="no SentencePiece tokenizer"):
        corpus.use_tokenizer("nothing")
    corpus.decisions.edit("u2", "text", "Ω", reviewer="ann")
    assert view.where("unknown_rate > 0").ids() == ["u0", "u2", "u3"], "a refused tokenizer changes nothing"
