"""What a key is about is what the cursor was on when it was pressed, whatever comes in before it is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hosts.connection import Connection, Way
from monitors.snapshot import State
from tests.monitors.runs import AT
from tests.tui.screens.fleet import TTS, FleetDesk, body, busiest, every, failing, fleet, held, idle, look
from tui.keyline import KeyLine
from tui.palette import Palette
from tui.screens.host_cells import Measure
from tui.screens.host_facts import HostFacts
from tui.screens.host_look import HostLook, HostRun
from tui.screens.host_screen import HostScreen
from tui.screens.host_tell import tell
from tui.screens.host_view import HostView
from tui.screens.hosts_grid import Brush

STALE = Connection(Way.STALE, AT - 12, 0.2, None, "nothing heard for 4 s")
DOWN = Connection(Way.WAITING, AT - 8, None, AT + 8, "connection refused")


def three(**changed: Connection) -> list[HostLook]:
    """Hosts that are well, but for the ways to some."""
    hosts = [look(name, body((idle(0),), load=10)) for name in ("aa", "bb", "cc")]
    return [replace(host, connection=changed.get(host.name, host.connection)) for host in hosts]


async def into(at: FleetDesk, name: str) -> HostView:
    """Open a host."""
    at.app.hosts.open_host(name)
    await at.until(lambda: isinstance(at.screen, HostScreen) and at.screen.is_mounted)
    await at.settled()
    return at.screen.query_one(HostView)


def marked(at: FleetDesk) -> list[str]:
    """The rows that the cursor is on."""
    return [" ".join(row[1:].split()) for row in at.rows if row.startswith("▌")]


def gpu(at: FleetDesk) -> str:
    """The GPU that is told of below the hosts."""
    return next(row.split()[1] for row in at.rows if row.startswith(" GPU ") and "memory" in row)


# Following a file.


async def test_a_file_is_followed_on_the_host_that_was_chosen_when_it_was_asked_for() -> None:
    async with fleet(looks=three()) as at:
        await at.press("o", "f")
        await at.type("/var/log/x")
        await at.show(three(bb=DOWN))
        await at.until(lambda: at.view.hosts[0].name == "bb")
        assert at.view.at == "aa", "a host that is asked about is a chosen one"
        await at.press("enter")
        assert at.app.asked == [("tail", "aa:/var/log/x")]


async def test_nor_is_it_followed_elsewhere_when_the_host_leaves_the_filter() -> None:
    async with fleet(looks=three()) as at:
        await at.press("slash", *"up", "enter", "down", "down", "f")
        await at.type("/x.log")
        await at.show(three(cc=STALE))
        await at.until(lambda: [host.name for host in at.view.hosts] == ["aa", "bb"])
        await at.press("enter")
        assert at.app.asked == [("tail", "cc:/x.log")]
        await at.show(three())
        await at.until(lambda: len(at.view.hosts) == 3)
        assert at.view.at == "cc", "nobody moved from it"
        await at.show(three(cc=STALE))
        await at.until(lambda: at.view.at == "aa")
        await at.press("down")
        await at.show(three())
        await at.until(lambda: len(at.view.hosts) == 3)
        assert at.view.at == "bb", "somebody moved"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 12)])
async def test_the_host_that_a_file_is_asked_of_is_named(size: tuple[int, int]) -> None:
    long = "gpu-node-with-a-name-of-many-letters.cluster.example.org"
    async with fleet(size, looks=[look("aa", body()), look(long, body())]) as at:
        await at.press("f")
        await at.until(lambda: at.rows[-2].startswith("follow on aa "))
        await at.press("escape", "down", "f", *"/x.log")
        await at.until(lambda: "/x.log" in at.rows[-2])
        assert at.rows[-2].startswith("follow on gpu")
        assert "org /x.log" in at.rows[-2]
        await at.press("escape", "slash")
        await at.until(lambda: at.rows[-2].startswith("only hosts with "))
    async with fleet(size, looks=three()) as at:
        await into(at, "bb")
        await at.press("f")
        await at.until(lambda: at.rows[-2].startswith("follow on bb "))


async def test_a_host_that_is_asked_about_is_covered_while_others_look_on() -> None:
    async with fleet(looks=every()) as at:
        at.app.keep_private(["h20-a"])
        await at.press("down", "s", "f")
        await at.until(lambda: at.rows[-2].startswith("follow on"))
        await at.settled()
        assert "h20-a" not in at.shown


async def test_what_is_asked_is_about_where_the_cursor_was_then() -> None:
    async with fleet(looks=three()) as at:
        at.view.action_open()
        at.view.go_to("cc")  # before the screen comes to it
        await at.until(lambda: isinstance(at.screen, HostScreen))
        assert isinstance(at.screen, HostScreen)
        assert at.screen.host == "aa"


async def test_a_line_of_a_host_is_gone_into_as_it_was_when_enter_was_pressed() -> None:
    runs = tuple(HostRun(f"aa:/r{number}", f"run {number}", State.RUNNING, "") for number in range(2))
    async with fleet(looks=[look("aa", body(), runs=runs)]) as at:
        view = await into(at, "aa")
        view.action_open()
        view.action_down()
        await at.until(lambda: at.app.asked)
        assert at.app.asked == [("enter", "aa:/r0")]


async def test_a_host_that_is_not_watched_any_more_is_nobodys_neighbour() -> None:
    async with fleet(looks=three()) as at:
        await into(at, "aa")
        at.app.hosts.show_hosts(tuple(host for host in three() if host.name != "bb"))
        await at.press("right_curly_bracket")
        await at.until(lambda: "cc" in at.rows[0])
        await at.press("f", *"/x", "enter")
        assert at.app.asked == [("tail", "cc:/x")]


# From the palette, which hides the cursor.


async def palette(at: FleetDesk, words: str) -> None:
    """Find something in the palette."""
    await at.press("colon")
    await at.until(lambda: isinstance(at.screen, Palette))
    await at.type(words)
    await at.settled()


async def test_the_palette_is_about_the_host_that_was_chosen_when_it_was_opened() -> None:
    async with fleet(looks=three()) as at:
        await at.press("o")
        await palette(at, "all of the chosen")
        at.app.hosts.show_hosts(tuple(three(bb=DOWN)))
        await at.until(lambda: at.view.hosts[0].name == "bb")
        await at.press("enter")
        await at.until(lambda: at.rows[0].startswith(" host aa"))


async def test_nor_is_it_about_another_when_the_host_leaves_the_filter() -> None:
    async with fleet(looks=three()) as at:
        await at.press("slash", *"up", "enter", "down", "down")
        await palette(at, "follow")
        at.app.hosts.show_hosts(tuple(three(cc=STALE)))
        await at.until(lambda: at.view.at == "aa")
        await at.press("enter")
        await at.until(lambda: at.rows[-2].startswith("follow on cc "))
        await at.press("escape")
        for again in ("f", "a click"):  # what is seen, once the palette is gone
            at.app.hosts.show_hosts(tuple(three()))
            await at.until(lambda: at.view.at == "cc")
            await palette(at, "follow")
            at.app.hosts.show_hosts(tuple(three(cc=STALE)))
            await at.until(lambda: at.view.at == "aa")
            await at.press("escape")
            if again == "f":
                await at.press("f")
            else:
                await at.pilot.click(KeyLine, offset=(at.rows[-1].index("follow"), 0))
            await at.until(lambda: at.rows[-2].startswith("follow on aa "))
            await at.press("escape")
            at.view.go_to("aa")
            at.app.hosts.show_hosts(tuple(three()))
            await at.until(lambda: len(at.view.hosts) == 3)
            at.view.go_to("cc")


async def test_the_palette_goes_into_the_line_that_was_chosen_when_it_was_opened() -> None:
    runs = tuple(HostRun(f"aa:/r{number}", f"run {number}", State.RUNNING, "") for number in range(2))
    async with fleet(looks=[look("aa", body(), runs=runs)]) as at:
        view = await into(at, "aa")
        await palette(at, "into the run")
        at.app.hosts.show_hosts((look("aa", body(), runs=runs[1:]),))
        await at.until(lambda: view.at == "run aa:/r1")
        await at.press("enter")
        await at.until(lambda: at.app.asked)
        assert at.app.asked == [("enter", "aa:/r0")]


# A cursor that stays.


async def test_the_cursor_stays_on_its_card_when_another_is_lost() -> None:
    cards = tuple(idle(index) for index in range(8))
    async with fleet(looks=[look("aa", body(cards)), look("bb", body(cards))]) as at:
        await at.press("right", "right", "right")
        assert gpu(at) == "3"
        await at.show([look("aa", body(cards[1:])), look("bb", body(cards))])
        await at.until(lambda: len(at.view.hosts[0].devices) == 7)
        await at.settled()
        assert (gpu(at), at.view.gpu) == ("3", 2)
        counted_anew = tuple(replace(card, index=place) for place, card in enumerate(cards[2:]))
        await at.show([look("aa", body(counted_anew)), look("bb", body(cards))])
        await at.until(lambda: gpu(at) == "1")
        assert at.view.gpu == 1, "it is the same card, whatever its number is now"
        await at.show([look("aa", body((*cards[:3], *cards[4:]))), look("bb", body(cards))])
        await at.until(lambda: len(at.view.hosts[0].devices) == 7)
        await at.settled()
        assert gpu(at) != "3"
        await at.show([look("aa", body(cards)), look("bb", body(cards))])
        await at.until(lambda: gpu(at) == "3", "the one that nobody moved from")


async def test_cards_without_a_uuid_are_known_by_their_numbers() -> None:
    cards = tuple(replace(idle(index), uuid=None) for index in range(8))
    async with fleet(looks=[look("aa", body(cards))]) as at:
        await at.press("right", "right", "right")
        await at.show([look("aa", body(cards[2:]))])
        await at.until(lambda: len(at.view.hosts[0].devices) == 6)
        await at.settled()
        assert gpu(at) == "3"


async def test_a_filter_that_was_typed_finds_a_host_and_one_that_was_not_leaves_the_cursor() -> None:
    async with fleet(looks=every()) as at:
        await at.press("down", "slash", *"h100-10", "escape")
        await at.until(lambda: len(at.view.hosts) == 12)
        assert at.view.at == "h20-a"
        await at.press("slash", *"nothing", "escape")
        await at.until(lambda: len(at.view.hosts) == 12)
        assert at.view.at == "h20-a"
        await at.press("slash", *"h100-10", "enter", "escape")
        await at.until(lambda: len(at.view.hosts) == 12)
        assert at.view.at == "h100-10"


@pytest.mark.parametrize("small", [(80, 24), (80, 12)])
async def test_the_line_of_the_cursor_stays_in_sight_when_the_screen_gets_smaller(small: tuple[int, int]) -> None:
    async with fleet((80, 60)) as at:
        view = await into(at, "h20-a")
        await at.press("end")
        assert view.at.endswith("/old")
        await at.pilot.resize_terminal(*small)
        await at.settled()
        assert ["mmmu r5" in row for row in marked(at)] == [True]
        await at.pilot.resize_terminal(80, 60)
        await at.settled()
        assert "up 34 ms" in at.shown, "and nothing is scrolled away where all has room"


async def test_it_stays_in_sight_when_lines_come_in_above_it() -> None:
    cards = tuple(held(index, 9_000, 1) for index in range(8))
    async with fleet((80, 24), [look("aa", body(cards[:2]), runs=(TTS,))]) as at:
        await into(at, "aa")
        await at.press("end")
        assert ["tts r3" in row for row in marked(at)] == [True]
        at.app.hosts.show_hosts((look("aa", body(cards * 2), runs=(TTS,)),))
        await at.settled()
        assert ["tts r3" in row for row in marked(at)] == [True]


async def test_what_was_scrolled_to_stays() -> None:
    async with fleet((80, 14), [look("aa", busiest())]) as at:
        view = await into(at, "aa")
        first = at.rows[1]
        await at.press("home")
        assert marked(at) == [], "its first line that can be chosen is below"
        at.app.hosts.show_hosts((look("aa", failing(busiest())),))
        await at.settled()
        assert at.rows[1] == first
        await at.pilot.resize_terminal(80, 13)
        await at.settled()
        assert at.rows[1] == first
        assert view.at == "gpu 0"


async def test_enter_on_a_line_that_is_out_of_sight_shows_it_first() -> None:
    disks = body().disks * 20
    async with fleet((80, 24), [look("aa", body(disks=disks), runs=(TTS,))]) as at:
        await into(at, "aa")
        assert marked(at) == []
        await at.press("enter")
        assert at.app.asked == []
        assert ["tts r3" in row for row in marked(at)] == [True]
        await at.press("enter")
        assert at.app.asked == [("enter", TTS.watch)]


# Values of some time ago.


@pytest.mark.parametrize(
    ("seen", "old", "end"),
    [
        (look("aa", busiest(), DOWN, ago=840, error="aa: no answer"), True, "384/400W"),
        (look("aa", failing(busiest())), True, "384/400W  30s ago"),
        (look("aa", busiest()), False, "384/400W"),
    ],
    ids=["dark", "driver", "fresh"],
)
def test_a_gpu_is_told_of_as_its_cell_is_painted(seen: HostLook, old: bool, end: str) -> None:
    brush = Brush(Measure.MEMORY, AT, lambda _when: "03:00", False, ("aa", 0))
    for room in (80, 120):
        _, row, holders = tell(HostFacts.of(seen), 0, room, 3, brush)
        assert holders[1][1] == ("muted" if old else "")
        told = "".join(text for text, _ in row)
        styles = {text.strip(): style for text, style in row}
        values = {styles[text] for text in ("71/96G", "98%", "70 °C", "384/400W")}
        assert values == ({"muted"} if old else {""})
        assert len(told) < room
        assert told.endswith(end if room == 120 else "384/400W")
    unknown = tell(HostFacts.of(seen), 4, 80, 3, brush)[1]
    assert {text.strip(): style for text, style in unknown}["?/?G"] == "warning", "that it is not known is no value"
