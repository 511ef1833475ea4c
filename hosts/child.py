"""A child process of ours as a byte pipe: the way to a helper in a container on this machine."""

from __future__ import annotations

import asyncio
import contextlib

from hosts.errors import InputError, UnreachableError

_KEPT_ERRORS = 8192
_GRACE = 2.0
_LIMIT = 1 << 16


class _Protocol(asyncio.subprocess.SubprocessStreamProtocol):
    """Tells when the process has ended, whoever still holds its pipes and however much in them is unread."""

    def __init__(self) -> None:
        super().__init__(_LIMIT, asyncio.get_running_loop())
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()


class ChildPipe:
    """A child process of ours as a byte pipe.

    Args:
        transport: The process.
        protocol: What listens to it.
        kept: How many bytes of the end of its errors are kept.
    """

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: _Protocol, kept: int) -> None:
        self._transport = transport
        self._exited = protocol.exited
        self._process = asyncio.subprocess.Process(transport, protocol, asyncio.get_running_loop())
        self._errors = bytearray()
        self._kept = kept
        self._listening = asyncio.ensure_future(self._listen())

    async def read(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.read(1 << 16)

    async def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        if self._process.stdin.is_closing():  # asyncio would take it, and write a warning to our stderr
            raise UnreachableError("the helper takes no more requests")
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (OSError, RuntimeError):
            raise UnreachableError("the helper takes no more requests") from None

    @property
    def unsent(self) -> int:
        assert self._process.stdin is not None
        return self._process.stdin.transport.get_write_buffer_size()

    async def close(self, patience: float) -> None:
        self.abort()
        for wait in (patience, _GRACE):  # longer than that it may be stuck in the kernel
            try:
                async with asyncio.timeout(wait):
                    await self._exited.wait()
                break
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
        # Its pipes too, for which asyncio would wait for ever: what nobody has read is still in them, or a process
        # that it left behind holds them
        self._transport.close()
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
                await self._exited.wait()
                status = self._transport.get_returncode()
                await asyncio.shield(self._listening)
        return status, bytes(self._errors)

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(1 << 12):
            self._errors += data
            del self._errors[: -self._kept]


async def open_subprocess(argv: tuple[str, ...], kept: int = _KEPT_ERRORS) -> ChildPipe:
    """An opener that starts the command on this machine, and keeps so many bytes of the end of its errors.

    Raises:
        InputError: There is no such command.
    """
    pipe = asyncio.subprocess.PIPE
    try:
        # A session of its own: ctrl-c in our terminal is meant for us
        transport, protocol = await asyncio.get_running_loop().subprocess_exec(
            _Protocol, *argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"cannot run {argv[0]}: {reason.lower()}") from None
    return ChildPipe(transport, protocol, kept)
