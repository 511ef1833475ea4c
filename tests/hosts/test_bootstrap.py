"""The boot code over a link that falls silent: it ends by itself, and what it started is not disturbed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hosts.bootstrap import Mode, RunnerImage, boot_argv, preamble
from hosts.local.frames import FrameReader

NONCE = "0123456789abcdef"
SHORT = 0.3
LONGER = 2.0
PATIENCE_S = 20.0
PIECES = 8
# What a process takes to the next one that runs in its place, and what would keep an alarm from ending it
IGNORING = ("sh", "-c", "trap '' ALRM HUP TERM; exec \"$@\"", "sh")


@contextlib.contextmanager
def booted(silence: float, first: bytes = b"", enter: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """The boot code in a process whose standard input holds `first`, and stays open."""
    source, sink = os.pipe()
    with open(source, "rb", buffering=0) as stdin, open(sink, "wb", buffering=0) as there:
        assert there.write(first) == len(first)
        argv = [*enter, *boot_argv(sys.executable, silence)]
        with subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            stdin.close()
            process.stdin = there
            try:
                yield process
            finally:
                process.kill()


def hello(process: subprocess.Popen[bytes]) -> Any:
    """The first that a helper says."""
    assert process.stdout is not None
    frames = FrameReader(NONCE)
    while data := os.read(process.stdout.fileno(), 1 << 16):
        for frame in frames.feed(data):
            return frame
    return None


@pytest.mark.parametrize("enter", [(), IGNORING], ids=["plain", "signals ignored"])
@pytest.mark.parametrize("sent", ["nothing", "half of the line", "the line", "half of the archive"])
def test_it_ends_by_itself_when_no_more_of_the_archive_comes(sent: str, enter: tuple[str, ...]) -> None:
    line, body = preamble(RunnerImage.of(os.urandom(1 << 12)), NONCE, "reader")
    first = {
        "nothing": b"",
        "half of the line": line[:20],
        "the line": line,
        "half of the archive": line + body[: len(body) // 2],
    }
    with booted(SHORT, first[sent], enter) as process:
        assert process.wait(PATIENCE_S) == 3
        assert process.stdout is not None
        assert process.stderr is not None
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")


def test_an_archive_that_comes_slowly_is_waited_for(image: RunnerImage) -> None:
    whole = b"".join(preamble(image, NONCE, "reader"))
    size = -(-len(whole) // PIECES)
    with booted(LONGER) as process:
        assert process.stdin is not None
        for at in range(0, len(whole), size):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(LONGER / 6)  # no piece is late, but all of them together take longer than it waits
            process.stdin.write(whole[at : at + size])
        assert "hello" in hello(process)


def test_a_helper_that_started_may_hear_nothing_for_longer(image: RunnerImage) -> None:
    modes: tuple[Mode, ...] = ("reader", "actor", "stream", "command")
    with contextlib.ExitStack() as stack:
        helpers = [stack.enter_context(booted(LONGER)) for _ in modes]
        for helper, mode in zip(helpers, modes, strict=True):
            assert helper.stdin is not None
            helper.stdin.write(b"".join(preamble(image, NONCE, mode)))
        assert all("hello" in hello(helper) for helper in helpers)
        until = time.monotonic() + 1.25 * LONGER
        for helper in helpers:
            with pytest.raises(subprocess.TimeoutExpired):
                helper.wait(max(0.0, until - time.monotonic()))
        for helper in helpers:
            assert helper.stdin is not None
            helper.stdin.close()
            assert helper.wait(PATIENCE_S) == 0
