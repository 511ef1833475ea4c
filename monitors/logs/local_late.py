"""What is still written to a file that was turned away from."""

from __future__ import annotations

import os
from dataclasses import dataclass

from monitors.logs.local_files import Files, Key
from monitors.logs.local_open import OpenFile
from monitors.logs.local_shelf import Shelf

_FIRST_S = 1.0
_SILENT_S = 30.0  # between two looks at a file to which nobody writes
_LAST_S = 900.0  # between two that is written to for ever: each costs two of the generations that are kept


@dataclass
class _Late:
    number: int
    name: str
    size: int  # bytes that are shown
    seen: int
    due: float
    pause: float


class Lates:
    """Looks at past files now and then, and puts what was added behind what is shown.

    Args:
        files: The system.
        shelf: The generations.
    """

    def __init__(self, files: Files, shelf: Shelf) -> None:
        self._files = files
        self._shelf = shelf
        self._lates: list[_Late] = []

    def add(self, file: OpenFile, now: float) -> None:
        """A file is about to be turned away from."""
        if self._shelf.handle(file.number) == file.handle:  # what is read from a copy has no writer
            self._lates.append(_Late(file.number, file.name, file.size, file.size, now + _FIRST_S, _FIRST_S))

    def copied(self, key: Key) -> None:
        """A past file holds a copy of the live one by now: what was added to it is nothing new."""
        numbers = self._shelf.numbers(key)
        self._lates = [late for late in self._lates if late.number not in numbers]

    def back(self, file: OpenFile) -> int | None:
        """A file is at the path that was turned away from: how much of it is shown; None where it is a new one."""
        shown = self._shelf.back(file)
        if shown is not None:  # what is added from now on is no more late
            numbers = {late.number for late in self._lates}
            for number in numbers & self._shelf.numbers(file.key):
                self._lates = [late for late in self._lates if late.number != number]
        return shown

    def due(self, now: float) -> bool:
        """Whether any is to be looked at."""
        return any(late.due <= now for late in self._lates)

    def look(self, now: float) -> None:
        """Look at those whose time it is; the live file must be at its end.

        Raises:
            OSError: One of them cannot be read.
        """
        for late in [one for one in self._lates if one.due <= now]:
            whole = self._shelf.is_whole(late.number)
            handle, live = self._shelf.handle(late.number), self._shelf.live
            if not whole or handle is None or live is None:
                self._lates.remove(late)
                continue
            size = self._files.fstat(handle).st_size
            between_lines = live.size == live.first or live.ring.last(1) == b"\n"
            if late.size < size and between_lines and (size == late.seen or late.pause >= _SILENT_S):
                past = OpenFile(self._files, os.dup(handle), late.name)
                past.begin(late.size)
                name = os.path.basename(late.name)
                self._shelf.insert(past, f"written to the file before {name} after it was rotated", "the log goes on")
                late.size = past.size
                late.pause = min(4 * late.pause, _LAST_S)
            late.seen, late.pause = size, max(late.pause, min(1.2 * late.pause, _SILENT_S))
            late.due = now + late.pause
