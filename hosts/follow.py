"""Following a growing file over any host by reading ranges of it, for as long as it is asked.

What counts as the same file, as rotated and as truncated stands in hosts/local/following.py; here it is driven by
a host's `read`, one look after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from hosts.errors import InputError
from hosts.host import Chunk, Data, Gap, Position, Rotated
from hosts.local.following import BESIDE, BLOCK, HELD, Follower, Item, Neighbour
from hosts.local.observe import NotThereError

INTERVAL = 0.5

Read = Callable[[str, int, int], Awaitable[Chunk]]
Beside = Callable[[], Awaitable[list[Neighbour]]]


async def follow(
    read: Read,
    path: str,
    at: Position,
    interval: float = INTERVAL,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    last: bytes = b"",
    block: int = BLOCK,
    beside: Beside | None = None,
) -> AsyncGenerator[Data | Gap | Rotated]:
    """Hand out what is appended to a file, for as long as it is asked.

    A file that is not there, or not there any more, is waited for.

    Args:
        read: How a range of the file is read: path, offset, size.
        path: The file.
        at: Where to begin; the position of an earlier item continues there, even in another session.
        interval: Seconds between two looks at a file that does not grow.
        sleep: Waits that long.
        last: The last bytes before `at`, where they are known: by them a copy of the file is found.
        block: Bytes that one look takes at most, about.
        beside: Finds the files in its folder.

    Raises:
        UnreachableError: The host does not answer; the position of the last item is where to go on.
        InputError: The file is there and cannot be read.
    """
    follower = Follower(path, at, last)
    while True:
        waiting = True
        for item in await _seen(follower, block, read, beside):
            waiting = False
            yield item
        if waiting:
            await sleep(interval)


async def _seen(follower: Follower, block: int, read: Read, beside: Beside | None) -> list[Item]:
    look = follower.look(block)
    try:
        wanted = next(look)
        while True:
            chunk: Chunk | None = None
            try:
                if wanted.path == BESIDE:
                    follower.beside = await beside() if beside is not None else []
                elif wanted.path != HELD:  # nothing is kept open between two reads
                    chunk = await read(wanted.path, wanted.offset, wanted.size)
            except NotThereError:
                wanted = look.send(None)
            except InputError as error:
                wanted = look.throw(error)
            else:
                wanted = look.send(chunk)
    except StopIteration as done:
        items: list[Item] = done.value
        return items
