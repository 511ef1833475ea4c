"""`gatewatch tail --plain`: the log on standard output, for a pipe, a file, or a terminal that is read line by line."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import select
import signal
import stat
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from hosts.errors import InputError
from hosts.target import Target
from monitors.logs.model import LogModel
from monitors.logs.opening import in_time, open_source
from monitors.logs.types import Filter, Place, Status
from tui import console
from tui.cli.tail_options import connecting, filter_of, goal_of, lines_of
from tui.exits import ExitCode
from tui.logs.plain import MEMORY, Request, Stream
from tui.logs.plainready import READY_S, looked, ready
from tui.logs.plaintext import PlainText
from tui.logs.sieve import sieve_of

if TYPE_CHECKING:
    from monitors.logs.types import Source
    from tui.logs.goto import Goal

_OURS = re.compile(r"/dev/stdin|(?:/dev|/proc/self)/fd/(\d{1,9})")
_HERE_S = 2.0  # that this machine may take to say what is there


def run_plain(args: argparse.Namespace, target: Target) -> int:
    """Print the log.

    Raises:
        GatewatchError: It cannot be read, or what is asked for cannot be.
    """
    wanted, lines = filter_of(args), lines_of(args)
    sieve_of(wanted)
    goals = {name: goal_of(name, getattr(args, name)) for name in ("since", "until")}
    if args.follow and goals["until"] is not None:
        raise InputError("--until says where to end, and --follow goes on; leave one of them out")
    _interrupt_at_once()
    console.flush()
    with contextlib.suppress(BrokenPipeError):
        asyncio.run(_print(args, target, wanted, lines, goals))
    return ExitCode.OK


def _interrupt_at_once() -> None:
    """Let ctrl-c end what is being done, also a write that waits for its reader.

    The event loop's own way would only be noticed once that write has come to an end.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)


def _interrupted(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


async def _print(
    args: argparse.Namespace, target: Target, wanted: Filter | None, lines: int | None, goals: dict[str, Goal | None]
) -> None:
    if args.follow and await _is_output(target):
        raise InputError(f"{target} is standard output too, and would be read as it is printed, for ever")
    whole = _has_end(target)
    follow = args.follow or await _has_none(target)
    if follow and goals["until"] is not None:
        raise InputError("--until says where to end, and a named pipe or a device goes on; leave it out")
    model = LogModel(await _opened(target), memory=MEMORY, counts=False)
    news, first = asyncio.Event(), model.shape
    model.listen(news.set)
    try:
        with _while_somebody_reads():
            await model.start()
            patience = _HERE_S if target.host is None else READY_S
            if follow:
                await looked(model, news, first, patience)  # what comes later is printed whole
            else:
                await ready(model, news, None if args.wait else patience)
            if whole and not follow and any(goal is not None for goal in goals.values()):
                await _all_there(model, news)
            request = Request(
                lines,
                follow,
                wanted,
                await _place(model, f"--since {args.since}", goals["since"], follow),
                await _place(model, f"--until {args.until}", goals["until"], follow),
                whole,
            )
            text = PlainText(colour=_in_colour(), encoding=sys.stdout.encoding or "utf-8")
            await Stream(model, news, request, text, _write, console.milestone).run()
    finally:
        await model.close()


async def _opened(target: Target) -> Source:
    pipe = _pipe(target)
    if pipe is None:
        return await open_source(target, connecting(target))
    from monitors.logs.spool import SpoolSource

    return SpoolSource(os.dup(pipe), target.path)


def _pipe(target: Target) -> int | None:
    """The descriptor of ours that a path names, as the shell's `<(...)` does, where it is a pipe.

    Read from there it ends with its writers, as `-` does; opened by its path it would wait for others.
    """
    ours = None if target.host is not None else _OURS.fullmatch(target.path)
    if ours is None:
        return None
    number = int(ours[1] or 0)
    try:
        return number if stat.S_ISFIFO(os.fstat(number).st_mode) else None
    except OSError:  # whoever opens it says so
        return None


def _has_end(target: Target) -> bool:
    """Whether this is a stream that somebody will end."""
    if target.host is not None or target.path != "-":
        return _pipe(target) is not None
    try:
        return not stat.S_ISREG(os.fstat(0).st_mode)
    except OSError:  # whoever opens it says so
        return False


async def _has_none(target: Target) -> bool:
    """Whether this is a stream without an end: a named pipe waits for its next writer, a device for more."""
    if target.host is not None or target.path == "-" or _pipe(target) is not None:
        return False
    try:
        mode = (await _status(target)).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


async def _is_output(target: Target) -> bool:
    """Whether a log is the file that its lines are printed to."""
    if target.host is not None:
        return False
    try:
        out = os.fstat(1)
        return stat.S_ISREG(out.st_mode) and os.path.samestat(await _status(target), out)
    except (OSError, ValueError):  # whoever opens it says so
        return False


async def _status(target: Target) -> os.stat_result:
    """What a path here leads to."""

    def look() -> os.stat_result:
        return os.fstat(0) if target.path == "-" else os.stat(os.path.expanduser(target.path))

    return await in_time(target, look, "look")


async def _all_there(model: LogModel, news: asyncio.Event) -> None:
    """Wait for the end of a stream: where a time begins in it is not known before."""
    while model.shape.status not in (Status.ENDED, Status.FAILED):
        news.clear()
        await news.wait()


async def _place(model: LogModel, asked: str, goal: Goal | None, follow: bool) -> Place | None:
    """Where a time begins; the end of the log where it is not reached, which is said.

    Raises:
        InputError: No line says when it was written.
    """
    if goal is None:
        return None
    from tui.logs.goto import settled
    from tui.logs.toolate import NO_TIMES, why_all, why_not

    when = (await settled(model, goal, time.time(), upto=asked.startswith("--until"))).time
    assert when is not None  # an option is a time or nothing
    found = await model.at_time(when)
    if found is not None and (early := await why_all(model, goal, when, found)):
        console.milestone(f"{asked}: {early}")
    if found is None and model.state.bytes:
        why = await why_not(model, when)
        if why == NO_TIMES and not follow:
            raise InputError(f"{asked}: {why}")
        if asked.startswith("--since"):
            console.milestone(f"{asked}: {why}{'; what comes from now on is printed' if follow else ''}")
    return model.end_place() if found is None else found


def _in_colour() -> bool:
    return os.isatty(1) and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") not in ("", "dumb")


@contextlib.contextmanager
def _while_somebody_reads() -> Iterator[None]:
    """End quietly when nobody reads the pipe any more, also while there is nothing to write into it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None or not stat.S_ISFIFO(os.fstat(1).st_mode):
        yield
        return
    gone = False

    def left() -> None:
        nonlocal gone
        gone = True
        loop.remove_reader(1)
        task.cancel()

    loop.add_reader(1, left)  # the end that one writes into is readable once its reader has left
    try:
        yield
    except asyncio.CancelledError:
        if not gone:
            raise
    finally:
        loop.remove_reader(1)


def _write(data: bytes) -> None:
    """All of it, to standard output; waits for whoever reads."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(1, left) :]
        except BlockingIOError:
            select.select([], [1], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(f"cannot write to standard output: {error.strerror or error}") from error
