"""Which files a folder or a pattern means on another host, asked for as differences to the look before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hosts.bare import INODE
from hosts.errors import InputError
from hosts.host import Cursor, FileSeen, HostReader, Observation, TreeSeen, TreeWant, Wants
from monitors.logs.choosing import LOG_ENDINGS, NAMED, FileStamp, Looked, rank_in_folder, rank_in_glob
from monitors.logs.looking import looks_like_text

DEADLINE_S = 30.0

_NO_CONTENT = -1
_FUTURE_S = 2.0
_HEAD = 1024


class RemoteLooker:
    """The files of a host, looked at there.

    Args:
        host: Who looks; ours to close.
        root: The folder to begin in.
        parts: What follows, between slashes: names and patterns. None: the files of the folder itself, those that
            look like logs before all others.

    Raises:
        InputError: The pattern is none that a host understands.
    """

    def __init__(self, host: HostReader, root: str, parts: tuple[str, ...] | None = None) -> None:
        if parts is not None and ("**" in parts or ".." in parts):
            raise InputError(f"bad pattern {'/'.join(parts)!r}: on another host it can hold neither '**' nor '..'")
        self._host = host
        self._root = root
        self._rank: Callable[[str], int] = rank_in_folder if parts is None else rank_in_glob
        globs = tuple(f"*{ending}" for ending in LOG_ENDINGS) if parts is None else ("/".join(parts),)
        self._likely = TreeWant(root, globs, _NO_CONTENT)
        self._any = TreeWant(root, ("*",), _NO_CONTENT) if parts is None else None
        self._cursor: Cursor | None = None
        self._known: dict[str, tuple[int, int]] = {}  # by path, the identity
        self._began = False

    def rank(self, path: str) -> int:
        return self._rank(path)

    async def look(self, current: str | None) -> Looked:
        """What is new since the look before.

        Raises:
            UnreachableError: The host does not answer.
        """
        changed: dict[str, FileStamp] = {}
        gone: set[str] = set()
        problem = ""
        try:
            for trees in self._trees(changed, gone):
                problem = await self._see(trees, changed, gone)
        except BaseException:
            self._cursor = None  # what the first of two answers brought would be missing from the next difference
            raise
        # Before the first look nothing is known to be older
        born = {path for path, one in changed.items() if self._began and self._known.get(path) != one.identity}
        self._known.update({path: stamp.identity for path, stamp in changed.items()})
        for path in gone:
            self._known.pop(path, None)
        self._began = True
        return Looked(changed, frozenset(born), tuple(gone - changed.keys()), problem)

    async def is_text(self, path: str) -> bool:
        try:
            return looks_like_text((await self._host.read(path, 0, _HEAD)).data)
        except InputError:
            return False

    async def close(self) -> None:
        await self._host.close()

    def _trees(self, changed: dict[str, FileStamp], gone: set[str]) -> Iterator[tuple[TreeWant, ...]]:
        """What to ask for: all files only where none looks like a log, for they may be many."""
        if self._any is None:
            yield (self._likely,)
            return
        both = (self._likely, self._any)
        if not self._began or any(self.rank(path) > 1 for path in self._known):
            yield (self._likely,)
            if any(self.rank(path) > 1 for path in {*self._known, *changed} - gone):
                return
        yield both

    async def _see(self, trees: tuple[TreeWant, ...], changed: dict[str, FileStamp], gone: set[str]) -> str:
        """Ask once, and add what is new; gives the problem with it."""
        seen = await self._host.observe(Wants(trees=trees), self._cursor, DEADLINE_S)
        self._cursor = seen.cursor
        problem = seen.errors.get("trees", "")
        for tree in seen.trees:
            problem = problem or tree.error or ""
            # What cannot be looked at now is not gone
            if tree.files or not tree.error:
                self._take(tree, seen, changed, gone)
        return problem

    def _take(self, tree: TreeSeen, seen: Observation, changed: dict[str, FileStamp], gone: set[str]) -> None:
        files = {self._path(name): file for name, file in tree.files.items()}
        # Nothing is read, so an error is about what it is: a folder's link, a pipe, a device
        present = {
            path: _stamp(path, file, seen.at) for path, file in files.items() if file.error is None and self.rank(path)
        }
        absent = {*map(self._path, tree.gone), *(files.keys() - present.keys())}
        if tree.full:
            mine = {path for path in self._known if tree.want == self._any or self.rank(path) > 1}
            absent |= mine - present.keys()
        gone |= absent & self._known.keys()
        changed.update(present)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def _stamp(path: str, file: FileSeen, at: float) -> FileStamp:
    # A time in the future would stand before all others for as long as it is one
    mtime = file.mtime_ns if file.mtime_ns <= (at + _FUTURE_S) * 1e9 else 0
    # Where nobody tells inodes, all files would be other names of one
    identity = (0, file.inode) if file.inode != INODE else (NAMED, hash(path))
    return FileStamp(file.size, mtime, identity)
