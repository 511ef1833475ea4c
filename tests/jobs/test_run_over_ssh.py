"""A calibration on another host, over a real SSH link that is cut whenever it hurts most."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gates.journal import Journal, decode_journal
from hosts.errors import GatewatchError, VerbError
from hosts.profiles import HostProfile, select_profile
from jobs.calibration.control import start
from jobs.calibration.request import Request, RunOptions, make_request
from jobs.calibration.site import find_site
from jobs.connect import open_actor
from tests.peers import sshd
from tests.peers.quick import STAGES, Quick, quick_checkout, until

CUTS = 4


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def far(tmp_path: Path, peer: sshd.SshPeer) -> Iterator[Quick]:
    """The quick project, with a profile that says that it lies behind SSH."""
    with quick_checkout(tmp_path) as made:
        hosts = made.folder / "hosts"
        hosts.mkdir()
        (hosts / "far.yaml").write_text(
            f"name: far\nhostname: far.invalid\nrepo_root: {made.folder}\nlauncher: ssh\n"
            f"ssh: {{host: 127.0.0.1, port: {peer.port}, identity_file: {peer.keys['plain']}, "
            f"known_hosts: {peer.known_hosts}}}\n"
        )
        # Nothing of our environment passes an SSH login, so what the tests wait for is said in the configuration.
        config = made.config.read_text()
        made.config.write_text(config.replace("auto_env:\n", f"auto_env:\n  QUICK_HOLD: {made.hold}\n"))
        made.commit("a profile")
        yield made


def journal_of(run_dir: Path) -> Journal:
    path = run_dir / "events.jsonl"
    return decode_journal(path.read_bytes()) if path.exists() else Journal(())


def starts(run_dir: Path) -> int:
    return sum(1 for event in journal_of(run_dir).events if event.kind in ("run.started", "run.resumed"))


def cut(peer: sshd.SshPeer) -> None:
    for pid in peer.sessions():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_run_on_another_host_ends_in_a_strict_audit(far: Quick) -> None:
    run_dir = far.runs / "r"
    done = far.run("--host", "far", "--json")
    assert done.code == 0, done.said
    assert done.json()["strict_ready"] == f"{len(STAGES)}/{len(STAGES)}"
    audit = far.gatewatch("calibrate", "audit", "--run-dir", f"far:{run_dir}")
    assert (audit.code, audit.text.splitlines()[-1]) == (0, "STRICT + GIT: READY")


def test_a_job_goes_on_when_the_link_and_the_watcher_are_gone(far: Quick, peer: sshd.SshPeer) -> None:
    run_dir = far.runs / "r"
    with far.holding():
        done = far.run("--host", "far", "--detach")
        assert done.code == 0, done.said
        cut(peer)
        until(lambda: bool(far.processes()), "the run to live on")
        status = far.gatewatch("calibrate", "status", "--run-dir", f"far:{run_dir}", "--json")
        assert status.code == 3
        assert status.json()["state"] == "running"
        assert status.json()["pytest_active"] is True
    until(lambda: journal_of(run_dir).last("run.ended") is not None, "the end of the run")
    assert far.gatewatch("calibrate", "audit", "--run-dir", f"far:{run_dir}").code == 0


@pytest.mark.timeout(1800)
async def test_start_happens_at_most_once_however_the_link_is_cut(
    far: Quick, peer: sshd.SshPeer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """A few cuts each time, and as many as `--long-proof` says."""
    cuts = request.config.getoption("--long-proof") or CUTS
    if peer.pid is None:
        pytest.skip("asyncssh's own server is one process for all connections: its sessions cannot be killed apart")
    monkeypatch.chdir(far.folder)
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    outcomes = {"told": 0, "unknown": 0, "not started": 0}
    for number in range(cuts):
        run_dir = far.runs / f"cut{number}"
        told = await _start_under_cuts(run_dir, peer, chance)
        about = f"seed {seed}, cut {number}"
        if not told and not (run_dir / "plan.json").exists():
            outcomes["not started"] += 1
            assert starts(run_dir) == 0, about
            continue
        outcomes["told" if told else "unknown"] += 1
        if not told and not await _soon(lambda folder=run_dir: starts(folder) == 1):
            # Frozen, and its helper died before it could launch: that is what --resume is for.
            done = await asyncio.to_thread(far.run, "--host", "far", "--resume", "--detach", name=run_dir.name)
            assert done.code == 0, f"{about}: {done.said}"
        assert await _soon(lambda folder=run_dir: journal_of(folder).last("run.ended") is not None), about
        assert starts(run_dir) == 1, about
        launched = [event for event in journal_of(run_dir).events if event.kind == "attempt.started"]
        assert len(launched) == 4, about  # two units, two repeats, each once
    assert sum(outcomes.values()) == cuts
    assert outcomes["told"] > 0, f"seed {seed}: {outcomes}"


async def _start_under_cuts(run_dir: Path, peer: sshd.SshPeer, chance: random.Random) -> bool:
    """Start a run while the link is cut once or twice; True when the answer came in the end."""
    site = await asyncio.to_thread(find_site, None, None, "far")
    actor = await asyncio.to_thread(open_actor, site.profile, False)
    try:
        options = RunOptions(stages=("ALL",), repeats=2, output_dir=str(run_dir))
        request = await make_request(site, options, actor, os.environ)

        async def cuts() -> None:
            for _ in range(chance.randint(1, 2)):
                await asyncio.sleep(chance.uniform(0, 0.6))
                cut(peer)

        cutting = asyncio.create_task(cuts())
        try:
            return await _told(actor, request)
        finally:
            await cutting
    finally:
        await actor.close()


async def _told(actor: Any, request: Request) -> bool:
    try:
        started = await start(actor, request, lambda _seconds: asyncio.sleep(0.1))
    except GatewatchError as refusal:
        error = refusal
    else:
        return bool(started.run_dir)
    assert "\n" not in str(error)
    assert not isinstance(error, VerbError) or error.kind == "not-yet", str(error)
    return False


async def _soon(holds: Any) -> bool:
    for _ in range(300):
        if holds():
            return True
        await asyncio.sleep(0.05)
    return False


def test_the_profile_of_these_tests_is_read_as_it_is_meant(far: Quick) -> None:
    selected = select_profile(far.folder / "hosts", "far", {})
    assert selected is not None
    profile: HostProfile = selected.file.profile
    assert profile.way() == "ssh"
    assert json.loads(json.dumps(profile.ssh_host)) == "127.0.0.1"
