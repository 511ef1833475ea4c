"""A program that connects to a host for us (ProxyCommand), run as ssh runs it: by the person's shell.

asyncssh takes what such a program says on stderr for a part of the connection, ends it where the program closes
stderr, and knows no shell (2.24).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from hosts.ssh_text import plain, plain_line

_KEPT_ERRORS = 2048
# For the status and the last words of a program that has closed its side
_GRACE = 1.0
_CANNOT_RUN = (126, 127)


class ProxyError(OSError):
    """The program ended, or closed its side.

    Attributes:
        unrun: Whether the shell could not run it at all.
    """

    def __init__(self, said: str, unrun: bool) -> None:
        super().__init__(said)
        self.unrun = unrun


class Proxy:
    """Connects by a program; asyncssh takes it in place of a connection to go through.

    Args:
        command: Its command line, for a shell.
    """

    def __init__(self, command: str) -> None:
        self._command = command

    async def create_connection(
        self, session_factory: Callable[[], Any], host: str, port: int
    ) -> tuple[asyncio.Transport, Any]:
        """Start the program.

        Raises:
            ProxyError: There is no shell.
        """
        del host, port  # the command line has them
        pipe = asyncio.subprocess.PIPE
        shell = os.environ.get("SHELL") or "/bin/sh"
        try:
            # A session of its own: ctrl-c in our terminal is meant for us
            _, run = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Run(session_factory()),
                *(shell, "-c", f"exec {self._command}"),
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                start_new_session=True,
            )
        except OSError as error:
            raise ProxyError(f"{shell}: {plain(error).lower()}", True) from None
        run.session.set_tunnel(run)  # which it waits for when it is closed
        return run, run.session


class _Run(asyncio.SubprocessProtocol, asyncio.Transport):
    """One run of it; `session` is what speaks SSH through it."""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.session = session
        self._process: asyncio.SubprocessTransport | None = None
        self._input: asyncio.WriteTransport | None = None
        self._errors = bytearray()
        self._heard = False
        self._told = asyncio.Event()
        self._exited = asyncio.Event()
        self._closed = False
        self._ending: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._process = transport
        stdin = transport.get_pipe_transport(0)
        assert isinstance(stdin, asyncio.WriteTransport)
        self._input = stdin
        self.session.connection_made(self)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._heard = True
            self.session.data_received(data)
        else:
            self._errors += data
            del self._errors[:-_KEPT_ERRORS]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 2:
            self._told.set()
        if fd == 1 and not self._closed:
            self._ending = asyncio.ensure_future(self._end())

    def process_exited(self) -> None:
        self._exited.set()

    def write(self, data: Any) -> None:
        if self._input is not None and not self._input.is_closing():
            self._input.write(data)

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        if self._closed or self._process is None:
            return
        self._closed = True
        running = self._process.get_returncode() is None
        self._process.close()
        if running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.get_pid(), signal.SIGHUP)  # the shell may have started others

    def abort(self) -> None:
        self.close()

    async def wait_closed(self) -> None:
        """Wait until the program has ended."""
        await self._exited.wait()

    async def _end(self) -> None:
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await self._exited.wait()
                await self._told.wait()
        status = self._process.get_returncode()
        ended = "closed the connection" if status is None else f"ended with status {status}"
        last = plain_line(bytes(self._errors).decode("utf-8", "replace").strip().rpartition("\n")[2])
        unrun = status in _CANNOT_RUN and not self._heard
        said = [last] if unrun and last else [f"its ProxyCommand {ended}", *([last] if last else [])]
        self.session.connection_lost(ProxyError(": ".join(said), unrun))
