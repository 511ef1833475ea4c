"""`gatewatch tail TARGET`: one log, on a screen of its own or as plain text.

A local log is on screen before anything is imported that it does not need: no pydantic, no asyncssh, none of `jobs`.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading

from hosts.errors import InputError
from hosts.local.levels import LEVELS
from hosts.target import Target, parse_target
from tui.cli.tail_options import LINES

_MOST_AROUND = 100_000
_QUICK_S = 0.1  # that the file system may take before what else can be waited for is imported
_TIMES = """TIME: 14:02, '2026-05-25 14:02', or -10m for ten minutes ago
Without a date it is the last such time by the clock here, or by the log's own where that is ahead; until a
time before all of its lines means the next one, unless it was earlier today."""


class Tail:
    """Shows a log and follows it; without a terminal to show it in, it is printed."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        from tui.cli.commands import Parser

        assert isinstance(parser, Parser)
        parser.signed = ("--since", "--until")
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = _TIMES
        parser.add_argument(
            "target",
            metavar="TARGET",
            nargs="+",
            help="a file, - for standard input, a folder or a quoted pattern (its newest log), or HOST:PATH",
        )
        parser.add_argument(
            "-f",
            "--follow",
            action="store_true",
            help="print what is added, until interrupted; else the last lines of a pipe or - come once it has ended",
        )
        parser.add_argument("--wait", action="store_true", help="wait for a log that is not there yet")
        parser.add_argument("--plain", action="store_true", help="print it; what happens anyway without a terminal")
        parser.add_argument(
            "-n", "--lines", metavar="N", help=f"print the last N lines, or all ({LINES}; all with a filter)"
        )
        which = parser.add_argument_group("which lines")
        which.add_argument("--grep", metavar="TEXT", action="append", default=[], help="lines with this text")
        which.add_argument("--exclude", metavar="TEXT", action="append", default=[], help="no lines with this text")
        which.add_argument("--regex", action="store_true", help="TEXT is a regular expression of Python's re")
        which.add_argument("--level", choices=[level.value for level in LEVELS], help="lines of this level or above")
        which.add_argument("-C", "--context", metavar="N", type=_count, default=0, help="and N lines around each")
        which.add_argument("--since", metavar="TIME", help="lines from this time on")
        which.add_argument("--until", metavar="TIME", help="lines before this time")
        screen = parser.add_argument_group("on the screen")
        screen.add_argument("--wrap", action="store_true", help="wrap long lines")
        screen.add_argument("--numbers", action="store_true", help="show line numbers")
        screen.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
        screen.add_argument("--ascii", action="store_true", help="use no signs beyond ASCII")

    def run(self, args: argparse.Namespace) -> int:
        target = _target(args)
        if args.plain or not _has_screen():
            from tui.cli.tail_plain import run_plain

            return run_plain(args, target)
        from tui.cli.tail_first import first_look

        with first_look(args, target) as look:
            from tui.cli.tail_screen import run_screen

            return run_screen(args, target, look)


CLI = Tail()


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    if len(text) > len(str(_MOST_AROUND)) or int(text) > _MOST_AROUND:
        raise argparse.ArgumentTypeError(f"{text} is more than {_MOST_AROUND:,} lines")
    return int(text)


def _has_screen() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def _target(args: argparse.Namespace) -> Target:
    """The one log that is meant.

    Raises:
        InputError: Several are, or it is not there and is not waited for.
        UnreachableError: The file system does not answer.
    """
    if len(args.target) > 1:
        raise InputError(
            f"one log at a time, not {len(args.target)}; a quoted pattern or a folder means the newest log in it"
        )
    target = parse_target(args.target[0])
    if not (args.wait or args.follow) and target.host is None and target.path != "-":
        _must_be_there(target)
    return target


def _must_be_there(target: Target) -> None:
    path = os.path.expanduser(target.path)
    problems: list[str] = []
    asked = threading.Thread(target=lambda: problems.append(_problem(path)), name=f"look {path}", daemon=True)
    asked.start()
    asked.join(_QUICK_S)
    if asked.is_alive():
        import asyncio

        from monitors.logs.opening import in_time

        asyncio.run(in_time(target, asked.join, "wait"))
    if problems[0]:
        raise InputError(f"{path}: {problems[0]}")


def _problem(path: str) -> str:
    """Why a path cannot be read; "" where it can, or where others say so. May wait for the file system."""
    from glob import has_magic

    try:
        os.stat(path)
    except FileNotFoundError:
        # A pattern: whoever looks for its files says that there are none
        return "" if has_magic(path) else "no such file; --wait waits for it"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return "" if os.access(path, os.R_OK) else "not readable"
