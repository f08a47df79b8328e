"""No draft is a reference before a person accepted it: in exports, training, suites, figures and gates."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from workbench.corpus.export.export import export
from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.corpus.review import origins
from workbench.corpus.review.drafts import Drafts
from workbench.corpus.review.origins import DISPUTED, held_back, unaccepted, with_origins
from workbench.errors import Problem, WorkbenchError
from workbench.evaluation.corpora import evaluate
from workbench.field.conditions import _rows
from workbench.files import sha256_file
from workbench.finetuning.recipe import Source
from workbench.finetuning.rows import read_source
from workbench.ingest.drafted import DRAFT_FIELDS, NO_REFERENCE, only_drafted
from workbench.release import Release
from workbench.release.policy import CheckSpec
from workbench.release.reference_checks import references
from workbench.release.verdicts import UNKNOWN
from workbench.suites import clips
from workbench.workspace.folder import WorkspaceFolder

SHA = "ab" * 32
RATE = 16_000


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """Segments of a call: c0 accepted as drafted, c1 corrected, c2 accepted and reopened, c3 untouched."""
    noise = 0.1 * np.random.default_rng(1).standard_normal(10 * RATE).astype(np.float32)
    soundfile.write(tmp_path / "call.wav", noise, RATE)
    rows = [
        {"id": f"c{n}", "audio_filepath": "call.wav", "offset": 2.0 * n, "duration": 1.5, "text": None,
         "target_lang": "da-DK", "speaker": f"s{n}"}
        for n in range(4)
    ]  # fmt: skip
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = import_source(tmp_path / "m.jsonl", tmp_path / "corpora" / "c", name="c")
    made.predictions_folder.mkdir()
    said = [{"id": f"c{n}", "hypothesis": f"hej med dig {n}", "confidence": 0.9, "checkpoint_sha256": SHA}
            for n in range(4)]  # fmt: skip
    pd.DataFrame(said).to_parquet(made.predictions_folder / "draft.parquet")
    drafts = Drafts(made, "draft")
    drafts.accept("c0", seconds=3.0, reviewer="ann")
    drafts.correct("c1", "hej med jer", seconds=9.5, reviewer="bea")
    drafts.accept("c2", seconds=2.0, reviewer="ann")
    made.decisions.reopen("c2", reviewer="ann")
    return made


def of_export(made: Any, format: str) -> dict[str, dict[str, Any]]:
    """What a format holds of each row."""
    if format == "nemo":
        rows = [json.loads(line) for line in made.manifest("unassigned").read_text("utf-8").splitlines()]
    elif format == "csv":
        with (made.path / made.files["all"]).open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    elif format == "hf":
        import datasets

        rows = list(datasets.load_from_disk(str(made.path / "dataset"))["unassigned"].remove_columns("audio"))
    elif format == "shar":
        from lhotse import CutSet

        cuts = CutSet.from_shar(in_dir=made.path / made.files["unassigned"])
        rows = [{"id": cut.id, **cut.supervisions[0].custom} for cut in cuts]
    else:
        lines = [p.read_text("utf-8") for p in made.path.rglob("*.json*") if "manifest" in p.name]
        rows = [json.loads(line) for text in lines for line in text.splitlines()]
    return {row["id"]: row for row in rows}


@pytest.mark.parametrize("format", ["nemo", "csv", "hf", "shar", "tarred"])
def test_every_format_says_what_a_reference_came_of(corpus: Corpus, tmp_path: Path, format: str) -> None:
    made = corpus.export(tmp_path / "out", format, only="not_rejected")
    found = of_export(made, format)
    assert set(found) == {"c0", "c1"}
    drafted_by = f"draft {SHA[:12]}"
    assert {row["drafted_by"] for row in found.values()} == {drafted_by}
    assert found["c0"]["accepted_by"] == "ann"
    assert not found["c0"].get("corrected_by")
    assert found["c1"]["corrected_by"] == "bea"
    assert float(found["c1"]["review_seconds"]) == 9.5
    left = [json.loads(line) for line in (made.path / "left_out.jsonl").open()]
    assert {row["id"]: row["why"] for row in left} == {"c2": NO_REFERENCE, "c3": "no transcript"}
    card = json.loads((made.path / "data_card.json").read_text())["references"]
    assert card == {
        drafted_by: {"transcripts": 2, "accepted": 1, "corrected": 1, "reviewers": 2, "review_seconds": 12.5,
                     "audio_seconds": 3.0}
    }  # fmt: skip
    assert f"| {drafted_by} | 2 | 1 | 1 | 2 | 0.2 |" in (made.path / "data_card.md").read_text("utf-8")


def test_reviewers_leave_under_a_pseudonym_where_speakers_do(corpus: Corpus, tmp_path: Path) -> None:
    made = export(corpus, tmp_path / "out", speaker_id=lambda name: f"x{len(name)}")
    rows = of_export(made, "nemo")
    assert (rows["c0"]["accepted_by"], rows["c1"]["corrected_by"]) == ("x3", "x3")
    written = [path for path in made.path.glob("*.json*") if path.name != "export.json"]
    assert not any('"ann"' in path.read_text("utf-8") for path in written)


def test_the_provenance_outlives_the_export(corpus: Corpus, tmp_path: Path) -> None:
    """An export that is imported again says the same; a manifest that names no person is not trained on."""
    made = corpus.export(tmp_path / "out")
    again = import_source(made.manifest("unassigned"), tmp_path / "corpora" / "again", name="again",
                          audio_roots=list(corpus.audio_roots))  # fmt: skip
    again.accept(reviewer="cy")
    found = of_export(again.export(tmp_path / "second"), "nemo")
    first = of_export(made, "nemo")
    fields = {id: {name: row.get(name) for name in DRAFT_FIELDS} for id, row in found.items()}
    assert fields == {id: {name: row.get(name) for name in DRAFT_FIELDS} for id, row in first.items()}


@pytest.mark.parametrize("drafted", ["engine", None, "", "  "])
@pytest.mark.parametrize("accepted", ["ann", None, ""])
@pytest.mark.parametrize("corrected", ["bea", None, " "])
def test_training_leaves_out_what_nobody_accepted(
    tmp_path: Path, drafted: str | None, accepted: str | None, corrected: str | None
) -> None:
    row = {"id": "r", "audio_filepath": "a.wav", "duration": 2.0, "text": "Hej.", "target_lang": "da-DK",
           "drafted_by": drafted, "accepted_by": accepted, "corrected_by": corrected}  # fmt: skip
    (tmp_path / "hand.jsonl").write_text(json.dumps(row) + "\n")
    problems: list[Problem] = []
    found = read_source(Source(str(tmp_path / "hand.jsonl")), ["da-DK"], problems, (0.1, 20.0))
    alone = bool((drafted or "").strip()) and not (accepted or "") and not (corrected or "").strip()
    assert only_drafted(row) == alone
    assert len(found) == (not alone)
    assert [problem.what for problem in problems] == [NO_REFERENCE] * alone


def test_an_imported_draft_waits_for_a_person(tmp_path: Path, corpus: Corpus) -> None:
    rows = [{"id": f"d{n}", "audio_filepath": "call.wav", "offset": n, "duration": 1.0, "text": f"hej {n}",
             "target_lang": "da-DK", "drafted_by": "engine"} for n in range(3)]  # fmt: skip
    (tmp_path / "e.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = import_source(tmp_path / "e.jsonl", tmp_path / "corpora" / "e", name="e")
    assert unaccepted(made) == {"d0", "d1", "d2"}
    with pytest.raises(WorkbenchError, match=NO_REFERENCE):
        made.export(tmp_path / "out", only="not_rejected")
    with pytest.raises(WorkbenchError, match="no usable row"):
        clips.freeze(made)
    made.decisions.accept("d0", reviewer="ann")
    made.decisions.edit("d1", "text", "goddag", reviewer="bea")
    found = of_export(made.export(tmp_path / "out", only="not_rejected"), "nemo")
    assert {id: (row.get("accepted_by"), row.get("corrected_by")) for id, row in found.items()} == {
        "d0": ("ann", None), "d1": (None, "bea"),
    }  # fmt: skip


def test_a_suite_and_its_figures_hold_accepted_references_only(corpus: Corpus) -> None:
    held, without = clips.freeze(corpus)
    assert (set(held["id"]), without) == ({"c0", "c1"}, 2)
    assert clips.changes(held, corpus) == []
    corpus.decisions.reopen("c0", reviewer="ann")
    assert clips.changes(held, corpus) == ["drafts that nobody accepts any more: 1 of c (c0)"]
    corpus.decisions.undo(reviewer="ann")
    heard = pd.DataFrame({"id": [f"c{n}" for n in range(4)], "hypothesis": "hej med jer"})
    assert set(evaluate(corpus, predictions={"x": heard}, resamples=200).rows["id"]) == {"c0", "c1"}


def test_no_figure_counts_a_draft_that_nobody_accepted(corpus: Corpus) -> None:
    """c2 has a text, as it was drafted, and its acceptance was taken back."""
    rows = origins.references(corpus)
    assert rows["id"].tolist() == ["c0", "c1", "c2", "c3"]
    assert rows["text"].notna().tolist() == [True, True, False, False]
    assert rows["accepted_by"].fillna("").tolist() == ["ann", "", "", ""]
    assert corpus.where("id = 'c2'").frame()["text"].notna().all()
    heard = pd.DataFrame({"id": rows["id"], "hypothesis": "hej med dig"})
    counted = _rows(rows, heard, "wide", None, "basic")
    assert sum(row["utterances"] for row in counted) == 2


def test_a_release_counts_no_unit_of_a_draft_that_nobody_accepted(tmp_path: Path, corpus: Corpus) -> None:
    home = WorkspaceFolder(tmp_path / "ws")
    shutil.copytree(corpus.folder, home.corpus_folder("c"))
    for name in ("base", "tuned"):
        home.checkpoint_path(name).write_bytes(name.encode())
        heard = pd.DataFrame({"id": [f"c{n}" for n in range(4)], "hypothesis": "hej med dig"})
        sha = sha256_file(home.checkpoint_path(name))
        heard.assign(checkpoint_sha256=sha).to_parquet(
            home.corpus_folder("c") / "predictions" / f"{name}.parquet"
        )
    found = Release(home, candidate="tuned", base="base").evaluation(where="TRUE")
    table = found.rates("tuned", ()).to_dict("records")[0]
    assert found.rows["id"].tolist() == ["c0", "c1"]
    assert table["reference_units"] == len(["hej", "med", "dig", "0"]) + len(["hej", "med", "jer"])


def settle(corpus: Corpus, clip: str, field: str, value: str) -> None:
    corpus.decisions.resolve(clip, field, value, reviewer="cy")


@pytest.mark.parametrize("field", ["text", "status"])
def test_nothing_is_a_reference_while_reviewers_differ(corpus: Corpus, tmp_path: Path, field: str) -> None:
    """Neither exported, trained on, tested on nor counted, until a third settles it; agreement stays."""
    drafts, heard = Drafts(corpus, "draft"), pd.DataFrame({"id": ["c0", "c1"], "hypothesis": "hej med dig"})
    held, _ = clips.freeze(corpus)
    second = "hej med dig" if field == "text" else "hej med dig 0"
    drafts.correct("c0", second, seconds=4.0, reviewer="bea")
    if field == "status":
        corpus.decisions.reject("c0", "cut off", reviewer="bea")
    agreed = drafts.agreement()
    assert set(agreed.loc[agreed["pair"] == "ann / bea", "same"]) == {float(field == "status")}

    assert held_back(corpus) == {"c0": DISPUTED, "c2": NO_REFERENCE}
    assert clips.changes(held, corpus)[-1] == "reviewers differ on 1 clips of c (c0)"
    assert clips.freeze(corpus)[0]["id"].tolist() == ["c1"]
    assert evaluate(corpus, predictions={"x": heard}, resamples=200).rows["id"].tolist() == ["c1"]
    made = corpus.export(tmp_path / "differ", only="not_rejected")
    assert set(of_export(made, "nemo")) == {"c1"}
    source = Source(str(made.manifest("unassigned")), audio_root=str(tmp_path))
    assert [row.id for row in read_source(source, ["da-DK"], [], (0.1, 20.0))] == ["c1"]
    left = [json.loads(line) for line in (made.path / "left_out.jsonl").open()]
    expected = DISPUTED if field == "text" else "rejected"  # the later word shows
    assert [row["why"] for row in left if row["id"] == "c0"] == [expected]

    settle(corpus, "c0", field, second if field == "text" else "accepted")
    assert held_back(corpus) == {"c2": NO_REFERENCE}
    assert set(clips.freeze(corpus)[0]["id"]) == {"c0", "c1"}
    assert set(of_export(corpus.export(tmp_path / "settled"), "nemo")) == {"c0", "c1"}
    pd.testing.assert_frame_equal(drafts.agreement(), agreed)
    corpus.decisions.undo(reviewer="cy")
    assert held_back(corpus)["c0"] == DISPUTED


def test_two_ways_to_compose_a_letter_and_one_reviewer_twice_are_no_difference(corpus: Corpus) -> None:
    drafts = Drafts(corpus, "draft")
    drafts.correct("c3", "p\u00e5 torsdag", seconds=1.0, reviewer="ann")
    drafts.correct("c3", "pa\u030a  torsdag", seconds=1.0, reviewer="bea")
    drafts.correct("c1", "hej med jer alle", seconds=1.0, reviewer="bea")
    assert DISPUTED not in held_back(corpus).values()


def test_settling_costs_no_second_review(corpus: Corpus) -> None:
    """The board settles with a reviewer's word and its reason: its seconds are counted once."""
    drafts = Drafts(corpus, "draft")
    drafts.correct("c0", "hej med dig nul", seconds=4.0, reviewer="bea")
    [conflict] = corpus.decisions.conflicts()
    value, reason, _ = conflict.views["bea"]
    corpus.decisions.resolve("c0", "text", value, reason, reviewer="cy")
    made = drafts.provenance().set_index("id").loc["c0"]
    assert (made["seconds"], bool(made["corrected"]), made["reviewer"]) == (3.0 + 4.0, True, "cy")


class Judged:
    """What the check reads of a subject of gates."""

    def __init__(self, tested: pd.DataFrame, training: pd.DataFrame | None) -> None:
        self.evaluation, self.training = self, training
        self.rows = tested


def test_a_gate_reads_it(corpus: Corpus) -> None:
    rows = with_origins(corpus, corpus.where("text IS NOT NULL").frame())
    good = rows[rows["id"] != "c2"]
    spec = CheckSpec("references", "references", {"maximum_unchanged": None})
    strict = CheckSpec("references", "references", {"maximum_unchanged": 0.4})

    def verdicts(tested: pd.DataFrame, training: pd.DataFrame | None, how: CheckSpec = spec) -> list[str]:
        return [found.verdict for found in references(Judged(tested, training), how)]  # type: ignore[arg-type]

    assert verdicts(good, good) == ["pass", "pass"]
    assert verdicts(rows, good) == ["fail", "pass"]
    assert verdicts(good, rows) == ["pass", "fail"]
    assert verdicts(good, None) == ["pass", UNKNOWN]
    assert verdicts(good, good, strict) == ["fail", "fail"]
    blank = good.assign(**{name: good[name].fillna(" ") for name in ("accepted_by", "corrected_by")})
    assert verdicts(blank, good, strict) == ["fail", "fail"]
    nobody = blank.assign(accepted_by="", corrected_by="")
    assert verdicts(nobody, blank) == ["fail", "pass"]
    assert verdicts(good.drop(columns=list(DRAFT_FIELDS)), good[["id"]]) == ["pass", "pass"]
