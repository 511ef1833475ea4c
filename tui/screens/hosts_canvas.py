"""The fleet as it is painted, as a grid or as a table: it makes the rows that are on screen, and no others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from hosts.host import GpuDevice
from tui.logs.scrollbar import Span as BarSpan
from tui.logs.scrollbar import thumb
from tui.marks import rule
from tui.screens import run_ink
from tui.screens.host_cells import Measure
from tui.screens.host_facts import ORDERS, HostFacts, Order
from tui.screens.hosts_grid import CURSOR, Brush, Layout, block, layout
from tui.screens.hosts_table import Columns, columns, head, line
from tui.screens.run_ink import Row, Span


class HostsCanvas(Widget):
    """Keeps its place on a host and a GPU of it, whatever happens to the order.

    Attributes:
        hosts: What is shown, in its order.
        table: A line a host; else a cell a GPU.
        measure: What a cell shows.
        order, reverse: As `hosts` is sorted; only its title shows it here.
        at: The chosen host, "" where there is none.
        gpu: The chosen GPU of it, counted from 0.
        most: Rows that it may have, titles included.
        built: Rows that were made.
        paints: How often something was painted anew.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *run_ink.CLASSES,
        "hosts--row",
        "hosts--cursor",
        "hosts--thumb",
        "hosts--track",
    }
    DEFAULT_CSS = """
    HostsCanvas { height: 1fr; width: 1fr; }
    HostsCanvas .hosts--cursor { color: $text-accent; background: $selection; text-style: bold; }
    HostsCanvas .hosts--row { background: $panel; }
    HostsCanvas .hosts--thumb { color: $primary; }
    HostsCanvas .hosts--track { color: $panel; }
    """ + run_ink.css("HostsCanvas")

    class Moved(Message):
        """Another host or GPU is the chosen one, or what is shown of it changed."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, HostsCanvas.Moved)

    def __init__(self) -> None:
        super().__init__()
        self.hosts: tuple[HostFacts, ...] = ()
        self.table = False
        self.measure = Measure.MEMORY
        self.order: Order = ORDERS[0]
        self.reverse = False
        self.at = ""
        self.gpu = 0
        self.brush = Brush(Measure.MEMORY, 0.0, str, False)
        self.most = 1
        self.built = 0
        self.paints = 0
        self._held: tuple[str, GpuDevice | None] = ("", None)
        self._top = 0
        self._laid = Layout()
        self._columns = Columns((), wide=False)
        self._spots: dict[str, int] = {}

    # What is shown.

    def show_all(self, hosts: Sequence[HostFacts], brush: Brush) -> None:
        """Show these from now on, in this order."""
        self.brush = brush
        self.hosts = tuple(hosts)
        self._lay()

    @property
    def chosen(self) -> HostFacts | None:
        """The host that the keys are about."""
        place = self._spots.get(self.at)
        return self.hosts[place] if place is not None else None

    @property
    def on_screen(self) -> tuple[HostFacts, ...]:
        """The hosts that are on screen now."""
        if self.table:
            return self.hosts[self._top : self._top + self._height]
        across = self._laid.across
        places = self._laid.places[self._top * across : (self._top + self._height) * across]
        return tuple(self.hosts[index] for index in dict.fromkeys(place.host for place in places))

    @property
    def wanted(self) -> int:
        """Rows that it takes to show everything."""
        return len(self.hosts) + 1 if self.table else self._laid.rows

    @property
    def pairs(self) -> bool:
        """Whether each GPU has a cell for how full and one for how busy it is."""
        return not self.table and self._laid.each > 1

    def hold(self) -> None:
        """What the cursor is on was chosen by somebody: it goes back there, where that was gone for a while."""
        host = self.chosen
        if host is not None:
            self._held = self.at, host.devices[self.gpu] if self.gpu < len(host.devices) else None

    def _lay(self) -> None:
        self._spots = {host.look.name: place for place, host in enumerate(self.hosts)}
        held, device = self._held
        if held in self._spots:
            self.at = held
            found = _place_of(device, self.hosts[self._spots[held]].devices)
            self.gpu = self.gpu if found is None else found
        elif not held or self.at not in self._spots:
            self.at, self.gpu = (self.hosts[0].look.name if self.hosts else ""), 0
        host = self.chosen
        self.gpu = max(0, min(self.gpu, len(host.devices) - 1)) if host is not None else 0
        room = max(1, self.size.width)
        if self.table:
            self._columns = columns(self.hosts, room - (len(self.hosts) > self._height))
        else:
            self._laid = layout(self.hosts, room, self._height)
            if self._laid.rows > self._height:  # the bar takes one
                self._laid = layout(self.hosts, max(1, room - 1), self._height)
        self._reveal()
        self._changed()

    @property
    def _height(self) -> int:
        return max(1, self.most - (1 if self.table else 0))

    @property
    def _total(self) -> int:
        return len(self.hosts) if self.table else self._laid.rows

    def _row_at(self) -> int:
        """The row that the cursor is on."""
        place = self._spots.get(self.at, 0)
        return place if self.table else self._spot() // self._laid.across

    def _spot(self) -> int:
        """The place of the grid that the cursor is on."""
        host = self._spots.get(self.at, 0)
        part = self.gpu // self._laid.cells
        for index, place in enumerate(self._laid.places):
            if place.host == host and place.first // self._laid.cells == part:
                return index
        return 0

    def _reveal(self) -> None:
        row = self._row_at()
        if row < self._top:
            self._top = row
        elif row >= self._top + self._height:
            self._top = row - self._height + 1
        self._top = max(0, min(self._top, self._total - self._height))

    def _changed(self, rows: Collection[int] = ()) -> None:
        """Paint these rows of all, or everything."""
        self.paints += 1
        if rows:
            at = self._top - (1 if self.table else 0)
            self.refresh(*(Region(0, row - at, self.size.width, 1) for row in set(rows)))
        else:
            self.refresh()
        self.post_message(self.Moved())

    def _aimed(self) -> Brush:
        return replace(self.brush, measure=self.measure, chosen=(self.at, self.gpu))

    def on_resize(self) -> None:
        self._lay()

    # Painting.

    def render_line(self, y: int) -> Strip:
        """One row of blocks, or one host."""
        base = self.rich_style
        bar = self._bar(y, base)
        room = self.size.width - len(bar)
        brush = self._aimed()
        if self.table and y == 0:
            row: Row = head(self._columns, self.order, self.reverse, brush.ascii_only) if self.hosts else ()
            return self._strip(row, room, base, bar)
        place = self._top + y - (1 if self.table else 0)
        if place >= self._total:
            return self._strip((), room, base, bar)
        self.built += 1
        if self.table:
            host = self.hosts[place]
            here = host.look.name == self.at
            ground = base + self.get_component_rich_style("hosts--row", partial=True) if here else base
            return self._strip(line(host, self._columns, brush), room, ground, bar, base)
        across = self._laid.across
        blocks = self._laid.places[place * across : (place + 1) * across]
        row = tuple(span for one in blocks for span in block(self.hosts[one.host], one, self._laid, brush))
        return self._strip(row, room, base, bar)

    def _strip(self, row: Row, room: int, ground: Style, bar: list[Segment], base: Style | None = None) -> Strip:
        segments: list[Segment] = []
        inks: dict[str, Style] = {}
        for name, spans in groupby(row, key=_ink_of):
            if name not in inks:
                inks[name] = run_ink.ink(self, name.removeprefix(CURSOR), ground)
                if name.startswith(CURSOR):
                    inks[name] += self.get_component_rich_style("hosts--cursor", partial=True)
            segments.append(Segment("".join(text for text, _ in spans), inks[name]))
        shown = Strip(segments).adjust_cell_length(room, ground)
        return Strip([*shown, *bar]).adjust_cell_length(self.size.width, base or ground)

    def _bar(self, y: int, base: Style) -> list[Segment]:
        """Where the rows on screen are among all, where not all are."""
        height = self._height
        if self._total <= height:
            return []
        y -= 1 if self.table else 0
        if y < 0:
            return [Segment(" ", base)]
        first, last = thumb(BarSpan(self._top / self._total, min(1.0, (self._top + height) / self._total)), height)
        inside = first <= y < last
        _, on, track, _ = rule(self.brush.ascii_only)
        style = self.get_component_rich_style("hosts--thumb" if inside else "hosts--track", partial=True)
        return [Segment(on if inside else track, base + style)]


def _place_of(device: GpuDevice | None, devices: Iterable[GpuDevice]) -> int | None:
    """Where a GPU is among those of its host now: where one is lost, those behind it may be counted anew."""
    if device is None:
        return None
    for place, one in enumerate(devices):
        if one.uuid == device.uuid if one.uuid and device.uuid else one.index == device.index:
            return place
    return None


def _ink_of(span: Span) -> str:
    return span[1]
