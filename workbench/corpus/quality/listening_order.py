"""What to hear first: the minutes that a reviewer has, spent where they find most."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.corpus.quality.text_checks import disagreement
from workbench.errors import WorkbenchError
from workbench.workspace.calibration import Line, line_of

if TYPE_CHECKING:
    from workbench.corpus.query.view import View

WEIGHTS = {"error": 3.0, "warning": 1.0, "info": 0.2}
"""A finding's weight by severity; ours, to be adjusted to what reviewers find."""
DISAGREEMENT, UNSURE, RARE = 2.0, 1.0, 0.5
OVERHEAD_S = 6.0
"""What a decision takes beside listening once; measured decisions replace it when a board records them."""
UNKNOWN_S = 5.0
"""What a clip whose length nobody states is taken to last."""
_RARE_SHARE = 0.05
DOUBT = 0.6
"""Confidence of a word below which it is in doubt, where its checkpoint was not calibrated: on the starter
that flags three words of five, and four of five wrong ones; ``ws.calibrate`` fits it for yours."""


def order(
    corpus: View,
    findings: pd.DataFrame | None = None,
    predictions: pd.DataFrame | None = None,
    minutes: float | None = None,
) -> pd.DataFrame:
    """Rank the pending clips of a view by what hearing them is worth per minute.

    Args:
        corpus: the rows; decided ones are left out.
        findings: of ``run_checks``; each adds the weight of its severity, a rule once per clip.
        predictions: ``id``, ``hypothesis`` or its ``error_rate``, and ``low_confidence`` (share of words
            below a line, see :func:`read_prediction`) or ``confidence`` (0 to 1); disagreement and
            doubt add up to 2 and 1.
        minutes: stop when the reviewer's time is used up.

    Returns:
        DataFrame ``id, score, value_per_minute, why, duration, minutes`` (cumulative), best first. Clips of
        equal worth alternate between locales, so that a short session hears all of them.
    """
    rows = corpus.where("status = 'pending'").frame(["id", "duration", "target_lang", "accent", "text"])
    return ranked(rows, findings, with_error_rates(rows, predictions), minutes)


def ranked(
    rows: pd.DataFrame,
    findings: pd.DataFrame | None = None,
    predictions: pd.DataFrame | None = None,
    minutes: float | None = None,
) -> pd.DataFrame:
    """The same for rows at hand: ``id``, ``duration`` in seconds, ``target_lang`` and ``accent``."""
    rows = rows.copy()
    score: dict[str, float] = defaultdict(float)
    why: dict[str, list[str]] = defaultdict(list)
    if findings is not None:
        for row in findings.drop_duplicates(["id", "rule"]).to_dict("records"):
            score[row["id"]] += WEIGHTS.get(row["severity"], 0.0)
            why[row["id"]].append(row["rule"])
    for id_, added, reason in _by_model(predictions):
        score[id_] += added
        why[id_].append(reason)
    for id_ in _rare(rows):
        score[id_] += RARE
        why[id_].append("rare locale or accent")
    # Most clips have nothing said of them; only the others are gone through one by one.
    said = rows["id"].isin(list(score)).to_numpy()
    ids = rows.loc[said, "id"].tolist()
    scores, reasons = np.zeros(len(rows)), np.full(len(rows), "", object)
    scores[said] = [round(score[id_], 4) for id_ in ids]
    reasons[said] = [", ".join(why[id_]) for id_ in ids]
    rows["score"], rows["why"] = scores, reasons
    seconds = rows["duration"].fillna(UNKNOWN_S) + OVERHEAD_S
    rows["value_per_minute"] = (rows["score"] / (seconds / 60)).round(4)
    rows["turn"] = rows.groupby(["target_lang", "value_per_minute"], dropna=False).cumcount()
    rows = rows.sort_values(["value_per_minute", "turn", "id"], ascending=[False, True, True])
    rows["minutes"] = (seconds.loc[rows.index].cumsum() / 60).round(3)
    if minutes is not None:
        rows = rows[rows["minutes"] <= minutes]
    columns = ["id", "score", "value_per_minute", "why", "duration", "minutes"]
    return pd.DataFrame(rows[columns]).reset_index(drop=True)


def given_or_fitted(corpus_folder: Path, prediction: pd.DataFrame, given: float | None = None) -> Line:
    """The confidence below which words of a prediction are uncertain: what is given, else what was fitted for
    its checkpoint, else :data:`DOUBT`.

    Raises:
        WorkbenchError: what is given is no confidence.
    """
    if given is not None:
        if not 0 <= given <= 1:
            raise WorkbenchError(f"uncertain={given}", hint="A confidence, 0 to 1.")
        return Line(float(given), "as given")
    stated = prediction.get("checkpoint_sha256", pd.Series(dtype=object)).dropna().unique()
    home = corpus_folder.parent.parent
    reports = home / "reports" if corpus_folder.parent.name == "corpora" else None
    return line_of(reports, stated[0] if len(stated) == 1 else None, DOUBT)


def read_prediction(path: Path, doubt: float | None = None) -> pd.DataFrame:
    """A prediction as the order takes it: ``id, hypothesis, detected_lang, confidence``, where they are kept
    ``spans``, and ``low_confidence``: the share of words whose confidence is below ``doubt``.
    ``attrs["line"]`` says which that is.

    Args:
        path: in the folder ``predictions`` of its corpus.
        doubt: default: see :func:`given_or_fitted`.
    """
    kept = pq.read_schema(path).names
    columns = ("id", "hypothesis", "detected_lang", "confidence", "spans", "words", "checkpoint_sha256")
    table = pq.read_table(path, columns=[name for name in columns if name in kept])
    frame = table.drop_columns(["words"] if "words" in table.column_names else []).to_pandas()
    line = given_or_fitted(path.parent.parent, frame, doubt)
    frame = frame.drop(columns="checkpoint_sha256", errors="ignore")
    frame.attrs["line"] = line
    if "words" not in table.column_names:
        return frame
    words = table.column("words").combine_chunks()
    if isinstance(words, pa.ChunkedArray):
        words = pa.concat_arrays(words.chunks) if words.num_chunks else pa.array([], words.type)
    owners = pc.list_parent_indices(words).to_numpy(zero_copy_only=False)
    sure = pc.struct_field(pc.list_flatten(words), "confidence").to_numpy(zero_copy_only=False)
    known = np.isfinite(sure.astype(float))
    counts = np.bincount(owners[known], minlength=len(frame))
    low = np.bincount(owners[known], weights=sure[known] < line.below, minlength=len(frame))
    with np.errstate(invalid="ignore", divide="ignore"):
        frame["low_confidence"] = low / counts
    return frame


def with_error_rates(rows: pd.DataFrame, predictions: pd.DataFrame | None) -> pd.DataFrame | None:
    """Predictions of these rows with ``error_rate``, characters over what stands in ``text``, where it is
    not there yet."""
    if predictions is None or "error_rate" in predictions or "hypothesis" not in predictions:
        return predictions
    texts = {row["id"]: (row["text"], row["target_lang"]) for row in rows.to_dict("records")}
    found = predictions[predictions["id"].isin(list(texts))].copy()
    found["error_rate"] = [
        disagreement(*texts[id_], hypothesis)
        for id_, hypothesis in zip(found["id"], found["hypothesis"], strict=True)
    ]
    return found


def _by_model(predictions: pd.DataFrame | None) -> list[tuple[str, float, str]]:
    if predictions is None:
        return []
    line = predictions.attrs.get("line")
    below = "" if line is None else f" (confidence below {line.below:g})"
    found = []
    for row in predictions.to_dict("records"):
        rate, sure, doubt = row.get("error_rate"), row.get("confidence"), row.get("low_confidence")
        if isinstance(rate, float) and rate == rate and rate > 0:
            found.append((row["id"], DISAGREEMENT * min(1.0, rate), "the model disagrees"))
        if isinstance(doubt, float) and doubt == doubt:
            if doubt > 0:
                why = f"{100 * doubt:.0f} % of words in doubt{below}"
                found.append((row["id"], UNSURE * min(1.0, doubt), why))
        elif isinstance(sure, float) and 0 <= sure < 0.9:
            found.append((row["id"], UNSURE * (1 - sure), "the model is unsure"))
    return found


def _rare(rows: pd.DataFrame) -> list[str]:
    """Clips of the locales and accents that make up less than a twentieth of what is pending."""
    if rows.empty:
        return []
    sizes = rows.groupby(["target_lang", "accent"], dropna=False)["id"].transform("size")
    return list(rows.loc[sizes < _RARE_SHARE * len(rows), "id"])
