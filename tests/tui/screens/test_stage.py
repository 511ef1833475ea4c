from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gates.documents import Broken
from monitors.snapshot import State
from tests.tui.screens.stage_bench import KEY, SOURCE, Seat, StageBench, seat, stage_of
from tests.tui.snapshots import SIZES, Album
from tui.screens.stage import SourcesRead, StageScreen, Viewed
from tui.screens.stage_log import RepeatLogScreen
from tui.screens.stage_text import about_repeat, repeat_line
from tui.screens.stage_view import Sources, view_of
from tui.screens.subject import RunLook

HOSTILE = "x\x1b[2J\x1b]0;t\x07[red]\u202eevil[/] e" + "\u0301" * 30 + " 漢字" + "y" * 3000
TALL = (100, 60)
SCROLLBAR = "▁▂▃▄▅▆▇"
"""The framework's own scroll bar ends in these."""


async def opened(at: Seat, bench: StageBench, key: str = KEY, look: RunLook | None = None) -> StageScreen:
    """The screen, with its test files read."""
    screen = StageScreen(bench.place(), look or await bench.see(), key)
    await at.app.push_screen(screen)
    await at.until(lambda: screen.view is not None and screen.view.sources.why != Sources().why, "the test files")
    await at.settled()
    return screen


async def test_every_value_and_what_it_would_become(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    async with seat(TALL, bench.bench.now) as at:
        await opened(at, bench)
        assert "5 of 5 repeats are strictly complete." in at.screen
        assert "Of 4 thresholds written now, 2 tighten, 1 loosens, 1 stays." in at.screen
        assert "1✓ 12.345" in at.screen
        assert "worst 12.345 req/s" in at.screen
        assert "in the file 11.9  →  12.345 would be written" in at.screen
        assert "▲ tightens (+3.7%)" in at.screen
        assert "▼ loosens (+8.4%)" in at.screen
        assert "= stays" in at.screen
        assert "a healthy run like these fails it at most 1 in 6 (16.7 %)" in at.screen
        assert "with slack x0.95 0 of 5" in at.screen
        await at.press("G")
        assert "every metric: 5 repeats are too few for a promise" in at.screen


async def test_messages_come_first_and_the_screen_never_waits_for_the_files(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    seen: list[object] = []
    async with seat(TALL, bench.bench.now) as at:
        look = await bench.see()
        screen = StageScreen(bench.place(), look, KEY)

        class Watching(StageScreen):
            def on_viewed(self, message: Viewed) -> None:
                seen.append(message)
                super().on_viewed(message)

            def on_sources_read(self, message: SourcesRead) -> None:
                seen.append(message)
                super().on_sources_read(message)

        screen = Watching(bench.place(), look, KEY)
        await at.app.push_screen(screen)
        await at.until(lambda: any(isinstance(one, SourcesRead) for one in seen))
        await at.until(lambda: isinstance(seen[-1], Viewed))
        first, last = seen[0], seen[-1]
        assert isinstance(first, Viewed)
        assert isinstance(last, Viewed)
        assert first.view.sources == Sources(), "painted before the files were read"
        assert last.view.sources.facts is not None


async def test_the_marks_and_reasons_of_what_does_not_count(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path, repeats=6)
    bench.mixed()
    async with seat(TALL, bench.bench.now) as at:
        screen = await opened(at, bench)
        assert "3 of 6 repeats are strictly complete, 2 do not count." in at.screen
        assert "49 of 50 samples ok" in at.screen
        assert "status failed: killed by SIGKILL (exit -9)" in at.screen
        assert "runs now, for 2 min" in at.screen
        screen.show(bench.bench.blind("no answer", 40))
        await at.until(lambda: "ran when last seen" in at.screen)
        assert "runs now" not in at.screen
        assert "4△ 12.410" in at.screen
        assert "5✗" in at.screen
        await at.press("down", "down", "down", "down")
        assert screen.view is not None
        assert "repeat 5  ✗ failed" in at.screen
        assert "attempt 1  infra  12 s  killed by SIGKILL" in at.screen
        assert "attempt 3  infra" in at.screen
        assert "GPU 0,1" in at.screen


async def test_a_new_repeat_is_painted_while_one_looks(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole(4)
    async with seat(TALL, bench.bench.now) as at:
        screen = await opened(at, bench)
        assert "4 of 5 repeats" in at.screen
        await at.press("down", "down")
        bench.whole(5)
        screen.show(await bench.see())
        await at.until(lambda: "5 of 5 repeats" in at.screen)
        assert "5✓ 12.520" in at.screen
        assert "repeat 3  ✓" in at.screen, "what was chosen stays chosen"


async def test_what_is_covered_is_painted_when_it_is_seen_again(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole(4)
    async with seat(TALL, bench.bench.now) as at:
        screen = await opened(at, bench)
        await at.press("question_mark")
        before = screen.view
        bench.whole(5)
        screen.show(await bench.see())
        await at.settled()
        assert screen.view is before, "nothing is worked out for a screen that nobody sees"
        await at.press("escape")
        await at.until(lambda: "5 of 5 repeats" in at.screen)


async def test_a_threshold_that_was_edited_is_read_again_when_one_asks(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    async with seat(TALL, bench.bench.now) as at:
        await opened(at, bench)
        (bench.repo / "tests" / "test_asr_ci.py").write_text(SOURCE.replace("11.9", "12.345"))
        await at.press("r")
        await at.until(lambda: "in the file 12.345" in at.screen)
        assert bench.requests == 1


async def test_files_that_are_not_there_are_unknown_and_say_why(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    (bench.repo / "tests" / "test_asr_ci.py").unlink()
    async with seat(TALL, bench.bench.now) as at:
        await opened(at, bench)
        assert "What stands in the files now is not known." in at.screen
        assert "what stands in the files is unknown: tests/test_asr_ci.py: not in" in at.screen
        assert "in the file unknown  →  12.345 would be written" in at.screen


async def test_a_file_that_is_no_python_is_unknown_row_by_row(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    (bench.repo / "tests" / "test_asr_ci.py").write_text("def (:\n")
    async with seat(TALL, bench.bench.now) as at:
        await opened(at, bench)
        assert "? unknown" in at.screen
        assert "unknown: tests/test_asr_ci.py" in at.screen


async def test_the_log_of_a_repeat_and_back(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    async with seat(TALL, bench.bench.now) as at:
        await opened(at, bench)
        await at.press("down", "enter")
        await at.until(lambda: "line of repeat 2" in at.screen)
        assert isinstance(at.app.screen, RepeatLogScreen)
        assert f"{KEY} repeat 2  _pytest/test_asr_ci/run2.log" in at.rows[0]
        await at.press("slash", *"line", "enter")
        await at.until(lambda: "1 of 1" in at.screen)
        await at.press("escape")
        assert isinstance(at.app.screen, RepeatLogScreen), "the search goes first"
        await at.press("escape", "escape")
        await at.until(lambda: "repeat 2  ✓" in at.screen)
        await at.press("escape")
        await at.until(lambda: "the floor" in at.screen)


async def test_a_repeat_without_a_log_says_so(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    async with seat(TALL, bench.bench.now) as at:
        await opened(at, bench)
        assert "log none yet" in at.screen
        await at.press("enter")
        assert at.app.told == ["this repeat has no log in the run directory"]
        assert isinstance(at.app.screen, StageScreen)


async def test_the_stages_beside_it(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    async with seat(TALL, bench.bench.now) as at:
        screen = await opened(at, bench)
        await at.press("right_curly_bracket")
        assert screen.key == KEY, "it is the last one"
        await at.press("left_curly_bracket")
        await at.until(lambda: at.rows[0].startswith(" asr_accuracy"))
        await at.until(lambda: "Accuracy (%)" in at.screen)


async def test_a_click_chooses_a_repeat(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    async with seat(TALL, bench.bench.now) as at:
        await opened(at, bench)
        await at.pilot.click("#stage-repeats", offset=(6, 4))
        await at.until(lambda: "repeat 4  ✓" in at.screen)


def _unknown_stage(bench: StageBench) -> None:
    bench.whole()
    bench.bench.folder.write("stages.yaml", {"asr_accuracy": stage_of()})


def _many(bench: StageBench) -> None:
    names = {f"m{number:02d}": ("max", f"Metric {number} (ms)", 3) for number in range(40)}
    bench.bench.folder.write("stages.yaml", {"asr_accuracy": stage_of(), KEY: stage_of(names)})
    for run in range(1, 21):
        bench.bench.folder.cell(KEY, run, metrics={name: run + 0.125 * place for place, name in enumerate(names)})


def _odd(bench: StageBench) -> None:
    bench.whole(3)
    values = {"throughput_qps": 1e300, "latency_mean_s": 5e-324, "rtf_mean": None, "tokens": -(10**30)}
    bench.bench.folder.cell(KEY, 4, metrics=values)
    text = '{"status": "ok", "metrics": {"throughput_qps": NaN}, "sample_counts": {"total": 50, "ok": 50}}'
    bench.bench.folder.write(f"{KEY}/run5.json", text.encode())


def _hostile(bench: StageBench) -> None:
    metrics = {"throughput_qps": ("min", HOSTILE, 3)}
    stage = stage_of(metrics, title=HOSTILE)
    stage["metrics"]["throughput_qps"]["source"] = HOSTILE
    bench.bench.folder.write("stages.yaml", {"asr_accuracy": stage_of(), KEY: stage})
    more: dict[str, Any] = {"pytest_log": HOSTILE, "recorded_at": HOSTILE, "git_sha": HOSTILE}
    bench.whole(3, metrics={"throughput_qps": 12.0})
    bench.bench.folder.cell(KEY, 4, status="failed", reason=HOSTILE, **more)
    bench.bench.note("attempt.ended", 5, unit="test_asr_ci", run=4, n=1, outcome=HOSTILE, reason=HOSTILE)
    bench.bench.note("attempt.ended", 5, unit="test_asr_ci", run=4, n=2, outcome="infra", reason=HOSTILE)


ODD: dict[str, Callable[[StageBench], None]] = {
    "unknown": _unknown_stage, "many": _many, "odd": _odd, "hostile": _hostile, "nothing": lambda _bench: None
}  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (30, 8)], ids=str)
@pytest.mark.parametrize("kind", ODD)
async def test_whatever_lies_in_the_run_it_is_shown_and_nothing_of_it_is_obeyed(
    kind: str, size: tuple[int, int], tmp_path: Path
) -> None:
    bench = StageBench.make(tmp_path, repeats=20 if kind == "many" else 5)
    ODD[kind](bench)
    async with seat(size, bench.bench.now) as at:
        screen = await opened(at, bench)
        for key in ("down", "down", "down", "G", "g", "pagedown", "ctrl+u"):
            await at.press(key)
        await at.settled()
        assert screen.view is not None
        for row in at.rows:
            assert "\x1b" not in row
            assert "\u202e" not in row
            assert "\x07" not in row
        await at.pilot.resize_terminal(120, 40)
        await at.settled()
        if kind == "many":
            await at.press("G")
            assert "Metric 39 (ms)" in at.screen
            assert "of 20" in at.screen
        if kind == "unknown":
            assert "Throughput" not in at.screen
            assert "throughput_qps" in at.screen
            assert "12.345" in at.screen
        if kind == "nothing":
            assert "0 of 5 repeats are strictly complete." in at.screen
        if kind == "hostile":
            assert "[red]" in at.screen, "markup is text"


async def test_a_window_of_one_cell_and_back(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    async with seat((80, 24), bench.bench.now) as at:
        await opened(at, bench)
        before = at.rows
        await at.pilot.resize_terminal(1, 1)
        await at.pilot.resize_terminal(80, 24)
        await at.until(lambda: at.rows == before)


async def test_another_width_lays_the_title_anew(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    async with seat((80, 24), bench.bench.now) as at:
        await opened(at, bench)
        for width in (150, 90, 200):
            await at.pilot.resize_terminal(width, 40)
            await at.until(lambda: at.rows[0].rstrip().endswith(" ago") and len(at.rows[0]) >= width - 2)  # noqa: B023 - awaited in this turn


async def test_a_stage_that_the_run_does_not_have(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    async with seat(TALL, bench.bench.now) as at:
        await opened(at, bench, "no-such\x1b[2Jstage")
        assert "This run has no such stage." in at.screen
        await at.press("down", "enter", "escape")
        await at.until(lambda: "the floor" in at.screen)


async def test_a_host_that_went_dark_keeps_what_was_seen_and_says_so(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole()
    async with seat(TALL, bench.bench.now) as at:
        screen = await opened(at, bench)
        look = await bench.see()
        at.app.now = lambda: bench.bench.now + 300
        screen.show(RunLook(replace(look.snapshot, state=State.BLIND, error="no answer")))
        await at.until(lambda: "blind" in at.rows[0])
        assert "seen 5 min ago" in at.rows[0]
        assert "1✓ 12.345" in at.screen


def test_a_view_of_a_run_that_was_never_seen_is_empty(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    look = bench.look()
    body = replace(look.snapshot.body, run=None, audit=None)
    view = view_of(replace(look.snapshot, body=body), KEY, Sources())
    assert (view.detail, view.repeats, view.metrics) == (None, (), ())


def test_a_broken_artifact_has_no_values(tmp_path: Path) -> None:
    bench = StageBench.make(tmp_path)
    _odd(bench)
    look = bench.look()
    assert isinstance(look.snapshot.body.documents[f"{KEY}/run5.json"], Broken)
    view = view_of(look.snapshot, KEY, Sources())
    assert [repeat.mark for repeat in view.repeats] == ["✓", "✓", "✓", "✗", "✗"]
    assert all(not isinstance(value, float) or math.isfinite(value) for one in view.metrics for value in one.values)


async def _plain(at: Seat) -> None:
    pass


async def _chosen(at: Seat) -> None:
    await at.press("down", "down", "down", "down")


LOOKS: dict[str, tuple[Callable[[StageBench], None], int, Callable[[Seat], Awaitable[None]]]] = {
    "ready": (lambda bench: bench.whole(), 5, _plain),
    "mixed": (lambda bench: bench.mixed(), 6, _chosen),
    "nothing": (lambda _bench: None, 5, _plain),
    "many": (_many, 20, _chosen),
    "hostile": (_hostile, 5, _chosen),
    "unknown": (_unknown_stage, 5, _plain),
}


@pytest.mark.parametrize("state", LOOKS)
async def test_looks(state: str, tmp_path: Path, album: Album) -> None:
    fill, repeats, reach = LOOKS[state]
    bench = StageBench.make(tmp_path, repeats=repeats)
    fill(bench)
    async with seat(SIZES[0], bench.bench.now) as at:
        await opened(at, bench)
        await reach(at)
        async for _size in at.sizes():
            album.check(at.app, state)


async def test_looks_in_ascii(tmp_path: Path, album: Album) -> None:
    bench = StageBench.make(tmp_path, repeats=6)
    bench.mixed()
    async with seat((120, 40), bench.bench.now, ascii_only=True) as at:
        await opened(at, bench)
        assert {letter for letter in at.screen if not letter.isascii()} <= set(SCROLLBAR)
        album.check(at.app, "ascii")


@pytest.mark.parametrize("data", [b'{"metrics": {"tokens": NaN}}', b'{"git_sha": "a', b'{"metrics": [' + b"1," * 150])
@pytest.mark.parametrize("width", [30, 78])
def test_why_a_repeat_does_not_count_can_be_read_to_its_end(tmp_path: Path, data: bytes, width: int) -> None:
    bench = StageBench.make(tmp_path)
    bench.whole(3)
    bench.bench.folder.write(f"{KEY}/run4.json", data)
    repeat = view_of(bench.look().snapshot, KEY, Sources()).repeats[3]
    _, why = repeat.cell.reason.split(f"{KEY}/run4.json:")
    told = about_repeat(repeat, width, 3)
    assert " ".join(" ".join(line.plain for line in told).split()).startswith(f"repeat 4 ✗ unreadable line {why} log ")
    assert all(line.cell_length <= width for line in told)
    assert f"line {why}" in repeat_line(repeat, 200, 0.0, chosen=True).plain, "its stage and number stand beside it"
