from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from hosts.errors import InputError
from hosts.host import Json
from hosts.local.files import ReadError, WriteError
from hosts.local.leases import (
    LEASE_DIR_VARIABLE,
    Lease,
    holder_of,
    is_held,
    lease_directory,
    lease_gpus,
    lease_name,
    try_lease,
)
from tests.peers.folders import open_up

pytestmark = pytest.mark.travels

SLOW = [HealthCheck.too_slow]  # a loaded machine is not a wrong answer

NOBODY = 65534
PATIENCE_S = 20.0
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")

# A child that starts one of its own and says its pid: both hold what they inherited.
FAMILY = "sleep 600 & echo $!; exec sleep 600"


def held(path: Path) -> Lease:
    lease = try_lease(path, {"run": "/runs/a", "pid": 7, "user": "ann"})
    assert lease is not None
    return lease


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.005)


@contextmanager
def children() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*fds: int, code: str = "exec sleep 600") -> subprocess.Popen[str]:
        process = subprocess.Popen(["sh", "-c", code], pass_fds=fds, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.communicate()


def as_nobody(body: Callable[[], object]) -> str:
    """Run `body` as another user in a child; what it returned, or the error in words."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            try:
                said = str(body())
            except BaseException as error:  # noqa: BLE001 - the parent hears of it
                said = f"{type(error).__name__}: {error}"
            os.write(writer, said.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that every user reaches."""
    open_up(tmp_path)
    return lease_directory({LEASE_DIR_VARIABLE: str(tmp_path / "leases")})


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert is_held(path) is False
    lease = held(path)
    assert is_held(path) is True
    assert try_lease(path, {}) is None
    assert holder_of(path) == "/runs/a (pid 7, user ann)"
    lease.close()
    lease.close()
    assert is_held(path) is False
    held(path).close()


def test_those_who_only_look_do_not_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    held(path).close()
    looking = os.open(path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert is_held(path) is False
    os.close(looking)


def test_a_child_keeps_it_and_death_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    lease = held(path)
    with children() as start:
        child = start(lease.fd)
        stranger = start()
        lease.close()
        assert is_held(path) is True
        stranger.kill()
        stranger.wait()
        assert is_held(path) is True
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert is_held(path) is False


def test_a_grandchild_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    lease = held(path)
    with children() as start:
        child = start(lease.fd, code=FAMILY)
        lease.close()
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        child.kill()
        child.wait()
        assert is_held(path) is True
        assert try_lease(path, {}) is None
        os.kill(grandchild, signal.SIGKILL)
        until(lambda: not is_held(path), "the lease falls with the last of them")


def test_it_is_not_inherited_by_accident(tmp_path: Path) -> None:
    lease = held(tmp_path / "a.lock")
    process = subprocess.Popen(["sleep", "600"], close_fds=False)
    lease.close()
    try:
        until(lambda: not is_held(tmp_path / "a.lock"), "the new program does not have it")
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("target", ["elsewhere", "nowhere", "."])
def test_a_symbolic_link_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "elsewhere").write_bytes(b"precious")
    path = tmp_path / "a.lock"
    path.symlink_to(tmp_path / target)
    with pytest.raises(WriteError, match="it is a symbolic link, which is not followed"):
        try_lease(path, {"run": "x"})
    with pytest.raises(ReadError, match="cannot read"):
        is_held(path)
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()


def test_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    """Anybody may put something into a shared folder."""
    path = tmp_path / "a.lock"
    os.mkfifo(path)
    assert is_held(path) is False
    assert holder_of(path) == "an unknown holder"
    lease = try_lease(path, {"run": "x"})
    assert lease is not None
    assert is_held(path) is True
    lease.close()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"x" * 5000])
def test_what_a_lease_says_may_be_anything(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.lock"
    path.write_bytes(content)
    assert holder_of(path) == "an unknown holder"
    lease = held(path)
    assert holder_of(path) == "/runs/a (pid 7, user ann)"
    lease.close()
    assert holder_of(tmp_path / "none") == "an unknown holder"


def test_the_lock_counts_where_the_name_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.lock"
    held(path).close()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    lease = try_lease(path, {"run": "/runs/b"})
    assert lease is not None
    assert is_held(path) is True
    assert holder_of(path) == "an unknown holder", "and not who held it before"
    lease.close()


def test_all_gpus_or_none(tmp_path: Path) -> None:
    other = held(tmp_path / lease_name("GPU-b"))
    said = lease_gpus(tmp_path, ["GPU-c", "GPU-a", "GPU-b"], {"run": "/runs/mine"})
    assert said == "GPU GPU-b is leased by /runs/a (pid 7, user ann)"
    assert not is_held(tmp_path / lease_name("GPU-a"))
    other.close()
    got = lease_gpus(tmp_path, ["GPU-c", "GPU-a", "GPU-b"], {"run": "/runs/mine"})
    assert isinstance(got, list)
    assert [lease.path.name for lease in got] == ["gpu-GPU-a.lock", "gpu-GPU-b.lock", "gpu-GPU-c.lock"]
    for lease in got:
        lease.close()


def test_a_lease_that_fails_gives_the_others_back(tmp_path: Path) -> None:
    (tmp_path / lease_name("b")).symlink_to("elsewhere")
    with pytest.raises(WriteError):
        lease_gpus(tmp_path, ["a", "b"], {})
    assert not is_held(tmp_path / lease_name("a"))


def test_the_folder_is_made_for_everybody(tmp_path: Path) -> None:
    folder = lease_directory({LEASE_DIR_VARIABLE: str(tmp_path / "a" / "leases")})
    assert folder == tmp_path / "a" / "leases"
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert lease_directory({LEASE_DIR_VARIABLE: str(folder)}) == folder
    folder.chmod(0o700)
    assert lease_directory({LEASE_DIR_VARIABLE: str(folder)}) == folder, "one's own alone is safe too"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.symlink_to("/tmp"), "is not a folder"),
        (lambda path: path.symlink_to("nowhere"), "is not a folder"),
        (lambda path: path.write_bytes(b""), "is not a folder"),
        (lambda path: (path.mkdir(), path.chmod(0o777)), "writable by all without the sticky bit"),
    ],
)
def test_a_folder_that_is_not_safe_to_share_is_refused(
    tmp_path: Path, make: Callable[[Path], object], why: str
) -> None:
    make(tmp_path / "leases")
    with pytest.raises(InputError, match=why) as caught:
        lease_directory({LEASE_DIR_VARIABLE: str(tmp_path / "leases")})
    assert LEASE_DIR_VARIABLE in str(caught.value), "it says what to set"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=f"set {LEASE_DIR_VARIABLE}"):
        lease_directory({LEASE_DIR_VARIABLE: str(tmp_path / "file" / "leases")})


@ROOT_ONLY
def test_two_users_share_the_leases(shared: Path) -> None:
    path = shared / lease_name("0")
    before = os.umask(0o077)  # as strict as an account may be
    try:
        ours = lease_gpus(shared, ["0"], {"run": "/runs/root", "pid": 1, "user": "root"})
        assert isinstance(ours, list)
        theirs = as_nobody(lambda: lease_gpus(shared, ["0"], {}))
        assert theirs == "GPU 0 is leased by /runs/root (pid 1, user root)"
        assert as_nobody(lambda: is_held(path)) == "True"
        ours[0].close()
        body: dict[str, Json] = {"run": "/runs/nobody", "pid": 2, "user": "nobody"}
        assert "Lease(fd=" in as_nobody(lambda: lease_gpus(shared, ["0"], body))
        assert holder_of(path) == "/runs/nobody (pid 2, user nobody)"
        assert "Lease(fd=" in as_nobody(lambda: lease_gpus(shared, ["1"], body)), "and they may be the first"
        got = lease_gpus(shared, ["1"], {"run": "/runs/root", "pid": 1, "user": "root"})
        assert isinstance(got, list)
        assert holder_of(shared / lease_name("1")) == "/runs/root (pid 1, user root)"
        got[0].close()
    finally:
        os.umask(before)


@ROOT_ONLY
def test_a_kernel_that_protects_what_others_made_in_a_shared_folder(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fs.protected_regular=2, as distributions set it: opening with O_CREAT what another user made is refused."""
    path = shared / lease_name("0")
    assert "Lease(fd=" in as_nobody(lambda: lease_gpus(shared, ["0"], {}))
    assert path.stat().st_uid == NOBODY
    opened = os.open

    def guarded(name: object, flags: int, *rest: object, **more: object) -> int:
        if flags & os.O_CREAT and not flags & os.O_EXCL and Path(str(name)) == path:
            raise PermissionError(13, "Permission denied")
        return opened(name, flags, *rest, **more)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(os, "open", guarded)
    got = lease_gpus(shared, ["0"], {})
    assert isinstance(got, list)
    got[0].close()


@ROOT_ONLY
def test_a_lease_that_another_user_keeps_to_himself_is_one_clear_line(shared: Path) -> None:
    path = shared / lease_name("0")
    path.write_bytes(b"")
    path.chmod(0o600)
    assert as_nobody(lambda: try_lease(path, {})) == f"WriteError: cannot write {path}: permission denied"
    assert as_nobody(lambda: is_held(path)) == f"ReadError: cannot read {path}: permission denied"


@dataclass(eq=False)
class Holding:
    """One lease with everybody who has its descriptor: we, a child, a child of that child."""

    name: str
    lease: Lease | None
    child: subprocess.Popen[str] | None = None
    grandchild: int | None = None

    @property
    def alive(self) -> bool:
        return self.lease is not None or self.child is not None or self.grandchild is not None


class LeaseMachine(RuleBasedStateMachine):
    """Leases with real processes that inherit them, against a model of who has which descriptor."""

    holdings = Bundle("holdings")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.root = Path(self.folder.name)
        self.held: dict[str, Holding] = {}
        self.started: list[subprocess.Popen[str]] = []
        self.orphans: list[int] = []

    def teardown(self) -> None:
        for holding in self.held.values():
            if holding.lease is not None:
                holding.lease.close()
        for pid in self.orphans:
            os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.kill()
            process.communicate()
        self.folder.cleanup()

    def free(self, name: str) -> bool:
        return name not in self.held or not self.held[name].alive

    @rule(target=holdings, names=st.lists(st.sampled_from("0123"), min_size=1, max_size=3, unique=True))
    def lease(self, names: list[str]) -> object:
        got = lease_gpus(self.root, names, {"run": "+".join(names), "pid": 1, "user": "ann"})
        taken = sorted(name for name in names if not self.free(name))
        if taken:
            assert isinstance(got, str)
            assert got.startswith(f"GPU {taken[0]} is leased by ")
            return multiple()
        assert isinstance(got, list)
        for name, lease in zip(sorted(names), got, strict=True):
            self.held[name] = Holding(name, lease)
        return multiple(*(self.held[name] for name in names))

    @rule(holding=holdings, family=st.booleans())
    def pass_on(self, holding: Holding, family: bool) -> None:
        if holding.lease is None or holding.child is not None:
            return
        code = FAMILY if family else "exec sleep 600"
        holding.child = subprocess.Popen(
            ["sh", "-c", code], pass_fds=[holding.lease.fd], stdout=subprocess.PIPE, text=True
        )
        self.started.append(holding.child)
        if family:
            assert holding.child.stdout is not None
            holding.grandchild = int(holding.child.stdout.readline())
            self.orphans.append(holding.grandchild)

    @rule(holding=holdings)
    def drop_our_own(self, holding: Holding) -> None:
        if holding.lease is not None:
            holding.lease.close()
            holding.lease = None

    @rule(holding=holdings)
    def the_child_dies(self, holding: Holding) -> None:
        if holding.child is not None:
            holding.child.kill()
            holding.child.wait()
            holding.child = None

    @rule(holding=consumes(holdings))
    def the_grandchild_dies(self, holding: Holding) -> None:
        pid = holding.grandchild
        if pid is None:
            return
        self.orphans.remove(pid)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not self._runs(pid), "a killed process ends")
        holding.grandchild = None

    @staticmethod
    def _runs(pid: int) -> bool:
        """Until it has closed its files; a zombie has."""
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False

    @invariant()
    def the_kernel_agrees(self) -> None:
        for name in "0123":
            assert is_held(self.root / lease_name(name)) is not self.free(name)


LeaseMachine.TestCase.settings = settings(
    deadline=None, suppress_health_check=SLOW, max_examples=25, stateful_step_count=25
)
TestLeaseMachine = LeaseMachine.TestCase
