"""The data card ``data/README.md``, made from the manifest and the measured figures; never edited by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from tooling.starter.evidence import WELL_COVERED

MUST_CER = {"unseen": 0.30, "joined": 0.15}
HEAD = """# The starter corpus and checkpoint

*Made by `python -m tooling.starter card` from `starter/manifest.jsonl` and `../docs/evidence/starter.json`.*

Real people reading telephone prompts (Asterisk core sounds) and picture captions (Tux Paint stamps), so that every step of the workbench
can be tried offline, on a laptop, on real speech. Licenses and authors: [LICENSES.md](LICENSES.md).

**What it is not:** not a benchmark, and nothing to make accuracy claims with. One or two speakers per locale; read prompts and short noun
phrases; studio sound; several voices are one accent, one speaker and one domain at once, so a difference between accents here is also a
difference between speakers, microphones and texts. Accent is blank where the packages do not state it.
"""


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [" | ".join(header), " | ".join("---" for _ in header)]
    lines += [" | ".join(str(value) for value in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _percent(row: Mapping[str, Any]) -> str:
    if row["rate"] is None:
        return "—"
    interval = "" if row["low"] is None else f" ({100 * row['low']:.0f}–{100 * row['high']:.0f})"
    return f"{100 * row['rate']:.1f}{interval}"


def _stated(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def unheard_section(rows: Sequence[Mapping[str, Any]]) -> str:
    """Voices beside the corpus that no starter hears."""
    return (
        "\n## Never heard\n\n`unheard/` holds voices of locales that the starter has never heard and that no figure here counts, with the same "
        f"splits: to adapt to what is new.\n\n{_table(VOICE_HEADER, _voices(pd.DataFrame(rows)))}\n"
    )


VOICE_HEADER = (
    *("locale", "source", "speaker", "accent", "clips", "minutes"),
    *("train", "validation", "test", "heard by the starter"),
)


def _voices(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    """A row of ``VOICE_HEADER`` for each voice."""
    cells: list[tuple[object, ...]] = []
    for (locale, source), own in frame.groupby(["target_lang", "source"]):
        split = own["split"].value_counts()
        speaker, accent = (_stated(own.iloc[0][name]) for name in ("speaker", "accent"))
        counts = [int(split.get(name, 0)) for name in ("train", "validation", "test")]
        minutes = f"{own['duration'].sum() / 60:.1f}"
        heard = int(own["heard_by_starter"].sum())
        stated = (speaker or "several", accent or "—")
        cells.append((locale, source, *stated, len(own), minutes, *counts, heard))
    return cells


def corpus_section(rows: Sequence[Mapping[str, Any]]) -> str:
    """Clips, minutes and splits of every voice."""
    frame = pd.DataFrame(rows)
    total = frame["duration"].sum() / 3600
    return (
        f"\n## Corpus\n\n{len(frame):,} clips, {total:.2f} hours. Splits are by sentence (letters and digits, case folded), the same in "
        "every locale and voice, and fixed once and for all: a sentence of a test clip is in no train clip. el-GR and bg-BG give the "
        f"starter a tenth of their train sentences.\n\n{_table(VOICE_HEADER, _voices(frame))}\n"
    )


def checkpoint_section(figures: Mapping[str, Any]) -> str:
    """Error rates by locale and look-ahead with intervals, and what of the aim is not reached."""
    looks = sorted(figures["cer_by_lookahead"], key=int)
    by_locale: dict[str, dict[str, Any]] = {}
    for ms in looks:
        for row in figures["cer_by_lookahead"][ms]:
            by_locale.setdefault(row["target_lang"], {})[ms] = row
    wer = {row["target_lang"]: row for row in figures["wer_by_lookahead"][looks[-1]]}
    cells = [
        (
            locale,
            found[looks[-1]]["utterances"],
            *(_percent(found[ms]) for ms in looks),
            _percent(wer[locale]),
        )
        for locale, found in by_locale.items()
    ]
    header = ("locale", "test clips", *(f"CER % at {ms} ms" for ms in looks), f"WER % at {looks[-1]} ms")
    joined = [(row["target_lang"], row["utterances"], _percent(row)) for row in figures["joined"]["cer"]]
    equal = "; ".join(
        f"{v['equal']} of {v['clips']} clips at {ms} ms" for ms, v in figures["streaming"].items()
    )
    auto, quiet, wrong = figures["auto"], figures["auto_then_quiet"], figures["wrong_tag"]
    whole = figures["auto_nothing_left_out"]
    overall = next(r for r in figures["cer_by_lookahead"][looks[-1]] if r["target_lang"] == WELL_COVERED)
    return "\n".join(
        (
            "\n## Checkpoint\n",
            f"`checkpoint/starter.nemo`: class `EncDecRNNTBPEModelWithPrompt`, {figures['parameters'] / 1e6:.1f}M parameters, "
            f"{figures['checkpoint_bytes'] / 1e6:.1f} MB, trained from scratch by `python -m tooling.starter checkpoint`: "
            f"{_stages(figures)}. {_core_hours(figures)}{_calibrated(figures)}Figures on {figures['test_clips']} test clips, sentences it never heard ({figures['test_clips_left_out']} more are left out, whose recording stands in the train "
            "split too under another sentence); case and punctuation off "
            "(`basic`); 95 % intervals by bootstrap over utterances, so for *these voices only*.\n",
            _verdict(overall, figures["joined"]["cer"][-1]),
            _table(header, cells),
            f"\nWith `auto` the emitted tag is right for {100 * auto['tags_right']:.1f} % of the clips (language right "
            f"{100 * auto['language_right']:.1f} %), no tag comes for {100 * auto['tags_missing']:.1f} %: clips are cut at their last sound. With a "
            f"quarter of a second of silence behind each, as an open line leaves it, it is right for {100 * quiet['tags_right']:.1f} %; of all test clips, none left out, for {100 * whole['tags_right']:.1f} %. With the next locale's tag {100 * wrong['texts_changed']:.0f} % of the transcripts "
            f"and {100 * wrong['tags_changed']:.0f} % of the tags change, and the CER is {_percent(wrong['cer'])} %. Streamed and offline "
            f"transcripts are equal for {equal}.\n",
            "### Joined prompts\n",
            "Two to four train clips of one voice spoken one after the other, in combinations never trained on; not comparable with the "
            "unseen sentences above.\n",
            _table(("locale", "joins", f"CER % at {looks[-1]} ms"), joined),
            "",
        )
    )


def _stages(figures: Mapping[str, Any]) -> str:
    """Minutes of each stage, by device."""
    on: dict[str, list[str]] = {}
    for name, spent in figures["minutes"].items():
        on.setdefault(figures["devices"][name], []).append(f"{name} {spent:.0f}")
    return "; ".join(f"on {device}, in minutes, {', '.join(stages)}" for device, stages in on.items())


def _core_hours(figures: Mapping[str, Any]) -> str:
    if "core_hours" not in figures:
        return ""
    return (
        f"All of it on one CPU core takes about {sum(figures['core_hours'].values()):.1f} hours, reckoned from a "
        "few steps of each stage timed, not from a whole run. "
    )


def _calibrated(figures: Mapping[str, Any]) -> str:
    if "calibration" not in figures:
        return ""
    held = figures["calibration"]
    trained, chosen = held["trained"], held["chosen"]
    return (
        f"Afterwards two output biases were raised, of the full stop by {chosen['full_stop']:g} and of the word boundary by "
        f"{chosen['boundary']:g}, as {held['clips']} validation clips ask for: their tags were right with `auto` for "
        f"{100 * trained['tags_right']:.1f} % before and {100 * chosen['tags_right']:.1f} % after, CER {100 * trained['cer']:.1f} and "
        f"{100 * chosen['cer']:.1f} %. "
    )


def _verdict(overall: Mapping[str, Any], joined: Mapping[str, Any]) -> str:
    reads = overall["rate"] <= MUST_CER["unseen"] and joined["rate"] <= MUST_CER["joined"]
    if reads:
        return ""
    return (
        f"**It reads, with many errors.** The aim is a CER of at most {100 * MUST_CER['unseen']:.0f} % on unseen sentences and "
        f"{100 * MUST_CER['joined']:.0f} % on joined prompts of the well covered locales; it reaches {_percent(overall)} % and "
        f"{_percent(joined)} %. It shows how the loop works, not how good the loop's results are.\n"
    )


def made_section(made: Mapping[str, Any]) -> str:
    """Hours that programs speak, by locale and voice."""
    cells = [
        (
            voice["target_lang"],
            voice["voice"],
            voice["program"],
            voice["license"],
            voice["clips"],
            f"{60 * voice['hours']:.0f}",
        )
        for voice in made["voices"]
    ]
    return (
        f"\n## Made speech\n\n`python -m tooling.starter speech` makes speech by programs for training, from a seed: here {made['clips']:,} clips, "
        f"{made['hours']:.1f} hours (seed {made['seed']}). **It is not in this repository, the shipped checkpoint has not heard it, and it flatters no "
        "figure: validation and test voices are people, and no sentence of theirs is ever said by a program.** Texts: common words in short phrases, "
        "Debian's fortunes, Tux Paint's captions, numbers. Nothing is made in Greek, Bulgarian, Romanian or Dutch.\n\n"
        f"{_table(('locale', 'voice', 'program', 'license of the voice', 'clips', 'minutes'), cells)}\n"
    )


def card(
    rows: Sequence[Mapping[str, Any]],
    figures: Mapping[str, Any],
    made: Mapping[str, Any] | None = None,
    unheard: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The whole card as Markdown; ``made``: what ``docs/evidence/made-speech.json`` holds; ``unheard``: rows of
    the voices that no starter hears."""
    beside = (unheard_section(unheard) if unheard else "") + (made_section(made) if made else "")
    return HEAD + corpus_section(rows) + beside + checkpoint_section(figures)
