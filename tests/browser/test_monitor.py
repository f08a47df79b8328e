"""A real run: started, watched, the kernel restarted, attached to again, cancelled, resumed to its end."""

from __future__ import annotations

import pytest
from labpage import REPO, Lab, Notebook
from playwright.sync_api import Browser, Locator, expect
from sleepy import laptop, offline

pytestmark = [pytest.mark.model, pytest.mark.timeout(2400)]  # limits only end a test that hangs
STARTER = REPO / "data"
STEPS = 240  # enough to be still going when the kernel is back

START = f"""
from workbench.finetuning.recipe import Recipe, Source, ValidationSet
from workbench.finetuning.run import Run, start
from workbench.widgets.monitor import Monitor

manifest = {str(STARTER / "starter" / "manifest.jsonl")!r}
recipe = Recipe(
    name="watched", base={str(STARTER / "checkpoint" / "starter.nemo")!r},
    sources=(Source(manifest, locales=("el-GR",), split="train"),),
    validation=(ValidationSet(manifest, None, ("el-GR",), "validation", utterances_per_locale=2),),
    steps={STEPS}, batch_s=6.0, max_duration_s=6.0, warmup_steps=20, prompt_modes=("langID",),
    validate_every=120, save_every=40, device="cpu", seed=7, learning_rate=1e-3, train_subsampling=False,
    dropout=0.0,
)
from pathlib import Path
run = start(recipe, "watched") if not Path("watched").exists() else Run.attach("watched")
monitor = Monitor(run, poll_s=0.3)
"""


TWO = """
both = Monitor([run, Run.attach("again")], poll_s=0.3) if Path("again").exists() else None
both
"""
READ = """root => [...root.querySelectorAll(".nwb-sample")].map(s =>
  [...s.querySelectorAll("[data-heard]")].map(line => ({
    step: line.dataset.heard, text: line.querySelector("p").textContent,
    errors: parseInt(line.querySelector(".nwb-tag").textContent) })))"""


@pytest.fixture(scope="module")
def book(lab: Lab) -> Notebook:
    book = lab.notebook("monitor.ipynb", [START, "monitor", TWO])
    assert not book.failures(), book.failures()
    yield book
    book.show()
    book.kernel("run.cancel()", "from workbench.finetuning.run import Run\nrun = Run.attach('watched')")
    book.kernel("run.wait(60)['status']")


@pytest.fixture
def view(book: Notebook) -> Locator:
    book.show()
    view = book.panel.get_by_test_id("monitor").first
    view.wait_for()
    return view


def step(view: Locator) -> int:
    return int(view.get_by_role("progressbar").get_attribute("aria-valuenow"))


def test_a_run_is_watched(book: Notebook, view: Locator) -> None:
    run = view.get_by_test_id("run")
    book.wait(lambda: step(view) >= 2, "the first steps", 900)
    expect(run).to_have_attribute("data-status", "running")
    expect(view.get_by_test_id("chart").filter(has_text="Loss")).to_be_visible()
    expect(run).to_contain_text("peak rate")
    drawn = (
        view.get_by_test_id("chart").filter(has_text="Loss").locator("path.nwb-line").first.get_attribute("d")
    )
    line = view.get_by_test_id("chart").filter(has_text="Loss").locator("path.nwb-line").first
    book.wait(lambda: line.get_attribute("d") != drawn, "the curve drawn on, in its place")


def test_the_kernel_restarts_and_the_run_goes_on(book: Notebook, view: Locator) -> None:
    before = step(view)
    book.restart()
    expect(view.get_by_text("The training goes on by itself")).to_be_visible(timeout=20_000)
    expect(view.get_by_test_id("cancel")).to_be_disabled()
    book.run_all()
    assert not book.failures(), book.failures()
    again = book.panel.get_by_test_id("monitor")
    book.wait(lambda: step(again) > before, "further steps of the same run", 300)


@pytest.mark.soak
def test_cancel_reaches_the_run_from_a_second_tab(browser: Browser, book: Notebook, view: Locator) -> None:
    """On a laptop that sleeps meanwhile: the run trains on, and Cancel reaches it from this tab too."""
    book.wait(lambda: step(view) >= 2, "the first steps", 900)
    book.lab.command("docmanager:save")
    with laptop(browser, book.lab.server) as (lab, way):
        second = Notebook(lab, book.name)
        second.show()
        other = second.panel.get_by_test_id("monitor").first
        expect(other.get_by_test_id("run")).to_have_attribute("data-status", "running")
        way.sleep()
        second.wait(lambda: offline(lab.page), "the connection is gone")
        before = book.kernel("len(run.metrics('train'))")
        book.wait(lambda: book.kernel("len(run.metrics('train'))") > before, "the run goes on", 300)
        way.wake()
        second.wait(lambda: not offline(lab.page), "the connection is back", 120)
        other.get_by_test_id("cancel").click()
        expect(other.get_by_test_id("cancel")).to_be_disabled()  # taken, and said so
        expect(other.get_by_test_id("run")).to_have_attribute("data-status", "cancelled", timeout=300_000)
    expect(view.get_by_test_id("run")).to_have_attribute("data-status", "cancelled", timeout=300_000)


def test_it_is_cancelled_and_resumed_to_its_end(book: Notebook, lab: Lab, view: Locator, picture) -> None:
    view.get_by_test_id("cancel").click()
    expect(view.get_by_test_id("run")).to_have_attribute("data-status", "cancelled", timeout=300_000)
    assert step(view) < STEPS
    view.get_by_test_id("resume").click()
    expect(view.get_by_test_id("run")).to_have_attribute("data-status", "finished", timeout=1_500_000)
    assert step(view) == STEPS
    steps = book.kernel("[int(s) for s in run.metrics('train')['step']]")
    assert steps == list(range(1, STEPS + 1)), "a step is missing or was taken twice"
    expect(view.locator(".nwb-sample").first).to_contain_text("step 0")
    expect(view.get_by_test_id("resume")).to_be_hidden()
    picture("monitor-light", view)
    lab.theme("dark")
    picture("monitor-dark", view)
    lab.theme("light")
    assert "<polyline" in book.kernel("monitor.static_html()")
    assert not lab.outside


def test_samples_show_how_reading_changed(book: Notebook, view: Locator) -> None:
    """Each sampled sentence as read at the first and at the last step, errors marked and counted."""
    view.locator(".nwb-sample").first.wait_for()
    read = view.evaluate(READ)
    assert len(read) == 2
    for first, *_, last in read:
        assert (first["step"], last["step"]) == ("0", str(STEPS))
        assert last["errors"] >= 0
    assert any(first["text"] != last["text"] for first, *_, last in read), read
    assert view.locator(".nwb-sample del, .nwb-sample .nwb-heard-substitute").count() > 0


def test_several_runs_lie_over_each_other(book: Notebook, view: Locator, picture) -> None:
    book.kernel("1", setup="import shutil; shutil.copytree('watched', 'again', dirs_exist_ok=True)")
    book.run_all()
    both = book.panel.get_by_test_id("monitor").nth(1)
    both.wait_for()
    expect(both.get_by_test_id("run")).to_have_count(2, timeout=60_000)
    loss = both.get_by_test_id("chart").filter(has_text="Loss")
    # Each run's values, and their average.
    expect(loss.locator(".nwb-chart-drawing path.nwb-line")).to_have_count(4, timeout=60_000)
    expect(loss).to_contain_text("again")
    picture("monitor-two-runs", both)
