"""Scoring beside Speech Data Explorer's load: WER, CER and word accuracy of a manifest; and our full report.

Run: python benchmarks/evaluation.py [--peer-python PYTHON --peer-source data_explorer.py]
     [--utterances 100000] [--pairs 5] [--million]

The peer needs an environment of its own (``pip install 'jiwer<4' editdistance tqdm numpy``) and its source
file from NeMo's ``tools/speech_data_explorer``; its ``load_data`` is taken out of that file and run as it is,
without the dashboard around it and without the pickle it would write. Each side reads the same manifest in a
fresh process; imports, and the loading of our compiled loops, are not timed and not counted as memory.
Interleaved pairs, medians with min and max, wall and CPU seconds. Budgets: load at least 10 times faster, the
full report at least twice as fast as the peer's load; heat map 2 s and a cell 0.3 s after load; a million
utterances in at most three times the manifest's size of memory.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path
from typing import Any

import budgets

LOCALES = ("en-US", "es-US", "fr-FR", "de-DE", "it-IT", "ru-RU", "el-GR", "bg-BG")
PEER = r"""
import ast, collections, datetime, difflib, json, logging, os, sys, time
import editdistance, jiwer, numpy as np, tqdm
source, manifest = sys.argv[1:3]
tree = ast.parse(open(source).read())
tree.body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "load_data"]
scope = dict(globals(), defaultdict=collections.defaultdict, fld_nm="pred_text")
exec(compile(tree, source, "exec"), scope)
start, cpu = time.perf_counter(), time.process_time()
data, wer, cer, *_ = scope["load_data"](manifest, disable_caching=True)
took = {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
print(json.dumps({**took, "wer": wer, "cer": cer}))
"""


def write_manifest(path: Path, utterances: int) -> None:
    """Sentences of 3 to 18 words from a Zipf vocabulary, a prediction with 15 % word errors."""
    rng = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwé"
    vocabulary = ["".join(rng.choices(letters, k=rng.randint(1, 10))) for _ in range(20_000)]
    weights = list(accumulate(1 / (rank + 1) for rank in range(len(vocabulary))))
    with path.open("w", encoding="utf-8") as file:
        for number in range(utterances):
            words = rng.choices(vocabulary, cum_weights=weights, k=rng.randint(3, 18))
            text = " ".join(w + rng.choice(("", "", "", ",")) for w in words).capitalize().rstrip(",") + "."
            heard = []
            for word in text.split():
                chance = rng.random()
                if chance >= 0.03:
                    heard.append(word if chance > 0.12 else rng.choice(vocabulary))
                if rng.random() < 0.03:
                    heard.append(rng.choice(vocabulary))
            tag = LOCALES[number % len(LOCALES)]
            row = {"audio_filepath": f"audio/{number:07d}.wav", "duration": round(0.4 * len(words), 2)}
            row |= {"text": text, "pred_text": " ".join(heard), "target_lang": tag, "lang": tag}
            row |= {"accent": f"{tag}-{number // 8 % 12}", "speaker": f"{tag}-{rng.randint(0, 300)}"}
            row |= {"domain": ("bank", "shop", "travel")[number % 3], "source": f"set {number % 5}"}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read(manifest: str) -> tuple[Any, Any]:
    """Utterance rows and predictions of a manifest with ``pred_text``."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from pyarrow import json as arrow_json

    options = arrow_json.ReadOptions(block_size=4 << 20)
    table = arrow_json.read_json(manifest, read_options=options)
    # Long offsets are what pandas keeps texts with; others would be copied.
    schema = [f.with_type(pa.large_string()) if pa.types.is_string(f.type) else f for f in table.schema]
    table = table.cast(pa.schema(schema))
    frame = table.to_pandas(types_mapper=_strings)
    frame["id"] = np.arange(len(frame))
    predictions = pd.DataFrame({"id": frame["id"], "hypothesis": frame.pop("pred_text")})
    predictions["detected_lang"] = frame["target_lang"]
    return frame, predictions


def _strings(kind: Any) -> Any:
    import pandas as pd
    import pyarrow as pa

    return pd.StringDtype("pyarrow", na_value=float("nan")) if pa.types.is_large_string(kind) else None


def warm_up() -> None:
    """Import everything and load the compiled loops, as the peer's imports are not timed either."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.json"
        write_manifest(path, 200)
        rows, predictions = read(str(path))
        score(rows, predictions).report(Path(folder) / "report.html", slices=["length(text) > 40"])


def score(rows: Any, predictions: Any) -> Any:
    """What the peer computes, kept in an evaluation."""
    from workbench.evaluation import score_predictions

    evaluation = score_predictions(rows, {"p": predictions}, resamples=1000)
    for metric in ("wer", "cer"):
        evaluation.scored.totals("p", metric, "raw")
    evaluation.words("p", normalizer="raw")
    return evaluation


def ours(manifest: str, report: bool) -> dict[str, Any]:
    """Load, rates and word accuracy as the peer does; with ``report`` everything else too."""
    warm_up()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    evaluation = score(*read(manifest))
    found = {}
    for metric in ("wer", "cer"):
        errors, units = evaluation.scored.totals("p", metric, "raw")
        found[metric] = 100 * float(errors.sum() / units.sum())
    found |= {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
    if report:
        cuts = ["target_lang", "accent", "domain", "source", "duration_band", "target_lang || domain"]
        cuts += ["duration > 3", "source || domain", "target_lang || source", "length(text) > 40"]
        with tempfile.TemporaryDirectory() as folder:
            evaluation.report(Path(folder) / "report.html", slices=cuts)
        found |= {"wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
        start = time.perf_counter()
        evaluation.heatmap("p", "target_lang", "source")
        found["heat_map_s"] = time.perf_counter() - start
        start = time.perf_counter()
        cell = {"target_lang": "el-GR", "source": "set 3"}
        evaluation.utterances("p", cell, limit=50)
        evaluation.confusions("p", cell)
        evaluation.lost_words("p", cell)
        found["cell_s"] = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found["memory_over_manifest"] = (after - before) * 1024 / Path(manifest).stat().st_size
    return found


def run(command: list[str]) -> dict[str, Any]:
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(finished.stderr[-2000:])
    result: dict[str, Any] = json.loads(finished.stdout.strip().splitlines()[-1])
    return result


def show(name: str, results: list[dict[str, Any]]) -> None:
    for unit in ("wall_s", "cpu_s"):
        values = [r[unit] for r in results]
        low, high = min(values), max(values)
        print(f"{name:14} {unit:7} {statistics.median(values):8.2f}  ({low:.2f} to {high:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer-python")
    parser.add_argument("--peer-source")
    parser.add_argument("--utterances", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "MANIFEST"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(ours(options.one[1], options.one[0] == "report")))
        return
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "manifest.json"
        write_manifest(manifest, 1_000_000 if options.million else options.utterances)
        size = manifest.stat().st_size / 1e6
        print(f"manifest {size:.0f} MB")
        results: dict[str, list[dict[str, Any]]] = {"load": [], "report": [], "peer": []}
        for _ in range(1 if options.million else options.pairs):
            for kind in ("load", "report"):
                results[kind].append(run([sys.executable, __file__, "--one", kind, str(manifest)]))
            if options.peer_python and not options.million:
                command = [options.peer_python, "-c", PEER, options.peer_source, str(manifest)]
                results["peer"].append(run(command))
        for kind, found in results.items():
            if found:
                show(kind, found)
                print(f"{'':14} WER {found[0]['wer']:.4f} CER {found[0]['cer']:.4f}")
        for key in ("heat_map_s", "cell_s", "memory_over_manifest"):
            print(f"{key}: {statistics.median(r[key] for r in results['report']):.3f}")
        for kind in ("load", "report"):
            for unit in ("wall_s", "cpu_s"):
                ratios = [p[unit] / r[unit] for p, r in zip(results["peer"], results[kind], strict=False)]
                if ratios:
                    median, low, high = statistics.median(ratios), min(ratios), max(ratios)
                    print(f"peer / {kind} {unit}: {median:.1f} ({low:.1f} to {high:.1f})")
                    if unit == "wall_s":
                        budgets.record(f"scoring_{kind}", ratios, utterances=options.utterances)


if __name__ == "__main__":
    main()
