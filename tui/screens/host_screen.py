"""One host: how the way there stands, its meters and histories, who holds its GPUs, and what runs there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tui import keys
from tui.keyline import KeyLine
from tui.screens import run_ink
from tui.screens.covered import is_covered
from tui.screens.host_cells import GHOST, UNKNOWN, Measure
from tui.screens.host_facts import NOTED, HostFacts, plain
from tui.screens.host_line import Line
from tui.screens.host_lines import lines
from tui.screens.host_look import WAYS, HostLook, changes_soon
from tui.screens.hosts_asking import NO_PATH, Asking, is_path
from tui.screens.hosts_grid import Brush
from tui.screens.leaving import leave
from tui.screens.run_ink import Row, Rows, cut, width
from tui.screens.run_words import hour, next_seen

if TYPE_CHECKING:
    from textual.events import Click, DescendantFocus, MouseScrollDown, MouseScrollUp
    from textual.timer import Timer

    from tui.app import GatewatchApp
    from tui.logs.askbar import AskBar

_LEAST_TICK_S = 1.0


class HostView(Widget, can_focus=True):
    """The lines of one host; the cursor stays on its line when others come and go.

    Attributes:
        lines: All of them; only those on screen are made.
        at: The key of the line that the cursor is on, or "".
        built: Lines that were made.
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
        """Something that only the screen can do; the name of an action of the pane."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    def __init__(self) -> None:
        super().__init__()
        self.lines: tuple[Line, ...] = ()
        self.at = ""
        self.built = 0
        self._top = 0
        self._plain = False

    def show_lines(self, shown: tuple[Line, ...], ascii_only: bool) -> None:
        """Show these from now on."""
        before = next((place for place, line in enumerate(self.lines) if line.key and line.key == self.at), 0)
        self.lines, self._plain = shown, ascii_only
        keys_now = [line.key for line in shown]
        if self.at not in keys_now or not self.at:
            self.at = next((key for key in keys_now[before:] if key), "") or next((key for key in keys_now if key), "")
        self._top = max(0, min(self._top, len(shown) - self.size.height))
        self.refresh()

    @property
    def line(self) -> Line | None:
        """The line that the cursor is on."""
        return next((line for line in self.lines if line.key and line.key == self.at), None)

    def start(self) -> None:
        """Back to the top, on the first line."""
        self.at, self._top = "", 0

    def _spots(self) -> list[int]:
        return [place for place, line in enumerate(self.lines) if line.key]

    def _move(self, by: int) -> None:
        """To the next line that the cursor can be on; where there is none any more, scroll."""
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
        self.refresh()

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
        """There is nothing to go into where no run is."""
        return action != "open" or any(line.run for line in self.lines)

    def action_open(self) -> None:
        """Into the run of the chosen line."""
        self.post_message(self.Asked("open"))

    def action_follow(self) -> None:
        """Follow a file."""
        self.post_message(self.Asked("follow"))

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
        self._top = max(0, min(self._top, len(self.lines) - self.size.height))

    def on_click(self, event: Click) -> None:
        """A click chooses; on the chosen line it goes in."""
        place = self._top + event.y
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


class HostScreen(Screen[None]):
    """One host in full.

    Args:
        name: Which.
        asked: As of `tui.screens.hosts.HostsScreen`.
        neighbour: The host before (-1) or behind (1) another.

    Attributes:
        host: Its name; another one after the keys for that.
    """

    DEFAULT_CSS = "HostScreen { layout: vertical; }"

    def __init__(self, name: str, asked: Callable[[str, str], None], neighbour: Callable[[str, int], str]) -> None:
        super().__init__()
        self.host = name
        self._asked = asked
        self._neighbour = neighbour
        self._looks: tuple[HostLook, ...] = ()
        self._facts: HostFacts | None = None
        self._view = HostView()
        self._asking = Asking(self, "#host-keys")
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Rows(id="host-top")
        yield self._view
        yield KeyLine(id="host-keys")

    def on_mount(self) -> None:
        self._view.focus()
        self._paint()

    def on_resize(self) -> None:
        self._repaint()

    def on_screen_resume(self) -> None:
        self._paint()

    def on_unmount(self) -> None:
        if self._timer is not None:
            self._timer.stop()

    def show_hosts(self, looks: tuple[HostLook, ...]) -> None:
        """Show its host of these; one that is not among them any more stays as it was, and is said to be gone."""
        self._looks = looks
        self._repaint()

    async def on_host_view_asked(self, message: HostView.Asked) -> None:
        """Do it."""
        what, line = message.what, self._view.line
        if what == "open" and line is not None and line.run:
            self._asked("enter", line.run)
        elif what == "follow":
            await self._asking.open("host-file", line.log if line is not None else "")
        elif what in ("previous", "next"):
            self.host = self._neighbour(self.host, 1 if what == "next" else -1)
            self._view.start()
            self._paint()
        elif what == "poll":
            self._asked("poll", self.host)
        elif what == "back":
            leave(self)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """A click into the lines ends the typing."""
        if event.widget is self._view:
            self._asking.close(self._view)

    def on_ask_bar_edited(self, event: AskBar.Edited) -> None:
        event.stop()

    def on_ask_bar_taken(self, event: AskBar.Taken) -> None:
        """Follow what was typed."""
        from tui.screens.hosts import follow

        event.stop()
        text = event.typed.text.strip()
        if text and not is_path(text):
            self._asking.refuse(NO_PATH)
            return
        if text and self._facts is not None:
            follow(self._facts.look, text, self._asked)
        self._asking.close(self._view)

    def on_ask_bar_cancelled(self, event: AskBar.Cancelled) -> None:
        """Nothing is followed."""
        event.stop()
        self._asking.close(self._view)

    def _repaint(self) -> None:
        if self.is_mounted and not is_covered(self):
            self._paint()

    def _paint(self) -> None:
        app: GatewatchApp = self.app  # type: ignore[assignment]  # ours stands on no other
        now = app.now()
        brush = Brush(Measure.MEMORY, now, lambda when: hour(when, now, app.zone), app.ascii_only)
        look = next((one for one in self._looks if one.name == self.host), None)
        if look is not None and (self._facts is None or self._facts.look is not look):
            self._facts = HostFacts.of(look)
        name = plain(self.host, 200) or "?"
        gone = "  not watched any more" if look is None else ""
        right = hour(now, now, app.zone)
        first: Row = (
            (" host ", "muted"),
            (cut(name, max(0, self.size.width // 2), brush.more), "strong"),
            (gone, "warning"),
        )
        gap = " " * max(1, self.size.width - width(first) - len(right) - 1)
        self.query_one("#host-top", Rows).show_rows([(*first, (gap, ""), (right, "muted"))])
        if self._facts is not None:
            self._view.show_lines(lines(self._facts, self.size.width, brush), app.ascii_only)
            self._tick(self._facts, now)
        self.query_one(KeyLine).refresh()

    def _tick(self, host: HostFacts, now: float) -> None:
        """Paint again when an age or a countdown would read otherwise."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = None
        age = host.age(now)
        delays = [next_seen(age)] if age is not None else []
        delays += [_LEAST_TICK_S] if changes_soon(host.look.connection) else []
        if delays:
            self._timer = self.set_timer(max(_LEAST_TICK_S, min(delays)), self._repaint)
