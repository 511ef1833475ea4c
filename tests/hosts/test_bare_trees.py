"""The files of a host without a Python, over a real sshd: what the helper would list, but for what is in them."""

from __future__ import annotations

import asyncio
import glob
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts import bare, bare_sftp, bare_trees
from hosts.bare_sftp import Attributes, Sftp
from hosts.errors import InputError
from hosts.host import FileSeen, TreeSeen, TreeWant, Wants
from hosts.local.trees import Budget, scan
from tests.hosts.test_bare import HOSTILE, connect
from tests.peers import bare as bare_peer
from tests.peers import sshd

pytestmark = pytest.mark.skipif(sshd.SSHD is None, reason="needs OpenSSH's sshd, whose SFTP this is for")


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.SshPeer]:
    settings = bare_peer.settings(tmp_path_factory.mktemp("bin"))
    with sshd.running(tmp_path_factory.mktemp("sshd"), settings + bare_peer.SFTP) as running:
        yield running


@pytest.fixture
async def host(peer: sshd.SshPeer, image: Any) -> AsyncIterator[Any]:
    made = connect("asyncssh", peer, image)
    yield made
    await made.close()


def told(files: dict[str, FileSeen]) -> dict[str, tuple[int, int, str | None]]:
    return {path: (one.size, one.mtime_ns // 10**9, one.error) for path, one in files.items()}


async def listed(host: Any, *wants: TreeWant) -> tuple[TreeSeen, ...]:
    seen = await host.observe(Wants(trees=wants), None, 20)
    assert host.bare
    found: tuple[TreeSeen, ...] = seen.trees
    return found


@pytest.mark.parametrize(
    "globs",
    [("*",), ("*.log", "*.txt"), ("*/*.log",), (".*",), ("deep/*/x",), ("a.log", "none", "deep/er/x"), ("*", "*/*")],
)
async def test_the_same_names_are_found_as_with_a_python(host: Any, tmp_path: Path, globs: tuple[str, ...]) -> None:
    root = tmp_path / "root"
    for path in ("a.log", ".hidden.log", "one/b.log", "one/.c.log", "deep/er/x", "deep/est/x", "[z].log"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "to.log").symlink_to(root / "a.log")
    (root / "dead.log").symlink_to(root / "none")
    (root / "folder.log").symlink_to(tmp_path)
    os.mkfifo(root / "pipe.log")
    want = TreeWant(str(root), globs, -1)
    [seen] = await listed(host, want)
    expected, _ = await asyncio.to_thread(scan, want, None, Budget(0))
    wanted = {path: one for path, one in expected.files.items() if not path.startswith("dead")}
    assert told(dict(seen.files)) == told(wanted)
    assert (seen.error, seen.full, seen.gone) == (None, True, ())


async def test_names_are_names(host: Any, tmp_path: Path) -> None:
    for name in HOSTILE:
        (tmp_path / name).write_bytes(b"here")
    [seen] = await listed(host, TreeWant(str(tmp_path), ("*",), -1))
    assert set(seen.files) == set(HOSTILE)


async def test_what_cannot_be_listed_says_so(host: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    roots = [f"{tmp_path}/none", f"{tmp_path}/file", str(tmp_path)]
    none, file, bad = await listed(
        host, *(TreeWant(root, ("../x",) if root == str(tmp_path) else ("*",), -1) for root in roots)
    )
    assert none.error == f"{tmp_path}/none: not there"
    assert file.error == f"{tmp_path}/file is not a folder"
    assert "bad glob" in str(bad.error)


def fill(folder: Path, count: int) -> list[str]:
    folder.mkdir()
    names = [f"{number}.log" for number in range(count)]
    for name in names:
        (folder / name).touch()
    return names


async def test_a_folder_of_many_files_is_listed(host: Any, tmp_path: Path) -> None:
    names = await asyncio.to_thread(fill, tmp_path / "many", 10_050)
    of_folder, of_pattern = await listed(
        host, TreeWant(f"{tmp_path}/many", ("*.log",), -1), TreeWant(str(tmp_path), ("many/*.log",), -1)
    )
    assert (of_folder.error, of_pattern.error) == (None, None)
    assert set(of_folder.files) == set(names)
    assert set(of_pattern.files) == {f"many/{name}" for name in names}


async def test_of_a_folder_of_too_many_files_some_are_listed(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare_sftp, "MAX_NAMES", 20)
    fill(tmp_path / "many", 30)
    [seen] = await listed(host, TreeWant(str(tmp_path), ("many/*.log",), -1))
    assert len(seen.files) == 20
    assert seen.error == f"{tmp_path}/many holds more than 20 names; the rest is left out"


@pytest.mark.parametrize("name", ["[x]*?.log", "*.log", "none.log"])
async def test_a_very_name_is_found_among_however_many(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(bare_sftp, "MAX_NAMES", 20)
    fill(tmp_path / "many", 30)
    (tmp_path / "many/[x]*?.log").touch()
    there = [f"{tmp_path}/many/{name}"] if "[" in name else []
    assert await host.query("locate", {"path": glob.escape(f"{tmp_path}/many/{name}")}, 20) == there
    with pytest.raises(InputError, match=f"cannot list {tmp_path}/many: it holds more than 20 names$"):
        await host.query("locate", {"path": f"{tmp_path}/many/*.log"}, 20)


async def test_a_listing_that_takes_too_long_says_so_and_that_nothing_is_gone(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = TreeWant(str(tmp_path), ("*",), -1)
    await listed(host, want)

    async def endless(*_: object) -> TreeSeen:
        future: asyncio.Future[TreeSeen] = asyncio.get_running_loop().create_future()
        return await future

    monkeypatch.setattr(bare, "list_tree", endless)
    [seen] = (await host.observe(Wants(trees=(want,)), None, 3)).trees
    assert (seen.gone, seen.error) == ((), f"{tmp_path}: no answer in time")


def link(folder: Path, count: int) -> None:
    folder.mkdir()
    (folder / "to").touch()
    for number in range(count):
        (folder / f"{number}.log").symlink_to("to")


async def test_few_links_are_asked_for_at_a_time(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare_trees, "_QUESTIONS", 50)
    link(tmp_path / "many", 450)
    asked = [0]
    most = 0
    stat = Sftp.stat

    async def counted(sftp: Sftp, path: str) -> Attributes:
        nonlocal most
        asked[0] += 1
        most = max(most, asked[0])
        try:
            return await stat(sftp, path)
        finally:
            asked[0] -= 1

    monkeypatch.setattr(Sftp, "stat", counted)
    [seen] = await listed(host, TreeWant(f"{tmp_path}/many", ("*.log",), -1))
    assert (len(seen.files), seen.error) == (450, None)
    assert 1 < most <= 50


async def test_an_answer_about_one_link_holds_up_no_question_about_others(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare_trees, "_QUESTIONS", 50)
    link(tmp_path / "many", 450)
    left, last = [450], asyncio.Event()
    stat = Sftp.stat

    async def late(sftp: Sftp, path: str) -> Attributes:
        found = await stat(sftp, path)
        left[0] -= path.endswith(".log")
        if left[0] == 0:
            last.set()
        if path.endswith("/0.log"):
            await last.wait()
        return found

    monkeypatch.setattr(Sftp, "stat", late)
    [seen] = await listed(host, TreeWant(f"{tmp_path}/many", ("*.log",), -1))
    assert (len(seen.files), seen.error) == (450, None)


async def test_of_a_folder_of_too_many_links_some_are_listed(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare_trees, "_LINKS", 20, raising=False)
    link(tmp_path / "many", 30)
    [seen] = await listed(host, TreeWant(str(tmp_path), ("many/*",), -1))
    assert len(seen.files) == 21
    assert seen.files["many/to"].error is None
    assert seen.error == f"{tmp_path}/many holds more than 20 links; the rest is left out"
