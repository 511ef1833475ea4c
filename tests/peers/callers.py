"""What a careful caller does over a way that may be lost: it asks again with the same key, and waits for ends."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hosts.errors import UnreachableError, VerbError
from hosts.host import Json

_PATIENCE = 20.0


async def until(condition: Callable[[], bool], seconds: float = _PATIENCE) -> bool:
    """Wait for something that another process does; False when it did not."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.01)  # there is nothing to be woken by
    return True


async def pid_of(host: Any, more: str = "", deadline: float = 20) -> int:
    """The process that answers for a host; `more` is sent along."""
    answer = await host.query("ping", {"more": more} if more else None, deadline)
    assert isinstance(answer["pid"], int)
    return int(answer["pid"])


async def until_told(host: Any, verb: str, payload: Json, key: str) -> Any:
    """Call until there is a result."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return await host.call(verb, payload, key, 10)
        except (UnreachableError, VerbError) as error:
            running = isinstance(error, UnreachableError) or "still running" in str(error)
            if not running or time.monotonic() > end:
                raise
            await asyncio.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether a process ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def size(path: Path) -> int:
    """Bytes in a file; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def home() -> str:
    """The home of whoever runs the tests."""
    return os.path.expanduser("~")
