"""One look after another at a log that is a local file: what grew, what was turned over, what took its place.

A file that was opened stays open, so that its end is read whatever becomes of its name. Which file is which is
known by device and inode for as long as it is open, and by its first and last bytes.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from functools import partial

from monitors.logs.local_files import Files, Trouble, key_of, signature_of, trouble_of, unfit
from monitors.logs.local_kept import REWRITES, SURE, Shown, shown_of
from monitors.logs.local_late import Lates
from monitors.logs.local_next import COPIED_OVER, Lacks, Next, came, is_copied_over, is_cut, went
from monitors.logs.local_open import OpenFile
from monitors.logs.local_shelf import Shelf
from monitors.logs.local_siblings import Beside, open_plain
from monitors.logs.record import ShapeRecorder
from monitors.logs.types import CAME_AND_WENT, MarkKind, Place, Status

QUIET = 0.2
"""Seconds without growth after which an old file is taken to be at its end, once there is something in the new."""

PATIENCE = 5.0
"""Seconds after which the new file is turned to although the old one still grows; its late bytes come after."""

_SETTLED = 2.0  # the coarsest clock of a file system: a change before that shows in a file's times
_RETRY = 1.0
_TIDY = 5.0
_TRIES = 3  # looks after which a descriptor that shows less than its path does is not believed
_HOLE = "{:,} bytes that nobody wrote (a hole in the file) are left out"


class Looker:
    """Looks at one path, in one thread.

    Args:
        path: The file.
        record: What is known of it.
        files: The system.
        clock: Seconds that only go forward.
    """

    def __init__(
        self, path: str, record: ShapeRecorder, files: Files, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = path
        self.looks = 0
        self.checks = 0  # looks that had more to do than to see that nothing has changed
        self.shelf = Shelf(record, files, clock)
        self._record = record
        self._files = files
        self._clock = clock
        self._queue: list[Next] = []
        self._lates = Lates(files, self.shelf)
        self._beside = Beside(files, path)
        self._seen: tuple[int, ...] = ()  # what the path was at the last look
        self._held: tuple[int, ...] = ()  # what the live file was
        self._changed = float("-inf")  # when either was another than before
        self._refused: tuple[float, Trouble] | None = None
        self._blind = 0
        self._tidied = float("-inf")
        self.written = 0  # the live file's time of writing then, ns since the epoch
        self._placed = 0  # the newest file's, when it was last seen at the path
        self._coming: OpenFile | None = None  # the newest file, before it is queued
        self._past: tuple[OpenFile, ...] = ()  # what was seen last and cut, until the live file grows
        self._whole = time.time_ns()  # when the live file was last seen to hold all that was seen of it

    def look(self) -> bool:
        """Find out what is new; whether there is more to do at once."""
        self.looks += 1
        now = self._clock()
        found = self._at_path()
        trouble = found if isinstance(found, Trouble) else None
        more = False
        try:
            if now >= self._tidied + _TIDY:
                self._tidied = now
                self.shelf.tidy()
            if isinstance(found, Trouble) or not self._calm(found, now):
                self.checks += 1
                if isinstance(found, os.stat_result):
                    trouble = self._meet(found, now)
                    self._placed = self._placed if trouble else found.st_mtime_ns
                elif found.absent and self._newest is not None and self._beside.moved():
                    self._queue += self._between(self._newest, None)[0]
                self._follow(now)
                if not self._queue:
                    self._lates.look(now)
            more = (newest := self._newest) is not None and newest.fill()
        except OSError as error:
            trouble = self._broken(error, now)
        self._say(trouble)
        return more

    def read(self, number: int, offset: int, size: int) -> bytes:
        """Bytes of a generation; fewer than `size` only at its end.

        Raises:
            GoneError: They were thrown away.
            OSError: The file cannot be read.
        """
        return self.shelf.read(number, offset, size, self._again)

    def close(self) -> None:
        """Let go of every file."""
        for one in self._queue:
            one.file.close()
        self._queue = []
        self.shelf.close()

    def _again(self) -> None:
        self._changed = self._clock()
        self.look()

    @property
    def turning(self) -> bool:
        """Whether a file waits for its turn, or something is amiss: then it is time that tells."""
        return bool(self._queue) or bool(self._record.shape.detail)

    @property
    def _newest(self) -> OpenFile | None:
        return self._queue[-1].file if self._queue else self.shelf.live

    # What is at the path

    def _at_path(self) -> os.stat_result | Trouble:
        try:
            found = self._files.stat(self.path)
        except OSError as error:
            return trouble_of(error)
        return unfit(found) or found

    def _calm(self, found: os.stat_result, now: float) -> bool:
        """Whether nothing can have changed since the last look, by the file's own times."""
        seen = signature_of(found)
        if seen != self._seen:
            self._seen, self._changed = seen, now
        live = self.shelf.live
        if live is None or live.key != key_of(found) or self._queue or now < self._changed + _SETTLED:
            return False
        shape = self._record.shape
        return not shape.detail and shape.status is Status.LIVE and not self._lates.due(now)

    def _meet(self, found: os.stat_result, now: float) -> Trouble | None:
        """Open what is at the path, unless it is the newest file that is known already."""
        newest = self._newest
        if newest is not None and newest.key == key_of(found):
            hidden = newest is self.shelf.live and self._files.fstat(newest.handle).st_size < found.st_size
            self._blind = self._blind + 1 if hidden else 0
            return self._reopen(newest, now) if self._blind == _TRIES else None
        if self._refused and self._changed < now < self._refused[0] + _RETRY:
            return self._refused[1]
        try:
            file = self._open_first() if newest is None else open_plain(self._files, self.path)
        except OSError as error:
            self._refused = now, trouble_of(error)
            return self._refused[1]
        self._refused = None
        if file is None:
            return None  # it changed between two calls: the next look sees what it is
        if newest is None:
            file.begin()
            self.shelf.begin(file)
            self._opened(file, now, file.first > 0)
        elif newest.key == file.key:
            file.close()
        else:
            first = self._lates.back(file)
            try:
                file.begin()  # before all else: it may be copied and truncated meanwhile
            except OSError:
                self._follow(now)
                raise
            self._coming = file
            try:
                # First what became of the file before: was it emptied too, the files beside it tell more than once
                self._follow(now)
            finally:
                self._coming = None
                new = Next(file, MarkKind.ROTATED, "rotated: another file took the place", first=first)
                self._queue_up(self._newest, new, len(self._queue))
        return None

    def _open_first(self) -> OpenFile | None:
        """Open the file, once what lies beside it is known; while it is refused, its folder is not read each time."""
        if self._refused is not None:
            refused = open_plain(self._files, self.path)
            if refused is None:
                return None
            refused.close()
        self._beside.note()
        return open_plain(self._files, self.path)

    def _queue_up(self, old: OpenFile | None, new: Next, at: int) -> int:
        """Queue a new content, and before it those that came and went since the last look.

        Args:
            old: What holds the content before, None where nothing does.
            new: The content that is there now, as far as it was seen.
            at: Where in the queue.

        Returns:
            How many were queued.
        """
        try:
            queue, complete, new.lacks = self._between(old, new.file)
        except OSError:
            new.file.close()
            raise
        # Where copies are made, what fills a free number in the end may be a content that nobody saw
        new.lost = "" if complete and (new.lacks is None or new.kind is MarkKind.ROTATED) else CAME_AND_WENT
        queue.append(new)
        if old is not None and new.kind is MarkKind.ROTATED and self._files.fstat(old.handle).st_nlink == 0:
            # It was not moved but replaced, perhaps by a copy or by what somebody left of it
            after = queue[0].file
            old.take(self._files.fstat(old.handle).st_size)
            shown = shown_of(self._files, after.handle, after.size, old)
            queue[0].first, queue[0].whole = shown.upto or queue[0].first, shown.whole
            queue[0].text = "rotated: the file before was deleted, another took the place"
        self._queue[at:at] = queue
        return len(queue)

    def _between(self, old: OpenFile | None, new: OpenFile | None) -> tuple[list[Next], bool, Lacks | None]:
        """The contents that came and went between two, whether these are all, and how to know if one lacks."""
        seen = [one for one in (self.shelf.live, *(entry.file for entry in self._queue), new) if one is not None]
        ours = {one.key for one in seen} | self.shelf.keys
        key, written, sure = None, self.written, True
        if old is not None:
            ours.add(old.key)
            status = self._files.fstat(old.handle)
            before = self.shelf.handle(old.number - 1) if status.st_size == status.st_nlink == 0 else None
            if before is not None:  # what is gone held nothing: these came after what was seen before it
                status, sure = self._files.fstat(before), False
            key, written = key_of(status), status.st_mtime_ns
        # What came after it was written after it was moved, however late somebody wrote to it once more
        since, place = min(self._placed, written), None if new is None else new.key
        found, complete, lacks = self._beside.between(key, written, since, place, ours)
        queue, readable = came(found, seen, self._past)
        return queue, complete and sure and readable, partial(self._beside.lacks, key, place) if lacks else None

    # What becomes of the live file

    def _follow(self, now: float) -> None:
        """See what was appended, and turn to the next file when this one is at its end."""
        for index, entry in enumerate(self._queue):
            # What is seen is kept, whatever becomes of the file before its turn
            size = self._files.fstat(entry.file.handle).st_size
            if size < entry.file.size or not entry.file.take(size):
                for before in self._queue[: index + 1]:
                    before.since = float("-inf")  # it is written over: no time to wait for the files before it
        while self.shelf.live is not None:
            live = self.shelf.live
            status = self._files.fstat(live.handle)
            held = signature_of(status)
            if held != self._held:
                self._held, self._changed = held, now
            grown = now < self._changed + _SETTLED and self._grow(live, status, now)
            if self.shelf.live is not live:
                continue
            if (grown and len(self._queue) > 1) or not self._due(live, now):
                return
            # Once more, now that the next file was seen to hold something
            grown = self._grow(live, self._files.fstat(live.handle), now)
            if self.shelf.live is live:
                if grown and now < self._queue[0].since + PATIENCE:
                    return
                self._turn(now)

    def _grow(self, live: OpenFile, status: os.stat_result, now: float) -> bool:
        """See what was appended, and whether anything was."""
        before = live.size
        if before == 0 < status.st_size and self._copied_over(live, status.st_size, now):
            return False
        if status.st_size < before or not live.take(status.st_size):
            self._overwritten(live, now)
            return False
        self._whole, self.written = time.time_ns(), status.st_mtime_ns
        self._record.grow(live.size)
        if live.size == before:
            return False
        live.grew, self._past = now, ()
        if before == 0 < live.first:
            self._record.cut(live.number, live.first, _HOLE.format(live.first), 0)
        return True

    def _due(self, live: OpenFile, now: float) -> bool:
        """Whether the next file may be turned to, as soon as this one is at its end."""
        while self._queue:
            entry = self._queue[0]
            if entry.file.size == 0:
                if len(self._queue) == 1:
                    return False  # whoever writes may not have turned to it yet
                if entry.file.take(self._files.fstat(entry.file.handle).st_size) and entry.file.size:
                    continue  # it was written to before the next took its place
                self._queue.pop(0).file.close()
                self._queue[0].lost = self._queue[0].lost or entry.lost
                self._queue[0].lacks = self._queue[0].lacks or entry.lacks
                continue
            entry.since = min(entry.since, now)
            late = now >= max(live.grew, entry.since) + QUIET or now >= entry.since + PATIENCE
            return late or len(self._queue) > 1
        return False

    def _turn(self, now: float, late: bool = True) -> None:
        """The next file in the queue becomes the live one, and what is added `late` to the one before comes after."""
        entry, live = self._queue.pop(0), self.shelf.live
        assert live is not None
        self._past = self._past if live.size == live.first else (live,) if is_cut(live) else ()
        new = entry.file
        if entry.whole:
            self.shelf.swap(new)
            self._changed = now
            return
        if late and entry.kind is MarkKind.ROTATED:
            self._lates.add(live, now)
        hole = entry.first is None and new.first > 0
        new.first = new.first if entry.first is None else entry.first
        self.shelf.turn(new, entry.kind, entry.text, entry.missing)
        if lost := entry.lost or (CAME_AND_WENT if entry.lacks is not None and entry.lacks() else ""):
            self.shelf.lost(lost)
        self._opened(new, now, hole)

    def _copied_over(self, live: OpenFile, size: int, now: float) -> bool:
        """Whether the file holds what comes after it by now, which is turned to then, once it is queued."""
        if not any(is_copied_over(live, size, one) for one in (self._coming, *(entry.file for entry in self._queue))):
            return False
        if self._queue:
            self.shelf.overwritten(0, None, 0)
            self._queue[0].lost = self._queue[0].lost or COPIED_OVER
            self._turn(now, late=False)
        return True

    def _overwritten(self, live: OpenFile, now: float) -> None:
        """The file does not hold what was seen of it any more."""
        size = self._files.fstat(live.handle).st_size
        shown = shown_of(self._files, live.handle, size, live, sure=1)
        if shown.whole or self._copied_over(live, size, now):
            return  # it was looked at in the middle of a change, or what it held is all that was seen
        again = shown.beginning and self.shelf.leaning >= REWRITES
        shown = Shown() if again else shown
        new = Next(OpenFile(self._files, os.dup(live.handle), live.name), MarkKind.TRUNCATED, "", None)
        new.first = shown.upto or None
        new.text = f"truncated to {size:,} bytes" if size < live.size else "written over"
        new.file.begin()  # first: it may be copied and truncated while the folder is read
        copy = self._beside.copy(live, self._whole)
        copied = 0 if copy is None else self._files.fstat(copy.handle).st_size
        turns = self._queue_up(copy, new, 0)
        if copy is not None:
            self._lates.copied(copy.key)
            new.missing = 0 if copied >= live.size else None
            new.text += f"; {os.path.basename(copy.name)} is a copy of what was before"
        self.shelf.overwritten(shown.upto if shown.beginning else 0, None if copy is None else copy.handle, copied)
        for _ in range(turns):
            self._turn(now)
        if again:
            self.shelf.forget_past("were written over; what is left of them comes once more")

    # What is said

    def _opened(self, file: OpenFile, now: float, hole: bool) -> None:
        """A file became the live one, without the hole that it may begin with."""
        file.grew = self._changed = now
        self._held, self._blind = (), 0
        self._whole, self.written = time.time_ns(), self._files.fstat(file.handle).st_mtime_ns
        if hole:
            self._record.mark(MarkKind.LOST, _HOLE.format(file.first), 0, Place(file.number, file.first))

    def _reopen(self, live: OpenFile, now: float) -> Trouble | None:
        """Go on in a new descriptor where the old one does not serve: a server that began anew, a layer above."""
        file = open_plain(self._files, self.path)
        if file is None:
            return None
        size = self._files.fstat(file.handle).st_size
        known = file.key == live.key or live.size >= SURE
        if known and size >= live.size and live.same_in(file.handle, live.size):
            self.shelf.swap(file)
            self._changed = now
        else:
            file.begin()
            self.shelf.overwritten(0, None, 0)
            self.shelf.turn(file, MarkKind.REPLACED, "replaced: the end of the file before is not known", None)
            self._opened(file, now, file.first > 0)
        return None

    def _broken(self, error: OSError, now: float) -> Trouble:
        trouble, live = trouble_of(error), self.shelf.live
        if error.errno == errno.ESTALE and live is not None and not self._queue:
            try:
                return self._reopen(live, now) or trouble
            except OSError as another:
                return trouble_of(another)
        return trouble

    def _say(self, trouble: Trouble | None) -> None:
        live = self.shelf.live
        if trouble is not None and (live is None or not trouble.absent):
            self._record.status(trouble.status, trouble.detail)
        elif live is None:
            self._record.status(Status.WAITING, "no such file yet")
        elif trouble is None and not self._queue:
            self._record.status(Status.LIVE)
        else:
            until = "there is a new one" if trouble is not None else "the new one holds anything"
            self._record.status(Status.LIVE, f"the file is {went(live)}; it is read on until {until}")
