from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hosts.errors import InputError, RefusedError, VerbError
from hosts.host import Json
from hosts.local.calls import at_most_once, calls_directory

pytestmark = pytest.mark.travels

KEY = "key-0123456789"
ROOT = Path(__file__).resolve().parents[2]

CHILD = """
import sys, time
from pathlib import Path
from hosts.local.calls import at_most_once
folder, key, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def run():
    with open(folder / "count", "a") as file:
        file.write("x")
    if how == "hang":
        print("running", flush=True)
        time.sleep(60)
    return how

print(at_most_once(folder, key, run))
"""


def child(folder: Path, how: str, key: str = KEY) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), key, how],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_the_second_call_gets_the_first_answer(tmp_path: Path) -> None:
    runs: list[int] = []

    def run() -> Json:
        runs.append(1)
        return {"run": len(runs)}

    assert at_most_once(tmp_path, KEY, run) == {"run": 1}
    assert at_most_once(tmp_path, KEY, run) == {"run": 1}
    assert len(runs) == 1
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())


def test_an_error_is_an_answer(tmp_path: Path) -> None:
    def run() -> Json:
        raise RefusedError("no")

    for _ in range(2):
        with pytest.raises(VerbError, match="no") as caught:
            at_most_once(tmp_path, KEY, run)
        assert caught.value.kind == "refused"


@pytest.mark.parametrize("key", ["", "short", "a/b/c/d/e", "..", "x" * 129, "abcdefgh\n", "ключ-ключ"])
def test_a_key_is_a_plain_name(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match="idempotency key"):
        at_most_once(tmp_path, key, lambda: None)
    assert not list(tmp_path.iterdir())


def test_while_it_runs_and_after_its_maker_died(tmp_path: Path) -> None:
    with child(tmp_path, "hang") as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(VerbError, match=f"still running as process {process.pid}") as caught:
            at_most_once(tmp_path, KEY, lambda: None)
        assert caught.value.kind == "not-yet"
        process.kill()
        process.wait()
    with pytest.raises(VerbError, match="never finished") as caught:
        at_most_once(tmp_path, KEY, lambda: None)
    assert caught.value.kind == "not-yet"
    assert (tmp_path / "count").read_text() == "x"


def test_of_many_processes_one_runs(tmp_path: Path) -> None:
    processes = [child(tmp_path, "quick") for _ in range(6)]
    for process in processes:
        process.communicate(timeout=30)
    assert (tmp_path / "count").read_text() == "x"
    assert at_most_once(tmp_path, KEY, lambda: "never") == "quick"


def test_of_many_threads_one_runs(tmp_path: Path) -> None:
    runs: list[int] = []
    kinds: set[str] = set()
    gate = threading.Barrier(8)

    def ask() -> None:
        gate.wait()
        try:
            at_most_once(tmp_path, KEY, lambda: runs.append(1))
        except VerbError as error:
            kinds.add(error.kind)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs == [1]
    assert kinds <= {"not-yet"}


def test_a_claim_that_cannot_be_read_is_still_a_claim(tmp_path: Path) -> None:
    (tmp_path / f"{KEY}.call").write_bytes(b"\0garbage")
    with pytest.raises(VerbError, match="cannot be seen from here"):
        at_most_once(tmp_path, KEY, lambda: None)


def test_keys_are_kept_in_the_run_directory_or_in_the_state_of_the_user(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert calls_directory({"run_dir": str(run)}, {}) == run / ".gatewatch/calls"
    assert (run / ".gatewatch/calls").stat().st_mode & 0o777 == 0o700
    state = tmp_path / "state"
    assert calls_directory(None, {"XDG_STATE_HOME": str(state)}) == state / "gatewatch/calls"
    with pytest.raises(InputError, match="no run directory"):
        calls_directory({"run_dir": str(tmp_path / "none")}, {}, needs_run=True)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot make"):
        calls_directory({"run_dir": str(tmp_path / "file")}, {})
