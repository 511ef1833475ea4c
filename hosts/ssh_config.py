"""Which lines of an ssh configuration count for a host, read as ssh itself reads them (readconf.c of OpenSSH)."""

from __future__ import annotations

import atexit
import contextlib
import glob
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

_DEEPEST = 16  # as many files deep as ssh follows an Include
_LINE = re.compile(r"\s*(?P<keyword>[^\s=]+)[ \t]*=?[ \t]*(?P<rest>.*)", re.DOTALL)
# The rest of the line, signs of comments and quotes too, is for a shell
_RAW = frozenset({"proxycommand", "remotecommand", "localcommand", "knownhostscommand"})
_SIGN = re.compile(r"[\"'\\#]")
_TOKEN = re.compile(r"%(.)")
# Seconds for the programs of one configuration; hosts/ssh_files.py waits a little longer, so that they are ended first
_PATIENCE = 4.5


@dataclass(frozen=True)
class Setting:
    """A line that counts.

    Attributes:
        path: The file.
        line: Its number there.
        keyword: In small letters.
        args: Its words.
    """

    path: str
    line: int
    keyword: str
    args: list[str]


class Known(Protocol):
    """What is known of the login so far; the lines before say more and more of it."""

    def get(self, option: str, default: object = None) -> object: ...

    def tokens(self) -> Mapping[str, str]:
        """What stands for `%h` and the like."""
        ...

    def fits(self, criterion: str, pattern: str) -> bool:
        """Whether a criterion of `Match` holds that is none of those that are known here."""
        ...


@dataclass(frozen=True)
class Reader:
    """Reads a configuration for one login.

    Attributes:
        known: What is known of the login; whoever takes a line adds to it what that says, before the next is read.
        original: The host as it was called.
        host: What `Host` is held against: that, or its full name.
        local_user: Who we are.
        last: Whether this is a second look, with the host's full name.
        until: When programs that it runs have to have ended, by the steady clock.
    """

    known: Known
    original: str
    host: str
    local_user: str
    last: bool = False
    until: float = field(default_factory=lambda: time.monotonic() + _PATIENCE)

    def settings(self, path: str) -> Iterator[Setting]:
        """The lines of a file, and of those that it includes, which count: in their order, each of them once.

        Raises:
            OSError: One cannot be read.
            ValueError: One cannot be understood.
            TimeoutError: A program that one runs does not end.
            RecursionError: They include each other.
        """
        given: set[tuple[str, int]] = set()
        asks_for_more: list[bool] = []
        for second in (False, True):
            name = str(self.known.get("Hostname") or self.host) if second else self.host
            look = _Look(self, name, self.last or second, lambda: asks_for_more.append(True))
            for setting in look.read(path, 0):
                if (setting.path, setting.line) not in given:
                    given.add((setting.path, setting.line))
                    yield setting
            if self.last or not (asks_for_more or self.known.get("CanonicalizeHostname")):
                return


@dataclass(frozen=True)
class _Look:
    """One look at the files; `last`: `Match final` and `Match canonical` hold."""

    reader: Reader
    host: str
    last: bool
    on_final: Callable[[], None]

    def read(self, path: str, depth: int) -> Iterator[Setting]:
        if depth > _DEEPEST:
            raise RecursionError(path)
        counts = True
        # What is no text stands in comments, where it does no harm, and in names of files
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for number, line in enumerate(file, 1):
                match = _LINE.match(line.rstrip())
                if match is None or match["keyword"].startswith("#"):
                    continue
                keyword, rest = match["keyword"].lower(), match["rest"]
                try:
                    args = words(rest)
                    if keyword == "host":
                        counts = _named(args, self.host)
                    elif keyword == "match":
                        counts = self._holds(args)
                except ValueError as error:
                    raise ValueError(f"{path} line {number}: {error}") from None
                if not counts or keyword in {"host", "match"}:
                    continue
                if keyword == "include":
                    for name in _included(args):
                        yield from self.read(name, depth + 1)
                else:
                    yield Setting(path, number, keyword, [rest.lstrip(" \t=")] if keyword in _RAW and rest else args)

    def _holds(self, args: list[str]) -> bool:
        """Whether all criteria of a `Match` hold; those behind one that does not are not looked at."""
        left = list(args)
        if not left:
            raise ValueError("Missing Match criteria")
        holds = True
        while left:
            word, equals, pattern = left.pop(0).partition("=")
            name = word.removeprefix("!").lower()
            if name == "final":
                self.on_final()
            if name in {"all", "final", "canonical"}:
                found = name == "all" or self.last
            else:
                if not equals or not pattern:
                    left = left[1:] if left[:1] == ["="] else left
                    if not left:
                        raise ValueError(f"Missing {name} match pattern")
                    pattern = left.pop(0)
                found = holds and self._fits(name, pattern)
            holds = holds and found != word.startswith("!")
        return holds

    def _fits(self, name: str, pattern: str) -> bool:
        known = self.reader.known
        if name == "host":
            return _listed(pattern.lower(), str(known.get("Hostname") or self.host).lower())
        if name == "originalhost":
            return _listed(pattern.lower(), self.reader.original.lower())
        if name == "user":
            return _listed(pattern, str(known.get("User") or self.reader.local_user))
        if name == "localuser":
            return _listed(pattern, self.reader.local_user)
        if name == "exec":
            return _runs(pattern, known.tokens(), self.reader.until)
        return known.fits(name, pattern)


def words(text: str) -> list[str]:
    """The words of a line up to a comment, as argv_split of OpenSSH has them.

    Raises:
        ValueError: A quotation is not closed.
    """
    if not _SIGN.search(text):
        return [word for word in text.replace("\t", " ").split(" ") if word]
    found: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        if text[at] == "#":
            break
        word, quote = "", ""
        while at < len(text) and (quote or text[at] not in " \t"):
            char = text[at]
            if char == "\\" and text[at + 1 : at + 2] in ({"'", '"', "\\"} if quote else {"'", '"', "\\", " "}):
                at += 1
                word += text[at]
            elif char == quote:
                quote = ""
            elif not quote and char in "'\"":
                quote = char
            else:
                word += char
            at += 1
        if quote:
            raise ValueError(f"No closing quotation for {quote}")
        found.append(word)
    return found


def _included(patterns: list[str]) -> Iterator[str]:
    """The files that an Include names, those of one pattern in the order of their names."""
    for pattern in patterns:
        anchored = os.path.join(os.path.expanduser("~/.ssh"), os.path.expanduser(pattern))
        yield from filter(os.path.isfile, sorted(glob.glob(anchored), key=os.fsencode))


def _named(patterns: list[str], host: str) -> bool:
    """Whether a `Host` line means it."""
    negated = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    meant = [pattern for pattern in patterns if not pattern.startswith("!")]
    return any(_like(each, host) for each in meant) and not any(_like(each, host) for each in negated)


def _listed(patterns: str, text: str) -> bool:
    """The same for patterns with commas."""
    return _named(patterns.split(","), text)


def _like(pattern: str, text: str) -> bool:
    if "*" not in pattern and "?" not in pattern:  # as nearly all are
        return pattern == text
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _runs(command: str, tokens: Mapping[str, str], until: float) -> bool:
    """Whether a command ends well, as `Match exec` runs it."""

    def expanded(match: re.Match[str]) -> str:
        if match[1] not in tokens:
            raise ValueError(f"Match exec knows no %{match[1]}")
        return tokens[match[1]]

    line = _TOKEN.sub(expanded, command)
    shell = os.environ.get("SHELL") or "/bin/sh"
    null = subprocess.DEVNULL
    try:
        # A group of its own, so that what it starts can be ended with it, and not a session: that has no terminal
        child = subprocess.Popen([shell, "-c", line], stdin=null, stdout=null, stderr=null, process_group=0)
    except OSError as error:
        raise ValueError(f"Match exec cannot run {shell}: {error.strerror}") from None

    def end() -> None:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)

    atexit.register(end)  # nobody waits for the thread that we are in
    try:
        return child.wait(max(0.0, until - time.monotonic())) == 0
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"Match exec does not end: {line}") from None
    finally:
        if child.returncode is None:
            end()
            child.wait()
        atexit.unregister(end)
