"""Fixtures of the browser tests; the machinery is in ``labpage.py``. Skipped where Chromium is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from labpage import CHROMIUM, CHROMIUM_ARGS, REPO, Lab, Notebook, Server
from playback_page import first_player, playback_book
from playwright.sync_api import Browser, Locator, expect, sync_playwright

from workbench.widgets.audio import wav_bytes

expect.set_options(timeout=60_000)  # a wait is no measurement; a loaded machine is slow, not wrong


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = pytest.mark.skip(reason=f"no Chromium at {CHROMIUM} (set WORKBENCH_CHROMIUM)")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(
                pytest.mark.flaky(reruns=int(os.environ.get("WORKBENCH_RERUNS", "2")))
            )  # a busy machine can outlast a page's patience
            if not shutil.which(CHROMIUM):
                item.add_marker(missing)


@pytest.fixture(scope="session")
def lab_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's folder; notebooks and what they write go here."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
def browser(lab_root: Path) -> Iterator[Browser]:
    """Chromium with a fake microphone that hears ``mic.wav``: 440 Hz at 0.3 of full scale."""
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(480_000) / 48_000)
    microphone = lab_root / "mic.wav"
    microphone.write_bytes(wav_bytes(tone.astype(np.float32), 48_000))
    args = [*CHROMIUM_ARGS, f"--use-file-for-fake-audio-capture={microphone}"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=args)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(lab_root: Path) -> Iterator[Server]:
    server = Server(lab_root)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def lab(browser: Browser, server: Server) -> Iterator[Lab]:
    """One JupyterLab page for all modules: ``lab.notebook("name.ipynb", [cell, …])``."""
    lab = Lab(browser, server)
    yield lab
    lab.page.context.close()


@pytest.fixture(scope="session")
def played(lab: Lab) -> Notebook:
    """The notebook with players, of all modules that test playback."""
    return playback_book(lab)


@pytest.fixture
def player(played: Notebook) -> Locator:
    """Its first player, one lane, as it was at first."""
    return first_player(played)


@pytest.fixture(scope="session")
def picture(lab_root: Path):
    """``picture("board-dark", locator)`` keeps a screenshot, in $WORKBENCH_SCREENSHOTS if set."""
    folder = Path(os.environ.get("WORKBENCH_SCREENSHOTS", lab_root / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)

    def take(name: str, what: Locator) -> Path:
        file = folder / f"{name}.png"
        what.screenshot(path=str(file), animations="disabled")
        assert file.stat().st_size > 5_000
        return file

    return take


@pytest.fixture(scope="session")
def repo() -> Path:
    return REPO
