"""A host that has an SSH server and no Python for our helper: files by SFTP, accelerators by nvidia-smi.

What cannot be had in this way is unknown, and the reason is that there is no Python. SFTP tells no inodes, so a file is
known by its beginning and its last bytes alone; every file has the same inode here, `INODE`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import glob
import hashlib
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from hosts.bare_cards import BareCards
from hosts.bare_facts import read_clock, read_load, read_mounts
from hosts.bare_hung import NoAnswerError
from hosts.bare_sessions import Sessions
from hosts.bare_sftp import PATIENCE, Sftp
from hosts.bare_trees import list_tree
from hosts.errors import InputError, UnreachableError
from hosts.follow import follow
from hosts.host import (
    Chunk,
    Cursor,
    Data,
    DiskSeen,
    Gap,
    Json,
    Load,
    Observation,
    Position,
    ProcsWant,
    Rotated,
    TailSeen,
    TailWant,
    TreeSeen,
    TreeWant,
    Wants,
)
from hosts.local.mounts import is_network, type_of
from hosts.local.observe import FINGERPRINT, MAX_READ, NotThereError
from hosts.local.wire import to_wire
from hosts.session import BytePipe

INODE = 1 << 62
INTERVAL = 0.25
READ_DEADLINE = 20.0
_RETRIES = 5
_SHARE = 0.8
_ESCAPED = re.compile(r"\[([*?[])\]")
T = TypeVar("T")


class BareReader:
    """Looks at a host with nothing there but its SSH server.

    Args:
        name: What observations and messages call the host.
        subsystem: Starts a subsystem of its SSH server and gives its ends.
        opener: Starts a command there and gives its ends.
        interval: Seconds between two looks at a followed file that does not grow.
        patience: Seconds without an answer about a path, after which it is left alone for a while.
        by_hand: Gives a line for a shell here that runs some words there.

    Attributes:
        reason: Why there is nothing else, in one line.
    """

    def __init__(
        self,
        name: str,
        subsystem: Callable[[str], Awaitable[BytePipe]],
        opener: Callable[[tuple[str, ...]], Awaitable[BytePipe]],
        interval: float = INTERVAL,
        patience: float = PATIENCE,
        by_hand: Callable[[tuple[str, ...]], str] | None = None,
    ) -> None:
        self.reason = "no python there"
        self.by_hand = by_hand
        self._name = name
        self._interval = interval
        self._sessions = Sessions(name, subsystem, lambda: self.reason, patience)
        self._cards = BareCards(name, opener, self._sessions)

    @property
    def name(self) -> str:
        return self._name

    @property
    def alive(self) -> bool:
        """Whether the session with the host is up."""
        return self._sessions.alive

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        """Look once; `deadline` is how many seconds the answer may take."""
        del since
        began = time.monotonic()
        errors = {"python": self.reason}
        if want.procs != ProcsWant():
            errors["procs"] = self.reason.partition(": ")[0]
        async with self._within(deadline, "observe"):
            until = began + deadline * _SHARE
            (load, fault), cards, tails, disks, trees = await asyncio.gather(
                self._part(until, read_load, _no_load) if want.load else _nothing((None, "")),
                self._cards.seen(until, want.patience) if want.accelerators else _nothing(None),
                asyncio.gather(*(self._tail(until, tail) for tail in want.tails)),
                self._disks(until, want.disks),
                asyncio.gather(*(self._tree(until, tree) for tree in want.trees)),
            )
            if fault:
                errors["load"] = fault
            asked = time.monotonic()
            at = await self._sessions.do(read_clock)  # last, so that it is between these two
        at = time.time() if at is None else at
        if cards is not None and cards.value is None:
            errors["accelerators"] = cards.error
        return Observation(
            host=self._name,
            at=at,
            received=time.time(),
            rtt=time.monotonic() - asked,
            trees=tuple(trees),
            tails=tuple(tails),
            accelerators=cards.at(at) if cards is not None else None,
            load=load,
            errors=errors,
            disks=disks,
        )

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        """A range of a file, at most 8 MiB of it."""
        if offset < 0 or size < 0:
            raise InputError(f"cannot read {path!r}: bad offset or size")
        async with self._within(READ_DEADLINE, "read"):
            return await self._sessions.do(lambda sftp: self._range(sftp, path, offset, min(size, MAX_READ)))

    async def follow(self, path: str, at: Position) -> AsyncGenerator[Data | Gap | Rotated]:
        """Hand out what is appended to a file, within a fraction of a second of its writing.

        Raises:
            UnreachableError: The way was lost; the position of the last item is where to go on.
            InputError: The file is there and cannot be read.
        """
        if at.inode:
            at = replace(at, inode=INODE)
        async with self._within(READ_DEADLINE, "follow"):
            await self._sessions.get()

        async def read(path: str, offset: int, size: int) -> Chunk:
            if not self.alive:  # the next session may be one with a Python
                raise UnreachableError(f"{self._name}: its SFTP session was lost")
            return await self.read(path, offset, size)

        async with contextlib.aclosing(follow(read, path, at, self._interval)) as items:
            async for item in items:
                yield item

    async def query(self, verb: str, payload: Json, deadline: float) -> Json:
        """Run one of the few verbs that need no helper.

        Raises:
            InputError: It needs one, or the payload is wrong.
        """
        async with self._within(deadline, verb):
            await self._sessions.get()
            path = payload.get("path") if isinstance(payload, dict) else None
            if verb == "locate" and isinstance(path, str):
                return list(await self._sessions.do(lambda sftp: self._locate(sftp, path)))
            if verb == "gpu":
                return to_wire(await self._cards.read(time.monotonic() + deadline * _SHARE))
        raise InputError(f"{self._name}: {verb} needs our helper there, and {self.reason}")

    def begin(self) -> None:
        """Look in this way, also after `close`: there is nothing else."""
        self._sessions.reopen()

    def forget(self) -> None:
        """Let paths be asked for that were left alone: a person wants it."""
        self._sessions.forget()

    async def close(self) -> None:
        """End the session."""
        await self._cards.close()
        await self._sessions.close()

    @contextlib.asynccontextmanager
    async def _within(self, deadline: float, what: str) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(deadline):
                yield
        except TimeoutError:
            raise UnreachableError(f"{self._name}: no answer to {what} within {deadline:g} s") from None
        except NoAnswerError as error:
            raise UnreachableError(f"{self._name}: {error}") from None

    async def _part(
        self, until: float, work: Callable[[Sftp], Awaitable[T]], otherwise: Callable[[str], T], path: str = ""
    ) -> T:
        """One part of what is looked at; where it takes too long, what is told of it otherwise."""
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                return await self._sessions.do(work)
        except TimeoutError:
            return otherwise(f"{path}: no answer in time" if path else "no answer in time")

    async def _range(self, sftp: Sftp, path: str, offset: int, size: int) -> Chunk:
        # Looked at first: to open a pipe would hold up the server
        seen = await sftp.stat(path)
        if seen.is_folder:
            raise InputError(f"cannot read {path}: it is a folder")
        if not seen.is_file:
            raise InputError(f"cannot read {path}: not a regular file")
        handle = await sftp.open(path)
        try:
            for _ in range(_RETRIES):
                seen = await sftp.opened(handle, path)
                whole = seen.size or 0
                first = min(FINGERPRINT, whole)
                wanted = max(0, min(size, whole - offset))
                head, data = await asyncio.gather(
                    sftp.read(handle, path, 0, first), sftp.read(handle, path, offset, wanted)
                )
                after, again = await asyncio.gather(sftp.opened(handle, path), sftp.read(handle, path, 0, first))
                # Truncated and written anew while we read: what we hold is of two files, so look again
                if (after.size or 0) >= whole and again == head and len(data) == wanted:
                    break
            return Chunk(data, offset, whole, INODE, (seen.mtime or 0) * 10**9, hashlib.sha256(head).hexdigest())
        finally:
            sftp.done(handle, path)

    async def _tree(self, until: float, want: TreeWant) -> TreeSeen:
        """The names alone, where nobody wants what is in the files: to read each would be a round trip for each."""
        if want.limit < 0:

            def late(why: str) -> TreeSeen:
                return TreeSeen(want, {}, error=why)

            return await self._part(until, lambda sftp: list_tree(sftp, want, INODE), late, want.root)
        return TreeSeen(want, {}, error=f"{want.root}: {self.reason}")

    async def _tail(self, until: float, want: TailWant) -> TailSeen:
        async def look(sftp: Sftp) -> TailSeen:
            seen = await sftp.stat(want.path)
            chunk = await self._range(sftp, want.path, max(0, (seen.size or 0) - want.size), want.size)
            return TailSeen(want.path, chunk.size, chunk.offset, chunk.data, chunk.mtime_ns, chunk.inode)

        nothing = partial(TailSeen, want.path, 0, 0, b"", 0, 0)
        try:
            return await self._part(until, look, nothing, want.path)
        except InputError as error:
            return nothing(str(error))

    async def _disks(self, until: float, paths: tuple[str, ...]) -> tuple[DiskSeen, ...]:
        if not paths:
            return ()
        mounts = await self._part(until, read_mounts, lambda _: "")
        return tuple(await asyncio.gather(*(self._disk(until, path, mounts) for path in paths)))

    async def _disk(self, until: float, path: str, mounts: str) -> DiskSeen:
        async def look(sftp: Sftp) -> DiskSeen:
            real = await sftp.real_path(path)
            kind = type_of(real, mounts)
            return DiskSeen(path, *(await sftp.space(real)), kind, is_network(kind))

        def nothing(why: str) -> DiskSeen:
            return DiskSeen(path, None, None, error=why)

        try:
            return await self._part(until, look, nothing, path)
        except NotThereError:
            return nothing("not there")
        except InputError as error:
            return nothing(str(error))

    async def _locate(self, sftp: Sftp, path: str) -> list[str]:
        """Absolute paths of what a path means there: itself if it is there, else what it matches as a glob."""
        real = await sftp.real_path("~")
        with contextlib.suppress(NotThereError):
            await sftp.stat(path)
            return [_absolute(real, path)]
        if not glob.has_magic(path):
            return []
        found = [""]
        for part in _absolute(real, path).split("/")[1:]:
            if glob.has_magic(part):
                found = [f"{base}/{name}" for base in found for name in await _matching(sftp, base or "/", part)]
            else:
                found = [f"{base}/{part}" for base in found]
        there = []
        for one in found:
            try:
                await sftp.stat(one)
            except NoAnswerError:
                raise
            except InputError:
                continue
            there.append(one)
        return sorted(there)


def _no_load(why: str) -> tuple[Load | None, str]:
    return None, why


async def _nothing(value: T) -> T:
    return value


def _absolute(home: str, path: str) -> str:
    if path == "~" or path.startswith("~/"):
        return f"{home}/{path[2:]}".rstrip("/")
    return path if path.startswith("/") else f"{home}/{path}"


async def _matching(sftp: Sftp, folder: str, pattern: str) -> list[str]:
    """The names there that match; where only one can, it is not asked for, as the folder may be long."""
    name = _ESCAPED.sub(r"\1", pattern)
    if glob.escape(name) == pattern:
        return [name]
    try:
        names = await sftp.names(folder)
    except NotThereError:
        return []
    return [name for name in fnmatch.filter(names, pattern) if pattern.startswith(".") or not name.startswith(".")]
