"""The keys of the fleet: from GPU to GPU and from host to host, and what they ask the screen for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.message import Message

from tui import keys
from tui.screens.host_cells import SIGNS, Measure
from tui.screens.host_facts import NOTED, HostFacts
from tui.screens.host_look import WAYS
from tui.screens.hosts_canvas import HostsCanvas
from tui.screens.hosts_table import column_at

if TYPE_CHECKING:
    from textual.events import Click, MouseScrollDown, MouseScrollUp

_TROUBLED = 6  # ranks below this one want somebody


class HostsView(HostsCanvas, can_focus=True):
    """The fleet, with a cursor.

    Attributes:
        meant: The host that the cursor was on when something came to lie over it, until somebody sees it again.
    """

    PANE = "hosts"
    HELP_TITLE = "hosts"
    HELP_SIGNS = (*SIGNS, *dict.fromkeys(WAYS.values()), NOTED)
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("hosts")]

    class Asked(Message):
        """Something that only the screen can do; the name of an action of the pane, or `sort` and a column's name.

        Attributes:
            host: What the cursor is on as it is asked: it may have moved when the screen comes to it.
        """

        def __init__(self, what: str, column: str = "", host: HostFacts | None = None) -> None:
            super().__init__()
            self.what = what
            self.column = column
            self.host = host

    def __init__(self) -> None:
        super().__init__()
        self.meant: HostFacts | None = None

    def mean(self) -> None:
        """Something comes to lie over it, such as the palette: what is asked for from there is about this host."""
        self.hold()
        self.meant = self.chosen

    def on_key(self) -> None:
        """Whoever presses a key here sees the cursor."""
        self.meant = None

    # Moving.

    def go_to(self, name: str) -> None:
        """Put the cursor on a host."""
        if name in self._spots:
            self._to(name, self.gpu if name == self.at else 0)

    def _to(self, name: str, gpu: int) -> None:
        moved, row, top = (name, gpu) != (self.at, self.gpu), self._row_at(), self._top
        self.at, self.gpu = name, gpu
        self.meant = None
        self.hold()
        if moved:
            self.brush = self._aimed()
            self._reveal()
            self._changed(() if self._top != top else (row, self._row_at()))

    def _step(self, rows: int) -> None:
        """So many rows down."""
        if not self.hosts:
            return
        if self.table:
            place = max(0, min(len(self.hosts) - 1, self._spots.get(self.at, 0) + rows))
            self._to(self.hosts[place].look.name, 0)
            return
        laid, spot = self._laid, self._spot()
        column = spot % laid.across
        row = max(0, min(laid.rows - 1, spot // laid.across + rows))
        there = laid.places[min(len(laid.places) - 1, row * laid.across + column)]
        self._on(there.host, there.first + self.gpu % laid.cells)

    def _on(self, host: int, gpu: int) -> None:
        facts = self.hosts[host]
        self._to(facts.look.name, max(0, min(gpu, len(facts.devices) - 1)))

    def _sideways(self, step: int) -> None:
        host = self._spots.get(self.at)
        if host is None:
            return
        gpu = self.gpu + step
        if 0 <= gpu < len(self.hosts[host].devices):
            self._on(host, gpu)
        elif self.table:
            self.hold()
        elif 0 <= host + step < len(self.hosts):
            self._on(host + step, 0 if step > 0 else len(self.hosts[host + step].devices) - 1)

    def action_up(self) -> None:
        self._step(-1)

    def action_down(self) -> None:
        self._step(1)

    def action_left(self) -> None:
        self._sideways(-1)

    def action_right(self) -> None:
        self._sideways(1)

    def action_page_up(self) -> None:
        self._step(1 - self._height)

    def action_page_down(self) -> None:
        self._step(max(1, self._height - 1))

    def action_home(self) -> None:
        if self.hosts:
            self._on(0, 0)

    def action_end(self) -> None:
        if self.hosts:
            self._on(len(self.hosts) - 1, 0)

    def action_next_trouble(self) -> None:
        """The next host that wants somebody, from the top again behind the last."""
        self._trouble(1)

    def action_previous_trouble(self) -> None:
        """The one before."""
        self._trouble(-1)

    def _trouble(self, step: int) -> None:
        start = self._spots.get(self.at, 0)
        for turn in range(1, len(self.hosts) + 1):
            place = (start + step * turn) % len(self.hosts)
            if self.hosts[place].trouble < _TROUBLED:
                self._on(place, 0)
                return

    # What it shows, and what it asks for.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """How full or how busy is a question only where a GPU has one cell."""
        if action == "measure":
            return not self.table and self._laid.each == 1 and bool(self.hosts)
        if action in ("open", "follow", "left", "right"):
            return bool(self.hosts)
        return True

    def action_measure(self) -> None:
        """How full, or how busy."""
        self.measure = Measure.BUSY if self.measure is Measure.MEMORY else Measure.MEMORY
        self.brush = self._aimed()
        self._changed()
        self.post_message(self.Asked("measure"))

    def action_table(self) -> None:
        """A table, or the grid."""
        self.table = not self.table
        self._top = 0
        self._lay()
        self.post_message(self.Asked("table"))

    def action_open(self) -> None:
        """All of the chosen host."""
        self._ask_about("open")

    def action_filter(self) -> None:
        """Type what hosts have to hold."""
        self.post_message(self.Asked("filter"))

    def action_order(self) -> None:
        """Sort by the next thing."""
        self.post_message(self.Asked("order"))

    def action_reverse(self) -> None:
        """The other way round."""
        self.post_message(self.Asked("reverse"))

    def action_follow(self) -> None:
        """Follow a file."""
        self._ask_about("follow")

    def _ask_about(self, what: str) -> None:
        host, self.meant = self.meant or self.chosen, None
        if host is self.chosen:
            self.hold()
        self.post_message(self.Asked(what, host=host))

    def action_poll(self) -> None:
        """Look at all hosts."""
        self.post_message(self.Asked("poll"))

    def action_back(self) -> None:
        """One layer back."""
        self.post_message(self.Asked("back"))

    # The mouse, which nobody needs.

    def on_click(self, event: Click) -> None:
        """A click chooses, and on the chosen one it opens; on a title it sorts."""
        if self.table and event.y == 0:
            self.post_message(self.Asked("sort", column_at(self._columns, event.x)))
            return
        before = (self.at, self.gpu)
        row = self._top + event.y - (1 if self.table else 0)
        if row < 0 or row >= self._total:
            return
        if self.table:
            self._on(row, 0)
        else:
            self._hit(row, event.x)
        if (self.at, self.gpu) == before:
            self.action_open()

    def _hit(self, row: int, x: int) -> None:
        laid = self._laid
        spot = row * laid.across + min(x // laid.block, laid.across - 1)
        if spot >= len(laid.places):
            return
        place = laid.places[spot]
        gap = 2 if laid.wide else 1
        begin = 3 + laid.name + gap + (laid.word + gap if laid.word else 0)
        inside = (x - begin - (0 if laid.wide else x // laid.block * laid.block)) // laid.each
        keep = self.gpu if self.hosts[place.host].look.name == self.at else place.first
        self._on(place.host, place.first + inside if 0 <= inside < laid.cells else keep)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self._step(1)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self._step(-1)
