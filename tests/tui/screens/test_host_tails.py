"""The ends of a host's logs on its screen: real files, live while they are seen, and of no cost while they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hosts.errors import UnreachableError
from hosts.target import Target
from monitors.logs.opening import open_source
from monitors.logs.types import Source
from monitors.snapshot import State
from tests.tui.screens.fleet import FleetDesk, body, busiest, fleet, held, look
from tests.tui.screens.test_host_detail import into
from tui.screens.home import HomeScreen
from tui.screens.host_look import HostLook, HostRun
from tui.screens.host_screen import HostScreen
from tui.screens.host_tails import MOST


class Logs:
    """Opens files here as those of a host, and counts them."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.dark = self.broken = ""

    async def __call__(self, host: str, path: str) -> Source:
        self.opened.append(path)
        if self.dark:
            raise UnreachableError(self.dark)
        if self.broken:
            raise ZeroDivisionError(self.broken)
        return await open_source(Target(None, path))


def log(folder: Path, name: str, lines: int = 20) -> Path:
    path = folder / name
    path.write_text("".join(f"{name} line {number}\n" for number in range(lines)))
    return path


def run(path: Path, written: float = 0.0) -> HostRun:
    return HostRun(f"h:{path}", f"run {path.stem}", State.RUNNING, "a 1/2", str(path), written)


def here(at: FleetDesk) -> HostScreen:
    assert isinstance(at.screen, HostScreen)
    return at.screen


def quiet(*runs: HostRun) -> HostLook:
    return look("h", body((held(0, 9_000, 1),)), runs=runs)


@pytest.mark.parametrize(("size", "rows"), [((80, 24), 5), ((120, 40), 12), ((200, 50), 12)], ids=str)
async def test_the_last_lines_stand_there_and_go_on(tmp_path: Path, size: tuple[int, int], rows: int) -> None:
    path = log(tmp_path, "a.log")
    async with fleet(size, (quiet(run(path)),), open_log=Logs()) as at:
        await into(at, "h")
        await at.until(lambda: "a.log line 19" in at.shown)
        assert sum("a.log line " in row for row in at.rows) == rows
        with path.open("a") as file:
            file.write("ERROR: [bold]boom\x1b[2J HF_TOKEN=hf_abcdefghijklmnopqrstuvwxyzABCDEFGH\n")
        await at.until(lambda: "ERROR: [bold]boom" in at.shown)
        assert "hf_abcdef" not in at.shown
        assert "\x1b" not in at.shown


async def test_a_long_bar_stands_as_it_was_written_last(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("start\n" + "".join(f"\rtrain: step {number}/500000 |####|" for number in range(40_000)))
    async with fleet((120, 40), (quiet(run(path)),), open_log=Logs()) as at:
        await into(at, "h")
        await at.until(lambda: "train: step " in at.shown)
        assert "train: step 39999/500000" in at.shown
        with path.open("a") as file:
            file.write("".join(f"\rtrain: step {number}/500000 |####|" for number in range(100_000, 140_000)))
        await at.until(lambda: "train: step 139999/500000" in at.shown)


async def test_meters_and_processes_come_first_and_a_key_goes_to_the_logs(tmp_path: Path) -> None:
    paths = [log(tmp_path, f"{name}.log") for name in "abcd"]
    runs = tuple(run(path, written=float(place)) for place, path in enumerate(paths))
    logs = Logs()
    async with fleet((80, 24), (look("h", busiest(), runs=runs),), open_log=logs) as at:
        view = await into(at, "h")
        assert "GPU" in at.shown
        assert "a.log line" not in at.shown
        assert not logs.opened, "what is below the last row costs nothing"
        assert "l logs" in at.rows[-1]
        await at.press("l")
        assert view.at == f"log {paths[3]}", "the newest first"
        await at.until(lambda: "d.log line 19" in at.shown)
        await at.press("l")
        assert view.at == f"log {paths[2]}"
        await at.press("l", "l")
        assert view.at == f"log {paths[3]}", "after the last the first"
        assert sum(bool(line.tail and line.key) for line in view.lines) == MOST
        await at.press("enter")
        assert at.app.asked == [("tail", f"h:{paths[3]}")]
        await at.press("g")
        tails = here(at).tails
        assert tails is not None
        await at.until(lambda: not tails.open, "that they are let go of")


async def test_no_log_is_read_while_nobody_sees_it(tmp_path: Path) -> None:
    path = log(tmp_path, "a.log")
    logs = Logs()
    async with fleet((120, 40), (quiet(run(path)),), open_log=logs) as at:
        await into(at, "h")
        await at.until(lambda: "a.log line 19" in at.shown)
        tails = here(at).tails
        assert tails is not None
        await at.app.push_screen(HomeScreen(lambda _: None, lambda _: None))
        await at.until(lambda: not tails.open)
        with path.open("a") as file:
            file.write("meanwhile\n")
        at.app.hosts.show_hosts((quiet(run(path)),))
        await at.pilot.pause(0.5)
        assert logs.opened == [str(path)]
        _ = at.app.pop_screen()
        await at.until(lambda: "meanwhile" in at.shown)
        assert len(logs.opened) == 2
        await at.press("escape")
        await at.until(lambda: at.screen is at.app.hosts)
        assert not tails.open


async def test_the_next_host_has_its_own_logs(tmp_path: Path) -> None:
    near, far = log(tmp_path, "near.log"), log(tmp_path, "far.log")
    one = look("a", body((held(0, 9_000, 1),)), runs=(run(near),))
    other = look("b", body((held(0, 9_000, 1),)), runs=(run(far),))
    async with fleet((120, 40), (one, other), open_log=Logs()) as at:
        await into(at, "a")
        await at.until(lambda: "near.log line 19" in at.shown)
        await at.press("right_curly_bracket")
        await at.until(lambda: "far.log line 19" in at.shown)
        assert "near.log" not in at.shown
        tails = here(at).tails
        assert tails is not None
        assert tails.open == (str(far),)


async def test_a_log_that_is_not_there_or_cannot_be_reached_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.screens.host_tails._RETRY_S", 0.1)
    logs = Logs()
    logs.dark = "h: no answer [/red]"
    path = tmp_path / "later.log"
    async with fleet((120, 40), (quiet(run(path)),), open_log=logs) as at:
        await into(at, "h")
        await at.until(lambda: "h: no answer [/red]" in at.shown)
        logs.dark, logs.broken = "", "a defect"
        await at.until(lambda: "unexpected ZeroDivisionError: a defect" in at.shown)
        logs.broken = ""
        await at.until(lambda: "no such file yet" in at.shown)
        log(tmp_path, "later.log", 2)
        await at.until(lambda: "later.log line 1" in at.shown)
        assert "no such file" not in at.shown


async def test_where_no_run_has_a_log_there_is_none(tmp_path: Path) -> None:
    async with fleet((80, 24), (look("h", body(())),), open_log=Logs()) as at:
        view = await into(at, "h")
        assert not any(line.tail for line in view.lines)
        assert "logs" not in at.rows[-1]
