"""`gatewatch tail` on a screen of its own.

The log is opened, and its lines begin to be counted, while the framework is still being imported: that import is most
of the time until something can be seen.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from hosts.target import Target
from tui.cli.garbage import sweeping_in_pauses, throw_away_little_by_little
from tui.cli.tail_options import filter_of, goal_of
from tui.cli.terminal import Ending, take_keys_from_the_terminal

if TYPE_CHECKING:
    from tui.cli.tail_first import FirstLook
    from tui.cli.tail_open import EarlyModel
    from tui.logs.screen import TailApp, Wish
    from tui.screens.secret import ScreenAsker

_QUICK_S = 0.03  # that opening may take before the framework is imported beside it
_TURN_S = 0.0005


def run_screen(args: argparse.Namespace, target: Target, look: FirstLook) -> int:
    """Show the log until somebody leaves; `look` is what stands on the terminal until then.

    Raises:
        GatewatchError: It cannot be read, or what is asked for cannot be.
    """
    _check(args)
    ending = Ending()
    code = asyncio.run(_show(args, target, look, ending))
    look.close()  # gives back the terminal's own settings, which a signal would leave behind
    ending.follow()
    return code


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot be before anything is opened."""
    wanted = filter_of(args)
    if wanted is not None and args.regex:
        from monitors.logs.matching import matcher_of

        matcher_of(wanted)
    for name in ("since", "until"):
        goal_of(name, getattr(args, name))


class LateAsker:
    """Asks on the app's screen, once there is one: a login that asks sooner waits for it."""

    def __init__(self) -> None:
        self._asker: asyncio.Future[ScreenAsker] = asyncio.get_running_loop().create_future()

    async def ask(self, host: str, what: str) -> str | None:
        asker = await asyncio.shield(self._asker)
        return await asker.ask(host, what)

    def ask_on(self, app: TailApp) -> None:
        """From now on there is one."""
        from tui.screens.secret import ScreenAsker, show_question

        self._asker.set_result(ScreenAsker(lambda question: app.call_later(show_question, app, question)))

    def ask_again(self) -> None:
        """Ask also what was left unanswered: a person wants it tried."""
        if self._asker.done():
            self._asker.result().ask_again()


async def look_again(opening: asyncio.Future[EarlyModel], asker: LateAsker) -> None:
    """Try the host of a log that is open; of one that is being opened it is being tried.

    Raises:
        GatewatchError: It cannot be reached.
    """
    asker.ask_again()
    if opening.done():
        await opening.result().look_again()


async def _open(target: Target, asker: LateAsker) -> EarlyModel:
    """The log; who counts its lines starts beside us before we import what shows them."""
    from monitors.logs.scanning import SMALL, Scanner

    scanner = Scanner()
    if _size(target) > SMALL:
        scanner.start()
        await asyncio.sleep(0)  # it is started while we wait
    from tui.cli.tail_open import open_early

    return await open_early(target, scanner, asker)


def _size(target: Target) -> int:
    """Bytes of a log that is a file here; 0 for any other."""
    try:
        return os.stat(os.path.expanduser(target.path)).st_size if target.host is None else 0
    except (OSError, ValueError):  # whoever opens it says so
        return 0


async def _show(args: argparse.Namespace, target: Target, look: FirstLook, ending: Ending) -> int:
    asker = LateAsker()
    opening = asyncio.ensure_future(_open(target, asker))
    try:
        await asyncio.wait({opening}, timeout=_QUICK_S)
        with _taking_turns(), _telling(opening, look):
            await asyncio.to_thread(importlib.import_module, "tui.logs.screen")
        throw_away_little_by_little()
        if opening.done() or target.path == "-":
            await opening  # an error is said without a screen for it, and the keys are not standard input
        take_keys_from_the_terminal("--plain prints the log")
        from tui.logs.screen import TailApp
        from tui.shims import keep_screen

        again = None if target.host is None else partial(look_again, opening, asker)
        app = TailApp(lambda: opening, _wish(args), ascii_only=args.ascii, early=look.shown, again=again)
        app.keep_private(name for name in (target.host, target.user) if name)
        ending.leave_on_signals(app)
        if target.host is not None:
            asker.ask_on(app)
        if look.shown:
            keep_screen(app)
        look.hand_over()
        async with sweeping_in_pauses(lambda: app.typed_at):
            code = await app.run_async(mouse=not args.no_mouse)
        if app.failure is not None:
            raise app.failure
        return int(code or 0)
    finally:
        opening.cancel()
        if opening.done() and not opening.cancelled() and opening.exception() is None:
            await opening.result().close()


@contextlib.contextmanager
def _telling(opening: asyncio.Future[EarlyModel], look: FirstLook) -> Iterator[None]:
    """Say how many lines a large log has as soon as that is known; of a small one the framework says it as soon."""
    from hosts.local.wc import WORTH

    ends: list[Callable[[], None]] = []

    def opened(done: asyncio.Future[EarlyModel]) -> None:
        if done.cancelled() or done.exception() is not None:
            return
        model = done.result()

        def told() -> None:
            state = model.state
            if ends and state.lines is not None and state.bytes >= WORTH:
                ends.pop()()
                look.tell(state)

        ends.append(model.listen(told))

    opening.add_done_callback(opened)
    try:
        yield
    finally:
        opening.remove_done_callback(opened)
        for end in ends:
            end()


@contextlib.contextmanager
def _taking_turns() -> Iterator[None]:
    """Let the log be read and counted while another thread imports: it lets go of the interpreter more often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def _wish(args: argparse.Namespace) -> Wish:
    """How the log is to be shown at first."""
    from tui.logs.canvas import Look
    from tui.logs.filterpart import Chosen, Words
    from tui.logs.screen import Wish

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
