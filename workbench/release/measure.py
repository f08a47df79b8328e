"""Latency and memory of a checkpoint that streams, measured in a process of its own.

A fresh process, because memory of a notebook kernel says nothing about a service, and because the first
minutes of a kernel's life leave caches behind. Run as ``python -m workbench.release.measure JSON``.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.files import sha256_file
from workbench.glance import Glance, as_html, as_text
from workbench.ingest.audio import CHANNEL_COLUMNS, Roots, read_row, roots_of
from workbench.machine import child_environment
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.streaming import play
from workbench.recognizer.words import WordClock

log = logging.getLogger("workbench.release.measure")


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one process measured.

    Attributes:
        latency_p50_ms, latency_p95_ms: from the end of a word's last token to the emission of the chunk in
            which the word got its final text; one session, nothing else running.
        words: how many words that rests on.
        real_time_factor: compute time over audio time.
        memory_mib: peak resident memory of the process while it streams, NeMo included; on a GPU the host's
            part alone. ``loading_mib``: the peak up to then, which loading the checkpoint needs for a while.
        weights_mib: of the checkpoint's weights in fp32.
    """

    checkpoint_sha256: str
    lookahead_ms: int
    latency_p50_ms: float
    latency_p95_ms: float
    words: int
    audio_s: float
    real_time_factor: float
    memory_mib: float
    machine: str
    loading_mib: float = 0.0
    weights_mib: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def _glance(self) -> Glance:
        said = (
            f"At {self.lookahead_ms} ms a word has its final text {self.latency_p50_ms:,.0f} ms after its "
            f"end (median), {self.latency_p95_ms:,.0f} ms at the 95th percentile; "
            f"{self.memory_mib:,.0f} MiB while it streams."
        )
        rows = [
            ("computing for a second of audio", f"{self.real_time_factor:.3f} s"),
            ("words measured", f"{self.words:,} in {self.audio_s:,.0f} s of audio"),
            ("memory to load", f"{self.loading_mib:,.0f} MiB"),
            ("weights", f"{self.weights_mib:,.0f} MiB"),
            ("machine", self.machine),
        ]
        return Glance(said, ("what", "measured"), rows)

    __repr__, _repr_html_ = as_text, as_html


def measure(
    checkpoint: Path,
    rows: Iterable[Mapping[str, Any]],
    audio_root: Roots,
    lookahead_ms: int,
    timeout_s: float = 3600,
) -> Measurement:
    """Stream clips through one session each and take times.

    Args:
        checkpoint: a ``.nemo`` file.
        rows: utterance rows; ``audio_filepath`` relative to ``audio_root``, ``target_lang`` as the prompt.
        lookahead_ms: one of the checkpoint's.

    Raises:
        WorkbenchError: the process failed; the message ends as its log does.
    """
    kept = ("audio_filepath", "offset", "duration", *CHANNEL_COLUMNS, "target_lang")
    job = {
        "checkpoint": str(Path(checkpoint).absolute()),
        "audio_roots": roots_of(audio_root),
        "lookahead_ms": lookahead_ms,
        "rows": [{name: row.get(name) for name in kept} for row in rows],
    }
    done = subprocess.run(
        [sys.executable, "-m", "workbench.release.measure"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=child_environment(PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
        check=False,
    )
    if done.returncode != 0:
        tail = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise WorkbenchError(f"measuring failed: {tail[0][:200]}", where=Path(checkpoint).name)
    return Measurement(**json.loads(done.stdout.strip().splitlines()[-1]))


def _main() -> int:
    job = json.load(sys.stdin)
    checkpoint = Checkpoint.open(job["checkpoint"])
    delays: list[float] = []
    audio_s = compute_s = loading_mib = 0.0
    for number, row in enumerate([job["rows"][0], *job["rows"]]):
        pcm, rate = read_row(row, job["audio_roots"])
        events = play(checkpoint, pcm, rate, row["target_lang"] or "auto", job["lookahead_ms"])
        if number == 0:
            # Warm-up: the first clip pays for loading and for lazy allocation.
            loading_mib = _peak_mib()
            _forget_peak()
            continue
        audio_s += len(pcm) / rate
        compute_s += sum(event.compute_s for event in events)
        clock = WordClock()
        for event in events:
            clock.hear(event.words, event.final_words, event.emission_s)
        delays += [1000 * late_s for late_s in clock.late_s(events[-1].words)]
    p50, p95 = (float(np.percentile(delays, q)) if delays else 0.0 for q in (50, 95))
    found = Measurement(
        checkpoint_sha256=sha256_file(checkpoint.path),
        lookahead_ms=job["lookahead_ms"],
        latency_p50_ms=p50,
        latency_p95_ms=p95,
        words=len(delays),
        audio_s=audio_s,
        real_time_factor=compute_s / audio_s if audio_s else 0.0,
        memory_mib=_peak_mib(),
        loading_mib=loading_mib,
        weights_mib=checkpoint.info.memory_bytes / (1 << 20),
        machine=f"{platform.machine()} with {os.cpu_count()} CPUs",
    )
    sys.stdout.write(json.dumps(found.to_dict()) + "\n")
    return 0


def _peak_mib() -> float:
    """Peak resident memory since the process began, or since :func:`_forget_peak`."""
    try:
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass  # not Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _forget_peak() -> None:
    """Begin a new peak with what is held now; where the system cannot, the peak of loading stays in it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        log.warning("the peak of memory includes loading: this system does not forget it")


if __name__ == "__main__":
    sys.exit(_main())
