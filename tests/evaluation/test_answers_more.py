"""Language, keywords, look-ahead, gate and capacity open with their answer; traffic comes from the pilot."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.capacity.measurement import Budget
from workbench.capacity.result import Capacity
from workbench.capacity.search import Largest
from workbench.evaluation import Evaluation, score_predictions
from workbench.evaluation.small_figures import Bar, Line, bars, lines
from workbench.glance import MOST_COLUMNS
from workbench.release.gate_report import GateReport
from workbench.release.verdicts import FAIL, PASS, UNKNOWN, Check, Finding, Verdict
from workbench.shown import Shown

WORDS = [f"word{n}" for n in range(40)]


def scored(speakers: int = 12) -> Evaluation:
    """Two locales at 80 and 560 ms; a tenth of Italian clips taken for Spanish, a fifth wrong at 80 ms."""
    rng = np.random.default_rng(3)
    rows, heard = [], {"short": [], "long": []}
    for tag in ("es-ES", "it-IT"):
        for i in range(60):
            text = [*rng.choice(WORDS, 8), "IBAN"]
            rows.append({"id": f"{tag}{i}", "text": " ".join(text), "target_lang": tag,
                         "speaker": f"{tag}{i % speakers}"})  # fmt: skip
            for name, share in (("short", 0.2), ("long", 0.05)):
                said = ["zzz" if rng.random() < share else word for word in text]
                found = "es-ES" if tag == "it-IT" and i % 10 == 0 else tag
                heard[name].append({"id": f"{tag}{i}", "hypothesis": " ".join(said), "detected_lang": found,
                                    "lookahead_ms": 80 if name == "short" else 560, "streaming": True,
                                    "checkpoint_sha256": "a" * 64, "prompt_mode": "auto"})  # fmt: skip
    tables = {name: pd.DataFrame(made) for name, made in heard.items()}
    return score_predictions(pd.DataFrame(rows), tables, by=("target_lang",))


def shown(made: Shown) -> list[str]:
    """Tags of the page in order; the sentence stands first, six columns at most, figures are well-formed."""
    page = made._repr_html_()
    assert page.startswith(f"<p><b>{made.sentence}</b></p>")
    assert len(made.short) <= MOST_COLUMNS
    for svg in re.findall(r"<svg.*?</svg>", page, re.S):
        ElementTree.fromstring(svg)
    return re.findall(r"<(svg|table|details)", page)


def test_language_answers_first() -> None:
    found = scored().language("long")
    assert isinstance(found.accuracy, Shown)
    assert found.accuracy.sentence.startswith("long: the right locale in 95.0 % (")
    assert "most often wrong: it-IT was taken for es-ES (6 times)" in found.accuracy.sentence
    assert shown(found.accuracy)[:2] == ["svg", "table"]
    assert found._repr_html_().count("<details>") == 2  # the whole table, and what was taken for what


def test_keywords_answer_first() -> None:
    found = scored().keywords("short", ["IBAN", "word1", "nothing"])
    assert isinstance(found, Shown)
    assert re.match(r"short: \d+\.\d % \(.*\) of \d+ keyword occurrences recognized", found.sentence)
    assert "missed most: IBAN" in found.sentence
    assert shown(found)[:2] == ["svg", "table"]
    none = scored().keywords("short", ["nothing"])
    assert none.sentence == "short: no keyword occurs in these utterances."
    assert "<svg" not in none._repr_html_()


def test_the_tradeoff_answers_first() -> None:
    found = scored().tradeoff()
    assert isinstance(found, Shown)
    told = r"[12]\d\.\d % at 80 ms, \d\.\d % at 560 ms of words wrong; 560 ms is the shortest"
    assert re.match(told, found.sentence)
    assert shown(found)[:2] == ["svg", "table"]
    by = scored().tradeoff(by="target_lang")
    assert by.sentence.startswith("es-ES: ")
    assert "it-IT: " in by.sentence


@given(
    st.lists(st.tuples(st.text(max_size=30), st.floats(0, 1), st.booleans()), max_size=6),
)
def test_figures_are_well_formed_whatever_the_labels(rows: list[tuple[str, float, bool]]) -> None:
    clean = [(re.sub(r"[^\x20-\uD7FF]", "", label), value, enough) for label, value, enough in rows]
    made = bars([Bar(label, v, v / 2, v, "n", enough) for label, v, enough in clean], "title <&>")
    drawn = lines([Line(label, (("80", v), ("560", v / 2))) for label, v, _ in clean], "title <&>")
    for svg in (made, drawn):
        if svg:
            ElementTree.fromstring(svg)
    # What rests on too little is told by a hatch, not by the color alone.
    assert made.count('fill="url(#nwb-few)"') == sum(not enough for *_, enough in clean)


def report(*verdicts: Verdict, suite: bool = True) -> GateReport:
    checks = tuple(
        Check(f"check {n}", "improves", "what", v, "because", (Finding("all", v, "because"),))
        for n, v in enumerate(verdicts)
    )
    bound = {"name": "pilot", "version": 1, "digest": "d" * 64, "corpora": ["calls"], "points": ["offline"]}
    found = GateReport.__new__(GateReport)
    for name in GateReport.__slots__:
        object.__setattr__(found, name, None)
    facts = {"candidate": "new", "base": "old", "policy": "p", "checks": checks, "utterances": 3}
    for name, value in {**facts, "suite": bound if suite else None}.items():
        object.__setattr__(found, name, value)
    return found


def test_may_we_ship() -> None:
    assert report(PASS, PASS).answer == "Ship new against old: all 2 checks of policy p passed."
    assert report(PASS, UNKNOWN).answer.startswith("Not yet, new against old: not enough data for check 1")
    assert report(UNKNOWN, FAIL, FAIL).answer.startswith("Do not ship new against old: check 1 failed")
    assert "and 1 more" in report(UNKNOWN, FAIL, FAIL).answer
    assert "not without an override" in report(PASS, suite=False).answer
    assert str(report(FAIL)).startswith("Do not ship")
    assert report(FAIL)._repr_html_().startswith("<p><b>Do not ship")


def test_how_many_callers_a_machine() -> None:
    made = Capacity("c", "s", "auto", 0, 6.0, 1, 0, Budget(500), "2026-01-01", machine={"threads": 1})
    assert made.answer == "Capacity was not measured."
    made.largest = [Largest(80, 3, 4, 2, 2), Largest(560, 12, None, 2, 2)]
    assert made.answer.startswith(
        "At least 12 callers at once on this machine at 560 ms look-ahead (3 at 80 ms)"
    )
    assert repr(made).startswith("At least 12 callers")
    assert made._repr_html_().startswith("<p><b>At least 12 callers")
    made.largest = [Largest(80, 0, 1, 0, 2)]
    assert made.answer.startswith("Not one caller")


def test_traffic_is_that_of_the_pilot(tmp_path: Path) -> None:
    import soundfile

    ws = wb.Workspace(tmp_path / "ws")
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16000)
    rows = [{"id": tag, "audio_filepath": "a.wav", "duration": 0.1, "text": "one two", "target_lang": tag}
            for tag in ("da-DK", "it-IT")]  # fmt: skip
    corpus = ws.import_corpus("calls", rows, audio_roots=[tmp_path])
    table = pd.DataFrame({"id": ["da-DK", "it-IT"], "hypothesis": ["one two", "one"]})
    assert wb.evaluate(corpus, predictions={"x": table}).settings.traffic == ()
    ws.set_pilot({"tag": "da-DK", "traffic_share": 0.25}, {"tag": "it-IT", "traffic_share": 0.75})
    found = wb.evaluate(ws.corpus("calls"), predictions={"x": table})
    assert dict(found.settings.traffic) == pytest.approx({"da-DK": 0.25, "it-IT": 0.75})
    assert dict(wb.evaluate(corpus, predictions={"x": table}, traffic={}).settings.traffic) == {}
    assert "in traffic" in found.headline("x").sentence


def test_the_trade_off_tells_engines_apart() -> None:
    rows = scored().rows[["id", "text", "target_lang", "speaker"]]
    tables = {}
    for name, ahead, digest in (
        ("a-80", 80, "a"),
        ("a-560", 560, "a"),
        ("b-80", 80, "b"),
        ("b-560", 560, "b"),
    ):
        tables[name] = pd.DataFrame(
            {"id": rows["id"], "hypothesis": rows["text"], "lookahead_ms": ahead, "streaming": True,
             "checkpoint_sha256": digest * 64, "prompt_mode": "langID"}
        )  # fmt: skip
    made = score_predictions(rows, tables).tradeoff()
    assert list(made.short)[:2] == ["look-ahead", "transcripts"]
    assert "a-80: " in made.sentence
    assert "b-80: " in made.sentence
    one = score_predictions(rows, {n: t for n, t in tables.items() if n[0] == "a"}).tradeoff()
    assert "transcripts" not in one.short
