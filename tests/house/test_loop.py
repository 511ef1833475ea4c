"""An async test in which a room blocks the event loop fails, unless it says why that is right."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from blockbuster import BlockingError

from hosts.local.files import write_atomic


async def test_a_room_that_blocks_is_caught(tmp_path: Path) -> None:
    with pytest.raises(BlockingError):
        write_atomic(tmp_path / "file", b"")


async def test_a_thread_may_block(tmp_path: Path) -> None:
    await asyncio.to_thread(write_atomic, tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.blocks_loop(reason="this is the opt-out itself")
async def test_a_test_that_says_so_may_block(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
