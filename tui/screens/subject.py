"""What the screens of a run are given: where it lies, how it can be asked, and what was last seen of it.

A screen keeps nothing that a job holds in memory. It is given a look, paints it, and is given the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # a screen that is open before the first run is found needs none of it
    from collections.abc import Callable

    from hosts.connects import Connects
    from hosts.host import HostReader
    from jobs.calibration.locate import Watched
    from monitors.calibration.body import Calibration
    from monitors.host import HostBody
    from monitors.logs.opening import Connect
    from monitors.snapshot import Snapshot


@dataclass(frozen=True)
class RunPlace:
    """One run, and the way to it.

    Attributes:
        watch: What it is watched as; names it among all that are watched.
        title: What a person calls it, in a few words; may come from a folder's name, so it is not clean.
        watched: Where the run lies and what it is judged by.
        reader: Its host, to look and to read; it cannot act.
        host: The host's name.
        read_only: Nothing may be written, started or ended from here.
        connect: The way to its logs; None for a run of this machine.
        request: Asks for a look now.
        connects: What the connections of the app share; None where there are no others.
    """

    watch: str
    title: str
    watched: Watched
    reader: HostReader
    host: str
    read_only: bool
    connect: Connect | None
    request: Callable[[], None]
    connects: Connects | None = None

    @property
    def run_dir(self) -> str:
        """Absolute on its host."""
        return self.watched.run_dir


@dataclass(frozen=True)
class RunLook:
    """What was last seen of a run.

    Attributes:
        snapshot: Of the run directory.
        host: Of its host; None before the first look at it.
    """

    snapshot: Snapshot[Calibration]
    host: Snapshot[HostBody] | None = None


class ShowsRun(Protocol):
    """A screen that shows one run; the app hands it every new look, also while another screen covers it."""

    @property
    def watched(self) -> str:
        """Of which run it wants the looks."""
        ...

    def show(self, look: RunLook) -> None:
        """Paint it, or keep it until the screen is seen again; called on the app's own loop."""
        ...
