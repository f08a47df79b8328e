"""Inside the namespace: every notebook run from its top in JupyterLab in Chromium; prints what happened.

Called with a folder to work in and, where not all are wanted, names of notebooks; or with ``--bare``, the
control. Kernel, fine-tuning and measuring processes, server and browser share the namespace; requests of
pages are listed by the browser, and what the system and Python's audit hooks counted is told by notebook.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from labpage import CHROMIUM, CHROMIUM_ARGS, REPO, Lab, Notebook, Server
from namespace import counted
from playwright.sync_api import sync_playwright

LONGEST_MS = 2_400_000


class WatchedServer(Server):
    """JupyterLab whose processes note what they try to reach."""

    def _environment(self) -> dict[str, str]:
        made = super()._environment()
        made["PYTHONPATH"] = os.pathsep.join((str(Path(__file__).parent / "watch"), made["PYTHONPATH"]))
        return made


def heard(lab: Lab) -> dict[str, int]:
    """Attempts so far: counted by the system, noted in Python, asked for by pages."""
    notes = Path(os.environ["OFFLINE_NOTES"])
    noted = len(notes.read_text().splitlines()) if notes.exists() else 0
    return {**counted(), "python": noted, "requests_of_pages": len(lab.outside)}


def walk(lab: Lab, path: Path) -> dict[str, object]:
    """Run one notebook from its top; what it took, what went wrong in it, what was attempted meanwhile."""
    began, before = time.monotonic(), heard(lab)
    book = Notebook(lab, f"notebooks/{path.name}")
    book.show()
    lab.page.set_default_timeout(LONGEST_MS)
    book.run_all()
    lab.page.set_default_timeout(300_000)
    failures = [f for f in book.failures() if f["output_type"] == "error"]
    after = heard(lab)
    return {
        "notebook": path.stem,
        "wall_s": round(time.monotonic() - began, 1),
        "attempts": {kind: after[kind] - before[kind] for kind in after},
        "fault": [f"{f['ename']}: {f['evalue']}"[:300] for f in failures],
    }


def main(root: Path, names: list[str]) -> int:
    shutil.copytree(REPO / "notebooks", root / "notebooks")
    os.environ["WORKBENCH_WORKSPACE"] = str(root / "workspace")
    told: list[dict[str, object]] = []
    server = WatchedServer(root)
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=CHROMIUM_ARGS)
            lab = Lab(browser, server)
            lab.page.set_default_timeout(300_000)
            for path in sorted((root / "notebooks").glob("*.ipynb")):
                if names and path.stem not in names:
                    continue
                told.append(walk(lab, path))
                sys.stderr.write(f"{told[-1]}\n")
                sys.stderr.flush()
                if told[-1]["fault"]:
                    break
            outside = list(lab.outside)
            browser.close()
    finally:
        server.stop()
    sys.stdout.write(json.dumps({"notebooks": told, "requests_of_pages": outside}) + "\n")
    return int(any(book["fault"] for book in told) or bool(outside))


def bare(wait_ms: float = 15_000) -> int:
    """The control: the same Chromium with an empty page for a while."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=CHROMIUM_ARGS)
        page = browser.new_page()
        page.goto("about:blank")
        page.wait_for_timeout(wait_ms)
        browser.close()
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--bare"]:
        sys.exit(bare())
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
