"""Pages of the docs site that are made from the project itself: the tutorial and the API reference.

``tutorial.md`` is the notebooks, without outputs; ``api.md`` is every public name of ``workbench``. Neither
is kept in the repository, so neither can grow old.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import workbench

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Any, config: Any) -> Any:
    """Add the two made pages to those that lie in ``docs/``."""
    from mkdocs.structure.files import File

    for name, text in (("tutorial.md", tutorial()), ("api.md", api())):
        files.append(File.generated(config, name, content=text))
    return files


def tutorial() -> str:
    """The notebooks in order, as one Markdown page: their texts and their code."""
    lines = ["# Tutorial: the notebooks", "", "Run them with `make lab`; outputs are left out here.", ""]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        lines += [f"## {path.stem}", ""]
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            text = "".join(cell["source"]).strip()
            if cell["cell_type"] == "code":
                lines += ["```python", text, "```", ""]
            elif text:
                lines += [_lowered(text), ""]
    return "\n".join(lines)


def _lowered(text: str) -> str:
    """Headings two levels down, below those of page and notebook; links as the site has them."""
    text = re.sub(r"\]\((\w+)\.ipynb\)", r"](#\1)", text).replace("](../docs/", "](")
    text = re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", text)  # not on the site
    return "\n".join(f"##{line}" if line.startswith("#") else line for line in text.splitlines())


def api() -> str:
    """Every public name, under the module that defines it."""
    lines = ["# API reference", "", "All of it is reached by `import workbench as wb`.", ""]
    for name in sorted(workbench.__all__):
        found = getattr(workbench, name)
        module = getattr(found, "__module__", None)
        if module and module.startswith("workbench"):
            lines += [f"::: {module}.{getattr(found, '__qualname__', name)}", ""]
    return "\n".join(lines)
