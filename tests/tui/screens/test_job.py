from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from textual.events import MouseScrollUp

from gates.journal import Event, Journal, encode_event
from hosts.errors import InputError, UnreachableError
from hosts.here import LocalReader
from hosts.host import Chunk
from jobs.calibration.locate import find_run
from jobs.calibration.watch import look as look_at
from jobs.runner.calibration.context import append_milestone
from jobs.runner.places import RunPlaces
from monitors.calibration.milestones import Kind, Milestone
from monitors.calibration.milestones_journal import of_journal
from monitors.snapshot import Seen
from tests.peers.quick import Quick
from tests.tui.screens.runs import RunBench
from tests.tui.screens.two_panes import Panes, panes
from tui import shims
from tui.cells import width
from tui.screens import job_source
from tui.screens.job_rows import Widths, columns, compact, row_of
from tui.screens.job_source import RunLogSource
from tui.screens.subject import RunLook, RunPlace

STAMP = "2026-05-25T02:43:02Z "


@pytest.fixture
def bench(tmp_path: Path) -> RunBench:
    made = RunBench.make(tmp_path)
    made.begin()
    (made.root / "run.log").unlink()  # what these tests read they write
    return made


@pytest.fixture
async def at(bench: RunBench) -> AsyncIterator[Panes]:
    async with panes(bench) as made:
        yield made


def say(bench: RunBench, *lines: str) -> None:
    """What a writer adds to run.log."""
    with (bench.root / "run.log").open("ab") as file:
        for line in lines:
            file.write(f"{STAMP}{line}\n".encode())


async def has(at: Panes, text: str) -> None:
    await at.until(lambda: any(text in row for row in at.milestones), text)


def many(count: int) -> list[str]:
    return [f"PASS mmmu {run}/{count} {run}.5 s" for run in range(1, count + 1)]


async def test_milestones_of_a_growing_run_log_are_shown(at: Panes, bench: RunBench) -> None:
    at.show()
    await has(at, "● RUN   qwen3-omni: 25 stages, 5 repeats")  # the journal's, as long as there is no run.log
    await at.until(lambda: "there is no run.log" in at.rows[at.job.region.y])
    places = RunPlaces(bench.root)
    await asyncio.to_thread(append_milestone, places, "== mmmu: pass 1, repeats 1, 2 of 5")
    log = bench.start("mmmu", 1, data=b"INFO server ready\n")
    at.show()
    await has(at, f"● START mmmu 1/5  GPU 0,1 {log}")
    await has(at, "── mmmu: pass 1, repeats 1, 2 of 5 ──")
    assert not any("qwen3-omni: 25 stages" in row for row in at.milestones)
    with (bench.root / "run.log").open("ab") as file:
        file.write(b"2026-05-25T02:45:41Z PASS mmmu 1/5 15")
        file.flush()
        at.show()
        await at.until(lambda: at.job.source.milestones.held > 0)
        assert not any("PASS" in row for row in at.milestones)
        file.write(b"9.3 s\n2026-05-25T02:45:42Z INFO a server's line\n")
    at.show()
    await has(at, "02:45:41 ✓ PASS  mmmu 1/5  2m 39s")
    assert "server" not in "\n".join(at.milestones)


async def test_times_are_ours_where_the_host_has_another_clock(at: Panes, bench: RunBench) -> None:
    def seen(ahead: float) -> None:
        look = bench.look()
        at.show(RunLook(replace(look.snapshot, seen=Seen(bench.now + ahead, bench.now))))

    seen(3600.4)
    await has(at, "00:43:02 ● RUN")
    say(bench, "START mmmu 1/5")
    seen(3599.6)
    await has(at, "01:43:02 ● START mmmu 1/5")
    for ahead, shown in ((3600.9, "01:43:02"), (-0.9, "02:43:02"), (1.8, "02:43:02"), (-60.2, "02:44:02")):
        seen(ahead)
        await has(at, f"{shown} ● START mmmu 1/5")
    for ahead, shown in ((2.1, "02:43:00"), (1.95, "02:43:00"), (1.9, "02:43:00"), (0.9, "02:43:02")):
        seen(ahead)
        await at.pilot.pause()
        await has(at, f"{shown} ● START mmmu 1/5")
    seen(-60.2)
    await has(at, "02:44:02 ● START mmmu 1/5")
    before = bench.look()
    at.show(RunLook(replace(before.snapshot, seen=Seen(None, None))))
    await at.settled()
    assert "02:44:02 ● START mmmu 1/5" in at.milestones[0], "who was not seen has the clock that he had"


async def test_it_reads_by_itself_when_no_look_comes(
    at: Panes, bench: RunBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.show()
    await at.until(lambda: at.job.source.there is False)
    at.job._tick()  # the last reading is not long ago
    assert not at.job._due
    say(bench, "START mmmu 1/5")
    at.job._read_at -= 60
    at.job._tick()
    await has(at, "START mmmu 1/5")


async def test_the_newest_is_at_the_bottom_and_scrolling_lets_go(at: Panes, bench: RunBench) -> None:
    say(bench, *many(40))
    at.show()
    await has(at, "mmmu 40/40")
    assert "mmmu 40/40" in at.milestones[-1]
    at.job.focus()
    await at.press("up")
    assert at.milestones[-2].startswith("▌")
    before = at.milestones
    say(bench, "START mmsu 1/5", "PASS mmsu 1/5")
    at.show()
    await at.until(lambda: "+2 lines" in at.rows[at.job.region.y])
    assert at.milestones == before
    await at.press("home")
    assert "mmmu 1/40" in at.milestones[0]
    await at.press("pagedown")
    assert at.job.marked is not None
    assert at.job.marked.run == at.job.room
    await at.press("f")
    assert "PASS  mmsu 1/5" in at.milestones[-1]
    assert "lines" not in at.rows[at.job.region.y]
    at.job.post_message(_wheel(at))
    await at.until(lambda: not at.job.following)
    assert "mmsu" not in at.milestones[-1]
    await at.pilot.click(at.job, offset=(20, 1))
    assert at.milestones[0].startswith("▌")


def _wheel(at: Panes) -> MouseScrollUp:
    return MouseScrollUp(at.job, 1, 1, 0, 0, 0, False, False, False)


async def test_a_click_on_the_chip_goes_to_the_newest(at: Panes, bench: RunBench) -> None:
    say(bench, *many(40))
    at.show()
    await has(at, "mmmu 40/40")
    at.job.focus()
    await at.press("up")
    say(bench, "START mmsu 1/5")
    at.show()
    await at.until(lambda: "+1 line" in at.rows[at.job.region.y])
    await at.pilot.click(at.job, offset=(at.job.size.width - 3, 0))
    assert "mmsu 1/5" in at.milestones[-1]
    assert at.job.following


async def test_the_key_line_of_a_cell_is_marked(at: Panes, bench: RunBench) -> None:
    say(bench, "START mmmu 1/5", "PASS mmmu 1/5 5.0 s", *many(40), "START mmsu 2/5 GPU 0,1 l", *many(30))
    at.show()
    await has(at, "mmmu 30/30")
    at.job.at("mmsu_speed", 2)
    marked = at.job.marked
    assert marked is not None
    assert (marked.kind, marked.stage, marked.run) == (Kind.START, "mmsu", 2)
    await at.pilot.pause()
    assert any(row.startswith("▌") and "START mmsu 2/5" in row for row in at.milestones)
    assert "mmsu_speed run 2" in at.rows[at.job.region.y]
    say(bench, "FAIL mmsu 2/5 12.0 s assert 1 > 2, a valid observation")
    at.show()
    await at.until(lambda: any(row.startswith("▌") and "FAIL  mmsu 2/5" in row for row in at.milestones))
    at.job.at("videomme_speed", 3)
    await at.pilot.pause()
    assert "no line of videomme_speed run 3" in at.rows[at.job.region.y]
    assert at.job.marked is None
    at.job.at(None, None)
    await at.pilot.pause()
    assert "FAIL  mmsu 2/5" in at.milestones[-1]
    assert at.job.following


async def test_a_cell_is_marked_once_its_line_is_there(at: Panes, bench: RunBench) -> None:
    at.job.at("mmsu_speed", 2)
    say(bench, "START mmsu 2/5", "START mmmu 2/5")
    at.show()
    await at.until(lambda: at.job.marked is not None and at.job.marked.stage == "mmsu")


async def test_escape_goes_back_to_the_newest_then_to_the_screen(at: Panes, bench: RunBench) -> None:
    left: list[int] = []
    at.app.panes.action_leave_cell = lambda: left.append(1)  # type: ignore[attr-defined]
    at.app.panes._bindings.bind("escape", "leave_cell")
    say(bench, *many(40))
    at.show()
    await has(at, "mmmu 40/40")
    at.job.focus()
    await at.press("up", "escape")
    assert at.job.following
    assert not left
    at.job.at("mmmu_speed", 3)
    await at.press("escape")  # the screen brings both panes back
    assert left == [1]


async def test_a_line_is_copied_whole(at: Panes, bench: RunBench, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(shims, "write", lambda _, sequence: sent.append(sequence))
    reason = "x" * 300
    say(bench, f"FAIL mmmu 1/5 12.0 s {reason}", "START mmmu 2/5")
    at.show()
    await has(at, "START mmmu 2/5")
    at.job.focus()
    await at.press("up", "y")
    await at.until(lambda: sent)
    import base64

    text = base64.b64decode(sent[0].split(";")[2].rstrip("\x07")).decode()
    assert text == f"02:43:02 FAIL mmmu 1/5 12 s {reason}"


@pytest.mark.parametrize("rows", [1, 2, 3])
async def test_few_rows_hold_the_newest_one_behind_the_other(rows: int, bench: RunBench) -> None:
    say(
        bench,
        "environment: python",
        "PASS mmsu 5/5 159.0 s",
        "== x: pass 1",
        "START mmsu_talker 2/5 GPU 0,1 _pytest/mmsu_talker/run2.log",
    )
    async with panes(bench, (80, 24), job_rows=rows) as at:
        at.show()
        line = " job  02:43 ● START mmsu_talker 2/5 GPU 0,1 · 02:43 ✓ PASS mmsu 5/5 2m 39s"
        await at.until(lambda: at.rows[at.job.region.y] == line)
        assert all(width(row) <= 80 for row in at.rows)
        at.job.at("mmsu_talker_wer", 2)
        say(bench, *many(3))
        at.show()
        await at.until(lambda: "+3 lines" in at.rows[at.job.region.y])
        shown = " ".join(row.strip() for row in at.rows[at.job.region.y : at.job.region.bottom])
        assert ("PASS mmsu 5/5" in shown) == (rows > 1)
        assert "environment" not in shown
        at.job.at("mmsu_speed", 5)
        await at.until(lambda: at.rows[at.job.region.y].startswith(" job  02:43 ✓ PASS mmsu 5/5 2m 39s"))


async def test_truncated_replaced_and_removed(at: Panes, bench: RunBench) -> None:
    """As the old tool does on resume; a file of the same size or longer is told by its bytes."""
    path = bench.root / "run.log"
    say(bench, *many(3))
    at.show()
    await has(at, "mmmu 3/3")
    path.write_text("START new 1/5\n")
    at.show()
    await has(at, "START new 1/5")
    assert not any("mmmu" in row for row in at.milestones)
    path.write_text("START old 1/5\n" + "".join(f"PASS longer {run}/5\n" for run in range(1, 6)))
    at.show()
    await has(at, "PASS  longer 5/5")
    assert not any("new" in row for row in at.milestones)
    other = path.with_suffix(".new")
    other.write_text(path.read_text() + "END of another file\n")
    os.replace(other, path)
    at.show()
    await has(at, "END   of another file")
    assert sum("longer 5/5" in row for row in at.milestones) == 1
    path.unlink()
    at.show()
    await has(at, "RUN   qwen3-omni")
    assert not any("longer" in row for row in at.milestones)


async def test_a_run_log_that_cannot_be_read_is_said(at: Panes, bench: RunBench) -> None:
    (bench.root / "run.log").mkdir()
    at.show()
    await at.until(lambda: at.job.source.problem)
    await at.until(lambda: "not a regular file" in at.rows[at.job.region.y])
    await has(at, "RUN   qwen3-omni")


async def test_nothing_at_all(tmp_path: Path) -> None:
    bench = RunBench.make(tmp_path)
    async with panes(bench) as at:
        at.show()
        await has(at, "no milestone yet")
        at.job.focus()
        await at.press("up", "y", "home", "end", "pageup", "f", "escape")
        await at.pilot.resize_terminal(1, 1)
        await at.pilot.resize_terminal(100, 30)
        await has(at, "no milestone yet")


async def test_resized_to_nothing_and_back(at: Panes, bench: RunBench) -> None:
    say(bench, *many(40))
    at.show()
    await has(at, "mmmu 40/40")
    at.job.at("mmmu_speed", 20)
    await at.pilot.resize_terminal(1, 1)
    await at.pilot.resize_terminal(100, 30)
    await at.until(lambda: any(row.startswith("▌") and "mmmu 20/40" in row for row in at.milestones))


HOSTILE = [
    "\x1b]0;pwned\x07\x1b[2J[red]x[/] [/nothing] [@click=app.quit]",
    "right \u202eto left\u202c",
    "漢字" * 2000,
    "e" + "\u0301" * 5000,
    "y" * 10_000,
    "hf_" + "a1B2" * 8,
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("rows", [0, 2])
async def test_hostile_text_is_shown_and_does_nothing(text: str, rows: int, bench: RunBench) -> None:
    say(bench, f"START {text} 1/5 {text}", f"FAIL mmmu 1/5 {text}", f"== {text}", f"environment: {text}", text)
    bench.note("unit.waiting", unit=text, run=1, why=text)
    async with panes(bench, (80, 24), job_rows=rows) as at:
        at.show()
        await at.until(lambda: at.job.items)
        at.job.at(text, 1)
        await at.settled()
        shown = "\n".join(at.rows)
        assert all(
            character.isprintable() for row in at.rows for character in row if not 0x300 <= ord(character) < 0x370
        )
        assert all(width(row) <= 80 for row in at.rows)
        assert "\u202e" not in shown
        assert "a1B2a1B2" not in shown
        assert "\u0301" * 9 not in shown
        os.remove(bench.root / "run.log")
        at.show()
        await at.until(lambda: at.job.source.there is False)
        await at.settled()
        assert all(width(row) <= 80 for row in at.rows)


async def test_both_panes_of_a_real_run_never_show_the_same_lines(quick: Quick) -> None:
    done = quick.run()
    assert done.code == 0, done.said
    root = quick.runs / "r"
    logs = sorted(root.glob("_pytest/*/run*.log"))
    verbose = {line.strip() for log in logs for line in log.read_text().splitlines() if line.strip()}
    assert len(logs) == 4
    watched = await asyncio.to_thread(find_run, str(root), None, None, None, None)
    reader = LocalReader()
    seen = await look_at(reader, watched)
    place = RunPlace("w", "t", watched, reader, "local", True, None, lambda: None)
    bench = RunBench.make(quick.folder)
    async with panes(bench, (200, 60), place=place) as at:
        at.show(RunLook(seen.snapshot))
        await at.until(lambda: at.job.items and at.job.items is at.job.source.milestones.items)
        milestones = {at.job.row(one).text for one in at.job.items}
        kinds = [one.kind for one in at.job.items]
        assert kinds.count(Kind.START) == kinds.count(Kind.PASS) == 4
        assert kinds[:2] == [Kind.RUN, Kind.ENVIRONMENT]
        assert kinds[-1] is Kind.END
        assert all(not one.log or (root / one.log) in logs for one in at.job.items)
        for log in logs:
            at.supervision.pin(str(log.relative_to(root)))
            await at.until(lambda: any("passed in" in line for line in at.lines))
            both = {line.strip() for line in at.lines} & {row.strip() for row in at.milestones}
            assert not both - {""}
        said = [text.strip() for text in (root / "run.log").read_text().splitlines()]
        assert not verbose & {*said, *milestones}
        assert not [text for text in milestones for line in verbose if len(line) > 12 and line in text]
        # The journal tells the same of the attempts
        (root / "run.log").rename(root / "kept.log")
        told = [(one.kind, one.cell, one.took) for one in at.job.items if one.stage]
        at.show(RunLook((await look_at(reader, watched)).snapshot))
        await at.until(lambda: at.job.source.there is False)
        await at.until(lambda: at.job.items is at.job._events)
        journal = [(one.kind, one.cell, one.took) for one in at.job.items if one.stage]
        assert [one[:2] for one in journal] == [one[:2] for one in told]


async def _line(at: Panes, text: str) -> None:
    await at.until(lambda: text in at.lines, text)


async def test_a_writer_at_work_while_the_panes_are_shown(at: Panes, bench: RunBench) -> None:
    """Milestones and a verbose log grow while both are on screen; nothing is lost or shown twice."""
    places = RunPlaces(bench.root)
    for run in range(1, 6):
        bench.start("mmmu", run, data=b"begin %d\n" % run)
        at.show()
        for number in range(20):
            bench.log("mmmu", run, b"run %d batch %d\n" % (run, number))
            await at.pilot.pause()
        await asyncio.to_thread(append_milestone, places, f"PASS mmmu {run}/5 {run}.0 s")
        at.show()
        await _line(at, f"run {run} batch 19")
        await has(at, f"PASS  mmmu {run}/5")
        bench.end("mmmu", run, outcome="ok")
    assert [(one.kind.value, one.run) for one in at.job.items] == [
        (word, run) for run in range(1, 6) for word in ("START", "PASS")
    ]


# Reading run.log.


class Host:
    """A host that a test fills, cuts off and replaces."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.local = LocalReader()
        self.sizes: list[int] = []
        self.fails: Exception | None = None
        self.then: Callable[[], object] | None = None

    async def read(self, path: str, offset: int, size: int) -> Chunk:
        if self.fails is not None:
            raise self.fails
        chunk = await self.local.read(path, offset, size)
        self.sizes.append(len(chunk.data))
        then, self.then = self.then, None
        if then is not None:
            await asyncio.to_thread(then)
        return chunk


def source_of(path: Path) -> tuple[Host, RunLogSource]:
    host = Host(path)
    return host, RunLogSource(host, str(path))  # type: ignore[arg-type]  # it is only read from


async def test_only_what_was_added_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text("START a 1/5\n" * 1000)
    host, source = source_of(path)
    assert await source.catch_up()
    assert not await source.catch_up()
    with path.open("a") as file:
        file.write("PASS a 1/5\n")
    assert await source.catch_up()
    assert len(source.milestones.items) == 1001
    assert host.sizes[1:] == [64, 64 + 11]


async def test_the_loop_turns_while_many_short_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"\n" * (1 << 20))
    _, source = source_of(path)
    ends = [0]
    reading = asyncio.create_task(source.catch_up())
    while not reading.done():
        await asyncio.sleep(0)
        ends.append(source.milestones.end)
    assert ends[-1] == 1 << 20
    assert max(after - before for before, after in pairwise(ends)) <= 8192, "lines at a time"


async def test_a_long_journal_is_read_beside_the_loop(at: Panes, bench: RunBench) -> None:
    """Of a run without run.log, or of one that is yet to be read."""
    threads: list[bool] = []

    def noted(journal: Journal, repeats: int | None, first: int) -> tuple[Milestone, ...]:
        threads.append(threading.current_thread() is threading.main_thread())
        return of_journal(journal, repeats, first)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tui.screens.job.of_journal", noted)
        lines = [
            encode_event(
                Event(f"x{number}", number, {}, "2026-05-25T02:43:02Z", "unit.waiting", {"unit": "u", "run": 1})
            )
            for number in range(5000)
        ]
        with (bench.root / "events.jsonl").open("ab") as file:
            file.write(b"".join(lines))
        at.show()
        await at.until(lambda: at.job.end > 5000, "all of them")
        assert threads == [False]
        bench.note("unit.waiting", unit="u", run=2, why="the last one")
        at.show()
        await has(at, "the last one")
        assert threads == [False, True], "a few are not worth a thread"


async def test_of_a_long_one_its_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_source, "MOST", 10_000)
    path = tmp_path / "run.log"
    path.write_text("".join(f"PASS a {run}/9000\n" for run in range(1, 9001)))
    host, source = source_of(path)
    await source.catch_up()
    assert source.skipped == path.stat().st_size - 10_000
    assert source.milestones.items[-1].run == 9000
    assert 500 < len(source.milestones.items) < 700
    assert sum(host.sizes) < 600_000
    found = source.milestones.items[0]
    assert path.read_bytes()[found.place :].startswith(f"PASS a {found.run}/".encode())
    assert not await source.catch_up()


async def test_one_that_is_cut_while_it_is_read_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_source, "MOST", 1000)
    path = tmp_path / "run.log"
    path.write_text("PASS a 1/5\n" * 1000)
    host, source = source_of(path)
    host.then = lambda: path.write_text("START b 1/5\n")
    await source.catch_up()
    await source.catch_up()
    assert [one.stage for one in source.milestones.items] == ["b"]


async def test_a_host_that_does_not_answer_takes_nothing_away(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text("START a 1/5\n")
    host, source = source_of(path)
    await source.catch_up()
    host.fails = UnreachableError("no answer")
    assert await source.catch_up()
    assert (source.problem, len(source.milestones.items)) == ("no answer", 1)
    host.fails = InputError("cannot read it: permission denied")
    await source.catch_up()
    assert (source.problem, len(source.milestones.items)) == ("cannot read it: permission denied", 1)
    host.fails = None
    with path.open("a") as file:
        file.write("PASS a 1/5\n")
    await source.catch_up()
    assert (source.problem, len(source.milestones.items)) == ("", 2)


async def test_a_run_directory_that_is_gone_takes_nothing_away(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.log").write_text("START a 1/5\n")
    _, source = source_of(folder / "run.log")
    await source.catch_up()
    folder.rename(tmp_path / "away")
    for _ in range(2):
        await source.catch_up()
        assert (source.there, source.problem, len(source.milestones.items)) == (False, "", 1)
    (tmp_path / "away").rename(folder)
    with (folder / "run.log").open("a") as file:
        file.write("PASS a 1/5\n")
    await source.catch_up()
    assert (source.there, len(source.milestones.items)) == (True, 2)
    (folder / "run.log").unlink()
    await source.catch_up()
    assert (source.there, len(source.milestones.items)) == (False, 0)


async def test_random_writers(tmp_path: Path) -> None:
    """Appended, cut, replaced and removed in any order, the end is what a reader of the last content sees."""
    import random

    chance = random.Random(7)
    path = tmp_path / "run.log"
    _, source = source_of(path)
    content = b""
    for step in range(300):
        kind = chance.choice("aaaaaatrd")
        data = b"".join(b"PASS s%d %d/9\n" % (step, run) for run in range(chance.randrange(1, 9)))
        data = data[: chance.randrange(len(data))] if chance.random() < 0.3 else data
        if kind == "a" or not path.exists():
            content = (content if path.exists() else b"") + data
            with path.open("ab") as file:
                file.write(data)
        elif kind == "d":
            path.unlink()
            content = b""
        else:
            content = data
            target = path if kind == "t" else path.with_suffix(".new")
            target.write_bytes(data)
            os.replace(target, path)
        await source.catch_up()
        other = type(source.milestones)()
        other.feed(content)
        assert source.milestones.items == other.items, step
        assert source.there == path.exists()


# Rows.


@pytest.mark.parametrize("room", [1, 2, 5, 11, 20, 38, 78, 198])
def test_no_row_is_wider_than_its_room(room: int) -> None:
    milestones = [
        Milestone(Kind.SLOW_START, 1e9, "漢字" * 30, 2, "why " * 90, 0, 5, 159.0),
        Milestone(Kind.SECTION, None, "", None, "section " * 30, 0),
        Milestone(Kind.START, 1e9, "a", 2, "", 0, 5, None, 2, "0,1", "_pytest/" + "x" * 300),
    ]
    rows = [row_of(one, 2e9, None) for one in milestones]
    widths = Widths().grown(rows, room)
    for row in rows:
        assert sum(width(text) for text, _ in columns(row, widths, room)) <= room
    for height in (1, 3):
        for line in compact(iter(rows), room, height, ascii_only=False):
            assert sum(width(text) for text, _ in line) <= room


@pytest.mark.parametrize("at", [1e18, -1e18, float("nan"), float("inf")])
def test_a_time_that_no_calendar_has_is_left_out(at: float) -> None:
    assert row_of(Milestone(Kind.END, at, "", None, "", 0), 0.0, None).time == ""


async def test_reading_is_not_stopped_by_what_is_shown(at: Panes, bench: RunBench) -> None:
    """Looks that come in showers are one reading at a time, and none is lost."""
    look: Any = at.show()
    for run in range(1, 30):
        say(bench, f"START mmmu {run}/30")
        at.job.show(replace(look))
        await asyncio.sleep(0)
    await has(at, "START mmmu 29/30")
    assert at.job.source.reads <= 32


async def test_a_journal_that_goes_and_comes_back_is_told_as_it_is(at: Panes, bench: RunBench) -> None:
    journal = bench.root / "events.jsonl"
    at.show()
    await has(at, "● RUN   qwen3-omni: 25 stages, 5 repeats")
    whole = journal.read_bytes()
    journal.write_bytes(b"\x00garbage\n")
    at.show()
    await at.until(lambda: not any("qwen3-omni: 25 stages" in row for row in at.milestones), "the end of the old ones")
    journal.write_bytes(whole)
    at.show()
    await has(at, "● RUN   qwen3-omni: 25 stages, 5 repeats")
