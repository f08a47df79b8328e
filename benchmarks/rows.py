"""How a table's growth costs: open, filter, check, split, export, each step in a process of its own.

    python benchmarks/rows.py [--rows 10000 100000 1000000 10000000] [--steps import ...]
        [--out FILE] [--keep FOLDER]

Memory is the highest that the process reached, all of it (``VmHWM``: interpreter, libraries, pages of mapped
files), and that of its children, where it has any. CPU seconds stand beside wall seconds: on a shared machine
they are what can be compared. With ``--keep`` the manifest of an earlier run is taken again.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = ("import", "filter", "check", "split", "export")
LIMIT_GB = 4.0


def step(name: str, manifest: Path, folder: Path) -> dict[str, Any]:
    """Do one step in this process; returns seconds, peak memory and what came of it."""
    wall, cpu = time.perf_counter(), time.process_time()
    made = _ACTS[name](manifest, folder)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "step": name,
        "wall_s": round(time.perf_counter() - wall, 2),
        "cpu_s": round(time.process_time() - cpu + children.ru_utime + children.ru_stime, 2),
        "peak_mb": round(peak_mb()),
        **({"children_peak_mb": round(children.ru_maxrss / 1024)} if children.ru_maxrss else {}),
        **made,
    }


def peak_mb() -> float:
    """The most memory that this process ever held, in MB (2**20 bytes)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _import(manifest: Path, folder: Path) -> dict[str, Any]:
    from workbench.corpus.importing import import_source

    shutil.rmtree(folder / "c", ignore_errors=True)
    return {"found": len(import_source(manifest, folder / "c", name="c"))}


def _filter(manifest: Path, folder: Path) -> dict[str, Any]:
    from workbench.corpus.query.table import Corpus

    return {"found": len(Corpus.open(folder / "c").where("target_lang = 'el-GR' AND duration > 2"))}


def _check(manifest: Path, folder: Path) -> dict[str, Any]:
    from workbench.corpus.quality.checks import write_checks
    from workbench.corpus.query.table import Corpus

    checked = write_checks(Corpus.open(folder / "c"), folder / "findings.parquet")
    return {"found": sum(checked.counts.values()), "rows_checked": checked.rows, "findings": checked.counts}


def _split(manifest: Path, folder: Path) -> dict[str, Any]:
    from workbench.corpus.query.table import Corpus
    from workbench.corpus.split import splits

    report = splits.split(Corpus.open(folder / "c"), seed=1)
    by_split = report.table.groupby("split")
    return {
        "found": int(report.table["utterances"].sum()),
        "set_aside": len(report.set_aside),
        "hours": {name: round(hours, 1) for name, hours in by_split["hours"].sum().items()},
    }


def _export(manifest: Path, folder: Path) -> dict[str, Any]:
    from workbench.corpus.export.export import export
    from workbench.corpus.query.table import Corpus

    shutil.rmtree(folder / "out", ignore_errors=True)
    made = export(Corpus.open(folder / "c"), folder / "out", "nemo", only="not_rejected")
    return {"found": made.counts["utterances"], "left_out": made.counts["left_out"], "digest": made.digest}


_ACTS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "import": _import, "filter": _filter, "check": _check, "split": _split, "export": _export,
}  # fmt: skip


def measure(count: int, folder: Path, steps: tuple[str, ...] = STEPS) -> list[dict[str, Any]]:
    """All steps over a synthetic manifest of so many rows, in ``folder``, where it may lie already."""
    from synthetic import manifest

    path = folder / f"rows{count}.jsonl"
    if not path.exists():
        draft = manifest(path.with_suffix(".part"), count)
        draft.rename(path)
    results = []
    for name in steps:
        command = [sys.executable, __file__, "--one", name, "--manifest", str(path), "--folder", str(folder)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        found: dict[str, Any] = {"rows": count, "manifest_mb": round(path.stat().st_size / 1e6, 1)}
        if done.returncode:
            found |= {"step": name, "failed": f"the process ended with {done.returncode}"}
        else:
            found |= json.loads(done.stdout.splitlines()[-1])
        results.append(found)
        print(json.dumps(found), flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=STEPS)
    parser.add_argument("--out", type=Path, help="JSON lines of results, added to")
    parser.add_argument("--keep", type=Path, help="folder for the files that are made; they stay")
    parser.add_argument("--one", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--manifest", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(step(options.one, options.manifest, options.folder)), flush=True)
        return
    for count in options.rows:
        with tempfile.TemporaryDirectory() as name:
            folder = (options.keep / str(count)) if options.keep else Path(name)
            folder.mkdir(parents=True, exist_ok=True)
            results = measure(count, folder, tuple(options.steps))
        if options.out:
            with options.out.open("a", encoding="utf-8") as stream:
                stream.writelines(json.dumps(result) + "\n" for result in results)


if __name__ == "__main__":
    main()
