"""Which way leads to a host, and that read-only mode has no way to act."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from hosts.errors import InputError, VerbError
from hosts.here import LocalActor, LocalReader
from hosts.pipe import PipeActor, PipeReader
from hosts.profiles import HostProfile, Ssh
from jobs.connect import is_local, open_actor, open_reader

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
        (HostProfile(name="h", ssh=FAR), PipeReader, PipeActor),
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
        with pytest.raises(InputError, match="read-only"):
            open_actor(profile, read_only=True)


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
