from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gates.verdict import Decision, Evidence, Offer, Verdict
from jobs.calibration.locate import Watched, find_run
from jobs.calibration.watch import look as take
from jobs.connect import open_reader
from monitors.snapshot import State
from tests.monitors.runs import AT
from tests.peers.quick import Quick, until
from tests.tui.screens.stage_bench import Seat, StageBench, ended, seat
from tests.tui.snapshots import SIZES, Album
from tui.screens.form import READ_ONLY
from tui.screens.resume import ResumeScreen, evidence_lines, open_resume, same_offer
from tui.screens.resume_ask import AskScreen, Fact
from tui.screens.subject import RunLook, RunPlace

pytestmark = pytest.mark.timeout(240)
TALL = (200, 45)


def place_of(watched: Watched, asked: list[str], *, read_only: bool = False) -> RunPlace:
    return RunPlace(
        "w", "r", watched, open_reader(None), "local", read_only, None, lambda: asked.append("look")
    )  # fmt: skip


async def look_at(watched: Watched) -> RunLook:
    """A real look."""
    reader = open_reader(None)
    try:
        return RunLook((await take(reader, watched)).snapshot)
    finally:
        await reader.close()


def dead_run(quick: Quick) -> Watched:
    """A runner that is really started and really killed, with all that it had started."""
    assert quick.run("--detach").code == 0
    until(lambda: list(quick.runs.glob("r/_pytest/*/basetemp_run1/*current")), "a test at work")
    quick.kill()
    return find_run(str(quick.runs / "r"), None, None, None, None)


def orphaned_run(quick: Quick) -> Watched:
    """A runner that is really killed, whose pytest lives on."""
    assert quick.run("--detach").code == 0
    until(lambda: list(quick.runs.glob("r/_pytest/*/basetemp_run1/*current")), "a test at work")
    quick.kill("runner")
    return find_run(str(quick.runs / "r"), None, None, None, None)


@asynccontextmanager
async def question(
    watched: Watched, size: tuple[int, int] = TALL, state: State = State.DEAD
) -> AsyncIterator[tuple[Seat, ResumeScreen, list[str]]]:
    asked: list[str] = []
    look = await look_at(watched)
    assert look.snapshot.state is state
    async with seat(size, look.snapshot.seen.received or 0.0) as at:
        open_resume(at.app, place_of(watched, asked), look)
        await at.until(lambda: isinstance(at.app.screen, ResumeScreen))
        screen = at.app.screen
        assert isinstance(screen, ResumeScreen)
        await at.until(lambda: not screen.answers.closed, "the check on the host")
        await at.settled()
        yield at, screen, asked


async def test_a_dead_run_is_resumed_with_the_evidence_seen(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICK_HOLD", str(quick.hold))
    with quick.holding():
        watched = await asyncio.to_thread(dead_run, quick)
    holder = json.loads((quick.runs / "r" / ".gatewatch" / "lock").read_bytes())["holder"]["pid"]
    async with question(watched) as (at, screen, asked):
        assert "the runner is gone without a last event" in at.screen
        assert "state        dead" in at.screen
        assert "runner       dead" in at.screen
        assert f"pid {holder}" in at.screen
        assert "none of this run lives" in at.screen
        assert "last write   20" in at.screen
        assert "to run       6 repeats of 3 stages" in at.screen
        line = f"gatewatch calibrate run --resume --output-dir {watched.run_dir} --detach"
        assert at.holds(line)
        assert screen.answers.chosen == 0
        await at.press("right", "enter")
        await at.until(lambda: f"resumed: {watched.run_dir}" in at.app.told)
        assert asked == ["look"]
        await at.until(lambda: "the floor" in at.screen)
    await ended(quick)
    kinds = [json.loads(line)["kind"] for line in (quick.runs / "r" / "events.jsonl").read_text().splitlines()]
    assert "run.resumed" in kinds
    await ended(quick)


async def test_a_pytest_that_outlived_its_runner_is_taken_over(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICK_HOLD", str(quick.hold))
    with quick.holding():
        watched = await asyncio.to_thread(orphaned_run, quick)
        async with question(watched, state=State.RUNNING) as (at, screen, _asked):
            assert "the runner is gone and its pytest still runs; --resume takes it over" in at.screen
            assert "runner       dead" in at.screen
            assert "lives        pid" in at.screen
            screen.show(await look_at(watched))
            await at.settled()
            assert isinstance(at.app.screen, ResumeScreen), "the same offer is the same question"
            await at.press("right", "enter")
            await at.until(lambda: f"resumed: {watched.run_dir}" in at.app.told)
    await ended(quick)
    lines = (quick.runs / "r" / "events.jsonl").read_text().splitlines()
    adopted = [event["data"]["alive"] for event in map(json.loads, lines) if event["kind"] == "attempt.adopted"]
    assert adopted == [True]


async def test_anything_but_yes_leaves_it_dead(quick: Quick) -> None:
    with quick.holding():
        watched = await asyncio.to_thread(dead_run, quick)
    for keys in (("enter",), ("escape",), ("n",), ("tab", "tab", "enter")):
        await declined(watched, keys)
        assert await asyncio.to_thread(quick.processes) == [], keys


async def declined(watched: Watched, keys: tuple[str, ...]) -> None:
    async with question(watched) as (at, _screen, asked):
        await at.press(*keys)
        await at.until(lambda: "the floor" in at.screen, f"the end of the question after {keys}")
        assert asked == []


async def test_the_question_dies_with_its_offer(quick: Quick) -> None:
    """Somebody else resumes the run while the question stands."""
    with quick.holding():
        watched = await asyncio.to_thread(dead_run, quick)
    async with question(watched) as (at, screen, _asked):
        screen.show(await look_at(watched))
        await at.settled()
        assert isinstance(at.app.screen, ResumeScreen), "the same offer is the same question"
        await at.press("right")
        with quick.holding():
            done = await asyncio.to_thread(quick.run, "--resume", "--detach")
            assert done.code == 0, done.said
            screen.show(await look_at(watched))
            await at.until(lambda: "the floor" in at.screen)
            assert any(told.startswith("the question is void: the run is") for told in at.app.told)
    await ended(quick)


async def test_a_host_that_went_dark_closes_yes_until_it_answers(quick: Quick) -> None:
    with quick.holding():
        watched = await asyncio.to_thread(dead_run, quick)
    async with question(watched) as (at, screen, asked):
        await at.press("right")
        look = await look_at(watched)
        screen.show(RunLook(replace(look.snapshot, state=State.BLIND, error="no answer")))
        await at.until(lambda: "the host does not answer, so what is seen is old" in at.screen)
        assert screen.answers.chosen == 0
        await at.press("right")
        assert screen.answers.chosen == 0
        screen.show(look)
        await at.until(lambda: not screen.answers.closed)
        await at.press("escape")
        assert asked == []


async def test_the_host_says_no_when_somebody_was_quicker(quick: Quick) -> None:
    """No look came in between: the start itself refuses, and says who is at work."""
    with quick.holding():
        watched = await asyncio.to_thread(dead_run, quick)
        async with question(watched) as (at, screen, asked):
            assert (await asyncio.to_thread(quick.run, "--resume", "--detach")).code == 0
            await at.press("right", "enter")
            await at.until(lambda: "is already running: pid" in at.screen)
            runners = [seen for seen in await asyncio.to_thread(quick.processes) if "run" in seen.argv]
            assert len(runners) == 1
            assert screen.answers.closed
            await at.press("enter")
            await at.until(lambda: "the floor" in at.screen)
            assert asked == []
    await ended(quick)


async def test_what_cannot_be_resumed_says_why_and_has_no_yes(quick: Quick) -> None:
    with quick.holding():
        watched = await asyncio.to_thread(dead_run, quick)
    look = await look_at(watched)
    quick.manifest.write_text("a: [\n")
    async with seat(TALL, AT) as at:
        open_resume(at.app, place_of(watched, []), look)
        await at.until(lambda: "stages.yaml" in at.screen.rpartition("--detach")[2])
        screen = at.app.screen
        assert isinstance(screen, ResumeScreen)
        await at.press("right", "enter")
        await at.until(lambda: "the floor" in at.screen)
    assert await asyncio.to_thread(quick.processes) == []


async def test_read_only_asks_nothing(tmp_path: Path) -> None:
    bench, look = await dead_bench(tmp_path)
    async with seat(TALL, AT) as at:
        open_resume(at.app, bench.place(read_only=True), look)
        await at.settled()
        assert at.app.told == [READ_ONLY]


async def test_a_run_that_lives_offers_nothing(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.mixed()
    look = await bench.see()
    async with seat(TALL, AT) as at:
        open_resume(at.app, bench.place(read_only=False), look)
        await at.settled()
        assert at.app.told == ["there is nothing to resume: the run is running"]


async def dead_bench(folder: Path, **plan: Any) -> tuple[StageBench, RunLook]:
    bench = StageBench.make(folder)
    bench.whole(3)
    bench.bench.begin()
    bench.bench.die()
    if plan:
        bench.bench.folder.plan(bench.bench.stages, 5, model="asr", **plan)
    look = await bench.see()
    assert look.snapshot.state is State.DEAD
    return bench, look


HOSTILE = "x\x1b[2J\x1b]0;t\x07[red]\u202eevil" + "y" * 3000


async def test_hostile_words_of_a_run_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    bench, _look = await dead_bench(tmp_path, root=HOSTILE, host=HOSTILE)
    bench.bench.folder.words(HOSTILE)
    look = await bench.see()
    async with seat((80, 24), AT) as at:
        open_resume(at.app, bench.place(read_only=False), look)
        await at.until(lambda: isinstance(at.app.screen, ResumeScreen))
        screen = at.app.screen
        assert isinstance(screen, ResumeScreen)
        await at.until(lambda: "checking" not in at.screen)
        for key in ("down", "pagedown", "pagedown", "up", "pageup", "right"):
            await at.press(key)
            assert all("\x1b" not in row and "\u202e" not in row and "\x07" not in row for row in at.rows)
        assert screen.answers.closed
        assert "No" in at.screen, "the answers stay in sight"


def test_the_age_of_the_last_write_alone_makes_no_other_question() -> None:
    def of(detail: str, wrote: str, change: str = "c") -> tuple[Offer, Verdict]:
        evidence = (Evidence("runner", value="dead"), Evidence("last write", value=wrote))
        verdict = Verdict("calibration.liveness", Decision.FAIL, "dead", detail=detail, evidence=evidence)
        return Offer("/r", "resume", verdict.digest(), change, "h", False), verdict

    offer, verdict = of("nothing was written for 12 min", "2026-05-25T02:43:02Z")
    later = of("nothing was written for 13 min", "2026-05-25T02:43:02Z")
    assert later[0].id != offer.id
    assert same_offer(offer, verdict, offer, verdict)
    assert same_offer(offer, verdict, *later)
    assert not same_offer(offer, verdict, *of("nothing was written for 12 min", "2026-05-25T02:44:02Z"))
    assert not same_offer(offer, verdict, *of("nothing was written for 13 min", "2026-05-25T02:43:02Z", "d"))
    assert not same_offer(offer, verdict, None, verdict)
    assert not same_offer(offer, None, later[0], None)


def test_a_long_value_is_shown_whole_below_where_it_began() -> None:
    rows = Fact("run-dir", "/" + "a" * 100).laid(53)
    assert [row.plain for row in rows] == [
        "run-dir      /" + "a" * 39, " " * 13 + "a" * 40, " " * 13 + "a" * 21
    ]  # fmt: skip


async def test_evidence_of_another_programs_run(tmp_path: Path) -> None:
    """It has no lock and no journal; what is known is who lives and when it was last written."""
    bench = StageBench.make(tmp_path)
    bench.whole(3)
    bench.bench.silent = 7200
    look = await bench.see()
    assert look.snapshot.state is State.DEAD
    said = {line.name: line.value for line in evidence_lines(bench.place(), look, AT) if isinstance(line, Fact)}
    assert said["last write"].endswith("Z")
    assert said["processes"] == "none of this run lives"
    assert said["to run"] == "4 repeats of 2 stages"


@pytest.mark.parametrize("state", ["question", "help"])
async def test_looks(state: str, tmp_path: Path, album: Album) -> None:
    """Of a question whose answer does not hang on this machine."""
    bench, look = await dead_bench(tmp_path)
    async with seat(SIZES[0], AT) as at:
        place = bench.place(read_only=False)
        elsewhere = replace(
            place, watched=replace(place.watched, run_dir="/srv/lab/.tune-runs/20260525T024302Z_asr_r5")
        )
        lines = evidence_lines(elsewhere, look, AT)
        command = "gatewatch calibrate run --resume --output-dir /srv/lab/.tune-runs/20260525T024302Z_asr_r5 --detach"
        await at.app.push_screen(AskScreen("resume this run?", lines, command, "Yes, resume it"))
        if state == "help":
            await at.press("question_mark")
        async for _size in at.sizes():
            album.check(at.app, state)
