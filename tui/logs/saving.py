"""Lines of a log as a file of their own: whole or not there at all, written one way, over nothing that is there."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from hosts.local.files import TEMP_PREFIX, TEMP_SUFFIX
from monitors.logs.types import LogLine
from tui.logs.rows import unmarked

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o666  # the kernel takes off what the umask says; it cannot be read without setting it for all threads


class NewFile:
    """A file that has its name only once it is complete; until then it lies beside it under another one.

    Every method may wait for the disk.

    Args:
        path: Its name.

    Raises:
        FileExistsError: Something has this name already.
        OSError: It cannot be written there.
    """

    def __init__(self, path: Path) -> None:
        if os.path.lexists(path):
            raise _exists(path)
        self._path = path
        self._temp = path.with_name(f"{TEMP_PREFIX}{secrets.token_hex(8)}{TEMP_SUFFIX}")
        self._file = os.fdopen(os.open(self._temp, _FLAGS, _MODE), "wb")

    def write(self, data: bytes | bytearray) -> int:
        """Add these bytes; returns how many they are."""
        return self._file.write(data)

    def publish(self, named: Callable[[os.stat_result], None] = lambda _: None) -> None:
        """Give it its name.

        Args:
            named: Is told what the file is, before anybody can see it.

        Raises:
            FileExistsError: Something else came to have it meanwhile.
            OSError: It could not be written to its end, or not be named.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        named(os.fstat(self._file.fileno()))
        self._file.close()
        try:
            os.link(self._temp, self._path)
        except FileExistsError:
            if os.stat(self._temp).st_nlink < 2:  # NFS may have made the link although it says so
                raise
        except OSError:
            self._take_name()

    def _take_name(self) -> None:
        """Give it its name where the file system has no hard links.

        Whoever creates a name exclusively has it, as with a link. What is renamed over is that empty file of ours, as
        long as it is empty: nobody's bytes are lost, and nobody sees some of ours without the others.
        """
        os.close(os.open(self._path, _FLAGS, _MODE))
        try:
            if os.lstat(self._path).st_size:
                raise _exists(self._path)
            os.replace(self._temp, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                if not os.lstat(self._path).st_size:
                    os.unlink(self._path)
            raise

    def close(self) -> None:
        """Leave nothing but what was published."""
        with contextlib.suppress(OSError):  # of a full disk it was said where it was written
            self._file.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temp)


class OneWay:
    """Makes the bytes of lines be written like the first of them, since a file can only be written one way.

    Attributes:
        encoding: That one; "" before the first line.
        turned: Whether any line was written otherwise.
    """

    def __init__(self) -> None:
        self.encoding = ""
        self.turned = False
        self._decoder: codecs.IncrementalDecoder | None = None

    def add(self, line: LogLine, data: bytes) -> bytes:
        """What stands for `data`, the bytes of a line: they themselves, unless they are written otherwise."""
        self.encoding = self.encoding or line.encoding
        if line.encoding == self.encoding:
            return data
        self.turned = True
        if self._decoder is None or line.piece == 0:  # a piece may begin within a character
            self._decoder = codecs.getincrementaldecoder(line.encoding)("backslashreplace")
        return self._decoder.decode(unmarked(line, data), line.complete).encode(self.encoding, "backslashreplace")


def _exists(path: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
