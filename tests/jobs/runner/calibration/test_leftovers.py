"""Half-written files of a killed writer, and everything beside them that only looks like one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hosts.local.locks import acquire
from jobs.runner.calibration.leftovers import remove_leftovers
from jobs.runner.places import RunPlaces
from tests.peers.quick import tree

pytestmark = pytest.mark.travels

TEMP = ".gatewatch-0123456789abcdef.tmp"
LONG_AGO = (1_700_000_000, 1_700_000_000)


def plant(path: Path, times: tuple[int, int] | None = LONG_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half")
    if times is not None:
        os.utime(path, times)
    return path


def test_what_a_killed_writer_left_and_nothing_else(tmp_path: Path) -> None:
    places = RunPlaces(tmp_path / "r")
    ours = [plant(places.root / folder / TEMP) for folder in ("", "a_speed", ".gatewatch", ".gatewatch/inbox")]
    foreign = (".gatewatch-notes.tmp", f"{TEMP}~", f"my{TEMP}", ".gatewatch-0123456789ABCDEF.tmp", "run1.json")
    for name in foreign:
        plant(places.root / "a_speed" / name)
    plant(places.root / "somebodys" / TEMP)  # no stage of the plan
    plant(places.root / "_pytest" / "test_a" / "basetemp_run1" / TEMP)  # what a test wrote
    plant(places.root / ".gatewatch-00000000000000aa.tmp", times=None)  # a report that is being written right now
    kept = plant(tmp_path / "kept")
    (places.root / "a_speed" / ".gatewatch-00000000000000bb.tmp").symlink_to(kept)
    (places.root / "a_speed" / ".gatewatch-00000000000000cc.tmp").mkdir()
    (places.root / "b_wer").symlink_to(plant(tmp_path / "elsewhere" / TEMP).parent)
    before = tree(tmp_path)
    lock = acquire(places.lock, "n")
    later = plant(places.root / "a_speed" / ".gatewatch-00000000000000dd.tmp", (4_000_000_000, 4_000_000_000))
    assert sorted(remove_leftovers(places, ["a_speed", "b_wer", "../.."])) == sorted(ours)
    assert later.exists()
    later.unlink()
    lock.release()
    gone = {path.relative_to(tmp_path).as_posix() for path in ours}
    after = tree(tmp_path)
    assert {path: entry for path, entry in before.items() if path not in gone}.items() <= after.items()
    assert gone.isdisjoint(after)


def test_without_a_lock_nothing_is_removed(tmp_path: Path) -> None:
    left = plant(tmp_path / "r" / TEMP)
    assert remove_leftovers(RunPlaces(tmp_path / "r"), ["a"]) == ()
    assert left.exists()
