"""Hosts of every kind for the tests of transports: this process, a helper in a child process, and one over SSH."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hosts.host import HostActor, HostReader
from tests.peers import sshd

ROOT = Path(__file__).resolve().parents[2]

# What a host can do in these tests: all that looks, and one verb that acts in a way that can be counted.
VERBS = """
from __future__ import annotations
import os, time
from hosts.errors import InputError, RefusedError
from hosts.local.verbs import READ_VERBS, Verb, text_of, number_of

def bump(payload):
    with open(text_of(payload, "counter"), "a") as file:
        file.write("x")
    time.sleep(number_of(payload, "takes", 0))
    if "refuse" in payload:
        raise RefusedError("not today")
    return {"pid": os.getpid(), "at": time.time()}

def nap(payload):
    time.sleep(number_of(payload, "takes"))
    return payload

def fail(payload):
    raise KeyError("a\\nb")

def chatter(payload):
    print("GW1 this is no answer", flush=True)
    os.write(1, b"nor is this")
    return os.read(0, 10).decode()

VERBS = {**READ_VERBS, "bump": Verb(bump, acts=True), "nap": Verb(nap), "fail": Verb(fail), "chatter": Verb(chatter)}
"""


def make_image() -> bytes:
    """An archive such as travels, with the verbs of these tests."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for pattern in ("hosts/*.py", "hosts/local/*.py", "jobs/__init__.py", "jobs/runner/__init__.py"):
            for path in sorted(ROOT.glob(pattern)):
                archive.write(path, str(path.relative_to(ROOT)))
        archive.write(ROOT / "jobs/runner/agent.py", "jobs/runner/agent.py")
        archive.writestr("jobs/runner/verbs.py", VERBS)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def image() -> Any:
    from hosts.bootstrap import RunnerImage

    return RunnerImage.of(make_image())


@pytest.fixture(scope="session")
def ssh_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as peer:
        yield peer


@dataclass
class Transport:
    """One way to a host: makes readers and actors, closes them in the end, and can cut the way to them."""

    name: str
    make: Callable[..., Any]
    made: list[Any]
    cut: Callable[[], object]

    def reader(self, **options: Any) -> HostReader:
        host: HostReader = self.make(actor=False, **options)
        self.made.append(host)
        return host

    def actor(self, **options: Any) -> HostActor:
        host: HostActor = self.make(actor=True, **options)
        self.made.append(host)
        return host

    @property
    def remote(self) -> bool:
        return self.name != "local"


@pytest.fixture(params=["local", "pipe", sshd.NAME])
async def transport(
    request: pytest.FixtureRequest, image: Any, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Transport]:
    """The host under test, over each transport in turn."""
    made: list[Any] = []
    if request.param == "local":
        yield Transport("local", _local(), made, lambda: None)
    elif request.param == "pipe":
        yield Transport("pipe", _pipe(image), made, lambda: [host.abort() for host in made])
    else:
        peer = request.getfixturevalue("ssh_peer")
        make, ssh = _ssh(image, peer)
        yield Transport(request.param, make, made, ssh.abort)
    for host in made:
        await host.close()
    if request.param == sshd.NAME:
        await ssh.close()


def _local() -> Callable[..., Any]:
    from hosts.here import LocalActor, LocalReader

    space: dict[str, Any] = {}
    exec(VERBS, space)  # noqa: S102 - the same text that travels in the image
    return lambda actor, **options: (LocalActor if actor else LocalReader)("box", space["VERBS"], **options)


def _pipe(image: Any) -> Callable[..., Any]:
    from hosts.child import open_subprocess
    from hosts.pipe import PipeActor, PipeReader

    def make(actor: bool, **options: Any) -> Any:
        return (PipeActor if actor else PipeReader)("box", open_subprocess, image, python=sys.executable, **options)

    return make


def _ssh(image: Any, peer: sshd.SshPeer) -> tuple[Callable[..., Any], Any]:
    from hosts.connects import Connects
    from hosts.pipe import PipeActor, PipeReader
    from hosts.ssh import SshHost, SshSpec

    spec = SshSpec(
        "127.0.0.1", peer.port, None, str(peer.keys["plain"]), known_hosts=str(peer.known_hosts), config_file=None
    )
    # These tests cut the way over and over; how long a host that flaps is left alone is tested elsewhere
    ssh = SshHost(spec, connects=Connects(chance=sshd.Soonest()))

    def make(actor: bool, **options: Any) -> Any:
        return (PipeActor if actor else PipeReader)("box", ssh.open, image, python=sys.executable, **options)

    return make, ssh
