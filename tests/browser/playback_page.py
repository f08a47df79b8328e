"""The playback notebook that the tests of the player share, and what they ask of it.

Nothing here depends on how well the checkpoint reads: what is on screen is compared with the recorded events.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import torch
from labpage import REPO, Lab, Notebook
from playwright.sync_api import Locator, expect

STARTER = REPO / "data" / "starter"
CHECKPOINT = REPO / "data" / "checkpoint" / "starter.nemo"
HOSTILE = '<img src=x onerror="window.hacked=1"> שלום, מה שלומך היום'

SETUP = f"""
import json
import shutil
from pathlib import Path
import soundfile
from workbench.corpus.importing import import_source
from workbench.evaluation import score_predictions
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.streaming import play
from workbench.widgets.explorer import Explorer
from workbench.widgets.playback import Playback

source = Path({str(STARTER)!r})
rows = [json.loads(line) for line in (source / "manifest.jsonl").open(encoding="utf-8")]
row = next(r for r in rows if r["target_lang"] == "es-US" and 2.5 < r["duration"] < 5)
checkpoint = Checkpoint.open({str(CHECKPOINT)!r})

def greek_letters(each):
    pcm, rate = soundfile.read(source / each["audio_filepath"], dtype="float32")
    return sum("α" <= c <= "ω" for c in play(checkpoint, pcm, rate, "auto", 560)[-1].final_transcript)

# Greek is what the checkpoint has heard least of: of six recordings that which brings most of its letters.
greek_rows = [r for r in rows if r["target_lang"] == "el-GR" and 1.5 < r["duration"] < 4]
greek_row = max(greek_rows[:: len(greek_rows) // 6][:6], key=greek_letters)
for each in (row, greek_row):
    file = Path("clips", each["audio_filepath"])
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / each["audio_filepath"], file)
lines = [json.dumps(each, ensure_ascii=False) + "\\n" for each in (row, greek_row)]
Path("clips/manifest.jsonl").write_text("".join(lines), encoding="utf-8")
shutil.rmtree("clips-corpus", ignore_errors=True)
corpus = import_source(Path("clips/manifest.jsonl"), Path("clips-corpus"), name="clips")
both = {{"base": checkpoint, "tuned": Checkpoint.open("tuned.nemo")}}
player = Playback(both, row["id"], corpus=corpus, lookahead_ms=320)
other = Playback(checkpoint, corpus.audio(row["id"]), reference={HOSTILE!r}, locale="auto", lookahead_ms=1120)
greek = Playback(checkpoint, greek_row["id"], corpus=corpus, locale="auto", lookahead_ms=560)
"""
EXPLORER = """
import pandas as pd
said = [{"word": "nada", "start": 1.5, "end": 1.9, "confidence": 0.5}]
facts = {"lookahead_ms": 560, "prompt_mode": "langID"}
heard = pd.DataFrame([{"id": row["id"], "hypothesis": "nada", "words": said, **facts}])
explorer = Explorer(score_predictions(corpus.pick([row["id"]]).frame(), {"base": heard}), corpus, checkpoint)
explorer
"""
AS_AT_FIRST = """
at_first = {"checkpoint": "base", "locale": row["target_lang"], "lookahead_ms": 320}
if len(player.lanes) > 1:
    player._answer_single({}, [])
if player.condition["snr_db"] is not None or player.condition["telephone"] or player.condition["gain_db"]:
    player._answer_condition({"snr_db": None, "telephone": False, "gain_db": 0.0}, [])
if player.lanes[0]["settings"] != at_first:
    player._answer_lane({"index": 0, **at_first}, [])
"""
MEDIA = """() => {
    if (window.heardMedia) return;
    window.heardMedia = [];
    const play = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () {
        window.heardMedia.push(this);
        return play.apply(this, arguments);
    };
}"""
RECORD = """(transcript) => {
    window.landed = [];
    new MutationObserver(() => window.landed.push({
        event: Number(transcript.dataset.event), text: transcript.textContent,
        media_s: window.heardMedia.at(-1)?.currentTime ?? 0 }))
        .observe(transcript, { attributes: true, attributeFilter: ["data-event"] });
}"""


def perturbed(target: Path, by: float = 0.3) -> Path:
    """A checkpoint of its own that hears differently: the starter with noise on its encoder, packed anew.

    The noise is ``by`` times the spread of each weight's values."""
    unpacked = target.with_suffix("")
    with tarfile.open(CHECKPOINT) as tar:
        tar.extractall(unpacked, filter="data")
    weights = torch.load(unpacked / "model_weights.ckpt", weights_only=True)
    draw = torch.Generator().manual_seed(0)
    for name, value in weights.items():
        if name.startswith("encoder.") and value.is_floating_point() and value.dim() > 1:
            value += by * value.std() * torch.randn(value.shape, generator=draw)
    torch.save(weights, unpacked / "model_weights.ckpt")
    with tarfile.open(target, "w") as tar:
        for path in sorted(unpacked.iterdir()):
            tar.add(path, arcname=path.name)
    return target


def playback_book(lab: Lab) -> Notebook:
    """Two players and an explorer, everything recognized."""
    perturbed(lab.server.root / "tuned.nemo")
    book = lab.notebook("playback.ipynb", [SETUP, "player", "other", "greek", EXPLORER])
    assert not book.failures(), book.failures()
    book.wait(lambda: all(ready(book, name) for name in ("player", "other", "greek")), "recognition", 600)
    return book


def first_player(book: Notebook) -> Locator:
    """The player ``player``, as it was at first."""
    book.show()
    book.kernel("None", AS_AT_FIRST)
    book.wait(lambda: ready(book, "player"), "recognition", 120)
    view = book.panel.get_by_test_id("playback").first
    expect(view.get_by_test_id("lane")).to_have_count(1)
    expect(view.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    return view


def ready(book: Notebook, name: str) -> bool:
    states = book.kernel(f"[lane['state'] for lane in {name}.lanes]")
    assert "failed" not in states, book.kernel(f"[lane['message'] for lane in {name}.lanes]")
    return set(states) == {"ready"}


def settings(book: Notebook, lane: int = 1) -> dict:
    return book.kernel(f"player.lanes[{lane}]['settings']")


def events(book: Notebook, lane: int = 0) -> list[list]:
    return book.kernel(f"player.lanes[{lane}]['events']")


def press(view: Locator, *keys: str) -> None:
    """Keys pressed one after the other, at once."""
    view.evaluate(
        """(root, keys) => { for (const key of keys) root.dispatchEvent(new KeyboardEvent("keydown", {
            key: key.replace("Shift+", ""), shiftKey: key.startsWith("Shift+"), bubbles: true })); }""",
        list(keys),
    )


def to_the_end(view: Locator) -> None:
    press(view, *["ArrowRight"] * 12)
