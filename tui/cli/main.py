"""The command line: finds the command, runs it, and turns every error into one line and an exit code.

Only the chosen command is imported, so that `--version` and a cheap command stay cheap.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from collections.abc import Iterator, Sequence

from gates.systems import SYSTEMS
from hosts.connection import without_wait
from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.version import VERSION
from tui import console
from tui.cli.commands import Entry, Parser, add_debug, add_entries
from tui.cli.watch import BARE, add_screen, need_screen
from tui.exits import ExitCode, combine

_HEARD_S = 1.0  # that a reader of stderr may stand still before it is left


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after the program's name; by default those of this process.

    Returns:
        The exit code (DESIGN, "Exit codes"; `tui.exits` documents them).
    """
    words = list(sys.argv[1:] if argv is None else argv)
    console.stand_in_for_closed()
    return combine([_outcome(words), _flushed()])


def _outcome(words: list[str]) -> int:
    try:
        return _run(words)
    except KeyboardInterrupt as error:
        return _told(error)
    except Exception as error:  # noqa: BLE001 - this is where every error ends: in one line
        if "--debug" in words:
            with contextlib.suppress(OSError):
                console.print_traceback()
        return combine([_told(leaf) for leaf in _leaves(error)])


def _flushed() -> int:
    """Write out what is buffered while an error can still be told; returns an exit code."""
    try:
        console.flush()
    except OSError as error:
        return _told(error)
    return ExitCode.OK


def _told(error: BaseException) -> int:
    """Say an error in one line; returns its exit code, also where the line cannot be written."""
    said, code = _line(error)
    if isinstance(error, KeyboardInterrupt) and not console.is_heard(_HEARD_S):
        return code
    with contextlib.suppress(OSError):
        console.error(said)
    return code


def _line(error: BaseException) -> tuple[str, int]:
    if isinstance(error, UnreachableError):
        return without_wait(str(error)), error.code  # nothing is tried again once the command has ended
    if isinstance(error, GatewatchError):
        return str(error), error.code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", ExitCode.INTERRUPTED
    if isinstance(error, OSError):
        return str(error), ExitCode.USAGE
    said = f"unexpected {type(error).__name__}: {error} (run it again with --debug for the traceback)"
    return said, ExitCode.USAGE


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors that happened: several at once where tasks ran side by side."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _run(words: list[str]) -> int:
    try:
        args = _parser().parse_args(words)
    except SystemExit as end:  # how argparse ends after --help and --version
        return end.code if isinstance(end.code, int) else 0
    misplaced = [name for name in BARE if getattr(args, f"bare_{name}")]
    if misplaced and args.run is not _dashboard:
        option = f"--{misplaced[0].replace('_', '-')}"
        if not hasattr(args, misplaced[0]):
            raise InputError(f"{option} is for the dashboard; the command that follows it has no {option}")
        raise InputError(f"{option} before a command is for the dashboard; put it behind the command")
    code: int = args.run(args)
    return code


def _parser() -> Parser:
    parser = Parser(
        prog="gatewatch",
        description="Watch long ML jobs on GPU hosts, and let nothing through a gate that has not earned it. Without a "
        "command: the dashboard, on gatewatch.yaml or on what is found below the current folder.",
    )
    parser.add_argument("--version", action="version", version=f"gatewatch {VERSION}", help="show the version and exit")
    add_debug(parser)
    add_screen(parser, "bare_")
    add_entries(parser, _entries())
    parser.set_defaults(run=_dashboard)
    return parser


def _dashboard(args: argparse.Namespace) -> int:
    """What is run without a command."""
    need_screen()
    from tui.cli.watch_screen import watch_here

    for name in BARE:
        setattr(args, name, getattr(args, f"bare_{name}"))
    return watch_here(args)


def _entries() -> list[Entry]:
    """All commands, those of the systems first; a system's own module says what its word is."""
    entries = []
    for system in SYSTEMS:
        command = importlib.import_module(f"tui.cli.{system}").CLI
        entries.append(Entry(command.name, command.help, f"tui.cli.{system}"))
    entries.append(Entry("watch", "show runs and follow them", "tui.cli.watch"))
    entries.append(Entry("tail", "show a log and follow it", "tui.cli.tail"))
    entries.append(Entry("hosts", "watch and check hosts, and run a command there", "tui.cli.hosts"))
    entries.append(Entry("init", "write a gatewatch.yaml that says what to watch", "tui.cli.init"))
    entries.append(Entry("demo", "calibrate a small example on this machine", "tui.cli.demo"))
    return entries
