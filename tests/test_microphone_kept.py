"""What the kernel side of the microphone keeps and refuses to keep; the page is tested in a browser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.privacy.erasure import erase, plan_erasure
from workbench.recognizer.checkpoint import Checkpoint
from workbench.widgets.microphone import Microphone

REPO = Path(__file__).parents[1]
PCM = np.arange(-8000, 8000, dtype=np.int16)
SAID = {"text": "Una vez.", "locale": "es-US", "speaker": "voice-8", "purpose": "training"}


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.open(REPO / "data" / "checkpoint" / "starter.nemo")


@pytest.fixture
def ws(tmp_path: Path) -> wb.Workspace:
    ws, own = wb.Workspace(tmp_path / "ws"), tmp_path / "own"
    own.mkdir()
    soundfile.write(own / "a.wav", PCM, 16000)
    row = {"audio_filepath": "a.wav", "duration": 1.0, "text": "Hola.", "target_lang": "es-US"}
    (own / "manifest.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    ws.import_corpus("calls", own / "manifest.jsonl")
    return ws


def spoken(mic: Microphone) -> Microphone:
    mic._blocks, mic._rate = [PCM[:9000], PCM[9000:]], 16000
    return mic


def test_a_take_joins_the_corpus_once(checkpoint: Checkpoint, ws: wb.Workspace) -> None:
    corpus = ws.corpus("calls")
    mic = spoken(checkpoint.microphone(corpus.where("duration > 100")))
    answer = mic._save({**SAID, "consent": True}, [])
    assert answer["corpus"] == "calls"
    assert corpus.ids()[1:] == [answer["id"]] == [take["id"] for take in mic.saved]
    samples, rate = soundfile.read(corpus.audio_path(answer["id"]), dtype="int16")
    assert (samples.tolist(), rate) == (PCM.tolist(), 16000)
    with pytest.raises(WorkbenchError, match="nothing was recorded"):
        mic._save({**SAID, "consent": True}, [])
    mic._withdraw({"id": answer["id"]}, [])
    assert len(corpus) == 1
    with pytest.raises(WorkbenchError, match="not kept here"):
        mic._withdraw({"id": corpus.ids()[0]}, [])
    assert len(corpus) == 1


@pytest.mark.parametrize("consent", [None, False, "yes", 1])
def test_without_consent_nothing_is_written(
    checkpoint: Checkpoint, ws: wb.Workspace, consent: object
) -> None:
    before = {path: path.stat().st_mtime_ns for path in ws.path.rglob("*") if path.is_file()}
    mic = spoken(Microphone(checkpoint, corpus=ws.corpus("calls")))
    with pytest.raises(WorkbenchError, match="has not consented"):
        mic._save({**SAID, "consent": consent}, [])
    mic._discard({}, [])
    assert not len(mic.take()[0])
    after = {path: path.stat().st_mtime_ns for path in ws.path.rglob("*") if path.is_file()}
    assert {p: t for p, t in after.items() if "sqlite" not in p.name} == {
        p: t for p, t in before.items() if "sqlite" not in p.name
    }
    assert len(ws.corpus("calls")) == 1


def test_an_erased_speaker_stays_out(checkpoint: Checkpoint, ws: wb.Workspace) -> None:
    corpus = ws.corpus("calls")
    mic = spoken(Microphone(checkpoint, corpus=corpus))
    mic.keep(**SAID)
    certificate = erase(ws, plan_erasure(ws, speaker="voice-8"))
    assert (certificate.utterances, certificate.remaining, len(corpus)) == (1, 0, 1)
    with pytest.raises(WorkbenchError, match="erased from the workspace"):
        spoken(mic).keep(**SAID)
    assert len(corpus) == 1
    spoken(mic).keep(**{**SAID, "speaker": "voice-9"})
    assert len(corpus) == 2


def test_a_kept_take_needs_its_locale_and_a_place(checkpoint: Checkpoint, ws: wb.Workspace) -> None:
    mic = spoken(Microphone(checkpoint, corpus=ws.corpus("calls")))
    for locale in ("auto", "xx-XX"):
        with pytest.raises(WorkbenchError, match="needs its locale"):
            mic.keep(**{**SAID, "locale": locale})
    with pytest.raises(WorkbenchError, match="nowhere to keep"):
        spoken(Microphone(checkpoint)).keep(**SAID)


def test_without_a_corpus_takes_lie_in_a_folder_that_an_import_reads(
    checkpoint: Checkpoint, ws: wb.Workspace, tmp_path: Path
) -> None:
    mic = Microphone(checkpoint, recordings=tmp_path / "takes")
    kept = [spoken(mic).keep(**{**SAID, "text": text})["id"] for text in ("Una.", "Dos.")]
    again = ws.import_corpus("again", tmp_path / "takes" / "manifest.jsonl")
    assert again.ids() == kept
    row = again.row(kept[1])
    assert (row["text"], row["purpose"], row["source"]) == ("Dos.", "training", "microphone takes")
    assert len(again.audio(kept[0])) == 16000
