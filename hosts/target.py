"""How a person names a place: a path here, standard input, or a path on a host."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hosts.errors import InputError

# Threat S2: a name that starts with "-" would be read as an option by ssh, a newline by a shell.
_HOST = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,252}\Z")
_BRACKETED = re.compile(r"(?:(?P<user>[^@\[\]/]*)@)?\[(?P<host>[0-9A-Fa-f:.%]+)\]:(?P<path>.*)\Z", re.DOTALL)


@dataclass(frozen=True)
class Target:
    """A place: `path` on `host`, where host None is this machine and path "-" is standard input.

    Attributes:
        host: A host name, alias or address; None for this machine.
        path: A path or glob on that host, exactly as typed; it is expanded there, never by a shell.
        user: The login name, when one was typed.
    """

    host: str | None
    path: str
    user: str | None = None

    def __str__(self) -> str:
        if self.host is None:
            needs_mark = self.path != "-" and ":" in self.path.split("/", 1)[0]
            return f"./{self.path}" if needs_mark else self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}:{self.path}" if self.user else f"{host}:{self.path}"


def parse_target(text: str) -> Target:
    """Read a target as people type it (DESIGN, "The few interfaces").

    "-" is standard input; a ":" before any "/" separates a host from a path, "./a:b" is local, and an
    IPv6 address stands in brackets.

    Raises:
        InputError: The text is empty, holds a NUL, or its host or user is not a plain name.
    """
    if not text:
        raise InputError("empty target; expected a path or HOST:PATH")
    if "\0" in text:
        raise InputError("a target cannot hold a NUL character")
    if text == "-":
        return Target(None, "-")
    bracketed = _BRACKETED.match(text)
    if bracketed:
        return _remote(bracketed["user"], bracketed["host"], bracketed["path"], text)
    head = text.split("/", 1)[0]
    if ":" not in head:
        return Target(None, text)
    where, path = text.split(":", 1)
    user, at, host = where.rpartition("@")
    if not _HOST.match(host):
        raise InputError(f"bad host name in target {text!r}; a local file with a colon is written ./{text}")
    return _remote(user if at else None, host, path, text)


def _remote(user: str | None, host: str, path: str, text: str) -> Target:
    if user is not None and not _HOST.match(user):
        raise InputError(f"bad user name in target {text!r}")
    return Target(host, path or ".", user)
