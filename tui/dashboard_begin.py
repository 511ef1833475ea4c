"""What a dashboard begins with: runs that are named, those that a workspace names, or those that are found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hosts.errors import GatewatchError
from tui.answers import answers
from tui.dashboard_runs import Wanted
from tui.sanitise import clean_inline
from tui.screens.secret import SecretScreen

if TYPE_CHECKING:
    from pathlib import Path

    from hosts.profiles import Selected
    from jobs.finding import Finder, Found
    from tui.dashboard import DashboardApp
    from tui.dashboard_runs import Answer

    Searches = dict[Finder, asyncio.Future[Found] | None]  # what each was asked last

LOOK_AGAIN_S = 5.0
_PATIENCE_S = 5.0  # that a file system may take; a search ends itself after two


@dataclass(frozen=True)
class Sight:
    """What is to be watched.

    Attributes:
        runs: Those that are named.
        below: Folders of this machine whose runs are all watched, also those that come later; absolute.
        hosts: Profiles that are watched whether or not there is a run.
        root: The folder with the profiles, or a run's; None to find it.
        notes: What looked wrong in the workspace, a line each.
    """

    runs: tuple[Wanted, ...] = ()
    below: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    root: str | None = None
    notes: tuple[str, ...] = ()


async def begin(app: DashboardApp, sight: Sight) -> None:
    """Watch all of it; a single run is gone into. Ends only where nothing is searched."""
    for note in sight.notes:
        app.say(note, "warning")
    await app.add(sight.runs)
    await asyncio.gather(_add_hosts(app, sight), _watch_below(app, sight))  # a file system may hold up one of them


def go_in(app: DashboardApp, watch: str) -> None:
    """Go into the only run, unless somebody has opened something meanwhile; what a host asks for nobody has opened."""
    opened = [screen for screen in app.screen_stack if not isinstance(screen, SecretScreen)]
    if opened == [app.home] and not app.is_opening:
        app.enter(watch)


async def go_in_alone(app: DashboardApp) -> None:
    """Go into the only run, once its file system answers."""
    await asyncio.gather(*app.late.values())
    if len(app.entries) == 1:
        go_in(app, next(iter(app.entries)))


async def add_late(app: DashboardApp, wanted: Wanted, answer: Answer) -> None:
    """Watch a run once its file system answers; until then its row says that it does not."""
    found = await answer
    app.entries.pop(wanted.name, None)
    await app.add_found([(wanted, found)])
    app.late.pop(wanted, None)


async def _watch_below(app: DashboardApp, sight: Sight) -> None:
    from jobs.finding import Finder

    searches: Searches = dict.fromkeys(map(Finder, sight.below))
    await _find(app, searches, sight)
    await asyncio.gather(go_in_alone(app), _find_again(app, searches, sight))


async def _find_again(app: DashboardApp, searches: Searches, sight: Sight) -> None:
    while searches:
        await asyncio.sleep(LOOK_AGAIN_S)
        await _find(app, searches, sight)


async def _find(app: DashboardApp, searches: Searches, sight: Sight) -> None:
    due = [finder for finder, asked in searches.items() if asked is None or asked.done()]
    searches.update(zip(due, await answers([finder.look for finder in due], _PATIENCE_S), strict=True))
    found = [asked.result() for asked in searches.values() if asked is not None and asked.done()]
    paths = dict.fromkeys(run for one in found for run in one.runs)
    known = {
        entry.place.run_dir for entry in app.entries.values() if entry.place is not None and entry.place.watched.local
    }
    late = {one.run_dir for one in app.late}
    fresh = [Wanted(path, root=sight.root) for path in paths if path not in known and path not in late]
    if fresh:
        await app.add(fresh)
    notes = [one.note for one in found if one.note]
    silent = [finder.folder for finder, asked in searches.items() if asked is not None and not asked.done()]
    notes += [f"no answer from the file system of {clean_inline(folder, limit=120)}" for folder in silent]
    app.home.note("; ".join(notes))
    if not app.entries:
        app.home.say_first(first_words([finder.folder for finder in searches]))


async def _add_hosts(app: DashboardApp, sight: Sight) -> None:
    for host in sight.hosts:
        await _add_host(app, host, sight.root)


async def _add_host(app: DashboardApp, name: str, root: str | None) -> None:
    from hosts.profiles import select_profile
    from jobs.calibration.checkout import find_hosts

    def find() -> tuple[Path, Selected | None]:
        folder = find_hosts(root)
        return folder, select_profile(folder, name, {})

    try:
        (answer,) = await answers([find], _PATIENCE_S)
        if not answer.done():
            app.say(f"host {name}: no answer from the file system", "warning")
        folder, selected = await answer
    except GatewatchError as error:
        app.say(f"host {name}: {error}", "warning")
        return
    for note in await app.add_hosts([selected.file.profile] if selected is not None else [], str(folder.parent)):
        app.say(note, "warning")


def first_words(folders: Sequence[str]) -> tuple[str, ...]:
    """What somebody is told who has no run yet."""
    where = ", ".join(clean_inline(folder, limit=120) for folder in folders) or "here"
    return (
        f"No run is known in {where} or below it.",
        "",
        "Next:",
        "  gatewatch demo            calibrate a small example here, and watch it",
        "  gatewatch watch RUN_DIR   a run that lies elsewhere, also HOST:/path",
        "  gatewatch calibrate run   start a calibration of the checkout around you",
        "  gatewatch init            write a gatewatch.yaml that says what to watch",
        "",
        "A run that is started below this folder appears here by itself.",
    )
