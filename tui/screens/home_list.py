"""The rows of Home: one run each, of which one is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui import keys
from tui.screens.home_lines import Columns, calm_line, columns, head, line
from tui.screens.home_rows import HomeRow, folded
from tui.screens.run_ink import CLASSES, Row, css, strip

if TYPE_CHECKING:
    from textual.events import Click, MouseScrollDown, MouseScrollUp

_CALM = "\0calm"


class HomeList(Widget, can_focus=True):
    """The rows; keeps its place on a run, not on a number, when the order changes.

    Attributes:
        paints: How often it was painted.
        most: Rows that it may have, titles included, where it takes no more than it needs; None where it has its size.
    """

    PANE = "home"
    HELP_TITLE = "home"
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = set(CLASSES)
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("home")]
    DEFAULT_CSS = "HomeList { height: 1fr; width: 1fr; }\n" + css("HomeList")

    class Entered(Message):
        """Somebody wants to go into a run."""

        def __init__(self, watch: str) -> None:
            super().__init__()
            self.watch = watch

    class Chosen(Message):
        """Another row is the chosen one."""

    class Asked(Message):
        """Something that only the app can do: `poll`, `hosts` or `new`."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[HomeRow, ...] = ()
        self._shown: tuple[HomeRow, ...] = ()
        self._calm: tuple[HomeRow, ...] = ()
        self._unfolded = False
        self._at = ""
        self._moved = False
        self._top = 0
        self._painted: tuple[object, ...] = ()
        self.paints = 0
        self.most: int | None = None

    @property
    def chosen(self) -> HomeRow | None:
        """The run that the keys are about; None on the folded ones, or where there is none."""
        return next((row for row in self._shown if row.watch == self._at), None)

    def show_rows(self, rows: tuple[HomeRow, ...]) -> None:
        """Show these from now on; what is the same is not painted again."""
        self._rows = rows
        self._lay()

    def render_line(self, y: int) -> Strip:
        """Titles, then runs."""
        base, width = self.rich_style, self.size.width
        plain = bool(getattr(self.app, "ascii_only", False))
        at = columns(self._rows, width)
        if y == 0:
            return strip(self, head(at) if self._rows else (), width, base)
        place = self._top + y - 1
        return strip(self, self._line(place, at, width, plain), width, base)

    def action_up(self) -> None:
        self._move(-1)

    def action_down(self) -> None:
        self._move(1)

    def action_page_up(self) -> None:
        self._move(-max(1, self.size.height - 2))

    def action_page_down(self) -> None:
        self._move(max(1, self.size.height - 2))

    def action_home(self) -> None:
        self._move(-len(self._names))

    def action_end(self) -> None:
        self._move(len(self._names))

    def action_open(self) -> None:
        """Go into the chosen run, or unfold."""
        if self._at == _CALM:
            self.action_unfold()
        elif self.chosen is not None:
            self.post_message(self.Entered(self._at))

    def action_unfold(self) -> None:
        """Show the calm ones one by one, or as one again."""
        self._moved = True
        self._unfolded = not self._unfolded
        if not self._unfolded and any(row.watch == self._at and row.calm for row in self._rows):
            self._at = _CALM
        elif self._unfolded and self._at == _CALM and self._calm:
            self._at = self._calm[0].watch
        self._lay()

    def action_poll(self) -> None:
        """Look now."""
        self.post_message(self.Asked("poll"))

    def action_hosts(self) -> None:
        """The hosts, one by one."""
        self.post_message(self.Asked("hosts"))

    def action_new(self) -> None:
        """A new run."""
        self.post_message(self.Asked("new"))

    def on_resize(self) -> None:
        self._lay()

    def on_click(self, event: Click) -> None:
        """A click chooses; on the chosen one it goes in."""
        place = self._top + event.y - 1
        if event.y == 0 or place >= len(self._names):
            return
        if self._names[place] == self._at:
            self.action_open()
        else:
            self._choose(self._names[place])

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self._move(1)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self._move(-1)

    @property
    def wanted(self) -> int:
        """Rows that it takes to show everything, titles included."""
        return 1 + len(self._names)

    @property
    def _names(self) -> list[str]:
        return [*(row.watch for row in self._shown), *([_CALM] if self._calm else [])]

    def _move(self, by: int) -> None:
        names = self._names
        if names:
            at = names.index(self._at) if self._at in names else 0
            self._choose(names[max(0, min(len(names) - 1, at + by))])

    def _choose(self, name: str) -> None:
        self._moved = True
        if name != self._at:
            self._at = name
            self._lay()

    def _lay(self) -> None:
        room = max(1, (self.size.height if self.most is None else self.most) - 1)
        self._shown, self._calm = folded(self._rows, self._unfolded, room)
        names = self._names
        if not self._moved and names:
            self._at = names[0]  # the worst, until somebody has gone elsewhere
        elif self._at not in names:
            hidden = any(row.watch == self._at for row in self._calm)
            self._at = _CALM if hidden else names[0] if names else ""
        at = names.index(self._at) if names else 0
        self._top = max(0, min(self._top, at, len(names) - room)) if at < self._top else max(self._top, at - room + 1)
        self._top = max(0, min(self._top, len(names) - room))
        painted = (self._shown, self._calm, self._at, self._top, self.size)
        if painted != self._painted:
            self._painted = painted
            self.paints += 1
            self.refresh()
            self.post_message(self.Chosen())

    def _line(self, place: int, at: Columns, width: int, plain: bool) -> Row:
        if place < len(self._shown):
            row = self._shown[place]
            return line(row, at, row.watch == self._at, plain)
        if self._calm and place == len(self._shown):
            return calm_line(self._calm, width, self._at == _CALM, plain)
        return ()
