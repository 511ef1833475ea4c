"""Where what a command writes on a host goes: to a terminal made safe, to a program as it is, or into a document."""

from __future__ import annotations

import base64
import sys
import threading
from collections import deque
from typing import Any, Protocol, TextIO

from hosts.aside import aside
from hosts.command import Output
from hosts.errors import NotYetError
from tui import console

LONGEST = 1 << 16
"""Bytes of a line that are waited for; a longer one is printed in pieces."""
KEPT = 4 << 20
"""Bytes of a stream's end that a document holds."""
NOBODY = "nobody reads what it writes"


class Outlet(Protocol):
    """Takes what one host's command writes."""

    async def take(self, output: Output) -> None:
        """Raises NotYetError where nobody reads it any more, or it cannot be kept."""

    async def end(self) -> str:
        """There is no more; says why what was left of it could not be kept, or ""."""


class Stream:
    """One of our own streams, which the commands on all hosts write to: once it is lost, it is lost for each of them.

    What is written to it then would only be dropped (`tui.console`), and its command went on for nobody.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = ""
        self._one_at_a_time = threading.Lock()
        self.terminal = stream.isatty()
        self.encoding = stream.encoding

    async def put(self, data: bytes) -> str:
        """Write; says why that is in vain, or ""."""
        # Aside: whoever reads our output may be slow, or a pager that waits for a key
        return self._lost or await aside(lambda: self._put(data), "output")

    def _put(self, data: bytes) -> str:
        with self._one_at_a_time:
            if not self._lost:
                try:
                    self._lost = "" if console.print_bytes(data, self._stream) else NOBODY
                except OSError as error:
                    self._lost = str(error)
            return self._lost


class Streams:
    """Our own two streams, for the commands on all hosts."""

    def __init__(self) -> None:
        self.stdout = Stream(sys.stdout)
        self.stderr = Stream(sys.stderr)


class Printed:
    """Standard output goes to ours, and errors to ours.

    A terminal gets whole lines, made safe. Anything else gets the bytes as they are; with a prefix, whole
    lines of them.

    Args:
        ours: Shared by all hosts.
        prefix: A host's name to put before each line, or "".
    """

    def __init__(self, ours: Streams, prefix: str = "") -> None:
        self._sinks = {"stdout": _Sink(prefix, ours.stdout), "stderr": _Sink(prefix, ours.stderr)}

    async def take(self, output: Output) -> None:
        await self._sinks[output.stream].take(output.data)

    async def end(self) -> str:
        lost = [await sink.end() for sink in self._sinks.values()]
        return lost[0] or lost[1]


class _Sink:
    def __init__(self, prefix: str, stream: Stream) -> None:
        self._prefix = prefix
        self._stream = stream
        self._rest = bytearray()

    async def take(self, data: bytes) -> None:
        if not self._stream.terminal and not self._prefix:
            return await self._put(data)
        self._rest += data
        end = self._rest.rfind(b"\n") + 1
        if not end and len(self._rest) >= LONGEST:
            end = len(self._rest)
        whole = bytes(self._rest[:end])
        del self._rest[:end]
        if whole:
            await self._put(self._lines(whole))

    async def end(self) -> str:
        rest, self._rest = bytes(self._rest), bytearray()
        lost = await self._stream.put(self._lines(rest)) if rest else ""
        return "" if lost == NOBODY else lost  # a reader that is gone misses nothing: it has ended anyway

    def _lines(self, data: bytes) -> bytes:
        lines = data.removesuffix(b"\n").split(b"\n")
        before = f"{self._prefix}: " if self._prefix else ""
        if not self._stream.terminal:
            return b"".join(before.encode() + line + b"\n" for line in lines)
        shown = (console.safe_line(line.removesuffix(b"\r").decode("utf-8", "backslashreplace")) for line in lines)
        return "".join(f"{before}{line}\n" for line in shown).encode(self._stream.encoding, "backslashreplace")

    async def _put(self, data: bytes) -> None:
        if lost := await self._stream.put(data):
            raise NotYetError(f"{lost}, so it was ended")  # never as input that is wrong: the command was run


class Kept:
    """The ends of both streams, for a document."""

    def __init__(self) -> None:
        self._ends: dict[str, deque[bytes]] = {"stdout": deque(), "stderr": deque()}
        self._sizes = {"stdout": 0, "stderr": 0}
        self._cut = {"stdout": 0, "stderr": 0}

    async def take(self, output: Output) -> None:
        held = self._ends[output.stream]
        held.append(output.data)
        self._sizes[output.stream] += len(output.data)
        while self._sizes[output.stream] - len(held[0]) >= KEPT:
            gone = len(held.popleft())
            self._sizes[output.stream] -= gone
            self._cut[output.stream] += gone

    async def end(self) -> str:
        """Nothing is left to be written."""
        return ""

    def document(self) -> dict[str, Any]:
        """Text where it is UTF-8, else base64; and how many bytes before it were not kept."""
        found: dict[str, Any] = {}
        for name in ("stdout", "stderr"):
            data = b"".join(self._ends[name])
            try:
                found[name] = data.decode("utf-8")
            except UnicodeDecodeError:
                found[name] = None
                found[f"{name}_base64"] = base64.b64encode(data).decode("ascii")
            found[f"{name}_cut"] = self._cut[name]
        return found
