"""A checkpoint: looked into without NeMo, loaded once per device, handing out sessions."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import sentencepiece

from workbench.errors import WorkbenchError
from workbench.glance import Glance, table
from workbench.locales import AUTO, canonical
from workbench.recognizer import runtimes
from workbench.recognizer.archive import Archive
from workbench.recognizer.checkpoint_info import UNTRAINED, inspect_archive
from workbench.recognizer.hub import resolve
from workbench.recognizer.streaming import Session
from workbench.signatures import public
from workbench.views import Player, Widget, view

if TYPE_CHECKING:
    from workbench.corpus.query.table import Corpus
    from workbench.recognizer.conditions import Condition
    from workbench.recognizer.engine import Engine

log = logging.getLogger("workbench.recognizer.checkpoint")
_MIB = 1 << 20


@public
class Checkpoint:
    """A ``.nemo`` file that passed inspection; make one with :meth:`open`."""

    def __init__(self, archive: Archive) -> None:
        self.path = archive.path
        self.archive = archive
        self._contexts, self.info = inspect_archive(archive)
        self._tokenizer: Any = None

    @classmethod
    def open(cls, source: str | Path) -> Self:
        """Inspect a local ``.nemo`` file, or a checkpoint of the hub such as ``nvidia/NAME``.

        NeMo and torch are not imported.

        Raises:
            WorkbenchError: not found, a hostile or damaged archive, an unsupported class; offline, the
                message says where to place the file.
        """
        return cls(Archive(resolve(source)))

    @property
    def sha256(self) -> str:
        """Of the file, in hexadecimal.

        Raises:
            WorkbenchError: the file has changed since it was opened.
        """
        return self.archive.sha256()

    def __repr__(self) -> str:
        i = self.info
        return (
            f"Checkpoint({self.path.name}: {i.class_name}, {i.parameters / 1e6:.1f}M parameters, "
            f"{len(i.locales)} locales{self._tiers()}, "
            + (
                f"look-aheads {', '.join(map(str, i.lookaheads_ms))} ms)"
                if i.lookaheads_ms
                else "offline only)"
            )
        )

    def _repr_html_(self) -> str:
        i = self.info
        ms = ", ".join(map(str, i.lookaheads_ms))
        rows = [
            ("class", i.class_name),
            ("parameters", f"{i.parameters:,}"),
            ("look-aheads", f"{ms} ms" if ms else "none: offline only"),
            ("SHA-256", self.sha256[:12]),
        ]
        locales = f"{len(i.locales)} locales{self._tiers()}"
        way = f"streams at {ms} ms" if ms else "offline only"
        said = f"{self.path.name}: {i.parameters / 1e6:.1f}M parameters, {locales}, {way}."
        more = table(("locale", "tier"), [(tag, i.tiers.get(tag, "–")) for tag in i.locales])
        return Glance(said, ("about", "value"), rows, more=more, about="every locale").html()

    def _tiers(self) -> str:
        counts = Counter(self.info.tiers.values())
        told = [f"{counts[tier]} {tier}" for tier in ("ready", "broad", "adapt", UNTRAINED) if counts[tier]]
        return f" ({', '.join(told)})" if told else ""

    def tokenizer(self) -> Any:
        """The checkpoint's ``sentencepiece.SentencePieceProcessor``, without NeMo."""
        if self._tokenizer is None:
            held = self.archive.read(self.archive.config["tokenizer"]["model_path"])
            self._tokenizer = sentencepiece.SentencePieceProcessor(model_proto=held)
        return self._tokenizer

    def prompt_index(self, locale: str) -> int | None:
        """The prompt index of a tag by the checkpoint's own dictionary; None where the class takes no prompt.

        A short code that is in the dictionary (``es``) means what it means there; see ``info.aliases``.

        Raises:
            WorkbenchError: a tag that the checkpoint does not know; near ones are named.
        """
        prompts = self.info.prompts
        if not prompts:
            return None
        given = str(locale).strip().replace("_", "-").lower()
        short = next((key for key in self.info.aliases if key.lower() == given), None)
        tag = canonical(locale, prompts) if short is None else short
        if tag not in prompts:
            raise WorkbenchError(
                f"the checkpoint has no prompt {tag!r}", where=self.path.name, hint="Give a tag."
            )
        return prompts[tag]

    def right_context(self, lookahead_ms: int | None) -> int:
        """Encoder frames of look-ahead of a chunk length in ms; None is the checkpoint's default.

        -1, which is all of the clip, where the checkpoint decodes offline only.

        Raises:
            WorkbenchError: not one of the checkpoint's; those it has are named.
        """
        if not self.info.lookaheads_ms:
            if lookahead_ms is None:
                return -1
            hint = "Transcribe with it offline, without a look-ahead."
            raise WorkbenchError("it decodes offline only", where=self.path.name, hint=hint)
        wanted = self.info.default_lookahead_ms if lookahead_ms is None else lookahead_ms
        if wanted not in self._contexts:
            known = ", ".join(map(str, self.info.lookaheads_ms))
            raise WorkbenchError(
                f"no look-ahead of {wanted} ms", where=self.path.name, hint=f"The checkpoint has {known} ms."
            )
        return self._contexts[wanted]

    def model(self, device: str = "auto", precision: str = "auto") -> Any:
        """The restored NeMo model in eval mode, loaded once per process, device and precision.

        Args:
            device: 'cpu', 'cuda', or 'auto' (CUDA where there is one).
            precision: 'fp32', 'bf16', or 'auto' (bf16 on CUDA, fp32 on CPU).

        Raises:
            WorkbenchError: no such device, or NeMo cannot restore the file.
        """
        return self.engine(device, precision).model

    def engine(self, device: str = "auto", precision: str = "auto", runtime: str = "torch") -> Engine:
        """The network with its streaming step; as :meth:`model`.

        Args:
            device, precision: as :meth:`model`.
            runtime: 'torch', 'onnx' (ONNX Runtime, on a CPU; exported on first use), 'onnx-int8', or
                'auto': ONNX Runtime where :meth:`prepare_onnx` has proved that this checkpoint says the
                same in it.

        Raises:
            WorkbenchError: as :meth:`model`; an unknown runtime, or one that cannot run here.
        """
        settled = runtimes.settle(self, runtime, device, precision)
        return runtimes.engine_of(self, settled, device, precision)

    def prepare_onnx(self, *, int8: bool = False) -> dict[str, Any]:
        """Export the network for ONNX Runtime, once, and compare it with torch token by token.

        From then on ``runtime='auto'`` takes it on a CPU, if all clips were equal at every look-ahead.
        Exports are kept by the checkpoint's digest in ``WORKBENCH_CACHE``, or the user's cache folder.

        Args:
            int8: with weights of eight bits too, for ``runtime='onnx-int8'``.

        Returns:
            ``fp32`` and ``int8``: ``clips``, ``tokens``, ``equal`` clips by look-ahead in ms, ``proved``.

        Raises:
            WorkbenchError: the checkpoint cannot be exported.
        """
        runtimes.prepare(self, int8=int8)
        return runtimes.proof(self)

    def why_torch(self, device: str = "auto", precision: str = "auto") -> str:
        """Why ``runtime='auto'`` takes torch for this checkpoint, in words; "" where it takes ONNX Runtime.

        Args:
            device, precision: as :meth:`engine`.
        """
        return runtimes.why_torch(self, device, precision)

    def session(
        self,
        locale: str = AUTO,
        lookahead_ms: int | None = None,
        boost: Any = None,
        device: str = "auto",
        precision: str = "auto",
        runtime: str = "auto",
    ) -> Session:
        """A streaming session.

        Args:
            locale: ``auto``, or a tag of the checkpoint's dictionary.
            lookahead_ms: one of ``info.lookaheads_ms``; None is the checkpoint's default.
            boost: words and phrases to favor: a list, or ``boosting.Boost``.
            device, precision, runtime: as :meth:`engine`.

        Raises:
            WorkbenchError: unknown locale or look-ahead, no such device or runtime.
        """
        return Session(
            self, locale=locale, lookahead_ms=lookahead_ms, boost=boost, device=device, precision=precision,
            runtime=runtime,
        )  # fmt: skip

    def play(
        self,
        corpus: Corpus,
        id: str,
        *,
        locale: str | None = None,
        lookahead_ms: int | None = None,
        others: Mapping[str, Checkpoint] | None = None,
        compare_with: Mapping[str, Any] | None = None,
        condition: Condition | None = None,
        reference: str | None = None,
        title: str = "",
        start_s: float = 0.0,
        runtime: str = "auto",
    ) -> Player:
        """Hear an utterance of a corpus with the transcript appearing as it would live.

        Args:
            corpus: where the utterance is.
            id: of the utterance.
            locale: ``auto`` or a tag; the row's own by default.
            lookahead_ms: one of ``info.lookaheads_ms``; None is the checkpoint's default.
            others: further checkpoints to choose from, by the name shown for them.
            compare_with: settings in which a second transcript differs, such as ``{"checkpoint":
                "tuned"}`` or ``{"lookahead_ms": 1120}``.
            condition: noise, band, level and reverberation to begin with.
            reference: what was said; the row's text by default.
            title: shown above; the id by default.
            start_s: where the cursor stands when it opens.
            runtime: of both sides, as :meth:`engine`.

        Raises:
            WorkbenchError: no such utterance, or a locale or look-ahead that the checkpoint does not have.
        """
        choice = {self.path.stem: self, **others} if others else self
        made: Player = view("playback").Playback(
            choice, corpus.row(id), corpus=corpus, locale=locale, lookahead_ms=lookahead_ms,
            reference=reference, title=title, compare_with=compare_with, condition=condition, start_s=start_s,
            runtime=runtime,
        )  # fmt: skip
        return made

    def microphone(
        self,
        corpus: Corpus | None = None,
        *,
        recordings: str | Path | None = None,
        locale: str = AUTO,
        lookahead_ms: int | None = None,
        runtime: str = "auto",
    ) -> Widget:
        """Speak in the browser and watch the transcript come.

        Args:
            corpus: recordings of speakers who consent join it as rows.
            recordings: without a corpus, a folder for them and a ``manifest.jsonl``, which an import reads.
            locale: ``auto`` or a tag of the checkpoint's dictionary.
            lookahead_ms: one of ``info.lookaheads_ms``; None is the checkpoint's default.
            runtime: as :meth:`engine`.
        """
        made: Widget = view("microphone").Microphone(
            self, corpus=corpus, recordings=recordings, locale=locale, lookahead_ms=lookahead_ms,
            runtime=runtime,
        )  # fmt: skip
        return made
