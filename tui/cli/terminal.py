"""An app on a terminal: keys from it, and the terminal given back whatever ends us."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import threading
from typing import TYPE_CHECKING

from hosts.errors import InputError

if TYPE_CHECKING:
    from tui.app import GatewatchApp

_KEYS, _SCREEN = 0, 1  # descriptors of the terminal wherever an app is shown
_PATIENCE_S = 3.0


def has_screen() -> bool:
    """Whether an app can be shown; where standard error leads is no matter (`tui.shims.paint_where_it_is_seen`)."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def take_keys_from_the_terminal(instead: str) -> None:
    """Standard input may be a pipe, a file, or closed; keys come from the terminal all the same.

    Args:
        instead: What can be done without one, for the complaint.

    Raises:
        InputError: There is no terminal.
    """
    try:
        if os.isatty(_KEYS):
            return
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        raise InputError(f"no terminal to read keys from; {instead}") from error
    if terminal != _KEYS:
        os.dup2(terminal, _KEYS)
        os.close(terminal)


class Ending:
    """Gives the terminal back before a signal ends us; where that does not work, ends all the same."""

    def __init__(self) -> None:
        self._ended: list[signal.Signals] = []

    def leave_on_signals(self, app: GatewatchApp) -> None:
        """From now on a signal leaves the app; called on its event loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            loop.add_signal_handler(number, self._leave, app, number)

    def follow(self) -> None:
        """The terminal is as it was before: now the signal may do what it does.

        Raises:
            KeyboardInterrupt: It was that of ctrl-c.
        """
        if self._ended and self._ended[0] is signal.SIGINT:
            raise KeyboardInterrupt
        if self._ended:
            signal.signal(self._ended[0], signal.SIG_DFL)
            os.kill(os.getpid(), self._ended[0])

    def _leave(self, app: GatewatchApp, number: signal.Signals) -> None:
        from tui import shims  # what is shown without an app needs none of it

        if number in (signal.SIGINT, signal.SIGQUIT) and shims.is_lent(app):
            return  # pressed in the program that has the terminal
        self._ended.append(number)
        if not _terminal_is_there():
            _end(number)
        late = threading.Timer(_PATIENCE_S, _end, (number,))
        late.daemon = True  # no more than a last resort, for a terminal that takes nothing any more
        late.start()
        app.exit()


def _terminal_is_there() -> bool:
    """Whether somebody still has the other end of it open; the framework would wait for ever to write to it."""
    try:
        termios.tcgetattr(_SCREEN)
    except termios.error:
        return False
    return True


def _end(number: signal.Signals) -> None:
    os._exit(128 + number)
