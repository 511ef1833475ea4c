"""A child process of ours as a byte pipe: the way to a helper in a container on this machine."""

from __future__ import annotations

import asyncio
import contextlib

from hosts.errors import InputError, UnreachableError

_KEPT_ERRORS = 8192
_GRACE = 2.0


class ChildPipe:
    """A child process of ours as a byte pipe."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._errors = bytearray()
        self._listening = asyncio.ensure_future(self._listen())

    async def read(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.read(1 << 16)

    async def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (OSError, RuntimeError):
            raise UnreachableError("the helper takes no more requests") from None

    async def close(self, patience: float) -> None:
        self.abort()
        try:
            async with asyncio.timeout(patience):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    def abort(self) -> None:
        # Not a signal: without its input the helper ends by itself, once what acts has finished
        assert self._process.stdin is not None
        self._process.stdin.close()

    def terminate(self) -> None:
        """Tell the process to end at once, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    async def ended(self) -> tuple[int | None, bytes]:
        status: int | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                status = await self._process.wait()
                await asyncio.shield(self._listening)
        return status, bytes(self._errors)

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(1 << 12):
            self._errors += data
            del self._errors[:-_KEPT_ERRORS]


async def open_subprocess(argv: tuple[str, ...]) -> ChildPipe:
    """An opener that starts the command on this machine.

    Raises:
        InputError: There is no such command.
    """
    pipe = asyncio.subprocess.PIPE
    try:
        # A session of its own: ctrl-c in our terminal is meant for us
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"cannot run {argv[0]}: {reason.lower()}") from None
    return ChildPipe(process)
