"""Accelerators of a host without Python for our helper, as nvidia-smi tells of them there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from hosts.bare_facts import counts_like_the_driver
from hosts.bare_sessions import Sessions
from hosts.errors import InputError, UnreachableError
from hosts.host import Accelerators, GpuDevice
from hosts.local.nvidia_smi import Answer, NvidiaSmi
from hosts.session import BytePipe

_DEADLINE = 10.0
_HURRY = 0.1  # seconds for a tool that took longer than may be waited for the last time
_KEPT = 150.0  # seconds; how old they are is told, and the longest time between two looks is shorter
_SAID = 1 << 20
_NOT_FOUND = ("command not found", "unknown command")
_DRIVER = "/proc/driver/nvidia/version"
# A shell says the same of a tool that it has not found and of one that it has and that does not run: the file is looked
# for. No `!` and no backslash, which some login shells take for special even between single quotes.
# An empty name in PATH is the current folder, and shells that split are not at one about the last. A link that leads
# nowhere, which may be all that a driver has left behind, counts as there.
_LOOK = (
    'left=$PATH:; while test "$left"; do folder=${left%%:*}; left=${left#*:}; file=${folder:-.}/nvidia-smi; '
    'test -e "$file" || test -L "$file" && exit 0; done; exit 3'
)
_MISSING = 3


@dataclass
class _Said:
    """One answer; `when` on the monotonic clock, `at` on the clock there, once a look has told of it."""

    value: Accelerators
    took: float
    when: float
    at: float | None = None


@dataclass(frozen=True)
class CardsSeen:
    """What one look has of the accelerators.

    Attributes:
        value: None where nobody has answered yet.
        said: Which answer that is, which may be an earlier one; None where it is of this very look.
        error: Why there is no value.
    """

    value: Accelerators | None
    said: _Said | None = None
    error: str = ""

    def at(self, now: float) -> Accelerators | None:
        """The value with its time, which is the same at every look that tells of it; `now` is the clock there."""
        if self.value is None or self.said is None:
            return self.value
        if self.said.at is None:
            self.said.at = now - (time.monotonic() - self.said.when)
        return replace(self.value, at=self.said.at)


class BareCards:
    """Asks nvidia-smi, one at a time; one that hangs is left to itself, and not started a second time while it does.

    Args:
        name: What messages call the host.
        opener: Starts a command there and gives its ends.
        sessions: Where files are looked at.
    """

    def __init__(self, name: str, opener: Callable[[tuple[str, ...]], Awaitable[BytePipe]], sessions: Sessions) -> None:
        self._name = name
        self._opener = opener
        self._sessions = sessions
        self._smi = NvidiaSmi()
        self._asking: asyncio.Task[Accelerators] | None = None
        self._since = 0.0
        self._said: _Said | None = None

    async def seen(self, until: float, patience: float | None) -> CardsSeen:
        """What is known after a while.

        Args:
            until: When an answer is too late, on the monotonic clock.
            patience: Seconds for which a look may be held up: of a tool that takes longer comes what it said before.
                None where an answer of this very look is needed.

        Raises:
            UnreachableError: The way there was lost.
        """
        if patience is None:
            return CardsSeen(await self.read(until))
        asking, before = self._ask(), self._said
        hurried = before is not None and before.took > patience
        end = min(until, self._since + (min(_HURRY, patience) if hurried else patience))
        await asyncio.wait({asking}, timeout=max(0.0, end - time.monotonic()))
        if asking.done():
            return CardsSeen(self._result(asking), self._said)
        now = time.monotonic()
        if before is not None and now - before.when <= _KEPT:
            return CardsSeen(before.value, before)
        return CardsSeen(None, error=f"no answer yet after {now - self._since:.0f} s")

    async def read(self, until: float) -> Accelerators:
        """The answer of now, or that there is none.

        Raises:
            UnreachableError: The way there was lost.
        """
        asking = self._ask()
        limit = min(_DEADLINE, until - time.monotonic())
        await asyncio.wait({asking}, timeout=max(0.0, limit))
        if not asking.done():
            waited = time.monotonic() - self._since
            return Accelerators((), "unknown", detail=f"nvidia-smi has not answered for {waited:.0f} s")
        return self._result(asking)

    async def close(self) -> None:
        """Ask no more."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    def _ask(self) -> asyncio.Task[Accelerators]:
        """The question that is on its way; that of an earlier look has failed for that one, if it has."""
        if self._asking is not None and self._asking.done():
            if not self._asking.cancelled():
                self._asking.exception()  # else asyncio says that nobody has asked for it
            self._asking = None
        if self._asking is None:
            self._since = time.monotonic()
            self._asking = asyncio.create_task(self._smi_asked())
        return self._asking

    def _result(self, asking: asyncio.Task[Accelerators]) -> Accelerators:
        if self._asking is asking:
            self._asking = None
        if asking.cancelled():  # by `close`, which is no reason to end for who asked
            raise UnreachableError(f"{self._name}: the session was closed")
        return asking.result()

    async def _smi_asked(self) -> Accelerators:
        began = time.monotonic()
        value = await self._ask_smi()
        now = time.monotonic()
        self._said = _Said(value, now - began, now)
        return value

    async def _ask_smi(self) -> Accelerators:
        counts = await self._sessions.do(counts_like_the_driver)
        asking = self._smi.questions(further=counts)
        answer = await self._smi_says(next(asking))
        if _may_be_missing(answer) and await self._is_missing():
            try:
                await self._sessions.do(lambda sftp: sftp.stat(_DRIVER))
            except InputError:
                return Accelerators((), "none")
            return Accelerators((), "unknown", detail="an NVIDIA driver is loaded, and there is no nvidia-smi")
        try:
            while True:
                answer = await self._smi_says(asking.send(answer))
        except StopIteration as end:
            found: Accelerators = end.value
            return found if counts else replace(found, devices=tuple(map(_from_inside, found.devices)))

    async def _is_missing(self) -> bool:
        """Whether there surely is no file of that name on the PATH there, whatever is wrong with one that is."""
        return (await self._run(("sh", "-c", _LOOK))).code == _MISSING

    async def _smi_says(self, arguments: tuple[str, ...]) -> Answer:
        return await self._run(("nvidia-smi", *arguments))

    async def _run(self, argv: tuple[str, ...]) -> Answer:
        pipe = await self._opener(argv)
        try:
            out = b""
            while len(out) < _SAID and (data := await pipe.read()):
                out += data
            status, said = await pipe.ended()
        finally:
            await pipe.close(1.0)
        code = status if status is not None else 1
        return Answer(code, out[:_SAID].decode("utf-8", "replace"), said.decode("utf-8", "replace"))


def _may_be_missing(answer: Answer) -> bool:
    """Whether that is what a shell says where it finds no such tool; csh has no exit status of its own for it."""
    return answer.code in (126, 127) or (answer.code != 0 and any(words in answer.said.lower() for words in _NOT_FOUND))


def _from_inside(device: GpuDevice) -> GpuDevice:
    """A device as a container may tell of it: that nobody is listed is no answer there, so nor is what nobody owns."""
    return replace(device, processes=device.processes or None, ghost=None)
