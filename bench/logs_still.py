"""What a viewer takes to show, count and search a log that nobody writes to."""

from __future__ import annotations

import contextlib
import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.logs_make import FILTER, HIT, NEEDLE, NEEDLE_PATTERN, RARE, RARE_SHOWN, Made
from bench.logs_pty import Viewer, process_time
from bench.logs_screen import Screen
from bench.logs_viewers import Peer

PATIENCE_S = 60.0
_NUMBER = re.compile(r"\b0\d{8}\b")
_NUDGE_S = 0.1
_UNDER_WAY_S = 0.4  # after which a search has begun
_LOOK_S = 0.1
_WORKS = 0.02  # seconds of processor time in _LOOK_S that say that somebody searches
_ENDLESS = r"(\w\w\w\w)\1\1\1\1"
_RESTS = 0.2  # of a core, and less: it does not count any more
_SCANS_WITHIN_S = 1.5  # after the first content, a viewer that says that it counts has begun to say so


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: Fresh processes, of which the median is taken.
        idle: Seconds for which an idle viewer is watched.
        jumps: Jumps to either end in each round.
        counts: Whether to wait for the number of lines.
        searches: Whether to search.
        filters: Whether to filter.
    """

    rounds: int = 3
    idle: float = 3.0
    jumps: int = 5
    counts: bool = True
    searches: bool = True
    filters: bool = True


FIGURES = (
    "first_content",
    "start_cpu",
    "answers",
    "counted",
    "uss",
    "own",
    "idle_cpu",
    "end",
    "top",
    "search",
    "regex",
    "sought",
    "regex_sought",
    "uss_after",
    "own_after",
    "cancel",
    "filtered",
    "uss_filtered",
    "rare",
    "rare_filtered",
    "load",
)
"""Of one viewer and one log: seconds; bytes that it and its helpers share with nobody, and of those what is no file's
page (`own`), once all is counted and again after searching and filtering; and the share of a core that it takes while
nothing happens. `answers` is when a key that was pressed at the first content had its effect; `sought` when the whole
log was searched, `cancel` until nobody searches and the screen says nothing of it after a search was given up; `rare`
when the first line was shown of a filter that lets one in 10 MB pass; `load` the machine's load average."""


def measure_still(peer: Peer, made: Made, folder: Path, effort: Effort) -> dict[str, Any]:
    """FIGURES, None for what a viewer cannot do or did not do within a minute."""
    taken = [_once(peer, made, folder, effort) for _ in range(effort.rounds)]
    return {name: median([one[name] for one in taken]) for name in FIGURES}


def median(values: list[float | None]) -> float | None:
    """The middle value; None if one of them is missing."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if len(known) == len(values) and known else None


def warm_up(peer: Peer, made: Made, folder: Path) -> None:
    """Open a log once, so that programs and byte code are in memory for every viewer."""
    with Viewer([*peer.argv, str(made.path)], folder, peer.env) as viewer:
        viewer.until(_any_line, PATIENCE_S)
        viewer.settle(0.2, 2.0)


def _once(peer: Peer, made: Made, folder: Path, effort: Effort) -> dict[str, float | None]:
    found: dict[str, float | None] = dict.fromkeys(FIGURES)
    found["answers"] = _answers(peer, made, folder)
    with Viewer([*peer.argv, str(made.path)], folder, peer.env) as viewer:
        first = viewer.until(_any_line, PATIENCE_S)
        if first is None:
            return found
        found["first_content"], found["start_cpu"] = first - viewer.started, viewer.cpu()
        if effort.counts:
            counted = _counted(peer, viewer, made)
            found["counted"] = None if counted is None else counted - viewer.started
        viewer.settle()
        found["uss"], found["own"] = viewer.uss(), viewer.uss(own=True)
        began, cpu = time.monotonic(), viewer.cpu()
        viewer.drain(effort.idle)
        found["idle_cpu"] = (viewer.cpu() - cpu) / (time.monotonic() - began)
        found |= _jumps(peer, viewer, made, effort.jumps)
    if effort.searches:
        regex = _searched(peer, made, folder, peer.keys.regex, NEEDLE_PATTERN)
        found["regex"], found["regex_sought"] = regex["search"], regex["sought"]
        found |= _searched(peer, made, folder, peer.keys.search, NEEDLE.decode())
        found["cancel"] = _cancelled(peer, made, folder)
    if effort.filters:
        found |= _filtered(peer, made, folder)
        found |= _rarely(peer, made, folder)
    found["load"] = os.getloadavg()[0]
    return found


def _answers(peer: Peer, made: Made, folder: Path) -> float | None:
    """Seconds from the start until a jump to the other end is seen, its key pressed at the first content."""
    if peer.keys.top is None or peer.keys.end is None:
        return None
    with Viewer([*peer.argv, str(made.path)], folder, peer.env) as viewer:
        if viewer.until(_any_line, PATIENCE_S) is None:
            return None
        top = _any(made.head[:1])
        keys, shown = (peer.keys.end, _any(made.tail[-1:])) if top(viewer.screen) else (peer.keys.top, top)
        viewer.press(keys)
        stamp = viewer.until(shown, PATIENCE_S)
        return None if stamp is None else stamp - viewer.started


def _searched(
    peer: Peer, made: Made, folder: Path, keys: tuple[bytes, ...] | None, words: str
) -> dict[str, float | None]:
    """Seconds that a search takes in a fresh process that has counted the lines, and its bytes afterwards."""
    found: dict[str, float | None] = dict.fromkeys(("search", "sought", "uss_after", "own_after"))
    if keys is None:
        return found
    with Viewer([*peer.argv, str(made.path)], folder, peer.env) as viewer:
        if viewer.until(_any_line, PATIENCE_S) is None:
            return found
        _counted(peer, viewer, made)
        viewer.settle()
        pressed = _look_for(peer, viewer, made, keys, words)
        if pressed is None:
            return found
        found["search"] = _until_hit(peer, viewer, pressed)
        if peer.sought is not None and found["search"] is not None:
            stamp = viewer.until(peer.sought, PATIENCE_S)
            found["sought"] = None if stamp is None else max(stamp - pressed, found["search"])
        viewer.settle()
        found["uss_after"], found["own_after"] = viewer.uss(), viewer.uss(own=True)
    return found


def _cancelled(peer: Peer, made: Made, folder: Path) -> float | None:
    """Seconds from the key that gives a search up until those who searched rest, and the screen says nothing of it.

    The search is for an expression with a back reference, for which no quicker tool can stand in.
    """
    if peer.keys.regex is None or peer.keys.cancel is None or peer.keys.top is None:
        return None
    with Viewer([*peer.argv, str(made.path)], folder, peer.env) as viewer:
        if viewer.until(_any_line, PATIENCE_S) is None:
            return None
        _counted(peer, viewer, made)
        _rested(viewer)
        if _look_for(peer, viewer, made, peer.keys.regex, _ENDLESS) is None:
            return None
        viewer.drain(_UNDER_WAY_S)
        before = viewer.helpers_cpu()
        viewer.drain(_LOOK_S)
        if viewer.helpers_cpu() - before < _WORKS:
            return None  # it has found everything already
        helpers = viewer.helpers()  # one that is started afterwards, for what comes next, searches nothing
        pressed = viewer.press(peer.keys.cancel)
        seen, last, told = sum(map(process_time, helpers)), pressed, None
        while time.monotonic() < pressed + 1:
            viewer.drain(0.002)
            now = sum(map(process_time, helpers))
            if now < seen or now - seen > _WORKS * 0.05:
                seen, last = now, time.monotonic()
            if told is None and not (peer.searches and peer.searches(viewer.screen)):
                told = viewer.stamp
        return None if told is None else max(last, told) - pressed


def _rested(viewer: Viewer) -> None:
    """Let helpers end what they do unasked, as noting where lines are: they would go on with it after a search."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        before = viewer.helpers_cpu()
        viewer.drain(_LOOK_S)
        if abs(viewer.helpers_cpu() - before) < _WORKS * 0.05:
            return


@contextlib.contextmanager
def _set_filter(peer: Peer, made: Made, folder: Path, wanted: str) -> Iterator[tuple[Viewer, float] | None]:
    """A viewer in which a filter is set once all is counted, and when that was; None where there is no such thing."""
    if peer.keys.filter is None:
        yield None
        return
    with Viewer([*peer.argv, str(made.path)], folder, peer.env) as viewer:
        if viewer.until(_any_line, PATIENCE_S) is None:
            yield None
            return
        _counted(peer, viewer, made)
        viewer.settle()
        viewer.press(peer.keys.filter)
        viewer.settle(0.2, 2.0)
        yield viewer, viewer.press(wanted.encode() + peer.keys.go)


def _filtered(peer: Peer, made: Made, folder: Path) -> dict[str, float | None]:
    """Seconds until a filter has seen the whole log, and the bytes that are held then."""
    found: dict[str, float | None] = {"filtered": None, "uss_filtered": None}
    if peer.filtered is None:
        return found
    with _set_filter(peer, made, folder, FILTER) as begun:
        if begun is not None:
            viewer, pressed = begun
            stamp = viewer.until(peer.filtered, PATIENCE_S)
            if stamp is not None:
                found["filtered"], found["uss_filtered"] = stamp - pressed, viewer.uss()
    return found


def _rarely(peer: Peer, made: Made, folder: Path) -> dict[str, float | None]:
    """Seconds until a filter that lets few lines pass shows one of them, and until it has seen the whole log."""
    found: dict[str, float | None] = {"rare": None, "rare_filtered": None}
    with _set_filter(peer, made, folder, RARE) as begun:
        if begun is None:
            return found
        viewer, pressed = begun
        stamp = viewer.until(lambda screen: screen.holds(RARE_SHOWN), PATIENCE_S)
        found["rare"] = None if stamp is None else stamp - pressed
        if peer.filtered is not None:
            stamp = viewer.until(peer.filtered, PATIENCE_S)
            found["rare_filtered"] = None if stamp is None else stamp - pressed
    return found


def _any_line(screen: Screen) -> bool:
    """Whether some line of the log is there: each has a number of nine digits, and no log here has as many lines."""
    return any(_NUMBER.search(line) for line in screen.lines())


def _any(numbers: tuple[str, ...]) -> Callable[[Screen], bool]:
    return lambda screen: any(number in line for line in screen.lines() for number in numbers)


def _counted(peer: Peer, viewer: Viewer, made: Made) -> float | None:
    """When the true number of lines was on the screen, or the notice that it counts was gone."""
    if peer.busy:
        shown = viewer.until(lambda screen: screen.holds(peer.busy), _SCANS_WITHIN_S)
        return viewer.until(lambda screen: not screen.holds(peer.busy), PATIENCE_S if shown is not None else 0)
    if peer.counted is None:
        return None
    true, end = peer.counted, time.monotonic() + PATIENCE_S
    if not peer.nudge:
        return viewer.until(lambda screen: true(screen, made.lines), PATIENCE_S)
    while time.monotonic() < end:
        cpu = viewer.cpu()
        viewer.drain(_NUDGE_S)
        if viewer.cpu() - cpu < _RESTS * _NUDGE_S:  # a key would only hold it up while it counts
            pressed = viewer.press(peer.nudge)
            if viewer.until(lambda screen: true(screen, made.lines), 1.0) is not None:
                return pressed
    return None


def _jumps(peer: Peer, viewer: Viewer, made: Made, jumps: int) -> dict[str, float | None]:
    """From the key to the other end of the log on the screen; the first jump, which may have to read, is in it."""
    taken: dict[str, list[float | None]] = {"end": [], "top": []}
    if peer.keys.top is None or peer.keys.end is None:
        return dict.fromkeys(taken)
    first, last = _any(made.head[:1]), _any(made.tail[-1:])
    viewer.press(peer.keys.top)  # from a known place
    if viewer.until(first, PATIENCE_S) is None:
        return dict.fromkeys(taken)
    for _ in range(jumps):
        for name, keys, shown in (("end", peer.keys.end, last), ("top", peer.keys.top, first)):
            viewer.settle(0.1, 2.0)
            pressed = viewer.press(keys)
            stamp = viewer.until(shown, PATIENCE_S)
            taken[name].append(None if stamp is None else stamp - pressed)
    return {name: median(values) for name, values in taken.items()}


def _look_for(peer: Peer, viewer: Viewer, made: Made, before: tuple[bytes, ...], words: str) -> float | None:
    """From the top: press the words, and the key that says that they are whole; returns when."""
    assert peer.keys.top is not None
    viewer.press(peer.keys.top)
    if viewer.until(lambda screen: _any(made.head[:1])(screen) and not screen.holds(HIT), PATIENCE_S) is None:
        return None
    viewer.settle(0.2, 2.0)
    for keys in before:
        viewer.press(keys)
        viewer.settle(0.2, 2.0)
    return viewer.press(words.encode() + peer.keys.go)


def _until_hit(peer: Peer, viewer: Viewer, pressed: float) -> float | None:
    while (left := pressed + PATIENCE_S - time.monotonic()) > 0:
        stamp = viewer.until(lambda screen: screen.holds(HIT), min(left, _NUDGE_S) if peer.keys.next else left)
        if stamp is not None:
            return stamp - pressed
        viewer.press(peer.keys.next)
    return None


def measure_tools(made: Made, ripgrep: str | None, rounds: int) -> dict[str, float | None]:
    """What tools take that only read the log once: whole processes, writing into a pipe that is read."""
    commands: dict[str, list[str]] = {"wc -l": ["wc", "-l", str(made.path)]}
    if ripgrep is not None:
        commands["rg -c ''"] = [ripgrep, "-c", "", str(made.path)]
        commands["rg literal"] = [ripgrep, "-n", "-F", NEEDLE.decode(), str(made.path)]
        commands["rg regex"] = [ripgrep, "-n", NEEDLE_PATTERN, str(made.path)]
    taken: dict[str, list[float | None]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, argv in commands.items():
            began = time.perf_counter()
            done = subprocess.run(argv, capture_output=True, check=True)
            taken[name].append(time.perf_counter() - began)
            right = (
                NEEDLE in done.stdout if name in ("rg literal", "rg regex") else str(made.lines).encode() in done.stdout
            )
            if not right:
                raise RuntimeError(f"{name} answers {done.stdout[:200]!r}")
    return {name: median(values) for name, values in taken.items()}
