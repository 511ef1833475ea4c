"""`gatewatch tail` on a screen of its own.

The log is opened, and its lines begin to be counted, while the framework is still being imported: that import is most
of the time until something can be seen.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import os
import signal
import termios
import threading
from typing import TYPE_CHECKING

from hosts.errors import InputError
from hosts.target import Target
from monitors.logs.model import LogModel
from monitors.logs.opening import open_source
from tui.cli.tail_options import connecting, filter_of, goal_of

if TYPE_CHECKING:
    from tui.logs.screen import TailApp, Wish

_KEYS, _SCREEN = 0, 1  # the descriptors that the framework uses
_PATIENCE_S = 3.0


def run_screen(args: argparse.Namespace, target: Target) -> int:
    """Show the log until somebody leaves.

    Raises:
        GatewatchError: It cannot be read, or what is asked for cannot be.
    """
    _check(args)
    ended: list[signal.Signals] = []
    code = asyncio.run(_show(args, target, ended))
    if ended and ended[0] is signal.SIGINT:
        raise KeyboardInterrupt
    if ended:  # the terminal is as it was before: now the signal may do what it does
        signal.signal(ended[0], signal.SIG_DFL)
        os.kill(os.getpid(), ended[0])
    return code


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot be before anything is opened."""
    wanted = filter_of(args)
    if wanted is not None and args.regex:
        from monitors.logs.hits import matcher_of

        matcher_of(wanted)
    for name in ("since", "until"):
        goal_of(name, getattr(args, name))


class _EarlyModel(LogModel):
    """A model that was started before anybody shows it, and that is closed by whoever comes first."""

    _started = _closed = False

    async def start(self) -> None:
        if not self._started:
            self._started = True
            await super().start()

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await super().close()


async def _open(target: Target) -> _EarlyModel:
    model = _EarlyModel(await open_source(target, connecting(target)))
    await model.start()
    return model


async def _show(args: argparse.Namespace, target: Target, ended: list[signal.Signals]) -> int:
    opening = asyncio.ensure_future(_open(target))
    try:
        await asyncio.to_thread(importlib.import_module, "tui.logs.screen")
        gc.freeze()  # what was imported is never garbage: no collection need look at it
        if opening.done() or target.path == "-":
            await opening  # an error is said without a screen for it, and the keys are not standard input
        _take_keys_from_the_terminal()
        from tui.logs.screen import TailApp

        app = TailApp(lambda: opening, _wish(args), ascii_only=args.ascii)
        _leave_on_signals(app, ended)
        code = await app.run_async(mouse=not args.no_mouse)
        if app.failure is not None:
            raise app.failure
        return int(code or 0)
    finally:
        opening.cancel()
        if opening.done() and not opening.cancelled() and opening.exception() is None:
            await opening.result().close()


def _take_keys_from_the_terminal() -> None:
    """Standard input may be a pipe, a file, or closed; keys come from the terminal all the same."""
    try:
        if os.isatty(_KEYS):
            return
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        raise InputError("no terminal to read keys from; --plain prints the log") from error
    if terminal != _KEYS:
        os.dup2(terminal, _KEYS)
        os.close(terminal)


def _leave_on_signals(app: TailApp, ended: list[signal.Signals]) -> None:
    """Give the terminal back before a signal ends us; where that does not work, end all the same."""
    loop = asyncio.get_running_loop()

    def leave(number: signal.Signals) -> None:
        ended.append(number)
        if not _terminal_is_there():
            _end(number)
        late = threading.Timer(_PATIENCE_S, _end, (number,))
        late.daemon = True  # no more than a last resort, for a terminal that takes nothing any more
        late.start()
        app.exit()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, leave, number)


def _terminal_is_there() -> bool:
    """Whether somebody still has the other end of it open; the framework would wait for ever to write to it."""
    try:
        termios.tcgetattr(_SCREEN)
    except termios.error:
        return False
    return True


def _end(number: signal.Signals) -> None:
    os._exit(128 + number)


def _wish(args: argparse.Namespace) -> Wish:
    """How the log is to be shown at first."""
    from tui.logs.filterpart import Chosen, Words
    from tui.logs.screen import Wish
    from tui.logs.view import Look

    wanted = filter_of(args)
    chosen = Chosen()
    if wanted is not None:
        shown = tuple(Words(query) for query in wanted.include)
        hidden = tuple(Words(query, out=True) for query in wanted.exclude)
        chosen = Chosen((*shown, *hidden), wanted.level, wanted.context)
    bounds = {}
    for name in ("since", "until"):
        text = getattr(args, name)
        goal = goal_of(name, text)
        bounds[name] = None if goal is None else (text, goal)
    return Wish(Look(args.wrap, args.numbers), chosen, bounds["since"], bounds["until"])
