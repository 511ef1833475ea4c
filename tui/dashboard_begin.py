"""What a dashboard begins with: runs that are named, those that a workspace names, or those that are found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hosts.errors import GatewatchError
from tui.dashboard_runs import Wanted
from tui.sanitise import clean_inline
from tui.screens.secret import SecretScreen

if TYPE_CHECKING:
    from jobs.finding import Finder
    from tui.dashboard import DashboardApp

LOOK_AGAIN_S = 5.0


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
    from jobs.finding import Finder

    finders = [await asyncio.to_thread(Finder, folder) for folder in sight.below]
    for note in sight.notes:
        app.say(note, "warning")
    await app.add(sight.runs)
    for host in sight.hosts:
        await _add_host(app, host, sight.root)
    await _find(app, finders, sight)
    if len(app.entries) == 1:
        go_in(app, next(iter(app.entries)))
    while finders:
        await asyncio.sleep(LOOK_AGAIN_S)
        await _find(app, finders, sight)


def go_in(app: DashboardApp, watch: str) -> None:
    """Go into the only run, unless somebody has opened something meanwhile; what a host asks for nobody has opened."""
    opened = [screen for screen in app.screen_stack if not isinstance(screen, SecretScreen)]
    if opened == [app.home] and not app.is_opening:
        app.enter(watch)


async def _find(app: DashboardApp, finders: Sequence[Finder], sight: Sight) -> None:
    found = [await asyncio.to_thread(finder.look) for finder in finders]
    paths = dict.fromkeys(run for one in found for run in one.runs)
    known = {
        entry.place.run_dir for entry in app.entries.values() if entry.place is not None and entry.place.watched.local
    }
    fresh = [Wanted(path, root=sight.root) for path in paths if path not in known]
    if fresh:
        await app.add(fresh)
    app.home.note("; ".join(one.note for one in found if one.note))
    if not app.entries:
        app.home.say_first(first_words([finder.folder for finder in finders]))


async def _add_host(app: DashboardApp, name: str, root: str | None) -> None:
    from hosts.profiles import select_profile
    from jobs.calibration.checkout import find_hosts

    try:
        folder = await asyncio.to_thread(find_hosts, root)
        selected = await asyncio.to_thread(select_profile, folder, name, {})
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
