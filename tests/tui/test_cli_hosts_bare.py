"""Commands on a host without a Python, over a real sshd: they show what can be had, and say why there is no more."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers import bare, sshd
from tui.cli.main import main
from tui.exits import ExitCode

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd, whose SFTP this is for")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, house: Path) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bin")
    bare.put_smi(folder, house / "tests/data/nvidia_smi/rtx2080super-465.27.txt")
    made = tmp_path_factory.mktemp("root")
    (made / "hosts").mkdir()
    (made / "models/m").mkdir(parents=True)
    (made / "models/m/config.yaml").write_text("")
    with sshd.running(tmp_path_factory.mktemp("sshd"), bare.settings(folder) + bare.SFTP) as peer:
        ssh = {
            "host": "127.0.0.1",
            "port": peer.port,
            "identity_file": str(peer.keys["plain"]),
            "known_hosts": str(peer.known_hosts),
        }
        (made / "hosts" / "box.yaml").write_text(f"launcher: ssh\nssh: {json.dumps(ssh)}\n")
        yield made


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], root: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(root)

    def call(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        return (code, *capfd.readouterr())

    return call


def test_its_accelerators(run: Run) -> None:
    code, out, err = run("hosts", "gpus", "box")
    assert code == ExitCode.OK, err
    assert "NVIDIA GeForce RTX 2080 SUPER" in out
    assert err.startswith("gatewatch: warning: box: no python there: ")
    assert len(err.splitlines()) == 1
    [host] = json.loads(run("hosts", "gpus", "box", "--json")[1])["hosts"]
    assert host["errors"]["python"]
    assert host["load"]["cores"]


def test_a_log_there(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a 'b.log").write_text("one\ntwo\nthree\n")
    code, out, err = run("tail", f"box:{tmp_path}/a 'b.log", "--plain", "-n", "2")
    assert (code, out, err) == (ExitCode.OK, "two\nthree\n", "")


def test_a_folder_there_is_refused_with_the_reason(run: Run, tmp_path: Path) -> None:
    code, out, err = run("tail", f"box:{tmp_path}", "--plain")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "it is a folder, and no python there" in err


def test_a_command_needs_one(run: Run) -> None:
    code, out, err = run("hosts", "exec", "box", "--", "true")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "python3 cannot be run on box" in err
