"""Does a host have what watching and working on it needs? One look at it, judged line by line; nothing is changed."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from dataclasses import dataclass

from gates.calibration.precheck import Item, failed, passed
from hosts.connection import Connection, Way
from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.host import Accelerators, DiskSeen, HostReader, Load, Observation, Wants
from hosts.profiles import HostProfile
from jobs.connect import is_local, ssh_spec

GIB = 1 << 30
LITTLE = 5 * GIB
"""Bytes free below which a log or a cache soon has no room."""
APART_S = 2.0
"""Seconds between two clocks from which on ages and merged logs mislead (SAFETY C1)."""
_UNSURE_S = 1.0  # a clock that is read without a helper is known to about this
_PLACES = ("~", "/tmp")  # noqa: S108 - looked at, and never written
_PYTHON = HostProfile().python
_TOO_OLD = "or newer there"  # what is there was found, and is another version
_RELEASE = ("/etc/os-release", 4096)
_INSTALLERS = {
    "debian": "apt-get install -y python3",
    "ubuntu": "apt-get install -y python3",
    "fedora": "dnf install -y python3",
    "rhel": "dnf install -y python3",
    "centos": "dnf install -y python3",
    "suse": "zypper --non-interactive install python3",
    "arch": "pacman -S --noconfirm python",
    "alpine": "apk add python3",
}
_INSTALLED = ("/usr/bin/python3", "/usr/local/bin/python3")
_OTHER_KEY = "name another one as ssh.identity_file of the profile"
_ADDRESS = "give its address as ssh.host of a profile, or as HostName in ~/.ssh/config"
_NAMELESS = ("name or service not known", "could not resolve", "name resolution", "no address associated")
_CLOSED = re.compile(r"connection refused(?: \(.*\))?\Z", re.IGNORECASE)
_START = "sudo systemctl start ssh || sudo systemctl start sshd"  # as Debian calls it, and as others do
_REMOVE = "; if that is right, remove the old one: "


@dataclass(frozen=True)
class HostCheck:
    """What was found of one host; where it cannot be reached, that is all of it.

    Attributes:
        code: The exit code that goes with it.
    """

    name: str
    items: tuple[Item, ...]
    code: int

    @property
    def ok(self) -> bool:
        """All ✓."""
        return all(item.ok for item in self.items)


async def check_host(reader: HostReader, profile: HostProfile | None, deadline: float) -> HostCheck:
    """Look at a host once.

    Args:
        reader: The way there.
        profile: What is known of it; None for this machine without a profile.
        deadline: Seconds that the look may take.
    """
    repo = profile.repo_root if profile is not None else None
    places = tuple(dict.fromkeys((*_PLACES, *((repo,) if repo else ()))))
    try:
        seen = await reader.observe(Wants(accelerators=True, load=True, disks=places), None, deadline)
        python = await _python(reader, profile, seen, deadline)
        again = await reader.observe(Wants(), None, deadline)  # the first one may have logged in, and started a helper
    except GatewatchError as error:
        connection = getattr(reader, "connection", None)
        known = connection if isinstance(connection, Connection) else None
        return HostCheck(reader.name, (_unreachable(profile, known, error),), error.code)
    room = [
        _repository(disk) if disk.path == repo and disk.error == "not there" else _place(disk) for disk in seen.disks
    ]
    items = [
        passed("reachable", f"a look takes {again.rtt * 1000:.0f} ms"),
        python,
        _accelerators(seen.accelerators, seen.errors.get("accelerators", "")),
        _machine(seen.load, seen.errors.get("load", "")),
        _clock(again),
        *room,
    ]
    return HostCheck(reader.name, tuple(items), 0 if all(item.ok for item in items) else 1)


def _unreachable(profile: HostProfile | None, connection: Connection | None, error: GatewatchError) -> Item:
    said, _, mend = str(error).partition(_REMOVE)
    needed = ""
    if not mend and profile is not None and not is_local(profile):
        mend, needed = _mended(profile, connection.way if connection is not None else None, said)
    return failed("reachable", f"{said}; {needed}" if needed else said, mend or None)


def _mended(profile: HostProfile, way: Way | None, said: str) -> tuple[str, str]:
    """The command that mends it, and where there is none or it may be the wrong one, what is needed."""
    spec = ssh_spec(profile)
    key = os.path.expanduser(spec.identity_file) if spec.identity_file is not None else None
    itself = "on the way there" not in said  # and not a host before it
    refused = way is Way.REFUSED and "login refused" in said and itself
    if "host key is unknown" in said or "no known_hosts file" in said:
        return _command("ssh", profile, "true"), ""  # which shows the key, and asks
    if key is not None and (refused or "cannot use the identity file" in said):
        if not os.path.lexists(key):
            return shlex.join(
                ["ssh-keygen", "-t", "ed25519", "-f", key]
            ), f"there is no {key}: make it, or {_OTHER_KEY}"
        if not refused:
            return "", f"make {key} a private key that can be read here, or {_OTHER_KEY}"
    if refused:
        return _command("ssh-copy-id", profile), ""
    if any(words in said.lower() for words in _NAMELESS):
        return "", _ADDRESS
    if _CLOSED.search(said) and itself and not spec.proxy_jump:
        return _START, "no SSH server listens there"
    return "", ""


def _command(program: str, profile: HostProfile, *rest: str) -> str:
    """A command of OpenSSH's for this host, to be pasted."""
    spec = ssh_spec(profile)
    words = [program]
    if spec.port is not None:
        words += ["-p", str(spec.port)]
    if spec.identity_file is not None:
        words += ["-i", os.path.expanduser(spec.identity_file)]
    if spec.known_hosts is not None:
        words += ["-o", f"UserKnownHostsFile={os.path.expanduser(spec.known_hosts)}"]
    if spec.proxy_jump:
        words += ["-o", f"ProxyJump={spec.proxy_jump}"]
    return shlex.join([*words, f"{spec.user}@{spec.host}" if spec.user else spec.host, *rest])


async def _python(reader: HostReader, profile: HostProfile | None, seen: Observation, deadline: float) -> Item:
    missing = seen.errors.get("python")
    if missing is None:
        answer = await reader.query("ping", None, deadline)
        version = answer.get("python") if isinstance(answer, dict) else None
        name = profile.python if profile is not None else "python3"
        return passed("python", f"{name} is {version}")
    detail = f"{missing}; logs and GPUs can be watched, nothing can be run"
    if _TOO_OLD in missing:
        return failed("python", detail)
    if profile is None or profile.python == _PYTHON:
        return failed("python", detail, await _installer(reader))
    for path in _INSTALLED:  # another name is what is needed then, and nothing new
        with contextlib.suppress(InputError, UnreachableError):
            await reader.read(path, 0, 1)
            return failed("python", f"{detail}; {path} is there")
    return failed("python", detail)


async def _installer(reader: HostReader) -> str | None:
    """How the system there installs a Python; None where we do not know it."""
    try:
        text = (await reader.read(_RELEASE[0], 0, _RELEASE[1])).data.decode("utf-8", "replace")
    except (InputError, UnreachableError):
        return None
    told: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        told[key] = value.strip("\"' ")
    for name in (told.get("ID", ""), *told.get("ID_LIKE", "").split()):
        if name in _INSTALLERS:
            return f"sudo {_INSTALLERS[name]}"
    return None


def _accelerators(told: Accelerators | None, error: str) -> Item:
    if told is None:
        return failed("GPUs", error or "not told")
    if told.devices:
        models: dict[str, int] = {}
        for device in told.devices:
            models[device.name or "unknown"] = models.get(device.name or "unknown", 0) + 1
        names = ", ".join(f"{count} × {name}" for name, count in models.items())
        driver = f", driver {told.driver}" if told.driver else ""
        detail = f"{names}, by {told.source}{driver}"
        return failed("GPUs", f"{detail}; {told.detail}") if told.detail else passed("GPUs", detail)
    return passed("GPUs", "none") if told.source == "none" else failed("GPUs", told.detail or "unknown")


def _machine(load: Load | None, error: str) -> Item:
    if load is None:
        return failed("machine", error or "not told")
    parts = [
        load.hostname or "a name that is not told",
        f"Linux {load.kernel}" if load.kernel else "",
        f"{load.cores} cores" if load.cores else "",
        f"{load.memory_available / 1024:.0f} of {load.memory_total / 1024:.0f} GiB memory free"
        if load.memory_available is not None and load.memory_total is not None
        else "",
        f"load {load.averages[0]:.1f}" if load.averages is not None else "",
    ]
    detail = ", ".join(part for part in parts if part)
    return failed("machine", f"{detail}; {error}") if error else passed("machine", detail)


def _clock(seen: Observation) -> Item:
    unsure = seen.rtt / 2 + (_UNSURE_S if "python" in seen.errors else 0.0)
    apart = seen.at - (seen.received - seen.rtt / 2)
    detail = f"{abs(apart):.1f} s {'ahead of' if apart > 0 else 'behind'} ours, to {max(0.1, unsure):.1f} s"
    if abs(apart) - unsure > APART_S:
        return failed("clock", detail, "sudo timedatectl set-ntp true")
    return passed("clock", detail if abs(apart) > unsure + 0.1 else f"as ours, to {max(0.1, unsure):.1f} s")


def _repository(disk: DiskSeen) -> Item:
    """The profile's repository, which is not there."""
    needed = "clone the project there, or correct repo_root of the profile"
    return failed(f"room in {disk.path}", f"{disk.error}; {needed}")


def _place(disk: DiskSeen) -> Item:
    name = f"room in {disk.path}"
    if disk.error is not None:
        return failed(name, disk.error)
    kind = f", {disk.file_system}" if disk.file_system else ", a file system of unknown type"
    if disk.network:
        kind += " from another machine: what changes there is looked for, not told"
    if disk.free is None or disk.total is None:
        return failed(name, f"unknown{kind}")
    detail = f"{disk.free / GIB:.0f} of {disk.total / GIB:.0f} GiB free{kind}"
    if disk.free < LITTLE:
        return failed(name, f"{detail}; what may be removed there, its owners know")
    return passed(name, detail)
