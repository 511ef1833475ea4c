"""How the way to a host is told in words, and how hosts are sorted, counted and filtered by them."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.connection import Connection, Way
from hosts.host import DiskSeen
from tests.monitors.runs import AT
from tests.tui.screens.fleet import UP, body, eight, every, held, idle, look, many
from tui.screens.host_cells import Measure
from tui.screens.host_facts import ORDERS, HostFacts, is_free, kept, ordered, passing, sums
from tui.screens.host_look import connection_words, milliseconds, retry_in, way_look
from tui.screens.hosts_grid import Brush, short, told_notes

FULL = DiskSeen("/", 0, 940_000_000_000, "ext4")


def clock(when: float) -> str:
    return f"<{when - AT:+.0f}>"


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (None, "local"),
        (UP, "up 34 ms"),
        (replace(UP, rtt=None), "up"),
        (Connection(Way.CONNECTING, AT), "connecting"),
        (Connection(Way.IDLE, AT), "idle"),
        (Connection(Way.STALE, AT - 12.4), "stale 12 s"),
        (Connection(Way.STALE, AT - 0.4), "stale"),
        (Connection(Way.WAITING, AT - 1, None, AT + 7.2, "no route"), "retry in 8 s"),
        (Connection(Way.WAITING, AT - 1, None, AT + 0.1, "no route"), "retry in 1 s"),
        (Connection(Way.WAITING, AT - 1, None, AT, "no route"), "unreachable since <-50>"),
        (Connection(Way.WAITING, AT - 1, None, AT + 60, "no route"), "retry in 60 s"),
        (Connection(Way.WAITING, AT - 1, None, AT + 3608, "our clock was set back"), "unreachable since <-50>"),
        (Connection(Way.WAITING, AT - 1, None, None, "no route"), "unreachable since <-50>"),
        (Connection(Way.WAITING, AT - 1, None, None, "no route", trying=True), "unreachable since <-50>, trying"),
        (Connection(Way.REFUSED, AT, None, None, "login refused for anna: no key"), "auth failed"),
        (Connection(Way.REFUSED, AT, None, None, "its host key is unknown: no line"), "refused"),
        (Connection(Way.REFUSED, AT, None, None, "cannot use the identity file k", ours=True), "not set up"),
        (Connection(Way.KEY_CHANGED, AT, None, None, "its host key has changed"), "key changed"),
    ],
)
def test_a_way_in_words(connection: Connection | None, words: str) -> None:
    assert connection_words(connection, AT, clock, AT - 50) == words


def test_a_host_that_never_answered_is_unreachable_since_it_was_tried() -> None:
    assert connection_words(Connection(Way.WAITING, AT - 3), AT, clock) == "unreachable since <-3>"


@given(st.floats(0, 1e4))
def test_a_round_trip_is_short_and_has_a_unit(seconds: float) -> None:
    told = milliseconds(seconds)
    number, unit = told.split(" ")
    assert unit in ("ms", "s")
    assert float(number) == pytest.approx(seconds * (1000 if unit == "ms" else 1), abs=0.51, rel=0.1)
    assert unit == "s" or float(number) < 1000


@given(st.floats(-100, 60))
def test_a_wait_is_rounded_up_and_never_negative(left: float) -> None:
    whole = retry_in(Connection(Way.WAITING, 0.0, None, 1000.0 + left), 1000.0)
    assert whole == 0 if left <= 0 else left <= whole + 1e-9 < left + 1 + 1e-6


def names(hosts: list[HostFacts]) -> list[str]:
    return [host.name for host in hosts]


def facts() -> list[HostFacts]:
    return list(kept({}, every()).values())


def order(name: str, reverse: bool = False) -> list[str]:
    return names(ordered(facts(), next(one for one in ORDERS if one.name == name), reverse))


def test_names_are_sorted_as_people_count() -> None:
    assert [name for name in order("host") if name.startswith("h100")] == ["h100-1", "h100-2", "h100-10"]
    assert order("host", reverse=True) == order("host")[::-1]


def test_trouble_comes_first_and_the_calm_last() -> None:
    worst = order("state")
    assert worst[:6] == ["lab-old", "lab-gpu", "h20-b", "lab-far", "h100-2", "h20-a"]
    assert set(worst[8:]) == {"here", "h100-1", "h100-10", "cpu-1"}


def test_a_host_that_is_tried_again_is_no_better_while_it_is_tried() -> None:
    dark = look("a", body(eight()), Connection(Way.WAITING, AT), error="gone")
    for now in (Connection(Way.WAITING, AT, trying=True), Connection(Way.CONNECTING, AT)):
        again = HostFacts.of(replace(dark, connection=now))
        assert again.trouble == HostFacts.of(dark).trouble
        assert again.aged(AT)


def test_what_a_host_was_lost_by_is_over_once_the_way_there_is_up() -> None:
    lost = look("a", body(eight()), UP, error="a: no answer to keepalive")
    failing, well = HostFacts.of(lost), HostFacts.of(replace(lost, recovered=True))
    assert told_notes(failing, clock) == ["no answer to keepalive"]
    assert told_notes(well, clock) == []
    assert (failing.sign.word, well.sign.word) == ("up, with something to note", "up")
    assert well.aged(AT), "its values are of before"
    assert [len(passing([one], "keepalive")) for one in (failing, well)] == [1, 0]
    partly = look("a", body(eight()), UP, error=None)
    assert partly.snapshot is not None
    partly = replace(partly, recovered=True, snapshot=replace(partly.snapshot, error="load: cannot be read"))
    assert told_notes(HostFacts.of(partly), clock) == ["load: cannot be read"], "that was seen of the host itself"
    full = replace(lost, snapshot=look("a", body(eight(), disks=(FULL,)), UP, error="a: no answer").snapshot)
    assert HostFacts.of(replace(full, recovered=True)).trouble == 5, "a disk is no emptier for that"
    before = kept({}, [lost])
    assert kept(before, [replace(lost, recovered=True)])["a"].error == ""


@pytest.mark.parametrize(
    ("room", "words"),
    [(31, "unreachable since <-50>, trying"), (30, "unreachable since <-50>"), (13, "unreachable"), (9, "down")],
)
def test_of_a_host_that_is_tried_again_as_much_is_said_as_there_is_room_for(room: int, words: str) -> None:
    tried = look("a", body(eight()), Connection(Way.WAITING, AT, reason="no route", trying=True), ago=50)
    brush = Brush(Measure.MEMORY, AT, clock, ascii_only=False)
    assert short(HostFacts.of(tried), brush, room) == words


def test_what_is_not_known_comes_last_whichever_way_it_is_sorted() -> None:
    unseen = {"lab-far", "lab-gpu", "lab-new"}
    for one in ORDERS[3:8]:
        for reverse in (False, True):
            assert unseen <= set(order(one.name, reverse)[-8:]), one.name
    assert order("load")[0] == "cpu-1"
    assert order("disk")[0] == "h20-a"
    assert order("free")[0] == "h100-10"
    assert "h20-b" not in order("free")[:4], "nobody knows whether they are free still"


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("h100", {"h100-1", "h100-2", "h100-10"}),
        ("H100 STALE", {"h100-2"}),
        ("auth failed", {"lab-gpu"}),
        ("bob", {"h20-a", "h20-b"}),
        ("voices", {"h100-1"}),
        ("nfs4", {"h20-a"}),
        ("ghost", {"h20-a"}),
        ("no route", {"lab-far"}),
        ("no answer", {"h20-b"}),
        ("smi: not found", {"odd-1"}),
        ("h20-3e train.py", {"h20-a", "h20-b"}),
        ("no such thing", set()),
    ],
)
def test_a_filter_looks_everywhere_for_every_word(typed: str, found: set[str]) -> None:
    assert set(names(passing(facts(), typed))) == found


@given(st.text(string.printable, max_size=20))
def test_a_filter_takes_any_text(typed: str) -> None:
    hosts = list(kept({}, many(3)).values())
    assert set(names(passing(hosts, typed))) <= {"node000", "node001", "node002"}


def test_what_was_worked_out_is_kept_with_its_look() -> None:
    looks = many(4)
    before = kept({}, looks)
    after = kept(before, (replace(looks[0]), replace(looks[1], connection=Connection(Way.STALE, AT)), *looks[2:3]))
    assert after["node000"] is before["node000"]
    assert after["node001"] is not before["node001"]
    assert list(after) == ["node000", "node001", "node002"]


def test_the_sums_count_what_is_known() -> None:
    counts = sums(facts())
    assert (counts.hosts, counts.gpus) == (12, 36)
    assert counts.free == 2 + 1 + 1 + 8, "the GPUs of hosts that are dark are not known to be free"
    assert counts.unknown == 1 + 8 + 4
    assert [(way.word, number) for way, number in counts.words] == [
        ("key changed", 1),
        ("auth failed", 1),
        ("unreachable", 2),
        ("stale", 1),
        ("up, with something to note", 2),
    ]


def test_only_what_is_known_to_be_free_is() -> None:
    assert is_free(idle(0))
    assert is_free(replace(idle(0), processes=None)), "then the memory decides"
    assert not is_free(replace(idle(0), memory_used=None))
    assert not is_free(held(0, 2_049, 0))
    assert not is_free(held(0, 4, 3))


def test_a_way_that_is_not_there_is_that_of_this_machine() -> None:
    assert way_look(None).word == "local"
