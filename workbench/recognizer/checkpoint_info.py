"""What a checkpoint is, read from its archive without NeMo, and what sessions and runtimes ask of one."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2 as proto

from workbench.errors import WorkbenchError, one_line
from workbench.locales import AUTO, LOCALES
from workbench.recognizer.archive import CONFIG, Archive
from workbench.recognizer.config_rules import MAX_VOCABULARY
from workbench.signatures import public

if TYPE_CHECKING:
    from workbench.recognizer.engine import Engine

UNTRAINED = "untrained"


@public
@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """What a checkpoint is, read from its archive alone.

    Attributes:
        class_name: NeMo's class; the ``WithPrompt`` ones take a locale.
        locales: tags of its own prompt dictionary, ``auto`` left out.
        tiers: tag → ``ready``, ``broad`` or ``adapt`` as NVIDIA's model card ranks them; ``untrained`` for a
            tag of the dictionary that is none of the card's locales: what it writes is chance.
        prompts: tag → prompt index, ``auto`` included; empty where the class takes none.
        aliases: short codes of the dictionary, such as ``es``, → the tags with the same prompt index.
        lookaheads_ms: chunk lengths it can stream with, ascending; empty where it decodes offline only.
        default_lookahead_ms: the one it uses when none is asked for: the first of its configuration; 0 where
            it decodes offline only.
        tokenizer: kind of the SentencePiece model, as the model itself says. ``vocabulary``: its pieces.
        nemo_version: of the NeMo that saved it.
        parameters: number of weights. ``size_bytes``: of the file.
        memory_bytes: of the weights in fp32, without activations.
        cache_bytes: fp32 encoder caches of one session: keys, values, inputs of convolutions.
    """

    class_name: str
    locales: tuple[str, ...]
    tiers: dict[str, str]
    prompts: dict[str, int]
    aliases: dict[str, tuple[str, ...]]
    lookaheads_ms: tuple[int, ...]
    default_lookahead_ms: int
    frame_ms: int
    sample_rate: int
    layers: int
    d_model: int
    tokenizer: str
    vocabulary: int
    parameters: int
    size_bytes: int
    memory_bytes: int
    cache_bytes: int
    nemo_version: str

    def to_dict(self) -> dict[str, Any]:
        """Every figure as plain values."""
        return asdict(self)


class OpenCheckpoint(Protocol):
    """What sessions and runtimes ask of a checkpoint."""

    path: Path
    archive: Archive
    info: CheckpointInfo

    @property
    def sha256(self) -> str: ...

    def tokenizer(self) -> Any: ...

    def prompt_index(self, locale: str) -> int | None: ...

    def right_context(self, lookahead_ms: int | None) -> int: ...

    def engine(self, device: str = "auto", precision: str = "auto", runtime: str = "torch") -> Engine: ...


def inspect_archive(archive: Archive) -> tuple[dict[int, int], CheckpointInfo]:
    """({chunk in ms: right context in frames}, info)."""
    config = archive.config
    try:
        encoder, features = config["encoder"], config["preprocessor"]
        contexts = encoder.get("att_context_size") or [-1, -1]
        contexts = contexts if isinstance(contexts[0], list) else [contexts]
        frame_ms = round(1000 * float(features["window_stride"]) * int(encoder["subsampling_factor"]))
        streams = encoder.get("att_context_style") == "chunked_limited"
        by_ms = {frame_ms * (int(right) + 1): int(right) for _, right, *_ in contexts if int(right) >= 0}
        by_ms = by_ms if streams else {}
        name = str(config["target"]).rpartition(".")[2]
        prompts = config["model_defaults"].get("prompt_dictionary") or {}
        prompts = dict(prompts) if name.endswith("WithPrompt") else {}
        layers, width = int(encoder["n_layers"]), int(encoder["d_model"])
        left, kernel = max(int(c[0]) for c in contexts), int(encoder.get("conv_kernel_size", 31))
        kind, pieces = _tokenizer(archive)
        weights = [s for k, s in archive.shapes.items() if not k.startswith("preprocessor.")]
        parameters = sum(map(math.prod, weights))
        return by_ms, CheckpointInfo(
            class_name=name,
            locales=tuple(sorted(tag for tag in prompts if "-" in tag)),
            tiers={
                tag: LOCALES[tag].tier if tag in LOCALES else UNTRAINED
                for tag in sorted(prompts)
                if "-" in tag
            },
            prompts=prompts,
            aliases={
                code: tuple(tag for tag in prompts if "-" in tag and prompts[tag] == prompt_index)
                for code, prompt_index in prompts.items()
                if "-" not in code and code != AUTO
            },
            lookaheads_ms=tuple(sorted(by_ms)),
            default_lookahead_ms=next(iter(by_ms), 0),
            frame_ms=frame_ms,
            sample_rate=int(features["sample_rate"]),
            layers=layers,
            d_model=width,
            tokenizer=f"sentencepiece {kind}",
            vocabulary=pieces,
            parameters=parameters,
            size_bytes=archive.state[2],
            memory_bytes=parameters * 4,
            cache_bytes=4 * layers * width * (2 * max(left, 0) + kernel - 1),
            nemo_version=archive.version,
        )
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        if isinstance(error, WorkbenchError):
            raise
        raise WorkbenchError(
            f"its configuration lacks or garbles {one_line(str(error), limit=120)}",
            where=f"{archive.path.name}:{CONFIG}",
            hint="Save the checkpoint with NeMo 3.",
        ) from error


def _tokenizer(archive: Archive) -> tuple[str, int]:
    """('bpe', 'unigram', …, number of pieces) of the SentencePiece model; NeMo calls every kind bpe.

    Raises:
        WorkbenchError: it is none, or too large.
    """
    try:
        model = proto.ModelProto.FromString(archive.read(archive.config["tokenizer"]["model_path"]))
    except DecodeError as error:
        raise archive.refusal("its tokenizer is not a SentencePiece model") from error
    if not 0 < len(model.pieces) <= MAX_VOCABULARY:
        raise archive.refusal(f"its tokenizer has {len(model.pieces):,} pieces")
    return str(proto.TrainerSpec.ModelType.Name(model.trainer_spec.model_type)).lower(), len(model.pieces)
