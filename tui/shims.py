"""Where we reach behind the framework's public face, each with the version that it was written for.

Nothing else in this tree touches a private name of textual. When the version changes, this file is read again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from textual import constants

from tui.pasted import PasteFilter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.segment import Segment
    from rich.style import Style
    from textual.app import App
    from textual.color import Color
    from textual.events import Blur, Focus, Key, Paste
    from textual.geometry import Size
    from textual.message import Message
    from textual.screen import Screen
    from textual.strip import Strip
    from textual.widget import Widget


_A_LITTLE_S = 0.001  # clocks do not agree to the microsecond
_TOGETHER_S = 0.001  # in which all that one key leads to has mostly happened
_KEYED = (signal.SIGINT, signal.SIGQUIT)  # signals that keys of a terminal send
_HOPS = 8  # turns of the loop in which the rest of it happens, on a busy machine


def stop(app: App[Any]) -> None:
    """End the app from within an error's handler, without a traceback on the terminal.

    textual 8.2.8: `App._fatal_error` prints a traceback with the values of local variables, which may hold what is on
    screen, escape sequences and secrets included. Its other half, ending the app, is this call.
    """
    app._close_messages_no_wait()


def write(app: App[Any], sequence: str) -> None:
    """Send a control sequence of ours to the terminal.

    textual 8.2.8: only the driver may write, and `App.copy_to_clipboard` knows no tmux and no limit.
    """
    if app._driver is not None:
        app._driver.write(sequence)
        app._driver.flush()


def is_leaving(app: App[Any]) -> bool:
    """Whether the app is being left or is gone: what it is told to show is not seen any more.

    textual 8.2.8: `App.is_running` says so only once all that was to be done before is done.
    """
    return app._exit or not app.is_running


def paint_where_it_is_seen(app: App[Any]) -> None:
    """Paint on standard output where that is a terminal and standard error is none, as in `gatewatch 2>errors`.

    textual 8.2.8: the driver paints on standard error as it was when we began, wherever that leads.
    """
    out = sys.__stdout__
    if out is None or os.isatty(2) or not os.isatty(1):
        return
    encoding = out.encoding

    class Seen(app.driver_class):  # type: ignore[misc, name-defined]  # the terminal's own, whichever that is
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._file = os.fdopen(1, "w", encoding=encoding, errors="backslashreplace", closefd=False)

    app.driver_class = Seen


def keep_screen(app: App[Any]) -> None:
    """Let the app begin on a terminal that shows its alternate screen already: what stands there is painted over.

    textual 8.2.8: the driver always asks for that screen, and a terminal that shows it would clear it.
    """

    class Kept(app.driver_class):  # type: ignore[misc, name-defined]  # the terminal's own, whichever that is
        _is_first = True

        def write(self, data: str) -> None:
            if self._is_first and data == "\x1b[?1049h":
                self._is_first = False
                return
            super().write(data)

    app.driver_class = Kept


def answer_escape_soon(environ: Mapping[str, str]) -> None:
    """Take a bare Escape for a key after 15 ms, 50 ms over SSH, where nobody has set ESCDELAY (ms).

    textual 8.2.8: it waits for 100 ms, during which nothing that Escape ends can end. A terminal sends the bytes of a
    longer key in one piece; a network may deliver them in two. `read_keys_our_way` sees to it that they end in time.
    """
    if not environ.get("ESCDELAY"):
        delay = 0.05 if environ.get("SSH_CONNECTION") else 0.015
        setattr(constants, "ESCAPE_DELAY", delay)  # noqa: B010 - declared as final


def screen_strips(app: App[Any]) -> list[Strip]:
    """What the terminal shows, row by row, screens below a dialog included.

    textual 8.2.8: `App.export_screenshot` gives a picture of it with a random part; the rows are the compositor's.
    """
    width, height = app.size
    rows: list[Strip] = []
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    strips = getattr(update, "strips", None)
    if strips is not None:
        from textual.strip import Strip as Row

        rows = [Row.join(row).crop_extend(0, width, None) for row in strips[:height]]
    return rows


def raise_screen(app: App[Any], screen: Screen[Any]) -> None:
    """Put an open screen over all others, with what is typed in it.

    textual 8.2.8: a screen comes to the top by being pushed alone, and one that is taken out for that is taken apart.
    """
    from textual.events import ScreenResume, ScreenSuspend

    stack = app._screen_stack
    if screen not in stack or stack[-1] is screen:
        return
    app.capture_mouse(None)
    stack[-1].post_message(ScreenSuspend())
    stack.remove(screen)
    stack.append(screen)
    screen.post_message(ScreenResume())
    app.screen_change_signal.publish(screen)


def aim_again(app: App[Any], event: Key | Paste) -> bool:
    """Send on what was typed before the focus moved; returns whether it was.

    textual 8.2.8: a key is put into the queue of the widget that has the focus, and looked up in the bindings when it
    comes back from there. By then the key before it may have opened a line to type in, or a dialog: its letters would
    be lost, or be taken for commands.
    """
    target = app.focused or app.screen
    if not event.is_forwarded:
        event._gatewatch_aim = target  # type: ignore[union-attr]  # a message carries what one gives it
        return False
    if getattr(event, "_gatewatch_aim", target) is target:
        return False
    again = _copy(event)
    again._gatewatch_aim = target  # type: ignore[union-attr]
    target._forward_event(again)
    return True


def press_again(app: App[Any], event: Key | Paste) -> None:
    """Have it pressed or pasted once more, for whoever has the focus now, before what was typed after it.

    textual 8.2.8: the app sends a key on to whoever has the focus when it comes to it; those that wait there already
    were pressed later. A message ends at whoever made it, and so would never come to the app's bindings.
    """
    again = _copy(event)
    again._sender = None
    again._gatewatch_aim = target = app.focused or app.screen  # type: ignore[union-attr]  # as above
    target._forward_event(again)


def _copy(event: Key | Paste) -> Key | Paste:
    from textual.events import Paste

    return type(event)(event.text) if isinstance(event, Paste) else type(event)(event.key, event.character)


def read_keys_our_way() -> None:
    """Have the terminal's input parsed with `tui.pasted` before it, and a bare Escape known when its delay is over.

    textual 8.2.8: `LinuxDriver` makes its own `XTermParser`, which takes an escape character within a bracketed paste,
    and up to 32 characters behind it, for keys. It asks the parser only every 100 ms whether the delay of an Escape is
    over; its thread has nothing else to do, and may as well wait for that.
    """
    from textual._xterm_parser import XTermParser
    from textual.drivers import linux_driver

    class Parser(XTermParser):
        def __init__(self, debug: bool = False) -> None:
            super().__init__(debug)
            self._pasted = PasteFilter()

        def feed(self, data: str) -> Iterable[Message]:
            passed = self._pasted.take(data)
            if passed or not data:  # nothing at all is the end of the input
                yield from super().feed(passed)
            until = self._timeout_time
            if data and until is not None and not _more_keys(until - time.monotonic()):
                yield from self.tick()

    if vars(linux_driver)["XTermParser"] is XTermParser:
        vars(linux_driver)["XTermParser"] = Parser


_STRIP = {"_segments", "_cell_length", "_render_cache", "_link_ids", "_cell_count"}
_CACHES = {
    "_divide_cache": 4,
    "_crop_cache": 16,
    "_style_cache": 16,
    "_filter_cache": 4,
    "_line_length_cache": 4,
    "_crop_extend_cache": 4,
    "_offsets_cache": 4,
}


def paint_lightly() -> None:
    """Have a piece of a line on screen be one object, not fifteen, and be gone the moment another takes its place.

    textual 8.2.8: a `Strip` makes seven caches when it is made, of which most never hold anything, and keeps in them
    what it was cut to; where nothing is cut off that is the strip itself, a cycle that only a full collection takes
    away. A dialog makes two thousand strips as it opens, a growing log some hundred for each paint: a quarter of the
    time went into the caches, and a collection held the keys up for 150 ms. A `Strip` of another make is left alone.
    """
    from textual.cache import FIFOCache
    from textual.strip import Strip

    divide, crop_extend = Strip.divide, Strip.crop_extend
    if set(Strip.__slots__) != _STRIP | _CACHES.keys() or divide.__module__ == __name__:
        return

    def made(self: Strip, segments: Iterable[Segment], cell_length: int | None = None) -> None:
        self._segments = list(segments)
        self._cell_length = cell_length
        self._render_cache = self._link_ids = self._cell_count = None

    def cache(self: Strip, name: str) -> FIFOCache[Any, Any]:
        if name not in _CACHES:
            raise AttributeError(name)
        created: FIFOCache[Any, Any] = FIFOCache(_CACHES[name])
        setattr(self, name, created)
        return created

    def divided(self: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
        cuts = list(cuts)
        return [self] if cuts == [self.cell_length] else divide(self, cuts)

    def cropped(self: Strip, start: int, end: int, style: Style | None) -> Strip:
        return self if start == 0 and end == self.cell_length else crop_extend(self, start, end, style)

    for name, ours in (("__init__", made), ("__getattr__", cache), ("divide", divided), ("crop_extend", cropped)):
        setattr(Strip, name, ours)


def dim_quickly() -> None:
    """Have what lies under a dialog dimmed style by style, not segment by segment.

    textual 8.2.8: `BackgroundScreen` mixes the colours of each segment anew, four times while a dialog opens; a screen
    has thousands of segments, and some dozens of styles.
    """
    from rich.segment import Segment
    from textual.renderables.background_screen import BackgroundScreen

    dim = BackgroundScreen.process_segments
    if dim.__module__ == __name__:
        return

    @lru_cache(maxsize=1024)
    def dimmed(style: Style | None, color: Color) -> Style | None:
        return next(iter(dim((Segment("", style),), color))).style

    def process_segments(segments: Iterable[Segment], color: Color) -> Iterator[Segment]:
        for text, style, control in segments:
            yield Segment(text, style if control else dimmed(style, color), control)

    setattr(BackgroundScreen, "process_segments", staticmethod(process_segments))  # noqa: B010 - as below


def lay_out_once() -> None:
    """Have a screen whose size is what it was keep the layout that it has.

    textual 8.2.8: a dialog that opens is told its size twice, and hands it on to all that lies under it: three whole
    layouts, each with its paint, where one is enough. A layout that is due for another reason comes all the same.
    """
    from textual.screen import Screen

    resized = Screen._screen_resized
    if resized.__module__ == __name__:
        return

    def _screen_resized(self: Screen[Any], size: Size) -> None:
        if self._compositor.size != size:
            resized(self, size)

    setattr(Screen, "_screen_resized", _screen_resized)  # noqa: B010 - a method is not to be assigned to


class _Frames:
    """When a screen paints what has changed on it: in place of a `Timer` that is paused while nothing has.

    Two paints may come one upon the other, as those of a log that grows and of a key do; three take two frames.
    """

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen
        self._next: asyncio.Handle | None = None
        self._last = self._before = 0.0

    def resume(self) -> None:
        """Something has changed."""
        if self._next is None:
            loop = asyncio.get_running_loop()
            at = max(loop.time() + _TOGETHER_S, self._before + 2 / constants.MAX_FPS)
            self._next = loop.call_at(at, self._soon, _HOPS)

    def pause(self) -> None:
        """It is being painted."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _soon(self, hops: int) -> None:
        """Let what is on its way from one message to the next get there first: it is of the same key."""
        self._next = asyncio.get_running_loop().call_soon(*((self._soon, hops - 1) if hops else (self._paint,)))

    def _paint(self) -> None:
        self._next = None
        self._before, self._last = self._last, asyncio.get_running_loop().time()
        if not self._screen.is_running or self._screen.app._exit:
            return
        try:
            self._screen._on_timer_update()
        except Exception as error:  # noqa: BLE001 - whatever a paint raises ends the app with it
            self._screen.app._handle_exception(error)


def paint_in_time() -> None:
    """Have what has changed painted at once, as long as that is no more than two paints in two frames.

    textual 8.2.8: a screen is painted by the clock of a timer that sleeps while there is nothing to paint, and goes on
    at the frame after the next, up to 33 ms behind a key.
    """
    from textual.screen import Screen

    def frames(self: Screen[Any]) -> _Frames:
        found: _Frames | None = vars(self).get("_gatewatch_frames")
        if found is None:
            found = vars(self)["_gatewatch_frames"] = _Frames(self)
        return found

    setattr(Screen, "_update_timer", property(frames))  # noqa: B010 - a property of another type, which types forbid


def move_focus_quietly() -> None:
    """Have a screen not painted whole because something else on it has the focus: those two paint themselves.

    textual 8.2.8: `Screen.focused` is one of the things whose change is a paint of everything, a second one behind the
    layout where a line to type in opens.
    """
    from textual.screen import Screen

    vars(Screen)["focused"]._repaint = False


def take_focus(widget: Widget, event: Focus | Blur) -> None:
    """Have the focus, or have it no more, and be painted as before.

    textual 8.2.8: `Widget._on_focus` and `Widget._on_blur` paint the widget whole, as most look different then.
    """
    from textual.events import DescendantBlur, DescendantFocus, Focus

    event.prevent_default()
    widget.has_focus = isinstance(event, Focus)
    if widget.parent is not None:
        widget.parent.post_message(DescendantFocus(widget) if widget.has_focus else DescendantBlur(widget))


def _more_keys(seconds: float) -> bool:
    """Wait for more input; whether any came."""
    keyboard = sys.__stdin__  # as the driver reads it
    return keyboard is not None and bool(select.select([keyboard], [], [], max(0.0, seconds) + _A_LITTLE_S)[0])


def is_lent(app: App[Any]) -> bool:
    """Whether the terminal belongs to another program."""
    return "write" in vars(app._driver or object)


@contextmanager
def lent_terminal(app: App[Any]) -> Iterator[None]:
    """The terminal belongs to another program within this block, and the keys that are signals with it.

    The app goes on beneath, and paints once it has the terminal again. One that ends meanwhile does not take it back.

    textual 8.2.8: `App.suspend` gives the terminal back to its cooked mode, in which ctrl-c is a signal for us too. A
    handler of Python's is not inherited by the other program, where it ends or interrupts as always. While the app goes
    on, all that it does with its driver is to write; a paint waits for the end of a batch, the rest (a bell, the shape
    of the pointer) is not worth it.
    """

    def ignored(*_: object) -> None:
        pass

    failed: BaseException | None = None
    out, err = sys.stdout, sys.stderr
    with app.suspend(), contextlib.ExitStack() as ours:  # the former takes the terminal back only where its block ends
        driver = app._driver
        assert driver is not None
        ours.enter_context(app.batch_update())
        ours.enter_context(contextlib.redirect_stdout(out))
        ours.enter_context(contextlib.redirect_stderr(err))
        for number in _KEYED:
            ours.callback(signal.signal, number, signal.signal(number, ignored))
        vars(driver)["write"] = ignored
        try:
            yield
        except BaseException as error:
            failed = error
            if app._exit or not app._running:
                raise
        del vars(driver)["write"]
    if failed is not None:
        raise failed


async def run_in_terminal(app: App[Any], argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Hand the terminal to a program until it ends; returns its exit status, negative for a signal.

    Where nobody waits for it any more, the program is asked to end.

    Raises:
        OSError: It cannot be started.
        textual.app.SuspendNotSupported: There is no terminal that could be handed over.
    """
    with lent_terminal(app):
        program = await asyncio.create_subprocess_exec(*argv, env=dict(env))
        try:
            return await program.wait()
        finally:
            if program.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    program.terminate()
