"""What a server may send in place of SFTP, over the pipe of a real process."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from hosts import bare_sftp
from hosts.bare import BareReader
from hosts.bare_sftp import Sftp
from hosts.child import open_subprocess
from hosts.errors import GatewatchError, InputError, UnreachableError
from hosts.host import Wants
from hosts.local.observe import NotThereError
from tests.peers import smi_replay

# Answers each request with the next of its arguments (hex), the request's number put in the place of NNNNNNNN
SERVER = """
import os, sys
def take(size):
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            sys.exit()
        data += more
    return data
for answer in sys.argv[1:]:
    packet = take(int.from_bytes(take(4), "big"))
    body = bytes.fromhex(answer.replace("NNNNNNNN", packet[1:5].hex()))
    while body:
        body = body[os.write(1, body):]
take(1)
"""
VERSION = "0000000502" + "00000003"


def packet(kind: int, body: bytes) -> str:
    """An answer to the request whose number the server puts in."""
    return struct.pack(">IB", 5 + len(body), kind).hex() + "NNNNNNNN" + body.hex()


def text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def status(code: int, words: bytes = b"") -> str:
    return packet(101, struct.pack(">I", code) + text(words) + text(b""))


async def session(*answers: str) -> Sftp:
    sftp = Sftp("box", await open_subprocess((sys.executable, "-I", "-c", SERVER, *answers)))
    try:
        await sftp.start()
    except UnreachableError:
        await sftp.close()
        raise
    return sftp


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("", "its SFTP ended"),
        (b"Welcome to the machine\n".hex(), "it speaks no SFTP"),
        ("ffffffff02", "it speaks no SFTP"),
        ("0000000002", "it speaks no SFTP"),
    ],
)
async def test_what_is_no_sftp(answer: str, says: str) -> None:
    if not answer:
        sftp = Sftp("box", await open_subprocess((sys.executable, "-c", "")))
        with pytest.raises(UnreachableError):
            await sftp.start()
        return await sftp.close()
    with pytest.raises(UnreachableError, match=f"box: {says}"):
        await session(answer)
    return None


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (status(2), NotThereError, "cannot read /x: not there"),
        (status(3), InputError, "cannot read /x: permission denied"),
        (status(4, b"a\x1b\nb"), InputError, "cannot read /x: a? b"),
        (status(1), InputError, "cannot read /x: SFTP says 1"),
        (status(0), InputError, "cannot read /x: SFTP says 0"),
        (packet(102, text(b"h")), UnreachableError, "box: its SFTP gave another answer"),
        (packet(105, b"\0\0"), UnreachableError, "cut short"),
        (packet(105, struct.pack(">I", 1) + b"\0" * 4), UnreachableError, "cut short"),
    ],
)
async def test_answers_that_are_none(answer: str, kind: type[GatewatchError], says: str) -> None:
    sftp = await session(VERSION, answer)
    with pytest.raises(kind) as caught:
        await sftp.stat("/x")
    assert says in str(caught.value)
    await sftp.close()
    with pytest.raises(UnreachableError):
        await sftp.stat("/x")


async def test_more_than_was_asked_for_is_refused() -> None:
    sftp = await session(VERSION, packet(103, text(b"x" * 11)))
    with pytest.raises(UnreachableError, match="what was not asked for"):
        await sftp.read(b"h", "/x", 0, 10)
    await sftp.close()


async def test_a_range_that_comes_in_bits_is_whole() -> None:
    bits = [packet(103, text(bit)) for bit in (b"01", b"234", b"56789")]
    sftp = await session(VERSION, *bits)
    assert await sftp.read(b"h", "/x", 0, 10) == b"0123456789"
    await sftp.close()


async def test_names_that_lead_elsewhere_are_left_out() -> None:
    names = (b".", b"..", b"../up", b"/etc/passwd", b"a/b", b"", b"nul\0", b"-rf", b"good")
    listed = struct.pack(">I", len(names)) + b"".join(text(name) + text(b"") + struct.pack(">I", 0) for name in names)
    sftp = await session(VERSION, packet(102, text(b"h")), packet(104, listed), status(1), status(0))
    assert await sftp.names("/x") == ["-rf", "good"]
    await sftp.close()


@pytest.mark.parametrize("most", [5, 6, 7])
async def test_of_far_too_many_names_the_first_are_kept(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(bare_sftp, "MAX_NAMES", most)
    names = (b"a" * 1025, b"0", b"1", b"2")
    listed = struct.pack(">I", len(names)) + b"".join(text(name) + text(b"") + bytes(4) for name in names)
    sftp = await session(VERSION, packet(102, text(b"h")), *[packet(104, listed)] * 2, status(1), status(0))
    entries, whole = await sftp.entries("/x")
    assert [name for name, _ in entries] == ["0", "1", "2", "0", "1", "2"][:most]
    assert whole == (most >= 6)
    await sftp.close()


async def test_where_names_are_left_out_they_are_not_all_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare_sftp, "MAX_NAMES", 1)
    listed = struct.pack(">I", 2) + b"".join(text(name) + text(b"") + bytes(4) for name in (b"a", b"b"))
    sftp = await session(VERSION, packet(102, text(b"h")), packet(104, listed), status(0))
    with pytest.raises(InputError, match="cannot list /x: it holds more than 1 names"):
        await sftp.names("/x")
    await sftp.close()


@pytest.mark.parametrize("path", ["", "a\0b", "~nobody/x"])
async def test_paths_that_are_none(path: str) -> None:
    sftp = await session(VERSION)
    with pytest.raises(InputError):
        await sftp.stat(path)
    await sftp.close()


def leads_to(target: bytes) -> str:
    return packet(104, struct.pack(">I", 1) + text(target) + text(target) + bytes(4))


NOBODY = """$ nvidia-smi --query-gpu --format=csv
index, uuid, name, memory.used [MiB], memory.total [MiB]
0, GPU-a, NVIDIA H200, 70000 MiB, 143771 MiB
$ nvidia-smi --query-compute-apps --format=csv
gpu_uuid, pid, process_name, used_gpu_memory [MiB]
$ nvidia-smi -q
==============NVSMI LOG==============
GPU 00000000:01:00.0
    GPU UUID                              : GPU-a
    Processes                             : None
"""
SOMEBODY = NOBODY.replace("[MiB]\n$ nvidia-smi -q", "[MiB]\nGPU-a, 4711, python, 68000 MiB\n$ nvidia-smi -q")


@pytest.mark.parametrize(
    ("answer", "recording", "pids", "ghost"),
    [
        (leads_to(b"pid:[4026531836]"), NOBODY, [], 70000),
        (leads_to(b"pid:[4026532841]"), NOBODY, None, None),
        (status(3), NOBODY, None, None),
        (status(8), NOBODY, None, None),
        (leads_to(b"pid:[4026532841]"), SOMEBODY, [4711], None),
    ],
)
async def test_in_a_container_memory_is_not_said_to_be_nobody_s(
    tmp_path: Path, answer: str, recording: str, pids: list[int] | None, ghost: int | None
) -> None:
    """In a pid namespace of its own nvidia-smi lists nobody, whoever computes there."""
    (tmp_path / "recording").write_text(recording)
    smi = (sys.executable, "-I", smi_replay.__file__, str(tmp_path / "recording"))
    server = (sys.executable, "-I", "-c", SERVER, VERSION, answer, status(2), status(2))
    host = BareReader("box", lambda _: open_subprocess(server), lambda argv: open_subprocess((*smi, *argv[1:])))
    seen = (await host.observe(Wants(accelerators=True), None, 30)).accelerators
    await host.close()
    assert seen is not None
    [card] = seen.devices
    assert card.memory_used == 70000
    assert card.processes is None if pids is None else [one.pid for one in card.processes or ()] == pids
    assert card.ghost == ghost
