"""What the Open ASR Leaderboard's English normalizer has beyond OpenAI's (``leaderboard.VERSION``).

Lists of names and compounds, changed spellings and contractions are its own (normalizer.py and
english_abbreviations.py of huggingface/open_asr_leaderboard; OpenAI and Hugging Face, Apache License
2.0); numbers and the order of steps are OpenAI's, of which the library ``whisper_normalizer`` is a copy.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from whisper_normalizer.basic import remove_symbols_and_diacritics
from whisper_normalizer.english import EnglishTextNormalizer

FILLERS = r"\b(hmm|mm|mhm|mmm|uh|um|ah|aha|ahh|ahm|eh|ehehe|em|hm|huh|hum|mhum|uhm|umm|uhuh)\b"
_LEFT_OUT = (r"\bdunno\b", r"\bsorta\b", r"\bkinda\b", r"\bcause\b")
_ANY_S = r"'s\b"
_IS = (r"\b(it|he|she|what|that|who|here|there|how|when|where|why|this)'s\b", r"\1 is")
_SPELLINGS_GONE = (
    "archeological",
    "cancelation",
    "cancelations",
    "flyer / flier",
    "travelog",
    "travelogs",
)
_SPELLINGS = {
    "ok": "okay",
    "kay": "okay",
    "etcetera": "etc",
    "archaeology": "archeology",
    "archaeological": "archeological",
    "cancellation": "cancelation",
    "cancellations": "cancelations",
    "flyer": "flier",
    "mm": "hmm",
    "pummelled": "pummeled",
    "pummelling": "pummeling",
    "snowploughs": "snowplows",
    "travelogue": "travelog",
    "travelogues": "travelogs",
}
COMPOUNDS = {
    "\\bet\\s+cetera\\b": "etc",
    "\\bal\\s+right\\b": "alright",
    "\\ball\\s+right\\b": "alright",
    "\\bhow\\s+ever\\b": "however",
    "\\bwi\\s+fi\\b": "wifi",
    "\\bhi\\s+fi\\b": "hifi",
    "\\blo\\s+fi\\b": "lofi",
    "\\bsci\\s+fi\\b": "scifi",
    "\\be\\s+mail\\b": "email",
    "\\be\\s+book\\b": "ebook",
    "\\be\\s+commerce\\b": "ecommerce",
    "\\bx\\s+ray\\b": "xray",
    "\\bt\\s+shirt\\b": "tshirt",
    "\\ba\\s+m\\b": "am",
    "\\bp\\s+m\\b": "pm",
    "\\bo\\s+k\\b": "okay",
}
NAMES = dict(
    pair.split(":")
    for pair in """
alan:allen allan:allen bridgette:bridget charly:charlie charley:charlie garry:gary gregg:greg jacky:jackie
joann:joanne joane:joanne kellye:kelly kelli:kelly kelley:kelly lilly:lily micheal:michael
michele:michelle mollie:molly phillip:philip sallie:sally stacey:stacy stacie:stacy tracey:tracy
tracie:tracy bret:brett carrol:carol carole:carol carroll:carol allison:alison alyson:alison
russel:russell douglass:douglas dominick:dominic robb:rob kris:chris kristopher:christopher
cristopher:christopher kristina:christina kristen:kristin karl:carl kathy:cathy katherine:catherine
kathryn:catherine catharine:catherine erik:eric erick:eric caren:karen caryn:karen karin:karen
katelyn:caitlin kaitlyn:caitlin kaitlin:caitlin nikole:nicole veronika:veronica viktor:victor
viktoria:victoria kevan:kevin patrik:patrick frederik:frederick fredrick:frederick lukas:lucas ann:anne
jon:john johnathan:jonathan jonathon:jonathan sara:sarah mathew:matthew nicolas:nicholas rachael:rachel
rebekah:rebecca devorah:deborah theresa:teresa suzanne:susanne antony:anthony martyn:martin denis:dennis
laurence:lawrence tomas:thomas tobey:toby macarthur:mcarthur macartney:mccartney macarthy:mccarthy
maccarthy:mccarthy macdonald:mcdonald mackay:mckay mackenzie:mckenzie macleod:mcleod maclean:mclean
macmillan:mcmillan macintosh:mcintosh macintyre:mcintyre macnamara:mcnamara macgowan:mcgowan
mohamad:mohammed mohamed:mohammed mohammad:mohammed muhammad:mohammed muhamad:mohammed muhammed:mohammed
mouhamed:mohammed mouhamad:mohammed mahomet:mohammed fatimah:fatima yusuf:yousef yusef:yousef
myriam:miriam rajeev:rajiv alphonso:alfonso bryan:brian geoffrey:jeffrey jeffery:jeffrey geoff:jeff
neal:neil shaun:sean shawn:sean shayne:shane stephen:steven toni:tony leigh:lee lewis:louis marc:mark
meghan:megan nathalie:natalie robyn:robin rodger:roger linsey:lindsay lindsey:lindsay zackary:zachary
zachery:zachary zak:zach sheri:sherry cheri:sherry sherrie:sherry terri:terry lori:laurie jaime:jamie
jayson:jason lesley:leslie lynda:linda lynne:lynn gayle:gail rhonda:ronda yvonne:ivonne stewart:stuart
walther:walter symon:simon collin:colin dillon:dylan aron:aaron artur:arthur henri:henry josef:joseph
pieter:peter
""".split()  # noqa: SIM905
)


@cache
def _openai() -> Any:
    """OpenAI's normalizer with the leaderboard's contractions and spellings."""
    made = EnglishTextNormalizer()
    replacers = {}
    for pattern, meant in made.replacers.items():
        if pattern == _ANY_S:
            replacers[_IS[0]] = _IS[1]
        elif pattern not in _LEFT_OUT:
            replacers[pattern] = meant
    made.replacers = replacers
    known = made.standardize_spellings.mapping
    kept = {word: meant for word, meant in known.items() if word not in _SPELLINGS_GONE}
    made.standardize_spellings.mapping = kept | _SPELLINGS
    return made


def english_text(text: str) -> str:
    """A text as the leaderboard's English normalizer leaves it."""
    steps = _openai()
    text = re.sub(r"[<\[][^>\]]*[>\]]", "", text.lower())
    text = re.sub(r"\(([^)]+?)\)", "", text)
    text = re.sub(r"\s+'", "'", re.sub(FILLERS, "", text))
    for pattern, meant in steps.replacers.items():
        text = re.sub(pattern, meant, text)
    text = re.sub(r"(\d),(\d)", r"\1\2", text)
    text = re.sub(r"\.([^0-9]|$)", r" \1", text)
    text = remove_symbols_and_diacritics(text, keep=".%$¢€£")
    for pattern, meant in COMPOUNDS.items():
        text = re.sub(pattern, meant, text)
    text = steps.standardize_spellings(steps.standardize_numbers(text))
    text = _acronyms(" ".join(NAMES.get(word, word) for word in text.split()))
    text = re.sub(r"[.$¢€£]([^0-9])", r" \1", text)
    text = re.sub(r"([^0-9])%", r"\1 ", text)
    return re.sub(r"\s+", " ", text)


def _acronyms(text: str) -> str:
    """Single letters and digits in a row as one word: ``b b c`` is ``bbc``; with a or i from three on."""
    words, joined, at = text.split(), [], 0
    while at < len(words):
        run = at
        while run < len(words) and len(words[run]) == 1 and words[run].isalnum():
            run += 1
        letters = words[at:run]
        if len(letters) >= (3 if {"a", "i"} & set(letters) else 2):
            joined.append("".join(letters))
        else:
            joined += letters
        if run < len(words):
            joined.append(words[run])
        at = run + 1
    return " ".join(joined)
