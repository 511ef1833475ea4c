"""Which way leads to a host, and that read-only mode has no way to act."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from typing import Literal

import pytest

from hosts.bare_pipe import EitherActor, EitherReader
from hosts.connection import Way
from hosts.connects import Connects
from hosts.errors import InputError, VerbError
from hosts.here import LocalActor, LocalReader
from hosts.pipe import PipeActor, PipeReader
from hosts.profiles import HostProfile, Ssh
from hosts.ssh import SshSpec
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
