"""The SFTP sessions of a host without a Python: one in use, and those that hang in a request nobody answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hosts.bare_facts import read_home, read_mounts
from hosts.bare_hung import MOST_HANGING, Hung
from hosts.bare_sftp import PATIENCE, Sftp
from hosts.errors import GatewatchError, UnreachableError
from hosts.session import BytePipe

_OPENING = 20.0

T = TypeVar("T")


class Sessions:
    """Sessions that are opened when they are needed.

    One that hangs is kept: what it hangs in goes on over there whatever we do, and its answer tells that the path is
    well again. A server has room for ten sessions on a connection (sshd_config, MaxSessions), and others need some:
    `hung` sees to it that one of ours is left that answers.

    Args:
        name: What messages call the host.
        subsystem: Starts a subsystem of its SSH server and gives its ends.
        reason: Why it is looked at in this way.
        patience: Seconds without an answer after which a session counts as stuck.

    Attributes:
        hung: The paths that are left alone.
    """

    def __init__(
        self,
        name: str,
        subsystem: Callable[[str], Awaitable[BytePipe]],
        reason: Callable[[], str],
        patience: float = PATIENCE,
    ) -> None:
        self.hung = Hung(hanging=lambda: len(self._stuck))
        self._name = name
        self._subsystem = subsystem
        self._reason = reason
        self._patience = patience
        self._now: Sftp | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._stuck: dict[Sftp, asyncio.Task[None]] = {}

    @property
    def alive(self) -> bool:
        """Whether the way to the host is up, as far as its sessions tell."""
        return not self._closed and self._now is not None and not self._now.lost

    async def do(self, work: Callable[[Sftp], Awaitable[T]]) -> T:
        """Have something done with a session; from its beginning in another one, where the first gets stuck.

        Raises:
            NoAnswerError: It is about a path that the host does not answer about.
            UnreachableError: The way was lost, or too many sessions hang.
        """
        while True:
            sftp = await self.get()
            try:
                return await work(sftp)
            except UnreachableError:
                if sftp.stuck is None:
                    raise

    async def get(self) -> Sftp:
        """A session that answers.

        Raises:
            UnreachableError: There is none to be had.
        """
        async with self._opening:
            self._check()
            before = self._now
            if before is not None and not before.lost and before.stuck is None:
                return before
            if before is not None and before.lost and before not in self._stuck:
                self._now = None
                await before.close()
            elif before is not None and before.stuck is not None:
                self._keep(before)
            if len(self._stuck) > MOST_HANGING:  # in the kernel's own files too
                where = ", ".join(sorted({sftp.stuck.path for sftp in self._stuck if sftp.stuck is not None}))
                raise UnreachableError(f"{self._name}: {len(self._stuck)} SFTP sessions hang there, at {where}")
            sftp = await self._open(before)
            try:
                self._check()
            except UnreachableError:  # nobody else would end it
                await sftp.close()
                raise
            self._now = sftp
            return sftp

    def forget(self) -> None:
        """Let paths be asked for that were left alone, as far as there is room for another session that hangs."""
        self.hung.forget()

    def reopen(self) -> None:
        """Let there be sessions after `close`."""
        self._closed = False

    async def close(self) -> None:
        """End all of them; whatever is under way ends with UnreachableError."""
        self._closed = True
        now, self._now = self._now, None
        for task in self._stuck.values():
            task.cancel()
        await asyncio.gather(*self._stuck.values(), return_exceptions=True)
        await asyncio.gather(*(sftp.close() for sftp in {*self._stuck, *([now] if now is not None else [])}))
        self._stuck.clear()

    def _check(self) -> None:
        if self._closed:
            raise UnreachableError(f"{self._name}: its SFTP session was closed")

    async def _open(self, before: Sftp | None) -> Sftp:
        try:
            async with asyncio.timeout(_OPENING):
                sftp = Sftp(self._name, await self._subsystem("sftp"), self.hung, self._patience)
                try:
                    await sftp.start()
                    # That another session answers tells a path that hangs from a way that does
                    if before is not None and before.stuck is not None and not before.lost:
                        mounts, home = await asyncio.gather(read_mounts(sftp), read_home(sftp))
                        self.hung.add(before.stuck, mounts, home)
                except BaseException:
                    await sftp.close()
                    raise
                return sftp
        except TimeoutError:
            raise UnreachableError(f"{self._name}: no SFTP session within {_OPENING:g} s") from None
        except UnreachableError as error:
            raise UnreachableError(f"{self._reason()}; and no SFTP: {error}") from None

    def _keep(self, sftp: Sftp) -> None:
        if sftp not in self._stuck:
            self._stuck[sftp] = asyncio.create_task(self._see_off(sftp))

    async def _see_off(self, sftp: Sftp) -> None:
        """Wait for the end of a session that hangs."""
        await sftp.gone.wait()
        if sftp.stuck is not None:
            self.hung.ended(sftp.stuck)
        try:
            await sftp.close()
        except GatewatchError:  # the way was lost with it
            return
        finally:
            del self._stuck[sftp]
