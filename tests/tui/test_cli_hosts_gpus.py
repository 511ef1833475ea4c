"""`gatewatch hosts gpus`, over this machine's own nvidia-smi stand-in and over a real SSH server."""

from __future__ import annotations

import json
import shlex
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.peers import smi_replay, sshd
from tui.cli.main import main
from tui.exits import ExitCode

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        code = main(["hosts", "gpus", *words])
        return (code, *capsys.readouterr())

    return call


Tool = Callable[[str], None]


@pytest.fixture
def tool(tmp_path: Path, house: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """Puts an nvidia-smi on the path that answers out of a recording."""

    def put(recording: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        words = [sys.executable, "-I", smi_replay.__file__, str(house / f"tests/data/nvidia_smi/{recording}.txt")]
        (folder / "nvidia-smi").write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        (folder / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        monkeypatch.chdir(tmp_path)

    return put


def profile(root: Path, name: str, **ssh: object) -> None:
    (root / "hosts").mkdir(exist_ok=True)
    (root / "models").mkdir(exist_ok=True)
    way = ", ".join(f"{key}: {value}" for key, value in ssh.items())
    (root / "hosts" / f"{name}.yaml").write_text(f"launcher: ssh\nssh: {{{way}}}\n")


def test_a_card_is_a_row(run: Run, tool: Tool) -> None:
    tool("rtx2080super-465.27")
    code, out, err = run()
    assert (code, err) == (ExitCode.OK, "")
    heads, row = out.splitlines()
    assert heads.split() == ["HOST", "GPU", "NAME", "BUSY", "MEMORY", "TEMP", "POWER", "HELD", "BY"]
    for told in ("local", "NVIDIA GeForce RTX 2080 SUPER", " 0%", "0.3/7.8G", "32 °C", "30/250 W"):
        assert told in row


def test_what_is_not_told_is_unknown_and_never_nothing(run: Run, tool: Tool) -> None:
    tool("gb10")
    _, out, _ = run()
    assert "?/?G" in out
    assert " ?  " in out  # its power
    assert "0.0" not in out


def test_the_document_has_all_of_it(run: Run, tool: Tool) -> None:
    tool("h200-mig-590.48.01-load")
    _, out, _ = run("--json")
    [host] = json.loads(out)["hosts"]
    assert host["error"] is None
    assert host["accelerators"]["source"] == "nvidia-smi"
    assert [len(one["mig"]) for one in host["accelerators"]["devices"]] == [5]
    assert host["load"]["cores"] >= 1


def test_a_machine_without_any_says_none(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = run()
    assert code == ExitCode.OK
    assert out.splitlines()[1].split() == ["local", "-", "none"]


@pytest.mark.parametrize("name", ["-oProxyCommand=x", "", "a:b", "$(id)", "a b"])
def test_what_is_no_host_is_refused_in_one_line(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run("--", name)
    assert (code, out) == (ExitCode.USAGE, "")
    assert err.count("\n") == 1
    assert "is not a host" in err


def test_a_host_that_does_not_answer_hides_no_other(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as closed, sshd.running(tmp_path) as peer:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        known = {"known_hosts": peer.known_hosts, "identity_file": peer.keys["plain"]}
        profile(tmp_path, "far", host="127.0.0.1", port=peer.port, **known)
        profile(tmp_path, "dark", host="127.0.0.1", port=closed.getsockname()[1], **known)
        code, out, err = run("--root", str(tmp_path))
    assert code == ExitCode.UNREACHABLE
    assert out.splitlines()[1].startswith("far ")
    assert err.count("\n") == 1
    assert "connection refused" in err
