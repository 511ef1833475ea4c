"""The colours: dark and light, high contrast, colour-blind, and none.

Text colours keep a contrast of at least 4.5 to 1 to their ground (7 to 1 in the high-contrast ones). The colour-blind
theme tells blue from orange, never green from red. All of them tell by glyph and word too, so `mono` loses nothing.
"""

from __future__ import annotations

from textual.theme import Theme

DEFAULT = "gatewatch-dark"


def _theme(name: str, dark: bool, **colors: str) -> Theme:
    """A theme in which text colours are exactly these: the framework's own tints would move their contrast."""
    variables = {f"text-{key}": colors[key] for key in ("error", "warning", "success", "primary", "accent")}
    variables["text-secondary"] = colors["secondary"]
    variables["text-muted"] = colors.pop("muted")
    variables["selection"] = colors.pop("selection")
    variables["input-selection-background"] = variables["selection"]
    variables["block-cursor-background"] = colors["primary"]
    variables["block-cursor-foreground"] = colors["background"]
    return Theme(
        name=name,
        primary=colors["primary"],
        secondary=colors["secondary"],
        accent=colors["accent"],
        warning=colors["warning"],
        error=colors["error"],
        success=colors["success"],
        foreground=colors["foreground"],
        background=colors["background"],
        surface=colors["surface"],
        panel=colors["panel"],
        dark=dark,
        variables=variables,
    )


THEMES: tuple[Theme, ...] = (
    _theme(
        "gatewatch-dark",
        dark=True,
        primary="#6cb6ff",
        secondary="#9ab0c8",
        accent="#e6b450",
        warning="#e6b450",
        error="#ff7b72",
        success="#7ec87e",
        foreground="#d5dae0",
        background="#11151a",
        surface="#171c23",
        panel="#1f2630",
        muted="#8b96a3",
        selection="#2c4664",
    ),
    _theme(
        "gatewatch-light",
        dark=False,
        primary="#0a5eb0",
        secondary="#44566a",
        accent="#7a4b00",
        warning="#7a4b00",
        error="#b3201b",
        success="#166a2c",
        foreground="#1d232a",
        background="#fbfbf9",
        surface="#f1f2f0",
        panel="#e4e7e8",
        muted="#5b6672",
        selection="#bcd8f5",
    ),
    _theme(
        "gatewatch-contrast",
        dark=True,
        primary="#8fd0ff",
        secondary="#d0d0d0",
        accent="#ffe14d",
        warning="#ffe14d",
        error="#ff9c94",
        success="#8dff8d",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#202020",
        muted="#c4c4c4",
        selection="#00458a",
    ),
    _theme(
        "gatewatch-colour-blind",
        dark=True,
        primary="#56b4e9",
        secondary="#a8b8c8",
        accent="#f0e442",
        warning="#f0e442",
        error="#ff9a3c",
        success="#6db9ff",
        foreground="#dcdfe3",
        background="#11151a",
        surface="#171c23",
        panel="#1f2630",
        muted="#909aa5",
        selection="#2c4664",
    ),
    _theme(
        "gatewatch-mono",
        dark=True,
        primary="#ffffff",
        secondary="#c8c8c8",
        accent="#ffffff",
        warning="#e8e8e8",
        error="#ffffff",
        success="#d8d8d8",
        foreground="#d8d8d8",
        background="#101010",
        surface="#181818",
        panel="#262626",
        muted="#9a9a9a",
        selection="#4a4a4a",
    ),
)
"""The first is the default."""
