"""The far end of a stream, without any of the code that is used at the near one."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import InputError
from hosts.local import streaming, watching
from hosts.local.counting import CountWish
from hosts.local.frames import FrameReader, encode_frame
from hosts.local.inotify import Inotify
from hosts.local.lines import BLOCK, ENCODINGS, UTF8, Encoding
from hosts.local.streaming import Streams
from hosts.local.streamwire import FAR, WINDOW, PartReader, Piece, Told

pytestmark = pytest.mark.travels

NONCE = "0123456789abcdef"
NEVER = 3600.0
PATIENCE_MS = 20_000
BEGIN = {"offset": 0, "inode": 0, "fingerprint": "", "fingerprint_size": 0}


class Near:
    """What is at the near end: bytes by stream, and what else was told."""

    def __init__(self, silence: float) -> None:
        far_in, self.sink = os.pipe()
        self.source, self._far_out = os.pipe()
        self._far_in = far_in
        self.streams = Streams(far_in, self._far_out, NONCE, silence)
        self.thread = threading.Thread(target=self.streams.run)
        self.thread.start()
        self._frames = FrameReader(NONCE)
        self._parts: PartReader | None = None
        self.hello: Any = None
        self.data: dict[int, bytearray] = {}
        self.told: list[tuple[int, Any]] = []

    def send(self, body: Any) -> None:
        os.write(self.sink, encode_frame(NONCE, body))

    def follow(self, number: int, path: Path, **more: Any) -> None:
        self.send({"stream": number, "follow": str(path), "at": BEGIN, "last": "", **more})

    def take(self, patience_ms: int = PATIENCE_MS) -> bool:
        """Read once; False where nothing came."""
        poll = select.poll()
        poll.register(self.source, select.POLLIN)
        if not poll.poll(patience_ms):
            return False
        data = os.read(self.source, 1 << 16)
        if self._parts is None:
            found = self._frames.first(data)
            if found is None:
                return True
            self.hello, data, self._parts = found[0].value(), found[1], PartReader()
        for part in self._parts.parts(data):
            if isinstance(part, Piece):
                self.data.setdefault(part.stream, bytearray()).extend(part.data)
            elif isinstance(part, Told):
                self.told.append((part.stream, part.body))
        return True

    def until_data(self, number: int, data: bytes) -> None:
        while bytes(self.data.get(number, b"")) != data:
            assert self.take(), f"it did not come; there is {bytes(self.data.get(number, b''))[-80:]!r}"

    def until_told(self, key: str) -> Any:
        while not any(key in body for _, body in self.told):
            assert self.take(), f"{key} was not told"
        return next(body for _, body in self.told if key in body)

    def until_pong(self) -> None:
        """Ask until there is an answer: none is given while something else is being written."""
        end = time.monotonic() + PATIENCE_MS / 1000
        while not any("pong" in body for _, body in self.told):
            assert time.monotonic() < end, "pong was not told"
            self.send({"id": 0, "verb": "ping"})
            self.take(100)

    def fill(self) -> None:
        """Leave no room in the pipe that parts come through."""
        os.set_blocking(self._far_out, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self._far_out, bytes(1 << 12))
        os.set_blocking(self._far_out, True)

    def close(self) -> None:
        os.close(self.sink)
        while self.thread.is_alive():
            self.take(10)
        for descriptor in (self.source, self._far_in, self._far_out):
            os.close(descriptor)


@contextlib.contextmanager
def session(silence: float = 60.0) -> Iterator[Near]:
    near = Near(silence)
    try:
        yield near
    finally:
        near.close()


@pytest.fixture
def near() -> Iterator[Near]:
    with session() as made:
        yield made


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_files_are_followed_beside_each_other(near: Near, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / str(number)).write_bytes(b"%d\n" % number)
        near.follow(number, tmp_path / str(number))
    for number in (3, 1, 2):
        near.until_data(number, b"%d\n" % number)
        append(tmp_path / str(number), b"more\n")
    for number in (1, 2, 3):
        near.until_data(number, b"%d\nmore\n" % number)
    assert near.hello["hello"]["pid"] == os.getpid()


def test_what_is_reported_is_looked_at_without_a_clock(
    near: Near, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "WATCHED", NEVER)
    path = tmp_path / "log"
    near.follow(1, path)
    assert near.until_told("there") == {"there": False}
    path.write_bytes(b"born\n")
    near.until_data(1, b"born\n")
    append(path, b"grown\n")
    near.until_data(1, b"born\ngrown\n")
    path.rename(tmp_path / "elsewhere")
    append(tmp_path / "elsewhere", b"last of the old\n")
    near.until_data(1, b"born\ngrown\nlast of the old\n")
    append(path, b"new\n")
    near.until_data(1, b"born\ngrown\nlast of the old\nnew\n")
    assert near.until_told("rotated")["rotated"] == "replaced"
    assert not any("gap" in body for _, body in near.told)


@pytest.mark.parametrize("old", [b"old\n", b"an old line\n" * 200], ids=["short", "long"])
def test_a_last_line_and_another_file_that_are_reported_together_both_come(
    near: Near, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes
) -> None:
    """After what was left of the old file, nothing more is reported: the new one is looked at all the same."""
    monkeypatch.setattr(streaming, "WATCHED", NEVER)
    path = tmp_path / "log"
    path.write_bytes(old)
    near.follow(1, path)
    near.until_data(1, old)
    while not near.streams._followed[1]._watched.told:
        time.sleep(0.001)
    append(path, b"more\n")
    near.until_data(1, old + b"more\n")
    inotify, gate = near.streams._watches.inotify, threading.Event()
    assert inotify is not None
    events = inotify.events
    monkeypatch.setattr(inotify, "events", lambda: events() if gate.wait(20) else [])
    append(path, b"last\n")
    path.rename(tmp_path / "log.1")
    append(path, b"new\n")
    gate.set()
    near.until_data(1, old + b"more\nlast\nnew\n")


def test_a_number_that_stays_free_holds_the_next_file_up_for_no_longer_than_that(
    near: Near, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "WATCHED", NEVER)
    path = tmp_path / "log"
    old = b"an old line\n" * 200
    path.write_bytes(old)
    near.follow(1, path)
    near.until_data(1, old)
    while not near.streams._followed[1]._watched.told:
        time.sleep(0.001)
    path.rename(tmp_path / "log.5")
    append(path, b"new\n")
    near.until_data(1, old + b"new\n")


def test_that_a_file_is_far_ahead_is_told(near: Near, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(FAR + 2 * BLOCK))
    near.follow(1, path)
    assert near.until_told("ahead") == {"there": True, "ahead": FAR + BLOCK}
    near.send({"stream": 1, "stop": True})
    while near.streams._followed:
        near.take(10)


def test_a_file_of_an_unwatched_instant_is_not_missed(
    near: Near, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens between a look that found nothing and the watch that begins after it."""
    monkeypatch.setattr(streaming, "WATCHED", NEVER)
    path = tmp_path / "log"
    path.write_bytes(b"")
    real = watching.Watched.renew

    def late(self: watching.Watched, inode: int) -> bool:
        append(path, b"between\n") if path.stat().st_size == 0 else None
        return real(self, inode)

    monkeypatch.setattr(watching.Watched, "renew", late)
    near.follow(1, path)
    near.until_data(1, b"between\n")


def test_without_inotify_it_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def used_up(_self: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(streaming, "WATCHED", NEVER)
    monkeypatch.setattr(Inotify, "__init__", used_up)
    path = tmp_path / "log"
    with session() as near:
        near.follow(1, path)
        assert near.until_told("there") == {"there": False}
        expected = b""
        for number in range(5):
            append(path, b"%d\n" % number)
            expected += b"%d\n" % number
            near.until_data(1, expected)


def test_no_more_is_sent_than_there_is_room_for(near: Near, tmp_path: Path) -> None:
    content = os.urandom(3 * WINDOW)
    (tmp_path / "log").write_bytes(content)
    (tmp_path / "other").write_bytes(b"other\n")
    near.follow(1, tmp_path / "log")
    near.until_data(1, content[:WINDOW])
    near.follow(2, tmp_path / "other")
    near.until_data(2, b"other\n")  # which a full window of another does not hold up
    near.send({"stream": 1, "taken": 1000})
    near.until_data(1, content[: WINDOW + 1000])
    near.send({"stream": 1, "taken": WINDOW})
    near.until_data(1, content[: 2 * WINDOW + 1000])
    near.until_pong()
    assert len(near.data[1]) == 2 * WINDOW + 1000
    near.send({"stream": 1, "taken": WINDOW})
    near.until_data(1, content)


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=lambda one: one.name)
def test_lines_are_counted(near: Near, tmp_path: Path, encoding: Encoding) -> None:
    path = tmp_path / "log"
    text = "".join(f"{number} a line\n" for number in range(300_000)) + "no end"
    path.write_bytes(text.encode(encoding.name))
    size = path.stat().st_size
    for number, (first, low) in enumerate(((0, 0), (BLOCK + 10, BLOCK + 10), (0, 2 * BLOCK + 7))):
        wish = CountWish(str(path), path.stat().st_ino, first, low, size, encoding)
        near.send({"stream": number, **wish.to_json()})
        near.until_told("counted")
        found = [tuple(one) for stream, body in near.told if stream == number for one in body.get("counts", [])]
        assert found == wish.checked([list(one) for one in found])
        assert [block for block, _, _ in found] == list(range(low // BLOCK, -(-size // BLOCK)))
        data = path.read_bytes()
        for block, upto, newlines in found:
            begin = max(first, block * BLOCK)
            assert newlines == data[begin:upto].decode(encoding.name).count("\n")
        near.told.clear()


def test_of_another_file_no_line_is_counted(near: Near, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    for name, inode in ((path, path.stat().st_ino + 1), (tmp_path / "none", 1), (tmp_path, tmp_path.stat().st_ino)):
        near.send({"stream": 1, **CountWish(str(name), inode, 0, 0, 4, UTF8).to_json()})
        assert str(name) in near.until_told("error")["error"]
        near.told.clear()
    for body in ({"count": str(path)}, {"count": "", "inode": 1, "first": 0, "low": 0, "size": 1, "encoding": "utf-8"}):
        near.send({"stream": 1, **body})
        assert near.until_told("error")
        near.told.clear()


@pytest.mark.parametrize(
    "value",
    [None, [1], [[1, 2]], [[0, BLOCK + 1, 0]], [[0, 0, 0]], [[5, 6 * BLOCK, 0]], [[0, 9, 10]]],
)
def test_counts_that_cannot_be_are_refused(value: Any) -> None:
    with pytest.raises(InputError):
        CountWish("/x", 1, 0, 0, 2 * BLOCK, UTF8).checked(value)


def test_it_goes_on_at_a_position(near: Near, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 3000 + b"rest\n")
    near.follow(1, path, at={**BEGIN, "offset": 3000})
    near.until_data(1, b"rest\n")


def test_what_cannot_be_read_is_told(near: Near, tmp_path: Path) -> None:
    near.follow(1, tmp_path)
    assert "not a regular file" in near.until_told("error")["error"]
    near.send({"stream": 2, "follow": "a\0b", "at": BEGIN, "last": ""})
    while len(near.told) < 2:
        assert near.take()
    assert "bad name" in near.told[1][1]["error"]


def test_a_file_that_is_given_up_gets_no_more(near: Near, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    near.follow(1, path)
    near.until_data(1, b"one\n")
    before = len(os.listdir("/proc/self/fd"))
    near.send({"stream": 1, "stop": True})
    while any(thread.name == "follow 1" for thread in threading.enumerate()):
        near.take(1)
    assert len(os.listdir("/proc/self/fd")) < before
    append(path, b"two\n")
    near.follow(2, path)
    near.until_data(2, b"one\ntwo\n")
    assert bytes(near.data[1]) == b"one\n"


def test_two_that_follow_one_file_are_both_woken(near: Near, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "WATCHED", NEVER)
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    near.follow(1, path)
    near.follow(2, path)
    near.until_data(1, b"one\n")
    near.until_data(2, b"one\n")
    near.send({"stream": 1, "stop": True})
    while any(thread.name == "follow 1" for thread in threading.enumerate()):
        near.take(1)
    append(path, b"two\n")
    near.until_data(2, b"one\ntwo\n")


@pytest.mark.parametrize("end", ["silence", "garbage", "output"])
def test_it_ends_when_the_other_end_does(tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_TICK", 0.01)
    (tmp_path / "log").write_bytes(bytes(WINDOW))  # more than a pipe holds: the writing thread waits
    near = Near(0.2 if end == "silence" else 60.0)
    near.follow(1, tmp_path / "log")
    near.until_told("there")
    if end == "garbage":
        os.write(near.sink, b"GW1 0123456789abcdef 1 nonsense\n")
    if end == "output":
        os.close(near.source)
    near.thread.join(20)
    assert not near.thread.is_alive()
    if end == "output":
        near.source = os.open(os.devnull, os.O_RDONLY)
    near.close()


def test_a_peer_that_takes_nothing_any_more_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pong that waited for room would keep the process from noticing the silence."""
    monkeypatch.setattr(streaming, "_TICK", 0.01)
    near = Near(0.2)
    while not near.hello:
        assert near.take()
    near.fill()
    near.send({"id": 0, "verb": "ping"})
    near.thread.join(20)
    assert not near.thread.is_alive()
    near.close()
