"""Pictures of screens, compared with those that were looked at and kept.

A picture is made of what the compositor shows, so it is the same on every machine: no font, no random id, no clock.
`pytest --update-snapshots` writes those that are new or differ; look at them before you commit them.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.segment import Segment
from rich.terminal_theme import TerminalTheme
from textual.app import App

from tui import shims

SIZES = ((80, 24), (120, 40), (200, 50))
FOLDER = Path(__file__).with_name("pictures")

_THEME = TerminalTheme((17, 21, 26), (213, 218, 224), [(0, 0, 0)] * 8, [(90, 90, 90)] * 8)
# Only what the text and its colours are: a picture viewer's own font serves.
_FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 {width} {height}">
<style>text {{ font-family: monospace; font-size: {char_height}px; font-variant-ligatures: none; white-space: pre }}
{styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>\
</clipPath>{lines}</defs>
<rect width="100%" height="100%" fill="#11151a"/>
<g transform="translate({terminal_x}, {terminal_y})">{backgrounds}<g>{matrix}</g></g>
</svg>
"""


def picture(app: App[Any]) -> str:
    """What the app shows now, as SVG."""
    width, height = app.size
    console = Console(
        width=max(1, width), height=max(1, height), file=io.StringIO(), force_terminal=True, color_system="truecolor",
        record=True, legacy_windows=False, no_color=False, _environ={},
    )  # fmt: skip
    for strip in shims.screen_strips(app):
        for segment in strip:
            if not segment.control:
                console._record_buffer.append(Segment(segment.text, segment.style))
        console._record_buffer.append(Segment("\n"))
    return console.export_svg(title="", theme=_THEME, code_format=_FORMAT, unique_id="gw")


def text(app: App[Any]) -> list[str]:
    """The same as rows of text, without blanks at their ends."""
    return [strip.text.rstrip() for strip in shims.screen_strips(app)]


class Album:
    """Holds what is shown against the pictures of one test module.

    Args:
        folder: Where they are kept.
        update: Write what is new or differs.
        failed: Where a picture that differs is left, to be looked at.
    """

    def __init__(self, folder: Path, update: bool, failed: Path) -> None:
        self._folder = folder
        self._update = update
        self._failed = failed

    def check(self, app: App[Any], name: str) -> None:
        """The app shows the picture of this name and its size."""
        width, height = app.size
        path = self._folder / f"{name}.{width}x{height}.svg"
        shown = picture(app)
        kept = path.read_text("utf-8") if path.is_file() else None
        if shown == kept:
            return
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(shown, "utf-8")
            return
        self._failed.mkdir(parents=True, exist_ok=True)
        new = self._failed / path.name
        new.write_text(shown, "utf-8")
        rows = "\n".join(text(app))
        what = "is not" if kept is not None else "is not there yet:"
        raise AssertionError(f"the screen {what} {path}; it is {new}; --update-snapshots takes it over\n{rows}")
