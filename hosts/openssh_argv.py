"""The argument vectors of `ssh`: what the person's configuration says counts, but for what we hold it to."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Hashable

from hosts.errors import InputError
from hosts.ssh_spec import SshSpec, remote_command

ASK_CONFIG = 10.0
"""Seconds that `ssh` may take to say what it would do."""

_ALWAYS = (
    "BatchMode=yes",
    "ConnectTimeout=20",
    "ServerAliveInterval=3",
    "ServerAliveCountMax=2",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "NoHostAuthenticationForLocalhost=no",
    "VerifyHostKeyDNS=no",
    "UpdateHostKeys=no",
    "GlobalKnownHostsFile=/etc/ssh/ssh_known_hosts",
)
# Since OpenSSH 8.5: what that prints counts as if it stood in the files, such as the very key that the host showed
_NO_COMMAND = "KnownHostsCommand=none"
# Below this, what the server sends as a banner stands among what went wrong
_QUIET = ("LogLevel=ERROR",)
_LOUD = ("LogLevel=DEBUG1",)
# A connection that is shared compares no key, neither its own nor that of a host before it
_ALONE = ("ControlPath=none",)
# Where a connection is to stay, ssh lets nothing be heard of what the one before it says; one that is up is used still
_HEARD = ("ControlMaster=no", "ControlPersist=no")


def ssh_argv(
    way: tuple[SshSpec, ...], command: str, subsystem: bool = False, loud: Hashable = None, heard: bool = False
) -> tuple[str, ...]:
    """The argument vector that runs a command line on the last of these hosts, through the others in their order.

    Args:
        way: The hosts.
        command: The command line, or a subsystem's name.
        subsystem: Whether it is the latter.
        loud: The one of the hosts of which ssh is to tell everything.
        heard: Whether what went wrong is to be told of each of them.

    Raises:
        InputError: A path cannot be passed on.
    """
    return (*ssh_words(way, loud, heard), "-T", *(["-s"] if subsystem else []), "--", way[-1].host, command)


def ssh_words(way: tuple[SshSpec, ...], loud: Hashable = None, heard: bool = False) -> list[str]:
    """The words before what is to be done on the last of these hosts; otherwise as `ssh_argv`."""
    *hops, spec = way
    words = ["ssh"]
    asked = (*(_LOUD if spec == loud else _QUIET), *(_ALONE if loud in way else ()), *(_HEARD if heard else ()))
    # The first value that ssh finds for a setting counts, so none of these can be overruled
    for setting in (*_ALWAYS, *where_known(), *asked):
        words += ["-o", setting]
    words += ["-o", f"StrictHostKeyChecking={'yes' if spec.host_keys == 'strict' else 'accept-new'}"]
    if spec.known_hosts is not None:  # else those that the configuration names, at which `find_way` has looked
        words += ["-o", f"UserKnownHostsFile={_path(spec.known_hosts)}"]
    if hops:
        text = remote_command([*(word.replace("%", "%%") for word in ssh_words(tuple(hops), loud, heard)), "-W"])
        words += ["-o", f"ProxyCommand={text} '[%h]:%p' -- {hops[-1].host}"]
    elif spec.proxy_jump is not None:
        words += ["-o", "ProxyJump=none"]
    if spec.config_file is None:
        words += ["-F", "none"]
    elif spec.config_file != SshSpec.config_file:
        words += ["-F", os.path.expanduser(spec.config_file)]
    chosen = {"-p": spec.port, "-l": spec.user}
    words += [word for flag, value in chosen.items() if value is not None for word in (flag, str(value))]
    if spec.identity_file is not None:
        path = os.path.expanduser(spec.identity_file)
        # What `-i` is given, ssh looks for as it stands, and then expands
        words += ["-o", f"IdentityFile={_path(path)}"] if "%" in path else ["-i", path]
    return words


@functools.cache
def where_known() -> tuple[str, ...]:
    """Settings that an older ssh ends at, where the one here knows them.

    It would pass over what it is told to by IgnoreUnknown, but then no longer over what the person's configuration
    says so of.
    """
    try:
        asked = subprocess.run(
            ["ssh", "-F", "none", "-o", _NO_COMMAND, "-G", "--", "localhost"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASK_CONFIG,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return (_NO_COMMAND,)
    return () if asked.returncode != 0 and b"bad configuration option" in asked.stderr.lower() else (_NO_COMMAND,)


def _path(name: str) -> str:
    """A path as the value of a setting, which ssh splits at blanks and expands."""
    path = os.path.expanduser(name)
    if '"' in path or not path.isprintable():
        raise InputError(f"{name!r} cannot be given to ssh")
    return '"' + path.replace("%", "%%") + '"'
