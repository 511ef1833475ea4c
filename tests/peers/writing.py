"""Somebody who writes a log while others follow it."""

from __future__ import annotations

import random
import threading
from pathlib import Path


class Writer(threading.Thread):
    """Writes lines into a file until it is told to stop, in pieces of every size."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._done = threading.Event()

    def run(self) -> None:
        dice = random.Random(3)
        number = 0
        with self._path.open("ab", buffering=0) as file:
            while not self._done.wait(dice.random() / 50):
                text = "".join(f"{number + one} {'x' * dice.randrange(90)}\n" for one in range(dice.randrange(1, 20)))
                number += 20
                cut = dice.randrange(len(text))
                file.write(text[:cut].encode())
                file.write(text[cut:].encode())

    def finish(self) -> None:
        self._done.set()
        self.join()
