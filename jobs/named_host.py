"""Which host a person means by a name: one that a profile tells of, else whatever ssh makes of it."""

from __future__ import annotations

import contextlib
import difflib
import fnmatch
import glob
import heapq
import os
import re
from pathlib import Path

from hosts.errors import InputError
from hosts.local.files import read_bytes_limited
from hosts.profiles import HostProfile, Ssh, profile_paths, read_profile, select_profile
from hosts.ssh_spec import is_host
from hosts.target import parse_target
from jobs.calibration.checkout import NoHostsError, SeveralError, find_hosts

_SSH = "~/.ssh/config"
_LIMIT = 1 << 20
_MOST_FILES = 64
_MOST_COMPARED = 500  # half a millisecond each
_WORD = re.compile(r"""["]([^"]*)["]|[']([^']*)[']|([^\s"']+)""")
_NAMELESS = ("name or service not known", "could not resolve", "name resolution", "no address associated")


class TypedHost(HostProfile):
    """A host that no profile tells of, as somebody typed it."""

    folder: str | None = None
    """The profiles that there are, one of which may be meant."""


def named_profile(name: str, root: str | None = None) -> HostProfile:
    """The profile that a name means, or one that says no more than where the host is.

    Args:
        name: HOST or USER@HOST; with a user it is never a profile of the checkout, which has its own.
        root: Where the checkout is, None to find it from here.

    Raises:
        InputError: The name is none, the profile cannot be read, or nobody knows which folder of profiles is meant.
    """
    user, host = _named(name)
    folder = None
    try:
        folder = find_hosts(root)
    except NoHostsError:
        pass
    except SeveralError as error:
        if not user and any(knows(one.hosts_folder, host) for one in error.checkouts):
            raise  # which of them is meant decides how and where something runs
    if not user and folder is not None and knows(folder, host):
        selected = select_profile(folder, host, {})
        if selected is not None:
            return selected.file.profile
    there = str(folder) if folder is not None else None
    return TypedHost(name=name, launcher="ssh", ssh=Ssh(host=host, user=user), folder=there)


def is_nameless(said: str) -> bool:
    """Whether an error says that nobody knows the host's name."""
    return any(words in said.lower() for words in _NAMELESS)


def is_unknown(said: str) -> bool:
    """Whether an error says that nobody knows the host, by its name or by its key."""
    return is_nameless(said) or any(words in said for words in ("host key is unknown", "no known_hosts file"))


def likely(typed: TypedHost, config: str = _SSH) -> str:
    """The host that somebody may have meant who typed another name; "" where none is like it. Reads files.

    Args:
        typed: What was typed.
        config: The ssh configuration; what it knows by name is not guessed at.
    """
    host = typed.ssh_host or typed.name
    known: set[str] = set()
    with contextlib.suppress(InputError):
        known |= _names(Path(typed.folder)) if typed.folder is not None else set()
    patterns = set(_patterns(config))
    vague = (pattern for pattern in patterns if glob.has_magic(pattern) and pattern != "*")
    if host in patterns or any(fnmatch.fnmatchcase(host, pattern) for pattern in vague):
        return ""
    known |= {pattern for pattern in patterns if is_host(pattern)}
    return next(iter(difflib.get_close_matches(host, _nearest(host, known), n=1)), "")


def _nearest(host: str, known: set[str]) -> list[str]:
    """Those of many names that are worth a thorough look: they begin and end most like this one, and are as long."""
    if len(known) <= _MOST_COMPARED:
        return sorted(known)

    def far(name: str) -> tuple[int, str]:
        return abs(len(host) - len(name)) - _alike(host, name) - _alike(host[::-1], name[::-1]), name

    return heapq.nsmallest(_MOST_COMPARED, known, key=far)


def _alike(one: str, other: str) -> int:
    """How many characters two begin with together."""
    return next(
        (count for count, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _patterns(config: str) -> list[str]:
    """What the `Host` lines of an ssh configuration name, and those of the files that it includes."""
    found: list[str] = []
    left, read = [os.path.expanduser(config)], 0
    while left and read < _MOST_FILES:
        path, read = left.pop(0), read + 1
        try:
            text = read_bytes_limited(Path(path), _LIMIT).decode("utf-8", "replace")
        except InputError:
            continue
        for line in text.splitlines():
            word, *rest = ["".join(one) for one in _WORD.findall(line.replace("=", " ", 1))] or [""]
            if word.lower() == "host":
                found += rest
            elif word.lower() == "include":
                for one in rest:
                    left += sorted(glob.glob(os.path.join(os.path.expanduser("~/.ssh"), os.path.expanduser(one))))
    return found


def knows(folder: Path, host: str) -> bool:
    """Whether a profile in `folder`, which need not exist, has that name."""
    return host in _names(folder)


def _names(folder: Path) -> set[str]:
    names = set()
    for path in profile_paths(folder):
        names.add(path.stem)
        with contextlib.suppress(InputError):  # another host's profile is no obstacle
            names.add(read_profile(path).profile.name)
    return names


def _named(name: str) -> tuple[str | None, str]:
    """The login name, where one was typed, and the host."""
    user, at, host = name.rpartition("@")
    try:
        place = parse_target(f"{user}{at}[{host}]:." if host.count(":") > 1 else f"{name}:.")
    except InputError:
        place = None
    if place is None or place.host is None or place.path != ".":
        raise InputError(f"{name!r} is not a host: expected a profile's name or [user@]host")
    return place.user, place.host
