"""Two voices that speak in tones, and an ear that understands them.

Every letter is a pair of tones, sounded for 40 ms on a very noisy line. The ear measures the power of each
tone with the Goertzel algorithm and writes down the likeliest letter. How often that fails depends on the
noise of the day, so the word error rate is a measurement.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinylab.seeds import fresh_random

SAMPLE_RATE = 8000
SAMPLES_PER_LETTER = 320
ALPHABET = " abcdefghijklmnopqrstuvwxyz"
LOW_TONES = (600.0, 700.0, 800.0, 900.0, 1000.0, 1100.0)
HIGH_TONES = (1500.0, 1700.0, 1900.0, 2100.0, 2300.0)
# Ten standard deviations of the noise fit below the full scale of 32767.
LOUDNESS = 1200.0


@dataclass(frozen=True)
class Voice:
    """How a voice sounds: vibrato in radians and hertz, noise as a multiple of one tone's amplitude."""

    name: str
    vibrato_depth: float
    vibrato_hz: float
    noise: float


VOICES = {
    "alpha": Voice("alpha", vibrato_depth=0.15, vibrato_hz=5.0, noise=2.55),
    "bravo": Voice("bravo", vibrato_depth=0.60, vibrato_hz=7.0, noise=2.45),
}


def tones_of(letter: str) -> tuple[float, float]:
    """The two tones of a letter, in hertz."""
    low, high = divmod(ALPHABET.index(letter), len(HIGH_TONES))
    return LOW_TONES[low], HIGH_TONES[high]


def speak(text: str, voice: Voice, rng: random.Random) -> Iterator[bytes]:
    """Synthesise a text, one piece of sound per word.

    Yields:
        16-bit mono PCM at SAMPLE_RATE; the space after a word belongs to its piece.
    """
    sin, gauss = math.sin, rng.gauss
    sway = math.tau * voice.vibrato_hz / SAMPLE_RATE
    clock = 0
    for word in text.split():
        piece = array("h")
        for letter in word + " ":
            low, high = (math.tau * tone / SAMPLE_RATE for tone in tones_of(letter))
            for t in range(clock, clock + SAMPLES_PER_LETTER):
                drift = voice.vibrato_depth * sin(sway * t)
                level = sin(low * t + drift) + sin(high * t + drift) + gauss(0.0, voice.noise)
                piece.append(int(LOUDNESS * level))
            clock += SAMPLES_PER_LETTER
        yield piece.tobytes()


def duration_s(sound: bytes) -> float:
    """How long a sound lasts, in seconds."""
    return len(sound) / 2 / SAMPLE_RATE


def tone_power(samples: array[int], tone: float) -> float:
    """Power of one tone in a stretch of sound (Goertzel's recurrence)."""
    coefficient = 2.0 * math.cos(math.tau * tone / SAMPLE_RATE)
    last = before = 0.0
    for sample in samples:
        last, before = sample + coefficient * last - before, last
    return last * last + before * before - coefficient * last * before


def listen(sound: bytes) -> str:
    """Write down what was said, letter by letter."""
    samples = array("h")
    samples.frombytes(sound)
    letters = []
    for start in range(0, len(samples), SAMPLES_PER_LETTER):
        stretch = samples[start : start + SAMPLES_PER_LETTER]
        low = [tone_power(stretch, tone) for tone in LOW_TONES]
        high = [tone_power(stretch, tone) for tone in HIGH_TONES]
        index = low.index(max(low)) * len(HIGH_TONES) + high.index(max(high))
        # The grid of tones has more places than the alphabet has letters; what falls outside is heard as a pause.
        letters.append(ALPHABET[index] if index < len(ALPHABET) else " ")
    return " ".join("".join(letters).split())


class VoicesTask:
    """Answers `{"text": text}` with PCM sound, word by word.

    Args:
        voice: a key of VOICES.
    """

    def __init__(self, voice: str) -> None:
        self._voice = VOICES[voice]
        self._rng = fresh_random(f"voice {voice}")

    def prepare(self) -> None:
        """Clear the throat: the first sound is slower than those after it."""
        sound = b"".join(speak("ready when you are", self._voice, self._rng))
        print(f"voice {self._voice.name}: {duration_s(sound):.2f} s of sound to warm up", flush=True)

    def answer(self, request: dict[str, Any]) -> Iterator[bytes]:
        """Speak one text."""
        return speak(request["text"], self._voice, self._rng)
