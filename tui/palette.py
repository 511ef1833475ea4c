"""The palette: everything that can be done where the focus is, and the themes, by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider, SearchIcon
from textual.content import Content
from textual.message import Message

from tui import keys, themes
from tui.app import pressable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Command = Callable[[], Awaitable[object] | object]


class Palette(CommandPalette):
    """The framework's palette, in which ctrl-c means what it means everywhere."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "app.interrupt", show=False)]
    DEFAULT_CSS = """
    Palette SearchIcon { color: $text-accent; text-style: bold; }
    Palette CommandList { min-width: 8; }  /* as much as its padding, a scrollbar and a letter need */
    """

    class Followed(Message):
        """Follows a choice on its way from the list."""

    def __init__(self) -> None:
        super().__init__(placeholder="Search for commands")
        self._waiting = ExitStack()

    def on_mount(self) -> None:
        """The sign for finding is the key for it, which every terminal has."""
        self.query_one(SearchIcon).icon = "/"

    def on_unmount(self) -> None:
        """Whatever became of a choice, the keys behind it are waited for by nobody else."""
        self._waiting.close()

    def _action_command_list(self, action: str) -> None:
        # The framework's list cannot be paged before it has been laid out, nor on a terminal that is too small for it.
        shown = self.query_one(CommandList)
        if not shown.scrollable_content_region:
            return
        super()._action_command_list(action)
        if action == "select":
            self._hold(shown)

    def _hold(self, shown: CommandList) -> None:
        """What is typed behind a choice is meant for what that leads to: the list tells it to us, and we the app."""
        self._waiting.close()
        self._waiting.enter_context(getattr(self.app, "keys_waiting", nullcontext)())
        shown.post_message(self.Followed())

    def on_palette_followed(self) -> None:
        """The choice has come through, if it was one."""
        self._waiting.close()


class Actions(Provider):
    """What the palette finds. Names are constants of ours, and still never markup."""

    async def discover(self) -> Hits:
        """Everything, in the order of the table."""
        for name, help_text, command in self._commands():
            yield DiscoveryHit(Content(name), command, text=name, help=help_text)

    async def search(self, query: str) -> Hits:
        """What fits the words."""
        matcher = self.matcher(query)
        for name, help_text, command in self._commands():
            score = max(matcher.match(name), 0.9 * matcher.match(help_text))
            if score > 0:
                yield Hit(score, matcher.highlight(name), command, text=name, help=help_text)

    def _commands(self) -> Iterator[tuple[str, str, Command]]:
        plain = bool(getattr(self.app, "ascii_only", False))
        # What a person looks for by name comes first; what only moves is found by its key.
        for action, owner in sorted(pressable(self.screen), key=lambda found: not (found[0].rank or found[0].danger)):
            if action.id == "app.palette":
                continue
            title = f"{action.pane}: {action.label}" if owner is not None else action.label
            key = keys.spelled(action.keys[0], ascii_only=plain)
            shown = f"{title}  ({key})" if key not in "[]" else title
            yield shown, action.help, partial(self.app.run_action, action.method, owner or self.app)
        for theme in themes.THEMES:
            yield f"theme: {theme.name.removeprefix('gatewatch-')}", "colours of all screens", self._paint(theme.name)

    def _paint(self, name: str) -> Command:
        def paint() -> None:
            self.app.theme = name

        return paint
