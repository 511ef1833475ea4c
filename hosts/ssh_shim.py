"""What asyncssh can do and does not offer, in one place; written for asyncssh 2.24."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncssh

_AUTHENTICATED = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")


class NoKeys(list[str]):
    """No private key at all: an empty list stands for the usual files."""

    def __bool__(self) -> bool:
        return True


def known_hosts_named(config: Any, host: str) -> list[str]:
    """The files of the keys of hosts that an ssh configuration names, which asyncssh takes without `%h` and the like.

    Args:
        config: As it was read for the host.
        host: What the host was called.

    Raises:
        ValueError: A name cannot be made out.
    """
    config._tokens.setdefault("k", config.get("HostKeyAlias") or host)
    return [config._expand_val(name) for name in config.get("UserKnownHostsFile", ())]


async def round_trip(connection: asyncssh.SSHClientConnection) -> None:
    """Ask the server something that every server answers (OpenSSH's PROTOCOL, keepalive@openssh.com)."""
    await connection._make_global_request(b"keepalive@openssh.com")  # its own timer tells no times


def without_padding_packets(connection: asyncssh.SSHClientConnection) -> None:
    """Keep it from sending an empty packet before each one, where the cipher needs none.

    That is a defence of the ciphers in CBC mode (RFC 4251, section 9.3.1). It doubles what a small request costs here
    and there; the authenticated ones have no use for it.
    """
    import asyncssh.constants

    if connection.get_extra_info("send_cipher") not in _AUTHENTICATED:
        return
    send = connection.send_packet

    def send_packet(pkttype: int, *args: bytes, **more: Any) -> None:
        if pkttype != asyncssh.constants.MSG_IGNORE:
            send(pkttype, *args, **more)

    connection.send_packet = send_packet  # type: ignore[method-assign]  # asyncssh has no option for it


def drop(connection: asyncssh.SSHClientConnection, why: str) -> None:
    """End a connection at once, so that whoever reads from it is told `why`."""
    import asyncssh

    connection.connection_lost(asyncssh.ConnectionLost(why))
