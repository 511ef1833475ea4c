"""What the options of `gatewatch tail` mean, on a screen and as plain text."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from hosts.errors import InputError
from hosts.local.levels import Level
from hosts.target import Target
from monitors.logs.types import Filter, Query

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosts.connects import Connects
    from monitors.logs.opening import Connect
    from tui.logs.goto import Goal

_DIGITS = 15
LINES = 10
"""Lines that are printed where nothing else is said."""


def filter_of(args: argparse.Namespace) -> Filter | None:
    """What --grep, --exclude, --regex, --level and --context ask for; None for all lines.

    Raises:
        InputError: An expression is none.
    """
    include = tuple(Query(text, args.regex) for text in args.grep)
    exclude = tuple(Query(text, args.regex) for text in args.exclude)
    level = Level(args.level) if args.level is not None else None
    if not include and not exclude and level is None:
        if args.context:
            raise InputError("--context needs --grep, --exclude or --level: lines around which others are shown")
        return None
    return Filter(include, exclude, level, args.context)


def lines_of(args: argparse.Namespace) -> int | None:
    """How many lines from the end, None for all."""
    if args.lines is None:
        return None if filter_of(args) is not None or args.since or args.until else LINES
    if args.lines == "all":
        return None
    if not args.lines.isascii() or not args.lines.isdigit():
        raise InputError(f"--lines {args.lines}: a number or all")
    return int(args.lines) if len(args.lines) <= _DIGITS else None  # no log has as many


def goal_of(option: str, text: str | None) -> Goal | None:
    """A time as people type it; None where none is asked for.

    Raises:
        InputError: It is no time.
    """
    if text is None:
        return None
    from tui.logs.goto import parse

    try:
        goal = parse(text, time.time())
    except ValueError:
        goal = None
    if goal is None or goal.time is None:
        raise InputError(f"--{option} {text}: not a time; for example 14:02, '2026-05-25 14:02' or -10m")
    return goal


def connecting(target: Target, connects: Callable[[], Connects] | None = None) -> Connect | None:
    """The way to other hosts; a log on this machine needs nothing of it.

    Args:
        target: The log.
        connects: Makes what the connections share; by default what asks on the terminal, for commands that have it to
            themselves.
    """
    if target.host is None:
        return None
    from tui.cli import asking
    from tui.cli.tail_hosts import connecting_by

    return connecting_by(connects() if connects is not None else asking.connects())
