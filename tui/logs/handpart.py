"""The part of a log pane that opens other programs at the line that one is at: a pager, an editor.

The terminal is theirs until they end, and the log is followed beneath.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from hosts.errors import GatewatchError, InputError
from hosts.target import Target
from monitors.logs.model import LogModel
from monitors.logs.opening import in_time
from monitors.logs.types import Generation, LogLine, Source
from tui import shims
from tui.app import screen_is_shared
from tui.logs.takepart import TakePart

_QUICK_S = 0.25  # that keys wait at most while the file is looked for
_BY_BYTE = ("vi", "vim", "nvim", "view", "gvim")
_PAGERS = ("more", "most", "vi", "view")
_BATS = ("bat", "batcat")
_BY_LINE = ("vi", "view", "nano", "emacs", "emacsclient", "micro", "joe", "kak", "mg", "ne", "pico")


class HandPart(TakePart):
    """Hands the terminal to other programs."""

    _handed: LogModel | None = None

    def action_pager(self) -> None:
        """$PAGER at the line."""
        self._hand_over(_named("PAGER") or "less", pager=True)

    def action_editor(self) -> None:
        """$VISUAL or $EDITOR at the line."""
        self._hand_over(_named("VISUAL") or _named("EDITOR") or "vi", pager=False)

    def _hand_over(self, command: str, *, pager: bool) -> None:
        line, model = self.view.line, self.model
        if line is None or model is None or self._handed is model:
            return
        try:
            program = shlex.split(command)
        except ValueError as error:
            self.say(f"{command}: {error}", bad=True)
            return
        self._handed = model
        begin: Callable[[], Awaitable[None]] = partial(self._open, program, model, line, pager)
        # The app's and not the pane's: the program goes on if this pane is closed meanwhile
        self.app.run_worker(begin, group="terminal", exit_on_error=False)

    async def _open(self, program: Sequence[str], model: LogModel, line: LogLine, pager: bool) -> None:
        screen, focused = self.app.screen, self.app.focused
        try:
            path = await self._file_of(model, line)
            if self.model is not model or self.app.screen is not screen or screen_is_shared(screen):
                return  # one is elsewhere by now, or others look on
            if self.app.focused not in (focused, None):  # nothing has it while another window has the keys
                return
            if path:
                await self._lend([*program, *at_line(program[0], path, line, pager=pager)])
            else:
                self.say("only a file of this machine can be opened; S saves what is shown to one", bad=True)
        except (OSError, GatewatchError) as error:
            self.say(getattr(error, "strerror", None) or str(error), bad=True)
        finally:
            if self._handed is model:
                self._handed = None

    async def _file_of(self, model: LogModel, line: LogLine) -> str:
        """The file of this machine that a line is in; "" where none is.

        Raises:
            InputError: It had a name, and has none any more.
            UnreachableError: The file system does not answer.
        """
        generation = next((one for one in model.state.shape.generations if one.number == line.at.generation), None)
        if generation is None:
            return ""
        with contextlib.ExitStack() as waiting:
            waiting.enter_context(self._keys_waiting())
            # What is typed is meant for what is here afterwards, but a file system may never answer
            asyncio.get_running_loop().call_later(_QUICK_S, waiting.close)
            return await _find(generation, model.source)

    async def _lend(self, argv: Sequence[str]) -> None:
        try:
            with self._keys_waiting():
                code = await shims.run_in_terminal(self.app, argv, os.environ)
        except (OSError, GatewatchError) as error:
            self.say(f"{argv[0]}: {getattr(error, 'strerror', None) or error}", bad=True)
        else:
            if code:  # without its folder: a whole path may be broken over rows
                self.say(f"{os.path.basename(argv[0])} ended with {code}", bad=True)

    def _keys_waiting(self) -> contextlib.AbstractContextManager[None]:
        """What was typed ahead is meant for what is here once the program has ended."""
        waiting = getattr(self.app, "keys_waiting", contextlib.nullcontext)
        held: contextlib.AbstractContextManager[None] = waiting()
        return held


async def _find(generation: Generation, source: Source) -> str:
    handle = source.descriptor(generation.number)
    ours = os.dup(handle) if handle is not None else None  # the log may let go of its own meanwhile

    def look() -> str:
        try:
            return _path(generation, ours)
        finally:
            if ours is not None:
                os.close(ours)

    return await in_time(Target(None, generation.name), look, "find")


def _path(generation: Generation, handle: int | None) -> str:
    """The file of this machine that holds a generation, by the name that it has; "" where none does.

    Raises:
        InputError: It had a name, and has none any more.
    """
    name = generation.name
    if generation.live and handle is None:
        return name if os.path.isfile(name) else ""
    # A live one too may have another name by now: its writer goes on in it after it was renamed
    if handle is None or not name or name == "-" or (os.path.exists(name) and not os.path.isfile(name)):
        return ""  # of a pipe, what is read from is a file of ours
    with contextlib.suppress(OSError):
        there = os.fstat(handle)
        for path in (name, os.readlink(f"/proc/self/fd/{handle}")):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(path), there):
                    return path
    raise InputError("the file that this line is in was rotated away; S saves what is shown to another")


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
    if pager and name in _BATS and line.number is not None:
        # It hands over to less, which counts the rows it is given: none may be made of a long line before that. What
        # bat puts above the file only moves the line down a little, and the line is marked.
        return ("--wrap=never", f"--highlight-line={line.number}", f"--pager=less -R +{line.number}g", safe)
    if line.number is not None and name in (_PAGERS if pager else _BY_LINE):
        return (f"+{line.number}", safe)
    if name in _BY_BYTE:
        return (f"+goto {line.at.offset + 1}", safe)
    if line.number is not None and name in ("code", "codium", "subl", "hx", "helix"):
        return (*(("-g",) if name.startswith("cod") else ()), f"{safe}:{line.number}")
    return (safe,)
