"""The ends of a host's logs in the dashboard: over the one connection that it holds, and until one leaves."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hosts import standing
from hosts.connection import Way
from tests.peers import sshd
from tests.peers.quick import Quick, old_run
from tests.tui.test_dashboard import desk
from tests.tui.test_dashboard_hosts import _nobody_at_home, peer, way, write_profile  # noqa: F401 - fixtures
from tui.dashboard_begin import Sight
from tui.dashboard_runs import Wanted
from tui.screens.host_screen import HostScreen
from tui.screens.hosts import HostsScreen
from tui.screens.run import RunScreen
from tui.screens.stage_log import RepeatLogScreen

pytestmark = pytest.mark.timeout(240)


def logged(run: Path, text: str) -> Path:
    path = run / "_pytest" / "a" / "run1.log"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


@pytest.mark.skipif(sshd.SSHD is None, reason="NOT TESTED: needs OpenSSH's sshd, whose sessions are counted")
async def test_the_end_of_a_log_on_a_host_goes_on_over_the_connection_that_is_held(
    quick: Quick,
    peer: sshd.SshPeer,  # noqa: F811 - a fixture
) -> None:
    run = old_run(quick.runs / "far")
    path = logged(run, "".join(f"line {number}\n" for number in range(2_000)))
    write_profile(quick, "gpu-a", peer.port, peer)
    async with desk(Sight(runs=(Wanted(f"gpu-a:{run}", root=str(quick.folder)),)), size=(120, 50)) as at:
        await at.until(lambda: isinstance(at.app.screen, RunScreen), "its screen")
        await at.until(lambda: at.looked("far"))
        await at.press("H")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen) and any("gpu-a" in row for row in at.rows))
        connections = len(sshd.children(peer.pid)) if peer.pid is not None else 0
        await at.press("enter")
        await at.until(lambda: isinstance(at.app.screen, HostScreen), "all of the host")
        await at.until(lambda: any("line 1999" in row for row in at.rows), "the end of its log")
        with path.open("a") as file:
            file.write("the newest line\n")
        await at.until(lambda: any("the newest line" in row for row in at.rows), "what is added")
        assert peer.pid is not None
        assert len(sshd.children(peer.pid)) == connections, "there is no connection of its own"
        await at.press("l", "enter")
        await at.until(lambda: isinstance(at.app.screen, RepeatLogScreen), "the whole log")
        await at.until(lambda: any("the newest line" in row for row in at.rows))
        await at.press("escape")
        await at.until(lambda: isinstance(at.app.screen, HostScreen))


async def test_a_log_of_this_machine_whose_name_is_a_pattern_too(quick: Quick) -> None:
    run = old_run(quick.runs / "run [1]*")
    logged(run, "its own line\n")
    logged(old_run(quick.runs / "run 1"), "the line of another\n")
    async with desk(Sight(runs=(Wanted(str(run)),)), size=(120, 50)) as at:
        await at.until(lambda: at.looked("run [1]*"))
        await at.press("H")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen) and any("here" in row for row in at.rows))
        await at.press("enter")
        await at.until(lambda: any("its own line" in row for row in at.rows), "its end")
        assert not any("another" in row for row in at.rows)


class Latest(random.Random):
    """Draws the longest wait."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


@pytest.mark.skipif(sshd.SSHD is None, reason="NOT TESTED: needs OpenSSH's sshd, which is stopped and started")
async def test_a_whole_log_has_a_key_that_tries_its_host_now(
    quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "_FIRST", 3600.0)
    log = quick.folder / "some.log"
    log.write_text("the first line\n")
    quick.hop()
    (tmp_path / "own").mkdir()
    with sshd.running(tmp_path / "own") as own:
        write_profile(quick, "gpu-a", own.port, own)
        root = str(quick.folder)
        async with desk(Sight(hosts=("gpu-a", "hop"), root=root), size=(120, 50)) as at:
            assert at.app.connects is not None
            at.app.connects.chance = Latest()
            await at.until(lambda: {one.name for one in at.app._stations} == {"gpu-a", "hop"})
            at.app._hosts_asked("tail", f"gpu-a:{log}")
            await at.until(lambda: any("the first line" in row for row in at.rows), "the log")
            assert "r look now" in at.rows[-1]
            own.stop()
            await at.until(lambda: any("STALE" in row for row in at.rows), "that it is lost")
            await at.until(lambda: way(at, "gpu-a") is Way.WAITING, "that it waits")
            own.start()
            with log.open("a") as file:
                file.write("a later line\n")
            await at.press("r")
            await at.until(lambda: any("a later line" in row for row in at.rows), "what was written meanwhile")


async def test_a_whole_log_of_this_machine_has_no_such_key(quick: Quick) -> None:
    log = quick.folder / "some.log"
    log.write_text("the first line\n")
    async with desk(Sight(runs=(Wanted(str(old_run(quick.runs / "run"))), Wanted("none"))), size=(120, 50)) as at:
        await at.until(lambda: at.looked("run"))
        at.app._hosts_asked("tail", str(log))
        await at.until(lambda: any("the first line" in row for row in at.rows), "the log")
        assert "look now" not in at.rows[-1]
