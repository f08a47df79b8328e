"""The microphone of the person at the browser: speak, and watch the transcript come.

Audio is captured in the browser (an AudioWorklet) and fed to a session in a lane of its own; each block is
answered with what is on screen after it, so the browser can measure from capture to paint.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from workbench.corpus.review.recordings import keep_take, take_row, withdraw_take, write_sound
from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.ingest.purposes import PURPOSES
from workbench.locales import AUTO, LOCALES
from workbench.privacy.suppression_list import erased_before
from workbench.signatures import public
from workbench.widgets import assets
from workbench.widgets.channel import LiveWidget, answers
from workbench.widgets.static import MUTED, box, escape
from workbench.workspace.roles import workspace_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.corpus.query.table import Corpus
    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.streaming import Session

log = logging.getLogger("workbench.widgets.microphone")
LONGEST_S = 600.0
CONSENT = "given by the speaker at the microphone"


@public
class Microphone(LiveWidget):
    """Live recognition of one voice at a time.

    Args:
        checkpoint: the recognizer.
        corpus: takes that are kept join it as rows.
        recordings: without a corpus, a folder for them and their ``manifest.jsonl``, which an import reads.
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
        recordings: str | Path | None = None,
        locale: str = AUTO,
        lookahead_ms: int | None = None,
        runtime: str = "auto",
    ) -> None:
        self.checkpoint, self.runtime = checkpoint, runtime
        self.corpus = corpus.whole if corpus is not None else None
        self.takes = Path(recordings) if recordings is not None else None
        self._session: Session | None = None
        self._blocks: list[NDArray[np.int16]] = []
        self._early: dict[int, NDArray[np.int16]] = {}
        self._fed = 0
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
                "can_save": corpus is not None or recordings is not None,
                "corpus": corpus.name if corpus is not None else "",
                "purposes": [" ".join(PURPOSES), *PURPOSES],
                "longest_s": LONGEST_S,
            }
        )

    @answers("start", queue="session")
    def _start(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """A fresh session; the first loads the model. The microphone opens once this is answered."""
        self._settings = {"locale": str(body["locale"]), "lookahead_ms": int(body["lookahead_ms"])}
        self._session = self.checkpoint.session(**self._settings, runtime=self.runtime)
        self._blocks, self._early, self._fed = [], {}, 0
        return {}

    @answers("pcm", queue="session")
    def _pcm(self, body: dict[str, Any], buffers: list[memoryview]) -> dict[str, Any]:
        """One block of 16-bit samples; answered with the state after it.

        ``number``: its place in the take, from 1. One that overtook another on the way waits for it.
        """
        if self._session is None:
            raise WorkbenchError("nothing is being recorded", hint="Press record.")
        self._rate = int(body["sample_rate"])
        number = int(body.get("number") or self._fed + 1)
        self._early[number] = np.frombuffer(buffers[0], dtype="<i2").copy()
        shown: dict[str, Any] = {}
        while (block := self._early.pop(self._fed + 1, None)) is not None:
            self._blocks.append(block)
            self._fed += 1
            shown = self._shown(self._session.feed(block, self._rate))
        return shown or self._shown([])

    @answers("stop", queue="session")
    def _stop(self, _body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        if self._session is None:
            return {}
        return self._shown(self._session.finish())

    @answers("save", queue="session")
    def _save(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Keep the take; only with consent, and what for."""
        if body.get("consent") is not True:
            raise WorkbenchError("the speaker has not consented", hint="Tick the box, or discard the take.")
        given = {name: str(body.get(name) or "") for name in ("text", "locale", "speaker", "purpose")}
        row = self.keep(**given)
        told = {name: given[name] for name in ("locale", "speaker", "purpose")}
        self.saved = [*self.saved, {"id": row["id"], "text": row["text"], **told}]
        return {
            "id": row["id"],
            "corpus": self.corpus.name if self.corpus is not None else "",
            "folder": str(self.takes),
        }

    @answers("discard", queue="session")
    def _discard(self, _body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Forget what was recorded; nothing of it was ever written."""
        self._blocks = []
        return {}

    @answers("withdraw", queue="session")
    def _withdraw(self, body: dict[str, Any], _buffers: list[memoryview]) -> dict[str, Any]:
        """Take back a take that was kept here."""
        id = str(body["id"])
        if self.corpus is None or id not in [take["id"] for take in self.saved]:
            raise WorkbenchError("this take was not kept here", where=id[:80])
        withdraw_take(self.corpus, id)
        self.saved = [take for take in self.saved if take["id"] != id]
        return {}

    def take(self) -> tuple[NDArray[np.int16], int]:
        """The samples of the last take, (n,), and their rate; none once it was kept or discarded."""
        return (np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int16)), self._rate

    def keep(self, text: str, locale: str, purpose: str, speaker: str = "") -> dict[str, Any]:
        """Keep the last take, as its speaker agreed: a row of the corpus, or a file and its manifest line.

        Args:
            text: what was said; ``locale``: its tag.
            purpose: what the speaker agreed to: ``training``, ``testing``, or both with a space between.
            speaker: a code name, or empty.

        Returns:
            the row.

        Raises:
            WorkbenchError: nothing was recorded, the locale is not one of the checkpoint's, the speaker was
                erased from the workspace, or the user may not add to it.
        """
        pcm, rate = self.take()
        if self.corpus is None and self.takes is None:
            raise WorkbenchError("nowhere to keep a take", hint="Pass corpus=… or takes=… to the microphone.")
        if len(pcm) and (locale not in self.choices["locales"] or locale == AUTO):
            raise WorkbenchError("a kept take needs its locale", hint="Choose the locale that was spoken.")
        said = {"text": text, "locale": locale, "speaker": speaker, "purpose": purpose, "consent": CONSENT}
        row = take_row(len(pcm), rate, **said)
        if self.corpus is not None:
            _refuse_erased(self.corpus, row)
            row = keep_take(self.corpus, pcm, rate, row)
        else:
            assert self.takes is not None
            write_sound(self.takes / f"{row['id']}.wav", pcm, rate)
            row["audio_filepath"] = f"{row['id']}.wav"
            manifest = self.takes / "manifest.jsonl"
            before = manifest.read_text("utf-8") if manifest.exists() else ""
            write_atomic(manifest, before + json.dumps(row, ensure_ascii=False) + "\n")
        self._blocks = []
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


def _refuse_erased(corpus: Corpus, row: dict[str, Any]) -> None:
    home = workspace_of(corpus.folder)
    if home is not None and erased_before(home, [{**row, "audio_filepath": ""}])[0]:
        raise WorkbenchError(
            "this speaker's recordings, or all takes, were erased from the workspace and stay out",
            hint="If the speaker agrees anew, use another code name.",
        )
