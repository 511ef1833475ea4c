"""What is being copied while the screen goes on: the newest text alone, and until it has gone out.

A key that leaves may be pressed right behind the one that copies: what was copied goes out all the same.
"""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from hosts.errors import GatewatchError
from tui import console, shims

if TYPE_CHECKING:
    from tui.app import GatewatchApp

_LEAVING_S = 2.0
"""For which what is left waits for what is copied; a tmux that gives no answer is given up before."""


class Copying:
    """Copies one text after the other.

    Args:
        app: Whose terminal gets them, and where people are told.
    """

    def __init__(self, app: GatewatchApp) -> None:
        self._app = app
        self._taking: asyncio.Future[tuple[str, str]] | None = None
        self._copying: asyncio.Task[None] | None = None
        self._until: float | None = None

    def begin(self, take: Callable[[], Awaitable[tuple[str, str]]], taken: Callable[[], None] | None = None) -> None:
        """Copy a text; one that is still being copied is given up for it.

        Args:
            take: Gives the text, safe and without secrets, and what it is: "12 lines".
            taken: Called when it was copied.
        """
        for before in (self._copying, self._taking):
            if before is not None:
                before.cancel()
        self._taking = asyncio.ensure_future(take())
        self._copying = asyncio.create_task(self._copy(self._taking, taken))

    async def taken(self) -> None:
        """Wait until the text was read, for whoever takes away what it is read from."""
        taking, copying = self._taking, self._copying
        if taking is None or copying is None or taking.done():
            return
        await asyncio.wait({taking}, timeout=self._left())
        if not taking.done():
            copying.cancel()
            await asyncio.wait({copying})
            self._say("nothing was copied: the log was left before all of it was read", bad=True)

    async def ended(self) -> None:
        """Wait until it has gone out; what the app may need for that is there until then."""
        copying = self._copying
        if copying is None or copying.done():
            return
        await asyncio.wait({copying}, timeout=self._left())
        if copying.cancel():
            await asyncio.wait({copying})
            self._say("what was copied may not have arrived: whoever was given it gave no answer", bad=True)

    def _left(self) -> float:
        """Seconds that may still be waited; all that the app waits for as it ends shares them."""
        if not shims.is_leaving(self._app):
            return _LEAVING_S
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + _LEAVING_S
        return max(0.0, self._until - now)

    async def _copy(self, taking: asyncio.Future[tuple[str, str]], taken: Callable[[], None] | None) -> None:
        from tui import clipboard  # only what is cut or copied needs it

        try:
            text, what = await taking
            copied = await clipboard.copy(text, what, dict(os.environ))
        except GatewatchError as error:
            self._say(str(error), bad=True)
            return
        except Exception as error:  # noqa: BLE001 - said where one sees it, and not when the task is thrown away
            self._say(f"unexpected {type(error).__name__}: {error}", bad=True)
            return
        if copied.sequence:
            shims.write(self._app, copied.sequence)
        self._say(copied.told)
        if taken is not None and not shims.is_leaving(self._app):
            taken()

    def _say(self, text: str, *, bad: bool = False) -> None:
        if shims.is_leaving(self._app):
            atexit.register(console.warn if bad else console.milestone, text)  # the terminal may show the screen still
        else:
            self._app.say(text, "error" if bad else "information")
