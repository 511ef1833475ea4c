"""Where we reach behind the framework's public face, each with the version that it was written for.

Nothing else in this tree touches a private name of textual. When the version changes, this file is read again.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import App
    from textual.strip import Strip


def stop(app: App[Any]) -> None:
    """End the app from within an error's handler, without a traceback on the terminal.

    textual 8.2.8: `App._fatal_error` prints a traceback with the values of local variables, which may hold what is on
    screen, escape sequences and secrets included. Its other half, ending the app, is this call.
    """
    app._close_messages_no_wait()


def write(app: App[Any], sequence: str) -> None:
    """Send a control sequence of ours to the terminal.

    textual 8.2.8: only the driver may write, and `App.copy_to_clipboard` knows no tmux and no limit.
    """
    if app._driver is not None:
        app._driver.write(sequence)
        app._driver.flush()


def screen_strips(app: App[Any]) -> list[Strip]:
    """What the terminal shows, row by row, screens below a dialog included.

    textual 8.2.8: `App.export_screenshot` gives a picture of it with a random part; the rows are the compositor's.
    """
    width, height = app.size
    rows: list[Strip] = []
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    strips = getattr(update, "strips", None)
    if strips is not None:
        from textual.strip import Strip as Row

        rows = [Row.join(row).crop_extend(0, width, None) for row in strips[:height]]
    return rows


@contextmanager
def lent_terminal(app: App[Any]) -> Iterator[None]:
    """The terminal belongs to another program within this block; ctrl-c is that program's alone.

    textual 8.2.8: `App.suspend` gives the terminal back to its cooked mode, in which ctrl-c is a signal for us too. A
    handler of Python's is not inherited by the other program, where it ends or interrupts as always.
    """

    def ignored(_signal: int, _frame: FrameType | None) -> None:
        pass

    with app.suspend():
        before = signal.signal(signal.SIGINT, ignored)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def run_in_terminal(app: App[Any], argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Hand the terminal to a program until it ends; returns its exit status, negative for a signal.

    Raises:
        OSError: It cannot be started.
        textual.app.SuspendNotSupported: There is no terminal that could be handed over.
    """
    with lent_terminal(app):
        return subprocess.run(list(argv), env=dict(env), check=False).returncode
