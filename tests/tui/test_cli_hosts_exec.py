"""`gatewatch hosts exec`, with a command on this machine and on hosts that are not there."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hosts.local.procs import session_groups
from tests.peers.quick import until
from tests.peers.terminal import CTRL_C, Terminal
from tui.cli.main import main
from tui.exits import ExitCode

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "models").mkdir()
    for name in ("one", "two"):
        (tmp_path / "hosts" / f"{name}.yaml").write_text("launcher: local\n")
    (tmp_path / "hosts" / "hop.yaml").write_text(f"enter: [env, MARK=here]\npython: {sys.executable}\n")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    (tmp_path / "known").write_text("")
    down = f"launcher: ssh\nssh: {{host: 127.0.0.1, port: {port}, known_hosts: {tmp_path}/known}}\n"
    (tmp_path / "hosts" / "down.yaml").write_text(down)
    return tmp_path


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes], root: Path) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        code = main(["hosts", "exec", "--root", str(root), *words])
        out, err = capsysbinary.readouterr()
        return code, out.decode("utf-8", "surrogateescape"), err.decode()

    return call


def test_output_goes_through_as_it_is(run: Run) -> None:
    assert run("one", "--", "printf", r"\033[2J\377a\n") == (0, "\x1b[2J\udcffa\n", "")


def test_what_a_profile_enters_is_where_it_runs(run: Run) -> None:
    assert run("hop", "--", "sh", "-c", "echo $MARK") == (0, "here\n", "")


def test_words_behind_the_dashes_are_not_ours(run: Run) -> None:
    assert run("one", "--", "printf", "%s,", "--json", "--", "", "$(id)") == (0, "--json,--,,$(id),", "")


def test_the_exit_status_is_told_and_mapped(run: Run) -> None:
    assert run("one", "--", "sh", "-c", "exit 7") == (ExitCode.SAYS_NO, "", "gatewatch: one: exit status 7\n")
    assert run("one", "--", "sh", "-c", "kill -9 $$")[::2] == (ExitCode.SAYS_NO, "gatewatch: one: ended by SIGKILL\n")
    code, _, err = run("one", "--timeout", "1", "--", "sleep", "1000")
    assert (code, err) == (ExitCode.UNKNOWN, "gatewatch: one: it was not done after 1 s and was ended\n")
    code, _, err = run("one", "--", "./none")
    assert (code, err) == (ExitCode.USAGE, "gatewatch: error: one: cannot run './none': not there\n")


def test_several_hosts_are_told_apart_and_one_that_is_down_hides_none(run: Run) -> None:
    code, out, err = run("one", "down", "two", "--", "printf", r"a\nb")
    assert code == ExitCode.UNREACHABLE
    assert sorted(out.splitlines()) == ["one: a", "one: b", "two: a", "two: b"]
    assert err.startswith("gatewatch: error: down: connection refused (127.0.0.1 port ")
    assert len(err.splitlines()) == 1


def test_two_profiles_of_one_address_are_told_of_by_their_own_names(run: Run, root: Path) -> None:
    (root / "hosts" / "same.yaml").write_text((root / "hosts" / "down.yaml").read_text())
    code, _, err = run("down", "same", "--", "true")
    assert code == ExitCode.UNREACHABLE
    alone = run("same", "--", "true")[2].rstrip()
    for name, told in zip(("down", "same", "same"), (*err.splitlines(), alone), strict=True):
        # Who comes a moment later is told to wait
        assert re.match(rf"gatewatch: error: {name}: (retry in \d s \()?connection refused \(127", told)


def test_a_document(run: Run) -> None:
    code, out, err = run("one", "down", "--json", "--", "sh", "-c", r"echo hi; printf '\377' >&2; exit 3")
    found = json.loads(out)
    one, down = found["hosts"]
    assert code == ExitCode.UNREACHABLE
    assert found["command"][0] == "sh"
    assert (one["exit_status"], one["signal"], one["in_time"], one["error"]) == (3, None, True, None)
    assert (one["stdout"], one["stderr"], one["stderr_base64"]) == ("hi\n", None, "/w==")
    assert down["error"]
    assert down["exit_status"] is None
    assert "one: exit status 3" in err


def test_a_document_keeps_the_end_of_much(run: Run) -> None:
    _, out, _ = run("one", "--json", "--", "sh", "-c", "head -c 9000000 /dev/zero; echo end")
    [one] = json.loads(out)["hosts"]
    assert one["stdout"].endswith("\0end\n")
    assert 4 << 20 <= len(one["stdout"]) < 5 << 20
    assert one["stdout_cut"] + len(one["stdout"]) == 9_000_004


def test_its_input(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "data").write_bytes(b"x" * 300_000)
    code, out, _ = run("one", "two", "--stdin", str(root / "data"), "--", "wc", "-c")
    assert (code, sorted(out.split())) == (0, ["300000", "300000", "one:", "two:"])
    with (root / "data").open() as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", file)
        assert run("one", "--stdin", "-", "--", "wc", "-c")[1].split() == ["300000"]
    assert run("one", "--", "wc", "-c")[1].split() == ["0"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["one"], "a command is missing"),
        (["one", "--"], "a command is missing"),
        (["--", "ls"], "HOST"),
        (["one", "--read-only", "--", "touch", "PWNED"], "read-only: this would start or change something"),
        (["one", "two", "--stdin", "-", "--", "cat"], "--stdin - is for one host"),
        (["one", "--stdin", "/none", "--", "cat"], "--stdin /none: No such file"),
        (["-oProxyCommand=touch PWNED", "--", "ls"], "is not a host"),
        (["a;b", "--", "ls"], "is not a host"),
        (["one", "--timeout", "nan", "--", "ls"], "more than 0"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    run: Run, words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (ExitCode.USAGE, "")
    assert says in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_a_name_that_is_wrong_runs_it_nowhere(run: Run, root: Path, extra: list[str]) -> None:
    (root / "hosts" / "broken.yaml").write_text("launcher: nothing-of-the-kind\n")
    code, out, err = run("one", "a;b", "broken", *extra, "--", "touch", str(root / "RAN"))
    assert (code, out) == (ExitCode.USAGE, "")
    assert not (root / "RAN").exists()
    [name, profile] = err.splitlines()
    assert "'a;b' is not a host" in name
    assert "broken.yaml" in profile


def screen(house: Path, root: Path, *words: str) -> Terminal:
    argv = [sys.executable, str(house / "gatewatch.py"), "hosts", "exec", "--root", str(root), *words]
    return Terminal(argv, root, dict(os.environ))


@pytest.mark.parametrize("word", ["exec", "check", "gpus"])
def test_a_profile_of_another_machine_without_a_way_there_is_not_this_one(
    word: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "hosts" / "far.yaml").write_text("hostname: far.lab\n")
    (root / "hosts" / "near.yaml").write_text(f"hostname: {socket.gethostname()}\n")
    command = ["--", "touch", str(root / "ran")] if word == "exec" else []
    assert main(["hosts", word, "--root", str(root), "near", "far", *command]) == ExitCode.USAGE
    said, here = "".join(capsys.readouterr()), socket.gethostname()
    assert f"far: its hostname is far.lab and this machine is {here}; its profile needs launcher: ssh" in said
    assert not (root / "ran").exists()


def test_a_terminal_gets_nothing_that_it_would_obey(house: Path, root: Path) -> None:
    with screen(house, root, "one", "--", "printf", r"\033[2Jred \302\233x \r\n") as shown:
        assert shown.wait() == 0
        assert b"\x1b[2J" not in shown.output
        assert "\x9b".encode() not in shown.output
        assert "␛[2Jred" in shown.text


def test_when_nobody_reads_it_is_ended(house: Path, root: Path) -> None:
    words = ["hosts", "exec", "--root", str(root), "one", "--", "sh", "-c", "echo $$; exec yes"]
    ours = subprocess.Popen(
        [sys.executable, str(house / "gatewatch.py"), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert ours.stdout is not None
    assert ours.stderr is not None
    pid = int(ours.stdout.readline())
    ours.stdout.close()
    assert ours.wait(30) == ExitCode.UNKNOWN
    assert session_groups(pid) == []
    assert ours.stderr.read() == b"gatewatch: error: one: nobody reads what it writes, so it was ended\n"
    ours.stderr.close()


def test_ctrl_c_ends_it_there(house: Path, root: Path) -> None:
    code = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(1000)"
    with screen(house, root, "one", "--", sys.executable, "-c", code) as shown:
        shown.until("pid ")
        until(lambda: shown.text.endswith("\n"), "its number")
        pid = int(shown.text.split()[1])
        assert session_groups(pid) == [pid]
        shown.press(CTRL_C)
        assert shown.wait() == 130
        until(lambda: session_groups(pid) == [], "its end")
        assert "one: the command was ended there" in shown.text
