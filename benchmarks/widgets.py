"""The board and the explorer on 100,000 utterances: what reaches the browser, and how long the kernel works.

    python benchmarks/widgets.py [--rows 100000] [--rounds 5]

There is no peer: the tools these replace hold the whole table in the browser. Budgets: first page of the
board 1 MB and 1 s; first view of the explorer 1 MB and 2 s, a click 0.3 s. Bytes are those of the messages as
JSON, the widget's own JavaScript and style included; a new heat map travels as a trait and is not counted.
Wall and CPU seconds of the kernel, medians with least and most; on a shared machine read the CPU column.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import budgets
from evaluation import write_manifest  # the sentences of the other benchmark

ALL = "\u2211"
FIRST_PAGE = 100
RULES = (("clipping", "error"), ("text_digits", "warning"), ("silence", "info"))

Figures = dict[str, list[tuple[float, float, int]]]


def rows_and_predictions(folder: Path, count: int) -> tuple[Path, Any, Any]:
    """A manifest for the corpus, and two predictions of it with about 15 % word errors."""
    import pandas as pd

    write_manifest(folder / "all.jsonl", count)
    rng, rows = random.Random(2), []
    heard: dict[str, list[str]] = {"base": [], "tuned": []}
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as out:
        for number, line in enumerate((folder / "all.jsonl").open(encoding="utf-8")):
            row = {"id": f"u{number:07d}", **json.loads(line)}
            said = row.pop("pred_text")
            heard["base"].append(said)
            heard["tuned"].append(row["text"] if rng.random() < 0.3 else said)
            rows.append(row["id"])
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    tables = {
        name: pd.DataFrame({"id": rows, "hypothesis": texts, "checkpoint_sha256": name})
        for name, texts in heard.items()
    }
    return folder / "rows.jsonl", *tables.values()


class Asker:
    """Asks a widget as the browser does, in this thread; notes seconds and the bytes of the answer."""

    def __init__(self, widget: Any, figures: Figures) -> None:
        self.widget, self.figures = widget, figures
        self.sent: list[tuple[Any, list[bytes]]] = []
        widget.send = lambda content, buffers=(): self.sent.append((content, list(buffers)))

    def __call__(self, name: str, *questions: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        self.sent.clear()
        wall, cpu = time.perf_counter(), time.process_time()
        for question, body in questions:
            self.widget._answer(question, self.widget._answering[question][0], body, [])
        took = time.perf_counter() - wall, time.process_time() - cpu
        for content, _ in self.sent:
            assert "error" not in content, content
        self.figures[name].append((*took, sum(size(c) + sum(map(len, b)) for c, b in self.sent)))
        return [content["body"] for content, _ in self.sent]


def size(message: Any) -> int:
    return len(json.dumps(message, ensure_ascii=False, default=str).encode())


def opened(figures: Figures, name: str, make: Callable[[], Any]) -> Any:
    """Make a widget and its output as a cell does."""
    wall, cpu = time.perf_counter(), time.process_time()
    widget = make()
    bundle = widget._repr_mimebundle_()[0]
    took = time.perf_counter() - wall, time.process_time() - cpu
    figures[name].append((*took, size(widget.get_state()) + size(bundle)))
    return widget


def board(corpus: Any, figures: Figures) -> None:
    import pandas as pd

    from workbench.widgets.board import Board

    ids, rng = corpus.ids(), random.Random(3)
    found = [(rng.choice(ids), *rng.choice(RULES), "reason", "hint", 1.0) for _ in range(len(ids) // 20)]
    findings = pd.DataFrame(found, columns=["id", "rule", "severity", "reason", "hint", "value"])
    widget = opened(figures, "board: made and shown", lambda: Board(corpus, findings=findings))
    ask, some = Asker(widget, figures), len(ids) // 2
    first = {"offset": 0, "limit": FIRST_PAGE}
    ask("board: first page", ("open", {}), ("rows", first), ("details", {"id": ids[0]}))
    ask("board: a page in the middle", ("rows", {"offset": some, "limit": FIRST_PAGE}))
    sql = "duration > 3 AND text LIKE '%a%'"
    ask("board: SQL filter and its page", ("query", {"query": {"sql": sql}}), ("rows", first))
    tag = {"facets": {"target_lang": ["el-GR"]}, "order_by": "duration"}
    ask("board: a bar clicked, sorted, its page", ("query", {"query": tag}), ("rows", first))
    doubtful = {"query": {"order_by": "priority"}}
    ask("board: doubtful first and its page", ("query", doubtful), ("rows", first))
    clip = rng.choice(ids)
    ask(
        "board: a decision and the next clip",
        ("decide", {"action": "accept", "id": clip}),
        ("next", {"place": 0}),
    )
    ask("board: bars after it", ("bars", {}))
    ask("board: it is undone", ("undo", {}))
    widget.close()


def explorer(corpus: Any, tables: dict[str, Any], figures: Figures) -> None:
    from workbench.evaluation import score_predictions
    from workbench.widgets.explorer import Explorer

    evaluation = score_predictions(corpus.frame(), tables)
    Explorer._warm = lambda self: None  # type: ignore[method-assign]  # it is timed apart
    opened(
        figures, "explorer: first view, nothing aligned yet", lambda: Explorer(evaluation, name="base")
    ).close()
    widget = opened(figures, "explorer: first view", lambda: Explorer(evaluation, name="base"))
    ask = Asker(widget, figures)
    ask("explorer: punctuation, first time (not waited for)", ("marks", {"row": ALL, "column": ALL}))
    for place, cell in {
        "everything": (ALL, ALL),
        "a locale": ("el-GR", ALL),
        "a cell": ("el-GR", None),
    }.items():
        row, column = cell
        if column is None:
            column = next(
                c["column"] for c in widget.map["cells"].values() if c["row"] == row and c["column"] != ALL
            )
        at = {"row": row, "column": column}
        ask(f"explorer: click on {place}: utterances", ("cell", at))
        side = ask(f"explorer: click on {place}: beside them", ("beside", at))[0]
        pair = side["confusions"][0]
        chosen = {"kind": "confusion", "reference": pair["reference"], "hypothesis": pair["hypothesis"]}
        ask(f"explorer: click on a confusion in {place}", ("cell", {**at, "filter": chosen}))
    ask("explorer: another metric", ("choose", {"metric": "cer"}))
    ask("explorer: compared with another", ("choose", {"metric": "headline", "against": "tuned"}))
    widget.close()


def show(figures: Figures) -> None:
    print(f"{'':52s} {'wall s':>22s} {'CPU s':>22s} {'kB':>8s}")
    for name, found in figures.items():
        wall, cpu, sizes = zip(*found, strict=True)
        spans = (f"{statistics.median(v):6.3f} [{min(v):.3f}-{max(v):.3f}]" for v in (wall, cpu))
        print(f"{name:52s} {'  '.join(f'{span:>21s}' for span in spans)} {max(sizes) / 1e3:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    from workbench.corpus.importing import import_source

    figures: Figures = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        manifest, base, tuned = rows_and_predictions(Path(name), arguments.rows)
        corpus = import_source(manifest, Path(name) / "corpus", name="many")
        for _ in range(arguments.rounds):
            board(corpus, figures)
            explorer(corpus, {"base": base, "tuned": tuned}, figures)
    print(f"{arguments.rows:,} utterances, {arguments.rounds} rounds")
    show(figures)
    first = figures["board: first page"]
    budgets.record("widget_bytes", [size / 1e3 for _, _, size in first], rows=arguments.rows)
    budgets.record("widget_kernel", [wall for wall, _, _ in first], rows=arguments.rows)


if __name__ == "__main__":
    main()
