"""How a program and its scan worker talk: frames over a socket of their own between two processes of one person.

A frame is its length, its kind and its body. Orders and news are JSON lists whose first item says what they are.
"""

from __future__ import annotations

import json
import struct
from typing import Any

NEWS, HITS, BYTES = 0, 1, 2
"""Kinds: JSON; what JOB packs, then packed blocks; bytes that were asked for."""

MOST = 1 << 28
"""No frame is longer."""

_HEADER = struct.Struct("<IB")
JOB = struct.Struct("<IQ")
"""The number of a job, and the log's first byte as the job knew it."""


def frame(kind: int, body: bytes) -> bytes:
    """One frame."""
    return _HEADER.pack(len(body), kind) + body


def news(*items: Any) -> bytes:
    """A frame of JSON; text that is none is kept."""
    return frame(NEWS, json.dumps(items, separators=(",", ":")).encode("ascii"))


class Frames:
    """Frames out of a stream of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def waiting(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take what arrived, and give kind and body of what is complete now.

        Raises:
            ValueError: This is no stream of frames.
        """
        self._buffer += data
        found: list[tuple[int, bytes]] = []
        at = 0
        while len(self._buffer) - at >= _HEADER.size:
            size, kind = _HEADER.unpack_from(self._buffer, at)
            if size > MOST or kind > BYTES:
                raise ValueError("not a frame")
            end = at + _HEADER.size + size
            if len(self._buffer) < end:
                break
            found.append((kind, bytes(self._buffer[at + _HEADER.size : end])))
            at = end
        del self._buffer[:at]
        return found
