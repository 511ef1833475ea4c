"""The first line of the stage screen: which stage it is, and how its run stands."""

from __future__ import annotations

from typing import Any

from textual.content import Content

from gates.calibration.schema import Stage
from monitors.snapshot import Snapshot
from tui import words
from tui.cells import painted, shorten
from tui.marks import STATES
from tui.screens.stage_text import safe


def title_line(
    key: str, stage: Stage | None, snapshot: Snapshot[Any], now: float, width: int, *, ascii_only: bool = False
) -> Content:
    """The line, `width` cells long.

    Args:
        stage: What the manifest says of it, None where that is not known, or not yet.
        now: Our clock, seconds since the epoch.
    """
    state, seen = STATES[snapshot.state.value], snapshot.seen.received
    age = "never seen" if seen is None else f"seen {words.age(now - seen)} ago"
    tail = f"{state.sign(ascii_only)} {state.word}  {age}"
    parts = [safe(part) for part in (stage.title, stage.group, stage.test)] if stage is not None else []
    name = shorten(safe(key), max(8, width - painted(tail) - 2))
    room = width - painted(name) - painted(tail) - 4
    # What has no room goes whole: first the group, then the title.
    told = ["  ".join(some) for some in (parts, parts[::2], parts[2:]) if some]
    about = next((one for one in told if painted(one) <= room), shorten(told[-1], room) if told and room > 8 else "")
    gap = " " * max(1, width - painted(name) - painted(about) - painted(tail) - 2)
    return Content.assemble(
        (name, "bold $text-primary"), "  ", (about, "$text-muted"), gap, (tail, f"$text-{state.style}")
    )
