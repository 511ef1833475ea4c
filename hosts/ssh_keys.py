"""The keys of hosts: which ones we know and where that is written, and how a new one is written down."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import asyncssh

from hosts.errors import InputError
from hosts.ssh_text import plain

_PLAIN = re.compile(r"[A-Za-z0-9_.:%-]+\Z")
# To ssh only blanks and tabs are some: what others stand for one must not make a line, or a word, of a part of another
_LINE = re.compile(
    r"(?P<marker>[ \t]*(?:@[^ \t]+[ \t]+)?)(?P<names>(?![#@])[^ \t]+)(?P<kind>[ \t]+[^ \t]+[ \t]+)"
    r"(?P<key>[^ \t]+)(?P<rest>.*)",
    re.DOTALL,
)
_OTHER_BLANKS = re.compile(r"[^\S \t]")
_NO_BLANK = "\x7f"
_IN_KEYS = re.compile(r"[\r\f\v]")  # which ssh passes over there
_KEY = re.compile(r"(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")
# What asyncssh raises for a line that it cannot read; the second for some damaged keys, the third for what looks like a
# certificate that it lacks a library for
_UNREADABLE = (ValueError, OverflowError, NameError)


@dataclass(frozen=True)
class Offer:
    """The key that a host showed, and what it was called when it did.

    Attributes:
        host: Its name, or the alias of its key.
        port: Where it listens; None for an alias, which stands for every port (OpenSSH's sshconnect.c).
        key: What it showed.
    """

    host: str
    port: int | None
    key: asyncssh.SSHKey

    @property
    def name(self) -> str:
        """As a known_hosts file calls it."""
        return _named(self.host.lower(), self.port)

    def __str__(self) -> str:
        return _shown(self.key)


@dataclass(frozen=True)
class KnownKey:
    """One line of a known_hosts file that speaks of a host; `marker` is "", "cert-authority" or "revoked"."""

    file: str
    line: int
    marker: str
    shown: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} has {self.marker + ' ' if self.marker else ''}{self.shown}"


def known_keys(files: Iterable[str], offer: Offer) -> list[KnownKey]:
    """Every line that speaks of the host at that very port; what cannot be read does not."""
    found = []
    for file in files:
        try:
            lines = _lines(file)
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            found += [KnownKey(file, number, marker, shown) for marker, shown in _speaks(line, offer.name)]
    return found


class Keys(asyncssh.SSHKnownHosts):
    """What known_hosts files have.

    Attributes:
        revoked: Those of its lines that take a key back.
        unread: The files that could not be read, and why.
    """

    def __init__(self) -> None:
        super().__init__()
        self.revoked = asyncssh.SSHKnownHosts()
        self.unread: dict[str, str] = {}


class NamedKeys(asyncssh.SSHKnownHosts):
    """The keys of a host by its name alone, as ssh has it: asyncssh takes those of its address for its own too.

    An address is given to another machine, and then the two have nothing to do with each other. A key that is revoked
    there is not taken.

    Args:
        known: What the files have.
        alias: What the configuration calls the host's key, or "".
    """

    def __init__(self, known: Keys, alias: str) -> None:
        super().__init__()
        self._known = known
        self._alias = alias

    def match(self, host: str, addr: str, port: int | None) -> Any:  # of seven kinds, the third and fifth revoked
        """The keys and authorities that a host may have, and those that it must not."""
        own = None if host == self._alias else port
        found = list(self._known.match(host.lower(), "", own))
        # By the whole name: asked for a port, asyncssh goes on to the name without it, and forgets what it has found to
        # be revoked (2.24)
        names = [_named(host.lower(), own), *([addr, _named(addr, port)] if addr else [])]
        for name in names:
            there = self._known.revoked.match(name, "", None)
            for kind in (2, 4, 6):
                found[kind] = [*found[kind], *there[kind]]
        return tuple(found)


def read_keys(files: Iterable[str]) -> Keys:
    """The keys that known_hosts files have.

    Lines that say nothing, and files that are shut or not there, are passed over, as by ssh.

    Raises:
        OSError: None of them can be read, or one for another reason than that it is shut.
    """
    known = Keys()
    read = 0
    failure: PermissionError | None = None
    for file in files:
        try:
            lines = _lines(file)
        except FileNotFoundError:
            continue  # it went since it was looked for, and takes nothing back
        except PermissionError as error:
            known.unread[file], failure = plain(error).lower(), error
            continue
        read += 1
        for line in map(_small, lines):
            with contextlib.suppress(*_UNREADABLE):
                known.load(line)
                if line.lstrip().startswith("@revoked"):
                    known.revoked.load(line)
    if failure is not None and not read:
        raise failure
    return known


def _lines(file: str) -> list[str]:
    with open(file, encoding="utf-8", errors="replace", newline="\n") as opened:
        return opened.read().split("\n")


def _small(line: str) -> str:
    """A line with its names in small letters, in which ssh compares them; "" where to ssh it says nothing.

    To ssh it ends at a NUL. asyncssh passes over a key, also one that is revoked, whose comment is not plain (2.24),
    and takes one that is damaged. That counts where it is revoked: rather too many of those than too few.
    """
    match = _LINE.match(line.partition("\0")[0])
    if match is None:
        return ""
    marker, names, kind, key, rest = match.groups()
    key = _IN_KEYS.sub("", key)
    if marker.strip() != "@revoked" and not _KEY.match(key):
        return ""
    names = names if names.startswith("|") else names.lower()
    behind = f"{kind}{key}{rest}".encode("ascii", "replace").decode("ascii")
    return _OTHER_BLANKS.sub(_NO_BLANK, f"{marker}{names}{behind}")


def _speaks(line: str, name: str) -> list[tuple[str, str]]:
    try:
        plain, authorities, revoked, *_ = asyncssh.import_known_hosts(_small(line)).match(name, "", None)
    except _UNREADABLE:
        return []
    marked = [("", plain), ("cert-authority", authorities), ("revoked", revoked)]
    return [(marker, _shown(key)) for marker, keys in marked for key in keys]


def remember(file: str, offer: Offer) -> None:
    """Add a host's key to a known_hosts file: one whole line, on disk before anything is sent to the host.

    Raises:
        InputError: The file cannot be written, or the host's name would be read as more than a name.
    """
    bare = offer.name.translate({ord("["): None, ord("]"): None})
    if not _PLAIN.match(bare):
        raise InputError(f"{offer.host!r} is no name for a line of {file}")
    line = f"{offer.name} {' '.join(offer.key.export_public_key().decode('ascii').split()[:2])}\n".encode("ascii")
    try:
        os.makedirs(os.path.dirname(file) or ".", mode=0o700, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = b"\n" + line
            written = os.write(handle, line)
            if written != len(line):
                _take_back(handle, written)
                raise OSError("only a part of the line was written")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"the key of {offer.name} cannot be added to {file}: {reason}") from None


def _take_back(handle: int, written: int) -> None:
    """Remove the end of a file that we have just written, unless another has added to it since."""
    end = os.lseek(handle, 0, os.SEEK_CUR)
    if os.fstat(handle).st_size == end:
        os.ftruncate(handle, end - written)


def _named(host: str, port: int | None) -> str:
    return host if port in (None, asyncssh.DEFAULT_PORT) else f"[{host}]:{port}"


def _shown(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"
