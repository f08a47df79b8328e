"""The microphone of the person at the browser: a real recording through Chromium's fake device; refusals.

The fake device plays ``mic.wav``, over and over, at 44.1 kHz. What the widget takes is bit for bit that file
from its first sound on, and reads as the recording does. Refusals come from Chromium itself.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from labpage import CHROMIUM, CHROMIUM_ARGS, Lab, Notebook, Server, Window
from microphone_page import CHOOSE, OPEN, RATE, TAIL_S, WARM, record, speak, start_in
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.model
FAKE_UI, FAKE_DEVICE = "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"

WIDGET = f"""{OPEN}
mic = Microphone(checkpoint, recordings="takes", lookahead_ms=560)
mic
"""
# What the take holds, from the file itself, 16-bit at 44.1 kHz as the device plays it.
FROM_THERE = """
file = soundfile.read("mic.wav", dtype="int16")[0]
own = reading(file[({0} + np.arange({1})) % len(file)], 44100)
"""
CLICK = "document.querySelector('[data-testid=record]').click()"
STATE = "document.querySelector('[data-testid=microphone]')?.dataset.state"
NOTE = "document.querySelector('[data-testid=mic-note]')?.textContent"


@pytest.fixture(scope="module")
def book(lab: Lab) -> Notebook:
    book = lab.notebook("microphone.ipynb", [WIDGET, WARM])
    assert not book.failures(), book.failures()
    return book


@pytest.fixture(scope="module")
def spoken(book: Notebook, lab_root: Path) -> np.ndarray:
    """``mic.wav``: silence, a recording, silence; int16 at 44.1 kHz."""
    chosen = book.kernel("chosen", CHOOSE)
    assert chosen, "no recording reads the same at the device's rate and with more silence behind it"
    return speak(lab_root / "mic.wav", chosen)


@pytest.fixture
def view(book: Notebook):
    book.show()
    view = book.panel.get_by_test_id("microphone")
    expect(view).to_have_attribute("data-state", "idle")
    return view


def test_a_recording_spoken_at_the_microphone_reads_as_its_file(
    book: Notebook, view, spoken: np.ndarray, picture
) -> None:
    """What is captured is the recording, bit for bit, and reads as its 16 kHz file does.

    A machine that is starved of time drops blocks of 10 ms between device and page; then it is said again."""
    first = int(np.flatnonzero(spoken)[0])
    for _ in range(6):
        take = record(book, view, len(spoken) / RATE - TAIL_S - first / RATE + 0.8)
        start, equal = start_in(spoken, take)
        if equal:
            break
    picture("microphone", view)
    assert equal, "what was captured is not what the device played"
    assert start == first, "the silence of a device that is not on yet belongs to no take"
    live, own = book.kernel("[mic._session.final_transcript, own]", FROM_THERE.format(start, len(take)))
    assert live == own
    assert live == book.kernel("its_own"), "the transcript of the recording's own file"
    assert live
    assert "".join(view.get_by_test_id("mic-transcript").text_content().split()) == "".join(live.split())
    figures = view.get_by_test_id("latency")
    expect(figures).to_contain_text(re.compile(r"median \d+ ms.*95th percentile \d+ ms"))
    assert int(view.get_attribute("data-latencies")) > 0


def test_a_device_that_gives_nothing_but_zeros_is_said(book: Notebook, view, lab_root: Path) -> None:
    """A muted microphone; with the first sound the take begins."""
    before = (lab_root / "mic.wav").read_bytes()
    soundfile.write(lab_root / "mic.wav", np.zeros(RATE * 5, np.int16), RATE, subtype="PCM_16")
    try:
        view.get_by_test_id("record").click()
        expect(view).to_have_attribute("data-state", "recording")
        expect(view.get_by_test_id("mic-note")).to_contain_text("only digital silence")
        assert book.kernel("len(mic._blocks)") == 0
        view.get_by_test_id("record").click()
        expect(view).to_have_attribute("data-state", "idle")
        expect(view.get_by_test_id("keep")).not_to_be_visible()
    finally:
        (lab_root / "mic.wav").write_bytes(before)


def test_what_is_said_while_the_model_loads_is_not_lost(book: Notebook, view, spoken: np.ndarray) -> None:
    """The session comes two seconds late; what was heard before it goes to it first."""
    slow = """
import time
quick = Microphone._start
def slow(self, body, buffers):
    time.sleep(2)
    return quick(self, body, buffers)
Microphone._start = slow
"""
    book.kernel("None", slow)
    try:
        take = record(book, view, 3.0, at_once="Listening. The model is being loaded")
    finally:
        book.kernel("None", "Microphone._start = quick")
    start, _ = start_in(spoken, take)
    assert abs(start - int(np.flatnonzero(spoken)[0])) < 0.1 * RATE, "the take begins with the first sound"


def allow(browser: Browser, book: Notebook, setting: str) -> None:
    """Let the page have the microphone (``granted``), or take it away (``denied``)."""
    page = book.page.context.new_cdp_session(book.page)
    context = page.send("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    asked = {"permission": {"name": "microphone"}, "setting": setting, "browserContextId": context}
    browser.new_browser_cdp_session().send("Browser.setPermission", asked)


def test_a_microphone_taken_away_ends_the_take_and_keeps_it(book: Notebook, view, browser: Browser) -> None:
    """The permission is withdrawn while it records: Chromium ends the track, as when a plug is pulled."""
    view.get_by_test_id("record").click()
    expect(view).to_have_attribute("data-state", "recording")
    book.wait(lambda: book.kernel("sum(map(len, mic._blocks))") > RATE, "a second of sound", 60)
    allow(browser, book, "denied")
    try:
        expect(view).to_have_attribute("data-state", "idle")
        expect(view.get_by_test_id("mic-note")).to_contain_text("unplugged or taken away")
        expect(view.get_by_test_id("keep")).to_be_visible()
        assert book.kernel("mic._session.finished")
    finally:
        allow(browser, book, "granted")
    assert len(record(book, view, 0.5)) > 0.5 * RATE


def test_a_hidden_tab_goes_on_recording_and_says_so(book: Notebook, lab: Lab, browser: Browser) -> None:
    """A second window on the same kernel is minimized while it records."""
    lab.command("docmanager:save")
    address = f"{lab.server.url}/lab/tree/microphone.ipynb?token={lab.server.token}&reset"
    window = Window(browser, book.page, address)
    try:
        window.wait(f"{STATE} === 'idle'", 120)
        window.run(CLICK)
        window.wait(f"{STATE} === 'recording'")
        assert not window.run("document.hidden")
        window.show("minimized")
        window.wait("document.hidden")
        assert "in the background" in window.wait(NOTE)
        heard = book.kernel("sum(map(len, mic._blocks))")
        book.wait(lambda: book.kernel("sum(map(len, mic._blocks))") > heard + RATE, "more sound", 60)
        window.show("normal")
        window.wait("!document.hidden")
        assert window.run(STATE) == "recording"
        assert "in the background" in window.run(NOTE)
        window.run(CLICK)
        window.wait(f"{STATE} === 'idle'")
    finally:
        window.close()


def own_address() -> str | None:
    """This machine's address in its network, without sending anything; None where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


@pytest.fixture
def elsewhere(browser: Browser, server: Server) -> Iterator[Callable[..., Lab]]:
    """``elsewhere(without, …)`` opens JupyterLab in another Chromium without some of the usual switches."""
    opened: list[tuple[Lab, Browser]] = []

    def launch(*without: str, at: Server = server) -> Lab:
        args = [arg for arg in CHROMIUM_ARGS if arg not in without]
        args = [f"{arg}, EXCLUDE {at.ip}" if arg.startswith("--host-resolver") else arg for arg in args]
        other = browser.browser_type.launch(executable_path=CHROMIUM, headless=True, args=args)
        lab = Lab(other, at)
        opened.append((lab, other))
        return lab

    yield launch
    for lab, other in opened:
        lab.page.context.close()
        other.close()


def refusal(lab: Lab, name: str) -> tuple[Notebook, str]:
    """What the widget says after record is pressed, and its notebook."""
    book = lab.notebook(name, [WIDGET])
    view = book.panel.get_by_test_id("microphone")
    view.get_by_test_id("record").click()
    note = view.get_by_test_id("mic-note")
    expect(note).to_be_visible()
    expect(view).to_have_attribute("data-state", "idle")
    assert book.kernel("mic._session is None"), "nothing may be loaded for a microphone that is not there"
    return book, note.text_content()


def test_a_refused_permission_is_said(elsewhere: Callable[..., Lab]) -> None:
    lab = elsewhere(FAKE_UI)
    lab.page.context.clear_permissions()
    book, note = refusal(lab, "refused.ipynb")
    assert "refused the microphone" in note
    assert book.panel.get_by_test_id("record").is_enabled()


def test_no_device_is_said(elsewhere: Callable[..., Lab]) -> None:
    _, note = refusal(elsewhere(FAKE_UI, FAKE_DEVICE), "no-device.ipynb")
    assert "No microphone was found" in note


def test_off_loopback_without_https_it_says_why(
    elsewhere: Callable[..., Lab], tmp_path_factory: pytest.TempPathFactory
) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has only its loopback address")
    served = Server(tmp_path_factory.mktemp("elsewhere"), ip=address)
    try:
        lab = elsewhere(at=served)
        assert lab.page.evaluate("[isSecureContext, String(navigator.mediaDevices)]") == [False, "undefined"]
        book = lab.notebook("insecure.ipynb", [WIDGET])
        view = book.panel.get_by_test_id("microphone")
        expect(view.get_by_test_id("mic-note")).to_contain_text("only on https or on this machine")
        expect(view.get_by_test_id("record")).to_be_disabled()
    finally:
        served.stop()
