"""From a host profile to a host that can be asked: this machine, a hop from here, or SSH.

A reader cannot act, and an actor is made only here and never in read-only mode.
"""

from __future__ import annotations

import socket

from hosts.errors import InputError
from hosts.here import LocalActor, LocalReader
from hosts.host import HostActor, HostReader
from hosts.profiles import HostProfile
from jobs.bundle import build_image
from jobs.runner.verbs import verbs_with


def is_local(profile: HostProfile | None) -> bool:
    """True when jobs of this profile start from this machine (a hop into a container included).

    A profile that names this very machine is local although it says how others get here, unless it names its
    launcher.

    Raises:
        InputError: Its launcher does not exist yet.
    """
    if profile is None:
        return True
    if profile.way() == "local":
        return True
    return profile.launcher is None and profile.is_here(socket.gethostname())


def open_reader(profile: HostProfile | None) -> HostReader:
    """A host that can be looked at, and nothing more."""
    return _open(profile, actor=False)


def open_actor(profile: HostProfile | None, read_only: bool) -> HostActor:
    """A host that can be made to do things.

    Raises:
        InputError: This is read-only mode.
    """
    if read_only:
        raise InputError("read-only: this would start or change something; leave --read-only out")
    return _open(profile, actor=True)


def _open(profile: HostProfile | None, actor: bool) -> HostActor:
    name = profile.name if profile is not None else "local"
    local = is_local(profile)
    if profile is None or (local and not profile.enter):
        verbs = verbs_with(lambda: build_image().data)
        # A LocalReader lacks `call`; callers that asked for a reader see it through HostReader, which lacks it too.
        return LocalActor(name, verbs) if actor else LocalReader(name, verbs)  # type: ignore[return-value]
    raise NotImplementedError
