"""`gatewatch hosts watch`: the dashboard, opened on the screen of the hosts. It only looks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hosts.profiles import HostProfile
    from tui.dashboard import DashboardApp

_NO_RUN = (
    "No run is watched.",
    "",
    "H shows the hosts.",
    "gatewatch watch HOST:/path shows a run on one of them.",
)


class HostsWatch:
    """Shows hosts and follows them until somebody leaves."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        from tui.cli.calibration_options import add_root
        from tui.cli.watch import add_screen

        parser.add_argument(
            "hosts",
            metavar="HOST",
            nargs="*",
            help="a profile in hosts/, or [user@]host as ssh knows it (default: every profile)",
        )
        add_root(parser)
        add_screen(parser, act=False)

    def run(self, args: argparse.Namespace) -> int:
        from tui.cli.watch import need_screen

        need_screen("gatewatch hosts gpus [HOST ...] [--json]")
        from tui.cli.watch_screen import first_words, show

        fleet = find_fleet(args.hosts, args.root)  # what is wrong is said without a screen
        with first_words([profile.name for profile in fleet.profiles]) as look:

            async def begin(app: DashboardApp) -> None:
                app.home.say_first(_NO_RUN)
                app.show_hosts()
                for note in await app.add_hosts(fleet.profiles):
                    app.say(note, "warning")
                for note in fleet.notes:
                    app.say(note, "warning")

            return show(args, begin, look, read_only=True)


WATCH = HostsWatch()


@dataclass(frozen=True)
class Fleet:
    """The hosts to watch, and what is wrong with those that cannot be."""

    profiles: tuple[HostProfile, ...]
    notes: tuple[str, ...] = ()


def find_fleet(names: Sequence[str], root: str | None) -> Fleet:
    """The hosts that are named, or all that have a profile; of the latter one that cannot be read hides no other.

    Raises:
        InputError: A name means no host, or there is none.
    """
    from hosts.errors import GatewatchError, InputError
    from hosts.profiles import profile_paths, read_profile
    from jobs.calibration.checkout import find_hosts
    from jobs.connect import refuse_stranger
    from jobs.named_host import named_profile

    if names:
        meant = tuple(named_profile(name, root) for name in dict.fromkeys(names))
        for profile in meant:
            refuse_stranger(profile)
        return Fleet(meant)
    try:
        folder = find_hosts(root)
    except InputError as error:
        raise InputError(f"{error}; or name a host: gatewatch hosts watch HOST") from None
    profiles, notes = [], []
    named: dict[str, str] = {}  # the file that has a name first
    for path in profile_paths(folder):
        try:
            file = read_profile(path)
            refuse_stranger(file.profile)
        except GatewatchError as error:
            notes.append(str(error))
            continue
        notes += file.warnings
        name, before = file.profile.name, named.setdefault(file.profile.name, path.name)
        if before != path.name:
            notes.append(f"{path} is called {name}, as {before} is; give it another as name:")
        profiles.append(file.profile)
    if not profiles:
        raise InputError(notes[0] if notes else f"no profile in {folder}; name a host: gatewatch hosts watch HOST")
    return Fleet(tuple(profiles), tuple(notes))
