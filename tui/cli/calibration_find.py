"""The run that a command is about, found in time: its file system may never answer."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from hosts.aside import aside
from hosts.errors import InputError, UnreachableError
from hosts.local.reasons import why
from jobs.calibration.locate import Watched, find_run

T = TypeVar("T")

_PATIENCE_S = 20.0  # that the file system of a run may take, as for each of its files


async def find(args: argparse.Namespace, run_dir: str | None) -> Watched:
    """Find a run, the newest one where none is named; `args` has the options of `add_site`.

    Raises:
        InputError: It is not there, or cannot be looked at.
        UnreachableError: Its file system does not answer.
    """
    return await in_time(run_dir, partial(find_run, run_dir, args.root, args.repo, args.host, args.model))


async def in_time(run_dir: str | None, work: Callable[[], T]) -> T:
    """What a question about a run brings, which may wait for a file system; raises as `find` does."""
    name = run_dir or "the newest run"
    asked = asyncio.ensure_future(aside(work, "find the run"))
    # Not a timeout around it: a file system that gives up by itself raises the same TimeoutError
    done, _ = await asyncio.wait({asked}, timeout=_PATIENCE_S)
    if not done:
        asked.cancel()
        raise UnreachableError(f"{name}: no answer from the file system for {_PATIENCE_S:g} s")
    try:
        return asked.result()
    except OSError as error:
        raise InputError(f"{name}: {why(error)}") from error
