"""Writing files so that a reader, a crash or a full disk never meets half of one (SAFETY F2)."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path

from hosts.errors import GatewatchError, InputError

TEMP_PREFIX = ".gatewatch-"
TEMP_SUFFIX = ".tmp"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class WriteError(GatewatchError):
    """A file could not be written; `path` and `reason` say which and why. The old content still stands.

    Attributes:
        errno: The system's error number, or 0 where the refusal is our own.
    """

    def __init__(self, path: Path, reason: str, number: int = 0) -> None:
        super().__init__(f"cannot write {path}: {reason}")
        self.path = path
        self.reason = reason
        self.errno = number

    @classmethod
    def of(cls, path: Path, error: OSError) -> WriteError:
        """What to raise when the system refused to write `path`."""
        return cls(path, _reason(error), error.errno or 0)


class ReadError(InputError):
    """A file could not be read; `errno` is the system's error number, or 0 where the refusal is our own."""

    def __init__(self, path: Path, reason: str, number: int = 0) -> None:
        super().__init__(f"cannot read {path}: {reason}")
        self.path = path
        self.reason = reason
        self.errno = number

    @classmethod
    def of(cls, path: Path, error: OSError) -> ReadError:
        """What to raise when the system refused to read `path`."""
        return cls(path, _reason(error), error.errno or 0)


def is_temp(name: str) -> bool:
    """Whether a file name is that of a half-written file, left over by a writer that was killed."""
    return name.startswith(TEMP_PREFIX) and name.endswith(TEMP_SUFFIX)


def write_atomic(
    path: Path, data: bytes, mode: int | None = None, put: Callable[[str, str, int], None] | None = None
) -> None:
    """Replace the file at `path`, or make it: whoever looks sees the old content or the new, never a mixture.

    Args:
        path: A regular file, or nothing yet, in a folder that exists.
        data: The whole new content.
        mode: Permission bits. None keeps those of the existing file, or follows the umask for a new one.
        put: What puts the finished temporary file in place, instead of a plain rename: it gets the temporary name,
            the final one and the descriptor of their folder. Where it raises, the temporary file is removed.

    Raises:
        WriteError: `path` is a symbolic link or no regular file, or the system refused. No temporary file
            stays behind.
    """
    folder = _open_folder(path)
    try:
        old = _existing(path, folder)
        temp = _write_temp(path, folder, data, mode, old)
        try:
            (put or _rename)(temp, path.name, folder)
        except OSError as error:
            _remove(temp, folder)
            raise WriteError.of(path, error) from None
        except BaseException:
            _remove(temp, folder)
            raise
        _sync_folder(path, folder)
    finally:
        os.close(folder)


def write_new(path: Path, data: bytes, mode: int | None = None) -> bool:
    """Make the file at `path` unless it is there; it appears with its whole content at once.

    Of several writers exactly one gets True.

    Returns:
        False when something of that name exists, whatever it is; nothing was changed.

    Raises:
        WriteError: The system refused, or the file system has no hard links.
    """
    folder = _open_folder(path)
    try:
        if _there(path.name, folder):
            return False
        temp = _write_temp(path, folder, data, mode, None)
        try:
            made = _link(temp, path, folder)
        finally:
            _remove(temp, folder)
        if made:
            _sync_folder(path, folder)
        return made
    finally:
        os.close(folder)


def read_bytes_limited(path: Path, limit: int) -> bytes:
    """Read a whole regular file of at most `limit` bytes.

    Raises:
        ReadError: It is not there (`errno` ENOENT), not readable, not a regular file, or longer than `limit`.
    """
    try:
        # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ReadError.of(path, error) from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ReadError(path, "not a regular file")
        parts: list[bytes] = []
        left = limit + 1
        while left > 0:
            part = os.read(fd, min(left, 1 << 20))
            if not part:
                return b"".join(parts)
            parts.append(part)
            left -= len(part)
        raise ReadError(path, f"longer than {limit} bytes")
    except OSError as error:
        raise ReadError.of(path, error) from None
    finally:
        os.close(fd)


def utc_now(at: float | None = None) -> str:
    """The time as "2026-05-25T02:43:02Z"; `at` (seconds since the epoch) instead of now, where it is given."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def new_ulid() -> str:
    """A new id of 26 characters that sorts by time: 48 bits of milliseconds, 80 of chance."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def _open_folder(path: Path) -> int:
    try:
        return os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise WriteError.of(path, error) from None


def _existing(path: Path, folder: int) -> os.stat_result | None:
    try:
        status = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WriteError.of(path, error) from None
    if stat.S_ISLNK(status.st_mode):
        raise WriteError(path, "it is a symbolic link, which is not followed")
    if not stat.S_ISREG(status.st_mode):
        raise WriteError(path, "it is not a regular file")
    return status


def _write_temp(path: Path, folder: int, data: bytes, mode: int | None, old: os.stat_result | None) -> str:
    """Write a synced temporary file next to the target and give its name.

    Not tempfile.mkstemp: it always makes 0600, and the umask, which a new file must follow, cannot be read
    without setting it for all threads. The kernel applies it when the file is made here.
    """
    temp = f"{TEMP_PREFIX}{secrets.token_hex(8)}{TEMP_SUFFIX}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    final = mode if mode is not None else stat.S_IMODE(old.st_mode) if old is not None else None
    try:
        fd = os.open(temp, flags, 0o666 if final is None else 0o600, dir_fd=folder)
    except OSError as error:
        raise WriteError.of(path, error) from None
    try:
        try:
            if old is not None:
                _keep_owner(fd, old)
            if final is not None:
                os.fchmod(fd, final)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)  # its error counts too: a network file system may report a full disk only here
    except OSError as error:
        _remove(temp, folder)
        raise WriteError.of(path, error) from None
    except BaseException:
        _remove(temp, folder)
        raise
    return temp


def _keep_owner(fd: int, old: os.stat_result) -> None:
    """Give the file its old owner and group as far as the system lets us; in a shared folder that may be neither."""
    new = os.fstat(fd)
    if (new.st_uid, new.st_gid) == (old.st_uid, old.st_gid):
        return
    for uid in (old.st_uid, -1):
        try:
            os.fchown(fd, uid, old.st_gid)
            return
        except PermissionError:
            continue


def _rename(temp: str, name: str, folder: int) -> None:
    os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)


def _link(temp: str, path: Path, folder: int) -> bool:
    try:
        os.link(temp, path.name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        # Over NFS a repeated request answers "exists" although the first one made the link: the count knows
        return os.stat(temp, dir_fd=folder, follow_symlinks=False).st_nlink > 1
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise WriteError(path, "the file system has no hard links", error.errno) from None
        raise WriteError.of(path, error) from None
    return True


def _there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False  # the link that follows has the last word
    return True


def _remove(temp: str, folder: int) -> None:
    with contextlib.suppress(OSError):  # the error that brought us here is the one to tell
        os.unlink(temp, dir_fd=folder)


def _sync_folder(path: Path, folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # some file systems cannot sync a folder
            reason = f"written, but it may not survive a power loss: {_reason(error)}"
            raise WriteError(path, reason, error.errno or 0) from None


def _reason(error: OSError) -> str:
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]
