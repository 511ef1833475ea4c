"""Key files that a person has opened with a passphrase: asked for once, however many hosts want the key.

What is kept is the opened key, in memory and for as long as the program runs, as an agent would have it; the passphrase
is not. A file that has changed since is another key.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")


@dataclass
class _File(Generic[K]):
    """What is known of one file.

    Attributes:
        key: As it was opened; None while it is not.
        mark: What the file was then.
        rounds: How often somebody was asked to the end.
        turn: Held by who asks now.
    """

    key: K | None = field(default=None, repr=False)
    mark: object = None
    rounds: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Opened(Generic[K]):
    """The opened keys of one process."""

    def __init__(self) -> None:
        self._files: dict[str, _File[K]] = {}

    async def get(self, name: str, unlock: Callable[[], Awaitable[K | None]]) -> K | None:
        """The key in a file: as it was opened before, or else as `unlock` opens it.

        Args:
            name: The file.
            unlock: Asks somebody; None where that comes to nothing. Those who want the same file meanwhile are given
                what it comes to, and ask nobody themselves.
        """
        path, mark = await asyncio.to_thread(_found, name)
        file = self._files.setdefault(path, _File())
        rounds = file.rounds
        async with file.turn:
            if file.key is not None and file.mark == mark:
                return file.key
            if file.rounds != rounds:
                return None
            file.key, file.mark = await unlock(), mark
            file.rounds += 1
            return file.key


def _found(name: str) -> tuple[str, object]:
    """Which file this is, and what it is now."""
    try:
        found = os.stat(name)
    except OSError:
        return os.path.realpath(name), None
    return os.path.realpath(name), (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
