from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hosts import events
from hosts.events import NoEventsError, changes


async def test_a_change_is_told_and_a_new_folder_is_watched_too(tmp_path: Path) -> None:
    def folders() -> list[str]:
        return [str(tmp_path), *(str(path) for path in tmp_path.iterdir() if path.is_dir())]

    stream = changes(folders)

    def touch(change: Path, mkdir: bool, number: int) -> None:
        if mkdir:
            change.mkdir(exist_ok=True)
            change = change / "inside"
        if not change.is_dir():
            change.write_text(str(number))

    async def after(change: Path, mkdir: bool = False) -> None:
        """Change things until it is told; the watch may not have begun at the first time."""
        told = asyncio.ensure_future(anext(stream))
        for number in range(200):
            await asyncio.to_thread(touch, change, mkdir, number)
            done, _ = await asyncio.wait([told], timeout=0.1)
            if done:
                break
        assert told.done(), "nobody was told"
        told.result()

    await after(tmp_path / "plan.json")
    await after(tmp_path / "stage", mkdir=True)
    await after(tmp_path / "stage" / "run1.json")
    await stream.aclose()


async def test_where_nothing_reports_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoEventsError, match="no folder"):
        await anext(changes(list))
    monkeypatch.setattr(events, "file_system", lambda _: "nfs4")  # no kernel of a test machine mounts NFS
    with pytest.raises(NoEventsError, match="is on nfs4, which reports no changes"):
        await anext(changes(lambda: [str(tmp_path)]))
