"""Sources checked without an import, the team's own rules, and the verbs that bring recordings in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sound_files import lines, tone

import workbench as wb
from workbench.cli import main
from workbench.corpus.query.table import Corpus

Bring = Callable[..., Corpus]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four good rows, one with markup, one that cannot be read; what an engine heard beside them."""
    rows: list[dict[str, Any]] = []
    for i in range(5):
        tone(tmp_path / "calls" / f"{i}.wav")
        text = f"Guten Tag, Herr Meier {'abcde'[i]}." if i else "Guten <b>Tag</b> a."
        rows.append({"id": f"u{i}", "audio_filepath": f"{i}.wav", "duration": 1.0, "text": text,
                     "target_lang": "de-DE", "pred_text": "guten tag"})  # fmt: skip
    path = lines(tmp_path / "calls" / "m.jsonl", rows)
    path.write_text(path.read_text() + '{"audio_filepath": \n')
    return path


def test_a_source_is_checked_and_nothing_kept(source: Path, tmp_path: Path) -> None:
    found = wb.lint(source)
    assert (found.rows, found.left_out) == (5, 1)
    assert "markup" in found.counts
    assert found.failed()
    assert sorted(p.name for p in source.parent.iterdir()) == [*(f"{i}.wav" for i in range(5)), "m.jsonl"]
    rule = wb.OwnRule("names_a_person", "names a person", "text LIKE '%Meier%'", severity="error")
    fixed = wb.lint(source, own=[rule], fix=tmp_path / "fixed")
    assert fixed.counts["names_a_person"] == 4
    assert fixed.fixed is not None
    kept = [json.loads(line) for p in fixed.fixed.glob("*.jsonl") if p.name != "left_out.jsonl"
            for line in p.read_text().splitlines()]  # fmt: skip
    assert {row["id"] for row in kept} <= {"u0"}


def test_own_rules_by_expression_and_by_function(source: Path, bring: Bring) -> None:
    corpus = bring(source)

    def shouts(row: dict[str, Any]) -> str | None:
        return "an h" if "Herr" in row["text"] else None

    rules = [
        wb.OwnRule("first_only", "is the first", "id = 'u0'", severity="info"),
        wb.OwnRule("says_mister", "says mister", shouts, severity="error", hint="Take it out."),
    ]
    found = wb.run_checks(corpus, own=rules)
    mine = found[found["rule"].isin(["first_only", "says_mister"])]
    assert sorted(zip(mine["id"], mine["rule"], mine["value"].fillna(""), strict=True)) == [
        ("u0", "first_only", ""), *((f"u{i}", "says_mister", "an h") for i in range(1, 5)),
    ]  # fmt: skip
    severities = found["severity"].tolist()
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert found.attrs["checked"] == 5
    with pytest.raises(wb.WorkbenchError, match="failed on 'u0': KeyError"):
        wb.run_checks(corpus, own=[wb.OwnRule("odd", "x", lambda row: row["nothing"])])
    with pytest.raises(wb.WorkbenchError, match="the name of a built-in rule"):
        wb.OwnRule("markup", "x", "true")


def call(ws: Path, capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    capsys.readouterr()
    assert main(["--workspace", str(ws), *map(str, words), "--json"]) == code, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


def test_the_verbs(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ws = tmp_path / "ws"
    assert call(ws, capsys, "lint", source, code=1)["left_out"] == 1
    assert call(ws, capsys, "import", "calls", source, "--dry-run")["usable"] == 5
    assert call(ws, capsys, "corpora") == {}
    opened = call(ws, capsys, "open", source, "--no-lab")
    assert (opened["corpus"], opened["utterances"], opened["predictions"]) == ("m", 5, ["pred_text"])
    assert "board()" in Path(opened["page"]).read_text()
    assert call(ws, capsys, "open", source, "--no-lab") == opened
    (tmp_path / "h.csv").write_text("id,hyp\nu1,hallo\nz,nein\n")
    report = call(ws, capsys, "import-prediction", "m", tmp_path / "h.csv", "other", "--engine", "X")
    assert (report["matched"], report["without"], report["unmatched"]) == ({"id": 1}, 4, ["z"])
    assert call(ws, capsys, "corpora") == {"m": ["pred_text", "other"]}
    gone = tmp_path / "gone.jsonl"
    gone.write_text('{"audio_filepath": "nowhere.wav", "duration": 1.0, "text": "x"}\n')
    assert main(["--workspace", str(ws), "import", "gone", str(gone)]) != 0
    assert "every recording is missing" in capsys.readouterr().err
    assert call(ws, capsys, "corpora") == {"m": ["pred_text", "other"]}


def test_a_checkpoint_limits_labels_and_what_was_heard_is_compared(tmp_path: Path) -> None:
    class Pieces:
        """A piece a letter, as a tokenizer without merges has them; none is unknown."""

        def encode(self, texts: Any, out_type: type = int) -> Any:
            return [ord(c) for c in texts] if isinstance(texts, str) else [self.encode(t) for t in texts]

        def unk_id(self) -> int:
            return -1

    class Limits:
        class info:  # noqa: N801
            frame_ms = 80

        def tokenizer(self) -> Pieces:
            return Pieces()

    rows = []
    for i, (text, heard) in enumerate(
        [("Hallo.", "hallo"), ("A" * 40, "a"), ("Guten Tag.", "etwas anderes")]
    ):
        tone(tmp_path / "calls" / f"{i}.wav")
        rows.append({"id": f"u{i}", "audio_filepath": f"{i}.wav", "duration": 1.0, "text": text,
                     "target_lang": "de-DE", "pred_text": heard})  # fmt: skip
    path = lines(tmp_path / "calls" / "m.jsonl", rows)
    found = wb.lint(path, checkpoint=Limits()).findings  # type: ignore[arg-type]
    by_rule = {rule: set(own["id"]) for rule, own in found.groupby("rule")}
    assert by_rule["labels_exceed_frames"] == {"u1"}
    assert "u2" in by_rule["disagrees"]
    assert "u0" not in by_rule["disagrees"]


def test_a_source_of_which_nothing_is_fit_is_told_and_not_copied(tmp_path: Path) -> None:
    """The findings are what was asked for; that there is nothing to copy does not hide them."""
    row = {"audio_filepath": "a.wav", "duration": 1.0, "text": "", "target_lang": "de-DE"}
    tone(tmp_path / "a.wav")
    (tmp_path / "m.jsonl").write_text(json.dumps(row))
    found = wb.lint(tmp_path / "m.jsonl", fix=tmp_path / "fixed")
    assert found.fixed is None
    assert not (tmp_path / "fixed").exists()
    assert "text_empty" in found.counts
    assert any("every row has an error" in str(problem) for problem in found.problems)
