"""The import plan to look at, hear and correct: from a source to a corpus in one view.

Each correction looks at the source anew, so what is shown is what an import would do. The import runs in a
thread of its own, can be cancelled, and leaves nothing behind where it was.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

from workbench import locales
from workbench.errors import WorkbenchError
from workbench.ingest.audio import read_row
from workbench.ingest.inspect import inspect_source
from workbench.ingest.intake import ImportOptions
from workbench.ingest.plan import ImportPlan
from workbench.ingest.reader import INSIDE
from workbench.ingest.schema import FIELDS, READ_TOO
from workbench.names import check_name
from workbench.plain_values import plain
from workbench.signatures import public
from workbench.widgets import assets
from workbench.widgets.audio import AudioAnswers
from workbench.widgets.channel import LiveWidget, answers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.corpus.query.table import Corpus
    from workbench.holdings import Holdings

SAMPLE_RATE = 16_000
FIELDS_TO_MAP = tuple(name for name in (*FIELDS, *READ_TOO) if name not in ("id", "lang"))


class _Cancelled(Exception):  # noqa: N818 - it ends an import that somebody ended
    """Raised where an import tells how far it is."""


@public
class PlanEditor(AudioAnswers, LiveWidget):
    """What was understood of a source: columns, locales, what is left out; to be corrected and imported.

    Args:
        workspace: that the corpus will belong to.
        name: proposed for the corpus.
        source: as for ``Workspace.import_corpus``.
        options: what is already said of the source.

    Raises:
        WorkbenchError: the source cannot be read.
    """

    _esm = assets.module("import_plan.js")
    _css = assets.style("import_plan.css")

    state = traitlets.Dict().tag(sync=True)

    def __init__(self, workspace: Holdings, name: str, source: Any, options: ImportOptions) -> None:
        self.workspace, self.source, self.options = workspace, source, options
        self.corpus: Corpus | None = None
        self.plan = _looked_at(source, options)
        self._cancel = threading.Event()
        self._changing = threading.Lock()
        super().__init__(state={"name": check_name(name), **_shown(self.plan), **_step("plan")})

    def static_html(self) -> str:
        return self.plan._repr_html_()

    def load_audio(self, key: str) -> tuple[NDArray[np.float32], int]:
        row = self.plan.examples[int(key)]
        if str(row["audio_filepath"]).startswith(INSIDE):
            raise WorkbenchError(
                "the recording lies inside the source", hint="It can be heard once it is imported."
            )
        return read_row(row, self.plan.roots, SAMPLE_RATE)

    @answers("change")
    def _change(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Look again with a correction: ``feeds`` (column → field), ``tags``, ``locale``, ``audio_root``."""
        if self.state["step"] == "importing":
            raise WorkbenchError("the import is running", hint="Cancel it first.")
        options = corrected(self.plan.options(), self.plan, body)
        found = _looked_at(self.source, options)
        self.options, self.plan = options, found
        with self._audio_lock:
            self.__dict__.pop("_audio_cache", None)
        self._tell(**_shown(found), **_step("plan"))
        return {}

    @answers("import")
    def _import(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        name = check_name(str(body.get("name") or self.state["name"]))
        if name in self.workspace.corpus_names():
            raise WorkbenchError(f"there is a corpus {name!r} already", hint="Choose another name.")
        if self.state["step"] == "importing":
            raise WorkbenchError("the import is running")
        self._cancel.clear()
        self._tell(name=name, **_step("importing"))
        self.run_in_queue("import", lambda: self._run(name))
        return {}

    @answers("cancel", queue="cancel")
    def _stop(self, _body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        self._cancel.set()
        self._tell(cancelling=True)
        return {}

    def _run(self, name: str) -> None:
        def progress(done: int, total: int) -> None:
            if self._cancel.is_set():
                raise _Cancelled
            self._tell(done=done, total=total or self.plan.rows)

        try:
            corpus = self.workspace.import_corpus(name, self.source, plan=self.plan, progress=progress)
            predictions = [report.lines()[1] for report in corpus.take_predictions()]
        except WorkbenchError as error:  # what progress raised is its cause
            cancelled = isinstance(error.__cause__, _Cancelled)
            self._tell(**_step("cancelled") if cancelled else _step("failed", str(error)))
        except Exception as error:
            self._tell(**_step("failed", f"{type(error).__name__}: {error}"[:400]))
            raise
        else:
            self.corpus = corpus
            told = [f"{len(corpus):,} utterances", *predictions, *map(str, corpus.problems[:5])]
            self._tell(**_step("imported", "\n".join(told)))

    def _tell(self, **changes: Any) -> None:
        with self._changing:
            self.state = {**self.state, **plain(changes)}


def corrected(options: ImportOptions, plan: ImportPlan, body: Mapping[str, Any]) -> ImportOptions:
    """The options with one correction.

    Args:
        options: as they are.
        plan: what was found with them.
        body: ``feeds``: column → field, empty where it rides along; ``tags``: what the source writes → tag;
            ``locale``: of rows that state none; ``audio_root``: a folder.

    Raises:
        WorkbenchError: no such column, field, tag or folder.
    """
    mapping, tags = dict(options.mapping), dict(options.tags)
    for column, name in (body.get("feeds") or {}).items():
        if column not in {one.name for one in plan.columns}:
            raise WorkbenchError(f"no column {column!r}")
        if name and name not in FIELDS_TO_MAP:
            raise WorkbenchError(f"no field {name!r}", hint=f"Fields: {', '.join(FIELDS_TO_MAP)}.")
        mapping = {field: "" if fed == column else fed for field, fed in mapping.items()}
        if name:
            mapping[name] = column
    for written, tag in (body.get("tags") or {}).items():
        tags[written] = locales.canonical(str(tag))
    locale = options.locale
    if "locale" in body:
        locale = locales.canonical(str(body["locale"])) if body["locale"] else None
    roots: Sequence[str | Path] = tuple(options.audio_roots)
    if root := str(body.get("audio_root") or "").strip():
        if not Path(root).expanduser().is_dir():
            raise WorkbenchError("no such folder", where=root)
        roots = (str(Path(root).expanduser()),)
    return replace(options, mapping=mapping, tags=tags, locale=locale, audio_roots=roots)


def _looked_at(source: Any, options: ImportOptions) -> ImportPlan:
    return inspect_source(
        source, mapping=options.mapping, defaults=options.defaults, tags=options.tags,
        audio_roots=options.audio_roots, locale=options.locale,
    )  # fmt: skip


def _shown(plan: ImportPlan) -> dict[str, Any]:
    facts = plan.to_dict()
    facts.pop("mapping")
    return {
        "plan": plain(facts),
        "questions": plan.questions,
        "fields": list(FIELDS_TO_MAP),
        "tags": list(locales.LOCALES),
    }


def _step(step: str, message: str = "") -> dict[str, Any]:
    return {"step": step, "done": 0, "total": 0, "message": message, "cancelling": False}
