"""How late words land in playback: their paint in Chromium against their emission time, on the media clock.

Run: python benchmarks/playback.py [--clips 4] [--lookaheads 80 560 1120] [--speeds 0.5 1 2]

Budget: at most 150 ms late, never early. A word's emission time is the kernel's (end of its chunk's audio
plus computing); its paint is the first moment after the frame that holds it, read from the media element's
clock, so at double speed a late frame counts twice. Words are counted, not chunks: one that brings no word
has nothing to be late with. Each row is one look-ahead at one speed over all clips.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import budgets
import numpy as np
from playwright.sync_api import Locator, sync_playwright

REPO = Path(__file__).parents[1]
sys.path.insert(0, str(REPO / "tests" / "browser"))

from labpage import CHROMIUM, CHROMIUM_ARGS, Lab, Notebook, Server  # noqa: E402

BUDGET_S = 0.150
SETUP = f"""
import json
from pathlib import Path
import soundfile
from workbench.recognizer.checkpoint import Checkpoint
from workbench.widgets.playback import Playback
source = Path({str(REPO / "data" / "starter")!r})
checkpoint = Checkpoint.open({str(REPO / "data" / "checkpoint" / "starter.nemo")!r})
rows = [row for row in map(json.loads, (source / "manifest.jsonl").open(encoding="utf-8"))
        if row["split"] == "test" and 2.5 < row["duration"] < 6]
firsts = {{}}
for row in rows:
    firsts.setdefault(row["target_lang"], row)
chosen = list(firsts.values())[:COUNT]
"""
SHOW = """
pcm, rate = soundfile.read(source / chosen[{clip}]["audio_filepath"], dtype="float32")
player = Playback(checkpoint, pcm, rate, lookahead_ms={lookahead_ms}, title=chosen[{clip}]["id"])
player.wait(600)
"""
# A message sent while a frame is being made arrives once it is drawn: the paint of what came before it.
WATCH = """(root) => {
    const transcript = root.querySelector("[data-testid=transcript]");
    window.media ??= [];
    const media = HTMLMediaElement.prototype, { play } = media;
    if (!media.watched) {
        media.watched = true;
        media.play = function () {
            window.media.push(this);
            return play.apply(this, arguments);
        };
    }
    const now_s = () => window.media.at(-1).currentTime;
    window.landed = [];
    const drawn = new MessageChannel(), waiting = [];
    drawn.port1.onmessage = () => {
        const painted_s = now_s();
        for (const entry of waiting.splice(0)) entry.painted_s = painted_s;
    };
    let before = 0;
    new MutationObserver(() => {
        const words = transcript.querySelectorAll("[data-word]").length;
        if (words <= before) return;
        for (let word = before; word < words; word += 1) {
            const emission_s = Number(transcript.dataset.emission);
            const entry = { word, emission_s, written_s: now_s(), painted_s: null };
            window.landed.push(entry);
            waiting.push(entry);
        }
        before = words;
        requestAnimationFrame(() => drawn.port2.postMessage(0));
    }).observe(transcript, { attributes: true, attributeFilter: ["data-event"], childList: true });
}"""


def measure(book: Notebook, speed: float) -> list[dict[str, Any]]:
    """Play what the last cell shows, and tell when each word landed."""
    view: Locator = book.panel.get_by_test_id("playback").last
    view.locator(".nwb-player[data-ready='1']").wait_for()
    view.evaluate(WATCH)
    view.locator("select.nwb-speed").select_option(f"{speed:g}")
    view.get_by_test_id("player-play").click()
    last = book.kernel("len(player.lanes[0]['events']) - 1")
    shown = view.get_by_test_id("transcript")
    book.wait(lambda: int(shown.get_attribute("data-event") or -1) == last, "the last event", 120)
    book.page.wait_for_timeout(300)
    landed: list[dict[str, Any]] = book.page.evaluate("window.landed")
    return landed


def in_the_page(lab: Lab, options: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    book = lab.notebook("playback.ipynb", [SETUP.replace("COUNT", str(options.clips)), "player"])
    for clip in range(book.kernel("len(chosen)")):
        for lookahead_ms in options.lookaheads:
            book.kernel("None", SHOW.format(clip=clip, lookahead_ms=lookahead_ms))
            for speed in options.speeds:
                book.page.evaluate(
                    """async () => { const panel = window.jupyterapp.shell.currentWidget;
                        panel.content.activeCellIndex = panel.content.widgets.length - 1;
                        await window.jupyterapp.commands.execute("notebook:run-cell"); }"""
                )
                for entry in measure(book, speed):
                    found.append({"clip": clip, "lookahead_ms": lookahead_ms, "speed": speed, **entry})
    return found


def report(found: list[dict[str, Any]]) -> bool:
    """Print the table; whether the budget is kept."""
    print(
        f"{'look-ahead':>10} {'speed':>6} {'words':>6} {'earliest':>9} {'median':>8} {'p95':>8} {'latest':>8}"
    )
    groups = sorted({(row["lookahead_ms"], row["speed"]) for row in found})
    for lookahead_ms, speed in [*groups, (None, None)]:
        rows = [
            row
            for row in found
            if lookahead_ms is None or (row["lookahead_ms"], row["speed"]) == (lookahead_ms, speed)
        ]
        early = min(row["written_s"] - row["emission_s"] for row in rows)
        late = np.array([row["painted_s"] - row["emission_s"] for row in rows])
        name = ("all", "") if lookahead_ms is None else (f"{lookahead_ms} ms", f"{speed:g}x")
        figures = [early, float(np.median(late)), float(np.percentile(late, 95)), float(late.max())]
        print(
            f"{name[0]:>10} {name[1]:>6} {len(rows):>6} " + " ".join(f"{1000 * v:>5.0f} ms" for v in figures)
        )
    budgets.record("playback_late", [1000 * float(late.max())], words=len(rows))
    kept = early >= 0 and float(late.max()) <= BUDGET_S
    print(f"budget {1000 * BUDGET_S:.0f} ms, never early: {'kept' if kept else 'MISSED'}")
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--lookaheads", type=int, nargs="+", default=[80, 560, 1120])
    parser.add_argument("--speeds", type=float, nargs="+", default=[0.5, 1, 2])
    parser.add_argument("--out", type=Path, help="also write every word as JSON here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=CHROMIUM_ARGS)
        server = Server(Path(folder))
        try:
            found = in_the_page(Lab(browser, server), options)
        finally:
            server.stop()
            browser.close()
    if options.out:
        options.out.write_text(json.dumps(found), encoding="utf-8")
    return 0 if report(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
