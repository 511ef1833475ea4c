"""The `ssh` program itself as the way to a host: for sites with ControlMaster, GSSAPI or a second factor.

Each command is one process of it. What the person's configuration says counts, but host keys are checked whatever
it says, on every host on the way: a jump would otherwise be held to the configuration alone, so it is made here.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import pwd
import subprocess
from collections.abc import Callable, Hashable
from dataclasses import replace

from hosts.child import ChildPipe, open_subprocess
from hosts.connection import Connection, Way
from hosts.connects import Connects, Turn
from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.link import BytePipe
from hosts.openssh_said import NewKey, explained, is_new_key, is_taken, last_line, offered, showed_none, whose
from hosts.ssh_spec import KNOWN_HOSTS, SshSpec, remote_command
from hosts.standing import Clock, KeyChangedError, Standing, right_keys

_LOST = 255
BEAT = 3.0
"""Seconds between two signs of life of a helper; a way on which two are missed is as good as lost."""

_MOST_HOPS = 9
_ASK_CONFIG = 10.0
_ALWAYS = (
    "BatchMode=yes",
    "ConnectTimeout=20",
    "ServerAliveInterval=3",
    "ServerAliveCountMax=2",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "NoHostAuthenticationForLocalhost=no",
    "VerifyHostKeyDNS=no",
    "UpdateHostKeys=no",
    "GlobalKnownHostsFile=/etc/ssh/ssh_known_hosts",
)
# Since OpenSSH 8.5: what that prints counts as if it stood in the files, such as the very key that the host showed
_NO_COMMAND = "KnownHostsCommand=none"
# Below this, what the server sends as a banner stands among what went wrong
_QUIET = ("LogLevel=ERROR",)
# A connection that is shared compares no key
_LOUD = ("LogLevel=DEBUG1", "ControlPath=none")


def ssh_argv(way: tuple[SshSpec, ...], command: str, subsystem: bool = False, loud: Hashable = None) -> tuple[str, ...]:
    """The argument vector that runs a command line on the last of these hosts, through the others in their order.

    Args:
        way: The hosts.
        command: The command line, or a subsystem's name.
        subsystem: Whether it is the latter.
        loud: The one of the hosts of which ssh is to tell everything.

    Raises:
        InputError: A path cannot be passed on.
    """
    return (*_words(way, loud), "-T", *(["-s"] if subsystem else []), "--", way[-1].host, command)


def _words(way: tuple[SshSpec, ...], loud: Hashable = None) -> list[str]:
    *hops, spec = way
    words = ["ssh"]
    # The first value that ssh finds for a setting counts, so none of these can be overruled
    for setting in (*_ALWAYS, *_where_known(), *(_LOUD if spec == loud else _QUIET)):
        words += ["-o", setting]
    words += ["-o", f"StrictHostKeyChecking={'yes' if spec.host_keys == 'strict' else 'accept-new'}"]
    if spec.known_hosts is not None:  # else those that the configuration names, at which `find_way` has looked
        words += ["-o", f"UserKnownHostsFile={_path(spec.known_hosts)}"]
    if hops:
        text = remote_command([*(word.replace("%", "%%") for word in _words(tuple(hops), loud)), "-W"])
        words += ["-o", f"ProxyCommand={text} '[%h]:%p' -- {hops[-1].host}"]
    elif spec.proxy_jump is not None:
        words += ["-o", "ProxyJump=none"]
    if spec.config_file is None:
        words += ["-F", "none"]
    elif spec.config_file != SshSpec.config_file:
        words += ["-F", os.path.expanduser(spec.config_file)]
    chosen = {"-p": spec.port, "-l": spec.user}
    words += [word for flag, value in chosen.items() if value is not None for word in (flag, str(value))]
    if spec.identity_file is not None:
        words += ["-i", os.path.expanduser(spec.identity_file).replace("%", "%%")]
    return words


@functools.cache
def _where_known() -> tuple[str, ...]:
    """Settings that an older ssh ends at, where the one here knows them.

    It would pass over what it is told to by IgnoreUnknown, but then no longer over what the person's configuration
    says so of.
    """
    try:
        asked = subprocess.run(
            ["ssh", "-F", "none", "-o", _NO_COMMAND, "-G", "--", "localhost"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_CONFIG,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return (_NO_COMMAND,)
    return () if asked.returncode != 0 and b"bad configuration option" in asked.stderr.lower() else (_NO_COMMAND,)


def _path(name: str) -> str:
    """A path as the value of a setting, which ssh splits at blanks and expands."""
    path = os.path.expanduser(name)
    if '"' in path or not path.isprintable():
        raise InputError(f"{name!r} cannot be given to ssh")
    return '"' + path.replace("%", "%%") + '"'


async def find_way(spec: SshSpec) -> tuple[SshSpec, ...]:
    """The hosts to go through, as the profile or else the configuration that ssh reads names them; then the host.

    Raises:
        InputError: ssh cannot read its configuration, or it goes in circles.
    """
    await asyncio.to_thread(_where_known)
    way: tuple[SshSpec, ...] = ()
    ahead: tuple[SshSpec, ...] = (spec,)
    while True:
        found = [await _configured(each) for each in ahead]
        way = tuple(replace(each, known_hosts=known) for each, (_, known) in zip(ahead, found, strict=True)) + way
        configured = found[0][0]
        ahead = way[0].hops(way[0].jumps_beyond(configured) if configured is not None else way[0].proxy_jump)
        if configured is not None and not ahead:
            return (replace(way[0], proxy_jump=""), *way[1:])
        if not ahead:
            return way
        if len(ahead) + len(way) > _MOST_HOPS:
            raise InputError(f"{spec.title}: more than {_MOST_HOPS - 1} hosts to jump over; does ProxyJump circle?")


async def _configured(spec: SshSpec) -> tuple[str | None, str | None]:
    """What ssh would go through by its configuration, and the file of the keys of hosts to be named to it.

    None for nothing, and where something else is said already.
    """
    if spec.config_file is None or (spec.proxy_jump is not None and spec.known_hosts is not None):
        return None, spec.known_hosts or KNOWN_HOSTS
    told = await _settings(spec)
    jumps, known = told.get("proxyjump", "none").strip(), spec.known_hosts
    if known is None and _names_none(told.get("userknownhostsfile", "")):
        known = KNOWN_HOSTS
    return None if spec.proxy_jump is not None or jumps == "none" else jumps, known


def _names_none(files: str) -> bool:
    """Whether no file of the keys of hosts is named: none at all, or those that ssh takes unless told otherwise.

    What names no file turns the check off in ssh.
    """
    usual = [[f"{home}/.ssh/known_hosts{number}" for number in ("", "2")] for home in (_home(), "~")]
    return not set(files.split()) - {"none", os.devnull} or files.split() in usual


def _home() -> str:
    """Where ssh looks for its files, whatever HOME says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return os.path.expanduser("~")


async def _settings(spec: SshSpec) -> dict[str, str]:
    """What ssh makes of its configuration for a host, each setting by its name in small letters."""
    found = await _run((*_words((spec,)), "-G", "--", spec.host))
    if found is None:
        raise InputError(f"{spec.title}: ssh -G does not end")
    status, text, errors = found
    if status != 0:
        raise InputError(f"{spec.title}: ssh cannot read its configuration: {last_line(errors)}")
    return dict(line.partition(" ")[::2] for line in text.decode("utf-8", "replace").splitlines())


async def _run(words: tuple[str, ...]) -> tuple[int | None, bytes, bytes] | None:
    """The exit status of a command, what it wrote and the end of its errors; None where it takes too long."""
    pipe = await open_subprocess(words, 1 << 18)
    text = b""
    try:
        async with asyncio.timeout(_ASK_CONFIG):
            while data := await pipe.read():
                text += data
            status, errors = await pipe.ended()
            return status, text, errors
    except TimeoutError:
        pipe.terminate()
        return None
    finally:
        await pipe.close(1)


async def _new_key(way: tuple[SshSpec, ...], errors: bytes) -> NewKey | None:
    """The key of a host that has none in the files, which ssh tells only where it tells everything."""
    stop = way[whose(way, errors)]
    try:
        # Nothing happens there, should somebody have added the key meanwhile
        found = await _run(ssh_argv(way, "true", loud=stop))
        files = stop.known_hosts or (await _settings(stop)).get("userknownhostsfile", KNOWN_HOSTS)
    except GatewatchError:
        return None
    offer = offered(found[2]) if found is not None else None
    return NewKey(files, offer) if offer else None


class OpenSshHost:
    """The way to one host, a process of `ssh` for each command; `open` is the opener.

    Its standing is told by those processes: up from the first byte of one, stale when nothing is heard of any although
    the helper at its other end was asked for a sign of life, lost with the last.

    Args:
        spec: How it is reached.
        connects: What it shares with the other hosts of this process; None where it is the only one.
        clock: Our clocks.
    """

    def __init__(self, spec: SshSpec, *, connects: Connects | None = None, clock: Clock | None = None) -> None:
        self._spec = spec
        self._connects = connects or Connects()
        self._clock = clock or Clock()
        self._standing = Standing(spec.title, self._connects.chance, self._clock, self._connects)
        self._last = self._clock.steady()
        self._wrong: Hashable = None
        self._way: tuple[SshSpec, ...] = ()
        self._pipes: list[_SshProcess] = []

    @property
    def connection(self) -> Connection:
        """How the way to the host stands; it never tells a round trip time."""
        return self._standing.now

    def on_change(self, callback: Callable[[Connection], None]) -> Callable[[], None]:
        """Have every new standing told; the answer ends that."""
        return self._standing.on_change(callback)

    async def open(self, argv: tuple[str, ...]) -> BytePipe:
        """Start a command on the host. That it cannot be reached is told by the first read.

        Raises:
            UnreachableError: It failed so lately that it is left alone for now.
            InputError: There is no ssh, its configuration cannot be read, or `argv` cannot be passed on.
        """
        return await self._open(remote_command(argv), False)

    async def open_subsystem(self, name: str) -> BytePipe:
        """Start a subsystem of the host's SSH server, such as sftp; otherwise as `open`."""
        return await self._open(name, True)

    async def _open(self, command: str, subsystem: bool) -> BytePipe:
        await self._standing.look()
        self._standing.check()
        if not self._pipes or not self._way:  # one that is up tells the way: to ask runs programs (`Match exec`)
            self._way = await find_way(self._spec)
        way = self._way
        words = ssh_argv(way, command, subsystem)
        turn = await self._connects.begin(f"{way[0].host}:{way[0].port}")
        if not self._pipes:
            self._standing.connecting()
        try:
            child = await open_subprocess(words)
        except BaseException:
            turn.give_back()
            self._standing.idle()
            raise
        pipe = _SshProcess(way, child, turn, self)
        self._pipes.append(pipe)
        return pipe

    async def retry_now(self) -> None:
        """Let the next call try, however long the host was to be left alone: a person asks for it."""
        self._standing.pardon()

    async def close(self) -> None:
        """End what still runs."""
        await asyncio.gather(*(pipe.close(1) for pipe in tuple(self._pipes)))
        self._standing.idle()

    def abort(self) -> None:
        """Drop every process at once."""
        for pipe in tuple(self._pipes):
            pipe.abort()

    def heard(self) -> None:
        """Something came from there."""
        self._last = self._clock.steady()
        if self._standing.now.way is Way.STALE:
            self._standing.alive()
        elif self._standing.now.way is not Way.UP:
            self._standing.up()

    async def compare(self, way: tuple[SshSpec, ...], errors: bytes) -> None:
        """See whether a key that was not is right; ssh says nothing of that unless it tells everything."""
        stop = self._wrong
        if self._standing.now.way is not Way.KEY_CHANGED or stop not in way or showed_none(way, stop, errors):
            return
        with contextlib.suppress(GatewatchError):  # then it is as before
            async with self._connects.turn(f"{way[0].host}:{way[0].port}"):
                found = await _run(ssh_argv(way, "true", loud=stop))
            right_keys(self._connects)[stop] += found is not None and is_taken(found[2])

    def silent(self) -> None:
        """One of the processes heard nothing for too long."""
        silent = self._clock.steady() - self._last
        if silent >= BEAT:
            self._standing.stale(silent)

    def ended(self, pipe: _SshProcess, failure: GatewatchError | None) -> None:
        if pipe not in self._pipes:
            return
        self._pipes.remove(pipe)
        lost = failure is not None and pipe.heard
        # Those that only try to begin hold no way that is lost; the first that does begin is the new one
        if any(one.heard or not lost for one in self._pipes):
            return
        if failure is None:
            self._standing.idle()
        elif pipe.heard:
            self._standing.lost(str(failure).removeprefix(f"{self._spec.title}: "))
        else:
            self._wrong = failure.stop if isinstance(failure, KeyChangedError) else self._wrong
            self._standing.failed(failure)


class _SshProcess:
    """One process of ssh as a byte pipe."""

    def __init__(self, way: tuple[SshSpec, ...], child: ChildPipe, turn: Turn, host: OpenSshHost) -> None:
        self.heard = False
        self.beat = BEAT
        self._way = way
        self._host = way[-1].title
        self._child = child
        self._turn = turn
        self._whole = host
        self._failure: GatewatchError | None = None

    async def read(self) -> bytes:
        data = await self._child.read()
        if data:
            if not self.heard:
                self.heard = True
                self._turn.give_back()
            self._whole.heard()
            return data
        status, errors = await self._child.ended()
        if self._failure is None and status == _LOST:
            new = await _new_key(self._way, errors) if is_new_key(errors) else None
            self._failure = await asyncio.to_thread(explained, self._way, errors, new)
            if type(self._failure) is UnreachableError:
                self._turn.give_back()  # it has ended, and another begins
                await self._whole.compare(self._way, errors)
        self._finish(self._failure)
        if self._failure is not None:
            raise UnreachableError(str(self._failure).removeprefix(f"{self._host}: "))
        return b""

    async def write(self, data: bytes) -> None:
        await self._child.write(data)

    @property
    def unsent(self) -> int:
        return self._child.unsent

    def silent(self, seconds: float) -> None:
        del seconds  # others may have heard something since
        self._whole.silent()

    def give_up(self, why: str) -> None:
        self._failure = UnreachableError(f"{self._host}: {why}")

    async def close(self, patience: float) -> None:
        await self._child.close(patience)
        self._finish(None if self.heard else UnreachableError(f"{self._host}: no answer"))

    def abort(self) -> None:
        self._child.abort()
        self._child.terminate()

    async def ended(self) -> tuple[int | None, bytes]:
        if self._failure is not None:
            return None, b""  # the failed read has said it all
        return await self._child.ended()

    def _finish(self, failure: GatewatchError | None) -> None:
        self._turn.give_back()
        self._whole.ended(self, failure)
