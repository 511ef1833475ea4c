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
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from hosts.bare_facts import counts_like_the_driver, read_clock, read_load, read_mounts
from hosts.bare_sftp import Sftp
from hosts.bare_trees import list_tree
from hosts.errors import InputError, UnreachableError
from hosts.follow import follow
from hosts.host import (
    Accelerators,
    Chunk,
    Cursor,
    Data,
    DiskSeen,
    Gap,
    GpuDevice,
    Json,
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
from hosts.local.nvidia_smi import Answer, NvidiaSmi
from hosts.local.observe import FINGERPRINT, MAX_READ, NotThereError
from hosts.local.wire import to_wire
from hosts.session import BytePipe

INODE = 1 << 62
INTERVAL = 0.25
READ_DEADLINE = 20.0
_OPENING = 20.0
_RETRIES = 5
_SAID = 1 << 20
_SHARE = 0.8
_SMI_DEADLINE = 10.0
_NOT_FOUND = ("command not found", "unknown command")
T = TypeVar("T")
_DRIVER = "/proc/driver/nvidia/version"


class BareReader:
    """Looks at a host with nothing there but its SSH server.

    Args:
        name: What observations and messages call the host.
        subsystem: Starts a subsystem of its SSH server and gives its ends.
        opener: Starts a command there and gives its ends.
        interval: Seconds between two looks at a followed file that does not grow.

    Attributes:
        reason: Why there is nothing else, in one line.
    """

    def __init__(
        self,
        name: str,
        subsystem: Callable[[str], Awaitable[BytePipe]],
        opener: Callable[[tuple[str, ...]], Awaitable[BytePipe]],
        interval: float = INTERVAL,
    ) -> None:
        self.reason = "no python there"
        self._name = name
        self._subsystem = subsystem
        self._opener = opener
        self._interval = interval
        self._sftp: Sftp | None = None
        self._opening = asyncio.Lock()
        self._smi = NvidiaSmi()
        self._looking: asyncio.Task[Accelerators] | None = None
        self._since = 0.0

    @property
    def name(self) -> str:
        return self._name

    @property
    def alive(self) -> bool:
        """Whether the session with the host is up."""
        return self._sftp is not None and not self._sftp.lost

    async def observe(self, want: Wants, since: Cursor | None, deadline: float) -> Observation:
        """Look once; `deadline` is how many seconds the answer may take."""
        del since
        began = time.monotonic()
        errors = {"python": self.reason}
        if want.procs != ProcsWant():
            errors["procs"] = "no python there"
        async with self._within(deadline, "observe"):
            sftp = await self._get()
            until = began + deadline * _SHARE
            (load, fault), accelerators, tails, disks, trees = await asyncio.gather(
                read_load(sftp) if want.load else _nothing((None, "")),
                self._accelerators(sftp, until) if want.accelerators else _nothing(None),
                asyncio.gather(*(self._tail(sftp, tail) for tail in want.tails)),
                self._disks(sftp, want.disks),
                asyncio.gather(*(self._tree(sftp, tree) for tree in want.trees)),
            )
            if fault:
                errors["load"] = fault
            asked = time.monotonic()
            at = await read_clock(sftp)  # last, so that it is between these two
        return Observation(
            host=self._name,
            at=time.time() if at is None else at,
            received=time.time(),
            rtt=time.monotonic() - asked,
            trees=tuple(trees),
            tails=tuple(tails),
            accelerators=accelerators,
            load=load,
            errors=errors,
            disks=disks,
        )

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        """A range of a file, at most 8 MiB of it."""
        if offset < 0 or size < 0:
            raise InputError(f"cannot read {path!r}: bad offset or size")
        async with self._within(READ_DEADLINE, "read"):
            return await self._range(await self._get(), path, offset, min(size, MAX_READ))

    async def follow(self, path: str, at: Position) -> AsyncGenerator[Data | Gap | Rotated]:
        """Hand out what is appended to a file, within a fraction of a second of its writing.

        Raises:
            UnreachableError: The way was lost; the position of the last item is where to go on.
            InputError: The file is there and cannot be read.
        """
        if at.inode:
            at = replace(at, inode=INODE)
        async with self._within(READ_DEADLINE, "follow"):
            sftp = await self._get()

        async def read(path: str, offset: int, size: int) -> Chunk:
            if sftp.lost:  # the next session may be one with a Python
                raise UnreachableError(f"{self._name}: {sftp.lost}")
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
            sftp = await self._get()
            path = payload.get("path") if isinstance(payload, dict) else None
            if verb == "locate" and isinstance(path, str):
                return list(await self._locate(sftp, path))
            if verb == "gpu":
                return to_wire(await self._accelerators(sftp, time.monotonic() + deadline * _SHARE))
        raise InputError(f"{self._name}: {verb} needs a Python there, and {self.reason}")

    async def close(self) -> None:
        """End the session."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        sftp, self._sftp = self._sftp, None
        if sftp is not None:
            await sftp.close()

    @contextlib.asynccontextmanager
    async def _within(self, deadline: float, what: str) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(deadline):
                yield
        except TimeoutError:
            if self._sftp is not None:
                self._sftp.lose("no answer")  # one that hangs in a read answers nobody else either
            raise UnreachableError(f"{self._name}: no answer to {what} within {deadline:g} s") from None

    async def _get(self) -> Sftp:
        async with self._opening:
            if self._sftp is not None and not self._sftp.lost:
                return self._sftp
            before, self._sftp = self._sftp, None
            if before is not None:
                await before.close()
            async with asyncio.timeout(_OPENING):
                try:
                    sftp = Sftp(self._name, await self._subsystem("sftp"))
                    try:
                        await sftp.start()
                    except BaseException:
                        await sftp.close()
                        raise
                except UnreachableError as error:
                    raise UnreachableError(f"{self.reason}; and no SFTP: {error}") from None
            self._sftp = sftp
            return sftp

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
            sftp.done(handle)

    async def _tree(self, sftp: Sftp, want: TreeWant) -> TreeSeen:
        """The names alone, where nobody wants what is in the files: to read each would be a round trip for each."""
        if want.limit < 0:
            return await list_tree(sftp, want, INODE)
        return TreeSeen(want, {}, error=f"{want.root}: {self.reason}")

    async def _tail(self, sftp: Sftp, want: TailWant) -> TailSeen:
        try:
            seen = await sftp.stat(want.path)
            chunk = await self._range(sftp, want.path, max(0, (seen.size or 0) - want.size), want.size)
        except InputError as error:
            return TailSeen(want.path, 0, 0, b"", 0, 0, str(error))
        return TailSeen(want.path, chunk.size, chunk.offset, chunk.data, chunk.mtime_ns, chunk.inode)

    async def _disks(self, sftp: Sftp, paths: tuple[str, ...]) -> tuple[DiskSeen, ...]:
        if not paths:
            return ()
        mounts = await read_mounts(sftp)
        return tuple(await asyncio.gather(*(self._disk(sftp, path, mounts) for path in paths)))

    async def _disk(self, sftp: Sftp, path: str, mounts: str) -> DiskSeen:
        try:
            real = await sftp.real_path(path)
            kind = type_of(real, mounts)
            return DiskSeen(path, *(await sftp.space(real)), kind, is_network(kind))
        except NotThereError:
            return DiskSeen(path, None, None, error="not there")
        except InputError as error:
            return DiskSeen(path, None, None, error=str(error))

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
            with contextlib.suppress(InputError):
                await sftp.stat(one)
                there.append(one)
        return sorted(there)

    async def _accelerators(self, sftp: Sftp, until: float) -> Accelerators:
        """Ask nvidia-smi; one that hangs is left to itself, and not started a second time while it does."""
        if self._looking is None or self._looking.done():
            self._since = time.monotonic()
            self._looking = asyncio.create_task(self._ask_smi(sftp))
        looking = self._looking
        limit = min(_SMI_DEADLINE, until - time.monotonic())
        await asyncio.wait({looking}, timeout=max(0.0, limit))
        if not looking.done():
            waited = time.monotonic() - self._since
            return Accelerators((), "unknown", detail=f"nvidia-smi has not answered for {waited:.0f} s")
        self._looking = None
        return looking.result()

    async def _ask_smi(self, sftp: Sftp) -> Accelerators:
        counts = await counts_like_the_driver(sftp)
        asking = self._smi.questions(further=counts)
        answer = await self._smi_says(next(asking))
        if answer.code in (126, 127) or any(words in answer.said.lower() for words in _NOT_FOUND):
            try:
                await sftp.stat(_DRIVER)
            except InputError:
                return Accelerators((), "none")
            return Accelerators((), "unknown", detail="an NVIDIA driver is loaded, and there is no nvidia-smi")
        try:
            while True:
                answer = await self._smi_says(asking.send(answer))
        except StopIteration as end:
            found: Accelerators = end.value
            return found if counts else replace(found, devices=tuple(map(_from_inside, found.devices)))

    async def _smi_says(self, arguments: tuple[str, ...]) -> Answer:
        pipe = await self._opener(("nvidia-smi", *arguments))
        try:
            out = b""
            while len(out) < _SAID and (data := await pipe.read()):
                out += data
            status, said = await pipe.ended()
        finally:
            await pipe.close(1.0)
        code = status if status is not None else 1
        return Answer(code, out[:_SAID].decode("utf-8", "replace"), said.decode("utf-8", "replace"))


def _from_inside(device: GpuDevice) -> GpuDevice:
    """A device as a container may tell of it: that nobody is listed is no answer there, so nor is what nobody owns."""
    return replace(device, processes=device.processes or None, ghost=None)


async def _nothing(value: T) -> T:
    return value


def _absolute(home: str, path: str) -> str:
    if path == "~" or path.startswith("~/"):
        return f"{home}/{path[2:]}".rstrip("/")
    return path if path.startswith("/") else f"{home}/{path}"


async def _matching(sftp: Sftp, folder: str, pattern: str) -> list[str]:
    try:
        names = await sftp.names(folder)
    except NotThereError:
        return []
    return [name for name in fnmatch.filter(names, pattern) if pattern.startswith(".") or not name.startswith(".")]
