"""Thresholds that are written on another host, over a real SSH link that is cut, by a helper that is killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hosts.local.locks import read_holder
from jobs.runner.places import RunPlaces
from tests.peers import sshd
from tests.peers.quick import Done, Quick, git, quick_checkout, tree, until
from tests.peers.terminal import Terminal

LIMITS = "tests/limits.py"
A, B = "tests/test_quick_a.py", "tests/test_quick_b.py"
ASKED = "a_speed/A_QPS_MIN"
OLD: Mapping[str, tuple[str, str]] = {
    A: ("A_ACC_MIN: float = 0.85  # A_ACC_MIN = 0.85 once\n", "A_ACC_MIN: float = 0.9  # A_ACC_MIN = 0.85 once\n"),
    LIMITS: ("A_QPS_MIN = (\n    2_0.0  # req/s\n)\n", "A_QPS_MIN = (\n    12.5  # req/s\n)\n"),
    B: ("B_WER_MAX = 1e-1\n", "B_WER_MAX = 0.5e-1\n"),
}
"""Each file's threshold, and the same once it is applied."""

# Stands where the profile names the Python of the host: whoever starts the helper with it may have it die, or stop,
# right before it does something for the n-th time.
_PYTHON = """\
#!{python}
import os, sys

words = sys.argv[1:]
if os.path.exists({arm!r}):
    start = open({arm!r}).read() + words[words.index("-c") + 1]
    words[words.index("-c") + 1] = start
os.execv({python!r}, [{python!r}, *words])
"""
_ARM = """\
import os, sys
sys.path.insert(0, {folder!r})
os.environ.update({variables!r})
import dying
dying.arm("helper")
sys.path.pop(0)
"""


class Far:
    """The quick project with thresholds in three files, and a strict-complete run of it, behind SSH."""

    def __init__(self, quick: Quick, peer: sshd.SshPeer, folder: Path) -> None:
        self.quick = quick
        self.peer = peer
        self.answers = folder / "answers.json"
        self._arm = folder / "arm"
        self.once = folder / "once"
        self.python = folder / "python"

    @property
    def run_dir(self) -> Path:
        return self.quick.runs / "r"

    @property
    def target(self) -> str:
        return f"far:{self.run_dir}"

    def apply(self, *words: str) -> Done:
        return self.calibrate("apply", *words)

    def smart(self) -> Done:
        return self.apply("--mode", "smart", "--yes", "--answers", str(self.answers))

    def calibrate(self, word: str, *words: str) -> Done:
        return self.quick.gatewatch("calibrate", word, "--run-dir", self.target, *words)

    def state(self) -> tuple[bool, ...]:
        """For every file: does it hold its new threshold? Whatever else it held is still there."""
        found = []
        for path, (old, new) in OLD.items():
            text = (self.quick.folder / path).read_text()
            assert (old in text) != (new in text), text
            found.append(new in text)
        return tuple(found)

    @contextlib.contextmanager
    def dying(self, at: int, like: str, number: int = signal.SIGKILL) -> Iterator[None]:
        """The helper gets this signal right before it does for the `at`-th time what the expression finds; once."""
        self.once.unlink(missing_ok=True)
        variables = {"FAST_DIE_WHO": "helper", "FAST_DIE_AT": str(at), "FAST_DIE_LIKE": like}
        variables |= {"FAST_DIE_ONCE": str(self.once), "FAST_DIE_SIGNAL": str(int(number))}
        folder = Path(__file__).with_name("runner")
        self._arm.write_text(_ARM.format(folder=str(folder), variables=variables))
        try:
            yield
        finally:
            self._arm.unlink()
        assert self.once.exists(), "it was never hit"


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory, peer: sshd.SshPeer) -> Iterator[Far]:
    """The one run that all tests here apply."""
    folder = tmp_path_factory.mktemp("far")
    with quick_checkout(folder) as quick:
        made = Far(quick, peer, folder)
        made.python.write_text(_PYTHON.format(python=sys.executable, arm=str(folder / "arm")))
        made.python.chmod(0o755)
        made.answers.write_text(json.dumps({ASKED: "apply"}))
        (quick.folder / "hosts").mkdir()
        (quick.folder / "hosts" / "far.yaml").write_text(
            f"name: far\nhostname: far.invalid\nrepo_root: {quick.folder}\nlauncher: ssh\npython: {made.python}\n"
            f"ssh: {{host: 127.0.0.1, port: {peer.port}, identity_file: {peer.keys['plain']}, "
            f"known_hosts: {peer.known_hosts}}}\n"
        )
        for path, (old, _new) in OLD.items():
            file = quick.folder / path
            file.write_text((file.read_text() if file.exists() else '"""Limits."""\n\n') + "\n\n" + old)
        manifest = quick.manifest.read_text().replace("source: QUICK", "source: A_ACC_MIN", 1)
        manifest = manifest.replace("source: QUICK", "source: A_QPS_MIN", 1).replace("QUICK", "B_WER_MAX")
        manifest = manifest.replace("  group: speed\n", f"  group: speed\n  threshold_file: {LIMITS}\n")
        head, b_wer = manifest.split("b_wer:")
        quick.manifest.write_text(f"{head}b_wer:{b_wer.replace('worst: min', 'worst: max')}")
        quick.commit("thresholds")
        done = quick.run("--host", "far")
        assert done.code == 0, done.said
        yield made


@pytest.fixture
def far(calibrated: Far, tmp_path: Path) -> Iterator[Far]:
    """The checkout and the run as they were when the run had ended; the next test finds them so again."""
    kept = tmp_path / "kept"
    shutil.copytree(calibrated.quick.folder, kept, symlinks=True)
    yield calibrated
    shutil.rmtree(calibrated.quick.folder)
    shutil.copytree(kept, calibrated.quick.folder, symlinks=True)


def everything(far: Far) -> Any:
    """All files of the checkout but for the run's, and all of git's but for what looking at it refreshes."""
    return {
        path: entry
        for path, entry in tree(far.quick.folder, (".tune-runs", "__pycache__", ".pytest_cache")).items()
        if path != ".git/index"
    }


def test_exactly_the_planned_literals_change_and_once(far: Far) -> None:
    before = everything(far)
    done = far.smart()
    assert done.code == 0, done.said
    assert "wrote 3 literals in 3 files" in done.text
    assert "far" in done.text.splitlines()[-2]
    after = everything(far)
    assert {path for path in before | after if before.get(path) != after.get(path)} == set(OLD)
    for path, (old, new) in OLD.items():
        kind, mode, data = before[path]
        assert after[path] == (kind, mode, data.replace(old.encode(), new.encode())), path
    assert git(far.quick.folder, "diff", "--cached").strip() == ""  # nothing staged, nothing committed
    assert (far.run_dir / "report.md").read_text().count("tightens") >= 2
    again = far.smart()
    assert (again.code, everything(far)) == (0, after)
    assert "nothing to write" in again.text


def test_a_file_that_changed_since_the_plan_is_refused(far: Far) -> None:
    words = ("calibrate", "apply", "--run-dir", far.target, "--mode", "full")
    argv, env = far.quick.argv(*words), {**os.environ, **far.quick.env}
    with Terminal(argv, far.quick.folder, env, (50, 200)) as terminal:
        terminal.until("[y/N]")
        limits = far.quick.folder / LIMITS
        limits.write_text(limits.read_text() + "# somebody saves\n")
        before = everything(far)
        terminal.press(b"y\r")
        assert terminal.wait() == 1
        assert f"nothing was changed: {LIMITS}" in " ".join(terminal.text.split())
    assert everything(far) == before


@pytest.mark.timeout(180)  # six applies over SSH, each with a start, checks and proofs of its own
@pytest.mark.parametrize(("way", "word"), [("--finish", "completed"), ("--roll-back", "rolled back")])
def test_an_apply_whose_helper_is_killed_half_way(far: Far, way: str, word: str) -> None:
    before = everything(far)
    with far.dying(2, r"write .*apply\.file"):  # the second file is written, and not yet noted
        done = far.smart()
    assert done.code != 0
    assert sum(far.state()) == 2
    refused = far.smart()
    assert refused.code == 1
    assert "apply interrupted 2/3; complete it with --finish, or undo it with --roll-back" in refused.said
    assert sum(far.state()) == 2
    ended = far.apply(way)
    assert (ended.code, word in ended.text) == (0, True), ended.said
    assert far.state() == ((True,) * 3 if way == "--finish" else (False,) * 3)
    if way == "--roll-back":
        assert everything(far) == before
        assert far.smart().code == 0
    assert far.state() == (True,) * 3
    assert "nothing to write" in far.smart().text


def test_an_apply_goes_on_when_the_link_is_cut(far: Far) -> None:
    if far.peer.pid is None:
        pytest.skip("asyncssh's own server is one process for all connections: its sessions cannot be killed apart")
    with far.dying(1, r"write .*apply\.file", signal.SIGSTOP):
        argv, env = far.quick.argv("calibrate", "apply", "--run-dir", far.target), {**os.environ}
        words = [*argv, "--mode", "smart", "--yes", "--answers", str(far.answers)]
        with Terminal(words, far.quick.folder, {**env, **far.quick.env}, (50, 200)) as terminal:
            until(far.once.exists, "the first file to be written")
            assert sum(far.state()) == 1
            holder = read_holder(RunPlaces(far.run_dir).lock)
            assert holder is not None
            for pid in far.peer.sessions():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            busy = far.smart()
            assert busy.code == 1
            assert "apply running 1/3" in busy.said
            os.kill(holder.ref.pid, signal.SIGCONT)
            terminal.wait()
    until(lambda: far.state() == (True,) * 3, "the rest to be written by the helper that nobody listens to")
    until(lambda: "nothing to write" in far.smart().text, "the end of the apply")
