"""A test as somebody who may not do everything, also where the tests run as root.

Root reads and writes what permissions forbid by capabilities. The calling thread puts them away for a while: threads
and processes that it starts meanwhile have none of them either, those that live already keep theirs.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_VERSION = 0x20080522  # two words a set
_SET_SECUREBITS = 28
_NO_ROOT = 1  # a program that root executes gets no capabilities from that
_NO_FIXUP = 4  # else access(2) would judge by what is put away


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_ABOVE_PERMISSIONS = 0b111  # CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@contextmanager
def as_anybody() -> Iterator[None]:
    """Let permissions hold for this thread, and for what it starts, until the block is left."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, before, without = _Header(_VERSION, 0), (_Sets * 2)(), (_Sets * 2)()
    _done(libc.capget(ctypes.byref(header), before), "capget")
    for word in range(2):
        without[word].effective = before[word].effective & (~_ABOVE_PERMISSIONS if word == 0 else 0xFFFFFFFF)
        without[word].permitted = before[word].permitted
    _done(libc.prctl(_SET_SECUREBITS, _NO_ROOT | _NO_FIXUP, 0, 0, 0), "prctl")
    _done(libc.capset(ctypes.byref(header), without), "capset")
    try:
        yield
    finally:
        _done(libc.capset(ctypes.byref(header), before), "capset")
        _done(libc.prctl(_SET_SECUREBITS, 0, 0, 0, 0), "prctl")


def _done(answer: int, call: str) -> None:
    if answer != 0:
        raise OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")
