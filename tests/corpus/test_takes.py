"""A take joins an open corpus as a row like all others, with consent and a record, and leaves it again."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.corpus.review.recordings import KEPT, SOURCE, WITHDRAWN, keep_take, take_row, withdraw_take
from workbench.errors import WorkbenchError
from workbench.files import sha256_file
from workbench.privacy.erasure import erase, plan_erasure
from workbench.workspace.folder import WorkspaceFolder
from workbench.workspace.roles import adopt

RATE = 44_100
CONSENT = "given at the microphone"


def spoken(seconds: float = 0.5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, int(seconds * RATE)).astype(np.int16)


def said(pcm: np.ndarray, **changed: Any) -> dict[str, Any]:
    given = {"text": "Καλημέρα  σας.", "locale": "el-GR", "consent": CONSENT, "purpose": "training testing"}
    return take_row(len(pcm), RATE, **{**given, "speaker": "voice-7", **changed})


@pytest.fixture
def home(tmp_path: Path) -> WorkspaceFolder:
    return WorkspaceFolder(tmp_path / "ws")


@pytest.fixture
def corpus(home: WorkspaceFolder, clips: Path) -> Corpus:
    return import_source(clips, home.corpus_folder("calls"), name="calls")


def test_a_take_is_a_row_like_all_others(corpus: Corpus, home: WorkspaceFolder, tmp_path: Path) -> None:
    first = corpus.ids()[0]
    corpus.pick([first]).accept(reviewer="anna")
    before, other, pcm = corpus.table(), Corpus.open(corpus.folder), spoken()
    row = keep_take(corpus, pcm, RATE, said(pcm))
    assert (row["text"], row["target_lang"], row["speaker"]) == ("Καλημέρα σας.", "el-GR", "voice-7")
    assert (row["source"], row["consent"], row["purpose"]) == (SOURCE, CONSENT, "training testing")
    assert (row["status"], row["row_index"], row["source_line"]) == ("pending", before.num_rows, None)
    samples, rate = soundfile.read(corpus.audio_path(row["id"]), dtype="int16")
    assert rate == RATE
    assert np.array_equal(samples, pcm), "what was said is kept bit for bit"
    assert len(corpus.audio(row["id"])) == pytest.approx(8000, abs=2)
    # The import is as it was, and whoever has the corpus open sees the take.
    assert corpus.table(before.column_names).to_pylist()[:-1] == before.to_pylist()
    assert other.ids() == corpus.ids() == [*before["id"].to_pylist(), row["id"]]
    assert other.row(first)["status"] == "accepted"
    assert other.facts["rows"] == before.num_rows + 1
    assert other.facts["utterances_sha256"] == sha256_file(corpus.folder / "utterances.parquet")
    # Decided on and handed out.
    other.where(f"source = '{SOURCE}'").accept(reviewer="anna")
    made = corpus.export(tmp_path / "out")
    lines = [json.loads(line) for file in made.files for line in made.manifest(file).open(encoding="utf-8")]
    [line] = [line for line in lines if line["id"] == row["id"]]
    assert Path(line["audio_filepath"]).is_file()
    assert line["consent"] == CONSENT
    [event] = home.ledger.events(kind=KEPT)
    assert event.payload is not None
    assert event.payload["consent"] is True
    assert "voice-7" not in json.dumps(event.payload)
    assert row["id"] not in json.dumps(event.payload)


@pytest.mark.parametrize(
    ("changed", "said_so"),
    [
        ({"consent": " "}, "has not consented"),
        ({"purpose": ""}, "may be used for"),
        ({"purpose": "marketing"}, "may be used for"),
        ({"locale": "el"}, "el"),
        ({"text": "a\0b"}, "cannot be kept"),
    ],
)
def test_without_consent_a_purpose_and_a_locale_there_is_no_take(
    changed: dict[str, str], said_so: str
) -> None:
    with pytest.raises(WorkbenchError, match=said_so):
        said(spoken(), **changed)
    with pytest.raises(WorkbenchError, match="nothing was recorded"):
        said(np.zeros(0, np.int16))


def test_a_take_taken_back_leaves_nothing(corpus: Corpus, home: WorkspaceFolder) -> None:
    before, imported, pcm = corpus.table(), corpus.ids()[0], spoken()
    row = keep_take(corpus, pcm, RATE, said(pcm))
    corpus.decisions.edit(row["id"], "text", "Καλησπέρα σας.", reviewer="anna")
    sound = corpus.audio_path(row["id"])
    withdraw_take(corpus, row["id"])
    assert corpus.table(before.column_names).to_pylist() == before.to_pylist()
    assert not sound.exists()
    assert corpus.decisions.history(row["id"]) == []
    assert [e.kind for e in home.ledger.events()][-2:] == [KEPT, WITHDRAWN]
    with pytest.raises(WorkbenchError, match="imported, not spoken"):
        withdraw_take(corpus, imported)
    with pytest.raises(WorkbenchError, match="no utterance"):
        withdraw_take(corpus, row["id"])


def test_takes_kept_at_once_all_come_in_and_strays_go(corpus: Corpus) -> None:
    """Several notebooks at one corpus; sound that a kill left without a row goes with the next take."""
    count, stray = len(corpus), corpus.folder / "audio" / "takes" / "take-cut-off.wav"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"RIFF")

    def keep(seed: int) -> str:
        pcm = spoken(0.1, seed)
        return str(keep_take(Corpus.open(corpus.folder), pcm, RATE, said(pcm))["id"])

    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(keep, range(6)))
    assert sorted(corpus.ids()[count:]) == sorted(kept)
    assert corpus.frame(["row_index"])["row_index"].is_unique
    assert {path.stem for path in stray.parent.iterdir()} == set(kept)


def test_a_take_joins_whatever_the_import_was(make: Any, tmp_path: Path) -> None:
    """Rows that were put right on their way in, other columns of the source, and a purpose of its own."""
    rows = [{"id": str(n), "lang": "en", "extra": n, "Purpose": "training"} for n in range(3)]
    pcm = spoken(0.1)
    for corpus in (make(rows, tags={"en": "en-US"}), make([{}])):
        row = keep_take(corpus, pcm, RATE, said(pcm))
        assert row.get("Purpose") or row["purpose"] == "training testing"
        assert row.get("extra") is None
        assert corpus.row(row["id"])["row_index"] == len(corpus) - 1
        assert corpus.facts["rows"] == len(corpus)


def test_an_erasure_finds_a_take(corpus: Corpus, home: WorkspaceFolder) -> None:
    pcm = spoken()
    row = keep_take(corpus, pcm, RATE, said(pcm))
    sound = corpus.audio_path(row["id"])
    certificate = erase(home, plan_erasure(home, speaker="voice-7"))
    assert (certificate.utterances, certificate.remaining) == (1, 0)
    assert not sound.exists()
    assert row["id"] not in corpus.ids()


def test_only_who_may_decide_or_import_keeps_takes(
    corpus: Corpus, home: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    people = tmp_path / "roles.yaml"
    people.write_text("people: {anna: [reviewer], ben: [steward], carl: [releaser]}", encoding="utf-8")
    adopt(home, people)
    count, pcm = len(corpus), spoken(0.1)
    monkeypatch.setenv("WORKBENCH_USER", "carl")
    with pytest.raises(WorkbenchError, match="carl lacks the reviewer"):
        keep_take(corpus, pcm, RATE, said(pcm))
    assert len(corpus) == count
    assert not (corpus.folder / "audio").exists()
    monkeypatch.setenv("WORKBENCH_USER", "anna")
    assert len(keep_take(corpus, pcm, RATE, said(pcm))["id"]) > 10
