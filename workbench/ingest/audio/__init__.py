"""Sound of an utterance: the one reader that every part of the workbench hears by.

A row names its sound by ``audio_filepath`` (inside the folders that may be read), ``offset`` and ``duration``
in seconds, and ``channel`` (or NeMo's ``channel_selector``). What it names are the samples that decoding the
whole file would put there; seeking never changes them. :func:`read_row` gives them as mono float32, resampled
once.

=============== ===================================================================================
``locating``    which file a row means, and that it is one
``containers``  what the first bytes say, and where headers are known to err
``decoders``    samples in order: libsndfile where it is right, ``ffmpeg`` (PyAV) for the rest
``reading``     stretches, blocks and true lengths of files
``rows``        the rule for channels, mono, resampling, the checks, and the state that a file was in
=============== ===================================================================================
"""

from workbench.ingest.audio.containers import wav_layout
from workbench.ingest.audio.decoders import AUDIO_SUFFIXES
from workbench.ingest.audio.locating import Roots, locate, locate_text, regular, roots_of
from workbench.ingest.audio.reading import SoundFacts, probe, read, stretch
from workbench.ingest.audio.rows import (
    CHANNEL_COLUMNS,
    RowReader,
    Stamp,
    audio_digests,
    channel_of,
    checked,
    chosen,
    digest_of,
    mix,
    mono_blocks,
    read_mono,
    read_row,
    refuse_shorter,
    stamp,
)

__all__ = [
    "AUDIO_SUFFIXES",
    "CHANNEL_COLUMNS",
    "Roots",
    "RowReader",
    "SoundFacts",
    "Stamp",
    "audio_digests",
    "channel_of",
    "checked",
    "chosen",
    "digest_of",
    "locate",
    "locate_text",
    "mix",
    "mono_blocks",
    "probe",
    "read",
    "read_mono",
    "read_row",
    "refuse_shorter",
    "regular",
    "roots_of",
    "stamp",
    "stretch",
    "wav_layout",
]
