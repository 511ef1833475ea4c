"""Locks that die with their holders: an attempt's mark of life, and a lease per GPU.

Both are `flock`s on an open file that is inherited by every process of an attempt. The kernel drops the lock
when the last of them is gone, whoever was killed in between, so "is anybody still there?" has an answer
without a race. What a lease file says of its holder is for people; the lock itself is the truth.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hosts.errors import InputError
from hosts.host import Json
from hosts.local import strictjson

LEASE_DIR_VARIABLE = "GATEWATCH_LEASES"


@dataclass(frozen=True)
class Lease:
    """A held lock: the descriptor to pass on, and the file it stands on."""

    fd: int
    path: Path

    def close(self) -> None:
        """Drop our own handle; whoever inherited it still holds the lock."""
        with contextlib.suppress(OSError):
            os.close(self.fd)


def try_lease(path: Path, holder: Mapping[str, Json], mode: int = 0o600) -> Lease | None:
    """Take the lock on `path` and write who holds it, or return None while another holds it.

    Raises:
        OSError: The file cannot be created or opened; a symbolic link is refused.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:
        os.close(fd)
        raise
    # Another user's lease file keeps its name here; what matters is the lock, so a failure to say who is let go.
    with contextlib.suppress(OSError):
        os.fchmod(fd, mode)
    os.truncate(fd, 0)
    os.pwrite(fd, strictjson.dumps(dict(holder)), 0)
    return Lease(fd, path)


def is_held(path: Path) -> bool:
    """True while any process holds the lock on `path`; False when there is no such file."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def holder_of(path: Path) -> str:
    """Who a lease file says holds it, in words."""
    try:
        body = strictjson.loads(path.read_bytes()[:4096], str(path))
    except (OSError, ValueError, InputError):
        return "an unknown holder"
    if not isinstance(body, dict):
        return "an unknown holder"
    return f"{body.get('run', 'an unnamed run')} (pid {body.get('pid', '?')}, user {body.get('user', '?')})"


def lease_directory(environment: Mapping[str, str]) -> Path:
    """The folder in which all users of this host keep their GPU leases; created on first use.

    Raises:
        InputError: It exists and is not a folder that is safe to share (SAFETY G3).
    """
    named = environment.get(LEASE_DIR_VARIABLE)
    path = Path(named) if named else Path("/tmp/gatewatch-leases")  # noqa: S108 - shared by all users on purpose; checked below
    with contextlib.suppress(FileExistsError):
        path.mkdir(parents=True)
        path.chmod(0o1777)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path} is not a folder, so GPU leases cannot be kept there; set {LEASE_DIR_VARIABLE}")
    shared = bool(status.st_mode & stat.S_IWOTH)
    if shared and not status.st_mode & stat.S_ISVTX:
        raise InputError(
            f"{path} is writable by all without the sticky bit; chmod 1777 it, or set {LEASE_DIR_VARIABLE}"
        )
    return path


def lease_name(gpu: str) -> str:
    """File name of the lease for one GPU, named by its uuid or index."""
    return f"gpu-{gpu}.lock"


def lease_gpus(directory: Path, names: Sequence[str], holder: Mapping[str, Json]) -> list[Lease] | str:
    """Lease all of `names` (a GPU's uuid or index each) or none; a string names who holds the first that is taken."""
    held: list[Lease] = []
    for name in sorted(names):
        path = directory / lease_name(name)
        lease = try_lease(path, holder, mode=0o666)
        if lease is None:
            for taken in held:
                taken.close()
            return f"GPU {name} is leased by {holder_of(path)}"
        held.append(lease)
    return held
