"""From what a person names to a log: what stands there decides, here or on its host."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import os
import stat
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from hosts.aside import aside
from hosts.errors import InputError, UnreachableError
from hosts.local.reasons import why
from hosts.target import Target
from monitors.logs.local import LocalSource
from monitors.logs.local_files import FLAGS, is_unsized
from monitors.logs.types import Source

if TYPE_CHECKING:
    from hosts.host import Chunk, HostReader

_T = TypeVar("_T")
Connect = Callable[[str], Awaitable["HostReader"]]
"""Gives a host by what stands before the ":" of a target: HOST or USER@HOST. It is closed with the log."""

STANDARD_INPUT = 0
NOTHING_YET = ("no file matches ", "no log in ")
"""How it begins what a pattern or a folder says that waits for its first log."""

_OUTPUTS = (1, 2)
_PATIENCE_S = 5.0
_DEADLINE_S = 30.0
_LOOK_S = 2.0
_LOOK_HIDDEN_S = 10.0
_HELD_EACH = 1 << 20
_PAGE = 4096
_NO_FILE = "not a regular file"
_KINDS = {stat.S_IFBLK: "a block device", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}


async def open_source(target: Target, connect: Connect | None = None) -> Source:
    """The log that a target means, not started yet.

    A path that is there is taken as it is, whatever characters are in its name; else one with "*", "?" or "[" in it
    is a pattern, and any other is a file that will come. "~" is the home folder. No shell has a part in it.

    Standard input is taken by a descriptor of our own, so 0 may be something else from here on.

    Args:
        target: Where the log is.
        connect: How to get to a host; None where there is no way.

    Raises:
        InputError: Nothing there can be followed as a log.
        UnreachableError: The host, or a file system here, does not answer.
    """
    if target.host is not None:
        if connect is None:
            raise InputError(f"{target}: logs of other hosts cannot be read here")
        return await _open_remote(target, connect)
    return await in_time(target, lambda: _open_local(target.path), "open")


async def in_time(target: Target, work: Callable[[], _T], name: str) -> _T:
    """What a question about a target here brings, which may wait for a file system.

    Raises:
        UnreachableError: That does not answer.
    """
    asked = asyncio.ensure_future(aside(work, f"{name} {target.path}"))
    done, _ = await asyncio.wait({asked}, timeout=_PATIENCE_S)
    if not done:
        asked.cancel()
        raise UnreachableError(f"{target}: no answer from the file system for {_PATIENCE_S:g} s")
    return asked.result()


def _open_local(path: str) -> Source:
    """Look at what a path here is; may wait for a file system."""
    if path == "-":
        return _open_standard_input()
    if not path or "\0" in path:
        raise InputError("the name of a log is empty or holds a NUL")
    path = os.path.expanduser(path)
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return _open_absent(path)
    except PermissionError:
        return LocalSource(path)  # tells of it, and sees when it is allowed
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {why(error)}") from None
    mode = status.st_mode
    if stat.S_ISREG(mode):
        if not status.st_blocks:
            _refuse_unsized(path)
        return LocalSource(path)
    if stat.S_ISDIR(mode):
        return _open_folder(path)
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return _open_stream(path, mode)
    raise InputError(f"{path} is {_kind(mode)}; a log is a file, a folder, a pipe or a character device")


def _open_absent(path: str) -> Source:
    """What is not there: a pattern, or a file that will come; a link may be there that leads to it."""
    if glob.has_magic(path) and not os.path.lexists(path):
        from monitors.logs.looking import Look, split_pattern
        from monitors.logs.pointing import LocalLooker, PointingSource

        root, parts = split_pattern(path)
        looker = LocalLooker(Look(root, parts, _own_outputs()))
        return PointingSource(looker, LocalSource, root, f"no file matches {path} yet", name=path)
    if path.endswith("/"):
        return _open_folder(path)
    parent = os.path.dirname(path) or "."
    if os.path.lexists(parent) and not os.path.isdir(parent):
        raise InputError(f"{path}: {parent} is not a folder")
    return LocalSource(path)


def _open_folder(path: str) -> Source:
    from monitors.logs.looking import Look
    from monitors.logs.pointing import LocalLooker, PointingSource

    looker = LocalLooker(Look(path, own=_own_outputs()))
    return PointingSource(looker, LocalSource, path, f"no log in {path} yet")


def _own_outputs() -> frozenset[tuple[int, int]]:
    """The files that we print to: as logs they would grow by being read."""
    found = []
    for number in _OUTPUTS:
        with contextlib.suppress(OSError):
            status = os.fstat(number)
            if stat.S_ISREG(status.st_mode):
                found.append((status.st_dev, status.st_ino))
    return frozenset(found)


def _open_stream(path: str, mode: int) -> Source:
    from monitors.logs.spool import SpoolSource

    if stat.S_ISCHR(mode):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            if os.isatty(fd):
                raise InputError(f"{path} is a terminal; a log is a file, a folder, a pipe or a character device")
        finally:
            os.close(fd)
    return SpoolSource(path, path)


def _open_standard_input() -> Source:
    if sys.__stdin__ is None:  # it was closed when we began; by now 0 may be anything of ours
        raise InputError("standard input is closed")
    fd = os.dup(STANDARD_INPUT)
    mode = os.fstat(fd).st_mode
    terminal = os.isatty(fd)
    if terminal or stat.S_ISDIR(mode) or stat.S_ISBLK(mode):
        os.close(fd)
        raise InputError(f"standard input is {'a terminal' if terminal else _kind(mode)}")
    path = _name_of(fd) if stat.S_ISREG(mode) else None
    if path is not None:
        os.close(fd)
        _refuse_unsized(path)
        return LocalSource(path)
    from monitors.logs.spool import SpoolSource

    return SpoolSource(fd, "-")


def _refuse_unsized(path: str) -> None:
    """Raise InputError where a file can be read, and cannot be followed."""
    try:
        fd = os.open(path, FLAGS)
    except OSError:
        return  # whoever follows it tells of that
    try:
        unsized = is_unsized(fd)
    finally:
        os.close(fd)
    if unsized:
        from hosts.local.pasting import quoted

        raise InputError(f"{path} does not say how long it is; try: cat {quoted(path)} | gatewatch tail -")


def _name_of(fd: int) -> str | None:
    """The path of an open file, where it still has one."""
    try:
        path = os.readlink(f"/proc/self/fd/{fd}")
        return path if os.path.samestat(os.stat(path), os.fstat(fd)) else None
    except OSError:
        return None


def _who(target: Target) -> str:
    """HOST or USER@HOST."""
    return f"{target.user}@{target.host}" if target.user else target.host or ""


async def _open_remote(target: Target, connect: Connect) -> Source:
    reader = await connect(_who(target))
    try:
        return await _at_host(target, reader)
    except BaseException:
        await reader.close()
        raise


async def _at_host(target: Target, reader: HostReader) -> Source:
    """Look at what a path there is."""
    from monitors.logs.looking import split_pattern
    from monitors.logs.remote import RemoteSource

    path = target.path
    before = str(target).removesuffix(path)
    # Escaped: whether the very name is there, not what it matches as a pattern
    found = await reader.query("locate", {"path": glob.escape(path)}, _DEADLINE_S)
    there = found[0] if isinstance(found, list) and found else None
    if not isinstance(there, str):
        if glob.has_magic(path):
            root, parts = split_pattern(path)
            return _point_there(target, reader, root, parts, f"no file matches {target} yet")
        if path.endswith("/"):
            return _point_there(target, reader, path, None, f"no log in {target} yet")
        return RemoteSource(reader, path, str(target), on_close=reader.close)
    if await _is_folder(reader, there):
        return _point_there(target, reader, there, None, f"no log in {target} yet")
    try:
        seen = await reader.read(there, 0, _PAGE)
    except InputError as error:
        if str(error).endswith(_NO_FILE):
            raise InputError(f"{target} is neither a file nor a folder; no other log can be read on a host") from None
    else:
        if await _is_unsized_there(reader, there, seen):
            way = _way_to_read(target, reader, there, seen)
            told = f"; try: {way} | gatewatch tail -" if way else ", and no command can be run there that reads it"
            raise InputError(f"{target} does not say how long it is{told}")
    return RemoteSource(reader, there, f"{before}{there}", on_close=reader.close)


async def _is_folder(reader: HostReader, path: str) -> bool:
    from hosts.host import TreeWant, Wants

    # One name that is wanted literally: the folder is not listed for it
    seen = await reader.observe(Wants(trees=(TreeWant(path, ("-",), -1),)), None, _DEADLINE_S)
    return bool(seen.trees) and seen.trees[0].error is None


def _way_to_read(target: Target, reader: HostReader, there: str, seen: Chunk) -> str:
    """A command that prints a file of a host, to be pasted; "" where there is none."""
    from hosts.bare import INODE
    from hosts.local.pasting import pasted, quoted

    if seen.inode == INODE:  # nothing of ours runs there; its shell takes apart once more what the one here did
        by_hand = getattr(reader, "by_hand", None)
        return by_hand(("cat", quoted(there))) if by_hand is not None else ""
    return pasted(("gatewatch", "hosts", "exec", _who(target), "--", "cat", there))


async def _is_unsized_there(reader: HostReader, path: str, seen: Chunk) -> bool:
    """Whether a file there does not say how much can be read; `seen` is its beginning, a page at most."""
    from hosts.bare import INODE
    from hosts.host import TreeWant, Wants

    if seen.size:
        return len(seen.data) < min(seen.size, _PAGE)
    if seen.inode == INODE:  # without a helper nothing is read beyond what is told
        return path.startswith(("/proc/", "/sys/"))
    # A range ends where the file says that it does; one that is wanted whole, and empty, is read beyond that
    folder, name = os.path.split(path)
    look = await reader.observe(Wants(trees=(TreeWant(folder, (glob.escape(name),), 0),)), None, _DEADLINE_S)
    files = [file for tree in look.trees for file in tree.files.values()]
    return any(file.size == 0 and file.data is None and file.error is None for file in files)


def _point_there(target: Target, reader: HostReader, root: str, parts: tuple[str, ...] | None, nothing: str) -> Source:
    from monitors.logs.pointing import PointingSource
    from monitors.logs.remote import RemoteSource
    from monitors.logs.remote_looking import RemoteLooker

    before = str(target).removesuffix(target.path)
    return PointingSource(
        RemoteLooker(reader, root, parts),
        lambda path: RemoteSource(reader, path, f"{before}{path}", held=_HELD_EACH),
        root,
        nothing,
        name=f"{before}{root}" if parts is None else str(target),
        visible_interval=_LOOK_S,
        hidden_interval=_LOOK_HIDDEN_S,
    )


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "something else")
