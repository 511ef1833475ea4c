"""Progress of long work on stderr: rich where a person watches, plain lines where a file does.

Milestones pass above the bar and stay; the bar is replaced in place. Everything shown is plain text: data never
reaches a markup parser (SAFETY T3).
"""

from __future__ import annotations

import os
import sys
import time
from typing import Protocol

from tui import console
from tui.sanitise import clean_inline, redact

PLAIN_EVERY_S = 60.0


class Progress(Protocol):
    """Shows how far something is."""

    def say(self, line: str) -> None:
        """Show a milestone, which stays."""
        ...

    def show(self, done: int, total: int, text: str) -> None:
        """Show how far it is; cheap to call often."""
        ...

    def close(self) -> None:
        """Take the bar away."""
        ...

    def reopen(self) -> None:
        """Show the bar again, with the time that has passed since the first time."""
        ...


class PlainProgress:
    """Lines for a log: milestones as they come, and the state now and then."""

    def __init__(self, every_s: float = PLAIN_EVERY_S) -> None:
        self._every_s = every_s
        self._last = time.monotonic()

    def say(self, line: str) -> None:
        console.milestone(line)

    def show(self, done: int, total: int, text: str) -> None:
        if time.monotonic() - self._last >= self._every_s:
            self._last = time.monotonic()
            console.milestone(f"{done}/{total} cells, {text}")

    def close(self) -> None:
        pass

    def reopen(self) -> None:
        pass


class RichProgress:
    """A bar at the foot of the terminal, with milestones above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars
        from rich.table import Column

        # What runs takes the room that is left, and no more: a long name must not push the numbers out.
        text = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._bars = Bars(
            MofNCompleteColumn(),
            TextColumn("cells", markup=False),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False, table_column=text),
            console=self._console,
            refresh_per_second=4,
            transient=True,
            expand=True,
        )
        self._task = self._bars.add_task("", total=None, visible=False)
        self._bars.start()

    def say(self, line: str) -> None:
        from rich.text import Text

        self._console.print(Text(clean_inline(redact(line))), soft_wrap=True)

    def show(self, done: int, total: int, text: str) -> None:
        shown = clean_inline(redact(text))
        self._bars.update(self._task, completed=done, total=total, description=shown, visible=True)

    def close(self) -> None:
        self._bars.stop()

    def reopen(self) -> None:
        self._bars.start()


def open_progress() -> Progress:
    """The progress that suits stderr."""
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown"):
        return RichProgress()
    return PlainProgress()
