"""Run the rules over a corpus; every finding names its clip, its rule, what is wrong and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench import locales
from workbench.corpus import duplicates, leakage, textchecks
from workbench.corpus.rules import RULES, Rule, chosen
from workbench.corpus.textchecks import Hit

if TYPE_CHECKING:
    import pandas as pd

    from workbench.corpus.table import Corpus

COLUMNS = ("id", "rule", "severity", "reason", "mend", "value")
_SEVERITIES = {"error": 0, "warning": 1, "info": 2}


def run_checks(
    corpus: Corpus,
    rules: Iterable[str] | Mapping[str, Any] | None = None,
    tokenizer: Any = None,
    predictions: pd.DataFrame | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Look for flaws in the rows of a view; rejected rows are looked at too.

    Args:
        corpus: the rows. Rules on sound read ``signal.scan``'s results; scan first.
        rules: which, and with which thresholds; see :func:`workbench.corpus.rules.chosen`.
        tokenizer: of the checkpoint, for the characters that it does not know.
        predictions: ``id``, ``hypothesis``, ``detected_lang``, for the rules against the model.
        progress: called with (groups of rules done, groups in all).

    Returns:
        DataFrame ``id, rule, severity, reason, mend, value``, errors first; ``attrs["not_run"]`` names the
        rules that could not run and what they lack; ``attrs["checked"]`` counts the rows.

    Raises:
        WorkbenchError: an unknown rule.
    """
    import pandas as pd

    wanted = chosen(rules)
    rows = leakage.keyed_rows(corpus)
    extra = corpus.table([n for n in _MORE if n in corpus.columns]).to_pylist()
    for row, more in zip(rows, extra, strict=True):
        row.update(more)
    thresholds = {name: rule.threshold for name, rule in wanted.items() if rule.threshold is not None}
    groups: list[tuple[str, Callable[[], Iterator[Hit]]]] = [
        ("", lambda: textchecks.hits(rows, thresholds)),
        ("", lambda: textchecks.rate_hits(rows, thresholds.get("character_rate", 4.5))),
        ("", lambda: _locale_hits(rows)),
        ("", lambda: _length_hits(rows, thresholds)),
        ("", lambda: _duplicate_hits(rows, wanted)),
        ("", lambda: _leak_hits(corpus, wanted)),
        ("signal", lambda: _signal_hits(corpus, rows, wanted)),
        (
            "tokenizer",
            lambda: textchecks.unknown_hits(rows, tokenizer, thresholds.get("unknown_characters", 0.0)),
        ),
        ("predictions", lambda: _model_hits(rows, predictions, thresholds)),
    ]
    there = {"": True, "signal": (corpus.folder / "signal.parquet").exists(),
             "tokenizer": tokenizer is not None, "predictions": predictions is not None}  # fmt: skip
    found: list[Hit] = []
    for done, (needs, group) in enumerate(groups, 1):
        if there[needs] and any(rule.needs == needs for rule in wanted.values()):
            found += [hit for hit in group() if hit[1] in wanted]
        if progress is not None:
            progress(done, len(groups))
    order = {row["id"]: index for index, row in enumerate(rows)}
    ranks = {name: index for index, name in enumerate(RULES)}
    found.sort(key=lambda hit: (_SEVERITIES[wanted[hit[1]].severity], ranks[hit[1]], order[hit[0]]))
    records = [(id_, name, wanted[name].severity, wanted[name].reason, wanted[name].mend, value)
               for id_, name, value in found]  # fmt: skip
    frame = pd.DataFrame(records, columns=list(COLUMNS))
    frame.attrs["not_run"] = {name: rule.needs for name, rule in wanted.items() if not there[rule.needs]}
    frame.attrs["checked"] = len(rows)
    return frame


def summary(findings: pd.DataFrame) -> pd.DataFrame:
    """Findings by rule: ``rule, severity, utterances, share, reason, method, threshold, source``."""
    import pandas as pd

    checked = findings.attrs.get("checked") or 1
    counts = Counter(findings["rule"])
    rows = [
        (name, rule.severity, counts[name], counts[name] / checked, rule.reason, rule.method, rule.threshold,
         rule.source)
        for name, rule in RULES.items() if counts[name]
    ]  # fmt: skip
    columns = ["rule", "severity", "utterances", "share", "reason", "method", "threshold", "source"]
    return pd.DataFrame(rows, columns=columns)


_MORE = ("lang", "license", "consent", "channel")


def _locale_hits(rows: Sequence[Mapping[str, Any]]) -> Iterator[Hit]:
    for row in rows:
        if not locales.is_known(row["target_lang"]):
            yield row["id"], "unknown_tag", row["target_lang"]
        if row["lang"] is not None and row["lang"] != row["target_lang"]:
            yield row["id"], "lang_differs", row["lang"]
        if row["license"] is None or row["consent"] is None:
            yield row["id"], "terms_missing", "license" if row["license"] is None else "consent"


def _length_hits(rows: Sequence[Mapping[str, Any]], thresholds: Mapping[str, float]) -> Iterator[Hit]:
    for row in rows:
        seconds = row["duration"]
        if seconds is not None and seconds > thresholds.get("too_long", 1e9):
            yield row["id"], "too_long", seconds
        if seconds is not None and seconds < thresholds.get("too_short", 0.0):
            yield row["id"], "too_short", seconds


def _duplicate_hits(rows: Sequence[Mapping[str, Any]], wanted: Mapping[str, Rule]) -> Iterator[Hit]:
    stretches = [
        {"id": row["id"], "key": (row["audio_key"], row["offset"], row["offset"] and row["duration"])}
        for row in rows
    ]
    yield from ((id_, "duplicate_audio", other) for id_, other in duplicates.exact(stretches, "key"))
    yield from ((id_, "duplicate_text", other) for id_, other in duplicates.exact(rows, "sentence_key"))
    rule = wanted.get("near_duplicate_text")
    if rule is not None:
        for id_, other, _ in duplicates.near_texts(rows, rule.threshold or 0.9):
            yield id_, "near_duplicate_text", other


def _leak_hits(corpus: Corpus, wanted: Mapping[str, Rule]) -> Iterator[Hit]:
    import json

    if not {"leak_audio", "leak_sentence", "leak_speaker"} & set(wanted):
        return
    path = corpus.folder / "split.json"
    policy = json.loads(path.read_text(encoding="utf-8"))["speakers"] if path.exists() else "disjoint"
    for row in leakage.find(corpus, policy).to_dict("records"):
        if row["blocks"]:
            yield from ((id_, f"leak_{row['level']}", row["splits"]) for id_ in row["ids"])


def _signal_hits(
    corpus: Corpus, rows: Sequence[Mapping[str, Any]], wanted: Mapping[str, Rule]
) -> Iterator[Hit]:
    from workbench.corpus import soundchecks

    return soundchecks.hits(corpus, rows, wanted)


def _model_hits(
    rows: Sequence[Mapping[str, Any]], predictions: pd.DataFrame | None, thresholds: Mapping[str, float]
) -> Iterator[Hit]:
    if predictions is None:
        return
    by_id = {row["id"]: row for row in predictions.to_dict("records")}
    for row in rows:
        heard = by_id.get(row["id"])
        if heard is None:
            continue
        tag = heard.get("detected_lang")
        if isinstance(tag, str) and str(row["target_lang"]).split("-")[0] != tag.split("-")[0]:
            yield row["id"], "language_heard", tag
        rate = textchecks.disagreement(row["text"], row["target_lang"], heard.get("hypothesis"))
        if rate is not None and rate > thresholds.get("disagrees", 1e9):
            yield row["id"], "disagrees", round(rate, 3)
