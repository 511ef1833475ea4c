"""Finding the addresses of a host beside everything else, because a name server may take half a minute to say nothing.

asyncio asks name servers in the few threads that files are read in too: a handful of hosts whose names nobody knows
would hold up all the others.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from hosts.aside import aside

# Seconds from the start of one address to that of the next (RFC 8305, section 5)
_APART = 0.25


class Direct:
    """Connects to where a name leads; asyncssh takes it in place of a connection to go through.

    Args:
        family: Of addresses, as the ssh configuration has it; 0 for any.
        local: The address to come from, likewise; None for whichever.
    """

    def __init__(self, family: int = 0, local: tuple[str, int] | None = None) -> None:
        self._family = family
        self._local = local

    async def create_connection(
        self, session_factory: Callable[[], Any], host: str, port: int
    ) -> tuple[asyncio.Transport, Any]:
        """Try its addresses, each a little after the one before, or as soon as that has failed.

        The first to answer counts, so that one that swallows what it is sent holds up no other.

        Raises:
            OSError: The name is not known, or no address answers.
        """
        loop = asyncio.get_running_loop()
        found = await aside(
            lambda: socket.getaddrinfo(host, port, family=self._family, type=socket.SOCK_STREAM), "name of a host"
        )
        ours = []
        if self._local is not None:
            local, any_port = self._local
            ours = await aside(lambda: socket.getaddrinfo(local, any_port, type=socket.SOCK_STREAM), "name of ours")
        sock, failed = await _first(list(dict.fromkeys((family, where) for family, *_, where in found)), ours)
        if sock is not None:
            return await loop.create_connection(session_factory, sock=sock)
        if len(failed) == 1:
            raise failed[0]
        raise OSError("; ".join(map(str, failed)) or f"{host} has no address")


async def _first(addresses: list[tuple[int, Any]], ours: list[Any]) -> tuple[socket.socket | None, list[OSError]]:
    """A socket that is connected to one of the addresses, or why none is."""
    ahead = deque(addresses)
    trying: set[asyncio.Task[socket.socket]] = set()
    done: set[asyncio.Task[socket.socket]] = set()
    failed: list[OSError] = []
    won: socket.socket | None = None
    try:
        while won is None and (ahead or trying):
            if ahead:
                trying.add(asyncio.create_task(_reached(*ahead.popleft(), ours)))
            ended, trying = await asyncio.wait(
                trying, timeout=_APART if ahead else None, return_when=asyncio.FIRST_COMPLETED
            )
            done |= ended
            for task in ended:
                error = task.exception()
                if error is None:
                    won = won or task.result()
                elif isinstance(error, OSError):
                    failed.append(error)
                else:
                    raise error
        return won, failed
    finally:
        for task in trying:
            task.cancel()
        for late in await asyncio.gather(*trying, *done, return_exceptions=True):
            if isinstance(late, socket.socket) and late is not won:
                late.close()


async def _reached(family: int, where: Any, ours: list[Any]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if ours:
            mine = [address for kind, *_, address in ours if kind == family]
            if not mine:
                raise OSError(f"no address of ours to come from to {where[0]}")
            sock.bind(mine[0])
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock
