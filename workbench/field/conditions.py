"""Noise and line: what callers in the street and on the telephone lose, by locale.

Every clip is read again under each pair of signal-to-noise ratio and band (``recognizer.conditions``); the
errors, empty outputs and punctuation of each locale stand side by side. Clips and noise are the same from
condition to condition, so that a difference between two of them is the condition's.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from workbench.cluster import check_engine, connected
from workbench.corpus.review.origins import references
from workbench.errors import WorkbenchError
from workbench.evaluation import readings, score_predictions
from workbench.evaluation.shown import enough_cell, share_cell
from workbench.evaluation.tables import as_table
from workbench.field.simulated_log import in_conditions
from workbench.plain_values import plain
from workbench.recognizer.conditions import Condition
from workbench.shown import Cell, Shown, show, text_cell
from workbench.signatures import public
from workbench.views import view
from workbench.workspace import json_store

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from workbench.corpus.query.table import Corpus
    from workbench.recognizer.checkpoint import Checkpoint

log = logging.getLogger("workbench.field.conditions")
SCHEMA_VERSION = 1
SNR_DB: tuple[float | None, ...] = (None, 20.0, 10.0, 5.0, 0.0)
BANDS = ("wide", "telephone")
COLUMNS = (
    "locale", "band", "snr_db", "utterances", "speakers", "rate", "low", "high", "enough", "empty",
    "empty_share", "marks", "mark_error_rate", "mark_low", "mark_high",
)  # fmt: skip


_COLUMNS: dict[str, Cell] = {
    "locale": text_cell("locale"),
    "line": lambda r: "telephone" if r["band"] == "telephone" else "wide band",
    "noise": lambda r: "none added" if r["snr_db"] != r["snr_db"] else f"{r['snr_db']:g} dB SNR",
    "error rate": share_cell("rate"),
    "empty outputs": share_cell("empty_share"),
    "data": enough_cell,
}


def _hardest(table: pd.DataFrame) -> str:
    """What the worst condition costs, where enough was said to tell."""
    if not len(table):
        return "Nothing was measured yet."
    clean = table[(table["band"] == "wide") & table["snr_db"].isna()].set_index("locale")["rate"]
    told = table[(table["enough"] != "no") & table["rate"].notna()]
    lost = told["rate"] - told["locale"].map(clean.to_dict()).astype(float)
    counted = f"{len(table):,} conditions measured"
    if not len(told):
        return f"{counted}: not enough data in any locale."
    if not lost.notna().any():
        worst = told.loc[told["rate"].idxmax()].to_dict()
        return (
            f"{counted}, clean wide-band speech is not among them, so what a condition costs cannot be told; "
            f"the highest rate is {_named(worst)}: {readings.percent(worst['rate'])} wrong."
        )
    if not (lost > 0).any():
        return f"{counted}: no condition loses against clean speech."
    row = told.loc[lost.idxmax()].to_dict()
    return (
        f"Most is lost by {_named(row)}: "
        f"{readings.percent(float(clean[row['locale']]))} to {readings.percent(row['rate'])} wrong."
    )


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['locale']} on the {_COLUMNS['line'](row)}, noise {_COLUMNS['noise'](row)}"


@public
@dataclass
class ConditionSweep:
    """What was left under each condition.

    Attributes:
        asked: checkpoint, clips (their digest), noise, look-ahead, prompt mode, normalizer, seed.
        table: a row per locale, band and ratio: ``locale``; ``band`` ('wide' or 'telephone'); ``snr_db``
            (NaN: no noise added); ``utterances, speakers``; ``rate, low, high`` of errors with ``enough`` as
            :meth:`Evaluation.rates` has them; ``empty`` outputs, their share ``empty_share``; ``marks`` and
            ``mark_error_rate, mark_low, mark_high`` as :meth:`Evaluation.punctuation_rates` has them.
            Shares are fractions, NaN where there is nothing to share.
        status: 'running', 'complete' or 'cancelled'.
    """

    asked: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    status: str = "running"

    @property
    def table(self) -> Shown:
        """A row per locale, band and ratio; see the class."""
        frame = as_table(self.rows, COLUMNS)
        numbers = [c for c in COLUMNS if c not in ("locale", "band", "enough")]
        frame[numbers] = frame[numbers].astype(float)
        whole = ["utterances", "speakers", "empty", "marks"]
        frame[whole] = frame[whole].astype(int)
        bands = frame["band"].map({band: place for place, band in enumerate(BANDS)})
        order = frame.assign(_band=bands, _snr=-frame["snr_db"].fillna(float("inf")))
        table = frame.loc[order.sort_values(["locale", "_band", "_snr"]).index].reset_index(drop=True)
        return show(table, _hardest(table), _COLUMNS)

    def __str__(self) -> str:
        return str(self.table)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table._repr_html_()

    def has(self, band: str, snr_db: float | None) -> bool:
        """Whether a condition was measured already."""
        return any((row["band"], row["snr_db"]) == (band, snr_db) for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything that was measured, as JSON can hold it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "status": self.status,
            "asked": self.asked,
            "rows": self.rows,
        }

    def save(self, path: Path) -> Path:
        """Write the JSON: whole or not at all. It holds figures only, no text and no names of clips."""
        return json_store.write(path, self.to_dict())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a JSON of :meth:`save`, finished or not.

        Raises:
            WorkbenchError: not such a file, or of a newer schema.
        """
        with json_store.reading(path, "a sweep of conditions", SCHEMA_VERSION) as held:
            rows = [{name: row[name] for name in COLUMNS} for row in held["rows"]]
            return cls(held["asked"], rows, held["status"])

    def chart(self, *, title: str = "") -> go.Figure:
        """Errors, empty outputs and punctuation against noise: a row per locale, a line per band.

        Raises:
            WorkbenchError: nothing was measured yet.
        """
        return view("conditions_figures").conditions_panels(self, title=title)


def sweep_conditions(
    checkpoint: Checkpoint,
    corpus: Corpus,
    *,
    snr_db: Iterable[float | None] = SNR_DB,
    bands: Sequence[str] = BANDS,
    noise: str = "street",
    lookahead_ms: int | None = None,
    prompt_mode: str = "langID",
    normalizer: str = "basic",
    seed: int = 0,
    runtime: str = "auto",
    out: Path | None = None,
    engine: str = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ConditionSweep:
    """Read a view's clips under every pair of ratio and band.

    Args:
        snr_db: speech to noise; None adds no noise. ``noise``: 'white', 'pink' or 'street'.
        bands: 'wide': as recorded; 'telephone': 300–3400 Hz at 8 kHz through G.711.
        lookahead_ms: None is the checkpoint's default. ``runtime``: as ``transcribe``.
        out: JSON file, written anew after every condition; asked for the same again, only what is missing is
            measured.
        engine: 'local', or 'ray': clips are read on a cluster, at ``address`` (see
            :func:`workbench.cluster.over_ray`); the figures are the same.
        progress: called with (done, total) clips. ``cancel``: asked before each batch; conditions measured
            before are kept and ``status`` says 'cancelled'. An interrupt does the same to ``out``, and is
            raised on.

    Raises:
        WorkbenchError: no clips, an unknown band or noise, the engine's, or what ``transcribe`` raises.
    """
    check_engine(engine, address)
    conditions = {
        (band, ratio): _condition(ratio, band, noise, seed)
        for band in dict.fromkeys(bands)
        for ratio in dict.fromkeys(None if db is None else float(db) for db in snr_db)
    }
    clips, ids = references(corpus), corpus.ids()
    if not ids or not conditions:
        raise WorkbenchError("no clips or no conditions", where="sweep", hint="Give a view with utterances.")
    settings = {"noise": noise, "lookahead_ms": lookahead_ms, "prompt_mode": prompt_mode,
                "normalizer": normalizer, "seed": seed}  # fmt: skip
    if runtime != "auto":  # a sweep in another runtime is another question
        settings["runtime"] = runtime
    sweep = _begun(_asked(checkpoint, ids) | settings, out)
    read = partial(
        in_conditions, checkpoint, corpus, lookahead_ms=lookahead_ms, prompt_mode=prompt_mode,
        runtime=runtime, engine=engine, address=address, cancel=cancel,
    )  # fmt: skip
    try:
        with connected(engine, address):
            for place, ((band, ratio), condition) in enumerate(conditions.items()):
                if sweep.has(band, ratio):
                    continue
                if cancel is not None and cancel():
                    sweep.status = "cancelled"
                    break
                onward = _onward(progress, place * len(ids), len(conditions) * len(ids))
                sweep.rows += _rows(clips, read(condition, progress=onward), band, ratio, normalizer)
                if out is not None:
                    sweep.save(out)
            else:
                sweep.status = "complete"
    except WorkbenchError:
        if cancel is None or not cancel():
            raise
        sweep.status = "cancelled"
        log.info("cancelled after %d rows, which are kept", len(sweep.rows))
    except KeyboardInterrupt:
        sweep.status = "cancelled"
        raise
    finally:
        if out is not None:
            sweep.save(out)
    return sweep


def _asked(checkpoint: Checkpoint, ids: Sequence[str]) -> dict[str, Any]:
    """What was read by what: a sweep goes on only where all of it is the same."""
    return {
        "checkpoint_sha256": checkpoint.sha256,
        "clips": len(ids),
        "clips_sha256": hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest(),
    }


def _condition(ratio: float | None, band: str, noise: str, seed: int) -> Condition:
    if band not in BANDS:
        raise WorkbenchError(f"unknown band {band!r}", where="sweep", hint=f"Use {' or '.join(BANDS)}.")
    if noise == "babble":
        raise WorkbenchError("babble needs other voices", where="sweep", hint="Use white, pink or street.")
    return Condition(snr_db=ratio, noise=noise, telephone=band == "telephone", seed=seed)  # type: ignore[arg-type]


def _begun(asked: dict[str, Any], out: Path | None) -> ConditionSweep:
    """The sweep of an earlier call of the same question, or a new one."""
    if out is not None and out.exists():
        earlier = ConditionSweep.load(out)
        if earlier.asked == asked:
            earlier.status = "running"
            return earlier
    return ConditionSweep(asked)


def _onward(
    progress: Callable[[int, int], None] | None, before: int, total: int
) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)


def _rows(
    clips: pd.DataFrame, heard: pd.DataFrame, band: str, ratio: float | None, normalizer: str
) -> list[dict[str, Any]]:
    """The table's rows of one condition; plain values, None for what is not known."""
    scored = score_predictions(clips, {"heard": heard}, by=("target_lang",), normalizer=normalizer)
    marks = scored.punctuation_rates("heard", "target_lang").set_index("target_lang")
    found = []
    for rate in scored.rates("heard", "target_lang").to_dict("records"):
        locale = rate["target_lang"]
        marked = marks.loc[locale] if locale in marks.index else {}
        row = {
            "locale": locale,
            "band": band,
            "snr_db": ratio,
            **{name: rate[name] for name in ("utterances", "speakers", "rate", "low", "high", "enough")},
            "empty": rate["empty_hypotheses"],
            "empty_share": rate["empty_hypotheses"] / rate["utterances"],
            "marks": marked.get("marks", 0),
            "mark_error_rate": marked.get("rate"),
            "mark_low": marked.get("low"),
            "mark_high": marked.get("high"),
        }
        found.append({name: plain(value) for name, value in row.items()})
    return found
