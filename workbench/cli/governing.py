"""Verbs of release and privacy: gates, promotion, bundles, the ledger, erasure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import workbench as wb
from workbench.cli.verbs import NOT_PASSED, Told, Where, verb, view, workspace
from workbench.plain_values import records

ROOM = "Release and privacy"
group = typer.Typer()
Candidate = Annotated[str, typer.Argument(help="A checkpoint, run or .nemo path.")]
Base = Annotated[str, typer.Option(help="What it is held against.")]
PolicyFile = Annotated[Path, typer.Option(help="What the gate asks for (YAML).")]
Clips = Annotated[
    str | None, typer.Option(help="Corpus to measure latency and memory on, where the policy asks.")
]
Generation = Annotated[int | None, typer.Option(help="Of the pointers you looked at; refused if they moved.")]


@verb(group, "gate", room=ROOM)
def gate(
    candidate: Candidate,
    policy: PolicyFile = Path("policy.yaml"),
    base: Base = "starter",
    suite: Annotated[
        str | None, typer.Option(help="What it is tested on; default: the workspace's, if it has one.")
    ] = None,
    measure_on: Clips = None,
    where: Where = None,
    clips: Annotated[int, typer.Option(help="So many are streamed for the measurement.")] = 20,
    package: Annotated[
        Path | None, typer.Option(help="Served to the clips of --measure-on, for checks of kind served.")
    ] = None,
) -> Told:
    """Hold a candidate against a policy. Exit code: 0 passed, 1 failed, 3 not enough data."""
    release = workspace().release(candidate, base)
    if measure_on is not None:
        release.measure(view(measure_on, where), clips=clips)
    if package is not None:
        if measure_on is None:
            raise wb.WorkbenchError("nothing to serve the package to", hint="Name a corpus: --measure-on.")
        release.serve(package, view(measure_on, where))
    report = release.gate(policy, suite=suite)
    return Told.of(report.to_dict(), str(report), *release.changes(), code=report.exit_code)


@verb(group, "promote", room=ROOM)
def promote(
    candidate: Candidate,
    base: Base = "starter",
    override: Annotated[str | None, typer.Option(help="A reason to go without a gate that passed.")] = None,
    generation: Generation = None,
) -> Told:
    """Make a gated candidate the release in production."""
    release = workspace().release(candidate, base)
    now = release.promote(generation=generation, override=override)
    return _pointers(now)


@verb(group, "rollback", room=ROOM)
def rollback(
    release: Annotated[str, typer.Argument(help="The release that is in production and shall go.")],
    generation: Generation = None,
) -> Told:
    """Bring the previous release back."""
    return _pointers(workspace().release(release, release).roll_back(generation=generation))


@verb(group, "bundle", room=ROOM)
def bundle(
    candidate: Candidate,
    path: Annotated[Path, typer.Argument(help="The folder to make.")],
    corpus: Annotated[str, typer.Option(help="Whose clips the smoke test uses.")],
    policy: PolicyFile = Path("policy.yaml"),
    base: Base = "starter",
    where: Where = "split = 'test'",
    clips: Annotated[int, typer.Option(help="Of each locale.")] = 1,
    measure_on: Clips = None,
) -> Told:
    """Gate a candidate and write its bundle: checkpoint, cards, gate, test clips. Exit code as gate."""
    release = workspace().release(candidate, base)
    if measure_on is not None:
        release.measure(view(measure_on, None))
    report = release.gate(policy)
    made = release.bundle(path, view(corpus, where).sample(clips))
    data = {"path": made.path, "digest": made.digest, "verdict": report.verdict}
    return Told.of(data, str(report), f"{made.path}: digest {made.digest}", code=report.exit_code)


@verb(group, "card", room=ROOM)
def card(candidate: Candidate, base: Base = "starter") -> Told:
    """The model card of a candidate, as Markdown."""
    text = workspace().release(candidate, base).card().markdown()
    return Told.of({"markdown": text}, text)


@verb(group, "lineage", room=ROOM)
def lineage(candidate: Candidate, base: Base = "starter") -> Told:
    """From recordings to this release, as nodes and edges."""
    found = workspace().release(candidate, base).graph().to_dict()
    return Told.of(found, *(f"{edge['start']} -> {edge['to']}" for edge in found["edges"]))


@verb(group, "retraining", room=ROOM)
def retraining() -> Told:
    """Whether retraining is due since the last release. Exit code 1: it is."""
    found = workspace().retraining_status()
    if found is None:
        return Told.of(None, "No release yet; retraining schedule starts after the first.")
    said = found.due or (
        f"not due: {found.days:.0f} days and {found.hours:.1f} accepted hours since {found.name}",
    )
    data = {
        "name": found.name,
        "since": found.since,
        "days": found.days,
        "hours": found.hours,
        "due": found.due,
    }
    return Told.of(data, *said, code=NOT_PASSED if found.due else 0)


@verb(group, "pipeline", room=ROOM)
def pipeline(
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML).")],
    policy: Annotated[Path | None, typer.Option(help="Default: policy.yaml beside the recipe.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Of run and candidate; default: the recipe's and the time.")
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(help="With the test utterances; default: the one exported from.")
    ] = None,
    where: Annotated[str, typer.Option(help="Which utterances to test on.")] = "split = 'test'",
    suite: Annotated[str | None, typer.Option(help="Tested on, in place of corpus and where.")] = None,
    base: Annotated[str | None, typer.Option(help="Default: the recipe's base.")] = None,
) -> Told:
    """Export, fine-tune, evaluate and gate, unattended; repeated, it goes on. Exit code as gate."""
    made = workspace().pipeline(
        recipe, policy or recipe.with_name("policy.yaml"), name=name, corpus=corpus, where=where, suite=suite,
        base=base,
    )  # fmt: skip
    data = {"name": made.name, "folder": made.folder, "changes": made.changes, "gate": made.report.to_dict()}
    return Told.of(data, str(made.report), *made.changes, str(made.folder), code=made.report.exit_code)


@verb(group, "verify", room=ROOM)
def verify(head: Annotated[str | None, typer.Option(help="The head hash kept elsewhere.")] = None) -> Told:
    """Check the ledger's chain and every digest that was kept. Exit code 1: something does not hold."""
    found = workspace().verify(head)
    chain = found.ledger
    data = {"ok": found.ok, "events": chain.events, "erased": chain.erased, "head": str(chain.head),
            "anchored": chain.anchored, "faults": [*chain.faults, *found.faults],
            "leftovers": found.leftovers}  # fmt: skip
    return Told.of(data, str(found), code=0 if found.ok else NOT_PASSED)


@verb(group, "erase", room=ROOM)
def erase(
    speaker: Annotated[str | None, typer.Option(help="Everything of this speaker.")] = None,
    recording: Annotated[str | None, typer.Option(help="A recording, as its corpus names it.")] = None,
    source: Annotated[str | None, typer.Option(help="Everything of this source.")] = None,
    originals: Annotated[
        bool, typer.Option("--originals", help="Recordings outside the workspace too.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Carry it out. Without it, only the plan is shown.")
    ] = False,
) -> Told:
    """Erase a speaker, recording or source with all traces; without --yes a dry run. Code 1: some remain."""
    ws = workspace()
    plan = wb.plan_erasure(ws, speaker=speaker, recording=recording, source=source, originals=originals)
    if not yes:
        return Told.of(records(plan.frame()), str(plan), "nothing was touched; --yes carries it out")
    done = wb.erase(ws, plan)
    said = (
        f"{done.utterances} utterances erased, {done.remaining} traces remain; ledger head {done.ledger_head}"
    )
    return Told.of(vars(done), said, code=NOT_PASSED if done.remaining else 0)


def _pointers(now: object) -> Told:
    found = {name: getattr(now, name) for name in ("production", "candidate", "previous")}
    lines = [f"{role}: {one.name if one else 'none'}" for role, one in found.items()]
    data = {
        role: one and {"name": one.name, "sha256": one.sha256, "since": one.since}
        for role, one in found.items()
    }
    return Told.of({"generation": getattr(now, "generation", 0), **data}, *lines)
