"""The runs that a dashboard knows, and how it comes to know one: from words to a place that can be watched."""

from __future__ import annotations

import asyncio
import importlib
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.lent import lend
from hosts.local.reasons import why
from monitors.calibration import Calibration, CalibrationMonitor
from monitors.host import HostBody
from monitors.snapshot import Snapshot
from tui.answers import answers
from tui.screens.subject import RunLook, RunPlace

if TYPE_CHECKING:
    from pathlib import Path

    from gates.calibration.schema import Manifest
    from hosts.connects import Connects
    from hosts.host import HostReader
    from hosts.profiles import HostProfile
    from jobs.calibration.locate import Watched

    Sought = Watched | GatewatchError
    Answer = asyncio.Future[Sought]

HERE = "here"
"""What this machine is called where no profile names it."""

_PATIENCE_S = 2.0  # that the file system of a run may take
_LOOKING = ("tui.screens.stage", "tui.help")
_ACTING = ("tui.screens.prompt", "tui.screens.resume", "tui.screens.form")
"""What a key in a run opens."""


@dataclass(frozen=True)
class Wanted:
    """A run that somebody asked for, in his words.

    Attributes:
        run_dir: A path, a name below `.tune-runs/`, or HOST:PATH; None for the newest.
        root, repo, host, model: As the options of these names.
        title: What to call it; by default its folder's name.
    """

    run_dir: str | None
    root: str | None = None
    repo: str | None = None
    host: str | None = None
    model: str | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """What it is called until it is found."""
        return self.run_dir or "the newest run"


@dataclass(frozen=True)
class Entry:
    """One run of the dashboard.

    Attributes:
        watch: Names it among all.
        title: What a person calls it; not clean.
        where: Its host's name.
        place: How it is watched; None where it cannot be.
        look: What was last seen; None before the first look.
        problem: What is wrong with the watching, "" where nothing is.
    """

    watch: str
    title: str
    where: str
    place: RunPlace | None = None
    look: RunLook | None = None
    problem: str = ""


class Locator:
    """Finds runs; of a checkout that many runs share, each manifest is read once and again when it has changed.

    All but `locate_all` block: they belong into a thread.
    """

    def __init__(self) -> None:
        self._read: dict[Path, tuple[tuple[int, int], Manifest | None]] = {}

    def locate(self, wanted: Wanted) -> Watched:
        """Find the run that is wanted.

        Raises:
            InputError: It is not there, or its host is not known.
        """
        from jobs.calibration.locate import Watched, find_run

        locator = self

        @dataclass(frozen=True)
        class Known(Watched):
            def manifest(self, model: str) -> Manifest | None:
                return locator.manifest(self, model, super().manifest)

        found = find_run(wanted.run_dir, wanted.root, wanted.repo, wanted.host, wanted.model)
        return Known(**vars(found))

    def attempt(self, wanted: Wanted) -> Sought:
        """As `locate`, or what is wrong; a mount that was dead may come back with an error of its own."""
        try:
            return self.locate(wanted)
        except GatewatchError as error:
            return error
        except OSError as error:
            return InputError(f"{wanted.name}: {why(error)}")

    async def locate_all(self, wanted: Sequence[Wanted]) -> tuple[list[tuple[Wanted, Sought]], dict[Wanted, Answer]]:
        """Find them; one that cannot be found has its error instead.

        So has one whose file system does not answer, and what is still to come of it is returned beside.
        """
        await asyncio.to_thread(importlib.import_module, "jobs.calibration.locate")  # the first time it takes a while
        asked = await answers([partial(self.attempt, one) for one in wanted], _PATIENCE_S)
        found: list[tuple[Wanted, Sought]] = []
        late: dict[Wanted, Answer] = {}
        for one, answer in zip(wanted, asked, strict=True):
            if answer.done():
                found.append((one, answer.result()))
            else:
                found.append((one, UnreachableError(f"{one.name}: no answer from the file system")))
                late[one] = answer
        return found, late

    def manifest(self, watched: Watched, model: str, read: Callable[[str], Manifest | None]) -> Manifest | None:
        """What `read` gives, from memory where the file is the same."""
        if watched.checkout is None:
            return None
        path = watched.checkout.manifest_path(model)
        try:
            status = path.stat()
        except OSError:
            return read(model)
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._read.get(path)
        if known is None or known[0] != stamp:
            known = self._read[path] = (stamp, read(model))
        return known[1]


def names_of(profile: HostProfile | None) -> set[str]:
    """The names of a host, and of whom we are there."""
    if profile is None:
        return {HERE}
    ssh = profile.ssh
    said = {profile.name, profile.hostname, *((ssh.host, ssh.user) if ssh is not None else ())}
    return {name for name in said if name}


def watch_of(watched: Watched, host: str) -> str:
    """What the run is watched as; `host` is what its host is called among all."""
    own = watched.profile.name if watched.profile is not None else HERE
    return watched.place if watched.local or host == own else f"{host}:{watched.run_dir}"


def place_of(
    watched: Watched,
    reader: HostReader,
    host: str,
    read_only: bool,
    request: Callable[[], None],
    title: str = "",
    connects: Connects | None = None,
) -> RunPlace:
    """All that a screen needs of the run."""
    return RunPlace(
        watch=watch_of(watched, host),
        title=title or posixpath.basename(watched.run_dir.rstrip("/")) or watched.run_dir,
        watched=watched,
        reader=reader,
        host=host,
        read_only=read_only,
        connect=None if watched.local else lending(reader),
        request=request,
        connects=connects,
    )


def lending(reader: HostReader) -> Callable[[str], Any]:
    """The way to the logs of a run: the one that its host is watched over, whoever opens how many of them."""

    async def connect(_name: str) -> HostReader:
        return lend(reader)

    return connect


async def judge(place: RunPlace) -> tuple[CalibrationMonitor, str]:
    """A monitor of the run, and what is wrong with what it judges by; it watches whatever is wrong."""
    from jobs.calibration.watch import make_monitor

    try:
        return await make_monitor(place.reader, place.watched), ""
    except GatewatchError as error:
        return CalibrationMonitor(place.run_dir, None, place.watched.reference()), str(error)


def seen_of(snapshot: Snapshot[Any]) -> Snapshot[Calibration]:
    """The snapshot as a run's; where nothing was ever seen, of an empty one."""
    return snapshot if isinstance(snapshot.body, Calibration) else replace(snapshot, body=Calibration())


def host_seen(name: str, snapshot: Snapshot[Any]) -> Snapshot[HostBody]:
    """The snapshot as that of the host of this name; where nothing was ever seen, nothing is known of it."""
    return replace(snapshot, watch=name, body=snapshot.body if isinstance(snapshot.body, HostBody) else HostBody())


async def import_what_opens(read_only: bool) -> None:
    """Import what a key in a run opens while nobody waits: later it would hold the event loop."""
    for name in _LOOKING if read_only else (*_LOOKING, *_ACTING):
        await asyncio.to_thread(importlib.import_module, name)
