"""What asyncssh can do and does not offer, in one place; written for asyncssh 2.24."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncssh
import asyncssh.connection
import asyncssh.constants
from asyncssh.config import SSHClientConfig, SSHConfig

from hosts.ssh_config import Reader

_AUTHENTICATED = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")

# What is asked of an ssh configuration and counts in no login of ours; ssh takes values for it that asyncssh does not
_UNUSED = frozenset(
    {"connecttimeout", "forwardagent", "forwardx11trusted", "remotecommand", "requesttty", "serveralivecountmax"}
    | {"serveraliveinterval"}
)
_VARIABLE = re.compile(r"\$\w+\Z")


class Config(SSHClientConfig):
    """An ssh configuration, of which asyncssh takes the lines that count from hosts/ssh_config.py."""

    _original = ""
    _file: Path | None = None

    @classmethod
    def load(
        cls,
        last_config: SSHConfig | None,
        config_paths: Any,
        reload: bool,
        canonical: bool,
        final: bool,
        *args: Any,
    ) -> SSHConfig:
        if canonical and isinstance(last_config, cls) and last_config._file is not None:
            # asyncssh has found the host's full name. What the first look gave stays, and counts first
            config = cls(last_config, False, canonical, final, *args)
            config._original = last_config._orig_host
            config._options["Hostname"] = config._orig_host
            config.parse(last_config._file)
            config.loaded = True
            return config
        loaded = super().load(last_config, config_paths, reload, canonical, final, *args)
        if isinstance(loaded, cls) and isinstance(last_config, cls):
            loaded._file = last_config._file
        return loaded

    def parse(self, path: Path) -> None:
        self._file = path
        before = self._options
        self._options = {option: list(value) if isinstance(value, list) else value for option, value in before.items()}
        original = self._original or self._orig_host
        reader = Reader(self, original, self._orig_host, self._local_user, bool(self._canonical))
        for setting in reader.settings(str(path)):
            self._path, self._line_no = Path(setting.path), setting.line
            self._take(setting.keyword, setting.args)
        self._set_tokens()
        self._tokens["n"] = original
        for option in self._percent_expand & self._options.keys():
            self._options[option] = self._expanded(option, self._options[option], before.get(option))

    def tokens(self) -> Mapping[str, str]:
        """What stands for `%h` and the like."""
        self._tokens = {"%": "%"}
        self._set_tokens()
        original = self._original or self._orig_host
        alias = str(self._options.get("HostKeyAlias") or original)
        return {**self._tokens, "n": original, "k": alias, "j": ""}

    def fits(self, criterion: str, pattern: str) -> bool:
        """Whether another criterion of `Match` holds."""
        try:
            self._match("match", [criterion, pattern])
        except asyncssh.ConfigParseError as error:  # at the line before
            raise ValueError(str(error).rpartition(": ")[2]) from None
        return bool(self._matching)

    def _take(self, keyword: str, args: list[str]) -> None:
        if keyword not in self._handlers or keyword in _UNUSED:
            return
        # The one that stands first counts
        if keyword == "proxyjump" and "ProxyCommand" in self._options:
            return
        if keyword == "proxycommand" and self._options.get("ProxyJump") is not None:
            return
        option, handler = self._handlers[keyword]
        if not args:
            self._error(f"Missing {option} value")
        if keyword == "pubkeyauthentication" and args[0].lower() in {"unbound", "host-bound"}:
            args[0] = "yes"
        self._tokens = {"%": "%"}
        handler(self, option, args)
        if args:
            self._error(f"Extra data at end: {' '.join(args)}")

    def _expanded(self, option: str, value: Any, before: Any) -> Any:
        """A value without `%h` and the like; `before` is the part of it that has none already."""
        if isinstance(value, list):
            done = before or []
            return [*done, *map(self._expand_val, value[len(done) :])]
        if not isinstance(value, str) or before is not None:
            return value
        if option == "IdentityAgent" and (value == "SSH_AUTH_SOCK" or _VARIABLE.match(value)):
            return os.environ.get(value.removeprefix("$"), "")
        if option == "ProxyCommand":  # a shell knows its variables, and more about them
            return re.sub(r"%(.)", self._expand_token, value)
        return self._expand_val(value)


asyncssh.connection.SSHClientConfig = Config  # type: ignore[attr-defined]  # asyncssh has no option for it


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


def named_first(connection: asyncssh.SSHClientConnection, named: Collection[bytes]) -> None:
    """Have an agent's keys offered as ssh does: those that are named first, and none once more from its file.

    Args:
        connection: Before it logs in.
        named: The public halves of those that are named.
    """
    agent = connection._agent
    if agent is None:
        return
    get_keys = agent.get_keys

    async def sorted_keys(identities: Sequence[bytes] | None = None) -> Sequence[asyncssh.SSHKeyPair]:
        keys = await get_keys(identities)
        held = {bytes(key.public_data) for key in keys}
        connection._client_keys[:] = [key for key in connection._client_keys if bytes(key.public_data) not in held]
        return sorted(keys, key=lambda key: bytes(key.public_data) not in named)

    agent.get_keys = sorted_keys  # type: ignore[method-assign]  # asyncssh puts all of them first, as the agent has them


async def round_trip(connection: asyncssh.SSHClientConnection) -> None:
    """Ask the server something that every server answers (OpenSSH's PROTOCOL, keepalive@openssh.com)."""
    await connection._make_global_request(b"keepalive@openssh.com")  # its own timer tells no times


def without_padding_packets(connection: asyncssh.SSHClientConnection) -> None:
    """Keep it from sending an empty packet before each one, where the cipher needs none.

    That is a defence of the ciphers in CBC mode (RFC 4251, section 9.3.1). It doubles what a small request costs here
    and there; the authenticated ones have no use for it.
    """
    if connection.get_extra_info("send_cipher") not in _AUTHENTICATED:
        return
    send = connection.send_packet

    def send_packet(pkttype: int, *args: bytes, **more: Any) -> None:
        if pkttype != asyncssh.constants.MSG_IGNORE:
            send(pkttype, *args, **more)

    connection.send_packet = send_packet  # type: ignore[method-assign]  # asyncssh has no option for it


def drop(connection: asyncssh.SSHClientConnection, why: str) -> None:
    """End a connection at once, so that whoever reads from it is told `why`."""
    connection.connection_lost(asyncssh.ConnectionLost(why))
