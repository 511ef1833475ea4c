"""Appending to a run's journal. Only the holder of the run's lock does this; others leave a file in its inbox."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from gates.journal import Event, Journal, decode_journal, encode_event
from hosts.host import ProcRef
from hosts.local.files import ReadError, WriteError, new_ulid, utc_now
from hosts.local.procs import proc_ref_json


def failed(path: Path, error: OSError) -> WriteError:
    """What to raise when writing `path` failed with `error`."""
    return WriteError(path, (error.strerror or str(error)).lower(), error.errno or 0)


def read_journal(path: Path) -> Journal:
    """The journal at `path`; an absent file is an empty journal.

    Raises:
        ReadError: It is there and cannot be read.
    """
    try:
        return decode_journal(path.read_bytes())
    except FileNotFoundError:
        return Journal(())
    except OSError as error:
        raise ReadError.of(path, error) from None


class JournalWriter:
    """An open journal: every line is on the disk before `append` returns."""

    def __init__(self, path: Path, writer: ProcRef) -> None:
        """Open for appending, after the last number that the file holds.

        Raises:
            WriteError: The file cannot be opened for writing.
        """
        self._path = path
        self._writer = proc_ref_json(writer)
        self._seq = read_journal(path).last_seq
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise failed(path, error) from error

    def append(self, kind: str, data: Mapping[str, object]) -> None:
        """Add one event.

        Raises:
            WriteError: It could not be written whole. The next event, or the next writer, closes the torn line.
        """
        ending = self._closing_newline()
        line = ending + encode_event(Event(new_ulid(), self._seq + 1, self._writer, utc_now(), kind, data))
        try:
            if os.write(self._fd, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._seq += 1  # it can be read from here on, whether or not it survives a power loss
            os.fsync(self._fd)
        except OSError as error:
            raise failed(self._path, error) from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _closing_newline(self) -> bytes:
        """What ends a line that a writer before, or a full disk, has left unfinished."""
        try:
            size = os.fstat(self._fd).st_size
            if not size or os.pread(self._fd, 1, size - 1) == b"\n":
                return b""
        except OSError as error:
            raise failed(self._path, error) from error
        # It may lack its newline alone, and then its number is taken.
        self._seq = max(self._seq, read_journal(self._path).last_seq)
        return b"\n"
