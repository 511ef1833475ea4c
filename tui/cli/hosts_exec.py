"""`gatewatch hosts exec HOST… -- COMMAND…`: one command on hosts, without a shell, and ended there when we end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from tui.cli.commands import add_json
from tui.cli.hosts_options import add_timeout

if TYPE_CHECKING:
    from hosts.command import Ended
    from hosts.errors import GatewatchError
    from hosts.pipe import PipeActor
    from tui.cli.hosts_output import Outlet
    from tui.exits import ExitCode

DEADLINE_S = 600.0
_LONGEST_S = 86_400.0
_BLOCK = 1 << 16
_REST_S = 1.0  # that the rest of a line may take when it is interrupted: perhaps nobody reads


class HostExec:
    """Runs one argument vector on each host; what it writes is written here, and how it ended is the exit code."""

    def add(self, parser: argparse.ArgumentParser) -> None:
        from tui.cli.calibration_options import add_root
        from tui.cli.commands import Parser

        assert isinstance(parser, Parser)
        parser.behind = "command"
        parser.usage = f"{parser.prog} HOST [HOST ...] [options] -- COMMAND [ARGUMENT ...]"
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = (
            "COMMAND goes there word by word and meets no shell; for pipes and the like: -- sh -c 'du * | sort -n'.\n"
            "It is ended there when it takes longer than --timeout, on ctrl-c, and when we or the way there are gone.\n"
            "exit code: 0 it ended with 0 everywhere, 1 with something else, 2 it cannot be run, 3 its time was\n"
            "over or nobody took its output, 4 a host cannot be reached"
        )
        parser.add_argument(
            "hosts", metavar="HOST", nargs="+", help="a profile in hosts/, or [user@]host as ssh knows it"
        )
        add_root(parser)
        add_timeout(parser, DEADLINE_S, _LONGEST_S, "seconds from now until it is ended")
        parser.add_argument("--stdin", metavar="FILE", help="what it reads: a file, or - for ours (default: nothing)")
        parser.add_argument("--read-only", action="store_true", help="refuse to run anything")
        add_json(parser)

    def run(self, args: argparse.Namespace) -> int:
        logging.getLogger("asyncio").addFilter(_is_news)
        return asyncio.run(_run(args))


EXEC = HostExec()


def _is_news(record: logging.LogRecord) -> bool:
    """False where asyncio would write to stderr that a child ended after us: perhaps nobody reads there any more."""
    return not str(record.msg).endswith("handles pid %r is closed")


@dataclass(frozen=True)
class _Result:
    """What came of one host: how the command ended there, or why it did not."""

    name: str
    ended: Ended | None
    error: GatewatchError | None
    seconds: float

    @property
    def code(self) -> ExitCode:
        from tui.exits import ExitCode, combine

        if self.error is not None:
            return combine([self.error.code])
        assert self.ended is not None
        if not self.ended.in_time:
            return ExitCode.UNKNOWN
        return ExitCode.OK if self.ended.exit == 0 else ExitCode.SAYS_NO

    @property
    def told(self) -> str:
        """How it ended, for people; "" where it ended well."""
        if self.error is not None:
            return str(self.error)
        assert self.ended is not None
        rest = f"; {self.ended.left} of its process groups could not be ended" if self.ended.left else ""
        if not self.ended.in_time:
            return f"it was not done after {self.seconds:.0f} s and was ended{rest}"
        if self.ended.signal is not None:
            return f"ended by {_signal(self.ended.signal)}{rest}"
        if self.ended.exit is None:
            return f"it could not be ended{rest}"
        return f"exit status {self.ended.exit}{rest}" if self.ended.exit or rest else ""


async def _run(args: argparse.Namespace) -> int:
    from hosts.errors import GatewatchError, InputError
    from jobs.connect import open_commander, refuse_stranger
    from jobs.named_host import named_profile
    from tui import console
    from tui.cli.asking import connects
    from tui.cli.hosts_output import Kept, Printed, Streams
    from tui.exits import ExitCode, combine

    names = list(dict.fromkeys(args.hosts))
    if not args.command:
        raise InputError("a command is missing: gatewatch hosts exec HOST -- COMMAND [ARGUMENT ...]")
    if any("\0" in word for word in args.command):
        raise InputError("a command's words hold no NUL")
    if args.stdin == "-" and len(names) > 1:
        raise InputError("--stdin - is for one host; several can read a file")
    if args.stdin not in (None, "-"):
        await asyncio.to_thread(_readable, args.stdin)
    shared = connects()
    hosts: list[PipeActor] = []
    wrong: list[GatewatchError] = []
    for name in names:
        try:
            profile = await asyncio.to_thread(named_profile, name, args.root)
            refuse_stranger(profile)
            hosts.append(await asyncio.to_thread(open_commander, profile, args.read_only, shared))
        except GatewatchError as error:
            if args.read_only:
                raise
            wrong.append(error)
    if wrong:  # before anything runs anywhere: whoever mends the name runs it again on all of them
        for found in wrong:
            console.error(str(found))
        await asyncio.gather(*(host.close() for host in hosts))
        return combine(found.code for found in wrong)
    several = len(names) > 1
    ours = Streams()
    outlets: list[Outlet] = [Kept() if args.json else Printed(ours, host.name if several else "") for host in hosts]
    results = await asyncio.gather(*(_one(host, outlet, args) for host, outlet in zip(hosts, outlets, strict=True)))
    code = ExitCode.OK
    for say in (partial(_print_document, args, results, outlets), partial(_print_ends, results)):
        try:
            say()
            console.flush()
        except OSError as error:
            code = ExitCode.UNKNOWN  # never as input that is wrong: the command was run
            with contextlib.suppress(OSError):
                console.error(str(error))
    return combine([code, *(result.code for result in results)])


def _print_document(args: argparse.Namespace, results: Sequence[_Result], outlets: Sequence[Outlet]) -> None:
    from tui import console

    if args.json:
        documents = [_document(result, outlet) for result, outlet in zip(results, outlets, strict=True)]
        console.print_json({"command": args.command, "hosts": documents})


def _print_ends(results: Sequence[_Result]) -> None:
    from tui import console

    for result in results:
        if result.told:
            told = result.told if f"{result.name}:" in result.told else f"{result.name}: {result.told}"
            console.error(told) if result.error is not None else console.milestone(told)


async def _one(host: PipeActor, outlet: Outlet, args: argparse.Namespace) -> _Result:
    from hosts.errors import GatewatchError, NotYetError
    from tui import console

    began = time.monotonic()
    ended: Ended | None = None
    failed: GatewatchError | None = None
    patience, lost = None, ""
    try:
        stdin = _blocks(args.stdin) if args.stdin is not None else None
        ended = await host.command(args.command, args.timeout, outlet.take, stdin)
    except GatewatchError as error:
        failed = error
    except asyncio.CancelledError:
        patience = _REST_S
        raise
    finally:
        await host.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                lost = await outlet.end()
        if patience is not None and await asyncio.to_thread(console.is_heard, patience):
            with contextlib.suppress(OSError):
                console.milestone(f"{host.name}: the command was ended there, or is as soon as the host notices")
    if lost and failed is None:
        failed = NotYetError(lost)
    return _Result(host.name, ended, failed, time.monotonic() - began)


def _readable(path: str) -> None:
    from hosts.errors import InputError

    try:
        with open(path, "rb") as file:
            file.read(0)
    except OSError as error:
        raise InputError(f"--stdin {path}: {error.strerror or error}") from None


async def _blocks(path: str) -> AsyncGenerator[bytes]:
    """A file, or our own input, in blocks; read aside, since whoever writes it may never do so.

    Raises:
        NotYetError: It cannot be read, and what was to read it has been started.
    """
    from hosts.aside import aside
    from hosts.errors import NotYetError

    try:
        file: BinaryIO = sys.stdin.buffer if path == "-" else await asyncio.to_thread(open, path, "rb")
        try:
            descriptor = file.fileno()
            while block := await aside(lambda: os.read(descriptor, _BLOCK), "stdin"):
                yield block
        finally:
            if path != "-":
                file.close()
    except OSError as error:
        raise NotYetError(f"--stdin {path}: {error.strerror or error}, so it was ended") from None


def _document(result: _Result, outlet: Outlet) -> dict[str, Any]:
    from tui.cli.hosts_output import Kept

    ended = result.ended
    written = outlet.document() if isinstance(outlet, Kept) else {}
    return {
        "name": result.name,
        "error": str(result.error) if result.error is not None else None,
        "exit_status": ended.exit if ended is not None else None,
        "signal": _signal(ended.signal) if ended is not None and ended.signal is not None else None,
        "in_time": ended.in_time if ended is not None else None,
        "seconds": round(result.seconds, 3),
        **written,
    }


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
