"""Finding the addresses of a host beside everything else, because a name server may take half a minute to say nothing.

asyncio asks name servers in the few threads that files are read in too: a handful of hosts whose names nobody knows
would hold up all the others.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from hosts.aside import aside


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
        """Try each address in turn.

        Raises:
            OSError: The name is not known, or no address answers.
        """
        loop = asyncio.get_running_loop()
        found = await aside(
            lambda: socket.getaddrinfo(host, port, family=self._family, type=socket.SOCK_STREAM), "name of a host"
        )
        failed: list[OSError] = []
        for address in dict.fromkeys(str(where[0]) for *_, where in found):
            try:
                return await loop.create_connection(session_factory, address, port, local_addr=self._local)
            except OSError as error:
                failed.append(error)
        if len(failed) == 1:
            raise failed[0]
        raise OSError("; ".join(map(str, failed)) or f"{host} has no address")
