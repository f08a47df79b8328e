"""What the monitor shows first: the metric that moves, references, what each locale lost; at every size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from looks import CONTRAST, CUT, NAMELESS, OVERLAPPING
from plain_page import PlainPages
from playwright.sync_api import Browser, Locator, expect

from workbench.finetuning.run import Run
from workbench.widgets.monitor import Monitor

pytestmark = pytest.mark.timeout(600)  # ends only a test that hangs
SIZES = {"1440": (1330, 900, 1), "1000": (890, 800, 1), "zoom-200": (610, 450, 2)}
RATES = {  # locale: (word, character) error rates at steps 0, 200 and 400
    "ro-RO": [(1.0, 0.78), (0.98, 0.52), (0.94, 0.41)],
    "de-DE": [(0.97, 0.33), (0.98, 0.37), (0.99, 0.39)],
    "fr-FR": [(0.95, 0.30), (0.95, 0.30), (0.95, 0.30)],
}
SAMPLES = [
    ("ro-RO", "o broască verde", ["a bras", "o brasca verde"]),
    ("de-DE", "ein Frosch", ["ein", "ein Frosch"]),
]


def finished_run(folder: Path) -> Run:
    """The files that a finished run leaves, as the training process writes them."""
    folder.mkdir()
    state = {
        "schema_version": 1,
        "status": "finished",
        "step": 400,
        "steps": 400,
        "best": {"step": 400, "score": 0.4},
    }
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
    lines = [{"kind": "train", "step": n, "loss": 5 / n, "learning_rate": 5e-4} for n in range(1, 401, 10)]
    for locale, points in RATES.items():
        for step, (wer, cer) in zip((0, 200, 400), points, strict=True):
            facts = {"locale": locale, "prompt_mode": "langID", "streaming": False, "lookahead_ms": 1120}
            lines.append(
                {"kind": "validation", "step": step, **facts, "wer": wer, "cer": cer, "utterances": 12}
            )
    (folder / "metrics.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    heard = [
        {"step": step, "id": f"{locale}-1", "locale": locale, "prompt_mode": "langID", "reference": text,
         "hypothesis": said, "detected_lang": locale}
        for locale, text, texts in SAMPLES
        for step, said in zip((0, 400), texts, strict=True)
    ]  # fmt: skip
    written = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in heard)
    (folder / "samples.jsonl").write_text(written, encoding="utf-8")
    return Run.attach(folder)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainPages]:
    run = finished_run(tmp_path_factory.mktemp("monitor") / "romanian")
    made = PlainPages({"monitor": Monitor(run)}, {"monitor": ("runs", "logs")})
    yield made
    made.close()


def opened(browser: Browser, pages: PlainPages, size: str, *, light: bool = True) -> Locator:
    width, height, scale = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(pages.url("monitor", light=light))
    monitor = page.get_by_test_id("monitor")
    expect(monitor.get_by_test_id("strip")).to_be_visible()
    return monitor


def test_it_opens_on_the_metric_that_moves(browser: Browser, pages: PlainPages) -> None:
    """Hardly a word is right yet, so words say nothing; the user's own choice wins from then on."""
    monitor = opened(browser, pages, "1440")
    expect(monitor.get_by_test_id("metric")).to_have_value("cer")
    expect(monitor.get_by_text("Shown by characters")).to_be_visible()
    strip = monitor.get_by_test_id("strip").get_by_role("listitem")
    assert strip.all_inner_texts() == ["de-DE\n+6.0\nworse", "fr-FR\n±0.0\nsame", "ro-RO\n−37.0\nbetter"]
    assert strip.first.get_attribute("title") == "33.0 % at step 0, 39.0 % at step 400, 12 utterances"
    monitor.get_by_test_id("metric").select_option("wer")
    expect(strip.first).to_contain_text("+2.0")
    expect(monitor.get_by_text("Shown by characters")).to_be_hidden()
    monitor.page.close()


def test_every_sample_has_its_reference(browser: Browser, pages: PlainPages) -> None:
    monitor = opened(browser, pages, "1440")
    shown = [text.split("\n")[-1] for text in monitor.get_by_test_id("reference").all_inner_texts()]
    assert sorted(shown) == sorted(text for _, text, _ in SAMPLES)
    expect(monitor.locator(".nwb-sample").first.locator("[data-heard]")).to_have_count(2)
    monitor.page.close()


@pytest.mark.parametrize("size", SIZES)
def test_nothing_of_the_monitor_is_cut_or_covered(
    browser: Browser, pages: PlainPages, size: str, picture
) -> None:
    monitor = opened(browser, pages, size)
    picture(f"monitor-look-{size}", monitor)
    assert [*monitor.evaluate(CUT), *monitor.evaluate(OVERLAPPING)] == []
    monitor.page.close()


@pytest.mark.parametrize("light", [False, True])
def test_the_monitor_can_be_read_in_both_themes(
    browser: Browser, pages: PlainPages, light: bool, picture
) -> None:
    monitor = opened(browser, pages, "1000", light=light)
    picture(f"monitor-look-{'light' if light else 'dark'}", monitor)
    assert monitor.evaluate(CONTRAST) == []
    assert monitor.evaluate(NAMELESS) == []
    monitor.page.close()
