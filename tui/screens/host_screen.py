"""One host: how the way there stands, its meters and histories, who holds its GPUs, what runs there, and its logs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.screen import Screen

from tui.keyline import KeyLine
from tui.screens.covered import is_covered
from tui.screens.host_cells import Measure
from tui.screens.host_facts import HostFacts, plain
from tui.screens.host_line import Line
from tui.screens.host_lines import lines
from tui.screens.host_look import HostLook, changes_soon
from tui.screens.host_tails import OpenLog, Tails, newest, tail_lines
from tui.screens.host_view import HostView
from tui.screens.hosts_asking import NO_PATH, Asking, follow, is_path
from tui.screens.hosts_grid import Brush
from tui.screens.leaving import leave
from tui.screens.run_ink import Row, Rows, cut, width
from tui.screens.run_words import hour, next_seen

if TYPE_CHECKING:
    from textual.events import DescendantFocus
    from textual.timer import Timer

    from tui.app import GatewatchApp
    from tui.logs.askbar import AskBar

_LEAST_TICK_S = 1.0
_AROUND = 2  # rows above and below the lines


class HostScreen(Screen[None]):
    """One host in full.

    Args:
        name: Which.
        asked: As of `tui.screens.hosts.HostsScreen`.
        neighbour: The host before (-1) or behind (1) another.
        open_log: How a log there is opened; None where there is no way to.

    Attributes:
        host: Its name; another one after the keys for that.
        tails: The ends of its logs.
    """

    DEFAULT_CSS = "HostScreen { layout: vertical; }"

    def __init__(
        self,
        name: str,
        asked: Callable[[str, str], None],
        neighbour: Callable[[str, int], str],
        open_log: OpenLog | None = None,
    ) -> None:
        super().__init__()
        self.host = name
        self._asked = asked
        self._neighbour = neighbour
        self._looks: tuple[HostLook, ...] = ()
        self._facts: HostFacts | None = None
        self._view = HostView()
        self._asking = Asking(self, "#host-keys")
        self._timer: Timer | None = None
        self.tails = Tails(open_log, self._repaint_lines) if open_log is not None else None

    def compose(self) -> ComposeResult:
        yield Rows(id="host-top")
        yield self._view
        yield KeyLine(id="host-keys")

    def on_mount(self) -> None:
        self._view.focus()
        self.watch(self, "stack_updates", self._read_shown, init=False)
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

    async def on_unmount(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        if self.tails is not None:
            await self.tails.close()

    def show_hosts(self, looks: tuple[HostLook, ...]) -> None:
        """Show its host of these; one that is not among them any more stays as it was, and is said to be gone."""
        self._looks = looks
        self._repaint()

    async def on_host_view_asked(self, message: HostView.Asked) -> None:
        """Do it."""
        what, line = message.what, message.line
        if what == "open" and line is not None and line.run:
            self._asked("enter", line.run)
        elif what == "open" and line is not None and line.tail and self._facts is not None:
            follow(self._facts.look, line.tail, self._asked)
        elif what == "follow":
            about = self._facts.look if self._facts is not None else None
            await self._asking.open("host-file", line.log if line is not None else "", about)
        elif what in ("previous", "next"):
            self.host = self._neighbour(self.host, 1 if what == "next" else -1)
            self._view.start()
            self._paint()
        elif what == "poll":
            self._asked("poll", self.host)
        elif what == "back":
            leave(self)

    def on_host_view_moved(self, message: HostView.Moved) -> None:
        """Read the logs whose ends are on the screen now, and no others."""
        message.stop()
        self._read_shown()

    def _read_shown(self) -> None:
        if self.tails is not None and self.is_attached:
            self.tails.want(self.host, () if is_covered(self) else self._view.tails)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """A click into the lines ends the typing."""
        if event.widget is self._view:
            self._asking.close(self._view)

    def on_ask_bar_edited(self, event: AskBar.Edited) -> None:
        event.stop()

    def on_ask_bar_taken(self, event: AskBar.Taken) -> None:
        """Follow what was typed."""
        event.stop()
        text = event.typed.text.strip()
        if text and not is_path(text):
            self._asking.refuse(NO_PATH)
            return
        if text and self._asking.about is not None:
            follow(self._asking.about, text, self._asked)
        self._asking.close(self._view)

    def on_ask_bar_cancelled(self, event: AskBar.Cancelled) -> None:
        """Nothing is followed."""
        event.stop()
        self._asking.close(self._view)

    def _repaint_lines(self) -> None:
        """Paint what is on the screen as it reads now, be there the same lines or not."""
        self._view.refresh()

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
        self._view.alone = all(one.name == self.host for one in self._looks)
        if self._facts is not None:
            self._view.show_lines(self._lines(self._facts, brush), app.ascii_only)
            self._tick(self._facts, now)
        self.query_one(KeyLine).refresh()

    def _lines(self, host: HostFacts, brush: Brush) -> tuple[Line, ...]:
        room, tails = self.size.width, self.tails
        told = lines(host, room, brush)
        if tails is None:
            return told
        spare = self.size.height - _AROUND - len(told)
        return (*told, *tail_lines(newest(host.look), partial(tails.tail, self.host), spare, room, brush))

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
