"""The widgets' JavaScript: unit tests of its pure parts, and the limits that its linter does not know."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

from tooling import javascript
from workbench.recognizer.words import written_units

ROOT = Path(__file__).resolve().parents[1]
JS = ROOT / "workbench/widgets/js"
SOURCES = sorted([*JS.glob("*.js"), *JS.glob("*.d.ts")])
# A list of words, or of the shapes of messages, is read by its part, however long it is.
LONGEST = {"strings.js": 900, "messages.d.ts": 1200}
# Reads texts, one a line as JSON, and writes what the page takes for their words.
CUT = """
import { createInterface } from "node:readline";
import { writtenUnits } from "./workbench/widgets/js/units.js";
const texts = [];
for await (const line of createInterface({ input: process.stdin })) {
  texts.push(writtenUnits(JSON.parse(line)));
}
console.log(JSON.stringify(texts));
"""


def test_units_pass() -> None:
    """Node comes with the environment; these tests need no package."""
    command = [sys.executable, "tooling/javascript.py", "test"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    passed = re.search(r"pass (\d+)", done.stdout)
    assert passed
    assert int(passed[1]) >= 20


def test_page_and_kernel_cut_words_alike() -> None:
    """Else a word on screen shows the time of another one."""
    draw = random.Random(7)
    parts = [*"aÖ天気いー", "\u0e01", "\u0e47", *"한17.。、「」(“'$ ", "\u0301"]
    texts = ["".join(draw.choices(parts, k=draw.randrange(12))) for _ in range(3000)]
    lines = "\n".join(json.dumps(text) for text in texts)
    node = [javascript.NODE, "--input-type=module", "-e", CUT]
    done = subprocess.run(node, cwd=ROOT, input=lines, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    for text, cut in zip(texts, json.loads(done.stdout), strict=True):
        assert cut == written_units(text), text


def test_no_long_lines_and_no_long_files() -> None:
    for path in SOURCES:
        lines = path.read_text("utf-8").splitlines()
        assert max(map(len, lines)) <= 120, path.name
        assert len(lines) <= LONGEST.get(path.name, 600), path.name


_TAGS = r"@(?:type|param|returns|typedef|property|template)"
TYPE = re.compile(_TAGS + r"\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")


def test_no_type_is_any() -> None:
    """The compiler is strict; what it cannot know is whether a shape was named or waved through."""
    types: list[tuple[str, str]] = []
    for path in [*SOURCES, *JS.glob("vendor/*.d.ts")]:
        text = path.read_text("utf-8")
        if path.suffix == ".js":
            types += [(path.name, re.sub(r"\n \*", "", one)) for one in TYPE.findall(text)]
        else:
            types.append((path.name, re.sub(r"/\*.*?\*/", "", re.sub(r"//.*", "", text), flags=re.DOTALL)))
    assert len(types) > 1000
    assert [one for one in types if re.search(r"\bany\b|\*|\bFunction\b", one[1])] == []
    options = json.loads((ROOT / "jsconfig.json").read_text("utf-8"))["compilerOptions"]
    assert options["strict"]
    assert False not in options.values()


def test_the_lock_names_no_registry() -> None:
    text = (ROOT / "package-lock.json").read_text("utf-8")
    assert not re.search(r"https?://(?!opencollective|github)[^\"]+\.tgz", text)
    packages = json.loads(text)["packages"]
    assert all("resolved" not in package for package in packages.values())
    wanted = json.loads((ROOT / "package.json").read_text("utf-8"))["devDependencies"]
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
        assert packages[f"node_modules/{name}"]["integrity"].startswith("sha512-")
