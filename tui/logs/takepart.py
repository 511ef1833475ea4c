"""The part of a log pane that takes text along: selecting, copying and saving."""

from __future__ import annotations

import asyncio
import atexit
import os
from functools import partial
from pathlib import Path

from hosts.errors import InputError
from monitors.logs.model import LogModel
from monitors.logs.types import Place, Source
from tui import console, words
from tui.app import GatewatchApp
from tui.logs.askbar import Typed
from tui.logs.filterpart import FilterPart
from tui.logs.pieces import pieces
from tui.logs.saving import NewFile, OneWay
from tui.logs.selection import Point, Selection, collect
from tui.logs.wholes import Lost

_HELD = 4 << 20
"""Bytes from which on what is saved is written, so that saving takes little memory, however long the lines are."""


class TakePart(FilterPart):
    """Takes lines out of the log; nothing here changes it."""

    _saving: Path | None = None

    async def on_unmount(self) -> None:
        """What was being copied is read first; what was being saved when the pane went is not there."""
        if isinstance(self.app, GatewatchApp):
            await self.app.copying.taken()
        if self._saving is None:
            return
        told = f"{self._saving} was not saved: the log was left before all of it was written"
        if self.app.is_running:
            self.say(told, bad=True)
        else:
            atexit.register(console.warn, told)  # the terminal may show the screen still

    # Selecting.

    def action_select(self) -> None:
        """Begin to select whole lines, or end it."""
        if self.view.selection is not None:
            self.view.select(None)
            return
        line = self.view.line
        if line is not None and self.reader is not None:
            self.reader.release()
            self.view.set_current(line.at)
            self.view.select(Selection(Point(line.at), Point(line.at), lines=True))

    def action_select_up(self) -> None:
        """One line more upwards."""
        self._extend(-1)

    def action_select_down(self) -> None:
        """One line more downwards."""
        self._extend(1)

    @property
    def marked(self) -> Place | None:
        """The line that one is at; what is selected by lines ends at one, even where its mark was taken away."""
        chosen = self.view.selection
        if self.view.current is None and chosen is not None and chosen.lines:
            return chosen.head.place
        return self.view.current

    def _extend(self, step: int) -> None:
        chosen = self.view.selection
        if chosen is None or chosen.empty:
            self.view.select(None)
            self.action_select()
            return
        if not chosen.lines:  # of text, its lines: wherever one was before it was selected
            self.view.set_current(chosen.head.place)
            self.view.select(Selection(Point(chosen.start.place), Point(chosen.head.place), lines=True))
        self.move_line(step)

    def move_line(self, step: int) -> None:
        """The next or the previous line is the one that one is at, and the end of what is selected."""
        reader, current = self.reader, self.marked
        if reader is None or current is None:
            return
        place = reader.view.neighbour(current, step)
        if place is None:
            return
        reader.release()
        self.view.set_current(place)
        if self.view.selection is not None and self.view.selection.lines:
            self.view.select(self.view.selection.to(Point(place)))
        shown = [row.line.at for row in reader.rows if row.index == 0]
        if place not in shown:
            reader.scroll(step)
            if place not in [row.line.at for row in reader.rows]:
                reader.show(place)

    # Copying and saving.

    def action_copy(self) -> None:
        """The selection, or the line."""
        model, line = self.model, self.view.line
        chosen = self.view.selection
        if (chosen is None or chosen.empty) and line is not None:
            chosen = Selection(Point(line.at), Point(line.at), lines=True)
        if model is None or chosen is None:
            return
        selection = chosen

        async def take() -> tuple[str, str]:
            taken = await collect(model, selection, self.view.whole)
            return taken.text, taken.what

        app = self.app
        assert isinstance(app, GatewatchApp)
        app.copying.begin(take, self._copied)

    def _copied(self) -> None:
        if self.is_attached:
            self.view.select(None)

    async def action_save(self) -> None:
        """Type where to."""
        await self.ask("save")

    def save_taken(self, typed: Typed) -> None:
        """Write what the filter shows to a file that is not there yet: byte for byte, where all is written one way."""
        if not typed.text.strip():
            self.asked()
            return
        try:
            path = Path(typed.text.strip()).expanduser()
        except RuntimeError:
            if self.asking is not None:
                self.asking.tell(f"{typed.text.strip()}: no such user", bad=True)
            return
        if self._saving is not None:
            if self.asking is not None:
                self.asking.tell(f"{self._saving} is still being saved", bad=True)
            return
        model = self.model
        self.asked()
        if model is not None:
            self._saving = path

            async def save() -> None:
                lost = Lost()
                try:
                    said = await self._save(model, path, lost)
                    self._saving = None
                except Exception:  # but not where it is given up in the middle
                    self._saving = None
                    raise
                finally:
                    self.doing("")
                if lost.size:
                    said = f"{words.size(lost.size)} of the log were thrown away meanwhile and are missing: {said}"
                self.say(said, bad=lost.size > 0)

            self.later(save, "save")

    async def _save(self, model: LogModel, path: Path, lost: Lost) -> str:
        """Write it, and say what was written.

        Raises:
            InputError: Something has this name already, or it cannot be written there.
            UnreachableError: Nobody answers.
        """
        count = size = 0
        way = OneWay()
        try:
            file = await asyncio.to_thread(NewFile, path)
            try:
                data = bytearray()
                async for piece in pieces(model, model.start_place(), model.end_place(), self._applied, lost):
                    self.doing(f"saving {words.percent(model.fraction(piece.at))}")
                    count += piece.lines
                    for line, found in piece.parts:
                        data += way.add(line, found)
                        if len(data) >= _HELD:
                            size += await asyncio.to_thread(file.write, data)
                            data.clear()
                size += await asyncio.to_thread(file.write, data)
                await asyncio.to_thread(file.publish, partial(_not_a_log, model.source))
            finally:  # begun at once: given up twice, what waits for a thread would never be done
                await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, file.close))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        written = f"all of it in {way.encoding.upper()}, " if way.turned else ""
        return f"{words.counted(count, 'line')}, {words.size(size)}, {written}written to {path}"


def _not_a_log(source: Source, status: os.stat_result) -> None:
    """Keep a source that looks for the newest log from turning to this file."""
    from monitors.logs.pointing import PointingSource

    if isinstance(source, PointingSource):
        source.ignore(status)
