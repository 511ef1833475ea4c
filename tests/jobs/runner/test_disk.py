"""A disk that fills up, turns read-only or takes permission away in mid-run, under a real run with real processes.

What was there stays whole, the runner ends with one clear line, `status` says it in a sentence, and once the disk is
well again `--resume` completes the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from hosts.errors import GatewatchError
from hosts.local.files import WriteError
from hosts.local.locks import read_holder
from hosts.local.procs import is_alive
from tests.jobs.runner.conftest import Make
from tests.jobs.runner.fast import HOUSE, UNITS, FastProject, FastRun, command, image_with, until

NOBODY = 65534
ALPHA = UNITS["test_fast_alpha_ci"]
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root may mount file systems")

# The command line, with that runner in the place of the one that it would build.
IMPATIENT = """
import sys
_, house, image, *words = sys.argv
sys.path.insert(0, house)
import jobs.connect
from hosts.bootstrap import RunnerImage
from tui.cli.main import main
jobs.connect.build_image = lambda: RunnerImage.of(open(image, "rb").read())
sys.exit(main(words))
"""

Mount = Callable[..., Path]


@cache
def _impatient_image() -> bytes:
    """The real runner, whose shim waits two seconds and not a minute for a disk to get well."""

    def impatient(source: bytes) -> bytes:
        assert source.count(b"_REPORT_TRIES = 60\n") == 1
        return source.replace(b"_REPORT_TRIES = 60\n", b"_REPORT_TRIES = 2\n")

    return image_with({"jobs/runner/shim.py": impatient})


class Impatient(FastRun):
    """A run whose shim gives a sick disk up early; everything else is as it travels."""

    @property
    def image(self) -> bytes:
        return _impatient_image()


class Disk:
    """A small file system, mounted where the project keeps its runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hog = folder / "hog"

    def fill(self, left: int = 0) -> None:
        """Take every free byte; with `left`, all but so many."""
        with self.hog.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        if left:
            os.truncate(self.hog, max(0, self.hog.stat().st_size - left))

    def free(self) -> None:
        """Give all of it back."""
        self.hog.unlink()


def _mounted(arguments: list[str], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"NOT TESTED, a file system cannot be mounted here: {done.stderr.strip()}")


def unmounted(folder: Path) -> None:
    """Once nothing uses it any more."""
    until(lambda: subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0, f"umount {folder}")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts file systems, and unmounts them once nothing uses them."""
    folders: list[Path] = []

    def begin(folder: Path, *arguments: str) -> Path:
        _mounted([*arguments], folder)
        folders.append(folder)
        return folder

    yield begin
    for folder in folders:
        unmounted(folder)


@pytest.fixture
def project(make_project: Make) -> FastProject:
    return make_project(batch_s=0.1)


def impatient(project: FastProject) -> Impatient:
    return Impatient(project, project.repo / ".tune-runs" / "r", 3, ALPHA)


def content(folder: Path) -> dict[str, bytes]:
    """Every file that was written whole, by path: nothing may ever change in it but by a whole new content."""
    names = ("plan.json", "stages.yaml", "environment-fingerprint.json", "*/run*.json", "_pytest/*/run*.rc")
    return {str(path.relative_to(folder)): path.read_bytes() for name in names for path in folder.glob(name)}


def whole(before: dict[str, bytes], folder: Path) -> None:
    """What was there is there, byte for byte, and every record can be read."""
    after = content(folder)
    assert {path: after.get(path) for path in before} == before
    for path, data in after.items():
        assert isinstance(json.loads(data), dict), path


def recorded(run: FastRun, repeat: int) -> bool:
    return run.places.journal.exists() and any(
        data["run"] == repeat and data["unit"] == "test_fast_alpha_ci" for data in run.events("attempt.ended")
    )


def at_work(run: FastRun, repeat: int) -> bool:
    """Whether pytest itself runs, and not only the shim that waits to report."""
    return any(word.endswith(f"basetemp_run{repeat}") for process in run.processes() for word in process.argv)


def ended(run: FastRun) -> None:
    until(lambda: run.runner() is None and not run.processes(), "an end of the runner")


def status(run: FastRun) -> list[str]:
    """What `calibrate status` says; it is no error that a run is dead."""
    done = command("calibrate", "status", "--run-dir", str(run.root), "--root", str(run.project.repo))
    assert (done.returncode, done.stderr) == (3, "")
    assert "Traceback" not in done.stdout
    return done.stdout.splitlines()


def words(run: FastRun) -> str:
    return run.places.last_words.read_text().strip()


def completed(run: FastRun) -> None:
    """Resume, and every repeat of every stage is strict."""
    run.finish(resume=True)
    lines = run.audit(torn=True)
    assert lines[-1] == "STRICT + GIT: READY", run.said()
    assert {run.cell(stage, repeat)["status"] for stage in ALPHA for repeat in (1, 2, 3)} == {"ok"}


@pytest.fixture
def small(project: FastProject, mount: Mount) -> Disk:
    return Disk(mount(project.repo / ".tune-runs", "-t", "tmpfs", "-o", "size=8m", "tmpfs"))


@ROOT_ONLY
@pytest.mark.timeout(120)
@pytest.mark.parametrize("left", [0, 12288])
def test_a_disk_that_fills_up(project: FastProject, small: Disk, left: int) -> None:
    """With some pages left the run comes a few steps further: into the log, the report, a record, the journal."""
    run = impatient(project)
    run.start()
    until(lambda: recorded(run, 1), "the first repeat")
    small.fill(left)
    before = content(run.root)
    ended(run)
    whole(before, run.root)
    assert words(run).startswith("cannot write ")
    assert words(run).endswith(": no space left on device")
    assert "\n" not in words(run)
    lines = status(run)
    assert lines[0].startswith("fast: dead, ")
    assert lines[2] == f"  the runner is gone without a last event: {words(run)}"
    assert lines[-1].startswith("  to continue: gatewatch calibrate run ")
    assert not list(run.root.rglob(".gatewatch-*.tmp")), "no half-written file stays behind"
    small.free()
    completed(run)
    assert words(run) == ""


@ROOT_ONLY
@pytest.mark.timeout(120)
def test_a_disk_that_was_full_for_a_moment_costs_nobody_anything(project: FastProject, small: Disk) -> None:
    """A pytest that could not write its results is run again: its configuration is not to blame."""
    run = project.run(repeats=2, stages=ALPHA)
    run.start()
    until(lambda: at_work(run, 2), "the second pytest")
    small.fill()
    until(lambda: not at_work(run, 2), "the end of pytest")
    assert not (run.unit() / "run2.rc").exists(), "how it ended cannot be written down"
    assert run.runner() is not None, "the runner waits with the shim"
    small.free()
    run.wait()
    assert run.audit(torn=True)[-1] == "STRICT + GIT: READY", run.said()
    (outcome,) = [data for data in run.events("attempt.ended") if data["outcome"] == "infra"]
    assert outcome["reason"].startswith("disk ")
    assert run.events("run.halted") == []


@ROOT_ONLY
def test_a_full_disk_at_the_start_is_one_clear_line(project: FastProject, small: Disk) -> None:
    small.fill()
    run = project.run(stages=ALPHA)
    arguments = ("--output-dir", str(run.root), "--root", str(project.repo), "--stages", "alpha", "--repeats", "1")
    done = command("calibrate", "run", *arguments, "--venv-python", sys.executable)
    assert done.returncode == 1, "the precheck says no"
    assert [line for line in done.stderr.splitlines() if "1 GiB needed" in line]
    assert "Traceback" not in done.stderr
    with pytest.raises(WriteError, match=r"cannot write .*: no space left on device") as caught:
        run.start()  # and so would the host, whoever asks it
    assert "\n" not in str(caught.value)
    assert not (run.root / "plan.json").exists(), "and so it is no run yet"
    small.free()
    run.finish()
    assert run.audit()[-1] == "STRICT + GIT: READY"


@pytest.fixture
def image(project: FastProject, mount: Mount, tmp_path: Path) -> Disk:
    """A file system of its own on a loop device, which can be made to fail as a real disk does."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("NOT TESTED, there is no mkfs.ext4 here")
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(path)], check=True)
    return Disk(mount(project.repo / ".tune-runs", "-o", "loop", str(path)))


def _gone_read_only(disk: Disk) -> None:
    """What the kernel does when a disk fails. A plain remount is refused while somebody has a file open to write."""
    plain = subprocess.run(["mount", "-o", "remount,ro", str(disk.folder)], capture_output=True, text=True)
    assert plain.returncode != 0, "the runner holds files open"
    done = subprocess.run(["mount", "-o", "remount,abort", str(disk.folder)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"NOT TESTED, the file system cannot be aborted: {done.stderr.strip()}")


def _well_again(disk: Disk, tmp_path: Path) -> None:
    unmounted(disk.folder)
    path = tmp_path / "disk.img"
    checked = subprocess.run(["e2fsck", "-p", "-f", str(path)], capture_output=True, text=True)
    assert checked.returncode in (0, 1), checked.stdout
    _mounted(["-o", "loop", str(path)], disk.folder)


@ROOT_ONLY
@pytest.mark.timeout(120)
def test_a_disk_that_turns_read_only(project: FastProject, image: Disk, tmp_path: Path) -> None:
    run = impatient(project)
    run.start()
    until(lambda: at_work(run, 2), "the second pytest")
    before = content(run.root)
    os.sync()
    _gone_read_only(image)
    ended(run)
    whole(before, run.root)
    holder = read_holder(run.places.lock)
    assert holder is not None, "a lock that cannot be removed stays, and is a dead one's"
    lines = status(run)
    assert lines[0].startswith("fast: dead, ")
    assert lines[2] == (
        "  the runner is gone without a last event and without a word: it was killed, or its disk failed"
    )
    with pytest.raises(GatewatchError, match=r"read-only file system|cannot be written") as caught:
        run.start(resume=True)
    assert "\n" not in str(caught.value)
    _well_again(image, tmp_path)
    completed(run)


@pytest.fixture
def plain_user() -> list[str]:
    """What makes a command a plain user's, since nothing is forbidden to root: writing, that is.

    Reading is left as it is: Python itself may lie where only root looks.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("NOT TESTED: root cannot become somebody else without setpriv")
    # The security bit lets access(2) know of the right, too.
    reading = ["--securebits=+no_setuid_fixup", "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *reading]


def _give(path: Path, owner: int) -> None:
    if os.geteuid() == 0:
        os.chown(path, owner, owner, follow_symlinks=False)


@dataclass
class PlainRun:
    """A run that a plain user has begun."""

    run: FastRun
    prefix: list[str]
    home: Path

    def calibrate(self, *words: str) -> subprocess.CompletedProcess[str]:
        image = self.home / "runner.pyz"
        image.write_bytes(_impatient_image())
        program = [sys.executable, "-c", IMPATIENT, str(HOUSE), str(image), "calibrate", *words]
        return subprocess.run(
            [*self.prefix, *program, "--root", str(self.run.project.repo)],
            env={**os.environ, "HOME": str(self.home), "XDG_STATE_HOME": str(self.home / "state")},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def resume(self) -> subprocess.CompletedProcess[str]:
        return self.calibrate("run", "--resume", "--output-dir", str(self.run.root))


@pytest.fixture
def plain(make_project: Make, plain_user: list[str], tmp_path: Path) -> PlainRun:
    """A run of three repeats whose first is recorded."""
    project = make_project(batch_s=0.1)
    for path in (tmp_path, *tmp_path.rglob("*")):
        _give(path, NOBODY)
    run = project.run(repeats=3, stages=ALPHA)
    plain = PlainRun(run, plain_user, tmp_path)
    what = ("--stages", "alpha", "--repeats", "3", "--venv-python", sys.executable, "--detach")
    begun = plain.calibrate("run", "--output-dir", str(run.root), *what)
    assert begun.returncode == 0, begun.stderr
    until(lambda: recorded(run, 1), "the first repeat")
    return plain


@pytest.mark.timeout(120)
@pytest.mark.parametrize("lost", ["unit", "records", pytest.param("given away", marks=ROOT_ONLY)])
def test_permission_that_is_lost_in_mid_run(plain: PlainRun, lost: str) -> None:
    run = plain.run
    before = content(run.root)
    places = {
        "unit": [run.unit()],
        "records": [run.root / stage for stage in ALPHA],
        "given away": [run.root, run.unit(), run.places.ours],
    }[lost]
    for place in places:
        _give(place, 0 if lost == "given away" else NOBODY)
        place.chmod(0o755 if lost == "given away" else 0o555)
    ended(run)
    whole(before, run.root)
    assert words(run).startswith("cannot write ")
    assert words(run).endswith(": permission denied")
    assert "\n" not in words(run)
    seen = plain.calibrate("status", "--run-dir", str(run.root))
    assert seen.returncode == 3
    assert f"  the runner is gone without a last event: {words(run)}" in seen.stdout.splitlines()
    refused = plain.resume()
    assert refused.returncode in (1, 2), refused.stderr
    assert "Traceback" not in refused.stderr
    assert "permission denied" in refused.stderr or "cannot be written" in refused.stderr
    whole(before, run.root)
    for place in places:
        _give(place, NOBODY)
        place.chmod(0o755)
    again = plain.resume()
    assert again.returncode == 0, again.stderr + run.said()
    assert run.audit(torn=True)[-1] == "STRICT + GIT: READY"


@pytest.mark.timeout(120)
def test_a_lock_that_cannot_be_renewed_ends_nothing(plain: PlainRun) -> None:
    """Our own folder may no longer be written. The lock is still ours, and at the end it is a dead one's."""
    run = plain.run
    run.places.ours.chmod(0o555)
    ended(run)
    holder = read_holder(run.places.lock)
    assert holder is not None
    assert is_alive(holder.ref) is False
    assert f"cannot write {run.places.lock}: permission denied" in run.places.runner_log.read_text()
    seen = plain.calibrate("status", "--run-dir", str(run.root))
    assert seen.returncode == 0, seen.stdout
    assert seen.stdout.startswith("fast: ended, 2 of 2 stages ready")
    run.places.ours.chmod(0o755)
    assert plain.resume().returncode == 0
    assert run.audit()[-1] == "STRICT + GIT: READY"
