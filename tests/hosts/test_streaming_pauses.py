"""How often the far end of a stream looks at a file, where nobody tells it of changes or there are none."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from hosts.local import streaming, watching
from hosts.local.inotify import Inotify
from hosts.local.streamwire import WINDOW
from tests.hosts.test_streaming import NEVER, PATIENCE_MS, append, session

pytestmark = pytest.mark.travels

OFTEN = 15


class Wake(threading.Event):
    """Notes how long it was waited for, and is waited for in earnest only once that was often enough."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float | None] = []
        self.enough = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout)
        if len(self.asked) < OFTEN:
            return False
        self.enough.set()
        return super().wait(NEVER)


@pytest.fixture
def wake(monkeypatch: pytest.MonkeyPatch) -> Wake:
    """What whoever follows a file waits for."""
    made = Wake()
    init = streaming._Followed.__init__

    def woken_by_it(self: streaming._Followed, *given: Any) -> None:
        init(self, *given)
        self._wake = made

    monkeypatch.setattr(streaming._Followed, "__init__", woken_by_it)
    return made


@pytest.mark.parametrize("reported", [True, False])
def test_a_quiet_file_is_looked_at_no_more_often_than_it_need_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wake: Wake, reported: bool
) -> None:
    if not reported:
        monkeypatch.setattr(watching, "has_events", lambda _kind: False)
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    with session() as near:
        near.follow(1, path)
        assert wake.enough.wait(PATIENCE_MS / 1000)
    fastest, slowest = streaming.FASTEST, streaming.SLOWEST
    ever_slower = [min(fastest * 1.5**turn, slowest) for turn in range(OFTEN)]
    assert wake.asked == pytest.approx([streaming.WATCHED] * OFTEN if reported else ever_slower)


def test_where_there_is_no_room_nothing_is_looked_at(tmp_path: Path, wake: Wake) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(2 * WINDOW))
    with session() as near:
        near.follow(1, path)
        near.until_data(1, bytes(WINDOW))
        assert wake.enough.wait(PATIENCE_MS / 1000)
    assert wake.asked == [None] * OFTEN


def test_where_changes_are_not_reported_it_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "WATCHED", NEVER)
    monkeypatch.setattr(watching, "has_events", lambda _kind: False)
    watched: list[object] = []
    monkeypatch.setattr(Inotify, "add", lambda *given, **_: watched.append(given))
    tried, real = threading.Event(), watching.Watched.renew

    def noted(self: watching.Watched, inode: int) -> bool:
        found = real(self, inode)
        tried.set()
        return found

    monkeypatch.setattr(watching.Watched, "renew", noted)
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    with session() as near:
        near.follow(1, path)
        assert tried.wait(PATIENCE_MS / 1000)
        append(path, b"two\n")
        near.until_data(1, b"one\ntwo\n")
    assert not watched
