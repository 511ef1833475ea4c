"""How commands are written and found: a name, a help line, and a module that is imported on first use."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from hosts.errors import InputError

_SIGNED = re.compile(r"-\d")


class Command(Protocol):
    """What a command module exports: `add` declares its options, `run` does it and returns the exit code."""

    def add(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace) -> int: ...


@dataclass(frozen=True)
class Entry:
    """A command before it is imported.

    Attributes:
        name: The word on the command line.
        help: One line for the list of commands.
        module: Where it is written.
        attribute: The module's name for it.
    """

    name: str
    help: str
    module: str
    attribute: str = "CLI"

    def load(self) -> Command:
        """Import the command.

        Raises:
            InputError: This installation has no such module.
        """
        try:
            command: Command = getattr(importlib.import_module(self.module), self.attribute)
        except ModuleNotFoundError as error:
            # A module missing further down is a defect of ours, and must not be told as a missing command.
            if error.name != self.module:
                raise
            raise InputError(f"the command {self.name!r} is not in this version of gatewatch") from error
        return command


@dataclass(frozen=True)
class Group:
    """A command made of commands; the chosen one alone is imported."""

    name: str
    help: str
    entries: tuple[Entry, ...]

    def add(self, parser: argparse.ArgumentParser) -> None:
        """Declare the words of this group."""
        add_entries(parser, self.entries)

    def run(self, args: argparse.Namespace) -> int:
        """Never what is run: `add` names one of the entries, or says that none was named."""
        raise AssertionError(args)


class _Help(argparse.HelpFormatter):
    """Leaves room for the names of commands, which are indented once more than CPython 3.11 to 3.14 reckons with."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            self._action_max_length = max(self._action_max_length, *(len(name) + 4 for name in action.choices))


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and which declares its options when it is first used."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, "formatter_class": _Help, **options})
        self.declare: Callable[[], None] | None = None
        self.behind: str | None = None  # what the words behind `--` are kept as, where they are no words of ours
        self.signed: tuple[str, ...] = ()  # the options whose value may begin like `-10`

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Declare the options if that has not happened yet, then parse; every command knows all its options."""
        declare, self.declare = self.declare, None
        if declare is not None:
            declare()
        behind: list[str] | None = None
        if self.behind is not None and args is not None and "--" in args:
            at = args.index("--")
            args, behind = args[:at], args[at + 1 :]
        if self.signed and args is not None:
            args = _joined(args, self.signed)
        known, unknown = super().parse_known_args(args, namespace)
        if self.behind is not None:
            setattr(known, self.behind, behind)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        """Raise the usage error instead of printing the whole usage."""
        raise InputError(f"{message}; see {self.prog} --help")


def _joined(args: Sequence[str], signed: Sequence[str]) -> list[str]:
    """The words, each of these options in one word with a value that argparse takes for an option: `--since=-10m`."""
    words: list[str] = []
    end = list(args).index("--") if "--" in args else len(args)
    for at, word in enumerate(args):
        if at < end and words and words[-1] in signed and _SIGNED.match(word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def add_entries(parser: argparse.ArgumentParser, entries: Sequence[Entry]) -> None:
    """Give `parser` one word for each of `entries`; the parsed namespace's `run` is the chosen one's."""
    names = ", ".join(entry.name for entry in entries)

    def missing(_: argparse.Namespace) -> int:
        raise InputError(f"a command is missing: {names}; see {parser.prog} --help")

    parser.set_defaults(run=missing)
    words = parser.add_subparsers(metavar="COMMAND", parser_class=Parser, title="commands")
    for entry in entries:
        leaf = words.add_parser(entry.name, help=entry.help, description=entry.help)
        leaf.declare = _declare(leaf, entry)


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the option that every command has."""
    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show a traceback for an unexpected error"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the option that every command with an answer has."""
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def _declare(leaf: Parser, entry: Entry) -> Callable[[], None]:
    def declare() -> None:
        command = entry.load()
        add_debug(leaf)
        leaf.set_defaults(run=command.run)
        command.add(leaf)  # last: a group says itself what running it without a word means

    return declare
