"""The synthesizers and their voices: free programs without a network, speaking many texts in one call."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from py_nanotts import NanoTTS

from tooling.starter.recordings import SAMPLE_RATE
from workbench.errors import WorkbenchError

Sound = npt.NDArray[np.float32]
Speak = Callable[[Sequence[str], np.random.Generator], list[Sound]]
ESPEAK_VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "klatt", "klatt2"),
    *("klatt3", "Alex", "Andrea", "Annie", "antonio", "edward", "Gene", "Hugo", "Lee", "linda", "marcelo"),
    *("Mario", "Michael", "miguel", "pablo", "paul", "rob", "steph", "travis", "victor", "Zac"),
)


@dataclass(frozen=True, slots=True)
class MadeVoice:
    """One voice of a synthesizer; ``locales``: what its clips are labeled as, drawn clip by clip.

    A program's accent stands for a language rather than a country, so made clips always get their locale in
    the prompt and never teach ``auto`` which country a voice is from.
    """

    name: str
    engine: str
    language: str
    locales: tuple[str, ...]
    voice: str
    license: str

    @property
    def share(self) -> int:
        """Shards in each round: languages with few voices say more with each."""
        return SHARES[self.language]


SHARES = {"en": 1, "it": 2, "es": 3, "ru": 4, "fr": 6}
LOCALES = {
    "en": ("en-US",),
    "es": ("es-ES", "es-US"),
    "fr": ("fr-FR", "fr-CA"),
    "it": ("it-IT",),
    "ru": ("ru-RU",),
}


def _voices() -> list[MadeVoice]:
    pico = {"en": "en-US", "es": "es-ES", "fr": "fr-FR", "it": "it-IT"}
    found = [MadeVoice(f"pico-{v}", "pico", k, LOCALES[k], v, "Apache-2.0") for k, v in pico.items()]
    found.append(MadeVoice("pico-en-GB", "pico", "en", LOCALES["en"], "en-GB", "Apache-2.0"))
    flite = ("slt", "rms", "awb", "kal16")
    found += [MadeVoice(f"flite-{v}", "flite", "en", LOCALES["en"], v, "EST (like BSD)") for v in flite]
    spoken = {
        "en": ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts"),
        "it": ("lp_diphone", "pc_diphone"),
        "ru": ("msu_ru_nsh_clunits",),
    }
    for language, own in spoken.items():
        license = "GPL-2+" if language == "it" else "EST (like BSD)"
        found += [
            MadeVoice(f"festival-{v}", "festival", language, LOCALES[language], v, license) for v in own
        ]
    espeak = {"en": "en-us", "es": "es", "es-419": "es-419", "fr": "fr-fr", "it": "it", "ru": "ru"}
    for code, voice in espeak.items():
        language = code[:2]
        found.append(
            MadeVoice(f"espeak-{code}", "espeak", language, LOCALES[language], voice, "GPL-3.0-or-later")
        )
    return found


VOICES: tuple[MadeVoice, ...] = tuple(_voices())


def speak(voice: MadeVoice, texts: Sequence[str], rng: np.random.Generator) -> list[Sound]:
    """Each text as 16 kHz mono samples; an empty array where the program said nothing.

    Raises:
        WorkbenchError: the synthesizer is not installed.
    """
    engine = {"pico": _pico, "flite": _flite, "festival": _festival, "espeak": _espeak}[voice.engine]
    try:
        return engine(voice, texts, rng)
    except FileNotFoundError as error:
        raise WorkbenchError(
            f"the synthesizer {voice.engine} is missing ({error})",
            where=voice.name,
            hint="apt-get install flite festival festvox-* espeak-ng",
        ) from error


def read(data: bytes) -> Sound:
    """A WAV file's samples at 16 kHz, mono."""
    if len(data) < 100:
        return np.zeros(0, np.float32)
    pcm, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    mono: Sound = soxr.resample(pcm.mean(axis=1), rate, SAMPLE_RATE).astype(np.float32)
    return mono


def _pico(voice: MadeVoice, texts: Sequence[str], rng: np.random.Generator) -> list[Sound]:
    engine = NanoTTS()
    found = []
    for text in texts:
        speed, pitch = float(rng.uniform(0.75, 1.3)), float(rng.uniform(0.75, 1.3))
        data = engine.speak(text, voice=voice.voice, speed=speed, pitch=pitch)
        found.append(np.frombuffer(data, np.int16).astype(np.float32) / 32768.0)
    return found


def _flite(voice: MadeVoice, texts: Sequence[str], rng: np.random.Generator) -> list[Sound]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            target = Path(folder) / f"{number}.wav"
            stretch, pitch = rng.uniform(0.8, 1.3), rng.uniform(80, 220)
            settings = [
                "--setf",
                f"duration_stretch={stretch:.3f}",
                "--setf",
                f"int_f0_target_mean={pitch:.0f}",
            ]
            subprocess.run(["flite", "-voice", voice.voice, *settings, "-t", text, "-o", target], check=True)
            found.append(read(target.read_bytes()))
    return found


def _festival(voice: MadeVoice, texts: Sequence[str], rng: np.random.Generator) -> list[Sound]:
    encoding = "utf-8" if voice.language == "ru" else "iso-8859-1"
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"(voice_{voice.voice})"]
        for number, text in enumerate(texts):
            said = text.replace("\\", " ").replace('"', " ").replace("’", "'")
            said = said.lower() if voice.language == "it" else said
            target, stretch = Path(folder) / f"{number}.wav", rng.uniform(0.8, 1.25)
            make = f'(utt.save.wave (utt.synth (Utterance Text "{said}")) "{target}" \'riff)'
            lines.append(f"(Parameter.set 'Duration_Stretch {stretch:.3f}) (unwind-protect {make} nil)")
        script = Path(folder) / "say.scm"
        script.write_bytes("\n".join(lines).encode(encoding, "replace"))
        subprocess.run(["festival", "-b", script], check=False, capture_output=True)
        made = (Path(folder) / f"{number}.wav" for number in range(len(texts)))
        return [read(path.read_bytes()) if path.is_file() else np.zeros(0, np.float32) for path in made]


def _espeak(voice: MadeVoice, texts: Sequence[str], rng: np.random.Generator) -> list[Sound]:
    found = []
    for text in texts:
        variant, speed, pitch = rng.choice(ESPEAK_VARIANTS), rng.integers(120, 200), rng.integers(20, 80)
        command = ["espeak-ng", "-v", f"{voice.voice}+{variant}", "-s", str(speed), "-p", str(pitch)]
        said = subprocess.run([*command, "--stdout", text], check=True, capture_output=True)
        found.append(read(said.stdout))
    return found
