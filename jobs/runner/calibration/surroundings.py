"""What a machine has to offer beside GPUs: compilers, disk, capabilities, and what it does to jobs at logout."""

from __future__ import annotations

import os
import pwd
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from gates.calibration.precheck import Item, failed, passed
from hosts.local.pasting import quoted
from jobs.runner.calibration.mends import make_folder, own_folder, system_package, user

GIB = 1 << 30
FEW_INODES = 10_000
_TEXT_LIMIT = 1 << 16
_LOCAL = Path("/usr/local")


def look_at_compilers(
    environment: Mapping[str, str],
    venv_python: str | None,
    cuda: str | None,
    *,
    shell: bool = True,
    config: str = "config.yaml",
) -> list[Item]:
    """What compiles, nvcc and ninja, as a build within the tests would find them.

    Args:
        environment: The job's.
        cuda: The driver's CUDA version, for the package that has nvcc.
        shell: Jobs get the environment of the shell that a person starts them from.
        config: Where their variables can be set otherwise.
    """
    return [_nvcc(environment, cuda, shell, config), _ninja(environment, venv_python, shell, config)]


def look_at_disk(folder: Path, need: int, label: str) -> Item:
    """Room for `need` bytes on the file system of `folder`, or of the nearest folder above it that exists."""
    place = next((path for path in (folder, *folder.parents) if path.is_dir()), Path("/"))
    try:
        room = os.statvfs(place)
    except OSError as error:
        return failed(label, f"{place}: {error.strerror}")
    free = room.f_bavail * room.f_frsize
    said = f"{free / GIB:.1f} GiB free at {place}"
    if free < need:
        return failed(label, f"{said}, {need / GIB:.0f} GiB needed: what may be removed there, its owners know")
    if room.f_files and room.f_favail < FEW_INODES:
        return failed(label, f"{said}, but room for {room.f_favail} files only")
    return passed(label, said)


def look_at_folder(label: str, path: str, must_be_set: bool = True) -> Item:
    """A folder that jobs write in."""
    if not path:
        return failed(label, "not set") if must_be_set else passed(label, "not set")
    if not os.path.lexists(path):
        return failed(label, f"{path} is not there", make_folder(path))
    if not os.path.isdir(path):
        return failed(label, f"{path} is no folder")
    if not os.access(path, os.W_OK | os.X_OK):
        return failed(label, f"{path} cannot be written by {user()}", own_folder(path))
    return passed(label, path)


def look_at_logout(environment: Mapping[str, str], etc: Path = Path("/etc"), run: Path = Path("/run")) -> Item | None:
    """Whether this machine ends a job when the person who started it logs out (DESIGN, rule 3); None: nothing does it.

    Args:
        etc, run: Where the system keeps these settings.
    """
    if os.getuid() == 0:
        return None
    label = "jobs outlive a logout"
    slurm = any("pam_slurm_adopt.so" in line for line in _pam_lines(etc / "pam.d"))
    if slurm and not environment.get("SLURM_JOB_ID"):
        why = "pam_slurm_adopt puts what ssh starts into a Slurm job and ends it with that job: start it within salloc"
        return failed(label, why)
    if (run / "systemd" / "system").is_dir() and _kills_users(etc / "systemd"):
        if (Path("/var/lib/systemd/linger") / user()).exists():
            return passed(label, f"KillUserProcesses=yes, and {user()} lingers")
        why = f"KillUserProcesses=yes in {etc}/systemd/logind.conf ends all of {user()}'s processes at logout"
        return failed(label, why, f"loginctl enable-linger {quoted(user())}")
    return passed(label, "nothing ends them") if slurm or (etc / "systemd").is_dir() else None


def effective_capabilities() -> int | None:
    """CapEff of this process, which its children have too; None where the kernel does not tell."""
    found = re.search(r"^CapEff:\s*([0-9a-fA-F]{1,16})$", _text(Path("/proc/self/status")), re.MULTILINE)
    return None if found is None else int(found[1], 16)


def describe(pid: int) -> str:
    """Owner and command of a process, as far as they are known."""
    owner = re.search(r"^Uid:\s*(\d+)", _text(Path(f"/proc/{pid}/status")), re.MULTILINE)
    command = _text(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").strip()[:120]
    return " ".join(part for part in (_name(int(owner[1])) if owner else "", command) if part)


def _nvcc(environment: Mapping[str, str], cuda: str | None, shell: bool, config: str) -> Item:
    named = [environment[key] for key in ("CUDA_HOME", "CUDA_PATH") if environment.get(key)]
    for home in named:
        if os.access(f"{home}/bin/nvcc", os.X_OK):
            return passed("nvcc", f"{home}/bin/nvcc")
    homes = sorted(str(path.parent.parent) for path in _LOCAL.glob("cuda*/bin/nvcc"))
    if named:
        other = f"; {homes[0]} has" if homes else ""
        return failed("nvcc", f"CUDA_HOME is {named[0]}, which has no bin/nvcc{other}: it may be set in {config}")
    found = shutil.which("nvcc", path=environment.get("PATH", os.defpath))
    if found:
        return passed("nvcc", found)
    if homes:
        return _unset("nvcc", f"not on PATH; there is {homes[0]}/bin/nvcc", "CUDA_HOME", homes[0], shell, config)
    version = "-".join((cuda or "").split(".")[:2])
    why = "not on PATH, and CUDA_HOME is not set"
    return failed("nvcc", why, system_package(f"cuda-nvcc-{version}") if version else None)


def _ninja(environment: Mapping[str, str], venv_python: str | None, shell: bool, config: str) -> Item:
    path = environment.get("PATH", os.defpath)
    found = shutil.which("ninja", path=path)
    if found:
        return passed("ninja", found)
    folder = os.path.dirname(venv_python) if venv_python else ""
    if folder and os.access(os.path.join(folder, "ninja"), os.X_OK):
        return _unset("ninja", f"in {folder}, which is not on PATH", "PATH", f"{folder}:{path}", shell, config)
    return failed("ninja", "not on PATH", system_package("ninja-build"))


def _unset(label: str, why: str, name: str, value: str, shell: bool, config: str) -> Item:
    """A variable that jobs should have: set in the shell that they are started from, where that reaches them."""
    if shell:
        return failed(label, why, f"export {name}={quoted(value)}")
    return failed(label, f"{why}: set {name} to {value} in auto_env of {config}")


def _kills_users(folder: Path) -> bool:
    """The last word of logind's settings; a user who is excluded is not asked after."""
    kills = False
    dropped = sorted((folder / "logind.conf.d").glob("*.conf")) if folder.is_dir() else []
    for path in (folder / "logind.conf", *dropped):
        for line in _text(path).splitlines():
            key, _, value = line.strip().partition("=")
            if key.strip() == "KillUserProcesses":
                kills = value.strip().lower() in ("yes", "true", "1", "on")
            elif key.strip() == "KillExcludeUsers" and user() in value.split():
                return False
    return kills


def _pam_lines(folder: Path) -> list[str]:
    try:
        paths = sorted(entry.path for entry in os.scandir(folder) if entry.is_file())
    except OSError:
        return []
    lines = (line.strip() for path in paths for line in _text(Path(path)).splitlines())
    return [line for line in lines if not line.startswith("#")]


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _text(path: Path) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_TEXT_LIMIT)
    except OSError:
        return ""
