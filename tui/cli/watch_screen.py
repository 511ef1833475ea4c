"""The dashboard on a terminal. What is asked for is looked up while the framework is still being imported."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import os
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gates.calibration.layout import PLAN
from hosts.errors import GatewatchError
from tui.answers import answers
from tui.cells import shorten
from tui.cli.garbage import sweeping_in_pauses, throw_away_little_by_little
from tui.cli.tail_first import FirstLook
from tui.cli.terminal import Ending, take_keys_from_the_terminal
from tui.sanitise import clean_inline, redact

if TYPE_CHECKING:
    from tui.dashboard import DashboardApp
    from tui.dashboard_begin import Sight

T = TypeVar("T")

_PATIENCE_S = 1.0  # that the file systems of runs may take to answer
_LOCATING_S = 5.0  # that those which answered may take for all that is asked then
_KEYS, _SCREEN = 0, 2  # the descriptors that the framework takes keys from and paints on
_INSTEAD = "without one: gatewatch calibrate status"


def watch_runs(args: argparse.Namespace) -> int:
    """Show the runs that are named until somebody leaves.

    Raises:
        GatewatchError: One of them is not there.
    """
    there = asyncio.run(_answers([partial(_is_there, name) for name in args.run_dir], _PATIENCE_S))
    with first_words(args.run_dir if False not in there else ()) as look:  # what is wrong is said without a screen
        from tui.dashboard_runs import Locator, Wanted

        locator = Locator()
        wanted = [Wanted(name, args.root, args.repo, args.host, args.model) for name in args.run_dir]
        answering = [one for one, answer in zip(wanted, there, strict=True) if answer is not None]
        located = asyncio.run(_answers([partial(locator.attempt, one) for one in answering], _LOCATING_S))
        found = {one: at for one, at in zip(answering, located, strict=True) if at is not None}
        for at in found.values():
            if isinstance(at, GatewatchError):
                raise at

        async def begin(app: DashboardApp) -> None:
            from tui.dashboard_begin import go_in_alone  # it needs the framework: a run that is not there does without

            await app.add_found(found.items())
            await app.add([one for one in wanted if one not in found])
            await go_in_alone(app)

        return show(args, begin, look, read_only=not args.act)


def _is_there(name: str) -> bool:
    return os.path.lexists(os.path.join(name, PLAN))


async def _answers(asked: Sequence[Callable[[], T]], patience: float) -> list[T | None]:
    """As `answers`; None for what has not come."""
    return [answer.result() if answer.done() else None for answer in await answers(asked, patience)]


def watch_here(args: argparse.Namespace) -> int:
    """Show what the workspace names, or what is found below the current folder, until somebody leaves.

    Raises:
        InputError: The workspace is wrong.
    """
    from jobs.finding import find_workspace

    folder = Path.cwd()
    path = find_workspace(folder)
    with first_words((str(folder),) if path is None else ()) as look:
        from tui.dashboard_begin import Sight, begin

        sight, read_only = Sight(below=(str(folder),)), True
        if path is not None:
            sight, read_only, interval = _of_workspace(path)
            args.interval = args.interval or interval
        return show(args, lambda app: begin(app, sight), look, read_only=read_only and not args.act)


def _of_workspace(path: Path) -> tuple[Sight, bool, float]:
    from jobs.workspace import read_workspace
    from tui.dashboard_begin import Sight
    from tui.dashboard_runs import Wanted

    file = read_workspace(path)
    said = file.value
    root = file.resolved(said.root) if said.root is not None else None
    runs = tuple(
        Wanted(file.resolved(one.run), root=root, model=one.model, title=one.title or "")
        for one in said.watch
        if one.run is not None
    )
    below = tuple(file.resolved(one.below) for one in said.watch if one.below is not None)
    if not said.watch:
        below = (str(file.folder),)
    return Sight(runs, below, said.hosts, root, file.warnings), said.read_only, said.interval_s


@contextlib.contextmanager
def first_words(names: Sequence[str]) -> Iterator[FirstLook]:
    """Say at once what is being looked at, before the framework is there; nothing where there are no names."""
    look = FirstLook()
    try:
        if names and all(map(os.isatty, (_KEYS, _SCREEN))):
            room = os.get_terminal_size(_SCREEN).columns - 2
            shown = ", ".join(clean_inline(redact(name), limit=400) for name in names)
            look.show([shorten(f"Looking at {shown}", room)] if room > 0 else [])
        yield look
    finally:
        look.close()


def show(
    args: argparse.Namespace,
    begin: Callable[[DashboardApp], Coroutine[Any, Any, None]],
    look: FirstLook,
    *,
    read_only: bool,
) -> int:
    """Run the dashboard until somebody leaves; returns the exit code. `look` is what stands there until then.

    Raises:
        GatewatchError, Exception: What ended it.
    """
    ending = Ending()
    code = asyncio.run(_show(args, begin, look, read_only, ending))
    look.close()  # gives back the terminal's own settings, which a signal would leave behind
    ending.follow()
    return code


async def _show(
    args: argparse.Namespace,
    begin: Callable[[DashboardApp], Coroutine[Any, Any, None]],
    look: FirstLook,
    read_only: bool,
    ending: Ending,
) -> int:
    await asyncio.to_thread(importlib.import_module, "tui.dashboard")
    throw_away_little_by_little()
    take_keys_from_the_terminal(_INSTEAD)
    from tui.dashboard import INTERVAL_S, DashboardApp
    from tui.shims import keep_screen

    app = DashboardApp(begin, read_only=read_only, interval=args.interval or INTERVAL_S, ascii_only=args.ascii)
    ending.leave_on_signals(app)
    if look.shown:
        keep_screen(app)
    look.hand_over()
    async with sweeping_in_pauses(lambda: app.typed_at):
        code = await app.run_async(mouse=not args.no_mouse)
    if app.failure is not None:
        raise app.failure
    return int(code or 0)
