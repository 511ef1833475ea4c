"""Follows a log or stays in it: what a person asked to see, read when it is needed, at most so often.

It knows no terminal. One task, `run`, does all the reading; everything else answers at once from what is held. News
of a growing log are painted at most `fps` times a second, what a person asked for at once. While nothing happens, and
while nobody sees it, nothing is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from hosts.errors import GatewatchError
from monitors.logs.model import LogModel
from monitors.logs.types import Place
from tui.logs.viewport import Anchor, Lay, Row, Viewport

FPS = 16.0
"""Paints of a growing log in a second: more costs a core and shows no more."""

_YIELDS = 3  # intervals that news wait at most for what keys lead to
_PATIENCE = 0.25  # seconds that a read may take before a newer wish takes its place
_OWED = 50  # screens that keys may be ahead of the lines that they need
_THIRD = 3  # a line that was asked for is shown a third down the screen


@dataclass(frozen=True)
class LetGo:
    """When following ended.

    Attributes:
        when: Our clock, seconds since the epoch.
        end: Where the log ended then.
        size: Bytes that it had then.
    """

    when: float
    end: Place
    size: int


class Reader:
    """The rows on screen, and how they come to change.

    Args:
        model: The log.
        lay: Lays a line out in rows.
        changed: Called on the loop after `rows`, `following` or `problem` changed.
        now: Our clock, seconds since the epoch.
        clock: What frames are timed by, seconds.
        fps: Paints of news in a second.

    Attributes:
        rows: What is on screen, from its first row on.
        following: Whether the end of the log stays on screen.
        let_go: Since when not.
        frozen: Since when news are not painted because a person wants it so (our clock), or None.
        problem: Why nothing could be read last time, or "".
        numbers: Whether line numbers are on screen, so that lines are read again once they are counted.
        loads: Times that the model was asked for lines.
    """

    def __init__(
        self,
        model: LogModel,
        lay: Lay,
        changed: Callable[[], None],
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        fps: float = FPS,
    ) -> None:
        self.model = model
        self.view = Viewport(lay)
        self.rows: tuple[Row, ...] = ()
        self.following = True
        self.let_go: LetGo | None = None
        self.frozen: float | None = None
        self.problem = ""
        self.numbers = False
        self.loads = 0
        self._changed = changed
        self._now = now
        self._clock = clock
        self._interval = 1 / fps
        self._painted = self._keyed = float("-inf")
        self._woken = asyncio.Event()
        self._hurry = asyncio.Event()
        self._shown = True
        self._filled = 0  # rows that were filled with what was read for so many
        self._fresh = False  # what is held was read under another filter
        self._target: tuple[Place, int | None] | None = None  # a line to show, and the rows above it
        self._owed = 0  # rows still to scroll once more is held
        self._marks: tuple[object, ...] = ()
        self._counted = -1
        self._end = model.end_place()  # of what is held, where that reaches the end

    @property
    def shown(self) -> bool:
        """Whether anybody sees it."""
        return self._shown

    @property
    def _at_end(self) -> bool:
        """Whether the end is to be painted: not while painting is stopped."""
        return self.following and self.frozen is None

    @property
    def at_top(self) -> bool:
        """Whether the log's first row is on screen."""
        return self.view.at_start and bool(self.rows) and self.rows[0].line.at == self.view.lines[0].at

    # What a person asks for.

    def resize(self, height: int, keep: Place | None = None) -> None:
        """Show so many rows from now on; of fewer the first ones, or those that end with the line to keep."""
        if height != self.view.height:
            self.view.resize(height)
            if self._at_end:
                self.view.to_end()
            self._show()
            self._wake(hurry=True)
        asked = self._target[0] if self._target is not None else keep
        if keep is None or keep != asked or self.following or not (below := self.view.below(keep)):
            return
        self.scroll(below)
        if self._fresh or self._target is not None:  # what is held is on its way out
            self.show(keep, above=height - 1)

    def lay_with(self, lay: Lay) -> None:
        """Lay lines out in another way; the first character on screen stays there."""
        self.view.lay_with(lay)
        if self._at_end:
            self.view.to_end()
        self._show()
        self._wake(hurry=True)

    def scroll(self, rows: int) -> None:
        """Down by so many rows, up for a negative number; up lets go of the end."""
        if rows < 0:
            self.release()
        if self.following or not rows:
            return
        most = _OWED * self.view.height
        rows = max(-most, min(rows + self._owed, most))  # keys may come faster than the lines that they need
        missing = self.view.up(-rows) if rows < 0 else self.view.down(rows)
        at_edge = self.view.at_start if rows < 0 else self.view.at_end
        self._owed = 0 if at_edge else (-missing if rows < 0 else missing)
        self._show()
        if self._owed or self._near_edge():
            self._wake(hurry=True)

    def home(self) -> None:
        """The top of the log."""
        self.release()
        self.show(self.model.start_place(), above=0)

    def end(self) -> None:
        """The end of the log, and stay there."""
        self._target, self._owed = None, 0
        if not self.following or self.frozen is not None:
            self.following, self.let_go, self.frozen = True, None, None
            self._changed()
        self._wake(hurry=True)

    def release(self) -> None:
        """Let go of the end: from now on nothing moves by itself."""
        self.view.stay()
        if self.following:
            self.following = False
            state = self.model.state
            self.let_go = LetGo(self._now(), self.model.end_place(), state.bytes)
            self._changed()

    def show(self, place: Place, *, above: int | None = None) -> None:
        """Show the line at or behind `place`: where it is, if it is on screen, else a third down, or `above` rows."""
        self.release()
        self._owed = 0
        on_screen = {row.line.at for row in self.rows if row.index == 0}
        if above is None and place in on_screen:
            if self._target is not None:  # where an older key leads
                self._target = None
                self._wake(hurry=True)
            return
        self._target = (place, above)
        self._wake(hurry=True)

    def keyed(self) -> None:
        """A key was pressed: what it leads to is painted before news are."""
        self._keyed = self._clock()

    def freeze(self) -> None:
        """Stop painting news, or go on."""
        self.frozen = None if self.frozen is not None else self._now()
        self._changed()
        self._wake(hurry=True)

    def renew(self) -> None:
        """What passes the filter is different now: read again around the same place."""
        self._fresh = True
        self._wake(hurry=True)

    # What the log does.

    def news(self) -> None:
        """The log changed, or more of it is known."""
        grown = self.model.end_place() != self._end
        if grown and self.view.at_end:
            self.view.at_end = False
            if len(self.rows) < self.view.height and self._shown and self.frozen is None:
                self._wake(hurry=False)
        if self._shown and self.frozen is None and (self.following or self._stale()):
            self._wake(hurry=False)

    def seen(self, visible: bool) -> None:
        """Whether anybody sees it. What nobody sees is not read."""
        if visible != self._shown:
            self._shown = visible
            self.model.visible(visible)
            if visible:
                self._wake(hurry=True)

    async def run(self) -> None:
        """Read when something is wanted; ends when it is cancelled."""
        while True:
            await self._woken.wait()
            await self._turn()
            self._woken.clear()
            self._hurry.clear()
            if self.view.height > 0 and self._shown:
                self._painted = self._clock()
                await self._patiently()

    async def _turn(self) -> None:
        """Wait until news may be painted, or somebody is in a hurry."""
        keyed: float | None = None
        while keyed != self._keyed and not self._hurry.is_set():
            keyed = self._keyed
            due = max(self._painted, min(keyed, self._painted + (_YIELDS - 1) * self._interval)) + self._interval
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - self._clock())):
                    await self._hurry.wait()

    async def _patiently(self) -> None:
        """Load; a load that takes long makes room for a newer wish."""
        load = asyncio.ensure_future(self._load())
        try:
            await asyncio.wait({load}, timeout=_PATIENCE)
            if not load.done():
                newer = asyncio.ensure_future(self._hurry.wait())
                await asyncio.wait({load, newer}, return_when=asyncio.FIRST_COMPLETED)
                newer.cancel()
        finally:
            load.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await load

    async def _load(self) -> None:
        height = self.view.height
        end = self.model.end_place()
        fresh, target, following = self._fresh, self._target, self._at_end
        state = self.model.state
        self.loads += 1
        try:
            if following:
                window = await self.model.window(end, height, 1)
            else:
                window = await self.model.window(
                    self._place(target), 3 * height + max(0, -self._owed), 4 * height + max(0, self._owed)
                )
        except GatewatchError as error:
            self._say(str(error))
            return
        self._end = end
        self._marks, self._counted = state.shape.marks, state.counted
        if following != self._at_end or target is not self._target:
            return  # something else is wanted by now, and is about to be read
        self._fresh = False if fresh else self._fresh
        self.view.hold(window, keep=not fresh and not following and target is None)
        self._settle(target, fill=fresh or height != self._filled)
        self._filled = height
        try:
            await self._further()
        except GatewatchError as error:
            self._say(str(error))
        else:
            self._say("")
        finally:
            self._show()
        if self._owed:  # of keys that came meanwhile
            self._wake(hurry=True)

    def _settle(self, target: tuple[Place, int | None] | None, *, fill: bool) -> None:
        """Move to what was asked for, now that it is held."""
        if self._at_end:
            self.view.to_end()
        elif target is not None:
            self._target = None
            place, above = target
            missing = self.view.show(place, self.view.height // _THIRD if above is None else above)
            self._owed -= missing if self.view.cut else 0
        elif self.view.anchor is None:
            self.view.to_end()
        self._pay()
        if fill:
            self.view.fill()

    def _pay(self) -> None:
        """Scroll the rows that are owed; those that are not held stay owed where more can be had at once."""
        if self._owed:
            owed, self._owed = self._owed, 0
            missing = -self.view.up(-owed) if owed < 0 else self.view.down(owed)
            at_edge = self.view.at_start if owed < 0 else self.view.at_end
            self._owed = missing if self.view.cut or not (at_edge or self.view.busy) else 0

    async def _further(self) -> None:
        """Read on where an answer was cut before the screen was full, or before it scrolled as far as was wanted.

        Every turn holds another line, or is the last.
        """
        view, following = self.view, self._at_end
        if not view.cut:
            return
        while view.lines and (self._owed or len(view.rows()) < view.height):
            above = self._owed < 0 if self._owed else following or view.at_end
            if view.at_start if above else view.at_end:
                break
            last = view.lines[-1]
            at = view.lines[0].at if above else Place(last.at.generation, last.end)
            self.loads += 1
            window = await self.model.window(at, view.height if above else 0, 0 if above else view.height)
            if following != self._at_end or self._target is not None or self._fresh:
                return  # something else is wanted by now, and is about to be read
            if not view.join(window, above=above):
                break
            if following:
                view.to_end()
            self._pay()
            if not following:
                view.fill()
        self._owed = 0

    def _place(self, target: tuple[Place, int | None] | None) -> Place:
        if target is not None:
            return target[0]
        return self.view.anchor.place if self.view.anchor is not None else self.model.end_place()

    def _near_edge(self) -> bool:
        above, below = self.view.spare()
        few = self.view.height
        return (above < few and not self.view.at_start) or (below < few and not self.view.at_end)

    def _stale(self) -> bool:
        """Whether what is on screen would look different if it were read again."""
        state = self.model.state
        if self._fresh or self._target is not None or self.view.busy or self.problem:
            return True
        if state.shape.marks != self._marks:
            return True
        uncounted = self.numbers and state.counted > self._counted
        live = state.shape.generations[-1].number if state.shape.generations else None
        return any(
            not row.line.complete
            or (uncounted and row.line.number is None)
            or (row.index >= 0 and row.line.at.generation == live and row.line.encoding != state.encoding)
            for row in self.rows
        )

    def _show(self) -> None:
        rows = self.view.rows()
        if rows != self.rows:
            self.rows = rows
            self._changed()

    def _say(self, problem: str) -> None:
        told, self.problem = self.problem, problem
        rows = self.view.rows()
        if told != problem or rows != self.rows:
            self.rows = rows
            self._changed()

    def _wake(self, *, hurry: bool) -> None:
        self._woken.set()
        if hurry:
            self._hurry.set()


def anchor_of(rows: tuple[Row, ...]) -> Anchor | None:
    """Where these rows begin."""
    return rows[0].anchor if rows else None
