"""From a host profile to a host that can be asked: this machine, a hop from here, or SSH.

A reader cannot act, and an actor is made only here and never in read-only mode.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping

from hosts.child import open_subprocess
from hosts.errors import InputError
from hosts.here import LocalActor, LocalReader
from hosts.host import HostActor, HostReader
from hosts.local.verbs import Verb
from hosts.pipe import Opener, PipeActor, PipeReader
from hosts.profiles import HostProfile, Ssh
from hosts.ssh import SshHost, SshSpec
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
    if profile is None or (is_local(profile) and not profile.enter):
        return LocalReader(_name(profile), _verbs())
    opener, close = _way(profile)
    return PipeReader(profile.name, opener, build_image(), python=profile.python, enter=profile.enter, on_close=close)


def open_actor(profile: HostProfile | None, read_only: bool) -> HostActor:
    """A host that can be made to do things.

    Raises:
        InputError: This is read-only mode.
    """
    if read_only:
        raise InputError("read-only: this would start or change something; leave --read-only out")
    if profile is None or (is_local(profile) and not profile.enter):
        return LocalActor(_name(profile), _verbs())
    opener, close = _way(profile)
    return PipeActor(profile.name, opener, build_image(), python=profile.python, enter=profile.enter, on_close=close)


def _name(profile: HostProfile | None) -> str:
    return profile.name if profile is not None else "local"


def _verbs() -> Mapping[str, Verb]:
    return verbs_with(lambda: build_image().data)


def _way(profile: HostProfile) -> tuple[Opener, Callable[[], Awaitable[None]] | None]:
    if is_local(profile):
        return open_subprocess, None
    host = profile.ssh_host
    if host is None:
        raise InputError(f"host {profile.name}: nothing says how to get there; set ssh.host")
    ssh = profile.ssh or Ssh()
    spec = SshSpec(
        host=host,
        port=ssh.port,
        user=ssh.user,
        identity_file=ssh.identity_file,
        known_hosts=ssh.known_hosts or SshSpec.known_hosts,
        proxy_jump=ssh.proxy_jump,
    )
    connection = SshHost(spec)
    return connection.open, connection.close
