"""Work beside the event loop that may never come back (a dead mount, a stuck device), and whose end a wait was."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def is_cancelled() -> bool:
    """Whether it is this task that was told to end, and not only what it waited for.

    One that takes the one for the other and tries again does not end with its event loop, which then never does.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def aside(work: Callable[[], T], name: str, *, daemon: bool = True) -> T:
    """Do something in a thread of its own, which holds up nobody else.

    Args:
        work: What to do. It goes on when the caller is cancelled.
        name: The thread's.
        daemon: Whether the program may end before it does.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)  # type: ignore[arg-type]  # None only where T is None

    def body() -> None:
        value: T | None = None
        failure: Exception | None = None
        try:
            value = work()
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            failure = error
        try:
            loop.call_soon_threadsafe(settle, value, failure)
        except RuntimeError:
            return  # the loop ended before us: nobody waits

    threading.Thread(target=body, name=name, daemon=daemon).start()
    return await future
