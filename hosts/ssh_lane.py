"""One SSH connection that is up: the sessions on it, and whether anything is still heard from the other side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import asyncssh
from asyncssh.constants import OPEN_REQUEST_SESSION_FAILED

from hosts.connects import Connects
from hosts.errors import GatewatchError, UnreachableError
from hosts.link import BytePipe
from hosts.ssh_files import Files, find_way
from hosts.ssh_hops import Hop, end
from hosts.ssh_login import log_in
from hosts.ssh_pipe import BROKEN, SshPipe
from hosts.ssh_shim import drop, round_trip, without_padding_packets
from hosts.ssh_spec import SshSpec
from hosts.ssh_text import plain
from hosts.standing import Clock, MendableError, Standing

# Unanswered keep-alives; the first is sent after one interval of rest
_MISSED = 2
_SLEPT = 5.0


class FullError(Exception):
    """The server takes no more sessions on this connection."""


class Lane:
    """A connection, and its part in those it goes through.

    Args:
        standing: Told of signs of life, and of their absence.
        interval: Seconds between two keep-alives.
        clock: Our clocks.
        on_lost: Told once, why, when the connection ended without us.

    Attributes:
        full: Whether the server takes no more sessions until one of ours ends.
        served: Whether there ever was a session.
        sessions: How many there are now.
    """

    def __init__(self, standing: Standing, interval: float, clock: Clock, on_lost: Callable[[Lane, str], None]) -> None:
        self.full = False
        self.served = False
        self.sessions = 0
        self._standing = standing
        self._interval = interval
        self._clock = clock
        self._on_lost = on_lost
        self._connection: asyncssh.SSHClientConnection | None = None
        self._hops: list[tuple[Hop, Callable[[], bool]]] = []
        self._watching: asyncio.Task[None] | None = None
        self._heard = clock.steady()
        self._ours = False

    @property
    def alive(self) -> bool:
        """Whether sessions can be opened on it."""
        return self._connection is not None and not self._connection.is_closed() and not self._ours

    async def connect(self, spec: SshSpec, connects: Connects, deadline: float, again: bool = False) -> None:
        """Connect; each host on the way gets `deadline` seconds.

        Args:
            spec, connects, deadline: As SshHost has them.
            again: Whether a person wants it, who may be asked also what they declined before.

        Raises:
            UnreachableError: A host cannot be reached, its key is unknown or another, or it refuses us.
            InputError: A file that a login needs is not there or wrong.
        """
        try:
            way = await find_way(spec, connects)
            for stop, _ in way if again else ():
                connects.ask_again(stop.called)
            *hops, (_, files) = way
            through: asyncssh.SSHClientConnection | None = None
            # We connect to each hop ourselves, so that its key is held to the same file
            for count, (hop, found) in enumerate(hops, 1):
                shared, give_back = connects.share(("hop", *(spec for spec, _ in hops[:count])), Hop)
                self._hops.append((shared, give_back))
                login = partial(_logged_in, hop, found, through, connects, deadline, lambda _why: None, lambda: None)
                try:
                    through = await shared.connection(login, self._interval * _MISSED)
                except GatewatchError as error:
                    told = f"{spec.title}: on the way there, {error}"
                    raise error.behind(told) if isinstance(error, MendableError) else type(error)(told) from None
            self._connection = await _logged_in(
                spec, files, through, connects, deadline, self._lost, self._standing.asks
            )
        except BaseException:
            await self._end_hops()
            raise
        without_padding_packets(self._connection)
        self._heard = self._clock.steady()
        self._watching = asyncio.create_task(self._watch(self._connection))

    async def start(self, command: str, subsystem: bool = False) -> BytePipe:
        """Start a command, or a subsystem by its name, in a session of its own.

        Raises:
            FullError: The server takes no more sessions here.
            UnreachableError: The connection is gone, or the server does not start it.
        """
        if self._connection is None:
            raise UnreachableError("not connected")
        self.sessions += 1
        try:
            asked: dict[str, Any] = {"subsystem" if subsystem else "command": command}
            _, pipe = await self._connection.create_session(
                partial(SshPipe, self._hear, self._freed), **asked, encoding=None, request_pty=False
            )
        except BROKEN as error:
            self._freed()
            await asyncio.sleep(0)  # a connection that just broke is closed one turn of the loop later
            refused = isinstance(error, asyncssh.ChannelOpenError) and error.code != OPEN_REQUEST_SESSION_FAILED
            if refused and self.alive:  # else it was what we asked for in it that cannot be had
                self.full = True
                raise FullError(plain(error)) from None
            raise UnreachableError(f"no session could be opened: {plain(error)}") from None
        except BaseException:
            self._freed()
            raise
        self.served = True
        return cast("SshPipe", pipe)

    def abort(self) -> None:
        """Drop the connection at once, as a network that fails would."""
        if self._connection is not None:
            self._connection.abort()

    async def close(self) -> None:
        """End the connection, and its part in those it went through."""
        self._ours = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._connection is not None:
            await end(self._connection)
        await self._end_hops()

    def _freed(self) -> None:
        self.sessions -= 1
        self.full = False

    def _hear(self) -> None:
        self._heard = self._clock.steady()
        self._standing.alive()

    def _lost(self, why: str) -> None:
        if not self._ours and self._connection is not None:
            self._ours = True
            if self._watching is not None:
                self._watching.cancel()
            self._on_lost(self, why or "the connection was dropped")

    async def _watch(self, connection: asyncssh.SSHClientConnection) -> None:
        """Ask for a sign of life again and again, until there is none."""
        apart = self._clock.apart
        while True:
            asked = self._clock.steady()
            answer = asyncio.ensure_future(round_trip(connection))
            try:
                # After a sleep of this machine the other side has most likely given us up: believe it sooner
                late = self._interval if self._clock.apart - apart > _SLEPT else 0.0
                if not await self._answered(answer, asked, late):
                    silent = self._clock.steady() - self._heard
                    return drop(connection, f"no answer to keepalive, nothing heard for {silent:.1f} s")
            finally:
                answer.cancel()
            self._heard = self._clock.steady()
            self._standing.alive(self._heard - asked)
            apart = self._clock.apart
            await asyncio.sleep(self._interval)

    async def _answered(self, answer: asyncio.Future[None], asked: float, late: float) -> bool:
        limits = [self._interval * count for count in range(1, _MISSED + 1)]
        while True:
            silent = self._clock.steady() - max(asked, self._heard) + late
            if silent >= limits[-1]:
                return False
            if silent >= limits[0]:
                self._standing.stale(self._clock.steady() - self._heard)
            left = next(limit for limit in limits if limit > silent) - silent
            await asyncio.wait({answer}, timeout=left)
            if answer.done():
                return True

    async def _end_hops(self) -> None:
        hops, self._hops = self._hops, []
        for hop, give_back in reversed(hops):
            if give_back():
                await hop.close()


async def _logged_in(
    spec: SshSpec,
    files: Files,
    through: asyncssh.SSHClientConnection | None,
    connects: Connects,
    deadline: float,
    on_lost: Callable[[str], None],
    on_ask: Callable[[], None],
) -> asyncssh.SSHClientConnection:
    """As `log_in`; a host that hangs up while a person types is said to have."""
    connects.cut_short(spec.called)
    try:
        return await log_in(spec, files, through, connects, deadline, on_lost, on_ask)
    except UnreachableError as error:
        asked = connects.cut_short(spec.called)
        if not asked or type(error) is not UnreachableError:
            raise
        why = str(error).removeprefix(f"{spec.title}: ")
        waited = f"it hung up while it waited for the {asked} ({why}); try again"
    raise UnreachableError(f"{spec.title}: {waited}")
