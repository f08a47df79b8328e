"""The map of rooms in ``docs/architecture.md``: every module with the first sentence of its docstring.

``python -m tooling.module_map`` writes it between two marks; a test fails where it is old.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- modules -->", "<!-- /modules -->"


def module_map() -> str:
    """Markdown: a heading per room, its docstring, then its modules."""
    lines: list[str] = []
    for folder in [ROOT / "workbench", *sorted(p for p in (ROOT / "workbench").rglob("*") if _is_room(p))]:
        name = folder.relative_to(ROOT).as_posix()
        lines += ["", f"### `{name}/`", "", _first_sentence(folder / "__init__.py"), ""]
        lines += [
            f"- `{path.name}`: {_first_sentence(path)}"
            for path in sorted(folder.glob("*.py"))
            if path.name != "__init__.py"
        ]
    return "\n".join(lines).strip() + "\n"


def with_map(text: str) -> str:
    """The page with the map of now between the marks.

    Raises:
        SystemExit: the page has not both marks.
    """
    head, begun, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not begun or not ended:
        raise SystemExit(f"{PAGE.name}: no place for the map; write {BEGIN} and {END} where it belongs")
    return f"{head}{BEGIN}\n{module_map()}{END}{tail}"


def _is_room(path: Path) -> bool:
    return path.is_dir() and (path / "__init__.py").exists()


def _first_sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "(not described)"
    first = " ".join(text.split("\n\n")[0].split())
    for mark in (". ", ".\n"):
        first = first.partition(mark)[0] + ("." if mark in first else "")
    return first


def main() -> int:
    """Write the page anew."""
    PAGE.write_text(with_map(PAGE.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
