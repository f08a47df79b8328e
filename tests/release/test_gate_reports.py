"""Policies and reports as files: faults, edits, hostile names, the three-way rules."""

from __future__ import annotations

import pytest
from drawn import BAD, GOOD, evaluation_of, judged, policy

from workbench.errors import WorkbenchError
from workbench.release.gates import FAIL, PASS, UNKNOWN, GateReport, Policy, gate
from workbench.release.verdicts import improved, non_inferior, worst


def test_a_report_survives_writing_and_an_edited_verdict_does_not() -> None:
    report = judged(evaluation_of(*BAD), "kind: improves", "kind: not_worse")
    text = report.to_json()
    assert GateReport.from_json(text) == report
    for edited in (
        text.replace('"verdict": "fail"', '"verdict": "pass"', 1),
        '"verdict": "pass"'.join(text.rsplit('"verdict": "fail"', 1)),
        "{}",
        "[]",
        "not json",
    ):
        with pytest.raises(WorkbenchError):
            GateReport.from_json(edited)


def test_a_report_shows_untrusted_names_as_text() -> None:
    hostile = Policy.from_yaml("name: <script>alert(1)</script>\nchecks:\n- kind: erasure\n")
    report = gate(hostile, evaluation_of(*GOOD), base="base", candidate="tuned", erased={})
    assert "<script>" not in report._repr_html_()


def test_another_checkpoint_than_the_predictions_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="another checkpoint"):
        judged(evaluation_of(*GOOD), "kind: erasure", candidate_sha256="c" * 64)
    with pytest.raises(WorkbenchError, match="no prediction"):
        gate(policy("kind: erasure"), evaluation_of(*GOOD), base="base", candidate="nobody")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("checks: []\n", "no list of checks"),
        ("checks:\n- kind: better\n", "unknown kind"),
        ("checks:\n- kind: not_worse\n  margins: 1\n", "Did you mean margin"),
        ("checks:\n- kind: not_worse\n  margin: wide\n", "'wide' is not a float"),
        ("checks:\n- kind: terms\n", "field 'licenses' is missing"),
        ("checks:\n- kind: improves\n- kind: improves\n", "named twice"),
        ("checks: [\n", "not valid YAML"),
        ("role: releaser\nchecks:\n- kind: improves\n", "unknown field 'role'"),
        ("schema_version: 2\nchecks:\n- kind: improves\n", "another schema"),
    ],
)
def test_faulty_policies_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(WorkbenchError, match=says):
        Policy.from_yaml(text)


def test_the_three_way_rules() -> None:
    def row(difference: float, half: float) -> dict[str, float]:
        bounds = {"lower_bound": difference - 0.84 * half, "upper_bound": difference + 0.84 * half}
        return {"difference": difference, "low": difference - half, "high": difference + half, **bounds}

    assert [improved(row(d, 0.02))[0] for d in (-0.05, -0.01, 0.01, 0.05)] == [PASS, UNKNOWN, FAIL, FAIL]
    assert [non_inferior(row(d, 0.01), 0.01)[0] for d in (-0.05, 0.0, 0.005, 0.05)] == [
        PASS,
        PASS,
        UNKNOWN,
        FAIL,
    ]
    assert improved(row(float("nan"), 0.0))[0] == UNKNOWN
    assert non_inferior(row(float("nan"), 0.0), 0.01)[0] == UNKNOWN
    assert worst([]) == UNKNOWN
    assert worst([PASS, UNKNOWN, FAIL]) == FAIL
