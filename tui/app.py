"""What every screen app of ours stands on: keys from the one table, safe messages, a line where the window is small.

Text from outside never becomes markup here: `say` cleans it, and the framework's own `notify` is made to take plain
text alone (SAFETY T3).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Key, Paste
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from tui import keys, shims, themes, words
from tui.asciified import Asciified
from tui.copying import Copying
from tui.exits import ExitCode
from tui.marks import Look
from tui.sanitise import clean, clean_inline, redact
from tui.screens.leaving import may_quit
from tui.shared import Shared, own_names

if TYPE_CHECKING:
    from textual.actions import ActionParseResult
    from textual.command import Provider
    from textual.dom import DOMNode
    from textual.filter import LineFilter
    from textual.notifications import SeverityLevel

    from hosts.connects import Connects

LEAST = (80, 24)
"""Columns and rows that everything is reachable at."""

_HELP = "help"
_ALWAYS = "ctrl+q"  # waits for no other key
_KEY_S = 0.25  # that a key has until the next one follows it in any case


# What changes something, and what shows the bare text of a log in another program
_NOT_SHARED = frozenset(
    (one.pane, one.method) for one in keys.ACTIONS if one.danger or one.id in ("log.pager", "log.editor")
)


class KeyPassed(Message):
    """Follows a key on its way from parent to parent, and so comes to the app when that has been dealt with.

    Args:
        target: Where the way began.
        again: It goes there once more, behind what the key's action has sent to its parents.
    """

    def __init__(self, target: Widget, *, again: bool = True) -> None:
        super().__init__()
        self.target = target
        self.again = again


def _provider() -> type[Provider]:
    from tui.palette import Actions  # only an opened palette needs it

    return Actions


class GatewatchApp(App[int]):
    """The base of the app.

    Args:
        ascii_only: No glyph outside ASCII in what is ours.
        theme: One of `tui.themes`; by default the first, and without colours where NO_COLOR is set.
        now: Our clock, seconds since the epoch.
        zone: Of times that are shown; None for the machine's own.

    Attributes:
        failure: The error that ended the app, None while all is well.
        connects: What all connections of the app share; None where it has none.
        typed_at: When the last key came, on the monotonic clock; s.
        copying: Copies what is taken anywhere on its screens.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *keys.bindings("app"),
        Binding(_ALWAYS, "leave", show=False, priority=True, id="app.leave-always"),
    ]
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_provider}
    CSS = """
    * { scrollbar-size-vertical: 1; }
    Toast { padding: 0 1; width: auto; max-width: 90%; margin-top: 0; }
    ToastRack { dock: bottom; align: right bottom; margin: 0 1 1 0; }
    RepeatLogScreen ToastRack { dock: top; align: right top; margin: 1 2 0 0; }
    """  # a screen's own would have every node styled anew when it is first shown; what it can, it has in DEFAULT_CSS

    def __init__(
        self,
        *,
        ascii_only: bool = False,
        theme: str | None = None,
        now: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
    ) -> None:
        super().__init__()
        shims.paint_where_it_is_seen(self)
        shims.read_keys_our_way()
        shims.paint_lightly()
        shims.dim_quickly()
        shims.lay_out_once()
        shims.move_focus_quietly()
        shims.paint_in_time()
        shims.answer_escape_soon(os.environ)
        self.ascii_only = ascii_only
        self._asciified = Asciified()
        self.now = now
        self.zone = zone
        self.failure: Exception | None = None
        self.connects: Connects | None = None
        self.private: set[str] = set()
        self.typed_at = time.monotonic()
        self.copying = Copying(self)
        self._shared: Shared | None = None
        self._typed: deque[Key | Paste] = deque()
        self._come_back: deque[Key | Paste] = deque()  # typed before all of those
        self._under_way: KeyPassed | None = None
        self._handed_on: Key | Paste | None = None
        self._openings = 0
        self._told: tuple[tuple[str, str, str], float] = (("", "", ""), 0.0)
        self.animation_level = "none"
        for known in themes.THEMES:
            self.register_theme(known)
        self.theme = theme or ("gatewatch-mono" if self.no_color else themes.DEFAULT)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What everything that is painted goes through."""
        filters = [*super().get_line_filters()]
        if self._shared is not None:
            filters.append(self._shared)
        if self.ascii_only:
            filters.append(self._asciified)
        return filters

    @property
    def shared(self) -> bool:
        """Whether others look on: what they should not read is covered, and nothing can be changed."""
        return self._shared is not None

    def keep_private(self, names: Iterable[str]) -> None:
        """Cover these logins and hosts too, from now on, whenever others look on."""
        before = len(self.private)
        self.private.update(names)
        if self.shared and len(self.private) != before:
            self._share(True)

    def _share(self, on: bool) -> None:
        self._shared = Shared(self.private | own_names()) if on else None
        for screen in self.screen_stack:
            for widget in screen.walk_children(Widget, with_self=True):
                widget.refresh()

    def sign(self, look: Look) -> str:
        """A glyph, or its ASCII twin."""
        return look.sign(self.ascii_only)

    def say(self, text: str, severity: SeverityLevel = "information") -> None:
        """Tell a person something in passing; `text` may come from outside."""
        self.notify(text, severity=severity)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,  # the framework's signature; markup is never read
    ) -> None:
        """The framework's messages, as plain text whatever they hold; one that is still shown is not shown twice."""
        shown, now = (message, title, severity), time.monotonic()
        if self._told[0] == shown and now - self._told[1] < (timeout or self.NOTIFICATION_TIMEOUT):
            return
        self._told = (shown, now)
        super().notify(
            _told(message),
            title=clean_inline(redact(title)),
            severity=severity,
            timeout=timeout,
            markup=False,
        )

    def untell(self, message: str) -> None:
        """Take one message off the screen; it may be told again at once."""
        shown = _told(message)
        for one in [one for one in self._notifications if one.message == shown]:
            self._unnotify(one)
        if self._told[0][0] == message:
            self._told = (("", "", ""), 0.0)

    def copy_to_clipboard(self, text: str) -> None:
        """What is cut out of a field, or marked on a screen, goes where copied lines go."""
        if not text:
            return  # it would empty the clipboard
        self._clipboard = text  # what a field's own key puts in again

        async def take() -> tuple[str, str]:
            return text, words.counted(len(text), "character")

        self.copying.begin(take)

    async def on_unmount(self) -> None:
        """What was copied last goes out before the terminal is nobody's."""
        await self.copying.ended()

    async def run_async(self, **options: Any) -> int | None:
        """Run; what goes wrong in a thread meanwhile is told on the screen, in one line, and not over it."""
        loop, before = asyncio.get_running_loop(), threading.excepthook

        def told(failed: threading.ExceptHookArgs) -> None:
            where = failed.thread.name if failed.thread is not None else "a thread"
            text = f"unexpected {failed.exc_type.__name__} in {where}: {failed.exc_value}"
            if failed.exc_type is not SystemExit:
                with contextlib.suppress(RuntimeError):  # the loop ended before the thread
                    loop.call_soon_threadsafe(self.say, text, "error")

        threading.excepthook = told
        try:
            return await super().run_async(**options)
        finally:
            threading.excepthook = before

    def run_to_end(self, *, mouse: bool = True) -> int:
        """Run until somebody leaves; returns the exit code.

        Raises:
            Exception: What ended the app, for the command line to tell in one line.
        """
        code = self.run(mouse=mouse)
        if self.failure is not None:
            raise self.failure
        return ExitCode.OK if code is None else code

    def _fatal_error(self) -> None:
        self.failure = self._exception
        shims.stop(self)

    async def on_event(self, event: Event) -> None:
        """Take keys one after the other, each once the one before has led where it leads."""
        if not isinstance(event, (Key, Paste)):
            await super().on_event(event)
        elif not event.is_forwarded and (isinstance(event, Paste) or event.key != _ALWAYS):
            self.typed_at = time.monotonic()
            self._typed.append(event)
            await self._press()
        elif event.is_forwarded and self._openings:  # nobody took it, and what it is meant for is not here yet
            self._come_back.append(Key(event.key, event.character) if isinstance(event, Key) else Paste(event.text))
        elif not shims.aim_again(self, event):
            await super().on_event(event)
            if event is self._handed_on and self._under_way is not None and self._under_way.again:
                # It may have closed the screen that its follower is still in
                self._follow(KeyPassed(self.focused or self.screen, again=False))

    @contextlib.contextmanager
    def keys_waiting(self) -> Iterator[None]:
        """What is typed within this block is meant for what it opens."""
        self._openings += 1
        try:
            yield
        finally:
            self._openings -= 1
            if self.is_running:
                self.call_later(self._press)

    @property
    def is_opening(self) -> bool:
        """Whether something is on its way that keys wait for."""
        return self._openings > 0

    async def _press(self) -> None:
        """Hand on what was typed, as long as nothing of it is on its way."""
        while (typed := self._come_back or self._typed) and self._under_way is None and not self._openings:
            if not self.screen_stack:  # what is typed while one leaves is meant for nobody
                return
            event = self._handed_on = typed.popleft()
            shims.aim_again(self, event)
            target = self.focused or self.screen
            await super().on_event(event)
            if event.is_forwarded:
                self._follow(KeyPassed(target))

    def _follow(self, passed: KeyPassed) -> None:
        if passed.target.post_message(passed):
            self._under_way = passed
            asyncio.get_running_loop().call_later(_KEY_S, self._key_lost, passed)

    async def on_key_passed(self, passed: KeyPassed) -> None:
        """The key before it has come through, and so has what it led to at once."""
        if passed is self._under_way:
            self._under_way = None
            if passed.again:
                self._follow(KeyPassed(self.focused or self.screen, again=False))
            await self._press()

    def _key_lost(self, passed: KeyPassed) -> None:
        """What had the focus is gone, or takes its time: nobody waits for that."""
        if passed is self._under_way and self.is_running:
            self._under_way = None
            self.call_later(self._press)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """None of the framework's: the palette shows our own table."""
        return ()

    def pane(self) -> Widget | None:
        """What owns the pane that has the focus."""
        return next(iter(panes_of(self.screen)), None)

    async def action_help(self) -> None:
        """Show the keys that can be pressed now: those of the focused pane, of what is around it, and of the app."""
        from tui.help import HelpScreen

        if isinstance(self.screen, HelpScreen):
            return
        if not self.is_screen_installed(_HELP):
            self.install_screen(HelpScreen(), _HELP)
        shown = self.get_screen(_HELP, HelpScreen)
        shown.tell_of(self.screen)
        if shown in self.screen_stack:  # something came over it
            shims.raise_screen(self, shown)
        else:
            await self.push_screen(shown)

    async def action_palette(self) -> None:
        """Everything that can be done, by name."""
        from tui.palette import Palette

        if isinstance(self.screen, Palette):
            return
        for below in [screen for screen in self.screen_stack if isinstance(screen, Palette)]:
            shims.raise_screen(self, below)  # something came over it, of which it knows nothing
            _ = self.pop_screen()
        await self.push_screen(Palette())

    action_command_palette = action_palette  # type: ignore[assignment]  # as the framework's own binding calls it

    def action_share(self) -> None:
        """Cover what others should not read, and change nothing, until it is asked for again."""
        if not self.shared and any(getattr(screen, "ASKS", False) for screen in self.screen_stack):
            self.say("answer or leave the question first: nothing can be changed while others look on", "warning")
            return
        self._share(not self.shared)
        if self.shared:
            self.say("shared: hosts, logins, addresses and paths are covered, and nothing can be changed; s ends it")
        else:
            self.clear_notifications()  # one of them may say how to end it
            self.say("not shared any more: everything is shown again")

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Do what a key, a click or the palette asks for, unless others look on and should not see it done."""
        name = action.partition("(")[0].rpartition(".")[2] if isinstance(action, str) else action[1]
        if self.shared and (getattr(default_namespace, "PANE", "app"), name) in _NOT_SHARED:
            self.say("not while others look on: s ends that", "warning")
            return True
        return await super().run_action(action, default_namespace, namespaces)

    async def action_leave(self) -> None:
        """Leave; nothing that runs elsewhere is touched."""
        if may_quit(self):
            self.exit(ExitCode.OK)

    async def action_interrupt(self) -> None:
        """Leave at once, as ctrl-c asks; while something is written only when it is asked for twice."""
        if may_quit(self):
            self.exit(ExitCode.INTERRUPTED, return_code=int(ExitCode.INTERRUPTED))

    def action_help_quit(self) -> None:
        """The framework's own answer to ctrl-c, which is a markup string; ours is `interrupt`."""


def pane_of(widget: Widget) -> Widget | None:
    """The nearest widget around this one that owns a pane of `tui.keys`."""
    return next(iter(_around(widget)), None)


def panes_of(screen: Screen[Any]) -> tuple[Widget, ...]:
    """Everything around the focus that owns a pane of `tui.keys`, the nearest first."""
    return _around(screen.focused or screen)


def _around(widget: Widget) -> tuple[Widget, ...]:
    around = widget.ancestors_with_self
    return tuple(node for node in around if isinstance(node, Widget) and getattr(node, "PANE", None))


def pressable(screen: Screen[Any]) -> tuple[tuple[keys.Action, Widget | None], ...]:
    """What can be done now, and who does it: None is the app. In the table's order, the nearest pane first.

    Left out is an action whose pane says in `check_action` that it does nothing now, and of each other one the keys
    that a nearer pane has taken, or that a field takes as text. While somebody types, what is around the nearest pane
    has to wait.
    """
    focused = screen.focused
    panes = panes_of(screen)
    if focused is not None and _is_typed(focused, "a"):
        panes = panes[:1]
    shown: list[tuple[keys.Action, Widget | None]] = []
    for owner in (*panes, None):
        taken = {key for one, _ in shown for key in one.keys}
        for one in keys.actions("app" if owner is None else str(getattr(owner, "PANE", ""))):
            left = tuple(key for key in one.keys if key not in taken and not (focused and _is_typed(focused, key)))
            if screen_is_shared(screen) and (one.pane, one.method) in _NOT_SHARED:
                continue
            if left and (owner is None or owner.check_action(one.method, ()) is not False):
                shown.append((_as_now(one, screen, left), owner))
    return tuple(shown)


def screen_is_shared(screen: Screen[Any]) -> bool:
    """Whether others look on."""
    return bool(getattr(screen.app, "shared", False))


def _as_now(one: keys.Action, screen: Screen[Any], left: tuple[str, ...]) -> keys.Action:
    if one.id == "app.share" and screen_is_shared(screen):
        return replace(one, keys=left, label="end sharing", rank=1)  # so that every key line says it
    return one if left == one.keys else replace(one, keys=left)


def _is_typed(focused: Widget, key: str) -> bool:
    """Whether what has the focus takes this key as text."""
    character = " " if key == "space" else keys.spelled(key)
    typed = len(character) == 1 and character.isascii()  # the signs for Enter and the arrows are no text
    return typed and focused.check_consume_key(key, character)


def small(width: int, height: int) -> str:
    """What to say in a window that is smaller than `LEAST`, or "" in any other."""
    if width >= LEAST[0] and height >= LEAST[1]:
        return ""
    full = f"gatewatch is made for {LEAST[0]}x{LEAST[1]} and larger; this window is {width}x{height}"
    for text in (full, f"needs {LEAST[0]}x{LEAST[1]}, is {width}x{height}", f"{LEAST[0]}x{LEAST[1]}!"):
        if len(text) <= width:
            return text
    return "…"


Severity = Literal["information", "warning", "error"]


def _told(message: str) -> str:
    return clean(redact(message), multiline=True, limit=2000)
