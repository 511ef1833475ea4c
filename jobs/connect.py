"""From a host profile to a host that can be asked: this machine, a hop from here, or SSH.

A reader cannot act, and an actor is made only here and never in read-only mode.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import ParamSpec, Required, TypedDict, TypeVar

from hosts.bare import BareReader
from hosts.bare_pipe import EitherActor, EitherReader
from hosts.by_hand import by_hand
from hosts.child import open_subprocess
from hosts.connection import Connection
from hosts.connects import Connects
from hosts.errors import InputError, UnreachableError
from hosts.here import LocalActor, LocalReader
from hosts.host import HostActor, HostReader
from hosts.local.verbs import Verb
from hosts.openssh import OpenSshHost
from hosts.patience import Questions
from hosts.pipe import Opener, PipeActor, PipeReader
from hosts.profiles import HostProfile, Ssh
from hosts.session import BytePipe
from hosts.ssh import SshHost, SshSpec
from hosts.standing import MendableError
from jobs.bundle import build_image
from jobs.named_host import TypedHost, is_unknown, likely
from jobs.runner.verbs import verbs_with

P = ParamSpec("P")
T = TypeVar("T")


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


def refuse_stranger(profile: HostProfile) -> None:
    """Refuse a profile that names another machine and no way there: what is asked of it would be told of this one.

    A run takes such a profile by its flag for the one of this machine, as its spec has it; who looks at hosts does not.

    Raises:
        InputError: It does.
    """
    here = socket.gethostname()
    says_where = profile.ssh is not None or profile.launcher is not None or bool(profile.enter)
    if profile.hostname is None or says_where or profile.is_here(here):
        return
    raise InputError(
        f"{profile.name}: its hostname is {profile.hostname} and this machine is {here}; its profile needs "
        "launcher: ssh to be reached there, or launcher: local if this is it"
    )


def open_reader(profile: HostProfile | None, connects: Connects | None = None) -> HostReader:
    """A host that can be looked at, and nothing more.

    Args:
        profile: Which host; None for this machine.
        connects: What all connections of this process share; None where this is the only one.
    """
    if profile is None or (is_local(profile) and not profile.enter):
        return LocalReader(_name(profile), _verbs())
    way = _way(profile, connects)
    bare = _bare(profile, way)
    if bare is None:
        return PipeReader(profile.name, image=build_image(), **way.options)
    return EitherReader(profile.name, bare=bare, image=build_image(), **way.options)


def open_actor(profile: HostProfile | None, read_only: bool, connects: Connects | None = None) -> HostActor:
    """A host that can be made to do things.

    Args:
        profile: Which host; None for this machine.
        read_only: Whether nothing may be done.
        connects: What all connections of this process share; None where this is the only one.

    Raises:
        InputError: This is read-only mode.
    """
    if read_only:
        raise InputError("read-only: this would start or change something; leave --read-only out")
    if profile is None or (is_local(profile) and not profile.enter):
        return LocalActor(_name(profile), _verbs())
    way = _way(profile, connects)
    bare = _bare(profile, way)
    if bare is None:
        return PipeActor(profile.name, image=build_image(), **way.options)
    return EitherActor(profile.name, bare=bare, image=build_image(), **way.options)


def open_commander(profile: HostProfile | None, read_only: bool, connects: Connects | None = None) -> PipeActor:
    """A host that commands can be run on, this machine too; otherwise as `open_actor`."""
    host = open_actor(profile, read_only, connects)
    if isinstance(host, PipeActor):
        return host
    return PipeActor(host.name, open_subprocess, build_image(), python=sys.executable)


def _name(profile: HostProfile | None) -> str:
    return profile.name if profile is not None else "local"


def _verbs() -> Mapping[str, Verb]:
    return verbs_with(lambda: build_image().data)


class _Options(TypedDict, total=False):
    opener: Required[Opener]
    python: str
    enter: tuple[str, ...]
    on_close: Callable[[], Awaitable[None]]
    connection: Callable[[], Connection]
    retry: Callable[[], Awaitable[None]]
    questions: Questions


@dataclass(frozen=True)
class _Way:
    """How the helper is started on a host, as PipeReader wants it; and its SSH server's subsystems."""

    options: _Options
    subsystem: Callable[[str], Awaitable[BytePipe]] | None = None


def _bare(profile: HostProfile, way: _Way) -> BareReader | None:
    """How it is looked at without a Python; in a container one would see the files around it, so not there."""
    if way.subsystem is None or profile.enter:
        return None
    spec = ssh_spec(profile)
    return BareReader(
        profile.name, way.subsystem, way.options["opener"], by_hand=lambda argv: by_hand("ssh", spec, *argv)
    )


def _way(profile: HostProfile, connects: Connects | None) -> _Way:
    if is_local(profile):
        return _Way({"opener": open_subprocess, "python": profile.python, "enter": profile.enter})
    spec = ssh_spec(profile)
    openssh = profile.ssh is not None and profile.ssh.transport == "openssh"
    connects = connects or Connects()

    def make() -> tuple[OpenSshHost | SshHost, str]:
        host = OpenSshHost(spec, connects=connects) if openssh else SshHost(spec, connects=connects)
        return host, spec.title

    # One connection serves whoever looks and whoever acts, and every profile that has the same way there
    (host, title), give_back = connects.share((openssh, spec), make)
    opener = _titled(host.open, title, spec.title)

    async def close() -> None:
        if give_back():
            await host.close()

    options: _Options = {
        "opener": _guessing(opener, profile) if isinstance(profile, TypedHost) else opener,
        "python": profile.python,
        "enter": profile.enter,
        "on_close": close,
        "connection": lambda: host.connection,
        "retry": _titled(host.retry_now, title, spec.title),
        "questions": connects.questions,
    }
    return _Way(options, _titled(host.open_subsystem, title, spec.title))


def _titled(ask: Callable[P, Awaitable[T]], title: str, own: str) -> Callable[P, Awaitable[T]]:
    """The same, and its errors call the host what this profile calls it, not by the title of whoever came first."""
    if title == own:
        return ask

    async def ask_it(*args: P.args, **options: P.kwargs) -> T:
        try:
            return await ask(*args, **options)
        except (InputError, UnreachableError) as error:
            said = str(error)
            if not said.startswith(f"{title}: "):
                raise
            told = f"{own}: {said.removeprefix(f'{title}: ')}"
            raise error.behind(told) if isinstance(error, MendableError) else type(error)(told) from None

    return ask_it


def _guessing(opener: Opener, typed: TypedHost) -> Opener:
    """The same, and where nobody knows the host that was typed it asks for one that is called much the same."""
    near: str | None = None

    async def open_it(argv: tuple[str, ...]) -> BytePipe:
        nonlocal near
        try:
            return await opener(argv)
        except (InputError, UnreachableError) as error:
            if type(error) not in (InputError, UnreachableError) or not is_unknown(str(error)):
                raise
            if near is None:  # it reads files, and whoever watches a host tries it again and again
                near = await asyncio.to_thread(likely, typed)
            if not near:
                raise
            raise type(error)(f"{error}; did you mean {near}?") from None

    return open_it


def ssh_spec(profile: HostProfile) -> SshSpec:
    """What a profile says of the way to its host.

    Raises:
        InputError: Nothing says how to get there.
    """
    host = profile.ssh_host
    if host is None:
        raise InputError(f"host {profile.name}: nothing says how to get there; set ssh.host")
    ssh = profile.ssh or Ssh()
    return SshSpec(
        host=host,
        port=ssh.port,
        user=ssh.user,
        identity_file=ssh.identity_file,
        known_hosts=ssh.known_hosts or SshSpec.known_hosts,
        proxy_jump=ssh.proxy_jump,
        host_keys=ssh.host_keys,
        name=profile.name,
    )
