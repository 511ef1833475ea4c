"""The files below a folder of a host without a Python, listed by SFTP: names, sizes and times, not what is in them."""

from __future__ import annotations

import asyncio
import fnmatch
import glob
import posixpath
import stat

from hosts.bare_hung import NoAnswerError
from hosts.bare_sftp import Attributes, Sftp
from hosts.errors import InputError
from hosts.host import FileSeen, TreeSeen, TreeWant
from hosts.local.observe import NotThereError
from hosts.local.trees import MAX_FILES

_AT_ONCE = 8
_FOLDERS = 1_000
_TOLD = 3
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

    async def run(self, prefix: str, globs: set[_Parts]) -> None:
        """Look into one folder, and into those below it that the globs lead to."""
        self._folders += 1
        if self._folders > _FOLDERS:
            self._say(f"{self._root}: more than {_FOLDERS} folders; the rest is left out")
            return
        try:
            async with self._turns:
                entries = await self._entries(prefix, {parts[0] for parts in globs})
        except NotThereError:
            return
        except InputError as error:
            self._say(f"cannot list {prefix or self._root}: {error}")
            return
        below: list[tuple[str, set[_Parts]]] = []
        for name, seen in entries:
            left = {parts[1:] for parts in globs if _fits(parts[0], name)}
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

    async def _entries(self, prefix: str, wanted: set[str]) -> list[tuple[str, Attributes]]:
        """What lies there and is wanted; where all names are known the folder is not listed."""
        if any(map(glob.has_magic, wanted)):
            listed = await self._sftp.entries(self._path(prefix))
            listed = [(name, seen) for name, seen in listed if any(_fits(one, name) for one in wanted)]
        else:
            listed = [(name, Attributes(None, None, None)) for name in sorted(wanted)]
        return list(await asyncio.gather(*(self._known(prefix, name, seen) for name, seen in listed)))

    async def _known(self, prefix: str, name: str, seen: Attributes) -> tuple[str, Attributes]:
        """A name and what it is; of a link to a file what it leads to."""
        link = seen.mode is not None and stat.S_ISLNK(seen.mode)
        if seen.mode is not None and not link:
            return name, seen
        try:
            found = await self._sftp.stat(self._path(prefix + name))
        except NoAnswerError as error:
            self._say(str(error))
            return name, Attributes(None, None, None)
        except InputError:
            return name, Attributes(None, None, None)
        return name, Attributes(None, None, None) if link and found.is_folder else found

    def _path(self, path: str) -> str:
        return posixpath.join(self._root, path) if path else self._root


def _fits(pattern: str, name: str) -> bool:
    """Whether a name is meant; a leading dot has to be spelled out, as in a shell."""
    if not glob.has_magic(pattern):
        return pattern == name
    return fnmatch.fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith("."))
