"""The dashboard: watches hosts and runs, and hands every new look to the screens that show them. It only wires."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from hosts.connects import Connects
from hosts.errors import GatewatchError
from monitors.snapshot import Snapshot, State
from tui.app import GatewatchApp
from tui.dashboard_begin import add_late
from tui.dashboard_fleet import Ways, host_looks, log_of, show_log, uncover, unseen
from tui.dashboard_hosts import HOST, Station
from tui.dashboard_messages import Asks, Broken, Faltered, Looked
from tui.dashboard_runs import (
    HERE,
    Entry,
    Locator,
    Wanted,
    host_seen,
    import_what_opens,
    judge,
    names_of,
    place_of,
    seen_of,
    watch_of,
)
from tui.dashboard_since import Since
from tui.dashboard_stations import Stations
from tui.screens.home import HomeScreen
from tui.screens.secret import ScreenAsker, show_question
from tui.screens.subject import RunLook, RunPlace

if TYPE_CHECKING:
    from textual.timer import Timer

    from hosts.profiles import HostProfile
    from monitors.host import HostBody
    from tui.dashboard_runs import Sought
    from tui.screens.hosts import HostsScreen
    from tui.screens.stage_log import LookWanted

INTERVAL_S = 5.0
READ_ONLY = "read-only: start with --act"

_FEW = 16  # hosts whose looks are painted as they come
_SHOWER_S = 0.2


class DashboardApp(GatewatchApp):
    """Shows what is watched until somebody leaves.

    Args:
        begin: Finds what to watch, once the first paint is done; it uses `add`, `enter` and `home`.
        read_only: Nothing may be changed from here.
        interval: Seconds between looks that nothing called for, at most 120 (validated by the watch).
        since: What was there when somebody looked last.

    Attributes:
        entries: The runs, by what they are watched as.
        hosts: What was last seen of each host, by name.
        late: Runs whose file systems do not answer, and what watches each once that does.
        home: The screen below all others.
    """

    def __init__(
        self,
        begin: Callable[[DashboardApp], Coroutine[Any, Any, None]],
        *,
        read_only: bool = True,
        interval: float = INTERVAL_S,
        since: Since | None = None,
        ascii_only: bool = False,
        now: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
    ) -> None:
        super().__init__(ascii_only=ascii_only, now=now, zone=zone)
        self.read_only = read_only
        self.interval = interval
        self.entries: dict[str, Entry] = {}
        self.hosts: dict[str, Snapshot[HostBody]] = {}
        self.late: dict[Wanted, asyncio.Future[None]] = {}
        self.home = HomeScreen(self.enter, self._asked)
        self._begin = begin
        self._since = since or Since()
        self._locator = Locator()
        self._asker = ScreenAsker(lambda question: self.post_message(Asks(question)))
        self.connects = Connects(asker=self._asker)
        self._stations = Stations(self.connects, interval, self._took, self._faltered, self._opened)
        self._ways = Ways()
        self._hosts_shown: HostsScreen | None = None
        self._seconds: Timer | None = None
        self._unjudged: set[str] = set()
        self._home_due = False
        self._tasks: set[asyncio.Future[None]] = set()

    def get_default_screen(self) -> Screen[None]:
        """Home lies below everything."""
        return self.home

    def on_mount(self) -> None:
        """Paint first, then look."""
        self.call_after_refresh(self._start, self._begin(self))

    def open_run(self, run_dir: str, host: str | None = None, root: str | None = None) -> None:
        """Watch a run and go into it.

        Args:
            run_dir: Absolute on its host, or HOST:PATH.
            host: The name of its host's profile; None for a run of this machine.
            root: The checkout whose profile that is; None to find it.
        """
        self._start(self._open(Wanted(run_dir, root=root, host=None if host == HERE else host)))

    async def add(self, wanted: Sequence[Wanted]) -> list[str]:
        """Watch runs; returns what each is watched as. One that cannot be found is a row that says so."""
        found, late = await self._locator.locate_all(wanted)
        watches = await self.add_found(found)
        for one, answer in late.items():
            self.late[one] = asyncio.ensure_future(add_late(self, one, answer))
            self._start(self.late[one])
        return watches

    async def add_found(self, found: Iterable[tuple[Wanted, Sought]]) -> list[str]:
        """Watch runs that were found; returns what each is watched as."""
        watches: list[str] = []
        fresh: list[tuple[RunPlace, Station]] = []
        for wanted, watched in found:
            if isinstance(watched, GatewatchError):
                watches.append(name := wanted.name)
                self.entries[name] = Entry(name, wanted.title or name, wanted.host or HERE, problem=str(watched))
                continue
            origin = str(watched.checkout.root) if watched.checkout is not None else ""
            station = await self._station(watched.profile, watched.local, origin)
            watches.append(watch := watch_of(watched, station.name))
            if watch not in self.entries or self.entries[watch].place is None:
                reader, request = station.reader, station.request
                host = station.name if not watched.local or watched.profile is None else watched.profile.name
                place = place_of(watched, reader, host, self.read_only, request, wanted.title, self.connects)
                self.entries[watch] = Entry(watch, place.title, place.host, place)
                fresh.append((place, station))
        if fresh:
            self._show_home()
            await asyncio.to_thread(self._since.read, [place for place, _ in fresh])
            for station in dict.fromkeys(station for _, station in fresh if not station.local):
                # One that hangs delays no other
                self._start(self._begin_looking(station, [place for place, at in fresh if at is station]))
            for station in dict.fromkeys(station for _, station in fresh if station.local):
                await self._begin_looking(station, [place for place, at in fresh if at is station])
        self._show_home()
        return watches

    async def _begin_looking(self, station: Station, places: Sequence[RunPlace]) -> None:
        """Watch these, all at once: each set of runs costs the host one whole look."""
        if len(places) > 1 and not station.local:  # there each question takes a round trip
            judged = list(zip(places, await asyncio.gather(*map(judge, places)), strict=True))
        else:
            judged = [(place, await judge(place)) for place in places]
        for place, (monitor, problem) in judged:
            if problem:
                self._unjudged.add(place.watch)
            self.entries[place.watch] = replace(self.entries[place.watch], problem=problem)
            station.add(place.watch, monitor, place.run_dir)
        self._home_soon()

    async def add_host(self, profile: HostProfile, origin: str = "") -> Station:
        """Watch a host's accelerators, whether or not there is a run; `origin` is the checkout of its profile."""
        from jobs.connect import is_local

        return await self._station(profile, is_local(profile) and not profile.enter, origin)

    async def add_hosts(self, profiles: Iterable[HostProfile], origin: str = "") -> list[str]:
        """Watch several; returns what is wrong with those that cannot be, and which have no row of their own."""
        wrong = []
        for profile in profiles:
            known = {station.name for station in self._stations}
            try:
                station = await self.add_host(profile, origin)
                if station.local and station.name in known - {profile.name}:
                    wrong.append(f"host {profile.name} is this machine, which is shown as {station.name}")
            except GatewatchError as error:
                wrong.append(f"host {profile.name}: {error}" if profile.name not in str(error) else str(error))
        self._home_soon()
        return wrong

    def enter(self, watch: str) -> None:
        """Go into a run."""
        if not self.is_running:
            return
        entry = self.entries[watch]
        if entry.place is None:
            self.say(entry.problem, "warning")
        else:
            self._bring(self._open_run(entry.place))

    async def _open_run(self, place: RunPlace) -> None:
        await asyncio.to_thread(importlib.import_module, "tui.screens.run")  # the first time it takes a while
        from tui.screens.run import RunScreen

        if not self.is_running:  # it was left meanwhile
            return
        if any(isinstance(screen, RunScreen) and screen.watched == place.watch for screen in self.screen_stack):
            place.request()  # it is open already, under whatever covers it
            return
        screen = RunScreen(place)
        opened = self.push_screen(screen)
        if (look := self.entries[place.watch].look) is not None:
            screen.show(look)
        await opened
        self._start(import_what_opens(self.read_only))

    def on_looked(self, message: Looked) -> None:
        """Keep it, and hand it to whoever shows it."""
        if not self.is_running:  # it is being left: its screens are taken apart while this comes
            return
        self._home_soon()
        if message.watch == HOST:
            self.hosts[message.host] = host_seen(message.host, message.snapshot)
            self._take_ways()
            return
        entry = self.entries.get(message.watch)
        if entry is None or entry.place is None:
            return
        host = self.hosts.get(message.host)
        known = host is not None and host.state is not State.UNKNOWN
        look = RunLook(seen_of(message.snapshot), host if known else None)
        self.entries[message.watch] = replace(entry, look=look)
        self._since.take(entry.place, look.snapshot, self.now())
        for screen in self.screen_stack:
            if getattr(screen, "watched", None) == message.watch and hasattr(screen, "show"):
                screen.show(look)
        run = look.snapshot.body.run
        station = self._stations.named(message.host)
        if message.watch in self._unjudged and run is not None and run.plan is not None and station is not None:
            self._unjudged.discard(message.watch)
            self._start(self._begin_looking(station, [entry.place]))

    def on_asks(self, message: Asks) -> None:
        """Put the question on the screen."""
        show_question(self, message.question)

    def on_faltered(self, message: Faltered) -> None:
        """Say it."""
        self.say(f"{message.host}: {message.error}", "warning")

    def on_broken(self, message: Broken) -> None:
        """Our own defect is no state to go on in."""
        raise message.error

    async def on_unmount(self) -> None:
        """Let go of every host; what runs there goes on."""
        # First: whoever closes the terminal meanwhile ends us
        await asyncio.to_thread(self._since.write)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(station.close() for station in self._stations), return_exceptions=True)

    async def _open(self, wanted: Wanted) -> None:
        self.enter((await self.add([wanted]))[0])

    def _asked(self, what: str) -> None:
        """What Home was asked for."""
        if what == "poll":
            self._look_now(self._stations)
        elif what == "hosts":
            self.show_hosts()
        elif self.read_only:
            self.say(READ_ONLY, "warning")
        else:
            from tui.screens.form import open_form

            entry = self.entries.get(self.home.chosen)  # what is known of it is filled in
            open_form(self, entry.place if entry else None, entry.look if entry else None)

    def _home_soon(self) -> None:
        """Paint Home once for a shower of looks; with hundreds of hosts it never ends."""
        if self._home_due:
            return
        self._home_due = True
        if len(self._stations) <= _FEW:
            self.call_later(self._show_home)
        else:
            self.set_timer(_SHOWER_S, self._show_home)

    def _show_home(self) -> None:
        self._home_due = False
        if not self.is_running:
            return
        self.home.show_all(tuple(self.entries.values()), self.hosts)
        self._feed_hosts()
        self.home.say_since(self._since.lines(self.entries, self.now(), self.zone))

    async def _station(self, profile: HostProfile | None, local: bool, origin: str) -> Station:
        self.keep_private(names_of(profile))
        return await self._stations.at(profile, local, origin)

    def _opened(self, station: Station) -> None:
        if not station.local:
            self.hosts.setdefault(station.name, unseen(station.name))
            self._count_seconds()
        self._start(station.run())

    # The hosts, and the ways there.

    def on_hosts_wanted(self) -> None:
        """A screen asks for them."""
        self.show_hosts()

    def show_hosts(self) -> None:
        """Open the screen of the hosts."""
        if self.is_running:
            self._bring(self._open_hosts())

    async def _open_hosts(self) -> None:
        await asyncio.to_thread(importlib.import_module, "tui.screens.hosts")
        from tui.screens.hosts import HostsScreen

        if not self.is_running:
            return
        if self._hosts_shown is not None and self._hosts_shown in self.screen_stack:
            while self.screen is not self._hosts_shown:  # it lies below the run from which it is asked for
                _ = self.pop_screen()
            return
        self._hosts_shown = HostsScreen(self._hosts_asked, partial(log_of, self._stations))
        opened = self.push_screen(self._hosts_shown)
        self._feed_hosts()
        await opened

    def _feed_hosts(self) -> None:
        if self._hosts_shown is not None and self._hosts_shown in self.screen_stack:
            self._hosts_shown.show_hosts(host_looks(self._stations, self.hosts, self.entries))

    def _hosts_asked(self, what: str, name: str) -> None:
        """What the screen of the hosts was asked for."""
        if what == "poll":
            self._look_now(one for one in self._stations if name in ("", one.name))
        elif what == "enter" and not uncover(self, name):
            self.enter(name)
        elif what == "tail":
            self._bring(show_log(self, self._stations, name, self.read_only))

    def on_look_wanted(self, event: LookWanted) -> None:
        """A log's screen asks for its host."""
        self._look_now(one for one in self._stations if one.name == event.host)

    def _look_now(self, stations: Iterable[Station]) -> None:
        self._asker.ask_again()
        for station in stations:
            self._start(station.look_now())

    def _count_seconds(self) -> None:
        """From the first host on that is not this machine."""
        if self._seconds is None:
            self._seconds = self.set_interval(1.0, self._take_ways)

    def _take_ways(self) -> None:
        if not self.is_running or not self._ways.look(self._stations, self.now()):
            return
        self.home.show_ways(self._ways.now)
        self._feed_hosts()
        for screen in self.screen_stack:
            if hasattr(screen, "show_way"):
                screen.show_way()

    def _took(self, host: str, watch: str, snapshot: Snapshot[Any]) -> None:
        self.post_message(Looked(host, watch, snapshot))

    def _faltered(self, host: str, error: str) -> None:
        self.post_message(Faltered(host, error))

    def _bring(self, opening: Coroutine[Any, Any, None]) -> None:
        """Open a screen: it gets what is typed from now on."""
        waiting = ExitStack()
        waiting.enter_context(self.keys_waiting())  # at once: the next key may have been typed already
        task = asyncio.ensure_future(opening)
        task.add_done_callback(lambda _: waiting.close())
        self._start(task)

    def _start(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.post_message(Broken(error))
