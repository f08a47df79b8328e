"""What made voices say: common words in short phrases, numbers, sentences of Debian's fortunes, captions.

No sentence of the validation or test split is ever said: splits are drawn from a sentence's letters alone
(``recordings.split_of``), so every text that would fall into one of them is left out, in every language.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from num2words import num2words
from wordfreq import top_n_list

from tooling.starter.recordings import split_of

COMMON_WORDS = 25_000
RANK_POWER = 0.5  # a word of rank r is drawn r ** -0.5 times as often as the first
LONGEST_WORDS, LONGEST_LETTERS = 12, 90
SHARES = {"words": 0.55, "sentences": 0.2, "captions": 0.15, "numbers": 0.1}
ENGLISH = (
    *("computers", "cookie", "education", "food", "fortunes", "humorists", "kids", "law", "literature"),
    *("love", "medicine", "men-women", "miscellaneous", "people", "pets", "platitudes", "riddles"),
    *("science", "wisdom", "work"),
)
FORTUNES = {"es": ("es/*.fortunes",), "it": ("it/*",), "ru": ("ru/*",), "en": ENGLISH, "fr": ()}
LETTERS = {"ru": r"[а-яё]+", "fr": r"[a-zàâæçéèêëîïôœùûü]+", "es": r"[a-záéíñóúü]+", "it": r"[a-zàèéìòù]+"}
SENTENCE = re.compile(r"(?<=[.!?…])\s+")
UNSPEAKABLE = re.compile(r"[^\w\s.,;:!?¡¿'’«»\-]|\d|_")
CONNECTED = {
    "en": ("and", "of", "with", "in"),
    "es": ("y", "de", "con", "en"),
    "fr": ("et", "de", "avec", "dans"),
}
CONNECTED |= {"it": ("e", "di", "con", "in"), "ru": ("и", "с", "на", "для")}


@dataclass(frozen=True, slots=True)
class Material:
    """The texts of one language: words by falling frequency, whole sentences, captions."""

    language: str
    words: tuple[str, ...]
    sentences: tuple[str, ...]
    captions: tuple[str, ...]


def common_words(language: str, count: int = COMMON_WORDS) -> tuple[str, ...]:
    """The ``count`` most frequent words of a language that are letters alone (``wordfreq``)."""
    shape = re.compile(LETTERS.get(language, r"[a-z]+"))
    found = top_n_list(language, 3 * count)
    return tuple(w for w in found if shape.fullmatch(w) and (len(w) > 1 or w in "aeiouyà"))[:count]


def fortunes(root: Path, language: str) -> list[str]:
    """Sentences of the unpacked ``fortunes-*`` packages: short enough, without digits or markup."""
    folder, found = root / "usr/share/games/fortunes", []
    for pattern in FORTUNES.get(language, ()):
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and path.suffix in ("", ".fortunes"):
                found += _sentences(path.read_bytes().decode("utf-8", "replace"))
    return found


def _sentences(text: str) -> list[str]:
    found = []
    for paragraph in re.split(r"\n%\n|\n\s*\n", text):
        for sentence in SENTENCE.split(" ".join(paragraph.split())):
            words = sentence.split()
            fits = 2 <= len(words) <= LONGEST_WORDS and len(sentence) <= LONGEST_LETTERS
            if fits and not UNSPEAKABLE.search(sentence) and sentence[-1] in ".!?" and sentence[0].isupper():
                found.append(sentence)
    return found


def captions(root: Path, language: str) -> list[str]:
    """Tux Paint's captions in a language, those without a voice included."""
    found = []
    for path in sorted((root / "usr/share/tuxpaint/stamps").rglob("*.txt")):
        lines = path.read_text("utf-8", errors="replace").splitlines()
        prefix = f"{language}.utf8="
        own = lines[:1] if language == "en" else [x[len(prefix) :] for x in lines if x.startswith(prefix)]
        found += [" ".join(text.split()) for text in own if not UNSPEAKABLE.search(text)]
    return [text for text in found if text]


def material(root: Path, language: str) -> Material:
    """Everything that may be said in a language; held-out sentences are left out already."""
    own = [fortunes(root, language), captions(root, language)]
    sentences, shown = (tuple(dict.fromkeys(t for t in texts if allowed(t))) for texts in own)
    return Material(language, common_words(language), sentences, shown)


def allowed(text: str) -> bool:
    """Whether the sentence falls into the train split, whoever says it."""
    return split_of(text) == "train"


def draw(source: Material, count: int, rng: np.random.Generator) -> list[str]:
    """``count`` texts in the shares of ``SHARES``; kinds that the language lacks give way to words."""
    weights = rank_weights(len(source.words))
    found: list[str] = []
    while len(found) < count:
        kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        text = _one(source, kind, weights, rng)
        if allowed(text):
            found.append(text)
    return found


def rank_weights(count: int) -> npt.NDArray[np.float64]:
    """How often each of ``count`` words is drawn, the most frequent first; they sum to one."""
    found = np.arange(1, count + 1, dtype=np.float64) ** -RANK_POWER
    return np.asarray(found / found.sum(), np.float64)


def _one(source: Material, kind: str, weights: npt.NDArray[np.float64], rng: np.random.Generator) -> str:
    if kind == "sentences" and source.sentences:
        return source.sentences[int(rng.integers(len(source.sentences)))]
    if kind == "captions" and source.captions:
        return source.captions[int(rng.integers(len(source.captions)))]
    if kind == "numbers":
        return number(source.language, rng)
    return phrase(source, weights, rng)


def phrase(source: Material, weights: npt.NDArray[np.float64], rng: np.random.Generator) -> str:
    """One to five common words, some joined by a small one, as a sentence."""
    chosen = [source.words[i] for i in rng.choice(len(weights), size=int(rng.integers(1, 6)), p=weights)]
    small = CONNECTED.get(source.language, ())
    if small and len(chosen) > 1 and rng.random() < 0.4:
        chosen.insert(int(rng.integers(1, len(chosen))), str(rng.choice(small)))
    if len(chosen) > 3 and rng.random() < 0.3:
        chosen[1] += ","
    return sentence(chosen, rng)


def sentence(words: Sequence[str], rng: np.random.Generator) -> str:
    """Capital at the start; mostly a full stop at the end."""
    text = " ".join(words)
    return f"{text[:1].upper()}{text[1:]}{'.' if rng.random() < 0.9 else rng.choice(['?', '!'])}"


def number(language: str, rng: np.random.Generator) -> str:
    """A number, or two to six digits one by one, in words."""
    if rng.random() < 0.4:
        digits = [num2words(int(d), lang=language) for d in rng.integers(0, 10, int(rng.integers(2, 7)))]
        return sentence(digits, rng)
    top = int(rng.choice([20, 100, 1000, 10_000]))
    return sentence(num2words(int(rng.integers(top)), lang=language).split(), rng)
