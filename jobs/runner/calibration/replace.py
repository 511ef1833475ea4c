"""Replacing a file provided that it still holds what was planned, while others may be saving it.

A check and a rename are two steps, and an editor that saves between them would lose what it saved. Where the
system can make two names change places at once (Linux, `renameat2`), that is used: what was taken out is then in
our hands, and if it is not what was planned it is put back. Elsewhere the check comes right before the rename.
What remains in both cases is a writer that opened the file before and writes into it after: it writes into the
old file, which is no longer there.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from pathlib import Path

from hosts.errors import RefusedError
from hosts.local.files import write_atomic

_EXCHANGE = 2  # RENAME_EXCHANGE of linux/fs.h
_UNSUPPORTED = frozenset((errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP))


class ChangedError(RefusedError):
    """The file holds something else than what was planned for; what it holds is still there."""


def replace_exactly(path: Path, data: bytes, planned_sha256: str) -> None:
    """Put `data` in place of a file that holds bytes of `planned_sha256`; its mode and owner stay.

    Raises:
        ChangedError: It is gone, or holds something else, also if that was saved at this very moment.
        WriteError: It is no regular file, or the system refused.
    """

    def put(temp: str, name: str, folder: int) -> None:
        _check(path, name, folder, planned_sha256)
        _swap(path, temp, name, folder, planned_sha256, hashlib.sha256(data).hexdigest())

    write_atomic(path, data, put=put)


def exchange(one: str, other: str, folder: int) -> bool:
    """Let two names in a folder change places at once; False where the system cannot.

    Raises:
        OSError: It refused.
    """
    try:
        import ctypes

        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (ImportError, OSError, AttributeError):
        return False
    if not sys.platform.startswith("linux"):
        return False
    if call(folder, os.fsencode(one), folder, os.fsencode(other), ctypes.c_uint(_EXCHANGE)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number))


def _swap(path: Path, temp: str, name: str, folder: int, planned: str, ours: str) -> None:
    if not exchange(temp, name, folder):
        _check(path, name, folder, planned)
        os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    # Whoever saves at this moment saves into `name`. What comes out of it must be what we think we replaced;
    # if not, it is newer than what we put there, and goes back.
    expected, placed = planned, ours
    while (taken := _sha256(temp, folder)) != expected:
        expected, placed = placed, taken
        exchange(temp, name, folder)
    if placed != ours:
        raise _changed(path)
    os.unlink(temp, dir_fd=folder)


def _check(path: Path, name: str, folder: int, planned: str) -> None:
    try:
        found = _sha256(name, folder)
    except FileNotFoundError:
        raise ChangedError(f"{path} is gone") from None
    if found != planned:
        raise _changed(path)


def _changed(path: Path) -> ChangedError:
    return ChangedError(f"{path} was changed by somebody else while this was being applied")


def _sha256(name: str, folder: int) -> str:
    """Of a file's bytes; "" for what is there and is no readable file, such as a link that somebody just made."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:
        return ""
    found = hashlib.sha256()
    try:
        while part := os.read(fd, 1 << 20):
            found.update(part)
    except OSError:
        return ""
    finally:
        os.close(fd)
    return found.hexdigest()
