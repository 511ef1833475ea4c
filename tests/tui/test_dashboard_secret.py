"""A run that is gone into while its host asks for a secret: a real sshd, and a key that is locked."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers import sshd
from tests.peers.quick import Quick, old_run
from tests.tui.test_dashboard import Watcher, desk
from tests.tui.test_dashboard_hosts import PASSPHRASE, locked_key
from tui.dashboard import DashboardApp
from tui.dashboard_begin import Sight, begin
from tui.dashboard_runs import Wanted
from tui.screens.run import RunScreen
from tui.screens.secret import SecretScreen

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def sight(
    quick: Quick, peer: sshd.SshPeer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[], Sight]]:
    """One run on a host whose key is locked."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    run = old_run(quick.runs / "far")
    (quick.folder / "hosts").mkdir(exist_ok=True)
    with locked_key(peer, tmp_path) as key:
        ssh = f"{{host: 127.0.0.1, port: {peer.port}, identity_file: {key}, known_hosts: {peer.known_hosts}}}"
        profile = f"launcher: ssh\nssh: {ssh}\npython: {sys.executable}\nrepo_root: {quick.folder}\n"
        (quick.folder / "hosts" / "far.yaml").write_text(profile)
        yield lambda: Sight(runs=(Wanted(f"far:{run}", root=str(quick.folder)),))


async def answer(at: Watcher) -> None:
    """Type what is asked for, above the run's own screen, and see the run."""
    await at.until(lambda: any(isinstance(screen, RunScreen) for screen in at.app.screen_stack), "the run's screen")
    await at.until(lambda: isinstance(at.app.screen, SecretScreen), "the question, above it")
    await at.until(lambda: any("asks for: passphrase of" in row for row in at.rows), "the question, to be seen")
    question = at.app.screen
    assert isinstance(question, SecretScreen)
    question._field._heard_from = 0.0  # it is seen now
    await at.press(*("space" if letter == " " else letter for letter in PASSPHRASE), "enter")
    await at.until(lambda: isinstance(at.app.screen, RunScreen), "the run")
    await at.until(lambda: any("6/6" in row for row in at.rows), "what it has done")


async def test_a_run_that_is_opened_while_its_host_asks_does_not_cover_the_question(sight: Callable[[], Sight]) -> None:
    watches: list[str] = []

    async def begin_at_home(app: DashboardApp) -> None:
        watches.extend(await app.add(sight().runs))

    async with desk(Sight(), start=begin_at_home, size=(120, 40)) as at:
        await at.until(lambda: watches and isinstance(at.app.screen, SecretScreen), "the question, at home")
        at.app.enter(watches[0])
        await answer(at)


async def test_the_only_run_is_gone_into_also_when_its_host_has_asked_before(sight: Callable[[], Sight]) -> None:
    async def begin_late(app: DashboardApp) -> None:
        await app.add(sight().runs)
        while not isinstance(app.screen, SecretScreen):  # noqa: ASYNC110 - a screen has no event to wait for
            await asyncio.sleep(0.01)
        await begin(app, sight())

    async with desk(Sight(), start=begin_late, size=(120, 40)) as at:
        await answer(at)
