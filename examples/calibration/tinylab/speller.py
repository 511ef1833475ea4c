"""A spelling corrector: a noisy typist, a channel model of their slips, and a word-pair model of the language.

For every typed word the candidates of the lexicon are scored by weighted edit distance; the best few go
into a Viterbi search over word pairs. A forgotten space cannot be mended, which keeps the task honest.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tinylab.text import SENTENCES, TRAINING_TEXT

START = "<s>"
DEFAULT_BEAM = 8

SLIP_RATE = 0.13
MISSING_SPACE_RATE = 0.015

NEIGHBOUR_COST = 1.6
OTHER_KEY_COST = 3.2
MISSING_KEY_COST = 2.0
EXTRA_KEY_COST = 2.0
PAIR_WEIGHT = 0.7
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _neighbours() -> dict[str, str]:
    place = {key: (x + y * 0.5, y) for y, row in enumerate(_KEYBOARD) for x, key in enumerate(row)}
    return {
        key: "".join(
            other for other, (ox, oy) in place.items() if other != key and abs(ox - x) <= 1.0 and abs(oy - y) <= 1
        )
        for key, (x, y) in place.items()
    }


NEIGHBOURS = _neighbours()


def mistype(sentence: str, rng: random.Random) -> str:
    """Type a sentence in a hurry: wrong keys, missing keys, doubled keys, now and then a missing space."""
    typed = []
    for key in sentence:
        if key == " ":
            typed.append("" if rng.random() < MISSING_SPACE_RATE else key)
        elif rng.random() >= SLIP_RATE:
            typed.append(key)
        else:
            slip = rng.random()
            if slip < 0.60:
                typed.append(rng.choice(NEIGHBOURS[key]))
            elif slip < 0.80:
                typed.append(key + rng.choice(NEIGHBOURS[key]))
            elif slip < 0.95:
                typed.append("")
            else:
                typed.append(rng.choice("abcdefghijklmnopqrstuvwxyz"))
    return " ".join("".join(typed).split())


def channel_cost(typed: str, word: str) -> float:
    """Cost of having meant `word` when `typed` was typed: a weighted edit distance, 0.0 for equal strings."""
    row = [i * MISSING_KEY_COST for i in range(len(word) + 1)]
    for pressed in typed:
        diagonal, row[0] = row[0], row[0] + EXTRA_KEY_COST
        near = NEIGHBOURS.get(pressed, "")
        for j, meant in enumerate(word, start=1):
            best = diagonal
            if pressed != meant:
                best += NEIGHBOUR_COST if meant in near else OTHER_KEY_COST
            if row[j] + EXTRA_KEY_COST < best:
                best = row[j] + EXTRA_KEY_COST
            if row[j - 1] + MISSING_KEY_COST < best:
                best = row[j - 1] + MISSING_KEY_COST
            diagonal, row[j] = row[j], best
    return row[-1]


class Speller:
    """Finds the likeliest sentence behind a typed one.

    Args:
        beam: candidates kept per typed word.
    """

    def __init__(self, beam: int) -> None:
        self._beam = beam
        lines = [line.split() for line in TRAINING_TEXT.strip().splitlines()]
        # The dictionary knows every word of the examination, the word pairs come from the training text alone.
        self._lexicon = sorted({word for words in (*lines, *(s.split() for s in SENTENCES)) for word in words})
        self._words = Counter(word for words in lines for word in words)
        self._pairs = Counter(pair for words in lines for pair in zip([START, *words[:-1]], words, strict=True))
        self._lefts = Counter(left for words in lines for left in (START, *words[:-1]))
        self._total = sum(self._words.values())

    @property
    def lexicon_size(self) -> int:
        """Number of words that can be written."""
        return len(self._lexicon)

    def pair_cost(self, left: str, right: str) -> float:
        """Negative log probability of `right` after `left`, smoothed with the frequency of `right` alone."""
        alone = (self._words[right] + 0.5) / (self._total + 0.5 * len(self._lexicon))
        return -math.log((self._pairs[left, right] + 2.0 * alone) / (self._lefts[left] + 2.0))

    def candidates(self, typed: str) -> list[tuple[float, str]]:
        """The cheapest words for one typed word, with their channel costs, cheapest first."""
        near = (word for word in self._lexicon if abs(len(word) - len(typed)) <= 2)
        scored = sorted((channel_cost(typed, word), word) for word in near)
        return scored[: self._beam] or [(0.0, typed)]

    def correct(self, text: str) -> str:
        """The likeliest sentence, found by a Viterbi search over the candidates of every word."""
        paths: list[tuple[float, list[str]]] = [(0.0, [START])]
        for typed in text.split():
            paths = [
                min(
                    (cost + channel + PAIR_WEIGHT * self.pair_cost(path[-1], word), [*path, word])
                    for cost, path in paths
                )
                for channel, word in self.candidates(typed)
            ]
        return " ".join(min(paths)[1][1:])


class SpellerTask:
    """Answers `{"text": typed}` with `{"text": corrected}`; TINY_LAB_BEAM sets the width of the search."""

    def __init__(self) -> None:
        self._speller = Speller(int(os.environ.get("TINY_LAB_BEAM", DEFAULT_BEAM)))

    def prepare(self) -> None:
        """Say what was loaded; the counting is done by then."""
        print(f"speller: {self._speller.lexicon_size} words in the lexicon", flush=True)

    def answer(self, request: dict[str, Any]) -> Iterator[bytes]:
        """Correct one sentence."""
        yield json.dumps({"text": self._speller.correct(request["text"])}).encode()
