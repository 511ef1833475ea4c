"""Does a host have what watching and working on it needs? One look at it, judged line by line; nothing is changed."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass

from gates.calibration.precheck import Item, failed, passed
from hosts.connection import Connection
from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.host import Accelerators, DiskSeen, HostReader, Load, Observation, Wants
from hosts.profiles import HostProfile
from jobs.host_mends import NO_PYTHON, RUNS, mend_of_way
from monitors.host import skew_of

GIB = 1 << 30
LITTLE = 5 * GIB
"""Bytes free below which a log or a cache soon has no room."""
APART_S = 2.0
"""Seconds between two clocks from which on ages and merged logs mislead (SAFETY C1)."""
_PLACES = ("~", "/tmp")  # noqa: S108 - looked at, and never written
_PYTHON = HostProfile().python
_TOO_OLD = "or newer there"  # what is there was found, and is another version
_NEWER = "install Python 3.10 or newer there, or name one as python: of the profile"
_SMI = "nvidia-smi there has to list every GPU; see to the driver, or to the GPU, until it does"
_LOST = "nvidia-smi there has to list every GPU; why it does not, this tells there: sudo dmesg | grep NVRM"
_INFOROM = "every GPU is listed and can be used; that infoROM has to be flashed there, or the card changed"
_INFOROM_SAID = re.compile(r"nvidia-smi(?:[:;] WARNING: infoROM is corrupted at gpu [0-9A-Fa-f:.]{1,32})+")
_AGAIN = "check again; where it stays so, see how busy the host is"
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
        return HostCheck(reader.name, (await _unreachable(profile, known, error),), error.code)
    room = [
        _repository(disk) if disk.path == repo and disk.error == "not there" else _place(disk) for disk in seen.disks
    ]
    items = [
        passed("reachable", f"a look takes {again.rtt * 1000:.0f} ms"),
        python,
        _forbidden(seen) or _accelerators(seen.accelerators, seen.errors.get("accelerators", ""), profile),
        _machine(seen.load, seen.errors.get("load", "")),
        _clock(again),
        *room,
    ]
    return HostCheck(reader.name, tuple(items), 0 if all(item.ok for item in items) else 1)


async def _unreachable(profile: HostProfile | None, connection: Connection | None, error: GatewatchError) -> Item:
    said, _, command = str(error).partition(_REMOVE)
    needed = ""
    if not command and profile is not None:
        mend = await mend_of_way(profile, connection.way if connection is not None else None, error)
        command, needed = mend.command, mend.needed
    return failed("reachable", f"{said}; {needed}" if needed else said, command or None)


async def _python(reader: HostReader, profile: HostProfile | None, seen: Observation, deadline: float) -> Item:
    missing = seen.errors.get("python")
    if missing is None:
        answer = await reader.query("ping", None, deadline)
        version = answer.get("python") if isinstance(answer, dict) else None
        name = profile.python if profile is not None else "python3"
        return passed("python", f"{name} is {version}")
    detail = f"{missing}; logs and GPUs can be watched, nothing can be run"
    if _TOO_OLD in missing:
        return failed("python", f"{detail}; {_NEWER}")
    if not missing.startswith(NO_PYTHON):
        return failed("python", f"{missing}; files can be read, nothing can be run; {RUNS}")
    if profile is None or profile.python == _PYTHON:
        mend = await _installer(reader)
        return failed("python", detail if mend else f"{detail}; {_NEWER}", mend)
    for path in _INSTALLED:  # another name is what is needed then, and nothing new
        with contextlib.suppress(InputError, UnreachableError):
            await reader.read(path, 0, 1)
            return failed("python", f"{detail}; {path} is there: name it as python: of the profile")
    return failed("python", f"{detail}; {_NEWER}")


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


def _forbidden(seen: Observation) -> Item | None:
    """The GPUs of an account that lets nvidia-smi run no more than our helper; None where that is not so."""
    missing, told = seen.errors.get("python", NO_PYTHON), seen.accelerators
    if missing.startswith(NO_PYTHON) or told is None or told.devices or told.source == "none":
        return None
    return failed("GPUs", f"{told.detail}; {RUNS}") if told.detail.removeprefix("nvidia-smi: ") in missing else None


def _accelerators(told: Accelerators | None, error: str, profile: HostProfile | None) -> Item:
    if told is None:
        return failed("GPUs", f"{error or 'not told'}; {_AGAIN}")
    if told.devices:
        models: dict[str, int] = {}
        for device in told.devices:
            models[device.name or "unknown"] = models.get(device.name or "unknown", 0) + 1
        names = ", ".join(f"{count} × {name}" for name, count in models.items())
        driver = f", driver {told.driver}" if told.driver else ""
        detail = f"{names}, by {told.source}{driver}"
        if not told.detail:
            return passed("GPUs", detail)
        return failed("GPUs", f"{detail}; {told.detail}; {_INFOROM if _INFOROM_SAID.fullmatch(told.detail) else _SMI}")
    if told.source != "none":
        return failed("GPUs", f"{told.detail or 'unknown'}; {_SMI}")
    if told.detail:  # a driver answers, and has no card left
        return failed("GPUs", f"none: {told.detail}; {_LOST}")
    if profile is not None and _names_gpus(profile):
        return failed("GPUs", f"none, and no NVIDIA driver, but the profile names GPUs; {_SMI}")
    return passed("GPUs", "none")


def _names_gpus(profile: HostProfile) -> bool:
    """Whether a profile says of its host that there are some."""
    named = profile.gpu_include or profile.gpu_exclude or profile.gpu_group_cpusets
    return bool(named) or profile.reference.gpu_model is not None


def _machine(load: Load | None, error: str) -> Item:
    if load is None:
        return failed("machine", f"{error or 'not told'}; {_AGAIN}")
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
    return failed("machine", f"{detail}; {error}; {_AGAIN}") if error else passed("machine", detail)


def _clock(seen: Observation) -> Item:
    skew = skew_of(seen)
    apart, unsure = skew.seconds, skew.uncertainty
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
        needed = "make the folder" if disk.error == "not there" else "see to its file system"
        return failed(name, f"{disk.error}; {needed} there")
    kind = f", {disk.file_system}" if disk.file_system else ", a file system of unknown type"
    if disk.network:
        kind += " from another machine: what changes there is looked for, not told"
    if disk.free is None or disk.total is None:
        return failed(name, f"unknown{kind}; look by hand, with df")
    detail = f"{disk.free / GIB:.0f} of {disk.total / GIB:.0f} GiB free{kind}"
    if disk.free < LITTLE:
        return failed(name, f"{detail}; what may be removed there, its owners know")
    return passed(name, detail)
