"""What mends the way to a host: the one command where there is one, else in words what is needed."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
from dataclasses import dataclass

from hosts.by_hand import by_hand, is_simple
from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import GatewatchError, InputError
from hosts.local.pasting import pasted
from hosts.profiles import HostProfile
from hosts.ssh_spec import SshSpec
from jobs.connect import is_local, ssh_spec
from jobs.named_host import is_nameless

_ASK_AGENT_S = 3.0
_OTHER_KEY = "name another one as ssh.identity_file of the profile"
_ADDRESS = "give its address as ssh.host of a profile, or as HostName in ~/.ssh/config"
RUNS = "the account has to be able to run a command without output of its own"
NO_PYTHON = "no python there"
"""How the reason begins for which a host is looked at without a helper, where only a Python is lacking."""
_LATE = re.compile(r": no answer to |: the helper did not start within |: no SFTP session within ")
_NO_COMMANDS = (": it runs no commands: ", " bytes came before the first frame", ": Session request failed")
_CLOSED = re.compile(r"connection refused(?: \(.*\))?\)?\Z", re.IGNORECASE)
_START = "sudo systemctl start ssh || sudo systemctl start sshd"  # as Debian calls it, and as others do
_ON_THE_WAY = re.compile(r": on the way there, (\S+): ")
_LOCKED = re.compile(r"passphrase of (/.+?)(?=; | was (?:asked for|not given)[ ,]|\Z)")
_SHUT = re.compile(r": cannot read the known_hosts file (.+): ")
_LOOKED_IN = re.compile(r"(?:its host key is unknown: |no known_hosts file )(.+?)(?: has no key for it|, so its host)")


@dataclass(frozen=True)
class Mend:
    """What mends something.

    Attributes:
        command: To be pasted; "" where there is none.
        needed: What it is for, or what is needed where no command does it.
    """

    command: str = ""
    needed: str = ""


async def mend_of_way(profile: HostProfile, way: Way | None, error: GatewatchError) -> Mend:
    """What mends the way to a host that could not be reached.

    Args:
        profile: The host's.
        way: How its connection stands, where it has one.
        error: What went wrong.
    """
    said = str(error)
    if is_local(profile):
        return Mend(needed="the command in `enter` of the profile has to run here") if profile.enter else Mend()
    spec = ssh_spec(profile)
    hop = _ON_THE_WAY.search(said)
    if hop is not None:
        stops = await _stops(spec)
        spec = next((stop for stop in stops if stop.host == hop[1]), SshSpec(hop[1]))
    if "host key is unknown" in said or "no known_hosts file" in said:
        return await asyncio.to_thread(_trusted, spec, said)
    key = _key_of(spec)
    # With ssh as the transport one process may be refused while another still tries
    refused = way in (Way.REFUSED, Way.CONNECTING) and "login refused" in said
    if key is not None and (refused or "cannot use the identity file" in said):
        if not await asyncio.to_thread(os.path.lexists, key):
            make = pasted(["ssh-keygen", "-t", "ed25519", "-f", key])
            return Mend(make, f"there is no {key}: make it, or {_OTHER_KEY}")
        if not refused:
            return Mend(needed=f"make {key} a private key that can be read here, or {_OTHER_KEY}")
    if refused:
        locked = dict.fromkeys(_LOCKED.findall(said))
        if key is not None and profile.ssh is not None and profile.ssh.transport == "openssh":
            locked.update({key: None} if await asyncio.to_thread(_is_locked, key) else {})
        if closed := [name for name in locked if not await _in_agent(name)]:
            return Mend(pasted(["ssh-add", *closed]), "hand the key to an agent, which keeps it open")
        if "Too many authentication failures" in said:
            only = "and say IdentitiesOnly yes in ~/.ssh/config, so that the agent offers no other"
            return Mend(needed=f"name the key of this host as ssh.identity_file of the profile, {only}")
        return Mend(by_hand("ssh-copy-id", spec))
    return _in_words(spec, way, error, hop is not None)


def _in_words(spec: SshSpec, way: Way | None, error: GatewatchError, before: bool) -> Mend:
    """The rest, which happens elsewhere, and mostly takes more than a command; `before`: at a host on the way."""
    said = str(error)
    if is_nameless(said):
        return Mend(needed=_ADDRESS)
    if _CLOSED.search(said):
        if before or spec.proxy_jump:
            return Mend(needed="start the SSH server there, or correct the port")
        return Mend(_START, "no SSH server listens there")
    if way is Way.KEY_CHANGED:
        return Mend(needed="if that is right, remove the old key from the file")
    if "host key cannot be trusted" in said:
        return Mend(needed="ask whoever runs the host which key is its own")
    if "no common way to encrypt" in said and not isinstance(error, InputError):
        return Mend(needed="its SSH server has to allow one of the usual ciphers and key exchanges")
    if shut := _SHUT.search(said):
        return _readable(shut[1])
    if isinstance(error, InputError):
        return Mend(needed="correct that in the profile, or in the ssh configuration")
    if "; and no SFTP: " in said and not said.startswith(NO_PYTHON):
        return Mend(needed=f"{RUNS}, or to use SFTP")
    if "; and no SFTP: " in said:
        return Mend(needed="install Python 3.10 or newer there (python: of the profile says where), or allow SFTP")
    if way in (Way.UP, Way.STALE):
        return Mend(needed=_of_one_that_lets_us_in(said))
    return Mend(needed=f"see whether {spec.host} is up, and can be reached from here at that port")


def _of_one_that_lets_us_in(said: str) -> str:
    if _LATE.search(said):
        return "it lets us in and does not answer in time: see how busy it is, or allow more by --timeout"
    if any(words in said for words in _NO_COMMANDS):
        return RUNS
    if ": no session could be opened: " in said or ": it takes no more sessions: " in said:
        return "MaxSessions in sshd_config there has to allow more sessions on a connection"
    if ": the helper did not start: " in said:
        return "it lets us in, and our helper has to be able to run there: see to what it says"
    return "it lets us in: check again; where it stays so, see how busy the host is"


def _trusted(spec: SshSpec, said: str) -> Mend:
    """What shows a key that is unknown, asks, and writes it into the file that we look in."""
    looked = _LOOKED_IN.search(said)
    file = spec.known_hosts
    if file is None and looked is not None:
        first = looked[1].split(", ")[0]
        # Of several between blanks ssh itself knows which is the first
        file = first if os.path.isfile(os.path.expanduser(first)) or is_simple(first) else None
    path = os.path.expanduser(file) if file is not None else None
    if path is not None and os.path.exists(path) and not os.path.isfile(path):
        return Mend(needed=f"{path} is no file: name one as ssh.known_hosts of the profile")
    if path is not None and os.path.exists(path) and not os.access(path, os.R_OK):
        return _readable(path)
    folder = os.path.dirname(path) if path is not None else ""
    if folder and not os.path.isdir(folder) and file != "~/.ssh/known_hosts":  # that one ssh makes itself
        return Mend(needed=f"make the folder {folder}, in which a key can then be kept, and check again")
    # A shared connection would show no key
    asking = ("StrictHostKeyChecking=ask", "ControlPath=none")
    return Mend(by_hand("ssh", spec, "true", options=asking, keys=path or ""))


def _readable(file: str) -> Mend:
    return Mend(needed=f"make {file} a file that can be read here, and check again")


def _key_of(spec: SshSpec) -> str | None:
    return os.path.expanduser(spec.identity_file) if spec.identity_file is not None else None


async def _stops(spec: SshSpec) -> tuple[SshSpec, ...]:
    """The hosts on the way, each with those before it as its ProxyJump: to a jump, ssh passes no `-o` on."""
    hops: tuple[SshSpec, ...] = ()
    with contextlib.suppress(InputError):
        hops = spec.hops(spec.proxy_jump)
    await asyncio.to_thread(importlib.import_module, "hosts.ssh_files")
    from hosts.ssh_files import find_way

    with contextlib.suppress(GatewatchError):  # what the configuration names
        hops = tuple(stop for stop, _ in (await find_way(spec, Connects()))[:-1])
    before = [_jump(hop) for hop in hops]
    return tuple(_behind(hop, ",".join(before[:number])) for number, hop in enumerate(hops))


def _behind(hop: SshSpec, jumps: str) -> SshSpec:
    return SshSpec(hop.host, hop.port, hop.user, hop.identity_file, hop.known_hosts, jumps)


def _jump(spec: SshSpec) -> str:
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    return f"{spec.user + '@' if spec.user else ''}{host}{f':{spec.port}' if spec.port else ''}"


def _is_locked(key: str) -> bool:
    """Whether a private key opens with a passphrase only."""
    import asyncssh

    try:
        asyncssh.read_private_key(key)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        return "passphrase" in str(error).lower()
    except OSError:
        return False
    return False


async def _in_agent(key: str) -> bool:
    """Whether an agent has it, so that to open it is not what was lacking."""
    await asyncio.to_thread(importlib.import_module, "asyncssh")
    import asyncssh

    try:
        half = await asyncio.to_thread(asyncssh.read_public_key, f"{key}.pub")
        async with asyncio.timeout(_ASK_AGENT_S), asyncssh.connect_agent() as agent:
            return any(held.public_data == half.public_data for held in await agent.get_keys())
    except (asyncssh.Error, asyncssh.KeyImportError, OSError, TimeoutError, ValueError):
        return False
