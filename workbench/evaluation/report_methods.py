"""How the figures of the report were made, for the reader who checks."""

from __future__ import annotations

from typing import Any

from workbench.evaluation.report_parts import number, text


def methods(summary: dict[str, Any]) -> str:
    made, limits = summary["methods"], summary["methods"]["thresholds"]
    variants = ", ".join(
        f"{text(name)} {number(found['spelling_only'])}" for name, found in summary["predictions"].items()
    )
    lines = [
        "An error rate is the sum of substituted, inserted and deleted units over the sum of reference "
        "units; rates of utterances are never averaged. Words, or characters in slices of Japanese, Korean, "
        "Chinese (as NVIDIA's model card does) and Thai (ours).",
        f"Normalizer of the headline: {text(made['normalizer'])}. Raw is Unicode NFC on both sides. "
        "Substitutions in raw text that differ in encoding, apostrophe or ё/е alone, counted in the raw "
        f"rate: {variants}.",
        f"{100 * made['confidence']:.0f} % intervals: {number(made['resamples'])} bootstrap samples of "
        "speakers, percentiles widened for few speakers (Hesterberg 2015); utterances instead where a slice "
        f"has fewer than {limits['min_speakers']} speakers (†) or speakers are not known (‡). "
        f"Seed {made['seed']}.",
        f"Grayed below {number(limits['gray_below_words'])} reference words, provisional below "
        f"{number(limits['provisional_below_words'])}.",
        "Comparisons: paired bootstrap over speakers; matched-pairs sentence-segment test (Gillick and Cox "
        "1989); Holm's correction over the slices of a table. Worst and best slice were picked after seeing "
        "the rates, so their gap is biased upwards.",
        "Punctuation error rate as in NeMo, on text under NFKC; case on words both sides have.",
        "Made with " + ", ".join(f"{text(k)} {text(v)}" for k, v in made["versions"].items()) + ".",
    ]
    return f"<h2>Methods</h2><ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"
