from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.connection import Connection, Way
from hosts.connects import Connects
from hosts.errors import InputError, UnreachableError
from hosts.standing import Clock, KeyChangedError, LoginRefusedError, MendableError, Standing, marks_of, right_keys


class Times:
    """Two clocks that are moved by hand."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_000_000.0, 50.0
        self.clock = Clock(lambda: self.wall, lambda: self.steady)

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


class Highest(random.Random):
    """Draws the longest wait that may be drawn."""

    def uniform(self, a: float, b: float) -> float:
        return b


def make(chance: random.Random | None = None) -> tuple[Standing, Times]:
    times = Times()
    return Standing("box", chance or Highest(), times.clock), times


def test_the_wait_doubles_up_to_a_minute_and_says_why() -> None:
    standing, times = make()
    waits = []
    for _ in range(9):
        standing.check()
        standing.connecting()
        standing.failed(UnreachableError("box: connection refused"))
        now = standing.now
        assert (now.way, now.reason) == (Way.WAITING, "connection refused")
        assert now.retry_at is not None
        waits.append(now.retry_at - times.wall)
        with pytest.raises(UnreachableError, match=rf"^box: retry in {waits[-1]:.0f} s \(connection refused\)$"):
            standing.check()
        times.go(waits[-1])
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@given(st.integers(0, 1 << 32), st.integers(1, 40))
def test_a_wait_is_drawn_from_all_of_its_range(seed: int, failures: int) -> None:
    standing, times = make(random.Random(seed))
    for _ in range(failures):
        standing.failed(UnreachableError("x"))
    assert standing.now.retry_at is not None
    assert 0 <= standing.now.retry_at - times.wall <= min(60, 2 ** (failures - 1))


def test_hosts_that_failed_together_do_not_come_back_together() -> None:
    chance = random.Random(4)
    waits = set()
    for _ in range(50):
        standing, _times = make(chance)
        for _again in range(5):
            standing.failed(UnreachableError("x"))
        waits.add(standing.now.retry_at)
    assert len(waits) == 50


def test_a_connection_that_held_forgives_what_was_before() -> None:
    standing, times = make()
    for _ in range(5):
        standing.failed(UnreachableError("x"))
    standing.up()
    times.go(59)
    standing.lost("reset")
    assert standing.now.retry_at == times.wall + 16
    times.go(60)
    standing.up()
    times.go(60)
    standing.lost("reset")
    assert standing.now == Connection(Way.WAITING, times.wall, None, times.wall, "reset")
    standing.check()  # the first loss is tried at once


def test_a_host_that_flaps_is_left_alone_for_longer_each_time() -> None:
    standing, times = make()
    waits = []
    for _ in range(5):
        standing.up()
        times.go(1)
        standing.lost("reset")
        assert standing.now.retry_at is not None
        waits.append(standing.now.retry_at - times.wall)
    assert waits == [0, 1, 2, 4, 8]


def test_a_refused_login_is_tried_once_a_minute_and_whenever_a_person_asks() -> None:
    standing, times = make()
    standing.failed(LoginRefusedError("box: login refused: no"))
    assert standing.now == Connection(Way.REFUSED, times.wall, None, None, "login refused: no")
    times.go(59)
    with pytest.raises(UnreachableError, match=r"^box: retry in 1 s \(login refused: no\)$"):
        standing.check()
    times.go(1)
    standing.check()
    standing.failed(LoginRefusedError("box: login refused: no"))
    standing.pardon()
    standing.check()


def test_a_changed_key_is_compared_once_a_minute_and_shown_as_such_meanwhile() -> None:
    standing, times = make()
    began = times.wall
    for error in (KeyChangedError("box: its host key has changed"), UnreachableError("box: connection refused")):
        standing.failed(error)
        wait = 60 if isinstance(error, KeyChangedError) else 1
        stopped = Connection(Way.KEY_CHANGED, began, None, times.wall + wait, "its host key has changed")
        assert standing.now == stopped
        times.go(wait - 0.5)
        with pytest.raises(KeyChangedError, match=r"^box: its host key has changed$"):
            standing.check()
        times.go(0.5)
        standing.check()
        standing.connecting()
        assert standing.now == stopped, "whether it is the right one now is not known before it was compared"
    standing.up()
    assert standing.now.way is Way.UP


def test_a_key_that_is_right_since_is_told_of_no_more() -> None:
    times, connects = Times(), Connects()
    standing = Standing("box", Highest(), times.clock, connects)
    right_keys(connects).update(["gate", "box"])
    standing.failed(KeyChangedError("box: its host key has changed", stop="box"))
    right_keys(connects)["gate"] += 1
    standing.failed(UnreachableError("box: on the way there, gate: connection lost"))
    assert (standing.now.way, standing.now.reason) == (Way.KEY_CHANGED, "its host key has changed")
    right_keys(connects)["box"] += 1
    standing.failed(UnreachableError("box: connection lost"))
    assert (standing.now.way, standing.now.reason) == (Way.WAITING, "connection lost")
    standing.failed(KeyChangedError("box: its host key has changed", stop="box").behind("box: near: it has changed"))
    standing.failed(UnreachableError("box: connection lost"))
    assert (standing.now.way, standing.now.reason) == (Way.KEY_CHANGED, "near: it has changed")
    right_keys(connects)["box"] += 1
    standing.failed(UnreachableError("box: connection lost"))
    assert standing.now.way is Way.WAITING


async def test_a_changed_key_is_told_of_until_the_files_say_otherwise(tmp_path: Path) -> None:
    standing, _times = make()
    known = tmp_path / "known"
    known.write_text("wrong\n")
    marks = await asyncio.to_thread(marks_of, [str(known)])
    standing.failed(KeyChangedError("box: its key", marks, stands=lambda: "wrong" in known.read_text()))
    for lines in ("wrong\nanother host\n", "wrong\nanother host\nand one more\n"):
        known.write_text(lines)
        await standing.look()
        standing.check()
        standing.failed(UnreachableError("box: connection refused"))
        assert (standing.now.way, standing.now.reason) == (Way.KEY_CHANGED, "its key")
        with pytest.raises(KeyChangedError):
            standing.check()
    known.write_text("right\n")
    await standing.look()
    standing.check()
    assert (standing.now.way, standing.now.reason) == (Way.IDLE, ""), "nothing of it is known now"
    standing.failed(UnreachableError("box: connection refused"))
    assert (standing.now.way, standing.now.reason) == (Way.WAITING, "connection refused")


def test_a_person_who_asks_sees_a_changed_key_be_compared() -> None:
    standing, _times = make()
    standing.failed(KeyChangedError("box: its host key has changed"))
    standing.pardon()
    standing.check()
    standing.connecting()
    assert standing.now.way is Way.CONNECTING


@pytest.mark.parametrize("kind", [KeyChangedError, LoginRefusedError])
async def test_what_a_file_may_mend_is_tried_once_it_has_changed(kind: type[MendableError], tmp_path: Path) -> None:
    standing, _times = make()
    known = tmp_path / "known"
    for change in (lambda: known.write_text("a"), lambda: known.write_text("ab"), known.unlink):
        marks = await asyncio.to_thread(marks_of, [str(known), str(tmp_path / "no_such")])
        standing.failed(kind("box: its host key", marks))
        await standing.look()
        with pytest.raises(UnreachableError):
            standing.check()
        await asyncio.to_thread(change)
        await standing.look()
        standing.check()


def test_a_missing_file_is_looked_for_at_each_call() -> None:
    standing, times = make()
    standing.failed(InputError("box: there is no known_hosts file"))
    assert standing.now == Connection(Way.REFUSED, times.wall, None, None, "there is no known_hosts file", ours=True)
    standing.check()
    standing.failed(LoginRefusedError("box: login refused: no"))
    assert not standing.now.ours


def test_after_a_sleep_it_is_tried_at_once() -> None:
    standing, times = make()
    for _ in range(8):
        standing.failed(UnreachableError("box: network is unreachable"))
    times.go(2)
    with pytest.raises(UnreachableError, match="retry in 58 s"):
        standing.check()
    times.wall += 3600
    standing.check()
    standing.failed(UnreachableError("box: network is unreachable"))
    with pytest.raises(UnreachableError, match="retry in 60 s"):
        standing.check()


def test_every_change_is_told_and_a_new_round_trip_time_is_none() -> None:
    standing, times = make()
    told: list[Connection] = []
    forget = standing.on_change(told.append)
    standing.connecting()
    standing.up()
    connected = times.wall
    standing.alive(0.03)
    assert standing.now == Connection(Way.UP, connected, 0.03)
    times.go(6.2)
    standing.stale(6.2)
    assert (standing.now.since, standing.now.reason) == (times.wall, "nothing heard for 6 s")
    standing.stale(7)
    standing.alive()
    assert [each.way for each in told] == [Way.CONNECTING, Way.UP, Way.STALE, Way.UP]
    assert (told[-1].since, told[-1].reason) == (connected, "")
    standing.idle()
    forget()
    forget()
    standing.connecting()
    assert told[-1].way is Way.IDLE


def test_a_host_that_asks_for_a_secret_is_away_no_more() -> None:
    standing, times = make()
    standing.failed(UnreachableError("box: no route"))
    standing.connecting()
    standing.asks()
    assert standing.now.way is Way.CONNECTING
    times.go(60)
    standing.failed(UnreachableError("box: connection lost"))
    assert (standing.now.way, standing.now.since) == (Way.WAITING, times.wall), "it answered meanwhile"


def test_a_host_that_is_up_stays_so_where_another_connection_to_it_asks() -> None:
    standing, _ = make()
    standing.up()
    standing.asks()
    assert standing.now.way is Way.UP


def test_a_host_that_is_away_is_so_while_it_is_tried_again() -> None:
    standing, times = make()
    told: list[Connection] = []
    standing.connecting()
    assert standing.now.way is Way.CONNECTING, "nobody knows that it is away"
    standing.up()
    began = times.wall
    standing.lost("no answer to keepalive")
    for why in ("no answer to keepalive", "no login within 20 s"):
        times.go(60)
        standing.check()
        standing.connecting()
        assert standing.now == Connection(Way.WAITING, began, None, None, why, trying=True)
        times.go(20)
        standing.failed(UnreachableError("box: no login within 20 s"))
        assert (standing.now.way, standing.now.since, standing.now.trying) == (Way.WAITING, began, False)
    times.wall += 3600  # we slept, and nobody waits for what that may have been
    standing.check()
    standing.connecting()
    standing.check()
    standing.on_change(told.append)
    standing.up()
    assert told == [Connection(Way.UP, times.wall)]
    standing.idle()
    standing.connecting()
    assert standing.now.way is Way.CONNECTING


def test_a_host_that_was_never_there_is_missed_since_the_first_failure() -> None:
    times = Times()
    standing = Standing("box", random.Random(1), times.clock)
    began = times.wall
    for _ in range(7):
        standing.connecting()
        standing.failed(UnreachableError("box: no route to host"))
        assert (standing.now.way, standing.now.since) == (Way.WAITING, began)
        times.go(900)
    standing.up()
    times.go(100)
    standing.lost("cut")
    assert (standing.now.way, standing.now.since) == (Way.WAITING, times.wall)
