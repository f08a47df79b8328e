"""A package is loaded and run by the unmodified sherpa-onnx, and says what the checkpoint says."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import kaldialign
import pytest
import soundfile

from workbench.deployment import sherpa
from workbench.deployment.package import Package
from workbench.errors import WorkbenchError
from workbench.recognizer.checkpoint import Checkpoint
from workbench.starter_files import CHECKPOINT, CORPUS, MANIFEST

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    found = [json.loads(line) for line in MANIFEST.read_text().splitlines()]
    return [row for row in found if 2 < row["duration"] < 6][::150][:24]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, rows: list[dict]) -> Package:
    folder = tmp_path_factory.mktemp("package") / "sherpa-560"
    clips = [CORPUS / row["audio_filepath"] for row in rows[:2]]
    return sherpa.write_package(Checkpoint.open(CHECKPOINT), folder, lookahead_ms=560, clips=clips)


def test_the_wheel_reads_it_nearly_as_well(package, rows):
    """What a caller gets is not what was measured (features and first frames are its own), but close."""
    checkpoint = Checkpoint.open(CHECKPOINT)
    recognizer, words, mine, served = sherpa.recognizer(package), 0, 0, 0
    for row in rows:
        pcm = soundfile.read(CORPUS / row["audio_filepath"], dtype="float32")[0]
        session = checkpoint.session(row["target_lang"], 560, device="cpu", runtime="torch")
        session.feed(pcm, 16_000)
        session.finish()
        said = sherpa.transcribe(recognizer, package, pcm, row["target_lang"])
        wanted = row["text"].split()
        words += len(wanted)
        mine += wrong(wanted, session.final_transcript)
        served += wrong(wanted, re.sub(r"<\S+>", "", said))
    assert words > 60
    assert served <= mine + 0.12 * words


def wrong(wanted: list[str], said: str) -> int:
    return kaldialign.edit_distance(wanted, said.split())["total"]


def test_the_prompt_reaches_the_encoder(package, rows):
    """With another language the text is another: an export that loses the prompt gives the same."""
    recognizer = sherpa.recognizer(package)
    row = rows[0]
    pcm = soundfile.read(CORPUS / row["audio_filepath"], dtype="float32")[0]
    other = "ru-RU" if row["target_lang"] != "ru-RU" else "it-IT"
    said = {tag: sherpa.transcribe(recognizer, package, pcm, tag) for tag in (row["target_lang"], other)}
    assert len(set(said.values())) == 2


def test_it_says_what_it_is_and_notices_changes(package, tmp_path):
    again = Package.open(package.path)
    assert again == package
    assert again.settings["left_padding_ms"] == sherpa.LEFT_PADDING_MS
    files = {"encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt", "README.md", "clips/00.wav"}
    assert files <= set(again.digests)
    card = (package.path / "README.md").read_text()
    assert again.checkpoint_sha256 in card
    assert "sherpa-onnx-online-websocket-server" in card
    copy = tmp_path / "copy"
    shutil.copytree(package.path, copy)
    with (copy / "tokens.txt").open("a") as file:
        file.write("x 1\n")
    with pytest.raises(WorkbenchError, match=r"tokens\.txt is missing or was changed"):
        Package.open(copy)
    with pytest.raises(WorkbenchError, match="holds something"):
        sherpa.write_package(Checkpoint.open(CHECKPOINT), copy)


def test_the_same_export_is_the_same_bytes_and_int8_is_smaller(package, tmp_path):
    checkpoint = Checkpoint.open(CHECKPOINT)
    again = sherpa.write_package(checkpoint, tmp_path / "again", lookahead_ms=560)
    for name in ("encoder.onnx", "decoder.onnx", "joiner.onnx", "tokens.txt"):
        assert again.digests[name] == package.digests[name]
    small = sherpa.write_package(checkpoint, tmp_path / "small", lookahead_ms=80, precision="int8")
    size = (small.path / "encoder.onnx").stat().st_size
    assert size < 0.6 * (package.path / "encoder.onnx").stat().st_size
    pcm = soundfile.read(next(Path(package.path / "clips").iterdir()), dtype="float32")[0]
    assert sherpa.transcribe(sherpa.recognizer(small), small, pcm, "auto")
