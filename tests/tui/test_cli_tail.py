"""`gatewatch tail --plain`: a log in a pipe, its filters, its end, and every way in which it cannot be read."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.quick import until
from tests.peers.terminal import CTRL_C, Terminal
from tests.tui.logs.corpus import bombs, unsafe

LOG = b"""2026-05-25 02:43:01,000 INFO engine: started
2026-05-25 02:43:02,000 WARNING engine: slow
2026-05-25 02:44:00,000 ERROR engine: lost a worker
Traceback (most recent call last):
  File "a.py", line 1
ValueError: 7
2026-05-25 02:45:00,000 INFO engine: going on
"""


class Running:
    """`gatewatch tail` with its output in a pipe that is read here."""

    def __init__(self, house: Path, cwd: Path, *words: str, stdin: int = subprocess.DEVNULL) -> None:
        argv = [sys.executable, str(house / "gatewatch.py"), "tail", *words]
        with (cwd / "stderr").open("wb") as said:
            self.process = subprocess.Popen(argv, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, stderr=said)
        self.out = b""
        self._stderr = cwd / "stderr"

    @property
    def err(self) -> str:
        return self._stderr.read_text()

    def until(self, wanted: bytes) -> None:
        """Read until exactly this came."""
        assert self.process.stdout is not None
        while len(self.out) < len(wanted):
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            assert data, (self.out, self.err)
            self.out += data
        assert self.out == wanted

    def end(self) -> int:
        """Its exit status; the rest of what it prints is read."""
        self.out += self.process.communicate(timeout=30)[0]
        return self.process.returncode


@pytest.fixture
def tail(house: Path, tmp_path: Path) -> Iterator[Tail]:
    made = Tail(house, tmp_path)
    yield made
    for one in made.started:
        one.process.kill()
        one.process.wait(30)
        assert one.process.stdout is not None
        one.process.stdout.close()


class Tail:
    """Starts `gatewatch tail` in a folder with one log in it."""

    def __init__(self, house: Path, folder: Path) -> None:
        self.house, self.folder = house, folder
        self.log = folder / "engine.log"
        self.log.write_bytes(LOG)
        self.started: list[Running] = []

    def start(self, *words: str, stdin: int = subprocess.DEVNULL) -> Running:
        self.started.append(Running(self.house, self.folder, *words, stdin=stdin))
        return self.started[-1]

    def done(self, *words: str, stdin: int = subprocess.DEVNULL) -> tuple[int, bytes, str]:
        """Its exit status, what it printed, and what it said."""
        running = self.start(*words, stdin=stdin)
        return running.end(), running.out, running.err


def lines(*numbers: int) -> bytes:
    return b"".join(LOG.splitlines(keepends=True)[number] for number in numbers)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((), lines(*range(7))),
        (("-n", "2"), lines(5, 6)),
        (("--lines", "all"), LOG),
        (("-n", "0"), b""),
        (("--grep", "engine", "--exclude", "slow"), lines(0, 2, 6)),
        (("--grep", "E[RV]", "--regex"), lines(2, 5)[: len(lines(2))]),
        (("--level", "error"), lines(2, 3, 4, 5)),
        (("--level", "warning", "--grep", "engine", "-C", "1"), lines(0, 1, 2, 3)),
        (("--level", "error", "-n", "1"), lines(5)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_which_lines(tail: Tail, words: tuple[str, ...], shown: bytes) -> None:
    assert tail.done("engine.log", *words) == (0, shown, "")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("--since", "-10m"), [b"20", b"1", b"0"]),
        (("--since=-10m",), [b"20", b"1", b"0"]),
        (("--level", "warning", "--since", "-10m", "-n", "all"), [b"1"]),
        (("--until", "-10m"), [b"90", b"21"]),
        (("--since", "-60m", "--until", "-90s"), [b"21", b"20"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_so_long_ago(tail: Tail, words: tuple[str, ...], shown: list[bytes]) -> None:
    now = time.time()
    ages = {b"90": 90 * 60, b"21": 21 * 60, b"20": 5 * 60, b"1": 60, b"0": 1}
    rows = []
    for name, age in ages.items():
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now - age))
        rows.append(f"{when},000 {'WARNING' if age == 60 else 'INFO'} engine: ".encode() + name + b"\n")
    tail.log.write_bytes(b"".join(rows))
    status, out, said = tail.done("engine.log", "--plain", *words)
    assert (status, [row.rpartition(b" ")[2] for row in out.splitlines()], said) == (0, shown, "")


def test_a_time_after_the_last_line_is_said(tail: Tail) -> None:
    late = "gatewatch: --since -10m: nothing in this log is that late, its last line is of 2026-05-25 02:45:00"
    assert tail.done("engine.log", "--since", "-10m") == (0, b"", f"{late}\n")
    assert tail.done("engine.log", "--until", "-10m") == (0, LOG, "")
    running = tail.start("engine.log", "-f", "--since", "-10m")
    until(lambda: running.err == f"{late}; what comes from now on is printed\n", "what is not there")
    with tail.log.open("ab") as log:
        log.write(b"new\n")
    running.until(b"new\n")


@pytest.mark.parametrize("option", ["--since", "--until"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_log_whose_lines_say_no_time(tail: Tail, option: str, encoding: str) -> None:
    tail.log.write_bytes(("step 1, loss 0.5\n" * 9000).encode(encoding))
    said = f"{option} -10m: no line says when it was written"
    assert tail.done("engine.log", option, "-10m") == (2, b"", f"gatewatch: error: {said}\n")


def test_a_log_whose_lines_say_no_time_is_followed_from_its_end(tail: Tail) -> None:
    tail.log.write_bytes(b"step 1, loss 0.5\n" * 9000)
    said = "gatewatch: --since -10m: no line says when it was written; what comes from now on is printed\n"
    running = tail.start("engine.log", "-f", "--since", "-10m")
    until(lambda: running.err == said, "what is not there")
    with tail.log.open("ab") as log:
        log.write(b"new\n")
    running.until(b"new\n")


def test_times_in_an_empty_log(tail: Tail) -> None:
    tail.log.write_bytes(b"")
    assert tail.done("engine.log", "--since", "-10m") == (0, b"", "")


def test_a_time_in_the_input_is_looked_for_once_all_of_it_is_there(tail: Tail) -> None:
    reading, writing = os.pipe()
    running = tail.start("-", "--since", "2026-05-25 02:44", stdin=reading)
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(lines(0))
        pipe.flush()
        until(lambda: not fcntl.ioctl(writing, termios.FIONREAD, b"\0" * 4).strip(b"\0"), "the first line is read")
        time.sleep(0.2)  # it may have looked by then or not: either is right
        pipe.write(lines(*range(1, 7)))
    assert (running.end(), running.out, running.err) == (0, lines(2, 3, 4, 5, 6), "")


def test_more_lines_than_any_log_has_are_all(tail: Tail) -> None:
    (tail.folder / "a.log").write_bytes(b"one\ntwo\n")
    for words in (("-n", "9" * 26), ("--grep", "o", "-n", "9" * 5000)):
        assert tail.done("--plain", "a.log", *words) == (0, b"one\ntwo\n", "")


def test_a_closed_output_is_an_error(tail: Tail) -> None:
    (tail.folder / "a.log").write_bytes(b"one\n")
    command = [sys.executable, str(tail.house / "gatewatch.py"), "tail", "--plain", "a.log"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], cwd=tail.folder, stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "gatewatch: error: cannot write to standard output: Bad file descriptor\n"


def test_what_follows_two_dashes_is_no_time(tail: Tail) -> None:
    (tail.folder / "-10m").write_bytes(b"a name\n")
    assert tail.done("--plain", "--", "-10m") == (0, b"a name\n", "")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("none.log",), "none.log: no such file; --wait waits for it"),
        (("*.txt",), "no file matches *.txt yet; --wait waits for it"),
        (("[",), "no file matches [ yet; --wait waits for it"),
        (("none",), "none: no such file; --wait waits for it"),
        (("engine.log", "--grep", "(", "--regex"), "not a regular expression: missing ), unterminated subpattern"),
        (("engine.log", "--since", "soon"), "--since soon: not a time; for example 14:02, '2026-05-25 14:02' or -10m"),
        (("engine.log", "--since", "-10x"), "--since -10x: not a time; for example 14:02, '2026-05-25 14:02' or -10m"),
        (("engine.log", "--since"), "argument --since: expected one argument"),
        (("engine.log", "--since", "--until", "-5m"), "argument --since: expected one argument"),
        (("engine.log", "--until", "-f"), "argument --until: expected one argument"),
        (("engine.log", "--until", "48%"), "--until 48%: not a time; for example 14:02, '2026-05-25 14:02' or -10m"),
        (("engine.log", "-f", "--until", "14:02"), "--until says where to end, and --follow goes on; leave one"),
        (("engine.log", "--lines", "-1"), "--lines -1: a number or all"),
        (("engine.log", "-C", "1"), "--context needs --grep, --exclude or --level"),
        (("engine.log", "-C", "x"), "argument -C/--context: 'x' is not a number of lines"),
        (("engine.log", "-C", "-1"), "argument -C/--context: '-1' is not a number of lines"),
        (
            ("engine.log", "--grep", "x", "-C", "9" * 30),
            f"argument -C/--context: {'9' * 30} is more than 100,000 lines",
        ),
        (("engine.log", "--grep", "x", "-C", "100001"), "argument -C/--context: 100001 is more than 100,000 lines"),
        (("engine.log", "--level", "loud"), "argument --level: invalid choice: 'loud'"),
        (("engine.log", "engine.log"), "one log at a time, not 2; a quoted pattern or a folder means the newest"),
        (("engine.log/x",), "engine.log/x: Not a directory"),
        (("",), "empty target; expected a path or HOST:PATH"),
        ((), "the following arguments are required: TARGET"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_shown_is_said_in_one_line(tail: Tail, words: tuple[str, ...], complaint: str) -> None:
    status, out, said = tail.done(*words)
    assert (status, out) == (2, b"")
    assert said.startswith(f"gatewatch: error: {complaint}"), said
    assert said.count("\n") == 1


def test_a_log_that_may_not_be_read(anybody: None, tail: Tail) -> None:
    tail.log.chmod(0)
    assert tail.done("engine.log") == (2, b"", "gatewatch: error: engine.log: not readable\n")


def test_following_and_ctrl_c(tail: Tail) -> None:
    running = tail.start("engine.log", "-f", "-n", "1")
    running.until(lines(6))
    with tail.log.open("ab") as log:
        log.write(b"more\nhal")
        log.flush()
        running.until(lines(6) + b"more\n")
        log.write(b"f\n")
        log.flush()
        running.until(lines(6) + b"more\nhalf\n")
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 130
    assert running.err == "gatewatch: interrupted\n" or running.err.endswith("interrupted\n")
    assert running.err.count("\n") == 1


def test_ctrl_c_while_nobody_reads_what_is_written(tail: Tail) -> None:
    tail.log.write_bytes(LOG * 20_000)
    running = tail.start("engine.log", "--lines", "all")
    stat = Path(f"/proc/{running.process.pid}/wchan")
    until(lambda: "pipe" in stat.read_text() or running.process.poll() is not None, "a pipe that is full")
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == 130


def test_a_reader_that_has_enough_ends_it_quietly(tail: Tail) -> None:
    tail.log.write_bytes(LOG * 20_000)
    running = tail.start("engine.log", "--lines", "all")
    assert running.process.stdout is not None
    os.read(running.process.stdout.fileno(), 10)
    running.process.stdout.close()
    assert running.process.wait(30) == 0
    assert running.err == ""


def test_a_reader_that_leaves_while_nothing_is_written(tail: Tail) -> None:
    running = tail.start("engine.log", "-f", "-n", "1")
    running.until(lines(6))
    assert running.process.stdout is not None
    running.process.stdout.close()
    assert running.process.wait(30) == 0
    assert running.err == ""


def test_rotation_is_a_line_of_its_own_and_nothing_is_lost(tail: Tail) -> None:
    running = tail.start("engine.log", "-f", "-n", "1")
    running.until(lines(6))
    with tail.log.open("ab") as log:
        log.write(b"last words")
    tail.log.rename(tail.folder / "engine.log.1")
    tail.log.write_bytes(b"first words\n")
    assert running.process.stdout is not None
    while b"first words\n" not in running.out:
        running.out += os.read(running.process.stdout.fileno(), 1 << 16)
    shown = running.out.removeprefix(lines(6)).splitlines()
    assert [shown[0], shown[-1], len(shown)] == [b"last words", b"first words", 3]
    assert shown[1].startswith(b"--- ")


def test_a_file_that_comes_later(tail: Tail) -> None:
    running = tail.start("later.log", "--wait")
    time.sleep(0.2)  # it may look for the file or not have begun to: either is right
    (tail.folder / "later.log").write_bytes(b"here\n")
    assert running.end() == 0
    assert running.out == b"here\n"


def test_the_newest_log_of_a_folder_and_of_a_pattern(tail: Tail) -> None:
    logs = tail.folder / "logs"
    logs.mkdir()
    for name, when in (("old.log", 1_700_000_000), ("new.log", 1_700_000_100), ("older.log", 1_600_000_000)):
        (logs / name).write_bytes(name.encode() + b"\n")
        os.utime(logs / name, (when, when))
    assert tail.done("logs") == (0, b"new.log\n", "")
    assert tail.done("logs/old*") == (0, b"old.log\n", "")
    (tail.folder / "empty").mkdir()
    assert tail.done("empty") == (2, b"", "gatewatch: error: no log in empty yet; --wait waits for it\n")


def test_standard_input(tail: Tail) -> None:
    reading, writing = os.pipe()
    running = tail.start("-", "-n", "2", stdin=reading)
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(b"1\n2\n3")
    assert (running.end(), running.out, running.err) == (0, b"2\n3\n", "")
    with tail.log.open("rb") as file:
        assert tail.done("-", "--grep", "slow", stdin=file.fileno()) == (0, lines(1), "")


def test_a_named_pipe_is_followed(tail: Tail) -> None:
    os.mkfifo(tail.folder / "pipe")
    running = tail.start("pipe", "-n", "all")
    for words in (b"first writer\n", b"second writer\n"):
        with (tail.folder / "pipe").open("wb") as pipe:
            pipe.write(words)
        running.until(running.out + words)
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 130


def test_nothing_hostile_comes_out_of_a_pipe(tail: Tail) -> None:
    many = [bomb for bomb in bombs() if bomb.encoding == "utf-8"]
    tail.log.write_bytes(b"".join(bomb.data + b"\n" for bomb in many))
    status, out, said = tail.done("engine.log", "--lines", "all")
    assert (status, said) == (0, "")
    assert unsafe(out.decode(), "\n", "\t") == set()
    assert [bomb.name for bomb in many if bomb.word.encode() not in out] == []


def test_a_terminal_gets_colours_of_ours_and_nothing_else(tail: Tail) -> None:
    many = [bomb for bomb in bombs() if bomb.encoding == "utf-8"]
    tail.log.write_bytes(b"".join(bomb.data + b"\n" for bomb in many) + b"\x1b[31mred\x1b[2J\x07\n" + LOG)
    argv = [sys.executable, str(tail.house / "gatewatch.py"), "tail", "--plain", "-n", "all", "engine.log"]
    with Terminal(argv, tail.folder, {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, (50, 200)) as screen:
        assert screen.wait() == 0
        shown = screen.output.decode()
    assert "\x1b[31mred␛[2J␇\x1b[0m" in shown.replace("\x1b[0m\x1b[0m", "\x1b[0m")
    assert re.search("\x1b\\[[0-9;]*31m2026-05-25 02:44:00,000 ERROR", shown)
    left = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert unsafe(left, "\n", "\t", "\r") == set()
    assert "\r" not in left.replace("\r\n", "")


def test_no_colour_where_none_is_wanted(tail: Tail) -> None:
    argv = [sys.executable, str(tail.house / "gatewatch.py"), "tail", "--plain", "-f", "engine.log"]
    with Terminal(argv, tail.folder, {"PATH": os.environ["PATH"], "NO_COLOR": "1"}) as screen:
        screen.until("going on")
        screen.press(CTRL_C)
        assert screen.wait() == 130
        assert b"\x1b" not in screen.output


def test_plain_text_needs_no_screen_and_no_other_host(tail: Tail) -> None:
    argv = [sys.executable, "-X", "importtime", str(tail.house / "gatewatch.py"), "tail", "engine.log"]
    done = subprocess.run(argv, cwd=tail.folder, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout.encode()) == (0, LOG)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    tops = {name.split(".")[0] for name in imported}
    assert tops & {"asyncssh", "jobs", "numpy", "pydantic", "pytest", "rich", "textual", "yaml"} == set()
    assert imported & {"hosts.local.match", "monitors.logs.hits", "monitors.logs.progress", "tui.logs.rows"} == set()
    assert imported & {"monitors.logs.scanning", "monitors.logs.seek", "monitors.logs.tally_far"} == set()
    assert {"monitors.logs.local", "monitors.logs.model"} <= imported


def test_a_file_that_comes_while_it_is_followed_is_printed_whole(tail: Tail) -> None:
    running = tail.start("later.log", "-f", "-n", "1")
    until(lambda: "no such file yet" in running.err, "what is waited for")
    (tail.folder / "later.log").write_bytes(LOG)
    running.until(LOG)
