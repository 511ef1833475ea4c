"""The part of a log pane that takes text along: selecting, copying, saving, and other programs at the same line."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hosts.errors import GatewatchError, InputError
from monitors.logs.model import LogModel
from monitors.logs.types import LogLine
from tui import clipboard, shims, words
from tui.logs.askbar import Typed
from tui.logs.batches import batches
from tui.logs.filterpart import FilterPart
from tui.logs.selection import Point, Selection, collect

_BATCH = 128
"""Lines that are asked for at a time: of long ones, each comes with up to `monitors.logs.types.KEEP` bytes."""

_HELD = 4 << 20
"""Bytes from which on what is saved is written, so that saving takes little memory, however long the lines are."""

_BY_BYTE = ("vi", "vim", "nvim", "view", "gvim")
_PAGERS = ("more", "most", "vi", "view")
_BY_LINE = ("vi", "view", "nano", "emacs", "emacsclient", "micro", "joe", "kak", "mg", "ne", "pico")


class TakePart(FilterPart):
    """Takes lines out of the log; nothing here changes it."""

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

    def _extend(self, step: int) -> None:
        if self.view.selection is None or not self.view.selection.lines:
            self.view.select(None)
            self.action_select()
        else:
            self.move_line(step)

    def move_line(self, step: int) -> None:
        """The next or the previous line is the one that one is at, and the end of what is selected."""
        reader, current = self.reader, self.view.current
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

        async def copy() -> None:
            taken = await collect(model, selection, self.view.whole, model.state.encoding)
            copied = await asyncio.to_thread(clipboard.copy, taken.text, taken.what, dict(os.environ))
            if copied.sequence:
                shims.write(self.app, copied.sequence)
            self.say(copied.told)
            self.view.select(None)

        self.later(copy, "copy")

    async def action_save(self) -> None:
        """Type where to."""
        await self.ask("save")

    def save_taken(self, typed: Typed) -> None:
        """Write what the filter shows, byte for byte, to a file that is not there yet."""
        if not typed.text.strip():
            self.asked()
            return
        path = Path(typed.text.strip()).expanduser()
        model = self.model
        self.asked()
        if model is not None:

            async def save() -> None:
                try:
                    count, size = await self._save(model, path)
                finally:
                    self.doing("")
                self.say(f"{words.counted(count, 'line')}, {words.size(size)}, written to {path}")

            self.later(save, "save")

    async def _save(self, model: LogModel, path: Path) -> tuple[int, int]:
        try:
            handle, name = await asyncio.to_thread(tempfile.mkstemp, ".tmp", ".gatewatch-", path.parent)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        count = size = 0
        try:
            with os.fdopen(handle, "wb") as file:
                data = bytearray()
                async for lines in batches(model, model.start_place(), model.end_place(), _BATCH):
                    self.doing(f"saving {words.percent(model.fraction(lines[0].at))}")
                    for line in lines:
                        data += await self._bytes_of(model, line)
                        count += line.piece == 0 and line.end > line.at.offset
                        if len(data) >= _HELD:
                            size += await asyncio.to_thread(file.write, data)
                            data.clear()
                size += await asyncio.to_thread(file.write, data)
            # A link fails where something stands already: nothing is overwritten, whoever was quicker.
            await asyncio.to_thread(os.link, name, path)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        finally:
            await asyncio.to_thread(os.unlink, name)
        return count, size

    async def _bytes_of(self, model: LogModel, line: LogLine) -> bytes:
        return await model.read(line.at, line.end - line.at.offset) if line.end > line.at.offset else b""

    # Other programs.

    def action_pager(self) -> None:
        """$PAGER at the line."""
        self._hand_over(_named("PAGER") or "less", pager=True)

    def action_editor(self) -> None:
        """$VISUAL or $EDITOR at the line."""
        self._hand_over(_named("VISUAL") or _named("EDITOR") or "vi", pager=False)

    def _hand_over(self, command: str, *, pager: bool) -> None:
        line, model = self.view.line, self.model
        if line is None or model is None:
            return
        generation = next((one for one in model.state.shape.generations if one.number == line.at.generation), None)
        path = generation.name if generation is not None and generation.live else ""
        if not path or not os.path.isfile(path):
            self.say("only a file of this machine can be opened; S saves what is shown to one", bad=True)
            return
        try:
            argv = shlex.split(command)
        except ValueError as error:
            self.say(f"{command}: {error}", bad=True)
            return
        argv += at_line(argv[0], path, line, pager=pager)
        try:
            code = shims.run_in_terminal(self.app, argv, os.environ)
        except (OSError, GatewatchError) as error:
            self.say(f"{argv[0]}: {getattr(error, 'strerror', None) or error}", bad=True)
            return
        if code:
            self.say(f"{os.path.basename(argv[0])} ended with {code}", bad=True)  # a whole path may be broken over rows


def _named(variable: str) -> str:
    """The command that a variable names; "" where it is blank: else what it is to open would be run."""
    return os.environ.get(variable, "").strip()


def at_line(program: str, path: str, line: LogLine, *, pager: bool) -> Sequence[str]:
    """The arguments that open a file at a line, for the programs that are known; else the file alone.

    A name that begins with a dash is never taken for an option.
    """
    name = os.path.basename(program)
    safe = f"./{path}" if path.startswith("-") else path
    if pager and name == "less":
        return (f"+{line.at.offset}P", safe)
    if line.number is not None and name in (_PAGERS if pager else _BY_LINE):
        return (f"+{line.number}", safe)
    if name in _BY_BYTE:
        return (f"+goto {line.at.offset + 1}", safe)
    if line.number is not None and name in ("code", "codium", "subl", "hx", "helix"):
        return (*(("-g",) if name.startswith("cod") else ()), f"{safe}:{line.number}")
    return (safe,)
