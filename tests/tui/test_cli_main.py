from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gates.verdict import Decision
from hosts.errors import GatewatchError, InputError, NotYetError, RefusedError, UnreachableError
from hosts.version import VERSION
from tui import console
from tui.cli import commands
from tui.cli.main import main
from tui.exits import ExitCode, combine, of_decision

HEAVY = {"pydantic", "yaml", "asyncssh", "textual", "rich", "pytest"}


class Planted:
    """A command that does what the test wants, found where `demo` would be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: BaseException | None = None
        self.code = 0
        monkeypatch.setattr(commands.Entry, "load", lambda entry: self)

    def add(self, parser: object) -> None:
        pass

    def run(self, args: object) -> int:
        if self.error is not None:
            raise self.error
        return self.code


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Planted:
    return Planted(monkeypatch)


@pytest.fixture
def run_it(house: Path) -> list[str]:
    """The words that start the real thing."""
    return [sys.executable, str(house / "gatewatch.py")]


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"gatewatch {VERSION}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the dashboard needs a terminal; without one: gatewatch calibrate status"),
        (["calibrate"], "a command is missing: "),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["calibrate", "models", "--bogus"], "unrecognized arguments: --bogus; see gatewatch calibrate models --help"),
        (["calibrate", "stages", "--mod", "x"], "unrecognized arguments: --mod x"),
        (["calibrate", "stages", "--model"], "expected one argument"),
        (["hosts", "list", "\x1b[2J"], "unrecognized arguments: ␛[2J"),
    ],
)
def test_a_usage_error_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("gatewatch: error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("a\nb"), 2), (RefusedError("a\nb"), 1), (NotYetError("a\nb"), 3), (UnreachableError("a\nb"), 4)],
)
def test_an_error_is_one_line_and_its_code(
    error: GatewatchError, code: int, planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    planted.error = error
    assert main(["demo"]) == code
    assert capsys.readouterr() == ("", "gatewatch: error: a␤b\n")


def test_a_command_that_has_ended_speaks_of_no_next_try(planted: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    planted.error = UnreachableError("box: retry in 5 s (connection refused (box port 22))")
    assert main(["demo"]) == ExitCode.UNREACHABLE
    assert capsys.readouterr().err == "gatewatch: error: box: connection refused (box port 22)\n"


def test_a_defect_is_one_line_too(planted: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    planted.error = KeyError("\x1b]0;title\x07")
    assert main(["demo"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("gatewatch: error: unexpected KeyError: ")
    assert "--debug" in err
    assert err.count("\n") == 1
    assert main(["demo", "--debug"]) == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "\x1b" not in err


def test_a_disk_error_needs_no_traceback(planted: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    planted.error = PermissionError(13, "Permission denied", "/root/x")
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == "gatewatch: error: [Errno 13] Permission denied: '/root/x'\n"


def test_errors_of_tasks_side_by_side_are_all_told(planted: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    planted.error = ExceptionGroup("tasks", [NotYetError("one"), ExceptionGroup("more", [UnreachableError("two")])])
    assert main(["demo"]) == 4
    assert capsys.readouterr().err == "gatewatch: error: one\ngatewatch: error: two\n"


def test_an_interruption_is_130(planted: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    planted.error = KeyboardInterrupt()
    assert main(["demo"]) == 130
    assert capsys.readouterr().err == "gatewatch: error: interrupted\n"


def test_the_code_of_a_command_is_the_code_of_the_process(planted: Planted) -> None:
    planted.code = 3
    assert main(["demo"]) == 3


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([], 0), ([0, 0], 0), ([0, 3], 3), ([3, 1], 1), ([1, 4, 3], 4), ([4, 2, 1], 2), ([2, 130], 130), ([77, 1], 2)],
)
def test_several_codes_become_one(codes: list[int], expected: int) -> None:
    assert combine(codes) == expected


def test_a_decision_has_a_code() -> None:
    assert [int(of_decision(decision)) for decision in Decision] == [0, 1, 3, 3]
    assert [code.value for code in ExitCode] == [0, 1, 2, 3, 4, 130]


def test_data_on_stdout_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_text("[/foo] \x1b[2J\u202e", "two")
    console.print_table(("A", "B"), [("模型", "x"), ("\x9b31m", "yy")])
    out, err = capsys.readouterr()
    assert out.splitlines() == ["[/foo] ␛[2J\\u202e", "two", "A        B", "模型     x", "\\x9b31m  yy"]
    assert err == ""


def test_json_has_no_nan_and_no_controls(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"a": "\x9b\u202e\x1b"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    assert json.loads(out) == {"a": "\x9b\u202e\x1b"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        console.print_json(float("nan"))


def test_a_milestone_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console.milestone("a\nb")
    console.warn("token hf_abcdefghijklmnop0123")
    assert capsys.readouterr() == ("", "gatewatch: a␤b\ngatewatch: warning: token hf_‹redacted›\n")


def test_the_version_imports_nothing_heavy(house: Path) -> None:
    code = "import sys; from tui.cli.main import main; main(['--version']); print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=house, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    imported = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "tui" in imported
    assert imported & HEAVY == set()


@pytest.fixture(params=["", "1"], ids=["buffered", "unbuffered"])
def buffering(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment of a child, in which a write fails at once or only when everything is written out."""
    return {**os.environ, "PYTHONUNBUFFERED": request.param}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["hosts", "list", "--root", "."]], ids=" ".join)
def test_a_reader_that_went_away_is_no_error(
    words: list[str], run_it: list[str], buffering: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "hosts").mkdir()
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*run_it, *words], cwd=tmp_path, env=buffering, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=30
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line(run_it: list[str], buffering: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    words = [*run_it, "hosts", "list", "--root", str(tmp_path)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, env=buffering, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    said = "gatewatch: error: cannot write to standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["nonsense"], ["hosts", "list", "--debug", "--root", "none"]], ids=" ".join)
def test_an_error_that_cannot_be_told_keeps_its_code(
    words: list[str], run_it: list[str], buffering: dict[str, str], tmp_path: Path
) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*run_it, *words], cwd=tmp_path, env=buffering, stderr=full, timeout=30)
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("words", "code", "of"),
    [
        ("--version", 2, ""),
        ("hosts list --root .", 2, ""),
        ("hosts list --root . --json", 2, ""),
        ("hosts exec one --root . -- echo hi", 3, "one: "),  # 2 would say that it had not run
        ("hosts exec one --root . --json -- true", 3, ""),
        ("hosts exec one --root . --json -- seq 100000", 3, ""),
    ],
)
def test_what_a_closed_output_loses_is_one_line(
    words: str, code: int, of: str, run_it: list[str], buffering: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "one.yaml").write_text("launcher: local\n")
    shell = ["sh", "-c", f'exec "$0" "$@" {words} >&-', *run_it]
    done = subprocess.run(shell, cwd=tmp_path, env=buffering, capture_output=True, text=True, timeout=30)
    said = f"gatewatch: error: {of}cannot write to standard output: Bad file descriptor"
    ended = ", so it was ended" if of else ""
    assert (done.returncode, done.stderr) == (code, f"{said}{ended}\n")


def test_the_words_for_hosts_say_what_they_do(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["hosts", "--help"]):
        assert main(words) == 0
        assert "watch and check hosts, and run a command there" in " ".join(capsys.readouterr().out.split())


def test_what_prints_nothing_needs_no_output(run_it: list[str], tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "one.yaml").write_text("launcher: local\n")
    for words in ("hosts exec one --root . -- true", "tail empty --plain"):
        (tmp_path / "empty").touch()
        shell = ["sh", "-c", f'exec "$0" "$@" {words} >&-', *run_it]
        done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("words", "code"),
    [("--version", 0), ("tail log --plain", 0), ("hosts list --bogus", 2), ("calibrate apply --answers -", 2)],
    ids=["good", "tail", "bad", "answers"],
)
def test_a_stream_that_is_closed_changes_no_exit_code_unless_something_is_lost(
    words: str, code: int, closed: str, run_it: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text("one\n")
    shell = ["sh", "-c", f'exec "$0" "$@" {words} {closed}', *run_it]
    done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == (2 if ">&-" in closed.split() else code)
    assert "Traceback" not in done.stdout + done.stderr
    assert log.read_text() == "one\n"


def test_a_terminal_without_unicode_gets_escapes(house: Path) -> None:
    code = "from tui import console; console.print_text('模型 —'); console.error('é')"
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], cwd=house, env=env, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("\\u6a21\\u578b \\u2014\n", "gatewatch: error: \\xe9\n")


def test_ctrl_c_ends_in_silence(house: Path) -> None:
    code = """
import sys
from tui.cli import commands, main
class Waits:
    def add(self, parser): pass
    def run(self, args):
        print("ready", flush=True)
        sys.stdin.read()
commands.Entry.load = lambda entry: Waits()
sys.exit(main.main(["demo"]))
"""
    words = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=house, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == "gatewatch: error: interrupted\n"
