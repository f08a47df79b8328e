"""A larger network that begins as a smaller one: the same class, more hidden units, more letters.

New units start as they are drawn and lead nowhere (their outgoing weights are zero), so the first step sees
what the smaller checkpoint says, to rounding (function-preserving growth, Chen et al. 2016,
arXiv:1511.05641).
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

from sentencepiece import sentencepiece_model_pb2
from torch import Tensor

UNSAID = -8.0  # nats: the bias of a piece that the smaller network did not have


def lengthen_tokenizer(source: Path, letters: str, folder: Path) -> Path:
    """Write the tokenizer of the checkpoint ``source`` with a piece for each of ``letters`` behind its own.

    Pieces keep their numbers; letters that it has already are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(source) as archive:
        name = next(n for n in archive.getnames() if n.endswith("tokenizer.model"))
        held = archive.extractfile(name)
        assert held is not None
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(held.read())
    known = {piece.piece for piece in proto.pieces}
    lowest = min(piece.score for piece in proto.pieces)
    for letter in dict.fromkeys(letters):
        if letter not in known:
            lowest -= 1
            proto.pieces.add(piece=letter, score=lowest)
    (folder / "tokenizer.model").write_bytes(proto.SerializeToString())
    pieces = [piece.piece for piece in proto.pieces][1:]
    (folder / "vocab.txt").write_text(
        "\n".join(p if p.startswith("▁") else f"##{p}" for p in pieces) + "\n", "utf-8"
    )
    return folder / "tokenizer.model"


def begin_as(smaller: Any, larger: Any) -> None:
    """Give ``larger`` the weights of ``smaller``: hidden units of the feed-forward layers, the predictor's
    width and the number of pieces may be greater, nothing else may differ.

    Raises:
        ValueError: another shape differs.
    """
    own = smaller.state_dict()
    grown = {name: _grown(name, own[name], value) for name, value in larger.state_dict().items()}
    larger.load_state_dict(grown)


def _grown(name: str, old: Tensor, new: Tensor) -> Tensor:
    if old.shape == new.shape:
        return old.clone()
    if old.dim() != new.dim() or any(a > b for a, b in zip(old.shape, new.shape, strict=True)):
        raise ValueError(f"{name}: {tuple(old.shape)} cannot grow to {tuple(new.shape)}")
    found = new.clone()
    if ".feed_forward" in name and name.endswith("linear1.weight"):
        found[: len(old)] = old
    elif ".feed_forward" in name and name.endswith("linear2.weight"):
        found.zero_()[:, : old.shape[1]] = old
    elif "dec_rnn" in name:
        found = _gates(old, new)
    elif name == "joint.pred.weight":
        found.zero_()[:, : old.shape[1]] = old
    elif name == "decoder.prediction.embed.weight":
        found[: len(old) - 1, : old.shape[1]] = old[:-1]
        found[-1].zero_()[: old.shape[1]] = old[-1]
    elif name.startswith("joint.joint_net") and name.endswith("weight"):
        found.zero_()[: len(old) - 1] = old[:-1]
        found[-1] = old[-1]
    elif name.startswith("joint.joint_net") and name.endswith("bias"):
        found.fill_(UNSAID)[: len(old) - 1] = old[:-1]
        found[-1] = old[-1]
    else:
        raise ValueError(f"{name}: {tuple(old.shape)} cannot grow to {tuple(new.shape)}")
    return found


def _gates(old: Tensor, new: Tensor) -> Tensor:
    """Weights or biases of an LSTM: four gates one after the other, each with its own units."""
    found = new.clone()
    few, many = len(old) // 4, len(new) // 4
    for gate in range(4):
        rows = slice(gate * many, gate * many + few)
        own = old[gate * few : (gate + 1) * few]
        if old.dim() == 1:
            found[rows] = own
        else:
            found[rows] = 0.0
            found[rows, : own.shape[1]] = own
    return found
