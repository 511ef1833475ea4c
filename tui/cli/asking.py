"""Asking for a password or a passphrase on the terminal, for commands that have the terminal to themselves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios

from hosts.connects import Asker, Connects
from tui.sanitise import clean_inline

_LONGEST = 4096


class TerminalAsker:
    """Asks on the controlling terminal; what is typed is not shown, and ctrl-c interrupts as ever."""

    async def ask(self, host: str, what: str) -> str | None:
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            before = termios.tcgetattr(terminal)
            unseen = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
            # What was typed before the question is no answer to it
            termios.tcsetattr(terminal, termios.TCSAFLUSH, unseen)
            after = termios.TCSAFLUSH  # what is typed when nobody waits for it any more is for nobody else's eyes
            try:
                _show(terminal, clean_inline(f"{host}: {what}: "))
                answer = await _line(terminal)
                after = termios.TCSADRAIN
                return answer
            finally:
                termios.tcsetattr(terminal, after, before)
                _show(terminal, "\n")
        except (OSError, termios.error):
            return None
        finally:
            os.close(terminal)


def connects() -> Connects:
    """What the connections of one command share: a person can be asked where there is one to type."""
    asker: Asker | None = TerminalAsker() if sys.stdin is not None and sys.stdin.isatty() else None
    return Connects(asker=asker)


def _show(terminal: int, text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(terminal, text.encode())


async def _line(terminal: int) -> str | None:
    """One typed line; None at the end of the terminal."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    typed = bytearray()
    while not typed.endswith(b"\n"):
        ready.clear()
        loop.add_reader(terminal, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(terminal)
        try:
            some = os.read(terminal, _LONGEST)
        except BlockingIOError:
            continue
        typed += some
        if not some or len(typed) > _LONGEST:
            return None
    return typed.decode("utf-8", "replace").rstrip("\r\n")
