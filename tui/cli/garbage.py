"""What a screen throws away, taken away where nobody waits for a key: all of it at once would hold a key up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Callable

_LITTLE = (2_000, 5, 300)
"""Young objects are looked at often; all of them, without a pause for it, only after some million new ones."""

_ENOUGH = 5  # looks at the younger ones, behind which a look at all is worth its time
_EVERY_S = 2.0
_PAUSE_S = 0.5  # without a key, behind which the next one is likely to take as long


def throw_away_little_by_little() -> None:
    """Called once all is imported; what is there by then is never garbage, and no collection need look at it.

    A paint leaves thousands of objects that hold each other, and a closed dialog as many that have become old: a look
    at all of them takes longer than a key should.
    """
    gc.freeze()
    gc.set_threshold(*_LITTLE)


@contextlib.asynccontextmanager
async def sweeping_in_pauses(typed_at: Callable[[], float]) -> AsyncIterator[None]:
    """Within this block, a look at everything that may be garbage is made while nobody types.

    Args:
        typed_at: When the last key came, on the monotonic clock; s.
    """
    sweeper = asyncio.ensure_future(_sweep(typed_at))
    try:
        yield
    finally:
        sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeper


async def _sweep(typed_at: Callable[[], float]) -> None:
    is_first = True
    while True:
        await asyncio.sleep(_EVERY_S)
        if gc.get_count()[2] >= _ENOUGH and time.monotonic() - typed_at() >= _PAUSE_S:
            gc.collect()
            if is_first:
                gc.freeze()  # what the first screen is made of stays until the end
                is_first = False
