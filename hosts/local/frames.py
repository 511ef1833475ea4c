"""Framing: JSON values over a byte stream that may carry somebody else's noise first (SAFETY S3).

One frame is a header line `GW1 <nonce> <length> <sha256>` and a body of that many bytes. The nonce is drawn
for each session, so neither a login banner nor a shell's start-up file can be taken for an answer. What comes
before the first header of ours is skipped; from there on everything has to fit.

No I/O here: bytes go in, values come out.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from hosts.errors import GatewatchError
from hosts.host import Json
from hosts.local import strictjson

MAGIC = b"GW1"
MAX_BODY = 64 << 20
MAX_NOISE = 16 << 20
_MAX_HEADER = 256
_KEPT_NOISE = 4096
_NONCE = re.compile(r"[A-Za-z0-9]{8,64}\Z")
_HEADER = re.compile(rb"GW1 ([A-Za-z0-9]{8,64}) ([0-9]{1,8}) ([0-9a-f]{64})\Z")


class FrameError(GatewatchError):
    """The stream is not what was agreed; nothing that follows can be trusted."""

    code = 4


@dataclass(frozen=True)
class Frame:
    """A body as it came, and the sha256 that its header announced; `value` checks the one against the other."""

    body: bytes
    sha256: str

    def value(self) -> Json:
        """The JSON value of the body.

        Raises:
            FrameError: The hash differs, or the body is not strict JSON.
        """
        if hashlib.sha256(self.body).hexdigest() != self.sha256:
            raise FrameError("a frame arrived damaged: its sha256 differs")
        try:
            return strictjson.loads(self.body, "frame", max_bytes=MAX_BODY)
        except strictjson.JsonError as error:
            raise FrameError(f"a frame holds no JSON: {error}") from None


def encode_frame(nonce: str, body: Json) -> bytes:
    """One frame, ready to be written.

    Raises:
        FrameError: The body is too large, or holds NaN or infinity.
    """
    try:
        # ASCII throughout: a path that is not UTF-8 is a str with lone surrogates, which only \uXXXX can carry
        data = json.dumps(body, allow_nan=False, separators=(",", ":")).encode("ascii")
    except ValueError as error:
        raise FrameError(f"a value cannot be sent: {error}") from None
    if len(data) > MAX_BODY:
        raise FrameError(f"a value of {len(data)} bytes is too large to send; the limit is {MAX_BODY}")
    header = f"{MAGIC.decode()} {nonce} {len(data)} {hashlib.sha256(data).hexdigest()}\n"
    return header.encode("ascii") + data


class FrameReader:
    """Turns a stream of bytes into frames.

    Args:
        nonce: The session's nonce, letters and digits.
        max_noise: How many bytes may come before the first frame.

    Attributes:
        started: True once a header of ours was seen.
    """

    def __init__(self, nonce: str, max_noise: int = MAX_NOISE) -> None:
        if not _NONCE.match(nonce):
            raise ValueError("a nonce is 8 to 64 letters and digits")
        self.started = False
        self._mark = MAGIC + b" " + nonce.encode("ascii") + b" "
        self._nonce = nonce.encode("ascii")
        self._max_noise = max_noise
        self._buffer = bytearray()
        self._noise = bytearray()
        self._skipped = 0
        self._expected: tuple[int, str] | None = None

    @property
    def noise(self) -> bytes:
        """The end of what came before the first frame, for a message."""
        return bytes(self._noise) if self.started else bytes(self._noise + self._buffer)[-_KEPT_NOISE:]

    def feed(self, data: bytes) -> list[Json]:
        """Take what arrived and give the values that are complete now.

        Raises:
            FrameError: Too much noise, a bad header, a wrong hash or bad JSON.
        """
        return [frame.value() for frame in self.frames(data)]

    def frames(self, data: bytes) -> list[Frame]:
        """Like `feed`, with the costly part (hash and JSON) left to whoever calls `Frame.value`.

        Raises:
            FrameError: Too much noise, or a bad header.
        """
        self._buffer += data
        found: list[Frame] = []
        while True:
            if self._expected is None and not self._header():
                return found
            assert self._expected is not None
            length, digest = self._expected
            if len(self._buffer) < length:
                return found
            found.append(Frame(bytes(self._buffer[:length]), digest))
            del self._buffer[:length]
            self._expected = None

    def first(self, data: bytes) -> tuple[Frame, bytes] | None:
        """The first frame, and what came behind it, which may be something else; None while it is not all there.

        Raises:
            FrameError: Too much noise, or a bad header.
        """
        self._buffer += data
        if self._expected is None and not self._header():
            return None
        assert self._expected is not None
        length, digest = self._expected
        if len(self._buffer) < length:
            return None
        frame, rest = Frame(bytes(self._buffer[:length]), digest), bytes(self._buffer[length:])
        self._buffer.clear()
        self._expected = None
        return frame, rest

    def _header(self) -> bool:
        """Read one header off the buffer; False while it is not all there."""
        if not self.started and not self._skip_noise():
            return False
        end = self._buffer.find(b"\n", 0, _MAX_HEADER)
        if end < 0:
            if len(self._buffer) >= _MAX_HEADER or not self._could_be_header():
                raise FrameError("something that is no frame arrived between two frames")
            return False
        match = _HEADER.match(bytes(self._buffer[:end]))
        if match is None or match[1] != self._nonce:
            raise FrameError("a frame has a bad header")
        length = int(match[2])
        if length > MAX_BODY:
            raise FrameError(f"a frame announces {length} bytes; the limit is {MAX_BODY}")
        del self._buffer[: end + 1]
        self._expected = (length, match[3].decode("ascii"))
        return True

    def _could_be_header(self) -> bool:
        size = min(len(self._buffer), len(self._mark))
        return self._buffer[:size] == self._mark[:size]

    def _skip_noise(self) -> bool:
        at = self._buffer.find(self._mark)
        # Without a header yet, keep just enough of the end for one that is cut in two
        drop = at if at >= 0 else max(0, len(self._buffer) - len(self._mark) + 1)
        self._noise += self._buffer[:drop]
        del self._noise[:-_KEPT_NOISE]
        del self._buffer[:drop]
        self._skipped += drop
        self.started = at >= 0
        if self._skipped > self._max_noise:
            raise FrameError(
                f"more than {self._max_noise:,} bytes came before the first frame; silence what its shell prints"
                " where nobody sits at a terminal"
            )
        return self.started
