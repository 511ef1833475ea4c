"""A line of one host's screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tui.screens.run_ink import Row, Span


@dataclass(frozen=True)
class Line:
    """One line; it is made when it is painted.

    Attributes:
        key: What the cursor stands on, such as `gpu 3` or `pid 4711 0`; "" where it does not.
        run: The run that Enter goes into, or "".
        log: The path that is followed from here, or "".
        tail: The path of the log whose end this is a row of, or "".
    """

    make: Callable[[], Row]
    key: str = ""
    run: str = ""
    log: str = ""
    tail: str = ""


def fixed(*spans: Span) -> Line:
    """One that says the same until the host is looked at again, and on which the cursor does not stand."""
    return Line(lambda: spans)
