"""The Hosts screen: keys, orders, a filter, a cursor that stays, and no text of others that does anything."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from textual.events import Key

from hosts.connection import Connection, Way
from hosts.host import GpuProcess
from tests.monitors.runs import AT
from tests.tui.logs.corpus import unsafe
from tests.tui.screens.fleet import TTS, UP, FleetDesk, body, busiest, every, failing, fleet, held, idle, look, many
from tests.tui.snapshots import SIZES
from tui.app import pressable
from tui.cells import painted
from tui.logs.askbar import AskBar
from tui.screens.host_look import HostLook
from tui.screens.host_screen import HostScreen
from tui.screens.hosts_view import HostsView

HOSTILE = "\x1b]0;pwned\x07[red]x[/red] \u202eright\u202c e" + "\u0301" * 40 + " 模型 " + "y" * 10_000


def names(at: FleetDesk) -> list[str]:
    return [host.name for host in at.view.hosts]


def cursor(at: FleetDesk) -> tuple[str, int]:
    return at.view.at, at.view.gpu


# Moving.


async def test_arrows_go_from_gpu_to_gpu_and_from_host_to_host() -> None:
    async with fleet() as at:
        assert cursor(at) == ("cpu-1", 0)
        await at.press("down")
        assert cursor(at) == ("h20-a", 0)
        await at.press("right", "l", "left")
        assert cursor(at) == ("h20-a", 1)
        await at.press(*["right"] * 7)
        assert cursor(at) == ("h20-b", 0), "behind the last one is the next host"
        await at.press("h")
        assert cursor(at) == ("h20-a", 7)
        await at.press("down", "down")
        assert cursor(at) == ("h100-1", 3), "it has four"
        await at.press("up", "k", "k", "up", "left")
        assert cursor(at) == ("cpu-1", 0)
        await at.press("G")
        assert cursor(at) == ("odd-1", 0)
        await at.press("down", "right", "pagedown")
        assert cursor(at) == ("odd-1", 0)
        await at.press("pageup", "g")
        assert cursor(at) == ("cpu-1", 0)


async def test_arrows_in_a_grid_of_many_columns() -> None:
    async with fleet((120, 40), many(125)) as at:
        across = at.rows[2].count("●")
        assert across >= 4, "a thousand GPUs are on 120x40"
        assert all(f"node{number:03}" in at.shown for number in range(125))
        await at.press("right", "right", "down")
        assert cursor(at) == (f"node{across:03}", 2)
        await at.press(*["right"] * 6)
        assert cursor(at) == (f"node{across + 1:03}", 0)
        await at.press("up")
        assert cursor(at) == ("node001", 0)
        await at.press("end", "down")
        assert cursor(at) == ("node124", 0)


async def test_the_cursor_stays_on_its_host_when_the_order_changes() -> None:
    async with fleet() as at:
        await at.press("t", "down", "down", "right", "o")
        assert cursor(at) == ("h20-b", 1)
        where = names(at).index("h20-b")
        better = tuple(replace(one, connection=UP) if one.name == "h20-b" else one for one in every())
        better = tuple(
            look("h20-b", body(tuple(idle(i) for i in range(8)))) if one.name == "h20-b" else one for one in better
        )
        await at.show(better)
        await at.until(lambda: names(at).index("h20-b") != where)
        assert cursor(at) == ("h20-b", 1)
        await at.show([one for one in better if one.name != "h20-b"])
        await at.until(lambda: "h20-b" not in names(at))
        assert cursor(at) == (names(at)[0], 0), "it went, and another is the chosen one"


async def test_until_somebody_moves_the_first_is_the_chosen_one() -> None:
    async with fleet() as at:
        await at.press("o")
        assert cursor(at)[0] == names(at)[0] == "lab-old"
        await at.press("O")
        assert cursor(at)[0] == names(at)[0] != "lab-old"


async def test_to_the_next_that_wants_somebody() -> None:
    async with fleet() as at:
        found = []
        for _ in range(8):
            await at.press("e")
            found.append(at.view.at)
        assert found == ["h20-a", "h20-b", "h100-2", "lab-far", "lab-gpu", "lab-old", "odd-1", "h20-a"]
        await at.press("E")
        assert at.view.at == "odd-1"


async def test_a_host_with_more_gpus_than_a_block_has_parts() -> None:
    large = look("big", body(tuple(held(index, 40_000, 50) for index in range(40))))
    async with fleet((80, 24), (*many(40, 4), large)) as at:
        assert cursor(at) == ("big", 0)
        for gpu in (7, 14, 21, 28, 35):
            await at.press(*["right"] * 7)
            assert cursor(at) == ("big", gpu)
        await at.press("up")
        assert cursor(at)[0] == "big"
        await at.press("g", "right")
        parts = [row for row in at.rows if "▄▄▄▄" in row]
        assert sum(row.count("▄") for row in parts) >= 40, "all of them are there"


async def test_clicks_choose_and_open() -> None:
    async with fleet() as at:
        row = next(number for number, text in enumerate(at.rows) if "h20-a" in text)
        where = at.rows[row].index("▆█ ▆▆")
        await at.pilot.click(HostsView, offset=(where + 4, row - 2))
        assert cursor(at) == ("h20-a", 1)
        await at.press("t")
        row = next(number for number, text in enumerate(at.rows) if "h100-1 " in text)
        await at.pilot.click(HostsView, offset=(5, row - 2))
        assert cursor(at)[0] == "h100-1"
        await at.pilot.click(HostsView, offset=(5, row - 2))
        await at.until(lambda: isinstance(at.screen, HostScreen))
        assert isinstance(at.screen, HostScreen)
        assert at.screen.host == "h100-1"


# Orders, filter, views.


async def test_every_column_sorts_and_says_so() -> None:
    async with fleet((200, 50)) as at:
        await at.press("t")
        for title, words in (("STATE", "trouble first"), ("FREE", "most free GPUs first"), ("BUSY/MAX", "busiest")):
            await at.press("o")
            assert any(f"{title}▼" in row for row in at.rows)
            assert words in at.rows[0]
        first = names(at)[0]
        await at.press("O")
        assert any("BUSY/MAX▲" in row for row in at.rows)
        assert "reversed" in at.rows[0]
        assert names(at)[0] != first
        await at.press(*["o"] * 7)
        assert "by name" in at.rows[0]
        assert "reversed" not in at.rows[0]


async def test_a_click_on_a_title_sorts_by_it() -> None:
    async with fleet((200, 24), (*every(), *many(40))) as at:
        await at.press("t", "G")

        async def click(title: str) -> None:
            await at.pilot.click(HostsView, offset=(at.rows[2].index(title) + 1, 0))

        await click("VRAM")
        assert "VRAM▼" in at.rows[2]
        assert "fullest GPUs first" in at.rows[0]
        assert cursor(at) == ("odd-1", 0), "what is hidden behind the titles is not chosen"
        first = names(at)[0]
        await click("VRAM")
        assert "VRAM▲" in at.rows[2]
        assert names(at)[0] != first
        await click("LOAD")
        assert "LOAD▼" in at.rows[2]
        await click("TO NOTE")
        assert "LOAD▼" in at.rows[2], "nothing is sorted by it"
        await at.press("O", "o")
        assert "MEMORY▼" in at.rows[2], "the key goes on from there"


async def test_a_table_of_hosts_without_runs_has_no_column_for_them() -> None:
    async with fleet((120, 40)) as at:
        await at.press("t")
        assert "RUNS" in at.rows[2]
        await at.show([replace(one, runs=()) for one in every()])
        await at.until(lambda: "RUNS" not in at.rows[2])
        assert "TO NOTE" in at.rows[2]
        assert "19%" in next(row for row in at.rows if "h20-a" in row), "the load is told as a share of the cores"


async def test_filtering_while_typing_and_back() -> None:
    async with fleet() as at:
        await at.press("slash", *"h100")
        await at.until(lambda: names(at) == ["h100-1", "h100-2", "h100-10"])
        await at.press("enter")
        assert "only h100: 3" in at.rows[0]
        assert at.app.focused is at.view
        await at.press("slash", *" sta")
        await at.until(lambda: names(at) == ["h100-2"])
        await at.press("escape")
        await at.until(lambda: len(names(at)) == 3)
        await at.press("down", "escape")
        await at.until(lambda: len(names(at)) == 12)
        assert at.screen is at.app.hosts, "the first escape takes the filter away"
        assert cursor(at)[0] == "h100-2", "and the cursor stays"
        await at.press("escape")
        await at.until(lambda: at.screen is not at.app.hosts)


async def test_a_click_into_the_hosts_ends_the_typing() -> None:
    async with fleet() as at:
        for ask in ("slash", "f"):
            await at.press(ask, *"lab")
            await at.until(lambda: at.app.focused is not at.view)
            await at.pilot.click(HostsView, offset=(40, 1))
            await at.until(lambda: at.app.focused is at.view and not at.app.hosts.query_one(AskBar).display)
            assert len(names(at)) == 12, "as Escape does"
            await at.press("escape" if isinstance(at.screen, HostScreen) else "g")


async def test_keys_typed_ahead_of_the_filter_are_not_lost() -> None:
    async with fleet() as at:
        await at.press("slash")
        for key in (*"h100", "enter", "t", "down"):  # all of them before the first is answered
            at.app.post_message(Key(key, key if len(key) == 1 else None))
        await at.until(lambda: at.view.table and cursor(at) == ("h100-2", 0))


async def test_a_filter_that_nothing_passes() -> None:
    async with fleet() as at:
        await at.press("slash", *"nothing here", "enter", "down", "right", "e", "enter", "f", "t", "t", "m")
        assert names(at) == []
        assert "only nothing here: 0" in at.rows[0]
        assert at.screen is at.app.hosts


async def test_cells_show_how_full_or_how_busy() -> None:
    async with fleet((120, 40), many(125)) as at:
        assert "cells: memory" in at.rows[1]
        before = at.rows[2]
        await at.press("m")
        assert "cells: busy" in at.rows[1]
        assert at.rows[2] != before
    async with fleet() as at:
        assert "hosts.measure" not in {one.id for one, _ in pressable(at.screen)}, "there both are shown"


async def test_what_is_asked_for_is_passed_on() -> None:
    async with fleet() as at:
        await at.press("r", "f", *"/var/log/x", "enter", "down", "f", *"/a b", "enter")
        where = [("poll", ""), ("tail", "cpu-1:/var/log/x"), ("tail", "h20-a:/a b")]
        await at.until(lambda: at.app.asked == where)
        await at.press("f", "escape", "f", "enter")
        assert at.app.asked == where, "nothing was typed"
        await at.press("f", *"x.log", "enter")
        await at.until(lambda: "a path begins with /" in at.shown)
        await at.press("home", "slash", "enter")
        await at.until(lambda: at.app.asked[3:] == [("tail", "h20-a:/x.log")])
    async with fleet(looks=(look("here", body(), None, local=True),)) as at:
        await at.press("f", *"/x", "enter")
        await at.until(lambda: at.app.asked == [("tail", "/x")])


# What is told.


async def test_what_the_cursor_is_on_is_told_in_full() -> None:
    async with fleet() as at:
        await at.press("down")
        assert "GPU 0  NVIDIA H20-3e  memory 71/96G  busy 98%  temp 70 °C  power 384/400W" in at.shown
        assert "held by tts r3 · tts_wer (anna, pid 4711, 69G)" in at.shown
        assert "rebooted 00:43; clock 2.1 s behind; /data/runs is nearly" in at.shown
        await at.press("right", "right")
        assert "held by bob pid 991 23G python train.py" in at.shown
        await at.press("right")
        assert "held by 30 GiB ghost memory, no owner" in at.shown
        await at.press("right")
        assert "memory ?/?G  busy ?  temp ?  power ?" in at.shown
        assert "processes unknown" in at.shown
        await at.press("right")
        assert "held by nobody" in at.shown


async def test_a_dark_host_keeps_its_last_values_and_says_of_when_they_are() -> None:
    async with fleet() as at:
        await at.press("down", "down")
        assert "unreachable since 02:29, retry in 8 s  values of 14m ago: conn" in at.shown
        assert "memory 71/96G" in at.shown
        row = next(row for row in at.rows if "h20-b" in row)
        assert "▂▁ ▃·" in row


async def test_a_countdown_counts() -> None:
    never = look("lab-far", None, Connection(Way.WAITING, AT, None, AT + 8, "no route to host"))
    async with fleet(looks=(never,)) as at:
        assert "retry in 8 s" in at.shown
        at.app.at += 5
        await at.until(lambda: "retry in 3 s" in at.shown)
        at.app.at += 5
        await at.until(lambda: "unreachable since 02:43" in at.shown)


async def test_no_host_at_all_says_what_a_host_is() -> None:
    async with fleet(looks=()) as at:
        assert "No host is watched." in at.shown
        await at.press("down", "enter", "t", "f", "e", "m", "slash", "escape")
        assert at.screen is at.app.hosts
        assert [one.id for one, _ in pressable(at.screen) if one.id in ("hosts.open", "hosts.follow")] == []


async def test_a_single_host_without_a_gpu_leaves_room_for_all_of_it() -> None:
    async with fleet((120, 40), (look("here", body(()), None, local=True),)) as at:
        assert "local                    no GPU" in at.rows[2]
        assert at.rows[4].startswith(" ● here  local  load 12.4 of 64")
        assert "111/503 GiB used" in at.shown


async def test_all_is_told_where_there_is_room_for_more() -> None:
    async with fleet((120, 50), (look("h20-a", busiest()),)) as at:
        for words in (
            "12.4 11.0 9.0 of 64 cores",
            "111/503 GiB used",
            "71/96G",
            "MIG 0 1g.10gb",
            "python train.py",
        ):
            assert words in at.shown
        await at.press("slash", "h")
        assert at.rows[-2].startswith("only hosts with h"), "what is typed stands above the keys"


async def test_few_hosts_on_a_small_screen_leave_room_for_the_chosen_one() -> None:
    async with fleet((80, 24), (look("h20-a", busiest()), look("h20-b", body(())))) as at:
        assert at.rows[4] == ""
        assert at.rows[5].startswith(" ▲ h20-a")
        assert "71/96G" in "\n".join(at.rows[9:]), "its GPUs"
        await at.press("slash", "h")
        assert at.rows[-2].startswith("only hosts with h")
        await at.press("escape")
        await at.show([*(look(f"n{number}", body(())) for number in range(15))])
        await at.until(lambda: at.rows[-4].startswith(" ● n"))
        assert "n14" in at.shown


async def test_what_a_host_has_instead_of_gpus_is_not_cut_where_there_is_room() -> None:
    words = ("auth failed", "retry in 8 s", "GPUs unknown", "connecting", "key changed")
    some = tuple(one for one in every() if one.name in ("lab-gpu", "lab-new", "odd-1", "h20-a", "here"))
    far = look("lab-far", None, Connection(Way.WAITING, AT, None, AT + 8, "no route to host"))
    old = replace(look("lab-old", None), connection=next(one for one in every() if one.name == "lab-old").connection)
    long = tuple(replace(one, name=f"gpu-cluster-{one.name}") for one in many(16))
    async with fleet((80, 24), (*some, far, old, *long)) as at:
        assert at.rows[2].count("gpu-clu") == 2, "two hosts a row"
        assert [word for word in words if word not in "\n".join(at.rows[2:16])] == []


async def test_why_the_gpus_are_unknown_is_told_beside_that_they_are() -> None:
    async with fleet((120, 40)) as at:
        told = next(row for row in at.rows if "odd-1" in row)
        assert re.search(r"GPUs unknown +nvidia-smi: not found", told)


async def test_gpus_of_a_driver_that_fails_stay_and_none_of_them_counts_as_free() -> None:
    seen = replace(busiest(), rebooted=None, skew=None)
    some = (look("well", seen), look("fails", failing(seen)))
    async with fleet((120, 40), some) as at:
        assert "16 GPUs" in at.rows[0]
        assert "2 free" in at.rows[0]
        assert "9 unknown" in at.rows[0]
        well, fails = (next(row for row in at.rows if name in row) for name in ("well", "fails"))
        assert "▆█ ▆▆ ▂▁ !·" in fails.replace("‹", " ")
        assert "▆█ ▆▆ ▂▁ !·" in well
        assert re.search(r"2/8 free\?  205/669G\?  GPUs unknown since 02:42: nvml: ini", fails)
        await at.press("t")
        assert re.search(r"fails .* 2/8\? +24/98%\? +205/669G\? ", next(row for row in at.rows if "fails" in row))
        await at.press(*["o"] * 2)
        assert names(at) == ["well", "fails"]


async def test_words_of_many_hosts_are_short_and_no_number_is_cut() -> None:
    words = {"lab-gpu": "no login", "lab-far": "down", "lab-old": "new key", "odd-1": "GPUs ?", "near": "up"}
    near = look("near", None, replace(UP, rtt=200.0))
    some = [one if one.name == "odd-1" else replace(one, snapshot=None) for one in every()]
    small = [replace(one, name=one.name[-5:]) for one in (*some, near) if one.name in words]
    async with fleet((80, 24), (*small, *(replace(one, name=one.name[-5:]) for one in many(50)))) as at:
        for name, told in words.items():
            shown = next(row for row in at.rows if name[-5:] in row).partition(name[-5:])[2]
            assert re.match(rf" +{re.escape(told)}(  |$)", shown), name


async def test_whoever_wants_somebody_is_counted_even_where_there_is_no_room_for_words() -> None:
    async with fleet((80, 24)) as at:
        assert at.rows[1] == " ! 1 key changed  ■ 1 auth failed  ✗ 2 unreachable  ◌ 1 stale  ▲ 2 to note"
        strange = look("odd-2", None, Connection(Way.REFUSED, AT, None, None, "its host key is unknown"))
        await at.show((*every(), strange))
        shorter = " ! 1 key changed  ■ 1 auth failed  ■ 1 refused  ✗ 2 unreachable  ◌ 1 stale  ▲ 2"
        await at.until(lambda: at.rows[1] == shorter)


async def test_more_is_told_where_the_hosts_leave_room() -> None:
    async with fleet((120, 40)) as at:
        await at.press("down")
        assert "MIG 1 2g.20gb" in at.shown
        assert at.view.size.height == at.view.wanted
        await at.pilot.resize_terminal(80, 24)
        await at.until(lambda: "MIG 1" not in at.shown)
        assert "held by tts r3" in at.shown


# Many, and often.


@pytest.mark.parametrize("table", [False, True], ids=["grid", "table"])
async def test_only_rows_on_screen_are_made(table: bool) -> None:
    async with fleet((120, 40), many(500)) as at:
        await at.press(*(["t"] if table else []))
        height = at.view.size.height
        for key in ("down", "pagedown", "G", "o", "g"):
            built = at.view.built
            paints = at.view.paints
            await at.press(key)
            assert at.view.built - built <= height * (at.view.paints - paints), key
        built = at.view.built
        await at.press("down")
        assert 1 <= at.view.built - built <= 2, "a step makes the row that is left and the one that is come to"


async def test_what_comes_in_quickly_is_painted_seldom() -> None:
    looks = many(40)
    async with fleet((120, 40), looks) as at:
        painted_before = at.view.paints
        for number in range(200):
            at.app.hosts.show_hosts((replace(looks[0], connection=replace(UP, rtt=number / 1000)), *looks[1:]))
        await at.until(lambda: at.app.hosts.settled)
        assert at.view.paints - painted_before <= 4
        assert "up 199 ms" in at.shown, "the last one counts"


async def test_feeding_while_a_host_is_open_and_while_one_types() -> None:
    async with fleet() as at:
        await at.press("down", "enter")
        await at.until(lambda: isinstance(at.screen, HostScreen))
        dark = Connection(Way.WAITING, AT, None, AT + 30, "cable pulled")
        at.app.hosts.show_hosts(tuple(replace(one, connection=dark) for one in every()))
        await at.until(lambda: "cable pulled" in at.shown)
        await at.press("escape")
        await at.until(lambda: at.screen is at.app.hosts)
        await at.until(lambda: sum("retry in 30 s" in row for row in at.rows) >= 10)
        await at.press("slash", *"la")
        await at.show(every())
        await at.press("b")
        await at.until(lambda: names(at) == ["lab-far", "lab-gpu", "lab-new", "lab-old"])


async def test_resized_to_nothing_and_back() -> None:
    async with fleet() as at:
        before = at.rows
        await at.pilot.resize_terminal(1, 1)
        await at.press("down", "up", "t", "t", "pagedown", "g")
        await at.pilot.resize_terminal(80, 24)
        await at.until(lambda: at.rows == before)


# What others wrote.


def hostile() -> tuple[HostLook, ...]:
    who = GpuProcess(1, 70_000, HOSTILE, HOSTILE, AT)
    gpu = replace(held(0, 72_700, 98, who), name=HOSTILE)
    seen = busiest()
    assert seen.load is not None
    disks = tuple(replace(disk, path=HOSTILE, file_system=HOSTILE, error=HOSTILE) for disk in seen.disks)
    seen = replace(seen, accelerators=replace(body((gpu,)).accelerators, driver=HOSTILE), disks=disks)  # type: ignore[type-var]
    seen = replace(seen, load=replace(seen.load, hostname=HOSTILE, kernel=HOSTILE))  # type: ignore[type-var]
    run = replace(TTS, title=HOSTILE, stage=HOSTILE, log=HOSTILE)
    told = Connection(Way.REFUSED, AT, None, None, HOSTILE)
    return (
        look(HOSTILE, seen, told, runs=(run,), error=HOSTILE, without_events=HOSTILE),
        look("\x1b[2J", body(None)),
        look("", None),
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("ascii_only", [False, True], ids=["glyphs", "ascii"])
async def test_hostile_text_is_only_ever_text(size: tuple[int, int], ascii_only: bool) -> None:
    async with fleet(size, hostile(), ascii_only=ascii_only) as at:
        shown = []
        for keys in ((), ("down",), ("t",), ("g",), ("G", "enter"), ("G",), ("g",)):
            await at.press(*keys)
            shown.append(at.shown)
            assert unsafe(at.shown, "\n") == set()
            assert max(painted(row) for row in at.rows) <= size[0]
        assert isinstance(at.screen, HostScreen)
        assert any("[red]x[/red]" in text for text in shown)


async def test_in_ascii_nothing_else_is_shown() -> None:
    async with fleet((120, 40), ascii_only=True) as at:
        for keys in (
            (),
            ("t",),
            ("o", "o"),
            ("t", "e"),
            ("enter",),
            ("G",),
            ("escape", "question_mark"),
            ("escape", "slash"),
        ):
            await at.press(*keys)
            assert re.findall(r"[^\x00-\x7f]", at.shown) == [], keys


async def test_while_others_look_on_names_are_covered() -> None:
    async with fleet((120, 40)) as at:
        at.app.keep_private(["h20-a", "anna"])
        await at.press("down", "s")
        await at.until(lambda: "h20-a" not in at.shown)
        assert "anna" not in at.shown
        await at.press("enter")
        await at.until(lambda: isinstance(at.screen, HostScreen))
        assert "h20-a" not in at.shown
        assert "/data/runs" not in at.shown
