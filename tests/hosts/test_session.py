"""What every kind of session does with a helper that says something else than it should, in a real process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hosts.child import open_subprocess
from hosts.command import CommandLink, Output
from hosts.errors import UnreachableError
from hosts.host import Position
from hosts.link import Link
from hosts.local.frames import encode_frame
from hosts.local.streamwire import event
from hosts.pipe import PipeActor, PipeReader
from hosts.session import Session
from hosts.stream import StreamLink
from tests.peers.callers import is_gone, pid_of, until

NONCE = "0123456789abcdef"
PATIENCE = 3600.0
SAYS = "import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1])); sys.stdout.flush(); sys.stdin.read()"


async def refused(kind: Any, data: bytes) -> str:
    """Why a session does not start with a helper that says this."""
    pipe = await open_subprocess((sys.executable, "-c", SAYS, data.hex()))
    session: Session = kind("box", "python3", pipe, NONCE, 10.0)
    with pytest.raises(UnreachableError) as caught:
        await session.start([b"preamble"])
    await session.close()
    assert session.lost
    return str(caught.value)


@pytest.mark.parametrize(("kind", "value"), [(CommandLink, {"exit": 0}), (StreamLink, ["hello"])])
async def test_one_that_does_not_begin_with_a_hello_is_given_up(kind: Any, value: Any) -> None:
    said = await refused(kind, encode_frame(NONCE, value))
    assert said == "box: the helper did not start: the helper began with something other than a hello"


@pytest.mark.parametrize("value", [{"pong": 1}, ["hello"]])
async def test_an_answer_that_is_none_ends_a_session_for_requests(value: Any) -> None:
    assert "an answer " in await refused(Link, encode_frame(NONCE, value))


@pytest.mark.parametrize("kind", [CommandLink, Link, StreamLink])
async def test_one_that_gives_up_says_why_in_one_line(kind: Any) -> None:
    said = await refused(kind, encode_frame(NONCE, {"failed": "image", "message": "a\nb\x1b[2J" + "c" * 1000}))
    assert said.startswith("box: the helper did not start: a b?[2Jccc")
    assert len(said) < 300


@pytest.mark.parametrize("kind", [CommandLink, Link])
async def test_noise_without_an_end_is_given_up_and_its_process_ended(kind: Any) -> None:
    """One whose output is not read any more, too: asyncio's own wait for it would have no end."""
    pipe = await open_subprocess(("cat", "/dev/zero"))
    session: Session = kind("box", "python3", pipe, NONCE, 10.0)
    with pytest.raises(UnreachableError, match="bytes came before the first frame"):
        await session.start([])
    await session.close()


async def test_a_pipe_that_a_process_left_behind_holds_keeps_nobody_waiting() -> None:
    pipe = await open_subprocess(("sh", "-c", "sleep 1000 & echo $!; exit 7"))
    left = int(await pipe.read())
    try:
        status, _ = await pipe.ended()
        assert status == 7
        await pipe.close(PATIENCE)
        assert not is_gone(left)
    finally:
        os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize(
    "told",
    [{"exit": 256}, {"exit": -65}, {"exit": True}, {"exit": "0"}, {"exit": 0, "left": -1}, {"took": 1 << 40}],
)
async def test_numbers_that_cannot_be_are_not_believed(told: Any) -> None:
    said = encode_frame(NONCE, {"hello": {"python": "3.11", "pid": 1}}) + event(0, told)
    pipe = await open_subprocess((sys.executable, "-c", SAYS, said.hex()))
    session = CommandLink("box", "python3", pipe, NONCE, 10.0)
    await session.start([])

    async def take(_: Output) -> None:
        raise AssertionError("nothing was written")

    with pytest.raises(UnreachableError, match="box: a number arrived that cannot be"):
        await session.run(["true"], 30, take)
    await session.close()


@pytest.mark.parametrize(
    ("lost", "deadline", "said"),
    [(True, 30, "the helper ended"), (False, -3600, "the command was not ended by its deadline")],
)
async def test_only_a_command_whose_link_was_lost_under_it_is_said_to_run_on(
    lost: bool, deadline: float, said: str
) -> None:
    hello = encode_frame(NONCE, {"hello": {"python": "3.11", "pid": 1}})
    pipe = await open_subprocess((sys.executable, "-c", SAYS, hello.hex()))
    session = CommandLink("box", "python3", pipe, NONCE, 10.0)
    await session.start([])
    if lost:
        session.lose(said)

    async def take(_: Output) -> None:
        raise AssertionError("nothing was written")

    with pytest.raises(UnreachableError) as caught:
        await session.run(["true"], deadline, take)
    assert str(caught.value) == f"box: {said}"
    await session.close()


async def helpers(host: PipeReader, log: Path) -> list[int]:
    """The processes of a reader that follows a log; nothing of them is left in the end, whatever is done to them."""
    async with contextlib.aclosing(host.watch(str(log), Position())) as items:
        await anext(items)
        first = await pid_of(host)
        stream = host._streams.now
        assert stream is not None
        return [first, stream._pipe._process.pid]  # type: ignore[attr-defined]


async def test_a_reader_whose_helpers_hang_is_closed_soon(image: Any, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\n")
    host = PipeReader("box", open_subprocess, image, python=sys.executable)
    pids = await helpers(host, tmp_path / "log")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    await host.close()
    assert time.monotonic() - began < 1.5
    assert all(map(is_gone, pids))


@pytest.mark.parametrize("acts", [False, True])
async def test_one_that_may_act_is_given_its_time(image: Any, tmp_path: Path, acts: bool) -> None:
    """What it was told to do goes on there, also once nobody waits for the answer any more."""
    host = PipeActor("box", open_subprocess, image, python=sys.executable)
    pid = await pid_of(host)
    if acts:
        payload: Any = {"counter": str(tmp_path / "counter"), "takes": 1.0}
        asking = asyncio.create_task(host.call("bump", payload, "k" * 26, 20))
        assert await until((tmp_path / "counter").exists)
        asking.cancel()
    else:
        os.kill(pid, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(1.0, os.kill, pid, signal.SIGCONT)
    link = host._links.now
    assert link is not None
    await host.close()
    assert link._pipe._transport.get_returncode() == 0  # type: ignore[attr-defined]


def test_a_session_of_no_kind_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Session("box", "python3", None, NONCE, 10.0)  # type: ignore[abstract, arg-type]
