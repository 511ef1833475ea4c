"""The far end of a stream: files are followed here, or ranges of them read, and written out as they are.

Each file has a thread of its own, so that one on a dead network mount holds up no other. No more of a file is under
way than the near end has room for; it says how much it has taken (`taken`). The process ends with its input, and
when nothing was heard for a while, since a peer that vanishes without a word closes nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hosts.errors import InputError
from hosts.host import Data, Json, Rotated
from hosts.local.counting import CountWish, counted
from hosts.local.following import BLOCK, Follower, Item, Range
from hosts.local.frames import FrameError, FrameReader, encode_frame
from hosts.local.openfile import OpenFile, glance, look
from hosts.local.streamwire import FAR, MAX_DATA, MAX_RANGE, WINDOW, data_header, event, position_json, position_of
from hosts.local.watching import Watched, Watches

if TYPE_CHECKING:
    from hosts.local.scanbeside import Beside

SILENCE = 60.0
MOST = 256
FASTEST = 0.005
SLOWEST = 0.25
WATCHED = 1.0
"""Seconds between two looks at a file whose changes are reported: not all are (a mapped file, a link's target)."""
_SLOWER = 1.5
_TICK = 5.0
_SHOWN = 4096
_FEW = 2048  # with all that goes along in 4 KiB, which a pipe that has room takes without a wait
_SET_PIPE_SIZE = 1031


def main(nonce: str) -> None:
    """Serve one stream on standard input and output, then end the process."""
    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)  # nobody's print may come between two parts
    with contextlib.suppress(OSError):  # no pipe, or its user has enough of them: then as it is
        fcntl.fcntl(sink, _SET_PIPE_SIZE, MAX_DATA)
    Streams(source, sink, nonce).run()
    os._exit(0)  # a file may hang in the kernel, and its thread must not keep the process


class Streams:
    """One session.

    Args:
        source: Descriptor that requests come from.
        sink: Descriptor that parts go to.
        nonce: What marks the frames of this session.
        silence: Seconds without a byte after which the other end counts as gone; it pings more often than that.
    """

    def __init__(self, source: int, sink: int, nonce: str, silence: float = SILENCE) -> None:
        self._source = source
        self._sink = sink
        self._nonce = nonce
        self._silence = silence
        self._writing = threading.Lock()
        self._room = select.poll()
        self._room.register(sink, select.POLLOUT)
        self._followed: dict[int, _Followed] = {}
        self._counting: set[int] = set()
        self._scans: dict[int, Beside] = {}
        self._watches = Watches()
        self._broken = False

    def run(self) -> None:
        """Until the input ends, stays silent or makes no sense."""
        self.write([encode_frame(self._nonce, {"hello": {"python": sys.version.split()[0], "pid": os.getpid()}})])
        try:
            self._listen()
        finally:
            for followed in list(self._followed.values()):
                followed.stop()
            for scan in list(self._scans.values()):
                scan.stop()

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        """Write all of it in one go; without effect once nobody reads any more."""
        with self._writing:
            self._put(parts)

    def at_once(self, make: Callable[[], Sequence[bytes]]) -> bool:
        """Write a little, at most 4 KiB, if nobody has to be waited for; else nothing is made, and False comes back."""
        if not self._writing.acquire(blocking=False):
            return False
        try:
            if not self._room.poll(0):
                return False
            self._put(make())
        finally:
            self._writing.release()
        return True

    def _put(self, parts: Sequence[bytes | memoryview]) -> None:
        views = [memoryview(part) for part in parts]
        try:
            while views and not self._broken:
                written = os.writev(self._sink, views)
                while views and written >= len(views[0]):
                    written -= len(views.pop(0))
                if written:
                    views[0] = views[0][written:]
        except OSError:
            self._broken = True

    def ended(self, number: int) -> None:
        """A file is followed no more."""
        self._followed.pop(number, None)

    def _listen(self) -> None:
        reader = FrameReader(self._nonce)
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        if self._watches.inotify is not None:
            poll.register(self._watches.inotify.fileno(), select.POLLIN)
        heard = time.monotonic()
        while not self._broken:
            left = heard + self._silence - time.monotonic()
            if left <= 0:
                return
            ready = dict(poll.poll(min(left, _TICK) * 1000))
            if ready.pop(self._source, 0):
                data = os.read(self._source, 1 << 16)
                if not data:
                    return
                heard = time.monotonic()
                try:
                    for request in reader.feed(data):
                        self._take(request)
                except FrameError:
                    return
            if ready:
                self._watches.tell()

    def _take(self, request: Json) -> None:
        if not isinstance(request, dict):
            raise FrameError("a request that is no object")
        number = request.get("stream")
        if not isinstance(number, int):
            return self._pong()
        followed = self._followed.get(number)
        if "follow" in request:
            self._follow(number, request)
        elif "read" in request:
            threading.Thread(target=_read, args=(self, number, request), daemon=True).start()
        elif "count" in request:
            self._counting.add(number)
            threading.Thread(target=self._count, args=(number, request), daemon=True).start()
        elif number in self._counting and "stop" in request:
            self._counting.discard(number)
        elif "scan" in request:
            self._scan(number)
        elif number in self._scans and "stop" in request:
            self._scans.pop(number).stop()
        elif number in self._scans:
            self._scans[number].order(request.get("order"))
        elif followed is not None and "stop" in request:
            followed.stop()
        elif followed is not None:
            taken = request.get("taken")
            followed.taken(taken if isinstance(taken, int) else 0)

    def _follow(self, number: int, request: dict[str, Json]) -> None:
        path, last = request.get("follow"), request.get("last")
        if not isinstance(path, str) or not path or "\0" in path or not isinstance(last, str):
            self.write([event(number, {"error": "a file to follow has a bad name"})])
            return
        if len(self._followed) >= MOST:
            self.write([event(number, {"error": f"more than {MOST} files are followed"})])
            return
        follower = Follower(path, position_of(request.get("at")), bytes.fromhex(last))
        followed = self._followed[number] = _Followed(self, self._watches, number, path, follower)
        threading.Thread(target=followed.run, name=f"follow {number}", daemon=True).start()

    def _count(self, number: int, request: dict[str, Json]) -> None:
        """Answer a request for the newlines of a file, until all are counted or nobody wants to know."""
        try:
            for counts in counted(CountWish.from_json(request)):
                if number not in self._counting or self._broken:
                    return
                if counts:
                    self.write([event(number, {"counts": [list(one) for one in counts]})])
            self.write([event(number, {"counted": True})])
        except InputError as error:
            self.write([event(number, {"error": str(error)[:_SHOWN]})])
        finally:
            self._counting.discard(number)

    def _scan(self, number: int) -> None:
        """Have a scan worker for whoever asks, until that is stopped; its orders come as {"order": …}."""
        from hosts.local.scanbeside import MOST as MOST_SCANS
        from hosts.local.scanbeside import Beside  # its imports take longer than to follow a file

        if len(self._scans) >= MOST_SCANS or number in self._scans:
            self.write([event(number, {"error": f"more than {MOST_SCANS} searches at a time"})])
            return
        scan = self._scans[number] = Beside(self.write, number)
        threading.Thread(target=self._scanned, args=(number, scan), daemon=True).start()

    def _scanned(self, number: int, scan: Beside) -> None:
        try:
            scan.run()
        finally:
            if self._scans.get(number) is scan:
                del self._scans[number]

    def _pong(self) -> None:
        # This thread never waits for whoever reads: it has to notice that nobody does. What is being written
        # meanwhile is a sign of life as good.
        self.at_once(lambda: [event(0, {"pong": True})])


class _Followed:
    """One file, and the thread that follows it.

    A few bytes in a file whose changes are reported are taken by the thread that hears of them: each turn from one
    thread to another costs as much as all the rest.
    """

    def __init__(self, streams: Streams, watches: Watches, number: int, path: str, follower: Follower) -> None:
        self._streams = streams
        self._number = number
        self._follower = follower
        self._file = OpenFile(path)
        self._wake = threading.Event()
        self._watched = Watched(watches, path, self._changed)
        self._room = WINDOW
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._stopped = False
        self._there: bool | None = None
        self._known = follower.position

    def taken(self, size: int) -> None:
        """The near end has room for this many bytes more."""
        with self._lock:
            self._room = min(WINDOW, self._room + max(0, size))
        self._wake.set()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    def run(self) -> None:
        try:
            self._follow()
        except InputError as error:
            self._tell({"error": str(error)[:_SHOWN]})
        except Exception as error:  # noqa: BLE001 - told to whoever follows
            self._tell({"error": f"{type(error).__name__}: {error}"[:_SHOWN]})
        finally:
            self._watched.close()
            with self._looking:
                self._stopped = True
                self._file.close()
            self._streams.ended(self._number)

    def _follow(self) -> None:
        pause = FASTEST
        while not self._stopped:
            self._wake.clear()  # before the look: what happens during it is not missed
            if self._room <= 0:
                self._wake.wait()
                continue
            with self._looking:
                items = look(self._follower, self._file, min(BLOCK, self._room))
                parts = self._parts(items)
                if parts:
                    self._streams.write(parts)
            if items:
                pause = FASTEST
            elif not self._watched.renew(self._follower.position.inode):
                longest = WATCHED if self._watched.told else pause
                self._wake.wait(min(longest, self._follower.wait or longest))
                pause = min(pause * _SLOWER, SLOWEST)

    def _changed(self) -> None:
        """The file may have changed; called by the thread that must not wait."""
        if not self._watched.told or not self._looking.acquire(blocking=False):
            self._wake.set()
            return
        items: list[Item] = []
        before = self._follower.position.inode
        try:
            if not self._stopped and self._room >= _FEW:
                self._streams.at_once(lambda: self._parts(self._glanced(items)))
        except Exception:  # noqa: BLE001 - the other thread meets it too, and tells
            items = []
        finally:
            self._looking.release()
        # A file that was not there before is not watched yet, and what was left of an earlier one is not all there is:
        # the other thread sees to that.
        if not items or not self._follower.at_end or self._follower.position.inode != before:
            self._wake.set()

    def _glanced(self, items: list[Item]) -> list[Item]:
        items += glance(self._follower, self._file, _FEW)
        return items

    def _parts(self, items: list[Item]) -> list[bytes]:
        parts: list[bytes] = []
        there = self._follower.size is not None
        if there != self._there:
            self._there = there
            parts.append(event(self._number, {"there": there}))
        for item in items:
            if isinstance(item, Data):
                parts += self._data_parts(item)
            else:
                self._known = item.position
                kind = "rotated" if isinstance(item, Rotated) else "gap"
                body: dict[str, Json] = {kind: item.why, "at": position_json(item.position)}
                if isinstance(item, Rotated) and not item.whole:
                    body["skipped"] = True
                parts.append(event(self._number, body))
        if self._follower.ahead > FAR:
            parts.append(event(self._number, {"there": there, "ahead": self._follower.ahead}))
        return parts

    def _data_parts(self, item: Data) -> list[bytes]:
        at, known = item.position, self._known
        offset = at.offset - len(item.data)
        parts = [data_header(self._number, offset, len(item.data)), item.data]
        if (at.inode, at.fingerprint, at.fingerprint_size) != (known.inode, known.fingerprint, known.fingerprint_size):
            parts.insert(0, event(self._number, {"at": {**position_json(at), "offset": offset}}))
        self._known = at
        with self._lock:
            self._room -= len(item.data)
        return parts

    def _tell(self, body: dict[str, Json]) -> None:
        self._streams.write([event(self._number, body)])


def _read(streams: Streams, number: int, request: dict[str, Json]) -> None:
    """Answer a request for a range of a file: what the file is, then the bytes."""
    path, offset, size = request.get("read"), request.get("offset"), request.get("size")
    if not isinstance(path, str) or not isinstance(offset, int) or not isinstance(size, int):
        return streams.write([event(number, {"error": "a range to read needs a path, an offset and a size"})])
    if offset < 0 or size < 0 or "\0" in path or not path:
        return streams.write([event(number, {"error": f"cannot read {path!r}: bad offset, size or name"[:_SHOWN]})])
    file = OpenFile(path)
    try:
        chunk = file.read(Range(path, offset, min(size, MAX_RANGE)))
    except InputError as error:
        return streams.write([event(number, {"error": str(error)[:_SHOWN]})])
    finally:
        file.close()
    if chunk is None:
        return streams.write([event(number, {"missing": f"cannot read {path}: not there"[:_SHOWN]})])
    about: dict[str, Json] = {
        "length": len(chunk.data),
        "size": chunk.size,
        "inode": chunk.inode,
        "mtime_ns": chunk.mtime_ns,
        "fingerprint": chunk.fingerprint,
    }
    streams.write([event(number, {"chunk": about})])
    view = memoryview(chunk.data)
    for at in range(0, len(view), MAX_DATA):  # in pieces, so that what is followed comes in between
        piece = view[at : at + MAX_DATA]
        streams.write([data_header(number, offset + at, len(piece)), piece])
