"""A host that others are reached through: one login to it, however many go through it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import asyncssh

from hosts.aside import is_cancelled
from hosts.errors import UnreachableError
from hosts.ssh_shim import drop, round_trip

_GRACE = 2.0

Login = Callable[[], Coroutine[Any, Any, asyncssh.SSHClientConnection]]


class Hop:
    """The connection to one such host, made when it is first needed and again after it was lost."""

    def __init__(self) -> None:
        self._connection: asyncssh.SSHClientConnection | None = None
        self._finding: asyncio.Task[asyncssh.SSHClientConnection] | None = None

    async def connection(self, log_in: Login, patience: float) -> asyncssh.SSHClientConnection:
        """The one that is there, if it still answers, or else what `log_in` gives.

        Those who ask meanwhile are given what that comes to.

        Args:
            log_in: Connects, and logs in.
            patience: Seconds in which the one that is there has to answer.

        Raises:
            UnreachableError, InputError: As `log_in` does.
        """
        finding = self._finding
        if finding is None or finding.done():
            finding = self._finding = asyncio.create_task(self._find(log_in, patience))
            finding.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        try:
            # Shielded: the first to give up must not take it from the others
            return await asyncio.shield(finding)
        except asyncio.CancelledError:
            if finding.cancelled() and not is_cancelled():
                raise UnreachableError("the connection was closed") from None
            raise

    async def close(self) -> None:
        """End it."""
        finding, self._finding = self._finding, None
        if finding is not None and not finding.done():
            finding.cancel()
            await asyncio.gather(finding, return_exceptions=True)
        connection, self._connection = self._connection, None
        if connection is not None:
            await end(connection)

    async def _find(self, log_in: Login, patience: float) -> asyncssh.SSHClientConnection:
        if self._connection is None or not await _answers(self._connection, patience):
            self._connection = None
            self._connection = await log_in()
        return self._connection


async def _answers(connection: asyncssh.SSHClientConnection, patience: float) -> bool:
    """Whether it is of use still; one that is not is dropped, so that whoever goes through it is told."""
    try:
        async with asyncio.timeout(patience):
            await round_trip(connection)
    except TimeoutError:
        drop(connection, f"no answer to keepalive for {patience:g} s")
        return False
    except (asyncssh.Error, OSError, ValueError):
        connection.abort()
        return False
    return not connection.is_closed()


async def end(connection: asyncssh.SSHClientConnection) -> None:
    """Close a connection, at once where it does not close by itself."""
    connection.close()
    try:
        async with asyncio.timeout(_GRACE):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()
