"""``--engine`` and ``--address`` of the verbs in the shell: where they lead, and what is said without Ray."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

import workbench as wb
from workbench.api import Workspace
from workbench.cli import main

WHERE = ["--where", "split = 'test' AND target_lang = 'es-US' AND duration < 1.2"]
VERBS: dict[str, list[str]] = {
    "scan": ["scan", "starter", *WHERE],
    "transcribe": ["transcribe", "starter", "starter", "heard", *WHERE],
    "lookaheads": ["lookaheads", "starter", "starter", "--lookaheads-ms", "560", *WHERE],
    "evaluate": ["evaluate", "starter", "told", *WHERE],
    "conditions": ["conditions", "starter", "starter", "--snr-db", "none", *WHERE],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a prediction ``told`` that was never decoded: the references without their marks."""
    made = wb.starter(tmp_path_factory.mktemp("verbs") / "ws")
    corpus = made.corpus("starter")
    rows = corpus.where(WHERE[1]).frame(["id", "text"])
    told = pd.DataFrame({"id": rows["id"], "hypothesis": rows["text"].str.replace(r"[.,¿?]", "", regex=True)})
    told.loc[::3, "hypothesis"] = "no"
    corpus.predictions_folder.mkdir(parents=True, exist_ok=True)
    told.to_parquet(corpus.predictions_folder / "told.parquet")
    return made


def call(home: Workspace, verb: str, *more: str, report: Path | None = None) -> int:
    page = ["--report", str(report)] if report is not None else []
    return main(["--workspace", str(home.path), *VERBS[verb], *page, *more])


@pytest.mark.parametrize("verb", VERBS)
def test_without_ray_a_verb_says_what_to_install(
    home: Workspace, verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert call(home, verb, "--engine", "ray") == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if "workbench: " in line]
    assert "Ray is not installed. Hint: Install it with: pip install -e '.[cluster]'" in line


@pytest.mark.parametrize("verb", VERBS)
def test_an_address_alone_is_asked_about(
    home: Workspace, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(home, verb, "--address", "10.0.0.1:6379") == 2
    assert "an address needs engine='ray'" in capsys.readouterr().err
    assert call(home, verb, "--engine", "spark") == 2
    capsys.readouterr()


def test_scan_and_evaluate_give_the_same_on_a_cluster(
    cluster: Any, home: Workspace, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from workbench.corpus.quality import signal
    from workbench.evaluation import sharded

    asked: list[str] = []
    for module in (signal, sharded):
        real = module.over_ray

        def spied(function: Any, *given: Any, real: Any = real, **options: Any) -> Any:
            asked.append(f"{function.__name__} at {options['address']}")
            return real(function, *given, **options)

        monkeypatch.setattr(module, "over_ray", spied)
    there = ["--engine", "ray", "--address", cluster.address]
    written = home.corpus("starter").folder / "signal.parquet"
    found = []
    for more in ([], there):
        written.unlink(missing_ok=True)
        report = tmp_path / f"{len(more)}.html"
        assert call(home, "scan", *more) == 0
        assert call(home, "evaluate", *more, report=report) == 0
        said = [line for line in capsys.readouterr().out.splitlines() if str(report) not in line]
        figures = [
            line for line in report.with_suffix(".json").read_text().splitlines() if "made_at" not in line
        ]
        found.append((written.read_bytes(), figures, said))
    assert asked == [f"{name} at {cluster.address}" for name in ("measure_rows", "align_shard")]
    assert found[0] == found[1]
    assert pq.read_metadata(written).num_rows > 10
    assert "0 could not be read" in found[0][2][0]
