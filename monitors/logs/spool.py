"""Streams that can be read once (standard input, a FIFO, a character device) as logs that can be scrolled.

What arrives is kept in a nameless file of bounded size, from which everybody reads. The stream itself is read by one
daemon thread as fast as it comes: a writer is never held up by who looks on, nor is the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from hosts.aside import aside
from hosts.errors import InputError
from hosts.local.reasons import why
from hosts.paths import Paths
from monitors.logs.record import ShapeRecorder
from monitors.logs.spool_file import SpoolFile, open_in_memory, open_on_disk
from monitors.logs.types import GoneError, MarkKind, Place, Shape, Status

DISK = 1 << 30
"""Bytes of a stream that are kept on disk, at most; a quarter of what is free there, where that is less."""

MEMORY = 64 << 20
"""Bytes that are kept where no disk can be used."""

_READ = 1 << 20
_LOOK_S = 1.0
_PATIENCE_S = 1.0
_LONGEST = 1 << 43  # ext4 ends a file at 16 TiB


class SpoolSource:
    """A log that is read from a stream.

    Args:
        stream: A descriptor to read until its end, ours to close; or the path of a FIFO or a character device. A FIFO
            has no end: when its writers have left, the next one is waited for.
        name: What the log is called, for a title.
        folders: Where the file is made: in the first of them that has room. None: our cache folder, else the
            system's folder for temporary files.
        disk: Bytes that are kept there at most.
        memory: Bytes that are kept without any of these folders.
        now: Our clock, seconds since the epoch.
    """

    def __init__(
        self,
        stream: int | str,
        name: str,
        *,
        folders: tuple[Path, ...] | None = None,
        disk: int = DISK,
        memory: int = MEMORY,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._record = ShapeRecorder(name, now=now)
        self._folders = folders
        self._disk = disk
        self._memory = memory
        self._stream = _Stream(stream)
        self._files: dict[int, SpoolFile] = {}
        self._closing = False
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Event | None = None

    @property
    def shape(self) -> Shape:
        return self._record.shape

    async def start(self, changed: Callable[[], None]) -> None:
        """Begin to read the stream."""
        loop = asyncio.get_running_loop()
        self._record.listen(loop, changed)
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(loop, self._ended), name=self._name, daemon=True)
        self._thread.start()

    async def read(self, generation: int, offset: int, size: int) -> bytes:
        """Bytes that are still kept.

        Raises:
            GoneError: They are not.
        """
        known = self._record.generation(generation)
        file = self._files.get(generation)
        if known is None or file is None:
            raise GoneError(f"{self._name}: the part that is asked for is not kept any more")
        size = min(size, known.size - offset)
        return await asyncio.to_thread(file.read, offset, size)

    def descriptor(self, generation: int) -> int | None:
        file = self._files.get(generation)
        return None if file is None or self._record.generation(generation) is None else file.descriptor

    def watch(self, visible: bool) -> None:
        """Nothing: what is not read now holds up the writer."""

    async def close(self) -> None:
        """Stop reading; a writer then finds its pipe broken."""
        if self._closing:
            return
        self._closing = True
        self._record.listen(asyncio.get_running_loop(), None)
        if self._ended is None:
            self._stream.close()
            os.close(self._wake)
        else:
            with contextlib.suppress(OSError):  # the thread has ended by itself, and nobody listens
                os.write(self._woken, b"x")
            # A device that does not let go of a read keeps its thread; the program's end is not held up by it
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await self._ended.wait()
        os.close(self._woken)
        files, self._files = self._files, {}
        # Giving a gigabyte of pages back takes the system most of a second
        await aside(files.clear, f"close {self._name}")

    def _run(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
        try:
            file = open_on_disk(self._folders if self._folders is not None else _folders(), self._disk)
            file = self._kept(file or open_in_memory(self._memory))
            self._record.begin(self._name)
            self._stream.open()
            self._pump(file)
        except (OSError, InputError) as error:
            self._record.settle()
            self._record.status(Status.FAILED, f"cannot read {self._name}: {why(error)}")
        finally:
            self._stream.close()
            os.close(self._wake)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(ended.set)

    def _kept(self, file: SpoolFile) -> SpoolFile:
        # A new dictionary: the old one may be in use on the loop
        self._files = {**self._files, len(self._files): file}
        return file

    def _pump(self, file: SpoolFile) -> None:
        """Read until the end, or until nobody wants it."""
        buffer = memoryview(bytearray(min(_READ, file.piece)))
        while not self._closing:
            self._record.status(*self._stream.status)
            if not self._stream.wait(self._wake):
                continue
            count = self._stream.read_into(buffer)
            if count is None:
                continue
            if count == 0:
                break
            file = self._take(file, buffer[:count])
        if not self._closing:
            self._record.settle()
            self._record.mark(MarkKind.ENDED, f"{_title(self._name)} ended", 0)
            self._record.status(Status.ENDED)

    def _take(self, file: SpoolFile, data: memoryview) -> SpoolFile:
        """Keep what arrived, whatever has to go for it; gives the file for what comes next."""
        while data:
            piece = data[: file.piece]
            try:
                self._make_room(file, len(piece))
                if file.size > _LONGEST:
                    raise OSError("as long as a file can be")
                data = data[file.append(piece) :]
            except OSError as error:
                if file.size == 0:
                    raise
                file = self._go_on_in_memory(error)
                continue
            self._record.grow(file.size)
        return file

    def _make_room(self, file: SpoolFile, size: int) -> None:
        first = file.room(size)
        if first > file.first:
            live = self._record.live
            assert live is not None
            # Told before it is done, so that nobody takes the hole for the stream's own zeros
            self._record.forget(Place(live.number, first), f"were let go to stay within {file.limit >> 20:,} MiB")
            file.let_go(first)

    def _go_on_in_memory(self, error: OSError) -> SpoolFile:
        """The disk takes no more: what is kept on it stays readable, and what comes is kept elsewhere."""
        file = self._kept(open_in_memory(self._memory))
        text = f"no more can be kept on disk ({why(error)}); from here on in memory, at most {self._memory >> 20:,} MiB"
        self._record.turn(MarkKind.ROTATED, text, 0, self._name)
        return file


class _Stream:
    """What is read: a descriptor with an end, or a path at which writers come and go."""

    def __init__(self, where: int | str) -> None:
        self.status: tuple[Status, str] = (Status.LIVE, "")
        self._path = where if isinstance(where, str) else None
        self._fd = where if isinstance(where, int) else -1
        self._endless = False
        self._deaf = False  # the end of what is open is all that could be heard

    def open(self) -> None:
        """Open the path; a descriptor is open.

        Raises:
            OSError: It cannot be opened.
            InputError: It is nothing that can be spooled.
        """
        if self._path is None:
            return
        # Without O_NONBLOCK a FIFO that nobody writes to would hold us here
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        mode = os.fstat(fd).st_mode
        problem = unfit(mode, fd)
        if problem:
            os.close(fd)
            raise InputError(problem)
        self.close()
        self._fd = fd
        self._endless = stat.S_ISFIFO(mode)

    def wait(self, wake: int) -> bool:
        """Wait until there is something to read, or some time passed; False when we were woken instead."""
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        if not self._deaf:
            poll.register(self._fd, select.POLLIN)
        return all(number != wake for number, _ in poll.poll(_LOOK_S * 1000 if self._endless else None))

    def read_into(self, buffer: memoryview) -> int | None:
        """Read what is there: 0 at the end, None where nothing is there now.

        Raises:
            OSError: It cannot be read.
            InputError: Something else has taken the path's place.
        """
        count: int | None
        try:
            count = os.readv(self._fd, [buffer])
        except BlockingIOError:
            count = None
        if count == 0 and self._endless:
            self._await_writer()
            return None
        self.status, self._deaf = (Status.LIVE, ""), False
        return count

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _await_writer(self) -> None:
        """A FIFO whose last writer has left says so at once and for ever; opened anew it can be waited for."""
        try:
            self.open()
        except OSError as error:
            self._deaf = True
            self.status = (Status.WAITING, f"{self._path}: {why(error)}")
        else:
            self._deaf = False
            self.status = (Status.WAITING, f"nobody has {self._path} open for writing")


def unfit(mode: int, fd: int) -> str:
    """Why a stream is not for us, or ""."""
    if stat.S_ISCHR(mode) and os.isatty(fd):
        return "it is a terminal"
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode):
        return ""
    return "it is neither a pipe nor a character device"


def _folders() -> tuple[Path, ...]:
    temporary = Path(tempfile.gettempdir())
    try:
        paths = Paths.from_environment(os.environ)
        return paths.ensure(paths.cache / "spool"), temporary
    except InputError:
        return (temporary,)


def _title(name: str) -> str:
    return "standard input" if name == "-" else name
