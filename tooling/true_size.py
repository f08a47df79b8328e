"""Make a checkpoint of NVIDIA's architecture at its true size, with random weights: for proofs of cost.

``python -m tooling.true_size --out FOLDER/true-size.nemo`` writes NeMo's ``EncDecRNNTBPEModelWithPrompt``
with 637,997,088 weights, 13,087 pieces and 40 locales, 2.6 GB, the same weights from the same seed. Its text
is chance. It emits tokens and minds the prompt, so that equality of two ways to decode means something; it
emits them in bursts, up to all that a frame may have, so what a token costs is to be told apart from what a
frame costs. Takes 3.5 GB of memory, and three times the file's size on the disk of ``--out`` while it is
written.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tooling.starter import network
from workbench.recognizer.onnx_parity import fixed_clips
from workbench.recognizer.quiet import quiet_nemo
from workbench.starter_files import CHECKPOINT

PARAMETERS = 637_997_088
PIECES = 13_087
NETWORK = {
    "layers": 24,
    "d_model": 1024,
    "heads": 8,
    "subsampling_channels": 256,
    "conv_kernel": 9,
    "predictor": 640,
    "look_aheads": [3, 0, 1, 6, 13],
}
MELS, PREDICTOR_LAYERS, JOINT = 128, 2, 640
EMITTING = 0.2
"""Share of the frames that emit a token after the start symbol, about as in speech."""


def config(tokenizer_folder: Path) -> dict[str, Any]:
    """NeMo's configuration of the architecture."""
    found = network.config(NETWORK, MELS, tokenizer_folder)
    found["model_defaults"]["joint_hidden"] = JOINT
    found["joint"]["jointnet"]["joint_hidden"] = JOINT
    found["decoder"]["prednet"]["pred_rnn_layers"] = PREDICTOR_LAYERS
    return found


def write_tokenizer(folder: Path) -> None:
    """The starter's SentencePiece model, made up to :data:`PIECES` with pieces of two to five letters."""
    from sentencepiece import sentencepiece_model_pb2 as proto

    from workbench.recognizer.checkpoint import Checkpoint

    starter = Checkpoint.open(CHECKPOINT).archive
    model = proto.ModelProto.FromString(starter.read(starter.config["tokenizer"]["model_path"]))
    known = {piece.piece for piece in model.pieces}
    lowest = min(piece.score for piece in model.pieces)
    number = 0
    while len(model.pieces) < PIECES:
        made, rest = "", number
        while rest or len(made) < 2:
            rest, letter = divmod(rest, 26)
            made += chr(ord("a") + letter)
        made = f"▁{made}" if number % 3 else made
        number += 1
        if made not in known:
            known.add(made)
            model.pieces.add(piece=made, score=lowest - number / 1000)
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    names = (piece.piece for piece in model.pieces[1:])
    lines = (name if name.startswith("▁") else f"##{name}" for name in names)
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n", "utf-8")


def make_it_speak(model: Any, clips: Sequence[Any]) -> None:
    """Let a random model emit in :data:`EMITTING` of the frames of some clips, and mind its prompt.

    Args:
        model: NeMo's, fresh; changed in place and left in eval mode.
        clips: (samples,) float32 at the model's rate, each.
    """
    import torch

    width = int(model.cfg.model_defaults.enc_hidden)
    with torch.inference_mode(False), torch.no_grad():
        model.prompt_kernel[0].weight[:, width:].normal_(std=0.6)
        model.joint.pred.weight.mul_(2)
        model.joint.joint_net[-1].weight.mul_(6)
        model.eval()
        gaps = torch.cat([_gaps(model, pcm) for pcm in clips])
        gap = float(gaps.sort().values[int((1 - EMITTING) * len(gaps))])
        model.joint.joint_net[-1].bias[-1] += round(gap, 3)


def _gaps(model: Any, pcm: Any) -> Any:
    """By how much the best token beats the blank, at every frame, after the start symbol."""
    import torch

    signal = torch.from_numpy(pcm)[None]
    encoded, _ = model.forward(
        input_signal=signal,
        input_signal_length=torch.tensor([signal.shape[1]]),
        prompt_indices=torch.tensor([101]),
    )
    first, _ = model.decoder.predict(None, None, add_sos=False, batch_size=1)
    logits = model.joint.joint_after_projection(
        model.joint.project_encoder(encoded.transpose(1, 2)), model.joint.project_prednet(first)
    )[0, :, 0]
    return logits[:, :-1].max(-1).values - logits[:, -1]


def write(out: Path, seed: int = 0) -> None:
    """Write the checkpoint.

    Args:
        out: the ``.nemo`` file; its folder must be there.
        seed: of the weights.
    """
    import torch

    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".true-size-") as held:
        tempfile.tempdir = held  # NeMo writes the weights once more before it packs them
        try:
            folder = Path(held) / "tokenizer"
            folder.mkdir()
            write_tokenizer(folder)
            with quiet_nemo():
                from nemo.collections.asr.models import EncDecRNNTBPEModelWithPrompt
                from omegaconf import OmegaConf

                torch.manual_seed(seed)
                model = EncDecRNNTBPEModelWithPrompt(OmegaConf.create(config(folder)))
                made = sum(p.numel() for p in model.parameters())
                if made != PARAMETERS:
                    raise SystemExit(f"{made:,} weights were made, not {PARAMETERS:,}")
                make_it_speak(model, [clip.pcm for clip in fixed_clips(16_000, [None])[::3]])
                part = Path(held) / "part.nemo"
                model.save_to(str(part))
            os.replace(part, out)
        finally:
            tempfile.tempdir = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the .nemo file; outside the repository")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write(given.out, given.seed)
    print(f"{given.out}: {PARAMETERS:,} weights, {given.out.stat().st_size / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
