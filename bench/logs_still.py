"""What a viewer takes to show, count and search a log that nobody writes to."""

from __future__ import annotations

import re
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.logs_make import HIT, NEEDLE, NEEDLE_PATTERN, Made
from bench.logs_pty import Viewer
from bench.logs_screen import Screen
from bench.logs_viewers import Peer

PATIENCE_S = 60.0
_NUMBER = re.compile(r"\b0\d{8}\b")
_NUDGE_S = 0.1
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
    """

    rounds: int = 3
    idle: float = 3.0
    jumps: int = 5
    counts: bool = True
    searches: bool = True


FIGURES = (
    "first_content",
    "counted",
    "uss",
    "own",
    "idle_cpu",
    "end",
    "top",
    "search",
    "regex",
    "uss_after",
    "own_after",
)
"""Of one viewer and one log: seconds; bytes that it shares with nobody, and of those what is no file's page (`own`)
once all is counted and again after searching; and the share of a core that it takes while nothing happens."""


def measure_still(peer: Peer, made: Made, folder: Path, effort: Effort) -> dict[str, Any]:
    """FIGURES, None for what a viewer cannot do or did not do within a minute."""
    taken: list[dict[str, float | None]] = [_once(peer, made, folder, effort) for _ in range(effort.rounds)]
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
    with Viewer([*peer.argv, str(made.path)], folder, peer.env) as viewer:
        first = viewer.until(_any_line, PATIENCE_S)
        if first is None:
            return found
        found["first_content"] = first - viewer.started
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
        found["regex"] = _searched(peer, made, folder, peer.keys.regex, NEEDLE_PATTERN)[0]
        found["search"], found["uss_after"], found["own_after"] = _searched(
            peer, made, folder, peer.keys.search, NEEDLE.decode()
        )
    return found


def _searched(
    peer: Peer, made: Made, folder: Path, keys: tuple[bytes, ...] | None, words: str
) -> tuple[float | None, int | None, int | None]:
    """Seconds that a search takes in a fresh process that has counted the lines, and its bytes afterwards."""
    if keys is None:
        return None, None, None
    with Viewer([*peer.argv, str(made.path)], folder, peer.env) as viewer:
        if viewer.until(_any_line, PATIENCE_S) is None:
            return None, None, None
        _counted(peer, viewer, made)
        viewer.settle()
        took = _search(peer, viewer, made, keys, words)
        viewer.settle()
        return took, viewer.uss(), viewer.uss(own=True)


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


def _search(peer: Peer, viewer: Viewer, made: Made, before: tuple[bytes, ...], words: str) -> float | None:
    """From the top: from the words, and the key that says that they are whole, to the line on the screen."""
    assert peer.keys.top is not None
    viewer.press(peer.keys.top)
    if viewer.until(lambda screen: _any(made.head[:1])(screen) and not screen.holds(HIT), PATIENCE_S) is None:
        return None
    viewer.settle(0.2, 2.0)
    for keys in before:
        viewer.press(keys)
        viewer.settle(0.2, 2.0)
    pressed = viewer.press(words.encode() + peer.keys.go)
    return _until_hit(peer, viewer, pressed)


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
