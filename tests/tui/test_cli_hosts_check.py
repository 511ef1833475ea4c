"""`gatewatch hosts check HOST`: a host that no profile names, over a real SSH server, and one that is not there."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers import sshd
from tests.peers.quick import Quick
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
        asking = f"-o StrictHostKeyChecking=ask -o ControlPath=none -o UserKnownHostsFile={tmp_path}/.ssh/known_hosts"
        assert lines[1:] == [f"    mend: ssh {asking} box true", "0 of 1 items ✓"]


def test_this_machine_by_a_profile(run: Run, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts/near.yaml").write_text(f"launcher: local\npython: {sys.executable}\nrepo_root: /none\n")
    code, out, _ = run("near", "--root", str(tmp_path))
    told = "✗ room in /none: not there; clone the project there, or correct repo_root of the profile"
    assert told in out.splitlines()
    assert code == ExitCode.SAYS_NO


@pytest.fixture
def profiled(tmp_path: Path) -> Callable[..., None]:
    """Writes the profile of a host called box."""

    def write(port: int, peer: sshd.SshPeer | None = None, more: str = "", **ssh: object) -> None:
        (tmp_path / "hosts").mkdir(exist_ok=True)
        way = {"host": "127.0.0.1", "port": port, **({"known_hosts": peer.known_hosts} if peer else {}), **ssh}
        said = ", ".join(f"{key}: {value}" for key, value in way.items())
        (tmp_path / "hosts" / "box.yaml").write_text(f"launcher: ssh\nssh: {{{said}}}\n{more}")

    return write


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
def test_where_nobody_listens(transport: str, run: Run, tmp_path: Path, profiled: Callable[..., None]) -> None:
    (tmp_path / ".ssh/known_hosts").write_text("")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        profiled(closed.getsockname()[1], transport=transport)
        code, out, _ = run("box")
    assert code == ExitCode.UNREACHABLE
    first, mend, _ = out.splitlines()
    assert "connection refused" in first.lower()
    assert first.endswith("; no SSH server listens there")
    assert mend == "    mend (on box): sudo systemctl start ssh || sudo systemctl start sshd"


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
def test_two_profiles_of_one_address_are_told_of_by_their_own_names(
    transport: str, run: Run, tmp_path: Path, profiled: Callable[..., None]
) -> None:
    (tmp_path / ".ssh/known_hosts").write_text("")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        profiled(closed.getsockname()[1], transport=transport)
        (tmp_path / "hosts/same.yaml").write_text((tmp_path / "hosts/box.yaml").read_text())
        _, out, _ = run("box", "same")
    told = [line for line in out.splitlines() if line.startswith("✗ reachable: ")]
    for name, line in zip(("box", "same"), told, strict=True):
        # Who comes a moment later is told to wait
        assert re.match(rf"✗ reachable: {name}: (retry in \d s \()?(ssh: .*)?connection refused", line, re.IGNORECASE)


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
def test_a_name_that_nobody_knows(transport: str, run: Run, profiled: Callable[..., None]) -> None:
    profiled(22, host="none.invalid", transport=transport)
    code, out, _ = run("box")
    assert code == ExitCode.UNREACHABLE
    first, _ = out.splitlines()
    assert first.endswith("; give its address as ssh.host of a profile, or as HostName in ~/.ssh/config")


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
def test_an_identity_file_that_is_not_there(
    transport: str, run: Run, tmp_path: Path, profiled: Callable[..., None]
) -> None:
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd") as peer:
        profiled(peer.port, peer, identity_file=tmp_path / "my key", transport=transport)
        _, out, _ = run("box")
        first, mend, _ = out.splitlines()
        assert first.endswith(
            f"there is no {tmp_path}/my key: make it, or name another one as ssh.identity_file of the profile"
        )
        assert mend == f"    mend: ssh-keygen -t ed25519 -f '{tmp_path}/my key'"


def test_an_identity_file_that_is_no_key(run: Run, tmp_path: Path, profiled: Callable[..., None]) -> None:
    (tmp_path / "sshd").mkdir()
    (tmp_path / "key").write_text("no key")
    with sshd.running(tmp_path / "sshd") as peer:
        profiled(peer.port, peer, identity_file=tmp_path / "key")
        _, out, _ = run("box")
        first, _ = out.splitlines()
        assert f"; make {tmp_path}/key a private key that can be read here, or name another one" in first


@pytest.mark.skipif(not os.path.exists("/usr/bin/python3"), reason="NOT TESTED: there is no /usr/bin/python3")
def test_a_profile_that_names_a_python_that_is_not_there(
    run: Run, tmp_path: Path, profiled: Callable[..., None]
) -> None:
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd", "Subsystem sftp internal-sftp\n") as peer:
        profiled(peer.port, peer, "python: python-none\n", identity_file=peer.keys["plain"])
        code, out, _ = run("box", "--json")
    [python] = [item for item in json.loads(out)["hosts"][0]["items"] if item["name"] == "python"]
    assert (code, python["ok"], python["mend"]) == (ExitCode.SAYS_NO, False, None)
    assert python["detail"].endswith("/usr/bin/python3 is there: name it as python: of the profile")


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


@pytest.mark.parametrize(
    "words",
    [("calibrate", "status", "--run-dir", "hopp:/x"), ("tail", "--plain", "hopp:/x"), ("hosts", "check", "hopp")],
)
def test_a_name_like_a_known_one_is_asked_about_on_the_command_line(
    words: tuple[str, ...], quick: Quick, tmp_path: Path
) -> None:
    quick.hop("hop-a")
    quick.hop("hop")
    (tmp_path / ".ssh/known_hosts").mkdir(parents=True, exist_ok=True)  # no key can be looked up, so no name is
    done = quick.gatewatch(*words, env={"HOME": str(tmp_path), "SSH_AUTH_SOCK": ""})
    assert done.code == 2
    assert "did you mean hop?" in done.said + done.text
