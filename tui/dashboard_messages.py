"""What the tasks of a dashboard tell it; they touch no widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.message import Message

from monitors.snapshot import Snapshot

if TYPE_CHECKING:
    from tui.screens.secret import Question


class Looked(Message):
    """A host, or something on it, was looked at.

    Attributes:
        host: The host's name.
        watch: What it is watched as; "" for the host itself.
    """

    def __init__(self, host: str, watch: str, snapshot: Snapshot[Any]) -> None:
        super().__init__()
        self.host = host
        self.watch = watch
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """A newer look makes the older one of the same thing needless."""
        return isinstance(message, Looked) and (message.host, message.watch) == (self.host, self.watch)


class Faltered(Message):
    """Watching a host stopped for a moment, for a reason of our own; it goes on by itself."""

    def __init__(self, host: str, error: str) -> None:
        super().__init__()
        self.host = host
        self.error = error


class Asks(Message):
    """A host asks for a password or a passphrase."""

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question


class Broken(Message):
    """A task of the dashboard's own failed: a defect, which ends the app and nothing else."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
