"""The hosts, all at once: a cell a GPU or a line a host, and below them all of what the cursor is on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.screen import Screen

from tui.keyline import KeyLine
from tui.marks import Look
from tui.screens.covered import is_covered
from tui.screens.host_cells import FREE, GHOST, UNKNOWN, Measure, level
from tui.screens.host_facts import NEVER, ORDERS, HostFacts, kept, ordered, passing, sums
from tui.screens.host_look import HostLook, changes_soon
from tui.screens.host_tell import LEAST, tell
from tui.screens.hosts_asking import NO_PATH, Asking, follow, is_path
from tui.screens.hosts_grid import Brush
from tui.screens.hosts_view import HostsView
from tui.screens.leaving import leave
from tui.screens.run_ink import Row, Rows, Span, cut, width
from tui.screens.run_words import hour, next_seen
from tui.words import counted

if TYPE_CHECKING:
    from textual.events import DescendantFocus
    from textual.timer import Timer

    from tui.app import GatewatchApp
    from tui.logs.askbar import AskBar
    from tui.screens.host_screen import HostScreen
    from tui.screens.host_tails import OpenLog

_EVERY_S = 0.1  # between two paints of what comes in
_LEAST_TICK_S = 1.0
_TALL = 34  # rows of a screen on which more is told of the chosen host
_LEAST_MORE, _LEAST_MORE_LOW = 8, 12  # rows of it on a tall screen and on any other, or it is only `LEAST`
_OLD = Look("◌", "o", "not seen for 2 min", "warning")
_NONE = (
    "No host is watched.",
    "A host is a profile in hosts/ of a checkout, or a name that ssh knows:",
    "  gatewatch hosts watch NAME",
)


class HostsScreen(Screen[None]):
    """Every host that is watched.

    Args:
        asked: Does what only the app can: `poll` (a host's name, or "" for all), `enter` (what a run is watched as)
            or `tail` (HOST:PATH; of this machine the path alone).
        open_log: How a log of a host is opened; None where there is no way to.

    Attributes:
        opened: The screen of one host, while it is open.
    """

    DEFAULT_CSS = """
    HostsScreen { layout: vertical; overflow: hidden; }
    HostsScreen #hosts-none { padding: 1 2; height: 1fr; display: none; }
    HostsScreen.-none #hosts-none { display: block; }
    HostsScreen #hosts-tell { height: 1fr; }
    """

    def __init__(self, asked: Callable[[str, str], None], open_log: OpenLog | None = None) -> None:
        super().__init__()
        self._asked = asked
        self._open_log = open_log
        self._looks: tuple[HostLook, ...] = ()
        self._facts: dict[str, HostFacts] = {}
        self._view = HostsView()
        self._asking = Asking(self, "#hosts-keys")
        self._typing, self._kind = False, ""
        self._order = 0
        self._filter = self._filtered = ""
        self._height = -1
        self._offered: tuple[bool, ...] = ()
        self._painted = 0.0
        self._due: Timer | None = None
        self._timer: Timer | None = None
        self.opened: HostScreen | None = None

    def compose(self) -> ComposeResult:
        yield Rows(id="hosts-top")
        yield Rows(id="hosts-none")
        yield self._view
        yield Rows(id="hosts-tell")
        yield KeyLine(id="hosts-keys")

    def on_mount(self) -> None:
        self._view.focus()
        self._paint()

    def on_resize(self) -> None:
        self._repaint()

    def on_screen_resume(self) -> None:
        self._paint()

    def on_screen_suspend(self) -> None:
        self._view.mean()

    def on_mouse_down(self) -> None:
        """Whoever clicks here sees the cursor, as whoever presses a key does."""
        self._view.meant = None

    def on_unmount(self) -> None:
        for timer in (self._due, self._timer):
            if timer is not None:
                timer.stop()

    def show_hosts(self, looks: tuple[HostLook, ...]) -> None:
        """Show these from now on; while another screen covers it, they are kept until it is seen again."""
        self._looks = looks
        if self.opened is not None and self.opened in self.app.screen_stack:
            self.opened.show_hosts(looks)
        if not self.is_mounted or self._due is not None or is_covered(self):
            return
        wait = self._painted + _EVERY_S - time.monotonic()
        if wait <= 0:
            self._paint()
        else:
            self._due = self.set_timer(wait, self._repaint)

    @property
    def settled(self) -> bool:
        """Whether all that was handed in is shown."""
        return self._due is None

    # What the view asks for.

    async def on_hosts_view_asked(self, message: HostsView.Asked) -> None:
        """Do it."""
        what, host = message.what, message.host
        if what == "open" and host is not None:
            self.open_host(host.look.name)
        elif what == "filter":
            self._filtered = self._filter
            await self._ask("hosts", self._filter)
        elif what == "follow" and host is not None:
            await self._ask("host-file", "", host.look)
        elif what == "order":
            self._order = (self._order + 1) % len(ORDERS)
            self._view.reverse = False
            self._paint()
        elif what == "reverse":
            self._view.reverse = not self._view.reverse
            self._paint()
        elif what == "sort":
            self._sort(message.column)
        elif what == "poll":
            self._asked("poll", "")
        elif what == "back":
            self._back()
        else:  # the view shows it another way
            self._paint()

    def _sort(self, column: str) -> None:
        """By a column of the table; the other way round where it is sorted by that already."""
        place = next((place for place, order in enumerate(ORDERS) if order.name == column), None)
        if place is not None:
            self._view.reverse = place == self._order and not self._view.reverse
            self._order = place
            self._paint()

    def on_hosts_canvas_moved(self) -> None:
        """Tell of what the cursor is on now."""
        self._paint_tell()
        self._tick()

    def open_host(self, name: str) -> None:
        """Show one host in full."""
        from tui.screens.host_screen import HostScreen

        self.opened = HostScreen(name, self._asked, self._neighbour, self._open_log)
        self.opened.show_hosts(self._looks)
        _ = self.app.push_screen(self.opened)

    def _neighbour(self, name: str, step: int) -> str:
        """The host before or behind another, in the order that is shown."""
        watched = {name, *(look.name for look in self._looks)}  # the view is not painted while a host is open
        names = [host.look.name for host in self._view.hosts if host.look.name in watched]
        if name not in names:
            return name
        found = names[max(0, min(len(names) - 1, names.index(name) + step))]
        self._view.go_to(found)
        return found

    def _back(self) -> None:
        if self._filter:
            self._filter = ""
            self._paint()
        elif len(self.app.screen_stack) > 1:
            leave(self)

    # The line for typing.

    async def _ask(self, kind: str, text: str, about: HostLook | None = None) -> None:
        self._typing, self._kind = True, kind
        await self._asking.open(kind, text, about)
        self._paint()

    def _asked_it(self) -> None:
        self._typing = False
        self._asking.close(self._view)
        self._paint()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """A click into the hosts ends the typing, as Escape does."""
        if self._typing and event.widget is self._view:
            self._cancel(self._kind)

    def on_ask_bar_edited(self, event: AskBar.Edited) -> None:
        """Filter while somebody types."""
        event.stop()
        if event.kind == "hosts":
            self._filter = event.typed.text.strip()
            self._paint()

    def on_ask_bar_taken(self, event: AskBar.Taken) -> None:
        """Enter was pressed."""
        event.stop()
        text, host = event.typed.text.strip(), self._asking.about
        if event.kind == "hosts":
            self._filter = text
            self._view.hold()
        elif text and not is_path(text):
            self._asking.refuse(NO_PATH)
            return
        elif text and host is not None:
            follow(host, text, self._asked)
        self._asked_it()

    def on_ask_bar_cancelled(self, event: AskBar.Cancelled) -> None:
        """Escape was pressed: as before."""
        event.stop()
        self._cancel(event.kind)

    def _cancel(self, kind: str) -> None:
        if kind == "hosts":
            self._filter = self._filtered
        self._asked_it()

    # Painting.

    @property
    def _plain(self) -> bool:
        return bool(getattr(self.app, "ascii_only", False))

    def _brush(self) -> Brush:
        app: GatewatchApp = self.app  # type: ignore[assignment]  # ours stands on no other
        now = app.now()
        chosen = (self._view.at, self._view.gpu)
        return Brush(self._view.measure, now, lambda when: hour(when, now, app.zone), self._plain, chosen)

    def _repaint(self) -> None:
        """Paint, unless another screen covers it: then it is painted when it is seen again."""
        self._due = None
        if self.is_mounted and not is_covered(self):
            self._paint()

    def _paint(self) -> None:
        self._painted = time.monotonic()
        self._facts = kept(self._facts, self._looks)
        hosts = list(self._facts.values())
        view, brush = self._view, self._brush()
        view.order = ORDERS[self._order]
        shown = ordered(passing(hosts, self._filter) if self._filter else hosts, view.order, view.reverse)
        self.set_class(not hosts, "-none")
        self.query_one("#hosts-none", Rows).show_rows(
            [((text, "muted" if place else ""),) for place, text in enumerate(_NONE)]
        )
        view.most = self._room
        view.show_all(shown, brush)
        self._paint_top(hosts, brush)
        self._paint_tell()
        self._tick()
        offered = (bool(shown), view.table, view.pairs)
        if offered != self._offered:
            self._offered = offered
            self.query_one(KeyLine).refresh()

    @property
    def _room(self) -> int:
        """Rows between the top and the least that is told."""
        return max(1, self.size.height - 2 - LEAST - 1 - self._typing - (self.size.height >= _TALL))

    def _paint_tell(self) -> None:
        """What the cursor is on; where the hosts leave room, all GPUs of its host too."""
        view = self._view
        tall = self.size.height >= _TALL
        spare = self._room + LEAST - view.wanted - (not tall)  # the blank row before it
        more = spare >= (_LEAST_MORE if tall else _LEAST_MORE_LOW) and bool(view.hosts)
        height = view.wanted if more else view.most if self._looks else 0
        if height != self._height:
            self._height = view.styles.height = height
        rows: tuple[Row, ...] = tell(view.chosen, view.gpu, self.size.width, spare if more else LEAST, self._brush())
        rows = (*rows, *(() for _ in range(LEAST - len(rows))))
        self.query_one("#hosts-tell", Rows).show_rows([(), *rows] if tall or more else rows)

    def _paint_top(self, hosts: list[HostFacts], brush: Brush) -> None:
        """How many there are, their order and the filter; then who wants somebody, and what the cells mean."""
        view, counts = self._view, sums(hosts)
        said: list[Span] = [(" ", ""), (counted(counts.hosts, "host") if hosts else "hosts", "strong")]
        if counts.gpus:
            unknown = f", {counts.unknown:,} unknown" if counts.unknown else ""
            said.append((f"  {counted(counts.gpus, 'GPU')}: {counts.free:,} free{unknown}", ""))
        if self._filter:
            shown = cut(self._filter, max(8, self.size.width // 3), brush.more)
            said.append((f"  only {shown}: {len(view.hosts):,}", "accent"))
        said.append((f"  {view.order.says}{', reversed' if view.reverse else ''}" if hosts else "", "muted"))
        right = hour(brush.now, brush.now, getattr(self.app, "zone", None))
        first = _within(said, self.size.width - len(right) - 3, brush.more)
        gap = " " * max(1, self.size.width - width(first) - len(right) - 1)
        wants = _wants(counts.words, self.size.width - 1, self._plain)
        legend = _legend(view.measure, view.pairs, self._plain) if counts.gpus and not view.table else []
        if not wants and hosts:
            wants = _calm(hosts, brush.now, self.size.width - 1, self._plain)
        if width([*wants, *legend]) >= self.size.width:
            legend = []
        second = _within([*wants, *legend], self.size.width - 1, brush.more)
        self.query_one("#hosts-top", Rows).show_rows([(*first, (gap, ""), (right, "muted")), second])

    def _tick(self) -> None:
        """Paint again when something on screen would read otherwise; an idle screen does nothing in between."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = None
        now, delays = self._brush().now, []
        for host in self._view.on_screen:
            age = host.age(now)
            delays += [next_seen(age)] if age is not None else []
            delays += [_LEAST_TICK_S] if changes_soon(host.look.connection) else []
        if delays and self.is_mounted:
            self._timer = self.set_timer(max(_LEAST_TICK_S, min(delays)), self._repaint)


def _wants(words: Sequence[tuple[Look, int]], room: int, plain: bool) -> list[Span]:
    """How many hosts are in each state that wants somebody; where not all has room the least bad lose their words."""
    for told in range(len(words), -1, -1):
        spans: list[Span] = []
        for place, (look, number) in enumerate(words):
            word = (" to note" if look.word.startswith("up,") else f" {look.word}") if place < told else ""
            spans += [("  " if spans else " ", ""), (f"{look.sign(plain)} {number:,}{word}", look.style)]
        if width(spans) <= room:
            break
    return spans


def _calm(hosts: Sequence[HostFacts], now: float, room: int, plain: bool) -> list[Span]:
    """What is said where no host is in trouble; those that cannot be seen are not well."""
    new = sum(host.look.snapshot is None for host in hosts)
    told = (NEVER, new), (_OLD, sum(host.aged(now) for host in hosts) - new)
    unsure = [(look, number) for look, number in told if number]
    return _wants(unsure, room, plain) if unsure else [(" all hosts are well", "success")]


def _within(spans: list[Span], room: int, more: str) -> Row:
    """As many spans as fit, the last of them cut."""
    shown: list[Span] = []
    for text, style in spans:
        left = room - width(shown)
        if left <= 1:
            break
        shown.append((cut(text, left, more), style))
    return tuple(shown)


def _legend(measure: Measure, pairs: bool, plain: bool) -> list[Span]:
    what = "memory, then how busy" if pairs else measure.value
    ends = f"{level(0.0, plain)} to {level(1.0, plain)}"
    said: list[Span] = [(f"   cells: {what} ", "muted"), (ends, "primary")]
    for look, word in ((FREE, "free"), (GHOST, "ghost"), (UNKNOWN, "unknown")):
        said += [("  ", ""), (look.sign(plain), look.style), (f" {word}", "muted")]
    return said
