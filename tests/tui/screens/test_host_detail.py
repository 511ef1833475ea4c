"""One host in full: meters, histories, processes and runs; what is not told is never a number."""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType

import pytest

from hosts.connection import Connection, Way
from hosts.host import Accelerators, DiskSeen, GpuDevice, GpuProcess
from monitors.host import HostBody
from monitors.snapshot import Seen
from tests.monitors.runs import AT
from tests.tui.screens.fleet import TTS, FleetDesk, body, busiest, every, failing, fleet, held, look
from tui.app import pressable
from tui.screens.host_cells import GHOST, UNKNOWN, Measure
from tui.screens.host_facts import NOTED, HostFacts
from tui.screens.host_lines import lines
from tui.screens.host_look import WAYS
from tui.screens.host_screen import HostScreen
from tui.screens.host_view import HostView
from tui.screens.hosts_grid import Brush


async def into(at: FleetDesk, name: str) -> HostView:
    """Open a host."""
    at.app.hosts.open_host(name)
    await at.until(lambda: isinstance(at.screen, HostScreen) and at.screen.is_mounted)
    await at.pilot.pause()
    return at.screen.query_one(HostView)


def row(at: FleetDesk, *words: str) -> str:
    """The row that holds all of these."""
    return next(" ".join(text.split()) for text in at.rows if all(word in text for word in words))


async def test_all_of_a_host() -> None:
    async with fleet((120, 50)) as at:
        await into(at, "h20-a")
        assert "up 34 ms seen <5s ago 5.15.0-171-generic, up 13 d 1 h, driver 580.95, CUDA 13.0" in row(at, "up 34 ms")
        assert "rebooted 00:43" in at.shown
        assert "clock 2.1 s behind" in at.shown
        assert "GPU 3: 30.1 GiB ghost memory, no owner" in at.shown
        assert "12.4 11.0 9.0 of 64 cores" in row(at, "load")
        assert "111/503 GiB used" in row(at, " memory ", "GiB used")
        assert "42.0 GB free of 3.80 TB (1 %) nfs4, no events /data/runs" in row(at, "nfs4")
        assert "71/96G" in row(at, "98%")
        assert "384/400W" in row(at, "98%")
        assert "!!!" in row(at, "31/96G"), "memory that nobody owns has its own sign"
        assert "MIG 0 1g.10gb" in at.shown
        assert "4711 69G anna 01:41 tts r3 · tts_wer python -m sglang" in row(at, "4711")
        assert "991 23G bob Sun 01:43 - python train.py --lr 3e-4" in row(at, "991")
        assert "processes unknown on GPU 4" in at.shown
        assert "running tts r3 tts_wer 2/5 /data/runs/tts/_pytest/tts/run2.log" in row(at, "running")


async def test_what_is_not_told_is_no_number() -> None:
    nothing = GpuDevice(0, None, None, None, None, None, processes=(GpuProcess(7, None),))
    seen = body((nothing,), disks=(DiskSeen("/x", None, None),))
    assert seen.load is not None
    load = replace(seen.load, averages=None, cores=None, memory_total=None, memory_available=None)
    async with fleet((120, 40), (look("a", replace(seen, load=load)),)) as at:
        await into(at, "a")
        assert "unknown" in row(at, "load")
        assert "unknown" in row(at, "memory ")
        assert "free: unknown type unknown /x" in row(at, "disk")
        gpu = row(at, "?/?G")
        assert not any(digit in gpu.partition("0")[2] for digit in "0123456789")
        assert row(at, " 7 ").split()[-6:] == ["0", "7", "?", "?", "?", "?"]


async def test_values_of_some_time_ago_say_so() -> None:
    async with fleet((120, 40)) as at:
        await into(at, "h20-b")
        assert "unreachable since 02:29, retry in 8 s seen 14m ago" in row(at, "unreachable")
        assert "connection refused" in at.shown
        assert "71/96G" in at.shown


def test_gpus_that_a_driver_which_fails_told_before_are_muted_and_the_machine_is_not() -> None:
    brush = Brush(Measure.MEMORY, AT, lambda _: "02:42", ascii_only=False)
    found = [line.make() for line in lines(HostFacts.of(look("a", failing(busiest()))), 120, brush)]
    rows = {"".join(text for text, _ in spans): spans for spans in found}
    assert any("▲ GPUs unknown since 02:42: nvml: initialisation failed" in row for row in rows)
    old = [spans for row, spans in rows.items() if "71/96G" in row or "train.py" in row]
    assert len(old) == 2
    assert {style for spans in old for _, style in spans[1:]} <= {"muted", "", "secondary"}
    assert not any(style == "" and text.strip() for spans in old for text, style in spans)
    machine = next(spans for row, spans in rows.items() if row.startswith(" load"))
    assert "primary" in {style for _, style in machine}


async def test_why_a_driver_sees_no_gpu_is_told_once() -> None:
    none = replace(body(()), accelerators=Accelerators((), "none", detail="nvidia-smi: no devices were found"))
    async with fleet((80, 24), (look("a", none),)) as at:
        assert at.rows[1].startswith(" ▲ 1 to note")
        assert " no GPU: nvidia-smi: no devices were found" in at.rows
        await into(at, "a")
        assert at.shown.count("no devices were found") == 1
        assert " no GPU" in at.rows


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lab-gpu", ("auth failed", "never seen", "login refused for anna: no key was taken")),
        ("lab-old", ("key changed", "SHA256:bbbb", "seen 24h ago")),
        ("odd-1", ("GPUs unknown: nvidia-smi: not found",)),
        ("here", ("local", "no GPU", "no run is watched here")),
    ],
)
async def test_hosts_of_other_kinds(name: str, words: tuple[str, ...]) -> None:
    async with fleet((80, 24)) as at:
        await into(at, name)
        shown = " ".join(at.shown.split())
        assert all(word in shown for word in words), at.shown


async def test_the_cursor_goes_over_gpus_processes_and_runs_and_enter_goes_in() -> None:
    async with fleet((80, 24)) as at:
        view = await into(at, "h20-a")
        found = [view.at]
        for _ in range(15):
            await at.press("down")
            found.append(view.at)
        gpus = [f"gpu {index}" for index in range(8)]
        assert list(dict.fromkeys(found)) == [
            *gpus,
            "pid 4711 0",
            "pid 4712 1",
            "pid 991 2",
            *(f"run {watch}" for watch in (TTS.watch, "h20-a:/data/runs/old")),
        ]
        await at.press("enter")
        assert at.app.asked == [("enter", "h20-a:/data/runs/old")]
        await at.press("g")
        assert view.at == "gpu 0"
        assert "up 34 ms" in at.shown
        await at.press("enter")
        assert len(at.app.asked) == 1, "a GPU is nothing to go into"
        await at.press(*["j"] * 8, "enter")
        assert at.app.asked[1:] == [("enter", TTS.watch)], "a process is of its run"
        await at.press("G", "k", "f")
        await at.until(lambda: "follow" in at.rows[-2])
        await at.press("enter")
        await at.until(lambda: at.app.asked[2:] == [("tail", f"h20-a:{TTS.log}")])


async def test_the_cursor_stays_on_its_line_when_others_come_and_go() -> None:
    async with fleet((120, 40)) as at:
        view = await into(at, "h20-a")
        await at.press(*["down"] * 10)
        assert view.at == "pid 991 2"
        fewer = busiest()
        assert fewer.accelerators is not None
        devices = tuple(replace(one, processes=()) if one.index < 2 else one for one in fewer.accelerators.devices)
        fewer = replace(fewer, accelerators=replace(fewer.accelerators, devices=devices))
        at.app.hosts.show_hosts((look("h20-a", fewer),))
        await at.until(lambda: "4711" not in at.shown)
        assert view.at == "pid 991 2"
        at.app.hosts.show_hosts((look("h20-a", body((held(0, 9_000, 1),))),))
        await at.until(lambda: "991" not in at.shown)
        assert view.at == "gpu 0"


async def test_the_next_host_and_back() -> None:
    async with fleet((80, 24)) as at:
        await into(at, "h20-a")
        await at.press("right_curly_bracket")
        assert "h20-b" in at.rows[0]
        await at.press("left_curly_bracket", "left_curly_bracket", "left_curly_bracket")
        assert "cpu-1" in at.rows[0]
        await at.press("r", "escape")
        assert at.app.asked == [("poll", "cpu-1")]
        await at.until(lambda: at.screen is at.app.hosts)
        assert at.view.at == "cpu-1"


async def test_another_host_is_offered_only_where_there_is_one() -> None:
    async with fleet((80, 24), [look("h20-a", busiest())]) as at:
        await into(at, "h20-a")
        assert not {"host.previous", "host.next"} & {one.id for one, _ in pressable(at.screen)}
        await at.show(every())
        assert {"host.previous", "host.next"} <= {one.id for one, _ in pressable(at.screen)}


async def test_a_host_that_is_not_watched_any_more_stays_and_says_so() -> None:
    async with fleet((80, 24)) as at:
        await into(at, "h20-a")
        at.app.hosts.show_hosts(every()[1:])
        await at.until(lambda: "not watched any more" in at.rows[0])
        assert "71/96G" in at.shown
        await at.press("down", "right_curly_bracket", "f", "escape", "escape")
        await at.until(lambda: at.screen is at.app.hosts)


async def test_enter_is_offered_only_where_there_is_a_run() -> None:
    async with fleet((80, 24)) as at:
        await into(at, "here")
        assert "host.open" not in {one.id for one, _ in pressable(at.screen)}
        assert "go in" not in at.rows[-1]


async def test_only_lines_on_screen_are_made() -> None:
    many = tuple(GpuProcess(pid, 10, "u", "python x.py", AT) for pid in range(3_000))
    async with fleet((80, 24), (look("a", body((held(0, 72_000, 9, *many),))),)) as at:
        view = await into(at, "a")
        for key in ("down", "pagedown", "G", "g"):
            built = view.built
            await at.press(key)
            assert view.built - built <= 3 * view.size.height, key


async def test_a_reason_of_many_words_is_folded_and_ends() -> None:
    long = Connection(Way.KEY_CHANGED, AT, None, None, "its host key has changed " + "word " * 400)
    async with fleet((80, 24), (look("a", body(()), long),)) as at:
        await into(at, "a")
        assert sum("word word" in text for text in at.rows) <= 10
        assert "load" in at.shown


async def test_the_command_that_mends_a_changed_key_is_there_to_its_end() -> None:
    said = (
        "its host key has changed: SHA256:Ue3dAMWVjZ3AnuXb1dN2oVwBr0i8dR1o4wz0hVQm1Nk is not the one of line 214 of "
        "/home/operator/.ssh/known_hosts; if that is right, remove the old one: "
        "ssh-keygen -R '[gpu-17.cluster.example.org]:34823' -f /home/operator/.ssh/known_hosts"
    )
    async with fleet((80, 24), (look("a", body(()), Connection(Way.KEY_CHANGED, AT, None, None, said)),)) as at:
        await into(at, "a")
        shown = " ".join(" ".join(at.rows).split())
        assert said.rpartition(": ")[2] in shown


async def test_a_changed_key_is_said_to_be_compared_again() -> None:
    stopped = Connection(Way.KEY_CHANGED, AT - 9, None, AT + 41, "its host key has changed, so nothing was sent")
    async with fleet((80, 24), (look("a", body(()), stopped),)) as at:
        await into(at, "a")
        assert "key changed, compared again in 41 s" in row(at, "compared")
        assert "its host key has changed, so nothing was sent" in at.shown
        at.app.at += 3
        await at.until(lambda: "compared again in 38 s" in at.shown)


async def test_how_long_a_host_is_left_alone_is_told_once() -> None:
    error = "127.0.0.1: retry in 3 s (no login within 20 s)"
    async with fleet((80, 24), (look("a", body(()), Connection(Way.CONNECTING, AT), error=error),)) as at:
        assert "no login within 20 s" in at.shown
        assert "retry in" not in at.shown


async def test_the_largest_process_comes_first_and_its_program_without_its_folder_where_room_is_short() -> None:
    long = GpuProcess(8, 60_000, "anna", "/opt/conda/envs/omni/bin/python -m sglang.launch_server --model x", AT)
    small = GpuProcess(7, 500, "bob", "/bin/x", AT)
    async with fleet((80, 24), (look("a", body((held(0, 72_000, 9, small, long, GpuProcess(9, None)),))),)) as at:
        await into(at, "a")
        assert row(at, "PID") == "GPU PID MEMORY OWNER STARTED COMMAND", "no run is watched there"
        pids = [text.split()[1] for text in at.rows if text.startswith(" 0   ")]
        assert pids[-3:] == ["8", "7", "9"]
        assert "python -m sglang.launch_server" in row(at, "anna")
        assert "/bin/x" in row(at, "bob")
        await at.pilot.resize_terminal(160, 40)
        await at.until(lambda: "/opt/conda/envs/omni/bin/python -m sglang.launch_server --model x" in at.shown)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)], ids=str)
async def test_titles_stand_over_what_they_are_of(size: tuple[int, int]) -> None:
    gpu = replace(held(0, 72_000, 98), name="H20-3e", power=384.0)
    async with fleet(size, (look("a", body((gpu,))),)) as at:
        await into(at, "a")
        head = next(text for text in at.rows if "TEMP" in text)
        below = at.rows[at.rows.index(head) + 1]
        for title, cell in (("MEMORY", "█"), ("TEMP", "70°C"), ("POWER", "384/400W")):
            assert below[head.index(title) :].startswith(cell), title
        if size[0] >= 120:
            assert below[head.index("NAME") :].startswith("H20-3e")
        if size[0] >= 200:
            assert below[head.index("HELD BY") :].startswith("nobody")


async def test_a_host_that_never_answered_has_nothing_but_the_reason() -> None:
    async with fleet((80, 24), (look("lab", body(None), Connection(Way.WAITING, AT - 1), ago=0),)) as at:
        await into(at, "lab")
        assert "GPUs unknown" in at.shown
    never = look("lab", body(None), Connection(Way.WAITING, AT - 1, None, None, "no route"), error="no route")
    assert never.snapshot is not None
    never = replace(never, snapshot=replace(never.snapshot, seen=Seen(None, None), body=HostBody()))
    async with fleet((80, 24), (never,)) as at:
        await into(at, "lab")
        assert "never seen" in at.shown
        assert "no route" in at.shown
        assert [word for word in ("load", "memory", "GPU", "no run") if word in at.shown] == []


def test_the_help_names_every_sign_of_the_screen() -> None:
    assert {NOTED, GHOST, UNKNOWN, *WAYS.values()} <= set(HostView.HELP_SIGNS)


async def test_polling_is_told_of_this_machine_alone() -> None:
    told = "the file system of /data reports no changes"
    async with fleet((80, 24), (look("here", body(()), None, local=True, without_events=told),)) as at:
        await into(at, "here")
        assert told in at.shown
    async with fleet((80, 24), (look("far", body(()), without_events="it is another machine"),)) as at:
        await into(at, "far")
        assert "another machine" not in at.shown


async def test_memory_that_partly_nobody_owns_is_marked_for_that_part() -> None:
    who = GpuProcess(7, 60_000, "anna", "python train.py")
    partly = body((held(0, 80_000, 9, who), held(1, 20_000, 0)), ghosts=MappingProxyType({0: 19_000, 1: 20_000}))
    async with fleet((200, 50), (look("a", partly),)) as at:
        owned, ghost = at.rows[2].partition("‹")[::2]
        assert "!" not in owned, "most of it is owned"
        assert ghost.startswith("!")
        await into(at, "a")
        first, second = (next(text for text in at.rows if text[1:].startswith(f"{gpu}   ")) for gpu in "01")
        assert re.search(r"0   █{6,}!{2,4}░", first)
        assert re.search(r"1   !{2,}░", second)
        assert "anna pid 7 59G python train.py; 19 GiB" in first


async def test_memory_of_a_process_that_is_gone_says_whose_it_was() -> None:
    dead = held(0, 70_000, 0, GpuProcess(8, 60_000, gone=True))
    async with fleet(looks=(look("h", body((dead,))),)) as at:
        assert "held by 59G of pid 8, which is gone" in at.shown
        await at.press("enter")
        await at.until(lambda: "it is gone" in at.shown)
