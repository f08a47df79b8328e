"""A workspace in which two people left traces wherever the workbench writes; a search for what is left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.files import sha256_file
from workbench.workspace.folder import WorkspaceFolder

RATE = 16_000
SENTENCE = {"Maria": "my account number is nine four seven", "Bob": "please send me the new contract today"}
SHARED = "thank you very much indeed"


def filled(ws: WorkspaceFolder) -> WorkspaceFolder:
    """A workspace in which two people left traces everywhere the workbench writes."""
    audio = ws.path / "recordings"
    audio.mkdir()
    rows = []
    tone = np.sin(np.arange(RATE) / 9) * 0.3
    for who in ("Maria", "Bob"):
        for i in range(3):
            name = f"{who.lower()}-{i}.wav"
            soundfile.write(audio / name, tone, RATE)
            text = f"{SENTENCE[who]} {i}" if i else SHARED
            rows.append(row(f"{who[0]}{i}", name, text, who))
    soundfile.write(audio / "talk.wav", np.tile(tone, 2), RATE)
    rows += [row("M9", "talk.wav", "yes", "Maria"), row("B9", "talk.wav", "oh", "Bob", offset=1.0)]
    lines = "".join(json.dumps(r) + "\n" for r in rows)
    (audio / "manifest.jsonl").write_text(lines)
    import_source(audio / "manifest.jsonl", ws.corpus_folder("calls"), name="calls")
    fill(ws, rows)
    return ws


def row(id: str, audio: str, text: str, speaker: str | None, offset: float = 0.0) -> dict[str, Any]:
    known = {"target_lang": "en-US", "speaker": speaker, "source": "hotline", "split": "train"}
    return {"id": id, "audio_filepath": audio, "offset": offset, "duration": 1.0, "text": text, **known}


def fill(ws: WorkspaceFolder, rows: list[dict[str, Any]]) -> None:
    corpus = Corpus.open(ws.corpus_folder("calls"))
    corpus.accept()
    corpus.decisions.edit(["M1"], "text", "my account number is nine four eight", reason="Maria said eight")
    corpus.decisions.tag(["B1"], "clear", filter="speaker = 'Maria' or speaker = 'Bob'")
    predictions = corpus.folder / "predictions"
    predictions.mkdir()
    table = pd.DataFrame({"id": [r["id"] for r in rows], "hypothesis": [r["text"] for r in rows]})
    table.to_parquet(predictions / "base.parquet")
    corpus.export(corpus.folder / "exports" / "first", only="not_rejected")
    corpus.close()
    for name, drawn in (("greek", ["M1", "B1"]), ("clean", ["B1", "B2"])):
        run = ws.run_folder(name)
        (run / "checkpoints").mkdir(parents=True)
        pd.DataFrame({"id": drawn, "step": [0, 1]}).to_parquet(run / "plan.parquet")
        (run / "checkpoints" / "best.nemo").write_bytes(f"weights of {name}".encode())
        samples = [{"id": r["id"], "hypothesis": r["text"]} for r in rows]
        (run / "samples.jsonl").write_text("".join(json.dumps(s) + "\n" for s in samples))
        (run / "run.log").write_text(f"start\ncannot read {ws.path}/recordings/maria-1.wav\nend\n")
    child = ws.run_folder("child")
    (child / "checkpoints").mkdir(parents=True)
    pd.DataFrame({"id": ["B2"], "step": [0]}).to_parquet(child / "plan.parquet")
    (child / "checkpoints" / "best.nemo").write_bytes(b"weights of child")
    base = sha256_file(ws.run_folder("greek") / "checkpoints" / "best.nemo")
    (child / "provenance.json").write_text(json.dumps({"base": {"sha256": base}}))
    (ws.reports / "errors.html").write_text(f"<td>{SENTENCE['Maria']} 1</td>")
    (ws.reports / "other.html").write_text(f"<td>{SENTENCE['Bob']} 1</td>")


def traces_in(folder: Path, *needles: str) -> list[str]:
    """Files that still hold a string, whatever the format; Parquet is read, not searched."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file() or path.suffix == ".wav" or "keys" in path.parts:
            continue
        parquet = path.suffix == ".parquet"
        data = pd.read_parquet(path).to_json().encode() if parquet else path.read_bytes()
        found += [f"{path.name}: {n}" for n in needles if n.encode() in data]
    return found
