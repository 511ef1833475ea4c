"""The keys of hosts: which ones we know and where that is written, and how a new one is written down."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

import asyncssh

from hosts.errors import InputError

_PLAIN = re.compile(r"[A-Za-z0-9_.:%-]+\Z")


@dataclass(frozen=True)
class Offer:
    """The key that a host showed, and what it was called when it did."""

    host: str
    address: str
    port: int
    key: asyncssh.SSHKey

    @property
    def name(self) -> str:
        """As a known_hosts file calls it."""
        return _named(self.host, self.port)

    @property
    def names(self) -> tuple[str, ...]:
        """All that its key may stand under."""
        found = (self.name, _named(self.address, self.port) if self.address else "")
        return tuple(dict.fromkeys(name for name in found if name))

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
            with open(file, encoding="utf-8", errors="replace") as opened:
                lines = opened.read().splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            found += [KnownKey(file, number, marker, shown) for marker, shown in _speaks(line, offer.names)]
    return found


def _speaks(line: str, names: tuple[str, ...]) -> list[tuple[str, str]]:
    try:
        one = asyncssh.import_known_hosts(line)
    except ValueError:
        return []
    for name in names:
        plain, authorities, revoked, *_ = one.match(name, "", None)
        marked = [("", plain), ("cert-authority", authorities), ("revoked", revoked)]
        found = [(marker, _shown(key)) for marker, keys in marked for key in keys]
        if found:
            return found
    return []


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
            if os.write(handle, line) != len(line):
                raise OSError("only a part of the line was written")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"the key of {offer.name} cannot be added to {file}: {reason}") from None


def _named(host: str, port: int) -> str:
    return host if port == asyncssh.DEFAULT_PORT else f"[{host}]:{port}"


def _shown(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"
