"""Commands on a host without a Python, over a real sshd: they show what can be had, and say why there is no more."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers import bare, sshd
from tests.peers.quick import old_run
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


@pytest.mark.parametrize("named", ["", "/*.log", "/../{name}/b*"])
def test_the_newest_log_of_a_folder_there(run: Run, tmp_path: Path, named: str) -> None:
    for age, name in ((100, "a.log"), (50, "b.log"), (0, "results.json")):
        (tmp_path / name).write_text(f"{name}\n")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    code, out, err = run("tail", f"box:{tmp_path}{named.format(name=tmp_path.name)}", "--plain")
    assert (code, out, err) == (ExitCode.OK, "b.log\n", "")


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("", "no log in box:{at} yet; --wait waits for it"),
        ("/*.log", "no file matches box:{at}/*.log yet; --wait waits for it"),
        ("/a.log", "box:{at}/a.log: no such file; --wait waits for it"),
    ],
)
def test_what_is_not_there_is_told(run: Run, tmp_path: Path, named: str, told: str) -> None:
    code, out, err = run("tail", f"box:{tmp_path}{named}", "--plain")
    assert (code, out, err) == (ExitCode.USAGE, "", f"gatewatch: error: {told.format(at=tmp_path)}\n")


def test_a_run_there_needs_one_and_is_named_once(run: Run, tmp_path: Path) -> None:
    there = old_run(tmp_path / "r")
    code, out, err = run("calibrate", "status", "--run-dir", f"box:{there}")
    assert (code, out) == (ExitCode.USAGE, "")
    assert err.startswith(f"gatewatch: error: {there}: no python there: python3 cannot be run on box")


def test_a_command_needs_one(run: Run) -> None:
    code, out, err = run("hosts", "exec", "box", "--", "true")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "python3 cannot be run on box" in err
