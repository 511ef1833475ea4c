"""All planned files or none, and nothing over what somebody else saved."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import pytest

from gates.calibration.edits import Edit, FileEdits
from hosts.errors import GatewatchError, InputError, RefusedError
from hosts.local.files import is_temp
from hosts.local.locks import acquire
from jobs.runner.calibration import replace
from jobs.runner.calibration.apply import apply, apply_status
from jobs.runner.journal import read_journal
from jobs.runner.places import RunPlaces
from tests.jobs.runner.calibration.applying import FILES, GIT, NEW, Bench
from tests.jobs.runner.calibration.pythons import python_or_skip

pytestmark = pytest.mark.travels

B = "tests/test_b.py"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A checkout as committed."""
    return Bench.make(tmp_path)


def events(bench: Bench) -> list[str]:
    return [event.kind for event in read_journal(bench.run / "events.jsonl").events]


def test_exactly_the_planned_literals_change(bench: Bench) -> None:
    before = bench.tree()
    assert bench.status() == {"state": "none"}
    answer = bench.apply()
    assert (answer["state"], answer["already"], answer["left"]) == ("done", False, [])
    assert bench.tree() == {**before, **{path: (before[path][0], data) for path, data in NEW.items()}}
    said = subprocess.run([*GIT, "status", "--porcelain"], cwd=bench.repo, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == [f" M {path}" for path in sorted(FILES)]
    assert [(one["path"], [edit["new"] for edit in one["edits"]]) for one in answer["files"]] == [
        ("tests/test_a.py", ["4", "0.25"]),
        (B, ["1801.5"]),
        ("tests/deep/limits.py", ["-0.06"]),
        ("tests/deep/latin.py", ["17"]),
        ("top.py", ["8"]),
    ]
    assert answer["files"][0]["edits"][1]["source"] == "U"
    assert events(bench) == ["apply.begun", *["apply.file"] * 5, "apply.done"]
    status = bench.status()
    assert (status["state"], status["done"], status["total"], status["line"]) == ("done", 5, 5, "applied to 5 files")
    assert status["who"] == {"name": "o"}


def test_a_second_apply_does_nothing(bench: Bench) -> None:
    payload = bench.payload()
    apply(payload)
    before, then = bench.tree(), events(bench)
    answer = apply(payload)
    assert isinstance(answer, dict)
    assert (answer["state"], answer["already"]) == ("done", True)
    assert (bench.tree(), events(bench)) == (before, then)
    assert bench.act("finish")["already"] is True


def test_what_was_done_can_be_undone_and_done_again(bench: Bench) -> None:
    before = bench.tree()
    bench.apply()
    answer = bench.act("rollback")
    assert sorted(answer["restored"]) == sorted(FILES)
    assert (bench.tree(), bench.status()["state"]) == (before, "rolled_back")
    assert bench.act("rollback")["already"] is True
    with pytest.raises(InputError, match="rolled back"):
        bench.act("finish")
    assert bench.apply()["already"] is False
    assert bench.files() == NEW


def test_a_newer_python_proves_its_own_files(bench: Bench) -> None:
    newer = python_or_skip("3.12")
    data = b"type Row = dict[str, float]\nT = 3\nx = f'{'nested'}'\n"
    (bench.repo / "top.py").write_bytes(data)
    status = (bench.repo / "top.py").stat()
    at = data.index(b"3\n")
    sha = hashlib.sha256(data).hexdigest()
    planned = [FileEdits("top.py", sha, status.st_mode & 0o7777, status.st_ino, (Edit(at, at + 1, b"3", b"4"),))]
    if sys.version_info < (3, 12):
        with pytest.raises(RefusedError, match=r"nothing was changed: top\.py: as it is: syntax error, line 1"):
            bench.apply(planned)
    bench.apply(planned, python=newer)
    assert (bench.repo / "top.py").read_bytes() == data.replace(b"T = 3", b"T = 4")


def _edit(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"# mine\n")


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _link_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_suffix(".real"))
    path.parent.symlink_to(path.parent.with_suffix(".real"))


def _again(path: Path) -> None:
    data = path.read_bytes()
    path.rename(path.with_suffix(".old"))
    path.write_bytes(data)
    path.chmod(0o755)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_edit, f"{B}: changed since the plan was made"),
        (_link, f"{B}: it is a symbolic link"),
        (_link_folder, "reached through one"),
        (Path.unlink, f"{B}: it is not there"),
        (_folder, f"{B}: not a regular file"),
        (_pipe, f"{B}: not a regular file"),
        (_again, f"{B}: replaced by another file of the same content"),
        (lambda path: path.chmod(0o700), f"{B}: its mode was 755 when the plan was made and is 700"),
    ],
)
def test_a_file_that_is_not_as_planned_is_refused(bench: Bench, harm: Callable[[Path], None], why: str) -> None:
    payload = bench.payload()
    harm(bench.repo / B)
    before = bench.tree()
    with pytest.raises(RefusedError, match=r"^nothing was changed") as error:
        apply(payload)
    assert why in str(error.value)
    assert (bench.tree(), bench.status()) == (before, {"state": "none"})


def test_a_read_only_file_is_refused(bench: Bench) -> None:
    (bench.repo / B).chmod(0o444)
    before = bench.tree()
    with pytest.raises(RefusedError, match=r"test_b\.py: it is read-only"):
        bench.apply()
    assert bench.tree() == before


def test_somebody_without_the_right_to_write_is_refused() -> None:
    if os.geteuid() != 0:
        pytest.skip("ONLY ROOT CAN BECOME SOMEBODY ELSE: a folder of another user goes unproved")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        bench = Bench.make(Path(name))
        payload, before = bench.payload(), bench.tree()
        for path in (bench.run, *(bench.repo / path for path in FILES)):
            os.chown(path, 65534, 65534)
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                apply(payload)
            except GatewatchError as error:
                os.write(into, str(error).encode())
            finally:
                os._exit(0)
        os.close(into)
        os.waitpid(child, 0)
        said = os.read(out, 4096).decode()
        os.close(out)
        assert said.count("its folder is read-only") == len(FILES)
        assert bench.tree() == before


def test_what_was_shown_is_what_is_written(bench: Bench) -> None:
    with pytest.raises(RefusedError, match="what was shown"):
        bench.apply(shown_sha256="0" * 64)
    assert bench.files() == FILES


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (Edit(8, 9, b" ", b"4"), "not a number"),
        (Edit(13, 14, b"3", b"4"), "a planned place holds no number of its own"),  # in the comment
        (Edit(4, 5, b"9", b"4"), "'9' was planned to be replaced, '3' is there"),
        (Edit(400, 401, b"3", b"4"), "outside"),
    ],
)
def test_a_plan_of_anything_but_literals_is_refused(bench: Bench, edit: Edit, why: str) -> None:
    first = bench.plan()[0]
    with pytest.raises(GatewatchError, match=why):
        bench.apply([changed(first, edits=(edit,))])
    assert (bench.files(), bench.status()) == (FILES, {"state": "none"})


@pytest.mark.parametrize(
    "more", [{"files": []}, {"files": None}, {"action": "commit"}, {"repo": "/nowhere"}, {"run_dir": "/nowhere"}]
)
def test_a_payload_of_another_kind_is_refused(bench: Bench, more: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        apply({**bench.payload(), **more})
    assert bench.files() == FILES


def test_nothing_applied_is_nothing_to_finish(bench: Bench) -> None:
    for action in ("finish", "rollback"):
        with pytest.raises(InputError, match="nothing was ever applied"):
            bench.act(action)


def test_a_live_runner_is_not_disturbed(bench: Bench) -> None:
    lock = acquire(RunPlaces(bench.run).lock, "runner")
    try:
        with pytest.raises(RefusedError, match="already running"):
            bench.apply()
    finally:
        lock.release()
    bench.apply()
    assert not RunPlaces(bench.run).lock.exists()


def test_two_runs_do_not_apply_to_one_checkout_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Bench(bench.repo, bench.run.with_name("r2"))
    other.run.mkdir()
    said: list[str] = []
    plain = replace.exchange

    def exchange(*arguments: object) -> bool:
        if not said:
            with pytest.raises(RefusedError) as error:
                other.apply(bench.plan(["top.py"]))
            said.append(str(error.value))
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(replace, "exchange", exchange)
    bench.apply()
    assert "somebody else is applying" in said[0]


# --- an editor that saves --------------------------------------------------------------------------------------------

MINE = b"T = 3  # saved by me\n"


def _save_in_place(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _save_by_rename(path: Path, data: bytes) -> None:
    beside = path.with_name(path.name + "~")
    beside.write_bytes(data)
    beside.chmod(0o755)
    beside.rename(path)


SAVES = pytest.mark.parametrize("save", [_save_in_place, _save_by_rename])


def _at_exchange(
    monkeypatch: pytest.MonkeyPatch, bench: Bench, path: str, *, before: list[Callable[[], None]], able: bool = True
) -> None:
    """Have somebody act right before the n-th exchange for a file: too late for any check before it."""
    plain = replace.exchange
    acts = list(before)

    def exchange(one: str, other: str, folder: int) -> bool:
        if (
            os.readlink(f"/proc/self/fd/{folder}") == str((bench.repo / path).parent)
            and Path(path).name == other
            and acts
        ):
            acts.pop(0)()
        return plain(one, other, folder) if able else False

    monkeypatch.setattr(replace, "exchange", exchange)


@SAVES
@pytest.mark.parametrize("able", [True, False])
def test_a_save_right_before_the_rename_survives(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, save: Callable[[Path, bytes], None], able: bool
) -> None:
    before = bench.tree()
    path = bench.repo / B
    _at_exchange(monkeypatch, bench, B, before=[lambda: save(path, MINE)], able=able)
    with pytest.raises(RefusedError) as error:
        bench.apply()
    assert f"{path} was changed by somebody else" in str(error.value)
    assert f"not applied, 1 file put back, left alone: {B}" in str(error.value)
    assert bench.tree() == {**before, B: (0o755, MINE)}
    assert bench.status()["state"] == "rolled_back"


def test_a_second_save_while_the_first_is_given_back_survives(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bench.repo / B
    saves = [lambda: _save_by_rename(path, MINE), lambda: _save_by_rename(path, MINE + b"# again\n")]
    _at_exchange(monkeypatch, bench, B, before=saves)
    with pytest.raises(RefusedError):
        bench.apply()
    assert path.read_bytes() == MINE + b"# again\n"
    assert [one.name for one in path.parent.iterdir() if is_temp(one.name)] == []


def test_a_link_made_at_the_last_moment_survives(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bench.repo / B
    _at_exchange(monkeypatch, bench, B, before=[lambda: _link(path)])
    with pytest.raises(RefusedError):
        bench.apply()
    assert path.is_symlink()
    assert path.read_bytes() == FILES[B]


def test_a_file_that_goes_at_the_last_moment_stays_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bench.tree()
    del before[B]
    path = bench.repo / B
    _at_exchange(monkeypatch, bench, B, before=[path.unlink])
    with pytest.raises(RefusedError, match="1 file put back"):
        bench.apply()
    assert bench.tree() == before


class Editor(threading.Thread):
    """Saves one version after the other, once it is let go, until it is stopped."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.go = threading.Event()
        self.stop = threading.Event()
        self.saved = b""

    def run(self) -> None:
        self.go.wait()
        for number in itertools.count(1):
            data = b"T =- 7  # %d" % number
            _save_by_rename(self.path, data)
            self.saved = data
            if self.stop.is_set():
                return


@pytest.mark.parametrize("lag", [0.0, 0.06, 0.09, 0.12, 0.15, 0.2])
def test_an_editor_that_keeps_saving_loses_nothing(bench: Bench, lag: float) -> None:
    """Real threads: whatever the moment, what the editor saved last is what the file holds."""
    editor = Editor(bench.repo / "top.py")
    planned = bench.plan()
    editor.start()
    timer = threading.Timer(lag, editor.go.set)
    timer.start()
    try:
        with contextlib.suppress(RefusedError):
            bench.apply(planned)
    finally:
        timer.join()
        editor.stop.set()
        editor.join()
    assert editor.path.read_bytes() == editor.saved
    assert [one for one in bench.tree() if is_temp(Path(one).name)] == []
    others = {path: data for path, data in bench.files().items() if path != "top.py"}
    assert others in ({path: data for path, data in both.items() if path != "top.py"} for both in (FILES, NEW))


# --- disks that refuse -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EPERM])
def test_a_disk_that_refuses_halfway_leaves_everything_as_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = bench.tree()
    plain = replace.exchange
    calls: list[str] = []

    def exchange(one: str, other: str, folder: int) -> bool:
        calls.append(other)
        if len(calls) == 4:
            raise OSError(number, os.strerror(number))
        return plain(one, other, folder)

    monkeypatch.setattr(replace, "exchange", exchange)
    with pytest.raises(RefusedError, match="3 files put back") as error:
        bench.apply()
    assert os.strerror(number).lower() in str(error.value).lower()
    assert bench.tree() == before
    assert bench.status()["state"] == "rolled_back"


def test_a_disk_that_refuses_for_good_is_said_to_have_interrupted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = replace.exchange
    calls: list[str] = []

    def exchange(one: str, other: str, folder: int) -> bool:
        calls.append(other)
        if len(calls) > 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return plain(one, other, folder)

    with monkeypatch.context() as broken:
        broken.setattr(replace, "exchange", exchange)
        with pytest.raises(RefusedError, match=r"^apply interrupted 2/5: .* rolling back failed"):
            bench.apply()
    assert bench.status()["line"] == "apply interrupted 2/5"
    with pytest.raises(RefusedError, match="apply interrupted 2/5; finish it or roll it back first"):
        bench.apply(bench.plan(["top.py"]))
    assert bench.act("finish")["state"] == "done"
    assert bench.files() == NEW


def test_an_unreadable_memory_is_said(bench: Bench) -> None:
    bench.apply()
    (memory,) = bench.run.glob(".gatewatch/apply/*/journal.json")
    memory.write_text("{}")
    with pytest.raises(InputError, match="not an apply of a known version"):
        apply_status({"run_dir": str(bench.run)})
    with pytest.raises(InputError):
        bench.act("rollback")
    assert bench.files() == NEW


def test_damaged_old_bytes_are_not_written_back(bench: Bench) -> None:
    bench.apply()
    (old,) = bench.run.glob(".gatewatch/apply/*/0.old")
    old.write_bytes(b"x")
    with pytest.raises(InputError, match="is damaged"):
        bench.act("rollback")
    assert (bench.repo / "tests/test_a.py").read_bytes() == NEW["tests/test_a.py"]


# --- kill -9 ---------------------------------------------------------------------------------------------------------

MOST_STEPS = 400


def _steps(long: bool) -> list[int]:
    return list(range(1, MOST_STEPS)) if long else [*range(1, 40, 6), *range(40, MOST_STEPS, 11)]


@pytest.mark.timeout(590)
@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("ending", ["finish", "rollback"])
def test_a_kill_at_any_step_can_be_mended(
    bench: Bench, ending: str, torn: bool, request: pytest.FixtureRequest
) -> None:
    before, planned = bench.tree(), bench.plan()
    seen: set[str] = set()
    for step in _steps(bool(request.config.getoption("--long-proof"))):
        if not bench.killed(bench.payload(bench.same(planned)), step, torn=torn):
            break
        assert not bench.mixed()
        status = bench.status()
        seen.add(status.get("line", "none"))
        if status["state"] == "interrupted":
            done = sum(data == NEW[path] for path, data in bench.files().items())
            assert (status["done"], status["total"]) == (done, 5)
            assert status["line"] == f"apply interrupted {done}/5"
            answer = bench.act(ending)
            assert answer["left"] == []
            assert bench.status()["state"] == ("done" if ending == "finish" else "rolled_back")
            assert bench.files() == (NEW if ending == "finish" else FILES)
            mended = events(bench)
            assert mended[-1] == ("apply.done" if ending == "finish" else "apply.rolled_back")
            assert mended[-2] != mended[-1]
        if bench.status()["state"] == "done":
            bench.act("rollback")
        assert bench.tree() == before
    else:
        raise AssertionError("there are more steps than were tried")
    assert seen >= {"none", *(f"apply interrupted {done}/5" for done in range(6))}


@pytest.mark.timeout(590)
def test_mending_can_be_killed_too(bench: Bench) -> None:
    before, planned = bench.tree(), bench.plan()
    mended = 0
    for step in range(40, MOST_STEPS, 13):
        if not bench.killed(bench.payload(bench.same(planned)), step):
            break
        if bench.status()["state"] != "interrupted":
            continue
        mended += 1
        action = "finish" if mended % 2 else "rollback"
        for again in (3, 9, 17, 25):
            bench.killed({"run_dir": str(bench.run), "action": action}, again + mended)
            assert not bench.mixed()
        bench.act(action)
        assert bench.files() == (NEW if mended % 2 else FILES)
        if mended % 2:
            bench.act("rollback")
        assert bench.tree() == before
    assert mended > 4


def test_what_was_saved_after_a_kill_is_left_alone(bench: Bench) -> None:
    before = bench.tree()
    step = 45
    while bench.status().get("done") != 2:
        step += 5
        assert bench.killed(bench.payload(), step)
        if bench.status().get("done") != 2:
            bench.act("rollback")
    (bench.repo / "tests/test_a.py").write_bytes(MINE)
    with pytest.raises(RefusedError, match=r"apply interrupted 1/5; it cannot be finished, because tests/test_a\.py"):
        bench.act("finish")
    answer = bench.act("rollback")
    assert answer["left"] == [{"path": "tests/test_a.py", "why": "somebody else changed it since"}]
    assert bench.tree() == {**before, "tests/test_a.py": (0o644, MINE)}
