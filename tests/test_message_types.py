"""The types of messages tell the truth: TypeScript reads what the kernel really sends."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from tooling import javascript
from workbench.corpus.importing import import_source
from workbench.corpus.quality.checks import run_checks
from workbench.corpus.query.table import Corpus
from workbench.corpus.review.drafts import Drafts
from workbench.evaluation import score_predictions
from workbench.ingest.inspect import inspect_source
from workbench.plain_values import plain
from workbench.recognizer.events import LanguageSpan, StreamEvent, Word
from workbench.release.lineage import Graph
from workbench.release.lineage_graph import Edge, Node
from workbench.widgets import audio, monitor_data
from workbench.widgets.board import Board
from workbench.widgets.channel import LiveWidget, _handlers
from workbench.widgets.explorer import Explorer
from workbench.widgets.explorer_data import ALL
from workbench.widgets.import_plan import PlanEditor, _shown, _step
from workbench.widgets.lineage import _drawing
from workbench.widgets.microphone import Microphone
from workbench.widgets.monitor import Monitor
from workbench.widgets.playback import Playback, compared
from workbench.widgets.playback_lane import lane_data

ROOT = Path(__file__).resolve().parents[1]
TYPES = ROOT / "workbench" / "widgets" / "js" / "messages.d.ts"
RATE = 8_000
WIDGETS: dict[str, type[LiveWidget]] = {
    "BoardQuestions": Board,
    "PlaybackQuestions": Playback,
    "ExplorerQuestions": Explorer,
    "MonitorQuestions": Monitor,
    "PlanQuestions": PlanEditor,
    "MicrophoneQuestions": Microphone,
}
MORE = " & { [column: string]: unknown }"
"""Of what is sent with more than the page reads: a corpus has columns of its own."""
TABLES = {
    "confusions": "Confusion", "lost": "LostWord", "position": "PositionRow", "frequency": "FrequencyRow",
    "heard_as": "HeardAs", "duration": "BandRow", "marks": "MarkRow", "case": 'Marks["case"][number]',
}  # fmt: skip
"""Beside a cell of the explorer: tables of the evaluation, with the types of what the page reads of a row."""


class Checked:
    """Values that are sent, each with its type, until TypeScript is asked about all of them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def sent(self, kind: str, value: Any) -> None:
        """A value, as the channel sends it, that should be of a type and hold nothing else."""
        text = json.dumps(plain(value), ensure_ascii=False)
        self.lines.append(f"export const value{len(self.lines)}: {kind} = {text};")

    def read(self, folder: Path) -> str:
        """What TypeScript has to say."""
        names = re.findall(r"^export (?:interface|type) (\w+)", TYPES.read_text("utf-8"), re.MULTILINE)
        source = folder / "sent.ts"
        head = f'import type {{ {", ".join(names)} }} from "{TYPES}";\n'
        source.write_text(head + "\n".join(self.lines), encoding="utf-8")
        tsc = [javascript.NODE, javascript.MODULES / "typescript/bin/tsc", "--noEmit", "--strict", "--target"]
        tsc += ["es2023", "--lib", "es2023,dom", "--module", "es2022", "--moduleResolution", "bundler"]
        tsc += ["--allowImportingTsExtensions", "--types", "", source]
        done = subprocess.run(tsc, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
        return done.stdout + done.stderr


@pytest.fixture
def checked(tmp_path: Path) -> Iterator[Checked]:
    if not javascript.install():
        pytest.skip("npm reaches no registry to fetch TypeScript from")
    made = Checked()
    yield made
    assert made.lines
    assert made.read(tmp_path) == ""


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Two segments of a call, a clip without a transcript, and one whose file is missing."""
    noise = 0.1 * np.random.default_rng(2).standard_normal(20 * RATE).astype(np.float32)
    soundfile.write(tmp_path / "call.wav", noise, RATE)
    rows = [
        {"id": f"{n}", "audio_filepath": "call.wav" if n < 3 else "gone.wav", "offset": 5.0 * n,
         "duration": 3.0, "text": text, "target_lang": "es-US", "accent": "es-MX" if n else None,
         "speaker": f"s{n}", "split": "train", "note": n}
        for n, text in enumerate(["Hola, hola que tal.", "buenos dias", "", "adios"])
    ]  # fmt: skip
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = import_source(tmp_path / "m.jsonl", tmp_path / "c", name="c")
    made.predictions_folder.mkdir()
    words = [{"word": "mi", "start": 0.1, "end": 0.4, "confidence": 0.3, "glued": False},
             {"word": "5551234", "start": 0.5, "end": 1.0, "confidence": 0.9, "glued": False}]  # fmt: skip
    spans = [
        {"lang": "es-US", "start_word": 0, "end_word": 1},
        {"lang": "en-US", "start_word": 1, "end_word": 2},
    ]
    for name, said in (("first", "hola que"), ("second", "mi 5551234")):
        lines = [
            {"id": f"{n}", "hypothesis": said, "confidence": 0.8, "low_confidence": 0.1, "words": words,
             "spans": spans, "checkpoint_sha256": "ab" * 32, "detected_lang": "en-US", "lookahead_ms": 560}
            for n in range(3)
        ]  # fmt: skip
        pd.DataFrame(lines).to_parquet(made.predictions_folder / f"{name}.parquet")
    return made


def test_every_question_that_a_widget_answers_has_its_types(checked: Checked) -> None:
    for kind, widget in WIDGETS.items():
        checked.sent(f"{{ [question in keyof {kind}]: true }}", dict.fromkeys(_handlers(widget), True))


def test_what_a_board_sends(checked: Checked, corpus: Corpus) -> None:
    drafts = Drafts(corpus, "second", "first", twice=0.0)
    findings = run_checks(corpus)
    board = Board(corpus, findings=findings, reviewer="ana", drafts=drafts, names=["mi"])
    try:
        corpus.decisions.reject("0", "noise", reviewer="ana")
        corpus.decisions.accept("0", reviewer="ben")
        corpus.decisions.tag("1", "check again", reviewer="ana")
        board.saved_views.keep("mine", board.view.query)
        opened = board._open({}, [])
        checked.sent("Opened", opened)
        by_doubt = {"query": {"order_by": "priority"}, "selected": "1"}
        _answers(checked, "Board", "query", board._query(by_doubt, []))
        _answers(checked, "Board", "bars", board._bars({}, []))
        _answers(checked, "Board", "rows", board._rows({"offset": 0, "limit": 10}, []))
        for clip in corpus.ids():
            checked.sent("Details" + MORE, board._details({"id": clip}, []))
        _answers(checked, "Board", "surroundings", board._surroundings({"id": "1"}, [])[0])
        _answers(checked, "Board", "facet", board._facet({"names": ["speaker"]}, []))
        _answers(checked, "Board", "views", board._views({}, []))
        _answers(checked, "Board", "next", board._next({"place": 0, "step": 1, "pending": True}, []))
        _answers(checked, "Board", "sync", board._sync({"after": 0, "own": []}, []))
        _answers(checked, "Board", "sync", board._sync({"after": opened["seq"], "own": []}, []))
        checked.sent("Conflict", board._decide({"action": "accept", "id": "0", "seen": 0}, [])["conflict"])
        written = {"action": "edit", "field": "text", "value": "mi", "id": "2", "place": -1, "seconds": 2.5}
        for answer in (board._decide(written, []), board._decide({"action": "reopen", "id": "0"}, [])):
            rows = [answer.pop(name) for name in ("row", "next_row") if answer.get(name)]
            checked.sent('Omit<Decided, "row" | "next_row"> & { next_row?: null }', answer)
            for row in rows:
                checked.sent("Details" + MORE, row)
        for redo in (False, True, True):
            answer = board._undo({"redo": redo}, [])
            kind = (
                "Extract<Undone, { event: object }>"
                if answer["event"]
                else "Extract<Undone, { event: null }>"
            )
            answer.pop("row", None)
            checked.sent(f'Omit<{kind}, "row">', answer)
        pending = len(board.view.pending_ids())
        _answers(checked, "Board", "bulk", board._bulk({"action": "accept", "expected": pending}, []))
    finally:
        board.close()


def _answers(checked: Checked, widget: str, question: str, answer: Any) -> None:
    checked.sent(f'{widget}Questions["{question}"]["answer"]', answer)


def test_what_an_explorer_sends(checked: Checked, corpus: Corpus) -> None:
    predictions = {name: corpus.prediction(name) for name in ("first", "second")}
    evaluation = score_predictions(corpus.where("text <> ''").frame(), predictions, resamples=20)
    for against in ("", "first"):
        explorer = Explorer(evaluation, corpus, name="second", against=against)
        try:
            everything = {"row": ALL, "column": ALL}
            checked.sent("HeatMapData", explorer.map)
            checked.sent('ExplorerTraits["can"]', explorer.can)
            checked.sent("OpenedCell", explorer.opened)
            _answers(checked, "Explorer", "cell", explorer._cell({**everything, "filter": {}}, []))
            checked.sent("OpenedCell", explorer.opened)
            side = explorer._side_panel(everything, []) | explorer._marks(everything, [])
            for name, kind in TABLES.items():
                rows = side.pop(name)
                assert rows, name
                for row in rows:
                    checked.sent(kind + MORE, row)
            assert not against or side["scatter"]["points"]
            checked.sent(f"Partial<Omit<SidePanel & Marks, {' | '.join(map(repr, TABLES))}>>", side)
            _answers(checked, "Explorer", "export", explorer._export({"format": "svg"}, []))
            _answers(checked, "Explorer", "export", explorer._export({"format": "csv", **everything}, []))
            _answers(
                checked, "Explorer", "send", explorer._send_to_curation({"ids": ["1"], "reason": "x"}, [])
            )
            _answers(checked, "Explorer", "plan", explorer._plan({"locale": "es-US", "minutes": 3}, []))
            _answers(checked, "Explorer", "keyword", explorer._keyword({"words": ["hola"], "id": "0"}, []))
        finally:
            explorer.close()


def test_what_playback_sends(checked: Checked) -> None:
    words = tuple(Word(word, 0.5 * n, 0.5 * n + 0.4, 0.9) for n, word in enumerate(["hola", "que"]))
    spans = (LanguageSpan("es-US", 0, 1, 0.0, 0.4), LanguageSpan("en-US", 1, 2, 0.5, 0.9))
    events = [
        StreamEvent(0, 0.0, 1.0, 0.1, 1.1, "", "hola", (), words[:1], None, 0, False),
        StreamEvent(1, 1.0, 2.0, 0.1, 2.1, "hola que", "", (), words, "es-US", 0, True, spans=spans),
    ]
    settings = {"checkpoint": "base", "locale": "auto", "lookahead_ms": 560}
    heard = lane_data(events, "auto", "Hola, que tal")
    assert heard["spans"]
    lane = {**heard, "settings": settings, "state": "ready", "message": ""}
    checked.sent("Lane", lane)
    checked.sent(
        "Lane", {**lane_data([], "ja-JP", None), "settings": settings, "state": "busy", "message": ""}
    )
    checked.sent("Lane", {"settings": settings, "state": "failed", "message": "why"})
    checked.sent("Differences", compared(lane, {**lane, "final": "hola"}))
    checked.sent("Differences", {})
    for length_s in (1, 100):
        head, _ = audio.clip(np.zeros(length_s * RATE, np.float32), RATE)
        checked.sent("AudioHead", head | {"key": "a"})


def test_what_a_monitor_sends(checked: Checked) -> None:
    records = pd.DataFrame(
        {"kind": "validation", "locale": "es-US", "prompt_mode": "langID", "streaming": [False, False, True],
         "step": [0, 10, 10], "wer": [0.5, 0.4, np.nan], "cer": [0.2, np.nan, 0.1], "tags_right": np.nan,
         "lookahead_ms": [np.nan, np.nan, 560.0], "utterances": 4}
    )  # fmt: skip
    checked.sent("ValidationSeries[]", monitor_data._validation(records))
    train = pd.DataFrame(
        {"step": [1, 2], "loss": [2.0, np.nan], "learning_rate": 1e-3, "audio_s_per_s": 30.0}
    )
    checked.sent("Curves", monitor_data._curves(train))
    checked.sent("Curves", {})
    samples = pd.DataFrame(
        {"locale": "es-US", "id": "0", "prompt_mode": "langID", "step": [0, 10], "reference": "hola que",
         "hypothesis": ["ola", "hola que"], "detected_lang": [None, "es-US"]}
    )  # fmt: skip
    checked.sent("Sample[]", monitor_data._samples(samples))
    checked.sent("{ [fact in keyof RunState]: true }", dict.fromkeys(monitor_data.STATE, True))


def test_what_an_import_plan_and_a_lineage_send(checked: Checked, corpus: Corpus) -> None:
    source = corpus.folder.parent / "m.jsonl"
    shown = {"name": "c", **_shown(inspect_source(source)), **_step("plan")}
    plan, examples = shown["plan"], shown["plan"].pop("examples")
    assert plan["columns"]
    assert plan["locales"]
    checked.sent(f'Omit<PlanState, "plan"> & {{ plan: Omit<ImportPlan, "examples">{MORE} }}', shown)
    for example in examples:
        checked.sent("PlanExample" + MORE, example)
    nodes = {id: Node(id, kind, id, {"rows": 3}) for id, kind in (("a", "source"), ("b", "corpus"))}
    checked.sent("LineageDrawing", _drawing(Graph(nodes, [Edge("a", "b")])))
