from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import InputError, UnreachableError, VerbError
from hosts.host import Data, Json, Position, ProcsWant, TailWant, TreeWant, Wants
from hosts.local.observe import NotThereError
from hosts.local.procs import self_ref
from hosts.pipe import PipeReader
from tests.peers import sshd
from tests.peers.callers import home, is_gone, pid_of, size, until, until_told

ME = self_ref()
REMOTE = pytest.mark.parametrize("transport", ["pipe", sshd.NAME], indirect=True)  # where a helper is at work
HOSTILE = [
    "plain",
    "-rf",
    "--help",
    "'\";$(touch PWNED)`touch PWNED`",
    "a\nb",
    "a b\tc",
    "$HOME~",
    "[x]*?{a,b}",
    "\udcff\udc80 no utf-8",
    "\x1b[2J\u202e",
    "ünï \U0001f600",
    "!!",
    "\\",
]


def new_key() -> str:
    return secrets.token_hex(16)


async def test_the_clock_is_told_of_the_instant_in_which_the_answer_came(
    transport: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an answer takes to be understood here is no part of the way there."""
    decode = PipeReader._decode

    def slow(*arguments: Any) -> Any:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            pass  # what decoding a large answer does
        return decode(*arguments)

    host = transport.reader()
    await host.observe(Wants(load=True), None, 20)
    monkeypatch.setattr(PipeReader, "_decode", slow)
    seen = await host.observe(Wants(load=True), None, 20)
    assert 0 <= seen.received - seen.at <= seen.rtt < 0.3


async def test_observe_brings_everything_then_differences(transport: Any, tmp_path: Path) -> None:
    (tmp_path / "unit").mkdir()
    (tmp_path / "plan.json").write_bytes(b"{}")
    (tmp_path / "unit/run1.json").write_bytes(b"one")
    (tmp_path / "unit/run2.json").write_bytes(b"two")
    (tmp_path / "run.log").write_bytes(b"0123456789")
    want = Wants(
        trees=(TreeWant(str(tmp_path), ("plan.json", "*/run*.json")),),
        tails=(TailWant(str(tmp_path / "run.log"), 4), TailWant(str(tmp_path / "none"))),
        procs=ProcsWant(refs=(ME,)),
        load=True,
    )
    host = transport.reader()
    before = time.time()
    seen = await host.observe(want, None, 20)
    assert seen.host == "box"
    assert before <= seen.at <= seen.received <= time.time()
    assert (time.time() - before) / 4 < seen.rtt < 20
    assert dict(seen.errors) == {}
    (tree,) = seen.trees
    assert tree.full
    assert tree.error is None
    assert tree.want == want.trees[0]
    assert {path: file.data for path, file in tree.files.items()} == {
        "plan.json": b"{}",
        "unit/run1.json": b"one",
        "unit/run2.json": b"two",
    }
    assert (seen.tails[0].data, seen.tails[0].offset, seen.tails[0].size) == (b"6789", 6, 10)
    assert "not there" in (seen.tails[1].error or "")
    assert seen.procs is not None
    assert [proc.ref for proc in seen.procs.live] == [ME]
    assert seen.load is not None
    assert seen.load.cores

    again = await host.observe(want, seen.cursor, 20)
    assert (dict(again.trees[0].files), again.trees[0].gone, again.trees[0].full) == ({}, (), False)

    (tmp_path / "unit/run1.json").write_bytes(b"ONE")
    (tmp_path / "unit/run2.json").unlink()
    (tmp_path / "unit/run3.json").write_bytes(b"three")
    last = await host.observe(want, again.cursor, 20)
    assert {path: file.data for path, file in last.trees[0].files.items()} == {
        "unit/run1.json": b"ONE",
        "unit/run3.json": b"three",
    }
    assert last.trees[0].gone == ("unit/run2.json",)


async def test_a_cursor_of_another_session_gives_everything(transport: Any, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"a")
    want = Wants(trees=(TreeWant(str(tmp_path), ("*.json",)),))
    first = await transport.reader().observe(want, None, 20)
    second = await transport.reader().observe(want, first.cursor, 20)
    assert second.trees[0].full
    assert list(second.trees[0].files) == ["a.json"]


async def test_read_gives_a_range_and_says_what_file_it_is(transport: Any, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"0123456789")
    host = transport.reader()
    chunk = await host.read(str(path), 3, 4)
    assert (chunk.data, chunk.offset, chunk.size, chunk.inode) == (b"3456", 3, 10, path.stat().st_ino)
    assert (await host.read(str(path), 30, 4)).data == b""
    with pytest.raises(NotThereError, match="not there"):
        await host.read(str(tmp_path / "none"), 0, 1)
    with pytest.raises(InputError, match="not a regular file"):
        await host.read(str(tmp_path), 0, 1)
    with pytest.raises(InputError, match="bad offset"):
        await host.read(str(path), -1, 1)


async def test_a_pipe_in_place_of_a_file_does_not_hang(transport: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    host = transport.reader()
    with pytest.raises(InputError, match="not a regular file"):
        await host.read(str(tmp_path / "fifo"), 0, 1)
    seen = await host.observe(Wants(trees=(TreeWant(str(tmp_path), ("*",)),)), None, 20)
    assert seen.trees[0].files["fifo"].error == "not a regular file"


async def test_follow_hands_out_what_is_appended(transport: Any, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    got = b""
    async for item in transport.reader(interval=0.01).follow(str(path), Position()):
        assert isinstance(item, Data)
        got += item.data
        if got == b"one\n":
            with path.open("ab") as file:
                file.write(b"two\n")
        if got == b"one\ntwo\n":
            break


async def test_paths_are_never_interpreted(transport: Any, tmp_path: Path) -> None:
    host = transport.reader()
    for name in HOSTILE:
        path = tmp_path / name
        path.write_bytes(b"x")
        assert await host.query("locate", {"path": str(path)}, 20) == [str(path)]
        assert (await host.read(str(path), 0, 10)).data == b"x"
    seen = await host.observe(Wants(trees=(TreeWant(str(tmp_path), ("*",)),)), None, 20)
    assert set(seen.trees[0].files) == set(HOSTILE)
    assert size(Path("PWNED")) == 0


async def test_locate_expands_globs_and_home(transport: Any, tmp_path: Path) -> None:
    for name in ("r1", "r2", "s[1]"):
        (tmp_path / name).mkdir()
    host = transport.reader()
    assert await host.query("locate", {"path": f"{tmp_path}/r*"}, 20) == [f"{tmp_path}/r1", f"{tmp_path}/r2"]
    assert await host.query("locate", {"path": f"{tmp_path}/s[1]"}, 20) == [f"{tmp_path}/s[1]"]
    assert await host.query("locate", {"path": f"{tmp_path}/none*"}, 20) == []
    assert await host.query("locate", {"path": "~"}, 20) == [home()]
    with pytest.raises(InputError, match="'path'"):
        await host.query("locate", {}, 20)


async def test_failures_are_one_line_with_a_kind(transport: Any) -> None:
    host = transport.reader()
    with pytest.raises(VerbError, match="no verb 'none'") as caught:
        await host.query("none", None, 20)
    assert caught.value.kind == "unknown-verb"
    with pytest.raises(VerbError) as caught:
        await host.query("fail", None, 20)
    assert caught.value.kind == "internal"
    assert str(caught.value) == "KeyError: 'a\\nb'"


async def test_a_reader_cannot_act(transport: Any, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    host = transport.reader()
    assert not hasattr(host, "call")
    with pytest.raises(VerbError, match="read-only session") as caught:
        await host.query("bump", {"counter": str(counter)}, 20)
    assert caught.value.kind == "refused"
    assert size(counter) == 0


async def test_a_call_runs_once_per_key(transport: Any, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    payload: Json = {"counter": str(counter), "run_dir": str(tmp_path)}
    host = transport.actor()
    key = new_key()
    first = await host.call("bump", payload, key, 20)
    assert await host.call("bump", payload, key, 20) == first
    assert size(counter) == 1
    assert (tmp_path / ".gatewatch/calls" / f"{key}.result").exists()
    assert await host.call("bump", payload, new_key(), 20) != first
    assert size(counter) == 2
    # another session, and so another process, gives the same answer
    assert await transport.actor().call("bump", payload, key, 20) == first
    assert size(counter) == 2
    for bad in ("", "short", "../../../etc/passwd", "x" * 200):
        with pytest.raises(VerbError, match="key") as caught:
            await host.call("bump", payload, bad, 20)
        assert caught.value.kind == "input"
    assert size(counter) == 2


async def test_a_refusal_is_recorded_like_any_answer(transport: Any, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    payload: Json = {"counter": str(counter), "refuse": True}
    host = transport.actor()
    key = new_key()
    for _ in range(2):
        with pytest.raises(VerbError, match="not today") as caught:
            await host.call("bump", payload, key, 20)
        assert caught.value.kind == "refused"
    assert size(counter) == 1


async def test_a_call_whose_connection_is_cut_still_runs_once(transport: Any, tmp_path: Path) -> None:
    chance = random.Random(7)
    host = transport.actor()
    await pid_of(host)
    for round_ in range(8):
        counter = tmp_path / f"counter{round_}"
        payload: Json = {"counter": str(counter), "takes": 0.05}
        key = new_key()
        call = asyncio.create_task(host.call("bump", payload, key, 10))
        await asyncio.sleep(chance.uniform(0, 0.08))
        transport.cut()
        await asyncio.gather(call, return_exceptions=True)
        await until_told(host, "bump", payload, key)
        assert size(counter) == 1


async def test_many_requests_at_a_time(transport: Any, tmp_path: Path) -> None:
    host = transport.reader()
    (tmp_path / "f").write_bytes(bytes(200_000))
    asked = [host.query("nap", {"takes": 0.01, "n": n}, 20) for n in range(15)]
    read = [host.read(str(tmp_path / "f"), n, 100_000) for n in range(15)]
    answers = await asyncio.gather(*asked)
    assert [answer["n"] for answer in answers] == list(range(15))
    assert all(len(chunk.data) == 100_000 for chunk in await asyncio.gather(*read[:8]))
    assert all(len(chunk.data) == 100_000 for chunk in await asyncio.gather(*read[8:]))


async def test_a_deadline_is_kept_and_the_next_call_answered(transport: Any) -> None:
    host = transport.reader()
    await host.query("ping", None, 20)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"box: no answer to nap within 0\.1 s"):
        await host.query("nap", {"takes": 1.0}, 0.1)
    assert time.monotonic() - began < 0.9
    assert (await host.query("nap", {"takes": 0}, 20)) == {"takes": 0}


@REMOTE
async def test_a_helper_ends_with_its_session(transport: Any) -> None:
    host = transport.reader()
    pid = await pid_of(host)
    await host.close()
    assert await until(lambda: is_gone(pid))
    with pytest.raises(UnreachableError, match="closed"):
        await host.query("ping", None, 20)


@REMOTE
async def test_a_helper_ends_when_the_way_is_cut_and_the_next_call_starts_another(transport: Any) -> None:
    host = transport.reader()
    pid = await pid_of(host)
    waiting = asyncio.create_task(host.query("nap", {"takes": 5}, 20))
    await asyncio.sleep(0.1)
    transport.cut()
    with pytest.raises(UnreachableError, match="box: "):
        await waiting
    assert await until(lambda: is_gone(pid))
    assert await pid_of(host) != pid


@REMOTE
async def test_what_prints_on_the_host_is_no_answer(transport: Any) -> None:
    assert await transport.reader().query("chatter", None, 20) == ""


@REMOTE
async def test_a_silent_helper_is_given_up(transport: Any) -> None:
    host = transport.reader(heartbeat=0.1)
    pid = await pid_of(host)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(UnreachableError, match="stopped answering"):
            await host.query("ping", None, 20)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert await pid_of(host) != pid
    assert await until(lambda: is_gone(pid))


async def test_a_call_is_let_finish_when_its_session_ends(transport: Any, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    payload: Json = {"counter": str(counter), "takes": 0.4}
    key = new_key()
    host = transport.actor()
    with pytest.raises(UnreachableError):
        await host.call("bump", payload, key, 0.2 if not transport.remote else await _warm(host) + 0.2)
    await host.close()
    await until_told(transport.actor(), "bump", payload, key)
    assert size(counter) == 1


async def _warm(host: Any) -> float:
    await pid_of(host)
    return 0.0


@REMOTE
async def test_a_helper_that_is_killed_never_runs_a_call_twice(transport: Any, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    payload: Json = {"counter": str(counter), "takes": 5}
    key = new_key()
    host = transport.actor()
    pid = await pid_of(host)
    call = asyncio.create_task(host.call("bump", payload, key, 20))
    assert await until(lambda: size(counter) > 0)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(UnreachableError):
        await call
    assert await until(lambda: is_gone(pid))
    with pytest.raises(VerbError, match="never finished") as caught:
        await host.call("bump", payload, key, 20)
    assert caught.value.kind == "not-yet"
    assert size(counter) == 1
