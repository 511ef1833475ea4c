"""From the looks of a row's spans to styles: names of ours follow the theme, a log's own colours are its own."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping

from rich.color import Color as RichColor
from rich.style import Style

from tui.logs.ansi import Color, Sgr

_BRIGHT_BLACK = 8

PARTS: tuple[str, ...] = (
    "found",
    "selected",
    "current",
    "context",
    "gutter",
    "accent",
    "warning",
    "error",
    "critical",
    "secondary",
    "muted",
    "gap",
)
"""Names of ours, each a component class `log--NAME` of the view."""


def span_style(key: Hashable, parts: Mapping[str, Style]) -> Style:
    """The style of one span.

    Args:
        key: A name of ours, or what the log itself asks for.
        parts: Styles of our names, by the theme.
    """
    if isinstance(key, Sgr):
        return _own(key)
    return parts.get(key, Style.null()) if isinstance(key, str) else Style.null()


@functools.lru_cache(maxsize=1024)
def _own(look: Sgr) -> Style:
    fore = _BRIGHT_BLACK if look.fg == 0 and look.bg is None else look.fg  # black on our dark ground is not seen
    return Style(
        color=_rich_color(fore),
        bgcolor=_rich_color(look.bg),
        bold=look.bold or None,
        dim=look.dim or None,
        italic=look.italic or None,
        underline=look.underline or None,
        reverse=look.reverse or None,
    )


def _rich_color(color: Color | None) -> RichColor | None:
    if color is None:
        return None
    return RichColor.from_rgb(*color) if isinstance(color, tuple) else RichColor.from_ansi(color)
