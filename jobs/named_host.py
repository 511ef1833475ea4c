"""Which host a person means by a name: one that a profile tells of, else whatever ssh makes of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hosts.errors import InputError
from hosts.profiles import HostProfile, Ssh, profile_paths, read_profile, select_profile
from hosts.target import parse_target
from jobs.calibration.checkout import find_hosts


def named_profile(name: str, root: str | None = None) -> HostProfile:
    """The profile that a name means, or one that says no more than where the host is.

    Args:
        name: HOST or USER@HOST; with a user it is never a profile of the checkout, which has its own.
        root: Where the checkout is, None to find it from here.

    Raises:
        InputError: The name is none, or the profile cannot be read.
    """
    user, host = _named(name)
    folder = None
    with contextlib.suppress(InputError):  # without a checkout there are no profiles
        folder = find_hosts(root)
    if not user and folder is not None and knows(folder, host):
        selected = select_profile(folder, host, {})
        if selected is not None:
            return selected.file.profile
    return HostProfile(name=name, launcher="ssh", ssh=Ssh(host=host, user=user))


def knows(folder: Path, host: str) -> bool:
    """Whether a profile in `folder`, which need not exist, has that name."""
    names = set()
    for path in profile_paths(folder):
        names.add(path.stem)
        with contextlib.suppress(InputError):  # another host's profile is no obstacle
            names.add(read_profile(path).profile.name)
    return host in names


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
