"""The scan worker as its owner sees it: a process that is started, spoken to and killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from array import array
from collections.abc import Callable
from typing import Any

import hosts
from hosts.local import scanwire

PATIENCE = 0.015
"""Seconds that the worker has to say that it dropped a job; then it is killed."""

_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from hosts.local.scanwork import main; "
_CODE += "main(int(sys.argv[2]), int(sys.argv[3]), bool(sys.argv[4]))"
_HOUSE = os.path.dirname(os.path.dirname(os.path.realpath(hosts.__file__)))
# Blocks come and go: glibc is not to give each of them back to the kernel, and be given it again filled with zeros.
# What is much larger than a block, it should: else three times the memory stays.
_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(3 << 19), "MALLOC_TRIM_THRESHOLD_": str(8 << 20)}
_READ = 1 << 18


class ScanProcess:
    """One worker, from its start to its end; it is started at once, in the background.

    Args:
        ripgrep: Whether it may use ripgrep where that is installed.
        take: Called with every frame that comes, its kind and body.
        ended: Called once if it ended, with True, or was killed because it did not listen, with False.
    """

    def __init__(self, ripgrep: bool, take: Callable[[int, bytes], None], ended: Callable[[bool], None]) -> None:
        self._take = take
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._line, self._far = socket.socketpair()
        self._descriptors, self._far_descriptors = socket.socketpair()
        self._descriptors.setblocking(False)
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._backlog: list[bytes] = []
        self._syncs = 0
        self._synced = -1
        self._killed = False
        self._task = asyncio.create_task(self._run(ripgrep))

    @property
    def pid(self) -> int | None:
        """Its process, once there is one."""
        return self._process.pid if self._process is not None else None

    def send(self, *order: Any) -> None:
        """Give an order."""
        self._write(scanwire.news(*order))

    def send_bytes(self, data: bytes) -> None:
        """Give bytes that it asked for."""
        self._write(scanwire.frame(scanwire.BYTES, data))

    def send_file(self, file: int, descriptor: int | None) -> None:
        """Name a file; without a descriptor its bytes are asked for."""
        sent = False
        if descriptor is not None:
            # A full buffer or a descriptor that was closed just now: then it has to ask
            with contextlib.suppress(OSError):
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))
                sent = self._descriptors.sendmsg([b"\0"], [rights]) == 1
        self.send("file", file, sent)

    def cancel(self, job: int) -> None:
        """Have a job dropped within PATIENCE; a worker that does not listen is killed."""
        self._syncs += 1
        self.send("cancel", job)
        self.send("sync", self._syncs)
        self._loop.call_later(PATIENCE, self._insist, self._syncs)

    def kill(self) -> None:
        """End it now; nothing more comes of it."""
        self._killed = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left of it."""
        return self._task.done()

    async def gone(self, patience: float) -> None:
        """Wait until a killed one has ended; one that hangs in the kernel is left to end later."""
        await asyncio.wait([self._task], timeout=patience)

    def _insist(self, sync: int) -> None:
        if self._killed or self._synced >= sync:
            return
        if self._synced < 0:  # not up yet: it will see both orders together
            self._loop.call_later(PATIENCE, self._insist, sync)
            return
        self.kill()
        self._ended(False)

    def _write(self, data: bytes) -> None:
        if self._writer is None:
            self._backlog.append(data)
        elif not self._killed:
            self._writer.write(data)

    async def _run(self, ripgrep: bool) -> None:
        try:
            await self._serve(ripgrep)
        finally:
            for end in (self._descriptors, self._far_descriptors, self._far, self._line):
                end.close()
            if self._writer is not None:
                self._writer.close()
            if not self._killed:
                self._killed = True
                self._ended(True)

    async def _serve(self, ripgrep: bool) -> None:
        far = (self._far.fileno(), self._far_descriptors.fileno())
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-B", "-c", _CODE, _HOUSE, *map(str, far), "1" if ripgrep else ""),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=far,
            env=os.environ | _MEMORY,
            start_new_session=True,  # ctrl-c is not meant for it, and what it started dies with it
        )
        if self._killed:
            self.kill()
        self._far.close()
        self._far_descriptors.close()
        reader, self._writer = await asyncio.open_connection(sock=self._line, limit=_READ)
        for data in self._backlog:
            self._writer.write(data)
        self._backlog.clear()
        frames = scanwire.Frames()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_READ):
                for kind, body in frames.feed(data):
                    if self._killed:
                        break
                    if kind == scanwire.NEWS and body.startswith(b'["sync"'):
                        self._synced = json.loads(body)[1]
                    else:
                        self._take(kind, body)
        await self._process.wait()
