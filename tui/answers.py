"""Questions to file systems of which one may never answer: it holds up neither another nor the end of the program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from hosts.aside import aside

T = TypeVar("T")

_BESIDE = 8  # threads that compete with the event loop's; those that hang are not counted


async def answers(asked: Sequence[Callable[[], T]], patience: float) -> list[asyncio.Future[T]]:
    """Ask, a few at a time; an answer that is not there yet comes when its file system gives it.

    Args:
        asked: The questions.
        patience: Seconds after which one of them is not waited for any more.
    """
    free = asyncio.Semaphore(_BESIDE)

    async def ask(one: Callable[[], T]) -> asyncio.Future[T]:
        async with free:
            answer = asyncio.ensure_future(aside(one, "look for a run"))
            await asyncio.wait({answer}, timeout=patience)
            return answer

    return await asyncio.gather(*map(ask, asked))
