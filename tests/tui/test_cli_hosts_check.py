"""`gatewatch hosts check HOST`: a host that no profile names, over a real SSH server, and one that is not there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers import sshd
from tui.cli.main import main
from tui.exits import ExitCode

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".ssh").mkdir()

    def call(*words: str) -> tuple[int, str, str]:
        code = main(["hosts", "check", *words])
        return (code, *capsys.readouterr())

    return call


def configured(home: Path, peer: sshd.SshPeer, known: bool = True) -> None:
    """What a person's own ssh configuration says of the host."""
    (home / ".ssh/config").write_text(
        f"Host box\nHostName 127.0.0.1\nPort {peer.port}\nIdentityFile {peer.keys['plain']}\n"
    )
    name = f"[127.0.0.1]:{peer.port}" if known else "other"
    (home / ".ssh/known_hosts").write_text(f"{name} {' '.join(peer.known_hosts.read_text().split()[1:])}\n")


def test_a_host_that_no_profile_names(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd") as peer:
        configured(tmp_path, peer)
        code, out, err = run("box", "--json")
        [host] = json.loads(out)["hosts"]
        assert err == ""
        assert host["name"] == "box"
        names = [item["name"] for item in host["items"]]
        assert names == ["reachable", "python", "GPUs", "machine", "clock", "room in ~", "room in /tmp"]
        assert [item["ok"] for item in host["items"]][:2] == [True, True]
        assert code == (ExitCode.OK if host["ok"] else ExitCode.SAYS_NO)
        configured(tmp_path, peer, known=False)
        code, out, err = run("box")
        assert code == ExitCode.UNREACHABLE
        lines = out.splitlines()
        assert lines[0].startswith("✗ reachable: ")
        assert lines[1:] == ["    mend: ssh box true", "0 of 1 items ✓"]


def test_this_machine_by_a_profile(run: Run, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts/near.yaml").write_text(f"launcher: local\npython: {sys.executable}\nrepo_root: /none\n")
    code, out, _ = run("near", "--root", str(tmp_path))
    assert "✗ room in /none: not there" in out.splitlines()
    assert code == ExitCode.SAYS_NO


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["box", "--model", "m"], "--model is for what models need"),
        (["box", "--host", "h"], "--host is for what models need"),
        (["box", "--timeout", "0"], "more than 0"),
    ],
)
def test_what_is_wrong_is_said(run: Run, words: list[str], says: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (ExitCode.USAGE, "")
    assert says in err
    assert run("a;b")[1].startswith("✗ profile: 'a;b' is not a host")
