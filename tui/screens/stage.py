"""One stage in detail: every repeat's values, what they would be written as, and how good a gate that would be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, ScrollableContainer, Vertical
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from tui import keys, words
from tui.app import GatewatchApp
from tui.keyline import KeyLine
from tui.marks import TWINS
from tui.screens.leaving import leave
from tui.screens.stage_log import RepeatLogScreen
from tui.screens.stage_sources import read_stage_sources
from tui.screens.stage_text import about_repeat, metric_blocks, notes, repeat_heads, repeat_line, row, safe, sentence
from tui.screens.stage_title import title_line
from tui.screens.stage_view import Repeat, Sources, StageView, view_of
from tui.screens.subject import RunLook, RunPlace

_WIDE = 150
_LEFT = 74


class Viewed(Message):
    """A stage was worked out anew."""

    def __init__(self, view: StageView) -> None:
        super().__init__()
        self.view = view

    def can_replace(self, message: Message) -> bool:
        """The newest counts."""
        return isinstance(message, Viewed)


class SourcesRead(Message):
    """The test files were read, or could not be."""

    def __init__(self, key: str, sources: Sources) -> None:
        super().__init__()
        self.key = key
        self.sources = sources


class _Scroll(ScrollableContainer, inherit_bindings=False):
    """What holds the metrics; its keys are the screen's."""


class StageScreen(Screen[None]):
    """One stage of a run; it is painted anew with every look.

    Args:
        place: The run.
        look: What was last seen of it.
        key: The stage.
    """

    PANE = "stage"
    HELP_TITLE = "stage"
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings("stage")]
    DEFAULT_CSS = f"""
    StageScreen {{ layout: vertical; }}
    StageScreen #stage-title {{ height: 1; background: $panel; padding: 0 1; }}
    StageScreen #stage-said {{ height: auto; max-height: 2; padding: 0 1; }}
    StageScreen #stage-body {{ height: 1fr; layout: vertical; }}
    StageScreen #stage-left {{ height: auto; padding: 0 1; }}
    StageScreen #stage-repeats {{ height: auto; }}
    StageScreen #stage-about {{ height: auto; background: $surface; }}
    StageScreen #stage-scroll {{
        height: 1fr; padding: 0 1; border-top: solid $panel; overflow-x: hidden; scrollbar-gutter: stable;
    }}
    StageScreen #stage-scroll:focus {{ border-top: solid $primary; }}
    StageScreen Static {{ text-wrap: nowrap; text-overflow: clip; }}
    StageScreen #stage-said {{ text-wrap: wrap; }}
    StageScreen #stage-metrics {{ height: auto; }}
    StageScreen.-wide #stage-body {{ layout: horizontal; }}
    StageScreen.-wide #stage-left {{ width: {_LEFT}; height: 1fr; }}
    StageScreen.-wide #stage-about {{ margin: 1 0; }}
    StageScreen #stage-notes {{ height: auto; display: none; }}
    StageScreen.-wide #stage-notes {{ display: block; }}
    StageScreen.-wide #stage-scroll {{ border-top: none; border-left: solid $panel; width: 1fr; }}
    StageScreen.-wide #stage-scroll:focus {{ border-top: none; }}
    StageScreen.-ascii.-wide #stage-scroll {{ border-left: ascii $panel; }}
    StageScreen.-ascii #stage-scroll {{ border-top: ascii $panel; }}
    """

    def __init__(self, place: RunPlace, look: RunLook, key: str) -> None:
        super().__init__()
        self.place = place
        self.key = key
        self.view: StageView | None = None
        self._look = look
        self._sources = Sources()
        self._applied = ""
        self._chosen = 1
        self._shown = False
        self._aging: Timer | None = None
        self._broken = ""  # the stage that could not be worked out
        self._then: Callable[[], None] | None = None
        self._waiting = ExitStack()

    @property
    def watched(self) -> str:
        """Whose looks it wants."""
        return self.place.watch

    # What is seen.

    def compose(self) -> ComposeResult:
        yield Static(id="stage-title", markup=False)
        yield Static(id="stage-said", markup=False)
        with Container(id="stage-body"):
            with Vertical(id="stage-left"):
                yield Static(id="stage-repeats", markup=False)
                yield Static(id="stage-about", markup=False)
                yield Static(id="stage-notes", markup=False)
            with _Scroll(id="stage-scroll", can_focus=True):
                yield Static(id="stage-metrics", markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        self.set_class(self._ascii, "-ascii")
        self.query_one("#stage-scroll").focus()
        self._read()
        self._work()

    def on_unmount(self) -> None:
        self._waiting.close()

    def on_screen_resume(self) -> None:
        self._shown = True
        self._work()

    def on_screen_suspend(self) -> None:
        self._shown = False

    def on_resize(self) -> None:
        self.set_class(self.size.width >= _WIDE, "-wide")
        if self.view is not None:
            self._say_title()
        self.call_after_refresh(self._paint)

    def show(self, look: RunLook) -> None:
        """A new look; while another screen covers this one, it is only kept."""
        self._look = look
        if not self.is_mounted:
            return
        last = look.snapshot.body.journal.last("apply.done", "apply.rolled_back")
        applied = last.id if last is not None else ""
        if applied != self._applied:
            self._applied = applied
            self._read()
        if self._shown:
            self._work()

    def _work(self) -> None:
        self._start(self._view, "view")

    async def _view(self) -> None:
        self.post_message(Viewed(await asyncio.to_thread(view_of, self._look.snapshot, self.key, self._sources)))

    def _start(self, work: Callable[[], Awaitable[None]], group: str) -> None:
        self.run_worker(work, group=group, exclusive=True, exit_on_error=False)

    def _read(self) -> None:
        self._start(partial(self._read_sources, self.key), "sources")

    async def _read_sources(self, key: str) -> None:
        self.post_message(SourcesRead(key, await read_stage_sources(self.place, self._look, key)))

    def on_sources_read(self, message: SourcesRead) -> None:
        if message.key == self.key:
            self._sources = message.sources
            self._work()

    def on_viewed(self, message: Viewed) -> None:
        self._say_title()
        if message.view.key != self.key:  # of the stage before; this one's is on its way
            return
        broke, self._broken = self._broken, ""
        if broke or message.view != self.view:
            self.view = message.view
            self._choose(self._chosen)
        self._go_on()

    def _worked_out(self, then: Callable[[], None]) -> bool:
        """Whether the stage is there; where it is not yet, this key waits for it and those behind it for this key."""
        if self.view is not None and self.view.key == self.key:
            return True
        if self._broken != self.key:
            self._then = then
            self._waiting.enter_context(getattr(self.app, "keys_waiting", nullcontext)())
        return False

    def _go_on(self) -> None:
        if (then := self._then) is not None:
            self._then = None
            then()
        self._waiting.close()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A part of the screen broke: say so, and go on with the others."""
        if event.state is not WorkerState.ERROR:
            return
        event.stop()
        said = f"unexpected {type(event.worker.error).__name__}: {event.worker.error}"
        if event.worker.group == "sources":
            self._sources = replace(Sources(), why=said)
            self._work()
        else:
            if self.view is not None and self.view.key != self.key:  # nothing of the stage before is this one's
                self.view = None
                for part in ("repeats", "about", "notes", "metrics"):
                    self._put(f"stage-{part}", Content(""))
            self._put("stage-said", Content.styled(safe(said), "$text-error"))
            self._broken, self._then = self.key, None
            self._go_on()

    # Painting.

    @property
    def _ascii(self) -> bool:
        return bool(getattr(self.app, "ascii_only", False))

    def _put(self, name: str, content: Content) -> None:
        if self._ascii and not content.plain.isascii():
            content = Content(content.plain.translate(TWINS), spans=list(content.spans))
        self.query_one(f"#{name}", Static).update(content)

    def _now(self) -> float:
        app = self.app
        return app.now() if isinstance(app, GatewatchApp) else 0.0

    def _paint(self) -> None:
        view = self.view
        if view is None or not self.is_mounted:
            return
        text, tone = sentence(view)
        self._put("stage-said", Content.styled(text, f"$text-{tone}"))
        self._paint_repeats(view)
        metrics = self.query_one("#stage-metrics", Static)
        lines = metric_blocks(view, max(20, metrics.size.width), self._chosen, ascii_only=self._ascii)
        if self.has_class("-wide"):
            beside = notes(view, max(20, _LEFT - 2), ascii_only=self._ascii)
            self._put("stage-notes", Content("\n").join(beside))
        else:
            lines += notes(view, max(20, metrics.size.width), ascii_only=self._ascii)
        self._put("stage-metrics", Content("\n").join(lines))

    def _paint_repeats(self, view: StageView) -> None:
        width = max(20, self.query_one("#stage-left").content_size.width)
        wide, height = self.has_class("-wide"), self.size.height
        most = max(3, height - 12) if wide else max(3, min(20, height // 4))
        first, rows = self._window(view, most)
        at = self._look.snapshot.seen.at or self._now()
        lines = [repeat_heads(width)]
        lines += [
            repeat_line(repeat, width, at, chosen=repeat.cell.run == self._chosen, ascii_only=self._ascii)
            for repeat in rows
        ]
        if len(rows) < len(view.repeats):
            lines[0] = row(
                width, lines[0], (f"  {first + 1}-{first + len(rows)} of {len(view.repeats)}", "$text-accent")
            )
        self._put("stage-repeats", Content("\n").join(lines if view.repeats else []))
        room = height - len(lines) - 6 if wide else 3 if height < 30 else 6
        about = about_repeat(self._repeat(), width, max(2, room), ascii_only=self._ascii)
        self._put("stage-about", Content("\n").join(about))

    def _window(self, view: StageView, most: int) -> tuple[int, tuple[Repeat, ...]]:
        """As many repeats as have room, the chosen one among them."""
        place = next((at for at, repeat in enumerate(view.repeats) if repeat.cell.run == self._chosen), 0)
        first = max(0, min(place - most // 2, len(view.repeats) - most))
        return first, view.repeats[first : first + most]

    def _say_title(self) -> None:
        snapshot, now, seen = self._look.snapshot, self._now(), self._look.snapshot.seen.received
        detail = self.view.detail if self.view is not None and self.view.key == self.key else None
        stage = detail.stage if detail is not None else None
        width = max(20, self.size.width - 2)
        self._put("stage-title", title_line(self.key, stage, snapshot, now, width, ascii_only=self._ascii))
        if self._aging is not None:
            self._aging.stop()
            self._aging = None
        if seen is not None and self._shown:
            self._aging = self.set_timer(max(1.0, words.next_age(now - seen)), self._say_title)

    # What is done.

    def _repeat(self) -> Repeat | None:
        repeats = self.view.repeats if self.view is not None else ()
        return next((repeat for repeat in repeats if repeat.cell.run == self._chosen), None)

    def _choose(self, run: int) -> None:
        runs = [repeat.cell.run for repeat in self.view.repeats] if self.view is not None else []
        self._chosen = run if run in runs or not runs else runs[0]
        self._say_title()
        self._paint()

    def _step(self, by: int) -> None:
        runs = [repeat.cell.run for repeat in self.view.repeats] if self.view is not None else []
        if self._chosen in runs:
            self._choose(runs[max(0, min(len(runs) - 1, runs.index(self._chosen) + by))])

    def action_up(self) -> None:
        """The repeat above."""
        if self._worked_out(self.action_up):
            self._step(-1)

    def action_down(self) -> None:
        """The repeat below."""
        if self._worked_out(self.action_down):
            self._step(1)

    def on_click(self, event: Click) -> None:
        """A click on a repeat chooses it."""
        if event.widget is not None and event.widget.id == "stage-repeats" and self.view is not None and event.y >= 1:
            _first, rows = self._window(self.view, max(1, event.widget.size.height - 1))
            if event.y - 1 < len(rows):
                self._choose(view_run(rows, event.y - 1))

    def action_log(self) -> None:
        """The chosen repeat's log."""
        if not self._worked_out(self.action_log):
            return
        repeat = self._repeat()
        if repeat is None or repeat.log is None or (repeat.size is None and not repeat.running):
            self.app.notify("this repeat has no log in the run directory", markup=False)
            return
        _ = self.app.push_screen(RepeatLogScreen(self.place, repeat.log, f"{self.key} repeat {repeat.cell.run}"))

    def action_previous(self) -> None:
        """The stage before this one."""
        self._go(-1)

    def action_next(self) -> None:
        """The stage behind this one."""
        self._go(1)

    def _go(self, by: int) -> None:
        audit = self._look.snapshot.body.audit
        every = [stage.key for stage in audit.stages] if audit is not None else []
        if not every:
            return
        at = every.index(self.key) + by if self.key in every else 0
        if not 0 <= at < len(every):
            return
        self.key = every[at]
        self._sources = Sources()
        self.query_one("#stage-scroll").scroll_home(animate=False)
        self._read()
        self._work()

    def action_look(self) -> None:
        """Look at the run and read the files now."""
        self.place.request()
        self._read()

    def action_back(self) -> None:
        """Back to where one came from."""
        leave(self)

    def _scroll(self, rows: int) -> None:
        self.query_one("#stage-scroll").scroll_relative(y=rows, animate=False)

    def action_page_up(self) -> None:
        """Up one page."""
        self._scroll(1 - self.query_one("#stage-scroll").size.height)

    def action_page_down(self) -> None:
        """Down one page."""
        self._scroll(self.query_one("#stage-scroll").size.height - 1)

    def action_half_up(self) -> None:
        """Up half a page."""
        self._scroll(-max(1, self.query_one("#stage-scroll").size.height // 2))

    def action_half_down(self) -> None:
        """Down half a page."""
        self._scroll(max(1, self.query_one("#stage-scroll").size.height // 2))

    def action_home(self) -> None:
        """The first metric."""
        self.query_one("#stage-scroll").scroll_home(animate=False)

    def action_end(self) -> None:
        """The last one."""
        self.query_one("#stage-scroll").scroll_end(animate=False)


def view_run(repeats: tuple[Repeat, ...], place: int) -> int:
    """The number of the repeat at a place."""
    return repeats[place].cell.run
