"""Where what a command writes on a host goes: to a terminal made safe, to a program as it is, or into a document."""

from __future__ import annotations

import base64
import contextlib
import sys
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


class Outlet(Protocol):
    """Takes what one host's command writes."""

    async def take(self, output: Output) -> None:
        """Raises NotYetError where nobody reads it any more."""

    async def end(self) -> None:
        """There is no more."""


class Printed:
    """Standard output goes to ours, and errors to ours.

    A terminal gets whole lines, made safe. Anything else gets the bytes as they are; with a prefix, whole
    lines of them.

    Args:
        prefix: A host's name to put before each line, or "".
    """

    def __init__(self, prefix: str = "") -> None:
        self._sinks = {"stdout": _Sink(prefix, sys.stdout), "stderr": _Sink(prefix, sys.stderr)}

    async def take(self, output: Output) -> None:
        await self._sinks[output.stream].take(output.data)

    async def end(self) -> None:
        for sink in self._sinks.values():
            await sink.end()


class _Sink:
    def __init__(self, prefix: str, stream: TextIO) -> None:
        self._prefix = prefix
        self._stream = stream
        self._terminal = stream.isatty()
        self._rest = bytearray()

    async def take(self, data: bytes) -> None:
        if not self._terminal and not self._prefix:
            return await self._put(data)
        self._rest += data
        end = self._rest.rfind(b"\n") + 1
        if not end and len(self._rest) >= LONGEST:
            end = len(self._rest)
        whole = bytes(self._rest[:end])
        del self._rest[:end]
        if whole:
            await self._put(self._lines(whole))

    async def end(self) -> None:
        rest, self._rest = bytes(self._rest), bytearray()
        if rest:
            with contextlib.suppress(NotYetError):  # it has ended anyway
                await self._put(self._lines(rest))

    def _lines(self, data: bytes) -> bytes:
        lines = data.removesuffix(b"\n").split(b"\n")
        before = f"{self._prefix}: " if self._prefix else ""
        if not self._terminal:
            return b"".join(before.encode() + line + b"\n" for line in lines)
        shown = (console.safe_line(line.removesuffix(b"\r").decode("utf-8", "backslashreplace")) for line in lines)
        return "".join(f"{before}{line}\n" for line in shown).encode(self._stream.encoding, "backslashreplace")

    async def _put(self, data: bytes) -> None:
        # Aside: whoever reads our output may be slow, or a pager that waits for a key
        if not await aside(lambda: console.print_bytes(data, self._stream), "output"):
            raise NotYetError("nobody reads what it writes, so it was ended")


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

    async def end(self) -> None:
        """Nothing is left to be written."""

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
