"""What the checks of a gate look at: two predictions, their coverage and likeness, and what else is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.evaluation.alike import differences
from workbench.evaluation.clusters import cluster_sums, clusters_of
from workbench.evaluation.evaluation import score_predictions
from workbench.evaluation.significance import paired_difference
from workbench.plain_values import plain
from workbench.release.policy import Policy
from workbench.release.verdicts import UNKNOWN, Finding, non_inferior
from workbench.suites.coverage import ALL, Reading, shortfalls
from workbench.suites.predictions import SuitePredictions
from workbench.workspace.settings import Pilot

if TYPE_CHECKING:
    import pandas as pd

    from workbench.deployment.served import ServedParity
    from workbench.evaluation.evaluation import Evaluation
    from workbench.evaluation.scored import ScoredCorpus
    from workbench.release.measure import Measurement

    Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Subject:
    """What the checks look at; ``candidate_sha256`` is what the verdict is bound to."""

    policy: Policy
    evaluation: Evaluation
    base: str
    candidate: str
    pilot: Pilot
    lookahead_ms: int
    training: pd.DataFrame | None = None
    measurement: Measurement | None = None
    served: ServedParity | None = None
    erased: dict[str, tuple[str, ...]] | None = None
    candidate_sha256: str | None = field(default=None)
    run: SuitePredictions | None = None
    _lacking: dict[tuple[str, str], dict[str, list[str]]] = field(default_factory=dict)

    def targets(self) -> list[str]:
        """The locales that shall get better: of the pilot plan, the suite, or the policy's improvement."""
        named = [
            tag for spec in self.policy.checks if spec.kind == "improves" for tag in spec["locales"] or ()
        ]
        return self.pilot.targets or self._required("target") or named

    def guarded(self) -> list[str]:
        """The locales that must not get worse: guardrails of the pilot plan or the suite, and what training
        replayed."""
        replayed: set[str] = set()
        if self.training is not None and "target_lang" in self.training:
            replayed = set(self.training["target_lang"].dropna().astype(str)) - set(self.targets())
        named = self.pilot.guardrails or self._required("guardrail")
        return sorted({*named, *replayed, *self._required("replayed")} - set(self.targets()))

    def _required(self, role: str) -> list[str]:
        return [row.tag for row in self.run.version.locales if row.role == role] if self.run else []

    def unlike(self, pair: tuple[str, str]) -> list[str]:
        """Why two predictions are not alike, coverage apart; see ``evaluation.alike``."""
        found = differences(self.evaluation.scored, *pair)
        return [what for what in found if " lacks " not in what]

    def lacking(self, pair: tuple[str, str]) -> dict[str, list[str]]:
        """Locale (or ``all``) → why its coverage leaves it open."""
        if pair not in self._lacking:
            picked = self.run is None
            self._lacking[pair] = self._uncovered(pair) if picked else self._suite_lacking(pair)
        return self._lacking[pair]

    def open(self, pair: tuple[str, str], tag: str | None = None) -> str:
        """Why nothing can be judged of a locale (None: of all together); empty where it can."""
        lacking = self.lacking(pair)
        wanted = list(lacking) if tag is None else [ALL, tag]
        return "; ".join(
            dict.fromkeys([*self.unlike(pair), *(w for t in wanted for w in lacking.get(t, ()))])
        )

    def _suite_lacking(self, pair: tuple[str, str]) -> dict[str, list[str]]:
        assert self.run is not None
        for point in self.run.points:
            if pair == (self.run.label(self.base, point), self.run.label(self.candidate, point)):
                return self.run.shortfalls(self.base, self.candidate, point=point)
        return {ALL: ["predictions at two operating points"]}

    def _uncovered(self, pair: tuple[str, str]) -> dict[str, list[str]]:
        rows = self.evaluation.rows
        clips = rows[["id"]].assign(target_lang=rows.get("target_lang"), accent=None)
        readings = {}
        for name in pair:
            prediction = self.evaluation.scored.prediction(name)
            readings[name] = Reading(frozenset(rows["id"][prediction.present]))
        return shortfalls(clips, (), readings)

    def facts(self, name: str) -> Mapping[str, Any]:
        return self.evaluation.facts(name)

    def sha256(self, name: str) -> str | None:
        value = self.facts(name).get("checkpoint_sha256")
        return value if isinstance(value, str) and value != "mixed" else None

    def too_few(self, row: Mapping[str, Any]) -> bool:
        """Whether a slice is too small to decide under this policy."""
        return row["enough"] == "no" or (row["enough"] == "provisional" and not self.policy.provisional)

    def streamed(self, lookahead_ms: int) -> tuple[str, str] | None:
        """Predictions of base and candidate streamed at a look-ahead."""
        return self._pair(streaming=True, lookahead_ms=lookahead_ms)

    def prompted(self, mode: str) -> tuple[str, str] | None:
        """Predictions of base and candidate under a prompt mode."""
        return self._pair(prompt_mode=mode)

    def hypotheses(self, name: str) -> pd.Series[Any]:
        """The texts of a prediction in the order of ``evaluation.rows``; None where missing."""
        return self.evaluation.scored.prediction(name).column("hypothesis")

    def formatting_errors(self) -> tuple[Array, Array, Array, Array]:
        """Rows both predictions have, errors of base and of candidate beyond the words, reference words.

        ``⁇``, a piece that the tokenizer does not know, is a recognition error: it is taken out first.
        """
        scored = self._without_unknown_pieces()
        present = scored.prediction(self.base).present & scored.prediction(self.candidate).present
        errors = []
        for name in (self.base, self.candidate):
            raw, _ = scored.totals(name, "wer", "raw")
            bare, units = scored.totals(name, "wer", "basic")
            errors.append((raw - bare)[present])
        return present.nonzero()[0], errors[0], errors[1], units[present]

    def _without_unknown_pieces(self) -> ScoredCorpus:
        texts = {name: self.hypotheses(name) for name in (self.base, self.candidate)}
        if not any(column.str.contains("⁇", regex=False).fillna(False).any() for column in texts.values()):
            return self.evaluation.scored
        bare = {
            name: column.map(lambda text: " ".join(text.replace("⁇", " ").split()), na_action="ignore")
            for name, column in texts.items()
        }
        rows = self.evaluation.rows
        tables = {name: rows[["id"]].assign(hypothesis=column) for name, column in bare.items()}
        return score_predictions(rows, {name: t.dropna() for name, t in tables.items()}).scored

    def paired(
        self,
        rows: Array,
        a: Array,
        b: Array,
        units: Array,
        by: str | None,
        wanted: list[str] | None,
        margin: float,
        minimum_units: int = 0,
        words: bool = True,
        pair: tuple[str, str] | None = None,
    ) -> list[Finding]:
        """Non-inferiority of counted errors, slice by slice, with the evaluation's clusters and seed.

        Args:
            rows: positions in ``evaluation.rows``; ``a``, ``b``, ``units``: counts of each of them.
            by: column to slice by; None for one slice over all.
            wanted: only these slices; those without a row are not enough data.
            minimum_units: slices with fewer units are not enough data.
            words: slices with too few reference words are not enough data, either.
            pair: the predictions counted; default: base and candidate.
        """
        labels = np.full(len(rows), "all", object)
        if by is not None:
            labels = self.evaluation.rows[by].to_numpy(object)[rows]
        names = wanted or sorted({str(v) for v in labels if v is not None and v == v})
        findings = []
        for name in names:
            chosen = labels == name
            row = self._difference(rows[chosen], a[chosen], b[chosen], units[chosen])
            verdict, because = non_inferior(row, margin)
            if row["units"] < minimum_units or (words and self.too_few(row)):
                verdict, because = UNKNOWN, f"{because}; only {row['units']} units"
            why = self.open(pair or (self.base, self.candidate), name if by == "target_lang" else None)
            if why:
                verdict, because = UNKNOWN, f"{why}; {because}"
            findings.append(Finding(name, verdict, because, {k: plain(v) for k, v in row.items()}))
        return findings or [Finding("all", UNKNOWN, "nothing to compare")]

    def _difference(self, rows: Array, a: Array, b: Array, units: Array) -> dict[str, Any]:
        settings = self.evaluation.settings
        total = int(units.sum())
        clusters = clusters_of(self.evaluation.scored.speakers[rows], settings.thresholds.min_speakers)
        sums = cluster_sums(clusters, a, b, units)
        found = paired_difference(
            sums, resamples=settings.resamples, seed=settings.seed, confidence=settings.confidence
        )
        rates = {"rate_a": a.sum() / total, "rate_b": b.sum() / total} if total else {}
        words = int(self.evaluation.scored.totals(self.base, "wer", "basic")[1][rows].sum())
        return {
            **rates,
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
            "lower_bound": found.lower_bound,
            "upper_bound": found.upper_bound,
            "confidence": settings.confidence,
            "units": total,
            "utterances": len(rows),
            "speakers": clusters.speakers,
            "interval_kind": clusters.kind,
            "enough": settings.thresholds.enough(words),
        }

    def _pair(self, **facts: Any) -> tuple[str, str] | None:
        found = [self._like(name, facts) for name in (self.base, self.candidate)]
        return (found[0], found[1]) if found[0] and found[1] else None

    def _like(self, name: str, wanted: Mapping[str, Any]) -> str | None:
        """A prediction by the checkpoint of ``name`` with the wanted facts; ``name`` itself first."""
        sha256 = self.sha256(name)
        for other in (name, *self.evaluation.names):
            facts = self.facts(other)
            same = other == name or (sha256 is not None and facts.get("checkpoint_sha256") == sha256)
            if same and all(facts.get(k) == v for k, v in wanted.items()):
                return other
        return None
