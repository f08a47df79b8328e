"""JSON schemas of files that people write, for editors: ``python -m tooling.schemas`` writes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from workbench.finetuning.recipe import SCHEMA_VERSION, Recipe
from workbench.release import policy
from workbench.schema_checks import json_schema
from workbench.workspace.settings import SettingsFile

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "schemas"


def schemas() -> dict[str, dict[str, Any]]:
    """File name → JSON schema."""
    recipe = json_schema(Recipe, "Fine-tuning recipe")
    recipe["properties"]["schema_version"] = {"const": SCHEMA_VERSION, "title": "Schema Version"}
    return {
        "recipe.schema.json": recipe,
        "policy.schema.json": policy.schema(),
        "workspace.schema.json": json_schema(SettingsFile, "Settings of a workspace (workspace.toml)"),
    }


def main() -> int:
    """Write them anew."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, made in schemas().items():
        (FOLDER / name).write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
