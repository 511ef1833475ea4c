"""What a viewer takes to show a log that grows, and whether keys still work meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.logs_pty import Viewer
from bench.logs_screen import Screen
from bench.logs_viewers import Peer, says

PATIENCE_S = 60.0
_KEY_PATIENCE_S = 2.0
_MAKES_S = 0.5  # that the writer makes its lines for, about
_WRITER = str(Path(__file__).resolve().parent / "logs_write.py")
_BEFORE = 1000  # lines that are there when the viewer starts


def measure_follow(peer: Peer, folder: Path, rate: int, seconds: float) -> dict[str, Any]:
    """One burst to look at, and one with keys: first with the end let go, then following.

    Returns:
        lag: Seconds from the mark behind the burst to the mark on the screen; None after 60 s.
        right: Whether the screen says how many lines there are in the end; None where it never says.
        cpu: Share of one core during the burst.
        uss, uss_grown: Bytes at the end of the burst, and how many more than in the middle of it: what is kept for
            reading is full by then.
        load: The machine's load average then.
        behind: Seconds that the writer was behind its rate.
        scroll, ask: Seconds from a key to its effect, sorted: moving by a line, and a prompt at the foot.
        scroll_cpu, ask_cpu: Seconds of processor time that it and its helpers took meanwhile: what the others would be
            on a machine with nothing else to do.
        moved: How often the text moved under a reader who had let go, between two keys.
    """
    figures: dict[str, Any] = {}
    with _log(folder) as path, Viewer([*peer.follow, str(path)], folder, peer.env) as viewer:
        _begun(viewer)
        cpu = viewer.cpu()
        with _burst(path, rate, seconds, "first") as writer:
            viewer.drain(_MAKES_S + seconds / 2)
            uss = viewer.uss(own=True)
            shown = viewer.until(_holding("END-OF-BURST first"), 2 * seconds + PATIENCE_S)
            told = json.loads(writer.communicate()[0])
        after = viewer.uss(own=True)
        figures["lag"] = None if shown is None else max(0.0, shown - told["marked"])
        figures["load"] = os.getloadavg()[0]
        figures["behind"] = told["took"] - seconds
        figures["cpu"] = (viewer.cpu() - cpu) / (seconds + (figures["lag"] or PATIENCE_S))
        figures["uss"], figures["uss_grown"] = after, None if uss is None or after is None else after - uss
        lines = _BEFORE + told["lines"]
        figures["right"] = None
        if peer.counted is says:
            figures["right"] = viewer.until(lambda screen: says(screen, lines), 10) is not None
        if shown is not None and peer.keys.let_go is not None:
            figures |= _keys(peer, viewer, path, rate, seconds)
    return figures


def measure_lines(peer: Peer, folder: Path, count: int) -> list[float | None]:
    """Seconds from a written line to the line on the screen, one line after another."""
    draw = random.Random(7)  # noqa: S311 - decides how long the pauses are
    taken: list[float | None] = []
    with _log(folder) as path, Viewer([*peer.follow, str(path)], folder, peer.env) as viewer:
        _begun(viewer)
        with open(path, "ab", buffering=0) as file:
            for number in range(count):
                viewer.drain(draw.uniform(0.1, 0.3))
                word = f"SINGLE-{number:04d}"
                file.write(b"2026-05-25 02:43:02,170 INFO one line: %s\n" % word.encode())
                wrote = time.monotonic()
                shown = viewer.until(_holding(word), _KEY_PATIENCE_S)
                taken.append(None if shown is None else shown - wrote)
    return taken


def measure_pipe(argv: list[str], folder: Path, rate: int, seconds: float) -> dict[str, Any]:
    """A follower that writes into a pipe: lag of the mark, and whether all lines came, each once."""
    with _log(folder) as path, subprocess.Popen([*argv, str(path)], stdout=subprocess.PIPE, cwd=folder) as follower:
        assert follower.stdout is not None
        descriptor = follower.stdout.fileno()
        got, rest, lines = hashlib.sha256(), b"", 0
        started = time.monotonic()
        first = None
        with contextlib.ExitStack() as stack:
            writer: subprocess.Popen[bytes] | None = None
            while b"END-OF-BURST pipe\n" not in rest:
                data = os.read(descriptor, 1 << 20)
                now = time.monotonic()
                if not data or now > started + PATIENCE_S + 3 * seconds:
                    break
                first = first or now
                got.update(data)
                lines += data.count(b"\n")
                rest = rest[-64:] + data
                if writer is None and lines >= _BEFORE:
                    writer = stack.enter_context(_burst(path, rate, seconds, "pipe"))
            told = json.loads(writer.communicate()[0]) if writer is not None else None
        follower.kill()
        with open(path, "rb") as file:
            same = hashlib.file_digest(file, "sha256").digest() == got.digest()
        return {
            "first": None if first is None else first - started,
            "lag": None if told is None else max(0.0, now - told["marked"]),
            "behind": None if told is None else told["took"] - seconds,
            "lines": lines - _BEFORE,
            "written": None if told is None else told["lines"],
            "same_bytes": same,
            "load": os.getloadavg()[0],
        }


@contextlib.contextmanager
def _log(folder: Path) -> Iterator[Path]:
    path = folder / "growing.log"
    path.write_bytes(b"".join(b"2026-05-25 02:43:01,000 INFO before: line %09d\n" % n for n in range(_BEFORE)))
    try:
        yield path
    finally:
        path.unlink()


@contextlib.contextmanager
def _burst(path: Path, rate: int, seconds: float, mark: str) -> Iterator[subprocess.Popen[bytes]]:
    """The writer, while it writes."""
    argv = [sys.executable, "-I", "-S", _WRITER, str(path), str(rate), str(seconds), mark]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as writer:
        try:
            yield writer
        finally:
            writer.kill()


def _begun(viewer: Viewer) -> None:
    if viewer.until(_holding(f"{_BEFORE - 1:09d}"), PATIENCE_S) is None:
        raise RuntimeError("the viewer does not show the end of a small log")
    viewer.settle()


def _holding(words: str) -> Callable[[Screen], bool]:
    return lambda screen: screen.holds(words)


def _body(screen: Screen) -> list[str]:
    """The part of the screen that shows nothing but the log, in every viewer."""
    return [line[:70] for line in screen.lines()[4:30]]


def _keys(peer: Peer, viewer: Viewer, path: Path, rate: int, seconds: float) -> dict[str, Any]:
    keys, draw = peer.keys, random.Random(11)  # noqa: S311 - decides how long the pauses are
    assert keys.let_go is not None
    scroll: list[tuple[float, float]] = []
    ask: list[tuple[float, float]] = []
    moved = 0
    with _burst(path, rate, 2 * seconds + 2, "second") as writer:
        viewer.drain(2 * _MAKES_S)
        viewer.press(keys.let_go)
        viewer.drain(1.0)
        half = time.monotonic() + seconds
        while time.monotonic() < half:
            viewer.drain(0.05)  # the rest of the paint that a key led to
            stood = _body(viewer.screen)
            viewer.drain(draw.uniform(0.03, 0.1))
            moved += stood != _body(viewer.screen)
            scroll.append(_effect(viewer, keys.down if len(scroll) % 2 else keys.up, _changed(_body(viewer.screen))))
        if keys.end is not None:
            viewer.press(keys.end)
        viewer.drain(0.3)
        while writer.poll() is None and keys.ask is not None:
            viewer.drain(draw.uniform(0.03, 0.1))
            ask.append(_effect(viewer, keys.ask, keys.asks))
            viewer.drain(draw.uniform(0.03, 0.1))
            viewer.press(keys.leave)
            if viewer.until(lambda screen: not keys.asks(screen), _KEY_PATIENCE_S) is None:
                break
        while writer.poll() is None:
            viewer.drain(0.05)
    found: dict[str, Any] = {"moved": moved}
    for name, taken in (("scroll", scroll), ("ask", ask)):
        found[name], found[f"{name}_cpu"] = (sorted(one[part] for one in taken) for part in (0, 1))
    return found


def _changed(before: list[str]) -> Callable[[Screen], bool]:
    return lambda screen: _body(screen) != before


def _effect(viewer: Viewer, keys: bytes, shown: Callable[[Screen], bool]) -> tuple[float, float]:
    """Seconds until it showed, the patience where it did not; and of processor time meanwhile."""
    cpu = viewer.cpu()
    pressed = viewer.press(keys)
    stamp = viewer.until(shown, _KEY_PATIENCE_S)
    return _KEY_PATIENCE_S if stamp is None else stamp - pressed, viewer.cpu() - cpu
