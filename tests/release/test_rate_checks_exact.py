"""What the checks on rates say of handed figures, word for word: what a mutant would move.

The figures come from a table that is written here instead of being computed; how they are computed is tested
with real predictions in ``test_gates.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from workbench.release import rate_checks as r
from workbench.release.policy import CheckSpec, Policy
from workbench.release.subject import Subject
from workbench.release.verdicts import FAIL, PASS, UNKNOWN, Finding, improved, non_inferior, points
from workbench.workspace.settings import Pilot

PAIR = ("base", "candidate")


def row(tag: str | None, difference: float = -0.02, **changes: Any) -> dict[str, Any]:
    """A comparison of a locale, clear unless changed: 1 point on either side, two-sided."""
    made = {
        "target_lang": tag, "rate_a": 0.3, "rate_b": 0.3 + difference, "difference": difference,
        "low": difference - 0.01, "high": difference + 0.01, "lower_bound": difference - 0.008,
        "upper_bound": difference + 0.008, "confidence": 0.95, "enough": "yes", "reference_words": 2000,
        "speakers": 12, "interval_kind": "speakers",
    }  # fmt: skip
    return made | changes


@dataclass
class Handed(Subject):
    """A subject whose predictions are alike and complete unless a reason is handed for a locale."""

    reasons: dict[str, list[str]] = field(default_factory=dict)
    other: tuple[str, str] | None = None

    def unlike(self, pair: tuple[str, str]) -> list[str]:
        return []

    def lacking(self, pair: tuple[str, str]) -> dict[str, list[str]]:
        return self.reasons

    def streamed(self, lookahead_ms: int) -> tuple[str, str] | None:
        return self.other


def subject(*rows: dict[str, Any], pilot: tuple[dict[str, Any], ...] = (), **changes: Any) -> Handed:
    asked: list[dict[str, Any]] = []

    def compare(a: str, b: str, **options: Any) -> pd.DataFrame:
        asked.append({"pair": (a, b), **options})
        return pd.DataFrame(list(rows))

    columns = pd.DataFrame(columns=["id", "target_lang", "accent"])
    settings = SimpleNamespace(confidence=0.9)
    evaluation: Any = SimpleNamespace(rows=columns, compare=compare, settings=settings, asked=asked)
    return Handed(Policy("p", ()), evaluation, *PAIR, Pilot.of(*pilot), 560, **changes)


def spec(kind: str = "improves", **options: Any) -> CheckSpec:
    given = {
        "locales": None, "by": ["target_lang"], "margin": 0.005, "metric": "headline", "normalizer": None,
        "where": None, "voices": "any", "lookahead_ms": None, "weights": None, "target": None,
        "required": True,
    }  # fmt: skip
    return CheckSpec(kind, kind, given | options)


def said(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.slice, one.verdict) for one in findings]


def test_improvement_of_every_target_and_of_no_other() -> None:
    who = subject(row("el-GR"), row("en-US", 0.02), pilot=({"tag": "el-GR"},))
    [found] = r.improves(who, spec(metric="cer", normalizer="raw", where="duration > 1"))
    assert (found.slice, found.verdict) == ("el-GR", PASS)
    assert found.because == improved(row("el-GR"))[1]
    assert found.numbers["difference"] == -0.02
    assert who.evaluation.asked == [  # type: ignore[attr-defined]
        {"pair": PAIR, "by": ["target_lang"], "metric": "cer", "normalizer": "raw", "where": "duration > 1"}
    ]
    assert said(r.improves(who, spec(locales=["en-US"]))) == [("en-US", FAIL)]
    missing = r.improves(who, spec(locales=["el-GR", "bg-BG"]))
    assert missing[1] == Finding("bg-BG", UNKNOWN, "no test utterances")


def test_improvement_without_a_target_is_open() -> None:
    expected = Finding("targets", UNKNOWN, "no target locale is named, in the policy or the pilot plan")
    assert r.improves(subject(row("el-GR")), spec()) == [expected]


def test_nothing_worse_of_guardrails_or_else_of_all() -> None:
    guarded = subject(
        row("el-GR", 0.1), row("en-US", -0.01), row("fr-FR", 0.1),
        pilot=({"tag": "el-GR"}, {"tag": "en-US", "role": "guardrail"}),
    )  # fmt: skip
    assert said(r.not_worse(guarded, spec())) == [("en-US", PASS)]
    assert r.not_worse(guarded, spec())[0].because == non_inferior(row("en-US", -0.01), 0.005)[1]
    assert said(r.not_worse(guarded, spec(locales=["fr-FR"]))) == [("fr-FR", FAIL)]
    everyone = subject(row("el-GR"), row("fr-FR", 0.1), pilot=({"tag": "el-GR"},))
    assert said(r.not_worse(everyone, spec())) == [("el-GR", PASS), ("fr-FR", FAIL)]


def test_a_margin_is_the_margin_asked_for() -> None:
    nearly = row("en-US", 0.001, upper_bound=0.0099)
    assert said(r.not_worse(subject(nearly), spec(locales=["en-US"], margin=0.01))) == [("en-US", PASS)]
    assert said(r.not_worse(subject(nearly), spec(locales=["en-US"], margin=0.009))) == [("en-US", UNKNOWN)]


def test_one_locale_alone_says_nothing_of_others() -> None:
    open_ = Finding(
        "other locales",
        UNKNOWN,
        "no locale besides the adapted one was tested, so nothing says that none was harmed",
    )
    alone = subject(row("el-GR"), pilot=({"tag": "el-GR"},))
    assert r.not_worse(alone, spec())[-1] == open_
    assert len(r.not_worse(alone, spec())) == 2
    assert r.not_worse(subject(row("el-GR")), spec())[-1] == open_
    assert open_ not in r.not_worse(subject(row("el-GR"), row("en-US")), spec())
    assert open_ not in r.not_worse(subject(row("el-GR"), row("en-US"), pilot=({"tag": "el-GR"},)), spec())
    assert open_ not in r.not_worse(alone, spec(locales=["el-GR"]))
    by_accent = subject(row("el-GR", accent="x"), pilot=({"tag": "el-GR"},))
    assert open_ not in r.not_worse(by_accent, spec(by=["target_lang", "accent"]))


def test_streaming_asks_for_the_pair_at_its_look_ahead() -> None:
    pair = ("base-80", "candidate-80")
    who = subject(row("en-US"), other=pair)
    assert said(r.streaming(who, spec(lookahead_ms=80))) == [("en-US", PASS)]
    assert who.evaluation.asked[0]["pair"] == pair  # type: ignore[attr-defined]
    assert said(r.streaming(subject(row("en-US", 0.1), other=pair), spec(locales=["en-US"]))) == [
        ("en-US", FAIL)
    ]
    needed = "needs predictions of base and candidate streamed at {} ms"
    assert r.streaming(subject(), spec()) == [Finding("560 ms", UNKNOWN, needed.format(560))]
    assert r.streaming(subject(), spec(lookahead_ms=80)) == [Finding("80 ms", UNKNOWN, needed.format(80))]


def weighted(*rows: dict[str, Any], weights: dict[str, float] | None = None, **changes: Any) -> Finding:
    [found] = r.weighted_rate(subject(*rows, **changes), spec("weighted_rate", weights=weights))
    return found


def test_the_weighted_rate_by_hand() -> None:
    """Three to one; bounds by the root of the weighted squares of the parts' distances."""
    rows = row("en-US", -0.02, upper_bound=-0.012, lower_bound=-0.028), row("fr-FR", 0.01, upper_bound=0.03,
        lower_bound=-0.006)  # fmt: skip
    found = weighted(*rows, weights={"en-US": 3.0, "fr-FR": 1.0})
    upper = -0.0125 + math.sqrt((0.75 * 0.008) ** 2 + (0.25 * 0.02) ** 2)
    lower = -0.0125 - math.sqrt((0.75 * 0.008) ** 2 + (0.25 * 0.016) ** 2)
    assert found.verdict == PASS
    assert found.numbers == {
        "rate_a": pytest.approx(0.3), "rate_b": pytest.approx(0.2875), "difference": pytest.approx(-0.0125),
        "upper_bound": pytest.approx(upper), "lower_bound": pytest.approx(lower),
    }  # fmt: skip
    assert found.because == (
        f"changed by {points(-0.0125)}, at most {points(upper)} (90 %), margin {points(0.005)}; "
        "weights en-US 75%, fr-FR 25%"
    )
    assert found.slice == "weighted"


def test_the_weighted_rate_goes_by_the_pilots_traffic() -> None:
    pilot = (
        {"tag": "en-US", "traffic_share": 0.2},
        {"tag": "fr-FR", "traffic_share": 0.2, "risk_weight": 3.0},
    )
    found = weighted(row("en-US", 0.04), row("fr-FR", -0.04), pilot=pilot)
    assert found.numbers["difference"] == pytest.approx(0.25 * 0.04 - 0.75 * 0.04)
    nothing = Finding("weighted", UNKNOWN, "the pilot plan gives no traffic shares")
    assert weighted(row("en-US")) == nothing


def test_a_weight_without_data_leaves_it_open() -> None:
    weights = {"fr-FR": 1.0, "en-US": 1.0, "bg-BG": 1.0}
    found = weighted(row("en-US"), row("fr-FR", enough="no"), weights=weights)
    assert found == Finding("weighted", UNKNOWN, "not enough test data for bg-BG, fr-FR")
    why = {"en-US": ["3 clips are missing"], "fr-FR": ["3 clips are missing", "2 failed"]}
    found = weighted(row("en-US"), row("fr-FR"), weights={"en-US": 1.0, "fr-FR": 1.0}, reasons=why)
    assert found.verdict == UNKNOWN
    assert found.because.split("; ")[0] == "3 clips are missing"
    assert "2 failed" in found.because


def parity(*rows: dict[str, Any], sha256: str = "c1") -> Any:
    return SimpleNamespace(
        checkpoint_sha256=sha256, target="onnx", precision="int8", package_sha256="0123456789abcdef",
        table=pd.DataFrame(list(rows)),
    )  # fmt: skip


def test_what_is_served_is_judged_by_locale_and_names_its_package() -> None:
    what = "; onnx int8, package 0123456789ab"
    who = subject(served=parity(row("en-US"), row("fr-FR", 0.1)), candidate_sha256="c1")
    found = r.served(who, spec())
    assert said(found) == [("en-US", PASS), ("fr-FR", FAIL)]
    assert found[0].because == non_inferior(row("en-US"), 0.005)[1] + what
    assert said(r.served(who, spec(locales=["fr-FR"]))) == [("fr-FR", FAIL)]
    lacking = r.served(who, spec(locales=["fr-FR", "bg-BG"]))
    assert lacking[1] == Finding("bg-BG", UNKNOWN, "nothing of it was served" + what)
    assert said(r.served(who, spec(target="onnx"))) == [("en-US", PASS), ("fr-FR", FAIL)]
    sherpa = Finding("package", UNKNOWN, "a package for onnx was served")
    assert r.served(who, spec(target="sherpa-onnx")) == [sherpa]
    none = Finding("package", UNKNOWN, "no row was served")
    assert r.served(subject(served=parity(), candidate_sha256="c1"), spec()) == [none]


def test_a_package_of_another_checkpoint_is_not_judged() -> None:
    other = Finding("package", UNKNOWN, "the package was made of another checkpoint")
    assert r.served(subject(served=parity(row("en-US")), candidate_sha256="c2"), spec()) == [other]
    unbound = subject(served=parity(row("en-US")), candidate_sha256=None)
    assert said(r.served(unbound, spec())) == [("en-US", PASS)]
    without = Finding("package", UNKNOWN, "no package was served: release.serve(PACKAGE, corpus)")
    assert r.served(subject(), spec()) == [without]


def test_slices_of_unknown_accent_are_no_slices() -> None:
    rows = [row("en-US", accent="x"), row("en-US", 0.2, accent=None), row("en-US", 0.2, accent=math.nan)]
    found = r.not_worse(subject(*rows), spec(by=["target_lang", "accent"]))
    assert said(found) == [("en-US · x", PASS)]
    one = r.not_worse(subject(row(None, 0.2, accent=None)), spec(by=["accent"]))
    assert one == [Finding("all", UNKNOWN, "no known accent to compare")]
    kind = r.not_worse(subject(row("en-US")), spec(by=["target_lang", "region"]))
    assert kind == [Finding("all", UNKNOWN, "no known target_lang and region to compare")]
    loose = r.not_worse(subject(), spec(by=["target_lang", "accent"], required=False))
    assert loose == [Finding("all", PASS, "no known target_lang and accent to compare, and none is required")]
    wanted = r.not_worse(subject(), spec(by=["target_lang"], required=False, locales=["en-US"]))
    assert wanted == [Finding("en-US", UNKNOWN, "no test utterances")]


def test_by_accent_alone_the_coverage_of_all_counts() -> None:
    rows = [{**row(None), "accent": "x"}]
    del rows[0]["target_lang"]
    why = {"all": ["two checkpoints"], "en-US": ["1 clip failed"]}
    [found] = r.not_worse(subject(*rows, reasons=why), spec(by=["accent"]))
    assert (found.slice, found.verdict) == ("x", UNKNOWN)
    assert found.because.startswith("two checkpoints; 1 clip failed; on what there is: changed by")
    [found] = r.not_worse(
        subject(row("fr-FR"), reasons={"en-US": ["1 clip failed"]}), spec(locales=["fr-FR"])
    )
    assert found.verdict == PASS


def test_what_coverage_leaves_open_is_said_before_what_there_is() -> None:
    who = subject(row("en-US"), reasons={"en-US": ["3 clips are missing"]})
    [found] = r.not_worse(who, spec(locales=["en-US"]))
    verdict = non_inferior(row("en-US"), 0.005)[1]
    assert (found.verdict, found.because) == (UNKNOWN, f"3 clips are missing; on what there is: {verdict}")
    assert found.numbers["difference"] == -0.02


@pytest.mark.parametrize("difference", [-0.02, 0.2])
def test_too_few_words_decide_neither_way(difference: float) -> None:
    few = row("en-US", difference, enough="no", reference_words=40)
    [found] = r.not_worse(subject(few), spec(locales=["en-US"]))
    assert found.verdict == UNKNOWN
    assert found.because == f"{non_inferior(few, 0.005)[1]}; only 40 reference words"


def test_voices_that_do_not_stand_for_speakers() -> None:
    voices = {"interval_kind": "these voices only", "speakers": 3}
    loose, strict = spec(locales=["en-US"]), spec(locales=["en-US"], voices="speakers")
    good, bad = row("en-US", **voices), row("en-US", 0.2, **voices)
    [found] = r.not_worse(subject(good), loose)
    told = non_inferior(good, 0.005)[1]
    assert (found.verdict, found.because) == (PASS, f"{told}; holds for the tested voices only (3)")
    [found] = r.not_worse(subject(good), strict)
    assert found.verdict == UNKNOWN
    assert found.because == f"{told}; only 3 voices, so nothing is said about other speakers"
    [found] = r.not_worse(subject(bad), strict)
    assert found.verdict == FAIL
    assert found.because.endswith("; holds for the tested voices only (3)")
    [found] = r.not_worse(subject(row("en-US")), strict)
    assert (found.verdict, found.because) == (PASS, non_inferior(row("en-US"), 0.005)[1])
    unknown = row("en-US", interval_kind="speakers unknown")
    [found] = r.not_worse(subject(unknown), loose)
    assert found.because == non_inferior(unknown, 0.005)[1]


def test_formatting_is_paired_by_locale_within_its_margin() -> None:
    asked: list[Any] = []

    class Formatted(Handed):
        def formatting_errors(self) -> Any:
            return ("rows", "a", "b", "units")

        def paired(self, *given: Any) -> list[Finding]:
            asked.append(given)
            return []

    who = Formatted(Policy("p", ()), subject().evaluation, *PAIR, Pilot(), 560)
    assert r.formatting(who, spec(locales=["en-US"], margin=0.02)) == []
    assert asked == [("rows", "a", "b", "units", "target_lang", ["en-US"], 0.02)]
