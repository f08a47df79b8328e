"""What a workspace does for the runtimes that serve: packages, and what their callers get."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import deployment
from workbench.capacity.server import ServerCapacity, measure_server
from workbench.corpus.query.table import Corpus
from workbench.corpus.review.origins import references
from workbench.deployment import served
from workbench.deployment.package import MANIFEST, Package
from workbench.deployment.padding import PADDINGS_MS, Tuned, tune_padding
from workbench.ingest.audio import RowReader, roots_of
from workbench.reviewing import Reviewing
from workbench.signatures import public
from workbench.widgets.progress import Progress, progress_bar

if TYPE_CHECKING:
    from workbench.deployment.served import ServedParity

SAMPLE_RATE = 16_000
"""Hz, of what the servers take."""


@public
class Serving(Reviewing):
    """A workspace with its packages for other runtimes."""

    def export_model(
        self,
        checkpoint: str,
        folder: str | Path,
        *,
        to: str = "onnx",
        lookahead_ms: int | None = None,
        precision: str = "fp32",
        clips: Sequence[Path] = (),
        replace: bool = False,
    ) -> Package:
        """Write a checkpoint as a package for a runtime that serves it: graphs, card, digests, clips.

        Args:
            checkpoint: its name, a run's, a ``.nemo`` path or a hub name.
            folder: that does not exist, or is empty.
            to: 'onnx' (the workbench's own engine; all look-aheads), 'sherpa-onnx' (one look-ahead), or
                'transformers' (Hugging Face's own class; all look-aheads).
            lookahead_ms: of a sherpa-onnx package, or that a Transformers package starts with; None is the
                checkpoint's default.
            precision: 'fp32' or 'int8'; of a Transformers package 'fp32'.
            clips: recordings to put beside it as WAV, to try it with.
            replace: a package that lies in the folder goes first; anything else there stays and is refused.

        Raises:
            WorkbenchError: an unknown target, precision or look-ahead, a folder that holds something, or a
                checkpoint that cannot be exported.
        """
        if replace and (Path(folder) / MANIFEST).is_file():
            shutil.rmtree(folder)
        return deployment.export_model(
            self.checkpoint(checkpoint), folder, to=to, lookahead_ms=lookahead_ms, precision=precision,
            clips=clips,
        )  # fmt: skip

    def served(
        self,
        package: str | Path,
        corpus: Corpus | str,
        checkpoint: str,
        name: str,
        *,
        lookahead_ms: int | None = None,
        prompt_mode: str = "langID",
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> ServedParity:
        """What callers of a package get, against what was measured: the real runtime reads the corpus too.

        Args:
            package: folder of :meth:`export_model`.
            corpus: rows with references, or a view; or the name of a test suite: all its clips.
            checkpoint: that the package was made of: its name, a run's, a ``.nemo`` path or a hub name.
            name: of the two predictions that are kept with each corpus, ``NAME-measured`` and
                ``NAME-served``.
            lookahead_ms: of a package that serves several; None is the package's own.
            prompt_mode: 'langID' gives each row's tag as prompt, 'auto' lets the runtime detect it.
            progress: called with (rows done, rows in all); a bar is shown without it.
            cancel: asked before each row.

        Raises:
            WorkbenchError: a package that was changed or of another checkpoint, or no such suite.
        """
        views = self.suite(corpus).views() if isinstance(corpus, str) else corpus
        with progress_bar(f"serve {name}", progress) as shown:
            return served.measure(
                views, self.checkpoint(checkpoint), Package.open(package), name, lookahead_ms=lookahead_ms,
                prompt_mode=prompt_mode, progress=shown, cancel=cancel,
            )  # fmt: skip

    def tune_package(
        self,
        package: str | Path,
        corpus: Corpus,
        checkpoint: str,
        *,
        paddings_ms: Sequence[int] = PADDINGS_MS,
        progress: Progress | None = None,
    ) -> Tuned:
        """Find how much silence a sherpa-onnx package wants before the audio, and write it into the package.

        Args:
            package: folder of :meth:`export_model`.
            corpus: rows with references, such as the validation split; not those it is judged on afterwards.
            checkpoint: that the package was made of.
            paddings_ms: to try, beside the one it has.
            progress: called with (readings done, readings in all); a bar is shown without it.

        Raises:
            WorkbenchError: a package that was changed, of another checkpoint or runtime, or no rows.
        """
        recognizer = self.checkpoint(checkpoint)
        load = RowReader(roots_of(corpus.audio_roots), recognizer.info.sample_rate)
        rows = references(corpus).dropna(subset=["text"])
        with progress_bar("tune the padding", progress) as shown:
            return tune_padding(
                Package.open(package), recognizer, rows.to_dict("records"), load,
                paddings_ms=paddings_ms, progress=shown,
            )  # fmt: skip

    def server_capacity(
        self,
        address: str,
        corpus: Corpus,
        *,
        package: str | Path | None = None,
        budget_ms: float | None = None,
        clips: int = 24,
        streams: Sequence[int] = (1, 2, 4, 8),
        repeats: int = 3,
        call_s: float = 6.0,
        leaving: int = 0,
        slow_readers: int = 0,
        name: str = "server",
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> ServerCapacity:
        """How many paced callers a running websocket server holds, seen from outside.

        Args:
            address: ``ws://HOST:PORT`` of a server that ``workbench serve-model`` or sherpa-onnx started.
            corpus: a view; ``clips`` of its clips are spoken.
            package: that it serves, for the silence that goes before the audio; none without it.
            name: of the JSON in ``reports/capacity/``.
            budget_ms, streams, repeats, call_s, leaving, slow_readers, cancel: as
                :func:`workbench.capacity.server.measure_server`.
            progress: called with (measurements done, in all); a bar is shown without it.

        Raises:
            WorkbenchError: no such address, or no server that answers.
        """
        padding = 0 if package is None else int(Package.open(package).settings["left_padding_ms"])
        with progress_bar(f"capacity of {address}", progress, unit="measurement") as shown:
            spoken = [corpus.audio(id, SAMPLE_RATE) for id in corpus.sample(clips).ids()]
            return measure_server(
                address, spoken, streams=streams, call_s=call_s, repeats=repeats, budget_ms=budget_ms,
                padding_ms=padding, leaving=leaving, slow_readers=slow_readers, sample_rate=SAMPLE_RATE,
                out=self.capacity_path(name), progress=shown, cancel=cancel,
            )  # fmt: skip
