"""Whether there is a log to print: waiting until a source knows, and saying why not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from hosts.errors import InputError, UnreachableError
from monitors.logs.opening import NOTHING_YET
from monitors.logs.types import Shape, Status

READY_S = 20.0
"""Seconds that a host may take to say what is there."""

_NO_FILE = "no such file yet"
OUTAGES = {Status.STALE: "no answer", Status.DENIED: "not readable", Status.WAITING: "waiting"}
"""What a source that cannot read its log is doing, where it gives no reason."""


class Shaped(Protocol):
    """A log, or its source."""

    @property
    def shape(self) -> Shape: ...


async def ready(log: Shaped, news: asyncio.Event, patience: float | None = READY_S) -> None:
    """Wait until what was started knows a log, or that there is none; without `patience` for a log alone.

    Raises:
        InputError: There is none.
        UnreachableError: Nobody says.
    """

    def unsure(shape: Shape) -> bool:
        # A source that waits says for what once it has looked
        unsaid = patience is None or not shape.detail
        return shape.status is Status.LIVE or (shape.status is Status.WAITING and unsaid)

    await _look(log, news, patience, unsure)
    shape = log.shape
    if shape.generations:
        return
    if shape.status is Status.WAITING and shape.detail == _NO_FILE:
        raise InputError(f"{shape.name}: no such file; --wait waits for it")
    if shape.status is Status.WAITING and shape.detail.startswith(NOTHING_YET):
        raise InputError(f"{said(shape)}; --wait waits for it")
    unsaid = shape.status is Status.WAITING and not shape.detail
    raise (UnreachableError if shape.status is Status.STALE or unsaid else InputError)(said(shape))


def said(shape: Shape) -> str:
    """Why there is nothing to read, in one line that names the log."""
    detail = shape.detail or OUTAGES.get(shape.status, "nothing to read")
    if shape.name in detail:
        return detail
    path, _, why = detail.partition(": ")
    return f"{shape.name}: {why if path and shape.name.endswith(f':{path}') else detail}"


async def looked(log: Shaped, news: asyncio.Event, first: Shape, patience: float) -> None:
    """Wait until it is known whether there is a log, or for so long; `first` is its shape before it began."""
    await _look(log, news, patience, lambda shape: (shape.status, shape.detail) == (first.status, first.detail))


async def _look(log: Shaped, news: asyncio.Event, patience: float | None, unsure: Callable[[Shape], bool]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while not log.shape.generations and unsure(log.shape):
                news.clear()
                await news.wait()
