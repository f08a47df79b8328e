"""A project folder: notebooks, a workspace, and a .gitignore that keeps recordings out of git."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workbench.api import Workspace
from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.starter_files import has_starter
from workbench.starter_workspace import starter as put_starter

_HERE = Path(__file__).resolve()
SHIPPED = (_HERE.parents[1] / "notebooks", _HERE.parent / "notebooks")
"""Where the notebooks come from: the checkout, or the wheel."""
FIRST, OWN = "00_start_here.ipynb", "own_recordings.ipynb"
_PERSONAL = "wav flac mp3 ogg opus m4a aac wma amr sph webm mp4 nemo tar parquet"
_IGNORED = (
    "# Recordings, transcripts and checkpoints stay out of git: they may be personal data.",
    "/workspace/",
    "/recordings/",
    *("*." + "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in kind) for kind in _PERSONAL.split()),
    "*.jsonl",
    ".ipynb_checkpoints/",
    "/build/",
)
_OWN_CELLS = (
    "# Your own recordings\n\nName where they are; run the cells in order. What is found is shown before "
    "anything is imported.",
    'import workbench as wb\n\nws = wb.Workspace()\nsource = "path/to/recordings"\nname = "calls"',
    'plan = wb.inspect_source(source, locale=None)  # locale="el-GR" where rows name none\nplan',
    "there = name in ws.corpus_names()\n"
    "corpus = ws.corpus(name) if there else ws.import_corpus(name, source, plan=plan)\ncorpus",
    "corpus.problems[:10]",
    "findings = wb.run_checks(corpus)\nfindings.head(20)",
    "corpus.board(findings=findings)",
    "corpus.where(\"status = 'pending'\").accept()\ncorpus.split().table",
    'corpus.export(ws.path / "exports" / name, replace=True)',
)


@dataclass(frozen=True)
class Project:
    """What was made, and what lay there already and was left alone."""

    folder: Path
    made: tuple[str, ...]
    kept: tuple[str, ...]
    starter: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**asdict(self), "folder": str(self.folder)}

    def lines(self) -> list[str]:
        """What to say, and what to do next."""
        kept = [f"left as it was: {', '.join(self.kept)}"] if self.kept else []
        first = FIRST if self.starter else OWN
        return [
            f"made {', '.join(self.made) or 'nothing new'} in {self.folder}",
            *kept,
            "the starter is in the workspace"
            if self.starter
            else "no starter here: begin with your own recordings",
            f"next: cd {self.folder} && workbench lab, and open notebooks/{first}",
        ]


def make(folder: str | Path, *, starter: bool = True) -> Project:
    """Make a project folder; what is there already stays as it is.

    Args:
        folder: made if it is not there.
        starter: put the starter's corpus and checkpoint into the workspace, where there is one.

    Raises:
        WorkbenchError: the path is a file, or the package has lost its notebooks.
    """
    folder = Path(folder).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise WorkbenchError("a project is a folder", where=str(folder), hint="Choose another path.")
    made: list[str] = []
    kept: list[str] = []
    books = folder / "notebooks"
    books.mkdir(parents=True, exist_ok=True)
    for source in shipped_notebooks():
        _put(books / source.name, source, made, kept)
    _write(books / OWN, _notebook(), made, kept)
    _write(folder / ".gitignore", "\n".join(_IGNORED) + "\n", made, kept)
    workspace = Workspace(folder / "workspace")
    if workspace.settings_path.exists():
        kept.append("workspace/workspace.toml")
    else:
        workspace.configure()
        made.append("workspace/workspace.toml")
    with_starter = "starter" in workspace.corpus_names() or (starter and has_starter())
    if with_starter:
        put_starter(workspace.path)
    return Project(folder, tuple(made), tuple(kept), with_starter)


def shipped_notebooks() -> list[Path]:
    """The notebooks and the policy beside them, in order.

    Raises:
        WorkbenchError: they are not in the package.
    """
    for place in SHIPPED:
        if (place / FIRST).is_file():
            return sorted(p for p in place.iterdir() if p.suffix in (".ipynb", ".yaml"))
    raise WorkbenchError("the package has no notebooks", where=str(_HERE.parent), hint="Install it again.")


def _put(target: Path, source: Path, made: list[str], kept: list[str]) -> None:
    name = f"{target.parent.name}/{target.name}"
    if target.exists():
        kept.append(name)
        return
    shutil.copyfile(source, target)
    made.append(name)


def _write(target: Path, text: str, made: list[str], kept: list[str]) -> None:
    if target.exists():
        kept.append(target.name)
        return
    write_atomic(target, text)
    made.append(target.name)


def _notebook() -> str:
    head, *cells = _OWN_CELLS
    book: dict[str, Any] = {
        "cells": [
            {"cell_type": "markdown", "id": "title", "metadata": {}, "source": head},
            *(
                {"cell_type": "code", "id": f"step-{n}", "execution_count": None, "metadata": {},
                 "outputs": [], "source": text}
                for n, text in enumerate(cells, 1)
            ),
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }  # fmt: skip
    return json.dumps(book, ensure_ascii=False, indent=1) + "\n"
