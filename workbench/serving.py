"""What a workspace does for the runtimes that serve: packages, and what their callers get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import deployment
from workbench.corpus.query.table import Corpus
from workbench.deployment import served
from workbench.deployment.package import Package
from workbench.reviewing import Reviewing
from workbench.signatures import public
from workbench.widgets.progress import Progress, progress_bar

if TYPE_CHECKING:
    from workbench.deployment.served import ServedParity


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
    ) -> Package:
        """Write a checkpoint as a package for a runtime that serves it: graphs, card, digests, clips.

        Args:
            checkpoint: its name, a run's, a ``.nemo`` path or a hub name.
            folder: that does not exist, or is empty.
            to: 'onnx' (the workbench's own engine; all look-aheads), or 'sherpa-onnx' (one look-ahead).
            lookahead_ms: of a sherpa-onnx package; None is the checkpoint's default.
            precision: 'fp32' or 'int8'.
            clips: recordings to put beside it as WAV, to try it with.

        Raises:
            WorkbenchError: an unknown target, precision or look-ahead, a folder that holds something, or a
                checkpoint that cannot be exported.
        """
        return deployment.export_model(
            self.checkpoint(checkpoint), folder, to=to, lookahead_ms=lookahead_ms, precision=precision,
            clips=clips,
        )  # fmt: skip

    def served(
        self,
        package: str | Path,
        corpus: Corpus,
        checkpoint: str,
        name: str,
        *,
        prompt_mode: str = "langID",
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> ServedParity:
        """What callers of a package get, against what was measured: the real runtime reads the corpus too.

        Args:
            package: folder of :meth:`export_model`, for sherpa-onnx.
            corpus: rows with references, or a view.
            checkpoint: that the package was made of: its name, a run's, a ``.nemo`` path or a hub name.
            name: of the two predictions that are kept, ``NAME-measured`` and ``NAME-served``.
            prompt_mode: 'langID' gives each row's tag as prompt, 'auto' lets the runtime detect it.
            progress: called with (rows done, rows in all); a bar is shown without it.
            cancel: asked before each row.

        Raises:
            WorkbenchError: a package that was changed, of another checkpoint, or for another runtime.
        """
        with progress_bar(f"serve {name}", progress) as shown:
            return served.measure(
                corpus, self.checkpoint(checkpoint), Package.open(package), name, prompt_mode=prompt_mode,
                progress=shown, cancel=cancel,
            )  # fmt: skip
