"""What was copied goes out though one leaves right behind it, from every screen, and nobody waits for it for ever."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.events import Key

from tests.peers.quick import Quick, old_run
from tests.tui.logs.panes import desk as log_desk
from tests.tui.logs.panes import numbered
from tests.tui.screens.runs import RunBench
from tests.tui.screens.two_panes import panes
from tests.tui.test_clipboard import COPIED, TAKES, fake
from tests.tui.test_dashboard import desk, runs_of
from tui import clipboard, copying, shims
from tui.app import GatewatchApp
from tui.dashboard_begin import Sight
from tui.dashboard_runs import Wanted
from tui.screens.hosts import HostsScreen
from tui.screens.stage_log import RepeatLogScreen


@pytest.fixture(params=["outside", "tmux"])
def slow(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No tmux, or one that takes its time."""
    if request.param == "tmux":
        for name, value in fake(tmp_path, "sleep 0.3", TAKES).items():
            monkeypatch.setenv(name, value)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the terminal was sent."""
    sequences: list[str] = []
    monkeypatch.setattr(shims, "write", lambda _, sequence: sequences.append(sequence))
    return sequences


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is told once the screen is gone."""
    told: list[str] = []
    monkeypatch.setattr(copying, "atexit", SimpleNamespace(register=lambda _, text: told.append(text)))
    return told


def texts(sent: list[str]) -> list[str]:
    return [base64.b64decode(text).decode() for text in COPIED.findall("".join(sent).encode())]


def type_at_once(app: GatewatchApp, *keys: str) -> None:
    """As a terminal hands over what came in one piece."""
    for key in keys:
        app.post_message(Key(key, key if len(key) == 1 else None).set_sender(app))


async def test_a_line_of_a_log(slow: None, sent: list[str]) -> None:
    async with log_desk(numbered(50)) as at:
        type_at_once(at.app, "y", "q")
        await at.until(lambda: not at.app.is_running, "the end")
    assert texts(sent) == ["line 50\n"]


async def test_a_milestone_of_a_run(slow: None, sent: list[str], tmp_path: Path) -> None:
    bench = RunBench.make(tmp_path)
    bench.begin()
    (bench.root / "run.log").write_text("2026-05-25T02:43:02Z START mmmu 2/5\n")
    async with panes(bench) as at:
        at.show()
        await at.until(lambda: "START mmmu 2/5" in at.shown)
        at.job.focus()
        await at.pilot.pause()
        type_at_once(at.app, "y", "q")
        await at.until(lambda: not at.app.is_running, "the end")
    assert len(texts(sent)) == 1
    assert texts(sent)[0].endswith("START mmmu 2/5")


async def test_what_is_cut_on_the_dashboard(slow: None, sent: list[str], tmp_path: Path) -> None:
    async with desk(Sight(runs=(Wanted(runs_of(tmp_path / "runs", "r1")[0]), Wanted("none")))) as at:
        await at.until(lambda: at.looked("r1"))
        at.app.copy_to_clipboard("typed")
        type_at_once(at.app, "q")
        await at.until(lambda: not at.app.is_running, "the end")
    assert texts(sent) == ["typed"]


async def test_a_line_of_a_log_over_the_dashboard(slow: None, sent: list[str], quick: Quick) -> None:
    async with desk(Sight(runs=(Wanted(str(old_run(quick.runs / "run"))), Wanted("none")))) as at:
        await at.until(lambda: at.looked("run") and "here" in at.app.hosts)
        await at.press("H")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen) and any("here" in row for row in at.rows))
        log = quick.runs / "engine.log"
        log.write_text("the last line\n")
        await at.press("f")
        at.app.screen.focused.value = str(log)  # type: ignore[union-attr]
        await at.press("enter")
        await at.until(lambda: isinstance(at.app.screen, RepeatLogScreen) and "the last line" in at.shown)
        type_at_once(at.app, "y", "escape")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen), "the log is left")
        await at.until(lambda: sent)
    assert texts(sent) == ["the last line\n"]


async def test_a_text_that_cannot_be_had_in_time_is_given_up_with_a_word(
    monkeypatch: pytest.MonkeyPatch, sent: list[str], said: list[str]
) -> None:
    monkeypatch.setattr(copying, "_LEAVING_S", 0.1)
    async with log_desk(numbered(50)) as at:

        async def never(*_: object) -> None:
            await asyncio.sleep(3600)

        monkeypatch.setattr("tui.logs.takepart.collect", never)
        type_at_once(at.app, "y", "q")
        await at.until(lambda: not at.app.is_running, "the end")
    assert said == ["nothing was copied: the log was left before all of it was read"]
    assert not sent


def written(folder: Path) -> dict[str, str]:
    """The files that texts were copied to, and what they hold."""
    return {str(path): path.read_text() for path in folder.rglob("copied-*.txt")}


async def test_where_a_text_went_is_said_though_the_screen_is_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: list[str]
) -> None:
    write = clipboard._to_file

    def slowly(text: str, env: Mapping[str, str]) -> Path:
        time.sleep(0.3)
        return write(text, env)

    monkeypatch.setattr(clipboard, "_to_file", slowly)
    monkeypatch.setenv("CLIPBOARD", "file")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with log_desk(numbered(50)) as at:
        type_at_once(at.app, "y", "q")
        await at.until(lambda: not at.app.is_running, "the end")
    files = written(tmp_path)
    assert list(files.values()) == ["line 50\n"]
    assert said == [f"1 line written to {path}" for path in files]
