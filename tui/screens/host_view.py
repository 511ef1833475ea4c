"""The lines of one host, and a cursor among them: GPUs, processes, runs, and the ends of logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui import keys
from tui.screens import run_ink
from tui.screens.host_cells import GHOST, UNKNOWN
from tui.screens.host_facts import NOTED
from tui.screens.host_line import Line
from tui.screens.host_look import WAYS
from tui.screens.run_ink import Row

if TYPE_CHECKING:
    from textual.events import Click, MouseScrollDown, MouseScrollUp


class HostView(Widget, can_focus=True):
    """The lines of one host; the cursor stays on its line when others come and go.

    Attributes:
        lines: All of them; only those on screen are made.
        at: The key of the line that the cursor is on, or "".
        alone: There is no other host to go to.
        built: Lines that were made.
        meant: The line that the cursor was on when something came to lie over it, until somebody sees it again.
    """

    PANE = "host"
    HELP_TITLE = "this host"
    HELP_SIGNS = (*dict.fromkeys(WAYS.values()), NOTED, GHOST, UNKNOWN)
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {*run_ink.CLASSES, "host--row"}
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("host")]
    DEFAULT_CSS = """
    HostView { height: 1fr; width: 1fr; }
    HostView .host--row { background: $panel; }
    """ + run_ink.css("HostView")

    class Asked(Message):
        """Something that only the screen can do; the name of an action of the pane.

        Attributes:
            line: That of the cursor as it is asked: it may have moved when the screen comes to it.
        """

        def __init__(self, what: str, line: Line | None = None) -> None:
            super().__init__()
            self.what = what
            self.line = line

    class Moved(Message):
        """Other lines may be on the screen than before."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: tuple[Line, ...] = ()
        self.at = ""
        self.alone = False
        self.built = 0
        self._top = 0
        self._high = 0  # rows that there were when lines were last put in their places
        self._plain = False
        self.meant: Line | None = None

    def mean(self) -> None:
        """Something comes to lie over it, such as the palette: what is asked for from there is about this line."""
        self.meant = self.line

    def on_key(self) -> None:
        """Whoever presses a key here sees the cursor."""
        self.meant = None

    def show_lines(self, shown: tuple[Line, ...], ascii_only: bool) -> None:
        """Show these from now on."""
        before, seen = max(0, self._here), self._in_sight
        self.lines, self._plain = shown, ascii_only
        keys_now = [line.key for line in shown]
        if self.at not in keys_now or not self.at:
            self.at = next((key for key in keys_now[before:] if key), "") or next((key for key in keys_now if key), "")
        self._place(seen)

    @property
    def _here(self) -> int:
        """Where the line of the cursor is among all, -1 where there is none."""
        return next((place for place, line in enumerate(self.lines) if line.key and line.key == self.at), -1)

    @property
    def _in_sight(self) -> bool:
        """Whether the line of the cursor is one of those that are on the screen."""
        return self._top <= self._here < self._top + self._high

    def _place(self, seen: bool) -> None:
        """Put lines on the rows that there are: as before, but for the cursor's where it was seen and would not be."""
        here, self._high = self._here, self.size.height
        if seen and self._high:
            self._top = min(here, max(self._top, here - self._high + 1))
        self._top = max(0, min(self._top, len(self.lines) - self._high))
        self._changed()

    @property
    def tails(self) -> tuple[str, ...]:
        """The logs of which a row is on the screen, by their paths."""
        shown = self.lines[self._top : self._top + self.size.height]
        return tuple(dict.fromkeys(line.tail for line in shown if line.tail))

    def _changed(self) -> None:
        self.refresh()
        self.post_message(self.Moved())

    @property
    def line(self) -> Line | None:
        """The line that the cursor is on."""
        return next((line for line in self.lines if line.key and line.key == self.at), None)

    def start(self) -> None:
        """Back to the top, on the first line."""
        self.at, self._top, self.meant = "", 0, None

    def _spots(self) -> list[int]:
        return [place for place, line in enumerate(self.lines) if line.key]

    def _move(self, by: int) -> None:
        """To the next line that the cursor can be on; where there is none any more, scroll."""
        self.meant = None
        spots = self._spots()
        height = max(1, self.size.height)
        here = next((place for place in spots if self.lines[place].key == self.at), -1)
        target = here + by
        ahead = [place for place in spots if (place >= target if by > 0 else place <= target)]
        beyond = [place for place in spots if (place > here if by > 0 else place < here)]
        if ahead or beyond:
            spot = (ahead[0] if by > 0 else ahead[-1]) if ahead else (beyond[-1] if by > 0 else beyond[0])
            self.at = self.lines[spot].key
            if spot < self._top:
                self._top = spot
            elif spot >= self._top + height:
                self._top = spot - height + 1
        if not ahead:  # what is above the first and below the last has to be seen too
            self._top += by
        self._top = max(0, min(self._top, len(self.lines) - height))
        self._changed()

    def action_up(self) -> None:
        self._move(-1)

    def action_down(self) -> None:
        self._move(1)

    def action_page_up(self) -> None:
        self._move(-max(1, self.size.height - 1))

    def action_page_down(self) -> None:
        self._move(max(1, self.size.height - 1))

    def action_home(self) -> None:
        self._move(-len(self.lines))

    def action_end(self) -> None:
        self._move(len(self.lines))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to go into where no run is, and no log either; nor to go to where no other host is."""
        if action in ("previous", "next"):
            return not self.alone
        if action == "logs":
            return any(line.tail for line in self.lines)
        return action != "open" or any(line.run or line.tail for line in self.lines)

    def action_logs(self) -> None:
        """To the first log, from a log to the next one; the rest of the screen is left to what follows it."""
        spots = [place for place, line in enumerate(self.lines) if line.key and line.tail]
        if spots:
            here = next((place for place in spots if self.lines[place].key == self.at), -1)
            spot = next((place for place in spots if place > here), spots[0])
            self.at = self.lines[spot].key
            self._top = max(0, min(spot, len(self.lines) - self.size.height))
            self._changed()

    def action_open(self) -> None:
        """Into the run of the chosen line, or its log; a line that nobody sees is shown first."""
        if self.meant is None and self.line is not None and not self._in_sight:
            self._place(seen=True)
        else:
            self._ask_about("open")

    def action_follow(self) -> None:
        """Follow a file."""
        self._ask_about("follow")

    def _ask_about(self, what: str) -> None:
        line, self.meant = self.meant or self.line, None
        self.post_message(self.Asked(what, line))

    def action_previous(self) -> None:
        """The host before."""
        self.post_message(self.Asked("previous"))

    def action_next(self) -> None:
        """The host behind."""
        self.post_message(self.Asked("next"))

    def action_poll(self) -> None:
        """Look now."""
        self.post_message(self.Asked("poll"))

    def action_back(self) -> None:
        """Back to all hosts."""
        self.post_message(self.Asked("back"))

    def on_resize(self) -> None:
        self._place(self._in_sight)

    def on_click(self, event: Click) -> None:
        """A click chooses; on the chosen line it goes in."""
        place, self.meant = self._top + event.y, None
        if place < len(self.lines) and self.lines[place].key:
            if self.lines[place].key == self.at:
                self.action_open()
            self.at = self.lines[place].key
            self.refresh()

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self._move(1)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self._move(-1)

    def render_line(self, y: int) -> Strip:
        """One line."""
        base, room = self.rich_style, self.size.width
        place = self._top + y
        if place >= len(self.lines):
            return Strip.blank(room, base)
        line = self.lines[place]
        self.built += 1
        row: Row = line.make()
        if line.key and line.key == self.at:
            ground = base + self.get_component_rich_style("host--row", partial=True)
            (text, style), *rest = row
            row = ((">" if self._plain else "▌", "accent"), (text[1:], style), *rest)
            return run_ink.strip(self, row, room, ground)
        return run_ink.strip(self, row, room, base)
