"""Flaws planted with sox, ffmpeg and edits on real clips: what each rule finds of them, and finds wrongly.

A finding on a clip where nothing was planted counts as wrong, unless the rule fired there before planting:
the starter corpus has flaws of its own. On clips with another planted flaw findings do not count either way:
a transcript in a foreign script also lacks its full stop.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from manifest_files import write_manifest

from workbench.corpus.importing import import_source
from workbench.corpus.quality import checks, measures, signal
from workbench.corpus.query.table import Corpus
from workbench.starter_files import CORPUS as STARTER

PER_FLAW = 4
EVIDENCE = Path(__file__).resolve().parents[2] / "docs" / "evidence"
needs_sox = pytest.mark.skipif(
    not shutil.which("sox") or not shutil.which("ffmpeg"), reason="needs sox and ffmpeg"
)


def sox(*effects: str) -> Callable[[Path, Path], None]:
    def plant(source: Path, target: Path) -> None:
        subprocess.run(["sox", "-V1", str(source), str(target), *effects], check=True, capture_output=True)

    return plant


def as_wav(source: Path, target: Path) -> None:
    """Decoded once, to plant in samples; turned down where Opus overshoots."""
    samples, rate = soundfile.read(source, dtype="float32")
    soundfile.write(target, samples * min(1.0, 0.98 / max(abs(samples).max(), 1e-9)), rate, subtype="PCM_16")


SNR_DB = 6.0


def noisy(source: Path, target: Path) -> None:
    """White noise SNR_DB below the clip's own speech level: a fixed level leaves loud clips unharmed."""
    samples, rate = soundfile.read(source, dtype="float32")
    speech_db = np.percentile(measures.frame_levels(samples, rate), 95)
    noise = np.random.default_rng(len(samples)).normal(0, 10 ** ((speech_db - SNR_DB) / 20), len(samples))
    mixed = samples + noise
    soundfile.write(target, mixed * min(1.0, 0.9 / np.abs(mixed).max()), rate, subtype="PCM_16")


def recoded(source: Path, target: Path) -> None:
    compressed = target.with_suffix(".mp3")
    quieter = ["-filter:a", "volume=0.7", "-b:a", "48k"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(source), *quieter, str(compressed)], check=True)
    back = ["-ar", "16000", str(target)]
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(compressed), *back], check=True)
    compressed.unlink()


SOUND: dict[str, Callable[[Path, Path], None]] = {
    "clipping": sox("gain", "-n", "0", "gain", "18", "gain", "-3"),
    "low_level": sox("gain", "-n", "-36"),
    "low_snr": noisy,
    "silence_start": sox("pad", "1.8", "0"),
    "silence_end": sox("pad", "0", "1.8"),
    "narrow_band": sox("sinc", "-3400"),
    "dc_offset": sox("gain", "-n", "-6", "dcshift", "0.1"),
    "channels": sox("channels", "2"),
    "sample_rate": sox("rate", "8000"),
    "audio_shorter": sox("trim", "0", "0.5"),
    "audio_longer": sox("repeat", "1"),
    "audio_missing": lambda source, target: None,
    "audio_empty": lambda source, target: target.write_bytes(b"") and None,
    "audio_unreadable": lambda source, target: target.write_bytes(b"RIFF0000WAVEjunk" * 9) and None,
    "near_duplicate_audio": recoded,
}
KEEPS_LENGTH = {"clipping", "low_level", "low_snr", "narrow_band", "dc_offset", "channels", "sample_rate",
                "near_duplicate_audio"}  # fmt: skip
TEXT: dict[str, Callable[[str], str]] = {
    "text_empty": lambda text: "  ",
    "wrong_script": lambda text: "これは別の言葉です。",
    "mixed_script": lambda text: text.rstrip(".") + " kлeн.",
    "digits": lambda text: text.rstrip(".") + " 42.",
    "markup": lambda text: f"<b>{text}</b>",
    "stray_tag": lambda text: f"{text} <it-IT>",
    "no_final_mark": lambda text: text.rstrip(".!?;… "),
    "no_capital": lambda text: text[0].lower() + text[1:],
    "character_rate": lambda text: " ".join([text] * 9),
}


def rows_with_flaws(
    clips: list[dict[str, Any]], folder: Path, per_flaw: int, before: set[tuple[str, str]]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Clips as WAV, every second with one planted flaw; id → flaw."""
    made, planted = [], {}
    flaws = [*SOUND, *TEXT] * per_flaw
    for number, row in enumerate(clips):
        path = folder / f"{number:03d}.wav"
        source = Path(row["path"])
        id_ = f"clip-{number:03d}"
        made.append({**row, "id": id_, "audio_filepath": path.name})
        as_wav(source, path)
        if number % 2 or not flaws:
            continue
        # Not on a clip that has the flaw of its own: finding it again would prove nothing.
        flaw = next(name for name in flaws if (id_, name) not in before)
        flaws.remove(flaw)
        planted[id_] = flaw
        if flaw in TEXT:
            made[-1]["text"] = TEXT[flaw](row["text"])
            continue
        clean, target = path.rename(path.with_suffix(".clean.wav")), path
        SOUND[flaw](clean, target)
        if flaw == "near_duplicate_audio":
            shutil.copy(clean, folder / f"{number:03d}.twin.wav")
            made.append({**made[-1], "id": f"{id_}-twin", "audio_filepath": f"{number:03d}.twin.wav"})
        elif flaw not in KEEPS_LENGTH and flaw.startswith("silence"):
            made[-1]["duration"] = row["duration"] + 1.8
        clean.unlink()
    return made, planted


def found_by(corpus: Corpus) -> set[tuple[str, str]]:
    signal.scan(corpus, processes=1)
    findings = checks.run_checks(corpus)
    return set(zip(findings["id"], findings["rule"], strict=True))


def score(
    planted: dict[str, str], before: set[tuple[str, str]], after: set[tuple[str, str]]
) -> dict[str, Any]:
    made = {}
    for flaw in [*SOUND, *TEXT]:
        true = {(id_, flaw) for id_, name in planted.items() if name == flaw}
        twins = {(f"{id_}-twin", flaw) for id_, _ in true}
        hits = {hit for hit in after if hit[1] == flaw} - before
        others = {id_ for id_, name in planted.items() if name != flaw}
        hits = {hit for hit in hits if hit[0].removesuffix("-twin") not in others}
        right = {hit for hit in hits if hit in true or hit in twins}
        caught = {hit for hit in true if hit in hits or (f"{hit[0]}-twin", flaw) in hits}
        made[flaw] = {
            "planted": len(true), "recall": len(caught) / len(true),
            "precision": len(right) / len(hits) if hits else None, "findings": len(hits),
        }  # fmt: skip
    return made


def planted_and_found(folder: Path, per_flaw: int) -> dict[str, dict[str, Any]]:
    """Rule → how many were planted, recall and precision."""
    chosen: list[dict[str, Any]] = []
    with (STARTER / "manifest.jsonl").open(encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    plain = [r for r in rows if 1.2 < r["duration"] < 4 and r["text"][-1:] == "." and r["text"][0].isupper()
             and len(r["text"]) > 12 and not any(c.isdigit() for c in r["text"])]  # fmt: skip
    seen: set[str] = set()
    for row in sorted(plain, key=lambda r: r["source_sha256"]):
        if row["text"] not in seen and row["source_sha256"] not in seen:
            seen |= {row["text"], row["source_sha256"]}
            row = {k: v for k, v in row.items() if not k.startswith("source_") and k != "split"}
            chosen.append({**row, "path": str(STARTER / row["audio_filepath"])})
    chosen = chosen[: 2 * per_flaw * len([*SOUND, *TEXT])]
    clean = [{**row, "id": f"clip-{i:03d}", "audio_filepath": row["path"]} for i, row in enumerate(chosen)]
    before = found_by(
        import_source(write_manifest(folder / "a" / "m.jsonl", clean), folder / "ca", name="clean",
                      audio_roots=[STARTER]))  # fmt: skip
    (folder / "b").mkdir()
    flawed, planted = rows_with_flaws(chosen, folder / "b", per_flaw, before)
    after = found_by(
        import_source(write_manifest(folder / "b" / "m.jsonl", flawed), folder / "cb", name="flawed")
    )
    return score(planted, before, after)


@needs_sox
def test_planted_flaws_are_found(tmp_path: Path) -> None:
    result = planted_and_found(tmp_path, PER_FLAW)
    assert {r["planted"] for r in result.values()} == {PER_FLAW}
    weak = {flaw: r for flaw, r in result.items() if r["recall"] < 0.75 or (r["precision"] or 0) < 0.75}
    assert not weak, json.dumps(weak)
    assert sum(r["recall"] for r in result.values()) / len(result) >= 0.95


def write_evidence(name: str, facts: dict[str, Any]) -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=EVIDENCE, capture_output=True, text=True)
    held = {"commit": commit.stdout.strip(), "date": datetime.now(UTC).date().isoformat(), **facts}
    text = json.dumps(held, ensure_ascii=False, indent=1) + "\n"
    (EVIDENCE / name).write_text(text, encoding="utf-8")


@pytest.mark.soak
@needs_sox
def test_planted_flaws_as_evidence(tmp_path: Path) -> None:
    """Twelve clips a rule; writes ``docs/evidence/planted.json``."""
    result = planted_and_found(tmp_path, 12)
    write_evidence("planted.json", {"planted_per_rule": 12, "rules": result})
    assert all(r["planted"] == 12 for r in result.values())
    assert sum(r["recall"] for r in result.values()) / len(result) >= 0.95


@pytest.mark.soak
def test_the_flaws_of_the_starter_corpus_are_listed(tmp_path: Path) -> None:
    """What the rules find in the starter corpus; writes ``docs/evidence/starter_flaws.json``."""
    corpus = import_source(STARTER / "manifest.jsonl", tmp_path / "c", name="starter")
    signal.scan(corpus)
    findings = checks.run_checks(corpus)
    rows = checks.summary(findings)
    examples = findings.groupby("rule")["id"].apply(lambda ids: list(ids[:3])).to_dict()
    rules = {
        row["rule"]: {"severity": row["severity"], "utterances": row["utterances"], "reason": row["reason"],
                      "first": examples[row["rule"]]}
        for row in rows.to_dict("records")
    }  # fmt: skip
    write_evidence("starter_flaws.json", {"utterances": len(corpus), "rules": rules})
    assert {"digits", "no_final_mark", "duplicate_audio"} <= set(rules)
