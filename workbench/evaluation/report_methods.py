"""How the figures of the report were made, for the reader who checks."""

from __future__ import annotations

from typing import Any

from workbench.evaluation.intervals import MIN_CLUSTERS
from workbench.evaluation.report_parts import number, text
from workbench.evaluation.significance import EXACT_CLUSTERS


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
        f"{100 * made['confidence']:.0f} % intervals over speakers: the wider of Student's (cluster-robust) "
        f"and of the bootstrap-t with {number(made['resamples'])} samples, on the logarithmic scale; rates "
        "below 5 % by a gamma-Poisson model of speakers. Over utterances instead where a slice has fewer "
        f"than {limits['min_speakers']} speakers (†) or speakers are not known (‡). None below "
        f"{MIN_CLUSTERS} independent units, or where nearly all errors come from one or two of them. "
        f"Seed {made['seed']}.",
        f"Grayed below {number(limits['gray_below_words'])} reference words, provisional below "
        f"{number(limits['provisional_below_words'])}.",
        "Comparisons: the two systems' names swapped speaker by speaker (all ways up to "
        f"{EXACT_CLUSTERS} speakers, else {number(made['resamples'])} sampled ways), Student's tail where "
        "swapping reaches its smallest p-value; intervals by inverting the same test; matched-pairs "
        "sentence-segment test (Gillick and Cox 1989); Holm's correction over the slices of a table. "
        "Worst and best slice were picked after seeing the rates, so their gap is biased upwards.",
        "Punctuation error rate as in NeMo, on text under NFKC; case on words both sides have.",
        "Made with " + ", ".join(f"{text(k)} {text(v)}" for k, v in made["versions"].items()) + ".",
    ]
    return f"<h2>Methods</h2><ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"
