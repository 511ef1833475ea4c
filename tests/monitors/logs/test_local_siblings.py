from __future__ import annotations

import os
from pathlib import Path

import pytest

from monitors.logs.local_files import Files
from monitors.logs.local_siblings import siblings


@pytest.mark.parametrize(
    ("name", "rotated", "number"),
    [
        ("app.log.1", True, 1),
        ("app.log.12", True, 12),
        ("app.log-20240131", True, None),
        ("app.log.2024-01-31_10-00-00", True, None),
        ("app.log.2024-01-31T10:00:00Z", True, None),
        ("app.2024-01-31_10-00-00_123456.log", True, None),
        ("app.3.log", True, 3),
        ("app.log.1.gz", True, 1),
        ("app.log.old", False, None),
        ("app.log~", False, None),
        ("app.log.err", False, None),
        ("app.log.lock", False, None),
        ("app.log", None, None),
        ("app.logs", None, None),
        ("app-worker.log", None, None),
        ("other.log.1", None, None),
    ],
)
def test_which_names_rotation_gives(tmp_path: Path, name: str, rotated: bool | None, number: int | None) -> None:
    (tmp_path / name).write_text("x")
    found = siblings(Files(), str(tmp_path / "app.log"))
    assert [(one.rotated, one.number) for one in found] == ([] if rotated is None else [(rotated, number)])


def test_the_oldest_comes_first_and_folders_are_none(tmp_path: Path) -> None:
    for number, written in ((3, 100), (2, 200), (1, 200)):
        path = tmp_path / f"log.{number}"
        path.write_text("x")
        os.utime(path, (written, written))
    (tmp_path / "log.4").mkdir()
    (tmp_path / "log.5").symlink_to("nothing")
    found = siblings(Files(), str(tmp_path / "log"))
    assert [one.number for one in found] == [3, 2, 1]


def test_a_folder_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert siblings(Files(), str(tmp_path / "no" / "log")) == []


def test_a_name_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("log.1").write_text("x")
    assert [one.path for one in siblings(Files(), "log")] == ["log.1"]
