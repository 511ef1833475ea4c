"""The command refuses to run when one of its rooms would be somebody else's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewatch import misplaced_room
from hosts.version import VERSION

Python = Callable[..., "subprocess.CompletedProcess[str]"]

RUN = "sys.argv = ['gatewatch', '--version']\nimport gatewatch\nsys.exit(gatewatch.main())"


def _with_path(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.parametrize("room", ["gates", "hosts", "jobs", "monitors", "tui"])
@pytest.mark.parametrize("shape", ["{room}/__init__.py", "{room}.py"])
def test_a_stranger_on_the_path_ends_it_with_one_line(room: str, shape: str, tmp_path: Path, python: Python) -> None:
    project = tmp_path / "project"
    stranger = project / shape.format(room=room)
    stranger.parent.mkdir(parents=True)
    stranger.write_text("raise SystemExit('ran the stranger')\n")

    done = python(RUN, env=_with_path(project))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    found = stranger.parent if stranger.name == "__init__.py" else stranger
    assert f"{str(found)!r}" in done.stderr
    assert "pipx" in done.stderr
    assert "unset PYTHONPATH" in done.stderr


def test_a_plain_folder_of_that_name_is_no_stranger(tmp_path: Path, python: Python) -> None:
    (tmp_path / "project" / "jobs").mkdir(parents=True)
    done = python(RUN, env=_with_path(tmp_path / "project"))
    assert (done.returncode, done.stderr) == (0, "")
    assert VERSION in done.stdout


def test_a_path_cannot_write_to_the_terminal(tmp_path: Path, python: Python) -> None:
    hostile = tmp_path / "\x1b[2J\n\u202egpj"
    (hostile / "jobs").mkdir(parents=True)
    (hostile / "jobs" / "__init__.py").touch()
    done = python(RUN, env=_with_path(hostile))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert not {"\x1b", "\u202e"} & set(done.stderr)


def test_our_own_rooms_pass(house: Path) -> None:
    assert misplaced_room(str(house)) is None


def test_rooms_without_us_are_named(tmp_path: Path) -> None:
    complaint = misplaced_room(str(tmp_path))
    assert complaint is not None
    assert str(tmp_path) in complaint


def test_it_runs_as_a_module(house: Path, python: Python) -> None:
    done = python(
        "import runpy\nsys.argv = ['gatewatch', '--version']\nrunpy.run_module('gatewatch', run_name='__main__')"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert VERSION in done.stdout
