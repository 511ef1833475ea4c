from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from textual.screen import ModalScreen, Screen

from hosts.errors import UnreachableError
from hosts.here import LocalReader
from hosts.host import ProcRef, PytestSeen
from monitors.snapshot import State
from tests.tui.screens.runs import RunBench
from tests.tui.screens.two_panes import Panes, panes
from tui import keys
from tui.help import HelpScreen

MINUTE = 60.0


@pytest.fixture
def bench(tmp_path: Path) -> RunBench:
    made = RunBench.make(tmp_path)
    made.begin()
    return made


@pytest.fixture
async def at(bench: RunBench) -> AsyncIterator[Panes]:
    async with panes(bench) as made:
        yield made


def numbered(word: str, count: int = 60) -> bytes:
    return b"".join(b"%s line %d\n" % (word.encode(), number) for number in range(1, count + 1))


async def shows(at: Panes, line: str) -> None:
    await at.until(lambda: line in at.lines, line)


async def test_it_waits_for_pytest_and_opens_the_first_log(at: Panes, bench: RunBench) -> None:
    at.show()
    await at.until(lambda: "waiting for pytest" in at.supervision.title)
    assert any("No pytest has started yet" in row for row in at.rows)
    name = bench.start("mmmu", 1, data=b"collecting\n")
    at.show()
    assert at.supervision.wanted == name  # at once, in the same update
    assert f"{name}  journal, 1 min" in at.supervision.title
    await shows(at, "collecting")
    assert not any("No pytest has started yet" in row for row in at.rows)
    assert not any("run.log" in row for row in at.rows[: at.supervision.region.bottom])


async def test_the_next_log_is_shown_by_itself_and_grows(at: Panes, bench: RunBench) -> None:
    bench.start("mmmu", 1, data=b"first\n")
    at.show()
    await shows(at, "first")
    bench.end("mmmu", 1, outcome="ok")
    at.show()
    assert "waiting for pytest  after _pytest/mmmu/run1.log" in at.supervision.title
    assert at.lines == ["first"]  # its last lines stay until there is another
    name = bench.start("mmmu", 2, ago=0, data=b"second\n")
    at.show()
    assert at.supervision.wanted == name
    await shows(at, "second")
    assert "first" not in at.lines
    bench.log("mmmu", 2, b"and more\n")
    await shows(at, "and more")


async def test_how_it_was_found_is_said(at: Panes, bench: RunBench) -> None:
    name = bench.log("mmmu", 1, b"by hand\n")
    bench.runner = False
    at.show()
    await shows(at, "by hand")
    assert f"{name}  last, under 10 s ago" in at.supervision.title
    other = bench.log("mmsu", 2, b"by another program\n")
    basetemp = f"{bench.root}/_pytest/mmsu/basetemp_run2"
    bench.pytests = (PytestSeen(ProcRef("h", "b", 7, 7, 7), ("python",), "/w", basetemp, None, bench.now - 5 * MINUTE),)
    at.show()
    await shows(at, "by another program")
    assert f"{other}  process, 5 min" in at.supervision.title


async def test_who_reads_further_up_is_not_torn_away(at: Panes, bench: RunBench) -> None:
    bench.start("mmmu", 1, data=numbered("first"))
    at.show()
    await shows(at, "first line 60")
    at.supervision.log_pane.view.focus()
    await at.press("home")
    await shows(at, "first line 1")
    before = at.lines
    name = bench.start("mmmu", 2, data=b"second\n")
    at.show()
    await at.until(lambda: f"next log: {name} - press f or G" in at.supervision.title)
    assert at.supervision.wanted == "_pytest/mmmu/run1.log"
    later = bench.start("mmmu", 3, data=b"third\n")
    at.show()
    await at.settled()
    assert at.lines == before
    assert f"next log: {later}" in at.supervision.title
    await at.press("f")
    await shows(at, "third")
    assert "next log" not in at.supervision.title


@pytest.mark.parametrize("key", ["G", "end"])
async def test_the_end_leads_to_the_next_log(key: str, at: Panes, bench: RunBench) -> None:
    bench.start("mmmu", 1, data=numbered("first"))
    at.show()
    await shows(at, "first line 60")
    at.supervision.log_pane.view.focus()
    await at.press("pageup")
    bench.start("mmmu", 2, data=b"second\n")
    at.show()
    await at.press(key)
    await shows(at, "second")


async def test_what_waits_is_forgotten_when_the_old_one_runs_again(at: Panes, bench: RunBench) -> None:
    bench.start("mmmu", 1, data=numbered("first"))
    at.show()
    await shows(at, "first line 60")
    at.supervision.log_pane.view.focus()
    await at.press("pageup")
    bench.start("mmmu", 2, data=b"second\n")
    at.show()
    assert "next log" in at.supervision.title
    at.supervise("journal", "_pytest/mmmu/run1.log")
    assert "next log" not in at.supervision.title


@pytest.mark.parametrize("key", ["space", "slash", "enter"])
async def test_what_one_is_at_is_not_torn_away(key: str, at: Panes, bench: RunBench) -> None:
    """Painting that was stopped, a line for typing, and a line that is shown whole."""
    bench.start("mmmu", 1, data=numbered("first"))
    at.show()
    await shows(at, "first line 60")
    at.supervision.log_pane.view.focus()
    await at.press(key)
    bench.start("mmmu", 2, data=b"second\n")
    at.show()
    assert at.supervision.wanted == "_pytest/mmmu/run1.log"
    assert "next log" in at.supervision.title


async def test_a_pinned_log_stays_whatever_runs(at: Panes, bench: RunBench) -> None:
    pinned = bench.log("mmmu", 1, b"long ago\n")
    bench.start("mmmu", 2, data=b"now\n")
    at.show()
    await shows(at, "now")
    at.supervision.pin(pinned)
    await shows(at, "long ago")
    assert f"{pinned}  pinned" in at.supervision.title
    assert "live: mmmu run 2 - Esc" in at.supervision.title
    name = bench.start("mmmu", 3, data=b"the next\n")
    at.show()
    await at.settled()
    assert at.lines == ["long ago"]
    at.supervision.pin(None)
    await shows(at, "the next")
    assert f"{name}  journal" in at.supervision.title


async def test_who_reads_further_up_is_taken_to_what_he_pins(at: Panes, bench: RunBench) -> None:
    pinned = bench.log("mmsu", 1, b"pinned\n")
    bench.start("mmmu", 1, data=numbered("first"))
    at.show()
    await shows(at, "first line 60")
    at.supervision.log_pane.view.focus()
    await at.press("home")
    at.supervision.pin(pinned)
    await shows(at, "pinned")


async def test_escape_leaves_a_pinned_log_and_goes_on_to_the_screen(at: Panes, bench: RunBench) -> None:
    left: list[int] = []

    def leave() -> None:
        left.append(1)

    at.app.panes.action_leave_cell = leave  # type: ignore[attr-defined]
    at.app.panes._bindings.bind("escape", "leave_cell")
    bench.start("mmmu", 1, data=numbered("first"))
    pinned = bench.log("mmsu", 1, b"pinned\n")
    at.show()
    at.supervision.pin(pinned)
    await shows(at, "pinned")
    at.supervision.log_pane.view.focus()
    await at.press("enter")
    assert at.supervision.log_pane.detail.is_open
    await at.press("escape")  # closes the whole line, and no more
    await at.until(lambda: not at.supervision.log_pane.detail.is_open)
    at.supervision.log_pane.view.set_current(None)
    assert (left, at.supervision.pinned) == ([], pinned)
    await at.press("ampersand", "x")
    at.supervision.log_pane.view.focus()
    await at.press("escape")  # gives up what was typed, and no more
    assert (at.supervision.log_pane.asking, left, at.supervision.pinned) == (None, [], pinned)
    await at.press("escape")
    assert left == [1]
    await shows(at, "first line 60")
    await at.press("escape")
    assert left == [1, 1]


async def test_a_pin_without_anything_live_leaves_nothing_behind(at: Panes, bench: RunBench) -> None:
    at.show()
    at.supervision.pin(bench.log("mmmu", 1, b"pinned\n"))
    await shows(at, "pinned")
    look = bench.look()
    body = replace(look.snapshot.body, supervision=at.supervise("none", None).snapshot.body.supervision)
    at.show(replace(look, snapshot=replace(look.snapshot, body=body)))
    at.supervision.pin(None)
    await at.until(lambda: "pinned" not in "\n".join(at.rows[: at.supervision.region.bottom]))
    await at.until(lambda: at.supervision.log_pane.model is None)  # and is not read any more
    assert "waiting for pytest" in at.supervision.title


async def test_run_log_is_never_shown(at: Panes, bench: RunBench) -> None:
    (bench.root / "run.log").write_text("START what is the job pane's\n")
    at.supervise("process", "run.log")
    await at.settled()
    assert at.supervision.wanted is None
    assert "waiting for pytest" in at.supervision.title


async def test_a_log_that_cannot_be_opened_says_why_and_is_tried_again(
    at: Panes, bench: RunBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.start("mmmu", 1, data=b"first\n")
    at.show()
    await shows(at, "first")
    path = bench.root / "_pytest/s"
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(path.parent)  # a socket's path may not be long
        server.bind("s")
    at.supervise("journal", "_pytest/s")
    await at.until(lambda: any("cannot open it: is a socket;" in row for row in at.rows))
    assert "first" not in "\n".join(at.rows[: at.supervision.region.bottom])
    path.unlink()
    path.write_bytes(b"a file by now\n")
    bench.now += 60
    at.supervise("journal", "_pytest/s")
    await shows(at, "a file by now")
    assert not any("cannot open it" in row for row in at.rows)


async def test_the_keys_stay_in_the_pane_when_a_log_comes_and_goes(at: Panes, bench: RunBench) -> None:
    at.show()
    await at.until(lambda: "waiting for pytest" in at.supervision.title)
    at.supervision.query_one("#supervision-nothing").focus()
    await at.pilot.pause()
    assert at.supervision.has_focus_within
    bench.start("mmmu", 1, data=b"first\n")
    at.show()
    await shows(at, "first")
    await at.until(lambda: at.app.focused is at.supervision.log_pane.view)


async def test_a_name_is_a_name_and_no_pattern(bench: RunBench) -> None:
    bench.log("unit1", 1, b"of another unit\n")
    async with panes(bench) as at:
        at.supervise("journal", "_pytest/unit[1]/run1.log")  # is not there yet
        await at.until(lambda: at.supervision.opened == 1)
        await at.settled()
        assert at.lines == []
        bench.log("unit[1]", 1, b"of this one\n")
        await shows(at, "of this one")


async def test_silence_is_shown_against_the_usual(at: Panes, bench: RunBench) -> None:
    bench.silent = 0.0
    bench.start("mmmu", 1, data=b"begin\n")
    at.show()
    await at.heard("begin")
    for number in range(4):
        bench.now += 12
        bench.log("mmmu", 1, b"more %d\n" % number)
        await at.heard(f"more {number}")
    look = bench.look()
    at.show(look)
    assert "quiet" not in at.supervision.title
    bench.now += 41
    at.show(look)
    assert "quiet 40 s, usual 12 s" in at.supervision.title
    bench.log("mmmu", 1, b"at last\n")
    await at.until(lambda: "quiet" not in at.supervision.title)


async def test_the_clocks_of_the_host_and_ours_may_differ(at: Panes, bench: RunBench) -> None:
    bench.start("mmmu", 1, ago=120)
    look = bench.look()
    seen = replace(look.snapshot.seen, received=bench.now + 3600)
    bench.now += 3600  # ours is an hour ahead
    at.show(replace(look, snapshot=replace(look.snapshot, seen=seen)))
    assert "journal, 2 min" in at.supervision.title


@pytest.mark.parametrize("name", ["\x1b]0;pwned\x07\x1b[2J[red]x[/]", "right \u202eto left", "漢字" * 40, "x" * 250])
async def test_hostile_names_are_shown_and_do_nothing(name: str, at: Panes, bench: RunBench) -> None:
    bench.log(name, 1, b"\x1b[2J[red]text[/]\n")
    at.supervise("journal", f"_pytest/{name}/run1.log", f"{name} run 1")
    await at.until(lambda: at.lines != [])
    await at.settled()
    assert all(character.isprintable() for row in at.rows for character in row)
    assert len(at.rows) == 30
    assert "\u202e" not in "\n".join(at.rows)
    at.supervision.pin("_pytest/none/run1.log")
    await at.until(lambda: "pinned" in at.supervision.title)


async def test_what_is_covered_costs_nothing(at: Panes, bench: RunBench) -> None:
    bench.start("mmmu", 1, data=numbered("first"))
    at.show()
    await shows(at, "first line 60")
    reader = at.supervision.log_pane.reader
    assert reader is not None
    await at.app.push_screen(HelpScreen(keys.actions("log")))
    await at.pilot.pause()
    assert reader.shown  # it shines through
    await at.app.push_screen(Screen())
    at.show()
    await at.until(lambda: not reader.shown)
    await at.app.pop_screen()
    await at.app.pop_screen()
    await at.until(lambda: reader.shown)
    await at.app.push_screen(Screen())
    await at.until(lambda: not reader.shown)
    loads, reads, painted = reader.loads, at.job.source.reads, at.job.painted
    bench.log("mmmu", 1, numbered("unseen"))
    bench.note("run.resumed")
    at.show()
    model = at.supervision.log_pane.model
    assert model is not None
    await at.until(lambda: model.state.lines == 120)  # it is counted
    assert (reader.loads, at.job.source.reads, at.job.painted) == (loads, reads, painted)
    await at.app.pop_screen()
    await shows(at, "unseen line 60")
    await at.until(lambda: at.job.source.reads > reads)


async def test_a_modal_screen_over_the_panes_does_not_stop_them(at: Panes, bench: RunBench) -> None:
    bench.start("mmmu", 1, data=b"first\n")
    at.show()
    await shows(at, "first")
    await at.app.push_screen(ModalScreen())
    await at.pilot.pause()
    bench.log("mmmu", 1, b"more\n")
    await shows(at, "more")


async def test_a_log_of_another_host_is_read_over_there(bench: RunBench) -> None:
    """Each log has a connection of its own, which goes with it."""
    connected: list[str] = []
    closed: list[str] = []

    class Reader(LocalReader):
        async def close(self) -> None:
            closed.append(self.name)

    async def connect(host: str) -> LocalReader:
        await asyncio.sleep(0)
        connected.append(host)
        return Reader(host)

    async with panes(bench, place=replace(bench.place(), connect=connect)) as at:
        bench.start("mmmu", 1, data=b"far away\n")
        at.show()
        await shows(at, "far away")
        assert connected == ["h20-a"]
        bench.start("mmmu", 2, data=b"the next\n")
        at.show()
        await shows(at, "the next")
        assert (len(connected), len(closed)) == (2, 1)
    assert (len(connected), len(closed)) == (2, 2)


async def test_a_host_that_is_not_reached_is_said(bench: RunBench) -> None:
    async def connect(host: str) -> LocalReader:
        await asyncio.sleep(0)
        raise UnreachableError(f"{host}: no route to host")

    async with panes(bench, place=replace(bench.place(), connect=connect)) as at:
        bench.start("mmmu", 1)
        at.show()
        await at.until(lambda: any("cannot open it: h20-a: no route to host" in row for row in at.rows))


async def test_logs_one_after_another_leave_nothing_behind(at: Panes, bench: RunBench) -> None:
    """Descriptors, threads, tasks and processes after 200 logs are those after the first few; two are too big to be
    counted without a worker."""
    big = b"a line of a log that is too big for a thread\n" * 120_000

    look = bench.look()

    async def open_log(number: int, data: bytes) -> None:
        name = bench.log(f"unit{number}", 1, data + b"log %d\n" % number)
        at.supervise("journal", name, look=look)
        if number % 3 == 0:  # often the next one comes before this one is open
            await shows(at, f"log {number}")

    look_at = {50: big, 120: big}
    for number in range(7):
        await open_log(number, b"")
    await at.until(lambda: at.supervision.log_pane.query("AskBar"), "the line for typing is made once, beforehand")
    before = await _held(at)
    for number in range(7, 200):
        await open_log(number, look_at.get(number, b""))
    await shows(at, "log 198")
    at.supervision.pin("_pytest/unit0/run1.log")
    await shows(at, "log 0")
    await at.until(lambda: _now_held()[0] <= before[0], f"descriptors are given back, {before}")
    await at.until(lambda: _now_held()[1:] <= before[1:], f"threads, tasks and children too, {before}")


def _now_held() -> tuple[int, int, int, int]:
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("log ")]
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as children:
        count = len(children.read().split())
    return len(os.listdir("/proc/self/fd")), len(threads), len(asyncio.all_tasks()), count


async def _held(at: Panes) -> tuple[int, int, int, int]:
    await shows(at, "log 6")
    await at.settled()
    return _now_held()


async def test_a_run_that_is_over_waits_for_nothing(at: Panes, bench: RunBench) -> None:
    name = bench.start("mmmu", 1, data=b"first\n")
    at.show()
    await shows(at, "first")
    (bench.root / name).unlink()
    bench.leave()
    at.show(replace(look := bench.look(), snapshot=replace(look.snapshot, state=State.ENDED)))
    assert "no log  after _pytest/mmmu/run1.log" in at.supervision.title


async def test_a_run_of_which_only_the_results_are_there_is_not_one_that_has_not_begun(tmp_path: Path) -> None:
    bench = RunBench.make(tmp_path)
    bench.observed("mmmu", 5)
    async with panes(bench) as at:
        assert at.show().snapshot.state is State.UNKNOWN
        await at.until(lambda: "no log" in at.supervision.title)
        assert any("No pytest is seen to run, and none has left a log here." in row for row in at.rows)
        assert not any("No pytest has started yet" in row for row in at.rows)
