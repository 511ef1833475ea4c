"""What asyncssh can do and does not offer, in one place; written for asyncssh 2.24."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncssh


async def round_trip(connection: asyncssh.SSHClientConnection) -> None:
    """Ask the server something that every server answers (OpenSSH's PROTOCOL, keepalive@openssh.com)."""
    await connection._make_global_request(b"keepalive@openssh.com")  # its own timer tells no times


def drop(connection: asyncssh.SSHClientConnection, why: str) -> None:
    """End a connection at once, so that whoever reads from it is told `why`."""
    import asyncssh

    connection.connection_lost(asyncssh.ConnectionLost(why))
