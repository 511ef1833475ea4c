"""What is shipped: the rooms, typed, with the example; no tests."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOMS = {"gates", "hosts", "jobs", "monitors", "tui"}


@pytest.fixture(scope="module")
def built(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is made from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(house)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_wheel_holds_the_rooms_and_the_example(built: Path, house: Path, house_files: tuple[Path, ...]) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {*ROOMS, "gatewatch.py"}
    assert {f"{room}/py.typed" for room in ROOMS} <= names
    example = house / "examples" / "calibration"
    tracked = {path.relative_to(example).as_posix() for path in house_files if example in path.parents}
    prefix = "jobs/_examples/calibration/"
    assert tracked
    assert {name.removeprefix(prefix) for name in names if name.startswith("jobs/_examples/")} == tracked


def test_the_sdist_holds_no_tests(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert "tests" not in tops
    assert {*ROOMS, "gatewatch.py", "examples", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= tops
