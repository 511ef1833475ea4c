"""Reaching a host over SSH: one connection per host, strict host keys, commands as argument vectors.

asyncssh is imported by the first connection only: it costs more start-up time than all of the command line.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.link import BytePipe

if TYPE_CHECKING:
    import asyncssh

_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,252}\Z")
_ADDRESS = re.compile(r"[0-9A-Fa-f:]{2,45}(%[A-Za-z0-9_.-]{1,32})?\Z")
_SYSTEM_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
# The fastest one first: with it a megabyte costs half of what the default costs
_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
# "+": the kinds that the file has come first. The others are taken too, because a host that has none of the first
# would hang up without a word, and then nobody could say that its key has changed.
_HOST_KEYS = "+ssh-ed25519,ecdsa-sha2-nistp*,rsa-sha2-*"
_KEEPALIVE_INTERVAL = 3
_KEEPALIVE_COUNT = 2
_LOGIN_TIMEOUT = 20
_GRACE = 2.0
_KEPT_ERRORS = 8192


@dataclass(frozen=True)
class SshSpec:
    """How a host is reached.

    Attributes:
        host: Name, alias of the ssh configuration, or address.
        port: None for what the ssh configuration says, else 22.
        user: Login name; None for what the ssh configuration says, else our own.
        identity_file: A private key without a passphrase; None for the usual files and the agent.
        known_hosts: The file that the host's key has to be in; it must exist. "~" is expanded.
        proxy_jump: `[user@]host[:port]` to go through, several with commas; None for what the configuration says.
        config_file: The ssh configuration to read, if it exists; None for none.
    """

    host: str
    port: int | None = None
    user: str | None = None
    identity_file: str | None = None
    known_hosts: str = "~/.ssh/known_hosts"
    proxy_jump: str | None = None
    config_file: str | None = "~/.ssh/config"

    def __post_init__(self) -> None:
        # Threat S2: a name like this ends up in a ProxyCommand of the person's own configuration
        if not _NAME.match(self.host) and not _ADDRESS.match(self.host):
            raise InputError(f"bad host name {self.host!r}")
        if self.user is not None and not _NAME.match(self.user):
            raise InputError(f"bad user name {self.user!r} for host {self.host}")
        if self.port is not None and not 0 < self.port < 1 << 16:
            raise InputError(f"bad port {self.port} for host {self.host}")


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


class SshHost:
    """One connection to one host, made when it is first needed and again after it was lost; `open` is the opener.

    Args:
        spec: How it is reached.
        keepalive: Seconds between two signs of life; a host that misses two of them is lost.
    """

    def __init__(self, spec: SshSpec, keepalive: float = _KEEPALIVE_INTERVAL) -> None:
        self._spec = spec
        self._keepalive = keepalive
        self._connecting: asyncio.Task[asyncssh.SSHClientConnection] | None = None
        self._jumps: list[asyncssh.SSHClientConnection] = []

    async def open(self, argv: tuple[str, ...]) -> BytePipe:
        """Start a command on the host.

        Raises:
            UnreachableError: The host cannot be reached, its key is unknown or another, or it refuses us.
            InputError: A file that the connection needs is not there or wrong, or `argv` cannot be passed on.
        """
        # Its import takes a tenth of a second, which a screen would feel; from here on it is a look-up
        await asyncio.to_thread(importlib.import_module, "asyncssh")
        import asyncssh

        command = remote_command(argv)
        connection = await self._connection()
        try:
            process = await connection.create_process(command, encoding=None, request_pty=False)
        except (asyncssh.Error, OSError) as error:
            raise UnreachableError(f"{self._spec.host}: no session could be opened: {_reason(error)}") from None
        return _SshPipe(process)

    async def close(self) -> None:
        """End the connection and those it went through."""
        task, self._connecting = self._connecting, None
        if task is not None:
            if not task.done():
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled() and task.exception() is None:
                await _end(task.result())
        await self._end_jumps()

    def abort(self) -> None:
        """Drop the connection at once, as a network that fails would."""
        task = self._connecting
        if task is not None and task.done() and not task.cancelled() and task.exception() is None:
            task.result().abort()

    async def _connection(self) -> asyncssh.SSHClientConnection:
        task = self._connecting
        if task is not None and task.done():
            if not task.cancelled() and task.exception() is None and not task.result().is_closed():
                return task.result()
            task = None
        if task is None:
            task = self._connecting = asyncio.create_task(self._connect())
            task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        return await asyncio.shield(task)

    async def _connect(self) -> asyncssh.SSHClientConnection:
        await self._end_jumps()
        try:
            return await self._reach(self._spec)
        except BaseException:
            await self._end_jumps()
            raise

    async def _reach(
        self, spec: SshSpec, through: asyncssh.SSHClientConnection | None = None
    ) -> asyncssh.SSHClientConnection:
        import asyncssh

        files = await asyncio.to_thread(_files, spec)
        client = _make_client(files.known)
        if through is None:
            for jump in await self._jump_specs(spec, files.configs):
                through = await self._reach(jump, through)
                self._jumps.append(through)
        options: dict[str, Any] = {
            "known_hosts": files.known,
            "config": files.configs,
            "tunnel": through,
            "agent_forwarding": False,
            "keepalive_interval": self._keepalive,
            "keepalive_count_max": _KEEPALIVE_COUNT,
            "connect_timeout": _LOGIN_TIMEOUT,
            "login_timeout": _LOGIN_TIMEOUT,
            "encryption_algs": _CIPHERS,
            "server_host_key_algs": _HOST_KEYS,
            "client_factory": lambda: client,
        }
        keys = [files.identity] if files.identity is not None else None
        chosen = {"port": spec.port, "username": spec.user, "client_keys": keys}
        options.update({name: value for name, value in chosen.items() if value is not None})
        try:
            return await asyncssh.connect(spec.host, **options)
        except (asyncssh.Error, OSError, ValueError) as error:
            raise _explained(spec, client, error) from None

    async def _jump_specs(self, spec: SshSpec, configs: list[str]) -> list[SshSpec]:
        """The hosts to go through. We connect to each ourselves, so that their keys are held to the same file."""
        import asyncssh

        text: Any = spec.proxy_jump
        if text is None and configs:
            try:
                options = await asyncssh.SSHClientConnectionOptions.construct(host=spec.host, config=configs)
            except (asyncssh.Error, OSError, ValueError) as error:
                raise InputError(f"{configs[0]}: {_reason(error)}") from None
            text = options.tunnel
        return [_jump(part, spec) for part in text.split(",")] if isinstance(text, str) and text else []

    async def _end_jumps(self) -> None:
        jumps, self._jumps = self._jumps, []
        for connection in reversed(jumps):
            await _end(connection)


class _SshPipe:
    """A process on the other side of an SSH channel."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._process = process
        self._errors = bytearray()
        self._listening = asyncio.create_task(self._listen())

    async def read(self) -> bytes:
        import asyncssh

        try:
            return await self._process.stdout.read(1 << 16)
        except (asyncssh.Error, OSError) as error:
            raise UnreachableError(_reason(error)) from None

    async def write(self, data: bytes) -> None:
        import asyncssh

        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (asyncssh.Error, OSError) as error:
            raise UnreachableError(_reason(error)) from None

    async def close(self, patience: float) -> None:
        try:
            if not self._process.is_closing():
                self._process.stdin.write_eof()
            async with asyncio.timeout(patience):
                await self._process.wait_closed()
        except (TimeoutError, OSError):
            self.abort()
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    def abort(self) -> None:
        self._process.channel.abort()

    async def ended(self) -> tuple[int | None, bytes]:
        try:
            async with asyncio.timeout(_GRACE):
                await self._process.wait_closed()
                await asyncio.shield(self._listening)
        except TimeoutError:
            return None, bytes(self._errors)
        return self._process.exit_status, bytes(self._errors)

    async def _listen(self) -> None:
        import asyncssh

        try:
            while data := await self._process.stderr.read(1 << 12):
                self._errors += data
                del self._errors[:-_KEPT_ERRORS]
        except (asyncssh.Error, OSError):
            return  # the reading side tells


@dataclass(frozen=True)
class _Files:
    """What a connection needs from disk."""

    known: asyncssh.SSHKnownHosts
    identity: str | None
    configs: list[str]


def _files(spec: SshSpec) -> _Files:
    """Read what a connection needs from disk, and name what is missing before anybody is connected to."""
    import asyncssh

    known_file = os.path.expanduser(spec.known_hosts)
    if not os.path.isfile(known_file):
        raise InputError(
            f"{spec.host}: there is no known_hosts file {spec.known_hosts}, so its host key cannot be checked"
        )
    files = [known_file]
    if os.path.isfile(_SYSTEM_KNOWN_HOSTS):
        files.append(_SYSTEM_KNOWN_HOSTS)
    try:
        known = asyncssh.read_known_hosts(files)
    except (OSError, ValueError) as error:
        raise InputError(f"{spec.host}: cannot read {spec.known_hosts}: {_reason(error)}") from None
    identity = os.path.expanduser(spec.identity_file) if spec.identity_file is not None else None
    if identity is not None and not os.access(identity, os.R_OK):
        raise InputError(f"{spec.host}: cannot read the identity file {spec.identity_file}")
    config = os.path.expanduser(spec.config_file) if spec.config_file is not None else ""
    return _Files(known, identity, [config] if config and os.path.isfile(config) else [])


def _jump(text: str, behind: SshSpec) -> SshSpec:
    user, _, where = text.strip().rpartition("@")
    match = re.match(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:]+))(?::(?P<port>[0-9]{1,5}))?\Z", where)
    if match is None:
        raise InputError(f"{behind.host}: bad host to jump over: {text!r}")
    return SshSpec(
        match["v6"] or match["host"],
        int(match["port"]) if match["port"] else None,
        user or None,
        behind.identity_file,
        behind.known_hosts,
        "",  # through what we name, and nothing else
        behind.config_file,
    )


def _make_client(known: asyncssh.SSHKnownHosts) -> Any:
    import asyncssh

    class Client(asyncssh.SSHClient):
        """Refuses every key that the file does not hold, and remembers it for the message."""

        offered: asyncssh.SSHKey | None = None
        expected: Sequence[asyncssh.SSHKey] = ()

        def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
            self.offered = key
            self.expected = known.match(host, addr, None if port == asyncssh.DEFAULT_PORT else port)[0]
            return False

    return Client()


def _explained(spec: SshSpec, client: Any, error: Exception) -> GatewatchError:
    import asyncssh

    known_file = spec.known_hosts
    if client.offered is not None:
        offered = f"{client.offered.get_algorithm()} {client.offered.get_fingerprint()}"
        if client.expected:
            each = {f"{key.get_algorithm()} {key.get_fingerprint()}": None for key in client.expected}
            known = ", ".join(each)
            return UnreachableError(
                f"{spec.host}: its host key has changed, so nothing was sent: {known_file} has {known}, "
                f"the host offers {offered}"
            )
        return UnreachableError(
            f"{spec.host}: its host key is unknown: {known_file} has no key for it, the host offers {offered}; "
            "compare that on the host itself and add it to the file"
        )
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return UnreachableError(f"{spec.host}: its host key cannot be trusted ({known_file}): {_reason(error)}")
    if isinstance(error, asyncssh.PermissionDenied):
        who = f" for {spec.user}" if spec.user else ""
        return UnreachableError(f"{spec.host}: login refused{who}: {_reason(error)}")
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return UnreachableError(f"{spec.host}: no common way to encrypt: {_reason(error)}")
    if isinstance(error, (asyncssh.KeyImportError, asyncssh.KeyEncryptionError)):
        return InputError(
            f"{spec.host}: cannot use the identity file {spec.identity_file or '(default)'}: {_reason(error)}"
        )
    if isinstance(error, (asyncssh.Error, OSError)):
        return UnreachableError(f"{spec.host}: {_reason(error)}")
    return InputError(f"{spec.host}: {_reason(error)}")


async def _end(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    try:
        async with asyncio.timeout(_GRACE):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    text = str(getattr(error, "reason", "") or getattr(error, "strerror", "") or error)
    clean = "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
    return clean[:200] or type(error).__name__
