"""Lines in which one types: keys take effect in the order in which they are pressed, and nothing hostile stays in."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding
from textual.events import Key
from textual.widgets import Input

from tui import keys
from tui.sanitise import clean_inline

_CLIPBOARD = frozenset(("cut", "copy", "paste"))


def _editing() -> dict[str, str]:
    found: dict[str, str] = {}
    for binding in Input.BINDINGS:
        assert isinstance(binding, Binding)  # written in full there
        if binding.action not in _CLIPBOARD:
            found.update(dict.fromkeys(binding.key.split(","), binding.action))
    return found


class TextField(Input):
    """One line of text, whatever is pasted into it (SAFETY T1, T5).

    The framework puts a letter in where it arrives, but looks every other key up only after it was passed from parent
    to parent; a letter that is typed right behind a backspace overtakes it. Here the keys that edit are taken where
    they arrive, and so are those of the line that the field stands in.
    """

    LINE: ClassVar[str] = ""
    """The pane of `tui.keys` that the field's parent owns, where it owns one."""

    _EDITING: ClassVar[dict[str, str]] = _editing()

    async def on_key(self, event: Key) -> None:
        """Edit at once."""
        editing = self._EDITING.get(event.key)
        around = next((one.method for one in keys.actions(self.LINE) if event.key in one.keys), None)
        if editing is None and around is None:
            return
        event.stop()
        event.prevent_default()
        if editing is not None:
            await self.run_action(editing)
        elif around is not None and self.parent is not None:
            await self.app.run_action(around, self.parent)

    def validate_value(self, value: str) -> str:
        """The same without control characters, overrides of direction and what has no width."""
        if clean_inline(value, limit=None) == value:
            return value
        return "".join(letter for letter in value if clean_inline(letter, limit=None) == letter)
