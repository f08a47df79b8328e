"""The notebooks run from the top in Chromium; pictures of them for the README (`make screenshots`)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from labpage import REPO, Lab, Notebook, Server
from playwright.sync_api import Browser

pytestmark = pytest.mark.screenshots
NAMES = sorted(path.name for path in (REPO / "notebooks").glob("*.ipynb"))
# Which output stands for a notebook in the README: the first that holds this.
PICTURE_OF = {
    "00_start_here": ".nwb-playback",
    "01_curate": ".nwb-board",
    "02_stream": ".nwb-playback",
    "03_finetune": ".nwb-monitor",
    "04_errors": ".nwb-explorer",
    "05_release": ".jp-RenderedHTML table:has(caption)",
    "06_field": ".jp-RenderedHTML .report",
    "raw_calls": ".nwb-board",
    "your_data": ".nwb-plan",
}


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Lab]:
    """JupyterLab on a copy of the notebooks with a fresh workspace."""
    root = tmp_path_factory.mktemp("notebooks")
    shutil.copytree(REPO / "notebooks", root / "notebooks")
    before = os.environ.get("WORKBENCH_WORKSPACE")
    os.environ["WORKBENCH_WORKSPACE"] = str(root / "workspace")
    server = Server(root)
    lab = Lab(browser, server)
    yield lab
    lab.page.context.close()
    server.stop()
    if before is None:
        os.environ.pop("WORKBENCH_WORKSPACE")
    else:
        os.environ["WORKBENCH_WORKSPACE"] = before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.timeout(1800)
def test_runs_in_the_browser_and_has_its_picture_taken(rooms: Lab, name: str) -> None:
    book = Notebook(rooms, f"notebooks/{name}")
    book.show()
    rooms.page.set_default_timeout(1_500_000)
    book.run_all()
    rooms.page.set_default_timeout(60_000)
    errors = [f for f in book.failures() if f["output_type"] == "error"]
    assert not errors, f"{errors[0]['ename']}: {errors[0]['evalue']}"
    rooms.page.wait_for_timeout(3000)
    folder = Path(os.environ.get("WORKBENCH_SCREENSHOTS", REPO / "docs" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    stem = Path(name).stem
    shown = book.panel.locator(PICTURE_OF[stem]).first
    shown.scroll_into_view_if_needed()
    rooms.page.wait_for_timeout(1000)
    picture = folder / f"{stem}.png"
    rooms.page.screenshot(path=str(picture), animations="disabled")
    assert picture.stat().st_size > 5_000
    assert not rooms.outside
