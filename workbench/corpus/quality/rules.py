"""The rules that look for flaws: what each means, how it is measured and where its threshold comes from.

``ours`` as a source means: chosen by looking at the starter corpus and at planted flaws, not taken from a
standard. Every threshold can be changed for one call of ``run_checks``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from workbench.errors import WorkbenchError

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: its name in findings and data cards.
        severity: ``error`` (unfit until fixed), ``warning`` (hear it), ``info`` (know it).
        reason: what a finding means, in words for a reviewer.
        hint: what to do.
        method: how it is measured.
        threshold: the number it turns on; None where there is none.
        source: where method and threshold come from.
        needs: what must be there for it to run: '', ``signal``, ``loudness``, ``tokenizer`` or
            ``predictions``.
    """

    id: str
    severity: Severity
    reason: str
    hint: str
    method: str
    threshold: float | None = None
    source: str = "ours"
    needs: str = ""


_LISTEN = "Listen; correct the transcript or reject."
_SIGNAL = "measured by signal.scan"
_ROWS: tuple[Rule, ...] = (
    # Files
    Rule(
        "audio_missing",
        "error",
        "the recording is missing",
        "Find the file or reject.",
        _SIGNAL,
        needs="signal",
    ),
    Rule(
        "audio_unreadable",
        "error",
        "the recording cannot be read",
        "Fetch it again or reject.",
        _SIGNAL,
        needs="signal",
    ),
    Rule(
        "audio_empty",
        "error",
        "the recording holds no sound",
        "Fetch it again or reject.",
        "no samples, or peak below the threshold in dBFS",
        -80.0,
        needs="signal",
    ),
    Rule(
        "audio_shorter",
        "error",
        "the recording is shorter than stated",
        "Correct duration or fetch it again.",
        "stated minus read, in seconds and beyond 2 % of the stated",
        0.1,
        needs="signal",
    ),
    Rule(
        "audio_longer",
        "warning",
        "the recording is longer than stated: its end would be cut",
        "Correct duration, unless the row means a part.",
        "read minus stated, in seconds and beyond 2 %; rows that share a file are parts and pass",
        0.1,
        needs="signal",
    ),
    Rule(
        "header_length",
        "warning",
        "the file's header states another length than its sound has",
        "Nothing is lost here; write it anew before another tool reads it.",
        "header against decoded length, beyond 2 % and 0.05 s",
        needs="signal",
    ),
    Rule(
        "sample_rate",
        "warning",
        "the sample rate is below what the model expects",
        "Record at 16 kHz or more.",
        "sample rate in Hz below the threshold",
        16_000,
        "model card: 16 kHz",
        "signal",
    ),
    Rule(
        "channels",
        "warning",
        "several channels and none is named",
        "Name the channel, or mix down.",
        "channels above the threshold and no channel field",
        1,
        "model card: mono",
        "signal",
    ),
    Rule(
        "too_long",
        "warning",
        "longer than training reads",
        "Cut it at pauses.",
        "duration in s",
        39.99,
        "NeMo prompt configuration: max_duration",
    ),
    Rule(
        "too_short",
        "warning",
        "shorter than training reads",
        "Reject, or join with its neighbor.",
        "duration in s below",
        0.1,
        "NeMo prompt configuration: min_duration",
    ),
    # Sound
    Rule(
        "clipping",
        "warning",
        "the sound is clipped",
        _LISTEN,
        "share of samples in flat runs of three at the extreme",
        0.001,
        needs="signal",
    ),
    Rule(
        "low_level",
        "warning",
        "the sound is very quiet",
        "Amplify, or record closer.",
        "RMS in dBFS below",
        -42.0,
        needs="signal",
    ),
    Rule(
        "loudness_apart",
        "warning",
        "a speaker or source is much louder or quieter than the rest",
        "Level its clips to the rest (loudness normalization), or find out why: microphone, gain, line.",
        "median loudness of a speaker's or source's clips against that of all others, LU, above; of at least "
        "five clips that are no more than half of all; one finding a group, on its middle clip",
        6.0,
        "loudness by ITU-R BS.1770-4; the threshold is ours",
        "loudness",
    ),
    Rule(
        "loudness_spread",
        "info",
        "the clips of a speaker or source differ much in loudness",
        "Hear its loudest and quietest clip; level them before they are played side by side.",
        "90th minus 10th percentile of the loudness of a speaker's or source's clips, LU, above; of at least "
        "ten clips; one finding a group, on its quietest clip",
        15.0,
        "loudness by ITU-R BS.1770-4; the threshold is ours",
        "loudness",
    ),
    Rule(
        "low_snr",
        "warning",
        "speech hardly stands out from noise",
        _LISTEN,
        "95th minus 10th percentile of 20 ms frame levels, dB, below",
        12.0,
        needs="signal",
    ),
    Rule(
        "silence_start",
        "info",
        "long silence before speech",
        "Trim it.",
        "s before 35 dB below speech",
        1.0,
        needs="signal",
    ),
    Rule(
        "silence_end",
        "info",
        "long silence after speech",
        "Trim it.",
        "s after 35 dB below speech",
        1.0,
        needs="signal",
    ),
    Rule(
        "narrow_band",
        "info",
        "little above telephone bandwidth",
        "Mark domain; do not mix unnoticed.",
        "highest frequency within 50 dB of the maximum, Hz, below",
        4_200,
        "50 dB rule of Speech Data Explorer",
        "signal",
    ),
    Rule(
        "dc_offset",
        "info",
        "the waveform is shifted from zero",
        "Filter below 20 Hz.",
        "absolute mean sample, of full scale",
        0.02,
        needs="signal",
    ),
    # Transcript
    Rule(
        "text_empty",
        "error",
        "no transcript",
        "Write it, reject, or declare the clip as one without speech: the tag 'no speech'.",
        "nothing but spaces",
    ),
    Rule(
        "no_speech",
        "info",
        "declared to hold no speech",
        "Nothing to do; exports and training take it, up to a tenth of their rows.",
        "empty, with a true column no_speech or the tag 'no speech'",
    ),
    Rule(
        "no_speech_text",
        "error",
        "declared to hold no speech, and has a transcript",
        "Remove the one that is wrong.",
        "a true column no_speech or the tag 'no speech' beside a transcript",
    ),
    Rule(
        "translation",
        "error",
        "the transcript is in another language than what is spoken: a translation",
        "Reject it, or correct lang or target_lang; exports and training leave it out.",
        "languages of lang and target_lang differ",
    ),
    Rule(
        "wrong_script",
        "error",
        "the transcript is in another script than its locale",
        "Correct text or locale.",
        "share of letters outside the locale's script",
        0.5,
        "Unicode script names",
    ),
    Rule(
        "mixed_script",
        "warning",
        "a word mixes scripts: look-alike letters",
        "Retype the word.",
        "words with letters of two of Latin, Cyrillic, Greek",
    ),
    Rule(
        "digits",
        "warning",
        "digits where the spoken form is wanted",
        "Write numbers as they were said.",
        "any decimal digit",
        source="model card: spoken-form training text",
    ),
    Rule(
        "markup",
        "warning",
        "markup, entities or stage directions in the transcript",
        "Remove them.",
        "HTML tags, entities, brackets, braces, asterisks, noise tags",
    ),
    Rule("stray_tag", "warning", "a language tag in the transcript", "Remove it; exports add it.", "<xx-XX>"),
    Rule(
        "tag_form",
        "error",
        "a language tag in a form that the model does not know",
        "Write it as <xx-XX>, with the region that is meant, or remove it.",
        "<en>, <es-419>, <zh-Hans>, <|en|>",
    ),
    Rule(
        "no_final_mark",
        "info",
        "no full stop, question or exclamation mark at the end",
        "Add it.",
        "last character, closing quotes aside, is no final mark of the locale",
        source="model card: punctuated training text",
    ),
    Rule(
        "no_capital",
        "info",
        "no capital at the beginning, or capitals throughout",
        "Correct the case.",
        "first letter lower case, or eight and more letters all upper case",
    ),
    Rule(
        "character_rate",
        "warning",
        "unusually many or few characters for the time",
        _LISTEN,
        "robust z of log characters per s within the locale (median, MAD), of 30 clips and more",
        4.5,
        "Iglewicz and Hoaglin 1993 use 3.5 for near-normal data",
    ),
    Rule(
        "unknown_characters",
        "warning",
        "characters that the tokenizer does not know",
        "Respell, or extend it.",
        "unknown pieces of all pieces, above",
        0.0,
        needs="tokenizer",
    ),
    # Duplicates and leakage
    Rule(
        "duplicate_audio",
        "warning",
        "the same recording again",
        "Keep one.",
        "equal hash of the file and equal stretch, or the same file and stretch",
    ),
    Rule(
        "near_duplicate_audio",
        "warning",
        "nearly the same recording again",
        "Listen to both; keep one.",
        "cosine of 8 x 8 log-energy maps, durations within 4 %",
        0.985,
        needs="signal",
    ),
    Rule(
        "duplicate_text",
        "info",
        "the same sentence again",
        "Fine in training, if wanted.",
        "equal letters and digits in one language",
    ),
    Rule(
        "near_duplicate_text",
        "info",
        "nearly the same sentence again",
        "Keep both on one side of the split.",
        "similarity of letters and digits, 20 and more, in one language (rapidfuzz ratio)",
        0.9,
    ),
    Rule(
        "leak_audio",
        "error",
        "the same recording also appears in another split",
        "Split again.",
        "see leakage",
    ),
    Rule(
        "leak_sentence",
        "error",
        "the same sentence also appears in another split",
        "Split again.",
        "see leakage",
    ),
    Rule(
        "leak_speaker",
        "warning",
        "the speaker also appears in another split",
        "Split again, or say speakers='shared'.",
        "see leakage",
    ),
    # Locale and terms
    Rule(
        "unknown_tag",
        "error",
        "no locale, or a tag that is none of the 40",
        "Assign the locale.",
        "locales table",
    ),
    Rule(
        "lang_differs",
        "warning",
        "lang and target_lang differ",
        "Correct one of them.",
        "lang against target_lang; NeMo validates by the one and trains by the other",
    ),
    Rule(
        "terms_missing",
        "info",
        "license or consent is not stated",
        "State them before export.",
        "null fields",
    ),
    # Against the model
    Rule(
        "language_heard",
        "warning",
        "the model hears another language",
        _LISTEN,
        "detected tag against target_lang, languages compared",
        needs="predictions",
    ),
    Rule(
        "disagrees",
        "warning",
        "transcript and model disagree",
        _LISTEN,
        "character error rate of the hypothesis against the transcript, basic normalizer",
        0.6,
        needs="predictions",
    ),
)
RULES: dict[str, Rule] = {rule.id: rule for rule in _ROWS}
"""Rule id → rule, in the order in which findings are sorted."""


def chosen(rules: Iterable[str] | Mapping[str, Any] | None) -> dict[str, Rule]:
    """Rules to run.

    Args:
        rules: None for all; ids; or id → changes, e.g. ``{"low_snr": {"threshold": 10}}``, all others as
            they are; an id with False is left out.

    Raises:
        WorkbenchError: an unknown rule or setting.
    """
    if rules is None:
        return dict(RULES)
    unknown = [name for name in rules if name not in RULES]
    if unknown:
        raise WorkbenchError(f"no rule {unknown[0]!r}", hint=f"Rules: {', '.join(RULES)}.")
    if not isinstance(rules, Mapping):
        return {name: rule for name, rule in RULES.items() if name in set(rules)}
    made = {}
    for name, rule in RULES.items():
        change = rules.get(name)
        if change is False:
            continue
        if change is None or change is True:
            made[name] = rule
            continue
        settings = change if isinstance(change, Mapping) else {"threshold": change}
        if not set(settings) <= {"threshold", "severity"}:
            raise WorkbenchError(f"{name}: only threshold and severity can be changed")
        made[name] = replace(rule, **settings)
    return made
