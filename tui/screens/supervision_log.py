"""The log pane as a part of a run, and what stands in its place while there is no log."""

from __future__ import annotations

from textual.widgets import Static

from tui.logs.pane import LogPane


class RunLog(LogPane):
    """A log pane within a run: Escape, once there is nothing of its own to close, is the run's."""

    TITLED = True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape is its own only while there is something to close."""
        return self._is_layered if action == "back" else super().check_action(action, parameters)

    @property
    def _is_layered(self) -> bool:
        layered = self.asking is not None or self.view.selection is not None or self.detail.is_open
        return layered or self.view.current is not None or self.finding

    @property
    def finding(self) -> bool:
        """Whether there is something that was looked for."""
        return self._search is not None

    @property
    def is_read(self) -> bool:
        """Whether somebody is at something here that another log would tear away."""
        reader = self.reader
        moved = reader is not None and (not reader.following or reader.frozen is not None)
        return moved or self.asking is not None or self.detail.is_open or self.view.selection is not None


class Nothing(Static, can_focus=True):
    """What stands where a log would; it takes the keys in its place."""
