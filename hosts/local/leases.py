"""Locks that die with their holders: an attempt's mark of life, and a lease per GPU.

Both are `flock`s on an open file that is inherited by every process of an attempt. The kernel drops the lock
when the last of them is gone, whoever was killed in between, so "is anybody still there?" has an answer
without a race. What a lease file says of its holder is for people; the lock itself is the truth.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hosts.errors import InputError
from hosts.host import Json
from hosts.local import strictjson
from hosts.local.files import ReadError, WriteError, read_bytes_limited, write_new

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
        WriteError: The file cannot be created or opened; a symbolic link is refused.
    """
    fd = _open(path, mode)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError as error:
        os.close(fd)
        raise WriteError.of(path, error) from None
    # What matters is the lock: on a full disk, or with another user's file, what it says of us is let go.
    with contextlib.suppress(OSError):
        os.fchmod(fd, mode)
    with contextlib.suppress(OSError):
        os.truncate(fd, 0)
        os.pwrite(fd, strictjson.dumps(dict(holder)), 0)
    return Lease(fd, path)


def is_held(path: Path) -> bool:
    """True while any process holds the lock on `path`; False when there is no such file.

    Raises:
        ReadError: It cannot be looked at; a symbolic link is refused.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ReadError.of(path, error) from None
    try:
        # Shared, so that two who only look do not take each other for a holder.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def holder_of(path: Path) -> str:
    """Who a lease file says holds it, in words."""
    try:
        body = strictjson.loads(read_bytes_limited(path, 4096), str(path))
    except InputError:
        return "an unknown holder"
    if not isinstance(body, dict):
        return "an unknown holder"
    return f"{body.get('run', 'an unnamed run')} (pid {body.get('pid', '?')}, user {body.get('user', '?')})"


def lease_directory(environment: Mapping[str, str]) -> Path:
    """The folder in which all users of this host keep their GPU leases; created on first use.

    Raises:
        InputError: It exists and is not a folder that is safe to share (SAFETY G3).
    """
    path = lease_place(environment)
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            path.chmod(0o1777)
        status = path.lstat()
    except OSError as error:
        raise InputError(f"GPU leases cannot be kept in {path}: {error.strerror}; set {LEASE_DIR_VARIABLE}") from None
    if not stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path} is not a folder, so GPU leases cannot be kept there; set {LEASE_DIR_VARIABLE}")
    shared = bool(status.st_mode & stat.S_IWOTH)
    if shared and not status.st_mode & stat.S_ISVTX:
        raise InputError(
            f"{path} is writable by all without the sticky bit; chmod 1777 it, or set {LEASE_DIR_VARIABLE}"
        )
    return path


def lease_place(environment: Mapping[str, str]) -> Path:
    """Where that folder is, or would be; for those who only look."""
    named = environment.get(LEASE_DIR_VARIABLE)
    return Path(named) if named else Path("/tmp/gatewatch-leases")  # noqa: S108 - shared by all users on purpose


def lease_name(gpu: str) -> str:
    """File name of the lease for one GPU, named by its uuid or index."""
    return f"gpu-{gpu}.lock"


def lease_gpus(directory: Path, names: Sequence[str], holder: Mapping[str, Json]) -> list[Lease] | str:
    """Lease all of `names` (a GPU's uuid or index each) or none; a string names who holds the first that is taken.

    Raises:
        WriteError: A lease file cannot be made or opened.
    """
    held: list[Lease] = []
    with contextlib.ExitStack() as undo:
        for name in sorted(names):
            path = directory / lease_name(name)
            lease = try_lease(path, holder, mode=0o666)
            if lease is None:
                return f"GPU {name} is leased by {holder_of(path)}"
            undo.callback(lease.close)
            held.append(lease)
        undo.pop_all()
    return held


def _open(path: Path, mode: int) -> int:
    """Open the file at `path`, or make it first: for the others it appears with its final permissions.

    Never with O_CREAT: where fs.protected_regular is set, not even root may open so what another user made in a
    shared folder.
    """
    try:
        for _ in range(2):
            with contextlib.suppress(FileNotFoundError):
                return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            write_new(path, b"", mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise WriteError(path, "it is a symbolic link, which is not followed", error.errno) from None
        raise WriteError.of(path, error) from None
    raise WriteError(path, "it comes and goes")
