"""Whether a widget's screen is hidden behind another one, of which the framework tells nobody but the screen."""

from __future__ import annotations

from textual.widget import Widget


def is_covered(widget: Widget) -> bool:
    """Whether a screen that lets nothing through lies over the widget's own; what is modal lets it shine through.

    A widget that is on no screen any more counts as covered.
    """
    stack = widget.app.screen_stack
    # While the app ends, widgets are taken out of screens that still get what was sent to them before, one by one.
    if not widget.app.is_running or not widget.is_attached or widget.screen not in stack:
        return True
    return any(not screen.is_modal for screen in stack[stack.index(widget.screen) + 1 :])
