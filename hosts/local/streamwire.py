"""The wire of a stream: bytes of followed files as they are, with a short header before each run of them.

What goes towards the files is framed as in any session (hosts/local/frames.py), and so is the first answer, the
hello. From there on everything that comes back is a part: a header, then `length` bytes. A part of DATA is a piece
of one file; a part of EVENT is a JSON object.

No I/O here: bytes go in, parts come out.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from hosts.host import Json, Position
from hosts.local import strictjson
from hosts.local.frames import FrameError

DATA = 0xD1
EVENT = 0xE1
WINDOW = 4 << 20
"""Bytes of one file that may be under way or unread at our end."""
MAX_RANGE = 8 << 20
"""Bytes of one range that is read."""
FAR = 8 << 20
"""Bytes that a file is ahead of what is sent of it from which on that is told."""
MAX_DATA = 1 << 20
MAX_EVENT = 1 << 16
_HEADER = struct.Struct(">BIIQ")


@dataclass(frozen=True)
class Piece:
    """Bytes of one file as they arrived, which may be less than was sent at once; they begin at `offset`."""

    stream: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Told:
    """Something other than bytes, of one stream; of the session as a whole where `stream` is 0."""

    stream: int
    body: dict[str, Json]


def data_header(stream: int, offset: int, length: int) -> bytes:
    """What comes before `length` bytes of a file, which begin at `offset` of it."""
    return _HEADER.pack(DATA, stream, length, offset)


def event(stream: int, body: dict[str, Json]) -> bytes:
    """One event, ready to be written.

    Raises:
        FrameError: It is too large.
    """
    data = json.dumps(body, allow_nan=False, separators=(",", ":")).encode("ascii")
    if len(data) > MAX_EVENT:
        raise FrameError(f"an event of {len(data)} bytes is too large to send; the limit is {MAX_EVENT}")
    return _HEADER.pack(EVENT, stream, len(data), 0) + data


class PartReader:
    """Turns a stream of bytes into parts; bytes of files are handed on as they come, without a wait for the rest."""

    def __init__(self) -> None:
        self._rest = b""  # the beginning of a header, or of an event that is not all here yet
        self._stream = 0
        self._left = 0  # bytes of the current piece that are still to come
        self._offset = 0

    def parts(self, data: bytes) -> Iterator[Piece | Told]:
        """Take what arrived.

        Raises:
            FrameError: A header that is none of ours, or an event that is no JSON.
        """
        if self._rest:
            data, self._rest = self._rest + data, b""
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]  # the same object where it is all of it
                offset = self._offset
                at += len(piece)
                self._left -= len(piece)
                self._offset += len(piece)
                yield Piece(self._stream, offset, piece)
                continue
            begin = at + _HEADER.size
            if begin > len(data):
                self._rest = data[at:]
                return
            kind, stream, length, offset = _HEADER.unpack_from(data, at)
            if kind == DATA and 0 < length <= MAX_DATA:
                self._stream, self._left, self._offset = stream, length, offset
                at = begin
            elif kind != EVENT or length > MAX_EVENT:
                raise FrameError("something that is no part of a stream arrived")
            elif begin + length > len(data):
                self._rest = data[at:]
                return
            else:
                at = begin + length
                yield Told(stream, _object(data[begin:at]))


def position_json(at: Position) -> dict[str, Json]:
    """A position as it travels."""
    return {
        "offset": at.offset,
        "inode": at.inode,
        "fingerprint": at.fingerprint,
        "fingerprint_size": at.fingerprint_size,
    }


def position_of(value: Json) -> Position:
    """The position that `position_json` made.

    Raises:
        FrameError: It is none.
    """
    if isinstance(value, dict):
        offset, inode, size = (_natural(value.get(key)) for key in ("offset", "inode", "fingerprint_size"))
        fingerprint = value.get("fingerprint")
        if offset >= 0 and inode >= 0 and size >= 0 and isinstance(fingerprint, str):
            return Position(offset, inode, fingerprint, size)
    raise FrameError("a position that is none arrived")


def _natural(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _object(data: bytes) -> dict[str, Json]:
    try:
        value = strictjson.loads(data, "event", max_bytes=MAX_EVENT)
    except strictjson.JsonError as error:
        raise FrameError(f"an event holds no JSON: {error}") from None
    if not isinstance(value, dict):
        raise FrameError("an event that is no object arrived")
    return value
