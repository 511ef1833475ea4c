"""`gatewatch hosts gpus`, over this machine's own nvidia-smi stand-in and over a real SSH server."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.host import Accelerators, Observation
from hosts.local import gpu_owners
from jobs import connect
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
        words = [sys.executable, "-I", smi_replay.__file__, str(house / "tests/data/nvidia_smi" / f"{recording}.txt")]
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


def test_mig_instances_are_rows_below_their_gpu(run: Run, tool: Tool) -> None:
    tool("h200-mig-590.48.01-load")
    code, out, _ = run()
    assert code == ExitCode.OK
    heads, card, *parts = out.splitlines()
    assert card.split()[:2] == ["local", "0"]
    name, memory = heads.index("NAME"), heads.index("MEMORY")
    assert [part.split()[1] for part in parts] == ["0:0", "0:1", "0:2", "0:3", "0:4"]
    assert [part[name:].split()[:2] for part in parts[:3]] == [
        ["MIG", "1c.3g.71gb"],
        ["MIG", "2c.3g.71gb"],
        ["MIG", "2g.35gb"],
    ]
    assert parts[0][memory:].strip().endswith("/69.8G")


@pytest.fixture
def working(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A pytest that a run has started, as far as its arguments and its environment tell."""
    (tmp_path / "pytest").write_text("import sys\nprint('up', flush=True)\nsys.stdin.read()\n")
    folder = tmp_path / "tuned r2" / "_pytest" / "test_quick_a" / "basetemp_run2"
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "pytest"), f"--basetemp={folder}"],
        env={**os.environ, "GATEWATCH_RUN": "01RUN", "GATEWATCH_ATTEMPT": "01TOKEN"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.communicate()


def test_whose_a_process_is_and_since_when(
    run: Run, tool: Tool, house: Path, tmp_path: Path, working: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_owners, "counts_like_the_driver", lambda: True)
    recorded = (house / "tests/data/nvidia_smi/h200-mig-590.48.01-load.txt").read_text()
    (tmp_path / "now.txt").write_text(recorded.replace("12267", str(working.pid)))
    tool(str(tmp_path / "now"))
    _, out, _ = run("--json")
    [host] = json.loads(out)["hosts"]
    told = {one["pid"]: one for one in host["accelerators"]["devices"][0]["processes"]}
    mine = told[working.pid]
    assert (mine["run_dir"], mine["run_id"]) == (str(tmp_path / "tuned r2"), "01RUN")
    assert mine["stage"] == "test_quick_a run 2"
    others = [one for one in told.values() if one is not mine]
    assert [(one["run_dir"], one["run_id"], one["stage"]) for one in others] == [(None, None, None)] * 2
    _, out, _ = run()
    held = out.splitlines()[1].partition("W  ")[2]
    assert re.match(rf"{working.pid} \S+ 13\.2G since \S.*? tuned r2 · test_quick_a run 2 {sys.executable}", held)


def test_what_a_process_held_that_is_gone_is_told_once(
    run: Run, tool: Tool, house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_owners, "counts_like_the_driver", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    recorded = (house / "tests/data/nvidia_smi/h200-mig-590.48.01-load.txt").read_text()
    for number, pid in enumerate(("12249", "12250", "12267")):
        recorded = recorded.replace(pid, str(4194000 + number))
    (tmp_path / "now.txt").write_text(recorded)
    tool(str(tmp_path / "now"))
    held = run()[1].splitlines()[1].partition("W  ")[2]
    assert held == ("13.2G of 4194002, which is gone; 2.1G of 4194000, which is gone; 1.1G of 4194001, which is gone")


class Late:
    """A host whose first answer waited for the login, with a clock of its own."""

    name = "far"

    def __init__(self, ahead: float) -> None:
        first = Observation("far", 1004.0 + ahead, 1005.0, 5.0, accelerators=Accelerators((), "none"))
        self._answers = [first, Observation("far", 1010.02 + ahead, 1010.04, 0.04)]

    async def observe(self, *_: object) -> Observation:
        return self._answers.pop(0)

    async def close(self) -> None:
        pass


def test_the_login_is_no_part_of_the_round_trip(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    late: Any = Late(30.0)
    monkeypatch.setattr(connect, "open_reader", lambda *_: late)
    code, out, err = run("far", "--json")
    [host] = json.loads(out)["hosts"]
    assert (code, host["rtt"], host["received"], host["at"]) == (ExitCode.OK, 0.04, 1010.04, 1040.02)
    assert host["skew"] == {"seconds": pytest.approx(30.0), "uncertainty": 0.02}
    assert host["accelerators"]["source"] == "none"
    assert err == "gatewatch: warning: far: clock 30 s ahead\n"
    late = Late(0.01)
    assert run("far")[2] == "", "what may be the way alone is no news"


def test_what_is_not_told_is_unknown_and_never_nothing(run: Run, tool: Tool) -> None:
    tool("gb10")
    _, out, _ = run()
    assert "?/?G" in out
    assert " ?  " in out  # its power
    assert "0.0" not in out


@pytest.mark.parametrize(
    ("recording", "name", "why"),
    [
        ("mismatch-470", "unknown", "nvidia-smi: Failed to initialize NVML: Driver/library version mismatch"),
        ("no-devices", "none", "nvidia-smi: no devices were found"),
    ],
)
def test_why_there_is_no_card_stands_last(recording: str, name: str, why: str, run: Run, tool: Tool) -> None:
    tool(recording)
    code, out, _ = run()
    head, row = out.splitlines()
    assert code == (ExitCode.UNKNOWN if name == "unknown" else ExitCode.OK)
    assert row.split()[2] == name
    assert row[head.index("HELD BY") :].startswith(why)


def test_a_card_that_is_lost_is_told(run: Run, tool: Tool) -> None:
    tool("gpu-lost")
    code, out, err = run()
    assert (code, len(out.splitlines())) == (ExitCode.OK, 3)
    assert err.startswith("gatewatch: warning: local: nvidia-smi: GPU 1: GPU is lost")


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
        profile(tmp_path, "refused", host="127.0.0.1", port=closed.getsockname()[1], **known)
        code, out, err = run("--root", str(tmp_path))
        [told, _] = json.loads(run("--root", str(tmp_path), "--json")[1])["hosts"]
    assert code == ExitCode.UNREACHABLE
    assert abs(told["skew"]["seconds"]) <= told["skew"]["uncertainty"] == told["rtt"] / 2, "it is this machine's clock"
    assert out.splitlines()[1].startswith("far ")
    assert err.count("\n") == 1
    assert err.startswith("gatewatch: error: refused: connection refused (127.0.0.1 port "), (
        "whose, whatever it is called"
    )


def test_two_profiles_of_one_address_are_told_of_by_their_own_names(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "known").write_text("")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        for name in ("down", "same"):
            way = {"host": "127.0.0.1", "port": closed.getsockname()[1], "known_hosts": tmp_path / "known"}
            profile(tmp_path, name, **way)
        code, _, err = run("--root", str(tmp_path))
        alone = run("same", "--root", str(tmp_path))[2].rstrip()
    assert code == ExitCode.UNREACHABLE
    for name, told in zip(("down", "same", "same"), (*err.splitlines(), alone), strict=True):
        # Who comes a moment later is told to wait
        assert re.match(rf"gatewatch: error: {name}: (retry in \d s \()?connection refused \(127", told)
