"""A locale that is none of the 40 is declared once and then known everywhere, in sub-processes too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sound_files import lines, tone

import workbench as wb
from workbench import locales
from workbench.corpus.quality.checks import run_checks
from workbench.errors import WorkbenchError


@pytest.fixture(autouse=True)
def undeclared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Locales are declared for a process: those of a test go with it."""
    monkeypatch.setenv("WORKBENCH_LOCALES", "[]")
    yield
    for tag in list(locales.DECLARED):
        del locales.DECLARED[tag], locales.LOCALES[tag]


def catalan(folder: Path, speakers: bool = True) -> Path:
    rows = []
    for i in range(6):
        tone(folder / f"{i}.wav")
        row = {
            "audio_filepath": f"{i}.wav",
            "duration": 1.0,
            "text": f"Bon dia, número {'abcdef'[i]}.",
            "lang": "ca",
        }
        rows.append({**row, "speaker": f"s{i}"} if speakers else row)
    return lines(folder / "m.jsonl", rows)


def test_it_is_declared_once_and_known_everywhere(tmp_path: Path) -> None:
    ws = wb.Workspace(tmp_path / "ws")
    source = catalan(tmp_path / "calls")
    before = ws.import_corpus("before", source, tags={"ca": "ca-ES"})
    with pytest.raises(WorkbenchError, match=r"unknown locale tag.*ws\.add_locale"):
        before.export(tmp_path / "x", only="not_rejected")
    row = ws.add_locale("ca-ES", name="Catalan")
    assert (row.prompt_index, ws.add_locale("ca-ES", name="Catalan")) == (5, row)
    corpus = ws.import_corpus("calls", source, locale="ca-ES")
    assert [r["target_lang"] for r in corpus.page(0, 9)] == ["ca-ES"] * 6
    assert wb.inspect_source(source).tags == {"ca": "ca-ES"}
    assert "unknown_tag" not in set(run_checks(corpus)["rule"])
    made = corpus.export(tmp_path / "x", only="not_rejected")
    assert made.counts["utterances"] == 6
    assert locales.prompt_dictionary()["ca-ES"] == 5
    again = wb.Workspace(tmp_path / "ws")
    assert again.config.locales == {"ca-ES": row}
    assert again.set_pilot({"tag": "ca-ES"}).targets == ["ca-ES"]
    assert wb.Workspace(tmp_path / "ws").pilot.targets == ["ca-ES"]
    told = "from workbench.locales import LOCALES; print(LOCALES['ca-ES'].prompt_index)"
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "5"
    assert json.loads(os.environ["WORKBENCH_LOCALES"])[0]["tag"] == "ca-ES"


@pytest.mark.parametrize(
    ("tag", "said", "why"),
    [
        ("ca", {}, "no locale tag"), ("Catalan", {}, "no locale tag"),
        ("ca-ES", {"prompt_index": 9}, "that of de-DE"),
        ("ca-ES", {"prompt_index": 128}, "is none"), ("ca-ES", {"script": "Latn"}, "no script 'Latn'"),
        ("de-DE", {}, "there is one already"),
    ],
)  # fmt: skip
def test_what_cannot_be_declared_is_refused_and_not_kept(
    tmp_path: Path, tag: str, said: dict[str, int], why: str
) -> None:
    ws = wb.Workspace(tmp_path / "ws")
    with pytest.raises(WorkbenchError, match=why):
        ws.add_locale(tag, **said)
    assert ws.config.locales == {}
    assert len(locales.LOCALES) == 40


def test_a_split_without_known_speakers_is_not_verifiable(tmp_path: Path) -> None:
    ws = wb.Workspace(tmp_path / "ws")
    ws.add_locale("ca-ES")
    nobody = ws.import_corpus("nobody", catalan(tmp_path / "nobody", speakers=False), locale="ca-ES")
    report = nobody.split()
    assert any("not verifiable whether speakers are disjoint" in said for said in report.warnings)
    card = (nobody.export(tmp_path / "x", only="not_rejected").path / "data_card.md").read_text()
    assert "not verifiable: no row names its speaker" in card
    assert "speakers disjoint" not in card
    known = ws.import_corpus("known", catalan(tmp_path / "known"), locale="ca-ES")
    assert not any("not verifiable" in said for said in known.split().warnings)
    card = (known.export(tmp_path / "y", only="not_rejected").path / "data_card.md").read_text()
    assert "speakers disjoint" in card
