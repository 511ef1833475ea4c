"""Logs of any size that look like real ones: the same bytes for the same shape and size, written as a stream.

One line of each holds NEEDLE, at 48 % of the bytes, and one in 10 MB holds RARE.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

NEEDLE = b"needle-in-7f3a91"
NEEDLE_PATTERN = "needle-in-[0-9a-f]{4}91"
NEEDLE_AT = 0.48
FILTER = "retry 1/3"  # in two of a hundred lines of a server
HIT = f"lost {NEEDLE.decode()} on"  # how the line shows on a screen, and no prompt does
RARE = "rare-5d20c4"
RARE_SHOWN = f"gave {RARE} up"
_RARE_EVERY, _RARE_AT = 10_000_000, 5_000_000
_LINES = 1000  # of a block
_LONG = 60_000
_TIME = re.compile(rb"2026-\S+ [\d:,]+")


@dataclass(frozen=True)
class Made:
    """A log that was written.

    Attributes:
        path: Where it is.
        size: Bytes.
        lines: Newlines.
        head: Numbers that its first lines have and no others.
        tail: The same of its last lines, last one last.
    """

    path: Path
    size: int
    lines: int
    head: tuple[str, ...]
    tail: tuple[str, ...]


def make_log(path: Path, shape: str, size: int) -> Made:
    """Write a log of one of SHAPES, of `size` bytes and a few lines more."""
    written = lines = 0
    first, last = b"", b""
    with open(path, "wb", buffering=0) as file:
        for made in SHAPES[shape]():
            here = written < size * NEEDLE_AT <= written + len(made)
            block = _needle(made) + made if here else made
            if (written + _RARE_AT) // _RARE_EVERY != (written + len(made) + _RARE_AT) // _RARE_EVERY:
                block = _rare(made) + block
            file.write(block)
            written += len(block)
            lines += block.count(b"\n")
            first, last = first or block, block
            if written >= size:
                break
    return Made(path, written, lines, _numbers(first)[:3], _numbers(last)[-3:])


def _needle(block: bytes) -> bytes:
    return b"%s ERROR relay: lost %s on node-17\n" % (_TIME.findall(block)[0], NEEDLE)


def _rare(block: bytes) -> bytes:
    return b"%s ERROR relay: %s\n" % (_TIME.findall(block)[0], RARE_SHOWN.encode())


def _numbers(block: bytes) -> tuple[str, ...]:
    return tuple(number.decode() for number in re.findall(rb"\b\d{9}\b", block))


def _server() -> Iterator[bytes]:
    """A test session with a model server in it: requests, throughput, a few warnings, rare tracebacks."""
    lines: list[str] = []
    draw = random.Random(4)  # noqa: S311 - decides what a line looks like
    for _ in range(_LINES):
        kind = draw.random()
        if kind < 0.55:
            lines.append(
                "(APIServer pid=4711) INFO:     127.0.0.1:{port} - "
                '"POST /v1/chat/completions HTTP/1.1" 200 OK id={n:09d}'
            )
        elif kind < 0.75:
            lines.append(
                "(EngineCore pid=4733) INFO {t} [loggers.py:127] Engine 000: step {n:09d}, "
                "throughput: 8{s}.4 tokens/s, Running: 32 reqs, Waiting: 0 reqs"
            )
        elif kind < 0.97:
            lines.append("{t} DEBUG relay: batch {n:09d} of stage mmsu_talker took 0.{s} s")
        elif kind < 0.99:
            lines.append("{t} WARNING relay: retry 1/3 after Connection refused, request {n:09d}")
        elif kind < 0.997:
            lines.append("tests/test_mmsu_talker.py::test_speed[{n:09d}] PASSED")
        else:
            lines.append('  File "/srv/relay/client.py", line 2{s}, in fetch  # request {n:09d}')
    return _filled(lines)


def _train() -> Iterator[bytes]:
    """A training run: progress bars that redraw themselves within a line, and a line of figures now and then."""
    bars = (
        f"Training: {at:>3}%|{'█' * (at // 10):<10}| {at * 10}/1000 [00:{at:02}<00:38, 14.{{s}}it/s, loss=1.{{s}}]"
        for at in range(0, 100, 8)
    )
    progress = "\r".join(bars)
    lines = []
    for number in range(_LINES):
        if number % 10 == 0:
            lines.append(progress)
        else:
            lines.append("{t} [INFO] trainer: {{'loss': 1.{s}, 'grad_norm': 0.4{s}, 'epoch': 0.{s}, 'step': {n:09d}}}")
    return _filled(lines)


def _records() -> Iterator[bytes]:
    """JSON lines."""
    form = (
        '{{"ts": "{t}", "level": "info", "logger": "train.loop", "step": {n:09d}, "loss": 1.{s}, "tokens_per_s": 81{s}'
        ', "msg": "step done"}}'
    )
    return _filled([form] * _LINES)


def _long() -> Iterator[bytes]:
    """Lines of 60 kB, with their number at either end: one sees the beginning, or the end where they are wrapped."""
    words = b"a request with all of its words, " * (_LONG // 33)
    for number in count(0, 10):
        second = number // 50
        clock = b"2026-05-25 %02d:%02d:%02d,170" % (second // 3600 % 24, second // 60 % 60, second % 60)
        yield b"".join(
            b"%s INFO relay: request %09d is %sas asked by request %09d\n" % (clock, one, words, one)
            for one in range(number, number + 10)
        )


SHAPES: dict[str, Callable[[], Iterator[bytes]]] = {"server": _server, "train": _train, "json": _records, "long": _long}


def _filled(lines: list[str]) -> Iterator[bytes]:
    """Blocks of these lines for ever, each line with a number of its own and the time of its block."""
    form = "\n".join(lines).encode() + b"\n"
    filled = form.replace(b"%", b"%%").replace(b"{{", b"{").replace(b"}}", b"}").replace(b"{n:09d}", b"%09d")
    number = 0
    while True:
        second = number // 5000  # five thousand lines a second
        clock = b"2026-05-%02d %02d:%02d:%02d,170" % (
            25 + second // 86400 % 5,
            second // 3600 % 24,
            second // 60 % 60,
            second % 60,
        )
        block = (
            filled.replace(b"{t}", clock)
            .replace(b"{s}", b"%02d" % (number // _LINES % 100))
            .replace(b"{port}", b"%d" % (40000 + number // _LINES % 20000))
        )
        yield block % tuple(range(number, number + block.count(b"%09d")))
        number += _LINES
