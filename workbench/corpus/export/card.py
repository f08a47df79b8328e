"""The data card of an export: what is in it, on what terms, what was left out and why."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workbench.cards import Card, Table, languages, license_fields, size_category
from workbench.corpus.review.decisions import DecisionStore
from workbench.ingest.drafted import (
    ACCEPTED_BY,
    CORRECTED_BY,
    DRAFT_FIELDS,
    DRAFTED_BY,
    REVIEW_SECONDS,
)
from workbench.ingest.schema import literal, quoted

if TYPE_CHECKING:
    import duckdb

    from workbench.corpus.export.export_rows import ExportRows
    from workbench.corpus.export.job import Job

NOT_STATED = "not stated"


def write(job: Job, format: str, only: str, findings: Any) -> dict[str, Any]:
    """Write ``data_card.json`` and ``data_card.md``; returns the export's counts."""
    facts = summarize(job.spill, job.rows)
    corpus = job.corpus
    facts.update(
        corpus=corpus.name,
        filters=list(corpus.filters),
        format=format,
        only=only,
        settings=dict(sorted(job.place.settings.items())),
        source={
            k: corpus.facts.get(k) for k in ("kind", "source_sha256", "utterances_sha256", "rows", "left_out")
        },
        decisions=decision_facts(corpus.decisions),
        findings=_fired(job.spill, findings, job.rows),
        split_policy=_policy(corpus.folder),
    )
    if job.rows.still_named is not None:
        facts["speaker_names"] = {"pseudonymized": True, "still_named_in": job.rows.still_named}
    text = json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True)
    (job.draft / "data_card.json").write_text(text + "\n", encoding="utf-8")
    (job.draft / "data_card.md").write_text(_card(facts).markdown(), encoding="utf-8")
    splits = {f"split_{name}": found["utterances"] for name, found in facts["by_split"].items()}
    return {
        "utterances": facts["utterances"], "hours": facts["hours"],
        "left_out": job.rows.left_out.total(), "decisions_digest": facts["decisions"]["digest"], **splits,
    }  # fmt: skip


def summarize(spill: duckdb.DuckDBPyConnection, rows: ExportRows) -> dict[str, Any]:
    """Counts, hours, speakers, licenses and consent of rows."""
    whole = _by(spill, rows).get("", {"utterances": 0, "hours": 0.0, "speakers": 0})
    without = f"SELECT count(*) FROM {_table(rows)} WHERE coalesce(speaker, '') = ''"
    return {
        **whole,
        "utterances_without_speaker": spill.execute(without).fetchall()[0][0],
        "by_locale": _by(spill, rows, "target_lang"),
        "by_accent": _by(spill, rows, "target_lang", "accent"),
        "by_split": _by(spill, rows, "split"),
        "licenses": _by(spill, rows, "license"),
        "consent": _by(spill, rows, "consent"),
        "sources": _by(spill, rows, "source"),
        "declared_without_speech": rows.silent,
        "references": _references(spill, rows),
        "left_out": dict(sorted(rows.left_out.items())),
        "rejected_because": dict(sorted(rows.rejected.items())),
    }


def decision_facts(decisions: DecisionStore) -> dict[str, Any]:
    """Events in effect, by how many reviewers, and a digest over all of them with their clips."""
    digest = hashlib.sha256()
    events = decisions.events()
    for event in events:
        line = [event.seq, event.at, event.reviewer, event.action, event.field, event.value, event.reason,
                event.refers, event.stands]  # fmt: skip
        digest.update(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        for clip in decisions.iter_clips(event.seq):
            digest.update(clip.encode() + b"\n")
    made = [event for event in events if event.action not in ("undo", "redo", "erase")]
    return {
        "events": len(events),
        "in_effect": sum(event.stands for event in made),
        "reviewers": len({event.reviewer for event in made}),
        "conflicts_open": len(decisions.conflicts()),
        "agreement": decisions.agreement(),
        "digest": digest.hexdigest(),
    }


def _references(spill: duckdb.DuckDBPyConnection, rows: ExportRows) -> dict[str, Any] | None:
    """By what drafted them: transcripts, those accepted as they were and corrected, reviewers, seconds spent,
    seconds of audio; None where none was drafted."""
    names = {row[0] for row in spill.execute(f"DESCRIBE SELECT * FROM {_table(rows)}").fetchall()}
    if not set(DRAFT_FIELDS) <= names:
        return None
    found = spill.execute(
        f"SELECT {DRAFTED_BY}, count(*), count({ACCEPTED_BY}), count({CORRECTED_BY}), "
        f"count(DISTINCT coalesce({CORRECTED_BY}, {ACCEPTED_BY})), sum({REVIEW_SECONDS}), sum(duration) "
        f"FROM {_table(rows)} WHERE {DRAFTED_BY} IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return {
        by: {"transcripts": count, "accepted": same, "corrected": other, "reviewers": who,
             "review_seconds": round(spent or 0.0, 1), "audio_seconds": round(sound or 0.0, 3)}
        for by, count, same, other, who, spent, sound in found
    }  # fmt: skip


def _table(rows: ExportRows) -> str:
    return f"read_parquet({literal(rows.path)})"


def _by(spill: duckdb.DuckDBPyConnection, rows: ExportRows, *names: str) -> dict[str, dict[str, Any]]:
    """Utterances, hours and speakers by the values of columns."""
    parts = [f"coalesce(nullif({quoted(name)}::VARCHAR, ''), {literal(NOT_STATED)})" for name in names]
    key = " || ' / ' || ".join(parts) or "''"
    # Whole nanoseconds: the same total whatever the order in which threads add them up.
    found = spill.execute(
        f"SELECT {key} AS key, count(*), "
        "sum(round(duration * 1e9)::HUGEINT)::VARCHAR, count(DISTINCT nullif(speaker, '')) "
        f"FROM {_table(rows)} GROUP BY key"
    ).fetchall()
    return {
        key: {"utterances": count, "hours": round(int(nanoseconds or 0) / 3.6e12, 4), "speakers": speakers}
        for key, count, nanoseconds, speakers in sorted(found)
    }


def _fired(spill: duckdb.DuckDBPyConnection, findings: Any, rows: ExportRows) -> dict[str, Any] | None:
    """Findings by rule among the rows that leave; None where no checks were run."""
    if findings is None:
        return None

    if hasattr(findings, "path"):
        source = f"read_parquet({literal(findings.path)})"
    else:
        named = {name: pa.array(findings[name], pa.string()) for name in ("id", "rule", "severity")}
        spill.register("findings", pa.table(named))
        source = "findings"
    counts = spill.execute(
        f"SELECT rule, severity, count(*) FROM {source} WHERE id IN (SELECT id FROM {_table(rows)}) "
        "GROUP BY rule, severity"
    ).fetchall()
    return {rule: {"severity": severity, "utterances": n} for rule, severity, n in sorted(counts)}


def _policy(folder: Any) -> dict[str, Any] | None:
    path = folder / "split.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _card(facts: Mapping[str, Any]) -> Card:
    metadata = {
        "language": languages(facts["by_locale"]),
        "pretty_name": facts["corpus"],
        "task_categories": ["automatic-speech-recognition"],
        "size_categories": [size_category(facts["utterances"])],
        **license_fields(name for name in facts["licenses"] if name != NOT_STATED),
    }
    card = Card(f"Data card: {facts['corpus']}", "dataset", metadata)
    card.add(
        "What is in it",
        f"{facts['utterances']:,} utterances, {facts['hours']:.2f} hours, {facts['speakers']} known speakers "
        f"({facts['utterances_without_speaker']:,} utterances without one). Format {facts['format']}, "
        f"rows {facts['only'].replace('_', ' ')}.",
        _policy_line(facts["split_policy"]) if facts["split_policy"] else "",
    )
    for title, key in (
        ("Locales", "by_locale"), ("Locale / accent", "by_accent"), ("Splits", "by_split"),
        ("Licenses", "licenses"), ("Consent", "consent"), ("Sources", "sources"),
    ):  # fmt: skip
        rows = [
            (name, f"{row['utterances']:,}", f"{row['hours']:.2f}", row["speakers"])
            for name, row in facts[key].items()
        ]
        card.add(title, Table(("", "utterances", "hours", "speakers"), rows))
    if facts["references"]:
        drafted = [
            (by, f"{n['transcripts']:,}", f"{n['accepted']:,}", f"{n['corrected']:,}", n["reviewers"],
             f"{n['review_seconds'] / 60:.1f}")
            for by, n in facts["references"].items()
        ]  # fmt: skip
        heads = ("drafted by", "transcripts", "accepted as drafted", "corrected", "reviewers", "minutes")
        card.add("References that were drafted, and minutes of review", Table(heads, drafted))
    card.add("Checks that fired on these rows", *_checks(facts["findings"]))
    card.add("Left out", *_left(facts))
    decided = facts["decisions"]
    card.add(
        "Decisions",
        f"{decided['in_effect']:,} of {decided['events']:,} events are in effect, "
        f"{decided['reviewers']} reviewers; {decided['conflicts_open']} open conflicts; "
        f"digest {decided['digest']}.",
    )
    return card


def _policy_line(policy: Mapping[str, Any]) -> str:
    shared = policy.get("speakers") == "shared"
    warn = (
        "Speakers are shared between splits: test figures say nothing about new speakers. " if shared else ""
    )
    return f"{warn}Split with seed {policy.get('seed')}, speakers {_speakers(policy)}."


def _speakers(policy: Mapping[str, Any]) -> str:
    """Disjoint only where it can be verified: of rows without a known speaker nobody can say it."""
    unknown, rows = policy.get("without_speaker"), policy.get("rows")
    said = str(policy.get("speakers"))
    if said != "disjoint" or not unknown:
        return said
    if unknown == rows:
        return "not verifiable: no row names its speaker"
    return f"disjoint where they are known; not verifiable for {unknown:,} of {rows:,} rows"


def _checks(findings: Mapping[str, Any] | None) -> list[str | Table]:
    if findings is None:
        return ["No checks were run for this export."]
    if not findings:
        return ["None."]
    rows = [(rule, row["severity"], f"{row['utterances']:,}") for rule, row in findings.items()]
    return [Table(("rule", "severity", "utterances"), rows)]


def _left(facts: Mapping[str, Any]) -> list[str | Table]:
    rows = [(why, f"{count:,}") for why, count in facts["left_out"].items()]
    rows += [(f"rejected: {why}", f"{count:,}") for why, count in facts["rejected_because"].items()]
    if unread := facts["source"].get("left_out"):
        rows.append(("left out at import already", f"{unread:,}"))
    return [Table(("why", "utterances"), rows)] if rows else ["Nothing."]
