"""Reaching a host over SSH: one connection, kept and made again, strict host keys, commands as argument vectors.

asyncssh is imported by the first connection only: it costs more start-up time than all of the command line. The
modules that need it (hosts/ssh_lane.py and what that imports) are therefore imported here on first use.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from hosts.aside import is_cancelled
from hosts.connection import Connection
from hosts.connects import Connects
from hosts.errors import GatewatchError, UnreachableError
from hosts.link import BytePipe
from hosts.ssh_spec import SshSpec, remote_command
from hosts.standing import Clock, Standing

if TYPE_CHECKING:
    from hosts.ssh_lane import Lane

__all__ = ["SshHost", "SshSpec", "remote_command"]

_KEEPALIVE = 3.0
_LOGIN_TIMEOUT = 20.0
# Connections to one host; more than one only where a server allows few sessions on each
_LANES = 3
_AGAIN = 10.0
# To find a connection that has room for one more session, those made meanwhile by others included
_ATTEMPTS = 4 * _LANES


class SshHost:
    """The way to one host, made when it is first needed and again after it was lost; `open` is the opener.

    A call that comes while a host that failed is left alone fails at once, with the time of the next try.

    Args:
        spec: How it is reached.
        keepalive: Seconds between two signs of life; a host that misses two of them is lost.
        connects: What it shares with the other hosts of this process; None where it is the only one.
        deadline: Seconds that a login may take.
        clock: Our clocks.
    """

    def __init__(
        self,
        spec: SshSpec,
        keepalive: float = _KEEPALIVE,
        *,
        connects: Connects | None = None,
        deadline: float = _LOGIN_TIMEOUT,
        clock: Clock | None = None,
    ) -> None:
        self._spec = spec
        self._keepalive = keepalive
        self._connects = connects or Connects()
        self._deadline = deadline
        self._clock = clock or Clock()
        self._standing = Standing(spec.title, self._connects.chance, self._clock, self._connects)
        self._lanes: list[Lane] = []
        self._connecting: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._no_more_until = 0.0
        self._again = False

    @property
    def connection(self) -> Connection:
        """How the way to the host stands."""
        return self._standing.now

    def on_change(self, callback: Callable[[Connection], None]) -> Callable[[], None]:
        """Have every new standing told, but not each new round trip time; the answer ends that."""
        return self._standing.on_change(callback)

    async def open(self, argv: tuple[str, ...]) -> BytePipe:
        """Start a command on the host.

        Raises:
            UnreachableError: The host cannot be reached, its key is unknown or another, it refuses us, or it failed
                so lately that it is left alone for now.
            InputError: A file that the connection needs is not there or wrong, or `argv` cannot be passed on.
        """
        return await self._open(remote_command(argv), False)

    async def open_subsystem(self, name: str) -> BytePipe:
        """Start a subsystem of the host's SSH server, such as sftp.

        Raises:
            UnreachableError, InputError: As `open` does.
        """
        return await self._open(name, True)

    async def _open(self, command: str, subsystem: bool) -> BytePipe:
        # Its import takes a tenth of a second, which a screen would feel; from here on it is a look-up
        await asyncio.to_thread(importlib.import_module, "hosts.ssh_lane")
        from hosts.ssh_lane import FullError

        await self._standing.look()
        for _ in range(_ATTEMPTS):
            lane = next((lane for lane in self._lanes if lane.alive and not lane.full), None)
            if lane is None:
                await self._connect()
                continue
            try:
                return await lane.start(command, subsystem)
            except FullError as error:
                if not lane.served:
                    raise UnreachableError(f"{self._spec.title}: no session could be opened: {error}") from None
                if not lane.sessions:  # its server has not noticed yet that ours have ended
                    self._retire(lane)
            except UnreachableError as error:
                if lane.alive:
                    raise UnreachableError(f"{self._spec.title}: {error}") from None
                self._lane_lost(lane, str(error))
        raise UnreachableError(f"{self._spec.title}: no session could be opened: each connection was lost or full")

    async def retry_now(self) -> None:
        """Connect now, however long the host was to be left alone: a person asks for it.

        Raises:
            UnreachableError: As `open` does.
            InputError: As `open` does.
        """
        await asyncio.to_thread(importlib.import_module, "hosts.ssh_lane")
        self._standing.pardon()
        if not any(lane.alive for lane in self._lanes):
            self._again = True
            await self._connect()

    async def close(self) -> None:
        """End the connection and those it went through."""
        task, self._connecting = self._connecting, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        lanes, self._lanes = self._lanes, []
        await asyncio.gather(*(lane.close() for lane in lanes), *self._ending)
        self._standing.idle()

    def abort(self) -> None:
        """Drop the connection at once, as a network that fails would."""
        for lane in self._lanes:
            lane.abort()

    async def _connect(self) -> None:
        """Make one more connection, together with whoever else needs one."""
        task = self._connecting
        if task is None or task.done():
            if not any(lane.alive for lane in self._lanes):
                self._standing.check()
            elif len(self._lanes) >= _LANES or self._clock.steady() < self._no_more_until:
                count = sum(lane.sessions for lane in self._lanes)
                over = f"{len(self._lanes)} connection{'s' if len(self._lanes) > 1 else ''}"
                raise UnreachableError(f"{self._spec.title}: it takes no more sessions: {count} are open over {over}")
            task = self._connecting = asyncio.create_task(self._add_lane())
            task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and not is_cancelled():  # by `close` then, which is no reason to end for who asked
                raise UnreachableError(f"{self._spec.title}: the connection was closed") from None
            raise

    async def _add_lane(self) -> None:
        from hosts.ssh_lane import Lane

        lane = Lane(self._standing, self._keepalive, self._clock, self._lane_lost)
        first = not any(lane.alive for lane in self._lanes)
        if first:
            self._standing.connecting()
        try:
            again, self._again = self._again, False
            await lane.connect(self._spec, self._connects, self._deadline, again)
        except GatewatchError as error:
            if first:
                self._standing.failed(error)
            else:
                self._no_more_until = self._clock.steady() + _AGAIN
            raise
        except BaseException:
            if first:
                self._standing.idle()
            raise
        self._lanes.append(lane)
        if first:
            self._standing.up()
        if not lane.alive:
            self._lane_lost(lane, "the connection was dropped")

    def _lane_lost(self, lane: Lane, why: str) -> None:
        if lane in self._lanes:
            self._retire(lane)
            if not any(lane.alive for lane in self._lanes):
                self._standing.lost(why)

    def _retire(self, lane: Lane) -> None:
        self._lanes.remove(lane)
        task = asyncio.create_task(lane.close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
