"""Home: one glance at everything that is watched, worst first; then the hosts' accelerators as one strip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.screen import Screen

from monitors.poller import LONGEST_INTERVAL_S
from tui.screens.covered import is_covered
from tui.screens.home_detail import Detail, Space
from tui.screens.home_keyline import HomeKeyLine
from tui.screens.home_list import HomeList
from tui.screens.home_rows import out_of_sight, rows_of, sentence
from tui.screens.home_strip import strip_rows
from tui.screens.run_ink import Row, Rows, cut
from tui.screens.run_words import next_seen, seen

if TYPE_CHECKING:
    from textual.timer import Timer

    from hosts.connection import Connection
    from monitors.host import HostBody
    from monitors.snapshot import Snapshot
    from tui.app import GatewatchApp
    from tui.dashboard_runs import Entry

_TALL = 34  # rows of a screen on which more is told of the chosen run
_MOST_STRIP = 6  # rows of hosts on such a screen
_LEAST_DETAIL = 6  # rows of it, or it is one line
_LEAST_TICK_S = 1.0


class HomeScreen(Screen[None]):
    """Everything that is watched.

    Args:
        ask: Does what the list asks for: `poll`, `hosts` or `new`.
        enter: Goes into a run.
        first: What is said while there is no run, a line each; the first one is the sentence.
    """

    DEFAULT_CSS = """
    HomeScreen { layout: vertical; }
    HomeScreen #first { padding: 1 2; height: 1fr; display: none; }
    HomeScreen.-empty #first { display: block; }
    HomeScreen.-empty HomeList { height: 0; }
    HomeScreen #strip { dock: bottom; margin-bottom: 1; }
    """

    def __init__(
        self, enter: Callable[[str], None], ask: Callable[[str], None], first: Sequence[str] = ("Looking …",)
    ) -> None:
        super().__init__()
        self._enter = enter
        self._ask = ask
        self._first = tuple(first)
        self._entries: tuple[Entry, ...] = ()
        self._hosts: Mapping[str, Snapshot[HostBody]] = {}
        self._ways: Mapping[str, Connection] = {}
        self._since: tuple[str, ...] = ()
        self._note = ""
        self._timer: Timer | None = None
        self._detail = Detail()

    def compose(self) -> ComposeResult:
        yield Rows(id="top")
        yield Rows(id="first")
        yield HomeList()
        yield Rows(id="why")
        yield Rows(id="strip")
        yield HomeKeyLine()

    def on_mount(self) -> None:
        self.query_one(HomeList).focus()
        self._paint()

    def on_resize(self) -> None:
        self._repaint()

    def on_screen_resume(self) -> None:
        self._paint()

    @property
    def chosen(self) -> str:
        """Which run the cursor is on, "" for none."""
        row = self.query_one(HomeList).chosen
        return row.watch if row is not None else ""

    def show_all(self, entries: Sequence[Entry], hosts: Mapping[str, Snapshot[HostBody]]) -> None:
        """Paint these; while another screen covers it, keep them until it is seen again."""
        self._entries, self._hosts = tuple(entries), dict(hosts)
        self._repaint()

    def show_ways(self, ways: Mapping[str, Connection]) -> None:
        """Paint how the ways to the hosts stand, by name; a host without one is this machine."""
        before = self._unseen()
        self._ways = dict(ways)
        if self._unseen() != before:
            self._repaint()
        elif self._shown:
            self._paint_strip()

    def say_first(self, lines: Sequence[str]) -> None:
        """What is said while there is no run."""
        self._first = tuple(lines)
        self._repaint()

    def say_since(self, lines: Sequence[str]) -> None:
        """What happened since somebody looked last, worst first."""
        if tuple(lines) != self._since:
            self._since = tuple(lines)
            self._repaint()

    def note(self, text: str) -> None:
        """Something about the list itself, such as that not everything was searched; "" for nothing."""
        self._note = text
        self._repaint()

    def on_home_list_entered(self, message: HomeList.Entered) -> None:
        self._enter(message.watch)

    def on_home_list_asked(self, message: HomeList.Asked) -> None:
        self._ask(message.what)

    def on_home_list_chosen(self) -> None:
        self._paint_why()

    @property
    def _plain(self) -> bool:
        return bool(getattr(self.app, "ascii_only", False))

    @property
    def _room(self) -> int:
        """Rows between the top and the hosts, but for one that is always said of the chosen run."""
        around = len(self.query_one("#top", Rows).rows) + len(self.query_one("#strip", Rows).rows) + 1
        return max(2, self.size.height - around - 1)

    def _unseen(self) -> tuple[frozenset[str], int]:
        return out_of_sight(self._hosts.values(), self._ways)

    @property
    def _shown(self) -> bool:
        """Whether there is anything to paint on: while the app ends its widgets are taken away first."""
        return self.is_mounted and bool(self.children) and not is_covered(self)

    def _repaint(self) -> None:
        """Paint, unless another screen covers it: then it is painted when it is seen again."""
        if self._shown:
            self._paint()

    def _paint(self) -> None:
        app: GatewatchApp = self.app  # type: ignore[assignment]  # ours stands on no other
        now = app.now()
        rows = rows_of(self._entries, now, app.zone)
        self.set_class(not rows, "-empty")
        first = [text.replace("…", "...") if self._plain else text for text in self._first]
        said, colour = sentence(rows, *self._unseen()) if rows else (first[0], "")
        ages = [age for entry in self._entries if (age := _age(entry, now)) is not None]
        self._paint_top(said, colour, max(ages, default=None), now)
        self.query_one("#first", Rows).show_rows([((text, "" if text[:1] == " " else "muted"),) for text in first[1:]])
        self._paint_strip()
        table = self.query_one(HomeList)
        table.most = self._room if rows else None
        table.show_rows(rows)
        self._paint_why()
        self._tick(max(ages, default=None))

    def _paint_strip(self) -> None:
        app: GatewatchApp = self.app  # type: ignore[assignment]  # as above
        space = Space(self.size.width, 2 if self.size.height < _TALL else _MOST_STRIP, self._plain, app.now(), app.zone)
        self.query_one("#strip", Rows).show_rows(strip_rows(tuple(self._hosts.values()), self._ways, space))

    def _paint_top(self, said: str, colour: str, age: float | None, now: float) -> None:
        from tui.words import clock

        app: GatewatchApp = self.app  # type: ignore[assignment]  # as above
        right = "" if age is None else f"{'seen' if self._plain else '⟳'} {seen(age)}"
        time = clock(now, now, app.zone)[:5]
        end = f"{time}  {right}" if right else time
        old = "warning" if age is not None and age >= LONGEST_INTERVAL_S else "muted"
        room = self.size.width - len(end) - 4
        left = cut(said, max(0, room))
        gap = " " * max(2, self.size.width - 2 - len(end) - len(left))
        since = f" since {self._since[0]}" if self._since else ""
        second = since or (f" {self._note}" if self._note else "")
        top: list[Row] = [((" ", ""), (left, colour), (gap, ""), (time, "muted"), (f"  {right}" if right else "", old))]
        top.append(((cut(second, max(0, self.size.width - 1)), "secondary"),))
        self.query_one("#top", Rows).show_rows(top)

    def _paint_why(self) -> None:
        """What is behind the chosen row; on a tall screen all of it, in what the rows leave."""
        app: GatewatchApp = self.app  # type: ignore[assignment]  # as above
        table = self.query_one(HomeList)
        chosen, spare = table.chosen, 0
        if table.most is not None:
            spare = self._room + 1 - table.wanted
            table.styles.height = table.wanted if spare >= _LEAST_DETAIL else "1fr"
        elif table.styles.height is not None:
            table.styles.clear_rule("height")
        shown: tuple[Row, ...] = ((),)
        if chosen is not None:
            entry = next((one for one in self._entries if one.watch == chosen.watch), None)
            most = spare if spare >= _LEAST_DETAIL else 1
            space = Space(self.size.width, most, self._plain, app.now(), app.zone)
            shown = self._detail.rows(chosen, entry, space)
        self.query_one("#why", Rows).show_rows(shown)

    def _tick(self, age: float | None) -> None:
        """Paint again when an age would read otherwise; an idle screen does nothing in between."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = None
        if age is not None:
            self._timer = self.set_timer(max(_LEAST_TICK_S, next_seen(age)), self._ticked)

    def _ticked(self) -> None:
        self._repaint()


def _age(entry: Entry, now: float) -> float | None:
    received = entry.look.snapshot.seen.received if entry.look is not None else None
    return None if received is None else max(0.0, now - received)
