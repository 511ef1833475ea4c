"""Who is to be woken when a file may have changed: the watches that several followed files share.

A user has few inotify instances, so a process has one; where there is none to be had, or the file system reports
nothing, whoever follows has to look by himself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from hosts.local.inotify import FILE, FOLDER, OVERFLOW, Event, Inotify
from hosts.local.mounts import file_system, has_events

Wake = Callable[[], None]


class Watches:
    """The watches of one process.

    Attributes:
        inotify: The instance, or None where there is none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asleep: dict[int, dict[Wake, bytes]] = {}  # by watch: whom to wake, and for which name in it
        self.inotify: Inotify | None
        try:
            self.inotify = Inotify()
        except OSError:
            self.inotify = None

    def add(self, path: str, wake: Wake) -> int | None:
        """Wake when the file at a path changes; None where that is not reported."""
        return self._add(path, FILE, wake, b"")

    def add_folder(self, folder: str, name: str, wake: Wake) -> int | None:
        """Wake when a name in a folder comes to mean another file; None where that is not reported."""
        return self._add(folder, FOLDER, wake, os.fsencode(name))

    def remove(self, watch: int, wake: Wake) -> None:
        with self._lock:
            sleepers = self._asleep.get(watch, {})
            sleepers.pop(wake, None)
            if not sleepers and self._asleep.pop(watch, None) is not None and self.inotify is not None:
                self.inotify.remove(watch)

    def tell(self) -> None:
        """Wake all whom the events since the last call concern."""
        if self.inotify is None:
            return
        events = self.inotify.events()
        with self._lock:
            concerned = {wake for event in events for wake in self._concerned(event)}
        for wake in concerned:
            wake()

    def _concerned(self, event: Event) -> list[Wake]:
        if event.mask & OVERFLOW:
            return [wake for sleepers in self._asleep.values() for wake in sleepers]
        sleepers = self._asleep.get(event.watch, {})
        return [wake for wake, name in sleepers.items() if not name or not event.name or name == event.name]

    def _add(self, path: str, mask: int, wake: Wake, name: bytes) -> int | None:
        if self.inotify is None or not has_events(file_system(path)):
            return None
        with self._lock:
            try:
                watch = self.inotify.add(path, mask, folder=mask == FOLDER)
            except OSError:
                return None
            self._asleep.setdefault(watch, {})[wake] = name
            return watch


class Watched:
    """What one followed file is watched by: the file itself, and its folder for other files of its name.

    Attributes:
        told: Whether every change is reported, so that nobody has to look by himself.
    """

    def __init__(self, watches: Watches, path: str, wake: Wake) -> None:
        self.told = False
        self._watches = watches
        self._path = os.path.abspath(os.path.expanduser(path))
        self._wake = wake
        self._files: dict[tuple[int, int], int | None] = {}
        self._folder: tuple[int, int] | None = None
        self._folder_watch: int | None = None

    def renew(self, inode: int) -> bool:
        """Watch what is there now, and still the file of before, whose inode is `inode`.

        Returns:
            Whether something is watched from now on that was not before: what happened to it until now may have been
            missed, so look once more.
        """
        folder, name = os.path.split(self._path)
        there, here = _identity(folder), _identity(self._path)
        new = there != self._folder or (here is not None and here not in self._files)
        if there != self._folder:
            self._drop(self._folder_watch)
            self._folder = there
            self._folder_watch = self._watches.add_folder(folder, name, self._wake) if there is not None else None
        if here is not None and here not in self._files:
            self._files[here] = self._watches.add(self._path, self._wake)
        for known in [known for known in self._files if known != here and known[1] != inode]:
            self._drop(self._files.pop(known))
        # A file that lost its name before it could be watched is held open, and nothing tells of it.
        held = not inode or any(known[1] == inode for known in self._files)
        self.told = held and self._folder_watch is not None and None not in self._files.values()
        return new

    def close(self) -> None:
        for watch in (self._folder_watch, *self._files.values()):
            self._drop(watch)
        self._files, self._folder, self._folder_watch, self.told = {}, None, None, False

    def _drop(self, watch: int | None) -> None:
        if watch is not None:
            self._watches.remove(watch, self._wake)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
