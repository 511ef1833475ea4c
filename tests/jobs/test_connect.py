"""Which way leads to a host, and that read-only mode has no way to act."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest

from hosts.bare_pipe import EitherActor, EitherReader
from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import GatewatchError, InputError, VerbError
from hosts.here import LocalActor, LocalReader
from hosts.host import Position
from hosts.pipe import PipeActor, PipeReader
from hosts.profiles import HostProfile, Ssh
from hosts.ssh import SshSpec
from hosts.standing import KeyChangedError
from jobs.connect import is_local, open_actor, open_commander, open_reader, ssh_spec
from tests.peers import sshd

HERE = socket.gethostname()
FAR = Ssh(host="far.invalid")


@pytest.mark.parametrize(
    ("profile", "local"),
    [
        (None, True),
        (HostProfile(name="h"), True),
        (HostProfile(name="h", launcher="local"), True),
        (HostProfile(name="h", hostname="far.invalid"), True),
        (HostProfile(name="h", ssh=FAR), False),
        (HostProfile(name="h", ssh=FAR, hostname=HERE), True),  # it says how others get here
        (HostProfile(name="h", ssh=FAR, hostname=HERE, launcher="ssh"), False),
        (HostProfile(name="h", ssh=FAR, launcher="local"), True),
        (HostProfile(name="h", enter=("docker", "exec", "-i", "box")), True),
    ],
)
def test_what_starts_from_here(profile: HostProfile | None, local: bool) -> None:
    assert is_local(profile) is local


def test_slurm_is_not_there_yet() -> None:
    profile = HostProfile(name="slow", launcher="slurm")
    for ask in (is_local, open_reader, lambda known: open_actor(known, False)):
        with pytest.raises(InputError, match=r"^host slow: launcher: slurm is not supported yet; use local or ssh$"):
            ask(profile)


@pytest.mark.parametrize(
    ("profile", "reader", "actor"),
    [
        (None, LocalReader, LocalActor),
        (HostProfile(name="h"), LocalReader, LocalActor),
        (HostProfile(name="h", enter=("env",)), PipeReader, PipeActor),
        (HostProfile(name="h", ssh=FAR, enter=("env",)), PipeReader, PipeActor),
        (HostProfile(name="h", ssh=FAR), EitherReader, EitherActor),
    ],
)
async def test_the_way(profile: HostProfile | None, reader: type, actor: type) -> None:
    looks, acts = await asyncio.to_thread(open_reader, profile), await asyncio.to_thread(open_actor, profile, False)
    assert (type(looks), type(acts)) == (reader, actor)
    assert looks.name == acts.name == ("local" if profile is None else "h")
    await looks.close()
    await acts.close()


def test_read_only_mode_makes_no_actor() -> None:
    for profile in (None, HostProfile(name="h", enter=("env",)), HostProfile(name="h", ssh=FAR)):
        for ask in (open_actor, open_commander):
            with pytest.raises(InputError, match="read-only"):
                ask(profile, read_only=True)


@pytest.mark.parametrize("profile", [None, HostProfile(name="hop", enter=("env",), python=sys.executable)])
async def test_a_reader_cannot_act(profile: HostProfile | None) -> None:
    reader = await asyncio.to_thread(open_reader, profile)
    try:
        assert not hasattr(reader, "call")
        for verb in ("start", "stop"):
            with pytest.raises(VerbError, match=r"read-only|only looks|acts") as told:
                await reader.query(verb, {"run_dir": "/nowhere"}, 20.0)
            assert told.value.kind in ("refused", "unknown-verb")
    finally:
        await reader.close()


@pytest.mark.parametrize("profile", [None, HostProfile(name="hop", enter=("env",), python=sys.executable)])
async def test_every_host_knows_the_same_verbs(profile: HostProfile | None) -> None:
    actor = await asyncio.to_thread(open_actor, profile, False)
    try:
        assert await actor.query("locate", {"path": sys.executable}, 20.0) == [sys.executable]
        with pytest.raises(InputError, match="unknown system 'nonsense'"):
            await actor.query("check", {"system": "nonsense"}, 20.0)
        with pytest.raises(VerbError, match=r"no verb|unknown") as told:
            await actor.query("nonsense", {}, 20.0)
        assert told.value.kind == "unknown-verb"
    finally:
        await actor.close()


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
async def test_a_profile_reaches_its_host_and_says_how_that_stands(
    tmp_path_factory: pytest.TempPathFactory, transport: Literal["asyncssh", "openssh"]
) -> None:
    if transport == "openssh" and shutil.which("ssh") is None:
        pytest.skip("NOT TESTED: there is no ssh on this machine")
    with sshd.running(tmp_path_factory.mktemp("sshd")) as peer:
        ssh = Ssh(
            host="127.0.0.1",
            port=peer.port,
            identity_file=str(peer.keys["plain"]),
            known_hosts=str(peer.folder / "known"),
            host_keys="accept-new",
            transport=transport,
        )
        profile = HostProfile(name="box", ssh=ssh, python=sys.executable)
        connects = Connects()
        readers = [await asyncio.to_thread(open_reader, profile, connects) for _ in range(2)]
        ways = []
        for reader in readers:
            assert isinstance(reader, PipeReader)
            assert reader.connection is not None
            ways.append(reader.connection.way)
            assert await reader.query("locate", {"path": sys.executable}, 20.0) == [sys.executable]
            assert reader.connection is not None
            assert reader.connection.way.value == "up"
        assert ways == [Way.IDLE, Way.UP], "the second has a part in the connection of the first"
        first, second = readers
        await first.close()
        await first.close()
        assert await second.query("locate", {"path": sys.executable}, 20.0) == [sys.executable]
        assert isinstance(second, PipeReader)
        assert second.connection is not None
        assert second.connection.way.value == "up"
        await second.close()
        assert second.connection.way.value == "idle", "nobody has a part in it any more"
        added = (peer.folder / "known").read_text().splitlines()
        assert [line.split()[1:] for line in added] == [peer.known_hosts.read_text().split()[1:]]


@contextlib.asynccontextmanager
async def twins(ssh: Ssh, python: str = sys.executable) -> AsyncGenerator[tuple[PipeReader, PipeReader]]:
    """The hosts of two profiles that have one way, and so one connection."""
    connects = Connects()
    profiles = [HostProfile(name=name, launcher="ssh", ssh=ssh, python=python) for name in ("alpha", "beta")]
    first, second = [await asyncio.to_thread(open_reader, profile, connects) for profile in profiles]
    assert isinstance(first, PipeReader)
    assert isinstance(second, PipeReader)
    try:
        yield first, second
    finally:
        await first.close()
        await second.close()


async def told(readers: tuple[PipeReader, ...], ask: Callable[[PipeReader], Awaitable[object]]) -> list[GatewatchError]:
    """What each of them raises, one after the other."""
    found = []
    for reader in readers:
        with pytest.raises(GatewatchError) as failed:
            await ask(reader)
        found.append(failed.value)
    return found


def ping(reader: PipeReader) -> Awaitable[object]:
    return reader.query("ping", None, 20.0)


def retry(reader: PipeReader) -> Awaitable[object]:
    return reader.retry_now()


async def read_stream(reader: PipeReader) -> None:
    async for _ in reader.watch("/etc/hosts", Position()):
        return


@pytest.mark.parametrize("transport", ["asyncssh", "openssh"])
async def test_of_two_hosts_that_share_a_connection_each_is_told_of_by_its_own_name(
    tmp_path: Path, transport: Literal["asyncssh", "openssh"]
) -> None:
    if transport == "openssh" and shutil.which("ssh") is None:
        pytest.skip("NOT TESTED: there is no ssh on this machine")
    (tmp_path / "known").write_text("")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        port = closed.getsockname()[1]
        ssh = Ssh(host="127.0.0.1", port=port, known_hosts=str(tmp_path / "known"), transport=transport)
        async with twins(ssh) as both:
            for ask in (ping, ping, read_stream, *([retry] if transport == "asyncssh" else [])):
                alpha, beta = map(str, await told(both, ask))
                assert alpha.startswith("alpha: ")
                assert beta.startswith("beta: ")
                assert "refused" in beta.lower()
                assert beta.count("alpha:") + beta.count("beta:") == 1


async def test_what_is_wrong_with_a_shared_connection_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd") as peer:
        (tmp_path / "known").write_text(f"[127.0.0.1]:{peer.port} {sshd.public(sshd.make_key(tmp_path / 'other'))}\n")
        way = Ssh(host="127.0.0.1", port=peer.port, identity_file=str(peer.keys["plain"]))
        async with twins(way.model_copy(update={"known_hosts": str(tmp_path / "known")})) as both:
            alpha, beta = await told(both, retry)
            assert isinstance(alpha, KeyChangedError)
            assert isinstance(beta, KeyChangedError)
            assert beta.marks == alpha.marks
            assert beta.marks
            assert str(beta) == str(alpha).replace("alpha: ", "beta: ", 1)
        async with twins(way.model_copy(update={"known_hosts": str(tmp_path / "none")})) as both:
            assert [type(error) for error in await told(both, ping)] == [InputError, InputError]


@pytest.mark.skipif(sshd.SSHD is None, reason="NOT TESTED: there is no sshd on this machine")
async def test_files_of_two_hosts_that_share_a_connection_are_told_of_by_the_own_name(tmp_path: Path) -> None:
    with sshd.running(tmp_path) as peer:  # it has no SFTP
        known, key = str(peer.known_hosts), str(peer.keys["plain"])
        ssh = Ssh(host="127.0.0.1", port=peer.port, known_hosts=known, identity_file=key)
        async with twins(ssh, python="python-none") as both:
            errors = [str(error) for error in await told(both, ping)]
    assert [re.findall(r"\w+(?=: no session could be opened)", said) for said in errors] == [["alpha"], ["beta"]]


def test_what_a_profile_says_of_the_way() -> None:
    ssh = Ssh(host="far", port=2, user="op", identity_file="~/k", known_hosts="~/h", proxy_jump="a,b")
    assert ssh_spec(HostProfile(name="h", ssh=ssh)) == SshSpec("far", 2, "op", "~/k", "~/h", "a,b")
    assert ssh_spec(HostProfile(name="h", hostname="far", launcher="ssh")) == SshSpec("far")
    with pytest.raises(InputError, match="nothing says how to get there"):
        ssh_spec(HostProfile(name="h"))


async def test_a_host_on_this_machine_has_no_connection_of_its_own() -> None:
    reader = await asyncio.to_thread(open_reader, HostProfile(name="h", enter=("env",)))
    assert isinstance(reader, PipeReader)
    assert reader.connection is None
    await reader.close()
