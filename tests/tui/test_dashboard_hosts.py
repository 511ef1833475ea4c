"""The dashboard's side of hosts: real sshds, one that hangs and one that is not there, real processes on a GPU."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hosts.connection import Connection, Way
from hosts.here import LocalReader
from hosts.local.gpu_owners import counts_like_the_driver
from hosts.profiles import AgentPolicy, HostProfile, Ssh
from hosts.standing import Clock, Standing
from jobs.connect import open_actor
from monitors.owners import Whose
from monitors.snapshot import State
from tests.peers import sshd
from tests.peers.nvml import COMPILER, FakeNvml, build, gpu
from tests.peers.quick import Quick, old_run, until
from tests.tui.test_dashboard import Watcher, desk
from tui.dashboard import DashboardApp
from tui.dashboard_begin import Sight
from tui.dashboard_fleet import host_looks, unseen
from tui.dashboard_hosts import HOST, Station
from tui.dashboard_runs import Wanted
from tui.screens.host_screen import HostScreen
from tui.screens.hosts import HostsScreen
from tui.screens.run import RunScreen
from tui.screens.secret import SecretScreen
from tui.screens.stage_log import RepeatLogScreen

pytestmark = pytest.mark.timeout(240)

PASSPHRASE = "open sesame"


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[sshd.SshPeer]:
    """Hangs up on who has not logged in within two seconds."""
    (tmp_path / "impatient").mkdir()
    with sshd.running(tmp_path / "impatient", "LoginGraceTime 2\n") as running:
        yield running


@pytest.fixture(autouse=True)
def _nobody_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def profile(name: str, port: int, known: Path, key: Path) -> HostProfile:
    ssh = Ssh(host="127.0.0.1", port=port, identity_file=str(key), known_hosts=str(known))
    return HostProfile(name=name, launcher="ssh", ssh=ssh, python=sys.executable)


def hosts_of(*profiles: HostProfile) -> Callable[[DashboardApp], Any]:
    async def begin(app: DashboardApp) -> None:
        for one in profiles:
            await app.add_host(one)

    return begin


@contextmanager
def never_answers() -> Iterator[int]:
    """Accepts and says nothing; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for one in held:
            one.close()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def way(at: Watcher, name: str) -> Way | None:
    station = at.app._stations.named(name)
    found = station.connection if station is not None else None
    return found.way if found is not None else None


async def test_hosts_that_are_down_delay_neither_the_others_nor_the_screen(peer: sshd.SshPeer) -> None:
    key = peer.keys["plain"]
    with never_answers() as hung:
        fleet = [
            profile("gone", closed_port(), peer.known_hosts, key),
            profile("hung", hung, peer.known_hosts, key),
            profile("good", peer.port, peer.known_hosts, key),
        ]
        async with desk(Sight(), size=(120, 40), start=hosts_of(*fleet)) as at:
            await at.until(lambda: any("good ● up" in row for row in at.rows), "the good one, in words")
            await at.until(lambda: at.app.hosts["good"].state is State.RUNNING, "the good one")
            assert way(at, "hung") is Way.CONNECTING, "nobody has waited for its deadline"
            shown = "\n".join(at.rows)
            assert "hung ◔ connecting" in shown
            assert "gone ✗ retry in" in shown or "gone ✗ unreachable since" in shown
            await at.press("question_mark")
            await at.until(lambda: any("keys: home" in row for row in at.rows), "the help, meanwhile")


async def test_a_run_on_a_host_that_hangs_delays_no_other(quick: Quick, peer: sshd.SshPeer) -> None:
    near, far = old_run(quick.runs / "near"), old_run(quick.runs / "far")
    with never_answers() as hung:
        write_profile(quick, "hung", hung, peer)
        write_profile(quick, "good", peer.port, peer)
        root = str(quick.folder)
        runs = [f"hung:{far}", "hung:/other", f"good:{far}", str(near)]
        async with desk(Sight(runs=tuple(Wanted(run, root=root) for run in runs)), size=(120, 40)) as at:
            await at.until(lambda: any("looking" in row and "hung" in row for row in at.rows), "its row, at once")
            await at.until(lambda: at.looked("near") and at.looked(f"good:{far}"), "the others")
            await at.until(lambda: sum("6/6" in row for row in at.rows) == 2, "the others, seen")
            assert way(at, "hung") is Way.CONNECTING, "nobody has waited for its deadline"


async def test_the_seconds_until_a_retry_go_down_by_themselves(peer: sshd.SshPeer) -> None:
    down = profile("gone", closed_port(), peer.known_hosts, peer.keys["plain"])
    told: set[str] = set()

    def several() -> bool:
        told.update(row.partition("retry in ")[2].split()[0] for row in at.rows if "retry in " in row)
        return len(told) > 2

    async with desk(Sight(), start=hosts_of(down), interval=120.0) as at:
        await at.until(several, "three different numbers, although it is looked at every two minutes")


async def test_a_passphrase_is_asked_for_on_the_screen(peer: sshd.SshPeer, tmp_path: Path) -> None:
    with locked_key(peer, tmp_path) as key:
        locked = profile("locked", peer.port, peer.known_hosts, key)
        async with desk(Sight(), start=hosts_of(locked)) as at:
            await at.until(lambda: isinstance(at.app.screen, SecretScreen), "the question")
            await at.until(lambda: any("asks for: passphrase of" in row for row in at.rows))
            await at.press("escape")
            await at.until(lambda: any("auth failed" in row for row in at.rows), "that it was left")
            assert not isinstance(at.app.screen, SecretScreen)
            await at.press("r")
            await at.until(lambda: isinstance(at.app.screen, SecretScreen), "the question again")
            at.app.screen._field._heard_from = 0.0  # type: ignore[attr-defined]  # it is seen now
            await at.press(*("space" if letter == " " else letter for letter in PASSPHRASE), "enter")
            await at.until(lambda: any("locked ● up" in row for row in at.rows), "the login")
            await at.until(lambda: at.app.hosts["locked"].state is State.RUNNING)
            actor = await asyncio.to_thread(open_actor, locked, False, at.app.connects)
            assert await actor.query("locate", {"path": str(key)}, 20.0) == [str(key)]
            await actor.close()
            assert not isinstance(at.app.screen, SecretScreen), "who acts has a part in the connection that there is"
            assert way(at, "locked") is Way.UP, "and leaves it standing"


async def test_who_leaves_while_a_secret_is_asked_for_leaves(peer: sshd.SshPeer, tmp_path: Path) -> None:
    with locked_key(peer, tmp_path) as key:
        async with desk(Sight(), start=hosts_of(profile("locked", peer.port, peer.known_hosts, key))) as at:
            await at.until(lambda: isinstance(at.app.screen, SecretScreen), "the question")
            await at.press("ctrl+q")
        assert at.app.failure is None


@pytest.mark.skipif(sshd.SSHD is None, reason="NOT TESTED: needs OpenSSH's sshd")
async def test_a_question_goes_when_the_server_waits_no_longer(
    impatient: sshd.SshPeer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with locked_key(impatient, tmp_path) as key:
        locked = profile("locked", impatient.port, impatient.known_hosts, key)
        async with desk(Sight(), start=hosts_of(locked)) as at:
            await at.until(lambda: isinstance(at.app.screen, SecretScreen), "the question")
            at.app.screen._field._heard_from = 0.0  # type: ignore[attr-defined]  # it is seen now
            await at.press(*"half of it")
            await at.until(lambda: not isinstance(at.app.screen, SecretScreen), "its end")
            assert way(at, "locked") in (Way.WAITING, Way.CONNECTING)
        assert "half" not in caplog.text


@contextmanager
def locked_key(peer: sshd.SshPeer, folder: Path) -> Iterator[Path]:
    key = sshd.make_key(folder / "locked", "ecdsa")
    allowed = peer.folder / "allowed"
    before = allowed.read_text()
    allowed.write_text(f"{before}{sshd.public(key)}\n")
    argv = ["ssh-keygen", "-q", "-p", "-a", "1", "-m", "PKCS8", "-N", PASSPHRASE, "-f", str(key)]
    subprocess.run(argv, check=True, capture_output=True)
    yield key
    allowed.write_text(before)


async def test_a_run_tells_how_the_way_to_its_host_stands(quick: Quick, peer: sshd.SshPeer) -> None:
    run = old_run(quick.runs / "far")
    write_profile(quick, "gpu-a", peer.port, peer)
    async with desk(Sight(runs=(Wanted(f"gpu-a:{run}", root=str(quick.folder)),)), size=(120, 40)) as at:
        await at.until(lambda: isinstance(at.app.screen, RunScreen), "its screen")
        await at.until(lambda: any("@gpu-a up " in row for row in at.rows), "the way, in its header")
        shown = at.app.screen
        await at.press("H")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen), "the hosts")
        await at.until(lambda: any("gpu-a" in row for row in at.rows))
        await at.press("enter")
        await at.until(lambda: isinstance(at.app.screen, HostScreen), "all of the host")
        await at.until(lambda: any("RUNS WATCHED HERE" in row for row in at.rows))
        await at.press("G", "enter")
        await at.until(lambda: at.app.screen is shown, "the run that lay below")


def write_profile(quick: Quick, name: str, port: int, peer: sshd.SshPeer) -> None:
    folder = quick.folder / "hosts"
    folder.mkdir(exist_ok=True)
    ssh = f"{{host: 127.0.0.1, port: {port}, identity_file: {peer.keys['plain']}, known_hosts: {peer.known_hosts}}}"
    text = f"launcher: ssh\nssh: {ssh}\npython: {sys.executable}\nrepo_root: {quick.folder}\n"
    (folder / f"{name}.yaml").write_text(text)


async def test_the_hosts_have_a_screen_from_which_one_goes_into_a_run_and_a_log(quick: Quick) -> None:
    run = old_run(quick.runs / "far")
    (Path(os.environ["HOME"]) / "in home.log").write_text("a line at home\n")
    log = quick.folder / "some.log"
    log.write_text("one\nthe last line\n")
    quick.hop()
    wanted = f"hop:{run}"
    async with desk(Sight(runs=(Wanted(wanted, root=str(quick.folder)), Wanted("none:/x"))), size=(120, 40)) as at:
        await at.until(lambda: at.looked("far"))
        await at.press("escape")
        await at.until(lambda: at.app.screen is at.app.home)
        await at.press("H")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen), "the hosts")
        await at.until(lambda: any("hop" in row for row in at.rows))
        at.app._hosts_asked("poll", "hop")
        before = len([one for one in at.messages if getattr(one, "watch", None) == HOST])
        await at.until(lambda: len([one for one in at.messages if getattr(one, "watch", None) == HOST]) > before)
        assert len(at.app.screen_stack) == 2
        at.app._hosts_asked("tail", f"hop:{log}")
        await at.until(lambda: isinstance(at.app.screen, RepeatLogScreen), "the log")
        await at.until(lambda: any("the last line" in row for row in at.rows), "its end")
        await at.press("escape")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen))
        at.app._hosts_asked("tail", "hop:~/in home.log")
        await at.until(lambda: any("a line at home" in row for row in at.rows), "a log in the home folder")
        await at.press("escape")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen))
        at.app._hosts_asked("tail", "hop:some.log")
        await at.until(lambda: any("named by its absolute path" in row for row in at.rows), "why not")
        at.app._hosts_asked("enter", wanted)
        await at.until(lambda: isinstance(at.app.screen, RunScreen), "the run")
        await at.press("H")
        await at.until(lambda: isinstance(at.app.screen, HostsScreen), "the hosts again")
        assert len(at.app.screen_stack) == 2


@dataclass
class Held:
    """A real run at its first stage behind a profile, whose host has a GPU for its pytest and one for a stranger."""

    run: str
    ours: int
    root: str


@pytest.fixture
def held(quick: Quick, tmp_path: Path) -> Iterator[Held]:
    nvml = FakeNvml(build(tmp_path), tmp_path / "gpus")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger, quick.holding():
        assert quick.run("--detach").code == 0
        until(lambda: len(quick.processes()) == 3, "runner, shim and pytest")
        (ours,) = [seen.ref.pid for seen in quick.processes() if "pytest" in seen.argv]
        nvml.says(
            *("driver driver 580.65", "driver cuda 13000", "driver count 3"),
            *(*gpu(0, used=40_000), f"0 process {ours} 38000"),
            *(*gpu(1, used=30_000), f"1 process {stranger.pid} 28000"),
            *gpu(2, used=4, utilisation=0),
        )
        enter = ", ".join(["env", *(f'"{name}={value}"' for name, value in nvml.environment.items())])
        quick.hop(enter=enter)
        yield Held(f"hop:{quick.runs / 'r'}", ours, str(quick.folder))
        stranger.communicate(b"\n")


@pytest.mark.skipif(
    COMPILER is None or not counts_like_the_driver(),
    reason="NOT TESTED: needs a C compiler for the NVML stand-in, and pids as the driver counts them",
)
async def test_a_process_on_a_gpu_is_told_with_its_run_and_stage(held: Held) -> None:
    async with desk(Sight(runs=(Wanted(held.run, root=held.root),)), size=(120, 40)) as at:
        await at.until(lambda: isinstance(at.app.screen, RunScreen), "its screen")
        await at.until(lambda: "hop" in at.app.hosts and held.ours in at.app.hosts["hop"].body.owners, "its owner")
        body = at.app.hosts["hop"].body
        assert dict(body.owners) == {held.ours: Whose(held.run, "test_quick_a run 1")}
        await at.until(lambda: any("this run: 0" in row and "others: 1" in row for row in at.rows), "the strip")
        assert any(row.endswith("2 free") for row in at.rows)
        assert {f"{held.root}/.tune-runs", held.root, "~"} <= {disk.path for disk in body.disks}


async def test_a_host_is_looked_at_as_often_as_its_profile_says(peer: sshd.SshPeer) -> None:
    often = profile("often", peer.port, peer.known_hosts, peer.keys["plain"])
    often = often.model_copy(update={"agent_policy": AgentPolicy(poll_interval_max_s=1.0)})
    async with desk(Sight(), start=hosts_of(often), interval=120.0) as at:
        await at.until(lambda: at.app._stations.named("often"), "the host")
        station = at.app._stations.named("often")
        assert station is not None
        watch = station._watch
        await at.until(lambda: watch.looks >= 3, "look after look, though a look far away calls for long pauses")


def test_where_what_lies_is_asked_of_a_host_once(tmp_path: Path) -> None:
    from monitors.calibration import CalibrationMonitor
    from tui.dashboard_hosts import places_of

    far = HostProfile(name="h", repo_root="/data/repo", physical={"hf_hub": "/data/hf"})  # type: ignore[arg-type]
    assert places_of(far) == ("/data/repo", "/data/hf")
    assert places_of(None) == ("~",)
    station = Station("h", LocalReader(), False, 5.0, lambda *_: None, lambda *_: None, places_of(far))
    for name in ("/data/repo/.tune-runs/a", "/data/repo/.tune-runs/b", "/data/repo"):
        station.add(name, CalibrationMonitor(name), name)
    asked = station._monitor().wants(None).disks
    assert asked == ("/data/repo", "/data/hf", "/data/repo/.tune-runs", "/data")


@pytest.mark.parametrize("set_by", [0.0, -3600.0, 3600.0])
def test_a_host_is_tried_when_its_wait_is_over_wherever_our_clock_stands(set_by: float) -> None:
    steady, asked = 0.0, 0

    class Down(LocalReader):
        connection = Connection(Way.WAITING, 1000.0, None, 1008.0)

    class Asked(Station):
        def request(self) -> None:
            nonlocal asked
            asked += 1

    station = Asked("h", Down(), False, 120.0, lambda *_: None, lambda *_: None, steady=lambda: steady)
    station.retry_when_due(1000.0)
    assert not asked
    for steady in (4.0, 7.5, 8.5, 9.5):
        station.retry_when_due(1000.0 + steady + set_by)
        assert asked == int(set_by > 0 or steady > 8.0), "once"


def test_a_way_that_came_up_after_the_last_look_is_told_of_as_such() -> None:
    now = 1000.0
    standing = Standing("h", Random(1), Clock(lambda: now, lambda: now))

    class Far(LocalReader):
        @property
        def connection(self) -> Connection:
            return standing.now

    station = Station("h", Far(), False, 120.0, lambda *_: None, lambda *_: None)
    dark = replace(unseen("h"), state=State.BLIND, error="h: no answer to keepalive")

    def recovered(*told: Callable[[], None], looked: str | None = None) -> bool:
        nonlocal now
        for tell in told:
            now += 1
            tell()
        if looked is not None:
            station._took(looked, dark)
        [look] = host_looks((station,), {"h": dark}, {})
        return look.recovered

    silent, heard, lost, up = lambda: standing.stale(6), standing.alive, lambda: standing.lost("reset"), standing.up
    assert not recovered(standing.connecting, looked=HOST)
    now -= 3600.0
    assert recovered(up), "and nobody has looked yet, whatever our clock was set to"
    assert recovered(looked="run"), "nor at the host itself"
    assert not recovered(looked=HOST)
    assert not recovered(silent)
    assert not recovered(heard), "it was up all along"
    assert not recovered(silent, looked=HOST)
    assert not recovered(heard)
    assert recovered(lost, up)
    assert not recovered(looked=HOST), "what it failed by now is of now"
    assert not recovered(silent, looked=HOST)
    assert recovered(lost, up, silent, heard), "silent at the last look, and lost since"
