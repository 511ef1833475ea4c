"""The keys of the app on a screen that lies over others, where the framework looks at that screen alone."""

from __future__ import annotations

from textual.binding import Binding

from tui import keys

EVERYWHERE = [
    Binding(
        ",".join(one.keys),
        f"app.{one.method}",
        show=False,
        priority="ctrl+c" in one.keys,  # a field would copy with it
    )
    for one in keys.actions("app")
]
"""All of them: what the key line and the help name there is what the keys do."""
