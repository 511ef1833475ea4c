"""Runs on hosts that no profile names: as the person's own ssh configuration has them, over a real SSH server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers import sshd
from tests.peers.quick import Quick, old_run
from tests.tui.test_dashboard import desk
from tui.cli.main import main
from tui.dashboard_begin import Sight
from tui.dashboard_runs import Locator, Wanted
from tui.exits import ExitCode
from tui.screens.run import RunScreen

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sshd.SshPeer]:
    """A server that ~/.ssh/config calls box."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    for name in ("sshd", ".ssh"):
        (tmp_path / name).mkdir()
    with sshd.running(tmp_path / "sshd") as running:
        (tmp_path / ".ssh" / "config").write_text(
            f"Host box\nHostName 127.0.0.1\nPort {running.port}\nIdentityFile {running.keys['plain']}\n"
        )
        (tmp_path / ".ssh" / "known_hosts").write_bytes(running.known_hosts.read_bytes())
        yield running


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], quick: Quick, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(quick.folder)

    def call(*words: str) -> tuple[int, str, str]:
        code = main(["calibrate", *words])
        return (code, *capsys.readouterr())

    return call


@pytest.mark.parametrize("profiles", [False, True])
def test_an_alias_of_ssh_is_a_host_of_runs(profiles: bool, run: Run, quick: Quick, peer: sshd.SshPeer) -> None:
    if profiles:
        (quick.folder / "hosts").mkdir()
        (quick.folder / "hosts" / "other.yaml").write_text("ssh: {host: other.invalid}\n")
    there = old_run(quick.runs / "o")
    code, out, err = run("status", "--run-dir", f"box:{there}", "--json")
    assert (code, err) == (ExitCode.OK, "")
    assert json.loads(out)["run_dir"] == str(there)
    assert run("audit", "--run-dir", f"box:{there}")[0] != ExitCode.USAGE
    watched = Locator().locate(Wanted(f"box:{there}"))
    assert (watched.place, watched.local) == (f"box:{there}", False)
    assert len(peer.known_hosts.read_text().splitlines()) == 1


def test_the_user_that_was_typed_is_who_logs_in(run: Run, quick: Quick, peer: sshd.SshPeer) -> None:
    if not sshd.SSHD:
        pytest.skip("asyncssh's own server writes no log of who logged in")
    (quick.folder / "hosts").mkdir()
    (quick.folder / "hosts" / "box.yaml").write_text("ssh: {host: box}\n")
    there = old_run(quick.runs / "o")
    code, _, err = run("status", "--run-dir", f"nobody-else@box:{there}")
    assert code == ExitCode.UNREACHABLE
    assert "nobody-else" in (peer.folder / "sshd.log").read_text()
    assert err.count("\n") == 1


@pytest.mark.usefixtures("peer")
def test_a_run_is_resumed_there_whatever_lies_here_at_its_path(
    run: Run, quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = tmp_path / "ours"
    shutil.copytree(quick.folder / "models", ours / "models")
    (ours / "hosts").mkdir()
    (ours / "hosts" / "far.yaml").write_text(f"launcher: ssh\nssh: {{host: box}}\nrepo_root: {quick.folder}\n")
    monkeypatch.chdir(ours)
    code, out, err = run("run", "--host", "far", "--resume", "--output-dir", str(quick.runs / "none"))
    assert (code, out) == (ExitCode.USAGE, "")
    assert "none holds no run to resume: " in err, "the host was asked, not the folder here"


@pytest.mark.usefixtures("peer")
async def test_the_dashboard_watches_a_run_of_an_alias(quick: Quick) -> None:
    there = old_run(quick.runs / "o")
    async with desk(Sight(runs=(Wanted(f"box:{there}", root=str(quick.folder)),)), size=(120, 40)) as at:
        await at.until(lambda: isinstance(at.app.screen, RunScreen), "the run's screen")
        await at.until(lambda: any("6/6" in row for row in at.rows), "what it has done")
        assert at.app.entries[f"box:{there}"].where == "box"
