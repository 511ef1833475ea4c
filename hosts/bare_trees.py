"""The files below a folder of a host without a Python, listed by SFTP: names, sizes and times, not what is in them."""

from __future__ import annotations

import asyncio
import fnmatch
import glob
import posixpath
import re
import stat
from collections.abc import Callable

from hosts.bare_hung import NoAnswerError
from hosts.bare_sftp import Attributes, Sftp
from hosts.errors import InputError
from hosts.host import FileSeen, TreeSeen, TreeWant
from hosts.local.observe import NotThereError
from hosts.local.trees import MAX_FILES

_AT_ONCE = 8
_FOLDERS = 1_000
_LINKS = 10_000  # of one folder: each is a question of its own
_QUESTIONS = 1_000  # at a time: with fewer, a slow link would take a while for all links
_TOLD = 3
_IN_A_ROW = 5_000  # names that are looked at before others have their turn
_UNKNOWN = Attributes(None, None, None)
_Parts = tuple[str, ...]


async def list_tree(sftp: Sftp, want: TreeWant, inode: int) -> TreeSeen:
    """All files below `want.root` that are wanted; folders are not entered by a link, as links may lead anywhere.

    Args:
        inode: What every file has, since SFTP tells none.
    """
    try:
        globs = {_parts(one) for one in want.globs}
        if not (await sftp.stat(want.root)).is_folder:
            raise InputError(f"{want.root} is not a folder")
    except NotThereError:
        return TreeSeen(want, {}, error=f"{want.root}: not there")
    except InputError as error:
        return TreeSeen(want, {}, error=str(error))
    walk = _Walk(sftp, want.root, inode)
    await walk.run("", globs)
    return TreeSeen(want, walk.files, error="; ".join(walk.problems[:_TOLD]) or None)


def _parts(wanted: str) -> _Parts:
    parts = tuple(wanted.split("/"))
    if any(part in ("", ".", "..", "**") or "\0" in part for part in parts):
        raise InputError(f"bad glob {wanted!r}: parts are names or patterns, without '..' and '**'")
    return parts


class _Walk:
    def __init__(self, sftp: Sftp, root: str, inode: int) -> None:
        self.files: dict[str, FileSeen] = {}
        self.problems: list[str] = []
        self._sftp = sftp
        self._root = root
        self._inode = inode
        self._folders = 0
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._questions = asyncio.Semaphore(_QUESTIONS)

    async def run(self, prefix: str, globs: set[_Parts]) -> None:
        """Look into one folder, and into those below it that the globs lead to."""
        self._folders += 1
        if self._folders > _FOLDERS:
            self._say(f"{self._root}: more than {_FOLDERS} folders; the rest is left out")
            return
        try:
            async with self._turns:
                entries = await self._entries(prefix, globs)
        except NotThereError:
            return
        except InputError as error:
            self._say(f"cannot list {prefix or self._root}: {error}")
            return
        below: list[tuple[str, set[_Parts]]] = []
        for name, seen, left in entries:
            if () in left and seen.mode is not None and not seen.is_folder:
                self._file(prefix + name, seen)
            if seen.is_folder and left - {()}:
                below.append((f"{prefix}{name}/", left - {()}))
        await asyncio.gather(*(self.run(*one) for one in below))

    def _file(self, path: str, seen: Attributes) -> None:
        if len(self.files) >= MAX_FILES:
            self._say(f"more than {MAX_FILES} files match; the rest is left out")
            return
        problem = None if seen.is_file else "not a regular file"
        self.files[path] = FileSeen(path, seen.size or 0, (seen.mtime or 0) * 10**9, self._inode, None, problem)

    def _say(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    async def _entries(self, prefix: str, globs: set[_Parts]) -> list[tuple[str, Attributes, set[_Parts]]]:
        """What lies there and is wanted, and what of the globs is left; where all names are known nothing is listed."""
        firsts = {parts[0] for parts in globs}
        if any(map(glob.has_magic, firsts)):
            listed, whole = await self._sftp.entries(self._path(prefix))
            if not whole:
                folder = self._path(prefix.rstrip("/"))
                self._say(f"{folder} holds more than {len(listed)} names; the rest is left out")
        else:
            listed = [(name, _UNKNOWN) for name in sorted(firsts)]
        wanted: list[tuple[str, Attributes, set[_Parts]]] = []
        fits = [(_fitting(parts[0]), parts[1:]) for parts in globs]
        for number, (name, seen) in enumerate(listed):
            if left := {after for fit, after in fits if fit(name)}:
                wanted.append((name, seen, left))
            if number % _IN_A_ROW == _IN_A_ROW - 1:
                await asyncio.sleep(0)
        unsure = [(name, seen) for name, seen, _ in wanted if seen.mode is None or stat.S_ISLNK(seen.mode)]
        if len(unsure) > _LINKS:
            self._say(f"{self._path(prefix.rstrip('/'))} holds more than {_LINKS} links; the rest is left out")
        known = {name: _UNKNOWN for name, _ in unsure[_LINKS:]}
        asked = iter(unsure[:_LINKS])

        async def ask() -> None:
            for one in asked:
                async with self._questions:
                    name, found = await self._known(prefix, *one)
                known[name] = found

        # A task for each of thousands would hold everybody up
        await asyncio.gather(*(ask() for _ in range(min(len(unsure), _QUESTIONS))))
        return [(name, known.get(name, seen), left) for name, seen, left in wanted]

    async def _known(self, prefix: str, name: str, seen: Attributes) -> tuple[str, Attributes]:
        """A name of which it was not told, or only that it is a link, and what it is: of a file what it leads to."""
        link = seen.mode is not None
        try:
            found = await self._sftp.stat(self._path(prefix + name))
        except NoAnswerError as error:
            self._say(str(error))
            return name, _UNKNOWN
        except InputError:
            return name, _UNKNOWN
        return name, _UNKNOWN if link and found.is_folder else found

    def _path(self, path: str) -> str:
        return posixpath.join(self._root, path) if path else self._root


def _fitting(pattern: str) -> Callable[[str], bool]:
    """Whether a name is meant; a leading dot has to be spelled out, as in a shell."""
    if not glob.has_magic(pattern):
        return pattern.__eq__
    match, dotted = re.compile(fnmatch.translate(pattern)).match, pattern.startswith(".")
    return lambda name: (dotted or not name.startswith(".")) and match(name) is not None
