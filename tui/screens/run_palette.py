"""What can be done with a run, in the palette of its screen, whichever of its panes has the focus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui import keys
from tui.app import pane_of


class RunActions(Provider):
    """The actions of the run itself; those of the focused pane come from `tui.palette`."""

    async def discover(self) -> Hits:
        """All of them, in the order of the table."""
        for name, text, command in self._commands():
            yield DiscoveryHit(Content(name), command, text=name, help=text)

    async def search(self, query: str) -> Hits:
        """What fits the words."""
        matcher = self.matcher(query)
        for name, text, command in self._commands():
            score = max(matcher.match(name), 0.9 * matcher.match(text))
            if score > 0:
                yield Hit(score, matcher.highlight(name), command, text=name, help=text)

    def _commands(self) -> list[tuple[str, str, Callable[[], Awaitable[bool]]]]:
        focused = self.focused
        pane = pane_of(focused) if focused is not None else None
        if getattr(pane, "PANE", "") == "run":
            return []
        plain = bool(getattr(self.app, "ascii_only", False))
        return [
            (
                f"run: {one.label}  ({keys.spelled(one.keys[0], ascii_only=plain)})",
                one.help,
                partial(self.app.run_action, one.method, self.screen),
            )
            for one in keys.actions("run")
        ]
