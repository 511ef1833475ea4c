"""Changes in local folders, as soon as they happen, where the file system reports them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection

from watchfiles import awatch

from hosts.errors import GatewatchError
from hosts.local.mounts import file_system, has_events

_SETTLE_MS = 150
_STEP_MS = 30


class NoEventsError(GatewatchError):
    """Changes are not reported here; whoever watches has to poll."""


async def changes(folders: Callable[[], Collection[str]]) -> AsyncGenerator[None]:
    """Yield after something directly in one of the folders has changed; not for what lies deeper.

    Args:
        folders: Which ones, asked again after every change, since a run grows new ones.

    Raises:
        NoEventsError: The file system does not report changes, the limit of watches is reached, or no folder is
            there. What was yielded so far holds; poll from now on.
    """
    while True:
        watched = sorted(set(await asyncio.to_thread(folders)))
        if not watched:
            raise NoEventsError("there is no folder to watch")
        kinds = {folder: await asyncio.to_thread(file_system, folder) for folder in watched}
        blind = next((folder for folder in watched if not has_events(kinds[folder])), None)
        if blind is not None:
            raise NoEventsError(f"{blind} is on {kinds[blind] or 'an unknown file system'}, which reports no changes")
        try:
            async for _ in awatch(
                *watched, watch_filter=None, debounce=_SETTLE_MS, step=_STEP_MS, recursive=False, rust_timeout=60_000
            ):
                yield
                if sorted(set(await asyncio.to_thread(folders))) != watched:
                    break
            else:
                return
        except FileNotFoundError:
            continue  # one of them went between two looks
        except OSError as error:
            raise NoEventsError(f"changes cannot be watched: {error}") from error
