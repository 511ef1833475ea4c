"""Watching a run that works on its own: milestones and progress until it has ended, and ctrl-c on the way."""

from __future__ import annotations

import asyncio
import enum
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from gates.calibration.layout import RUN_LOG
from hosts.connection import without_wait
from hosts.errors import InputError, UnreachableError
from hosts.host import Data, HostReader, Position
from monitors.calibration import Calibration, CalibrationMonitor
from monitors.calibration.state import state_of
from monitors.poller import HostPoller
from monitors.snapshot import Snapshot, State
from tui import console
from tui.progress import Progress, open_progress

LOCAL_INTERVAL_S = 0.5
REMOTE_INTERVAL_S = 2.0
OVER = (State.ENDED, State.HALTED, State.DEAD)
# A look may fall between two processes: only a state that was seen twice is the end, or worth a word.
_SURE = 2
_NUMBER = re.compile(r"\d+")
_Told = tuple[State, str]
Advise = Callable[[Snapshot[Calibration]], Sequence[str]]
"""What can be done about how a run stands, one line each."""


@contextmanager
def ended_with_a_word() -> Iterator[None]:
    """Let TERM and HUP cancel what is done within, as ctrl-c does, so that it can still say what becomes of a run.

    Raises:
        SystemExit: One of them came; with the code that a shell gives to what it has ended.
    """
    came: list[signal.Signals] = []
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # a loop runs

    def leave(number: signal.Signals) -> None:
        came.append(number)
        task.cancel()

    # One that is ignored stays so: `nohup` wants us to outlive the terminal.
    ours = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    for number in ours:
        loop.add_signal_handler(number, leave, number)
    try:
        yield
    except (asyncio.CancelledError, OSError):  # after a HUP there may be no terminal left to say it on
        if not came:
            raise
        raise SystemExit(128 + came[0]) from None
    finally:
        for number in ours:
            loop.remove_signal_handler(number)


class Left(enum.Enum):
    """How watching ended."""

    OVER = "over"
    LEAVE = "leave"
    END = "end"


async def follow_run(
    reader: HostReader,
    monitor: CalibrationMonitor,
    run_dir: str,
    local: bool,
    milestones_from: int,
    advise: Advise = lambda _snapshot: (),
) -> tuple[Left, Snapshot[Calibration] | None]:
    """Show a run until it is over, or until the person who watches wants something else.

    Args:
        milestones_from: Byte of run.log from which milestones are shown.
        advise: Asked once a run is found to stand in need of somebody.

    Ctrl-c asks: the run goes on by itself, or is ended so that --resume continues. Without a terminal ctrl-c
    leaves it running. Returns how it ended and the last snapshot.
    """
    watcher = _Watcher(open_progress(), advise)
    poller = HostPoller(reader, {run_dir: monitor}, watcher.take, LOCAL_INTERVAL_S if local else REMOTE_INTERVAL_S)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, watcher.interrupted.set)
    tasks = [
        asyncio.create_task(poller.run()),
        asyncio.create_task(_milestones(reader, f"{run_dir}/{RUN_LOG}", milestones_from, watcher)),
    ]
    try:
        left = await watcher.wait()
        if left is Left.OVER:
            # The last milestones are on the disk by now; give the follower one more look at them.
            await asyncio.sleep(LOCAL_INTERVAL_S if local else REMOTE_INTERVAL_S)
        return left, watcher.last
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        watcher.progress.close()


class _Watcher:
    def __init__(self, progress: Progress, advise: Advise) -> None:
        self.progress = progress
        self._advise = advise
        self.last: Snapshot[Calibration] | None = None
        self.interrupted = asyncio.Event()
        self._over = asyncio.Event()
        self._seen_over = 0
        self._seen: _Told | None = None
        self._told: _Told | None = None

    def take(self, _name: str, snapshot: Snapshot[Calibration]) -> None:
        self.last = snapshot
        self._seen_over = self._seen_over + 1 if snapshot.state in OVER else 0
        if self._seen_over >= _SURE:
            self._over.set()
        self._tell(snapshot)
        done, total = snapshot.progress.done, snapshot.progress.total
        if done is not None and total:
            self.progress.show(done, total, describe(snapshot))

    def _tell(self, snapshot: Snapshot[Calibration]) -> None:
        """Say once what stands in the way of a run, and that it no longer does."""
        state, why = snapshot.state, _why(snapshot)
        # A host may be away for more than one reason; else only a number of what is told changes from look to look.
        seen = (state, why if state is State.BLIND else _NUMBER.sub("", why))
        sure = state is State.BLIND or seen == self._seen
        self._seen = seen
        if not sure or seen == self._told or state in OVER:  # of an end, who waits for it tells
            return
        if why:
            for line in (f"{state.value}: {why}", *self._advise(snapshot)):
                self.progress.say(line)
        elif self._told is not None and self._told[1]:
            self.progress.say(f"well again: {state.value}")
        self._told = seen

    async def wait(self) -> Left:
        """Until it is over, or the person has said what to do."""
        while True:
            await _first_of(self._over, self.interrupted)
            if self._over.is_set():
                return Left.OVER
            self.interrupted.clear()
            answer = await self._ask()
            if answer is not None:
                return answer

    async def _ask(self) -> Left | None:
        if not sys.stdin.isatty():
            return Left.LEAVE
        self.progress.close()
        console.milestone(
            "the run works on its own. [l]eave it running (enter), [e]nd it so that --resume continues, [w]atch on?"
        )
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(sys.stdin.fileno(), ready.set)
        try:
            await _first_of(ready, self.interrupted, self._over)
        finally:
            loop.remove_reader(sys.stdin.fileno())
        if self._over.is_set():
            return Left.OVER
        # A terminal gives a whole line at once, so this does not wait. A second ctrl-c leaves the run alone.
        word = sys.stdin.readline().strip().lower() if ready.is_set() else ""
        if word.startswith("w"):
            self.progress.reopen()
            return None
        return Left.END if word.startswith("e") else Left.LEAVE


async def _first_of(*events: asyncio.Event) -> None:
    waiters = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    for waiter in waiters:
        waiter.cancel()


def describe(snapshot: Snapshot[Calibration]) -> str:
    """What runs now, in a few words."""
    if snapshot.state is State.BLIND:  # whatever ran when it was seen
        seen = snapshot.seen.received
        return "blind" if seen is None else f"blind, seen {time.strftime('%H:%M:%S', time.localtime(seen))}"
    if snapshot.state is State.UNKNOWN:  # likewise
        return "unknown"
    stands = [snapshot.state.value] if snapshot.state is State.STALLED or not snapshot.active else []
    names = ", ".join([*stands, *(item.name for item in snapshot.active)])
    if snapshot.eta is None or snapshot.eta.at is None:
        return names
    at = time.localtime(snapshot.seen.ours(snapshot.eta.at))
    return f"done about {time.strftime('%H:%M:%S', at)}, {names}"


def _why(snapshot: Snapshot[Calibration]) -> str:
    """What there is to say of how it stands, in words that stay the same from look to look; "" where all is well."""
    error = without_wait(snapshot.error or "")
    if snapshot.state is State.BLIND or snapshot.seen.at is None:
        return error
    body: Calibration = snapshot.body
    since = state_of(body, snapshot.seen.at, lasting=False)[1]
    return since if error == state_of(body, snapshot.seen.at)[1] else error


async def size_of(reader: HostReader, path: str) -> int:
    """Bytes in a file, 0 where there is none yet."""
    with suppress(InputError):
        return (await reader.read(path, 0, 0)).size
    return 0


async def _milestones(reader: HostReader, path: str, offset: int, watcher: _Watcher) -> None:
    """Show each line that is added to run.log."""
    rest = b""
    position = Position(offset=offset)
    while True:
        try:
            async for piece in reader.follow(path, position):
                position = piece.position
                if not isinstance(piece, Data):
                    continue
                *lines, rest = (rest + piece.data).split(b"\n")
                for line in lines:
                    watcher.progress.say(line.decode("utf-8", "replace"))
        except UnreachableError:
            await asyncio.sleep(REMOTE_INTERVAL_S)
