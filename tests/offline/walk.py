"""Inside the namespace: every notebook run from its top in JupyterLab in Chromium; prints what happened.

Called with a folder to work in and, where not all are wanted, names of notebooks. Kernel, fine-tuning and
measuring processes, server and browser share the namespace; requests of pages are listed by the browser.
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
from playwright.sync_api import sync_playwright

LONGEST_MS = 2_400_000


class WatchedServer(Server):
    """JupyterLab whose processes note what they try to reach."""

    def _environment(self) -> dict[str, str]:
        made = super()._environment()
        made["PYTHONPATH"] = os.pathsep.join((str(Path(__file__).parent / "watch"), made["PYTHONPATH"]))
        return made


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
                began = time.monotonic()
                book = Notebook(lab, f"notebooks/{path.name}")
                book.show()
                lab.page.set_default_timeout(LONGEST_MS)
                book.run_all()
                lab.page.set_default_timeout(300_000)
                failures = [f for f in book.failures() if f["output_type"] == "error"]
                fault = [f"{f['ename']}: {f['evalue']}"[:300] for f in failures]
                told.append({"notebook": path.stem, "s": round(time.monotonic() - began), "fault": fault})
                sys.stderr.write(f"{told[-1]}\n")
                sys.stderr.flush()
                if fault:
                    break
            outside = list(lab.outside)
            browser.close()
    finally:
        server.stop()
    sys.stdout.write(json.dumps({"notebooks": told, "requests_of_pages": outside}) + "\n")
    return int(any(book["fault"] for book in told) or bool(outside))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
