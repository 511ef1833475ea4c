"""A digit classifier: one layer of weights, trained by stochastic gradient descent on drawn digits.

Nothing is stored: every server draws its own training set and learns from scratch, so accuracy differs a
little from start to start, as it does for a model that is quantised or sampled.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from operator import mul
from typing import Any

from tinylab.seeds import fresh_random

SIDE = 8
CLASSES = 10
TRAINING_IMAGES = 5000
EPOCHS = 4
LEARNING_RATE = 0.03
PIXEL_NOISE = 0.36

_GLYPHS = (
    "01110 10001 10001 10001 10001 10001 01110",
    "00100 01100 00100 00100 00100 00100 01110",
    "01110 10001 00001 00110 01000 10000 11111",
    "01110 10001 00001 00110 00001 10001 01110",
    "00010 00110 01010 10010 11111 00010 00010",
    "11111 10000 11110 00001 00001 10001 01110",
    "00110 01000 10000 11110 10001 10001 01110",
    "11111 00001 00010 00100 01000 01000 01000",
    "01110 10001 10001 01110 10001 10001 01110",
    "01110 10001 10001 01111 00001 00010 01100",
)


def draw(digit: int, rng: random.Random) -> list[float]:
    """Draw a digit on an 8 by 8 canvas, moved by up to one pixel and covered with Gaussian noise.

    Returns:
        64 grey values, row by row: about 0 for paper and about 1 for ink.
    """
    canvas = [rng.gauss(0.0, PIXEL_NOISE) for _ in range(SIDE * SIDE)]
    down, right = rng.randint(0, 1), rng.randint(1, 2)
    for y, row in enumerate(_GLYPHS[digit].split()):
        for x, ink in enumerate(row):
            if ink == "1":
                canvas[(y + down) * SIDE + x + right] += 1.0
    return canvas


class DigitClassifier:
    """Softmax regression from 64 pixels to 10 digits."""

    def __init__(self) -> None:
        self._weights = [[0.0] * (SIDE * SIDE) for _ in range(CLASSES)]
        self._biases = [0.0] * CLASSES

    def scores(self, pixels: list[float]) -> list[float]:
        """One unnormalised score per digit."""
        return [sum(map(mul, row, pixels), bias) for row, bias in zip(self._weights, self._biases, strict=True)]

    def classify(self, pixels: list[float]) -> int:
        """The digit with the highest score."""
        scores = self.scores(pixels)
        return scores.index(max(scores))

    def learn(self, pixels: list[float], digit: int, rate: float) -> float:
        """Take one gradient step on one image.

        Returns:
            The cross-entropy loss before the step.
        """
        scores = self.scores(pixels)
        top = max(scores)
        exponentials = [math.exp(score - top) for score in scores]
        total = sum(exponentials)
        for label, exponential in enumerate(exponentials):
            error = exponential / total - (1.0 if label == digit else 0.0)
            step = rate * error
            self._weights[label] = [
                weight - step * pixel for weight, pixel in zip(self._weights[label], pixels, strict=True)
            ]
            self._biases[label] -= step
        return top + math.log(total) - scores[digit]


class DigitsTask:
    """Answers `{"pixels": [64 numbers]}` with `{"digit": n}`."""

    def __init__(self) -> None:
        self._model = DigitClassifier()

    def prepare(self) -> None:
        """Draw a training set and learn it, a few passes in a new order each."""
        rng = fresh_random("digits training")
        images = [(draw(i % CLASSES, rng), i % CLASSES) for i in range(TRAINING_IMAGES)]
        for epoch in range(1, EPOCHS + 1):
            rng.shuffle(images)
            loss = sum(self._model.learn(pixels, digit, LEARNING_RATE / epoch) for pixels, digit in images)
            print(f"training epoch {epoch}/{EPOCHS}: mean loss {loss / len(images):.4f}", flush=True)

    def answer(self, request: dict[str, Any]) -> Iterator[bytes]:
        """Classify one image."""
        yield json.dumps({"digit": self._model.classify(request["pixels"])}).encode()
