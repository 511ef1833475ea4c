"""Lets a file keep the inode that it was told under when the host is read in another way from then on."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

_MOST = 512


@dataclass(frozen=True)
class Beginning:
    """The sha256 (hex) of the first `size` bytes of a file, which are its first KiB or all of it."""

    fingerprint: str
    size: int


@dataclass(frozen=True)
class _Told:
    bare: bool
    inode: int  # as the way calls it
    told: int
    beginning: Beginning


class Inodes:
    """What each path was last told as.

    SFTP tells no inodes, so a file has another one there than by the helper. Whoever follows it takes another inode for
    another file; it is the same one as long as its beginning is.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Told] = OrderedDict()

    def before(self, path: str, bare: bool) -> Beginning | None:
        """How the file began that was told last, where it was seen in the other way; None where it was not."""
        known = self._known.get(path)
        return known.beginning if known is not None and known.bare != bare else None

    def is_told(self, path: str, inode: int) -> bool:
        """Whether this is what the path was last told as."""
        known = self._known.get(path)
        return known is not None and known.told == inode

    def tell(self, path: str, inode: int, beginning: Beginning, bare: bool, same: bool = False) -> int:
        """What to tell of a file that was just seen.

        Args:
            path: Where.
            inode: As the way in use calls it.
            beginning: How it begins.
            bare: Which way that is.
            same: Whether it is known to be the file of `before`, of which it may hold more by now.
        """
        before = self._known.pop(path, None)
        told = inode
        if before is not None:
            same = before.inode == inode if before.bare == bare else same or before.beginning == beginning
            told = before.told if same else inode
        self._known[path] = _Told(bare, inode, told, beginning)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return told

    def differs(self, path: str, inode: int, bare: bool) -> bool:
        """Whether the way in use may call a file otherwise that was told with this inode."""
        known = self._known.get(path)
        return known is not None and known.told == inode and (known.bare != bare or known.inode != inode)

    def called(self, path: str, inode: int) -> int:
        """What the way in use calls the file that was told with this inode."""
        known = self._known.get(path)
        return known.inode if known is not None and known.told == inode else inode
