"""How a host is reached over SSH, and how an argument vector becomes the one line that SSH carries."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from hosts.errors import InputError

KNOWN_HOSTS = "~/.ssh/known_hosts"
"""The usual file of the keys of hosts."""

_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,252}\Z")
_ADDRESS = re.compile(r"[0-9A-Fa-f:]{2,45}(%[A-Za-z0-9_.-]{1,32})?\Z")
_HOP = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:]+))(?::(?P<port>[0-9]{1,5}))?\Z")


def is_host(text: str) -> bool:
    """Whether this may be the name, or the address, of a host."""
    return bool(_NAME.match(text) or _ADDRESS.match(text))


@dataclass(frozen=True)
class SshSpec:
    """How a host is reached.

    Attributes:
        host: Name, alias of the ssh configuration, or address.
        port: None for what the ssh configuration says, else 22.
        user: Login name; None for what the ssh configuration says, else our own.
        identity_file: A private key; None for the usual files and the agent.
        known_hosts: The file that the host's key has to be in, with "~" expanded; None for those that the ssh
            configuration names, else the usual one.
        proxy_jump: `[user@]host[:port]` to go through, several with commas; None for what the configuration says.
        config_file: The ssh configuration to read, if it exists; None for none.
        host_keys: Whether the key of a host without any key in `known_hosts` is refused, or added to that file. A
            key that differs from a known one is always refused.
        name: What a person calls it, where that is not `host`.
    """

    host: str
    port: int | None = None
    user: str | None = None
    identity_file: str | None = None
    known_hosts: str | None = None
    proxy_jump: str | None = None
    config_file: str | None = "~/.ssh/config"
    host_keys: Literal["strict", "accept-new"] = "strict"
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        # Threat S2: a name like this ends up in a ProxyCommand of the person's own configuration
        if not is_host(self.host):
            raise InputError(f"bad host name {self.host!r}")
        if self.user is not None and not _NAME.match(self.user):
            raise InputError(f"bad user name {self.user!r} for host {self.host}")
        if self.port is not None and not 0 < self.port < 1 << 16:
            raise InputError(f"bad port {self.port} for host {self.host}")

    @property
    def title(self) -> str:
        """What it is called in a message: several may have one address."""
        return self.name or self.host

    @property
    def called(self) -> str:
        """What a person is told that it is, who is to give a secret: two machines of one name are told apart."""
        host = f"[{self.host}]" if ":" in self.host and self.port is not None else self.host
        where = f"{self.user or ''}{'@' if self.user else ''}{host}{'' if self.port is None else f':{self.port}'}"
        return where if self.name in ("", self.host) else f"{self.name} ({where})"

    def hops(self, jumps: str | None) -> tuple[SshSpec, ...]:
        """The hosts that `[user@]host[:port],…` names, held to the same files as this one.

        Raises:
            InputError: It names something else.
        """
        found = [self._hop(part.strip()) for part in jumps.split(",")] if jumps else []
        # Where there is more than one, each goes through the one before, and only the first as its own settings say
        return (*(replace(hop, proxy_jump=None) for hop in found[:1]), *found[1:])

    def jumps_beyond(self, configured: str) -> str | None:
        """What a configuration names to go through, less `none` and the host itself (`Host *` means that too)."""
        if configured == "none":
            return None
        hop = self._hop(configured) if "," not in configured else None
        if hop is not None and hop.host == self.host and (hop.port == self.port or None in (hop.port, self.port)):
            return None
        return configured

    def _hop(self, text: str) -> SshSpec:
        user, _, where = text.removeprefix("ssh://").removesuffix("/").rpartition("@")
        match = _HOP.match(where)
        if match is None:
            raise InputError(f"{self.host}: bad host to jump over: {text!r}")
        port = int(match["port"]) if match["port"] else None
        return replace(self, host=match["v6"] or match["host"], port=port, user=user or None, proxy_jump="", name="")


def remote_command(argv: Sequence[str]) -> str:
    """A command line that every login shell (sh, bash, zsh, csh, fish) splits into exactly `argv`.

    This is the only place where an argument vector becomes text (SAFETY S2). The words are those of a profile
    and of hosts/bootstrap.py; paths and payloads travel inside the session and never come here.

    Raises:
        InputError: A word holds what some shell takes for special even between single quotes.
    """
    for word in argv:
        bad = next((char for char in word if char in "!\\" or not char.isprintable()), None)
        if bad is not None:
            raise InputError(f"{word!r} cannot be passed through every login shell: it holds {bad!r}")
    return shlex.join(argv)
