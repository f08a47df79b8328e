"""Checks on languages, keywords and on the data a candidate was trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.language_tags import strip_tag
from workbench.release.verdicts import FAIL, PASS, UNKNOWN, Finding
from workbench.text import normalize, normalized_keys
from workbench.times import parse_utc

if TYPE_CHECKING:
    from workbench.release.policy import CheckSpec
    from workbench.release.subject import Subject

_REFUSED = ("no", "none", "withdrawn", "refused", "denied", "false", "0")


def language(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """Wrong or missing tags under the automatic prompt, candidate against base, per locale.

    A locale that the base cannot know (it is being adapted) can only gain; the others must not lose.
    """
    pair = subject.prompted("auto")
    if pair is None:
        needed = (
            "needs predictions of base and candidate with prompt_mode auto; with the tag given, it is no test"
        )
        return [Finding("all", UNKNOWN, needed)]
    scored, truth = subject.evaluation.scored, subject.evaluation.rows["target_lang"].to_numpy(object)
    present = scored.prediction(pair[0]).present & scored.prediction(pair[1]).present
    known = np.array([isinstance(tag, str) and tag != "auto" for tag in truth])
    rows = np.flatnonzero(present & known)
    wrong = [(scored.prediction(n).column("detected_lang").to_numpy(object) != truth)[rows] for n in pair]
    a, b = (w.astype(np.int64) for w in wrong)
    tagged = {
        str(tag)
        for name in pair
        for tag, seen in zip(truth[rows], scored.prediction(name).column("detected_lang")[rows], strict=True)
        if isinstance(seen, str)
    }
    found = subject.paired(
        rows, a, b, np.ones(len(rows), np.int64), "target_lang", spec["locales"], spec["margin"], pair=pair
    )
    found = [f if f.slice in tagged or f.verdict == UNKNOWN else _untagged(f) for f in found]
    minimum = spec["minimum_accuracy"]
    if minimum is not None and len(rows):
        accuracy = 1 - float(b.mean())
        verdict = PASS if accuracy >= minimum else FAIL
        found.append(Finding("accuracy", verdict, f"{accuracy:.1%} of tags right, {minimum:.1%} asked for"))
    return found


def _untagged(finding: Finding) -> Finding:
    """Equal because neither emitted a tag: nothing was tested."""
    return Finding(finding.slice, UNKNOWN, "no tag was emitted, by base or candidate", finding.numbers)


def keywords(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """Occurrences of listed words or phrases that are missing from the hypothesis, candidate against base.

    Counted per utterance after ``basic`` normalization: an occurrence in the reference is missed when the
    hypothesis holds the phrase less often than the reference does.
    """
    scored, rows = subject.evaluation.scored, subject.evaluation.rows
    locales = rows["target_lang"].tolist() if "target_lang" in rows else [None] * len(rows)
    texts = rows["text"].tolist()
    base, candidate = (subject.hypotheses(n).tolist() for n in (subject.base, subject.candidate))
    present = scored.prediction(subject.base).present & scored.prediction(subject.candidate).present
    patterns = {tag: _patterns(spec["words"], tag) for tag in {_tag(value) for value in locales}}
    counts = np.zeros((len(rows), 3), np.int64)
    for i in np.flatnonzero(present):
        tag = _tag(locales[i])
        wanted = [len(p.findall(normalize(texts[i], tag))) for p in patterns[tag]]
        if any(wanted):
            counts[i, 2] = sum(wanted)
            for side, text in enumerate((base[i], candidate[i])):
                said = normalize(text or "", tag)
                got = [len(p.findall(said)) for p in patterns[tag]]
                counts[i, side] = sum(max(0, w - g) for w, g in zip(wanted, got, strict=True))
    chosen = np.flatnonzero(counts[:, 2])
    total = int(counts[:, 2].sum())
    if total < spec["minimum_occurrences"]:
        why = f"{total} occurrences in the test data, {spec['minimum_occurrences']} asked for"
        return [Finding("keywords", UNKNOWN, why)]
    a, b, units = (counts[chosen, i] for i in range(3))
    return subject.paired(chosen, a, b, units, None, None, spec["margin"])


def terms(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """License, consent and purpose of every row trained on; unknown terms are not enough, never a pass."""
    training = subject.training
    if training is None or not len(training):
        return [Finding("training data", UNKNOWN, "the rows the candidate was trained on are not known")]
    findings = [_licenses(training, spec["licenses"])]
    if spec["consent_required"]:
        findings.append(_consent(training))
    if spec["purpose"] is not None:
        findings.append(_purpose(training, spec["purpose"]))
    findings.append(_keeping(training))
    return findings


def leakage(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """Test utterances that were trained on: same id or recording; same sentence; same speaker if asked."""
    training, tested = subject.training, subject.evaluation.rows
    if training is None or not len(training):
        return [Finding("training data", UNKNOWN, "the rows the candidate was trained on are not known")]
    findings = [_same_utterance(training, tested), _same_recording(training, tested)]
    if spec["sentences"]:
        seen = set(_sentences(training))
        keys = [key for key in _sentences(tested) if key[1]]
        findings.append(_none_of("sentence", sum(key in seen for key in keys), len(keys)))
    if spec["speakers"]:
        findings.append(_shared(training, tested, ["speaker"], "speaker"))
    return findings


def erasure(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """Whether something the candidate was trained on has been erased since."""
    if subject.erased is None or subject.candidate_sha256 is None:
        return [Finding("erasures", UNKNOWN, "the erasures of the workspace were not looked up")]
    certificates = subject.erased.get(subject.candidate_sha256, ())
    if certificates:
        text = (
            f"trained on data since erased (certificates {', '.join(certificates)}): train again without it"
        )
        return [Finding("erasures", FAIL, text)]
    base = subject.sha256(subject.base)
    said = "no erasure touched its training data"
    if base and (since := subject.erased.get(base)):
        said += f"; the base was trained on data since erased (certificates {', '.join(since)})"
    return [Finding("erasures", PASS, said)]


def _licenses(training: pd.DataFrame, allowed: Sequence[str]) -> Finding:
    unknown, outside = 0, dict[str, int]()
    for name, rows in _column(training, "license").value_counts(dropna=False).items():
        if not isinstance(name, str):
            unknown += int(rows)
        elif name not in allowed:
            outside[name] = int(rows)
    if outside:
        listed = ", ".join(f"{n} ({c})" for n, c in sorted(outside.items())[:5])
        return Finding("license", FAIL, f"not allowed by the policy: {listed}", dict(sorted(outside.items())))
    if unknown:
        return Finding(
            "license", UNKNOWN, f"{unknown} of {len(training)} rows have no license", {"rows": unknown}
        )
    return Finding("license", PASS, f"all {len(training)} rows are under {', '.join(sorted(allowed))}")


def _consent(training: pd.DataFrame) -> Finding:
    values = _column(training, "consent")
    without = int(values.map(refused).sum())
    unknown = int(values.isna().sum())
    if without:
        return Finding("consent", FAIL, f"{without} rows without consent", {"rows": without})
    if unknown:
        return Finding("consent", UNKNOWN, f"consent of {unknown} of {len(training)} rows is not known")
    return Finding("consent", PASS, f"stated for all {len(training)} rows")


def _purpose(training: pd.DataFrame, purpose: str) -> Finding:
    values = _column(training, "purpose")
    other = int(values.map(lambda v: isinstance(v, str) and purpose not in v.split()).sum())
    if other:
        return Finding("purpose", FAIL, f"{other} rows were given for another purpose than {purpose}")
    if unknown := int(values.isna().sum()):
        return Finding("purpose", UNKNOWN, f"the purpose of {unknown} rows is not known")
    return Finding("purpose", PASS, f"all rows may be used for {purpose}")


def _keeping(training: pd.DataFrame) -> Finding:
    now, past = datetime.now(UTC), 0
    pairs = zip(_column(training, "keep_days"), _column(training, "recorded_at"), strict=True)
    for days, recorded in pairs:
        if isinstance(days, int | float) and days == days and isinstance(recorded, str):
            past += (date := parse_utc(recorded)) is not None and date + timedelta(days=float(days)) < now
    if past:
        return Finding("keeping time", FAIL, f"{past} rows are past their keeping time: erase them")
    if not _column(training, "keep_days").notna().any():
        return Finding("keeping time", PASS, "no row states a keeping time")
    return Finding("keeping time", PASS, "no row is past its keeping time")


def refused(consent: Any) -> bool:
    """Whether a stated consent says no."""
    return isinstance(consent, str) and consent.strip().lower() in _REFUSED


def _sentences(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """(language, letters of the sentence): "no" is a sentence in several."""
    tags = _column(rows, "target_lang").map(lambda tag: str(tag).split("-")[0] if _tag(tag) else "")
    texts = _column(rows, "text").map(lambda text: strip_tag(text)[0] if isinstance(text, str) else "")
    return list(zip(tags, normalized_keys(texts.tolist()), strict=True))


def _same_utterance(training: pd.DataFrame, tested: pd.DataFrame) -> Finding:
    """Ids that both have; of a suite over several corpora the ids within their corpus. Two ids that are equal
    while both recordings are known and differ are two utterances: corpora number theirs alike."""
    own = tested.assign(id=tested["utterance_id"]) if "utterance_id" in tested else tested
    if "audio_sha256" in training and "audio_sha256" in own:
        heard = dict(zip(training["id"], training["audio_sha256"], strict=True)) if "id" in training else {}
        pairs = zip(own["id"], own["audio_sha256"], strict=True)
        differs = [isinstance(a, str) and isinstance(b := heard.get(id), str) and a != b for id, a in pairs]
        own = own[[not other for other in differs]]
    return _shared(training, own, ["id"], "utterance")


def _same_recording(training: pd.DataFrame, tested: pd.DataFrame) -> Finding:
    if "audio_sha256" in training and "audio_sha256" in tested and training["audio_sha256"].notna().any():
        return _shared(training, tested, ["audio_sha256"], "recording")
    return _shared(training, tested, ["audio_filepath", "offset"], "recording")


def _shared(training: pd.DataFrame, tested: pd.DataFrame, columns: list[str], what: str) -> Finding:
    if not set(columns) <= set(training) & set(tested):
        return Finding(what, UNKNOWN, f"no {' and '.join(columns)} to compare")
    seen = set(training[columns].dropna().itertuples(index=False, name=None))
    known = tested[columns].dropna()
    if not seen or not len(known):
        return Finding(what, UNKNOWN, f"no {' and '.join(columns)} is known to compare")
    count = sum(row in seen for row in known.itertuples(index=False, name=None))
    return _none_of(what, count, len(known))


def _none_of(what: str, count: int, total: int) -> Finding:
    numbers: dict[str, float | int | str | None] = {"shared": count, "tested": total}
    if not total:
        return Finding(what, UNKNOWN, "nothing was looked at", numbers)
    if count:
        return Finding(
            what, FAIL, f"{count} of {total} test utterances share their {what} with training", numbers
        )
    return Finding(what, PASS, f"none of {total} test utterances shares its {what} with training", numbers)


def _column(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    return frame[name] if name in frame else pd.Series([None] * len(frame), dtype=object)


def _tag(value: Any) -> str | None:
    return value if isinstance(value, str) and value != "auto" else None


def _patterns(listed: Sequence[str], tag: str | None) -> list[re.Pattern[str]]:
    plain = (normalize(str(word), tag) for word in listed)
    return [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)") for word in plain if word]
