"""The `ssh` program itself as the way to a host: for sites with ControlMaster, GSSAPI or a second factor.

Each command is one process of it. What the person's configuration says counts, but host keys are checked whatever
it says, on every host on the way: a jump would otherwise be held to the configuration alone, so it is made here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
from collections.abc import Callable, Hashable
from dataclasses import replace

from hosts.child import ChildPipe, open_subprocess
from hosts.connection import Connection, Way
from hosts.connects import Connects, Turn
from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.link import BytePipe
from hosts.openssh_argv import ASK_CONFIG, ssh_argv, ssh_words, where_known
from hosts.openssh_said import (
    NewKey,
    explained,
    is_new_key,
    is_taken,
    last_line,
    offered,
    says_nobody,
    showed_none,
    whose,
)
from hosts.ssh_spec import KNOWN_HOSTS, SshSpec, remote_command
from hosts.standing import Clock, KeyChangedError, Standing, right_keys

_LOST = 255
BEAT = 3.0
"""Seconds between two signs of life of a helper; a way on which two are missed is as good as lost."""

_MOST_HOPS = 9


async def find_way(spec: SshSpec) -> tuple[SshSpec, ...]:
    """The hosts to go through, as the profile or else the configuration that ssh reads names them; then the host.

    Raises:
        InputError: ssh cannot read its configuration, or it goes in circles.
    """
    await asyncio.to_thread(where_known)
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
    found = await _run((*ssh_words((spec,)), "-G", "--", spec.host))
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
        async with asyncio.timeout(ASK_CONFIG):
            while data := await pipe.read():
                text += data
            status, errors = await pipe.ended()
            return status, text, errors
    except TimeoutError:
        pipe.terminate()
        return None
    finally:
        await pipe.close(1)


async def _is_kept(way: tuple[SshSpec, ...]) -> bool:
    """Whether an ssh on the way lets nothing be heard of what the one before it says."""
    for spec in way[1:]:
        told = await _settings(spec)
        if "controlpath" in told and told.get("controlpersist", "no") != "no":
            return True
    return False


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

    async def explain(self, way: tuple[SshSpec, ...], errors: bytes) -> GatewatchError:
        """What went wrong on the way; where `ssh` did not say all of it, it is asked once more."""
        if says_nobody(way, errors):
            errors = await self._told(way, errors)
        new = await self._new_key(way, errors) if is_new_key(errors) else None
        failure = await asyncio.to_thread(explained, way, errors, new)
        if type(failure) is UnreachableError:
            await self._compare(way, errors)
        return failure

    async def _look(self, way: tuple[SshSpec, ...], loud: Hashable, heard: bool = False) -> tuple[int | None, bytes]:
        """The exit status of an `ssh` that is to tell more, None where it takes too long, and what it told."""
        async with self._connects.turn(f"{way[0].host}:{way[0].port}"):
            # Nothing happens there, should it have been mended meanwhile
            found = await _run(ssh_argv(way, "true", loud=loud, heard=heard))
        return (found[0], found[2]) if found is not None else (None, b"")

    async def _told(self, way: tuple[SshSpec, ...], errors: bytes) -> bytes:
        """The same errors, or more of them where some were kept from us."""
        with contextlib.suppress(GatewatchError):
            if await _is_kept(way):
                status, told = await self._look(way, None, heard=True)
                return told if status == _LOST else errors
        return errors

    async def _new_key(self, way: tuple[SshSpec, ...], errors: bytes) -> NewKey | None:
        """The key of a host that has none in the files, which ssh tells only where it tells everything."""
        stop = way[whose(way, errors)]
        try:
            _, told = await self._look(way, stop)
            files = stop.known_hosts or (await _settings(stop)).get("userknownhostsfile", KNOWN_HOSTS)
        except GatewatchError:
            return None
        offer = offered(told)
        return NewKey(files, offer) if offer else None

    async def _compare(self, way: tuple[SshSpec, ...], errors: bytes) -> None:
        """See whether a key that was not is right; ssh says nothing of that unless it tells everything."""
        stop = self._wrong
        if self._standing.now.way is not Way.KEY_CHANGED or stop not in way or showed_none(way, stop, errors):
            return
        with contextlib.suppress(GatewatchError):  # then it is as before
            _, told = await self._look(way, stop)
            right_keys(self._connects)[stop] += is_taken(told)

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
            self._turn.give_back()  # it has ended, and another may begin
            self._failure = await self._whole.explain(self._way, errors)
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
