"""The ends of the logs that a host's runs write, live for as long as they are on the screen."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hosts.errors import GatewatchError, UnreachableError
from tui.screens.host_facts import plain
from tui.screens.host_line import Line, fixed
from tui.screens.host_look import HostLook, HostRun
from tui.screens.hosts_grid import Brush
from tui.screens.run_ink import Row, Span, cut, middle, width

if TYPE_CHECKING:
    from monitors.logs.ending import LogEnd
    from monitors.logs.types import Shape, Source

OpenLog = Callable[[str, str], Awaitable["Source"]]
"""Gives a log by its host's name and its path there, not started yet; over the connection that there is."""

MOST = 3
"""Logs whose ends are shown of one host."""

_NEEDS = ("monitors.logs.ending", "tui.logs.rows")  # imported beside the loop, which they would hold
_FEWEST, _MOST_ROWS = 3, 12
_EVERY_S = 0.2  # between two paints of a log that grows
_RETRY_S = 5.0
_STYLES = {"muted": "muted", "warning": "warning", "error": "error", "critical": "error"}


@dataclass(frozen=True)
class Tail:
    """The end of one log as it was last read.

    Attributes:
        rows: The last of them the newest; safe to show. None before they were read.
        problem: Why it cannot be seen now, or "".
    """

    rows: tuple[Span, ...] | None = None
    problem: str = ""


class Tails:
    """Reads the ends of some logs, and of no others.

    Args:
        open_log: How a log is opened.
        changed: Called on the loop when one of them is to be painted anew.
    """

    def __init__(self, open_log: OpenLog, changed: Callable[[], None]) -> None:
        self._open_log = open_log
        self._changed = changed
        self._tails: dict[tuple[str, str], Tail] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def want(self, host: str, paths: Iterable[str]) -> None:
        """Read these from now on; those that are not among them are closed, and what was read of them is kept."""
        wanted = {(host, path) for path in paths}
        for key in self._tasks.keys() - wanted:
            task = self._tasks.pop(key)
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        for key in wanted - self._tasks.keys():
            self._tasks[key] = asyncio.ensure_future(self._keep(*key))
        for key in [key for key in self._tails if key[0] != host]:
            del self._tails[key]

    def tail(self, host: str, path: str) -> Tail:
        """The end of a log as it was last read; an empty one before that."""
        return self._tails.get((host, path), Tail())

    @property
    def open(self) -> tuple[str, ...]:
        """The paths of those that are read now."""
        return tuple(path for _, path in self._tasks)

    async def close(self) -> None:
        """Read none any more, and wait until all are let go of."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), *self._ending, return_exceptions=True)
        self._tasks = {}

    async def _keep(self, host: str, path: str) -> None:
        """Read one, and again after a while where it could not be opened."""
        while True:
            try:
                await self._read(host, path)
            except GatewatchError as error:
                self._say(host, path, Tail(self.tail(host, path).rows, str(error)))
            except Exception as error:  # noqa: BLE001 - told where the log would be; the others go on
                said = f"unexpected {type(error).__name__}: {error}"
                self._say(host, path, Tail(self.tail(host, path).rows, said))
            await asyncio.sleep(_RETRY_S)

    async def _read(self, host: str, path: str) -> None:
        for name in _NEEDS:
            await asyncio.to_thread(importlib.import_module, name)
        from monitors.logs.ending import LogEnd
        from monitors.logs.types import GoneError

        news = asyncio.Event()
        end = LogEnd(await self._open_log(host, path))
        try:
            await end.start(news.set)
            while True:
                news.clear()
                patience, rows = None, self.tail(host, path).rows
                try:
                    rows = await _rows(end)
                except (GoneError, UnreachableError):  # the log's shape says how it stands
                    patience = _RETRY_S
                self._say(host, path, Tail(rows, _problem(end.shape)))
                await asyncio.sleep(_EVERY_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        await news.wait()
        finally:
            await end.close()

    def _say(self, host: str, path: str, tail: Tail) -> None:
        if self._tails.get((host, path)) != tail:
            self._tails[host, path] = tail
            self._changed()


async def _rows(end: LogEnd) -> tuple[Span, ...] | None:
    from tui.logs.rows import Options, display_rows

    if not end.shape.generations:
        return None
    options = Options(colours=False, limit=1 << 10)
    found: list[Span] = []
    for line in await end.lines(_MOST_ROWS):
        for row in display_rows(line, options=options):
            style = next((one.style for one in row.spans if isinstance(one.style, str)), "")
            found.append((row.text, "accent" if row.mark is not None else _STYLES.get(style, "")))
    return tuple(found[-_MOST_ROWS:])


def _problem(shape: Shape) -> str:
    from monitors.logs.types import Status

    if shape.status in (Status.LIVE, Status.ENDED):
        return ""
    return shape.detail or shape.status.value


# How they are shown.


def newest(look: HostLook | None) -> tuple[HostRun, ...]:
    """The runs whose logs are shown, that which was written last first; one of a log that several name."""
    runs: dict[str, HostRun] = {}
    for run in look.runs if look is not None else ():
        if run.log:
            runs.setdefault(run.log, run)
    return tuple(sorted(runs.values(), key=lambda run: -(run.written or 0.0))[:MOST])


def tail_lines(runs: Sequence[HostRun], tail: Callable[[str], Tail], spare: int, room: int, brush: Brush) -> list[Line]:
    """The ends of these runs' logs.

    Args:
        runs: As of `newest`.
        tail: Gives the end of a log, whenever a row is painted.
        spare: Rows of the screen that nothing else takes; where they are few the logs take more, and one scrolls.
        room: Cells of a row.
        brush: How things are written.
    """
    if not runs:
        return []
    each = max(_FEWEST, min(_MOST_ROWS, (spare - 1) // len(runs) - 2))
    return [line for run in runs for line in _log(run, partial(tail, run.log), each, room, brush)]


def _log(run: HostRun, tail: Callable[[], Tail], each: int, room: int, brush: Brush) -> Iterator[Line]:
    yield fixed()
    yield Line(partial(_head, run, tail, room, brush), f"log {run.log}", tail=run.log)
    for place in range(each):
        yield Line(partial(_row, tail, place, each, room, brush), tail=run.log)


def _head(run: HostRun, tail: Callable[[], Tail], room: int, brush: Brush) -> Row:
    problem = tail().problem
    title = cut(plain(run.title, 80), max(8, room // 3), brush.more)
    spans: list[Span] = [(" LOG ", "muted"), (title, "primary")]
    said = f"  {cut(plain(problem, 200), max(0, room // 3), brush.more)}" if problem else ""
    path = middle(plain(run.log, 400), max(0, room - width(spans) - width([(said, "")]) - 4), brush.more)
    return (*spans, (f"  {path}", "muted"), (said, "warning"))


def _row(tail: Callable[[], Tail], place: int, each: int, room: int, brush: Brush) -> Row:
    rows = tail().rows
    if rows is None:
        return ((" ", ""), ("reading" if not place and not tail().problem else "", "muted"))
    shown = rows[-each:]
    if not shown and not place:
        return ((" ", ""), ("nothing is written in it", "muted"))
    if place >= len(shown):
        return ()
    text, style = shown[place]
    return (" " + ("|" if brush.ascii_only else "│") + " ", "muted"), (cut(text, max(0, room - 4), brush.more), style)
