"""What `gatewatch tail --plain HOST:PATH` says where nothing is there, as soon as the host has said so: a real sshd."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import InputError
from hosts.host import HostReader
from hosts.profiles import HostProfile, Ssh
from hosts.target import parse_target
from jobs.connect import open_reader
from monitors.logs import hits as _hits  # noqa: F401 - else it is imported late, on the event loop
from monitors.logs import remote as _remote  # noqa: F401 - likewise
from monitors.logs.model import LogModel
from monitors.logs.opening import open_source
from monitors.logs.types import Filter, Query, Source
from tests.peers import sshd
from tui.logs.plain import MEMORY, Request, Stream
from tui.logs.plainready import ready
from tui.logs.plaintext import PlainText

Opened = Callable[[str], Coroutine[Any, Any, Source]]
Ready = Callable[[str, float | None], Coroutine[Any, Any, None]]
FOR_EVER_S = 3600.0
"""No test waits so long: whoever does has not understood the answer."""


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def opened(peer: sshd.SshPeer) -> Opened:
    """Opens a log."""
    ssh = Ssh(
        host="127.0.0.1",
        port=peer.port,
        identity_file=str(peer.keys["plain"]),
        known_hosts=str(peer.known_hosts),
    )
    profile = HostProfile(name="far", launcher="ssh", ssh=ssh, python=sys.executable)

    async def connect(_name: str) -> HostReader:
        return await asyncio.to_thread(open_reader, profile)

    return lambda target: open_source(parse_target(target), connect)


@pytest.fixture
def known(opened: Opened) -> Ready:
    """Opens a log, and waits until it is known what is there."""

    async def wait(target: str, patience: float | None) -> None:
        source, news = await opened(target), asyncio.Event()
        try:
            await source.start(news.set)
            await ready(source, news, patience)
        finally:
            await source.close()

    return wait


async def test_the_last_lines_that_pass_are_found_there(opened: Opened, tmp_path: Path) -> None:
    hay = b"hay\n" * 3_000_000
    (tmp_path / "a.log").write_bytes(b"needle 1\n" + hay + b"needle 2\n" + hay + b"needle 3\n" + hay)
    model = LogModel(await opened(f"far:{tmp_path}/a.log"), memory=MEMORY, counts=False)
    news, out = asyncio.Event(), list[bytes]()
    model.listen(news.set)
    try:
        await model.start()
        await ready(model, news, FOR_EVER_S)
        request = Request(2, wanted=Filter((Query("needle"),)))
        await Stream(model, news, request, PlainText(), out.append, pytest.fail).run()
    finally:
        await model.close()
    assert b"".join(out) == b"needle 2\nneedle 3\n"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("none.log", "far:{at}/none.log: no such file; --wait waits for it"),
        ("later/none.log", "far:{at}/later/none.log: no such file; --wait waits for it"),
        ("empty", "no log in far:{at}/empty yet; --wait waits for it"),
        ("later/", "far:{at}/later/: not there"),
        ("*.log", "no file matches far:{at}/*.log yet; --wait waits for it"),
    ],
)
async def test_what_is_not_there_is_told_at_once(known: Ready, tmp_path: Path, path: str, told: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        await known(f"far:{tmp_path}/{path}", FOR_EVER_S)
    assert str(caught.value) == told.format(at=tmp_path)


async def test_the_home_folder_is_answered_for_too(known: Ready) -> None:
    with contextlib.suppress(InputError):  # whether a log lies there is not ours to say
        await known("far:", FOR_EVER_S)


async def test_who_waits_waits_for_it(known: Ready, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    waiting = [asyncio.create_task(known(f"far:{tmp_path}/{path}", None)) for path in ("a.log", "empty", "*.out")]
    done, _ = await asyncio.wait(waiting, timeout=2)
    assert not done
    for path in ("a.log", "empty/b.log", "c.out"):
        (tmp_path / path).write_text("one\n")
    await asyncio.gather(*waiting)
