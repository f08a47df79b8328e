"""The fields of an utterance row: what each is called, its type, and what other tools call it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from workbench.errors import WorkbenchError

SCHEMA_VERSION = 1
PREDICTION_SCHEMA = 2
"""Of the files of predictions, which the recognizer writes and every room reads."""

FIELDS: dict[str, str] = {
    "id": "VARCHAR",
    "audio_filepath": "VARCHAR",
    "offset": "DOUBLE",
    "duration": "DOUBLE",
    "text": "VARCHAR",
    "target_lang": "VARCHAR",
    "lang": "VARCHAR",
    "accent": "VARCHAR",
    "speaker": "VARCHAR",
    "domain": "VARCHAR",
    "source": "VARCHAR",
    "split": "VARCHAR",
    "license": "VARCHAR",
    "consent": "VARCHAR",
    "recorded_at": "VARCHAR",
}
"""Field → DuckDB type, in the order in which exports write them. Seconds are doubles; unknown is null."""

TEXT_FIELDS = tuple(name for name, kind in FIELDS.items() if kind == "VARCHAR")
NUMBERS = ("offset", "duration")
"""Where in its recording a row begins, and how long it is, in seconds."""
EDITABLE = ("text", "target_lang", "accent", "speaker", "split", *NUMBERS)
"""What a reviewer may change; everything else is the source's word."""

SPLITS = ("train", "validation", "test")
_SPLIT_NAMES = {
    "train": "train", "training": "train", "tr": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip

UNKNOWN = ("", "unknown", "n/a", "na", "none", "null", "nan", "-")
"""What sources write for "not known"; becomes null in the fields below."""
OPTIONAL = (
    "target_lang",
    "lang",
    "accent",
    "speaker",
    "domain",
    "split",
    "license",
    "consent",
    "recorded_at",
)

END, CHANNEL = "end", "channel"
READ_TOO = (END, CHANNEL)
"""No fields, but mapped as if they were: when a stretch ends, and which channel it is."""

DERIVED: dict[str, str] = {
    "original_text": "the transcript as the source has it",
    "status": "pending, accepted or rejected",
    "reason": "why it was rejected",
    "tags": "list of a reviewer's tags",
    "edited": "a reviewer changed a field",
    "characters": "characters of the transcript",
    "words": "words of the transcript; characters in languages written without spaces",
    "characters_per_s": "characters per second of audio",
    "duration_bucket": "0-1, 1-2, 2-5, 5-10, 10-20, 20-40, 40+ seconds",
    "script": "script of most letters of the transcript",
    "row_index": "position in the source, from 0",
}
"""Columns that the view adds."""
RESERVED = frozenset(DERIVED) | {"source_line", "source_file"}

ALIASES: dict[str, tuple[str, ...]] = {
    "end": ("end_s", "end_time", "stop", "stop_time", "end_ms", "offset_end", "to"),
    "channel": ("channel_selector", "channel_id"),
    "id": ("utt_id", "utterance_id", "utt", "clip_id", "segment_id", "uid", "key"),
    "audio_filepath": (
        "audio_file", "audio_path", "audio_filename", "path", "audio", "file_name", "filename", "filepath",
        "file_path", "file", "wav", "wav_path", "wav_filename", "clip", "clip_path", "recording",
        "recording_path", "sound", "audio_url", "audio_id", "relative_path",
    ),
    "offset": ("start", "start_s", "start_time", "begin", "onset", "start_ms", "offset_ms", "from"),
    "duration": ("duration_s", "duration_sec", "dur", "length_s", "audio_duration", "seconds", "length",
        "duration_ms", "audio_length", "duration[ms]"),
    "text": (
        "transcript", "raw_transcription", "transcription", "sentence", "raw_text", "reference", "utterance",
        "normalized_text", "prompt", "ground_truth", "gold", "transcribed_text", "utterance_text",
        "original_text", "label",
    ),
    "target_lang": ("locale", "target_language", "language", "lang_tag", "language_code"),
    "lang": ("source_lang", "lang_id"),
    "accent": ("accents", "variety", "variant", "dialect"),
    "speaker": ("speaker_id", "client_id", "spk", "spk_id", "speaker_name", "speaker_code", "caller"),
    "domain": ("topic", "sentence_domain"),
    "source": ("corpus", "dataset"),
    "split": ("subset", "partition", "set"),
    "license": ("license",),
    "recorded_at": ("recorded", "recording_date", "date", "timestamp", "created_at"),
}  # fmt: skip
"""Field → what other tools call it, likeliest first."""
HEADINGS: dict[str, tuple[str, ...]] = {
    "audio_filepath": (
        "Datei", "Dateiname", "Audiodatei", "Tondatei", "Aufnahme", "fichier", "fichier audio",
        "enregistrement", "archivo", "archivo de audio", "fichero", "grabación", "file audio", "percorso",
        "registrazione", "arquivo", "gravação", "bestand", "bestandsnaam", "opname", "lydfil", "ljudfil",
        "filnavn", "filnamn", "plik", "nagranie", "файл", "αρχείο",
    ),
    "text": (
        "Transkript", "Transkription", "Satz", "Wortlaut", "Äußerung", "phrase", "énoncé", "transcripción",
        "frase", "trascrizione", "transcrição", "transcriptie", "zin", "udskrift", "sætning", "mening",
        "transkrypcja", "zdanie", "текст", "расшифровка", "κείμενο",
    ),
    "target_lang": (
        "Sprache", "langue", "idioma", "lengua", "lingua", "língua", "taal", "sprog", "språk", "język",
        "язык", "γλώσσα",
    ),
    "accent": ("Akzent", "Dialekt", "Mundart", "acento", "sotaque", "accento", "akcent", "акцент"),
    "speaker": (
        "Sprecher", "Sprecherin", "locuteur", "locutrice", "hablante", "locutor", "parlante", "falante",
        "spreker", "taler", "talare", "mówca", "диктор", "говорящий", "ομιλητής",
    ),
    "duration": (
        "Dauer", "Länge", "durée", "duración", "durata", "duração", "duur", "varighed", "varaktighet",
        "długość", "длительность", "διάρκεια",
    ),
    "offset": ("Beginn", "Anfang", "début", "inicio", "inizio", "início", "początek", "начало"),
    "end": ("Ende", "einde", "koniec", "конец"),
    "domain": ("Thema", "sujet", "tema", "onderwerp", "тема"),
    "license": ("Lizenz", "licence", "licencia", "licenza", "licença", "licentie", "licens", "лицензия"),
    "recorded_at": ("Aufnahmedatum", "Datum", "fecha", "дата"),
}  # fmt: skip
"""Field → headings of spreadsheets in other languages, asked after :data:`ALIASES`."""


def guess_mapping(columns: Iterable[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Which column of a source feeds which field.

    Args:
        columns: the source's column names.
        given: field → column, decided by the user; wins over every guess. An empty column: none feeds it.

    Returns:
        Field → column for the fields that have one. Each column feeds at most one field; ``lang`` also
        feeds ``target_lang`` where nothing else does, since NeMo writes the same tag in both.

    Raises:
        WorkbenchError: ``given`` names an unknown field or a column that the source lacks.
    """
    present = list(columns)
    chosen = dict(given or {})
    for name, column in chosen.items():
        if name not in FIELDS and name not in READ_TOO:
            raise WorkbenchError(f"no field {name!r} to map to", hint=f"Fields: {', '.join(FIELDS)}.")
        if column and column not in present:
            raise WorkbenchError(
                f"the source has no column {column!r}", hint=f"Columns: {', '.join(present)[:200]}."
            )
    by_lower = {_plain(column): column for column in reversed(present)}
    taken = set(chosen.values())
    for known in ({name: (name,) for name in (*FIELDS, *READ_TOO)}, ALIASES, HEADINGS):
        for name in (*FIELDS, *READ_TOO):
            if name in chosen or (name == END and "duration" in chosen):
                continue
            for alias in known.get(name, ()):
                match = by_lower.get(_plain(alias))
                if match is not None and match not in taken:
                    chosen[name] = match
                    taken.add(match)
                    break
    if "target_lang" not in chosen and chosen.get("lang") and not (given and "lang" in given):
        chosen["target_lang"] = chosen["lang"]
    return {name: chosen[name] for name in (*FIELDS, *READ_TOO) if chosen.get(name)}


def _plain(name: str) -> str:
    """Letters and digits alone, without their accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", name.casefold()) if c.isalnum())


def split_name(value: str) -> str:
    """``dev`` → ``validation``; a name that is no usual one stays as it is."""
    return _SPLIT_NAMES.get(value.strip().lower(), value.strip())


def quoted(name: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A text as an SQL literal."""
    return "'" + str(value).replace("'", "''") + "'"
