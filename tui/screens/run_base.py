"""What the screen of a run paints, and when.

It stands on looks at the run directory alone. A look is turned into rows of text, and what is the same is not painted
again; while another screen covers this one the newest look is only kept.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.screen import Screen
from textual.timer import Timer

from hosts.connection import Connection
from tui.app import GatewatchApp
from tui.screens.covered import is_covered
from tui.screens.job import JobPane
from tui.screens.matrix import Matrix
from tui.screens.matrix_grid import Grid, body_of, grid
from tui.screens.matrix_grid import Row as MatrixRow
from tui.screens.matrix_pane import MatrixPane
from tui.screens.prompt_state import apply_state
from tui.screens.run_away import Away
from tui.screens.run_facts import Clock, as_now, clock, plain, said
from tui.screens.run_header import Marks, gates, header, since_row
from tui.screens.run_ink import Row, Rows, fold
from tui.screens.run_keyline import RunKeyLine
from tui.screens.run_pace import Pace, pace
from tui.screens.run_words import next_seen, way_span
from tui.screens.store import GlanceStore
from tui.screens.strip import host_strip
from tui.screens.subject import RunLook, RunPlace
from tui.screens.supervision import SupervisionPane

_MEDIUM, _WIDE = 100, 150


class RunBase(Screen[None]):
    """All of the screen of one run but its keys.

    Args:
        place: The run, and the way to it.
        store: Keeps what was seen of it; by default below the state folder of this user.
    """

    AUTO_FOCUS = "Matrix"
    DEFAULT_CSS = """
    RunBase { layout: vertical; }
    RunBase #run-head { background: $surface; }
    RunBase #run-body { layout: grid; grid-size: 2 2; height: 1fr; grid-gutter: 0 1; }
    RunBase #run-body { grid-columns: 30 1fr; grid-rows: 1fr 6; }
    RunBase #job { column-span: 2; }
    RunBase.-medium #run-body { grid-rows: 2fr 1fr; }
    RunBase.-wide #run-body { grid-rows: 2fr 1fr; }
    RunBase.-medium #stages, RunBase.-wide #stages { row-span: 2; }
    RunBase.-medium #job, RunBase.-wide #job { column-span: 1; }
    RunBase.-zoom #run-body > * { display: none; }
    RunBase.-zoom #run-body { layout: vertical; }
    RunBase.-zoom #run-body > .-zoomed { display: block; width: 1fr; height: 1fr; }
    """

    def __init__(self, place: RunPlace, store: GlanceStore | None = None) -> None:
        super().__init__()
        self._place = place
        self._away = Away(place, store or GlanceStore.of_environment())
        self._look: RunLook | None = None
        self._grid = Grid()
        self._pace: tuple[tuple[MatrixRow, ...], Pace] | None = None
        self._held: tuple[RunLook, Clock] | None = None  # what is shown while painting is stopped, and of when
        self._asked = False
        self._ageing: Timer | None = None
        self._head = Rows(id="run-head")
        self._strip = Rows(id="run-strip")
        self._body = Container(id="run-body")
        self._shared = 0
        self._keys = RunKeyLine()
        self._stages = MatrixPane(self._clock, id="stages")
        self._supervision = SupervisionPane(place, id="supervision")
        self._job = JobPane(place, id="job")

    def compose(self) -> ComposeResult:
        yield self._head
        with self._body:
            yield self._stages
            yield self._supervision
            yield self._job
        yield self._strip
        yield self._keys

    # What others see of it.

    @property
    def watched(self) -> str:
        """Of which run it wants the looks."""
        return self._place.watch

    @property
    def look(self) -> RunLook | None:
        """What it was given last."""
        return self._look

    @property
    def our(self) -> GatewatchApp:
        """The app, which has our clock and our signs."""
        assert isinstance(self.app, GatewatchApp)
        return self.app

    @property
    def matrix(self) -> Matrix:
        """The stages."""
        return self._stages.matrix

    @property
    def _way(self) -> Connection | None:
        """How the way to the host stands, at this instant."""
        way = getattr(self._place.reader, "connection", None)
        return way if isinstance(way, Connection) else None

    @property
    def _paused(self) -> bool:
        """Painting was stopped by hand."""
        return self._held is not None

    # Looks.

    def show_way(self) -> None:
        """Paint that the way to the host stands differently, or that a second of it has passed."""
        if self.is_mounted:
            self._paint_ages()

    async def on_mount(self) -> None:
        """What was seen before is read beside the event loop."""
        await self._away.begin(self.our.now())
        self._resized()
        if self._look is not None:
            self._away.looked(self._look.snapshot, self.our.now())
        self._paint()

    def show(self, look: RunLook) -> None:
        """Paint this look, or keep it until the screen is seen again."""
        self._look = look
        self._asked = False
        if not self.is_mounted:
            return
        self._away.looked(look.snapshot, self.our.now())
        if self._away.due(self.our.now()):
            self.run_worker(self._away.keep(self.our.now()), group="keep", exit_on_error=False)
        self._paint()

    def _clock(self) -> Clock:
        now = self.our.now()
        if self._look is None:
            return Clock(now, now, self.our.zone)
        return clock(self._look.snapshot, now, self.our.zone)

    def _paint(self) -> None:
        """Paint what there is; what is the same as before is not painted again."""
        look = self._look
        if self._paused or not self.is_mounted or is_covered(self):
            return
        if look is None:
            self._paint_first()
            return
        self._grid = grid(self._grid, look.snapshot)
        self._stages.show_grid(self._grid)
        self._share()
        if body_of(look.snapshot).audit is not None:  # a host that never answered has left nothing to show
            self._keys.show_apply(plain(apply_state(look, self._place.read_only), 60), seen=True)
            self._supervision.show(look)
            self._job.show(look)
        self._paint_ages()

    def _paint_first(self) -> None:
        """What is said before the first look."""
        told, style = way_span(self._way, self.our.now(), self.our.zone)
        said = f"@{plain(self._place.host, 60)} {told}" if told else "looking for the first time"
        self._head.show_rows([((f" {plain(self._place.title, 80)}", "strong"), (f"  {said}", style or "muted"))])

    def _paint_ages(self) -> None:
        """The rows in which time passes."""
        if self._ageing is not None:
            self._ageing.stop()
            self._ageing = None
        look = self._look
        if self._paused or is_covered(self):
            return
        if look is None:
            self._paint_first()
            return
        self._lay(look, self._clock())
        ages = [look.snapshot.seen.received, look.host.seen.received if look.host is not None else None]
        left = [next_seen(max(0.0, self.our.now() - received)) for received in ages if received is not None]
        if left:
            self._ageing = self.set_timer(max(0.5, min(left)), self._paint_ages)

    def _lay(self, look: RunLook, at: Clock) -> None:
        """The rows above and below the panes, for the width that there is."""
        self._head.show_rows(self._head_rows(look, at))
        width = max(1, self.size.width)
        self._strip.show_rows([host_strip(look.host, at.now, width, self.our.ascii_only, self._place.watch)])

    def _lay_held(self) -> None:
        """The same while painting is stopped: what is shown stays, its width may not."""
        if self._held is not None and not is_covered(self):
            self._lay(*self._held)

    def _head_rows(self, look: RunLook, at: Clock) -> list[Row]:
        width = max(1, self.size.width)
        marks = Marks(self.our.ascii_only, self._paused, self._asked, self._way)
        look = as_now(look, at.now, self._way)
        pace = self._pace_of(look)
        sentence = said(look, self._grid, pace, at, read_only=self._place.read_only)
        more = "..." if marks.ascii_only else "…"
        room = max(1, width - 2)
        rows: list[Row] = [header(self._place, look, self._grid, pace, at, width, marks)]
        rows += [((f" {text}", sentence.ink),) for text in fold(sentence.sentence, room, 2, more)]
        rows += [((f" {text}", "muted"),) for text in fold(sentence.evidence, room, 1 if width < _MEDIUM else 2, more)]
        rows.append(gates(look, at, width, marks))
        since = self._away.since
        if since is not None:
            rows.append(since_row(since, at, width, marks.ascii_only))
        return rows

    def _pace_of(self, look: RunLook) -> Pace | None:
        audit = body_of(look.snapshot).audit
        if audit is None:
            return None
        if self._pace is None or self._pace[0] is not self._grid.rows:
            self._pace = (self._grid.rows, pace(self._grid, audit.incomplete))
        return self._pace[1]

    # Seen or not.

    def on_screen_resume(self) -> None:
        """Somebody has come back to this screen: show what came meanwhile."""
        self._away.here(self.our.now())
        self._paint()
        self._lay_held()
        self.matrix.wake()

    async def on_screen_suspend(self) -> None:
        """Nothing is painted below another screen."""
        if not is_covered(self):
            return
        self._away.covered()
        self.matrix.rest()
        if self._ageing is not None:
            self._ageing.stop()
            self._ageing = None
        await self._away.keep(self.our.now())

    async def on_unmount(self) -> None:
        """Keep what was seen."""
        await self._away.keep(self.our.now())

    def on_key(self) -> None:
        """Somebody is there."""
        if self._away.here(self.our.now()):
            self._paint_ages()

    def on_resize(self, event: Resize) -> None:
        """Another size is another layout."""
        self._resized()
        self._paint()
        self._lay_held()

    def _resized(self) -> None:
        width = self.size.width
        self.set_class(_MEDIUM <= width < _WIDE, "-medium")
        self.set_class(width >= _WIDE, "-wide")
        self._share()

    def _share(self) -> None:
        """The stages get what they need, the logs all the rest."""
        width = self.size.width
        counts, all_told = self._stages.natural()
        if width < _MEDIUM:
            wish = 30 if width >= 60 else max(1, width // 2)
        else:
            wish = min(all_told, 90) if width >= _WIDE else max(36, min(counts, width * 2 // 5))
        if wish != self._shared:
            self._shared = wish
            self._body.styles.grid_columns = f"{wish} 1fr"
