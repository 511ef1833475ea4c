"""The consent carried out: the one place on the screen's side at which something is made that can change a host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from hosts.errors import GatewatchError
from hosts.host import HostActor
from hosts.local.pasting import quoted
from jobs.calibration.apply import finish
from jobs.calibration.offering import Change, CutOff, Ready, Written, carry_out, standing
from jobs.connect import open_actor
from tui.screens.run_words import machine
from tui.screens.secret import URGENT
from tui.screens.subject import RunPlace
from tui.words import counted

UNCHANGED = "nothing was changed"


@dataclass(frozen=True)
class Ended:
    """How it ended, in lines for a person: what happened first, then what may be done about it."""

    lines: tuple[str, ...]
    well: bool = False
    title: str = "not applied"


@asynccontextmanager
async def acting(place: RunPlace) -> AsyncIterator[HostActor]:
    """The run's host as one that can act, for as long as this takes.

    Raises:
        InputError: This is read-only mode.
    """
    profile = place.watched.profile if not place.watched.local else None
    URGENT.set(True)
    actor = await asyncio.to_thread(open_actor, profile, place.read_only, place.connects)
    try:
        yield actor
    finally:
        await actor.close()


async def write_down(place: RunPlace, ready: Ready, change: Change, mode: str, who: str) -> Ended | CutOff:
    """Write what was shown, by the same steps as the command line's, and say how it ended."""
    try:
        async with acting(place) as actor:
            written = await carry_out(actor, ready.prepared, change.files, mode, who)
    except GatewatchError as error:
        return await _how_far(place, ready, change, error)
    return _written(written, place, ready, change)


async def mend(place: RunPlace, roll_back: bool) -> Ended:
    """Bring an interrupted apply to an end, and say how it ended."""
    try:
        async with acting(place) as actor:
            answer = await finish(actor, place.run_dir, roll_back)
    except GatewatchError as error:
        return Ended((str(error), *_commands(place)), title="not done")
    left = answer.get("left") if isinstance(answer, dict) else None
    alone = [str(one.get("path")) for one in (left if isinstance(left, list) else []) if isinstance(one, dict)]
    done = f"The interrupted apply was {'rolled back' if roll_back else 'completed'}."
    more = (f"Left alone, because others changed them: {', '.join(alone)}",) if alone else ()
    return Ended((done, *more), well=True, title="done")


def refused(error: GatewatchError | str) -> Ended:
    """It ended before anything was written."""
    said = str(error)
    return Ended((said if UNCHANGED in said or "not applied" in said else f"{said}; {UNCHANGED}.",))


async def _how_far(place: RunPlace, ready: Ready, change: Change, error: GatewatchError) -> Ended | CutOff:
    """What the run directory says of an apply that ended with an error: the answer alone may be lost."""
    try:
        found, newest = await standing(place.reader, place.watched)
    except GatewatchError as second:
        return Ended(
            (str(error), f"How far it came is not known: {second}", *_commands(place)),
            title="how it ended is not known",
        )
    if found is not None:
        return found
    if newest != ready.newest and newest is not None and "not applied" not in str(error):
        return _written(Written(False, problem=f"what the host said of it: {error}"), place, ready, change)
    return refused(error)


def _written(result: Written, place: RunPlace, ready: Ready, change: Change) -> Ended:
    number, files = counted(change.literals, "literal"), counted(len(change.files), "file")
    where = f"{number} in {files} of {ready.repo} on {machine(place)}"
    first = f"This very change had been written before: {where}" if result.already else f"Wrote {where}"
    after = [f"The report: {result.report}"] if result.report else [result.problem] if result.problem else []
    see = f"See it with: git -C {quoted(ready.repo)} diff"
    return Ended((f"{first}; nothing was committed.", see, *after), well=True, title="done")


def _commands(place: RunPlace) -> tuple[str, ...]:
    command = f"gatewatch calibrate apply --run-dir {quoted(place.watched.place)}"
    ways = (f"{command} {way}" for way in ("--finish", "--roll-back"))
    return ("If it was cut off, A on the run offers to bring it to an end, and so do:", *ways)
