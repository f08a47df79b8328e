"""Verbs of corpora: look at a source, import it, measure, check, divide, hand out."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import workbench as wb
from workbench import lab as labs
from workbench.cli.verbs import (
    NOT_PASSED,
    Address,
    CorpusName,
    Engine,
    Reviewer,
    Told,
    Where,
    numbers,
    pairs,
    verb,
    view,
    workspace,
)
from workbench.plain_values import records
from workbench.reading import read_json
from workbench.widgets.progress import progress_bar

ROOM = "Corpora"
group = typer.Typer()
Source = Annotated[
    str, typer.Argument(help="A manifest, folder, table, saved data set, or hub name (org/name).")
]
Mapping = Annotated[list[str] | None, typer.Option("--map", help="field=column; may be repeated.")]
Default = Annotated[
    list[str] | None, typer.Option(help="field=value where the source has none; may be repeated.")
]
Tag = Annotated[list[str] | None, typer.Option(help="what the source writes=locale, such as el=el-GR.")]
AudioRoot = Annotated[list[Path] | None, typer.Option(help="Folder that audio may lie in; may be repeated.")]
Locale = Annotated[str | None, typer.Option(help="Of rows that state none, or only its language.")]


@verb(group, "inspect", room=ROOM)
def inspect(
    source: Source,
    mapping: Mapping = None,
    default: Default = None,
    tag: Tag = None,
    audio_root: AudioRoot = None,
    locale: Locale = None,
    out: Annotated[Path | None, typer.Option(help="Write the plan as JSON, to edit and import with.")] = None,
) -> Told:
    """Look at a source: what an import would do. Only --out is written. Exit code 1: questions are open."""
    plan = wb.inspect_source(
        source, mapping=pairs(mapping), defaults=pairs(default), tags=pairs(tag),
        audio_roots=audio_root, locale=locale,
    )  # fmt: skip
    told = Told.of(plan.to_dict(), str(plan), *plan.questions, code=NOT_PASSED if plan.questions else 0)
    if out is not None:
        out.write_text(json.dumps(told.data, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return told


@verb(group, "import", room=ROOM)
def import_corpus(
    name: Annotated[str, typer.Argument(help="Of the corpus.")],
    source: Source,
    plan: Annotated[Path | None, typer.Option(help="A plan of inspect --out.")] = None,
    mapping: Mapping = None,
    default: Default = None,
    tag: Tag = None,
    audio_root: AudioRoot = None,
    locale: Locale = None,
    require_audio: Annotated[bool, typer.Option(help="Refuse where every recording is missing.")] = True,
    replace: Annotated[
        bool, typer.Option("--replace", help="A corpus of this name goes, decisions too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; write nothing.")] = False,
) -> Told:
    """Import recordings as a corpus; columns pred_text and pred_text_NAME become predictions."""
    if dry_run:
        return inspect(source, mapping, default, tag, audio_root, locale)
    found = wb.ImportPlan.from_dict(read_json(plan, "plan")) if plan is not None else None
    with progress_bar(f"import {name}", None, unit="row") as shown:
        corpus = workspace().import_corpus(
            name, source, pairs(mapping), plan=found, defaults=pairs(default), tags=pairs(tag),
            audio_roots=audio_root, locale=locale, require_audio=require_audio, replace=replace,
            progress=shown,
        )  # fmt: skip
    problems, brought = corpus.problems, [report.lines()[1] for report in corpus.take_predictions()]
    data = {"utterances": len(corpus), "problems": [problem.to_dict() for problem in problems]}
    said = f"{len(corpus)} utterances, {len(problems)} problems"
    return Told.of(data, *map(str, problems), said, *brought)


@verb(group, "open", room=ROOM)
def open_source(
    source: Source,
    name: Annotated[str | None, typer.Option(help="Of the corpus; default: that of the source.")] = None,
    mapping: Mapping = None,
    audio_root: AudioRoot = None,
    locale: Locale = None,
    port: Annotated[int, typer.Option(help="Of JupyterLab.")] = 8888,
    lab: Annotated[bool, typer.Option(help="Start JupyterLab on the board.")] = True,
) -> Told:
    """From any source to the board in the browser: import it once, take its predictions, open the board."""
    ws = workspace()
    name = name or (re.sub(r"[^A-Za-z0-9]+", "-", Path(source).stem).strip("-") or "opened")[:60]
    plan = None
    if name not in ws.corpus_names():
        plan = wb.inspect_source(
            source, mapping=pairs(mapping), audio_roots=audio_root, locale=locale
        )  # fmt: skip
        sys.stderr.write(f"{plan}\n")
        ws.import_corpus(name, source, plan=plan).take_predictions()
    corpus = ws.corpus(name)
    if plan is None and corpus.facts["source"] != source:
        raise wb.WorkbenchError(
            f"there is a corpus {name!r} of another source", where=corpus.facts["source"], hint="Use --name."
        )
    page = labs.board_page(ws.path, name)
    told = {
        "corpus": name,
        "utterances": len(corpus),
        "page": str(page),
        "predictions": corpus.prediction_names(),
    }
    if lab:
        labs.lab(port, root=ws.path, page=page.relative_to(ws.path).as_posix())
    heard = f", predictions {', '.join(corpus.prediction_names())}" if corpus.prediction_names() else ""
    return Told.of(told, f"{name}: {len(corpus)} utterances{heard}; {page}")


@verb(group, "lint", room=ROOM)
def lint(
    source: Source,
    checkpoint: Annotated[
        str | None, typer.Option(help="A .nemo, for characters and lengths that it cannot take.")
    ] = None,
    mapping: Mapping = None,
    audio_root: AudioRoot = None,
    locale: Locale = None,
    sound: Annotated[bool, typer.Option("--sound", help="Measure the recordings too.")] = False,
    columns: Annotated[
        bool,
        typer.Option("--columns", help="Parquet or saved data sets by their columns, without their sound."),
    ] = False,
    fix: Annotated[Path | None, typer.Option(help="Write a copy of the rows without an error here.")] = None,
    fail_on: Annotated[
        Literal["error", "warning", "info"], typer.Option(help="The mildest finding that fails.")
    ] = "error",
) -> Told:
    """Check a source without importing it. Exit code 1: findings as bad as --fail-on, or unreadable rows."""
    found = wb.lint(
        source, mapping=pairs(mapping), locale=locale, audio_roots=audio_root,
        checkpoint=wb.Checkpoint.open(checkpoint) if checkpoint else None, sound=sound,
        columns=columns, fix=fix,
    )  # fmt: skip
    data: dict[str, Any] = {
        "rows": found.rows, "left_out": found.left_out, "findings": records(found.findings),
        "problems": [problem.to_dict() for problem in found.problems],
        "fixed": None if found.fixed is None else str(found.fixed),
    }  # fmt: skip
    lines = [str(problem) for problem in found.problems]
    lines += [_finding_line(row) for row in data["findings"]]
    lines.append(f"{found.rows} rows, {found.left_out} unreadable; {len(found.findings)} findings")
    return Told.of(data, *lines, code=NOT_PASSED if found.failed(fail_on) else 0)


def _finding_line(row: dict[str, Any]) -> str:
    told = "" if row["value"] is None else f" ({row['value']})"
    return f"{row['severity']}: {row['id']}: {row['reason']}{told}"


@verb(group, "import-prediction", room=ROOM)
def import_prediction(
    corpus: CorpusName,
    source: Annotated[
        str, typer.Argument(help="Manifest, table, CTM, SRT, or a folder of an engine's JSON.")
    ],
    name: Annotated[str, typer.Argument(help="Of the prediction.")],
    engine: Annotated[str | None, typer.Option(help="What made it.")] = None,
    settings: Annotated[str | None, typer.Option(help="How it was asked.")] = None,
    lookahead_ms: Annotated[int | None, typer.Option(help="Of a streaming engine.")] = None,
    column: Annotated[str | None, typer.Option(help="Which column holds what was heard.")] = None,
) -> Told:
    """Take another engine's transcripts as a prediction; says what matched."""
    ws = workspace()
    report = ws.import_prediction(
        ws.corpus(corpus), source, name, engine=engine, settings=settings, lookahead_ms=lookahead_ms,
        column=column,
    )  # fmt: skip
    return Told.of(report.to_dict(), *report.lines())


@verb(group, "add-locale", room=ROOM)
def add_locale(
    tag: Annotated[str, typer.Argument(help="Language and region, such as ca-ES.")],
    name: Annotated[str | None, typer.Option(help="In English.")] = None,
    prompt_index: Annotated[int | None, typer.Option(help="Default: the first that is free.")] = None,
    script: Annotated[str, typer.Option(help="Of most letters.")] = "Latin",
) -> Told:
    """Declare a locale that is none of the 40."""
    made = workspace().add_locale(tag, name=name, prompt_index=prompt_index, script=script)
    return Told.of(
        {"tag": made.tag, "prompt_index": made.prompt_index},
        f"{made.tag} has prompt index {made.prompt_index}",
    )


@verb(group, "remove", room=ROOM)
def remove(
    name: Annotated[str, typer.Argument(help="Of the corpus.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it: its decisions and predictions go too.")] = False,
) -> Told:
    """Remove a corpus with its decisions and predictions. Without --yes nothing is done (exit code 1)."""
    ws = workspace()
    count = len(ws.corpus(name))
    if not yes:
        told = f"{count} utterances with their decisions would go; --yes removes them"
        return Told.of({"utterances": count, "removed": False}, told, code=NOT_PASSED)
    ws.remove_corpus(name)
    return Told.of({"utterances": count, "removed": True}, f"removed {name} ({count} utterances)")


@verb(group, "corpora", room=ROOM)
def corpora() -> Told:
    """The corpora of the workspace, with the predictions of each."""
    ws = workspace()
    found = {name: ws.corpus(name).prediction_names() for name in ws.corpus_names()}
    return Told.of(found, *(f"{name}: {', '.join(held) or 'no predictions'}" for name, held in found.items()))


@verb(group, "groups", room=ROOM)
def groups(
    corpus: CorpusName,
    columns: Annotated[list[str], typer.Argument(help="Such as target_lang accent.")],
    where: Where = None,
) -> Told:
    """Utterances and hours by columns."""
    return Told.table(view(corpus, where).groups(*columns))


@verb(group, "scan", room=ROOM)
def scan(
    corpus: CorpusName,
    where: Where = None,
    loudness: Annotated[bool, typer.Option("--loudness", help="Loudness too (LUFS), for its rules.")] = False,
    processes: Annotated[int | None, typer.Option(help="On this machine; default one per core.")] = None,
    engine: Engine = "local",
    address: Address = None,
) -> Told:
    """Measure level, noise, band and silence of every recording."""
    chosen = view(corpus, where)
    with progress_bar(f"scan {corpus}", None) as shown:
        found = wb.scan(
            chosen, processes=processes, loudness=loudness, engine=engine, address=address, progress=shown
        )
    unread = int(found["error"].notna().sum())
    data = {"measured": len(found) - unread, "unread": unread}
    return Told.of(data, f"{len(found) - unread} recordings measured, {unread} could not be read")


@verb(group, "check", room=ROOM)
def check(
    corpus: CorpusName,
    where: Where = None,
    rules: Annotated[str | None, typer.Option(help="With commas; default: all that can run.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Whose tokenizer tells unknown characters.")] = None,
    prediction: Annotated[str | None, typer.Option(help="Of a model, for the rules against it.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the findings as CSV.")] = None,
) -> Told:
    """Run the checks. Exit code 1: some clip has an error."""
    chosen = view(corpus, where)
    tokenizer = workspace().checkpoint(checkpoint).tokenizer() if checkpoint else None
    with progress_bar(f"check {corpus}", None, unit="group") as shown:
        found = wb.run_checks(
            chosen, rules.split(",") if rules else None, tokenizer=tokenizer,
            predictions=chosen.prediction(prediction) if prediction else None, progress=shown,
        )  # fmt: skip
    if out is not None:
        found.to_csv(out, index=False)
    counts = found.groupby(["severity", "rule"], sort=True).size().rename("clips").reset_index()
    failed = bool((found["severity"] == "error").any())
    not_run = [f"not run: {rule} ({lacks})" for rule, lacks in found.attrs["not_run"].items()]
    return Told.table(counts, *not_run, code=NOT_PASSED if failed else 0)


@verb(group, "split", room=ROOM)
def split(
    corpus: CorpusName,
    where: Where = None,
    seed: Annotated[int, typer.Option(help="The same seed divides the same rows the same way.")] = 0,
    fractions: Annotated[str | None, typer.Option(help="train,validation,test: 0.8,0.1,0.1.")] = None,
    shared_speakers: Annotated[
        bool, typer.Option("--shared-speakers", help="A speaker may be in several.")
    ] = False,
    reviewer: Reviewer = None,
) -> Told:
    """Divide the rows into train, validation and test, as decisions that can be undone."""
    shares = numbers(fractions, float)
    if shares is not None and len(shares) != 3:
        raise typer.BadParameter("give three fractions: train,validation,test")
    made = view(corpus, where).split(
        seed=seed,
        fractions=dict(zip(("train", "validation", "test"), shares, strict=True)) if shares else None,
        speakers="shared" if shared_speakers else "disjoint",
        reviewer=reviewer,
    )
    return Told.table(made.table, *made.warnings, f"{len(made.set_aside)} set aside")


@verb(group, "mix", room=ROOM)
def mix(
    corpus: CorpusName,
    where: Where = None,
    temperature: Annotated[float | None, typer.Option(help="1 as it is, 0 all equal.")] = None,
    weight: Annotated[list[str] | None, typer.Option(help="locale=weight instead; may be repeated.")] = None,
    budget_hours: Annotated[float | None, typer.Option(help="Hours that training will hear.")] = None,
    split: Annotated[str | None, typer.Option(help="The part that training reads.")] = "train",
) -> Told:
    """Hours per locale under a mixture, before anything is trained."""
    weights = {name: float(value) for name, value in pairs(weight).items()} if weight else None
    return Told.table(
        view(corpus, where).mix(
            temperature=temperature, weights=weights, budget_hours=budget_hours, split=split
        )
    )


@verb(group, "export", room=ROOM)
def export(
    corpus: CorpusName,
    path: Annotated[Path, typer.Argument(help="The folder to make.")],
    format: Annotated[
        Literal["nemo", "shar", "tarred", "hf", "csv"], typer.Option(help="How rows are written.")
    ] = "nemo",
    where: Where = None,
    only: Annotated[Literal["accepted", "not_rejected"], typer.Option(help="Which rows leave.")] = "accepted",
    append_tag: Annotated[bool, typer.Option(help="End each transcript with its tag.")] = True,
    prompt_mode: Annotated[
        Literal["langID", "auto", "unified"], typer.Option(help="Written on each NeMo row.")
    ] = "langID",
    relative_paths: Annotated[
        bool, typer.Option("--relative-paths", help="So that the tree can move.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="An export that lies there goes.")] = False,
    pseudonymize: Annotated[
        bool, typer.Option("--pseudonymize", help="Keyed pseudonyms in place of speakers.")
    ] = False,
    shard_size: Annotated[int | None, typer.Option(help="Utterances per shard.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that write shards.")] = 1,
    silence_limit: Annotated[
        float, typer.Option(help="Share of rows that may be declared to hold no speech.")
    ] = 0.1,
) -> Told:
    """Write the accepted rows out for training, with a data card."""
    chosen = view(corpus, where)
    with progress_bar(f"export {corpus}", None) as shown:
        made = chosen.export(
            path, format, append_tag=append_tag, only=only, prompt_mode=prompt_mode,
            relative_paths=relative_paths, replace=replace, pseudonymize=pseudonymize, shard_size=shard_size,
            workers=workers, silence_limit=silence_limit, progress=shown,
        )  # fmt: skip
    data: dict[str, Any] = {
        "path": made.path,
        "digest": made.digest,
        "counts": made.counts,
        "files": made.files,
    }
    return Told.of(data, f"{made.counts['utterances']} utterances in {made.path}", f"digest {made.digest}")


@verb(group, "export-prediction", room=ROOM)
def export_prediction(
    corpus: CorpusName,
    prediction: Annotated[str, typer.Argument(help="Its name.")],
    path: Annotated[Path, typer.Argument(help="The file for CTM, a folder for subtitles.")],
    format: Annotated[Literal["ctm", "srt", "vtt"], typer.Option(help="How words are written.")] = "ctm",
    minimum_confidence: Annotated[
        float, typer.Option(help="Words below it are left out or bracketed.")
    ] = 0.0,
    where: Where = None,
) -> Told:
    """Write the words of a prediction with their times: CTM, SRT or WebVTT."""
    made = view(corpus, where).export_prediction(prediction, path, format, minimum_confidence)
    data = {"files": made.files, "utterances": made.utterances, "problems": [str(p) for p in made.problems]}
    return Told.of(data, *map(str, made.problems), f"{made.utterances} utterances in {len(made.files)} files")
