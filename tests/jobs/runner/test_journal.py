from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gates.journal import decode_journal
from hosts.host import ProcRef
from hosts.local.files import ReadError, WriteError
from hosts.local.procs import self_ref
from jobs.runner.journal import JournalWriter, read_journal

pytestmark = pytest.mark.travels

SLOW = [HealthCheck.too_slow]  # a loaded machine is not a wrong answer

ROOT = Path(__file__).resolve().parents[3]
REF = ProcRef("box", "boot", 7, 1, 7)

# Appends for ever, and says each number once it is on the disk.
WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from hosts.local.procs import self_ref
from jobs.runner.journal import JournalWriter
writer = JournalWriter(Path(sys.argv[2]), self_ref())
number = 0
while True:
    number += 1
    writer.append("tick", {"number": number, "text": "é" * (number % 50)})
    print(number, flush=True)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, which only root may make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"NOT TESTED, a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(path: Path) -> None:
    """Take every free byte of a file system."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def append_for_ever(writer: JournalWriter) -> None:
    while True:
        writer.append("filling", {"text": "x" * 100})


def kinds(path: Path) -> list[str]:
    return [event.kind for event in read_journal(path).events]


def test_events_are_numbered_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert read_journal(path).events == ()
    first = JournalWriter(path, self_ref())
    first.append("run.started", {"model": "tiny"})
    first.append("unit.waiting", {"why": "GPU 0: é\u2028\n\x1b[2J", "n": 1.5})
    first.close()
    second = JournalWriter(path, REF)
    second.append("run.resumed", {})
    second.close()
    journal = read_journal(path)
    assert [(event.seq, event.kind) for event in journal.events] == [
        (1, "run.started"),
        (2, "unit.waiting"),
        (3, "run.resumed"),
    ]
    assert journal.findings == ()
    assert journal.torn is False
    assert journal.events[1].data == {"why": "GPU 0: é\u2028\n\x1b[2J", "n": 1.5}
    assert journal.events[2].writer["host"] == "box"
    assert path.read_bytes().count(b"\n") == 3
    assert len({event.id for event in journal.events}) == 3


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_line_is_closed_and_told(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "events.jsonl"
    writer = JournalWriter(path, REF)
    for kind in ("a", "b", "c"):
        writer.append(kind, {})
    writer.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    second = JournalWriter(path, REF)
    assert path.read_bytes() == whole[:-cut], "opening changes nothing"
    second.append("d", {})
    second.close()
    journal = read_journal(path)
    kept = ["a", "b", "c", "d"] if cut == 1 else ["a", "b", "d"]
    assert [event.kind for event in journal.events] == kept
    assert [event.seq for event in journal.events] == list(range(1, len(kept) + 1))
    assert len(journal.findings) == (0 if cut == 1 else 1)
    assert path.read_bytes().startswith(whole[:-cut] + b"\n")


@settings(deadline=None, suppress_health_check=SLOW, max_examples=60)
@given(
    sessions=st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=4), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 400), min_size=4, max_size=4),
)
def test_whatever_is_cut_off_every_writer_goes_on(sessions: list[list[str]], cuts: list[int]) -> None:
    """Each session ends with a power cut that takes some bytes of the end; what is whole stays in its order."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        survivors: list[str] = []
        for texts, cut in zip(sessions, cuts, strict=False):
            writer = JournalWriter(path, REF)
            for text in texts:
                writer.append("kind", {"text": text})
            writer.close()
            after = [str(event.data["text"]) for event in read_journal(path).events]
            assert after == survivors + texts
            data = path.read_bytes()
            path.write_bytes(data[: max(0, len(data) - cut)])
            journal = read_journal(path)
            survivors = [str(event.data["text"]) for event in journal.events]
            assert survivors == after[: len(survivors)]
            numbers = [event.seq for event in journal.events]
            assert numbers == sorted(set(numbers))


@settings(deadline=None, suppress_health_check=SLOW, max_examples=40)
@given(st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=3), min_size=1, max_size=4))
def test_every_prefix_of_a_journal_loads(bodies: list[dict[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        writer = JournalWriter(path, REF)
        for body in bodies:
            writer.append("kind", body)
        writer.close()
        data = path.read_bytes()
    whole = decode_journal(data).events
    assert [dict(event.data) for event in whole] == bodies
    seen = 0
    for size in range(len(data) + 1):
        journal = decode_journal(data[:size])
        assert journal.findings == ()
        assert journal.events == whole[: len(journal.events)]
        assert len(journal.events) >= seen
        seen = len(journal.events)
    assert seen == len(bodies)


def test_a_writer_that_is_killed_at_any_byte(tmp_path: Path) -> None:
    """What it said it wrote is there, and the next writer goes on after it."""
    path = tmp_path / "events.jsonl"
    told = 0
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(ROOT), str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        told += len(process.communicate()[0].split()) + 5
    journal = read_journal(path)
    assert journal.findings == ()
    numbers = [event.seq for event in journal.events]
    assert numbers == list(range(1, len(numbers) + 1))
    assert told <= len(numbers) <= told + 10, "all that was told, and at most the one line that was under way"


def _limited(tmp_path: Path, room: int, body: Callable[[JournalWriter], None]) -> Path:
    """Let `body` write in a process whose files may grow by `room` bytes only: a full disk without one."""
    path = tmp_path / "events.jsonl"
    writer = JournalWriter(path, REF)
    writer.append("before", {})
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            size = path.stat().st_size + room
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            body(writer)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    writer.close()
    return path


@pytest.mark.parametrize("room", [0, 1, 30, 100])
def test_no_room_for_a_line_and_room_again(tmp_path: Path, room: int) -> None:
    def body(writer: JournalWriter) -> None:
        for _ in range(2):
            with pytest.raises(WriteError, match=r"cannot write .*events\.jsonl: (file too large|no space left)"):
                writer.append("lost", {"text": "x" * 200})
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        writer.append("after", {})
        writer.append("more", {})

    path = _limited(tmp_path, room, body)
    journal = read_journal(path)
    assert [(event.seq, event.kind) for event in journal.events] == [(1, "before"), (2, "after"), (3, "more")]
    assert len(journal.findings) == (1 if room else 0), "half a line is closed and told, and takes no other with it"


def test_a_line_that_lacks_its_newline_alone_counts(tmp_path: Path) -> None:
    """Then the writer was told that it failed, and yet it can be read: its number is taken."""
    size = 0

    def measure(writer: JournalWriter) -> None:
        nonlocal size
        writer.append("x", {})

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = _limited(tmp_path / "a", 1000, measure).read_bytes()
    size = len(whole.splitlines()[1])

    def body(writer: JournalWriter) -> None:
        with pytest.raises(WriteError):
            writer.append("x", {})
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        writer.append("y", {})

    journal = read_journal(_limited(tmp_path / "b", size, body))
    assert [(event.seq, event.kind) for event in journal.events] == [(1, "before"), (2, "x"), (3, "y")]
    assert journal.findings == ()


def test_a_full_disk(small_disk: Path) -> None:
    path = small_disk / "events.jsonl"
    writer = JournalWriter(path, REF)
    writer.append("before", {})
    before = path.read_bytes()
    hog = small_disk / "hog"
    fill(hog)
    with pytest.raises(WriteError, match=r"cannot write .*events\.jsonl: no space left on device") as caught:
        append_for_ever(writer)
    assert "\n" not in str(caught.value)
    assert path.read_bytes().startswith(before)
    last = read_journal(path).last_seq
    hog.unlink()
    writer.append("after", {})
    writer.close()
    journal = read_journal(path)
    assert journal.events[0].kind == "before"
    assert (journal.events[-1].kind, journal.events[-1].seq) == ("after", last + 1)
    assert len(journal.findings) <= 1


def test_what_cannot_be_opened_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").mkdir()
    with pytest.raises(ReadError, match=r"cannot read .*events\.jsonl: is a directory"):
        JournalWriter(tmp_path / "events.jsonl", REF)
    with pytest.raises(WriteError, match=r"cannot write .*/no/events\.jsonl: no such file or directory"):
        JournalWriter(tmp_path / "no" / "events.jsonl", REF)


def test_nan_never_gets_in(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "events.jsonl", REF)
    with pytest.raises(ValueError, match="not JSON compliant"):
        writer.append("bad", {"x": float("nan")})
    writer.append("good", {})
    writer.close()
    assert kinds(tmp_path / "events.jsonl") == ["good"]
