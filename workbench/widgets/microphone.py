"""The microphone of the person at the browser: speak, and watch the transcript come.

Audio is captured in the browser (an AudioWorklet) and fed to a session in a lane of its own; each block is
answered with what is on screen after it, so the browser can measure from capture to paint.
"""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

from workbench.errors import WorkbenchError
from workbench.locales import AUTO, LOCALES
from workbench.widgets import assets
from workbench.widgets.audio import wav_bytes
from workbench.widgets.channel import LiveWidget, answers
from workbench.widgets.static import MUTED, box, escape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.corpus.table import Corpus
    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.streaming import Session

log = logging.getLogger("workbench.widgets.microphone")
LONGEST_S = 600.0
CONSENT = "given by the speaker at the microphone"


class Microphone(LiveWidget):
    """Live recognition of one voice at a time.

    Args:
        checkpoint: the recogniser.
        corpus: takes are kept in its folder, under ``takes/``; ``takes``: another folder for them.
        locale: ``auto`` or a tag; ``lookahead_ms``: the checkpoint's default if None.
    """

    _esm = assets.module("microphone.js")
    _css = assets.style("playback.css", "microphone.css")

    choices = traitlets.Dict().tag(sync=True)
    saved = traitlets.List().tag(sync=True)

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        corpus: Corpus | None = None,
        takes: str | Path | None = None,
        locale: str = AUTO,
        lookahead_ms: int | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.takes = (
            Path(takes) if takes is not None else corpus.folder / "takes" if corpus is not None else None
        )
        self._session: Session | None = None
        self._blocks: list[NDArray[np.int16]] = []
        self._rate = 0
        self._settings: dict[str, Any] = {}
        tags = [tag for tag in checkpoint.info.locales if tag != AUTO]
        super().__init__(
            choices={
                "locales": [AUTO, *tags],
                "names": {tag: LOCALES[tag].name for tag in tags if tag in LOCALES},
                "lookaheads_ms": sorted(checkpoint.info.lookaheads_ms),
                "locale": locale,
                "lookahead_ms": lookahead_ms or checkpoint.info.default_lookahead_ms,
                "can_save": self.takes is not None,
                "longest_s": LONGEST_S,
            }
        )

    @answers("start", lane="session")
    def _start(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """A fresh session; the first loads the model. The microphone opens once this is answered."""
        self._settings = {"locale": str(body["locale"]), "lookahead_ms": int(body["lookahead_ms"])}
        self._session = self.checkpoint.session(**self._settings)
        self._blocks = []
        return {}

    @answers("pcm", lane="session")
    def _pcm(self, body: dict[str, Any], buffers: list[memoryview]) -> dict[str, Any]:
        """One block of 16-bit samples, in order; answered with the state after it."""
        import numpy as np

        if self._session is None:
            raise WorkbenchError("no take is going", mend="Press record.")
        self._rate = int(body["sample_rate"])
        block = np.frombuffer(buffers[0], dtype="<i2").copy()
        self._blocks.append(block)
        return self._shown(self._session.feed(block, self._rate))

    @answers("stop", lane="session")
    def _stop(self, _body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        if self._session is None:
            return {}
        return self._shown(self._session.finish())

    @answers("save", lane="session")
    def _save(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Keep the take: a WAV file and a manifest line. Only with consent."""
        if self.takes is None:
            raise WorkbenchError("nowhere to keep a take", mend="Pass corpus=… or takes=… to the microphone.")
        if body.get("consent") is not True:
            raise WorkbenchError("the speaker has not consented", mend="Tick the box, or discard the take.")
        row = self.keep(
            str(body.get("text") or ""), str(body.get("locale") or ""), str(body.get("speaker") or "")
        )
        self.saved = [*self.saved, {"id": row["id"], "text": row["text"]}]
        return {"id": row["id"], "folder": str(self.takes)}

    def take(self) -> tuple[NDArray[np.int16], int]:
        """The samples of the last take, (n,), and their rate."""
        import numpy as np

        return (np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int16)), self._rate

    def keep(self, text: str, locale: str, speaker: str = "") -> dict[str, Any]:
        """Write the last take and its manifest line; ``import_source`` reads the manifest.

        Raises:
            WorkbenchError: nothing was recorded, or the locale is not one of the checkpoint's.
        """
        import numpy as np

        from workbench.workspace import write_atomic

        pcm, rate = self.take()
        if self.takes is None or not len(pcm):
            raise WorkbenchError("nothing was recorded", mend="Record a take first.")
        if locale not in self.choices["locales"] or locale == AUTO:
            raise WorkbenchError("a kept take needs its locale", mend="Choose the locale that was spoken.")
        stem = f"take-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(3).hex()}"
        self.takes.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(self.takes / f"{stem}.wav", wav_bytes(pcm.astype(np.float32) / np.float32(32768), rate))
        row = {
            "id": stem,
            "audio_filepath": f"{stem}.wav",
            "offset": 0.0,
            "duration": round(len(pcm) / rate, 3),
            "text": " ".join(text.split()),
            "target_lang": locale,
            "lang": locale,
            "speaker": speaker.strip() or None,
            "source": "microphone",
            "consent": CONSENT,
            "recorded_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        manifest = self.takes / "manifest.jsonl"
        before = manifest.read_text("utf-8") if manifest.exists() else ""
        write_atomic(manifest, before + json.dumps(row, ensure_ascii=False) + "\n")
        return row

    def _shown(self, events: list[Any]) -> dict[str, Any]:
        session = self._session
        assert session is not None
        return {
            "final": session.final_transcript,
            "partial": session.partial_transcript,
            "lang": session.detected_lang,
            "chunks": len(events),
            "compute_s": sum(event.compute_s for event in events),
        }

    def static_html(self) -> str:
        takes = "".join(f'<li dir="auto">{escape(take["text"])}</li>' for take in self.saved)
        said = f"<ul>{takes}</ul>" if takes else f'<p style="{MUTED}">No take was kept.</p>'
        return box("<p><b>Microphone</b> (live in JupyterLab)</p>", said, label="Microphone")
