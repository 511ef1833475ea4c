"""Home: worst first, one plain sentence, calm ones folded, a way in; and no text of others that does anything."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from hosts.connection import Connection, Way
from monitors.snapshot import Eta, Seen, State
from tests.monitors.runs import AT
from tests.tui.logs.corpus import unsafe
from tests.tui.screens.homes import (
    applied,
    bench_of,
    complete,
    dead,
    entry_of,
    everything,
    fleet,
    home,
    hosts,
    rows,
    running,
    ways,
)
from tests.tui.screens.runs import eight_gpus, host_look
from tests.tui.snapshots import SIZES, Album
from tui.cells import painted
from tui.dashboard_begin import first_words
from tui.dashboard_runs import Entry
from tui.screens.home import HomeScreen
from tui.screens.home_detail import Space
from tui.screens.home_list import HomeList
from tui.screens.home_rows import folded, sentence, titled
from tui.screens.home_strip import strip_rows
from tui.screens.run_ink import Rows, width

HOSTILE = "\x1b]0;pwned\x07[red]x[/red] \u202eright\u202c e" + "\u0301" * 40 + " 模型 " + "y" * 10_000


def words(entries: list[Entry]) -> list[tuple[str, str, str]]:
    return [(row.title, row.look.word, row.wants) for row in rows(entries)]


def test_the_worst_is_first_and_says_what_it_wants(tmp_path: Path) -> None:
    assert words(everything(tmp_path)) == [
        ("qwen3-omni r3", "asks", "Apply…"),
        ("qwen2.5-omni r3", "dead", "Resume…"),
        ("voices r3", "halted", "read"),
        ("/data/r", "unknown", "look"),
        ("seedtts eval", "blind", "–"),
        ("whisper r3", "waiting", "–"),
        ("tts r3", "running", "–"),
        ("early r3", "asks", "Apply…"),  # a newer run of the same took its place: nobody is asked about it
        ("old-1 r3", "applied", "–"),
        ("old-2 r3", "applied", "–"),
    ]


def test_of_an_older_run_nothing_is_wanted_whatever_it_was(tmp_path: Path) -> None:
    old = {"model": "m", "timestamp": "2026-05-20T00:00:00Z"}
    new = {"model": "m", "timestamp": "2026-05-21T00:00:00Z"}
    entries = [
        entry_of(complete(tmp_path, "a", **old), "a", "here"),
        entry_of(dead(tmp_path, "b", **old), "b", "here"),
        entry_of(running(tmp_path, "c", **old), "c", "here"),  # two at once are two
        entry_of(complete(tmp_path, "d", **new), "d", "here"),
        entry_of(complete(tmp_path, "e", model="m", timestamp="2026-05-19T00:00:00Z"), "e", "elsewhere"),
    ]
    assert [row.title for row in rows(entries) if row.past] == ["a", "b"]
    assert [row.title for row in rows(entries) if row.wanting] == ["d", "e"]


def test_the_one_sentence(tmp_path: Path) -> None:
    assert sentence(rows(everything(tmp_path)), ["h20-b"]) == (
        "4 things want you, 1 host is dark. 5 runs are fine.",
        "warning",
    )
    eta = Eta(AT + 5400, "")
    fine = [entry_of(running(tmp_path, "r"), "r", "here", eta=eta), entry_of(applied(tmp_path, "s"), "s", "here")]
    assert sentence(rows(fine), ()) == (
        "Nothing is wrong. 1 run is running, done about 04:13; 1 run is fine.",
        "success",
    )
    assert sentence(rows(fine[1:]), ()) == ("Nothing is wrong. 1 run is fine.", "success")
    assert sentence(rows(fine), ["a", "b"]) == ("2 hosts are dark. 2 runs are fine.", "warning")
    asks = [entry_of(complete(tmp_path, "t"), "t", "here")]
    assert sentence(rows(asks), ()) == ("1 thing wants you.", "warning")


def test_when_it_is_done_is_told_by_our_clock(tmp_path: Path) -> None:
    entry = entry_of(running(tmp_path, "r"), "r", "here", eta=Eta(AT + 5400, ""))
    assert entry.look is not None
    seen = entry.look.snapshot.seen
    assert seen.at is not None
    assert seen.received is not None
    (right,) = rows([entry])
    fast = Seen(seen.at + 7200, seen.received)  # a host whose clock is two hours ahead
    snapshot = replace(entry.look.snapshot, seen=fast, eta=Eta(AT + 5400 + 7200, ""))
    (row,) = rows([replace(entry, look=replace(entry.look, snapshot=snapshot))])
    assert row.eta == right.eta == "04:13"


def test_a_run_that_ended_and_is_not_whole_wants_to_be_read(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "m")
    bench.begin()
    bench.observed("mmmu", 3)
    bench.leave()
    assert words([entry_of(bench, "m", "here")]) == [("m", "not ready", "read")]


def test_a_run_that_cannot_be_seen_and_one_of_the_wrong_commit_are_not_fine(tmp_path: Path) -> None:
    blind = entry_of(running(tmp_path, "b"), "b", "here", state=State.BLIND, error="Permission denied")
    wrong = running(tmp_path, "w")
    wrong.observed("mmmu", 1, git_sha="e" * 40)
    entries = [blind, entry_of(wrong, "w", "here")]
    assert words(entries) == [("b", "blind", "look"), ("w", "running", "look")]
    assert sentence(rows(entries), ()) == ("2 things want you.", "warning")


def test_a_pytest_that_outlived_its_runner_wants_somebody(tmp_path: Path) -> None:
    orphan = running(tmp_path, "o")
    orphan.runner = False
    entries = [entry_of(orphan, "o", "here")]
    assert words(entries) == [("o", "running", "Resume…")]
    assert sentence(rows(entries), ()) == ("1 thing wants you.", "warning")


def test_a_run_that_was_not_seen_yet(tmp_path: Path) -> None:
    place = bench_of(tmp_path, "m").place(title="m", host="here")
    assert words([Entry("w", "m", "here", place)]) == [("m", "looking", "–")]
    assert words([Entry("w", "m", "here", place, problem="no answer")]) == [("m", "unknown", "look")]


def test_what_was_not_seen_yet_is_not_fine(tmp_path: Path) -> None:
    place = bench_of(tmp_path, "m").place(title="m", host="far")
    new = [Entry("w", "m", "far", place), Entry("v", "m", "far", place)]
    assert sentence(rows(new), ()) == ("2 runs are not seen yet.", "")
    assert sentence(rows(new[1:]), (), 1) == ("1 run and 1 host are not seen yet.", "")
    assert sentence(rows(new), ["a"]) == ("1 host is dark, 2 runs are not seen yet.", "warning")
    assert sentence(rows(new), ["far"]) == ("1 host is dark.", "warning")
    seen = entry_of(running(tmp_path, "r"), "r", "here")
    assert sentence(rows([seen, *new]), ()) == ("2 runs are not seen yet. 1 run is running, done about 02:49.", "")
    assert sentence(rows([seen]), (), 2) == ("2 hosts are not seen yet. 1 run is running, done about 02:49.", "")


def test_a_look_of_long_ago_is_out_of_sight_however_it_stood_then(tmp_path: Path) -> None:
    entry = entry_of(running(tmp_path, "r"), "r", "here", eta=Eta(AT + 5400, ""))
    assert entry.look is not None
    old = replace(entry.look.snapshot, seen=Seen(AT - 121, AT - 121))
    entries = [replace(entry, look=replace(entry.look, snapshot=old))]
    (row,) = rows(entries)
    assert (row.look.word, row.remark, row.sure, row.eta, row.wanting) == ("blind", "2m", False, "–", False)
    assert sentence(rows(entries), ()) == ("1 run is out of sight.", "warning")


async def test_a_host_that_cannot_be_reached_is_dark_at_once(tmp_path: Path) -> None:
    entries = [entry_of(running(tmp_path, "r"), "r", "gpu-f")]
    async with home() as at:
        await at.show(entries, {"gpu-f": replace(eight_gpus(), watch="gpu-f")})
        assert "Nothing is wrong. 1 run is running, done about 02:49." in at.rows[0]
        at.app.home.show_ways({"gpu-f": ways()["gpu-f"]})
        await at.pilot.pause()
        assert "1 host is dark.  " in at.rows[0]


def test_calm_ones_are_folded_and_running_ones_only_where_there_is_no_room(tmp_path: Path) -> None:
    all_rows = rows(everything(tmp_path))
    shown, calm = folded(all_rows, False, 20)
    assert ([row.title for row in shown][-1], [row.title for row in calm]) == (
        "tts r3",
        ["early r3", "old-1 r3", "old-2 r3"],
    )
    assert folded(all_rows, True, 20) == (all_rows, ())
    assert folded(all_rows[-3:], False, 20) == (all_rows[-3:], ()), "nothing else is there to be seen"
    many = tuple(replace(all_rows[6], watch=f"r{number}") for number in range(5))
    shown, calm = folded((*all_rows[:6], *many, *all_rows[7:]), False, 8)
    assert {row.look.word for row in shown} == {"asks", "dead", "halted", "unknown", "blind", "waiting"}
    assert len(calm) == 8


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("20260525T024302Z_qwen3-omni-v1_r5", "qwen3-omni-v1 r5, 25 May 02:43"),
        ("20269925T024302Z_m_r5", "20269925T024302Z_m_r5"),
        ("second try", "second try"),
    ],
)
def test_a_name_that_was_made_up_is_said_as_people_say_it(name: str, shown: str) -> None:
    from datetime import UTC

    assert titled(name, UTC) == shown


def test_runs_that_are_called_the_same_are_told_apart(tmp_path: Path) -> None:
    entry = entry_of(complete(tmp_path, "m"), "demo", "here")
    assert entry.place is not None
    twice = [
        replace(
            entry,
            watch=path,
            place=replace(entry.place, watch=path, watched=replace(entry.place.watched, run_dir=path)),
        )
        for path in ("/a/lab/.tune-runs/demo", "/b/lab/.tune-runs/demo")
    ]
    assert [row.title for row in rows(twice)] == ["demo (a)", "demo (b)"]
    assert [row.title for row in rows(twice[:1])] == ["demo"]


async def test_enter_goes_in_and_the_cursor_stays_on_its_run(tmp_path: Path) -> None:
    entries = everything(tmp_path)
    async with home() as at:
        await at.show(entries)
        await at.press("down", "enter")
        assert at.app.entered == ["h20-a:qwen2.5-omni r3"]
        better = [one for one in entries if one.title not in ("qwen3-omni r3", "early r3")]
        await at.show(better)
        await at.press("enter")
        assert at.app.entered[1:] == ["h20-a:qwen2.5-omni r3"], "the order changed around it"
        await at.press("G", "g", "j", "k", "pagedown", "pageup", "enter")
        assert at.app.entered[2:] == ["h20-a:qwen2.5-omni r3"]


async def test_the_folded_ones_unfold_and_fold(tmp_path: Path) -> None:
    async with home() as at:
        await at.show(everything(tmp_path))
        assert not any("old-1" in row for row in at.rows)
        assert any("3 calm  1 older" in row or "2 ✓ applied · 1 older" in row for row in at.rows)
        await at.press("end", "enter")
        assert any("old-1" in row for row in at.rows)
        assert at.app.entered == []
        await at.press("u")
        assert not any("old-1" in row for row in at.rows)
        assert at.app.home.query_one(HomeList).chosen is None, "the cursor is on the folded ones"


async def test_what_is_asked_for_is_passed_on(tmp_path: Path) -> None:
    async with home() as at:
        await at.press("r", "N")
        assert at.app.asked == ["poll", "new"]


async def test_what_was_not_searched_is_said(tmp_path: Path) -> None:
    async with home() as at:
        await at.show(everything(tmp_path))
        at.app.home.note("the search stopped after 2 s")
        await at.until(lambda: any("the search stopped after 2 s" in row for row in at.rows))


async def test_clicks_choose_and_go_in(tmp_path: Path) -> None:
    async with home() as at:
        await at.show(everything(tmp_path))
        await at.pilot.click(HomeList, offset=(10, 3))
        assert at.app.entered == []
        await at.pilot.click(HomeList, offset=(10, 3))
        assert at.app.entered == ["h100-1:voices r3"]


async def test_what_is_the_same_is_not_painted_again(tmp_path: Path) -> None:
    entries = everything(tmp_path)
    async with home() as at:
        await at.show(entries)
        painted_before = at.app.home.query_one(HomeList).paints
        for _ in range(5):
            await at.show(list(entries))
        assert at.app.home.query_one(HomeList).paints == painted_before


async def test_more_runs_than_rows_scroll_with_the_cursor(tmp_path: Path) -> None:
    known = entry_of(dead(tmp_path, "d"), "d", "here")
    many = [replace(known, watch=f"w{number:02}", title=f"run {number:02}") for number in range(60)]
    async with home() as at:
        await at.show(many, {})
        assert any("run 00" in row for row in at.rows)
        await at.press("G")
        assert any("run 59" in row for row in at.rows)
        assert not any("run 00" in row for row in at.rows)
        await at.press("enter", "g", "enter")
        assert at.app.entered == ["w59", "w00"]


async def test_resized_to_nothing_and_back(tmp_path: Path) -> None:
    async with home() as at:
        await at.show(everything(tmp_path))
        before = at.rows
        await at.pilot.resize_terminal(1, 1)
        await at.pilot.pause()
        await at.press("down", "up", "u", "u")
        await at.pilot.resize_terminal(80, 24)
        await at.until(lambda: at.rows == before)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("ascii_only", [False, True], ids=["glyphs", "ascii"])
async def test_hostile_text_is_only_ever_text(size: tuple[int, int], ascii_only: bool, tmp_path: Path) -> None:
    bench = running(tmp_path, "m")
    entry = entry_of(bench, HOSTILE, HOSTILE, state=State.STALLED, error=HOSTILE)
    assert entry.look is not None
    active = tuple(replace(item, name=HOSTILE) for item in entry.look.snapshot.active)
    entry = replace(entry, look=replace(entry.look, snapshot=replace(entry.look.snapshot, active=active)))
    seen = {HOSTILE: replace(host_look(), watch=HOSTILE)}
    async with home(size, ascii_only=ascii_only) as at:
        await at.show([entry, Entry("w", HOSTILE, HOSTILE, problem=HOSTILE)], seen)
        at.app.home.note(HOSTILE[:0])
        await at.pilot.pause()
        assert unsafe("\n".join(at.rows), "\n") == set()
        assert max(painted(row) for row in at.rows) <= size[0]
        assert any("[red]x[/red]" in row for row in at.rows)


async def test_a_tall_screen_tells_of_the_chosen_run_below_the_rows(tmp_path: Path) -> None:
    async with home((120, 40)) as at:
        await at.show(everything(tmp_path))
        shown = "\n".join(at.rows)
        assert "Ended: 3 of 3 stages ready. No gate fails; the checkout was not looked at." in shown
        table = at.app.home.query_one(HomeList)
        assert table.size.height == table.wanted, "it is no taller than its rows"
        await at.press("down")
        shown = " ".join(" ".join(at.rows).split())
        assert "It can be resumed." in shown
        assert "R resumes it" not in shown, "that key is of the run's own screen"
        assert "● START tts 1/3" in shown
        await at.pilot.resize_terminal(80, 24)
        await at.until(lambda: any("resumed." in row for row in at.rows))
        bench = running(tmp_path, "many")
        many = [replace(entry_of(bench, f"r{n}", "here"), watch=f"r{n}") for n in range(14)]
        await at.show(many)
        await at.until(lambda: not any("stages ready" in row for row in at.rows))
        assert table.size.height > table.wanted, "where rows need the room they have it"
        await at.pilot.resize_terminal(120, 40)
        await at.until(lambda: any("stages ready" in row for row in at.rows))


async def test_milestones_of_the_chosen_run_are_told_by_our_clock(tmp_path: Path) -> None:
    entry = entry_of(running(tmp_path, "r"), "r", "h20-a")
    assert entry.look is not None
    look = replace(entry.look, snapshot=replace(entry.look.snapshot, seen=Seen(AT + 3600, AT)))
    async with home((120, 40)) as at:
        await at.show([entry])
        await at.until(lambda: any("02:42:02 ● START tts 1/3" in row for row in at.rows))
        await at.show([replace(entry, look=look)])
        await at.until(lambda: any("01:42:02 ● START tts 1/3" in row for row in at.rows))
        assert any("began 00:43" in row for row in at.rows)


async def test_times_of_milestones_do_not_jump_with_each_look(tmp_path: Path) -> None:
    one, other = (entry_of(running(tmp_path, name), name, name) for name in ("r", "s"))

    def seen(entry: Entry, ahead: float) -> Entry:
        assert entry.look is not None
        snapshot = replace(entry.look.snapshot, seen=Seen(AT + ahead, AT))
        return replace(entry, look=replace(entry.look, snapshot=snapshot))

    async with home((120, 40)) as at:
        for ahead in (3.45, 3.55, 3.4, 3.6):
            await at.show([seen(one, ahead), seen(other, -60)])
            await at.until(lambda: any("02:41:59 ● START tts 1/3" in row for row in at.rows))
            await at.press("down")
            await at.until(lambda: any("02:43:02 ● START tts 1/3" in row for row in at.rows))
            await at.press("up")
            await at.until(lambda: any("02:41:59 ● START tts 1/3" in row for row in at.rows))


async def test_the_faults_of_the_chosen_run_are_named(tmp_path: Path) -> None:
    bench = running(tmp_path, "m")
    for run in (1, 2, 3):
        bench.folder.cell("mmmu_speed", run, sample_counts={"total": 50, "ok": 40 + run})
        bench.folder.cell("mmmu_accuracy", run, status="failed", reason="no metric accuracy", metrics={})
    bench.folder.cell("tts_wer", 1, destructive=True, destructive_evidence=["GPU 0 was shared"])
    async with home((120, 40)) as at:
        await at.show([entry_of(bench, "m r3", "here")])
        shown = "\n".join(at.rows)
        assert "✗ mmmu_accuracy 1  status failed: no metric accuracy" in shown
        assert "and 1 more" in shown
        assert "— tts_wer 2" not in shown, "what did not run yet is no fault"


@pytest.mark.parametrize("runs", [1, 30, 80])
async def test_many_rows_leave_one_line_for_the_chosen_run(runs: int, tmp_path: Path) -> None:
    known = entry_of(dead(tmp_path, "d"), "d", "here")
    many = [replace(known, watch=f"w{number:02}", title=f"run {number:02}") for number in range(runs)]
    async with home((120, 40)) as at:
        await at.show(many)
        assert any("▌✗ dead  run 00" in row for row in at.rows)
        assert any("the runner is gone" in row for row in at.rows)
        assert (sum("stages ready" in row or "mmmu_accuracy" in row for row in at.rows) > 0) == (runs == 1)
        await at.press("end")
        assert any(f"▌✗ dead  run {runs - 1:02}" in row for row in at.rows)


async def test_calm_rows_that_come_later_unfold_where_there_is_room(tmp_path: Path) -> None:
    known = entry_of(applied(tmp_path, "a"), "a", "here")
    many = [replace(known, watch=f"w{number:02}", title=f"run {number:02}") for number in range(12)]
    async with home((120, 40)) as at:
        await at.show(many[:2])
        await at.show(many)
        assert all(any(one.title in row for row in at.rows) for one in many), "the table grows with its rows"


async def test_in_ascii_nothing_else_is_shown(tmp_path: Path) -> None:
    async with home((200, 50), ascii_only=True) as at:
        await at.show(everything(tmp_path))
        shown = "\n".join(row for row in at.rows if "Looking" not in row)
        assert re.findall(r"[^\x00-\x7f]", shown) == []


async def test_how_the_way_to_each_host_stands_and_that_it_changes(tmp_path: Path) -> None:
    async with home((200, 50)) as at:
        await at.show([], fleet())
        at.app.home.show_ways(ways())
        await at.pilot.pause()
        shown = "\n".join(at.rows)
        for told in (
            "gpu-a ● up 34 ms ▆▆",
            "gpu-b ✗ retry in 8 s ",
            "gpu-d ■ auth failed",
            "gpu-e ! key changed",
            "gpu-f ◌ stale 7 s ▆▆",
            "gpu-g ◔ connecting",
        ):
            assert told in shown
        assert re.search(r"gpu-c ✗ unreachable since 02:29 ▆▆▁{6} \d+/\d+G 14m old", shown)
        assert "here no GPU  load" in shown
        at.app.now = lambda: AT + 3
        at.app.home.show_ways(ways())
        await at.pilot.pause()
        assert "gpu-b ✗ retry in 5 s" in "\n".join(at.rows)
        await at.app.push_screen(HomeScreen(lambda _: None, lambda _: None))
        strip = at.app.home.query_one("#strip", Rows)
        paints = strip.paints
        at.app.now = lambda: AT + 5
        at.app.home.show_ways(ways())
        assert strip.paints == paints, "nobody sees it"


def test_gpus_of_a_driver_that_fails_are_of_before() -> None:
    host = eight_gpus()
    rows = strip_rows((replace(host, body=replace(host.body, unread=AT - 40)),), {}, Space(80, 2, False, AT, UTC))
    assert re.search(r"▆▆▁{6} \d+/\d+G 30s old\Z", "".join(text for row in rows for text, _ in row))


def test_what_is_in_trouble_is_not_among_those_left_out() -> None:
    some = {f"ok-{number}": replace(eight_gpus(), watch=f"ok-{number}") for number in range(9)}
    up = {name: Connection(Way.UP, AT, 0.001) for name in some}
    hosts, told = {**some, **fleet()}, {**up, **ways()}
    rows = strip_rows(tuple(hosts.values()), told, Space(80, 2, False, AT, UTC))
    assert len(rows) == 2
    shown = "".join(text for row in rows for text, _ in row)
    assert all(f"gpu-{letter} " in shown for letter in "bcdef"), "the trouble alone, where all of it has no room"
    assert "ok-" not in shown
    assert re.search(r"\+\d+ hosts\Z", shown)
    assert all(width(row) <= 80 for row in rows)


@pytest.mark.parametrize("state", ["everything", "unfolded", "one", "calm", "first", "looking", "fleet"])
async def test_looks(state: str, tmp_path: Path, album: Album) -> None:
    async with home(SIZES[0]) as at:
        if state == "first":
            at.app.home.say_first(first_words(["/home/anna/projects/qwen"]))
            await at.show([], hosts(blind=False))
        elif state == "looking":
            await at.show([], {})
        elif state == "fleet":
            at.app.home.show_ways(ways())
            await at.show([entry_of(running(tmp_path, "tts"), "tts r3", "gpu-a")], fleet())
        elif state == "one":
            eta = Eta(AT + 5400, "")
            await at.show([entry_of(running(tmp_path, "tts"), "tts r3", "here", eta=eta)], hosts(blind=False))
        elif state == "calm":
            entries = [entry_of(applied(tmp_path, f"old-{number}"), f"old-{number} r3", "h20-a") for number in range(4)]
            await at.show(entries, hosts(blind=False))
        else:
            await at.show(everything(tmp_path))
            at.app.home.say_since(
                ("09:12  qwen3-omni r3: 4 stages done (mmmu, tts, mmsu, and 1 more) · voices: halted",)
            )
            await at.press(*(["u"] if state == "unfolded" else []))
        async for _size in at.sizes():
            album.check(at.app, state)
