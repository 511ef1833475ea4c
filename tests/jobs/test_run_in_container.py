"""A calibration in a container of another host: a real sshd, and a hop that every process of the run goes through."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts.host import ProcSeen
from tests.jobs.test_run_over_ssh import journal_of
from tests.peers import sshd
from tests.peers.quick import STAGES, Quick, quick_checkout, until

pytestmark = pytest.mark.timeout(240)

HOPS = {
    "a shell": """[sh, -c, 'BOX="inside" exec "$0" "$@"']""",
    "a program of its own": "[{folder}/into box, my box]",
}
_INTO = '#!/bin/sh\n[ "$1" = "my box" ] || exit 9\nshift\nBOX=inside\nexport BOX\nexec "$@"\n'


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(params=HOPS)
def boxed(request: pytest.FixtureRequest, tmp_path: Path, peer: sshd.SshPeer) -> Iterator[Quick]:
    """The quick project, with a profile that says that it lies in a container behind SSH."""
    into = tmp_path / "into box"
    into.write_text(_INTO)
    into.chmod(0o755)
    with quick_checkout(tmp_path) as made:
        (made.folder / "hosts").mkdir()
        (made.folder / "hosts" / "boxed.yaml").write_text(
            f"hostname: far.invalid\nrepo_root: {made.folder}\nlauncher: ssh\npython: {sys.executable}\n"
            f"enter: {HOPS[request.param].format(folder=tmp_path)}\n"
            f"ssh: {{host: 127.0.0.1, port: {peer.port}, identity_file: {peer.keys['plain']}, "
            f"known_hosts: {peer.known_hosts}}}\n"
        )
        config = made.config.read_text()  # nothing of our environment passes an SSH login
        made.config.write_text(config.replace("auto_env:\n", f"auto_env:\n  QUICK_HOLD: {made.hold}\n"))
        made.commit("a profile")
        yield made


def is_inside(seen: ProcSeen) -> bool:
    return b"BOX=inside" in Path(f"/proc/{seen.ref.pid}/environ").read_bytes().split(b"\0")


def test_a_run_in_a_container_of_another_host_is_watched_stopped_and_brought_to_its_end(boxed: Quick) -> None:
    run_dir = boxed.runs / "r"
    target = f"boxed:{run_dir}"
    with boxed.holding():
        started = boxed.run("--host", "boxed", "--detach")
        assert started.code == 0, started.said
        until(lambda: len(boxed.processes()) == 3, "runner, shim and pytest")
        assert all(map(is_inside, boxed.processes()))
        status = boxed.gatewatch("calibrate", "status", "--run-dir", target, "--json")
        assert (status.code, status.json()["state"], status.json()["pytest_active"]) == (3, "running", True)
        stopped = boxed.gatewatch("calibrate", "stop", "--run-dir", target)
        assert stopped.code == 0, stopped.said
        until(lambda: not boxed.processes(), "their end")
    done = boxed.run("--host", "boxed", "--resume", "--json")
    assert done.code == 0, done.said
    assert done.json()["strict_ready"] == f"{len(STAGES)}/{len(STAGES)}"
    assert journal_of(run_dir).last("run.ended") is not None
    audit = boxed.gatewatch("calibrate", "audit", "--run-dir", target)
    assert (audit.code, audit.text.splitlines()[-1]) == (0, "STRICT + GIT: READY")
