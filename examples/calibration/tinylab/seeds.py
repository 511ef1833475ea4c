"""Where chance comes from."""

from __future__ import annotations

import os
import random


def fresh_random(purpose: str) -> random.Random:
    """A generator seeded by the operating system; the seed is printed, so that a strange run can be studied.

    A fixed seed would make every repeat of a calibration the same observation, and a worst-of-N of one
    observation says nothing about the next run.
    """
    seed = int.from_bytes(os.urandom(6), "big")
    print(f"{purpose}: seed {seed}", flush=True)
    return random.Random(seed)
