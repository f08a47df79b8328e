"""A newcomer's first minute, by the clock: from ``make lab`` in a fresh clone to the first word and answer.

What ``make lab`` runs once the environment is installed is started as a user starts it, in a clone without a
workspace; Chromium opens the address that it prints, and the first notebook's own words are followed: into
the next cell, Shift-Enter, play.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from labpage import REPO, wait_for
from playwright.sync_api import Browser, Page, expect

EVIDENCE = REPO / "docs" / "evidence" / "first-minute.json"
WITHIN_S = 60.0
"""The most that may pass from the opened notebook to the first word."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The last commit, alone: no workspace, no settings, no caches of its own."""
    made = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(REPO), str(made)], check=True)
    return made


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    made = context.new_page()
    made.set_default_timeout(240_000)
    yield made
    context.close()


@pytest.mark.soak
def test_the_first_word_and_the_first_answer(clone: Path, page: Page) -> None:
    """Writes ``docs/evidence/first-minute.json``."""
    seconds: dict[str, float] = {}
    log = clone.parent / "lab.log"
    env = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "WORKBENCH"))}
    env |= {"HOME": str(clone.parent), "PYTHONPATH": str(clone), "BROWSER": "true", "PYTHONUNBUFFERED": "1"}
    begun = time.monotonic()

    def passed(step: str) -> None:
        seconds[step] = round(time.monotonic() - begun, 1)

    with log.open("w") as out:
        lab = subprocess.Popen(
            [sys.executable, "-m", "workbench", "lab", "--port", "0"], cwd=clone, env=env, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        found = wait_for(
            lambda: re.search(r"http://127\.0\.0\.1:\d+/lab/tree/\S+", log.read_text()), page, "address", 240
        )
        passed("the address is printed")
        page.goto(found[0])
        cell = page.locator(".jp-CodeCell").first
        expect(cell).to_contain_text("wb.starter()", timeout=240_000)
        passed("the first notebook is open")
        opened = time.monotonic()
        # At once: JupyterLab would drop it where the kernel did not run before the page came.
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        play = page.locator(".nwb-play").first
        expect(play).to_be_enabled(timeout=240_000)
        passed("the player is there")
        play.click()
        word = page.get_by_test_id("lane").first.locator("[data-word]").first
        expect(word).to_have_text(re.compile(r"\w"), timeout=240_000)
        passed("the first word is on screen while the clip plays")
        first_word_s = time.monotonic() - opened
        server = psutil.Process(lab.pid)
        times = [one.cpu_times() for one in (server, *server.children(recursive=True))]
        spent = round(sum(used.user + used.system for used in times), 1)
        question = page.locator(".jp-CodeCell", has_text='corpus.groups("target_lang", "accent"').first
        question.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        expect(question.locator("table").first).to_contain_text("el-GR", timeout=240_000)
        passed("answered: how many hours of which locale and accent are here")
    finally:
        os.killpg(lab.pid, signal.SIGTERM)
        lab.wait(30)
    facts = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(), "load_1min": round(os.getloadavg()[0], 1),
        "note": "installed before; a fresh clone without a workspace; seconds since make lab",
        "first_word_after_opening_s": round(first_word_s, 1), "seconds": seconds,
        "cpu_s_of_server_and_kernel_until_then": spent,
    }  # fmt: skip
    EVIDENCE.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    assert spent < WITHIN_S
    # On a machine that others keep busy a minute by the clock says nothing of this.
    assert first_word_s < WITHIN_S or facts["load_1min"] > 2 * (os.cpu_count() or 1)
